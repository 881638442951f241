//! Stage 4: approved intents become orders on the exchange, and whatever happens to them becomes reports.
//!
//! What it does: writes requests to the order socket, follows replies, user stream and queries, keeps one truth about
//! every order, reconciles it with the exchange at start and after every loss, and stops by proving that nothing of
//! ours is open.
//! What it never does: it never trades on its own, never sends an intent twice, never takes silence for a refusal,
//! never blocks, and accepts nothing but what risk approved. Secrets stay in `binance::sign`.
//! Which thread: the oms stage's; `binance::rest` and `binance::setup` block and belong to the control thread.

pub mod binance;
pub mod error;
pub mod former;
pub mod peace;
pub mod stage;
pub mod time;
pub mod weight;

pub mod desk;
pub mod order;
pub mod positions;
pub mod report;
pub mod table;

mod doubt;
mod fills;
