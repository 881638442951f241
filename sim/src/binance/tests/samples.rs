//! Bodies have the fields of the sample messages, in their order.

use super::*;

/// Places a post-only order, has it filled in part and leaves the rest open.
fn with_position() -> World {
    let mut world = World::new(vec![
        trade(500, 8_153_634_283, "83091.70", "0.010", Side::Buy),
        trade(510, 8_153_634_290, "83090.10", "0.004", Side::Sell),
        trade(520, 8_153_634_291, "83090.10", "0.002", Side::Sell),
        mark(600, "83091.70", 7_200_000),
        mark(700, "83091.70", 14_400_000),
    ]);
    world.body(
        "*POST /fapi/v1/order symbol=BTCUSDT&side=BUY&type=LIMIT&timeInForce=GTX&quantity=0.010&price=83090.10\
         &newClientOrderId=opti-1-000001",
    );
    world.wait(1_000);
    let filled = world.exchange.core().position(0).qty;
    assert_eq!(filled.to_string(), "0.004", "the queue ahead is filled first");
    world.body("*PUT /fapi/v1/order symbol=BTCUSDT&side=BUY&origClientOrderId=opti-1-000001&quantity=0.012&price=83090.10&modifyId=1001");
    world
}

/// Names of fields in the order of their first appearance, without `filterType`, whose place varies on the wire.
pub fn names(text: &str) -> Vec<String> {
    let mut names: Vec<String> = Vec::new();
    let mut rest = text;
    while let Some(open) = rest.find('"') {
        let after = &rest[open + 1..];
        let close = after.find('"').unwrap();
        let (word, tail) = (&after[..close], &after[close + 1..]);
        if tail.starts_with(':') && word != "filterType" && !names.iter().any(|known| known == word) {
            names.push(word.to_owned());
        }
        rest = tail;
    }
    names
}

#[test]
fn rest_bodies_have_the_fields_of_the_samples() {
    let Some(messages) = shared_messages() else { return };
    let mut world = with_position();
    let table = [
        ("rest-ping", "GET /fapi/v1/ping"),
        ("rest-time", "GET /fapi/v1/time"),
        ("rest-exchangeInfo", "GET /fapi/v1/exchangeInfo"),
        ("rest-depth", "GET /fapi/v1/depth symbol=BTCUSDT&limit=5"),
        ("rest-trades", "GET /fapi/v1/trades symbol=BTCUSDT"),
        ("rest-aggTrades", "GET /fapi/v1/aggTrades symbol=BTCUSDT"),
        ("rest-premiumIndex", "GET /fapi/v1/premiumIndex symbol=BTCUSDT"),
        ("rest-fundingRate", "GET /fapi/v1/fundingRate symbol=BTCUSDT"),
        ("rest-fundingInfo", "GET /fapi/v1/fundingInfo"),
        ("rest-openInterest", "GET /fapi/v1/openInterest symbol=BTCUSDT"),
        ("rest-bookTicker", "GET /fapi/v1/ticker/bookTicker symbol=BTCUSDT"),
        ("rest-symbolAdlRisk", "GET /fapi/v1/symbolAdlRisk symbol=BTCUSDT"),
        ("rest-order-query", "*GET /fapi/v1/order symbol=BTCUSDT&origClientOrderId=opti-1-000001"),
        ("rest-openOrder", "*GET /fapi/v1/openOrder symbol=BTCUSDT&origClientOrderId=opti-1-000001"),
        ("rest-openOrders", "*GET /fapi/v1/openOrders"),
        ("rest-allOrders", "*GET /fapi/v1/allOrders"),
        ("rest-userTrades", "*GET /fapi/v1/userTrades symbol=BTCUSDT"),
        ("rest-orderAmendment", "*GET /fapi/v1/orderAmendment symbol=BTCUSDT"),
        ("rest-rateLimit-order", "*GET /fapi/v1/rateLimit/order"),
        ("rest-account-v2", "*GET /fapi/v2/account"),
        ("rest-account-v3", "*GET /fapi/v3/account"),
        ("rest-balance-v2", "*GET /fapi/v2/balance"),
        ("rest-balance-v3", "*GET /fapi/v3/balance"),
        ("rest-positionRisk-v2", "*GET /fapi/v2/positionRisk"),
        ("rest-positionRisk-v3", "*GET /fapi/v3/positionRisk"),
        ("rest-accountConfig", "*GET /fapi/v1/accountConfig"),
        ("rest-symbolConfig", "*GET /fapi/v1/symbolConfig"),
        ("rest-leverage", "*POST /fapi/v1/leverage symbol=BTCUSDT&leverage=20"),
        ("rest-leverageBracket", "*GET /fapi/v1/leverageBracket"),
        ("rest-commissionRate", "*GET /fapi/v1/commissionRate symbol=BTCUSDT"),
        ("rest-apiTradingStatus.below-recording-threshold", "*GET /fapi/v1/apiTradingStatus"),
        ("rest-income", "*GET /fapi/v1/income"),
        ("rest-positionSide-dual.get", "*GET /fapi/v1/positionSide/dual"),
        ("rest-multiAssetsMargin.get", "*GET /fapi/v1/multiAssetsMargin"),
        ("rest-feeBurn.get", "*GET /fapi/v1/feeBurn"),
        ("rest-countdownCancelAll", "*POST /fapi/v1/countdownCancelAll symbol=BTCUSDT&countdownTime=10000"),
        ("rest-listenKey.post", "+POST /fapi/v1/listenKey"),
        ("rest-listenKey.put", "+PUT /fapi/v1/listenKey"),
        ("rest-listenKey.delete", "+DELETE /fapi/v1/listenKey"),
        (
            "rest-order-new.ack",
            "*POST /fapi/v1/order symbol=BTCUSDT&side=SELL&type=LIMIT&timeInForce=GTX&quantity=0.010&price=84000\
             &newClientOrderId=b",
        ),
        (
            "rest-order-modify",
            "*PUT /fapi/v1/order symbol=BTCUSDT&side=SELL&origClientOrderId=b&quantity=0.010&price=84001&modifyId=7",
        ),
        ("rest-order-cancel", "*DELETE /fapi/v1/order symbol=BTCUSDT&origClientOrderId=b"),
        (
            "rest-order-new.result-market-filled",
            "*POST /fapi/v1/order symbol=BTCUSDT&side=BUY&type=MARKET&quantity=0.010&newOrderRespType=RESULT",
        ),
        ("rest-allOpenOrders-delete", "*DELETE /fapi/v1/allOpenOrders symbol=BTCUSDT"),
    ];
    for (file, line) in table {
        let sample = std::fs::read_to_string(messages.join(format!("{file}.json"))).unwrap();
        assert_eq!(names(&world.body(line)), names(&sample), "{file}");
    }
}

#[test]
fn every_refusal_has_the_text_and_the_status_of_its_sample() {
    let Some(messages) = shared_messages() else { return };
    let index = std::fs::read_to_string(messages.join("rest-errors.index.json")).unwrap();
    let index: serde_json::Value = serde_json::from_str(&index).unwrap();
    let mut world = World::new(Vec::new());
    let place = "*POST /fapi/v1/order symbol=BTCUSDT&side=BUY&type=LIMIT";
    let good = "timeInForce=GTC&quantity=0.010";
    world.body(&format!("{place}&{good}&price=83000&newClientOrderId=a"));
    let lines = [
        (-1102, format!("{place}&timeInForce=GTC&price=83000")),
        (-1111, format!("{place}&{good}&price=83000.123")),
        (-1120, "GET /fapi/v1/klines symbol=BTCUSDT&interval=2s".to_owned()),
        (-1121, "GET /fapi/v1/depth symbol=NOPE".to_owned()),
        (-1125, "+PUT /fapi/v1/listenKey".to_owned()),
        (-2011, "*DELETE /fapi/v1/order symbol=BTCUSDT&orderId=1".to_owned()),
        (-2013, "*GET /fapi/v1/order symbol=BTCUSDT&orderId=1".to_owned()),
        (-2014, "GET /fapi/v1/openOrders".to_owned()),
        (-2019, format!("{place}&timeInForce=GTC&quantity=100&price=83000")),
        (-2022, format!("{place}&{good}&price=83000&reduceOnly=true")),
        (-4003, format!("{place}&timeInForce=GTC&quantity=-1&price=83000")),
        (-4005, format!("{place}&timeInForce=GTC&quantity=1001&price=83000")),
        (-4014, format!("{place}&{good}&price=83000.01")),
        (-4015, format!("{place}&{good}&price=83000&newClientOrderId=!")),
        (-4021, "GET /fapi/v1/depth symbol=BTCUSDT&limit=7".to_owned()),
        (-4046, "*POST /fapi/v1/marginType symbol=BTCUSDT&marginType=CROSSED".to_owned()),
        (-4059, "*POST /fapi/v1/positionSide/dual dualSidePosition=false".to_owned()),
        (-4061, format!("{place}&{good}&price=83000&positionSide=LONG")),
        (-4116, format!("{place}&{good}&price=83000&newClientOrderId=a")),
        (-4120, "*POST /fapi/v1/order symbol=BTCUSDT&side=BUY&type=STOP&quantity=1".to_owned()),
        (-4164, format!("{place}&timeInForce=GTC&quantity=0.001&price=40000")),
        (-4166, "GET /fapi/v1/aggTrades symbol=BTCUSDT&startTime=1".to_owned()),
        (-5021, format!("{place}&timeInForce=FOK&quantity=0.010&price=83000")),
        (-5022, format!("{place}&timeInForce=GTX&quantity=0.010&price=84000")),
        (
            -5027,
            "*PUT /fapi/v1/order symbol=BTCUSDT&side=BUY&origClientOrderId=a&quantity=0.010&price=83000".to_owned(),
        ),
    ];
    for (code, line) in lines {
        let entry = index.as_array().unwrap().iter().find(|entry| entry["code"] == code).unwrap();
        let sample = std::fs::read_to_string(messages.join(entry["file"].as_str().unwrap())).unwrap();
        assert_eq!(world.ask(&line), format!("{} {}", entry["http_status"], sample.trim_end()), "{line}");
    }
}
