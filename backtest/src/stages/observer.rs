//! What a run shows to whoever looks on: answers, fills, payments, where it stands every second, every log event.
//!
//! Looking on changes nothing: times of samples are no instants of the run. The one thing an onlooker may do is hold the
//! run back until its time has come, and ask for its end.

use optiflow_base::clock::Nanos;
use optiflow_base::ids::{SymbolId, TradeId};
use optiflow_base::log::LogEvent;
use optiflow_base::money::{Notional, Price, Qty};
use optiflow_base::order::{Intent, NewOrder};

pub use optiflow_sim::replay::orders::{Reason, Status, Tells};

/// Looks on.
pub trait Observer {
    /// Called before an instant happens: a run that is paced waits here.
    ///
    /// # Errors
    /// What makes going on pointless, such as a disk that is full.
    fn before(&mut self, at: Nanos) -> Result<Flow, String> {
        let _ = at;
        Ok(Flow::On)
    }

    /// An answer about an order was seen.
    fn answer(&mut self, answer: &Answer) {
        let _ = answer;
    }

    /// A fill was seen, just after its answer.
    fn fill(&mut self, fill: &Fill) {
        let _ = fill;
    }

    /// Funding was paid or received.
    fn funding(&mut self, payment: &Payment) {
        let _ = payment;
    }

    /// The account was closed by force.
    fn liquidation(&mut self, liquidation: &Liquidation) {
        let _ = liquidation;
    }

    /// A strategy decided, on these best prices.
    fn decided(&mut self, intent: &Intent, best: Option<Best>) {
        let _ = (intent, best);
    }

    /// Where the run stands, at every whole second and at the end.
    fn standing(&mut self, standing: &Standing<'_>) {
        let _ = standing;
    }

    /// When it wants to look besides; at once where that is over.
    fn next_look(&self) -> Option<Nanos> {
        None
    }

    /// Where the run stands at the time it asked for: after everything up to it, before anything later. It asks for a
    /// later time from now on.
    fn look(&mut self, standing: &Standing<'_>) {
        let _ = standing;
    }

    /// What a room wrote to its log.
    fn log(&mut self, now: Nanos, event: &LogEvent) {
        let _ = (now, event);
    }
}

/// Nobody looks.
impl Observer for () {}

/// Does the run go on?
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flow {
    /// Yes.
    On,
    /// It stops in order: no new risk, everything cancelled.
    Stop,
}

/// An answer, as it was seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Answer {
    /// When it was seen.
    pub local: Nanos,
    /// When the exchange gave it; zero when the request never got there.
    pub exch: Nanos,
    /// When something was last asked of the order.
    pub requested: Nanos,
    /// Which symbol.
    pub symbol: SymbolId,
    /// The order it is about.
    pub order: NewOrder,
    /// Market quantity ahead at the price when it came to rest; zero when it never did.
    pub ahead: Qty,
    /// What it tells.
    pub tells: Tells,
    /// The order's state; `None` of an order that never was.
    pub status: Status,
    /// Why, where it is not the plain course of things.
    pub reason: Reason,
    /// What is left of it.
    pub leaves: Qty,
    /// Price of the execution it tells of; zero otherwise.
    pub exec_price: Price,
    /// Quantity of the execution it tells of; zero otherwise.
    pub exec_qty: Qty,
    /// Was that execution a maker's?
    pub maker: bool,
    /// Why it was refused; the exchange's codes are negative, ours positive, 0 is none.
    pub code: i32,
    /// The best prices as the engine has them.
    pub best: Option<Best>,
}

/// A fill, as it was seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fill {
    /// When it was seen.
    pub local: Nanos,
    /// When it happened.
    pub exch: Nanos,
    /// Which symbol.
    pub symbol: SymbolId,
    /// The order; its `qty` is what was asked for.
    pub order: NewOrder,
    /// The exchange's id.
    pub trade: TradeId,
    /// Price.
    pub price: Price,
    /// Quantity.
    pub qty: Qty,
    /// Was the order resting?
    pub maker: bool,
    /// Fee; negative is a rebate.
    pub fee: Notional,
    /// Profit that it realised, before the fee.
    pub realized: Notional,
    /// Market quantity ahead at the price when the order came to rest; zero when it never did.
    pub ahead: Qty,
    /// When the order was decided.
    pub decided: Nanos,
    /// When it reached the exchange.
    pub arrived: Nanos,
    /// The best prices as the engine has them.
    pub best: Option<Best>,
}

/// Best prices.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Best {
    /// Highest bid.
    pub bid: Price,
    /// Lowest ask.
    pub ask: Price,
}

impl Best {
    /// Half way between, rounded down to 10⁻⁸.
    pub const fn mid(&self) -> Price {
        Price::from_units(self.bid.units().midpoint(self.ask.units()))
    }
}

/// Funding.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Payment {
    /// When it was seen.
    pub local: Nanos,
    /// When it was due.
    pub exch: Nanos,
    /// For which symbol.
    pub symbol: SymbolId,
    /// Change of the wallet.
    pub amount: Notional,
}

/// The exchange closes positions by force.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Liquidation {
    /// When it was seen.
    pub local: Nanos,
    /// When it happened.
    pub exch: Nanos,
    /// Wallet and unrealised profit.
    pub margin_balance: Notional,
    /// What it should have been at least.
    pub maintenance: Notional,
}

/// Where the run stands, as we know it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Standing<'a> {
    /// When.
    pub at: Nanos,
    /// When the market last told us anything.
    pub heard: Nanos,
    /// Every symbol, in the order of their ids.
    pub symbols: &'a [SymbolStanding],
    /// The wallet as last told.
    pub wallet: Notional,
    /// The wallet at the start, with everything since, positions at the mid.
    pub equity: Notional,
}

/// Where a symbol stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SymbolStanding {
    /// Half way between the best prices, the last that was known; `None` before there was one.
    pub mid: Option<Price>,
    /// The best prices, while there are two.
    pub best: Option<Best>,
    /// Signed position.
    pub position: Qty,
    /// Received less paid, before fees and funding.
    pub balance: Notional,
    /// Fees paid.
    pub fees: Notional,
    /// Funding received less paid.
    pub funding: Notional,
    /// Value traded.
    pub turnover: Notional,
    /// Fills.
    pub fills: u64,
}

impl SymbolStanding {
    /// Profit with what is held at the mid.
    pub fn profit(&self) -> Notional {
        self.balance - self.fees + self.funding + self.mid.unwrap_or_default().times(self.position)
    }
}
