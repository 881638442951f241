//! The exchange behind its doors: core, streams, dead-man's switches, expiries, conditional orders, and the one way in
//! which time passes for them.
//!
//! What it does: runs an operation on the core and hands every event of it, in order, to the streams and the records.
//! What it never does: no keys, no limits, no parsing. Driven by `exchange` and by the handlers.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use optiflow_base::clock::Nanos;

use super::algo::Algos;
use super::errors::ApiError;
use super::faults::{Fault, Hidden, Liar};
use super::params::Params;
use super::records::Records;
use super::streams::Streams;
use crate::core::Core;
use crate::market::SourceError;
use crate::words::{Amendment, CoreEvent, Listing, Order, OrderKey, Placement, Reject, SymbolIndex};

mod algo;

/// Everything that handlers work on.
pub struct Desk {
    /// The matching and the ledger.
    pub core: Core,
    /// The stream connections.
    pub streams: Streams,
    /// What is asked for later.
    pub records: Records,
    /// What is told otherwise than it is.
    pub liar: Liar,
    countdowns: BTreeMap<SymbolIndex, Nanos>,
    /// When which good-till-date order expires.
    expiries: BTreeSet<(Nanos, u64)>,
    algos: Algos,
    /// Conditional orders whose price was touched and that are placed next.
    triggered: Vec<u64>,
    events: Vec<CoreEvent>,
    client_ids: fastrand::Rng,
    market_failure: Option<SourceError>,
}

impl Desk {
    /// A desk on `core`.
    pub fn new(core: Core, seed: u64) -> Desk {
        let streams = Streams::new(core.listings(), seed);
        Desk {
            algos: Algos::new(core.config().start),
            triggered: Vec::new(),
            liar: Liar::new(core.config().start),
            core,
            streams,
            records: Records::default(),
            countdowns: BTreeMap::new(),
            expiries: BTreeSet::new(),
            events: Vec::new(),
            client_ids: fastrand::Rng::with_seed(seed),
            market_failure: None,
        }
    }

    /// Lets time pass: the market, the dead-man's switches, expiries and the streams, each thing at its own time.
    pub fn advance(&mut self, now: Nanos) {
        let mut done = Nanos(0);
        while let Some(due) = self.next_due().filter(|due| *due < now && *due > done) {
            self.advance_to(due);
            done = due;
        }
        self.advance_to(now);
    }

    /// When something is next to be done.
    pub fn next_due(&self) -> Option<Nanos> {
        let market = if self.market_failure.is_none() { self.core.next_due() } else { None };
        let countdown = self.countdowns.values().min().copied();
        let expiry = self.expiries.first().map(|(at, _)| *at);
        [market, countdown, expiry, self.streams.next_due(), self.liar.next_second()].into_iter().flatten().min()
    }

    /// Why the market stands still, if it does.
    pub fn market_failure(&self) -> Option<&SourceError> {
        self.market_failure.as_ref()
    }

    /// Places an order.
    pub fn place(&mut self, now: Nanos, placement: Placement) -> Result<Order, Reject> {
        let placed = self.core.place(now, placement, &mut self.events);
        self.publish(now);
        if let Ok(order) = &placed
            && let Some(at) = order.placed.terms.good_till.filter(|_| order.status.is_open())
        {
            self.expiries.insert((at, order.id));
        }
        placed
    }

    /// Cancels an order.
    pub fn cancel(&mut self, now: Nanos, symbol: SymbolIndex, key: &OrderKey) -> Result<Order, Reject> {
        if self.core.order(symbol, key).is_some_and(|order| self.liar.hides(now, Hidden::Cancel, order.id)) {
            return Err(Reject::UnknownOrder);
        }
        let cancelled = self.core.cancel(now, symbol, key, &mut self.events);
        self.publish(now);
        cancelled
    }

    /// Cancels every order of a symbol.
    pub fn cancel_all(&mut self, now: Nanos, symbol: SymbolIndex) -> usize {
        let count = self.core.cancel_all(now, symbol, &mut self.events);
        self.publish(now);
        count
    }

    /// Modifies an order.
    pub fn modify(&mut self, now: Nanos, change: &Change) -> Result<Order, Reject> {
        let before = self.core.order(change.symbol, &change.key).cloned();
        let earlier = before.as_ref().map_or(0, |order| self.records.amendments_of(order.id));
        if earlier >= AMENDMENTS_MAX {
            return Err(Reject::TooManyAmendments);
        }
        let Change { symbol, key, amendment, modify_id } = change;
        let modified = self.core.modify(now, *symbol, key, *amendment, &mut self.events);
        self.publish(now);
        if let (Some(before), Ok(after)) = (before, &modified)
            && before.placed != after.placed
        {
            self.records.amended(&before, after, earlier + 1, *modify_id);
        }
        modified
    }

    /// Sets the leverage of a symbol.
    pub fn set_leverage(&mut self, now: Nanos, symbol: SymbolIndex, leverage: u32) -> Result<(), Reject> {
        self.core.check_leverage(symbol, leverage)?;
        self.core.set_leverage(symbol, leverage);
        let name = self.listing(symbol).name.clone();
        self.streams.on_leverage(now, &name, leverage);
        Ok(())
    }

    /// Starts, restarts or (with nothing) stops the dead-man's switch of a symbol. It goes off once, at the first look
    /// after its time, and cancels the symbol's open orders; conditional orders that wait are not among them.
    pub fn set_countdown(&mut self, now: Nanos, symbol: SymbolIndex, countdown: Duration) {
        if countdown.is_zero() {
            self.countdowns.remove(&symbol);
        } else {
            self.countdowns.insert(symbol, Nanos((now + countdown).0.next_multiple_of(COUNTDOWN_LOOK_NS)));
        }
    }

    /// A client order id for who sent none.
    pub fn client_id(&mut self) -> String {
        (0..CLIENT_ID_LEN).map(|_| self.client_ids.alphanumeric()).collect()
    }

    /// A listing; `symbol` is an index that this desk gave out.
    pub fn listing(&self, symbol: SymbolIndex) -> &Listing {
        &self.core.listings()[symbol]
    }

    /// The symbol that the parameters name; -1102 without, -1121 when it is not listed.
    pub fn symbol(&self, params: &Params) -> Result<SymbolIndex, ApiError> {
        self.find(params.mandatory("symbol")?)
    }

    /// The symbol of the pair that the parameters name: every pair has one, of the same name.
    pub fn pair(&self, params: &Params) -> Result<SymbolIndex, ApiError> {
        self.find(params.mandatory("pair")?)
    }

    /// The symbol that the parameters name, if they do.
    pub fn optional_symbol(&self, params: &Params) -> Result<Option<SymbolIndex>, ApiError> {
        params.optional("symbol")?.map(|name| self.find(name)).transpose()
    }

    fn find(&self, name: &str) -> Result<SymbolIndex, ApiError> {
        let listed = |listing: &Listing| listing.name.eq_ignore_ascii_case(name);
        self.core.listings().iter().position(listed).ok_or_else(ApiError::invalid_symbol)
    }

    fn advance_to(&mut self, now: Nanos) {
        if self.market_failure.is_none()
            && let Err(error) = self.core.advance(now, &mut self.events)
        {
            self.market_failure = Some(error);
        }
        self.publish(now);
        self.fire(now);
        let due: Vec<SymbolIndex> =
            self.countdowns.iter().filter(|(_, at)| **at <= now).map(|(symbol, _)| *symbol).collect();
        for symbol in due {
            self.countdowns.remove(&symbol);
            self.cancel_all(now, symbol);
        }
        while let Some((_, id)) = self.expiries.first().copied().filter(|(at, _)| *at <= now) {
            self.expiries.pop_first();
            // What ended as its time came has ended already.
            let _expired = self.core.expire(now, id, &mut self.events);
            self.publish(now);
        }
        if self.liar.second(now) {
            self.lie(now);
        }
        self.streams.advance(now, &self.core);
    }

    /// What goes wrong by the second.
    fn lie(&mut self, now: Nanos) {
        let symbols = 0..self.core.listings().len();
        self.liar.keep_books(symbols.map(|symbol| self.core.book(symbol)));
        if self.streams.has_listen_key() {
            if self.liar.strikes(now, Fault::ListenKeyExpired).is_some() {
                self.streams.listen_key_expire(now);
            } else if self.liar.strikes(now, Fault::ListenKeyLost).is_some() {
                self.streams.listen_key_close(now);
            }
        }
    }

    fn publish(&mut self, now: Nanos) {
        let mut events = std::mem::take(&mut self.events);
        for event in events.drain(..) {
            if let CoreEvent::Fill { order, .. } | CoreEvent::Ended { order, .. } = &event
                && let Some(at) = order.placed.terms.good_till.filter(|_| !order.status.is_open())
            {
                self.expiries.remove(&(at, order.id));
            }
            if let CoreEvent::New(order) = &event {
                self.liar.accepted(now, order.id);
            }
            self.records.note(now, &event);
            self.streams.on_event(now, &event, &self.core);
            self.watch(now, &event);
        }
        self.events = events;
    }
}

/// A modification that is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// Which listing.
    pub symbol: SymbolIndex,
    /// Which order.
    pub key: OrderKey,
    /// What it is to become.
    pub amendment: Amendment,
    /// What the client calls it.
    pub modify_id: Option<u64>,
}

/// How often the exchange looks whether a countdown is over.
const COUNTDOWN_LOOK_NS: u64 = 10_000_000;
/// How often an order may be amended.
const AMENDMENTS_MAX: usize = 10_000;
/// Characters of a client order id that the exchange makes up.
const CLIENT_ID_LEN: usize = 22;
