//! The codec against RFC 6455, rule by rule; against itself, chopped at any byte; and against tungstenite, both ways.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that fails says where")]

mod support;

use std::io::{self, Cursor, Read, Write};

use optiflow_wire::down::Violation;
use optiflow_wire::frame::decode::{Inbox, Incoming, SLACK_LEN};
use optiflow_wire::frame::encode::{NoRoom, Outbox, frame};
use optiflow_wire::frame::{Opcode, mask};
use proptest::prelude::*;
use tungstenite::protocol::Role;
use tungstenite::{Message, WebSocket};

const LIMIT: usize = 2_000;

fn feed(inbox: &mut Inbox, bytes: &[u8]) {
    inbox.room()[..bytes.len()].copy_from_slice(bytes);
    inbox.received(bytes.len());
}

/// What the inbox makes of bytes that arrive in pieces of `piece` bytes, written down.
fn decode(bytes: &[u8], piece: usize) -> Vec<String> {
    let mut inbox = Inbox::new(LIMIT);
    let mut seen = Vec::new();
    for part in bytes.chunks(piece) {
        feed(&mut inbox, part);
        loop {
            match inbox.decode() {
                Ok(None) => break,
                Ok(Some(incoming)) => seen.push(written(&inbox, incoming)),
                Err(violation) => {
                    seen.push(format!("{violation:?}"));
                    return seen;
                }
            }
        }
    }
    seen
}

fn written(inbox: &Inbox, incoming: Incoming) -> String {
    let text = |range| String::from_utf8_lossy(inbox.bytes(range)).into_owned();
    match incoming {
        Incoming::Message(range) => format!("message {}", text(range)),
        Incoming::Ping(range) => format!("ping {}", text(range)),
        Incoming::Pong(range) => format!("pong {}", text(range)),
        Incoming::Close(code) => format!("close {code}"),
    }
}

#[test]
fn every_rule_of_the_protocol_is_kept() {
    let long = |len: usize| vec![b'a'; len];
    let close = |code: u16, reason: &[u8]| support::frame(0x88, &[&code.to_be_bytes(), reason].concat());
    let (ping_of_125, longest) = (format!("ping {}", "a".repeat(125)), format!("message {}", "a".repeat(LIMIT)));
    let table: Vec<(&str, Vec<u8>, &str)> = vec![
        ("text", support::frame(0x81, b"hi"), "message hi"),
        ("empty text", support::frame(0x81, b""), "message "),
        ("binary is a message too", support::frame(0x82, b"hi"), "message hi"),
        ("binary need not be UTF-8", support::frame(0x82, &[0xff]), "message \u{fffd}"),
        ("ping", support::frame(0x89, b"p"), "ping p"),
        ("pong", support::frame(0x8A, b"p"), "pong p"),
        ("close without code", support::frame(0x88, b""), "close 1005"),
        ("close with code and reason", close(1001, b"bye"), "close 1001"),
        ("private close code", close(4999, b""), "close 4999"),
        ("close with one byte", support::frame(0x88, &[3]), "CloseCode"),
        ("close code 0", close(0, b""), "CloseCode"),
        ("close code 999", close(999, b""), "CloseCode"),
        ("close code 1004", close(1004, b""), "CloseCode"),
        ("close code 1005 never travels", close(1005, b""), "CloseCode"),
        ("close code 1006 never travels", close(1006, b""), "CloseCode"),
        ("close code 1015 never travels", close(1015, b""), "CloseCode"),
        ("close code 2999", close(2999, b""), "CloseCode"),
        ("close code 5000", close(5000, b""), "CloseCode"),
        ("close reason not UTF-8", close(1000, &[0xff]), "Utf8"),
        ("reserved bit 1", support::frame(0xC1, b""), "ReservedBits"),
        ("reserved bit 2", support::frame(0xA1, b""), "ReservedBits"),
        ("reserved bit 3", support::frame(0x91, b""), "ReservedBits"),
        ("reserved bit, first byte alone", vec![0xC1], "ReservedBits"),
        ("opcode 3", support::frame(0x83, b""), "Opcode"),
        ("opcode 7", support::frame(0x87, b""), "Opcode"),
        ("opcode 11", support::frame(0x8B, b""), "Opcode"),
        ("opcode 15", support::frame(0x8F, b""), "Opcode"),
        ("masked", vec![0x81, 0x80, 1, 2, 3, 4], "Masked"),
        ("fragmented ping", support::frame(0x09, b""), "FragmentedControl"),
        ("fragmented close", support::frame(0x08, b""), "FragmentedControl"),
        ("ping of 125", support::frame(0x89, &long(125)), &ping_of_125),
        ("ping of 126", support::frame(0x89, &long(126)), "LongControl"),
        ("ping with 64-bit length", vec![0x89, 127, 0, 0, 0, 0, 0, 0, 0, 1, 0], "LongControl"),
        ("length 125 in 16 bits", vec![0x81, 126, 0, 125], "Length"),
        ("length 65535 in 64 bits", vec![0x81, 127, 0, 0, 0, 0, 0, 0, 0xff, 0xff], "Length"),
        ("length with its top bit", vec![0x81, 127, 0x80, 0, 0, 0, 0, 1, 0, 0], "Length"),
        ("largest length", vec![0x81, 127, 0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff], "TooLong"),
        ("as long as allowed", support::frame(0x81, &long(LIMIT)), &longest),
        ("one byte longer", support::frame(0x81, &long(LIMIT + 1)), "TooLong"),
        ("continuation of nothing", support::frame(0x80, b""), "Continuation"),
        ("text not UTF-8", support::frame(0x81, &[0xc3, 0x28]), "Utf8"),
        ("text with a surrogate", support::frame(0x81, &[0xed, 0xa0, 0x80]), "Utf8"),
    ];
    for (name, bytes, expected) in table {
        for piece in [1, 3, bytes.len()] {
            assert_eq!(decode(&bytes, piece), [expected], "{name}, {piece} bytes at a time");
        }
    }
}

/// Name, frames, what is seen.
type Row = (&'static str, Vec<Vec<u8>>, Vec<&'static str>);

#[test]
fn fragments_are_joined_and_control_frames_may_come_between() {
    let euro = "€".as_bytes();
    let table: [Row; 7] = [
        (
            "three fragments with a ping and a pong between",
            vec![
                support::frame(0x01, b"one "),
                support::frame(0x89, b"p"),
                support::frame(0x00, b"two "),
                support::frame(0x8A, b"q"),
                support::frame(0x80, b"three"),
                support::frame(0x81, b"next"),
            ],
            vec!["ping p", "pong q", "message one two three", "message next"],
        ),
        (
            "a character across fragments",
            vec![support::frame(0x01, &euro[..1]), support::frame(0x00, &euro[1..2]), support::frame(0x80, &euro[2..])],
            vec!["message €"],
        ),
        (
            "empty fragments",
            vec![support::frame(0x01, b""), support::frame(0x00, b""), support::frame(0x80, b"")],
            vec!["message "],
        ),
        (
            "a message inside a message",
            vec![support::frame(0x01, b"a"), support::frame(0x81, b"b")],
            vec!["Interleaved"],
        ),
        (
            "fragments that are too long together",
            vec![support::frame(0x01, &[b'a'; LIMIT]), support::frame(0x80, b"a")],
            vec!["TooLong"],
        ),
        (
            "a ping when the message is as long as allowed",
            vec![support::frame(0x02, &[0; LIMIT]), support::frame(0x89, b"p"), support::frame(0x80, b"")],
            vec!["ping p", "long"],
        ),
        ("a close inside a message", vec![support::frame(0x01, b"a"), support::frame(0x88, b"")], vec!["close 1005"]),
    ];
    for (name, frames, expected) in table {
        for piece in [1, 2, 7, 1_000] {
            let mut seen = decode(&frames.concat(), piece);
            seen.iter_mut().filter(|line| line.len() > LIMIT).for_each(|line| *line = "long".to_owned());
            assert_eq!(seen, expected, "{name}, {piece} bytes at a time");
        }
    }
}

#[test]
fn a_message_in_too_many_fragments_is_refused() {
    let mut bytes = support::frame(0x01, b"");
    for _ in 0..4_096 {
        bytes.extend_from_slice(&support::frame(0x00, b""));
    }
    assert_eq!(decode(&bytes, 4_000), ["Fragments"]);
}

#[test]
fn a_long_stream_of_messages_reuses_the_buffer_and_keeps_slack_behind_each() {
    let mut inbox = Inbox::new(LIMIT);
    let message = support::frame(0x81, &[b'x'; 1_500]);
    let stream: Vec<u8> = message.iter().copied().cycle().take(message.len() * 500).collect();
    let (mut at, mut seen) = (0, 0);
    while at < stream.len() {
        let room = inbox.room();
        let len = room.len().min(stream.len() - at);
        room[..len].copy_from_slice(&stream[at..at + len]);
        inbox.received(len);
        at += len;
        while let Some(incoming) = inbox.decode().unwrap() {
            let Incoming::Message(range) = incoming else { panic!("{incoming:?}") };
            inbox.bytes(range.start..range.end + SLACK_LEN);
            assert_eq!(inbox.bytes_mut(range), &[b'x'; 1_500]);
            seen += 1;
        }
    }
    assert_eq!(seen, 500);
}

#[test]
fn the_outbox_takes_a_frame_whole_or_not_at_all_and_answers_only_the_latest_ping() {
    let mut outbox = Outbox::new(1_000);
    outbox.text(&[b'a'; 900]).unwrap();
    let before = outbox.pending().len();
    assert_eq!(outbox.text(&[b'b'; 93]), Err(NoRoom));
    assert_eq!(outbox.pending().len(), before);
    outbox.text(&[b'b'; 86]).unwrap();
    assert_eq!(outbox.pending().len(), 1_000);
    for number in 0..10u8 {
        outbox.pong(&[number; 125]);
    }
    let mut seen = Vec::new();
    while !outbox.is_empty() {
        seen.extend_from_slice(&outbox.pending()[..10]);
        outbox.wrote(10.min(outbox.pending().len()));
        if outbox.pending().len() < 10 {
            seen.extend_from_slice(outbox.pending());
            outbox.wrote(outbox.pending().len());
        }
    }
    let mut server = referee(seen);
    assert_eq!(server.read().unwrap().len(), 900);
    assert_eq!(server.read().unwrap().len(), 86);
    let mut pongs = Vec::new();
    while let Ok(Message::Pong(payload)) = server.read() {
        pongs.push(payload[0]);
    }
    assert_eq!(pongs.last(), Some(&9), "{pongs:?}");
}

/// A stream that gives prepared bytes and keeps what is written.
struct Tape {
    input: Cursor<Vec<u8>>,
    output: Vec<u8>,
}

impl Read for Tape {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        self.input.read(into)
    }
}

impl Write for Tape {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.output.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// tungstenite as a server, reading `bytes`.
fn referee(bytes: Vec<u8>) -> WebSocket<Tape> {
    let tape = Tape { input: Cursor::new(bytes), output: Vec::new() };
    WebSocket::from_raw_socket(tape, Role::Server, None)
}

/// What tungstenite as a server writes for these messages, long ones cut into fragments by hand.
fn written_by_tungstenite(messages: &[(Kind, Vec<u8>)]) -> Vec<u8> {
    use tungstenite::protocol::frame::Frame;
    use tungstenite::protocol::frame::coding::{Data, OpCode};
    let mut server = referee(Vec::new());
    for (kind, payload) in messages {
        let message = match kind {
            Kind::Text => Message::text(String::from_utf8(payload.clone()).unwrap()),
            Kind::Binary => Message::binary(payload.clone()),
            Kind::Ping => Message::Ping(payload[..payload.len().min(125)].to_vec().into()),
            Kind::Fragments(pieces) => {
                let parts: Vec<&[u8]> = payload.chunks(payload.len() / pieces + 1).collect();
                for (index, part) in parts.iter().enumerate() {
                    let opcode = if index == 0 { Data::Binary } else { Data::Continue };
                    let last = index + 1 == parts.len();
                    let frame = Frame::message(part.to_vec(), OpCode::Data(opcode), last);
                    server.write(Message::Frame(frame)).unwrap();
                    server.write(Message::Ping(vec![index as u8].into())).unwrap();
                }
                continue;
            }
        };
        server.write(message).unwrap();
    }
    server.flush().unwrap();
    server.get_ref().output.clone()
}

#[derive(Clone, Debug)]
enum Kind {
    Text,
    Binary,
    Ping,
    Fragments(usize),
}

fn messages() -> impl Strategy<Value = Vec<(Kind, Vec<u8>)>> {
    let bytes = proptest::collection::vec(any::<u8>(), 0..LIMIT);
    let text = proptest::collection::vec(any::<char>(), 0..LIMIT / 4);
    let message = prop_oneof![
        text.prop_map(|chars| (Kind::Text, chars.into_iter().collect::<String>().into_bytes())),
        bytes.clone().prop_map(|bytes| (Kind::Binary, bytes)),
        bytes.clone().prop_map(|bytes| (Kind::Ping, bytes)),
        (1..9usize, bytes).prop_map(|(pieces, mut bytes)| {
            bytes.push(0);
            bytes.truncate(LIMIT);
            (Kind::Fragments(pieces), bytes)
        }),
    ];
    proptest::collection::vec(message, 1..8)
}

/// What arrives, with the payload.
fn expected(messages: &[(Kind, Vec<u8>)]) -> Vec<(&'static str, Vec<u8>)> {
    let mut all = Vec::new();
    for (kind, payload) in messages {
        match kind {
            Kind::Text | Kind::Binary => all.push(("message", payload.clone())),
            Kind::Ping => all.push(("ping", payload[..payload.len().min(125)].to_vec())),
            Kind::Fragments(pieces) => {
                let parts = payload.chunks(payload.len() / pieces + 1).count();
                (0..parts - 1).for_each(|index| all.push(("ping", vec![index as u8])));
                all.push(("message", payload.clone()));
                all.push(("ping", vec![(parts - 1) as u8]));
            }
        }
    }
    all
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn what_tungstenite_writes_is_decoded_the_same_however_it_is_chopped(messages in messages(), seed in any::<u64>()) {
        let stream = written_by_tungstenite(&messages);
        let mut rng = fastrand::Rng::with_seed(seed);
        let mut inbox = Inbox::new(LIMIT);
        let (mut at, mut seen) = (0, Vec::new());
        while at < stream.len() {
            let len = [1, 2, 30, 700][rng.usize(..4)].min(stream.len() - at);
            feed(&mut inbox, &stream[at..at + len]);
            at += len;
            while let Some(incoming) = inbox.decode().unwrap() {
                seen.push(match incoming {
                    Incoming::Message(range) => ("message", inbox.bytes(range).to_vec()),
                    Incoming::Ping(range) => ("ping", inbox.bytes(range).to_vec()),
                    Incoming::Pong(_) | Incoming::Close(_) => panic!("{incoming:?}"),
                });
            }
        }
        prop_assert_eq!(seen, expected(&messages));
    }

    #[test]
    fn hostile_bytes_are_decoded_or_refused_but_never_panic(
        bytes in proptest::collection::vec(prop_oneof![3 => any::<u8>(), 1 => Just(0x81), 1 => Just(0x01), 1 => Just(0x00)], 0..3_000),
        piece in 1..500usize,
    ) {
        let refused = decode(&bytes, piece);
        prop_assert_eq!(refused, decode(&bytes, 1));
    }

    #[test]
    fn tungstenite_reads_the_frames_that_we_write(
        payloads in proptest::collection::vec((any::<bool>(), 0..70_000usize), 1..5),
        key in any::<[u8; 4]>(),
    ) {
        let mut stream = Vec::new();
        for &(text, len) in &payloads {
            let payload = vec![b'j'; len];
            frame(&mut stream, if text { Opcode::Text } else { Opcode::Binary }, &payload, key);
            frame(&mut stream, Opcode::Ping, &payload[..len.min(125)], key);
        }
        let mut server = referee(stream);
        for (text, len) in payloads {
            let message = server.read().unwrap();
            prop_assert_eq!((message.is_text(), message.len()), (text, len));
            prop_assert!(message.into_data().iter().all(|&byte| byte == b'j'));
            prop_assert_eq!(server.read().unwrap().len(), len.min(125));
        }
    }
}

#[test]
fn masking_twice_is_nothing_and_every_violation_has_a_close_code() {
    let mut bytes = *b"order";
    mask::apply(&mut bytes, [1, 2, 3, 4]);
    assert_ne!(&bytes, b"order");
    for (violation, code) in [(Violation::Masked, 1002), (Violation::Utf8, 1007), (Violation::TooLong, 1009)] {
        assert_eq!(violation.close_code(), code);
    }
}
