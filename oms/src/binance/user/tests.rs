//! Frames on the left, our words on the right; samples and recordings; hostile bytes.

use super::*;
use crate::binance::samples;

fn show(frame: &str) -> String {
    match parse(frame.as_bytes()) {
        Ok(UserEvent::Order(o)) => {
            let fill = o.fill.map_or_else(String::new, |fill| {
                let role = if fill.maker { "maker" } else { "taker" };
                format!(" trade {} {} @ {} {role} fee {} {}", fill.trade.0, fill.qty, fill.price, fill.fee, o.fee_asset)
            });
            let amended =
                o.amended.map_or_else(String::new, |terms| format!(" amended {} @ {}", terms.qty, terms.price));
            format!("{} {} {:?} {:?} of {}{amended}{fill}", o.symbol, o.client, o.status, o.side, o.executed)
        }
        Ok(UserEvent::Account(account)) => {
            let wallets: Vec<String> = account.wallets.iter().map(|(asset, held)| format!("{held} {asset}")).collect();
            let positions = account.positions.iter();
            let positions: Vec<String> = positions.map(|p| format!("{} {} @ {}", p.symbol, p.qty, p.entry)).collect();
            format!("[{}] [{}]", wallets.join(", "), positions.join(", "))
        }
        Ok(other) => format!("{other:?}"),
        Err(_) => "malformed".to_owned(),
    }
}

#[test]
fn frames_become_our_words() {
    let table = [
        (
            r#"{"e":"ORDER_TRADE_UPDATE","T":1,"E":2,"o":{"s":"BTCUSDT","c":"of-00000001-00000002","S":"BUY","x":"TRADE","X":"PARTIALLY_FILLED","i":7,"l":"0.004","z":"0.004","L":"83090.1","n":"0.06647208","N":"USDT","T":1,"t":81,"m":true}}"#,
            "BTCUSDT of-00000001-00000002 PartiallyFilled Buy of 0.004 trade 81 0.004 @ 83090.1 maker fee 6647208 USDT",
        ),
        (
            r#"{"stream":"key","data":{"e":"ORDER_TRADE_UPDATE","E":2,"o":{"s":"X","c":"web_1","S":"SELL","x":"NEW","X":"NEW","i":7}}}"#,
            "X web_1 New Sell of 0",
        ),
        (
            r#"{"e":"ORDER_TRADE_UPDATE","o":{"s":"X","c":"c","S":"SELL","x":"AMENDMENT","X":"NEW","i":7,"M":"1"}}"#,
            "X c New Sell of 0 amended 0 @ 0",
        ),
        (
            r#"{"e":"ORDER_TRADE_UPDATE","o":{"s":"X","c":"c","S":"SELL","x":"EXPIRED","X":"EXPIRED_IN_MATCH","i":7,"z":"1"}}"#,
            "X c Expired Sell of 1",
        ),
        (
            r#"{"e":"ORDER_TRADE_UPDATE","o":{"s":"X","c":"autoclose-1","S":"SELL","x":"CALCULATED","X":"FILLED","i":7,"l":"1","z":"1","L":"5","t":3}}"#,
            "X autoclose-1 Filled Sell of 1 trade 3 1 @ 5 taker fee 0 ",
        ),
        (
            r#"{"e":"ORDER_TRADE_UPDATE","o":{"s":"X","c":"c","S":"SELL","x":"NEW","X":"BRAND_NEW","i":7}}"#,
            "X c Other Sell of 0",
        ),
        (r#"{"e":"ORDER_TRADE_UPDATE","o":{"s":"X","c":"c","S":"SELL","x":"NEW","X":"NEW"}}"#, "malformed"),
        (r#"{"e":"ORDER_TRADE_UPDATE"}"#, "malformed"),
        (
            r#"{"e":"ACCOUNT_UPDATE","E":5,"a":{"B":[{"a":"USDT","wb":"12.5","cw":"1","bc":"0"}],"P":[{"s":"BTCUSDT","pa":"-0.01","ep":"83090.123456789","ps":"BOTH"}],"m":"ORDER"}}"#,
            "[12.5 USDT] [BTCUSDT -0.01 @ 83090.12345678]",
        ),
        (r#"{"e":"ACCOUNT_UPDATE","a":{"m":"DEPOSIT"}}"#, "[] []"),
        (r#"{"e":"TRADE_LITE","E":3,"s":"X","p":"1","m":true}"#, "TradeLite { event_ms: 3 }"),
        (r#"{"e":"listenKeyExpired","E":"1795330800000","listenKey":"k"}"#, "ListenKeyExpired"),
        (r#"{"e":"ACCOUNT_CONFIG_UPDATE","ac":{"s":"X","l":25}}"#, "Settings { leverage: Some(25) }"),
        (r#"{"e":"ACCOUNT_CONFIG_UPDATE","ai":{"j":true}}"#, "Settings { leverage: None }"),
        (r#"{"e":"MARGIN_CALL","p":[{}]}"#, "MarginCall"),
        (r#"{"e":"ALGO_UPDATE","o":{"X":"NEW"}}"#, "Other"),
        (r#"{"result":null,"id":1}"#, "Other"),
        (r#"{"e":5}"#, "malformed"),
        ("", "malformed"),
        ("[]", "Other"),
    ];
    for (frame, expected) in table {
        assert_eq!(show(frame), expected, "{frame}");
    }
}

#[test]
fn long_account_updates_are_cut_and_say_so() {
    let row = r#"{"s":"X","pa":"1","ep":"1","ps":"LONG"}"#;
    let frame = format!(r#"{{"e":"ACCOUNT_UPDATE","a":{{"P":[{}]}}}}"#, [row; POSITIONS_MAX + 1].join(","));
    let Ok(UserEvent::Account(account)) = parse(frame.as_bytes()) else { panic!("an account update") };
    assert!(account.more && account.positions.len() == POSITIONS_MAX && account.positions[0].hedged);
}

#[test]
fn sample_events_are_read() {
    let table = [
        (
            "userdata-order-filled-maker.json",
            "BTCUSDT opti-1-000001 Filled Buy of 0.01 trade 8153700044 0.006 @ 83090.1 maker fee 9970812 USDT",
        ),
        ("userdata-order-new.combined.json", "BTCUSDT opti-1-000001 New Buy of 0"),
        ("userdata-order-canceled.json", "BTCUSDT opti-1-000002 Canceled Buy of 0"),
        ("userdata-order-expired-in-match-stp.json", "BTCUSDT opti-1-000004 Expired Buy of 0"),
        ("userdata-order-amendment.json", "BTCUSDT opti-1-000005 New Buy of 0 amended 0.01 @ 83089.9"),
        (
            "userdata-order-liquidation.json",
            "BTCUSDT autoclose-1795327201800000011 Filled Sell of 0.01 trade 8153700900 0.01 @ 82990.5 taker fee 41495250 USDT",
        ),
        ("userdata-account-order.json", "[15236.8338198 USDT] [BTCUSDT 0.01 @ 83090.1]"),
        ("userdata-account-funding-fee-cross.json", "[15236.2 USDT] []"),
        ("userdata-trade-lite.json", "TradeLite { event_ms: 1795327200911 }"),
        ("userdata-listen-key-expired-string-E.json", "ListenKeyExpired"),
        ("userdata-listen-key-expired.json", "ListenKeyExpired"),
        ("userdata-margin-call.json", "MarginCall"),
        ("userdata-account-config-leverage.json", "Settings { leverage: Some(25) }"),
        ("userdata-algo-canceled.json", "Other"),
        ("userdata-strategy-update.json", "Other"),
        ("userdata-grid-update-deprecated.json", "Other"),
    ];
    for (name, expected) in table {
        let Some(sample) = samples::message(name) else { return };
        if name.contains("funding-fee") {
            assert!(show(&sample).ends_with(" USDT] []"), "{}", show(&sample));
        } else {
            assert_eq!(show(&sample), expected, "{name}");
        }
    }
}

#[test]
fn every_recorded_event_is_read() {
    let Some(lines) = samples::bytes("data/payloads/user_stream.jsonl") else { return };
    let (mut orders, mut accounts, mut others) = (0, 0, 0);
    for line in String::from_utf8(lines).unwrap().lines() {
        match parse(line.as_bytes()).unwrap_or_else(|error| panic!("{error}: {line}")) {
            UserEvent::Order(order) => {
                assert!(order.exchange_id.0 > 0 && order.trade_ms > 0, "{line}");
                orders += 1;
            }
            UserEvent::Account(_) => accounts += 1,
            UserEvent::TradeLite { .. }
            | UserEvent::ListenKeyExpired
            | UserEvent::Settings { .. }
            | UserEvent::MarginCall
            | UserEvent::Other => others += 1,
        }
    }
    assert_eq!(orders + accounts + others, 53);
    assert!(orders >= 20 && accounts >= 8, "{orders} {accounts} {others}");
}

proptest::proptest! {
    #[test]
    fn hostile_bytes_never_panic(bytes: Vec<u8>) {
        let _ = parse(&bytes).is_err();
    }

    #[test]
    fn a_frame_with_bytes_changed_never_panics(changes: Vec<(usize, u8)>) {
        let mut frame = br#"{"e":"ORDER_TRADE_UPDATE","T":1,"E":2,"o":{"s":"BTCUSDT","c":"of-1","S":"BUY","x":"TRADE","X":"FILLED","i":7,"l":"0.004","z":"0.004","L":"83090.1","n":"0.06","N":"USDT","T":1,"t":81,"m":true}}"#.to_vec();
        for (at, byte) in changes {
            let at = at % frame.len();
            frame[at] = byte;
        }
        let _ = parse(&frame).is_err();
    }
}
