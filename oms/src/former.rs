//! What a former session left behind, as the database knows it: for a stage that starts after a death.
//!
//! A session that dies may leave orders whose end nobody wrote down, fills that nobody booked, and orders whose very
//! intent was lost with it. The first two are known by name; the last are found from where the database ends. Only
//! words; read once, when the stage is built.

use optiflow_base::clock::Nanos;
use optiflow_base::ids::{ExchangeOrderId, OrderId, SymbolId, TradeId};
use optiflow_base::money::Qty;
use optiflow_base::order::NewOrder;

/// What former sessions at this exchange left behind.
#[derive(Clone, Debug, Default)]
pub struct Former {
    /// Of the session that begins: an order id with a smaller one is a former session's.
    pub epoch: u32,
    /// Orders whose end is not written down.
    pub orders: Vec<FormerOrder>,
    /// The newest orders whose end is written down, sorted: nothing is to be found out about them.
    pub ended: Vec<OrderId>,
    /// Per symbol, from where on the exchange may have orders that were never written down.
    pub since: Vec<Since>,
    /// The last session did not stop in order: its last requests may still be on their way.
    pub died: bool,
}

/// An order of a former session whose end is not written down.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FormerOrder {
    /// Which symbol, in this session's numbers.
    pub symbol: SymbolId,
    /// What was wanted.
    pub order: NewOrder,
    /// No later than this it was sent, or never.
    pub sent: Nanos,
    /// The exchange's id, when it was ever told.
    pub exchange_id: Option<ExchangeOrderId>,
    /// The trades that are written down.
    pub trades: Vec<TradeId>,
    /// Their sum.
    pub filled: Qty,
}

/// From where on to look for orders that were never written down.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Since {
    /// Nowhere: no former session traded this symbol.
    #[default]
    Nothing,
    /// From this order of the exchange on.
    Order(ExchangeOrderId),
    /// From this time on: none was ever accepted, as far as is known.
    Time(Nanos),
}
