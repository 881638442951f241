//! The words that every room speaks: money, identities, instruments, events, time, stages and rings.
//!
//! What it does: gives each idea one type whose constructor proves what it says (a `Price` is an integer, an
//! `Instrument` knows its filters) and the few mechanisms that stages share (clock, rings, placement on cores).
//! What it never does: no sockets, no files, no venue names or codes, no trading decisions.
//! Which thread: all of them; every event here is `Copy` and is passed between threads by value.

pub mod bucket;
pub mod clock;
pub mod control;
pub mod decimal;
pub mod ids;
pub mod instrument;
pub mod limiter;
pub mod log;
pub mod market;
pub mod money;
pub mod order;
pub mod placement;
pub mod rates;
pub mod rest;
pub mod ring;
pub mod secret;
pub mod stage;
