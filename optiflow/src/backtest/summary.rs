//! What a run came to, on one page: summary.json and the words on the terminal.
//!
//! Amounts are numbers here, for reading; the exact decimals are in the tables. Never decides anything.

use std::fmt;

use optiflow_sim::replay::run::Tally;
use optiflow_sim::replay::terms::Terms;
use serde::Serialize;
use serde_json::{Value, json};

use super::settings::Strategy;
use crate::config::backtest::LatencyChoice;
use crate::report::html::duration;
use crate::report::measures::Measures;
use crate::report::page::Setup;

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
    /// Requests that were not sent: a script's because an earlier one was open or the order unknown, those of the live
    /// stages because risk or the order table held them back.
    pub refusals: u64,
    /// What the exchange did besides matching, by its name.
    pub exchange: Value,
    /// Ratios, drawdown, orders, markouts: the figures of the report.
    #[serde(flatten)]
    pub measures: Measures,
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
    /// Its parameters; null where it has none.
    pub strategy_settings: Value,
    /// The files of the market.
    pub data: Vec<String>,
    /// How queue places were estimated.
    pub queue: String,
    /// How long requests and answers travelled.
    pub latency: Value,
    /// Each symbol's part, where the run went through the live stages.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub symbols: Vec<SymbolSummary>,
    /// Were resting orders filled piece by piece?
    pub partial_fills: bool,
    /// Were the peer's conventions followed?
    pub compatible: bool,
    /// Fee of a maker's fill, ppm.
    pub maker_fee_ppm: i64,
    /// Fee of a taker's fill, ppm.
    pub taker_fee_ppm: i64,
    /// What the exchange asked besides a match.
    pub terms: Value,
}

/// One symbol's part of a run.
#[derive(Clone, Debug, Serialize)]
pub struct SymbolSummary {
    /// Its name.
    pub symbol: String,
    /// Signed position at the end.
    pub position: f64,
    /// Received minus paid, before fees and funding.
    pub balance: f64,
    /// Fees paid.
    pub fees: f64,
    /// Funding received less paid.
    pub funding: f64,
    /// Executions.
    pub fills: u64,
    /// Value traded.
    pub turnover: f64,
    /// What the strategy asked for: orders, cancels, modifications.
    pub decisions: u64,
    /// Why that is nothing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub silence: Option<&'static str>,
}

/// A latency as summary.json has it.
pub fn latency(choice: &LatencyChoice) -> Value {
    match choice {
        LatencyChoice::Constant { entry_ns, response_ns } => {
            json!({ "entry_ns": entry_ns, "response_ns": response_ns })
        }
        LatencyChoice::Table(path) => json!({ "table": path }),
        LatencyChoice::Session { file, seed } => json!({ "session": file, "seed": seed }),
    }
}

/// The exchange's terms as summary.json has them; zero is no limit, without a wallet there is no margin.
pub fn terms(terms: &Terms) -> Value {
    let margin = terms.margin;
    json!({
        "min_notional": terms.min_notional.as_f64(),
        "orders_ten_seconds": terms.orders_ten_seconds,
        "orders_minute": terms.orders_minute,
        "stp": terms.self_trade.name(),
        "wallet": margin.map(|margin| margin.wallet.as_f64()),
        "leverage": margin.map(|margin| margin.leverage),
        "liquidation_fee_ppm": margin.map(|margin| margin.liquidation_fee_ppm),
    })
}

/// What the exchange did as summary.json has it.
pub fn exchange(tally: &Tally) -> Value {
    json!({
        "limited": tally.limited,
        "below_min_notional": tally.below_min_notional,
        "not_reducing": tally.not_reducing,
        "no_margin": tally.no_margin,
        "self_trades": tally.self_trades,
        "liquidations": tally.liquidations,
        "fundings": tally.fundings,
    })
}

/// A strategy's parameters as summary.json has them.
pub fn strategy_settings(strategy: &Strategy) -> Value {
    match strategy {
        Strategy::Grid(grid) => json!({
            "half_spread": grid.half_spread,
            "interval": grid.interval,
            "levels": grid.levels,
            "skew": grid.skew,
            "order_qty": grid.order_qty,
            "max_position": grid.max_position,
            "period_ns": grid.period_ns,
        }),
        Strategy::Script(path) => json!({ "script": path }),
        Strategy::None | Strategy::ScalpingV1 => Value::Null,
    }
}

impl Summary {
    /// What the report says besides its figures.
    pub fn setup(&self) -> Setup {
        let fee = |ppm: i64| format!("{} bps", ppm as f64 / 100.0);
        let rules = if self.compatible { "compatible with hftbacktest" } else { "realistic" };
        let pieces = if self.partial_fills { "piece by piece" } else { "in one piece" };
        let mut settings = vec![
            ("symbol".to_owned(), self.symbol.clone()),
            ("tick, lot".to_owned(), format!("{}, {}", self.tick, self.lot)),
            ("strategy".to_owned(), self.strategy.to_owned()),
        ];
        settings.extend(listed("strategy", &self.strategy_settings));
        settings.extend([
            ("rules".to_owned(), rules.to_owned()),
            ("queue model".to_owned(), self.queue.clone()),
            ("resting orders fill".to_owned(), pieces.to_owned()),
        ]);
        settings.extend(listed("latency", &self.latency));
        settings.extend([
            ("fees, maker and taker".to_owned(), format!("{}, {}", fee(self.maker_fee_ppm), fee(self.taker_fee_ppm))),
            ("rows".to_owned(), format!("{} of {} in the files", self.rows_of_symbol, self.rows)),
        ]);
        settings.extend(self.data.iter().map(|path| ("data".to_owned(), path.clone())));
        Setup { strategy: self.strategy.to_owned(), settings, hash: self.event_log_hash.clone() }
    }
}

/// The fields of an object as settings; a field in ns is a duration.
fn listed(of: &str, value: &Value) -> Vec<(String, String)> {
    let Value::Object(fields) = value else { return Vec::new() };
    let line = |(name, value): (&String, &Value)| match (name.strip_suffix("_ns"), value.as_i64()) {
        (Some(name), Some(nanos)) => (format!("{of} · {}", name.replace('_', " ")), duration(nanos)),
        _ => {
            let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
            (format!("{of} · {}", name.replace('_', " ")), text)
        }
    };
    fields.iter().map(line).collect()
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
            let drawdown = self.measures.max_drawdown;
            writeln!(f, "  equity      {equity:.4} at the last mid, largest drawdown {drawdown:.4}")?;
        }
        if let (Some(sharpe), Some(error)) = (self.measures.sharpe, self.measures.sharpe_error) {
            writeln!(f, "  sharpe      {sharpe:.2} ± {error:.1} a year")?;
        }
        for SymbolSummary { symbol, silence, .. } in &self.symbols {
            if let Some(why) = silence {
                writeln!(f, "  NO ORDERS   in {symbol}: {why}")?;
            }
        }
        write!(f, "  hash        {}", self.event_log_hash)
    }
}
