//! RFC 6455 for clients, without sockets: [`decode`] turns received bytes into messages in place, [`encode`] queues
//! masked frames, [`mask`] keeps the keys ready.
//!
//! Never negotiates extensions, never sends fragments, never copies a message except to join its fragments. Never
//! panics on hostile bytes: every rule that a peer can break is a [`crate::down::Violation`].

pub mod decode;
pub mod encode;
pub mod mask;

use crate::down::Violation;

/// What a frame is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Opcode {
    /// More of the message that was begun.
    Continuation,
    /// Text: UTF-8.
    Text,
    /// Bytes.
    Binary,
    /// The sender is done.
    Close,
    /// Answer with a pong.
    Ping,
    /// The answer to a ping.
    Pong,
}

impl Opcode {
    /// The four bits of the header.
    pub const fn bits(self) -> u8 {
        match self {
            Opcode::Continuation => 0x0,
            Opcode::Text => 0x1,
            Opcode::Binary => 0x2,
            Opcode::Close => 0x8,
            Opcode::Ping => 0x9,
            Opcode::Pong => 0xA,
        }
    }

    const fn from_bits(bits: u8) -> Option<Opcode> {
        Some(match bits {
            0x0 => Opcode::Continuation,
            0x1 => Opcode::Text,
            0x2 => Opcode::Binary,
            0x8 => Opcode::Close,
            0x9 => Opcode::Ping,
            0xA => Opcode::Pong,
            _ => return None,
        })
    }

    const fn is_control(self) -> bool {
        self.bits() >= 0x8
    }
}

/// The head of a frame from a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Header {
    last: bool,
    opcode: Opcode,
    header_len: usize,
    payload_len: usize,
}

/// Reads the head of a frame; `None` when more bytes are needed. A rule is judged as soon as its byte is there.
fn header(bytes: &[u8], payload_len_max: usize) -> Result<Option<Header>, Violation> {
    let &[first, second, ref rest @ ..] = bytes else {
        return match bytes {
            [first] => first_byte(*first).map(|_| None),
            _ => Ok(None),
        };
    };
    let (last, opcode) = first_byte(first)?;
    if second & MASK_BIT != 0 {
        return Err(Violation::Masked);
    }
    let short = second & !MASK_BIT;
    if opcode.is_control() && short > CONTROL_LEN_MAX as u8 {
        return Err(Violation::LongControl);
    }
    let (header_len, payload_len) = match short {
        LEN_IS_U16 => match rest.first_chunk::<2>() {
            None => return Ok(None),
            Some(len) => (4, u64::from(u16::from_be_bytes(*len))),
        },
        LEN_IS_U64 => match rest.first_chunk::<8>() {
            None => return Ok(None),
            Some(len) => (10, u64::from_be_bytes(*len)),
        },
        short => (2, u64::from(short)),
    };
    let least = match short {
        LEN_IS_U16 => CONTROL_LEN_MAX as u64 + 1,
        LEN_IS_U64 => u64::from(u16::MAX) + 1,
        _ => 0,
    };
    if payload_len < least || payload_len > i64::MAX as u64 {
        return Err(Violation::Length);
    }
    match usize::try_from(payload_len) {
        // A control frame is not part of the message around it and is judged by its own limit above.
        Ok(payload_len) if payload_len <= payload_len_max || opcode.is_control() => {
            Ok(Some(Header { last, opcode, header_len, payload_len }))
        }
        Ok(_) | Err(_) => Err(Violation::TooLong),
    }
}

fn first_byte(first: u8) -> Result<(bool, Opcode), Violation> {
    if first & RESERVED_BITS != 0 {
        return Err(Violation::ReservedBits);
    }
    let opcode = Opcode::from_bits(first & OPCODE_BITS).ok_or(Violation::Opcode)?;
    let last = first & LAST_BIT != 0;
    if opcode.is_control() && !last {
        return Err(Violation::FragmentedControl);
    }
    Ok((last, opcode))
}

/// May a peer send this close code? (RFC 6455 §7.4 and the registry: 1004–1006 and 1015 never travel.)
const fn close_code_may_travel(code: u16) -> bool {
    matches!(code, 1000..=1003 | 1007..=1014 | 3000..=4999)
}

/// Longest payload of a control frame.
pub const CONTROL_LEN_MAX: usize = 125;
/// Close code: done.
pub const CLOSE_NORMAL: u16 = 1000;
/// Close code that stands for "none was given"; never travels.
pub const CLOSE_NONE: u16 = 1005;
const LAST_BIT: u8 = 0x80;
const RESERVED_BITS: u8 = 0x70;
const OPCODE_BITS: u8 = 0x0F;
const MASK_BIT: u8 = 0x80;
const LEN_IS_U16: u8 = 126;
const LEN_IS_U64: u8 = 127;
/// Longest head of a frame from a server.
const HEADER_LEN_MAX: usize = 10;
