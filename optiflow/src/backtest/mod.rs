//! `optiflow backtest`: a recorded market, streamed from its files through the fast replay core, and what came of it.
//!
//! `command` is the file to read first: settings and files → run → reports. Here files, flags and the core of
//! `optiflow_sim::replay` meet; nothing here matches an order. One symbol and one strategy a run; the live stages
//! (engine, risk, oms) are not in this loop: `stages` runs those, for strategies of the engine, over several symbols at
//! once.

pub mod command;

pub(crate) mod settings;

pub(crate) mod drive;
pub(crate) mod source;

pub(crate) mod stages;

mod output;
mod summary;
