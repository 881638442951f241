//! One line of a recording → what it says.
//!
//! Accepts `<local time> <JSON>`, `<seconds.fraction>: <JSON>` and `<url> -> <seconds.fraction>: <JSON>`; the JSON bare or
//! in the combined-stream wrapper. Unknown events, unknown keys and error bodies are nothing of the market. Numbers may
//! come as text or as numbers. Never keeps state; never a float for money.

use optiflow_base::clock::Nanos;
use optiflow_base::decimal;
use optiflow_base::market::Level;
use optiflow_base::money::{Price, Qty, Side};

use crate::market::recorded::json::Fields;

/// What a line says.
#[derive(Clone, Debug, PartialEq)]
pub struct Spoken {
    /// Time of the recorder.
    pub local: Option<Nanos>,
    /// Time of the exchange.
    pub event: Option<Nanos>,
    /// Which symbol, upper case; a bare snapshot does not say.
    pub symbol: Option<String>,
    /// What.
    pub what: Word,
}

/// What a recorder can have heard.
#[derive(Clone, Debug, PartialEq)]
pub enum Word {
    /// The whole book, by REST.
    Snapshot {
        /// `lastUpdateId`
        id: u64,
        /// Best first.
        bids: Vec<Level>,
        /// Best first.
        asks: Vec<Level>,
    },
    /// Changed levels.
    Depth {
        /// `U`
        first_id: u64,
        /// `u`
        last_id: u64,
        /// `pu`; spot has none.
        previous_id: Option<u64>,
        /// Changed bids.
        bids: Vec<Level>,
        /// Changed asks.
        asks: Vec<Level>,
    },
    /// One trade, or an aggregate of trades.
    Trade {
        /// An `aggTrade`.
        is_aggregate: bool,
        /// Trade id, or aggregate id.
        id: u64,
        /// Price.
        price: Price,
        /// Quantity.
        qty: Qty,
        /// Who crossed the spread.
        taker: Side,
    },
    /// Best bid and ask.
    Top {
        /// Update id.
        update_id: u64,
        /// Best bid.
        bid: Level,
        /// Best ask.
        ask: Level,
    },
    /// Mark price.
    Mark {
        /// Mark price.
        mark: Price,
        /// Index price.
        index: Price,
        /// Funding rate, 10⁻⁸.
        funding_rate: i64,
        /// Next funding, ms.
        next_funding_ms: u64,
    },
}

/// Reads a line; `None` when it says nothing of the market.
///
/// # Errors
/// What is malformed about it.
pub fn parse(line: &[u8]) -> Result<Option<Spoken>, String> {
    let Some(start) = line.iter().position(|&byte| byte == b'{' || byte == b'[') else {
        let is_remark = line.first().is_none_or(|byte| !byte.is_ascii_digit());
        return if is_remark { Ok(None) } else { Err("no JSON after the time".to_owned()) };
    };
    let (prefix, json) = line.split_at(start);
    let prefix = std::str::from_utf8(prefix).map_err(|_| "the time is not text".to_owned())?.trim_end();
    let fields: Fields = serde_json::from_slice(json).map_err(|error| format!("not JSON: {error}"))?;
    let local = local_time(prefix);
    let asked_for = prefix.split_once("symbol=").map(|(_, rest)| rest.split(['&', ' ']).next().unwrap_or(rest));
    let Some(what) = word(&fields)? else { return Ok(None) };
    let symbol = fields.s.text().or(asked_for).map(str::to_uppercase);
    Ok(Some(Spoken { local, event: fields.E.number().map(Nanos::from_millis), symbol, what }))
}

/// The recorder's time: whole seconds, ms, µs or ns by the number of digits, or seconds with a fraction.
fn local_time(prefix: &str) -> Option<Nanos> {
    let token = prefix.trim_end_matches(':').rsplit(' ').next()?;
    let (whole, fraction) = token.split_once('.').unwrap_or((token, ""));
    let value: u64 = whole.parse().ok()?;
    let scale = match whole.len() {
        0..=11 => 1_000_000_000,
        12..=14 => 1_000_000,
        15..=17 => 1_000,
        _ => 1,
    };
    let digits: String = fraction.chars().chain("000000000".chars()).take(9).collect();
    let part: u64 = digits.parse().ok()?;
    Some(Nanos(value.checked_mul(scale)?.checked_add(part * scale / 1_000_000_000)?))
}

fn word(fields: &Fields<'_>) -> Result<Option<Word>, String> {
    if let Some(id) = fields.last_update_id.number() {
        let (bids, asks) = (fields.bids.levels("bids")?, fields.asks.levels("asks")?);
        return Ok(Some(Word::Snapshot { id, bids, asks }));
    }
    match fields.e.text() {
        Some("depthUpdate") => depth(fields).map(Some),
        Some("trade") if fields.X.text().is_none_or(|kind| kind == "MARKET") => trade(fields, false).map(Some),
        Some("aggTrade") => trade(fields, true).map(Some),
        Some("bookTicker") => top(fields).map(Some),
        Some("markPriceUpdate") => mark(fields).map(Some),
        // Spot's bookTicker does not say what it is.
        None if fields.u.number().is_some() && fields.B.text().is_some() => top(fields).map(Some),
        Some(_) | None => Ok(None),
    }
}

fn depth(fields: &Fields<'_>) -> Result<Word, String> {
    Ok(Word::Depth {
        first_id: fields.U.id("U")?,
        last_id: fields.u.id("u")?,
        previous_id: fields.pu.number(),
        bids: fields.b.levels("b")?,
        asks: fields.a.levels("a")?,
    })
}

fn trade(fields: &Fields<'_>, is_aggregate: bool) -> Result<Word, String> {
    let buyer_is_maker = fields.m.flag().ok_or("m is not true or false")?;
    Ok(Word::Trade {
        is_aggregate,
        id: if is_aggregate { fields.a.id("a")? } else { fields.t.id("t")? },
        price: fields.p.price("p")?,
        qty: fields.q.qty("q").ok().filter(|qty| !qty.is_zero()).ok_or("q is not a traded quantity")?,
        taker: if buyer_is_maker { Side::Sell } else { Side::Buy },
    })
}

fn top(fields: &Fields<'_>) -> Result<Word, String> {
    Ok(Word::Top {
        update_id: fields.u.id("u")?,
        bid: Level { price: fields.b.price("b")?, qty: fields.B.qty("B")? },
        ask: Level { price: fields.a.price("a")?, qty: fields.A.qty("A")? },
    })
}

fn mark(fields: &Fields<'_>) -> Result<Word, String> {
    let mark = fields.p.price("p")?;
    Ok(Word::Mark {
        mark,
        index: fields.i.price("i").unwrap_or(mark),
        // A symbol that is being delisted has an empty rate.
        funding_rate: fields.r.text().and_then(|rate| decimal::parse(rate.as_bytes()).ok()).unwrap_or(0),
        next_funding_ms: fields.T.number().unwrap_or(0),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(line: &str) -> String {
        match parse(line.as_bytes()) {
            Ok(Some(spoken)) => {
                let time = |at: Option<Nanos>| at.map_or("-".to_owned(), |at| at.0.to_string());
                let symbol = spoken.symbol.unwrap_or("-".to_owned());
                format!("{} {} {symbol} {}", time(spoken.local), time(spoken.event), word_text(&spoken.what))
            }
            Ok(None) => "nothing".to_owned(),
            Err(what) => format!("error: {what}"),
        }
    }

    fn word_text(word: &Word) -> String {
        let side = |levels: &[Level]| {
            levels.iter().map(|level| format!("{}@{}", level.qty, level.price)).collect::<Vec<_>>().join(",")
        };
        match word {
            Word::Snapshot { id, bids, asks } => format!("snapshot {id} {} | {}", side(bids), side(asks)),
            Word::Depth { first_id, last_id, previous_id, bids, asks } => {
                format!("depth {first_id} {last_id} {previous_id:?} {} | {}", side(bids), side(asks))
            }
            Word::Trade { is_aggregate, id, price, qty, taker } => {
                format!("{} {id} {qty}@{price} {taker:?}", if *is_aggregate { "aggregate" } else { "trade" })
            }
            Word::Top { update_id, bid, ask } => format!("top {update_id} {} | {}", side(&[*bid]), side(&[*ask])),
            Word::Mark { mark, index, funding_rate, next_funding_ms } => {
                format!("mark {mark} {index} {funding_rate} {next_funding_ms}")
            }
        }
    }

    #[test]
    fn lines_become_words() {
        let table = [
            (
                r#"1680652700441533 {"stream":"btcusdt@trade","data":{"e":"trade","E":1680652700455,"T":1680652700452,"s":"BTCUSDT","t":3535186032,"p":"28145.10","q":"0.002","X":"MARKET","m":true}}"#,
                "1680652700441533000 1680652700455000000 BTCUSDT trade 3535186032 0.002@28145.1 Sell",
            ),
            (
                r#"1680652700441533 {"e":"trade","E":1,"s":"BTCUSDT","t":2,"p":"1","q":"1","X":"INSURANCE_FUND","m":true}"#,
                "nothing",
            ),
            (
                r#"1721347021080846861 {"stream":"ethusdt@bookTicker","data":{"e":"bookTicker","u":4984028373731,"s":"ETHUSDT","b":"3424.98","B":"197.907","a":"3424.99","A":"5.051","T":1721347022561,"E":1721347022561}}"#,
                "1721347021080846861 1721347022561000000 ETHUSDT top 4984028373731 197.907@3424.98 | 5.051@3424.99",
            ),
            (
                r#"1680652700600379 {"e":"depthUpdate","E":1680652700594,"T":1,"s":"BTCUSDT","ps":"BTCUSDT","U":3,"u":5,"pu":2,"b":[["5000.00","14.368"],["28018.90","0.000"]],"a":[],"st":1}"#,
                "1680652700600379000 1680652700594000000 BTCUSDT depth 3 5 Some(2) 14.368@5000,0@28018.9 | ",
            ),
            (
                r#"1680652700599351 {"lastUpdateId": 2710246765483, "E": 1680652700590, "T": 1, "bids": [["28145.10", "3.818"]], "asks": [["28145.20", "1"]]}"#,
                "1680652700599351000 1680652700590000000 - snapshot 2710246765483 3.818@28145.1 | 1@28145.2",
            ),
            (
                r#"https://fapi.binance.com/fapi/v1/depth?symbol=SUSHIUSDT&limit=1000 -> 1626992741.301402: {"lastUpdateId":7,"bids":[],"asks":[]}"#,
                "1626992741301402000 - SUSHIUSDT snapshot 7  | ",
            ),
            (
                r#"1626992742.289739: {"stream":"ctkusdt@aggTrade","data":{"e":"aggTrade","E":1626992741575,"a":16599292,"s":"CTKUSDT","p":"1.01100","q":"10","f":1,"l":1,"T":1626992741421,"m":false}}"#,
                "1626992742289739000 1626992741575000000 CTKUSDT aggregate 16599292 10@1.011 Buy",
            ),
            (
                r#"1 {"e":"markPriceUpdate","E":2,"s":"BTCUSDT","p":"28145.5","P":"1","i":"28140.1","r":"0.00010000","T":1680681600000}"#,
                "1000000000 2000000 BTCUSDT mark 28145.5 28140.1 10000 1680681600000",
            ),
            (r#"1 {"code":-1003,"msg":"Too many requests"}"#, "nothing"),
            (r#"1 {"result":null,"id":1}"#, "nothing"),
            (r#"1 {"stream":"!markPrice@arr","data":[{"e":"markPriceUpdate"}]}"#, "nothing"),
            ("wss://fstream.binance.com/stream?streams=sushiusdt@aggTrade <-> 1626992740.179554", "nothing"),
            ("", "nothing"),
            ("1680652700441533 ", "error: no JSON after the time"),
            (
                r#"1 {"e":"trade","E":1,"s":"BTCUSDT","t":2,"p":"1e5","q":"1","m":true}"#,
                r#"error: p "1e5" not a plain decimal number"#,
            ),
        ];
        for (line, expected) in table {
            assert_eq!(told(line), expected, "{line}");
        }
        assert!(told(r#"1 {"e":"trade","E":1"#).starts_with("error: not JSON"), "a cut line");
    }
}
