//! Stage 5: everything that happened, into one SQLite file, and the sums that a person reads at the end.
//!
//! What it does: drains the log ring of every room, writes rows in batches, keeps orders, fills, profit and latencies
//! in memory for the closing summary.
//! What it never does: it never holds up another room (a full ring loses log events, counted), never decides anything,
//! never rounds money, never panics over a disk that fails: it says so and goes on counting.
//! Which thread: its own cold one; the summary is read on the same thread.

pub mod closing;
mod database;
pub mod error;
mod latency;
mod ledger;
mod orders;
mod position;
pub mod reader;
pub mod report;
mod rows;
pub mod schema;
pub mod session;
pub mod storage;
pub mod summary;
pub mod word;
mod writer;

pub use database::next_epoch;
pub use error::StorageError;
pub use session::{SessionInfo, SessionSymbol};
pub use storage::Storage;
pub use summary::Summary;
