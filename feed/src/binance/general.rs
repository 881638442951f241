//! The general parser: any JSON, by simd-json, into the same answer as the scanner's. Referee, fallback, and the reader
//! of REST snapshots.
//!
//! Slower (about four times) and unsurprised: whitespace, escapes, nested unknown values, any wrapper. Reuses its buffers.
//! Never guesses: a subscribed event with a missing, doubled or odd field is an error. Runs on the feed thread.

use optiflow_base::decimal;
use optiflow_base::ids::SymbolId;
use optiflow_base::market::{Level, StreamKind};
use optiflow_base::money::{Price, Qty};
use simd_json::prelude::{ValueAsScalar, ValueIntoString};
use simd_json::value::tape::{Object, Value};
use simd_json::{Buffers, Tape};

use super::decoder::{DepthHead, Event, Fault, LEVELS_MAX, Levels, Mark, SnapshotHead, Top, Trade};
use super::scan::{event_name, taker};
use super::streams::{Symbols, kind_of_stream};

/// simd-json with its buffers.
pub(super) struct General {
    buffers: Buffers,
    tape: Option<Tape<'static>>,
}

impl General {
    pub(super) fn new() -> General {
        General { buffers: Buffers::new(BUFFER_LEN), tape: None }
    }

    /// Reads a stream message; see [`super::decoder::Decoder::decode`].
    pub(super) fn event(&mut self, payload: &mut [u8], symbols: &Symbols, levels: &mut Levels) -> Result<Event, Fault> {
        self.with_object(payload, |message| {
            message.map_or(Ok(Event::Other), |message| event(&message, symbols, levels))
        })
    }

    /// Reads a book snapshot.
    pub(super) fn snapshot(&mut self, body: &mut [u8], levels: &mut Levels) -> Result<SnapshotHead, Fault> {
        self.with_object(body, |message| {
            let message = message.ok_or(Fault::Type("snapshot"))?;
            let fields = Fields(&message);
            let head = SnapshotHead {
                last_id: fields.integer("lastUpdateId")?,
                event_ms: fields.optional_integer("E")?,
                match_ms: fields.optional_integer("T")?,
            };
            fields.levels("bids", &mut levels.bids)?;
            fields.levels("asks", &mut levels.asks)?;
            Ok(head)
        })
    }

    /// Parses and hands the outermost object over (`None` when it is another value), keeping the tape's memory.
    fn with_object<T>(
        &mut self,
        json: &mut [u8],
        read: impl FnOnce(Option<Object<'_, '_>>) -> Result<T, Fault>,
    ) -> Result<T, Fault> {
        let mut tape: Tape<'_> = self.tape.take().unwrap_or_else(Tape::null).reset();
        let parsed = simd_json::fill_tape(json, &mut self.buffers, &mut tape);
        let answer = match parsed {
            Ok(()) => read(tape.as_value().as_object()),
            Err(_) => Err(Fault::Json),
        };
        self.tape = Some(tape.reset());
        answer
    }
}

fn event(message: &Object<'_, '_>, symbols: &Symbols, levels: &mut Levels) -> Result<Event, Fault> {
    let outer = Fields(message);
    let (Some(stream), Some(inner)) = (outer.find("stream")?, outer.find("data")?) else {
        return bare_event(&outer, None, symbols, levels);
    };
    match (stream.as_str(), inner.as_object()) {
        (Some(stream), Some(inner)) => bare_event(&Fields(&inner), Some(stream), symbols, levels),
        (None, _) | (_, None) => Ok(Event::Other),
    }
}

fn bare_event(
    fields: &Fields<'_, '_, '_>,
    stream: Option<&str>,
    symbols: &Symbols,
    levels: &mut Levels,
) -> Result<Event, Fault> {
    let Some(name) = fields.find("e")?.and_then(ValueIntoString::into_string) else { return Ok(Event::Other) };
    let Some(kind) = StreamKind::ALL.into_iter().find(|&kind| event_name(kind) == name.as_bytes()) else {
        return Ok(Event::Other);
    };
    // Partial depth carries the same event name; its levels replace instead of change.
    let is_foreign = stream.is_some_and(|stream| kind_of_stream(stream.as_bytes()) != Some(StreamKind::Depth));
    if kind == StreamKind::Depth && is_foreign {
        return Ok(Event::Other);
    }
    let Some(symbol) = symbols.find(fields.text("s")?.as_bytes()) else { return Ok(Event::Other) };
    match kind {
        StreamKind::Depth => depth(fields, symbol, levels),
        StreamKind::Top => top(fields, symbol),
        StreamKind::Trade => trade(fields, symbol),
        StreamKind::Mark => mark(fields, symbol),
    }
}

fn depth(fields: &Fields<'_, '_, '_>, symbol: SymbolId, levels: &mut Levels) -> Result<Event, Fault> {
    let head = DepthHead {
        symbol,
        first_id: fields.integer("U")?,
        last_id: fields.integer("u")?,
        previous_id: fields.integer("pu")?,
        event_ms: fields.integer("E")?,
        match_ms: fields.integer("T")?,
    };
    if head.first_id > head.last_id {
        return Err(Fault::Range("U"));
    }
    fields.levels("b", &mut levels.bids)?;
    fields.levels("a", &mut levels.asks)?;
    Ok(Event::Depth(head))
}

fn top(fields: &Fields<'_, '_, '_>, symbol: SymbolId) -> Result<Event, Fault> {
    let level = |price, qty| -> Result<Level, Fault> {
        Ok(Level { price: Price::from_units(fields.amount(price)?), qty: Qty::from_units(fields.amount(qty)?) })
    };
    Ok(Event::Top(Top {
        symbol,
        update_id: fields.integer("u")?,
        bid: level("b", "B")?,
        ask: level("a", "A")?,
        event_ms: fields.integer("E")?,
    }))
}

fn trade(fields: &Fields<'_, '_, '_>, symbol: SymbolId) -> Result<Event, Fault> {
    Ok(Event::Trade(Trade {
        symbol,
        taker: taker(fields.one("m")?.as_bool().ok_or(Fault::Type("m"))?),
        price: Price::from_units(fields.amount("p")?),
        qty: Qty::from_units(fields.amount("q")?),
        id: fields.integer("a")?,
        trade_ms: fields.integer("T")?,
        event_ms: fields.integer("E")?,
    }))
}

fn mark(fields: &Fields<'_, '_, '_>, symbol: SymbolId) -> Result<Event, Fault> {
    Ok(Event::Mark(Mark {
        symbol,
        mark: Price::from_units(fields.amount("p")?),
        index: Price::from_units(fields.amount("i")?),
        funding_rate: decimal::parse(fields.text("r")?.as_bytes()).map_err(|error| Fault::Decimal("r", error))?,
        next_funding_ms: fields.integer("T")?,
        event_ms: fields.integer("E")?,
    }))
}

/// An object whose fields are asked for by name.
struct Fields<'object, 'tape, 'json>(&'object Object<'tape, 'json>);

impl<'tape, 'json> Fields<'_, 'tape, 'json> {
    /// The field, if it is there; an error when it stands twice.
    fn find(&self, key: &'static str) -> Result<Option<Value<'tape, 'json>>, Fault> {
        let mut found = None;
        for (name, value) in self.0.iter() {
            if name == key && found.replace(value).is_some() {
                return Err(Fault::Field(key));
            }
        }
        Ok(found)
    }

    fn one(&self, key: &'static str) -> Result<Value<'tape, 'json>, Fault> {
        self.find(key)?.ok_or(Fault::Field(key))
    }

    fn integer(&self, key: &'static str) -> Result<u64, Fault> {
        self.one(key)?.as_u64().ok_or(Fault::Type(key))
    }

    fn optional_integer(&self, key: &'static str) -> Result<u64, Fault> {
        self.find(key)?.map_or(Ok(0), |value| value.as_u64().ok_or(Fault::Type(key)))
    }

    fn text(&self, key: &'static str) -> Result<&'json str, Fault> {
        self.one(key)?.into_string().ok_or(Fault::Type(key))
    }

    fn amount(&self, key: &'static str) -> Result<i64, Fault> {
        amount(self.text(key)?, key)
    }

    fn levels(&self, key: &'static str, levels: &mut Vec<Level>) -> Result<(), Fault> {
        levels.clear();
        let array = self.one(key)?.as_array().ok_or(Fault::Type(key))?;
        if array.len() > LEVELS_MAX {
            return Err(Fault::Levels);
        }
        for entry in array.iter() {
            let pair = entry.as_array().ok_or(Fault::Type(key))?;
            let mut numbers = pair.iter().map(|number| amount(number.as_str().ok_or(Fault::Type(key))?, key));
            let (Some(price), Some(qty)) = (numbers.next(), numbers.next()) else { return Err(Fault::Type(key)) };
            levels.push(Level { price: Price::from_units(price?), qty: Qty::from_units(qty?) });
        }
        Ok(())
    }
}

fn amount(text: &str, key: &'static str) -> Result<i64, Fault> {
    match decimal::parse(text.as_bytes()) {
        Ok(units) if units >= 0 => Ok(units),
        Ok(_) => Err(Fault::Range(key)),
        Err(error) => Err(Fault::Decimal(key, error)),
    }
}

/// Bytes that the parser's buffers hold from the start; they grow to the largest message seen.
const BUFFER_LEN: usize = 128 * 1024;
