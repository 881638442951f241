//! A connection that is cut after any byte: what was whole is delivered, of a half nothing.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that fails says where")]

mod support;

use std::io::Write;

use optiflow_wire::down::Down;
use optiflow_wire::limits::Limits;
use optiflow_wire::transport::memory::{Cut, MemoryDialer, PipeOptions};
use support::{Seen, answer_by_hand, chopped, client, frame, poll_all, seconds};

/// Frames as a server writes them, and the text that is whole with the last byte of each.
fn frames() -> Vec<(Vec<u8>, Option<String>)> {
    let (long, wide) = ("x".repeat(300), "preço 币安 €");
    vec![
        (frame(0x81, b"first"), Some("first".to_owned())),
        (frame(0x89, b"ping"), None),
        (frame(0x81, long.as_bytes()), Some(long.clone())),
        // In two fragments, parted inside a letter, with a ping between them.
        (frame(0x01, &wide.as_bytes()[..5]), None),
        (frame(0x89, b""), None),
        (frame(0x80, &wide.as_bytes()[5..]), Some(wide.to_owned())),
        (frame(0x81, b""), Some(String::new())),
    ]
}

/// What comes of the first `len` bytes and a cut.
fn cut_after(bytes: &[u8], len: usize, how: Cut, options: PipeOptions) -> Vec<Seen> {
    let dialer = MemoryDialer::new(options);
    let mut client = client(&dialer, Limits::market());
    poll_all(&mut client, seconds(1));
    let mut far = answer_by_hand(dialer.accept().unwrap().1, &[]);
    let mut seen = Vec::new();
    far.write_all(&bytes[..len]).unwrap();
    // A chopped pipe pauses now and then: quiet means quiet for long.
    for _ in 0..2_000 {
        seen.extend(poll_all(&mut client, seconds(1)));
    }
    far.cut(how);
    for _ in 0..50 {
        seen.extend(poll_all(&mut client, seconds(1)));
    }
    seen
}

#[test]
fn cut_after_any_byte_only_what_was_whole_comes_out() {
    let frames = frames();
    let bytes: Vec<u8> = frames.iter().flat_map(|(frame, _)| frame.clone()).collect();
    for (how, single) in [(Cut::Ended, false), (Cut::Reset, false), (Cut::Ended, true)] {
        for len in 0..=bytes.len() {
            if single && !len.is_multiple_of(7) {
                continue;
            }
            let mut at = 0;
            let whole = frames.iter().filter_map(|(frame, text)| {
                at += frame.len();
                text.clone().filter(|_| at <= len)
            });
            let mut expected: Vec<Seen> = std::iter::once(Seen::Up).chain(whole.map(Seen::Text)).collect();
            let options = if single { chopped(3, 1) } else { PipeOptions::default() };
            let seen = cut_after(&bytes, len, how, options);
            let end = if how == Cut::Ended { Down::Ended } else { Down::Read(std::io::ErrorKind::ConnectionReset) };
            expected.push(Seen::Down(end));
            assert_eq!(seen, expected, "{how:?} after {len} of {} bytes", bytes.len());
        }
    }
}
