//! Conditional orders from beginning to end.

use serde_json::Value;

use super::*;

const STOP: &str = "algoType=CONDITIONAL&symbol=BTCUSDT&side=SELL&type=STOP_MARKET&quantity=0.010&triggerPrice=82000.00\
                    &workingType=MARK_PRICE&reduceOnly=true&clientAlgoId=s";

/// A world whose mark falls through 82000 after a second, and which holds 0.010; the user stream is connection 1.
fn falling(position: bool) -> World {
    let later = vec![
        mark(900, "82000.10", 7_200_000),
        mark(1_000, "82000.00", 7_200_000),
        mark(1_100, "81000.00", 7_200_000),
        trade(2_000, 8_153_634_300, "83000.00", "0.010", Side::Sell),
    ];
    let mut world = World::new(later);
    let key: Value = serde_json::from_str(&world.body("+POST /fapi/v1/listenKey")).unwrap();
    let path = format!("/private/ws/{}", key["listenKey"].as_str().unwrap());
    world.exchange.open(world.now(), ConnId(1), &path, PEER).unwrap();
    if position {
        world.body("*POST /fapi/v1/order symbol=BTCUSDT&side=BUY&type=MARKET&quantity=0.010");
    }
    world.outgoing(1);
    world
}

/// Kind and state of every frame on connection 1.
fn told(world: &mut World) -> Vec<String> {
    let sketch = |frame: String| {
        let frame: Value = serde_json::from_str(&frame).unwrap();
        format!("{} {}", frame["e"].as_str().unwrap(), frame["o"]["X"].as_str().unwrap_or_default())
    };
    world.outgoing(1).into_iter().map(sketch).collect()
}

#[test]
fn a_stop_waits_for_its_price_and_becomes_a_market_order() {
    let mut world = falling(true);
    let placed: Value = serde_json::from_str(&world.body(&format!("*POST /fapi/v1/algoOrder {STOP}"))).unwrap();
    assert_eq!((&placed["algoStatus"], &placed["triggerPrice"]), (&"NEW".into(), &"82000.00".into()));
    assert_eq!(told(&mut world), ["ALGO_UPDATE NEW"]);
    world.wait(999);
    assert_eq!(told(&mut world), [""; 0]);
    assert_eq!(world.exchange.core().all_orders(0).len(), 1, "nothing is on the book before the trigger");
    world.wait(1);
    assert_eq!(
        told(&mut world),
        [
            "ALGO_UPDATE TRIGGERED",
            "TRADE_LITE ",
            "ORDER_TRADE_UPDATE NEW",
            "ACCOUNT_UPDATE ",
            "ORDER_TRADE_UPDATE FILLED",
            "ALGO_UPDATE FINISHED",
        ]
    );
    assert!(world.exchange.core().position(0).qty.is_zero());
    let asked: Value = serde_json::from_str(&world.body("*GET /fapi/v1/algoOrder clientAlgoId=s")).unwrap();
    let order = world.exchange.core().all_orders(0)[1].id.to_string();
    assert_eq!((&asked["algoStatus"], &asked["actualOrderId"]), (&"FINISHED".into(), &order.into()));
    assert_eq!((&asked["actualPrice"], &asked["triggerTime"]), (&"83091.60000".into(), &(START_MS + 1_000).into()));
    assert_eq!(world.body("*GET /fapi/v1/openAlgoOrders"), "[]");
    assert!(world.body("*GET /fapi/v1/allAlgoOrders symbol=BTCUSDT").contains("FINISHED"));
}

#[test]
fn what_cannot_be_placed_at_the_trigger_is_rejected() {
    let mut world = falling(false);
    world.body(&format!("*POST /fapi/v1/algoOrder {STOP}"));
    world.body(&format!("*POST /fapi/v1/algoOrder {}", STOP.replace("Id=s", "Id=t")));
    let all = STOP.replace("quantity=0.010&", "closePosition=true&").replace("Id=s", "Id=all");
    world.body(&format!("*POST /fapi/v1/algoOrder {all}"));
    world.outgoing(1);
    world.wait(1_000);
    let frames = world.outgoing(1);
    let rejected = frames.iter().filter(|frame| frame.contains("\"X\":\"REJECTED\""));
    assert_eq!(rejected.filter(|frame| frame.contains("\"rm\":\"Reduce Only reject\"")).count(), 3, "{frames:?}");
    assert!(world.exchange.core().all_orders(0).is_empty());
}

#[test]
fn a_limit_order_lives_on_and_the_conditional_one_with_it() {
    let mut world = falling(true);
    let stop = STOP.replace("STOP_MARKET", "STOP").replace("MARK_PRICE", "CONTRACT_PRICE");
    let stop = stop.replace("triggerPrice=82000.00", "triggerPrice=83000.00&price=83150.00");
    world.body(&format!("*POST /fapi/v1/algoOrder {stop}"));
    world.wait(1_999);
    assert_eq!(told(&mut world), ["ALGO_UPDATE NEW"], "marks are not watched");
    world.wait(1);
    assert_eq!(told(&mut world), ["ALGO_UPDATE TRIGGERED", "ORDER_TRADE_UPDATE NEW"]);
    assert_eq!(world.code("*DELETE /fapi/v1/algoOrder clientAlgoId=s"), "400 -2011", "it is an order now");
    world.body("*DELETE /fapi/v1/allOpenOrders symbol=BTCUSDT");
    assert_eq!(told(&mut world), ["ORDER_TRADE_UPDATE CANCELED", "ALGO_UPDATE FINISHED"]);
}

#[test]
fn conditional_orders_are_cancelled_and_refused() {
    let mut world = falling(true);
    let place = |text: &str| format!("*POST /fapi/v1/algoOrder {text}");
    for (line, expected) in [
        (place(STOP), "200"),
        (place(STOP), "400 -4116"),
        (place(&STOP.replace("triggerPrice=82000.00&", "")), "400 -1102"),
        (place(&STOP.replace("82000.00", "82000.05")), "400 -4014"),
        (place(&STOP.replace("82000.00", "84000.00")), "400 -2021"),
        (place(&STOP.replace("STOP_MARKET", "TRAILING_STOP_MARKET")), "400 -1020"),
        (place(&STOP.replace("STOP_MARKET", "LIMIT")), "400 -1116"),
        (place(&STOP.replace("STOP_MARKET", "STOP")), "400 -1102"),
        (place(&STOP.replace("algoType=CONDITIONAL", "algoType=TWAP")), "400 -1130"),
        (place(&format!("{STOP}&price=5")), "400 -1106"),
        (place(&format!("{STOP}&closePosition=true")), "400 -1106"),
        (place(&format!("{STOP}&timeInForce=GTD")), "400 -1115"),
        ("*DELETE /fapi/v1/algoOrder".to_owned(), "400 -1102"),
        ("*DELETE /fapi/v1/algoOrder algoId=1".to_owned(), "400 -2011"),
        ("*GET /fapi/v1/algoOrder algoId=1".to_owned(), "400 -2013"),
        ("*DELETE /fapi/v1/algoOrder clientAlgoId=s".to_owned(), "200"),
        ("*DELETE /fapi/v1/algoOrder clientAlgoId=s".to_owned(), "400 -2011"),
        (place(&STOP.replace("Id=s", "Id=t")), "200"),
        ("*DELETE /fapi/v1/algoOpenOrders symbol=BTCUSDT".to_owned(), "200"),
    ] {
        assert_eq!(world.code(&line), expected, "{line}");
    }
    assert_eq!(
        told(&mut world),
        ["ALGO_UPDATE NEW", "ALGO_UPDATE CANCELED", "ALGO_UPDATE NEW", "ALGO_UPDATE CANCELED"]
    );
    world.wait(3_000);
    assert_eq!(world.exchange.core().all_orders(0).len(), 1, "what is cancelled is not triggered");
    for count in 0..200 {
        let name = format!("Id=n{count}");
        let far = STOP.replace("Id=s", &name).replace("82000.00", "70000.00");
        assert_eq!(world.code(&place(&far)), "200");
    }
    assert_eq!(world.code(&place(&STOP.replace("82000.00", "70000.00"))), "400 -4045");
}

#[test]
fn events_and_bodies_have_the_fields_of_the_samples() {
    let Some(messages) = shared_messages() else { return };
    let sample = |name: &str| std::fs::read_to_string(messages.join(format!("{name}.json"))).unwrap();
    let names = super::samples::names;
    let mut world = falling(true);
    let placed = world.body(&format!("*POST /fapi/v1/algoOrder {STOP}"));
    assert_eq!(names(&placed), names(&sample("rest-algoOrder.new")));
    assert_eq!(names(&world.body("*GET /fapi/v1/openAlgoOrders")), names(&sample("rest-openAlgoOrders")));
    world.body(&format!("*POST /fapi/v1/algoOrder {}", STOP.replace("Id=s", "Id=t")));
    let cancelled = world.body("*DELETE /fapi/v1/algoOrder clientAlgoId=t");
    assert_eq!(names(&cancelled), names(&sample("rest-algoOrder.cancel")));
    world.body(&format!("*POST /fapi/v1/algoOrder {}", STOP.replace("Id=s", "Id=u")));
    world.wait(1_000);
    let frames = world.outgoing(1);
    for (state, file) in [
        ("NEW", "userdata-algo-new"),
        ("CANCELED", "userdata-algo-canceled"),
        ("TRIGGERED", "userdata-algo-triggered"),
        ("FINISHED", "userdata-algo-finished"),
        ("REJECTED", "userdata-algo-rejected"),
    ] {
        let mark = format!("\"X\":\"{state}\"");
        let frame = frames.iter().find(|frame| frame.contains("ALGO_UPDATE") && frame.contains(&mark)).unwrap();
        assert_eq!(names(frame), names(&sample(file)), "{state}");
    }
}
