//! Orders on their way out (`Intent`) and what became of them on the way back (`Report`).
//!
//! Plain `Copy` words: the rules live in the rooms (strategy in engine, limits in risk, states in oms).
//! Written and read by engine, risk and oms; copied to storage.

use crate::clock::Nanos;
use crate::ids::{ExchangeOrderId, OrderId, SymbolId, TradeId};
use crate::money::{Notional, Price, Qty, Side};

/// How an order is priced.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum OrderKind {
    /// At its price or better.
    Limit,
    /// At whatever the book gives.
    Market,
}

/// How long an order lives.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum TimeInForce {
    /// Until cancelled.
    Gtc,
    /// What fills at once; the rest expires.
    Ioc,
    /// All at once or not at all.
    Fok,
    /// Post-only: refused if it would take.
    Gtx,
}

/// An order that a strategy wants.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NewOrder {
    /// Our id, never used before.
    pub id: OrderId,
    /// Buy or sell.
    pub side: Side,
    /// Limit or market.
    pub kind: OrderKind,
    /// How long it lives.
    pub time_in_force: TimeInForce,
    /// Limit price; zero for a market order.
    pub price: Price,
    /// Quantity, positive.
    pub qty: Qty,
    /// May only shrink the position.
    pub reduce_only: bool,
}

/// What a strategy wants done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// Place an order.
    Place(NewOrder),
    /// Cancel one of our orders.
    Cancel(OrderId),
    /// Give one of our open limit orders another price or quantity.
    Modify {
        /// Which order.
        order: OrderId,
        /// Its new price.
        price: Price,
        /// Its new quantity, in all: what has traded counts towards it.
        qty: Qty,
    },
}

/// What a limit order asks for, and what may change while it is open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Terms {
    /// Limit price.
    pub price: Price,
    /// Quantity in all, traded or not.
    pub qty: Qty,
}

/// A strategy's decision, not yet checked by risk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Intent {
    /// Which symbol.
    pub symbol: SymbolId,
    /// What to do.
    pub action: Action,
    /// When the bytes that caused it were read from the socket.
    pub caused: Nanos,
    /// When it was decided.
    pub decided: Nanos,
}

impl Intent {
    /// The order it places, cancels or modifies.
    pub const fn order(&self) -> OrderId {
        match self.action {
            Action::Place(order) => order.id,
            Action::Cancel(id) | Action::Modify { order: id, .. } => id,
        }
    }
}

/// What risk, oms and the exchange have to say to the rooms upstream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Report {
    /// Something happened to an order.
    Order(OrderEvent),
    /// The exchange's word on a position: replaces what we believed.
    Position {
        /// Which symbol.
        symbol: SymbolId,
        /// Signed quantity.
        qty: Qty,
        /// Average entry price; zero when flat.
        entry: Price,
        /// When we learned it.
        at: Nanos,
    },
    /// The exchange's word on the wallet, in the margin asset, without unrealised profit.
    Wallet {
        /// Balance.
        balance: Notional,
        /// When we learned it.
        at: Nanos,
    },
    /// The exchange's own count of what we used.
    Usage(Usage),
    /// May strategies open new risk? Closed until reconciled, on doubt, and when stopping.
    Gate {
        /// Open for new orders?
        open: bool,
        /// Why it is as it is.
        reason: GateReason,
        /// Since when.
        at: Nanos,
    },
}

/// Something happened to an order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OrderEvent {
    /// Which symbol.
    pub symbol: SymbolId,
    /// Which order.
    pub order: OrderId,
    /// When we learned it.
    pub at: Nanos,
    /// When it happened on the exchange, ms; 0 where the exchange did not say.
    pub exchange_ms: u64,
    /// What happened.
    pub change: OrderChange,
}

/// What happened to an order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OrderChange {
    /// Risk refused the intent: it never left.
    Denied(DenyReason),
    /// The request was handed to the socket: from here on it is exposure.
    Sent,
    /// The exchange has it.
    Accepted {
        /// The exchange's id.
        exchange_id: ExchangeOrderId,
    },
    /// The exchange refused it: it never existed there.
    Refused {
        /// Venue error code.
        code: i32,
    },
    /// Nobody knows whether the exchange has it: it stays exposure until proven otherwise.
    Unknown,
    /// A part, or all of it, traded. Each trade is reported once.
    Filled {
        /// The trade.
        trade: TradeId,
        /// Price of this fill.
        price: Price,
        /// Quantity of this fill.
        qty: Qty,
        /// Filled so far, this fill included.
        total: Qty,
        /// We were the maker.
        maker: bool,
        /// Fee paid in 10⁻⁸ of the margin asset; negative is a rebate.
        fee: i64,
    },
    /// A cancel request was handed to the socket.
    CancelSent,
    /// The exchange refused the cancel (mostly: the order is already gone).
    CancelRefused {
        /// Venue error code.
        code: i32,
    },
    /// A modify request was handed to the socket: until its answer either terms may be in force.
    ModifySent,
    /// The order's terms at the exchange are now these.
    Modified {
        /// Its price.
        price: Price,
        /// Its quantity in all.
        qty: Qty,
        /// This answers our request; otherwise nobody here has asked, and a request of ours may still be on its way.
        asked: bool,
    },
    /// The modify request came to nothing: the terms are those that were told last.
    ModifyRefused {
        /// Venue error code.
        code: i32,
    },
    /// Ended by a fill: nothing is left.
    Done,
    /// Ended: cancelled.
    Cancelled,
    /// Ended: expired (post-only that would take, IOC remainder, self-trade prevention).
    Expired,
}

impl OrderChange {
    /// Does it end the order for good?
    pub const fn is_end(&self) -> bool {
        match self {
            OrderChange::Denied(_)
            | OrderChange::Refused { .. }
            | OrderChange::Done
            | OrderChange::Cancelled
            | OrderChange::Expired => true,
            OrderChange::Sent
            | OrderChange::Accepted { .. }
            | OrderChange::Unknown
            | OrderChange::Filled { .. }
            | OrderChange::CancelSent
            | OrderChange::CancelRefused { .. }
            | OrderChange::ModifySent
            | OrderChange::Modified { .. }
            | OrderChange::ModifyRefused { .. } => false,
        }
    }
}

/// Why risk said no.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum DenyReason {
    /// Kill latch set, or stopping.
    Latched,
    /// The gate is closed: not reconciled, or in doubt.
    GateClosed,
    /// No fresh market to measure the price against.
    NoReference,
    /// PRICE_FILTER.
    PriceFilter,
    /// LOT_SIZE.
    LotSize,
    /// MIN_NOTIONAL.
    MinNotional,
    /// PERCENT_PRICE.
    PercentPrice,
    /// Off the tick or step grid, or not what `validate_and_adjust_quantity` would give.
    OffGrid,
    /// Larger than one order may be.
    OrderSize,
    /// Position with everything open would exceed its limit.
    PositionLimit,
    /// Too many open orders.
    OpenOrders,
    /// Too far from the mid or the mark.
    PriceBand,
    /// Order-rate tokens used up.
    OrderRate,
    /// Request-weight tokens used up.
    WeightRate,
    /// Reduce-only, but it would not reduce.
    NotReducing,
    /// An order id was used twice, or the cancel or modify names no order that takes it.
    BadOrderId,
    /// The order ring was full.
    RingFull,
    /// Exposure of all symbols together, with everything open, would exceed its limit.
    TotalLimit,
    /// Too many open orders in all symbols together.
    TotalOpenOrders,
    /// The exchange keeps refusing orders of this symbol for the same reason: entries pause, exits go on.
    RepeatedRefusal,
    /// It would fit only if the position on the other side were gone already, which nobody knows before it is: close
    /// that with a reduce-only order, then enter.
    ExitFirst,
}

/// Why the gate is open or closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum GateReason {
    /// Orders, positions and streams agree with the exchange.
    Reconciled,
    /// Not yet reconciled since the start.
    Starting,
    /// The order socket is down.
    OrderSocketDown,
    /// The user stream is down.
    UserStreamDown,
    /// Some order's fate is unknown.
    InDoubt,
    /// The exchange takes only orders that reduce, or none in a symbol: a named pause.
    RestrictedByExchange,
    /// The dead-man's switch is not wound up: nobody would take our orders back if we froze.
    Unguarded,
    /// The exchange refused our key, clock or account.
    AccountTrouble,
    /// Stopping for good.
    Stopping,
}

impl GateReason {
    /// May a position still be closed through a gate that is closed for this reason? Where orders can be sent (without an
    /// order socket by REST) and the account has been reconciled once, keeping a risk is worse than doubt about it.
    pub const fn lets_exits_pass(self) -> bool {
        match self {
            GateReason::Reconciled
            | GateReason::OrderSocketDown
            | GateReason::UserStreamDown
            | GateReason::InDoubt
            | GateReason::RestrictedByExchange
            | GateReason::Unguarded => true,
            GateReason::Starting | GateReason::AccountTrouble | GateReason::Stopping => false,
        }
    }
}

/// The exchange's own count of what we used; `None` where it did not say.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// Request weight in the running UTC minute.
    pub weight_minute: Option<u32>,
    /// Orders in the running ten seconds.
    pub orders_ten_seconds: Option<u32>,
    /// Orders in the running minute.
    pub orders_minute: Option<u32>,
    /// No request at all until then, cancels included: the weight is used up, or the address is banned (429, 418).
    pub blocked_until: Option<Nanos>,
    /// No new order until then; cancels go on (too many orders).
    pub orders_blocked_until: Option<Nanos>,
    /// When the request left whose answer tells the counts: a window may have turned since.
    pub asked: Option<Nanos>,
    /// The exchange's clock − ours, ns: its counting windows follow its clock.
    pub clock_offset_ns: Option<i64>,
}

const _: () = assert!(size_of::<Intent>() <= 64, "an intent is at most one cache line");
const _: () = assert!(size_of::<Report>() <= 128, "a report is at most two cache lines");
