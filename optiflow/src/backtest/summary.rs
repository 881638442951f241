//! What a run came to, on one page: summary.json and the words on the terminal.
//!
//! Amounts are numbers here, for reading; the exact decimals are in the tables. Never decides anything.

use std::fmt;

use serde::Serialize;
use serde_json::{Value, json};

use crate::config::backtest::LatencyChoice;

/// What a run came to; the fields are those of summary.json, in its order.
#[derive(Clone, Debug, Serialize)]
pub struct Summary {
    /// Rows of the files that were read, all symbols.
    pub rows: u64,
    /// Rows of the symbol traded.
    pub rows_of_symbol: u64,
    /// CPU time from the start of the program, all threads.
    pub cpu_seconds: f64,
    /// Rows by CPU time.
    pub rows_per_cpu_second: f64,
    /// Every answer in order, as one number in hexadecimal.
    pub event_log_hash: String,
    /// Signed position at the end.
    pub position: f64,
    /// Received minus paid, before fees.
    pub balance: f64,
    /// Fees paid; negative is rebates received.
    pub fees: f64,
    /// Balance, less fees, and the position at the last mid; absent when the market never had two sides.
    pub equity: Option<f64>,
    /// Executions.
    pub fills: u64,
    /// Value traded.
    pub turnover: f64,
    /// Answers seen.
    pub answers: u64,
    /// Requests that were not sent, because an earlier one was open or the order unknown; scripts only.
    pub refusals: u64,
    /// Earliest time of the data on either clock, ns.
    pub first_ts: i64,
    /// Latest, ns.
    pub last_ts: Option<i64>,
    /// What was traded.
    pub symbol: String,
    /// Price of one tick.
    pub tick: f64,
    /// Smallest tradable quantity.
    pub lot: f64,
    /// Who traded.
    pub strategy: &'static str,
    /// How queue places were estimated.
    pub queue: String,
    /// How long requests and answers travelled.
    pub latency: Value,
    /// Were resting orders filled piece by piece?
    pub partial_fills: bool,
    /// Were the peer's conventions followed?
    pub compatible: bool,
    /// Fee of a maker's fill, ppm.
    pub maker_fee_ppm: i64,
    /// Fee of a taker's fill, ppm.
    pub taker_fee_ppm: i64,
}

/// A latency as summary.json has it.
pub fn latency(choice: &LatencyChoice) -> Value {
    match choice {
        LatencyChoice::Constant { entry_ns, response_ns } => {
            json!({ "entry_ns": entry_ns, "response_ns": response_ns })
        }
        LatencyChoice::Table(path) => json!({ "table": path }),
    }
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let rules = if self.compatible { "compatible" } else { "realistic" };
        let pieces = if self.partial_fills { "partial fills" } else { "whole-order fills" };
        let million = self.rows_per_cpu_second / 1e6;
        writeln!(f, "{} on {}: {rules} rules, queue {}, {pieces}", self.strategy, self.symbol, self.queue)?;
        writeln!(f, "  rows        {} in {:.3} CPU s: {million:.1} M rows/CPU s", self.rows, self.cpu_seconds)?;
        writeln!(f, "  answers     {}, refused here {}", self.answers, self.refusals)?;
        writeln!(f, "  fills       {}, turnover {:.2}", self.fills, self.turnover)?;
        writeln!(f, "  position    {}", self.position)?;
        writeln!(f, "  balance     {:.4} before fees of {:.4}", self.balance, self.fees)?;
        if let Some(equity) = self.equity {
            writeln!(f, "  equity      {equity:.4} at the last mid")?;
        }
        write!(f, "  hash        {}", self.event_log_hash)
    }
}
