//! The fast parser: knows the four subscribed messages key by key, in any order, and nothing else.
//!
//! It answers only when the whole message is exactly what it expects; the general parser would then say the same (a
//! differential test holds both to it). Otherwise it answers `None`, with no harm done but the levels overwritten.
//! Unknown keys are stepped over when their value is a plain one. Never allocates. Runs on the feed thread.

use optiflow_base::ids::SymbolId;
use optiflow_base::market::{Level, StreamKind};
use optiflow_base::money::{Price, Qty, Side};

use super::cursor::{Cursor, two};
use super::decoder::{DepthHead, Event, Levels, Mark, Top, Trade};
use super::streams::{Symbols, kind_of_stream};

/// Reads a message, bare or wrapped; `None` when anything in it is a surprise.
pub(super) fn scan(payload: &[u8], symbols: &Symbols, levels: &mut Levels) -> Option<Event> {
    let mut cursor = Cursor::new(payload);
    if cursor.literal(WRAPPER).is_none() {
        let kind = kind_of_bare(payload)?;
        let event = event(&mut cursor, kind, symbols, levels)?;
        return cursor.is_at_end().then_some(event);
    }
    let kind = kind_of_stream(cursor.string()?)?;
    cursor.literal(DATA)?;
    let event = event(&mut cursor, kind, symbols, levels)?;
    cursor.literal(b"}")?;
    cursor.is_at_end().then_some(event)
}

/// The stream name of a wrapped message that may otherwise be broken.
pub(super) fn wrapper(payload: &[u8]) -> Option<&[u8]> {
    let mut cursor = Cursor::new(payload);
    cursor.literal(WRAPPER)?;
    cursor.string()
}

/// A bare message says what it is in its key `e`, wherever that stands.
fn kind_of_bare(payload: &[u8]) -> Option<StreamKind> {
    let at = memchr::memmem::find(payload, EVENT_KEY)?;
    let name = Cursor::new(payload.get(at + EVENT_KEY.len()..)?).quoted()?;
    StreamKind::ALL.into_iter().find(|&kind| event_name(kind) == name)
}

/// The event that a stream carries.
pub(super) const fn event_name(kind: StreamKind) -> &'static [u8] {
    match kind {
        StreamKind::Depth => b"depthUpdate",
        StreamKind::Top => b"bookTicker",
        StreamKind::Trade => b"aggTrade",
        StreamKind::Mark => b"markPriceUpdate",
    }
}

#[inline(always)]
fn event(cursor: &mut Cursor<'_>, kind: StreamKind, symbols: &Symbols, levels: &mut Levels) -> Option<Event> {
    match kind {
        StreamKind::Depth => depth(cursor, symbols, levels),
        StreamKind::Top => top(cursor, symbols),
        StreamKind::Trade => trade(cursor, symbols),
        StreamKind::Mark => mark(cursor, symbols),
    }
}

fn depth(cursor: &mut Cursor<'_>, symbols: &Symbols, levels: &mut Levels) -> Option<Event> {
    let mut fields = Fields::open(cursor)?;
    let (mut symbol, mut event_ms, mut match_ms) = (NO_SYMBOL, 0, 0);
    let (mut first_id, mut last_id, mut previous_id) = (0, 0, 0);
    loop {
        match cursor.key()? {
            E => fields.event(cursor, StreamKind::Depth)?,
            S => symbol = fields.symbol(cursor, symbols)?,
            EVENT_MS => event_ms = fields.integer(cursor, 2)?,
            MATCH_MS => match_ms = fields.integer(cursor, 3)?,
            UPPER_U => first_id = fields.integer(cursor, 4)?,
            LOWER_U => last_id = fields.integer(cursor, 5)?,
            PU => previous_id = fields.integer(cursor, 6)?,
            LOWER_B => fields.seen(7).and_then(|()| cursor.levels(&mut levels.bids))?,
            LOWER_A => fields.seen(8).and_then(|()| cursor.levels(&mut levels.asks))?,
            key => cursor.skip(key)?,
        }
        if fields.closed(cursor)? {
            break;
        }
    }
    if !fields.are_all(9) || first_id > last_id {
        return None;
    }
    Some(Event::Depth(DepthHead { symbol, first_id, last_id, previous_id, event_ms, match_ms }))
}

fn top(cursor: &mut Cursor<'_>, symbols: &Symbols) -> Option<Event> {
    let mut fields = Fields::open(cursor)?;
    let (mut symbol, mut event_ms, mut update_id) = (NO_SYMBOL, 0, 0);
    let (mut bid, mut bid_qty, mut ask, mut ask_qty) = (0, 0, 0, 0);
    loop {
        match cursor.key()? {
            E => fields.event(cursor, StreamKind::Top)?,
            S => symbol = fields.symbol(cursor, symbols)?,
            EVENT_MS => event_ms = fields.integer(cursor, 2)?,
            LOWER_U => update_id = fields.integer(cursor, 3)?,
            LOWER_B => bid = fields.amount(cursor, 4)?,
            UPPER_B => bid_qty = fields.amount(cursor, 5)?,
            LOWER_A => ask = fields.amount(cursor, 6)?,
            UPPER_A => ask_qty = fields.amount(cursor, 7)?,
            key => cursor.skip(key)?,
        }
        if fields.closed(cursor)? {
            break;
        }
    }
    if !fields.are_all(8) {
        return None;
    }
    Some(Event::Top(Top { symbol, update_id, bid: level(bid, bid_qty), ask: level(ask, ask_qty), event_ms }))
}

fn trade(cursor: &mut Cursor<'_>, symbols: &Symbols) -> Option<Event> {
    let mut fields = Fields::open(cursor)?;
    let (mut symbol, mut event_ms, mut trade_ms, mut id) = (NO_SYMBOL, 0, 0, 0);
    let (mut price, mut qty, mut buyer_is_maker) = (0, 0, false);
    loop {
        match cursor.key()? {
            E => fields.event(cursor, StreamKind::Trade)?,
            S => symbol = fields.symbol(cursor, symbols)?,
            EVENT_MS => event_ms = fields.integer(cursor, 2)?,
            MATCH_MS => trade_ms = fields.integer(cursor, 3)?,
            LOWER_A => id = fields.integer(cursor, 4)?,
            LOWER_P => price = fields.amount(cursor, 5)?,
            LOWER_Q => qty = fields.amount(cursor, 6)?,
            LOWER_M => buyer_is_maker = fields.seen(7).and_then(|()| cursor.boolean())?,
            key => cursor.skip(key)?,
        }
        if fields.closed(cursor)? {
            break;
        }
    }
    if !fields.are_all(8) {
        return None;
    }
    let (price, qty) = (Price::from_units(price), Qty::from_units(qty));
    Some(Event::Trade(Trade { symbol, taker: taker(buyer_is_maker), price, qty, id, trade_ms, event_ms }))
}

fn mark(cursor: &mut Cursor<'_>, symbols: &Symbols) -> Option<Event> {
    let mut fields = Fields::open(cursor)?;
    let (mut symbol, mut event_ms, mut next_funding_ms) = (NO_SYMBOL, 0, 0);
    let (mut mark, mut index, mut funding_rate) = (0, 0, 0);
    loop {
        match cursor.key()? {
            E => fields.event(cursor, StreamKind::Mark)?,
            S => symbol = fields.symbol(cursor, symbols)?,
            EVENT_MS => event_ms = fields.integer(cursor, 2)?,
            MATCH_MS => next_funding_ms = fields.integer(cursor, 3)?,
            LOWER_P => mark = fields.amount(cursor, 4)?,
            LOWER_I => index = fields.amount(cursor, 5)?,
            LOWER_R => funding_rate = fields.seen(6).and_then(|()| cursor.quoted_decimal())?,
            key => cursor.skip(key)?,
        }
        if fields.closed(cursor)? {
            break;
        }
    }
    if !fields.are_all(7) {
        return None;
    }
    let (mark, index) = (Price::from_units(mark), Price::from_units(index));
    Some(Event::Mark(Mark { symbol, mark, index, funding_rate, next_funding_ms, event_ms }))
}

/// Which of the wanted fields of an object were read: none may stand twice, in the end none may be missing. The event
/// name is field 0, the symbol field 1, the rest is numbered by each message.
struct Fields {
    seen: u32,
}

impl Fields {
    #[inline(always)]
    fn open(cursor: &mut Cursor<'_>) -> Option<Fields> {
        cursor.literal(b"{")?;
        Some(Fields { seen: 0 })
    }

    #[inline(always)]
    fn seen(&mut self, field: u32) -> Option<()> {
        let bit = 1 << field;
        if self.seen & bit != 0 {
            return None;
        }
        self.seen |= bit;
        Some(())
    }

    #[inline(always)]
    const fn are_all(&self, count: u32) -> bool {
        self.seen == (1 << count) - 1
    }

    #[inline(always)]
    fn event(&mut self, cursor: &mut Cursor<'_>, kind: StreamKind) -> Option<()> {
        self.seen(0)?;
        cursor.literal(b"\"")?;
        cursor.literal(event_name(kind))?;
        cursor.literal(b"\"")
    }

    #[inline(always)]
    fn symbol(&mut self, cursor: &mut Cursor<'_>, symbols: &Symbols) -> Option<SymbolId> {
        self.seen(1)?;
        symbols.find(cursor.quoted()?)
    }

    #[inline(always)]
    fn integer(&mut self, cursor: &mut Cursor<'_>, field: u32) -> Option<u64> {
        self.seen(field)?;
        cursor.integer()
    }

    #[inline(always)]
    fn amount(&mut self, cursor: &mut Cursor<'_>, field: u32) -> Option<i64> {
        self.seen(field)?;
        cursor.quoted_amount()
    }

    /// After a value: does the object end here, or does another key follow?
    #[inline(always)]
    fn closed(&self, cursor: &mut Cursor<'_>) -> Option<bool> {
        match cursor.byte()? {
            b',' => Some(false),
            b'}' => Some(true),
            _ => None,
        }
    }
}

const fn level(price: i64, qty: i64) -> Level {
    Level { price: Price::from_units(price), qty: Qty::from_units(qty) }
}

/// The seller crossed the spread when the buyer was the maker.
pub(super) const fn taker(buyer_is_maker: bool) -> Side {
    if buyer_is_maker { Side::Sell } else { Side::Buy }
}

const WRAPPER: &[u8] = b"{\"stream\":\"";
const DATA: &[u8] = b",\"data\":";
const EVENT_KEY: &[u8] = b"\"e\":";
/// Stands until the symbol has been read; never leaves this module, because a message without symbol is none.
const NO_SYMBOL: SymbolId = SymbolId(u16::MAX);

const E: u16 = b'e' as u16;
const S: u16 = b's' as u16;
const EVENT_MS: u16 = b'E' as u16;
const MATCH_MS: u16 = b'T' as u16;
const UPPER_U: u16 = b'U' as u16;
const LOWER_U: u16 = b'u' as u16;
const PU: u16 = two(b'p', b'u');
const LOWER_B: u16 = b'b' as u16;
const UPPER_B: u16 = b'B' as u16;
const LOWER_A: u16 = b'a' as u16;
const UPPER_A: u16 = b'A' as u16;
const LOWER_P: u16 = b'p' as u16;
const LOWER_Q: u16 = b'q' as u16;
const LOWER_M: u16 = b'm' as u16;
const LOWER_I: u16 = b'i' as u16;
const LOWER_R: u16 = b'r' as u16;
