//! The decoder against tungstenite as the client: whatever a server writes, right or wrong, both hear the same and
//! refuse the same. Lengths that are not in their shortest form are left out: tungstenite accepts them.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that fails says where")]

mod support;

use std::io::{self, Cursor, Read, Write};

use optiflow_wire::frame::decode::{Inbox, Incoming};
use support::frame;
use tungstenite::error::ProtocolError;
use tungstenite::protocol::{Role, WebSocketConfig};
use tungstenite::{Error, Message, WebSocket};

fn text(rng: &mut fastrand::Rng, len: usize) -> String {
    (0..len).map(|_| ['a', '{', '"', '€', '币', '\u{10ffff}', '\0'][rng.usize(..7)]).collect()
}

/// What a server writes next, mostly as it should be.
fn act(rng: &mut fastrand::Rng) -> Vec<u8> {
    let len = [rng.usize(..40), rng.usize(120..130), rng.usize(LIMIT - 5..LIMIT + 3)][rng.usize(..3)];
    match rng.u8(..32) {
        0..8 => {
            let len = len.min(LIMIT / 4);
            frame(0x81, text(rng, len).as_bytes())
        }
        8..10 => frame(0x82, &vec![0xff; len]),
        10 => frame(0x81, &[&b"abc"[..], &[0xc3, 0x28, 0xed, 0xa0, 0x80][rng.usize(..4)..]].concat()),
        11..18 => fragments(rng),
        18..22 => frame(0x89 + rng.u8(..2), &vec![b'p'; rng.usize(..126)]),
        22 => frame(0x80 + rng.u8(8..11), &vec![0; rng.usize(120..130)]),
        23 => frame(rng.u8(..), &vec![b'x'; rng.usize(..200)]),
        24 => {
            let [first, len, payload @ ..] = &frame(0x81, b"masked")[..] else { unreachable!() };
            [&[*first, 0x80 | len, 0, 0, 0, 0], payload].concat()
        }
        25 => frame(0x88, &[][..]),
        26 => frame(0x88, &[3][..]),
        27 => {
            let code: u16 = [0, 999, 1005, 1006, 1015, 1016, 2999, 5000][rng.usize(..8)];
            frame(0x88, &code.to_be_bytes())
        }
        28 => {
            let code: u16 = [1000, 1001, 1003, 1007, 1011, 1013, 3000, 4999][rng.usize(..8)];
            let reason: &[u8] = [&b""[..], b"bye", "€".as_bytes(), &[0xff]][rng.usize(..4)];
            frame(0x88, &[&code.to_be_bytes(), reason].concat())
        }
        29 => frame(0x80, b"continues what?"),
        30 => frame(0x01, b"never continued"),
        _ => frame(0x82, &vec![0; LIMIT + 1]),
    }
}

/// A message in pieces, parted anywhere, with control frames between them.
fn fragments(rng: &mut fastrand::Rng) -> Vec<u8> {
    let len = rng.usize(..LIMIT / 3);
    let whole = text(rng, len).into_bytes();
    let (mut rest, mut bytes, mut first) = (&whole[..], Vec::new(), 1 + rng.u8(..2));
    for _ in 0..rng.usize(..6) {
        let (part, after) = rest.split_at(rng.usize(..=rest.len()));
        bytes.extend(frame(first, part));
        (rest, first) = (after, 0);
        if rng.bool() {
            bytes.extend(frame(0x89, b"between"));
        }
    }
    bytes.extend(frame(0x80 | first, rest));
    bytes
}

/// What the decoder makes of bytes that arrive in pieces.
fn ours(bytes: &[u8], mut pieces: fastrand::Rng) -> Vec<String> {
    let (mut inbox, mut heard, mut rest) = (Inbox::new(LIMIT), Vec::new(), bytes);
    while !rest.is_empty() {
        let (piece, after) = rest.split_at([1, 2, 50, 1_000, 60_000][pieces.usize(..5)].min(rest.len()));
        inbox.room()[..piece.len()].copy_from_slice(piece);
        inbox.received(piece.len());
        rest = after;
        loop {
            heard.push(match inbox.decode() {
                Ok(None) => break,
                Ok(Some(Incoming::Message(range))) => format!("message {:?}", inbox.bytes(range)),
                Ok(Some(Incoming::Ping(range))) => format!("ping {:?}", inbox.bytes(range)),
                Ok(Some(Incoming::Pong(range))) => format!("pong {:?}", inbox.bytes(range)),
                Ok(Some(Incoming::Close(code))) => {
                    heard.push(format!("close {code}"));
                    return heard;
                }
                Err(_) => {
                    heard.push("refused".to_owned());
                    return heard;
                }
            });
        }
    }
    heard
}

/// A stream that gives prepared bytes and forgets what is written.
struct Tape(Cursor<Vec<u8>>);

impl Read for Tape {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        self.0.read(into)
    }
}

impl Write for Tape {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// What tungstenite makes of them.
fn theirs(bytes: &[u8]) -> Vec<String> {
    let config = WebSocketConfig::default().max_message_size(Some(LIMIT)).max_frame_size(Some(LIMIT));
    let mut client = WebSocket::from_raw_socket(Tape(Cursor::new(bytes.to_vec())), Role::Client, Some(config));
    let mut heard = Vec::new();
    loop {
        heard.push(match client.read() {
            Ok(message @ (Message::Text(_) | Message::Binary(_))) => format!("message {:?}", &message.into_data()[..]),
            Ok(Message::Ping(payload)) => format!("ping {:?}", &payload[..]),
            Ok(Message::Pong(payload)) => format!("pong {:?}", &payload[..]),
            Ok(Message::Close(frame)) => {
                // A code that must not travel is answered at once, and told as the answer.
                let is_refused = frame.as_ref().is_some_and(|frame| frame.reason.as_str() == "Protocol violation");
                let code = frame.map_or(1005, |frame| frame.code.into());
                heard.push(if is_refused { "refused".to_owned() } else { format!("close {code}") });
                return heard;
            }
            Err(Error::Protocol(ProtocolError::ResetWithoutClosingHandshake)) => return heard,
            Ok(Message::Frame(_)) | Err(_) => {
                heard.push("refused".to_owned());
                return heard;
            }
        });
    }
}

#[test]
fn ours_hears_what_tungstenite_hears() {
    let (mut refused, mut accepted) = (0, 0);
    for seed in 0..5_000 {
        let mut rng = fastrand::Rng::with_seed(seed);
        let bytes: Vec<u8> = (0..rng.usize(1..7)).flat_map(|_| act(&mut rng)).collect();
        let (heard, expected) = (ours(&bytes, rng), theirs(&bytes));
        let same = heard.iter().zip(&expected).take_while(|(ours, theirs)| ours == theirs).count();
        assert_eq!(heard[same..], expected[same..], "seed {seed}, after {same}");
        *(if heard.last().is_some_and(|last| last == "refused") { &mut refused } else { &mut accepted }) += 1;
    }
    assert!(refused > 1_000 && accepted > 1_000, "both are tried: {refused} {accepted}");
}

const LIMIT: usize = 2_000;
