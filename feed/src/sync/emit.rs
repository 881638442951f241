//! A depth message as market events: a start, then its levels three to an event, the last one marked.
//!
//! A message goes out whole or not at all: the room is checked first. Never allocates. Runs on the feed thread.

use optiflow_base::clock::Nanos;
use optiflow_base::ids::SymbolId;
use optiflow_base::market::{LEVELS_LEN, Level, MarketBody, MarketEvent};
use optiflow_base::money::Side;
use optiflow_base::ring::Tx;

/// Where market events go: the market ring, or a list in tests and replays.
pub trait Sink {
    /// How many events fit now.
    fn free(&self) -> usize;

    /// Takes one event.
    ///
    /// # Panics
    /// If there is no room: ask first.
    fn put(&mut self, event: MarketEvent);
}

impl Sink for Tx<MarketEvent> {
    fn free(&self) -> usize {
        Tx::free(self)
    }

    fn put(&mut self, event: MarketEvent) {
        assert!(self.push(event).is_ok(), "room in the {} was checked", self.name());
    }
}

impl Sink for Vec<MarketEvent> {
    fn free(&self) -> usize {
        usize::MAX
    }

    fn put(&mut self, event: MarketEvent) {
        self.push(event);
    }
}

/// What the start of a depth message says.
pub(super) struct Start {
    pub(super) received: Nanos,
    pub(super) symbol: SymbolId,
    pub(super) snapshot: bool,
    pub(super) last_id: u64,
    pub(super) event_ms: u64,
    pub(super) match_ms: u64,
}

/// The sink has too little room for the whole message; nothing of it was written.
#[derive(Debug)]
pub(super) struct NoRoom;

/// Writes the whole message.
pub(super) fn emit(start: &Start, bids: &[Level], asks: &[Level], sink: &mut impl Sink) -> Result<(), NoRoom> {
    if sink.free() < events_len(bids.len(), asks.len()) {
        return Err(NoRoom);
    }
    let &Start { received, symbol, snapshot, last_id, event_ms, match_ms } = start;
    let empty = bids.is_empty() && asks.is_empty();
    let body = MarketBody::DepthStart { symbol, snapshot, empty, last_id, event_ms, match_ms };
    sink.put(MarketEvent { received, body });
    emit_side(start, Side::Buy, bids, asks.is_empty(), sink);
    emit_side(start, Side::Sell, asks, true, sink);
    Ok(())
}

fn emit_side(start: &Start, side: Side, all: &[Level], is_last_side: bool, sink: &mut impl Sink) {
    let mut rest = all;
    while !rest.is_empty() {
        let (now, later) = rest.split_at(rest.len().min(LEVELS_LEN));
        let mut levels = [Level::default(); LEVELS_LEN];
        levels[..now.len()].copy_from_slice(now);
        let (count, end) = (now.len() as u8, is_last_side && later.is_empty());
        let body = MarketBody::Levels { symbol: start.symbol, side, count, end, levels };
        sink.put(MarketEvent { received: start.received, body });
        rest = later;
    }
}

/// How many events a message of so many levels becomes.
pub const fn events_len(bids: usize, asks: usize) -> usize {
    1 + bids.div_ceil(LEVELS_LEN) + asks.div_ceil(LEVELS_LEN)
}

#[cfg(test)]
mod tests {
    use super::*;
    use optiflow_base::money::{Price, Qty};
    use optiflow_base::ring::ring;

    fn side(len: usize) -> Vec<Level> {
        let unit = |n: usize| i64::try_from(n).unwrap();
        (1..=len).map(|n| Level { price: Price::from_units(unit(n)), qty: Qty::from_units(unit(n)) }).collect()
    }

    const START: Start =
        Start { received: Nanos(5), symbol: SymbolId(1), snapshot: false, last_id: 9, event_ms: 2, match_ms: 1 };

    fn sketch(events: &[MarketEvent]) -> String {
        let shown = events.iter().map(|event| match event.body {
            MarketBody::DepthStart { empty, .. } => if empty { "start-empty" } else { "start" }.to_owned(),
            MarketBody::Levels { side, count, end, .. } => format!("{side:?}{count}{}", if end { "-end" } else { "" }),
            MarketBody::Top { .. }
            | MarketBody::Trade { .. }
            | MarketBody::Mark { .. }
            | MarketBody::BookLost { .. }
            | MarketBody::Silence { .. } => panic!("{event:?}"),
        });
        shown.collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn levels_travel_three_to_an_event_and_the_last_one_is_marked() {
        let table = [
            (0, 0, "start-empty"),
            (1, 0, "start Buy1-end"),
            (0, 4, "start Sell3 Sell1-end"),
            (3, 3, "start Buy3 Sell3-end"),
            (4, 2, "start Buy3 Buy1 Sell2-end"),
        ];
        for (bids, asks, expected) in table {
            let mut events = Vec::new();
            emit(&START, &side(bids), &side(asks), &mut events).unwrap();
            assert_eq!(sketch(&events), expected);
            assert_eq!(events.len(), events_len(bids, asks));
        }
    }

    #[test]
    fn a_message_that_does_not_fit_leaves_no_trace() {
        let (mut tx, mut rx) = ring("market", 3);
        assert!(emit(&START, &side(4), &side(1), &mut tx).is_err());
        assert!(rx.is_empty());
        emit(&START, &side(4), &side(0), &mut tx).unwrap();
        assert_eq!(tx.free(), 0);
        assert!(rx.pop().is_some());
    }
}
