//! What limits look like from outside: headers, 429, 418.

use super::*;

const ORDER: &str =
    "*POST /fapi/v1/order symbol=BTCUSDT&side=BUY&type=LIMIT&timeInForce=GTX&quantity=0.010&price=80000";

#[test]
fn headers_tell_what_was_used() {
    let mut world = World::new(Vec::new());
    let mut used = |line: &str| {
        let response = world.response(line);
        let of = |name| header(&response, name).unwrap_or_else(|| "-".to_owned());
        [of("X-MBX-USED-WEIGHT-1M"), of("X-MBX-ORDER-COUNT-10S"), of("X-MBX-ORDER-COUNT-1M")].join(" ")
    };
    for (line, expected) in [
        ("GET /fapi/v1/ping", "1 - -"),
        ("GET /fapi/v1/depth symbol=BTCUSDT&limit=1000", "21 - -"),
        ("GET /fapi/v1/depth symbol=NOPE&limit=1000", "41 - -"),
        ("GET /fapi/v1/fundingInfo", "- - -"),
        (ORDER, "41 1 1"),
        ("*POST /fapi/v1/order symbol=BTCUSDT&side=BUY", "41 - -"),
        ("*DELETE /fapi/v1/allOpenOrders symbol=BTCUSDT", "42 - -"),
        ("*POST /fapi/v1/batchOrders batchOrders=[{}]", "47 7 3"),
        ("*POST /fapi/v1/countdownCancelAll symbol=BTCUSDT&countdownTime=0", "57 - -"),
        ("*GET /fapi/v1/openOrders", "97 - -"),
        ("*GET /fapi/v1/openOrders symbol=BTCUSDT", "98 - -"),
        ("GET /fapi/v1/nothing", "99 - -"),
    ] {
        assert_eq!(used(line), expected, "{line}");
    }
}

#[test]
fn too_much_weight_is_429_and_going_on_is_418() {
    let mut world = World::new(Vec::new());
    for _ in 0..120 {
        assert_eq!(world.response("GET /fapi/v1/depth symbol=BTCUSDT&limit=1000").status, 200);
    }
    world.wait(19_000);
    for _ in 0..10 {
        let refused = world.response("GET /fapi/v1/ping");
        assert_eq!((refused.status, header(&refused, "Retry-After").as_deref()), (429, Some("41")));
    }
    let banned = world.response("GET /fapi/v1/ping");
    assert_eq!((banned.status, header(&banned, "Retry-After").as_deref()), (418, Some("120")));
    let text = String::from_utf8(banned.body).unwrap();
    assert!(text.starts_with("{\"code\":-1003,\"msg\":\"Way too many requests; IP(127.0.0.1) banned until"), "{text}");
    let refused = world.exchange.open(world.now(), ConnId(1), "/ws-fapi/v1", PEER).unwrap_err();
    assert_eq!(refused.status, 418);
    world.wait(120_000);
    assert_eq!(world.response("GET /fapi/v1/ping").status, 200);
}

#[test]
fn too_many_orders_are_429_while_cancels_go_on() {
    let mut world = World::new(Vec::new());
    for _ in 0..3 {
        for _ in 0..100 {
            world.body(ORDER);
        }
        world.body("*DELETE /fapi/v1/allOpenOrders symbol=BTCUSDT");
    }
    world.wait(3_000);
    let refused = world.response(ORDER);
    assert_eq!((refused.status, header(&refused, "Retry-After").as_deref()), (429, Some("7")));
    assert_eq!(header(&refused, "X-MBX-ORDER-COUNT-10S").as_deref(), Some("300"));
    assert_eq!(world.code("*DELETE /fapi/v1/allOpenOrders symbol=BTCUSDT"), "200");
    world.wait(7_000);
    assert_eq!(world.code(ORDER), "200");
}

#[test]
fn too_many_connections_are_refused_with_429_and_going_on_is_418() {
    let mut world = World::new(Vec::new());
    world.wait(1_000);
    let opened = |world: &mut World, conn| {
        let opened = world.exchange.open(world.now(), ConnId(conn), "/market/ws/btcusdt@markPrice", PEER);
        opened.map_err(|refused| (refused.status, header(&refused, "Retry-After").is_some()))
    };
    assert!((0..300).all(|conn| opened(&mut world, conn).is_ok()));
    assert_eq!(world.exchange.floods(), (0, 0));
    assert!((300..310).all(|conn| opened(&mut world, conn) == Err((429, true))));
    assert_eq!(opened(&mut world, 310), Err((418, true)));
    assert_eq!(world.response("GET /fapi/v1/ping").status, 418, "the address is banned");
    assert_eq!(world.exchange.floods(), (11, 0));
    world.wait(300_000);
    assert_eq!(opened(&mut world, 311), Ok(()), "another five minutes");
}

#[test]
fn too_many_messages_on_a_connection_end_it() {
    for (path, most) in [("/market/ws/btcusdt@markPrice", 15), ("/ws-fapi/v1", 5)] {
        let mut world = World::new(Vec::new());
        world.wait(1_000);
        let now = world.now();
        world.exchange.open(now, ConnId(1), path, PEER).unwrap();
        for number in 0..most {
            if number % 2 == 0 { world.exchange.ping(now, ConnId(1)) } else { world.exchange.pong(now, ConnId(1), b"") }
        }
        assert_eq!((world.exchange.floods(), world.exchange.take_outgoing()), ((0, 0), None), "{path}");
        world.exchange.ping(now, ConnId(1));
        let reason = "Too many requests".to_owned();
        assert_eq!(world.exchange.take_outgoing(), Some((ConnId(1), Outgoing::Close { code: 1008, reason })), "{path}");
        assert_eq!(world.exchange.floods(), (0, 1), "{path}");
    }
}
