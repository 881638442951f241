//! One line of a recording → what it says.
//!
//! Accepts `<local time> <JSON>` (our recorder's and hftbacktest's), `<seconds.fraction>: <JSON>` and
//! `<url> -> <seconds.fraction>: <JSON>` (cryptofeed's); the JSON bare or in the combined-stream wrapper. Unknown events,
//! error bodies and answers to subscriptions are nothing of the market. Never keeps state; never a float for money.

use optiflow_base::clock::Nanos;
use optiflow_base::decimal;
use optiflow_base::market::Level;
use optiflow_base::money::{Price, Qty, Side};

use crate::collector::json::Fields;

/// What a line says.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Spoken {
    /// Time of the recorder.
    pub local: Nanos,
    /// Time of the exchange: of the matching engine where it is told (`T`), of the event (`E`) otherwise.
    pub exch: Option<Nanos>,
    /// Which symbol, upper case; a bare snapshot does not say.
    pub symbol: Option<String>,
    /// What.
    pub word: Word,
}

/// What a recorder can have heard.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Word {
    /// The whole book, by REST.
    Snapshot { id: u64, bids: Vec<Level>, asks: Vec<Level> },
    /// Changed levels: `U`, `u`, `pu` (spot has none).
    Depth { first_id: u64, last_id: u64, previous_id: Option<u64>, bids: Vec<Level>, asks: Vec<Level> },
    /// One trade, or an aggregate of trades.
    Trade { is_aggregate: bool, id: u64, price: Price, qty: Qty, taker: Side },
    /// Best bid and ask.
    Top { update_id: u64, bid: Level, ask: Level },
    /// Mark price, index price, funding rate in 10⁻⁸ and when it is next paid.
    Mark { mark: Price, index: Price, rate: i64, next_ms: u64 },
}

/// Reads a line; `None` when it says nothing of the market.
pub(crate) fn parse(line: &[u8]) -> Result<Option<Spoken>, String> {
    let Some(start) = line.iter().position(|&byte| byte == b'{' || byte == b'[') else {
        let is_blank = line.iter().all(u8::is_ascii_whitespace);
        return if is_blank { Ok(None) } else { Err("there is no JSON after the local time".to_owned()) };
    };
    let (prefix, json) = line.split_at(start);
    let prefix = std::str::from_utf8(prefix).map_err(|_| "the local time is not text".to_owned())?.trim_end();
    let fields: Fields = serde_json::from_slice(json).map_err(malformed)?;
    let Some(word) = word(&fields)? else { return Ok(None) };
    let local = local_time(prefix).ok_or_else(|| format!("{prefix:?} is not a local time"))?;
    let exch = match word {
        // `T` is when funding is next paid.
        Word::Mark { .. } => fields.number("E"),
        Word::Snapshot { .. } | Word::Depth { .. } | Word::Trade { .. } | Word::Top { .. } => {
            fields.number("T").or(fields.number("E"))
        }
    };
    let exch = exch.map(exchange_time).transpose()?;
    let asked_for = prefix.split_once("symbol=").map(|(_, rest)| rest.split(['&', ' ']).next().unwrap_or(rest));
    let symbol = fields.text("s").or(asked_for).map(str::to_uppercase);
    Ok(Some(Spoken { local, exch, symbol, word }))
}

fn exchange_time(millis: u64) -> Result<Nanos, String> {
    let nanos = millis.checked_mul(1_000_000).filter(|nanos| *nanos <= i64::MAX as u64);
    nanos.map(Nanos).ok_or_else(|| format!("{millis} is not an exchange time"))
}

fn malformed(error: serde_json::Error) -> String {
    format!("the JSON is malformed at its byte {}", error.column())
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
    let nanos = value.checked_mul(scale)?.checked_add(part * scale / 1_000_000_000)?;
    (nanos <= i64::MAX as u64).then_some(Nanos(nanos))
}

fn word(fields: &Fields<'_>) -> Result<Option<Word>, String> {
    if fields.number("lastUpdateId").is_some() {
        let id = fields.id("lastUpdateId")?;
        let (bids, asks) = (fields.levels("bids")?, fields.levels("asks")?);
        return Ok(Some(Word::Snapshot { id, bids, asks }));
    }
    match fields.text("e") {
        Some("depthUpdate") => depth(fields).map(Some),
        // Trades with the insurance fund or by forced deleveraging did not meet the book, and are in no aggregate.
        Some("trade") if fields.text("X").is_none_or(|kind| kind == "MARKET") => trade(fields, false).map(Some),
        Some("aggTrade") => trade(fields, true).map(Some),
        Some("bookTicker") => top(fields).map(Some),
        Some("markPriceUpdate") => mark(fields).map(Some),
        // Spot's bookTicker does not say what it is.
        None if fields.number("u").is_some() && fields.text("B").is_some() => top(fields).map(Some),
        Some(_) | None => Ok(None),
    }
}

fn depth(fields: &Fields<'_>) -> Result<Word, String> {
    Ok(Word::Depth {
        first_id: fields.id("U")?,
        last_id: fields.id("u")?,
        previous_id: fields.number("pu"),
        bids: fields.levels("b")?,
        asks: fields.levels("a")?,
    })
}

fn trade(fields: &Fields<'_>, is_aggregate: bool) -> Result<Word, String> {
    let buyer_is_maker = fields.flag("m").ok_or("`m` is not true or false")?;
    Ok(Word::Trade {
        is_aggregate,
        id: fields.id(if is_aggregate { "a" } else { "t" })?,
        price: fields.price("p")?,
        qty: fields.qty("q")?,
        taker: if buyer_is_maker { Side::Sell } else { Side::Buy },
    })
}

fn top(fields: &Fields<'_>) -> Result<Word, String> {
    Ok(Word::Top {
        update_id: fields.id("u")?,
        bid: Level { price: fields.price("b")?, qty: fields.qty("B")? },
        ask: Level { price: fields.price("a")?, qty: fields.qty("A")? },
    })
}

fn mark(fields: &Fields<'_>) -> Result<Word, String> {
    let mark = fields.price("p")?;
    Ok(Word::Mark {
        mark,
        index: fields.price("i").unwrap_or(mark),
        // A symbol that is being delisted has an empty rate.
        rate: fields.text("r").and_then(|rate| decimal::parse(rate.as_bytes()).ok()).unwrap_or(0),
        next_ms: fields.number("T").filter(|at| *at <= i64::MAX as u64).unwrap_or(0),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(line: &str) -> String {
        let side = |levels: &[Level]| {
            levels.iter().map(|level| format!("{}@{}", level.qty, level.price)).collect::<Vec<_>>().join(",")
        };
        let spoken = match parse(line.as_bytes()) {
            Ok(Some(spoken)) => spoken,
            Ok(None) => return "nothing".to_owned(),
            Err(what) => return format!("error: {what}"),
        };
        let word = match &spoken.word {
            Word::Snapshot { id, bids, asks } => format!("snapshot {id} {}|{}", side(bids), side(asks)),
            Word::Depth { first_id, last_id, previous_id, bids, asks } => {
                format!("depth {first_id} {last_id} {previous_id:?} {}|{}", side(bids), side(asks))
            }
            Word::Trade { is_aggregate, id, price, qty, taker } => {
                format!("trade {is_aggregate} {id} {qty}@{price} {taker:?}")
            }
            Word::Top { update_id, bid, ask } => format!("top {update_id} {}|{}", side(&[*bid]), side(&[*ask])),
            Word::Mark { mark, index, rate, next_ms } => format!("mark {mark} {index} {rate} {next_ms}"),
        };
        let exch = spoken.exch.map_or(0, |at| at.0);
        format!("{} {exch} {} {word}", spoken.local.0, spoken.symbol.as_deref().unwrap_or("-"))
    }

    #[test]
    fn lines_become_words() {
        let table = [
            (
                r#"1680652700441533 {"stream":"btcusdt@trade","data":{"e":"trade","E":1680652700455,"T":1680652700452,"s":"BTCUSDT","t":35,"p":"28145.10","q":"0.002","X":"MARKET","m":true}}"#,
                "1680652700441533000 1680652700452000000 BTCUSDT trade false 35 0.002@28145.1 Sell",
            ),
            (
                r#"1721347021080846861 {"e":"aggTrade","E":5,"T":4,"s":"btcusdt","a":9,"p":"1","q":"2","f":1,"l":3,"m":false}"#,
                "1721347021080846861 4000000 BTCUSDT trade true 9 2@1 Buy",
            ),
            (
                r#"1680652700441 {"e":"trade","T":1,"s":"A","t":2,"p":"1","q":"1","X":"INSURANCE_FUND","m":true}"#,
                "nothing",
            ),
            (
                r#"1721347021080846861 {"stream":"x","data":{"e":"bookTicker","u":73,"s":"ETHUSDT","b":"3424.98","B":"197.907","a":"3424.99","A":"5.051","T":1721347022561,"E":1}}"#,
                "1721347021080846861 1721347022561000000 ETHUSDT top 73 197.907@3424.98|5.051@3424.99",
            ),
            (
                r#"1680652700600379 {"e":"depthUpdate","E":2,"T":1,"s":"BTCUSDT","ps":"BTCUSDT","U":3,"u":5,"pu":2,"b":[["5000.00","14.368"],["1","0.000"]],"a":[],"st":1}"#,
                "1680652700600379000 1000000 BTCUSDT depth 3 5 Some(2) 14.368@5000,0@1|",
            ),
            (
                r#"1680652700599351 {"lastUpdateId": 83, "E": 2, "T": 1, "bids": [["5", "3.818"]], "asks": [["6", "1"]]}"#,
                "1680652700599351000 1000000 - snapshot 83 3.818@5|1@6",
            ),
            (
                r#"1680652701048293 {"e":"markPriceUpdate","E":7,"s":"A","p":"28147.27373413","P":"1","i":"28159.75642857","r":"-0.00002754","T":9}"#,
                "1680652701048293000 7000000 A mark 28147.27373413 28159.75642857 -2754 9",
            ),
            (
                r#"1626912345.25: {"u":4,"s":"BNBUSDT","b":"2","B":"3","a":"4","A":"5"}"#,
                "1626912345250000000 0 BNBUSDT top 4 3@2|5@4",
            ),
            (
                r#"https://x/depth?symbol=AUSDT&limit=9 -> 1626912345.5: {"lastUpdateId":1,"bids":[],"asks":[]}"#,
                "1626912345500000000 0 AUSDT snapshot 1 |",
            ),
            (r#"1680652700441533 {"code":-1003,"msg":"Too many requests"}"#, "nothing"),
            (r#"1680652700441533 {"result":null,"id":1}"#, "nothing"),
            (r#"1680652700441533 {"e":"kline","k":{"o":"1","b":[1,[2]]},"b":[1,"x",{"y":null}],"r":-1}"#, "nothing"),
            (r#"1680652700441533 {"stream":"!markPrice@arr","data":[{"e":"markPriceUpdate"}]}"#, "nothing"),
            ("", "nothing"),
            ("1680652700441533", "error: there is no JSON"),
            (r#"1680652700441533 {"e":"trade","#, "error: the JSON is malformed"),
            (
                r#"yesterday {"e":"aggTrade","T":4,"s":"A","a":9,"p":"1","q":"2","m":false}"#,
                r#"error: "yesterday" is not"#,
            ),
            (
                r#"1 {"e":"aggTrade","T":4,"s":"A","a":9,"p":"1e3","q":"2","m":false}"#,
                r#"error: the price "1e3" in `p`"#,
            ),
            (
                r#"1 {"e":"aggTrade","T":4,"s":"A","a":9,"p":"0","q":"2","m":false}"#,
                r#"error: the price "0" in `p` is not"#,
            ),
            (
                r#"1 {"e":"aggTrade","T":99999999999999,"s":"A","a":9,"p":"1","q":"2","m":true}"#,
                "error: 99999999999999 is",
            ),
            (r#"1 {"lastUpdateId":18446744073709551615,"bids":[],"asks":[]}"#, "error: `lastUpdateId` is not an id"),
            (r#"1 {"e":"depthUpdate","T":4,"U":1,"u":2,"b":[["1"]],"a":[]}"#, "error: `b` is not an array"),
        ];
        for (line, expected) in table {
            let answer = told(line);
            assert!(answer.starts_with(expected), "{line}\n{answer}\n{expected}");
        }
    }
}
