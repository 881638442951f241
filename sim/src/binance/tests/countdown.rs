//! The dead-man's switch: `POST /fapi/v1/countdownCancelAll`.

use serde_json::Value;

use super::*;

const BUY: &str = "symbol=BTCUSDT&side=BUY&type=LIMIT&timeInForce=GTX&quantity=0.010&price=83090.10&newClientOrderId";
const ARM: &str = "*POST /fapi/v1/countdownCancelAll symbol=BTCUSDT&countdownTime";

/// How many orders are open.
fn open(world: &World) -> usize {
    world.exchange.core().open_orders(None).len()
}

fn place(world: &mut World, client_id: &str) {
    world.body(&format!("*POST /fapi/v1/order {BUY}={client_id}"));
}

#[test]
fn it_cancels_when_nobody_renews_it() {
    let mut world = World::new(Vec::new());
    place(&mut world, "a");
    assert_eq!(world.body(&format!("{ARM}=10000")), "{\"symbol\":\"BTCUSDT\",\"countdownTime\":\"10000\"}");
    world.wait(9_000);
    world.body(&format!("{ARM}=10000"));
    world.wait(9_999);
    assert_eq!(open(&world), 1);
    let due = Nanos::from_millis(START_MS + 19_000);
    assert!(world.exchange.next_due().unwrap() <= due, "the driver learns when to come back");
    world.wait(1_000);
    assert_eq!(open(&world), 0);
    let order = world.exchange.core().all_orders(0)[0];
    assert_eq!(order.updated, due, "cancelled when it was due, not when somebody looked");
}

#[test]
fn it_is_looked_at_every_ten_milliseconds() {
    for (armed_at, countdown, cancelled_at) in [(0, 1_000, 1_000), (3, 1_000, 1_010), (7, 1, 10), (0, 11, 20)] {
        let mut world = World::new(Vec::new());
        world.wait(armed_at);
        place(&mut world, "a");
        world.body(&format!("{ARM}={countdown}"));
        world.wait(cancelled_at - armed_at - 1);
        assert_eq!(open(&world), 1, "{countdown} ms from {armed_at} ms");
        world.wait(1);
        assert_eq!(open(&world), 0, "{countdown} ms from {armed_at} ms");
    }
}

#[test]
fn each_call_replaces_the_countdown_also_by_a_shorter_one() {
    let mut world = World::new(Vec::new());
    place(&mut world, "a");
    world.body(&format!("{ARM}=120000"));
    world.body(&format!("{ARM}=1000"));
    world.wait(1_000);
    assert_eq!(open(&world), 0);
}

#[test]
fn zero_disarms_it() {
    let mut world = World::new(Vec::new());
    place(&mut world, "a");
    world.body(&format!("{ARM}=1000"));
    assert_eq!(world.body(&format!("{ARM}=0")), "{\"symbol\":\"BTCUSDT\",\"countdownTime\":\"0\"}");
    world.wait(60_000);
    assert_eq!(open(&world), 1);
}

#[test]
fn it_goes_off_once() {
    let mut world = World::new(Vec::new());
    world.body(&format!("{ARM}=1000"));
    world.wait(1_000);
    place(&mut world, "a");
    world.wait(3_600_000);
    assert_eq!(open(&world), 1, "what is placed afterwards stays until it is armed again");
}

#[test]
fn a_symbol_that_is_not_named_is_left_alone() {
    let mut world = World::new(Vec::new());
    place(&mut world, "a");
    world.body("*POST /fapi/v1/countdownCancelAll symbol=ETHUSDT&countdownTime=1000");
    world.wait(1_000);
    assert_eq!(open(&world), 1);
    world.body("*POST /fapi/v1/countdownCancelAll symbol=ETHUSDT&countdownTime=5000");
    world.body(&format!("{ARM}=2000"));
    world.body("*POST /fapi/v1/countdownCancelAll symbol=ETHUSDT&countdownTime=0");
    world.wait(2_000);
    assert_eq!(open(&world), 0, "disarming another symbol disarms that one only");
}

#[test]
fn conditional_orders_that_wait_are_left_alone() {
    let mut world = World::new(Vec::new());
    let stop = "algoType=CONDITIONAL&symbol=BTCUSDT&side=BUY&type=STOP_MARKET&quantity=0.010&triggerPrice=90000.00";
    world.body(&format!("*POST /fapi/v1/algoOrder {stop}"));
    place(&mut world, "a");
    world.body(&format!("{ARM}=1000"));
    world.wait(1_000);
    assert_eq!(open(&world), 0);
    let waiting: Value = serde_json::from_str(&world.body("*GET /fapi/v1/openAlgoOrders")).unwrap();
    assert_eq!(waiting.as_array().map(Vec::len), Some(1), "whether it cancels them is not established: assume not");
}

#[test]
fn the_account_is_told_of_each_cancelled_order() {
    let mut world = World::new(Vec::new());
    let key: Value = serde_json::from_str(&world.body("+POST /fapi/v1/listenKey")).unwrap();
    let path = format!("/private/ws/{}", key["listenKey"].as_str().unwrap());
    world.exchange.open(world.now(), ConnId(1), &path, PEER).unwrap();
    place(&mut world, "a");
    place(&mut world, "b");
    world.body(&format!("{ARM}=1000"));
    world.outgoing(1);
    world.wait(1_000);
    let told: Vec<Value> = world.outgoing(1).iter().map(|frame| serde_json::from_str(frame).unwrap()).collect();
    let told: Vec<String> = told.iter().map(|event| format!("{} {}", event["o"]["c"], event["o"]["X"])).collect();
    assert_eq!(told, ["\"a\" \"CANCELED\"", "\"b\" \"CANCELED\""]);
}

#[test]
fn it_costs_ten_and_refuses_what_is_no_countdown() {
    let mut world = World::new(Vec::new());
    let weight = |world: &mut World, line: &str| {
        header(&world.response(line), "X-MBX-USED-WEIGHT-1M").unwrap().parse::<u32>().unwrap()
    };
    let before = weight(&mut world, &format!("{ARM}=1000"));
    assert_eq!(weight(&mut world, &format!("{ARM}=1000")), before + 10);
    for (line, code) in [
        ("symbol=BTCUSDT", "400 -1102"),
        ("symbol=BTCUSDT&countdownTime=-1", "400 -1102"),
        ("symbol=BTCUSDT&countdownTime=soon", "400 -1102"),
        ("symbol=NOPE&countdownTime=1000", "400 -1121"),
        ("countdownTime=1000", "400 -1102"),
        ("symbol=BTCUSDT&countdownTime=99999999999999", "400 -1130"),
    ] {
        assert_eq!(world.code(&format!("*POST /fapi/v1/countdownCancelAll {line}")), code, "{line}");
    }
}
