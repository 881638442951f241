//! Sequence gate of one symbol's depth stream: snapshot and diffs become an unbroken run, or the book is lost.
//!
//! The rule (fact sheet §2.11, futures): diffs are buffered while a snapshot is fetched; those with `u < lastUpdateId`
//! are dropped; the first one applied has `U <= lastUpdateId <= u`; every later one has `pu` equal to the `u` before
//! it. Whatever breaks that is said as `BookLost`, and the gate starts over while it keeps buffering.
//! Never reads a socket, keeps no book, never lets half a message out. Bounded everywhere. Runs on the feed thread.

mod emit;
mod held;
mod pending;
mod request;

use std::time::Duration;

use optiflow_base::clock::Nanos;
use optiflow_base::ids::SymbolId;
use optiflow_base::market::{BookLoss, Level, MarketBody, MarketEvent};

pub use emit::{Sink, events_len};
pub use pending::PENDING_LEVELS_MAX;

use emit::{NoRoom, Start, emit};
use held::{Held, HeldHead};
use pending::Pending;
use request::Requests;

/// The gate of one symbol.
pub struct SymbolSync {
    symbol: SymbolId,
    state: State,
    pending: Pending,
    snapshot: Held,
    requests: Requests,
    /// A loss that the sink had no room for yet; nothing else goes out before it.
    owed: Option<(Nanos, BookLoss)>,
    /// Diffs in a row that were behind what is known.
    old_in_row: u32,
}

/// A change of the book: absolute quantities, zero removes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Diff<'a> {
    /// First update id covered (`U`).
    pub first_id: u64,
    /// Last update id covered (`u`).
    pub last_id: u64,
    /// `u` of the diff before this one (`pu`).
    pub previous_id: u64,
    /// Exchange event time, ms.
    pub event_ms: u64,
    /// Exchange matching time, ms.
    pub match_ms: u64,
    /// Changed bids.
    pub bids: &'a [Level],
    /// Changed asks.
    pub asks: &'a [Level],
}

/// The whole book at one update id.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Snapshot<'a> {
    /// `lastUpdateId`.
    pub last_id: u64,
    /// Exchange event time, ms; 0 when the answer does not say.
    pub event_ms: u64,
    /// Exchange matching time, ms; 0 when the answer does not say.
    pub match_ms: u64,
    /// Bids.
    pub bids: &'a [Level],
    /// Asks.
    pub asks: &'a [Level],
}

/// What became of a diff.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Admit {
    /// It went out, in sequence.
    Applied,
    /// It waits for the snapshot.
    Buffered,
    /// It is behind what is known and changes nothing.
    Old,
    /// It does not continue what is known, or does not fit: the book is lost, the gate starts over.
    Lost(BookLoss),
    /// The connection has not been said to be up.
    Down,
}

/// What became of a snapshot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Joined {
    /// It went out, and the waiting diffs after it: the book is in sequence.
    Live,
    /// It is newer than every diff so far; the one that covers it must come.
    Waiting,
    /// It cannot be joined to the diffs: another one will be asked for.
    Refetch,
    /// Nobody waits for it.
    Unasked,
    /// The sink had no room.
    Lost(BookLoss),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// No connection.
    Down,
    /// Buffering until a snapshot can be joined.
    Waiting,
    /// In sequence up to `last_id`.
    Live { last_id: u64, since: Nanos },
}

impl SymbolSync {
    /// A gate without connection; allocates its buffers here.
    pub fn new(symbol: SymbolId) -> SymbolSync {
        SymbolSync {
            symbol,
            state: State::Down,
            pending: Pending::new(),
            snapshot: Held::new(),
            requests: Requests::default(),
            owed: None,
            old_in_row: 0,
        }
    }

    /// The connection is up: diffs will come.
    pub fn connected(&mut self) {
        assert!(self.pending.is_empty() && self.snapshot.head.is_none(), "nothing outlives a connection");
        self.state = State::Waiting;
    }

    /// The connection is gone: what it carried is worthless, and so is a snapshot that is under way.
    pub fn disconnected(&mut self, now: Nanos, sink: &mut impl Sink) {
        self.pending.clear();
        self.requests.forget();
        if self.state != State::Down {
            self.lose(now, BookLoss::Disconnected);
        }
        self.state = State::Down;
        self.settle(sink);
    }

    /// A depth message could not be understood: what it changed is unknown.
    pub fn malformed(&mut self, now: Nanos, sink: &mut impl Sink) {
        if self.state == State::Down {
            return;
        }
        self.pending.clear();
        self.lose(now, BookLoss::Malformed);
        self.settle(sink);
    }

    /// Whoever keeps the book has reason not to believe it: it is fetched anew. False when it is not in sequence anyway.
    pub fn distrusted(&mut self, now: Nanos, reason: BookLoss, sink: &mut impl Sink) -> bool {
        let was_live = self.is_live();
        if was_live {
            self.lose(now, reason);
            self.settle(sink);
        }
        was_live
    }

    /// The next diff of the stream.
    pub fn diff(&mut self, now: Nanos, diff: &Diff<'_>, sink: &mut impl Sink) -> Admit {
        self.settle(sink);
        let known_id = match self.state {
            State::Down => return Admit::Down,
            State::Live { last_id, .. } => Some(last_id),
            State::Waiting => self.pending.last_id(),
        };
        match Place::of(diff, known_id) {
            Place::Next => self.old_in_row = 0,
            // A stream whose ids began anew would otherwise be ignored for ever.
            Place::Old if self.old_in_row < OLD_IN_ROW_MAX => {
                self.old_in_row += 1;
                return Admit::Old;
            }
            Place::Old | Place::Gap => {
                self.pending.clear();
                return self.start_over(now, diff, BookLoss::Gap, sink);
            }
        }
        match self.state {
            State::Live { since, .. } => self.apply(now, diff, since, sink),
            State::Waiting => self.buffer(now, diff, sink),
            State::Down => Admit::Down,
        }
    }

    /// The answer to the snapshot request `attempt`.
    pub fn snapshot(
        &mut self,
        now: Nanos,
        attempt: u32,
        received: Nanos,
        snapshot: &Snapshot<'_>,
        sink: &mut impl Sink,
    ) -> Joined {
        self.settle(sink);
        if !self.requests.end(attempt) || self.state != State::Waiting {
            return Joined::Unasked;
        }
        assert!(self.snapshot.head.is_none(), "one snapshot is asked for at a time");
        self.snapshot.hold(received, snapshot);
        self.join(now, sink)
    }

    /// The snapshot request `attempt` came to nothing.
    pub fn request_failed(&mut self, attempt: u32) {
        self.requests.end(attempt);
    }

    /// Should a snapshot be asked for now?
    pub fn wants_snapshot(&self, now: Nanos) -> bool {
        let waits = self.state == State::Waiting && self.snapshot.head.is_none() && !self.pending.is_empty();
        waits && self.requests.is_due(now)
    }

    /// A snapshot is being asked for; the number comes back with its answer.
    pub fn begin_request(&mut self, now: Nanos) -> u32 {
        assert!(self.wants_snapshot(now), "a snapshot is asked for when it is wanted");
        self.requests.begin(now)
    }

    /// No snapshot request before `until`: the exchange asked for it.
    pub fn hold_off(&mut self, until: Nanos) {
        self.requests.hold_off(until);
    }

    /// Is the reader's book in sequence?
    pub const fn is_live(&self) -> bool {
        matches!(self.state, State::Live { .. })
    }

    /// Says a loss that is still owed; true when nothing is owed any more.
    pub fn settle(&mut self, sink: &mut impl Sink) -> bool {
        if let Some((received, reason)) = self.owed {
            if sink.free() == 0 {
                return false;
            }
            sink.put(MarketEvent { received, body: MarketBody::BookLost { symbol: self.symbol, reason } });
            self.owed = None;
        }
        true
    }

    /// A diff that continues the live book goes out.
    fn apply(&mut self, now: Nanos, diff: &Diff<'_>, since: Nanos, sink: &mut impl Sink) -> Admit {
        assert!(self.owed.is_none() && self.pending.is_empty(), "a live book owes nothing and waits for nothing");
        match emit(&self.start_of(now, diff), diff.bids, diff.asks, sink) {
            Ok(()) => {
                self.state = State::Live { last_id: diff.last_id, since };
                Admit::Applied
            }
            Err(NoRoom) => self.start_over(now, diff, BookLoss::RingFull, sink),
        }
    }

    /// A diff that continues what waits, waits too; it may be the one that the snapshot needs.
    fn buffer(&mut self, now: Nanos, diff: &Diff<'_>, sink: &mut impl Sink) -> Admit {
        if !self.pending.push(now, diff) {
            self.pending.clear();
            return self.start_over(now, diff, BookLoss::Overflow, sink);
        }
        if self.snapshot.head.is_none() {
            return Admit::Buffered;
        }
        match self.join(now, sink) {
            Joined::Live => Admit::Applied,
            Joined::Waiting | Joined::Refetch | Joined::Unasked => Admit::Buffered,
            Joined::Lost(reason) => Admit::Lost(reason),
        }
    }

    /// The book is lost, and `diff` is the first one of the next attempt.
    fn start_over(&mut self, now: Nanos, diff: &Diff<'_>, reason: BookLoss, sink: &mut impl Sink) -> Admit {
        assert!(self.pending.is_empty(), "starting over begins with an empty queue");
        self.old_in_row = 0;
        self.lose(now, reason);
        self.settle(sink);
        // A diff larger than the whole queue cannot wait; the next one begins the run.
        self.pending.push(now, diff);
        Admit::Lost(reason)
    }

    /// Joins the held snapshot to the waiting diffs, if it can be joined.
    fn join(&mut self, now: Nanos, sink: &mut impl Sink) -> Joined {
        let Some(held) = self.snapshot.head else { return Joined::Waiting };
        let mut dropped = false;
        while let Some((_, diff)) = self.pending.first() {
            if diff.last_id >= held.last_id {
                let covers = diff.first_id <= held.last_id;
                return if covers { self.go_live(now, held, sink) } else { self.refetch() };
            }
            self.pending.pop();
            dropped = true;
        }
        // Diffs that are still behind long after the snapshot will never reach it.
        if dropped && now > held.received + BRIDGE_WAIT_MAX { self.refetch() } else { Joined::Waiting }
    }

    fn refetch(&mut self) -> Joined {
        self.snapshot.head = None;
        Joined::Refetch
    }

    fn go_live(&mut self, now: Nanos, held: HeldHead, sink: &mut impl Sink) -> Joined {
        match self.emit_all(held, sink) {
            Ok(last_id) => {
                assert!(self.pending.is_empty() && last_id >= held.last_id, "everything that waited has gone out");
                self.snapshot.head = None;
                self.state = State::Live { last_id, since: now };
                Joined::Live
            }
            Err(NoRoom) => {
                self.lose(now, BookLoss::RingFull);
                self.settle(sink);
                Joined::Lost(BookLoss::RingFull)
            }
        }
    }

    /// Snapshot, then the waiting diffs; answers the last id.
    fn emit_all(&mut self, held: HeldHead, sink: &mut impl Sink) -> Result<u64, NoRoom> {
        if !self.settle(sink) {
            return Err(NoRoom);
        }
        let HeldHead { received, last_id, event_ms, match_ms } = held;
        let start = Start { received, symbol: self.symbol, snapshot: true, last_id, event_ms, match_ms };
        emit(&start, &self.snapshot.bids, &self.snapshot.asks, sink)?;
        let mut known_id = last_id;
        while let Some((received, diff)) = self.pending.first() {
            emit(&self.start_of(received, &diff), diff.bids, diff.asks, sink)?;
            known_id = diff.last_id;
            self.pending.pop();
        }
        Ok(known_id)
    }

    fn lose(&mut self, now: Nanos, reason: BookLoss) {
        if let State::Live { since, .. } = self.state {
            self.requests.book_held(now.since(since));
        }
        self.state = State::Waiting;
        self.snapshot.head = None;
        // The first reason that was not said yet is the one that matters.
        self.owed.get_or_insert((now, reason));
    }

    const fn start_of(&self, received: Nanos, diff: &Diff<'_>) -> Start {
        let &Diff { last_id, event_ms, match_ms, .. } = diff;
        Start { received, symbol: self.symbol, snapshot: false, last_id, event_ms, match_ms }
    }
}

/// Where a diff stands against what is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    Next,
    Old,
    Gap,
}

impl Place {
    fn of(diff: &Diff<'_>, known_id: Option<u64>) -> Place {
        match known_id {
            None => Place::Next,
            Some(known) if diff.previous_id == known && diff.last_id >= known => Place::Next,
            Some(known) if diff.last_id <= known => Place::Old,
            Some(_) => Place::Gap,
        }
    }
}

/// Diffs in a row that may be behind what is known before the ids count as begun anew.
const OLD_IN_ROW_MAX: u32 = 16;
/// A snapshot that the diffs have not reached by then will not be reached.
const BRIDGE_WAIT_MAX: Duration = Duration::from_secs(5);

#[cfg(test)]
mod tests;
