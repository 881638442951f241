//! Events of the core in, user data frames out.

use optiflow_base::money::Qty;
use optiflow_base::order::{OrderKind, TimeInForce};
use serde_json::Value;

use super::*;
use crate::binance::streams::testing::listing;
use crate::binance::{ConnId, Outgoing};
use crate::words::{OrderStatus, Placement, SelfTrade, Terms};

struct Bench {
    hub: Hub,
    user: UserStream,
}

const T: u64 = 1_795_327_200_000;

fn at(ms: u64) -> Nanos {
    Nanos::from_millis(T + ms)
}

impl Bench {
    fn new() -> Bench {
        let listings = [listing("BTCUSDT")];
        let mut bench = Bench { hub: Hub::new(&listings), user: UserStream::new(&listings, 1) };
        let key = bench.user.key().start(at(0));
        bench.hub.open(at(0), ConnId(1), &format!("/private/ws/{key}")).unwrap();
        bench
    }

    fn events(&mut self, ms: u64, events: &[CoreEvent]) -> Vec<String> {
        for event in events {
            self.user.event(at(ms), event, |_| "83100".parse().unwrap(), &mut self.hub);
        }
        self.user.settle(&mut self.hub);
        self.frames()
    }

    fn frames(&mut self) -> Vec<String> {
        let mut texts = Vec::new();
        while let Some((_, frame)) = self.hub.take_outgoing() {
            let Outgoing::Text(text) = frame else { panic!("only text is expected") };
            texts.push(text.to_string());
        }
        texts
    }
}

fn order(id: u64, side: Side, price: &str, qty: &str, filled: &str, status: OrderStatus, ms: u64) -> Order {
    let (price, filled): (Price, Qty) = (price.parse().unwrap(), filled.parse().unwrap());
    Order {
        id,
        liquidates: false,
        placed: Placement {
            symbol: 0,
            client_id: format!("opti-{id}"),
            side,
            kind: if price.is_zero() { OrderKind::Market } else { OrderKind::Limit },
            time_in_force: if price.is_zero() { TimeInForce::Gtc } else { TimeInForce::Gtx },
            price,
            qty: qty.parse().unwrap(),
            reduce_only: false,
            self_trade: SelfTrade::ExpireMaker,
            terms: Terms::default(),
        },
        status,
        filled,
        filled_quote: if price.is_zero() {
            Price::from_units(8_309_170_000_000).times(filled)
        } else {
            price.times(filled)
        },
        created: at(ms),
        updated: at(ms),
    }
}

fn fill(of: &Order, trade_id: u64, price: &str, qty: &str, maker: bool, fee: &str) -> Fill {
    Fill {
        trade_id,
        order_id: of.id,
        client_id: of.placed.client_id.clone(),
        symbol: 0,
        side: of.placed.side,
        price: price.parse().unwrap(),
        qty: qty.parse().unwrap(),
        maker,
        fee: fee.parse().unwrap(),
        realized: Notional::ZERO,
        at: of.updated,
    }
}

fn filled(order: &Order, fill: Fill, position: &str, entry: &str, wallet: &str) -> CoreEvent {
    let (qty, entry): (Qty, Price) = (position.parse().unwrap(), entry.parse().unwrap());
    let position = Position {
        qty,
        entry,
        cost: entry.times(qty.abs()),
        fees: fill.fee,
        realized: "12.4401".parse().unwrap(),
        updated: order.updated,
    };
    CoreEvent::Fill { order: order.clone(), fill, position, wallet: wallet.parse().unwrap() }
}

/// Event, execution, status and time of a frame.
fn sketch(frame: &str) -> String {
    let message: Value = serde_json::from_str(frame).unwrap();
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let ms = message["T"].as_u64().unwrap_or_default().saturating_sub(T);
    [text(&message["e"]), text(&message["o"]["x"]), text(&message["o"]["X"]), ms.to_string()].join(" ")
}

fn sketches(frames: &[String]) -> Vec<String> {
    frames.iter().map(|frame| sketch(frame)).collect()
}

#[test]
fn a_resting_order_is_told_as_the_wire_tells_it() {
    let mut bench = Bench::new();
    let new = order(7, Side::Buy, "83090.1", "0.01", "0", OrderStatus::New, 10);
    assert_eq!(
        bench.events(11, &[CoreEvent::New(new)]),
        [
            r#"{"e":"ORDER_TRADE_UPDATE","T":1795327200010,"E":1795327200011,"o":{"s":"BTCUSDT","c":"opti-7","S":"BUY","o":"LIMIT","f":"GTX","q":"0.01","p":"83090.1","ap":"0","sp":"0","x":"NEW","X":"NEW","i":7,"l":"0","z":"0","L":"0","n":"0","N":"USDT","T":1795327200010,"t":0,"b":"830.901","a":"0","m":false,"R":false,"wt":"CONTRACT_PRICE","ot":"LIMIT","ps":"BOTH","cp":false,"rp":"0","pP":false,"si":0,"ss":0,"V":"EXPIRE_MAKER","pm":"NONE","gtd":0,"er":"0"}}"#
        ]
    );
    let partly = order(7, Side::Buy, "83090.1", "0.01", "0.004", OrderStatus::PartiallyFilled, 510);
    let event = filled(
        &partly,
        fill(&partly, 8_001, "83090.1", "0.004", true, "0.06647208"),
        "0.004",
        "83090.1",
        "15236.8338198",
    );
    assert_eq!(
        bench.events(511, &[event]),
        [
            r#"{"e":"TRADE_LITE","E":1795327200511,"T":1795327200510,"s":"BTCUSDT","q":"0.010","p":"83090.10","m":true,"c":"opti-7","S":"BUY","L":"83090.10","l":"0.004","t":8001,"i":7}"#,
            r#"{"e":"ACCOUNT_UPDATE","T":1795327200510,"E":1795327200511,"a":{"B":[{"a":"USDT","wb":"15236.83381980","cw":"15236.83381980","bc":"0"}],"P":[{"s":"BTCUSDT","pa":"0.004","ep":"83090.1","cr":"12.44010000","up":"0.03960000","mt":"cross","iw":"0","ps":"BOTH","ma":"USDT","bep":"83106.71802"}],"m":"ORDER"}}"#,
            r#"{"e":"ORDER_TRADE_UPDATE","T":1795327200510,"E":1795327200511,"o":{"s":"BTCUSDT","c":"opti-7","S":"BUY","o":"LIMIT","f":"GTX","q":"0.01","p":"83090.1","ap":"83090.1","sp":"0","x":"TRADE","X":"PARTIALLY_FILLED","i":7,"l":"0.004","z":"0.004","L":"83090.1","n":"0.06647208","N":"USDT","T":1795327200510,"t":8001,"b":"498.5406","a":"0","m":true,"R":false,"wt":"CONTRACT_PRICE","ot":"LIMIT","ps":"BOTH","cp":false,"rp":"0","pP":false,"si":0,"ss":0,"V":"EXPIRE_MAKER","pm":"NONE","gtd":0,"er":"0"}}"#,
        ]
    );
}

#[test]
fn a_marketable_order_trades_before_it_is_new() {
    let mut bench = Bench::new();
    let new = order(9, Side::Buy, "0", "0.02", "0", OrderStatus::New, 5);
    let partly = order(9, Side::Buy, "0", "0.02", "0.01", OrderStatus::PartiallyFilled, 5);
    let done = order(9, Side::Buy, "0", "0.02", "0.02", OrderStatus::Filled, 5);
    let events = [
        CoreEvent::New(new),
        filled(&partly, fill(&partly, 1, "83091.7", "0.01", false, "0.4"), "0.01", "83091.7", "15235"),
        filled(&done, fill(&done, 2, "83091.7", "0.01", false, "0.4"), "0.02", "83091.7", "15235"),
    ];
    let frames = bench.events(5, &events);
    assert_eq!(
        sketches(&frames),
        [
            "TRADE_LITE   5",
            "ORDER_TRADE_UPDATE NEW NEW 5",
            "ACCOUNT_UPDATE   5",
            "ORDER_TRADE_UPDATE TRADE PARTIALLY_FILLED 5",
            "TRADE_LITE   5",
            "ACCOUNT_UPDATE   5",
            "ORDER_TRADE_UPDATE TRADE FILLED 5",
        ]
    );
    assert!(frames[0].contains(r#""p":"0.00""#) && frames[1].contains(r#""p":"0","ap":"0""#));
    assert!(frames[6].contains(r#""ap":"83091.7""#));
}

#[test]
fn a_new_that_does_not_fill_at_once_comes_before_what_follows() {
    let mut bench = Bench::new();
    let first = order(1, Side::Buy, "100", "1", "0", OrderStatus::New, 1);
    let second = order(2, Side::Sell, "200", "1", "0", OrderStatus::New, 1);
    let done = order(1, Side::Buy, "100", "1", "1", OrderStatus::Filled, 1);
    let events = [
        CoreEvent::New(first),
        CoreEvent::New(second),
        filled(&done, fill(&done, 1, "100", "1", true, "0.02"), "1", "100", "5000"),
    ];
    let frames = bench.events(1, &events);
    assert_eq!(
        sketches(&frames),
        [
            "ORDER_TRADE_UPDATE NEW NEW 1",
            "ORDER_TRADE_UPDATE NEW NEW 1",
            "TRADE_LITE   1",
            "ACCOUNT_UPDATE   1",
            "ORDER_TRADE_UPDATE TRADE FILLED 1",
        ]
    );
    assert!(frames[1].contains(r#""b":"100","a":"200""#), "{}", frames[1]);
    assert!(frames[4].contains(r#""b":"0","a":"200""#));
}

#[test]
fn a_liquidation_is_told_by_its_orders() {
    let mut bench = Bench::new();
    let mut closing = order(5, Side::Sell, "82670.1", "0.01", "0.01", OrderStatus::Filled, 10);
    closing.placed.client_id = "autoclose-5".to_owned();
    closing.liquidates = true;
    let fill = filled(&closing, fill(&closing, 9, "82990.5", "0.01", false, "0.4149525"), "0", "0", "100");
    let said = CoreEvent::Liquidation { at: at(10), margin_balance: Notional::ZERO, maintenance: Notional::ZERO };
    let frames = bench.events(10, &[said, fill]);
    let told = ["TRADE_LITE", "ACCOUNT_UPDATE", "ORDER_TRADE_UPDATE CALCULATED FILLED"];
    assert!(frames.len() == 3 && sketches(&frames).iter().zip(told).all(|(frame, told)| frame.starts_with(told)));
}

#[test]
fn an_order_of_a_client_that_only_has_the_name_of_a_liquidation_trades_like_any_other() {
    let mut bench = Bench::new();
    let mut named = order(5, Side::Sell, "82670.1", "0.01", "0.01", OrderStatus::Filled, 10);
    named.placed.client_id = "autoclose-5".to_owned();
    let fill = filled(&named, fill(&named, 9, "82990.5", "0.01", false, "0.4149525"), "0", "0", "100");
    let frames = bench.events(10, &[fill]);
    assert!(sketches(&frames).iter().any(|frame| frame.starts_with("ORDER_TRADE_UPDATE TRADE FILLED")), "{frames:?}");
}

#[test]
fn ends_amendments_funding_and_leverage_have_their_own_events() {
    let mut bench = Bench::new();
    let table = [
        (OrderStatus::Canceled, 0, "CANCELED CANCELED"),
        (OrderStatus::Expired, 2, "EXPIRED EXPIRED"),
        (OrderStatus::ExpiredInMatch, 1, "EXPIRED EXPIRED_IN_MATCH"),
    ];
    for (status, reason, shown) in table {
        let ended = CoreEvent::Ended { order: order(3, Side::Buy, "100", "1", "0", status, 9), reason };
        let frames = bench.events(9, &[ended]);
        assert_eq!(sketches(&frames), [format!("ORDER_TRADE_UPDATE {shown} 9")]);
        assert!(frames[0].contains(&format!(r#""er":"{reason}""#)));
    }
    let amended = CoreEvent::Amended(order(4, Side::Buy, "101", "2", "0", OrderStatus::New, 10));
    let frames = bench.events(10, &[amended]);
    assert_eq!(sketches(&frames), ["ORDER_TRADE_UPDATE AMENDMENT NEW 10"]);
    assert!(frames[0].contains(r#""b":"202""#));
    let funding = CoreEvent::Funding {
        at: Nanos::from_millis(0),
        symbol: 0,
        amount: -Notional::from_units(64_819),
        wallet: "15236.83317161".parse().unwrap(),
    };
    assert_eq!(
        bench.events(910, &[funding]),
        [
            r#"{"e":"ACCOUNT_UPDATE","T":1795327200910,"E":1795327200910,"a":{"B":[{"a":"USDT","wb":"15236.83317161","cw":"15236.83317161","bc":"-0.00064819"}],"P":[],"m":"FUNDING_FEE","S":"BTCUSDT"}}"#
        ]
    );
    bench.user.leverage(at(8_100), "BTCUSDT", 25, &mut bench.hub);
    assert_eq!(
        bench.frames(),
        [r#"{"e":"ACCOUNT_CONFIG_UPDATE","T":1795327208100,"E":1795327208100,"ac":{"s":"BTCUSDT","l":25}}"#]
    );
}

#[test]
fn an_expired_key_says_so_once_and_is_silent_from_then_on() {
    let mut bench = Bench::new();
    let key = bench.user.key().current().unwrap().to_owned();
    bench.user.advance(at(3_599_999), &mut bench.hub);
    assert_eq!(bench.frames(), [""; 0]);
    bench.user.advance(at(3_600_000), &mut bench.hub);
    assert_eq!(bench.frames(), [format!(r#"{{"e":"listenKeyExpired","E":{},"listenKey":"{key}"}}"#, T + 3_600_000)]);
    bench.user.key().start(at(3_600_001));
    let new = order(7, Side::Buy, "100", "1", "0", OrderStatus::New, 10);
    assert_eq!(bench.events(3_600_002, &[CoreEvent::New(new)]), [""; 0]);
}
