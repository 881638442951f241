//! The loop: market, requests, answers and the trader, each at its time.
//!
//! The next event is the earliest of {local row, local answer, exchange row, request's arrival}, ties in that order.
//! Between two of the trader's wakes nothing it does can matter, so each side is run up to the wake by itself, the
//! exchange first: an answer is due no earlier than the event that caused it, and the sides share nothing else. That
//! gives the same sequence as one merged queue, without a queue. What the exchange does at a time of its own (funding, a
//! look at the margin) comes before everything else of that time, and only while the market goes on.
//! Never reads a clock: time is the rows'.

use super::digest::Digest;
use super::feed::{Cursor, Feed};
use super::ledger::Ledger;
use super::links::{Homeward, Links};
use super::local::{Local, LocalOrder, Order, Refusal};
use super::orders::{Answer, Funding, LIQUIDATION, Reason};
use super::rows::Row;
use super::venue::Venue;
use super::{ReplayConfig, ReplayError};

/// One symbol's run: stepped by hand, or by [`run`].
pub struct Replay<'a> {
    feed: Feed<'a>,
    exchange_at: Cursor<'a>,
    local_at: Cursor<'a>,
    venue: Venue,
    local: Local,
    links: Links,
    digest: Digest,
    tally: Tally,
    now: i64,
    catch_up_ns: i64,
}

/// Who trades.
pub trait Trader {
    /// Called once with the first time of the data; answers when to wake first, `None` for never.
    fn start(&mut self, first_ns: i64) -> Option<i64>;

    /// Called at a time it asked for, when everything up to it has happened; answers when to wake next, which may be the
    /// same time again: what comes of its requests at once happens before.
    fn wake(&mut self, desk: &mut Desk<'_>) -> Option<i64>;

    /// How far apart its wakes are, if one before which nothing has happened since the last would ask for nothing: such
    /// wakes may be passed over.
    #[inline]
    fn rhythm_ns(&self) -> Option<i64> {
        None
    }

    /// Called for every answer, at its time, after it was booked.
    fn answer(&mut self, _answer: &Answer, _local: &Local) {}

    /// Called for all funding paid or received, at its time, after it was booked.
    fn funding(&mut self, _funding: &Funding, _local: &Local) {}

    /// When it next wants a look without being woken; it may ask for one in an answer. Looks end with the local rows.
    #[inline]
    fn look_ns(&self) -> i64 {
        i64::MAX
    }

    /// Called at the time asked for, when everything up to it has happened and nothing later; the next look is later.
    fn look(&mut self, _now: i64, _local: &Local) {}
}

/// What a trader sees and can do while it is awake.
pub struct Desk<'r> {
    now: i64,
    local: &'r mut Local,
    links: &'r mut Links,
}

/// What a run came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// Every answer in order, as one number: equal runs have equal hashes.
    pub hash: u64,
    /// Answers seen.
    pub answers: u64,
    /// Times the trader was woken.
    pub wakes: u64,
    /// The account.
    pub ledger: Ledger,
    /// What the exchange did besides matching.
    pub tally: Tally,
    /// When the trader was last woken.
    pub last_wake_ns: i64,
}

/// What the exchange did besides matching, as far as it is known here.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Requests refused because there were too many.
    pub limited: u64,
    /// Requests refused because their value was too small.
    pub below_min_notional: u64,
    /// Reduce-only orders refused or ended because nothing was left to reduce.
    pub not_reducing: u64,
    /// Requests refused because the margin did not carry them.
    pub no_margin: u64,
    /// Orders that ended because they met another one of ours.
    pub self_trades: u64,
    /// Liquidations.
    pub liquidations: u64,
    /// Times funding was paid or received.
    pub fundings: u64,
}

impl Tally {
    const fn add(&mut self, answer: &Answer) {
        match answer.reason {
            Reason::None => {}
            Reason::TooManyOrders => self.limited += 1,
            Reason::BelowMinNotional => self.below_min_notional += 1,
            Reason::NotReducing => self.not_reducing += 1,
            Reason::NoMargin => self.no_margin += 1,
            Reason::SelfTrade => self.self_trades += 1,
            Reason::Liquidation => {
                let closed = answer.image.id == LIQUIDATION && answer.image.status.is_end();
                self.liquidations += closed as u64;
            }
        }
    }
}

/// Runs `trader` over the whole feed.
pub fn run(config: &ReplayConfig, feed: Feed<'_>, trader: &mut impl Trader) -> Result<Outcome, ReplayError> {
    let mut replay = Replay::new(config, feed)?;
    let mut wakes = 0;
    let first = replay.first_ns()?;
    let mut next = first.and_then(|first| trader.start(first));
    while let Some(at) = next {
        if !replay.advance(at, trader)? {
            break;
        }
        wakes += 1;
        next = trader.wake(&mut replay.desk());
        if let (Some(calm), Some(rhythm)) = (next, trader.rhythm_ns()) {
            let (later, passed_over) = replay.pass_over(calm, Some(rhythm));
            next = Some(later);
            wakes += passed_over;
        }
        assert!(next.is_none_or(|next| next >= at), "a trader never asks for an earlier time");
    }
    replay.advance(i64::MAX, trader)?;
    Ok(replay.outcome(wakes))
}

impl<'a> Replay<'a> {
    /// A run before its first event.
    pub fn new(config: &ReplayConfig, feed: Feed<'a>) -> Result<Replay<'a>, ReplayError> {
        config.scale.check()?;
        Ok(Replay {
            feed,
            exchange_at: Cursor::start(),
            local_at: Cursor::start(),
            venue: Venue::new(config),
            local: Local::new(config),
            links: Links::new(config.latency.clone(), config.compatible),
            digest: Digest::new(),
            tally: Tally::default(),
            now: i64::MIN,
            catch_up_ns: i64::MIN,
        })
    }

    /// The first time of the data on either clock; only before the first step.
    pub fn first_ns(&mut self) -> Result<Option<i64>, ReplayError> {
        self.feed.first_ns()
    }

    /// Lets everything up to and including `until` happen. Is anything left after it?
    pub fn advance(&mut self, until: i64, trader: &mut impl Trader) -> Result<bool, ReplayError> {
        assert!(until >= self.now, "time never goes back");
        loop {
            // With nothing of ours there, the exchange's book can wait: its rows come in longer runs, which are faster.
            let busy = !self.venue.is_idle() || !self.links.is_outward_empty();
            if busy || until >= self.catch_up_ns {
                self.catch_up(until)?;
            }
            self.advance_local(until, trader)?;
            if self.local_at.is_ended() {
                self.catch_up(until)?;
            }
            // A trader called for an answer cannot act, so one pass is enough unless answers came out of order.
            if self.links.next_arrival().is_none_or(|at| at > until)
                && self.links.next_home().is_none_or(|at| at > until)
            {
                break;
            }
        }
        self.feed.drop_passed(&self.exchange_at, &self.local_at);
        let left = !self.exchange_at.is_ended() || !self.local_at.is_ended() || !self.links.is_empty();
        if left {
            self.now = until;
        }
        Ok(left)
    }

    /// The trader's view at the time reached.
    pub fn desk(&mut self) -> Desk<'_> {
        Desk { now: self.now, local: &mut self.local, links: &mut self.links }
    }

    /// The market tells nothing before this, on either clock; ends as [`Replay::next_ns`] does.
    pub fn next_row_ns(&self) -> i64 {
        let row = |cursor: &Cursor<'a>, at: fn(&Row) -> i64| match cursor.next() {
            Some(row) => at(row),
            None if cursor.is_ended() => i64::MAX,
            None => i64::MIN,
        };
        row(&self.exchange_at, Row::exchange_ns).min(row(&self.local_at, Row::local_ns))
    }

    /// Nothing happens before this unless the trader asks for something; `i64::MAX` when nothing is left, and before the
    /// first step no time is too early.
    pub fn next_ns(&self) -> i64 {
        let rows = self.next_row_ns();
        let alarm = if self.exchange_at.is_ended() { i64::MAX } else { self.venue.alarm_ns() };
        let messages = self.links.next_arrival().into_iter().chain(self.links.next_home()).min();
        rows.min(alarm).min(messages.unwrap_or(i64::MAX))
    }

    /// The last of the wakes at `next`, a rhythm later, and so on, before which nothing happens at all; and how many come
    /// before that one.
    pub fn pass_over(&self, next: i64, rhythm_ns: Option<i64>) -> (i64, u64) {
        let Some(rhythm_ns) = rhythm_ns.filter(|rhythm_ns| *rhythm_ns > 0) else { return (next, 0) };
        let until = self.next_ns();
        if until == i64::MAX || until <= next {
            return (next, 0);
        }
        let count = (until - 1).abs_diff(next) / rhythm_ns.unsigned_abs();
        let later = count.cast_signed().checked_mul(rhythm_ns).and_then(|span| next.checked_add(span));
        later.map_or((next, 0), |later| (later, count))
    }

    /// The exchange's side, which no trader may see.
    pub const fn venue(&self) -> &Venue {
        &self.venue
    }

    /// The trader's side.
    pub const fn local(&self) -> &Local {
        &self.local
    }

    /// What it came to so far.
    pub fn outcome(&self, wakes: u64) -> Outcome {
        Outcome {
            hash: self.digest.state,
            answers: self.digest.answers,
            wakes,
            ledger: self.local.ledger().clone(),
            tally: self.tally,
            last_wake_ns: self.now,
        }
    }

    fn catch_up(&mut self, until: i64) -> Result<(), ReplayError> {
        self.catch_up_ns = until.saturating_add(CATCH_UP_NS);
        self.advance_exchange(until)
    }

    fn advance_exchange(&mut self, until: i64) -> Result<(), ReplayError> {
        loop {
            let arrival = self.links.next_arrival().filter(|at| *at <= until);
            self.exchange_until(arrival.unwrap_or(until))?;
            if arrival.is_none() {
                return Ok(());
            }
            if let Some((at, request)) = self.links.take_arrival() {
                self.venue.request(&request, at, &mut self.links);
                self.links.answered();
            }
        }
    }

    /// Rows and the exchange's own doings up to `until`.
    #[inline]
    fn exchange_until(&mut self, until: i64) -> Result<(), ReplayError> {
        loop {
            self.exchange_rows(until)?;
            if self.venue.alarm_ns() > until || self.exchange_at.is_ended() {
                return Ok(());
            }
            self.venue.settle(&mut self.links);
        }
    }

    #[inline]
    fn exchange_rows(&mut self, until: i64) -> Result<(), ReplayError> {
        let Replay { feed, exchange_at, venue, links, .. } = self;
        venue.stop_at(until);
        exchange_at.drain(feed, |row| {
            if row.at_exchange() {
                if row.exchange_ns() > venue.stop_ns() {
                    return false;
                }
                venue.row(row, links);
            }
            true
        })
    }

    fn advance_local(&mut self, until: i64, trader: &mut impl Trader) -> Result<(), ReplayError> {
        loop {
            let due = self.links.next_home().filter(|at| *at <= until);
            let look = trader.look_ns();
            if look <= until && due.is_none_or(|at| look < at) {
                self.local_rows(look)?;
                if !self.local_at.is_ended() {
                    trader.look(look, &self.local);
                    assert!(trader.look_ns() > look, "time never goes back");
                    continue;
                }
            }
            self.local_rows(due.unwrap_or(until))?;
            if due.is_none() {
                return Ok(());
            }
            match self.links.take_home() {
                Some(Homeward::Answer(answer)) => {
                    self.digest.add(&answer);
                    self.tally.add(&answer);
                    self.local.answer(&answer);
                    trader.answer(&answer, &self.local);
                }
                Some(Homeward::Funding(funding)) => {
                    self.digest.fund(&funding);
                    self.tally.fundings += 1;
                    self.local.fund(&funding);
                    trader.funding(&funding, &self.local);
                }
                None => return Ok(()),
            }
        }
    }

    #[inline]
    fn local_rows(&mut self, until: i64) -> Result<(), ReplayError> {
        let Replay { feed, local_at, local, .. } = self;
        local_at.drain(feed, |row| {
            if row.at_local() {
                if row.local_ns() > until {
                    return false;
                }
                local.row(row);
            }
            true
        })
    }
}

impl Desk<'_> {
    /// The time.
    pub const fn now(&self) -> i64 {
        self.now
    }

    /// Book, orders, ledger.
    pub const fn local(&self) -> &Local {
        self.local
    }

    /// The order with that id.
    pub fn order(&self, id: u64) -> Option<&LocalOrder> {
        self.local.order(id)
    }

    /// Sends a new order.
    pub fn submit(&mut self, order: &Order) -> Result<(), Refusal> {
        self.local.submit(self.now, order, self.links)
    }

    /// Asks for an order's end.
    pub fn cancel(&mut self, id: u64) -> Result<(), Refusal> {
        self.local.cancel(self.now, id, self.links)
    }

    /// Asks for another price or quantity.
    pub fn modify(&mut self, id: u64, tick: i32, parts: i64) -> Result<(), Refusal> {
        self.local.modify(self.now, id, tick, parts, self.links)
    }

    /// Forgets ended orders: their ids are free again.
    pub fn forget_ended(&mut self) {
        self.local.forget_ended();
    }
}

/// The exchange's book falls behind by no more than this while it is idle: both books share the blocks they read.
const CATCH_UP_NS: i64 = 10_000_000_000;
