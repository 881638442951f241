//! Connections: what they may ask, what they are told, when they end.

use super::*;
use crate::binance::streams::testing::listing;
use crate::binance::streams::topic::Speed;

const BOOK: Topic = Topic::Diff(0, Speed::Ms100);

fn at(ms: u64) -> Nanos {
    Nanos::from_millis(ms)
}

fn hub() -> Hub {
    Hub::new(&[listing("BTCUSDT")])
}

fn frames(hub: &mut Hub) -> Vec<String> {
    std::iter::from_fn(|| hub.take_outgoing())
        .map(|(ConnId(id), frame)| match frame {
            Outgoing::Text(text) => format!("{id} {text}"),
            Outgoing::Ping(payload) => format!("{id} ping {}", String::from_utf8(payload).unwrap()),
            Outgoing::Close { code, reason } => format!("{id} close {code} {reason}"),
            Outgoing::Cut { .. } | Outgoing::Dribble { .. } => panic!("only the liar does that"),
        })
        .collect()
}

#[test]
fn a_message_reaches_those_who_listen_in_the_form_they_asked_for() {
    let mut hub = hub();
    hub.open(at(0), ConnId(1), "/public/ws/btcusdt@depth@100ms").unwrap();
    hub.open(at(0), ConnId(2), "/public/stream?streams=btcusdt@depth@100ms").unwrap();
    hub.open(at(0), ConnId(3), "/ws/btcusdt@depth@100ms").unwrap();
    hub.open(at(0), ConnId(4), "/market/ws/btcusdt@depth@100ms").unwrap();
    hub.open(at(0), ConnId(5), "/public/ws/BTCUSDT@depth@100ms").unwrap();
    hub.publish(BOOK, "{}");
    let wrapped = r#"2 {"stream":"btcusdt@depth@100ms","data":{}}"#;
    assert_eq!(frames(&mut hub), ["1 {}", wrapped, "3 {}"]);
    assert!(hub.is_wanted(BOOK));
    for id in 1..=5 {
        hub.closed(ConnId(id));
    }
    assert!(!hub.is_wanted(BOOK));
    hub.publish(BOOK, "{}");
    assert_eq!(frames(&mut hub), [""; 0]);
}

#[test]
fn the_wrapper_names_the_stream_as_it_was_asked_for() {
    let mut hub = hub();
    hub.open(at(0), ConnId(1), "/public/stream?streams=btcusdt@depth/btcusdt@depth@250ms").unwrap();
    hub.publish(Topic::Diff(0, Speed::Ms250), "1");
    assert_eq!(
        frames(&mut hub),
        [r#"1 {"stream":"btcusdt@depth","data":1}"#, r#"1 {"stream":"btcusdt@depth@250ms","data":1}"#]
    );
}

#[test]
fn a_message_is_written_once_and_shared() {
    let mut hub = hub();
    hub.open(at(0), ConnId(1), "/public/ws/btcusdt@depth@100ms").unwrap();
    hub.open(at(0), ConnId(2), "/public/ws/btcusdt@depth@100ms").unwrap();
    hub.publish(BOOK, "{}");
    let (Some((_, Outgoing::Text(first))), Some((_, Outgoing::Text(second)))) =
        (hub.take_outgoing(), hub.take_outgoing())
    else {
        panic!("two text frames");
    };
    assert!(Arc::ptr_eq(&first, &second));
}

#[test]
fn the_subscribe_protocol_answers_as_binance_does() {
    let mut hub = hub();
    hub.open(at(0), ConnId(1), "/public/ws").unwrap();
    let table = [
        (
            r#"{"method":"SUBSCRIBE","params":["btcusdt@depth@100ms","btcusdt@bookTicker"],"id":1}"#,
            r#"{"result":null,"id":1}"#,
        ),
        (r#"{"method":"UNSUBSCRIBE","params":["btcusdt@bookTicker"],"id":312}"#, r#"{"result":null,"id":312}"#),
        (r#"{"method":"LIST_SUBSCRIPTIONS","id":3}"#, r#"{"result":["btcusdt@depth@100ms"],"id":3}"#),
        (r#"{"method":"GET_PROPERTY","params":["combined"],"id":2}"#, r#"{"result":false,"id":2}"#),
        (r#"{"method":"SET_PROPERTY","params":["combined",true],"id":5}"#, r#"{"result":null,"id":5}"#),
        (r#"{"method":"GET_PROPERTY","params":["combined"],"id":2}"#, r#"{"result":true,"id":2}"#),
        (r#"{"method":"SUBSCRIBE","params":["btcusdt@aggTrade","nosuch@trade"],"id":6}"#, r#"{"result":null,"id":6}"#),
        (r#"{"method":"UNSUBSCRIBE","params":["never@asked"],"id":7}"#, r#"{"result":null,"id":7}"#),
        (
            r#"{"method":"LIST_SUBSCRIPTIONS","id":8}"#,
            r#"{"result":["btcusdt@depth@100ms","btcusdt@aggTrade","nosuch@trade"],"id":8}"#,
        ),
        ("nonsense", r#"{"code":3,"msg":"Invalid JSON: expected ident at line 1 column 2"}"#),
    ];
    for (request, answer) in table {
        hub.text(at(0), ConnId(1), request);
        assert_eq!(frames(&mut hub), [format!("1 {answer}")], "{request}");
    }
    hub.publish(BOOK, "{}");
    hub.publish(Topic::Top(0), "{}");
    hub.publish(Topic::AggTrade(0), "{}");
    assert_eq!(frames(&mut hub), [r#"1 {"stream":"btcusdt@depth@100ms","data":{}}"#]);
}

#[test]
fn a_stream_asked_for_twice_speaks_once() {
    let mut hub = hub();
    hub.open(at(0), ConnId(1), "/public/ws/btcusdt@trade/btcusdt@trade").unwrap();
    hub.text(at(0), ConnId(1), r#"{"method":"SUBSCRIBE","params":["btcusdt@trade"],"id":1}"#);
    hub.publish(Topic::Trade(0), "{}");
    assert_eq!(frames(&mut hub), [r#"1 {"result":null,"id":1}"#, "1 {}"]);
}

#[test]
fn one_stream_too_many_loses_the_connection() {
    let mut hub = hub();
    hub.open(at(0), ConnId(1), "/public/ws").unwrap();
    let names: Vec<String> = (0..STREAMS_MAX).map(|index| format!("\"s{index}@trade\"")).collect();
    hub.text(at(0), ConnId(1), &format!(r#"{{"method":"SUBSCRIBE","params":[{}],"id":1}}"#, names.join(",")));
    hub.text(at(0), ConnId(1), r#"{"method":"SUBSCRIBE","params":["btcusdt@trade"],"id":77}"#);
    hub.text(at(0), ConnId(1), r#"{"method":"LIST_SUBSCRIPTIONS","id":78}"#);
    assert_eq!(
        frames(&mut hub),
        [
            r#"1 {"result":null,"id":1}"#,
            r#"1 {"error":{"code":4,"msg":"Too many subscriptions"},"id":77}"#,
            "1 close 1008 Invalid request",
        ]
    );
}

#[test]
fn more_than_ten_messages_a_second_lose_the_connection() {
    let mut hub = hub();
    let list = r#"{"method":"LIST_SUBSCRIPTIONS","id":1}"#;
    hub.open(at(0), ConnId(1), "/public/ws").unwrap();
    for _ in 0..MESSAGES_BURST {
        hub.text(at(0), ConnId(1), list);
    }
    assert_eq!(frames(&mut hub).len(), 15);
    hub.text(at(99), ConnId(1), list);
    assert_eq!(frames(&mut hub), ["1 close 1008 Too many requests"]);

    hub.open(at(0), ConnId(2), "/public/ws").unwrap();
    for message in 0..200 {
        hub.text(at(message * 100), ConnId(2), list);
    }
    assert_eq!(frames(&mut hub).len(), 200);
}

#[test]
fn pings_come_every_three_minutes_and_a_mute_connection_is_dropped_after_ten() {
    let minute = 60_000;
    let mut hub = hub();
    hub.open(at(0), ConnId(1), "/public/ws").unwrap();
    hub.open(at(0), ConnId(2), "/public/ws").unwrap();
    let mut seen = Vec::new();
    while let Some(due) = hub.next_due().filter(|&due| due <= at(16 * minute)) {
        hub.advance(due);
        for frame in frames(&mut hub) {
            if let Some(payload) = frame.strip_prefix("2 ping ") {
                hub.pong(due, ConnId(2), payload.as_bytes());
            } else if frame.starts_with("1 ping") {
                hub.pong(due, ConnId(1), b"unsolicited");
            }
            seen.push(format!("{} {frame}", due.millis() / minute));
        }
    }
    assert_eq!(
        seen,
        [
            "3 1 ping 180000",
            "3 2 ping 180000",
            "6 1 ping 360000",
            "6 2 ping 360000",
            "9 1 ping 540000",
            "9 2 ping 540000",
            "12 1 ping 720000",
            "12 2 ping 720000",
            "13 1 close 1008 Pong timeout",
            "15 2 ping 900000",
        ]
    );
}

#[test]
fn a_connection_ends_after_a_day() {
    let mut hub = hub();
    hub.open(at(0), ConnId(1), "/public/ws").unwrap();
    let day = 24 * 60 * 60 * 1_000;
    hub.advance(at(day));
    assert_eq!(frames(&mut hub), ["1 close 1001 The connection has reached its maximum lifetime"]);
    assert_eq!(hub.next_due(), None);
}

#[test]
fn user_data_reaches_only_those_with_the_key_and_a_wish_for_the_event() {
    let mut hub = hub();
    let paths = [
        "/private/ws/KEY",
        "/private/ws?listenKey=KEY&events=ACCOUNT_UPDATE/TRADE_LITE",
        "/private/stream?listenKey=OTHER&listenKey=KEY&events=ORDER_TRADE_UPDATE",
        "/ws/KEY",
        "/private/ws/BOGUS",
        "/public/ws/KEY",
        "/market/ws/KEY",
    ];
    for (id, path) in (1..).zip(paths) {
        hub.open(at(0), ConnId(id), path).unwrap();
    }
    hub.open(at(0), ConnId(8), "/private/ws").unwrap();
    hub.text(at(0), ConnId(8), r#"{"method":"SUBSCRIBE","params":["KEY"],"id":1}"#);
    assert_eq!(frames(&mut hub), [r#"8 {"result":null,"id":1}"#]);
    hub.publish_user("KEY", "ORDER_TRADE_UPDATE", "{}");
    assert_eq!(frames(&mut hub), ["1 {}", r#"3 {"stream":"KEY","data":{}}"#, "4 {}", "8 {}"]);
    hub.publish_user("KEY", "ACCOUNT_UPDATE", "{}");
    assert_eq!(frames(&mut hub), ["1 {}", "2 {}", "4 {}", "8 {}"]);
}

#[test]
fn a_path_that_serves_nothing_is_refused() {
    let mut hub = hub();
    assert_eq!(hub.open(at(0), ConnId(1), "/public/else"), Err(404));
    let names = vec!["a@trade"; STREAMS_MAX + 1].join("/");
    assert_eq!(hub.open(at(0), ConnId(2), &format!("/public/ws/{names}")), Err(400));
    assert_eq!(hub.next_due(), None);
}
