//! The WebSocket API: methods, sessions, frames that are none.

use super::signed_frame as signed;
use super::*;

fn logon(api_key: &str, signature: fn(&str) -> String) -> String {
    let payload = format!("apiKey={api_key}&timestamp={START_MS}");
    let signature = signature(&payload);
    format!(
        "{{\"id\":\"l\",\"method\":\"session.logon\",\"params\":\
         {{\"apiKey\":\"{api_key}\",\"timestamp\":{START_MS},\"signature\":\"{signature}\"}}}}"
    )
}

const ORDER: [(&str, &str); 6] = [
    ("symbol", "BTCUSDT"),
    ("side", "BUY"),
    ("type", "LIMIT"),
    ("timeInForce", "GTX"),
    ("quantity", "0.010"),
    ("price", "83090.10"),
];

fn order(client_id: &'static str) -> Vec<(&'static str, &'static str)> {
    let mut params = ORDER.to_vec();
    params.push(("newClientOrderId", client_id));
    params
}

#[test]
fn an_order_lives_over_the_websocket_api() {
    let mut world = World::new(Vec::new());
    world.open_ws_api(1);
    let placed = world.frame(1, &signed("\"p\"", "order.place", &order("a"), START_MS));
    assert!(placed.starts_with("{\"id\":\"p\",\"status\":200,\"result\":{\"orderId\":"), "{placed}");
    let limits = "\"rateLimits\":[{\"rateLimitType\":\"REQUEST_WEIGHT\",\"interval\":\"MINUTE\",\"intervalNum\":1,\
                  \"limit\":2400,\"count\":5},{\"rateLimitType\":\"ORDERS\",\"interval\":\"SECOND\",\"intervalNum\":10,\
                  \"limit\":300,\"count\":1},{\"rateLimitType\":\"ORDERS\",\"interval\":\"MINUTE\",\"intervalNum\":1,\
                  \"limit\":1200,\"count\":1}]}";
    assert!(placed.ends_with(limits), "{placed}");
    let change = [("symbol", "BTCUSDT"), ("side", "BUY"), ("origClientOrderId", "a"), ("quantity", "0.010")];
    let change: Vec<(&str, &str)> = change.into_iter().chain([("price", "83089.90")]).collect();
    let modified = world.frame(1, &signed("2", "order.modify", &change, START_MS));
    assert!(modified.contains("\"price\":\"83089.90\"") && !modified.contains("\"pair\""), "{modified}");
    let named = [("symbol", "BTCUSDT"), ("origClientOrderId", "a")];
    let status = world.frame(1, &signed("3", "order.status", &named, START_MS));
    assert!(status.contains("\"avgPrice\"") && status.contains("\"count\":6}]}"), "{status}");
    let cancelled = world.frame(1, &signed("null", "order.cancel", &named, START_MS));
    assert!(cancelled.starts_with("{\"id\":null,\"status\":200") && cancelled.contains("CANCELED"), "{cancelled}");
    let again = world.frame(1, &signed("5", "order.cancel", &named, START_MS));
    assert_eq!(
        again,
        "{\"id\":5,\"status\":400,\"error\":{\"code\":-2011,\"msg\":\"Unknown order sent.\"},\"rateLimits\":[{\"rateLimitType\":\
         \"REQUEST_WEIGHT\",\"interval\":\"MINUTE\",\"intervalNum\":1,\"limit\":2400,\"count\":8}]}"
    );
    let refused = world.frame(1, &signed("6", "order.place", &[("symbol", "BTCUSDT")], START_MS));
    assert!(refused.contains("\"limit\":-1,\"count\":-1},{\"rateLimitType\":\"ORDERS\""), "as on the wire: {refused}");
}

#[test]
fn numbers_are_signed_as_they_were_sent() {
    let mut world = World::new(Vec::new());
    world.open_ws_api(1);
    for (quantity, outcome) in [("0.010", "\"origQty\":\"0.010\""), ("1e-2", "\"code\":-1102,")] {
        let mut params: Vec<(&str, &str)> = ORDER.iter().filter(|(name, _)| *name != "quantity").copied().collect();
        params.push(("quantity", quantity));
        let frame = signed("1", "order.place", &params, START_MS);
        let unquoted = frame.replace(&format!("\"{quantity}\""), quantity).replace("\"83090.10\"", "83090.10");
        assert_ne!(frame, unquoted);
        let answer = world.frame(1, &unquoted);
        assert!(answer.contains(outcome), "{quantity}: {answer}");
    }
}

#[test]
fn a_session_needs_no_signatures_until_it_ends() {
    let mut world = World::new(Vec::new());
    let opened = world.exchange.open(world.now(), ConnId(1), "/ws-fapi/v1?returnRateLimits=false", PEER);
    opened.unwrap();
    let place = format!(
        "{{\"id\":1,\"method\":\"order.place\",\"params\":{{\"symbol\":\"BTCUSDT\",\"side\":\"BUY\",\"type\":\"MARKET\",\
         \"quantity\":\"0.010\",\"timestamp\":{START_MS}}}}}"
    );
    let missing = "{\"id\":1,\"status\":400,\"error\":{\"code\":-1102,\"msg\":\"Mandatory parameter 'apiKey' was not sent, \
                   was empty/null, or malformed.\"}}";
    assert_eq!(world.frame(1, &place), missing);
    let answer = world.frame(1, &logon(ED25519_API_KEY, ed25519_signature));
    assert_eq!(
        answer,
        format!(
            "{{\"id\":\"l\",\"status\":200,\"result\":{{\"apiKey\":\"{ED25519_API_KEY}\",\"authorizedSince\":{START_MS},\
             \"connectedSince\":{START_MS},\"returnRateLimits\":false,\"serverTime\":{START_MS}}}}}"
        )
    );
    assert!(world.frame(1, &place).starts_with("{\"id\":1,\"status\":200"));
    let unstamped = place.replace(&format!(",\"timestamp\":{START_MS}"), "");
    assert!(world.frame(1, &unstamped).contains("'timestamp'"), "a session still needs timestamps");
    let foreign = place.replace("\"symbol\"", "\"apiKey\":\"hmacKey\",\"symbol\"");
    assert!(world.frame(1, &foreign).contains("'signature'"), "another key still needs its signature");
    world.exchange.open(world.now(), ConnId(2), "/ws-fapi/v1", PEER).unwrap();
    assert!(world.frame(2, &place).contains("-1102"), "a session is its connection's alone");
    assert!(world.frame(1, "{\"id\":1,\"method\":\"session.logout\"}").contains("\"apiKey\":null"));
    assert_eq!(world.frame(1, &place), missing);
}

#[test]
fn only_ed25519_keys_log_on() {
    let mut world = World::new(Vec::new());
    world.open_ws_api(1);
    for (frame, code) in [
        (logon(API_KEY, hmac_signature), "-4056"),
        (logon(ED25519_API_KEY, hmac_signature), "-1022"),
        (logon("nobody", ed25519_signature), "-2015"),
        (logon(ED25519_API_KEY, |_| "AAAA".to_owned()), "-1022"),
    ] {
        let answer = world.frame(1, &frame);
        assert!(answer.contains(&format!("\"code\":{code},")), "{answer}");
    }
    assert!(world.frame(1, "{\"id\":1,\"method\":\"session.status\"}").contains("\"apiKey\":null"));
}

#[test]
fn frames_that_make_no_sense_change_nothing() {
    let mut world = World::new(Vec::new());
    world.open_ws_api(1);
    let before = world.body("*GET /fapi/v3/account");
    let invalid = "{\"id\":null,\"status\":400,\"error\":{\"code\":-1000,\"msg\":\"Invalid JSON request.\"}}";
    let deep = "[".repeat(5_000);
    for text in
        ["", "x", "{", "[]", "5", "\"a\"", "{\"id\":{}}", "{\"id\":1.5}", "{\"id\":true}", "\u{0}", deep.as_str()]
    {
        assert_eq!(world.frame(1, text), invalid, "{text:?}");
    }
    for (text, part) in [
        ("{\"id\":7}", "{\"id\":7,\"status\":400,\"error\":{\"code\":-1102,\"msg\":\"Mandatory parameter 'method'"),
        ("{\"id\":7,\"method\":5}", "{\"id\":7,\"status\":400,\"error\":{\"code\":-1102"),
        (
            "{\"id\":7,\"method\":\"order.plaice\"}",
            "{\"id\":7,\"status\":404,\"error\":{\"code\":-5000,\"msg\":\"Method order.plaice",
        ),
        ("{\"id\":7,\"method\":\"depth\",\"params\":[]}", "{\"id\":7,\"status\":400,\"error\":{\"code\":-1135"),
        (
            "{\"id\":7,\"method\":\"depth\",\"params\":{\"symbol\":{}}}",
            "{\"id\":7,\"status\":400,\"error\":{\"code\":-1130",
        ),
        (
            "{\"id\":7,\"method\":\"order.place\",\"params\":{\"symbol\":\"BTCUSDT\",\"apiKey\":\"\"}}",
            "{\"id\":7,\"status\":400,\"error\":{\"code\":-1105",
        ),
    ] {
        let answer = world.frame(1, text);
        assert!(answer.starts_with(part), "{text}: {answer}");
    }
    assert_eq!(world.body("*GET /fapi/v3/account"), before);
    assert!(world.exchange.core().all_orders(0).is_empty());
    let depth = world.frame(1, "{\"id\":8,\"method\":\"depth\",\"params\":{\"symbol\":\"BTCUSDT\",\"limit\":5}}");
    assert!(depth.starts_with("{\"id\":8,\"status\":200,\"result\":{\"lastUpdateId\":11757092617000"), "{depth}");
}

#[test]
fn limits_hold_for_frames_too() {
    let mut world = World::new(Vec::new());
    world.open_ws_api(1);
    for _ in 0..119 {
        world.body("GET /fapi/v1/depth symbol=BTCUSDT&limit=1000");
    }
    let depth = "{\"id\":1,\"method\":\"depth\",\"params\":{\"symbol\":\"BTCUSDT\",\"limit\":1000}}";
    let refused = world.frame(1, depth);
    let end = START_MS + 60_000;
    assert!(refused.starts_with("{\"id\":1,\"status\":429,\"error\":{\"code\":-1003,"), "{refused}");
    assert!(refused.contains(&format!("\"data\":{{\"serverTime\":{START_MS},\"retryAfter\":{end}}}}}")), "{refused}");
    for _ in 0..9 {
        world.frame(1, depth);
    }
    assert!(world.frame(1, depth).starts_with("{\"id\":1,\"status\":418,"));
}

#[test]
fn methods_answer_with_the_fields_of_the_samples() {
    let Some(messages) = shared_messages() else { return };
    let mut world = World::new(Vec::new());
    world.open_ws_api(1);
    world.frame(
        1,
        &signed(
            "1",
            "order.place",
            &[("symbol", "BTCUSDT"), ("side", "BUY"), ("type", "MARKET"), ("quantity", "0.010")],
            START_MS,
        ),
    );
    let symbol = [("symbol", "BTCUSDT")];
    let stop = [
        ("algoType", "CONDITIONAL"),
        ("symbol", "BTCUSDT"),
        ("side", "SELL"),
        ("type", "STOP_MARKET"),
        ("quantity", "0.010"),
        ("triggerPrice", "82000.00"),
        ("clientAlgoId", "s"),
    ];
    for (file, method, params) in [
        ("wsapi-algoOrder.place.response", "algoOrder.place", &stop[..]),
        ("wsapi-algoOrder.cancel.response", "algoOrder.cancel", &[("clientAlgoId", "s")]),
        ("wsapi-account.position.response.v1", "account.position", &symbol[..]),
        ("wsapi-v2_account.position.response", "v2/account.position", &symbol[..]),
        ("wsapi-v2_account.balance.response", "v2/account.balance", &[]),
        ("wsapi-v2_account.status.response", "v2/account.status", &[]),
        ("wsapi-ticker.book.response", "ticker.book", &symbol[..]),
        ("wsapi-depth.response", "depth", &symbol[..]),
        ("wsapi-userDataStream.start.response", "userDataStream.start", &[]),
        ("wsapi-userDataStream.ping.response", "userDataStream.ping", &[]),
        ("wsapi-userDataStream.stop.response", "userDataStream.stop", &[]),
    ] {
        let sample = std::fs::read_to_string(messages.join(format!("{file}.json"))).unwrap();
        let answer = world.frame(1, &signed("1", method, params, START_MS));
        let shape = |text: &str| shape(&serde_json::from_str(text).unwrap());
        assert_eq!(shape(&answer), shape(&sample), "{method}");
    }
}

/// Field names and kinds of values, sorted; of an array its first item. Ids are whatever the client chose.
fn shape(value: &serde_json::Value) -> String {
    use serde_json::Value;
    match value {
        Value::Null => "null".to_owned(),
        Value::Bool(_) => "bool".to_owned(),
        Value::Number(_) => "number".to_owned(),
        Value::String(_) => "text".to_owned(),
        Value::Array(items) => format!("[{}]", items.first().map(shape).unwrap_or_default()),
        Value::Object(fields) => {
            let field = |(name, value): (&String, &Value)| format!("{name}:{}", shape(value));
            let fields: Vec<String> = fields.iter().filter(|(name, _)| *name != "id").map(field).collect();
            format!("{{{}}}", fields.join(" "))
        }
    }
}
