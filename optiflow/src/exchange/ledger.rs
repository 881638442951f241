//! The exchange's books, copied out for whoever checks them: an independent word on what really happened.

use optiflow_base::money::{Notional, Price, Qty, Side};
use optiflow_sim::core::Core;
use optiflow_sim::core::orders::Forgotten;
use optiflow_sim::words::OrderStatus;

/// The books.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Ledger {
    /// Every order that was accepted and is remembered, oldest first per symbol.
    pub orders: Vec<LedgerOrder>,
    /// Every fill that is remembered, by trade id.
    pub fills: Vec<LedgerFill>,
    /// Positions, one for each symbol.
    pub positions: Vec<LedgerPosition>,
    /// The wallet, without unrealised profit.
    pub wallet: Notional,
    /// What the exchange had and no longer remembers.
    pub forgotten: Forgotten,
}

impl Ledger {
    /// Orders that are still open.
    pub fn open_orders(&self) -> impl Iterator<Item = &LedgerOrder> {
        self.orders.iter().filter(|order| order.status.is_open())
    }
}

/// An order.
#[derive(Clone, Debug, PartialEq)]
pub struct LedgerOrder {
    /// Symbol name.
    pub symbol: String,
    /// Exchange id.
    pub order_id: u64,
    /// Client id.
    pub client_id: String,
    /// Side.
    pub side: Side,
    /// Limit price; zero for a market order.
    pub price: Price,
    /// Quantity asked for.
    pub qty: Qty,
    /// Quantity filled.
    pub filled: Qty,
    /// Where it stands.
    pub status: OrderStatus,
}

/// A fill.
#[derive(Clone, Debug, PartialEq)]
pub struct LedgerFill {
    /// Symbol name.
    pub symbol: String,
    /// Trade id.
    pub trade_id: u64,
    /// Exchange id of the order.
    pub order_id: u64,
    /// Client id of the order.
    pub client_id: String,
    /// Side.
    pub side: Side,
    /// Price.
    pub price: Price,
    /// Quantity.
    pub qty: Qty,
    /// Fee; negative is a rebate.
    pub fee: Notional,
    /// Profit realised, before the fee.
    pub realized: Notional,
    /// Was the order resting?
    pub maker: bool,
}

/// A position.
#[derive(Clone, Debug, PartialEq)]
pub struct LedgerPosition {
    /// Symbol name.
    pub symbol: String,
    /// Signed quantity.
    pub qty: Qty,
    /// Average entry price.
    pub entry: Price,
    /// Profit realised since the start, before fees.
    pub realized: Notional,
}

/// Copies the books out of the core.
pub fn read(core: &Core) -> Ledger {
    let mut ledger = Ledger { wallet: core.wallet(), forgotten: core.forgotten(), ..Ledger::default() };
    for (index, listing) in core.listings().iter().enumerate() {
        let position = core.position(index);
        ledger.positions.push(LedgerPosition {
            symbol: listing.name.clone(),
            qty: position.qty,
            entry: position.entry,
            realized: position.realized,
        });
        ledger.orders.extend(core.all_orders(index).into_iter().map(|order| LedgerOrder {
            symbol: listing.name.clone(),
            order_id: order.id,
            client_id: order.placed.client_id.clone(),
            side: order.placed.side,
            price: order.placed.price,
            qty: order.placed.qty,
            filled: order.filled,
            status: order.status,
        }));
    }
    ledger.fills.extend(core.fills(None).into_iter().map(|fill| LedgerFill {
        symbol: core.listings()[fill.symbol].name.clone(),
        trade_id: fill.trade_id,
        order_id: fill.order_id,
        client_id: fill.client_id.clone(),
        side: fill.side,
        price: fill.price,
        qty: fill.qty,
        fee: fill.fee,
        realized: fill.realized,
        maker: fill.maker,
    }));
    ledger.fills.sort_by_key(|fill| fill.trade_id);
    ledger
}
