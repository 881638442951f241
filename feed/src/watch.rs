//! Silence watchdog: when did each stream of each symbol last say something, and was it news?
//!
//! An open socket and an acknowledged subscription prove nothing; only data does. A stream counts as heard from the
//! start of the session, so one that never speaks at all is noticed too. One that tells old news is no better: it counts
//! as silent until it has caught up. What changed is told to both rings, as soon as they have room. Never reconnects by
//! itself: it says when that is due, less and less often. Runs on the feed thread.

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
    /// A stream that is later than this tells old news, ns.
    lag_max: u64,
    symbols: Vec<[Stream; StreamKind::ALL.len()]>,
    /// A change has not reached both rings yet.
    untold: bool,
}

#[derive(Clone, Copy, Debug, Default)]
struct Stream {
    heard: Nanos,
    silent: bool,
    /// Since when what it says has been old news.
    late: Option<Nanos>,
    /// What the market ring knows.
    told_market: bool,
    /// What the quotes ring knows.
    told_quotes: bool,
}

/// What a message changed about its stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Heard {
    /// Nothing.
    AsBefore,
    /// It had been silent.
    Again,
    /// It had told old news and has caught up.
    CaughtUp,
}

impl Stream {
    /// Not to be relied on.
    const fn is_out(&self) -> bool {
        self.silent || self.late.is_some()
    }
}

impl Watch {
    /// Watches `symbols` symbols, each heard just now.
    pub(crate) fn new(silence: Silence, lag_max: Duration, symbols: usize) -> Watch {
        let lag_max = nanos_of(lag_max);
        assert!(lag_max > 0, "a lag has a limit");
        let watch = Watch { silence, lag_max, symbols: vec![Default::default(); symbols], untold: false };
        assert!(StreamKind::ALL.iter().all(|&kind| watch.limit(kind) > 0), "silence has a limit: {silence:?}");
        watch
    }

    /// The session begins: everything counts as heard now.
    pub(crate) fn begin(&mut self, now: Nanos) {
        for stream in self.symbols.iter_mut().flatten() {
            stream.heard = now;
        }
    }

    /// A stream is about to tell what happened `lag` nanoseconds ago. True when that is old news and it is the first: say
    /// so before it is passed on.
    #[inline]
    pub(crate) fn judge(&mut self, symbol: SymbolId, kind: StreamKind, now: Nanos, lag: u64) -> bool {
        if lag <= self.lag_max {
            return false;
        }
        let stream = &mut self.symbols[symbol.index()][kind as usize];
        let is_first = stream.late.is_none();
        stream.late.get_or_insert(now);
        self.untold |= is_first;
        is_first
    }

    /// A stream told what happened `lag` nanoseconds ago, and it counts.
    #[inline]
    pub(crate) fn heard(&mut self, symbol: SymbolId, kind: StreamKind, now: Nanos, lag: u64) -> Heard {
        let stream = &mut self.symbols[symbol.index()][kind as usize];
        stream.heard = now;
        let has_caught_up = stream.late.is_some() && lag <= self.lag_max / 2;
        if !stream.silent && !has_caught_up {
            return Heard::AsBefore;
        }
        stream.silent = false;
        self.untold = true;
        if has_caught_up {
            stream.late = None;
            return Heard::CaughtUp;
        }
        Heard::Again
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

    /// Is one of these kinds silent although its connection has been up for longer than the limit, or does it still tell
    /// old news on it after long enough? One that was late once and says nothing since may just be quiet.
    pub(crate) fn is_overdue(&self, kinds: &[StreamKind], up_since: Nanos, now: Nanos) -> bool {
        let overdue = |kind: &StreamKind| {
            let patient = now.since(up_since) <= self.limit(*kind);
            let late = |stream: &Stream| {
                // What was heard last was late, or it would have caught up.
                stream.late.is_some_and(|since| stream.heard.since(since.max(up_since)) > LATE_WAIT_NS)
            };
            let streams = || self.symbols.iter().map(|streams| &streams[*kind as usize]);
            streams().any(|stream| (stream.silent && !patient) || late(stream))
        };
        kinds.iter().any(overdue)
    }

    /// Is any stream of these kinds silent or late?
    pub(crate) fn is_any_out(&self, kinds: &[StreamKind]) -> bool {
        self.symbols.iter().any(|streams| kinds.iter().any(|&kind| streams[kind as usize].is_out()))
    }

    /// Tells both rings what they do not know yet, as far as there is room.
    pub(crate) fn tell(&mut self, now: Nanos, market: &mut Tx<MarketEvent>, quotes: &mut Tx<MarketEvent>) {
        if !self.untold {
            return;
        }
        self.untold = false;
        for (symbol, streams) in self.symbols.iter_mut().enumerate() {
            for (stream, kind) in streams.iter_mut().zip(StreamKind::ALL) {
                let silent = stream.is_out();
                let body = MarketBody::Silence { symbol: symbol_id(symbol), stream: kind, silent };
                let event = MarketEvent { received: now, body };
                if stream.told_market != silent && market.push(event).is_ok() {
                    stream.told_market = silent;
                }
                if stream.told_quotes != silent && quotes.push(event).is_ok() {
                    stream.told_quotes = silent;
                }
                self.untold |= stream.told_market != silent || stream.told_quotes != silent;
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

/// How often a connection may be dropped because of silence or lag: at first after 10 s, then ever more rarely.
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

/// A connection whose stream still tells old news after so long is dropped: a new one begins with the present.
const LATE_WAIT_NS: u64 = 2_000_000_000;
/// Shortest time between two reconnects because of silence or lag.
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
    const LAG_MAX: Duration = Duration::from_secs(2);

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
        let mut watch = Watch::new(SILENCE, LAG_MAX, 2);
        let at = Nanos::from_millis;
        watch.begin(at(10_000));
        assert!(check(&mut watch, at(11_000)).is_empty());
        watch.heard(SymbolId(0), StreamKind::Depth, at(10_500), 0);
        assert_eq!(check(&mut watch, at(11_001)), [(SymbolId(1), StreamKind::Depth)]);
        assert!(check(&mut watch, at(11_001)).is_empty());
        watch.tell(at(11_001), &mut market, &mut quotes);
        assert_eq!(told(&mut market_rx), [(1, StreamKind::Depth, true)]);
        assert!(watch.is_overdue(&[StreamKind::Depth, StreamKind::Top], at(10_000), at(11_001)));
        assert!(!watch.is_overdue(&[StreamKind::Depth, StreamKind::Top], at(10_500), at(11_001)), "up too recently");
        assert!(!watch.is_overdue(&[StreamKind::Trade, StreamKind::Mark], at(10_000), at(11_001)));
        assert_eq!(watch.heard(SymbolId(1), StreamKind::Depth, at(11_500), 0), Heard::Again);
        watch.tell(at(11_500), &mut market, &mut quotes);
        assert_eq!(told(&mut market_rx), [(1, StreamKind::Depth, false)]);
        assert_eq!(told(&mut quotes_rx), [(1, StreamKind::Depth, true), (1, StreamKind::Depth, false)]);
    }

    #[test]
    fn a_late_stream_counts_as_silent_until_it_has_caught_up_and_its_connection_is_dropped() {
        let (mut market, mut market_rx) = ring("market", 8);
        let (mut quotes, _quotes_rx) = ring("quotes", 8);
        let (mut watch, at, depth) = (Watch::new(SILENCE, LAG_MAX, 1), Nanos::from_millis, StreamKind::Depth);
        watch.begin(at(0));
        // When, how late (ms), what that is, what is told.
        let hear = |watch: &mut Watch, millis: u64, lag: u64| {
            let first = watch.judge(SymbolId(0), depth, at(millis), lag * 1_000_000);
            (first, watch.heard(SymbolId(0), depth, at(millis), lag * 1_000_000))
        };
        type Row<'a> = (u64, u64, (bool, Heard), &'a [(u16, StreamKind, bool)]);
        let table: [Row<'_>; 8] = [
            (100, 0, (false, Heard::AsBefore), &[]),
            (200, 2_000, (false, Heard::AsBefore), &[]),
            (300, 2_001, (true, Heard::AsBefore), &[(0, depth, true)]),
            (400, 1_500, (false, Heard::AsBefore), &[]),
            (500, 3_000, (false, Heard::AsBefore), &[]),
            (2_200, 1_001, (false, Heard::AsBefore), &[]),
            (2_400, 1_000, (false, Heard::CaughtUp), &[(0, depth, false)]),
            (2_500, 1_500, (false, Heard::AsBefore), &[]),
        ];
        for (millis, lag, heard, expected) in table {
            assert_eq!(hear(&mut watch, millis, lag), heard, "{millis}");
            watch.tell(at(millis), &mut market, &mut quotes);
            assert_eq!(told(&mut market_rx), expected, "{millis}");
            assert_eq!(watch.is_any_out(&[depth]), (300..2_400).contains(&millis), "{millis}");
            assert!(!watch.is_overdue(&[depth], at(0), at(millis)), "{millis}");
        }
        assert_eq!(hear(&mut watch, 3_000, 5_000), (true, Heard::AsBefore));
        assert!(!watch.is_overdue(&[depth], at(0), at(9_000)), "it says nothing more");
        assert_eq!(hear(&mut watch, 5_000, 5_000), (false, Heard::AsBefore));
        assert!(!watch.is_overdue(&[depth], at(0), at(5_000)));
        assert_eq!(hear(&mut watch, 5_001, 1_001), (false, Heard::AsBefore));
        assert!(watch.is_overdue(&[depth], at(0), at(5_001)));
        assert!(!watch.is_overdue(&[depth], at(4_000), at(5_001)), "up too recently");
        // Late and then silent as well: it is out until it is neither.
        assert_eq!(
            check(&mut watch, at(6_002)),
            [(SymbolId(0), depth), (SymbolId(0), StreamKind::Top), (SymbolId(0), StreamKind::Mark)]
        );
        assert_eq!(hear(&mut watch, 6_100, 5_000), (false, Heard::Again));
        assert!(watch.is_any_out(&[depth]));
        assert_eq!(hear(&mut watch, 6_200, 0), (false, Heard::CaughtUp));
        assert!(!watch.is_any_out(&[depth]));
    }

    #[test]
    fn what_a_full_ring_could_not_take_is_told_later() {
        let (mut market, mut market_rx) = ring("market", 8);
        let (mut quotes, mut quotes_rx) = ring("quotes", 1);
        let mut watch = Watch::new(SILENCE, LAG_MAX, 1);
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
