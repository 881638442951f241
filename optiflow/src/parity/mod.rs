//! `optiflow parity`: a recorded session's own orders, sent again into the simulator on the captured market, and where
//! its fills differ from the real ones, order by order.
//!
//! `command` is the file to read first: database and capture → orders and market → run → comparison → reports.
//! Everything happens on the exchange's clock: an order arrives when the exchange said it did, so neither clock skew
//! nor an estimate of latency stands between the two. What is left is the simulator's own doing, and what a capture
//! cannot show (`docs/parity.md`). Nothing here matches an order; `optiflow_sim::replay` does.

pub mod command;

mod life;
mod session;
mod travel;

mod capture;
mod market;
mod resend;

mod compare;
mod output;
mod page;
