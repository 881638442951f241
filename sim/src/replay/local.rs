//! The trader's side: its book in local time, the table of its orders, and its ledger.
//!
//! What it does: keeps what the trader may know, refuses requests that cannot be sent, books answers. What it never
//! does: it never sees the exchange's book or an answer before its time.

use std::fmt;

use optiflow_base::money::Side;

use super::ladder::Ladder;
use super::ledger::Ledger;
use super::links::Links;
use super::orders::{Answer, Funding, Image, LIQUIDATION, OrderKind, Request, Status, Tells, TimeInForce, Verb};
use super::rows::{Kind, Row};
use super::terms::SelfTrade;
use super::{ReplayConfig, Scale};

/// The trader's side.
#[derive(Clone, Debug)]
pub struct Local {
    book: Ladder,
    ids: Vec<u64>,
    orders: Vec<LocalOrder>,
    ended: usize,
    version: u64,
    ledger: Ledger,
    last_trade: Option<Row>,
    mark: Option<Row>,
    index: Option<Row>,
    funding: Option<Row>,
    self_trade: SelfTrade,
    compatible: bool,
    scale: Scale,
}

/// An order as the trader knows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LocalOrder {
    /// What is known.
    pub image: Image,
    /// What is asked and not yet answered.
    pub pending: Option<Verb>,
    /// Price and quantity to go back to if a pending modify fails.
    before: (i32, i64),
}

impl LocalOrder {
    /// Acknowledged, alive, and nothing asked of it?
    pub const fn is_cancellable(&self) -> bool {
        self.image.status.is_active() && self.pending.is_none()
    }
}

/// An order to submit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Order {
    /// The trader's id; free again once its order ended and was forgotten.
    pub id: u64,
    /// Buy or sell.
    pub side: Side,
    /// Limit or market.
    pub kind: OrderKind,
    /// How long it lives.
    pub time_in_force: TimeInForce,
    /// Limit in ticks; zero for a market order.
    pub tick: i32,
    /// Quantity in parts, positive.
    pub parts: i64,
    /// May it only shrink the position?
    pub reduce_only: bool,
    /// What becomes of it where it meets another order of ours; `None` for what the terms say.
    pub self_trade: Option<SelfTrade>,
}

impl Order {
    /// A limit order that may grow the position.
    pub const fn limit(id: u64, side: Side, time_in_force: TimeInForce, tick: i32, parts: i64) -> Order {
        let kind = OrderKind::Limit;
        Order { id, side, kind, time_in_force, tick, parts, reduce_only: false, self_trade: None }
    }
}

/// Why a request was not sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Refusal {
    /// The id is still in the table.
    OrderIdExist,
    /// An earlier request is not yet answered.
    OrderRequestInProcess,
    /// No such order in the table.
    OrderNotFound,
    /// A quantity must be at least one part.
    NoQuantity,
    /// The id is kept for liquidations.
    ReservedId,
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Refusal::OrderIdExist => "submitting: the order id exists; forget ended orders or use another id",
            Refusal::OrderRequestInProcess => "asking: an earlier request is in process; wait for its answer",
            Refusal::OrderNotFound => "asking: no such order; check the id",
            Refusal::NoQuantity => "submitting: the quantity must be positive",
            Refusal::ReservedId => "submitting: the largest id is kept for liquidations; use another",
        })
    }
}

impl std::error::Error for Refusal {}

impl Local {
    /// A trader who knows nothing yet.
    pub fn new(config: &ReplayConfig) -> Local {
        Local {
            book: Ladder::new(config.scale.parts_per_lot, config.compatible),
            ids: Vec::with_capacity(ORDERS_EXPECTED),
            orders: Vec::with_capacity(ORDERS_EXPECTED),
            ended: 0,
            version: 0,
            ledger: Ledger::new(config),
            last_trade: None,
            mark: None,
            index: None,
            funding: None,
            self_trade: config.terms.self_trade,
            compatible: config.compatible,
            scale: config.scale,
        }
    }

    /// The book as known here.
    pub const fn book(&self) -> &Ladder {
        &self.book
    }

    /// The table, in order of submission.
    pub fn orders(&self) -> &[LocalOrder] {
        &self.orders
    }

    /// The order with that id.
    pub fn order(&self, id: u64) -> Option<&LocalOrder> {
        self.find(id).map(|at| &self.orders[at])
    }

    /// Is that id in the table?
    #[inline]
    pub fn knows(&self, id: u64) -> bool {
        self.find(id).is_some()
    }

    /// Grows whenever an order or the ledger changes: equal versions are equal tables.
    #[inline]
    pub const fn version(&self) -> u64 {
        self.version
    }

    /// The account.
    pub const fn ledger(&self) -> &Ledger {
        &self.ledger
    }

    /// The latest trade known here.
    pub const fn last_trade(&self) -> Option<&Row> {
        self.last_trade.as_ref()
    }

    /// The latest mark price known here: a row of [`Kind::Mark`].
    pub const fn mark(&self) -> Option<&Row> {
        self.mark.as_ref()
    }

    /// The latest index price known here: a row of [`Kind::Index`].
    pub const fn index(&self) -> Option<&Row> {
        self.index.as_ref()
    }

    /// The latest funding rate known here, and when it is paid: a row of [`Kind::Funding`].
    pub const fn funding(&self) -> Option<&Row> {
        self.funding.as_ref()
    }

    /// The symbol's integers.
    pub const fn scale(&self) -> &Scale {
        &self.scale
    }

    /// Applies a market row.
    #[inline]
    pub fn row(&mut self, row: &Row) {
        if row.is_level() {
            self.book.set_key(row.side_index(), row.key(), row.parts());
        } else if row.is_trade() {
            self.last_trade = Some(*row);
        } else {
            self.rare_row(row);
        }
    }

    #[inline(never)]
    fn rare_row(&mut self, row: &Row) {
        match row.kind() {
            Kind::Top => self.book.set_top(row.side(), row.tick(), row.parts()),
            Kind::Clear => self.book.clear(row.side(), row.tick()),
            Kind::ClearBoth => self.book.clear_both(),
            Kind::Mark => self.mark = Some(*row),
            Kind::Index => self.index = Some(*row),
            Kind::Funding => self.funding = Some(*row),
            Kind::Depth | Kind::Snapshot | Kind::Trade => unreachable!("handled before"),
        }
    }

    /// Sends a new order at `now`.
    pub fn submit(&mut self, now: i64, order: &Order, links: &mut Links) -> Result<(), Refusal> {
        if order.parts <= 0 {
            return Err(Refusal::NoQuantity);
        }
        if order.id == LIQUIDATION {
            return Err(Refusal::ReservedId);
        }
        if self.knows(order.id) {
            return Err(Refusal::OrderIdExist);
        }
        let image = Image {
            id: order.id,
            side: order.side,
            kind: order.kind,
            time_in_force: order.time_in_force,
            status: Status::None,
            maker: false,
            reduce_only: order.reduce_only && !self.compatible,
            self_trade: if self.compatible { SelfTrade::None } else { order.self_trade.unwrap_or(self.self_trade) },
            tick: order.tick,
            exec_tick: 0,
            qty: order.parts,
            leaves: order.parts,
            exec_qty: 0,
            ahead: 0,
            exchange_ns: 0,
            requested_ns: now,
        };
        self.ids.push(order.id);
        self.orders.push(LocalOrder { image, pending: Some(Verb::New), before: (order.tick, order.parts) });
        self.version += 1;
        links.request(now, Request { verb: Verb::New, image }, image);
        Ok(())
    }

    /// Asks for an order's end at `now`.
    pub fn cancel(&mut self, now: i64, id: u64, links: &mut Links) -> Result<(), Refusal> {
        let order = self.idle(id)?;
        order.pending = Some(Verb::Cancel);
        order.image.requested_ns = now;
        let image = order.image;
        links.request(now, Request { verb: Verb::Cancel, image }, image);
        Ok(())
    }

    /// Asks for another price or quantity of an order at `now`.
    pub fn modify(&mut self, now: i64, id: u64, tick: i32, parts: i64, links: &mut Links) -> Result<(), Refusal> {
        if parts <= 0 {
            return Err(Refusal::NoQuantity);
        }
        let order = self.idle(id)?;
        order.pending = Some(Verb::Modify);
        order.image.requested_ns = now;
        let unchanged = order.image;
        order.before = (unchanged.tick, unchanged.qty);
        order.image.tick = tick;
        order.image.qty = parts;
        let image = order.image;
        links.request(now, Request { verb: Verb::Modify, image }, unchanged);
        Ok(())
    }

    /// Forgets ended orders: their ids are free again.
    #[inline]
    pub fn forget_ended(&mut self) {
        if self.ended > 0 {
            self.orders.retain(|order| !order.image.status.is_end());
            self.ids.clear();
            self.ids.extend(self.orders.iter().map(|order| order.image.id));
            self.ended = 0;
            self.version += 1;
        }
    }

    /// Books an answer.
    pub fn answer(&mut self, answer: &Answer) {
        self.version += 1;
        if answer.tells == Tells::Fill {
            self.ledger.book(&answer.image);
        }
        let Some(at) = self.find(answer.image.id) else {
            if answer.tells != Tells::Rejected {
                self.ids.push(answer.image.id);
                let before = (answer.image.tick, answer.image.qty);
                self.orders.push(LocalOrder { image: answer.image, pending: None, before });
                self.ended += usize::from(answer.image.status.is_end());
            }
            return;
        };
        let order = &mut self.orders[at];
        let was_ended = order.image.status.is_end();
        if answer.tells == Tells::Rejected {
            order.reject(answer);
        } else {
            order.update(answer, self.compatible);
        }
        self.ended += usize::from(order.image.status.is_end() && !was_ended);
    }

    /// Books funding.
    pub fn fund(&mut self, funding: &Funding) {
        self.version += 1;
        self.ledger.fund(funding);
    }

    fn idle(&mut self, id: u64) -> Result<&mut LocalOrder, Refusal> {
        let at = self.find(id).ok_or(Refusal::OrderNotFound)?;
        self.version += 1;
        let order = &mut self.orders[at];
        if order.pending.is_some() { Err(Refusal::OrderRequestInProcess) } else { Ok(order) }
    }

    #[inline]
    fn find(&self, id: u64) -> Option<usize> {
        self.ids.iter().position(|known| *known == id)
    }
}

impl LocalOrder {
    fn reject(&mut self, answer: &Answer) {
        if answer.image.requested_ns != self.image.requested_ns {
            return;
        }
        match self.pending.take() {
            Some(Verb::New) => self.image.status = Status::Expired,
            Some(Verb::Modify) => (self.image.tick, self.image.qty) = self.before,
            Some(Verb::Cancel) | None => {}
        }
    }

    fn update(&mut self, answer: &Answer, compatible: bool) {
        let requested_ns = self.image.requested_ns;
        // A fill that overtakes our request answers it in the peer's book-keeping; here the request stays open. A
        // modification that trades when it arrives is answered by its fills, and they carry its time.
        let overtakes = answer.tells == Tells::Fill && answer.image.requested_ns != requested_ns;
        let is_asked = matches!(self.pending, Some(Verb::Cancel | Verb::Modify)) && !compatible;
        let still_open = overtakes && is_asked && !answer.image.status.is_end();
        self.image = Image { requested_ns, ..answer.image };
        if !still_open {
            self.pending = None;
        }
    }
}

const ORDERS_EXPECTED: usize = 64;
