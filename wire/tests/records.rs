//! Records of ours against a server that is played by hand, with rustls' own keys: what is not as it should be ends the
//! connection, is told to the server, and never comes out as text.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that fails says where")]

mod support;

use std::io::Write;

use optiflow_wire::connection::Event;
use optiflow_wire::down::{Down, TlsFault, Violation};
use optiflow_wire::transport::memory::Cut;
use rustls::version::TLS13;
use support::hand::{ALERT, DATA, HANDSHAKE, Hand, Lane, greet};
use support::{Seen, believes, certificate, frame, poll_all, seconds};

const MALFORMED: Down = Down::Tls(TlsFault::Malformed);

/// A text frame.
fn said(text: &str) -> Vec<u8> {
    frame(0x81, text.as_bytes())
}

/// A text frame of so many bytes in all.
fn long_frame(len: usize) -> (Vec<u8>, Seen) {
    let text = "x".repeat(len - 4);
    (said(&text), Seen::Text(text))
}

fn text(text: &str) -> Seen {
    Seen::Text(text.to_owned())
}

fn ticket(len: u8) -> Vec<u8> {
    [vec![4, 0, 0, len], vec![7; usize::from(len)]].concat()
}

#[test]
fn a_record_with_any_one_bit_turned_ends_the_connection_and_says_nothing() {
    let certificate = certificate("localhost", &[&TLS13]);
    let record_len = Hand::new(&certificate).out.seal(&said("abc"), DATA, 0).len();
    for bit in 0..record_len * 8 {
        let mut hand = Hand::new(&certificate);
        let mut bytes = hand.out.seal(&said("before"), DATA, 0);
        let at = bytes.len();
        bytes.extend(hand.out.seal(&said("abc"), DATA, 0));
        bytes[at + bit / 8] ^= 1 << (bit % 8);
        // Enough behind it that a length which claims too much is filled.
        for _ in 0..3 {
            bytes.extend(hand.out.seal(&long_frame(16_000).0, DATA, 0));
        }
        assert_eq!(hand.deliver(&bytes), [text("before"), Seen::Down(MALFORMED)], "bit {bit}");
        assert!(matches!(hand.alert(), Some(10 | 20 | 22)), "bit {bit}");
    }
}

#[test]
fn what_a_server_may_do_is_understood() {
    let certificate = certificate("localhost", &[&TLS13]);
    let mut hand = Hand::new(&certificate);
    let (longest, whole) = long_frame(1 << 14);
    let mut out = |parts: &[(&[u8], u8, usize)]| {
        parts.iter().flat_map(|(content, kind, padding)| hand.out.seal(content, *kind, *padding)).collect::<Vec<u8>>()
    };
    let (hello, cut) = (said("hello"), ticket(20));
    let cases = [
        (out(&[(&hello, DATA, 0)]), vec![text("hello")]),
        (out(&[(&hello, DATA, 1), (&hello, DATA, 9_000)]), vec![text("hello"), text("hello")]),
        (out(&[(&longest, DATA, 0)]), vec![whole]),
        // A frame over three records, with an empty one between.
        (
            out(&[(&hello[..1], DATA, 0), (&hello[1..4], DATA, 3), (&[], DATA, 0), (&hello[4..], DATA, 0)]),
            vec![text("hello")],
        ),
        (out(&[(b"".as_slice(), DATA, 0); 32]), vec![]),
        (out(&[(&hello, DATA, 0)]), vec![text("hello")]),
        (out(&[(b"".as_slice(), DATA, 0); 32]), vec![]),
        (out(&[(&hello, DATA, 0), (&ticket(9), HANDSHAKE, 0), (&hello, DATA, 0)]), vec![text("hello"), text("hello")]),
        (out(&[(&[ticket(0), ticket(255), ticket(3)].concat(), HANDSHAKE, 4), (&hello, DATA, 0)]), vec![text("hello")]),
        (out(&[(&cut[..2], HANDSHAKE, 0), (&cut[2..9], HANDSHAKE, 0), (&cut[9..], HANDSHAKE, 0)]), vec![]),
        (out(&[(&hello, DATA, 0), (&hello, DATA, 0), (&hello, DATA, 0)]), vec![text("hello"); 3]),
    ];
    for (number, (bytes, expected)) in cases.into_iter().enumerate() {
        // Whole first, then byte by byte: numbers are used once, so every other case comes each way.
        if number % 2 == 0 {
            assert_eq!(hand.deliver(&bytes), expected, "case {number}");
        } else {
            let seen: Vec<Seen> = bytes.iter().flat_map(|byte| hand.deliver(&[*byte])).collect();
            assert_eq!(seen, expected, "case {number}");
        }
    }
    assert_eq!(hand.alert(), None);
    assert!(hand.client.is_up());
}

#[test]
fn what_a_server_must_not_do_ends_the_connection_with_an_alert() {
    type Bad = fn(&mut Lane) -> Vec<u8>;
    let certificate = certificate("localhost", &[&TLS13]);
    let cases: [(&str, Bad, Down, u8); 20] = [
        ("a plain alert", |_| vec![ALERT, 3, 3, 0, 2, 2, 80], MALFORMED, 10),
        ("a change of cipher", |_| vec![20, 3, 3, 0, 1, 1], MALFORMED, 10),
        ("a plain handshake", |_| vec![HANDSHAKE, 3, 3, 0, 5, 4, 0, 0, 1, 0], MALFORMED, 10),
        ("a header that claims too much", |_| vec![DATA, 3, 3, 0x41, 0x01], MALFORMED, 22),
        ("no room for a tag", |_| vec![DATA, 3, 3, 0, 16], MALFORMED, 20),
        ("no length", |_| vec![DATA, 3, 3, 0, 0], MALFORMED, 20),
        ("content beyond the limit", |out| out.seal(&[b'x'; (1 << 14) + 1], DATA, 0), MALFORMED, 22),
        ("padding beyond the limit", |out| out.seal(&[b'x'; 1 << 14], DATA, 1), MALFORMED, 22),
        ("padding and nothing else", |out| out.seal(&[], 0, 50), MALFORMED, 10),
        ("an unknown type", |out| out.seal(b"x", 24, 0), MALFORMED, 10),
        ("33 empty records", |out| (0..33).flat_map(|_| out.seal(&[], DATA, 7)).collect(), MALFORMED, 10),
        ("an empty handshake record", |out| out.seal(&[], HANDSHAKE, 0), MALFORMED, 10),
        ("a request for a certificate", |out| out.seal(&[13, 0, 0, 0], HANDSHAKE, 0), MALFORMED, 10),
        ("a ticket too long", |out| out.seal(&[4, 3, 0, 0], HANDSHAKE, 0), MALFORMED, 50),
        (
            "data inside a ticket",
            |out| [out.seal(&ticket(9)[..5], HANDSHAKE, 0), out.seal(&said("no"), DATA, 0)].concat(),
            MALFORMED,
            10,
        ),
        (
            "tickets without end",
            |out| (0..1_025).flat_map(|_| out.seal(&ticket(1), HANDSHAKE, 0)).collect(),
            MALFORMED,
            50,
        ),
        ("new keys", |out| out.seal(&[24, 0, 0, 1, 0], HANDSHAKE, 0), Down::Tls(TlsFault::KeyUpdate), 0),
        ("an alert", |out| out.seal(&[2, 80], ALERT, 0), Down::Tls(TlsFault::Alert(80)), 0),
        ("an empty alert", |out| out.seal(&[], ALERT, 0), MALFORMED, 10),
        ("an alert of three bytes", |out| out.seal(&[2, 80, 0], ALERT, 0), MALFORMED, 50),
    ];
    for (name, bad, reason, alert) in cases {
        for piecewise in [false, true] {
            let mut hand = Hand::new(&certificate);
            let mut bytes = hand.out.seal(&said("before"), DATA, 0);
            bytes.extend(bad(&mut hand.out));
            bytes.extend(hand.out.seal(&said("after"), DATA, 0));
            let mut seen = Vec::new();
            for piece in bytes.chunks(if piecewise { 3 } else { bytes.len() }) {
                // The client hangs up before the last piece.
                let _ = hand.pipe.write_all(piece);
                seen.extend(hand.seen());
            }
            assert_eq!(seen, [text("before"), Seen::Down(reason)], "{name}, in pieces: {piecewise}");
            assert_eq!(hand.alert(), Some(alert), "{name}, in pieces: {piecewise}");
        }
    }
}

#[test]
fn half_a_record_is_nothing_and_the_end_is_told_as_it_came() {
    let certificate = certificate("localhost", &[&TLS13]);
    let record_len = Hand::new(&certificate).out.seal(&said("half"), DATA, 0).len();
    for len in 0..record_len {
        let mut hand = Hand::new(&certificate);
        let record = hand.out.seal(&said("half"), DATA, 0);
        assert_eq!(hand.deliver(&record[..len]), []);
        hand.pipe.cut(Cut::Ended);
        assert_eq!(hand.seen(), [Seen::Down(Down::Ended)]);
    }
    let mut hand = Hand::new(&certificate);
    let bytes = [hand.out.seal(&said("last"), DATA, 0), hand.out.seal(&[1, 0], ALERT, 0)].concat();
    assert_eq!(hand.deliver(&bytes), [text("last"), Seen::Down(Down::Ended)]);
    assert_eq!(hand.alert(), Some(0), "a goodbye is answered with one");
}

#[test]
fn a_close_in_order_ends_with_a_close_notify_of_ours() {
    let certificate = certificate("localhost", &[&TLS13]);
    let mut hand = Hand::new(&certificate);
    hand.client.close(seconds(2));
    let answer = hand.out.seal(&[0x88, 2, 3, 232], DATA, 0);
    assert_eq!(hand.deliver(&answer), [Seen::Down(Down::Closed)]);
    assert_eq!(hand.alert(), Some(0));
}

#[test]
fn nothing_is_sealed_behind_an_alert() {
    let certificate = certificate("localhost", &[&TLS13]);
    let mut hand = Hand::new(&certificate);
    let bad = [&hand.out.seal(&said("before"), DATA, 0)[..], &[DATA, 3, 3, 0, 16]].concat();
    hand.pipe.write_all(&bad).unwrap();
    while !matches!(hand.client.poll(seconds(2)), Event::Text(_)) {}
    // Its end has not been told yet.
    assert_eq!(hand.client.send_text(seconds(2), b"too late"), Ok(()));
    assert_eq!(hand.seen(), [Seen::Down(MALFORMED)]);
    assert_eq!(hand.alert(), Some(20), "the last record");
}

#[test]
fn whoever_breaks_a_rule_of_websocket_hears_a_close_notify_of_ours_too() {
    let certificate = certificate("localhost", &[&TLS13]);
    let mut hand = Hand::new(&certificate);
    let reserved = hand.out.seal(&frame(0xC1, b""), DATA, 0);
    assert_eq!(hand.deliver(&reserved), [Seen::Down(Down::Violation(Violation::ReservedBits))]);
    assert_eq!(hand.alert(), Some(0));
}

#[test]
fn new_keys_of_the_server_cost_the_connection_and_the_next_one_comes_up() {
    let certificate = certificate("localhost", &[&TLS13]);
    let (mut client, dialer, mut stream) = greet(&certificate, believes(&certificate.pem));
    stream.write_all(&said("old")).unwrap();
    stream.conn.refresh_traffic_keys().unwrap();
    stream.write_all(&said("new")).unwrap();
    stream.flush().unwrap();
    assert_eq!(poll_all(&mut client, seconds(2)), [text("old"), Seen::Down(Down::Tls(TlsFault::KeyUpdate))]);
    assert_eq!(poll_all(&mut client, seconds(3)), []);
    let mut again = support::Server::new(support::guarded(dialer.accept().unwrap().1, &certificate));
    assert_eq!(support::exchange(&mut client, &mut again, seconds(3)).0, [Seen::Up]);
}
