//! Somebody between us and the exchange, who reads every text frame and hands on what he likes.
//!
//! Handshakes and control frames pass as they are. Both sides write whole frames, so there are no fragments to join.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr};

use optiflow_wire::transport::Dialer;
use optiflow_wire::transport::memory::{MemoryDialer, MemoryStream, Pipe};

/// Where a frame goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    Exchange,
    Us,
    /// A few milliseconds later: everything else overtakes it.
    UsLater,
}

/// What is handed on for a frame, and where.
pub type Tamper = Box<dyn FnMut(Way, &str) -> Vec<(Way, String)>>;

/// The middle of every connection.
pub struct Middle {
    outer: MemoryDialer,
    inner: MemoryDialer,
    lines: Vec<Line>,
    tamper: Tamper,
}

struct Line {
    ours: Pipe,
    theirs: MemoryStream,
    to_exchange: Half,
    to_us: Half,
    /// Steps so far, and what leaves after so many.
    steps: u64,
    late: Vec<(u64, Vec<u8>)>,
}

/// Bytes of one direction that are no whole frame yet.
#[derive(Default)]
struct Half {
    bytes: Vec<u8>,
    greeted: bool,
}

enum Piece {
    /// To be handed on as it is.
    Raw(Vec<u8>),
    Text(String),
}

impl Middle {
    /// Takes what `outer` dials on to `inner`.
    pub fn new(outer: MemoryDialer, inner: MemoryDialer, tamper: Tamper) -> Middle {
        Middle { outer, inner, lines: Vec::new(), tamper }
    }

    /// Hands everything on that has come.
    pub fn step(&mut self) {
        while let Some((_, ours)) = self.outer.accept() {
            let theirs = self.inner.dial(SocketAddr::from((Ipv4Addr::LOCALHOST, 80))).unwrap();
            let (to_exchange, to_us) = (Half::default(), Half::default());
            self.lines.push(Line { ours, theirs, to_exchange, to_us, steps: 0, late: Vec::new() });
        }
        let Middle { lines, tamper, .. } = self;
        lines.retain_mut(|line| line.step(tamper));
    }
}

impl Line {
    /// False when either end is gone.
    fn step(&mut self, tamper: &mut Tamper) -> bool {
        let alive = fill(&mut self.ours, &mut self.to_exchange.bytes) & fill(&mut self.theirs, &mut self.to_us.bytes);
        self.steps += 1;
        let due: Vec<_> = self.late.extract_if(.., |(at, _)| *at <= self.steps).collect();
        due.iter().for_each(|(_, bytes)| self.write(Way::Us, bytes));
        for way in [Way::Exchange, Way::Us] {
            loop {
                let half = if way == Way::Exchange { &mut self.to_exchange } else { &mut self.to_us };
                match half.next() {
                    None => break,
                    Some(Piece::Raw(bytes)) => self.write(way, &bytes),
                    Some(Piece::Text(text)) => {
                        for (way, text) in tamper(way, &text) {
                            self.write(way, &frame(&text, way));
                        }
                    }
                }
            }
        }
        alive
    }

    /// What the other end no longer takes is lost with it.
    fn write(&mut self, way: Way, bytes: &[u8]) {
        let _ = match way {
            Way::Exchange => self.theirs.write_all(bytes),
            Way::Us => self.ours.write_all(bytes),
            Way::UsLater => {
                self.late.push((self.steps + LATER, bytes.to_owned()));
                Ok(())
            }
        };
    }
}

impl Half {
    fn next(&mut self) -> Option<Piece> {
        if !self.greeted {
            let end = self.bytes.windows(4).position(|four| four == b"\r\n\r\n")? + 4;
            self.greeted = true;
            return Some(Piece::Raw(self.bytes.drain(..end).collect()));
        }
        let (kind, short) = (*self.bytes.first()? & 0x0f, *self.bytes.get(1)?);
        let (len, len_end) = match short & 0x7f {
            126 => (u16::from_be_bytes(self.bytes.get(2..4)?.try_into().ok()?) as usize, 4),
            127 => (u64::from_be_bytes(self.bytes.get(2..10)?.try_into().ok()?) as usize, 10),
            short => (usize::from(short), 2),
        };
        let head = len_end + if short & 0x80 == 0 { 0 } else { 4 };
        if self.bytes.len() < head + len {
            return None;
        }
        let whole: Vec<u8> = self.bytes.drain(..head + len).collect();
        if kind != TEXT {
            return Some(Piece::Raw(whole));
        }
        let mask = &whole[len_end..head];
        let clear = whole[head..].iter().enumerate().map(|(at, byte)| byte ^ mask.get(at % 4).unwrap_or(&0));
        Some(Piece::Text(String::from_utf8(clear.collect()).unwrap()))
    }
}

/// Reads what is there; false at the end.
fn fill(from: &mut impl Read, into: &mut Vec<u8>) -> bool {
    let mut buffer = [0; 4_096];
    loop {
        match from.read(&mut buffer) {
            Ok(0) => return false,
            Ok(len) => into.extend_from_slice(&buffer[..len]),
            Err(error) => return error.kind() == std::io::ErrorKind::WouldBlock,
        }
    }
}

/// A text frame; the one to the exchange is masked with zeros.
fn frame(text: &str, way: Way) -> Vec<u8> {
    let mask = if way == Way::Exchange { 0x80 } else { 0 };
    let mut bytes = vec![0x80 | TEXT];
    match u16::try_from(text.len()) {
        Ok(len) if len < 126 => bytes.push(mask | len as u8),
        Ok(len) => {
            bytes.push(mask | 126);
            bytes.extend_from_slice(&len.to_be_bytes());
        }
        Err(_) => {
            bytes.push(mask | 127);
            bytes.extend_from_slice(&(text.len() as u64).to_be_bytes());
        }
    }
    if mask != 0 {
        bytes.extend_from_slice(&[0; 4]);
    }
    bytes.extend_from_slice(text.as_bytes());
    bytes
}

/// So many steps later.
const LATER: u64 = 5;
/// The kind of a frame that holds text.
const TEXT: u8 = 1;
