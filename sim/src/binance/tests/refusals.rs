//! Every code this exchange refuses with, and the request that earns it.

use super::*;

const PLACE: &str = "*POST /fapi/v1/order symbol=BTCUSDT&side=BUY&type=LIMIT";

#[test]
fn new_orders_are_refused_with_the_code_that_says_why() {
    let good = "&timeInForce=GTC&quantity=0.010&price=83000.00";
    let limit = |change: &str| {
        let (name, _) = change.split_once('=').unwrap();
        let kept: Vec<&str> = good.split('&').filter(|pair| !pair.starts_with(&format!("{name}="))).collect();
        format!("{PLACE}{}&{change}", kept.join("&"))
    };
    let order = |rest: &str| format!("*POST /fapi/v1/order {rest}");
    let table: Vec<(String, &str)> = vec![
        (limit("quantity="), "400 -1102"),
        (limit("quantity=ten"), "400 -1102"),
        (limit("price="), "400 -1102"),
        (limit("timeInForce="), "400 -1102"),
        (order("side=BUY&type=LIMIT"), "400 -1102"),
        (order("symbol=BTCUSDT&type=LIMIT"), "400 -1102"),
        (order("symbol=BTCUSDT&side=BUY"), "400 -1102"),
        (order("symbol=NOPEUSDT&side=BUY&type=MARKET&quantity=1"), "400 -1121"),
        (order("symbol=BTCUSDT&side=HOLD&type=MARKET&quantity=1"), "400 -1117"),
        (order("symbol=BTCUSDT&side=BUY&type=MAGIC&quantity=1"), "400 -1116"),
        (order("symbol=BTCUSDT&side=BUY&type=STOP_MARKET&quantity=1&stopPrice=90000"), "400 -4120"),
        (order("symbol=BTCUSDT&side=BUY&type=MARKET&closePosition=true&quantity=1"), "400 -4120"),
        (order("symbol=BTCUSDT&side=BUY&type=MARKET&quantity=1&price=5"), "400 -1106"),
        (order("symbol=BTCUSDT&side=BUY&type=MARKET&quantity=1&timeInForce=GTC"), "400 -1106"),
        (order("symbol=ETHUSDT&side=BUY&type=MARKET&quantity=1"), "400 -1112"),
        (limit("timeInForce=RPI"), "400 -1115"),
        (limit("timeInForce=GTD"), "400 -1102"),
        (format!("{}&goodTillDate={}", limit("timeInForce=GTD"), START_MS + 600_000), "400 -5040"),
        (format!("{}&goodTillDate=253402300799000", limit("timeInForce=GTD")), "400 -5040"),
        (limit("stopPrice=5"), "400 -1106"),
        (limit("goodTillDate=1895327200000"), "400 -1106"),
        (limit("positionSide=LONG"), "400 -4061"),
        (limit("positionSide=UP"), "400 -4060"),
        (limit("positionSide=BOTH"), "200"),
        (limit("reduceOnly=maybe"), "400 -4062"),
        (limit("reduceOnly=true"), "400 -2022"),
        (limit("priceMatch=OPPONENT_10"), "400 -5037"),
        (limit("priceMatch=OPPONENT_20"), "400 -5037"),
        (limit("priceMatch=QUEUE"), "400 -1106"),
        (format!("{PLACE}&timeInForce=GTC&quantity=0.010&priceMatch=QUEUE_5"), "400 -5041"),
        (order("symbol=BTCUSDT&side=BUY&type=MARKET&quantity=1&priceMatch=QUEUE"), "400 -5038"),
        (limit("selfTradePreventionMode=SOMETIMES"), "400 -5039"),
        (limit("newOrderRespType=FULL"), "400 -1136"),
        (limit("newClientOrderId="), "400 -1105"),
        (limit("newClientOrderId=a%20b"), "400 -4015"),
        (limit("newClientOrderId=1234567890123456789012345678901234567"), "400 -4015"),
        (limit("price=83000.001"), "400 -1111"),
        (limit("price=83000.05"), "400 -4014"),
        (limit("price=-1"), "400 -4001"),
        (limit("price=1"), "400 -4013"),
        (limit("price=9000000"), "400 -4002"),
        (limit("price=87246.4"), "400 -4016"),
        (limit("quantity=0.0001"), "400 -1111"),
        (limit("quantity=-1"), "400 -4003"),
        (limit("quantity=0"), "400 -4003"),
        (limit("quantity=2000"), "400 -4005"),
        (limit("quantity=0.0000000001"), "400 -1111"),
        (limit("price=600"), "400 -4164"),
        (limit("quantity=50"), "400 -2019"),
        (limit("newClientOrderId=twice"), "200"),
        (limit("newClientOrderId=twice"), "400 -4116"),
        (format!("{PLACE}&timeInForce=GTX&quantity=0.010&price=83091.70"), "400 -5022"),
        (format!("{PLACE}&timeInForce=FOK&quantity=0.010&price=83091.60"), "400 -5021"),
        (order("symbol=BTCUSDT&side=SELL&type=LIMIT&timeInForce=GTC&quantity=0.010&price=78900"), "400 -4024"),
    ];
    let mut world = World::new(Vec::new());
    for (line, expected) in table {
        assert_eq!(world.code(&line), expected, "{line}");
    }
    assert_eq!(world.exchange.core().open_orders(None).len(), 2, "what was refused left nothing behind");
}

#[test]
fn refusals_say_what_binance_says() {
    let mut world = World::new(Vec::new());
    for (line, expected) in [
        (
            "*POST /fapi/v1/order symbol=BTCUSDT&side=BUY&type=LIMIT&timeInForce=GTC&quantity=0.0001&price=83000",
            "400 {\"code\":-1111,\"msg\":\"Precision is over the maximum defined for this asset.\"}",
        ),
        (
            "*POST /fapi/v1/order symbol=BTCUSDT&side=BUY&type=LIMIT&timeInForce=GTC&price=83000",
            "400 {\"code\":-1102,\"msg\":\"Mandatory parameter 'quantity' was not sent, was empty/null, or malformed.\"}",
        ),
        (
            "*POST /fapi/v1/order symbol=BTCUSDT&side=BUY&type=LIMIT&timeInForce=GTC&quantity=0.001&price=40000",
            "400 {\"code\":-4164,\"msg\":\"Order's notional must be no smaller than 50 (unless you choose reduce only).\"}",
        ),
        (
            "*DELETE /fapi/v1/order symbol=BTCUSDT",
            "400 {\"code\":-1102,\"msg\":\"Param 'origClientOrderId' or 'orderId' must be sent, but both were empty/null!\"}",
        ),
        (
            "GET /fapi/v1/openInterestt symbol=BTCUSDT",
            "404 {\"code\":-5000,\"msg\":\"Path /fapi/v1/openInterestt, Method GET is invalid\"}",
        ),
        ("GET /fapi/v1/depth symbol=BTCUSDT&limit=7", "400 {\"code\":-4021,\"msg\":\"7 is not valid depth limit\"}"),
    ] {
        assert_eq!(world.ask(line), expected, "{line}");
    }
}

#[test]
fn other_requests_are_refused_with_the_code_that_says_why() {
    let mut world = World::new(Vec::new());
    for (line, expected) in [
        ("POST /fapi/v1/order symbol=BTCUSDT", "401 -2014"),
        ("POST /fapi/v1/listenKey", "401 -2014"),
        ("+PUT /fapi/v1/listenKey", "400 -1125"),
        ("+GET /fapi/v2/balance", "400 -1102"),
        ("*DELETE /fapi/v1/order symbol=BTCUSDT&orderId=1", "400 -2011"),
        ("*DELETE /fapi/v1/order symbol=BTCUSDT&orderId=x", "400 -1100"),
        ("*DELETE /fapi/v1/order symbol=BTCUSDT&origClientOrderId=a%20b", "400 -1100"),
        ("*GET /fapi/v1/order symbol=BTCUSDT&orderId=1", "400 -2013"),
        ("*GET /fapi/v1/openOrder symbol=BTCUSDT&orderId=1", "400 -2013"),
        ("*PUT /fapi/v1/order symbol=BTCUSDT&side=BUY&orderId=1&quantity=1&price=83000", "400 -2013"),
        ("*POST /fapi/v1/marginType symbol=BTCUSDT&marginType=CROSSED", "400 -4046"),
        ("*POST /fapi/v1/marginType symbol=BTCUSDT&marginType=ISOLATED", "400 -1020"),
        ("*POST /fapi/v1/positionMargin symbol=BTCUSDT&amount=5&type=1", "400 -4049"),
        ("*POST /fapi/v1/positionMargin symbol=BTCUSDT&amount=5&type=3", "400 -1130"),
        ("*GET /fapi/v1/positionMargin/history symbol=BTCUSDT", "200"),
        ("GET /fapi/v1/markPriceKlines interval=1m", "400 -1102"),
        ("GET /fapi/v1/indexPriceKlines symbol=BTCUSDT&interval=1m", "400 -1102"),
        ("GET /fapi/v1/continuousKlines pair=BTCUSDT&interval=1m", "400 -1102"),
        ("GET /fapi/v1/continuousKlines pair=BTCUSDT&contractType=NEXT_QUARTER&interval=1m", "400 -1130"),
        ("*POST /fapi/v1/positionSide/dual dualSidePosition=false", "400 -4059"),
        ("*POST /fapi/v1/positionSide/dual dualSidePosition=true", "400 -1020"),
        ("*POST /fapi/v1/positionSide/dual", "400 -1102"),
        ("*POST /fapi/v1/multiAssetsMargin multiAssetsMargin=false", "400 -4171"),
        ("*POST /fapi/v1/leverage symbol=BTCUSDT&leverage=126", "400 -4028"),
        ("*POST /fapi/v1/leverage symbol=BTCUSDT&leverage=0", "400 -4028"),
        ("*POST /fapi/v1/countdownCancelAll symbol=BTCUSDT", "400 -1102"),
        ("*POST /fapi/v1/batchOrders batchOrders=nonsense", "400 -1130"),
        ("*POST /fapi/v1/batchOrders batchOrders=[]", "400 -4082"),
        ("*POST /fapi/v1/batchOrders batchOrders=[{},{},{},{},{},{}]", "400 -4082"),
        ("*DELETE /fapi/v1/batchOrders symbol=BTCUSDT", "400 -1102"),
        ("*GET /fapi/v1/allOrders startTime=2&endTime=1", "400 -1023"),
        ("*GET /fapi/v1/userTrades symbol=BTCUSDT&startTime=1&endTime=999999999", "400 -1127"),
        ("GET /fapi/v1/klines symbol=BTCUSDT&interval=1s", "400 -1120"),
        ("GET /fapi/v1/aggTrades symbol=BTCUSDT&startTime=1", "400 -4166"),
        ("GET /fapi/v1/trades symbol=BTCUSDT&limit=1001", "400 -1130"),
        ("GET /fapi/v1/trades symbol=%zz", "400 -1100"),
        ("GET /fapi/v1/trades symbol=BTCUSDT&symbol=ETHUSDT", "400 -1101"),
        ("GET /fapi/v1/trades symbol=", "400 -1102"),
        ("DELETE /fapi/v1/trades symbol=BTCUSDT", "404 -5000"),
        ("GET /api/v3/ping", "404 -5000"),
    ] {
        assert_eq!(world.code(line), expected, "{line}");
    }
}

#[test]
fn signatures_and_timestamps_are_checked_over_the_text_as_sent() {
    let mut world = World::new(Vec::new());
    let key = || Some(API_KEY.to_owned());
    let code = |response: Response| {
        let body: serde_json::Value = serde_json::from_slice(&response.body).unwrap();
        body["code"].as_i64().map_or("ok".to_owned(), |code| code.to_string())
    };
    let stamp = format!("timestamp={START_MS}");
    let path = "/fapi/v1/openOrders";
    let signed = |text: &str| format!("{text}&signature={}", hmac_signature(text));
    let cases = [
        (signed(&stamp), key(), "ok"),
        (format!("signature={}&{stamp}", hmac_signature(&stamp)), key(), "ok"),
        (signed(&format!("{stamp}&symbol=%42TCUSDT")), key(), "ok"),
        (signed(&format!("{stamp}&symbol=BTCUSDT")).replace("BTCUSDT", "%42TCUSDT"), key(), "-1022"),
        (format!("{stamp}&signature=00"), key(), "-1022"),
        (stamp.clone(), key(), "-1102"),
        (signed(&stamp), Some("unknownKey".to_owned()), "-2015"),
        (signed(&stamp), Some(ED25519_API_KEY.to_owned()), "-1022"),
        (signed(&format!("timestamp={}", START_MS - 5_001)), key(), "-1021"),
        (signed(&format!("timestamp={}&recvWindow=60001", START_MS)), key(), "-1131"),
    ];
    for (query, api_key, expected) in cases {
        assert_eq!(code(world.raw("GET", path, &query, api_key, "")), expected, "{query}");
    }
    let ed25519 = ed25519_signature(&stamp).replace('+', "%2B").replace('/', "%2F").replace('=', "%3D");
    let query = format!("{stamp}&signature={ed25519}");
    assert_eq!(code(world.raw("GET", path, &query, Some(ED25519_API_KEY.to_owned()), "")), "ok");
    let (query, body) = ("symbol=BTCUSDT&leverage=10", format!("leverage=20&{stamp}"));
    let body = format!("{body}&signature={}", hmac_signature(&format!("{query}{body}")));
    let response = world.raw("POST", "/fapi/v1/leverage", query, key(), &body);
    assert_eq!(code(response), "ok");
    assert_eq!(world.exchange.core().leverage(0), 10, "the query hides the body");
}

#[test]
fn positions_and_leverage_limit_each_other() {
    let mut world = World::new(Vec::new());
    let leverage = |leverage: u32| format!("*POST /fapi/v1/leverage symbol=BTCUSDT&leverage={leverage}");
    assert_eq!(world.code(&leverage(125)), "200");
    let order = |qty: &str| format!("{PLACE}&timeInForce=GTC&price=83000.00&quantity={qty}");
    assert_eq!(world.code(&order("3.615")), "400 -2027", "above 300 000 USDT");
    assert_eq!(world.code(&order("3.614")), "200");
    assert_eq!(world.code(&leverage(20)), "400 -2028", "10 000 USDT do not carry it");
    assert_eq!(world.code(&leverage(100)), "200");
    assert_eq!(world.code(&order("0.500")), "200");
    assert_eq!(world.code(&leverage(125)), "400 -2027");
    assert_eq!(world.exchange.core().leverage(0), 100);
}

#[test]
fn a_market_order_is_refused_when_its_counterparty_is_too_far() {
    let mut world = World::new(vec![mark(1, "78000.00", 7_200_000)]);
    world.wait(1);
    let buy = "*POST /fapi/v1/order symbol=BTCUSDT&side=BUY&type=MARKET&quantity=0.010";
    assert_eq!(world.code(buy), "400 -4131", "83091.70 is more than 5 % above the mark");
    assert_eq!(world.code(&buy.replace("BUY", "SELL")), "200");
}

#[test]
fn an_order_is_amended_ten_thousand_times_and_no_more() {
    let mut world = World::new(Vec::new());
    world.body(&format!("{PLACE}&timeInForce=GTC&quantity=0.010&price=83000.00&newClientOrderId=a"));
    let change = "*PUT /fapi/v1/order symbol=BTCUSDT&side=BUY&origClientOrderId=a&quantity=0.010";
    for count in 0..10_000 {
        if count % 200 == 0 {
            world.wait(10_000);
        }
        world.body(&format!("{change}&price={}", 83_001 + count % 2));
    }
    world.wait(10_000);
    assert_eq!(world.code(&format!("{change}&price=83000")), "400 -5026");
    let amendments = world.body("*GET /fapi/v1/orderAmendment symbol=BTCUSDT&limit=1");
    assert!(amendments.contains("\"count\":10000"), "{amendments}");
    assert_eq!(world.code("*DELETE /fapi/v1/order symbol=BTCUSDT&origClientOrderId=a"), "200");
}
