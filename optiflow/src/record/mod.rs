//! `optiflow record`, and `--capture` of `optiflow trade`: the raw market streams into rotating files.
//!
//! `recorder` is the file to read first: connections → lines → files. Every message is written as it came, with the
//! time at which it was read: `<local unix ns> <raw JSON>`, gzip, the format of hftbacktest's collector; a depth
//! snapshot stands in every file, after every reconnect and after every gap.
//! Never trades, never needs a key, never changes a message; what is understood of one (whose it is, is it in
//! sequence?) is feed's knowledge, asked of a copy. One thread, and a second one for snapshots, because REST waits.

pub mod aside;
pub mod command;

pub mod recorder;

mod desk;
mod snapshots;
mod watch;

mod calendar;
mod tape;

mod place;
mod tally;

pub use calendar::stamp;
pub use tally::Tally;
