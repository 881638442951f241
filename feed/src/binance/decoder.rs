//! Bytes of one message to what they say, in fixed point.
//!
//! Two parsers give the same answer: the scanner knows the four messages that are subscribed and is fast; on any
//! surprise the general parser (simd-json) reads the message again and decides. How often that happens is counted.
//! Nothing is allocated after warm-up. Never judges sequence. Runs on the feed thread.

use std::fmt;

use optiflow_base::decimal::DecimalError;
use optiflow_base::ids::SymbolId;
use optiflow_base::market::{Level, MarketBody, StreamKind};
use optiflow_base::money::{Price, Qty, Side};

use super::general::General;
use super::scan;
use super::streams::Symbols;
use crate::sync::{Diff, Snapshot};

/// Reads messages, one at a time, into buffers of its own.
pub struct Decoder {
    symbols: Symbols,
    levels: Levels,
    general: General,
    fallbacks: u64,
}

/// What one message says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Message<'a> {
    /// A change of the book.
    Depth {
        /// Which symbol.
        symbol: SymbolId,
        /// The change.
        diff: Diff<'a>,
    },
    /// Best bid and ask.
    Top(Top),
    /// Trades of one taker at one price.
    Trade(Trade),
    /// Mark price and funding.
    Mark(Mark),
    /// Well-formed, but nothing that was asked for: another event, another symbol, a reply.
    Other,
}

/// Best bid and ask (`bookTicker`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Top {
    /// Which symbol.
    pub symbol: SymbolId,
    /// Book update id.
    pub update_id: u64,
    /// Best bid.
    pub bid: Level,
    /// Best ask.
    pub ask: Level,
    /// Exchange event time, ms.
    pub event_ms: u64,
}

/// Trades of one taker at one price (`aggTrade`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Trade {
    /// Which symbol.
    pub symbol: SymbolId,
    /// Who crossed the spread.
    pub taker: Side,
    /// Price.
    pub price: Price,
    /// Quantity.
    pub qty: Qty,
    /// Aggregate trade id.
    pub id: u64,
    /// Exchange trade time, ms.
    pub trade_ms: u64,
    /// Exchange event time, ms.
    pub event_ms: u64,
}

/// Mark price and funding (`markPriceUpdate`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mark {
    /// Which symbol.
    pub symbol: SymbolId,
    /// Mark price.
    pub mark: Price,
    /// Index price.
    pub index: Price,
    /// Funding rate of the running interval, in 10⁻⁸.
    pub funding_rate: i64,
    /// When funding is next paid, ms; 0 when none is scheduled.
    pub next_funding_ms: u64,
    /// Exchange event time, ms.
    pub event_ms: u64,
}

/// A message that cannot be understood.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DecodeError {
    /// What is wrong with it.
    pub fault: Fault,
    /// Symbol and stream, when the message says at least that much.
    pub stream: Option<(SymbolId, StreamKind)>,
}

/// Why a message cannot be understood.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Not JSON.
    Json,
    /// A field that must be there is not, or stands twice.
    Field(&'static str),
    /// A field is of another type than documented.
    Type(&'static str),
    /// A number is not a decimal of ours.
    Decimal(&'static str, DecimalError),
    /// A price or quantity is negative, or the first id is behind the last.
    Range(&'static str),
    /// More levels on a side than [`LEVELS_MAX`].
    Levels,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Fault::Json => f.write_str("it is not JSON"),
            Fault::Field(key) => write!(f, "field {key:?} is missing or stands twice"),
            Fault::Type(key) => write!(f, "field {key:?} is not of the documented type"),
            Fault::Decimal(key, error) => write!(f, "field {key:?} {error}"),
            Fault::Range(key) => write!(f, "field {key:?} is out of range"),
            Fault::Levels => write!(f, "a side has more than {LEVELS_MAX} levels"),
        }
    }
}

impl fmt::Display for DecodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "reading a market message: {}; it is skipped, a book that depends on it is fetched anew", self.fault)
    }
}

impl std::error::Error for DecodeError {}

impl Decoder {
    /// A decoder for these symbols; allocates its buffers here.
    pub fn new(symbols: Symbols) -> Decoder {
        Decoder { symbols, levels: Levels::new(), general: General::new(), fallbacks: 0 }
    }

    /// Reads a stream message, bare or in its `{"stream":…,"data":…}` wrapper. The bytes are spoilt afterwards.
    ///
    /// # Errors
    /// When the message is not JSON, or one of the four subscribed events without the fields it must have.
    pub fn decode(&mut self, payload: &mut [u8]) -> Result<Message<'_>, DecodeError> {
        let event = match scan::scan(payload, &self.symbols, &mut self.levels) {
            Some(event) => event,
            None => {
                let event = self.read_generally(payload)?;
                self.fallbacks += u64::from(event != Event::Other);
                event
            }
        };
        Ok(self.levels.message(event))
    }

    /// Reads a stream message by the general parser alone: the referee that tests and benches hold the scanner to.
    ///
    /// # Errors
    /// As [`Decoder::decode`].
    pub fn referee(&mut self, payload: &mut [u8]) -> Result<Message<'_>, DecodeError> {
        let event = self.read_generally(payload)?;
        Ok(self.levels.message(event))
    }

    /// Reads the answer to a snapshot call. The bytes are spoilt afterwards.
    ///
    /// # Errors
    /// When the body is not a book snapshot.
    pub fn snapshot(&mut self, body: &mut [u8]) -> Result<Snapshot<'_>, DecodeError> {
        match self.general.snapshot(body, &mut self.levels) {
            Ok(head) => Ok(Snapshot {
                last_id: head.last_id,
                event_ms: head.event_ms,
                match_ms: head.match_ms,
                bids: &self.levels.bids,
                asks: &self.levels.asks,
            }),
            Err(fault) => Err(DecodeError { fault, stream: None }),
        }
    }

    #[cold]
    fn read_generally(&mut self, payload: &mut [u8]) -> Result<Event, DecodeError> {
        // Asked before the parser spoils the bytes: a broken message may still say of which stream it is.
        let stream = scan::wrapper(payload).and_then(|stream| self.symbols.find_stream(stream));
        let read = self.general.event(payload, &self.symbols, &mut self.levels);
        read.map_err(|fault| DecodeError { fault, stream })
    }

    /// Subscribed messages that the scanner left to the general parser: should stay at zero.
    pub const fn fallbacks(&self) -> u64 {
        self.fallbacks
    }
}

impl Top {
    /// As the market ring carries it.
    pub const fn body(&self) -> MarketBody {
        let Top { symbol, update_id, bid, ask, event_ms } = *self;
        MarketBody::Top { symbol, update_id, bid, ask, event_ms }
    }
}

impl Trade {
    /// As the market ring carries it.
    pub const fn body(&self) -> MarketBody {
        let Trade { symbol, taker, price, qty, id, trade_ms, event_ms } = *self;
        MarketBody::Trade { symbol, taker, price, qty, id, trade_ms, event_ms }
    }
}

impl Mark {
    /// As the market ring carries it.
    pub const fn body(&self) -> MarketBody {
        let Mark { symbol, mark, index, funding_rate, next_funding_ms, event_ms } = *self;
        MarketBody::Mark { symbol, mark, index, funding_rate, next_funding_ms, event_ms }
    }
}

/// What a parser read; the levels of a depth message stand beside it in [`Levels`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Event {
    Depth(DepthHead),
    Top(Top),
    Trade(Trade),
    Mark(Mark),
    Other,
}

/// A depth message without its levels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct DepthHead {
    pub(super) symbol: SymbolId,
    pub(super) first_id: u64,
    pub(super) last_id: u64,
    pub(super) previous_id: u64,
    pub(super) event_ms: u64,
    pub(super) match_ms: u64,
}

/// A snapshot without its levels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct SnapshotHead {
    pub(super) last_id: u64,
    pub(super) event_ms: u64,
    pub(super) match_ms: u64,
}

/// Levels of the message that was read last; each side as large as it may ever become, from the start.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Levels {
    pub(super) bids: Vec<Level>,
    pub(super) asks: Vec<Level>,
}

impl Levels {
    pub(super) fn new() -> Levels {
        Levels { bids: Vec::with_capacity(LEVELS_MAX), asks: Vec::with_capacity(LEVELS_MAX) }
    }

    fn message(&self, event: Event) -> Message<'_> {
        match event {
            Event::Depth(head) => {
                let DepthHead { symbol, first_id, last_id, previous_id, event_ms, match_ms } = head;
                let (bids, asks) = (self.bids.as_slice(), self.asks.as_slice());
                Message::Depth { symbol, diff: Diff { first_id, last_id, previous_id, event_ms, match_ms, bids, asks } }
            }
            Event::Top(top) => Message::Top(top),
            Event::Trade(trade) => Message::Trade(trade),
            Event::Mark(mark) => Message::Mark(mark),
            Event::Other => Message::Other,
        }
    }
}

/// Most levels a side of one message; the largest recorded message has about 1 200 altogether.
pub const LEVELS_MAX: usize = 4_096;
