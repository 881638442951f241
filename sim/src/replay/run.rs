//! The loop: market, requests, answers and the trader, each at its time.
//!
//! The next event is the earliest of {local row, local answer, exchange row, request's arrival}, ties in that order.
//! Between two of the trader's wakes nothing it does can matter, so each side is run up to the wake by itself, the
//! exchange first: an answer is due no earlier than the event that caused it, and the sides share nothing else. That
//! gives the same sequence as one merged queue, without a queue.
//! Never reads a clock: time is the rows'.

use super::feed::{Cursor, Feed};
use super::ledger::Ledger;
use super::local::{Local, LocalOrder, Order, Refusal};
use super::orders::{Answer, Links};
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
    now: i64,
    catch_up_ns: i64,
}

/// Who trades.
pub trait Trader {
    /// Called once with the first time of the data; answers when to wake first, `None` for never.
    fn start(&mut self, first_ns: i64) -> Option<i64>;

    /// Called at a time it asked for, when everything up to it has happened; answers when to wake next.
    fn wake(&mut self, desk: &mut Desk<'_>) -> Option<i64>;

    /// Called for every answer, at its time, after it was booked.
    fn answer(&mut self, _answer: &Answer, _local: &Local) {}
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
    /// When the trader was last woken.
    pub last_wake_ns: i64,
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
        assert!(next.is_none_or(|next| next > at), "a trader asks for a later time");
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
            links: Links::new(config.latency.clone()),
            digest: Digest::new(),
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
                && self.links.next_answer().is_none_or(|at| at > until)
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
            self.exchange_rows(arrival.unwrap_or(until))?;
            if arrival.is_none() {
                return Ok(());
            }
            if let Some((at, request)) = self.links.take_arrival() {
                self.venue.request(&request, at, &mut self.links);
            }
        }
    }

    #[inline]
    fn exchange_rows(&mut self, until: i64) -> Result<(), ReplayError> {
        let Replay { feed, exchange_at, venue, links, .. } = self;
        exchange_at.drain(feed, |row| {
            if row.at_exchange() {
                if row.exchange_ns() > until {
                    return false;
                }
                venue.row(row, links);
            }
            true
        })
    }

    fn advance_local(&mut self, until: i64, trader: &mut impl Trader) -> Result<(), ReplayError> {
        loop {
            let due = self.links.next_answer().filter(|at| *at <= until);
            self.local_rows(due.unwrap_or(until))?;
            if due.is_none() {
                return Ok(());
            }
            if let Some(answer) = self.links.take_answer() {
                self.digest.add(&answer);
                self.local.answer(&answer);
                trader.answer(&answer, &self.local);
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

/// A running hash of the answers: FNV-1a over 64-bit words.
#[derive(Clone, Copy, Debug)]
struct Digest {
    state: u64,
    answers: u64,
}

impl Digest {
    const fn new() -> Digest {
        Digest { state: 0xcbf2_9ce4_8422_2325, answers: 0 }
    }

    fn add(&mut self, answer: &Answer) {
        let image = &answer.image;
        let ticks = u64::from(image.tick as u32) << 32 | u64::from(image.exec_tick as u32);
        let flags = (image.status as u64) << 16
            | (answer.tells as u64) << 8
            | (image.side as u64) << 1
            | u64::from(image.maker);
        let words = [
            answer.local_ns as u64,
            image.exchange_ns as u64,
            image.id,
            ticks,
            flags,
            image.qty as u64,
            image.leaves as u64,
            image.exec_qty as u64,
        ];
        for word in words {
            self.state = (self.state ^ word).wrapping_mul(0x0000_0100_0000_01b3);
            self.state ^= self.state >> 29;
        }
        self.answers += 1;
    }
}
