//! `optiflow backtest`: a recorded market, streamed from its files through the fast replay core, and what came of it.
//!
//! `command` is the file to read first: settings and files → run → reports. Here files, flags and the core of
//! `optiflow_sim::replay` meet; nothing here matches an order. One symbol and one strategy a run; the live stages
//! (engine, risk, oms) are not in this loop.

pub mod command;

mod settings;

mod drive;
mod source;

mod output;
mod summary;
