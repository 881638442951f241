//! The other side: an exchange that matches, keeps accounts and speaks Binance's protocol, without sockets.
//!
//! What it does: `market` yields what a recorded or synthetic market did; `core` replays it, matches our orders against
//! it with queue position and keeps the ledger; `binance` is its face: requests and frames in, answers and frames out.
//! What it never does: no sockets, no threads, no clock of its own (time is handed in), and nothing borrowed from the
//! rooms that trade: it would agree with their bugs.
//! Which thread: whoever drives it — the server shell, or a virtual world.

pub mod words;

pub mod account;
pub mod book;
pub mod core;
pub mod market;
pub mod matching;
pub mod replay;

pub mod binance;
