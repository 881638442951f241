//! The HTTP upgrade: what is asked, and which answers are taken for one.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that fails says where")]

mod support;

use std::io::Write;

use optiflow_wire::connection::Connection;
use optiflow_wire::down::{Down, UpgradeFault};
use optiflow_wire::limits::Limits;
use optiflow_wire::tls::{Roots, client_config};
use optiflow_wire::transport::memory::{MemoryDialer, PipeOptions};
use proptest::prelude::*;
use support::{Seen, answer_by_hand, client, endpoint, poll_all, request, seconds};

fn dialer() -> MemoryDialer {
    MemoryDialer::new(PipeOptions::default())
}

#[test]
fn frames_that_come_with_the_answer_to_the_upgrade_are_not_lost() {
    let dialer = dialer();
    let mut client = client(&dialer, Limits::market());
    poll_all(&mut client, seconds(1));
    let _far = answer_by_hand(dialer.accept().unwrap().1, b"\x81\x05first\x81\x06second\x81");
    let text = |text: &str| Seen::Text(text.to_owned());
    assert_eq!(poll_all(&mut client, seconds(1)), [Seen::Up, text("first"), text("second")]);
}

#[test]
fn answers_to_the_upgrade_are_judged() {
    let accept =
        |head: &str| head.lines().find_map(|line| line.strip_prefix("sec-websocket-accept: ")).unwrap().to_owned();
    type Tamper = Box<dyn Fn(&str) -> String>;
    let good = |head: &str| format!("{head}\r\n");
    let fault = |fault| Some(Down::Upgrade(fault));
    let table: Vec<(&str, Tamper, Option<Down>)> = vec![
        ("good", Box::new(good), None),
        ("empty extensions", Box::new(move |head| good(&format!("{head}Sec-WebSocket-Extensions:\r\n"))), None),
        ("wrong key", Box::new(move |head| good(&head.replace(&accept(head), "AAAA"))), fault(UpgradeFault::Accept)),
        ("no key", Box::new(move |head| good(&head.replace("accept", "x"))), fault(UpgradeFault::Accept)),
        (
            "no upgrade",
            Box::new(move |head| good(&head.replace("WebSocket\r", "h2c\r"))),
            fault(UpgradeFault::NotUpgraded),
        ),
        ("no connection", Box::new(move |head| good(&head.replace(", Upgrade", ""))), fault(UpgradeFault::NotUpgraded)),
        (
            "compression",
            Box::new(move |head| good(&format!("{head}Sec-WebSocket-Extensions: permessage-deflate\r\n"))),
            fault(UpgradeFault::Unasked),
        ),
        (
            "a protocol",
            Box::new(move |head| good(&format!("{head}Sec-WebSocket-Protocol: chat\r\n"))),
            fault(UpgradeFault::Unasked),
        ),
        ("HTTP/1.0", Box::new(move |head| good(&head.replace("1.1", "1.0"))), fault(UpgradeFault::NotHttp)),
        ("not HTTP", Box::new(|_| "SSH-2.0-OpenSSH_9.6\r\n".to_owned()), fault(UpgradeFault::NotHttp)),
        ("endless", Box::new(|head| format!("{head}x: {}", "y".repeat(9_000))), fault(UpgradeFault::TooLong)),
        ("many headers", Box::new(|head| format!("{head}{}\r\n", "a: b\r\n".repeat(70))), fault(UpgradeFault::TooLong)),
        (
            "forbidden",
            Box::new(|_| "HTTP/1.1 403 Forbidden\r\n\r\n".to_owned()),
            Some(Down::Refused { status: 403, retry_after: None }),
        ),
        (
            "banned",
            Box::new(|_| "HTTP/1.1 418 I'm a teapot\r\nRetry-After: 90\r\n\r\n".to_owned()),
            Some(Down::Refused { status: 418, retry_after: Some(90) }),
        ),
    ];
    for (name, tamper, expected) in table {
        let dialer = dialer();
        let mut client = client(&dialer, Limits::market());
        poll_all(&mut client, seconds(1));
        let mut far = dialer.accept().unwrap().1;
        let (head, _) = request(&mut far);
        far.write_all(tamper(&head).as_bytes()).unwrap();
        let expected = expected.map_or(Seen::Up, Seen::Down);
        assert_eq!(poll_all(&mut client, seconds(1)), [expected], "{name}");
    }
}

#[test]
fn a_ban_is_waited_out() {
    let dialer = dialer();
    let mut client = client(&dialer, Limits::market());
    poll_all(&mut client, seconds(1));
    let mut far = dialer.accept().unwrap().1;
    far.write_all(b"HTTP/1.1 429 Too Many Requests\r\nRetry-After: 90\r\n\r\n").unwrap();
    assert_eq!(poll_all(&mut client, seconds(1)), [Seen::Down(Down::Refused { status: 429, retry_after: Some(90) })]);
    assert_eq!(poll_all(&mut client, seconds(90)), []);
    assert_eq!(dialer.dialled(), 1);
    poll_all(&mut client, seconds(91));
    assert_eq!(dialer.dialled(), 2);
}

#[test]
fn the_request_names_the_host_and_the_path_set_last_and_cannot_be_split() {
    let dialer = dialer();
    let mut client = client(&dialer, Limits::market());
    client.set_path("/private/ws/key?x=1 \r\nEvil: 1#\u{e9}");
    poll_all(&mut client, seconds(1));
    let (_, request) = request(&mut dialer.accept().unwrap().1);
    let lines: Vec<&str> = request.lines().collect();
    assert_eq!(lines[0], "GET /private/ws/key?x=1%20%0D%0AEvil:%201%23%C3%A9 HTTP/1.1");
    assert_eq!(lines[1], "Host: localhost:9001");
    assert!(!lines.iter().any(|line| line.starts_with("Evil")));
}

proptest! {
    #[test]
    fn hostile_answers_never_bring_a_connection_up_and_never_panic(
        bytes in proptest::collection::vec(any::<u8>(), 0..10_000),
        begins_well in any::<bool>(),
    ) {
        for tls in [None, Some(client_config(&Roots::WebPki).unwrap())] {
            let dialer = dialer();
            let mut client = Connection::new(endpoint(tls), dialer.clone(), Limits::market(), 1);
            poll_all(&mut client, seconds(1));
            let mut far = dialer.accept().unwrap().1;
            if begins_well {
                far.write_all(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n").unwrap();
            }
            far.write_all(&bytes).unwrap();
            drop(far);
            let seen = poll_all(&mut client, seconds(1));
            prop_assert!(matches!(seen[..], [Seen::Down(_)]), "{:?}", seen);
        }
    }
}
