//! Values in, the sample messages out.

use super::*;
use crate::binance::streams::testing::{levels, listing};

fn at(ms: u64) -> Nanos {
    Nanos::from_millis(ms)
}

fn money<T: std::str::FromStr<Err = decimal::DecimalError>>(text: &str) -> T {
    text.parse().unwrap()
}

#[test]
fn every_market_message_has_the_keys_and_the_order_of_the_wire() {
    let btc = listing("BTCUSDT");
    let update = Update {
        first_id: 11_757_092_616_793,
        last_id: 11_757_092_625_654,
        previous_id: 11_757_092_616_661,
        changed: at(1_795_327_200_713),
        bids: levels("83091.60:4.215 83091.50:0"),
        asks: levels("83091.70:3.768"),
    };
    assert_eq!(
        depth(at(1_795_327_200_716), &btc, &update),
        r#"{"e":"depthUpdate","E":1795327200716,"T":1795327200713,"s":"BTCUSDT","ps":"BTCUSDT","U":11757092616793,"u":11757092625654,"pu":11757092616661,"b":[["83091.60","4.215"],["83091.50","0.000"]],"a":[["83091.70","3.768"]],"st":1}"#
    );
    let (bid, ask) = (levels("83091.60:4.215")[0], levels("83091.70:3.763")[0]);
    assert_eq!(
        top(at(1_795_327_200_658), &btc, 11_757_092_630_476, bid, ask, at(1_795_327_200_657)),
        r#"{"e":"bookTicker","u":11757092630476,"s":"BTCUSDT","ps":"BTCUSDT","b":"83091.60","B":"4.215","a":"83091.70","A":"3.763","T":1795327200657,"E":1795327200658,"st":1}"#
    );
    let one = Trade {
        id: 8_153_634_393,
        price: money("83091.7"),
        qty: money("0.01"),
        taker: Side::Buy,
        at: at(1_795_327_200_338),
    };
    assert_eq!(
        trade(&btc, &one),
        r#"{"e":"trade","E":1795327200338,"T":1795327200338,"s":"BTCUSDT","t":8153634393,"p":"83091.70","q":"0.010","X":"MARKET","m":false}"#
    );
    let many = AggTrade {
        id: 3_477_868_433,
        price: money("83091.7"),
        qty: money("0.022"),
        first_id: 8_153_634_393,
        last_id: 8_153_634_395,
        taker: Side::Sell,
        at: at(1_795_327_200_338),
    };
    assert_eq!(
        agg_trade(at(1_795_327_200_488), &btc, &many),
        r#"{"e":"aggTrade","E":1795327200488,"a":3477868433,"s":"BTCUSDT","p":"83091.70","q":"0.022","nq":"0.022","f":8153634393,"l":8153634395,"T":1795327200338,"m":true,"st":1}"#
    );
    let marked = Mark {
        mark: money("83084.3"),
        index: money("83123.65891304"),
        funding_rate: 78,
        next_funding_ms: 1_795_334_400_000,
    };
    assert_eq!(
        mark(at(1_795_327_201_000), &btc, &marked),
        r#"{"e":"markPriceUpdate","E":1795327201000,"s":"BTCUSDT","p":"83084.30000000","ap":"83084.30000000","P":"83123.65891304","i":"83123.65891304","r":"0.00000078","T":1795334400000,"st":1}"#
    );
}

#[test]
fn klines_and_tickers_have_the_keys_and_the_order_of_the_wire() {
    let btc = listing("BTCUSDT");
    let minute = Kline {
        open_ms: 1_795_327_200_000,
        close_ms: 1_795_327_259_999,
        open: money("83084.9"),
        high: money("83099.9"),
        low: money("83051.2"),
        close: money("83091.6"),
        volume: money("13.551"),
        quote: money("1125714.7396"),
        count: 1_634,
        taker_volume: money("6.426"),
        taker_quote: money("533856.6686"),
        ids: Some((8_153_633_367, 8_153_635_001)),
    };
    assert_eq!(
        kline(at(1_795_327_260_012), &btc, Interval::M1, &minute, true),
        r#"{"e":"kline","E":1795327260012,"s":"BTCUSDT","k":{"t":1795327200000,"T":1795327259999,"s":"BTCUSDT","i":"1m","f":8153633367,"L":8153635001,"o":"83084.90","c":"83091.60","h":"83099.90","l":"83051.20","v":"13.551","n":1634,"x":true,"q":"1125714.73960","V":"6.426","Q":"533856.66860","B":"0"}}"#
    );
    let flat = Kline { ids: None, ..minute };
    assert!(kline(at(0), &btc, Interval::M1, &flat, false).contains(r#""f":-1,"L":-1,"#));
    let day = Day {
        open: money("100"),
        high: money("120"),
        low: money("90"),
        close: money("105"),
        last_qty: money("0.5"),
        volume: money("4"),
        quote: money("410"),
        count: 3,
        ids: Some((7, 9)),
        open_ms: 5,
    };
    assert_eq!(
        ticker(at(86_400_005), &btc, &day),
        r#"{"e":"24hrTicker","E":86400005,"s":"BTCUSDT","p":"5.00","P":"5.000","w":"102.50","c":"105.00","Q":"0.500","o":"100.00","h":"120.00","l":"90.00","v":"4.000","q":"410.00000","O":5,"C":86400005,"F":7,"L":9,"n":3,"ps":"BTCUSDT","st":1}"#
    );
    assert_eq!(
        mini_ticker(at(5), &btc, &day),
        r#"{"e":"24hrMiniTicker","E":5,"s":"BTCUSDT","c":"105.00","o":"100.00","h":"120.00","l":"90.00","v":"4.000","q":"410.00000","ps":"BTCUSDT","st":1}"#
    );
}

#[test]
fn a_price_finer_than_the_symbol_shows_keeps_its_digits() {
    assert_eq!(price(&listing("BTCUSDT"), money("1.2345")).as_str(), "1.2345");
}
