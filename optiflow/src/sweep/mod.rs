//! `optiflow sweep`: one market, many settings: the data decoded once, and a run of each point of a grid on every core.
//!
//! `command` is the file to read first: axes → plan → market in memory → runs on all cores → tables. A run is the same
//! as `optiflow backtest`'s with the same settings, hash for hash; nothing here matches an order. What a run comes to
//! depends on neither the number of threads nor the order in which they take the points.

pub mod command;

pub mod axes;
mod overrides;
mod plan;

mod rows;
mod stages;
mod world;

mod market;
pub mod memory;
mod workers;

mod digest;
mod journal;
pub mod metrics;
mod page;
mod tables;
