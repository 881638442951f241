//! The market as we receive it: messages on our own clock become the very events that the feed would push.
//!
//! Marks that the exchange derived, because the rows have none, are heard here as well, after as long as the symbol's
//! messages take. Risk hears best prices; of a market that tells none it hears those of the levels. Never decides.

use std::collections::VecDeque;

use optiflow_base::clock::Nanos;
use optiflow_base::ids::SymbolId;
use optiflow_base::market::{LEVELS_LEN, Level, MarketBody, MarketEvent};
use optiflow_base::money::Side;
use optiflow_base::ring::Tx;
use optiflow_store::event::Row;

use super::message::{Mark, Message, Reader, Says};
use super::playback::Decks;
use super::tape::By;

/// Our side of the market.
pub(super) struct Ears {
    decks: Decks,
    reader: Reader,
    rows: Vec<Row>,
    derived: VecDeque<(Nanos, SymbolId, Mark)>,
    heard: Nanos,
    marked: Vec<bool>,
    market: Tx<MarketEvent>,
    quotes: Tx<MarketEvent>,
}

impl Ears {
    pub(super) fn new(decks: Decks, symbols: usize, market: Tx<MarketEvent>, quotes: Tx<MarketEvent>) -> Ears {
        let reader = Reader::new(symbols);
        let (rows, derived, marked) = (Vec::new(), VecDeque::new(), vec![false; symbols]);
        Ears { decks, reader, rows, derived, heard: Nanos(0), marked, market, quotes }
    }

    /// Trades heard of a symbol so far.
    pub(super) fn trades(&self, symbol: SymbolId) -> u64 {
        self.reader.trades(symbol)
    }

    /// Was a mark heard of a symbol?
    pub(super) fn is_marked(&self, symbol: SymbolId) -> bool {
        self.marked[symbol.index()]
    }

    /// When the market last told anything; marks that the exchange derived are not of it.
    pub(super) const fn heard(&self) -> Nanos {
        self.heard
    }

    /// When something is heard next.
    pub(super) fn next_at(&self) -> Result<Option<Nanos>, String> {
        let told = self.decks.lock().tape.next_at(By::Local)?;
        let derived = self.derived.front().map(|(at, _, _)| *at);
        Ok(told.into_iter().chain(derived).min())
    }

    /// The exchange derived a mark at `now`; it is heard when a message would be.
    pub(super) fn derived(&mut self, now: Nanos, symbol: SymbolId, mark: Mark) {
        let deck = self.decks.lock();
        if deck.is_marked(symbol) {
            return;
        }
        let at = Nanos(now.0.saturating_add(deck.travel_ns(symbol)));
        let last = self.derived.back().map_or(Nanos(0), |(at, _, _)| *at);
        self.derived.push_back((at.max(last), symbol, mark));
    }

    /// Is there room on the rings for one more message, whatever it says?
    pub(super) fn has_room(&self) -> bool {
        self.market.free() >= EVENTS_MAX && self.quotes.free() > 0
    }

    /// Hears the next message if it is due at `now`; false when nothing is. Ask first whether there is room.
    pub(super) fn hear(&mut self, now: Nanos) -> Result<bool, String> {
        if let Some(&(at, symbol, mark)) = self.derived.front().filter(|(at, _, _)| *at <= now) {
            self.derived.pop_front();
            self.push_mark(at, at, symbol, mark);
            return Ok(true);
        }
        {
            let tape = &mut self.decks.lock().tape;
            if tape.next_at(By::Local)?.is_none_or(|at| at > now) {
                return Ok(false);
            }
            tape.take(By::Local, &mut self.rows)?;
        }
        self.heard = now;
        self.push()?;
        Ok(true)
    }

    fn push(&mut self) -> Result<(), String> {
        let Some(Message { symbol, exch, local: received, says }) = self.reader.read(&self.rows) else { return Ok(()) };
        let event_ms = exch.millis();
        match says {
            Says::Levels { id, whole, bids, asks } => {
                let start = Start { received, symbol, id, event_ms };
                push_levels(&mut self.market, &start, whole, bids, asks)?;
                self.push_touch(received, symbol, id, event_ms);
            }
            Says::Top { id: update_id, bid, ask } => {
                let body = MarketBody::Top { symbol, update_id, bid, ask, event_ms };
                push(&mut self.market, MarketEvent { received, body });
                push(&mut self.quotes, MarketEvent { received, body });
            }
            Says::Trade { id, price, qty, taker } => {
                let body = MarketBody::Trade { symbol, taker, price, qty, id, trade_ms: event_ms, event_ms };
                push(&mut self.market, MarketEvent { received, body });
            }
            Says::Mark(mark) => self.push_mark(received, exch, symbol, mark),
        }
        Ok(())
    }

    /// Risk needs best prices; where nobody tells them, the levels do.
    fn push_touch(&mut self, received: Nanos, symbol: SymbolId, update_id: u64, event_ms: u64) {
        if self.reader.has_tops(symbol) {
            return;
        }
        if let Some((bid, ask)) = self.reader.touch(symbol) {
            let body = MarketBody::Top { symbol, update_id, bid, ask, event_ms };
            push(&mut self.quotes, MarketEvent { received, body });
        }
    }

    fn push_mark(&mut self, received: Nanos, exch: Nanos, symbol: SymbolId, mark: Mark) {
        let Mark { mark, index, funding_rate, next_funding_ms } = mark;
        self.marked[symbol.index()] = true;
        let body = MarketBody::Mark { symbol, mark, index, funding_rate, next_funding_ms, event_ms: exch.millis() };
        push(&mut self.market, MarketEvent { received, body });
        push(&mut self.quotes, MarketEvent { received, body });
    }
}

struct Start {
    received: Nanos,
    symbol: SymbolId,
    id: u64,
    event_ms: u64,
}

/// A depth message as the feed pushes it: a start, then its levels three to an event, the last one marked.
fn push_levels(
    ring: &mut Tx<MarketEvent>,
    start: &Start,
    snapshot: bool,
    bids: &[Level],
    asks: &[Level],
) -> Result<(), String> {
    let &Start { received, symbol, id: last_id, event_ms } = start;
    let count = bids.len().div_ceil(LEVELS_LEN) + asks.len().div_ceil(LEVELS_LEN);
    if count >= EVENTS_MAX {
        let levels = bids.len() + asks.len();
        return Err(format!(
            "a message of {levels} levels, received at {} ns, is longer than any exchange sends",
            received.0
        ));
    }
    let (empty, match_ms) = (count == 0, event_ms);
    let body = MarketBody::DepthStart { symbol, snapshot, empty, last_id, event_ms, match_ms };
    push(ring, MarketEvent { received, body });
    let sides = [(Side::Buy, bids), (Side::Sell, asks)];
    let groups = sides.into_iter().flat_map(|(side, levels)| levels.chunks(LEVELS_LEN).map(move |group| (side, group)));
    for (index, (side, group)) in groups.enumerate() {
        let mut levels = [Level::default(); LEVELS_LEN];
        levels[..group.len()].copy_from_slice(group);
        let (group, end) = (group.len() as u8, index + 1 == count);
        let body = MarketBody::Levels { symbol, side, count: group, end, levels };
        push(ring, MarketEvent { received, body });
    }
    Ok(())
}

fn push(ring: &mut Tx<MarketEvent>, event: MarketEvent) {
    assert!(ring.push(event).is_ok(), "room in the {} ring was seen before", ring.name());
}

/// Events of the longest message.
const EVENTS_MAX: usize = 8_000;
