//! The exchange behind its doors: core, streams, dead-man's switches, and the one way in which time passes for them.
//!
//! What it does: runs an operation on the core and hands every event of it, in order, to the streams and the records.
//! What it never does: no keys, no limits, no parsing. Driven by `exchange` and by the handlers.

use std::collections::BTreeMap;
use std::time::Duration;

use optiflow_base::clock::Nanos;
use optiflow_base::money::{Price, Qty, Side};

use super::errors::ApiError;
use super::params::Params;
use super::records::Records;
use super::streams::Streams;
use crate::core::Core;
use crate::market::SourceError;
use crate::words::{CoreEvent, Listing, Order, OrderKey, Placement, Reject, SymbolIndex};

/// Everything that handlers work on.
pub struct Desk {
    /// The matching and the ledger.
    pub core: Core,
    /// The stream connections.
    pub streams: Streams,
    /// What is asked for later.
    pub records: Records,
    countdowns: BTreeMap<SymbolIndex, Nanos>,
    events: Vec<CoreEvent>,
    client_ids: fastrand::Rng,
    market_failure: Option<SourceError>,
}

impl Desk {
    /// A desk on `core`.
    pub fn new(core: Core, seed: u64) -> Desk {
        let streams = Streams::new(core.listings(), seed);
        Desk {
            core,
            streams,
            records: Records::default(),
            countdowns: BTreeMap::new(),
            events: Vec::new(),
            client_ids: fastrand::Rng::with_seed(seed),
            market_failure: None,
        }
    }

    /// Lets time pass: the market, the dead-man's switches and the streams, each thing at its own time.
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
        [market, countdown, self.streams.next_due()].into_iter().flatten().min()
    }

    /// Why the market stands still, if it does.
    pub fn market_failure(&self) -> Option<&SourceError> {
        self.market_failure.as_ref()
    }

    /// Places an order.
    pub fn place(&mut self, now: Nanos, placement: Placement) -> Result<Order, Reject> {
        let placed = self.core.place(now, placement, &mut self.events);
        self.publish(now);
        placed
    }

    /// Cancels an order.
    pub fn cancel(&mut self, now: Nanos, symbol: SymbolIndex, key: &OrderKey) -> Result<Order, Reject> {
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
        let Change { symbol, key, side, price, qty, modify_id } = change;
        let modified = self.core.modify(now, *symbol, key, *side, *price, *qty, &mut self.events);
        self.publish(now);
        if let (Some(before), Ok(after)) = (before, &modified)
            && before.placed != after.placed
        {
            self.records.amended(&before, after, *modify_id);
        }
        modified
    }

    /// Sets the leverage of a symbol.
    pub fn set_leverage(&mut self, now: Nanos, symbol: SymbolIndex, leverage: u32) {
        self.core.set_leverage(symbol, leverage);
        let name = self.listing(symbol).name.clone();
        self.streams.on_leverage(now, &name, leverage);
    }

    /// Starts, restarts or (with nothing) stops the dead-man's switch of a symbol.
    pub fn set_countdown(&mut self, now: Nanos, symbol: SymbolIndex, countdown: Duration) {
        if countdown.is_zero() {
            self.countdowns.remove(&symbol);
        } else {
            self.countdowns.insert(symbol, now + countdown);
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
        let due: Vec<SymbolIndex> =
            self.countdowns.iter().filter(|(_, at)| **at <= now).map(|(symbol, _)| *symbol).collect();
        for symbol in due {
            self.countdowns.remove(&symbol);
            self.cancel_all(now, symbol);
        }
        self.streams.advance(now, &self.core);
    }

    fn publish(&mut self, now: Nanos) {
        for event in self.events.drain(..) {
            self.records.note(now, &event);
            self.streams.on_event(now, &event, &self.core);
        }
    }
}

/// A modification that is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// Which listing.
    pub symbol: SymbolIndex,
    /// Which order.
    pub key: OrderKey,
    /// The order's side, which cannot change.
    pub side: Side,
    /// New price.
    pub price: Price,
    /// New quantity.
    pub qty: Qty,
    /// What the client calls it.
    pub modify_id: Option<u64>,
}

/// Characters of a client order id that the exchange makes up.
const CLIENT_ID_LEN: usize = 22;
