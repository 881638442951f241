//! Silence: an open socket proves nothing, only data does. Which streams have been silent for too long?
//!
//! Says each silence once, and when a connection is due to be dropped for it: less and less often, because a symbol may
//! be quiet by itself. Never reads a clock.

use std::time::Duration;

use optiflow_base::clock::Nanos;
use optiflow_base::market::StreamKind;
use optiflow_feed::Silence;

use super::recorder::Route;

/// When each stream of each symbol last said something.
pub struct Watch {
    limits: [Duration; StreamKind::ALL.len()],
    heard: Vec<[Heard; StreamKind::ALL.len()]>,
    patience: [Patience; Route::ALL.len()],
}

#[derive(Clone, Copy, Default)]
struct Heard {
    at: Nanos,
    silent: bool,
}

#[derive(Clone, Copy, Default)]
struct Patience {
    in_row: u32,
    next_at: Nanos,
}

impl Watch {
    /// Watches so many symbols.
    pub fn new(silence: Silence, symbols: usize) -> Watch {
        let limit = |kind: StreamKind| match kind {
            StreamKind::Depth => silence.depth,
            StreamKind::Top => silence.top,
            StreamKind::Trade => silence.trade,
            StreamKind::Mark => silence.mark,
        };
        Watch {
            limits: StreamKind::ALL.map(limit),
            heard: vec![Default::default(); symbols],
            patience: Default::default(),
        }
    }

    /// The streams of a route count as heard from here: it has just come up.
    pub fn begin(&mut self, route: Route, now: Nanos) {
        for streams in &mut self.heard {
            for kind in route.kinds() {
                streams[kind as usize].at = now;
            }
        }
    }

    /// A stream spoke.
    pub fn heard(&mut self, symbol: usize, kind: StreamKind, now: Nanos) {
        self.heard[symbol][kind as usize] = Heard { at: now, silent: false };
    }

    /// Tells every stream of the route that has just become silent; should the connection be dropped for silence?
    pub fn check(&mut self, route: Route, now: Nanos, mut tell: impl FnMut(usize, StreamKind, Duration)) -> bool {
        let mut any = false;
        for (symbol, streams) in self.heard.iter_mut().enumerate() {
            for kind in route.kinds() {
                let (stream, limit) = (&mut streams[kind as usize], self.limits[kind as usize]);
                if now > stream.at + limit {
                    any = true;
                    if !stream.silent {
                        stream.silent = true;
                        tell(symbol, kind, limit);
                    }
                }
            }
        }
        let patience = &mut self.patience[route as usize];
        if !any {
            patience.in_row = 0;
            return false;
        }
        if now < patience.next_at {
            return false;
        }
        patience.next_at = now + PAUSE_BASE.saturating_mul(1 << patience.in_row.min(DOUBLINGS_MAX));
        patience.in_row = patience.in_row.saturating_add(1);
        true
    }
}

/// Shortest time between two reconnects for silence.
const PAUSE_BASE: Duration = Duration::from_secs(10);
/// Doublings of that time: 640 s at most.
const DOUBLINGS_MAX: u32 = 6;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn silence_is_told_once_and_drops_the_connection_ever_more_rarely() {
        let second = Duration::from_secs(1);
        let silence = Silence { depth: second, top: second * 2, trade: second * 60, mark: second * 10 };
        let mut watch = Watch::new(silence, 1);
        let at = |ms: u64| Nanos::from_millis(ms);
        let mut told = Vec::new();
        watch.begin(Route::Public, at(0));
        watch.begin(Route::Market, at(0));
        let mut drops = Vec::new();
        for ms in (500..40_000).step_by(500) {
            watch.heard(0, StreamKind::Top, at(ms));
            watch.heard(0, StreamKind::Mark, at(ms));
            if watch.check(Route::Public, at(ms), |symbol, kind, _| told.push((ms, symbol, kind))) {
                drops.push(ms);
                watch.begin(Route::Public, at(ms));
            }
            assert!(!watch.check(Route::Market, at(ms), |_, _, _| panic!("it speaks")));
        }
        assert_eq!(told, [(1_500, 0, StreamKind::Depth)]);
        assert_eq!(drops[..2], [1_500, 11_500]);
        watch.heard(0, StreamKind::Depth, at(40_000));
        assert!(!watch.check(Route::Public, at(40_500), |_, _, _| panic!("it speaks again")));
    }
}
