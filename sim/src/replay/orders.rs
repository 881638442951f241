//! The words between the local side and the venue: an order's image, requests out, answers and payments back. The links
//! that carry them are in `links`. Never decides anything.

use optiflow_base::money::{Notional, Price, Side};
pub use optiflow_base::order::{OrderKind, TimeInForce};

use super::terms::SelfTrade;

/// What is known of an order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Image {
    /// The trader's id.
    pub id: u64,
    /// Buy or sell.
    pub side: Side,
    /// Limit or market.
    pub kind: OrderKind,
    /// How long it lives.
    pub time_in_force: TimeInForce,
    /// Its state.
    pub status: Status,
    /// Did its last execution make?
    pub maker: bool,
    /// May it only shrink the position?
    pub reduce_only: bool,
    /// What becomes of it where it meets another order of ours.
    pub self_trade: SelfTrade,
    /// Limit in ticks; zero for a market order.
    pub tick: i32,
    /// Tick of its last execution.
    pub exec_tick: i32,
    /// Parts ordered.
    pub qty: i64,
    /// Parts open.
    pub leaves: i64,
    /// Parts of its last execution.
    pub exec_qty: i64,
    /// Parts displayed ahead of it when it came to rest.
    pub ahead: i64,
    /// When the exchange last changed it; zero before it ever did.
    pub exchange_ns: i64,
    /// When the local side last asked something of it.
    pub requested_ns: i64,
}

/// An order's state.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Status {
    /// Not yet answered.
    None,
    /// Resting.
    New,
    /// Resting, and part of it traded.
    PartiallyFilled,
    /// Ended: traded.
    Filled,
    /// Ended: cancelled.
    Canceled,
    /// Ended: could not rest, or was lost on the way.
    Expired,
}

impl Status {
    /// Is the order at the exchange, as far as this state tells?
    pub const fn is_active(self) -> bool {
        matches!(self, Status::New | Status::PartiallyFilled)
    }

    /// Is it over?
    pub const fn is_end(self) -> bool {
        matches!(self, Status::Filled | Status::Canceled | Status::Expired)
    }
}

/// What the local side asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Verb {
    /// A new order.
    New,
    /// Its end.
    Cancel,
    /// Another price or quantity.
    Modify,
}

/// A request under way to the exchange.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Request {
    /// What is asked.
    pub verb: Verb,
    /// The order as the local side wants it.
    pub image: Image,
}

/// An answer under way to the local side.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Answer {
    /// When the local side sees it.
    pub local_ns: i64,
    /// The order.
    pub image: Image,
    /// What it tells.
    pub tells: Tells,
    /// Why, where it is not the plain course of things.
    pub reason: Reason,
}

/// Why the exchange refused, ended or closed something.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Reason {
    /// The plain course of things.
    None,
    /// More orders than the window allows (−1015).
    TooManyOrders,
    /// The value is below the least allowed (−4164).
    BelowMinNotional,
    /// A reduce-only order has nothing to reduce (−2022), or nothing any more.
    NotReducing,
    /// The margin does not carry it (−2019).
    NoMargin,
    /// It met another order of ours.
    SelfTrade,
    /// The account was liquidated.
    Liquidation,
}

impl Reason {
    /// As written in tables; empty for the plain course of things.
    pub const fn name(self) -> &'static str {
        match self {
            Reason::None => "",
            Reason::TooManyOrders => "TOO_MANY_ORDERS",
            Reason::BelowMinNotional => "BELOW_MIN_NOTIONAL",
            Reason::NotReducing => "NOT_REDUCING",
            Reason::NoMargin => "NO_MARGIN",
            Reason::SelfTrade => "SELF_TRADE",
            Reason::Liquidation => "LIQUIDATION",
        }
    }
}

/// Funding that was paid or received, under way to the local side.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Funding {
    /// When it was settled.
    pub exchange_ns: i64,
    /// When the local side learns of it.
    pub local_ns: i64,
    /// The signed position then, in parts.
    pub position: i64,
    /// The mark price then; the mid where none was told.
    pub mark: Price,
    /// The rate, 10⁻⁸.
    pub rate: i64,
    /// What we received; negative is paid.
    pub received: Notional,
}

/// What an answer tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Tells {
    /// The order's state after a request or at its end.
    State,
    /// An execution: the image's last one, told once.
    Fill,
    /// A request was refused or lost; the image is the request's.
    Rejected,
}

impl Image {
    /// Books an execution; the order is filled when less than half a lot is left.
    pub(super) fn execute(&mut self, now: i64, maker: bool, tick: i32, parts: i64, parts_per_lot: i64) {
        assert!(parts > 0 && parts <= self.leaves, "an execution is part of what is open");
        assert!(!self.status.is_end(), "an ended order does not trade");
        self.maker = maker;
        self.exec_tick = tick;
        self.exec_qty = parts;
        self.leaves -= parts;
        self.exchange_ns = now;
        let done = self.leaves * 2 < parts_per_lot;
        self.status = if done { Status::Filled } else { Status::PartiallyFilled };
    }

    /// Parts executed so far.
    pub const fn executed(&self) -> i64 {
        self.qty - self.leaves
    }
}

/// The id of the order by which the exchange closes a liquidated position: no order of the trader has it.
pub const LIQUIDATION: u64 = u64::MAX;
