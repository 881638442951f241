//! Fault by fault, the symptom.

#![expect(clippy::wildcard_enum_match_arm, reason = "each scenario names the faults that it is about")]

use super::*;

#[test]
fn every_fault_has_its_symptom() {
    for fault in Fault::all() {
        let (world, seen) = symptom(fault);
        assert_eq!(seen, expected(fault), "{}: {}", fault.name(), fault.what());
        assert!(struck(&world, fault) > 0, "{} is counted", fault.name());
        for (other, count) in world.exchange.faults_struck() {
            assert!(other == fault || count == 0, "{} came with {}", other.name(), fault.name());
        }
    }
}

/// What a client sees.
fn expected(fault: Fault) -> &'static str {
    match fault {
        Fault::UnknownExecuted => "503 -1000 executed",
        Fault::UnknownNotExecuted => "503 -1000",
        Fault::TimeoutExecuted => "408 -1007 executed",
        Fault::TimeoutNotExecuted => "408 -1007",
        Fault::BusErrorExecuted => "503 -1006 executed",
        Fault::InternalError => "503 -1001",
        Fault::ServiceUnavailable => "503 Service Unavailable.",
        Fault::Throttled => "503 -1008; reduce-only: 400 -2022; cancel: 400 -2011",
        Fault::ShuttingDown => "503 -1016",
        Fault::TooManyRequests => "429 -1003, retry after 60 s",
        Fault::Banned => "418 -1003, retry after 120 s",
        Fault::TooManyOrders => "429 -1015, retry after 10 s; query: 400 -2013",
        Fault::Forbidden => "403 <html><head><title>403 Forbidden</title></head><body>Request blocked.</body></html>",
        Fault::LostRequest => "0  cut",
        Fault::LostReply => "0  never executed",
        Fault::CutReply => "200 ok cut executed",
        Fault::LateReply => "200 ok late executed",
        Fault::SlowReply => "200 ok dribbles executed",
        Fault::OrderNotFound => "400 -2013, 400 -2013, listed, cancelled; after its time: 200, 200, listed, cancelled",
        Fault::OrderNotListed => "200, 200, not listed, cancelled; after its time: 200, 200, listed, cancelled",
        Fault::CancelNotFound => "200, 200, listed, 400 -2011; after its time: 200, 200, listed, cancelled",
        Fault::DuplicateUserEvent => "ORDER_TRADE_UPDATE NEW; later: ORDER_TRADE_UPDATE NEW",
        Fault::LateOrderUpdate => {
            "TRADE_LITE, ACCOUNT_UPDATE; later: ORDER_TRADE_UPDATE NEW, ORDER_TRADE_UPDATE FILLED"
        }
        Fault::LateAccountUpdate => {
            "TRADE_LITE, ORDER_TRADE_UPDATE NEW, ORDER_TRADE_UPDATE FILLED; later: ACCOUNT_UPDATE"
        }
        Fault::LateTradeLite => "ORDER_TRADE_UPDATE NEW, ACCOUNT_UPDATE, ORDER_TRADE_UPDATE FILLED; later: TRADE_LITE",
        Fault::ReorderedUserEvent => "; later: FILLED before NEW: true",
        Fault::DeadUserStream => "; later: ; pinged",
        Fault::ListenKeyExpired => "listenKeyExpired; then ; 400 -1125",
        Fault::ListenKeyLost => "; then ; 400 -1125",
        Fault::DepthGap => "then a gap",
        Fault::DuplicateDepth => "depthUpdate; later: again",
        Fault::StaleSnapshot => "older than the stream",
        Fault::DeadMarketStream => "; pinged",
        Fault::CutStream => "cut trade MARKET; nothing more",
        Fault::SlowStream => "dribble trade MARKET",
        Fault::RefusedConnects => "refused, and not after 5 s: true",
        Fault::ClockJump => "jumped; 400 -1021",
    }
}

fn symptom(fault: Fault) -> (World, String) {
    match fault.per() {
        Per::Request if fault != Fault::StaleSnapshot => of_request(fault),
        Per::Order => of_order(fault),
        Per::Request | Per::Event | Per::Second => match fault {
            Fault::DepthGap | Fault::DuplicateDepth | Fault::StaleSnapshot => of_book(fault),
            Fault::DeadMarketStream | Fault::CutStream | Fault::SlowStream => of_stream(fault),
            Fault::ListenKeyExpired | Fault::ListenKeyLost | Fault::RefusedConnects | Fault::ClockJump => {
                of_second(fault)
            }
            _ => of_user_event(fault),
        },
    }
}

fn of_request(fault: Fault) -> (World, String) {
    let mut world = struck_by(fault);
    let retry = |response: &Response| header(response, "Retry-After").unwrap_or_default();
    let response = world.response(&format!("*POST /fapi/v1/order {ORDER}=a"));
    let mut seen = sketch(&world, &response);
    match fault {
        Fault::Throttled => {
            let exit = world.code(&format!("*POST /fapi/v1/order {ORDER}=b&reduceOnly=true"));
            let cancel = world.code("*DELETE /fapi/v1/order symbol=BTCUSDT&origClientOrderId=a");
            seen += &format!("; reduce-only: {exit}; cancel: {cancel}");
        }
        Fault::TooManyRequests | Fault::Banned => seen += &format!(", retry after {} s", retry(&response)),
        Fault::TooManyOrders => {
            let query = world.code("*GET /fapi/v1/order symbol=BTCUSDT&origClientOrderId=a");
            seen += &format!(", retry after {} s; query: {query}", retry(&response));
        }
        _ => {}
    }
    (world, seen)
}

fn of_order(fault: Fault) -> (World, String) {
    let mut world = struck_by(fault);
    let mut seen = String::new();
    for (client_id, wait) in [("a", 0), ("b", 2_000)] {
        world.body(&format!("*POST /fapi/v1/order {ORDER}={client_id}"));
        world.wait(wait);
        let named = format!("symbol=BTCUSDT&origClientOrderId={client_id}");
        let found = world.code(&format!("*GET /fapi/v1/order {named}"));
        let open = world.code(&format!("*GET /fapi/v1/openOrder {named}"));
        let id = format!("\"clientOrderId\":\"{client_id}\"");
        let lists = ["openOrders", "allOrders"].map(|list| world.body(&format!("*GET /fapi/v1/{list}")).contains(&id));
        assert_eq!(lists[0], lists[1]);
        let listed = if lists[0] { "listed" } else { "not listed" };
        let cancelled = world.code(&format!("*DELETE /fapi/v1/order {named}")).replace("200", "cancelled");
        let between = if client_id == "a" { "" } else { "; after its time: " };
        seen += &format!("{between}{found}, {open}, {listed}, {cancelled}");
    }
    (world, seen)
}

fn of_user_event(fault: Fault) -> (World, String) {
    let mut world = struck_by(fault);
    let line =
        if fault == Fault::DuplicateUserEvent { format!("*POST /fapi/v1/order {ORDER}=a") } else { MARKET.into() };
    world.body(&line);
    let mut seen = heard(&mut world, USER);
    if fault == Fault::DeadUserStream {
        world.body(&line);
        world.wait(60_000);
        seen += &format!("; later: {}", heard(&mut world, USER));
        world.wait(200_000);
        let pinged = std::iter::from_fn(|| world.exchange.take_outgoing());
        let pinged = pinged.into_iter().any(|(conn, frame)| conn.0 == USER && matches!(frame, Outgoing::Ping(_)));
        return (world, format!("{seen}; {}", if pinged { "pinged" } else { "nothing" }));
    }
    world.wait(2_000);
    let later = heard(&mut world, USER);
    if fault == Fault::ReorderedUserEvent {
        let swapped = (0..50).any(|_| {
            world.body(MARKET);
            world.wait(1_000);
            let all = heard(&mut world, USER);
            all.find("FILLED") < all.find("NEW")
        });
        return (world, format!("{seen}; later: FILLED before NEW: {swapped}"));
    }
    (world, format!("{seen}; later: {later}"))
}

fn of_book(fault: Fault) -> (World, String) {
    let source = crate::market::open("metronome:100ms", 1).unwrap();
    let mut world = World::of(source);
    world.exchange.open(world.now(), ConnId(STREAM), "/public/ws/btcusdt@depth@0ms", PEER).unwrap();
    set(&mut world, Rule::new(fault, RATE_ONE));
    let seen = match fault {
        Fault::StaleSnapshot => {
            world.wait(3_500);
            let last: Value = serde_json::from_str(world.outgoing(STREAM).last().unwrap()).unwrap();
            let book: Value = serde_json::from_str(&world.body("GET /fapi/v1/depth symbol=BTCUSDT")).unwrap();
            let behind = last["u"].as_u64().unwrap() - book["lastUpdateId"].as_u64().unwrap();
            assert!(behind >= 10, "a second and more: {behind}");
            end(&mut world);
            let fresh: Value = serde_json::from_str(&world.body("GET /fapi/v1/depth symbol=BTCUSDT")).unwrap();
            assert_eq!(fresh["lastUpdateId"], last["u"]);
            "older than the stream".to_owned()
        }
        Fault::DepthGap => {
            end(&mut world);
            world.wait(100);
            let before = update(&mut world).unwrap();
            set(&mut world, Rule::new(fault, RATE_ONE));
            world.wait(100);
            assert_eq!(update(&mut world), None);
            end(&mut world);
            world.wait(100);
            let after = update(&mut world).unwrap();
            let fits = after["pu"] == before["u"];
            format!("{} a gap", if fits { "no" } else { "then" })
        }
        _ => {
            world.wait(100);
            let first = update(&mut world).unwrap();
            end(&mut world);
            world.wait(500);
            let again = world.outgoing(STREAM).iter().any(|text| text.contains(&format!("\"u\":{},", first["u"])));
            format!("{}; later: {}", first["e"].as_str().unwrap(), if again { "again" } else { "nothing" })
        }
    };
    (world, seen)
}

/// The one message that the depth stream has just told, if it did.
fn update(world: &mut World) -> Option<Value> {
    let texts = world.outgoing(STREAM);
    assert!(texts.len() <= 1, "{texts:?}");
    texts.first().map(|text| serde_json::from_str(text).unwrap())
}

fn of_stream(fault: Fault) -> (World, String) {
    let mut world = struck_by(fault);
    world.wait(100);
    let mut seen = heard(&mut world, STREAM);
    match fault {
        Fault::CutStream => {
            world.wait(1_000);
            let more = heard(&mut world, STREAM);
            seen += if more.is_empty() { "; nothing more" } else { &more };
        }
        Fault::DeadMarketStream => {
            world.wait(10_000);
            assert_eq!(heard(&mut world, STREAM), "");
            world.wait(200_000);
            let pings = std::iter::from_fn(|| world.exchange.take_outgoing());
            let pings = pings.filter(|(conn, frame)| conn.0 == STREAM && matches!(frame, Outgoing::Ping(_))).count();
            seen += if pings > 0 { "; pinged" } else { "; nothing" };
        }
        _ => {}
    }
    (world, seen)
}

fn of_second(fault: Fault) -> (World, String) {
    let mut world = struck_by(fault);
    world.wait(1_000);
    let seen = match fault {
        Fault::RefusedConnects => {
            let refused = world.exchange.refuses_connects(world.now());
            let now = world.now() + Duration::from_secs(5);
            let later = !world.exchange.refuses_connects(now);
            format!("{}, and not after 5 s: {later}", if refused { "refused" } else { "welcome" })
        }
        Fault::ClockJump => {
            let time: Value = serde_json::from_str(&world.body("GET /fapi/v1/time")).unwrap();
            let jumped = time["serverTime"].as_u64().unwrap().abs_diff(world.now_ms);
            let refused = (0..50).find_map(|_| {
                world.wait(1_000);
                Some(world.code("*GET /fapi/v1/openOrders recvWindow=500")).filter(|code| code != "200")
            });
            let stands = if (1..=3_000).contains(&jumped) { "jumped" } else { "stands" };
            format!("{stands}; {}", refused.unwrap_or_default())
        }
        _ => {
            let told = heard(&mut world, USER);
            world.body(MARKET);
            let then = heard(&mut world, USER);
            format!("{told}; then {then}; {}", world.code("+PUT /fapi/v1/listenKey"))
        }
    };
    (world, seen)
}
