//! What the feed stage does with a message, an answer, and the passing of time; knows no sockets.
//!
//! Runs on the feed thread.

use std::time::Duration;

use optiflow_base::clock::{Clock, Nanos};
use optiflow_base::ids::{SymbolId, SymbolName};
use optiflow_base::limiter::Window;
use optiflow_base::log::Span;
use optiflow_base::market::StreamKind;
use optiflow_base::rest::RestReply;
use optiflow_base::stage::Progress;
use optiflow_wire::down::{Down, PUT_OFF};

use super::symbol::Symbol;
use super::tally::{Count, Tally};
use super::{FeedPorts, FeedSymbol, Route};
use crate::binance::streams::{SNAPSHOT_WEIGHT, snapshot_call};
use crate::binance::{Decoder, Message, Symbols};
use crate::lag::Lag;
use crate::sync::Joined;
use crate::watch::{Heard, Patience, Silence, Watch};

/// Everything of the feed stage but its sockets.
pub(super) struct Desk<C> {
    clock: C,
    decoder: Decoder,
    symbols: Vec<Symbol>,
    watch: Watch,
    lag: Lag,
    routes: [RouteState; Route::ALL.len()],
    weight: Window,
    ports: FeedPorts,
    tally: Tally,
    fallbacks_told: u64,
    messages: u64,
    begun: bool,
    care_at: Nanos,
}

#[derive(Default)]
struct RouteState {
    up_since: Option<Nanos>,
    patience: Patience,
}

impl<C: Clock> Desk<C> {
    pub(super) fn new(
        symbols: &[FeedSymbol],
        silence: Silence,
        lag_max: Duration,
        clock: C,
        ports: FeedPorts,
    ) -> Desk<C> {
        let names: Vec<SymbolName> = symbols.iter().map(|symbol| symbol.name).collect();
        Desk {
            clock,
            decoder: Decoder::new(Symbols::new(&names)),
            symbols: symbols.iter().map(Symbol::new).collect(),
            watch: Watch::new(silence, lag_max, names.len()),
            lag: Lag::default(),
            routes: Default::default(),
            weight: Window::new(SNAPSHOT_WEIGHT_MINUTE_MAX, Duration::from_secs(60)),
            ports,
            tally: Tally::default(),
            fallbacks_told: 0,
            messages: 0,
            begun: false,
            care_at: AT_ONCE,
        }
    }

    /// The first step starts the watchdog.
    pub(super) fn begin(&mut self, now: Nanos) {
        if !self.begun {
            self.begun = true;
            self.watch.begin(now);
        }
    }

    pub(super) fn up(&mut self, route: Route, now: Nanos) {
        self.routes[route as usize].up_since = Some(now);
        match route {
            Route::Public => {
                self.ports.log.notice(now, "public streams connected", 0);
                self.symbols.iter_mut().for_each(|symbol| symbol.sync.connected());
            }
            Route::Market => self.ports.log.notice(now, "market streams connected", 0),
        }
    }

    /// A connection, or an attempt to make one, ended. Ids may begin anew after it.
    pub(super) fn down(&mut self, route: Route, reason: Down, now: Nanos) {
        if reason == Down::PutOff {
            return self.ports.log.notice(now, PUT_OFF, 0);
        }
        let was_up = self.routes[route as usize].up_since.take().is_some();
        let what = match (route, was_up) {
            (Route::Public, true) => "public streams disconnected",
            (Route::Public, false) => "public streams: connecting failed",
            (Route::Market, true) => "market streams disconnected",
            (Route::Market, false) => "market streams: connecting failed",
        };
        self.ports.log.notice(now, what, reason.code());
        if let Some(fault) = reason.tls_fault() {
            self.ports.log.notice(now, fault, reason.code());
        }
        if !was_up {
            return;
        }
        for symbol in &mut self.symbols {
            match route {
                Route::Public => symbol.public_lost(now, &mut self.ports.market),
                Route::Market => symbol.market_lost(),
            }
        }
        self.care_at = AT_ONCE;
    }

    /// A message of either connection.
    pub(super) fn text(&mut self, payload: &mut [u8]) {
        let received = self.clock.now();
        let (symbols, ports, tally) = (&mut self.symbols, &mut self.ports, &mut self.tally);
        let (clocks, watch) = (&mut self.lag, &mut self.watch);
        let heard = match self.decoder.decode(payload) {
            Ok(Message::Depth { symbol, diff }) => {
                let lag = clocks.of(received, diff.event_ms);
                judge(watch, ports, (symbol, StreamKind::Depth), received, lag);
                let accepted = symbols[symbol.index()].depth(received, &diff, ports, tally);
                if !accepted && symbols[symbol.index()].needs_care(received) {
                    self.care_at = AT_ONCE;
                }
                accepted.then_some((symbol, StreamKind::Depth, lag))
            }
            Ok(Message::Top(top)) => {
                let lag = clocks.of(received, top.event_ms);
                judge(watch, ports, (top.symbol, StreamKind::Top), received, lag);
                let accepted = symbols[top.symbol.index()].top(received, &top, ports, tally);
                accepted.then_some((top.symbol, StreamKind::Top, lag))
            }
            Ok(Message::Trade(trade)) => {
                let lag = clocks.of(received, trade.event_ms);
                judge(watch, ports, (trade.symbol, StreamKind::Trade), received, lag);
                let accepted = symbols[trade.symbol.index()].trade(received, &trade, ports, tally);
                accepted.then_some((trade.symbol, StreamKind::Trade, lag))
            }
            Ok(Message::Mark(mark)) => {
                let lag = clocks.of(received, mark.event_ms);
                judge(watch, ports, (mark.symbol, StreamKind::Mark), received, lag);
                let accepted = symbols[mark.symbol.index()].mark(received, &mark, ports, tally);
                accepted.then_some((mark.symbol, StreamKind::Mark, lag))
            }
            Ok(Message::Other) => None,
            Err(error) => {
                tally.add(Count::Malformed);
                if let Some((symbol, StreamKind::Depth)) = error.stream {
                    symbols[symbol.index()].malformed(received, ports);
                    self.care_at = AT_ONCE;
                }
                None
            }
        };
        if let Some((symbol, kind, lag)) = heard {
            self.accepted(symbol, kind, lag, received);
        }
    }

    /// A stream said something that counts.
    fn accepted(&mut self, symbol: SymbolId, kind: StreamKind, lag: u64, received: Nanos) {
        let heard = self.watch.heard(symbol, kind, received, lag);
        if heard != Heard::AsBefore {
            self.changed(symbol, kind, heard, lag, received);
        }
        if self.symbols[symbol.index()].needs_care(received) {
            self.care_at = AT_ONCE;
        }
        self.messages += 1;
        if self.messages.is_multiple_of(LATENCY_SAMPLED_EVERY) {
            self.ports.log.latency(Span::Feed, self.clock.now().since(received));
            self.ports.log.latency(Span::MarketDelay, lag);
        }
    }

    /// A stream speaks again, or has caught up.
    #[cold]
    fn changed(&mut self, symbol: SymbolId, kind: StreamKind, heard: Heard, lag: u64, received: Nanos) {
        let what = match heard {
            Heard::AsBefore => return,
            Heard::Again => speaks_phrase(kind),
            Heard::CaughtUp => caught_up_phrase(kind),
        };
        self.ports.log.notice(received, what, i64::from(symbol.0));
        self.ports.log.latency(Span::MarketDelay, lag);
        // Told before the next message is read.
        self.care_at = AT_ONCE;
    }

    /// Takes what the engine does not believe, up to the bound.
    pub(super) fn take_doubts(&mut self, now: Nanos) -> Progress {
        let mut taken = 0;
        while taken < DOUBTS_PER_STEP_MAX
            && let Some(doubt) = self.ports.doubts.pop()
        {
            self.symbols[doubt.symbol.index()].distrusted(now, doubt.reason, &mut self.ports);
            self.care_at = AT_ONCE;
            taken += 1;
        }
        Progress::from_work(taken > 0)
    }

    /// Takes answers to snapshot calls, up to the bound.
    pub(super) fn take_replies(&mut self, now: Nanos) -> Progress {
        let mut taken = 0;
        while taken < REPLIES_PER_STEP_MAX
            && let Some(reply) = self.ports.replies.pop()
        {
            self.reply(now, reply);
            taken += 1;
        }
        Progress::from_work(taken > 0)
    }

    fn reply(&mut self, now: Nanos, mut reply: RestReply) {
        if let Some(until) = reply.usage.blocked_until {
            self.symbols.iter_mut().for_each(|symbol| symbol.sync.hold_off(until));
        }
        let (index, attempt) = untoken(reply.token);
        let Some(symbol) = self.symbols.get_mut(index) else { return };
        self.care_at = AT_ONCE;
        if !reply.is_ok() {
            symbol.sync.request_failed(attempt);
            self.tally.add(Count::SnapshotFailed);
            return;
        }
        match self.decoder.snapshot(&mut reply.body) {
            Ok(snapshot) if symbol.is_plausible(&snapshot) => {
                self.lag.answer(reply.sent, reply.received, snapshot.event_ms);
                match symbol.snapshot(now, attempt, reply.received, &snapshot, &mut self.ports) {
                    Joined::Refetch => self.tally.add(Count::SnapshotUnjoined),
                    Joined::Live | Joined::Waiting | Joined::Unasked | Joined::Lost(_) => {}
                }
            }
            Ok(_) | Err(_) => {
                symbol.sync.request_failed(attempt);
                self.tally.add(Count::SnapshotFailed);
            }
        }
    }

    /// Looks after what is due, every so often; true when it did.
    pub(super) fn care(&mut self, now: Nanos) -> bool {
        if now < self.care_at {
            return false;
        }
        self.care_at = now + CARE_EVERY;
        for index in 0..self.symbols.len() {
            self.symbols[index].settle(&mut self.ports);
            self.request_snapshot(index, now);
        }
        let log = &mut self.ports.log;
        self.watch.check(now, |symbol, kind| log.notice(now, silent_phrase(kind), i64::from(symbol.0)));
        self.watch.tell(now, &mut self.ports.market, &mut self.ports.quotes);
        for _ in self.fallbacks_told..self.decoder.fallbacks() {
            self.tally.add(Count::Fallback);
        }
        self.fallbacks_told = self.decoder.fallbacks();
        self.tally.report(now, &mut self.ports.log);
        true
    }

    fn request_snapshot(&mut self, index: usize, now: Nanos) {
        let symbol = &mut self.symbols[index];
        let wanted = symbol.sync.wants_snapshot(now) && self.ports.rest.free() > 0;
        if !wanted || !self.weight.take(now, SNAPSHOT_WEIGHT, 0) {
            return;
        }
        let attempt = symbol.sync.begin_request(now);
        let call = snapshot_call(&symbol.name, token(index, attempt));
        let refused = self.ports.rest.push(call).is_err();
        assert!(!refused, "room for the call was checked");
    }

    /// Should the connection be dropped because a stream of it stays silent? Counts as done when it says so.
    pub(super) fn reconnect_due(&mut self, route: Route, now: Nanos) -> bool {
        let state = &mut self.routes[route as usize];
        let Some(up_since) = state.up_since else { return false };
        if !self.watch.is_overdue(&route.kinds(), up_since, now) {
            if !self.watch.is_any_out(&route.kinds()) {
                state.patience.restore();
            }
            return false;
        }
        let due = state.patience.take(now);
        if due {
            let what = match route {
                Route::Public => "public streams dropped because of silence or lag",
                Route::Market => "market streams dropped because of silence or lag",
            };
            self.ports.log.notice(now, what, 0);
        }
        due
    }
}

/// Old news is known as such before it is passed on: whoever decides on every message must not decide on this one.
#[inline]
fn judge(watch: &mut Watch, ports: &mut FeedPorts, stream: (SymbolId, StreamKind), received: Nanos, lag: u64) {
    if watch.judge(stream.0, stream.1, received, lag) {
        ports.log.notice(received, late_phrase(stream.1), i64::from(stream.0.0));
        ports.log.latency(Span::MarketDelay, lag);
        watch.tell(received, &mut ports.market, &mut ports.quotes);
    }
}

/// Symbol and attempt of a snapshot call as one number.
const fn token(index: usize, attempt: u32) -> u64 {
    (index as u64) << 32 | attempt as u64
}

const fn untoken(token: u64) -> (usize, u32) {
    ((token >> 32) as usize, token as u32)
}

const fn silent_phrase(kind: StreamKind) -> &'static str {
    match kind {
        StreamKind::Depth => "depth stream silent",
        StreamKind::Top => "best price stream silent",
        StreamKind::Trade => "trade stream silent",
        StreamKind::Mark => "mark price stream silent",
    }
}

const fn speaks_phrase(kind: StreamKind) -> &'static str {
    match kind {
        StreamKind::Depth => "depth stream speaks again",
        StreamKind::Top => "best price stream speaks again",
        StreamKind::Trade => "trade stream speaks again",
        StreamKind::Mark => "mark price stream speaks again",
    }
}

const fn late_phrase(kind: StreamKind) -> &'static str {
    match kind {
        StreamKind::Depth => "depth stream late",
        StreamKind::Top => "best price stream late",
        StreamKind::Trade => "trade stream late",
        StreamKind::Mark => "mark price stream late",
    }
}

const fn caught_up_phrase(kind: StreamKind) -> &'static str {
    match kind {
        StreamKind::Depth => "depth stream caught up",
        StreamKind::Top => "best price stream caught up",
        StreamKind::Trade => "trade stream caught up",
        StreamKind::Mark => "mark price stream caught up",
    }
}

/// At the next opportunity.
const AT_ONCE: Nanos = Nanos(0);
/// How often the stage looks after what is due when nothing calls for it.
const CARE_EVERY: Duration = Duration::from_millis(10);
/// Answers taken in one step: each may carry 2 000 levels.
const REPLIES_PER_STEP_MAX: u32 = 2;
/// Doubts taken in one step.
const DOUBTS_PER_STEP_MAX: u32 = 16;
/// One message in so many has its latency measured: each measurement costs a clock reading and a log event.
const LATENCY_SAMPLED_EVERY: u64 = 16;
/// Request weight a minute that snapshots may use: half of what Binance gives an address.
const SNAPSHOT_WEIGHT_MINUTE_MAX: u32 = 1_200;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_carries_symbol_and_attempt() {
        for (index, attempt) in [(0, 0), (511, u32::MAX), (3, 7)] {
            assert_eq!(untoken(token(index, attempt)), (index, attempt));
        }
    }
}
