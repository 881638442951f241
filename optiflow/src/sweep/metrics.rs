//! What a run is measured by, and which of two runs is the better one.
//!
//! Amounts are exact until they become numbers here. Never reads a clock.

use std::cmp::Ordering;

use clap::ValueEnum;
use optiflow_base::ids::SymbolId;
use optiflow_base::money::{Notional, Price, Qty, Side};
use optiflow_sim::replay::local::Local;
use optiflow_sim::replay::orders::{Status, Tells};
use serde::{Deserialize, Serialize};

use crate::report::returns::Returns;

/// What a run came to.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Metrics {
    /// Balance, less fees, funding, and the position at the last mid; absent when the market never had two sides.
    pub equity: Option<f64>,
    /// Received minus paid for what was traded, before fees and funding.
    pub balance: f64,
    /// Fees paid; negative is rebates received.
    pub fees: f64,
    /// Funding received minus paid.
    pub funding: f64,
    /// Value traded.
    pub turnover: f64,
    /// Executions.
    pub fills: u64,
    /// Signed position at the end.
    pub position: f64,
    /// The deepest fall of the equity from an earlier peak, a sample a second.
    pub max_drawdown: Option<f64>,
    /// As the report has it: a year; absent of a run shorter than a day.
    pub sharpe: Option<f64>,
    /// Orders that filled at least in part, of those placed.
    pub fill_ratio: Option<f64>,
}

/// One of the metrics: what tables show, and what they are sorted by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
#[value(rename_all = "snake_case")]
pub enum Metric {
    /// Profit or loss.
    Equity,
    /// Received minus paid.
    Balance,
    /// Fees paid; the least is the best.
    Fees,
    /// Funding received minus paid.
    Funding,
    /// Value traded.
    Turnover,
    /// Executions.
    Fills,
    /// Signed position at the end; the smallest is the best.
    Position,
    /// The deepest fall; the least is the best.
    MaxDrawdown,
    /// Mean by deviation.
    Sharpe,
    /// Orders filled, of those placed.
    FillRatio,
}

impl Metric {
    /// All of them, in the order of the tables.
    pub const ALL: [Metric; 10] = [
        Metric::Equity,
        Metric::Balance,
        Metric::Fees,
        Metric::Funding,
        Metric::Turnover,
        Metric::Fills,
        Metric::Position,
        Metric::MaxDrawdown,
        Metric::Sharpe,
        Metric::FillRatio,
    ];

    /// As it is called in every file.
    pub const fn name(self) -> &'static str {
        match self {
            Metric::Equity => "equity",
            Metric::Balance => "balance",
            Metric::Fees => "fees",
            Metric::Funding => "funding",
            Metric::Turnover => "turnover",
            Metric::Fills => "fills",
            Metric::Position => "position",
            Metric::MaxDrawdown => "max_drawdown",
            Metric::Sharpe => "sharpe",
            Metric::FillRatio => "fill_ratio",
        }
    }

    /// Is more of it better?
    pub const fn is_more_better(self) -> bool {
        match self {
            Metric::Equity
            | Metric::Balance
            | Metric::Funding
            | Metric::Turnover
            | Metric::Fills
            | Metric::Sharpe
            | Metric::FillRatio => true,
            Metric::Fees | Metric::Position | Metric::MaxDrawdown => false,
        }
    }

    /// Its value in a run; `None` where there is none.
    pub const fn of(self, metrics: &Metrics) -> Option<f64> {
        match self {
            Metric::Equity => metrics.equity,
            Metric::Balance => Some(metrics.balance),
            Metric::Fees => Some(metrics.fees),
            Metric::Funding => Some(metrics.funding),
            Metric::Turnover => Some(metrics.turnover),
            Metric::Fills => Some(metrics.fills as f64),
            Metric::Position => Some(metrics.position),
            Metric::MaxDrawdown => metrics.max_drawdown,
            Metric::Sharpe => metrics.sharpe,
            Metric::FillRatio => metrics.fill_ratio,
        }
    }

    /// The better of two runs first; those without a value last.
    pub fn best_first(self, one: &Metrics, other: &Metrics) -> Ordering {
        let size = |metrics: &Metrics| match self {
            Metric::Position => self.of(metrics).map(f64::abs),
            Metric::Equity
            | Metric::Balance
            | Metric::Fees
            | Metric::Funding
            | Metric::Turnover
            | Metric::Fills
            | Metric::MaxDrawdown
            | Metric::Sharpe
            | Metric::FillRatio => self.of(metrics),
        };
        match (size(one), size(other)) {
            (Some(one), Some(other)) if self.is_more_better() => other.total_cmp(&one),
            (Some(one), Some(other)) => one.total_cmp(&other),
            (Some(_), None) => Ordering::Less,
            (None, Some(_)) => Ordering::Greater,
            (None, None) => Ordering::Equal,
        }
    }
}

/// Watches a run, second by second and answer by answer: what of its report a sweep needs.
#[derive(Default)]
pub struct Watch {
    mid: Option<Price>,
    equity: Option<Notional>,
    returns: Returns,
    open: Vec<Open>,
    placed: u64,
    filled: u64,
    last_ns: i64,
}

/// An order that has not ended, and whether any of it has filled.
#[derive(Clone, Copy)]
struct Open {
    id: (SymbolId, u64),
    has_filled: bool,
}

impl Watch {
    /// Where a run of the fast core stands at `now`.
    pub fn sample_local(&mut self, now: i64, local: &Local) {
        let book = local.book();
        let best = |side| book.best(side).map(|tick| local.scale().price(tick).units());
        if let (Some(bid), Some(ask)) = (best(Side::Buy), best(Side::Sell)) {
            self.mid = Some(Price::from_units(bid + (ask - bid) / 2));
        }
        self.sample(now, self.mid.map(|mid| local.ledger().equity_at(mid)));
    }

    /// The market told something at `at`, no later than the next sample.
    pub const fn heard(&mut self, at: i64) {
        self.returns.heard(at);
    }

    /// The equity at `now`; `None` before a market had two sides.
    pub fn sample(&mut self, now: i64, equity: Option<Notional>) {
        self.equity = equity;
        if let Some(equity) = equity {
            self.returns.sample(now, equity);
        }
        self.last_ns = now;
    }

    /// Counts orders, and which of them fill.
    pub fn answer(&mut self, now: i64, id: (SymbolId, u64), tells: Tells, status: Status) {
        self.last_ns = self.last_ns.max(now);
        if tells == Tells::Rejected && status != Status::None {
            return;
        }
        let known = self.open.iter().position(|open| open.id == id);
        let at = known.unwrap_or_else(|| {
            self.placed += 1;
            self.open.push(Open { id, has_filled: false });
            self.open.len() - 1
        });
        if tells == Tells::Fill && !self.open[at].has_filled {
            self.open[at].has_filled = true;
            self.filled += 1;
        }
        if status.is_end() || tells == Tells::Rejected {
            self.open.swap_remove(at);
        }
    }

    /// What a run of the fast core came to, the market having ended at `market_ns`.
    pub fn end(mut self, market_ns: i64, local: &Local) -> Metrics {
        self.sample_local(market_ns.max(self.last_ns), local);
        let ledger = local.ledger();
        self.metrics(&Sums {
            balance: ledger.cash(),
            fees: ledger.fees(),
            funding: ledger.funding(),
            turnover: ledger.turnover(),
            fills: ledger.fills(),
            position: ledger.position(),
        })
    }

    /// What was watched, with the account at the end.
    pub fn metrics(&self, sums: &Sums) -> Metrics {
        let fill_ratio = (self.placed > 0).then(|| self.filled as f64 / self.placed as f64);
        Metrics {
            equity: self.equity.map(Notional::as_f64),
            balance: sums.balance.as_f64(),
            fees: sums.fees.as_f64(),
            funding: sums.funding.as_f64(),
            turnover: sums.turnover.as_f64(),
            fills: sums.fills,
            position: sums.position.as_f64(),
            max_drawdown: self.equity.map(|_| self.returns.drawdown().deepest.as_f64()),
            sharpe: self.returns.ratios().and_then(|ratios| ratios.sharpe).map(rounded),
            fill_ratio: fill_ratio.map(rounded),
        }
    }
}

/// The account at the end, exact; of several symbols, the sum.
#[derive(Clone, Copy, Debug, Default)]
pub struct Sums {
    /// Received minus paid for what was traded.
    pub balance: Notional,
    /// Fees paid.
    pub fees: Notional,
    /// Funding received minus paid.
    pub funding: Notional,
    /// Value traded.
    pub turnover: Notional,
    /// Executions.
    pub fills: u64,
    /// Signed position.
    pub position: Qty,
}

/// To as many digits as mean anything, so that they read back as they were written.
fn rounded(value: f64) -> f64 {
    (value * 1e6).round() / 1e6
}

#[cfg(test)]
mod tests {
    use super::*;

    fn metrics(equity: Option<f64>, position: f64, fees: f64) -> Metrics {
        Metrics {
            equity,
            balance: 0.0,
            fees,
            funding: 0.0,
            turnover: 0.0,
            fills: 0,
            position,
            max_drawdown: None,
            sharpe: None,
            fill_ratio: None,
        }
    }

    #[test]
    fn the_best_comes_first_and_what_has_no_value_last() {
        let (a, b, c) = (metrics(Some(1.0), -3.0, 5.0), metrics(Some(2.0), 1.0, 4.0), metrics(None, 0.0, 6.0));
        let order = |metric: Metric| {
            let mut runs = [("a", &a), ("b", &b), ("c", &c)];
            runs.sort_by(|one, other| metric.best_first(one.1, other.1));
            runs.map(|run| run.0).concat()
        };
        assert_eq!(order(Metric::Equity), "bac");
        assert_eq!(order(Metric::Fees), "bac");
        assert_eq!(order(Metric::Position), "cba");
        assert_eq!(order(Metric::Sharpe), "abc", "equal runs keep their order");
    }
}
