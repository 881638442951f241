//! Records of ours against rustls' own on the client's side: two servers played by hand say the same, right and wrong;
//! what comes out and how it ends must be the same too.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that fails says where")]

mod support;

use std::io::Write;
use std::sync::Arc;

use optiflow_wire::down::Down;
use optiflow_wire::transport::memory::Cut;
use rustls::version::TLS13;
use support::hand::{ALERT, DATA, HANDSHAKE, Hand, Lane};
use support::{Seen, believes, certificate, frame};

/// One thing that a server does.
#[derive(Clone, Debug)]
enum Act {
    /// Content, its type, and zeros behind it.
    Record(Vec<u8>, u8, usize),
    /// A record with one bit turned.
    Spoilt(Vec<u8>, usize),
    /// Bytes that nobody sealed.
    Plain(Vec<u8>),
}

impl Act {
    fn bytes(&self, lane: &mut Lane) -> Vec<u8> {
        match self {
            Act::Record(content, kind, padding) => lane.seal(content, *kind, *padding),
            Act::Spoilt(content, bit) => {
                let mut record = lane.seal(content, DATA, 0);
                // Not in the version, which rustls does not look at, nor in the length: what is missing is waited for.
                let bit = bit % ((record.len() - 4) * 8);
                record[if bit < 8 { 0 } else { 4 + bit / 8 }] ^= 1 << (bit % 8);
                record
            }
            Act::Plain(bytes) => bytes.clone(),
        }
    }
}

/// A ticket as rustls reads one: lifetime, age, nonce, ticket, extensions (RFC 8446 §4.6.1).
fn ticket(rng: &mut fastrand::Rng) -> Vec<u8> {
    let len = rng.u16(1..300);
    let ticket = [&len.to_be_bytes()[..], &vec![7; len.into()]].concat();
    let body = [&[0, 0, 28, 32, 1, 2, 3, 4, 2, 9, 9][..], &ticket, &[0, 0]].concat();
    [&[4, 0][..], &u16::try_from(body.len()).unwrap().to_be_bytes(), &body].concat()
}

/// What is said next, mostly as it should be.
fn act(rng: &mut fastrand::Rng, number: usize) -> Vec<Act> {
    let text = frame(0x81, format!("{number} {}", "x".repeat(rng.usize(..100))).as_bytes());
    let padding = [0, 0, 1, 15, 400, 16_000][rng.usize(..6)];
    let record = |content: &[u8], kind| Act::Record(content.to_vec(), kind, padding);
    match rng.u8(..40) {
        0..14 => vec![record(&text, DATA)],
        14..18 => {
            let at = rng.usize(..text.len());
            vec![record(&text[..at], DATA), record(&text[at..], DATA)]
        }
        18..20 => vec![record(&[], DATA); rng.usize(1..=33)],
        20..24 => vec![record(&[ticket(rng), ticket(rng)].concat(), HANDSHAKE)],
        24..27 => {
            let ticket = ticket(rng);
            let at = rng.usize(1..ticket.len());
            vec![record(&ticket[..at], HANDSHAKE), record(&ticket[at..], HANDSHAKE)]
        }
        27 | 28 => vec![record(&ticket(rng)[..rng.usize(1..20)], HANDSHAKE), record(&text, DATA)],
        29 => vec![record(&[[0, 1, 2, 11, 13, 20, 254][rng.usize(..7)], 0, 0, 1, 0], HANDSHAKE)],
        30 => vec![record(&[1, 0], ALERT)],
        31 => vec![record(&[2, [10, 20, 40, 80][rng.usize(..4)]], ALERT)],
        32 => vec![record(&[&[2][..], &[80; 3][..rng.usize(..4)]].concat()[..], ALERT)],
        33 => vec![record(&text, [0, 20, 24, 99][rng.usize(..4)])],
        34 => vec![Act::Record(vec![], 0, 50)],
        35 => vec![Act::Record(vec![b'x'; (1 << 14) + rng.usize(1..200)], DATA, 0)],
        36 => vec![Act::Record(vec![b'x'; 1 << 14], DATA, rng.usize(1..200))],
        37 | 38 => vec![Act::Spoilt(text, rng.usize(..))],
        _ => vec![Act::Plain(
            [
                &[20, 3, 3, 0, 1, 1][..],
                &[ALERT, 3, 3, 0, 2, 2, 80],
                &[HANDSHAKE, 3, 3, 0, 1, 4],
                &[DATA, 3, 3, 0, 1, 0],
            ][rng.usize(..4)]
            .to_vec(),
        )],
    }
}

/// What a client makes of it, record by record, or in other pieces when there is something to draw them from.
fn heard(hand: &mut Hand, acts: &[Act], pieces: Option<fastrand::Rng>) -> Vec<Seen> {
    let records = acts.iter().map(|act| act.bytes(&mut hand.out)).collect::<Vec<_>>();
    let parts = match pieces {
        None => records,
        Some(mut rng) => {
            let (bytes, mut parts) = (records.concat(), Vec::new());
            let mut rest = &bytes[..];
            while !rest.is_empty() {
                let (part, after) = rest.split_at([1, 7, 300, 5_000, 100_000][rng.usize(..5)].min(rest.len()));
                parts.push(part.to_vec());
                rest = after;
            }
            parts
        }
    };
    let mut seen = Vec::new();
    for part in parts {
        // Whoever was refused has hung up.
        let _ = hand.pipe.write_all(&part);
        seen.extend(hand.seen());
    }
    hand.pipe.cut(Cut::Ended);
    seen.extend(hand.seen());
    seen
}

#[test]
fn ours_hears_what_rustls_hears() {
    let certificate = certificate("localhost", &[&TLS13]);
    let ours = believes(&certificate.pem);
    let mut theirs = (*ours).clone();
    theirs.enable_secret_extraction = false;
    let theirs = Arc::new(theirs);
    let (mut broken, mut whole) = (0, 0);
    for seed in 0..SEEDS {
        let mut rng = fastrand::Rng::with_seed(seed);
        let acts: Vec<Act> = (0..rng.usize(1..9)).flat_map(|number| act(&mut rng, number)).collect();
        let hear = |config: &Arc<_>, pieces| heard(&mut Hand::to(&certificate, Arc::clone(config)), &acts, pieces);
        let expected = hear(&theirs, None);
        assert_eq!(hear(&ours, None), expected, "seed {seed}, record by record: {acts:?}");
        for config in [&ours, &theirs] {
            assert_eq!(hear(config, Some(rng.clone())), expected, "seed {seed}, in pieces: {acts:?}");
        }
        *(if expected.last() == Some(&Seen::Down(Down::Ended)) { &mut whole } else { &mut broken }) += 1;
    }
    assert!(broken > 50 && whole > 50, "both are tried: {broken} {whole}");
}

const SEEDS: u64 = 300;
