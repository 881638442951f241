//! What the market says, as `Copy` events of one cache line: the words of the market ring.
//!
//! A depth message is one `DepthStart` and then its levels, three to an event; the last one has `end` set (a message
//! without levels is a `DepthStart` with `empty` set). Nothing is applied halfway: a reader acts on `end`.
//! Never allocates; knows no venue. Written by the feed thread, read by engine and (tops and marks only) risk.

use crate::clock::Nanos;
use crate::ids::SymbolId;
use crate::money::{Price, Qty, Side};

/// One event of the market, stamped when its bytes were read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C, align(64))]
pub struct MarketEvent {
    /// When the bytes that carried it were read from the socket.
    pub received: Nanos,
    /// What happened.
    pub body: MarketBody,
}

/// A price level; quantity zero removes it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Level {
    /// Price.
    pub price: Price,
    /// Absolute quantity at the price.
    pub qty: Qty,
}

/// Levels carried by one `Levels` event.
pub const LEVELS_LEN: usize = 3;

/// What happened in the market.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MarketBody {
    /// A snapshot (the book is emptied first) or a diff begins; it is in sequence, the feed has proven that.
    DepthStart {
        /// Which symbol.
        symbol: SymbolId,
        /// Empty the book first.
        snapshot: bool,
        /// No level follows: the message is complete.
        empty: bool,
        /// Last update id that the message covers (`u`, or `lastUpdateId` of a snapshot).
        last_id: u64,
        /// Exchange event time, ms.
        event_ms: u64,
        /// Exchange matching time, ms.
        match_ms: u64,
    },
    /// Levels of the message begun by the last `DepthStart` of the symbol.
    Levels {
        /// Which symbol.
        symbol: SymbolId,
        /// Bids or asks.
        side: Side,
        /// How many of `levels` count.
        count: u8,
        /// The message is complete: the book may be read.
        end: bool,
        /// The levels.
        levels: [Level; LEVELS_LEN],
    },
    /// Best bid and ask, from the same id space as depth.
    Top {
        /// Which symbol.
        symbol: SymbolId,
        /// Book update id.
        update_id: u64,
        /// Best bid price and quantity.
        bid: Level,
        /// Best ask price and quantity.
        ask: Level,
        /// Exchange event time, ms.
        event_ms: u64,
    },
    /// Trades of one taker at one price.
    Trade {
        /// Which symbol.
        symbol: SymbolId,
        /// Who crossed the spread.
        taker: Side,
        /// Price.
        price: Price,
        /// Quantity.
        qty: Qty,
        /// Aggregate trade id.
        id: u64,
        /// Exchange trade time, ms.
        trade_ms: u64,
        /// Exchange event time, ms.
        event_ms: u64,
    },
    /// Mark price and funding.
    Mark {
        /// Which symbol.
        symbol: SymbolId,
        /// Mark price.
        mark: Price,
        /// Index price.
        index: Price,
        /// Funding rate of the running interval, in 10⁻⁸.
        funding_rate: i64,
        /// When funding is next paid, ms; 0 when none is scheduled.
        next_funding_ms: u64,
        /// Exchange event time, ms.
        event_ms: u64,
    },
    /// The book can no longer be believed; nothing may be decided on it until the next snapshot.
    BookLost {
        /// Which symbol.
        symbol: SymbolId,
        /// Why.
        reason: BookLoss,
    },
    /// A stream has been silent beyond its limit or tells old news, or is again what it should be.
    Silence {
        /// Which symbol.
        symbol: SymbolId,
        /// Which stream.
        stream: StreamKind,
        /// True: silent or late now. False: it speaks again, and of the present.
        silent: bool,
    },
}

/// Why a book can no longer be believed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum BookLoss {
    /// A diff did not continue the one before (`pu` ≠ last `u`).
    Gap,
    /// The connection that carries the diffs went away.
    Disconnected,
    /// More diffs waited for a snapshot than the buffer holds.
    Overflow,
    /// A diff could not be understood.
    Malformed,
    /// The market ring was full.
    RingFull,
    /// The venue's own best prices, at the same update id, are others than the book's.
    Disagreed,
    /// Bid and ask stayed crossed for longer than a moment.
    Crossed,
    /// The price has gone where the last snapshot told nothing.
    OutOfRange,
}

/// Whoever keeps the book has reason not to believe it, although the diffs are in sequence: it wants it anew.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BookDoubt {
    /// Which symbol.
    pub symbol: SymbolId,
    /// Why.
    pub reason: BookLoss,
}

/// The market streams of a symbol, each with its own silence watchdog.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u8)]
pub enum StreamKind {
    /// Book diffs.
    Depth,
    /// Best bid and ask.
    Top,
    /// Aggregated trades.
    Trade,
    /// Mark price.
    Mark,
}

impl StreamKind {
    /// All of them, in order.
    pub const ALL: [StreamKind; 4] = [StreamKind::Depth, StreamKind::Top, StreamKind::Trade, StreamKind::Mark];
}

impl MarketBody {
    /// Which symbol it is about.
    pub const fn symbol(&self) -> SymbolId {
        match self {
            MarketBody::DepthStart { symbol, .. }
            | MarketBody::Levels { symbol, .. }
            | MarketBody::Top { symbol, .. }
            | MarketBody::Trade { symbol, .. }
            | MarketBody::Mark { symbol, .. }
            | MarketBody::BookLost { symbol, .. }
            | MarketBody::Silence { symbol, .. } => *symbol,
        }
    }
}

const _: () = assert!(size_of::<MarketEvent>() == 64, "a market event is one cache line");
