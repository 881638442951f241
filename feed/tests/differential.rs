//! The scanner against the general parser against an independent reading, on recordings and on damaged messages.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::wildcard_enum_match_arm)]

mod common;

use std::fs;

use common::{decoder, payloads, shared};
use optiflow_feed::binance::{Decoder, Message};
use proptest::prelude::*;
use serde_json::Value;

const SYMBOLS: [&str; 6] = ["BTCUSDT", "ETHUSDT", "SUSHIUSDT", "AKROUSDT", "KEEPUSDT", "CTKUSDT"];

/// Decimal text as units of 10⁻⁸, by padding text: nothing in common with the parsers under test.
fn units(value: &Value) -> i64 {
    let text = value.as_str().unwrap();
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    format!("{whole}{fraction:0<8}").parse().unwrap()
}

fn number(value: &Value) -> u64 {
    value.as_u64().unwrap()
}

/// What a message says, as text, read by `serde_json`.
fn independently(payload: &[u8]) -> String {
    let message: Value = serde_json::from_slice(payload).unwrap();
    let stream = message["stream"].as_str().unwrap_or("@depth");
    let event = if message["data"].is_null() { &message } else { &message["data"] };
    let Some(symbol) = SYMBOLS.iter().position(|&name| event["s"] == name) else { return "other".into() };
    let levels = |side: &Value| -> String {
        side.as_array().unwrap().iter().map(|pair| format!(" {}x{}", units(&pair[0]), units(&pair[1]))).collect()
    };
    let (e, t) = (|| number(&event["E"]), || number(&event["T"]));
    match event["e"].as_str() {
        Some("depthUpdate") if stream.ends_with("@depth") || stream.contains("@depth@") => format!(
            "depth {symbol} {} {} {} {} {} b{} a{}",
            number(&event["U"]),
            number(&event["u"]),
            number(&event["pu"]),
            e(),
            t(),
            levels(&event["b"]),
            levels(&event["a"])
        ),
        Some("bookTicker") => {
            let side = |price: &str, qty: &str| format!("{}x{}", units(&event[price]), units(&event[qty]));
            format!("top {symbol} {} {} {} {}", number(&event["u"]), side("b", "B"), side("a", "A"), e())
        }
        Some("aggTrade") => {
            let taker = if event["m"] == true { "Sell" } else { "Buy" };
            let (price, qty) = (units(&event["p"]), units(&event["q"]));
            format!("trade {symbol} {taker} {price}x{qty} {} {} {}", number(&event["a"]), t(), e())
        }
        Some("markPriceUpdate") => {
            let (mark, index, rate) = (units(&event["p"]), units(&event["i"]), units(&event["r"]));
            format!("mark {symbol} {mark} {index} {rate} {} {}", t(), e())
        }
        _ => "other".into(),
    }
}

fn shown(message: &Message<'_>) -> String {
    match message {
        Message::Depth { symbol, diff } => {
            let levels = |side: &[optiflow_base::market::Level]| -> String {
                side.iter().map(|level| format!(" {}x{}", level.price.units(), level.qty.units())).collect()
            };
            format!(
                "depth {} {} {} {} {} {} b{} a{}",
                symbol.0,
                diff.first_id,
                diff.last_id,
                diff.previous_id,
                diff.event_ms,
                diff.match_ms,
                levels(diff.bids),
                levels(diff.asks)
            )
        }
        Message::Top(top) => format!(
            "top {} {} {}x{} {}x{} {}",
            top.symbol.0,
            top.update_id,
            top.bid.price.units(),
            top.bid.qty.units(),
            top.ask.price.units(),
            top.ask.qty.units(),
            top.event_ms
        ),
        Message::Trade(trade) => format!(
            "trade {} {:?} {}x{} {} {} {}",
            trade.symbol.0,
            trade.taker,
            trade.price.units(),
            trade.qty.units(),
            trade.id,
            trade.trade_ms,
            trade.event_ms
        ),
        Message::Mark(mark) => format!(
            "mark {} {} {} {} {} {}",
            mark.symbol.0,
            mark.mark.units(),
            mark.index.units(),
            mark.funding_rate,
            mark.next_funding_ms,
            mark.event_ms
        ),
        Message::Other => "other".into(),
    }
}

/// Both ways of reading a message; they must agree.
struct Pair {
    decoder: Decoder,
    referee: Decoder,
}

impl Pair {
    fn new() -> Pair {
        Pair { decoder: decoder(&SYMBOLS), referee: decoder(&SYMBOLS) }
    }

    fn agree(&mut self, payload: &[u8]) -> Option<String> {
        let (mut first, mut second) = (payload.to_vec(), payload.to_vec());
        let (read, judged) = (self.decoder.decode(&mut first), self.referee.referee(&mut second));
        assert_eq!(read, judged, "{}", String::from_utf8_lossy(payload));
        read.ok().map(|message| shown(&message))
    }
}

/// All three readings of every `nth` line; answers how many messages of each kind there were.
fn check_file(path: &str, nth: usize) -> Option<[usize; 5]> {
    let mut pair = Pair::new();
    let mut kinds = [0; 5];
    for payload in payloads(&shared(path)?).step_by(nth) {
        let Some(text) = pair.agree(&payload) else {
            assert!(serde_json::from_slice::<Value>(&payload).is_err(), "only a cut line may be refused");
            continue;
        };
        assert_eq!(text, independently(&payload));
        let names = ["depth", "top", "trade", "mark", "other"];
        kinds[names.iter().position(|name| text.starts_with(name)).unwrap()] += 1;
    }
    assert_eq!(pair.decoder.fallbacks(), 0, "{path}: the scanner knows every recorded message");
    println!("{path}: depth, top, trade, mark, other: {kinds:?}");
    Some(kinds)
}

#[test]
fn three_readings_agree_on_the_recordings() {
    for file in ["btcusdt_20230404.dat.gz", "btcusdt_20230405.dat.gz", "ethusdt_20240718.gz", "ethusdt_20240719.gz"] {
        let Some(kinds) = check_file(&format!("data/usdm/{file}"), 3) else { return };
        assert!(kinds[0] > 100 && kinds[1] > 1_000);
    }
    let Some(kinds) = check_file("data/mix/streams.ws.gz", 1) else { return };
    assert_eq!(kinds[..3], [764, 613, 91]);
}

#[test]
fn three_readings_agree_on_the_documented_messages() {
    let Some(folder) = shared("binance/messages") else { return };
    let mut pair = Pair::new();
    let mut understood = 0;
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        let payload = fs::read(&path).unwrap().trim_ascii_end().to_vec();
        if name.starts_with("stream-") {
            let text = pair.agree(&payload).unwrap();
            // A bare message does not say from which stream it came: a bare partial depth looks like a diff.
            assert_eq!(text, independently(&payload), "{name}");
            understood += usize::from(text != "other");
        }
    }
    assert!(understood >= 10);
    assert_eq!(pair.decoder.fallbacks(), 0);
}

const SAMPLES: [&str; 8] = [
    r#"{"stream":"btcusdt@depth@100ms","data":{"e":"depthUpdate","E":1795327200716,"T":1795327200713,"s":"BTCUSDT","ps":"BTCUSDT","U":11757092616793,"u":11757092625654,"pu":11757092616661,"b":[["83091.60","4.215"],["83091.50","0.000"]],"a":[["83091.70","3.768"]],"st":1}}"#,
    r#"{"stream":"btcusdt@bookTicker","data":{"e":"bookTicker","u":11757092630476,"s":"BTCUSDT","ps":"BTCUSDT","b":"83091.60","B":"4.215","a":"83091.70","A":"3.763","T":1795327200657,"E":1795327200658,"st":1}}"#,
    r#"{"stream":"btcusdt@aggTrade","data":{"e":"aggTrade","E":1795327200488,"a":3477868433,"s":"BTCUSDT","p":"83091.70","q":"0.022","nq":"0.020","f":8153634393,"l":8153634395,"T":1795327200338,"m":false,"st":1}}"#,
    r#"{"stream":"btcusdt@markPrice@1s","data":{"e":"markPriceUpdate","E":1795327201000,"s":"BTCUSDT","p":"83084.30000000","ap":"83084.30000000","P":"83195.15881449","i":"83123.65891304","r":"-0.00000078","T":1795334400000,"st":1}}"#,
    r#"{"e":"depthUpdate","E":1,"T":0,"s":"ETHUSDT","U":1,"u":1,"pu":0,"b":[],"a":[["0.01737","437848"]]}"#,
    r#"{"e":"bookTicker","u":1,"s":"ETHUSDT","b":"7.6110","B":"2","a":"123456789.5","A":"0.123456789","T":1,"E":1}"#,
    r#"{"e":"aggTrade","E":1,"a":2,"s":"AKROUSDT","p":"0.01737","q":"437848","f":1,"l":1,"T":1,"m":true}"#,
    r#"{"result":null,"id":1}"#,
];

#[test]
fn keys_may_stand_in_any_order_and_are_matched_whole() {
    let table = [
        // nq before and after q, and without it
        (
            r#"{"nq":"9","m":true,"T":3,"q":"1","p":"2","s":"BTCUSDT","a":7,"E":4,"e":"aggTrade"}"#,
            "trade 0 Sell 200000000x100000000 7 3 4",
        ),
        (
            r#"{"e":"aggTrade","q":"1","nq":"9","m":false,"T":3,"p":"2","s":"BTCUSDT","a":7,"E":4}"#,
            "trade 0 Buy 200000000x100000000 7 3 4",
        ),
        (
            r#"{"a":[],"b":[["1","2"]],"pu":1,"u":3,"U":2,"s":"BTCUSDT","T":5,"E":6,"e":"depthUpdate"}"#,
            "depth 0 2 3 1 6 5 b 100000000x200000000 a",
        ),
        (
            r#"{"E":9,"A":"4","a":"3","B":"2","b":"1","s":"CTKUSDT","u":8,"e":"bookTicker","new":true,"nothing":null,"x":"币"}"#,
            "top 5 8 100000000x200000000 300000000x400000000 9",
        ),
    ];
    let mut pair = Pair::new();
    for (payload, expected) in table {
        assert_eq!(pair.agree(payload.as_bytes()).as_deref(), Some(expected), "{payload}");
    }
    assert_eq!(pair.decoder.fallbacks(), 0, "none of this is a surprise");
}

#[test]
fn surprises_are_left_to_the_general_parser_and_counted() {
    let table = [
        (
            r#"{"e":"aggTrade","E":1, "a":2,"s":"BTCUSDT","p":"1","q":"1","T":1,"m":true}"#,
            "trade 0 Sell 100000000x100000000 2 1 1",
        ),
        (
            r#"{"e":"aggTrade","E":1,"a":2,"s":"BTCUSDT","p":"1","q":"1","T":1,"m":true,"new":{"m":false,"p":["7"]}}"#,
            "trade 0 Sell 100000000x100000000 2 1 1",
        ),
        (
            r#"{"e":"aggTrade","E":1,"a":2,"s":"BTC\u0055SDT","p":"1","q":"1","T":1,"m":true}"#,
            "trade 0 Sell 100000000x100000000 2 1 1",
        ),
        (
            r#"{"data":{"e":"aggTrade","E":1,"a":2,"s":"BTCUSDT","p":"1","q":"1","T":1,"m":true},"stream":"btcusdt@aggTrade"}"#,
            "trade 0 Sell 100000000x100000000 2 1 1",
        ),
        (
            r#"{"e":"markPriceUpdate","E":1,"s":"BTCUSDT","p":"1.000000000","i":"2","r":"-0.00000001","T":0}"#,
            "mark 0 100000000 200000000 -1 0 1",
        ),
    ];
    let mut pair = Pair::new();
    for (payload, expected) in table {
        assert_eq!(pair.agree(payload.as_bytes()).as_deref(), Some(expected), "{payload}");
    }
    assert_eq!(pair.decoder.fallbacks(), 4, "a long decimal is no surprise");
}

#[test]
fn what_cannot_be_understood_says_why_and_of_which_stream_it_is() {
    let table = [
        (r#"{"stream":"btcusdt@depth@100ms","data":{"e":"depthUp"#, "it is not JSON", "0 Depth"),
        (
            r#"{"stream":"ethusdt@depth","data":{"e":"depthUpdate","s":"ETHUSDT"}}"#,
            "field \"U\" is missing or stands twice",
            "1 Depth",
        ),
        (
            r#"{"stream":"btcusdt@aggTrade","data":{"e":"aggTrade","E":1,"a":2,"s":"BTCUSDT","p":1,"q":"1","T":1,"m":true}}"#,
            "field \"p\" is not of the documented type",
            "0 Trade",
        ),
        (
            r#"{"e":"aggTrade","E":1,"a":2,"s":"BTCUSDT","p":"1","p":"2","q":"1","T":1,"m":true}"#,
            "field \"p\" is missing or stands twice",
            "",
        ),
        (
            r#"{"e":"aggTrade","E":1,"a":2,"s":"BTCUSDT","p":"-1","q":"1","T":1,"m":true}"#,
            "field \"p\" is out of range",
            "",
        ),
        (
            r#"{"e":"aggTrade","E":1,"a":2,"s":"BTCUSDT","p":"1.123456789","q":"1","T":1,"m":true}"#,
            "field \"p\" has more than 8 decimals",
            "",
        ),
        (
            r#"{"e":"depthUpdate","E":1,"T":0,"s":"ETHUSDT","U":2,"u":1,"pu":0,"b":[],"a":[]}"#,
            "field \"U\" is out of range",
            "",
        ),
        (
            r#"{"e":"depthUpdate","E":1,"T":0,"s":"ETHUSDT","U":1,"u":1,"pu":0,"b":[["1"]],"a":[]}"#,
            "field \"b\" is not of the documented type",
            "",
        ),
        ("{\"\0\":1,\"e\":\"aggTrade\"}", "it is not JSON", ""),
        ("", "it is not JSON", ""),
        ("\u{fffd}", "it is not JSON", ""),
    ];
    let mut decoder = decoder(&SYMBOLS);
    for (payload, fault, stream) in table {
        let error = decoder.decode(&mut payload.as_bytes().to_vec()).unwrap_err();
        assert_eq!(error.fault.to_string(), fault, "{payload}");
        let named = error.stream.map(|(symbol, kind)| format!("{} {kind:?}", symbol.0)).unwrap_or_default();
        assert_eq!(named, stream, "{payload}");
        assert!(error.to_string().contains(fault));
    }
}

#[test]
fn more_levels_than_the_bound_are_refused() {
    let levels = |len: usize| vec![r#"["1","2"]"#; len].join(",");
    let message = |len| {
        format!(r#"{{"e":"depthUpdate","E":1,"T":0,"s":"ETHUSDT","U":1,"u":1,"pu":0,"b":[{}],"a":[]}}"#, levels(len))
    };
    let mut pair = Pair::new();
    assert!(pair.agree(message(4_096).as_bytes()).is_some());
    assert!(pair.agree(message(4_097).as_bytes()).is_none());
    assert_eq!(pair.decoder.fallbacks(), 0);
}

#[test]
fn keys_that_json_forbids_are_refused_by_both() {
    let mut pair = Pair::new();
    for key in ["\0", "\0q", "q\0", "\\", "\"", "\n", "\u{1}\u{1}"] {
        let payload =
            format!(r#"{{"{key}":1,"e":"aggTrade","E":1,"a":2,"s":"BTCUSDT","p":"1","q":"1","T":1,"m":true}}"#);
        assert_eq!(pair.agree(payload.as_bytes()), None, "{key:?}");
    }
}

#[test]
fn every_truncation_is_refused_by_both() {
    let mut pair = Pair::new();
    for sample in SAMPLES {
        for len in 0..sample.len() {
            assert_eq!(pair.agree(&sample.as_bytes()[..len]), None, "{}", &sample[..len]);
        }
        assert!(pair.agree(sample.as_bytes()).is_some() || sample.contains("0.123456789"));
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn damaged_messages_never_part_the_two(
        sample in 0..SAMPLES.len(),
        edits in prop::collection::vec((any::<prop::sample::Index>(), 0..4u8, any::<u8>(), "[\"\\\\,:{}\\[\\]0-9a-zA-Z.-]"), 1..5),
    ) {
        let mut payload = SAMPLES[sample].as_bytes().to_vec();
        for (at, kind, byte, text) in edits {
            let at = at.index(payload.len().max(1)).min(payload.len().saturating_sub(1));
            match kind {
                0 => payload[at] = byte,
                1 => payload[at] = text.as_bytes()[0],
                2 => payload.insert(at, text.as_bytes()[0]),
                _ => { payload.remove(at); }
            }
        }
        Pair::new_light().agree(&payload);
    }
}

impl Pair {
    /// The decoders are large; one pair a thread is enough for all cases.
    fn new_light() -> std::cell::RefMut<'static, Pair> {
        thread_local! {
            static PAIR: &'static std::cell::RefCell<Pair> = Box::leak(Box::new(std::cell::RefCell::new(Pair::new())));
        }
        PAIR.with(|pair| pair.borrow_mut())
    }
}
