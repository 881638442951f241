//! The market itself as the exchange lives it, where it knows more than rows tell: the single orders of a made-up market.
//!
//! The core asks the source of the simulator for its ticks, while we hear the rows of an equal one. Symbols that nobody
//! trades are passed over, as they are on the tape. Never makes anything up.

use optiflow_base::clock::Nanos;
use optiflow_base::ids::SymbolId;
use optiflow_sim::market::{Source, SourceError};
use optiflow_sim::words::{Listing, MarketTick, Tick};

use super::playback::Decks;

/// A market that the exchange has first hand.
pub struct Direct {
    /// The same market as that of the rows.
    pub source: Box<dyn Source>,
    /// The session's symbol for each of its listings; ticks of the others are passed over.
    pub symbols: Vec<Option<SymbolId>>,
    /// From an event to its row.
    pub feed_ns: u64,
    /// What its times are counted from.
    pub begins: Nanos,
}

/// The source of the core.
pub(super) struct Firsthand {
    decks: Decks,
    listings: Vec<Listing>,
    direct: Direct,
    /// The first tick, fetched to learn when the market begins.
    first: Option<MarketTick>,
}

impl Firsthand {
    /// Listings are in the order of the session's symbols.
    pub(super) fn new(decks: Decks, listings: Vec<Listing>, direct: Direct) -> Firsthand {
        Firsthand { decks, listings, direct, first: None }
    }

    /// When the market begins; `None` when it says nothing at all.
    pub(super) fn begins(&mut self) -> Result<Option<Nanos>, String> {
        if self.first.is_none() {
            self.first = self.tick().map_err(|error| error.to_string())?;
        }
        Ok(self.first.as_ref().map(|tick| tick.at))
    }

    fn tick(&mut self) -> Result<Option<MarketTick>, SourceError> {
        let Direct { source, symbols, feed_ns, begins } = &mut self.direct;
        while let Some(tick) = source.next()? {
            let Some(symbol) = symbols.get(tick.symbol).copied().flatten() else { continue };
            let is_mark = matches!(tick.what, Tick::Mark { .. });
            self.decks.lock().shown(symbol, *feed_ns, is_mark);
            let at = Nanos(tick.at.0.saturating_add(begins.0));
            return Ok(Some(MarketTick { at, symbol: symbol.index(), what: counted_from(*begins, tick.what) }));
        }
        Ok(None)
    }
}

impl Source for Firsthand {
    fn listings(&self) -> &[Listing] {
        &self.listings
    }

    fn next(&mut self) -> Result<Option<MarketTick>, SourceError> {
        match self.first.take() {
            Some(first) => Ok(Some(first)),
            None => self.tick(),
        }
    }

    fn tell_singles(&mut self) -> bool {
        self.direct.source.tell_singles()
    }
}

/// The one time that a tick tells of its own accord is when funding is due next; zero says nothing.
fn counted_from(begins: Nanos, mut what: Tick) -> Tick {
    if let Tick::Mark { next_funding_ms, .. } = &mut what
        && *next_funding_ms > 0
    {
        *next_funding_ms = next_funding_ms.saturating_add(begins.millis());
    }
    what
}
