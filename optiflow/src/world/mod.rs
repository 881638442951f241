//! The command `world`: seeded fault worlds on every core, and the ones that broke a rule.
//!
//! `command` reads flags and tells what came of it, `crew` lives the worlds, `sums` adds them up, `tls` makes both ends'
//! certificates once. What a world is and what must hold in it stands in `optiflow_backtest::seeds`.

pub mod command;
mod crew;
mod sums;
mod tls;
