//! report.html of a backtest, and the figures in it: a run tells what happens in the words of `words`, the collector
//! keeps what matters in bounded memory, the page shows it.
//!
//! Never disturbs a run: it listens, and asks for nothing but a look at the best prices when a markout is due. Runs on
//! the thread that drives the run.

pub mod words;

pub mod collect;

pub mod account;
pub mod days;
pub mod markouts;
pub mod moments;
pub mod orders;
pub mod returns;
pub mod series;
pub mod spans;

pub mod measures;
pub mod page;

pub(crate) mod html;

mod chart;
mod tables;
