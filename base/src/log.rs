//! Everything that happened, on its way to storage.
//!
//! Each room owns one [`Log`]: the writing end of a ring of its own. Writing never blocks and never allocates; when the
//! ring is full the event is dropped, counted, and the loss itself is written as soon as there is room.

use crate::clock::Nanos;
use crate::ids::{OrderId, SymbolId};
use crate::money::Price;
use crate::order::{DenyReason, Intent, Report};
use crate::ring::Tx;
use crate::stage::Room;

/// One thing worth keeping.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum LogEvent {
    /// A strategy decided; written by engine before risk sees it.
    Intent(Intent),
    /// Risk refused.
    Denied {
        /// Which symbol.
        symbol: SymbolId,
        /// Which order.
        order: OrderId,
        /// When.
        at: Nanos,
        /// Why.
        reason: DenyReason,
    },
    /// Risk lets no new risk through in a symbol for a while, or until a restart: the exchange keeps refusing its orders.
    Halted {
        /// Which symbol.
        symbol: SymbolId,
        /// When.
        at: Nanos,
        /// What is refused, and how.
        refusal: Refusal,
        /// Until when; `None`: until a restart.
        until: Option<Nanos>,
    },
    /// Something came back: order event, position, wallet, usage, gate. Written by oms.
    Report(Report),
    /// Signals at one instant, sampled.
    Signal(SignalSample),
    /// One latency measured.
    Latency {
        /// Between which points.
        span: Span,
        /// Nanoseconds.
        nanos: u64,
    },
    /// Something a person may want to know: a reconnect, a resync, a latch.
    Notice(Notice),
    /// Events of this room that were dropped because its ring was full.
    Lost {
        /// Whose ring.
        room: Room,
        /// How many since the last report.
        count: u64,
    },
}

/// What the exchange refuses, and how: two are identical when they are equal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// A new order, with this venue code.
    Order(i32),
    /// Other terms for an order, with this venue code.
    Modify(i32),
    /// A post-only order that would have taken.
    WouldTake,
}

/// Signals at one instant; definitions in the engine.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SignalSample {
    /// Which symbol.
    pub symbol: SymbolId,
    /// When.
    pub at: Nanos,
    /// Best bid.
    pub bid: Price,
    /// Best ask.
    pub ask: Price,
    /// Mark price; zero until known.
    pub mark: Price,
    /// Order-book imbalance of the best level, −1 to 1.
    pub obi_l1: f64,
    /// Order-book imbalance of five levels, −1 to 1.
    pub obi_l5: f64,
    /// Microprice − mid in basis points of the mid.
    pub micro_bps: f64,
    /// Trade-flow imbalance over the configured window, −1 to 1.
    pub flow: f64,
    /// Trades in the last second.
    pub trades_per_second: f64,
}

/// Something a person may want to know.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Notice {
    /// Which room says it.
    pub room: Room,
    /// When.
    pub at: Nanos,
    /// What happened, in a fixed phrase such as `"reconnecting"`.
    pub what: &'static str,
    /// A number that belongs to it: a code, a count, an id.
    pub value: i64,
}

/// Between which two points a latency was measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u8)]
pub enum Span {
    /// Bytes read → event on the market ring.
    Feed,
    /// Bytes read → book, signals and strategy done with the message.
    Engine,
    /// Decided → approved.
    Risk,
    /// Approved → request handed to the socket.
    Oms,
    /// Bytes read → request handed to the socket.
    TickToOrder,
    /// Order request handed to the socket → exchange's answer.
    OrderAck,
    /// Cancel request handed to the socket → exchange's answer.
    CancelAck,
    /// Exchange's event time → bytes read, beyond the shortest way known (market streams).
    MarketDelay,
    /// Exchange's event time → bytes read (user stream).
    UserDelay,
}

impl Span {
    /// All of them, in the order in which they are reported.
    pub const ALL: [Span; 9] = [
        Span::Feed,
        Span::Engine,
        Span::Risk,
        Span::Oms,
        Span::TickToOrder,
        Span::OrderAck,
        Span::CancelAck,
        Span::MarketDelay,
        Span::UserDelay,
    ];

    /// Name in tables and the database.
    pub const fn name(self) -> &'static str {
        match self {
            Span::Feed => "feed",
            Span::Engine => "engine",
            Span::Risk => "risk",
            Span::Oms => "oms",
            Span::TickToOrder => "tick_to_order",
            Span::OrderAck => "order_ack",
            Span::CancelAck => "cancel_ack",
            Span::MarketDelay => "market_delay",
            Span::UserDelay => "user_delay",
        }
    }
}

/// A room's writing end towards storage.
#[derive(Debug)]
pub struct Log {
    room: Room,
    tx: Tx<LogEvent>,
    lost: u64,
    lost_total: u64,
}

impl Log {
    /// The log of `room` over its own ring.
    pub const fn new(room: Room, tx: Tx<LogEvent>) -> Log {
        Log { room, tx, lost: 0, lost_total: 0 }
    }

    /// Keeps the event, or counts it as lost when storage cannot keep up.
    pub fn write(&mut self, event: LogEvent) {
        if self.lost > 0 && self.tx.push(LogEvent::Lost { room: self.room, count: self.lost }).is_ok() {
            self.lost = 0;
        }
        if self.tx.push(event).is_err() {
            self.lost += 1;
            self.lost_total += 1;
        }
    }

    /// Keeps a latency.
    pub fn latency(&mut self, span: Span, nanos: u64) {
        self.write(LogEvent::Latency { span, nanos });
    }

    /// Keeps a notice.
    pub fn notice(&mut self, at: Nanos, what: &'static str, value: i64) {
        self.write(LogEvent::Notice(Notice { room: self.room, at, what, value }));
    }

    /// Events lost since the start.
    pub const fn lost_total(&self) -> u64 {
        self.lost_total
    }
}

const _: () = assert!(size_of::<LogEvent>() <= 128, "a log event is at most two cache lines");

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ring::ring;

    #[test]
    fn a_full_ring_loses_events_but_never_the_fact() {
        let (tx, mut rx) = ring("log", 2);
        let mut log = Log::new(Room::Engine, tx);
        for nanos in 0..5 {
            log.latency(Span::Feed, nanos);
        }
        assert_eq!(log.lost_total(), 3);
        assert_eq!(rx.pop(), Some(LogEvent::Latency { span: Span::Feed, nanos: 0 }));
        assert_eq!(rx.pop(), Some(LogEvent::Latency { span: Span::Feed, nanos: 1 }));
        log.latency(Span::Feed, 9);
        assert_eq!(rx.pop(), Some(LogEvent::Lost { room: Room::Engine, count: 3 }));
        assert_eq!(rx.pop(), Some(LogEvent::Latency { span: Span::Feed, nanos: 9 }));
    }
}
