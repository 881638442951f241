//! Silence watchdog: when did each stream of each symbol last say something?
//!
//! An open socket and an acknowledged subscription prove nothing; only data does. A stream counts as heard from the
//! start of the session, so one that never speaks at all is noticed too. What changed is told to both rings, as soon
//! as they have room. Never reconnects by itself: it says when that is due, less and less often. Runs on the feed thread.

use std::time::Duration;

use optiflow_base::clock::{Nanos, nanos_of};
use optiflow_base::ids::SymbolId;
use optiflow_base::market::{MarketBody, MarketEvent, StreamKind};
use optiflow_base::ring::Tx;

/// How long each kind of stream may be silent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Silence {
    /// Book diffs.
    pub depth: Duration,
    /// Best bid and ask.
    pub top: Duration,
    /// Trades: quiet symbols need a long one.
    pub trade: Duration,
    /// Mark prices, which come every second.
    pub mark: Duration,
}

/// Watches all streams of all symbols.
pub(crate) struct Watch {
    silence: Silence,
    symbols: Vec<[Stream; StreamKind::ALL.len()]>,
    /// A change has not reached both rings yet.
    untold: bool,
}

#[derive(Clone, Copy, Debug, Default)]
struct Stream {
    heard: Nanos,
    silent: bool,
    /// What the market ring knows.
    told_market: bool,
    /// What the quotes ring knows.
    told_quotes: bool,
}

impl Watch {
    /// Watches `symbols` symbols, each heard just now.
    pub(crate) fn new(silence: Silence, symbols: usize) -> Watch {
        let watch = Watch { silence, symbols: vec![Default::default(); symbols], untold: false };
        assert!(StreamKind::ALL.iter().all(|&kind| watch.limit(kind) > 0), "silence has a limit: {silence:?}");
        watch
    }

    /// The session begins: everything counts as heard now.
    pub(crate) fn begin(&mut self, now: Nanos) {
        for stream in self.symbols.iter_mut().flatten() {
            stream.heard = now;
        }
    }

    /// A stream spoke. True when it had been silent.
    pub(crate) fn heard(&mut self, symbol: SymbolId, kind: StreamKind, now: Nanos) -> bool {
        let stream = &mut self.symbols[symbol.index()][kind as usize];
        stream.heard = now;
        let was_silent = stream.silent;
        stream.silent = false;
        self.untold |= was_silent;
        was_silent
    }

    /// Finds streams whose silence has just exceeded its limit.
    pub(crate) fn check(&mut self, now: Nanos, mut newly_silent: impl FnMut(SymbolId, StreamKind)) {
        for symbol in 0..self.symbols.len() {
            for kind in StreamKind::ALL {
                let limit = self.limit(kind);
                let stream = &mut self.symbols[symbol][kind as usize];
                if !stream.silent && now.since(stream.heard) > limit {
                    stream.silent = true;
                    self.untold = true;
                    newly_silent(symbol_id(symbol), kind);
                }
            }
        }
    }

    /// Is one of these kinds silent although its connection has been up for longer than the limit?
    pub(crate) fn is_overdue(&self, kinds: &[StreamKind], up_since: Nanos, now: Nanos) -> bool {
        let overdue = |kind: &StreamKind| {
            now.since(up_since) > self.limit(*kind) && self.symbols.iter().any(|streams| streams[*kind as usize].silent)
        };
        kinds.iter().any(overdue)
    }

    /// Is any stream of these kinds silent?
    pub(crate) fn is_any_silent(&self, kinds: &[StreamKind]) -> bool {
        self.symbols.iter().any(|streams| kinds.iter().any(|&kind| streams[kind as usize].silent))
    }

    /// Tells both rings what they do not know yet, as far as there is room.
    pub(crate) fn tell(&mut self, now: Nanos, market: &mut Tx<MarketEvent>, quotes: &mut Tx<MarketEvent>) {
        if !self.untold {
            return;
        }
        self.untold = false;
        for (symbol, streams) in self.symbols.iter_mut().enumerate() {
            for (stream, kind) in streams.iter_mut().zip(StreamKind::ALL) {
                let body = MarketBody::Silence { symbol: symbol_id(symbol), stream: kind, silent: stream.silent };
                let event = MarketEvent { received: now, body };
                if stream.told_market != stream.silent && market.push(event).is_ok() {
                    stream.told_market = stream.silent;
                }
                if stream.told_quotes != stream.silent && quotes.push(event).is_ok() {
                    stream.told_quotes = stream.silent;
                }
                self.untold |= stream.told_market != stream.silent || stream.told_quotes != stream.silent;
            }
        }
    }

    fn limit(&self, kind: StreamKind) -> u64 {
        nanos_of(match kind {
            StreamKind::Depth => self.silence.depth,
            StreamKind::Top => self.silence.top,
            StreamKind::Trade => self.silence.trade,
            StreamKind::Mark => self.silence.mark,
        })
    }
}

/// How often a connection may be dropped because of silence: at first after 10 s, then ever more rarely.
#[derive(Debug, Default)]
pub(crate) struct Patience {
    in_row: u32,
    next_at: Nanos,
}

impl Patience {
    /// May the connection be dropped now? If so, that is counted.
    pub(crate) fn take(&mut self, now: Nanos) -> bool {
        if now < self.next_at {
            return false;
        }
        let pause = RECONNECT_PAUSE_BASE.saturating_mul(1 << self.in_row.min(RECONNECT_DOUBLINGS_MAX));
        self.next_at = now + pause;
        self.in_row = self.in_row.saturating_add(1);
        true
    }

    /// Everything speaks.
    pub(crate) fn restore(&mut self) {
        self.in_row = 0;
    }
}

fn symbol_id(index: usize) -> SymbolId {
    // The number of symbols was checked against a bound far below at the start.
    SymbolId(index as u16)
}

/// Shortest time between two reconnects because of silence.
const RECONNECT_PAUSE_BASE: Duration = Duration::from_secs(10);
/// Doublings of that time: 640 s at most.
const RECONNECT_DOUBLINGS_MAX: u32 = 6;

#[cfg(test)]
mod tests {
    use super::*;
    use optiflow_base::ring::{Rx, ring};

    const SILENCE: Silence = Silence {
        depth: Duration::from_secs(1),
        top: Duration::from_secs(2),
        trade: Duration::from_secs(30),
        mark: Duration::from_secs(5),
    };

    fn told(rx: &mut Rx<MarketEvent>) -> Vec<(u16, StreamKind, bool)> {
        let mut told = Vec::new();
        while let Some(event) = rx.pop() {
            if let MarketBody::Silence { symbol, stream, silent } = event.body {
                told.push((symbol.0, stream, silent));
            }
        }
        told
    }

    fn check(watch: &mut Watch, now: Nanos) -> Vec<(SymbolId, StreamKind)> {
        let mut silent = Vec::new();
        watch.check(now, |symbol, kind| silent.push((symbol, kind)));
        silent
    }

    #[test]
    fn silence_is_noticed_once_and_its_end_too_even_without_any_first_event() {
        let (mut market, mut market_rx) = ring("market", 8);
        let (mut quotes, mut quotes_rx) = ring("quotes", 8);
        let mut watch = Watch::new(SILENCE, 2);
        let at = Nanos::from_millis;
        watch.begin(at(10_000));
        assert!(check(&mut watch, at(11_000)).is_empty());
        watch.heard(SymbolId(0), StreamKind::Depth, at(10_500));
        assert_eq!(check(&mut watch, at(11_001)), [(SymbolId(1), StreamKind::Depth)]);
        assert!(check(&mut watch, at(11_001)).is_empty());
        watch.tell(at(11_001), &mut market, &mut quotes);
        assert_eq!(told(&mut market_rx), [(1, StreamKind::Depth, true)]);
        assert!(watch.is_overdue(&[StreamKind::Depth, StreamKind::Top], at(10_000), at(11_001)));
        assert!(!watch.is_overdue(&[StreamKind::Depth, StreamKind::Top], at(10_500), at(11_001)), "up too recently");
        assert!(!watch.is_overdue(&[StreamKind::Trade, StreamKind::Mark], at(10_000), at(11_001)));
        assert!(watch.heard(SymbolId(1), StreamKind::Depth, at(11_500)));
        watch.tell(at(11_500), &mut market, &mut quotes);
        assert_eq!(told(&mut market_rx), [(1, StreamKind::Depth, false)]);
        assert_eq!(told(&mut quotes_rx), [(1, StreamKind::Depth, true), (1, StreamKind::Depth, false)]);
    }

    #[test]
    fn what_a_full_ring_could_not_take_is_told_later() {
        let (mut market, mut market_rx) = ring("market", 8);
        let (mut quotes, mut quotes_rx) = ring("quotes", 1);
        let mut watch = Watch::new(SILENCE, 1);
        let at = Nanos::from_millis;
        assert_eq!(check(&mut watch, at(2_001)).len(), 2);
        for _ in 0..3 {
            watch.tell(at(2_001), &mut market, &mut quotes);
        }
        assert_eq!(told(&mut market_rx), [(0, StreamKind::Depth, true), (0, StreamKind::Top, true)]);
        assert_eq!(told(&mut quotes_rx), [(0, StreamKind::Depth, true)]);
        watch.tell(at(2_002), &mut market, &mut quotes);
        assert_eq!(told(&mut quotes_rx), [(0, StreamKind::Top, true)]);
        assert!(told(&mut market_rx).is_empty());
    }

    #[test]
    fn reconnects_because_of_silence_grow_rare() {
        let mut patience = Patience::default();
        let taken: Vec<u64> = (0..700).filter(|&second| patience.take(Nanos::from_millis(second * 1_000))).collect();
        assert_eq!(taken, [0, 10, 30, 70, 150, 310, 630]);
        patience.restore();
        assert!(patience.take(Nanos::from_millis(1_300_000)) && !patience.take(Nanos::from_millis(1_309_999)));
    }
}
