//! Stage 2 of the pipeline: market events in, intents out.
//!
//! What it does: keeps the order book of every symbol, computes short-term signals from book and trades, shows a
//! [`view::View`] of it all to one strategy per symbol, and sends what the strategy wants as intents to risk.
//! What it never does: opens no socket, reads no clock but the injected one, knows no venue, decides on no book that is
//! stale, crossed or resyncing, and sends nothing to the exchange itself.
//! Which thread: the engine thread (or the fused hot thread). Nothing here allocates after warm-up.
//!
//! Read `engine` first (the stage), then `strategy` and `view` (what a strategy sees), `book`, `signals`, `execution`,
//! `strategies`.

pub mod engine;

mod denial;
mod desk;
mod doubt;

pub mod book;
pub mod execution;
pub mod orders;
pub mod position;
pub mod signals;
pub mod strategies;
pub mod strategy;
pub mod view;
