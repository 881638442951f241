//! What the recorder does with a message, an answer and the passing of time; knows no sockets.
//!
//! A message is written as it came; a copy of it is shown to feed's decoder, which says whose it is and which update
//! ids it covers. A book whose sequence breaks, whose connection is new, or whose file is new wants a snapshot, asked
//! for one at a time with a growing pause.

use std::path::Path;
use std::time::Duration;

use optiflow_base::clock::Nanos;
use optiflow_base::ids::SymbolName;
use optiflow_base::limiter::Window;
use optiflow_base::market::StreamKind;
use optiflow_base::rest::RestReply;
use optiflow_feed::Silence;
use optiflow_feed::binance::streams::{SNAPSHOT_WEIGHT, snapshot_call};
use optiflow_feed::binance::{Decoder, Message, Symbols};

use super::recorder::Route;
use super::snapshots::Snapshots;
use super::tally::Tally;
use super::tape::Tape;
use super::watch::Watch;
use crate::problem::Problem;

/// Everything of the recorder but its sockets.
pub struct Desk {
    symbols: Vec<Symbol>,
    decoder: Decoder,
    /// What the decoder may spoil.
    copy: Vec<u8>,
    snapshots: Snapshots,
    weight: Window,
    held_off_until: Nanos,
    watch: Watch,
    routes: [RouteState; Route::ALL.len()],
    tally: Tally,
    notes: Vec<String>,
}

struct Symbol {
    name: SymbolName,
    tape: Tape,
    book: Book,
}

/// Where the book of a symbol stands.
#[derive(Default)]
struct Book {
    /// First update of the unbroken sequence, and its last so far.
    sequence: Option<(u64, u64)>,
    wants_snapshot: bool,
    has_snapshot: bool,
    /// The number of the newest call; an answer to another one comes too late.
    attempt: u32,
    is_asked: bool,
    in_row: u32,
    next_at: Nanos,
}

#[derive(Clone, Copy, Default)]
struct RouteState {
    is_up: bool,
    ups: u64,
}

impl Desk {
    pub fn new(names: &[SymbolName], silence: Silence, out: &Path, file_bytes_max: u64, snapshots: Snapshots) -> Desk {
        let symbol = |name: &SymbolName| Symbol {
            name: *name,
            tape: Tape::new(out, name, file_bytes_max),
            book: Book { wants_snapshot: true, ..Book::default() },
        };
        Desk {
            symbols: names.iter().map(symbol).collect(),
            decoder: Decoder::new(Symbols::new(names)),
            copy: Vec::new(),
            snapshots,
            weight: Window::new(WEIGHT_MINUTE_MAX, Duration::from_secs(60)),
            held_off_until: Nanos(0),
            watch: Watch::new(silence, names.len()),
            routes: Default::default(),
            tally: Tally::default(),
            notes: Vec::new(),
        }
    }

    pub fn up(&mut self, route: Route, now: Nanos) {
        let state = &mut self.routes[route as usize];
        state.is_up = true;
        state.ups += 1;
        if state.ups > 1 {
            self.tally.reconnects += 1;
            self.notes.push(format!("{}: connected again", route.name()));
        }
        self.watch.begin(route, now);
    }

    /// A connection, or an attempt to make one, ended. Ids may begin anew after it.
    pub fn down(&mut self, route: Route, reason: &str) {
        self.notes.push(format!("{}: {reason}", route.name()));
        let was_up = std::mem::take(&mut self.routes[route as usize].is_up);
        if was_up && route == Route::Public {
            self.symbols.iter_mut().for_each(|symbol| symbol.book.lost());
        }
    }

    /// A message of either connection, read at `now`.
    pub fn text(&mut self, now: Nanos, payload: &[u8]) -> Result<(), Problem> {
        self.copy.clear();
        self.copy.extend_from_slice(payload);
        let (symbol, kind, ids) = match self.decoder.decode(&mut self.copy) {
            Ok(Message::Depth { symbol, diff }) => {
                let ids = Some((diff.first_id, diff.last_id, diff.previous_id));
                (symbol, StreamKind::Depth, ids)
            }
            Ok(Message::Top(top)) => (top.symbol, StreamKind::Top, None),
            Ok(Message::Trade(trade)) => (trade.symbol, StreamKind::Trade, None),
            Ok(Message::Mark(mark)) => (mark.symbol, StreamKind::Mark, None),
            Ok(Message::Other) => {
                self.tally.passed_over += 1;
                return Ok(());
            }
            Err(error) => {
                self.tally.malformed += 1;
                let Some((symbol, kind)) = error.stream else { return Ok(()) };
                if kind == StreamKind::Depth {
                    self.symbols[symbol.index()].book.lost();
                }
                (symbol, kind, None)
            }
        };
        let index = symbol.index();
        self.watch.heard(index, kind, now);
        self.tally.lines.count(kind);
        let symbol = &mut self.symbols[index];
        if let Some((first_id, last_id, previous_id)) = ids
            && !symbol.book.follows(first_id, last_id, previous_id)
        {
            self.tally.gaps += 1;
            self.notes.push(format!("{}: a gap in the book before update {first_id}", symbol.name));
        }
        if symbol.tape.write(now, payload)? {
            // Every file can be read alone.
            symbol.book.wants_snapshot = true;
        }
        Ok(())
    }

    /// Looks after what is due: answers, snapshots, files.
    pub fn care(&mut self, now: Nanos) -> Result<(), Problem> {
        while let Some(reply) = self.snapshots.answer()? {
            self.answered(now, &reply)?;
        }
        for index in 0..self.symbols.len() {
            self.symbols[index].tape.tend(now)?;
            self.ask(index, now)?;
        }
        Ok(())
    }

    /// Should the connection be dropped because it is up and a stream of it is silent?
    pub fn is_drop_due(&mut self, route: Route, now: Nanos) -> bool {
        let (symbols, notes, tally) = (&self.symbols, &mut self.notes, &mut self.tally);
        let is_up = self.routes[route as usize].is_up;
        is_up
            && self.watch.check(route, now, |symbol, kind, limit| {
                tally.silences += 1;
                let seconds = limit.as_secs_f64();
                notes.push(format!("{}: no {kind:?} for {seconds} s", symbols[symbol].name).to_lowercase());
            })
    }

    pub fn is_recording(&self) -> bool {
        self.symbols.iter().all(|symbol| symbol.book.has_snapshot)
    }

    pub fn notes(&mut self) -> Vec<String> {
        std::mem::take(&mut self.notes)
    }

    pub fn tally(&self) -> Tally {
        let mut tally = self.tally.clone();
        self.symbols.iter().for_each(|symbol| tally.add(&symbol.tape.written));
        tally
    }

    /// Closes every file, whatever becomes of the others; the first problem is the one to tell.
    pub fn close(&mut self) -> Result<(), Problem> {
        let closed = self.symbols.iter_mut().map(|symbol| symbol.tape.close());
        closed.fold(Ok(()), Result::and)
    }

    /// From here on the disk is full for one symbol.
    #[cfg(test)]
    pub fn fill_disk_of(&mut self, index: usize) {
        self.symbols[index].tape.fill_disk();
    }

    fn ask(&mut self, index: usize, now: Nanos) -> Result<(), Problem> {
        let Symbol { name, book, .. } = &mut self.symbols[index];
        if !book.is_due(now.max(self.held_off_until), now) || !self.weight.take(now, SNAPSHOT_WEIGHT, 0) {
            return Ok(());
        }
        book.begin(now);
        self.snapshots.ask(snapshot_call(name, (index as u64) << 32 | u64::from(book.attempt)))
    }

    fn answered(&mut self, now: Nanos, reply: &RestReply) -> Result<(), Problem> {
        if let Some(until) = reply.usage.blocked_until {
            self.held_off_until = self.held_off_until.max(until);
        }
        let (index, attempt) = ((reply.token >> 32) as usize, reply.token as u32);
        let Some(symbol) = self.symbols.get_mut(index).filter(|symbol| symbol.book.attempt == attempt) else {
            return Ok(());
        };
        symbol.book.is_asked = false;
        self.copy.clear();
        self.copy.extend_from_slice(&reply.body);
        let id = self.decoder.snapshot(&mut self.copy).ok().map(|snapshot| snapshot.last_id);
        // One that ends before the sequence begins does not join it.
        let joins = |id: &u64| symbol.book.sequence.is_some_and(|(first_id, _)| id + 1 >= first_id);
        if !reply.is_ok() || !id.as_ref().is_some_and(joins) {
            self.tally.snapshots_failed += 1;
            let why = if reply.is_ok() { "older than the stream".to_owned() } else { format!("HTTP {}", reply.status) };
            self.notes.push(format!("{}: no snapshot ({why}); asking again", symbol.name));
            return Ok(());
        }
        self.tally.lines.snapshot += 1;
        // First, because a file that this begins has it then.
        symbol.tape.write(now, &reply.body)?;
        symbol.book.found();
        Ok(())
    }
}

impl Book {
    /// The sequence is broken, or the connection is.
    fn lost(&mut self) {
        self.sequence = None;
        self.wants_snapshot = true;
        self.is_asked = false;
        self.attempt = self.attempt.wrapping_add(1);
    }

    /// Takes a diff; false when one before it is missing.
    fn follows(&mut self, first_id: u64, last_id: u64, previous_id: u64) -> bool {
        match self.sequence {
            Some((first, last)) if last == previous_id => {
                self.sequence = Some((first, last_id));
                return true;
            }
            Some(_) => self.lost(),
            None => {
                self.sequence = Some((first_id, last_id));
                return true;
            }
        }
        self.sequence = Some((first_id, last_id));
        false
    }

    /// Asked only once the stream speaks: an earlier snapshot might not join it.
    fn is_due(&self, not_before: Nanos, now: Nanos) -> bool {
        let free = self.wants_snapshot && !self.is_asked && self.sequence.is_some();
        free && now >= self.next_at && now >= not_before
    }

    fn begin(&mut self, now: Nanos) {
        self.attempt = self.attempt.wrapping_add(1);
        self.is_asked = true;
        self.next_at = now + PAUSE_BASE.saturating_mul(1 << self.in_row.min(DOUBLINGS_MAX));
        self.in_row = self.in_row.saturating_add(1);
    }

    fn found(&mut self) {
        self.wants_snapshot = false;
        self.has_snapshot = true;
        self.in_row = 0;
    }
}

/// Request weight a minute for snapshots: a quarter of what an address has, so that a session beside it keeps its own.
const WEIGHT_MINUTE_MAX: u32 = 600;
/// Pause after a snapshot was asked for, before the next.
const PAUSE_BASE: Duration = Duration::from_secs(1);
/// Doublings of that pause: 32 s at most.
const DOUBLINGS_MAX: u32 = 5;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_book_wants_a_snapshot_when_its_sequence_breaks_and_asks_with_growing_pauses() {
        let second = |count: u64| Nanos(count * 1_000_000_000);
        let mut book = Book { wants_snapshot: true, ..Book::default() };
        assert!(!book.is_due(second(0), second(0)), "the stream has not spoken");
        assert!(book.follows(5, 9, 4) && book.follows(11, 12, 9));
        assert!(book.is_due(second(0), second(1)));
        assert!(!book.is_due(second(9), second(1)), "held off");
        book.begin(second(1));
        assert!(!book.is_due(second(0), second(3)), "one at a time");
        book.is_asked = false;
        assert!(book.is_due(second(0), second(3)));
        book.begin(second(3));
        book.is_asked = false;
        assert!(!book.is_due(second(0), second(4)) && book.is_due(second(0), second(5)));
        book.found();
        assert!(!book.is_due(second(0), second(60)));
        assert!(!book.follows(20, 21, 19), "12 was the last, not 19");
        assert!(book.wants_snapshot && book.sequence == Some((20, 21)));
        let attempt = book.attempt;
        book.lost();
        assert!(book.attempt != attempt && book.sequence.is_none(), "the answer under way comes too late");
    }
}
