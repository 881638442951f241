//! The market as the exchange lives it: messages on the exchange's clock become ticks for the core.
//!
//! The core asks for ticks itself, one ahead, while we read the same rows on our own clock; the two share the tape. What
//! is wrong with the rows ends the market and is kept for the run to report.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use optiflow_base::clock::Nanos;
use optiflow_base::ids::SymbolId;
use optiflow_sim::market::{Source, SourceError};
use optiflow_sim::words::{Listing, MarketTick, Tick};
use optiflow_store::event::Row;

use super::message::{Mark, Message, Reader, Says};
use super::tape::{By, Tape};

/// The tape, and what its exchange side has shown.
pub(super) struct Deck {
    pub(super) tape: Tape,
    /// What is wrong with the rows.
    pub(super) failure: Option<String>,
    /// How long the last message of each symbol travels.
    travel_ns: Vec<u64>,
    /// Symbols whose marks are told.
    marked: Vec<bool>,
}

/// The deck, shared by both sides of one run.
#[derive(Clone)]
pub(super) struct Decks(Arc<Mutex<Deck>>);

impl Decks {
    pub(super) fn new(tape: Tape, symbols: usize) -> Decks {
        let deck = Deck { tape, failure: None, travel_ns: vec![0; symbols], marked: vec![false; symbols] };
        Decks(Arc::new(Mutex::new(deck)))
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, Deck> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Deck {
    /// How long a message of this symbol travels at present.
    pub(super) fn travel_ns(&self, symbol: SymbolId) -> u64 {
        self.travel_ns[symbol.index()]
    }

    /// The exchange was shown something of this symbol that takes so long to us.
    pub(super) fn shown(&mut self, symbol: SymbolId, travel_ns: u64, is_mark: bool) {
        self.travel_ns[symbol.index()] = travel_ns;
        self.marked[symbol.index()] |= is_mark;
    }

    /// Does the market itself tell this symbol's marks?
    pub(super) fn is_marked(&self, symbol: SymbolId) -> bool {
        self.marked[symbol.index()]
    }
}

/// The source of the core.
pub(super) struct Playback {
    decks: Decks,
    listings: Vec<Listing>,
    reader: Reader,
    rows: Vec<Row>,
    /// The first tick, fetched to learn when the market begins.
    first: Option<MarketTick>,
}

impl Playback {
    /// Listings are in the order of the session's symbols.
    pub(super) fn new(decks: Decks, listings: Vec<Listing>) -> Playback {
        let reader = Reader::new(listings.len());
        Playback { decks, listings, reader, rows: Vec::new(), first: None }
    }

    /// When the market begins; `None` when it says nothing at all.
    pub(super) fn begins(&mut self) -> Option<Nanos> {
        if self.first.is_none() {
            self.first = self.tick();
        }
        self.first.as_ref().map(|tick| tick.at)
    }

    fn tick(&mut self) -> Option<MarketTick> {
        let mut deck = self.decks.lock();
        loop {
            match deck.tape.take(By::Exchange, &mut self.rows) {
                Ok(true) => {}
                Ok(false) => return None,
                Err(problem) => {
                    deck.failure.get_or_insert(problem);
                    return None;
                }
            }
            let Some(Message { symbol, exch, local, says }) = self.reader.read(&self.rows) else { continue };
            deck.shown(symbol, local.since(exch), matches!(says, Says::Mark(_)));
            return Some(MarketTick { at: exch, symbol: symbol.index(), what: tick(&says) });
        }
    }
}

impl Source for Playback {
    fn listings(&self) -> &[Listing] {
        &self.listings
    }

    fn next(&mut self) -> Result<Option<MarketTick>, SourceError> {
        Ok(self.first.take().or_else(|| self.tick()))
    }
}

fn tick(says: &Says<'_>) -> Tick {
    match *says {
        Says::Levels { id, whole: true, bids, asks } => Tick::Snapshot { id, bids: bids.to_vec(), asks: asks.to_vec() },
        Says::Levels { id, whole: false, bids, asks } => {
            let (bids, asks) = (bids.to_vec(), asks.to_vec());
            Tick::Depth { first_id: id, last_id: id, previous_id: id.saturating_sub(1), bids, asks }
        }
        Says::Top { id, bid, ask } => Tick::Top { update_id: id, bid, ask },
        Says::Trade { id, price, qty, taker } => Tick::Trade { id, price, qty, taker },
        Says::Mark(Mark { mark, index, funding_rate, next_funding_ms }) => {
            Tick::Mark { mark, index, funding_rate, next_funding_ms }
        }
    }
}
