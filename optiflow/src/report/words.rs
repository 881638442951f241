//! What a run tells its report, in plain words: whoever drives a run, over rows or through the live stages, says it
//! in these and in nothing else.
//!
//! Amounts are exact. All times of one run are on the trader's clock and never go back, except what the exchange says
//! of itself (`exchange_ns`).

pub use optiflow_backtest::stages::observer::Best;
use optiflow_base::ids::SymbolId;
use optiflow_base::money::{Notional, Price, Qty, Side};
use optiflow_base::order::{OrderKind, TimeInForce};
pub use optiflow_sim::replay::orders::{Reason, Status, Tells};

/// One answer about an order, at the time it was seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OrderLine {
    /// Which symbol.
    pub symbol: SymbolId,
    /// Which order; free again once it ended.
    pub id: u64,
    /// Buy or sell.
    pub side: Side,
    /// Limit or market.
    pub kind: OrderKind,
    /// How long it lives.
    pub time_in_force: TimeInForce,
    /// What the answer tells. A refusal of an order that never was has the status `None`; any other is the refusal of a
    /// request about an order.
    pub tells: Tells,
    /// The order's state.
    pub status: Status,
    /// Why, where it is not the plain course of things. With [`Reason::Liquidation`] the order may be the exchange's.
    pub reason: Reason,
    /// Limit; zero for a market order.
    pub price: Price,
    /// Quantity ordered.
    pub qty: Qty,
    /// Quantity open.
    pub leaves: Qty,
    /// Displayed ahead of it when it came to rest; zero for one that never rested.
    pub ahead: Qty,
    /// When the trader last asked something of it.
    pub requested_ns: i64,
    /// When the exchange did what is told; zero where it never had the order.
    pub exchange_ns: i64,
    /// When it was seen.
    pub local_ns: i64,
    /// The best prices seen then, as far as there are two.
    pub best: Option<Best>,
}

/// One execution, at the time it was seen; told after its [`OrderLine`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FillLine {
    /// Which symbol.
    pub symbol: SymbolId,
    /// Whose.
    pub id: u64,
    /// Bought or sold.
    pub side: Side,
    /// At what price.
    pub price: Price,
    /// How much.
    pub qty: Qty,
    /// Was it resting?
    pub maker: bool,
    /// Fee paid; negative is a rebate.
    pub fee: Notional,
    /// Displayed ahead of the order when it came to rest.
    pub ahead: Qty,
    /// When the exchange did it.
    pub exchange_ns: i64,
    /// When it was seen.
    pub local_ns: i64,
    /// The mid seen then; the last known where a side is empty.
    pub mid: Option<Price>,
}

/// Where one symbol stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Standing {
    /// Half way between the best prices; the last known where a side is empty.
    pub mid: Price,
    /// Signed position.
    pub position: Qty,
    /// Received minus paid, before fees and funding.
    pub balance: Notional,
    /// Fees paid.
    pub fees: Notional,
    /// Funding received less paid; `None` where there was none.
    pub funding: Option<Notional>,
    /// Balance and funding, less fees, and the position at mid.
    pub equity: Notional,
}

impl Standing {
    /// Adds up.
    pub fn new(mid: Price, position: Qty, balance: Notional, fees: Notional, funding: Option<Notional>) -> Standing {
        let equity = balance - fees + funding.unwrap_or_default() + mid.times(position);
        Standing { mid, position, balance, fees, funding, equity }
    }
}
