//! The command line, the configuration, the pipeline and the server shell of the simulated exchange.
//!
//! `pipeline` is the file to read first: it builds rings and stages and puts them on threads. Here rooms meet; nothing
//! here knows how to parse a message, price an order or match one.

mod opening;
pub mod pipeline;
pub mod rooms;
mod strays;
pub mod venue;

pub mod cli;
pub mod config;

pub mod backtest;
pub mod import;
pub mod parity;
pub mod record;
pub mod report;
pub mod sweep;
pub mod world;

pub mod check;
pub mod exchange;
pub mod kill;
pub mod ledger;
pub mod lock;
pub mod paper;
pub mod problem;
pub mod progress;
pub mod say;
pub mod status;
pub mod trade;
