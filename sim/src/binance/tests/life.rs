//! Orders and the account from beginning to end, over REST.

use super::*;

const BUY: &str = "symbol=BTCUSDT&side=BUY&type=LIMIT&timeInForce=GTX&quantity=0.010&price=83090.10&newClientOrderId=a";

#[test]
fn an_order_is_placed_found_modified_and_cancelled() {
    let mut world = World::new(Vec::new());
    let placed = world.body(&format!("*POST /fapi/v1/order {BUY}"));
    let id = world.exchange.core().open_orders(None)[0].id;
    let body = |status: &str, price: &str, updated: u64| {
        format!(
            "\"price\":\"{price}\",\"origQty\":\"0.010\",\"executedQty\":\"0.000\",\"cumQty\":\"0.000\",\
             \"timeInForce\":\"GTX\",\"type\":\"LIMIT\",\"reduceOnly\":false,\"closePosition\":false,\"side\":\"BUY\",\
             \"positionSide\":\"BOTH\",\"stopPrice\":\"0.00\",\"workingType\":\"CONTRACT_PRICE\",\"priceProtect\":false,\
             \"origType\":\"LIMIT\",\"priceMatch\":\"NONE\",\"selfTradePreventionMode\":\"EXPIRE_MAKER\",\
             \"goodTillDate\":0,\"updateTime\":{updated}}}"
        )
        .replace("STATUS", status)
    };
    let head = format!("{{\"orderId\":{id},\"symbol\":\"BTCUSDT\",");
    let new = body("", "83090.10", START_MS);
    assert_eq!(placed, format!("{head}\"status\":\"NEW\",\"clientOrderId\":\"a\",{new}"));

    world.wait(5);
    let found = world.body(&format!("*GET /fapi/v1/order symbol=BTCUSDT&orderId={id}"));
    assert!(found.contains("\"avgPrice\":\"0.00\"") && found.contains("\"cumQuote\":\"0.00000\""), "{found}");
    assert_eq!(world.body("*GET /fapi/v1/openOrders"), format!("[{found}]"));

    let change = "symbol=BTCUSDT&side=BUY&origClientOrderId=a&quantity=0.010";
    let modified = world.body(&format!("*PUT /fapi/v1/order {change}&price=83089.90&modifyId=1001"));
    let changed = body("", "83089.90", START_MS + 5);
    let start = format!("{head}\"pair\":\"BTCUSDT\",\"status\":\"NEW\",\"clientOrderId\":\"a\",\"modifyId\":1001,");
    assert_eq!(modified, format!("{start}{changed}"));
    assert_eq!(world.code(&format!("*PUT /fapi/v1/order {change}&price=83089.90")), "400 -5027");
    let amendments = world.body("*GET /fapi/v1/orderAmendment symbol=BTCUSDT");
    assert!(amendments.contains("\"price\":{\"before\":\"83090.10\",\"after\":\"83089.90\"}"), "{amendments}");

    let cancelled = world.body("*DELETE /fapi/v1/order symbol=BTCUSDT&origClientOrderId=a");
    assert_eq!(cancelled, format!("{head}\"status\":\"CANCELED\",\"clientOrderId\":\"a\",{changed}"));
    assert_eq!(world.code("*DELETE /fapi/v1/order symbol=BTCUSDT&origClientOrderId=a"), "400 -2011");
    assert_eq!(world.body("*GET /fapi/v1/openOrders symbol=BTCUSDT"), "[]");
    assert!(world.body("*GET /fapi/v1/allOrders").contains("CANCELED"));
}

#[test]
fn ack_shows_the_acceptance_and_result_the_outcome() {
    let mut world = World::new(Vec::new());
    let mut status = |rest: &str| {
        let body = world.body(&format!("*POST /fapi/v1/order symbol=BTCUSDT&side=BUY&{rest}"));
        let value: serde_json::Value = serde_json::from_str(&body).unwrap();
        format!("{} {}", value["status"].as_str().unwrap(), value["executedQty"].as_str().unwrap())
    };
    assert_eq!(status("type=MARKET&quantity=0.010"), "NEW 0.000");
    assert_eq!(status("type=MARKET&quantity=0.010&newOrderRespType=RESULT"), "FILLED 0.010");
    let limit = "type=LIMIT&price=83091.70&quantity=0.010&newOrderRespType=RESULT&timeInForce";
    assert_eq!(status(&format!("{limit}=GTC")), "NEW 0.000", "an order that may rest answers NEW");
    assert_eq!(status(&format!("{limit}=IOC")), "FILLED 0.010");
    assert_eq!(
        status("type=LIMIT&price=83091.60&quantity=0.010&newOrderRespType=RESULT&timeInForce=IOC"),
        "EXPIRED 0.000"
    );
}

#[test]
fn fills_reach_trades_position_balance_and_income() {
    let mut world = World::new(vec![mark(1_000, "83100.00", 2_000), mark(2_000, "83100.00", 9_000)]);
    world.body("*POST /fapi/v1/order symbol=BTCUSDT&side=BUY&type=MARKET&quantity=0.010&newClientOrderId=m");
    world.wait(1_500);
    let fills = world.body("*GET /fapi/v1/userTrades symbol=BTCUSDT");
    for part in [
        "\"commission\":\"0.41545850\"",
        "\"maker\":false",
        "\"price\":\"83091.70\",\"qty\":\"0.010\",\"quoteQty\":\"830.91700\",\"realizedPnl\":\"0\",\"side\":\"BUY\"",
    ] {
        assert!(fills.contains(part), "{part} in {fills}");
    }
    let found = world.body("*GET /fapi/v1/order symbol=BTCUSDT&origClientOrderId=m");
    assert!(found.contains("\"price\":\"0.00\",\"avgPrice\":\"83091.70000\""), "{found}");
    let position = world.body("*GET /fapi/v3/positionRisk symbol=BTCUSDT");
    for part in [
        "\"positionAmt\":\"0.010\",\"entryPrice\":\"83091.7\"",
        "\"markPrice\":\"83100.00000000\",\"unRealizedProfit\":\"0.08300000\"",
        "\"initialMargin\":\"41.55000000\",\"maintMargin\":\"3.32400000\"",
    ] {
        assert!(position.contains(part), "{part} in {position}");
    }
    let balance = world.body("*GET /fapi/v3/balance");
    assert!(balance.contains("\"balance\":\"9999.58454150\""), "{balance}");
    assert!(balance.contains("\"availableBalance\":\"9958.11754150\""), "{balance}");
    world.wait(1_000);
    world.body("*POST /fapi/v1/order symbol=BTCUSDT&side=SELL&type=MARKET&quantity=0.010&reduceOnly=true");
    assert_eq!(world.body("*GET /fapi/v3/positionRisk"), "[]");
    let income = world.body("*GET /fapi/v1/income");
    for part in [
        "\"COMMISSION\",\"income\":\"-0.4154585",
        "\"FUNDING_FEE\",\"income\":\"-0.08310000\"",
        "\"REALIZED_PNL\",\"income\":\"-0.00100000\"",
    ] {
        assert!(income.contains(part), "{part} in {income}");
    }
    assert!(world.body("*GET /fapi/v1/income incomeType=FUNDING_FEE&limit=1").contains("FUNDING_FEE"));
    assert_eq!(world.body("*GET /fapi/v1/income incomeType=TRANSFER"), "[]");
}

#[test]
fn batches_answer_item_by_item() {
    let mut world = World::new(Vec::new());
    let batch = r#"[{"symbol":"BTCUSDT","side":"BUY","type":"LIMIT","timeInForce":"GTX","quantity":"0.010","price":"83090.10","newClientOrderId":"a"},{"symbol":"BTCUSDT","side":"BUY","type":"LIMIT","timeInForce":"GTX","quantity":"0.010","price":"84000"},{"symbol":"BTCUSDT"}]"#;
    let batch = batch.replace('"', "%22").replace('{', "%7B").replace('}', "%7D");
    let answer = world.body(&format!("*POST /fapi/v1/batchOrders batchOrders={batch}"));
    let items: Vec<serde_json::Value> = serde_json::from_str(&answer).unwrap();
    let outcomes: Vec<String> =
        items.iter().map(|item| item.get("status").unwrap_or(&item["code"]).to_string()).collect();
    assert_eq!(outcomes, ["\"NEW\"", "-5022", "-1102"]);
    let id = world.exchange.core().open_orders(None)[0].id;
    let answer = world.body(&format!("*DELETE /fapi/v1/batchOrders symbol=BTCUSDT&orderIdList=[{id},5]"));
    assert!(
        answer.contains("\"CANCELED\"") && answer.ends_with(",{\"code\":-2011,\"msg\":\"Unknown order sent.\"}]"),
        "{answer}"
    );
    world.body(&format!("*POST /fapi/v1/order {BUY}"));
    let answer = world.body("*DELETE /fapi/v1/batchOrders symbol=BTCUSDT&origClientOrderIdList=[%22a%22,%22b%22]");
    assert!(answer.contains("\"CANCELED\""), "{answer}");
}

#[test]
fn a_test_order_is_checked_and_not_placed() {
    let mut world = World::new(Vec::new());
    let answer = world.body(&format!("*POST /fapi/v1/order/test {BUY}"));
    assert!(answer.starts_with("{\"orderId\":0,\"symbol\":\"BTCUSDT\",\"status\":\"NEW\""), "{answer}");
    assert_eq!(world.code(&format!("*POST /fapi/v1/order/test {BUY}").replace("83090.10", "84000.00")), "400 -5022");
    assert!(world.exchange.core().all_orders(0).is_empty());
}

#[test]
fn an_order_without_a_client_id_gets_one() {
    let mut world = World::new(Vec::new());
    let line = BUY.replace("&newClientOrderId=a", "");
    world.body(&format!("*POST /fapi/v1/order {line}"));
    let id = world.exchange.core().open_orders(None)[0].placed.client_id.clone();
    assert!(id.len() == 22 && id.bytes().all(|byte| byte.is_ascii_alphanumeric()), "{id}");
}

#[test]
fn market_questions_are_answered_from_the_book_and_the_tape() {
    let mut world = World::new(vec![trade(61_000, 8_153_634_300, "83095.00", "0.500", Side::Buy)]);
    world.wait(62_000);
    for (line, expected) in [
        (
            "GET /fapi/v1/depth symbol=btcusdt&limit=5",
            "{\"lastUpdateId\":11757092617000,\"E\":1795327262000,\"T\":1795327200000,\
             \"bids\":[[\"83091.60\",\"4.215\"],[\"83091.50\",\"0.200\"],[\"83090.10\",\"0.002\"]],\
             \"asks\":[[\"83091.70\",\"3.768\"],[\"83091.80\",\"0.002\"],[\"83100.00\",\"0.640\"]]}",
        ),
        (
            "GET /fapi/v1/historicalTrades symbol=BTCUSDT&limit=1",
            "{\"code\":-2014,\"msg\":\"API-key format invalid.\"}",
        ),
        (
            "+GET /fapi/v1/historicalTrades symbol=BTCUSDT&limit=1",
            "[{\"id\":8153634300,\"price\":\"83095.00\",\"qty\":\"0.500\",\"quoteQty\":\"41547.50\",\
             \"time\":1795327261000,\"isBuyerMaker\":false,\"isRPITrade\":false}]",
        ),
        (
            "GET /fapi/v1/klines symbol=BTCUSDT&interval=1m&limit=1",
            "[[1795327260000,\"83095.00\",\"83095.00\",\"83095.00\",\"83095.00\",\"0.500\",1795327319999,\
             \"41547.50000\",1,\"0.500\",\"41547.50000\",\"0\"]]",
        ),
        (
            "GET /fapi/v1/continuousKlines pair=BTCUSDT&contractType=PERPETUAL&interval=1m&limit=1",
            "[[1795327260000,\"83095.00\",\"83095.00\",\"83095.00\",\"83095.00\",\"0.500\",1795327319999,\
             \"41547.50000\",1,\"0.500\",\"41547.50000\",\"0\"]]",
        ),
        (
            "GET /fapi/v1/markPriceKlines symbol=BTCUSDT&interval=1m",
            "[[1795327200000,\"83091.70000000\",\"83091.70000000\",\"83091.70000000\",\"83091.70000000\",\"0\",\
             1795327259999,\"0\",1,\"0\",\"0\",\"0\"],[1795327260000,\"83091.70000000\",\"83091.70000000\",\
             \"83091.70000000\",\"83091.70000000\",\"0\",1795327319999,\"0\",0,\"0\",\"0\",\"0\"]]",
        ),
        (
            "GET /fapi/v1/premiumIndexKlines symbol=BTCUSDT&interval=1h",
            "[[1795327200000,\"0.00000000\",\"0.00000000\",\"0.00000000\",\"0.00000000\",\"0\",1795330799999,\"0\",\
             1,\"0\",\"0\",\"0\"]]",
        ),
        ("GET /fapi/v1/indexPriceKlines pair=ETHUSDT&interval=1m", "[]"),
        (
            "GET /fapi/v1/ticker/price symbol=ETHUSDT",
            "{\"symbol\":\"ETHUSDT\",\"price\":\"0.00\",\"time\":1795327262000}",
        ),
        (
            "GET /fapi/v2/ticker/price symbol=BTCUSDT",
            "{\"symbol\":\"BTCUSDT\",\"price\":\"83095.00\",\"time\":1795327262000}",
        ),
    ] {
        let answer = world.ask(line);
        assert_eq!(&answer[4..], expected, "{line}");
    }
    let all: Vec<serde_json::Value> = serde_json::from_str(&world.body("GET /fapi/v1/ticker/24hr")).unwrap();
    assert_eq!((all.len(), &all[0]["lastPrice"], &all[0]["count"]), (2, &"83095.00".into(), &2.into()));
}

#[test]
fn the_same_requests_have_the_same_answers() {
    let run = || {
        let mut world = World::new(vec![trade(500, 8_153_634_283, "83090.10", "0.014", Side::Sell)]);
        let mut log = vec![world.body("+POST /fapi/v1/listenKey")];
        log.push(world.body(&format!("*POST /fapi/v1/order {}", BUY.replace("&newClientOrderId=a", ""))));
        world.wait(1_000);
        log.push(world.body("*GET /fapi/v1/userTrades symbol=BTCUSDT"));
        log.push(world.body("*GET /fapi/v3/account"));
        log
    };
    assert_eq!(run(), run());
}

#[test]
fn user_data_goes_out_before_the_answer_and_to_its_listener_alone() {
    let mut world = World::new(Vec::new());
    let key: serde_json::Value = serde_json::from_str(&world.body("+POST /fapi/v1/listenKey")).unwrap();
    let path = format!("/private/ws/{}", key["listenKey"].as_str().unwrap());
    world.exchange.open(world.now(), ConnId(1), &path, PEER).unwrap();
    world.open_ws_api(2);
    world.exchange.text(world.now(), ConnId(2), "{\"id\":1,\"method\":\"ping\"}");
    world.body(&format!("*POST /fapi/v1/order {BUY}"));
    world.body("*POST /fapi/v1/leverage symbol=BTCUSDT&leverage=5");
    let mut frames = Vec::new();
    while let Some((ConnId(conn), Outgoing::Text(text))) = world.exchange.take_outgoing() {
        frames.push(format!("{conn} {}", &text[..24]));
    }
    assert_eq!(frames[0], "1 {\"e\":\"ORDER_TRADE_UPDATE");
    assert_eq!(frames[1], "1 {\"e\":\"ACCOUNT_CONFIG_UPD");
    assert!(frames[2].starts_with("2 {\"id\":1,"), "{frames:?}");
    assert_eq!(world.exchange.open(world.now(), ConnId(3), "/nowhere", PEER).unwrap_err().status, 404);
    world.exchange.closed(ConnId(1));
    world.exchange.closed(ConnId(2));
    world.body("*DELETE /fapi/v1/allOpenOrders symbol=BTCUSDT");
    assert_eq!(world.exchange.take_outgoing(), None);
}

#[test]
fn the_exchange_goes_on_when_its_market_cannot_be_read_on() {
    let mut world = World::new(vec![breakage(1_000), trade(2_000, 9, "83091.60", "1", Side::Sell)]);
    world.wait(5_000);
    assert!(world.exchange.market_failure().is_some());
    world.body(&format!("*POST /fapi/v1/order {BUY}"));
    world.body("*POST /fapi/v1/countdownCancelAll symbol=BTCUSDT&countdownTime=1000");
    world.wait(1_000);
    assert!(world.exchange.core().open_orders(None).is_empty(), "timers still run");
}

#[test]
fn history_is_shown_a_week_at_a_time() {
    let mut world = World::new(Vec::new());
    world.body("*POST /fapi/v1/order symbol=BTCUSDT&side=BUY&type=MARKET&quantity=0.010");
    let id = world.exchange.core().all_orders(0)[0].id;
    world.wait(8 * 24 * 3_600_000);
    let queries = [
        ("", 0),
        (&format!("&startTime={START_MS}"), 1),
        (&format!("&startTime={}", START_MS - 8 * 24 * 3_600_000), 0),
        (&format!("&endTime={}", START_MS + 1), 1),
        (&format!("&orderId={id}"), 1),
    ];
    for path in ["userTrades", "allOrders", "income"] {
        for (query, expected) in queries {
            let rows = world.body(&format!("*GET /fapi/v1/{path} symbol=BTCUSDT{query}"));
            let rows: Vec<serde_json::Value> = serde_json::from_str(&rows).unwrap();
            let expected = if path == "income" && query.contains("orderId") { 0 } else { expected };
            assert_eq!(rows.len(), expected, "{path}{query}");
        }
    }
}

#[test]
fn orders_that_liquidated_are_shown_as_forced_and_no_others() {
    let mut world = World::new(vec![mark(2_000, "78300", 3_600_000)]);
    world.body("*POST /fapi/v1/order symbol=BTCUSDT&side=BUY&type=MARKET&quantity=2");
    assert_eq!(world.body("*GET /fapi/v1/forceOrders symbol=BTCUSDT"), "[]");
    world.wait(2_000);
    for query in ["", " symbol=BTCUSDT", " autoCloseType=LIQUIDATION", &format!(" startTime={START_MS}")] {
        let rows = world.body(&format!("*GET /fapi/v1/forceOrders{query}"));
        let rows: Vec<serde_json::Value> = serde_json::from_str(&rows).unwrap();
        let shown: Vec<_> = rows.iter().map(|row| (&row["side"], &row["origQty"], &row["status"])).collect();
        assert_eq!(shown, [(&"SELL".into(), &"2.000".into(), &"FILLED".into())], "{query}");
        assert!(rows[0]["clientOrderId"].as_str().unwrap().starts_with("autoclose-"), "{rows:?}");
    }
    for query in [" symbol=ETHUSDT", " autoCloseType=ADL", &format!(" endTime={START_MS}")] {
        assert_eq!(world.body(&format!("*GET /fapi/v1/forceOrders{query}")), "[]", "{query}");
    }
}

#[test]
fn the_book_ticker_has_the_time_of_the_top_it_shows() {
    let level = |price: &str| Level { price: price.parse().unwrap(), qty: "1".parse().unwrap() };
    let top = Tick::Top { update_id: 11_757_092_617_001, bid: level("83091.50"), ask: level("83091.60") };
    let mut world = World::new(vec![tick(700, 0, top)]);
    for (waited, expected) in [(500, START_MS), (500, START_MS + 700)] {
        world.wait(waited);
        let ticker = world.body("GET /fapi/v1/ticker/bookTicker symbol=BTCUSDT");
        assert!(ticker.contains(&format!("\"time\":{expected},")), "{ticker}");
    }
}

#[test]
fn a_good_till_date_order_expires_at_its_second() {
    let mut world = World::new(Vec::new());
    let key: serde_json::Value = serde_json::from_str(&world.body("+POST /fapi/v1/listenKey")).unwrap();
    let path = format!("/private/ws/{}", key["listenKey"].as_str().unwrap());
    world.exchange.open(world.now(), ConnId(1), &path, PEER).unwrap();
    let date = START_MS + 601_000;
    let good_till = format!("&goodTillDate={}", date + 999);
    let order = BUY.replace("GTX", "GTD");
    let placed = world.body(&format!("*POST /fapi/v1/order {order}{good_till}"));
    assert!(placed.contains("\"timeInForce\":\"GTD\"") && placed.contains(&format!("Date\":{date},")), "{placed}");
    let other = order.replace("OrderId=a", "OrderId=b");
    world.body(&format!("*POST /fapi/v1/order {other}{good_till}"));
    world.body("*DELETE /fapi/v1/order symbol=BTCUSDT&origClientOrderId=b");
    world.wait(600_999);
    assert_eq!(world.exchange.core().open_orders(None).len(), 1);
    world.outgoing(1);
    assert!(world.exchange.next_due().unwrap() <= Nanos::from_millis(date));
    world.wait(1);
    let found = world.body("*GET /fapi/v1/order symbol=BTCUSDT&origClientOrderId=a");
    assert!(found.contains("\"EXPIRED\"") && found.ends_with(&format!("\"updateTime\":{date}}}")), "{found}");
    let told = world.outgoing(1);
    assert_eq!(told.len(), 1, "{told:?}");
    assert!(told[0].contains("\"f\":\"GTD\"") && told[0].contains("\"x\":\"EXPIRED\""), "{told:?}");
    assert!(told[0].contains(&format!("\"gtd\":{date},")), "{told:?}");
}

#[test]
fn a_price_match_takes_its_price_from_the_book() {
    let mut world = World::new(Vec::new());
    let order = "symbol=BTCUSDT&side=SELL&type=LIMIT&timeInForce=GTC&quantity=0.001&newClientOrderId=a&priceMatch";
    for (mode, price) in [("QUEUE", "83091.70"), ("OPPONENT", "83091.60")] {
        let placed = world.body(&format!("*POST /fapi/v1/order {order}={mode}"));
        let shown = format!("\"price\":\"{price}\"");
        assert!(placed.contains(&shown) && placed.contains(&format!("\"priceMatch\":\"{mode}\"")), "{placed}");
        if mode == "QUEUE" {
            let change = "symbol=BTCUSDT&side=SELL&origClientOrderId=a&quantity=0.002";
            assert!(world.body(&format!("*PUT /fapi/v1/order {change}&priceMatch=QUEUE")).contains("0.002"));
            let moved = world.body(&format!("*PUT /fapi/v1/order {change}&price=83100.00"));
            assert!(moved.contains("\"priceMatch\":\"NONE\""), "{moved}");
            world.body("*DELETE /fapi/v1/order symbol=BTCUSDT&origClientOrderId=a");
        }
    }
}
