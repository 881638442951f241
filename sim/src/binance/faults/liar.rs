//! The liar's memory and its dice: whether a fault strikes now, and what of it lasts.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use optiflow_base::clock::{Nanos, nanos_of};

use super::frames::Kind;
use super::kinds::{COUNT, Fault, Per};
use super::profile::{Faults, RATE_ONE};
use crate::binance::{ConnId, Outgoing};
use crate::book::Book;
use crate::words::SymbolIndex;

/// Draws faults and remembers what of them lasts.
#[derive(Debug)]
pub struct Liar {
    start: Nanos,
    /// By fault.
    rules: Vec<Vec<Live>>,
    is_on: bool,
    counts: [u64; COUNT],
    pub(super) random: fastrand::Rng,
    /// The next second that is drawn for, while anything is.
    second: Option<Nanos>,
    skew_ms: i64,
    refuses_until: Nanos,
    /// Orders that queries, listings and cancels do not know, and until when.
    hidden: [BTreeMap<u64, Nanos>; 3],
    /// Books of the second before last and of the last one.
    books: [BTreeMap<SymbolIndex, Book>; 2],
    /// Frames that leave later, in that order.
    pub(super) held: BTreeMap<(Nanos, u64), (ConnId, Outgoing)>,
    pub(super) held_count: u64,
    /// Until when events of a kind wait for an earlier one.
    pub(super) waits: BTreeMap<(ConnId, Kind), Nanos>,
    /// Connections that hear no events, and until when.
    pub(super) dead: BTreeMap<ConnId, Nanos>,
    /// Connections that were cut and whose driver has not said so yet.
    pub(super) cut: BTreeSet<ConnId>,
}

#[derive(Debug)]
struct Live {
    rate: u32,
    from: Nanos,
    until: Nanos,
    span: Duration,
    random: fastrand::Rng,
}

/// From what an order is hidden.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hidden {
    /// Queries by id.
    Query,
    /// Listings.
    Listing,
    /// Cancels.
    Cancel,
}

impl Liar {
    /// One that tells the truth, at an exchange that starts at `start`.
    pub fn new(start: Nanos) -> Liar {
        Liar {
            start,
            rules: (0..COUNT).map(|_| Vec::new()).collect(),
            is_on: false,
            counts: [0; COUNT],
            random: fastrand::Rng::with_seed(0),
            second: None,
            skew_ms: 0,
            refuses_until: Nanos(0),
            hidden: Default::default(),
            books: Default::default(),
            held: BTreeMap::new(),
            held_count: 0,
            waits: BTreeMap::new(),
            dead: BTreeMap::new(),
            cut: BTreeSet::new(),
        }
    }

    /// From `now` on these faults and no others. What lasted of the earlier ones ends; frames that were held still leave.
    pub fn set(&mut self, now: Nanos, faults: &Faults) {
        self.rules.iter_mut().for_each(Vec::clear);
        for (index, rule) in (0u64..).zip(faults.rules()) {
            assert!(rule.rate <= RATE_ONE, "{}: a rate is at most one", rule.fault.name());
            let mix = (index << 32 | rule.fault as u64).wrapping_mul(SEED_STRIDE);
            self.rules[rule.fault as usize].push(Live {
                rate: rule.rate,
                from: self.start + rule.from,
                until: rule.until.map_or(Nanos(u64::MAX), |until| self.start + until),
                span: rule.span,
                random: fastrand::Rng::with_seed(faults.seed() ^ mix),
            });
        }
        self.is_on = faults.rules().iter().any(|rule| rule.rate > 0);
        self.random = fastrand::Rng::with_seed(faults.seed() ^ SEED_STRIDE);
        let by_second = |rule: &&super::Rule| rule.fault.per() == Per::Second || rule.fault == Fault::StaleSnapshot;
        let ticks = faults.rules().iter().filter(by_second).any(|rule| rule.rate > 0);
        self.second = ticks.then(|| next_second(now));
        self.skew_ms = 0;
        self.refuses_until = Nanos(0);
        self.hidden = Default::default();
        self.books = Default::default();
        self.dead.clear();
    }

    /// Is there nothing that could strike, and nothing left over?
    pub fn is_quiet(&self) -> bool {
        !self.is_on && self.held.is_empty() && self.cut.is_empty()
    }

    /// Does it strike now? With how long it lasts.
    pub fn strikes(&mut self, now: Nanos, fault: Fault) -> Option<Duration> {
        for rule in &mut self.rules[fault as usize] {
            if (rule.from..rule.until).contains(&now) && rule.random.u32(..RATE_ONE) < rule.rate {
                self.counts[fault as usize] += 1;
                return Some(rule.span);
            }
        }
        None
    }

    /// How often each fault struck.
    pub fn counts(&self) -> impl Iterator<Item = (Fault, u64)> {
        Fault::all().zip(self.counts)
    }

    /// Some of the span, drawn.
    pub(super) fn some_of(&mut self, span: Duration) -> Duration {
        Duration::from_nanos(self.random.u64(0..=nanos_of(span)))
    }

    /// Can anything strike?
    pub const fn is_on(&self) -> bool {
        self.is_on
    }

    /// When the next second ends, if that is drawn for.
    pub const fn next_second(&self) -> Option<Nanos> {
        self.second
    }

    /// When the next held frame leaves.
    pub fn next_release(&self) -> Option<Nanos> {
        self.held.keys().next().map(|(at, _)| *at)
    }

    /// Has a second ended since the last call? Draws what lasts by the clock; the rest is the caller's to draw and do.
    pub fn second(&mut self, now: Nanos) -> bool {
        let Some(second) = self.second.filter(|second| *second <= now) else { return false };
        self.second = Some(next_second(now));
        if let Some(span) = self.strikes(second, Fault::RefusedConnects) {
            self.refuses_until = second + span;
        }
        if let Some(span) = self.strikes(second, Fault::ClockJump) {
            let most = i64::try_from(span.as_millis()).unwrap_or(i64::MAX);
            self.skew_ms = self.random.i64(-most..=most);
        } else if self.rules[Fault::ClockJump as usize].iter().all(|rule| second >= rule.until) {
            self.skew_ms = 0;
        }
        true
    }

    /// Keeps the books of this second, if they will be told for fresh ones.
    pub fn keep_books<'a>(&mut self, books: impl Iterator<Item = &'a Book>) {
        if !self.rules[Fault::StaleSnapshot as usize].is_empty() {
            self.books.swap(0, 1);
            self.books[1] = books.cloned().enumerate().collect();
        }
    }

    /// The old book that is told for a fresh one, if it is now.
    pub fn stale_book(&mut self, now: Nanos, symbol: SymbolIndex) -> Option<&Book> {
        self.books[0].contains_key(&symbol).then_some(())?;
        self.strikes(now, Fault::StaleSnapshot)?;
        self.books[0].get(&symbol)
    }

    /// The time as the server's clock shows it.
    pub fn server_time(&self, now: Nanos) -> Nanos {
        let skew = Duration::from_millis(self.skew_ms.unsigned_abs());
        if self.skew_ms < 0 { now - skew } else { now + skew }
    }

    /// Are new connections refused?
    pub fn refuses_connects(&self, now: Nanos) -> bool {
        now < self.refuses_until
    }

    /// An order was accepted: is it to be denied for a while?
    pub fn accepted(&mut self, now: Nanos, order: u64) {
        if !self.is_on {
            return;
        }
        for (place, fault) in
            [Fault::OrderNotFound, Fault::OrderNotListed, Fault::CancelNotFound].into_iter().enumerate()
        {
            if let Some(span) = self.strikes(now, fault) {
                self.hidden[place].retain(|_, until| *until > now);
                self.hidden[place].insert(order, now + span);
            }
        }
    }

    /// Is the order denied now?
    pub fn hides(&self, now: Nanos, from: Hidden, order: u64) -> bool {
        self.hidden[from as usize].get(&order).is_some_and(|until| now < *until)
    }

    /// Forgets a connection.
    pub fn closed(&mut self, conn: ConnId) {
        self.cut.remove(&conn);
        self.forget(conn);
    }

    pub(super) fn forget(&mut self, conn: ConnId) {
        self.held.retain(|_, (to, _)| *to != conn);
        self.waits.retain(|(to, _), _| *to != conn);
        self.dead.remove(&conn);
    }
}

fn next_second(now: Nanos) -> Nanos {
    Nanos((now.0 + 1).next_multiple_of(1_000_000_000))
}

/// Keeps the dice of the rules apart.
const SEED_STRIDE: u64 = 0x9e37_79b9_7f4a_7c15;
