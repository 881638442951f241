//! One order: what is proven of it, and the table that says what each new fact makes of it.
//!
//! Facts arrive from three sides (replies, user stream, queries) in any order and more than once. They only ever add
//! knowledge, so every order of arrival leads to the same end; a test tries them all. An end is announced only when
//! every fill that the exchange counts has been booked, because exposure is released by it.
//! Never guesses: no answer is `Unknown`, and `Unknown` stays exposure. Runs on the oms thread; allocates nothing.

use arrayvec::ArrayVec;
use optiflow_base::clock::Nanos;
use optiflow_base::ids::{ExchangeOrderId, OrderId, SymbolId, TradeId};
use optiflow_base::money::{Price, Qty, Side};
use optiflow_base::order::{NewOrder, OrderChange, OrderKind, TimeInForce};

use crate::doubt::Doubt;
use terms::Amend;
use turn::{Turn, kind, turn};

mod former;
pub mod terms;
mod turn;

/// An order of this session.
#[derive(Clone, Copy, Debug)]
pub struct Order {
    /// Our id.
    pub id: OrderId,
    /// Which symbol.
    pub symbol: SymbolId,
    /// Buy or sell.
    pub side: Side,
    /// When its request was handed to the socket.
    pub sent: Nanos,
    /// A cancel request is on its way.
    pub cancelling: bool,
    /// What must be asked about it, if anything.
    pub doubt: Option<Doubt>,
    /// The user stream has told of it.
    pub heard: bool,
    /// The exchange has called its id taken: proof that it was accepted, although nothing has shown it yet.
    pub vouched: bool,
    /// A former session sent it.
    pub former: bool,
    /// May only shrink the position.
    pub reduce_only: bool,
    /// A limit order that stays on the book.
    rests: bool,
    price: Price,
    qty: Qty,
    /// A modify request whose fate is not proven.
    amend: Option<Amend>,
    /// When the exchange last changed the terms, as far as it was shown; 0 if never.
    amended_ms: u64,
    state: State,
    exchange_id: Option<ExchangeOrderId>,
    booked: Qty,
    executed: Qty,
    closing: Option<End>,
}

/// Where an order stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// Handed to the socket, nothing heard.
    Sending,
    /// The answer is lost or says nothing: it may live.
    Unknown,
    /// On the book.
    Open,
    /// On the book, partly traded.
    PartlyFilled,
    /// Ended: traded completely.
    Filled,
    /// Ended: cancelled.
    Cancelled,
    /// Ended: expired.
    Expired,
    /// Ended: never existed at the exchange.
    Refused,
}

/// How an order that existed came to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// Traded completely.
    Filled,
    /// Cancelled, by us or by another.
    Cancelled,
    /// Expired.
    Expired,
}

/// One trade of an order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fill {
    /// The exchange's trade id.
    pub trade: TradeId,
    /// Price.
    pub price: Price,
    /// Quantity, positive.
    pub qty: Qty,
    /// We were the maker.
    pub maker: bool,
    /// Fee in 10⁻⁸ of the margin asset.
    pub fee: i64,
}

/// Something that has become known about an order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fact {
    /// The exchange has it, or had it: accepting reply, event, query.
    Exists {
        /// The exchange's id.
        exchange_id: ExchangeOrderId,
        /// Traded so far, as the exchange counts.
        executed: Qty,
    },
    /// The exchange refused the request.
    Refused {
        /// Its code.
        code: i32,
    },
    /// The exchange let its own terms end it at once: a normal end of an order that never rested nor existed there.
    Lapsed,
    /// The request has no usable answer.
    Unanswered,
    /// A trade; the caller has made sure that it is new.
    Traded {
        /// The exchange's id of the order.
        exchange_id: ExchangeOrderId,
        /// The trade.
        fill: Fill,
    },
    /// The exchange says that it ended.
    Ended {
        /// The exchange's id.
        exchange_id: ExchangeOrderId,
        /// How.
        end: End,
        /// Traded in all, as the exchange counts.
        executed: Qty,
    },
    /// The exchange had it, and has not known it for so long that it never will again.
    Forgotten,
    /// Repeated queries prove that the exchange never had it.
    Absent {
        /// The code that says so.
        code: i32,
    },
}

/// A fact that does not fit what was proven before; named in a notice, never swallowed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Oddity {
    /// A trade after the end: booked all the same.
    LateFill,
    /// More has traded than the order was for.
    Overfilled,
    /// Refused or absent, although the exchange has shown it to us.
    DeniedButAlive,
    /// Shown to us, although it was refused before.
    AliveButRefused,
    /// Two different ends.
    EndsDiffer,
    /// Numbers too large to be true.
    Absurd,
}

impl Oddity {
    /// The phrase of its notice.
    pub const fn phrase(self) -> &'static str {
        match self {
            Oddity::LateFill => "fill after the order's end was booked",
            Oddity::Overfilled => "order traded more than it was for",
            Oddity::DeniedButAlive => "refusal of an order that exists was ignored",
            Oddity::AliveButRefused => "order lives although it was refused",
            Oddity::EndsDiffer => "exchange names two ends of one order",
            Oddity::Absurd => "order event with impossible numbers was ignored",
        }
    }
}

/// What a fact leads to: changes to report, in order, and what was odd about it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Effects {
    /// At most: it exists, it traded, it ended.
    pub changes: ArrayVec<OrderChange, 3>,
    /// What did not fit.
    pub odd: Option<Oddity>,
    /// The position has counted the trade before, when it was taken for somebody else's.
    pub counted: bool,
}

impl Fill {
    /// Can it have happened? An impossible one must not keep the true one from being booked.
    pub fn is_possible(&self) -> bool {
        self.qty > Qty::ZERO && self.price > Price::ZERO
    }
}

impl State {
    /// Has it ended for good?
    pub const fn is_end(self) -> bool {
        match self {
            State::Filled | State::Cancelled | State::Expired | State::Refused => true,
            State::Sending | State::Unknown | State::Open | State::PartlyFilled => false,
        }
    }
}

impl Order {
    /// An order whose request has just been handed to the socket.
    pub fn new(symbol: SymbolId, order: &NewOrder, sent: Nanos) -> Order {
        assert!(order.qty > Qty::ZERO, "risk approves only orders with a quantity");
        Order {
            id: order.id,
            symbol,
            side: order.side,
            sent,
            cancelling: false,
            doubt: None,
            heard: false,
            vouched: false,
            former: false,
            reduce_only: order.reduce_only,
            rests: order.kind == OrderKind::Limit && matches!(order.time_in_force, TimeInForce::Gtc | TimeInForce::Gtx),
            price: order.price,
            qty: order.qty,
            amend: None,
            amended_ms: 0,
            state: State::Sending,
            exchange_id: None,
            booked: Qty::ZERO,
            executed: Qty::ZERO,
            closing: None,
        }
    }

    /// Where it stands.
    pub const fn state(&self) -> State {
        self.state
    }

    /// The exchange's id, once known.
    pub const fn exchange_id(&self) -> Option<ExchangeOrderId> {
        self.exchange_id
    }

    /// Can this trade be booked on it?
    pub fn can_book(&self, fill: &Fill) -> bool {
        fill.is_possible() && self.booked.units().checked_add(fill.qty.units()).is_some()
    }

    /// Traded and booked so far.
    pub const fn booked(&self) -> Qty {
        self.booked
    }

    /// Does the exchange count more trades than have been booked?
    pub fn misses_fills(&self) -> bool {
        self.executed > self.booked
    }

    /// The exchange says that it ended, but fills are missing.
    pub const fn is_closing(&self) -> bool {
        self.closing.is_some() && !self.state.is_end()
    }

    /// Takes a fact in. The order of facts does not matter to the end they lead to.
    pub fn learn(&mut self, fact: Fact) -> Effects {
        let mut effects = Effects::default();
        let before = self.state;
        match turn(before, kind(&fact)) {
            Turn::Stay => {}
            Turn::Odd(odd) => effects.odd = Some(odd),
            Turn::To(state) => self.state = state,
        }
        match fact {
            Fact::Exists { exchange_id, executed } => self.exists(exchange_id, executed, &mut effects),
            Fact::Traded { exchange_id, fill } => {
                self.exists(exchange_id, Qty::ZERO, &mut effects);
                self.traded(fill, &mut effects);
            }
            Fact::Ended { exchange_id, end, executed } => {
                self.exists(exchange_id, executed, &mut effects);
                self.ended(end, &mut effects);
            }
            Fact::Forgotten => {
                // Whatever else it counted can no longer be asked for: the position is checked against its word.
                self.executed = self.booked;
                self.ended(End::Cancelled, &mut effects);
            }
            Fact::Refused { code } | Fact::Absent { code } => {
                if self.state == State::Refused && before != State::Refused {
                    effects.changes.push(OrderChange::Refused { code });
                }
            }
            Fact::Lapsed => {
                if self.state == State::Refused && before != State::Refused {
                    effects.changes.push(OrderChange::Expired);
                }
            }
            Fact::Unanswered => {
                if self.state == State::Unknown && before != State::Unknown {
                    effects.changes.push(OrderChange::Unknown);
                }
            }
        }
        self.close(&mut effects);
        self.amend = self.amend.filter(|_| !self.state.is_end());
        assert!(self.state != State::Sending || self.exchange_id.is_none(), "what the exchange has is not in sending");
        effects
    }

    /// The first proof of existence is the acceptance, whoever brings it.
    fn exists(&mut self, exchange_id: ExchangeOrderId, executed: Qty, effects: &mut Effects) {
        if self.exchange_id.is_none() {
            self.exchange_id = Some(exchange_id);
            if self.state != State::Refused {
                effects.changes.push(OrderChange::Accepted { exchange_id });
            }
        }
        self.executed = self.executed.max(executed);
    }

    fn traded(&mut self, fill: Fill, effects: &mut Effects) {
        let total = self.booked.units().checked_add(fill.qty.units()).map(Qty::from_units);
        let Some(total) = total.filter(|_| fill.is_possible()) else {
            effects.odd = Some(Oddity::Absurd);
            return;
        };
        self.booked = total;
        if total > self.most() {
            effects.odd = effects.odd.or(Some(Oddity::Overfilled));
        }
        let Fill { trade, price, qty, maker, fee } = fill;
        effects.changes.push(OrderChange::Filled { trade, price, qty, total, maker, fee });
    }

    fn ended(&mut self, end: End, effects: &mut Effects) {
        let known = if self.state.is_end() { Some(self.state) } else { self.closing.map(End::state) };
        match known {
            None => self.closing = Some(end),
            Some(State::Refused) => {}
            Some(state) if state == end.state() => {}
            Some(_) => effects.odd = Some(Oddity::EndsDiffer),
        }
    }

    /// The end comes into force when no fill is missing.
    fn close(&mut self, effects: &mut Effects) {
        let Some(end) = self.closing.filter(|_| !self.state.is_end() && !self.misses_fills()) else { return };
        self.state = end.state();
        self.cancelling = false;
        effects.changes.push(end.change());
        assert!(self.state.is_end() && self.exchange_id.is_some(), "only what existed can end this way");
    }
}

impl End {
    const fn state(self) -> State {
        match self {
            End::Filled => State::Filled,
            End::Cancelled => State::Cancelled,
            End::Expired => State::Expired,
        }
    }

    const fn change(self) -> OrderChange {
        match self {
            End::Filled => OrderChange::Done,
            End::Cancelled => OrderChange::Cancelled,
            End::Expired => OrderChange::Expired,
        }
    }
}
