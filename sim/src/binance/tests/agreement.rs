//! What the user stream says of the account is what REST says of it.

use serde_json::Value;

use super::*;

/// Opens the user stream as connection 1.
fn listen(world: &mut World) {
    let key: Value = serde_json::from_str(&world.body("+POST /fapi/v1/listenKey")).unwrap();
    let path = format!("/private/ws/{}", key["listenKey"].as_str().unwrap());
    world.exchange.open(world.now(), ConnId(1), &path, PEER).unwrap();
}

/// The newest frame of that kind on connection 1.
fn newest(frames: &[String], event: &str) -> Value {
    let frame = frames.iter().rfind(|frame| frame.contains(&format!("\"e\":\"{event}\""))).unwrap();
    serde_json::from_str(frame).unwrap()
}

fn number(value: &Value) -> Notional {
    value.as_str().unwrap().parse().unwrap()
}

#[test]
fn break_even_profit_and_open_notional_are_the_same_on_both_sides() {
    let mut world = World::new(Vec::new());
    listen(&mut world);
    world.body("*POST /fapi/v1/leverage symbol=BTCUSDT&leverage=50");
    let order = "*POST /fapi/v1/order symbol=BTCUSDT&";
    // Two prices in unequal parts: the average has no end, so rounding it would show.
    world.body(&format!("{order}side=BUY&type=LIMIT&timeInForce=GTC&quantity=3.770&price=83091.80"));
    world.body(&format!("{order}side=SELL&type=MARKET&quantity=1.003"));
    world.body(&format!("{order}side=BUY&type=LIMIT&timeInForce=GTX&quantity=0.010&price=83000.00"));
    world.body(&format!("{order}side=SELL&type=LIMIT&timeInForce=GTX&quantity=0.020&price=83200.00"));
    world.body(&format!("{order}side=SELL&type=LIMIT&timeInForce=GTX&quantity=0.100&price=83300.00&reduceOnly=true"));
    let frames = world.outgoing(1);
    let told = newest(&frames, "ACCOUNT_UPDATE")["a"]["P"][0].clone();
    let order = newest(&frames, "ORDER_TRADE_UPDATE")["o"].clone();
    let rows: Value = serde_json::from_str(&world.body("*GET /fapi/v3/positionRisk")).unwrap();
    for (streamed, asked) in
        [("pa", "positionAmt"), ("ep", "entryPrice"), ("bep", "breakEvenPrice"), ("up", "unRealizedProfit")]
    {
        assert_eq!(number(&told[streamed]), number(&rows[0][asked]), "{streamed} and {asked}");
    }
    assert_eq!(order["b"], rows[0]["bidNotional"], "{order}");
    assert_eq!(order["a"], rows[0]["askNotional"], "{order}");
    assert_eq!((&order["b"], &order["a"]), (&"830".into(), &"1664".into()), "what only reduces adds nothing");
}
