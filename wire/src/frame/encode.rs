//! The outgoing half: whole masked frames in one bounded buffer, waiting to be written.
//!
//! A frame is queued entirely or not at all, exactly once. Text has a limit; control frames have a little room beyond
//! it, so that a full buffer does not make us miss a ping. Allocates once, at the start.

use super::mask::{self, KEY_LEN, MaskPool};
use super::{CONTROL_LEN_MAX, Opcode};

/// Frames that wait to be written.
pub struct Outbox {
    buffer: Vec<u8>,
    /// Bytes at the front that were handed on already.
    written: usize,
    len_max: usize,
    pool: MaskPool,
    /// The latest ping that could not be answered yet; only the latest matters (RFC 6455 §5.5.3).
    unanswered: Option<Ping>,
}

/// Nothing was queued: no room, or no randomness for the mask.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NoRoom;

struct Ping {
    bytes: [u8; CONTROL_LEN_MAX],
    len: usize,
}

impl Outbox {
    /// Room for `len_max` bytes of text frames, heads included.
    pub fn new(len_max: usize) -> Outbox {
        let buffer = Vec::with_capacity(len_max + CONTROL_ROOM);
        Outbox { buffer, written: 0, len_max, pool: MaskPool::new(), unanswered: None }
    }

    /// The mask keys.
    pub fn pool_mut(&mut self) -> &mut MaskPool {
        &mut self.pool
    }

    /// Queues a text frame.
    ///
    /// # Errors
    /// When there is no room: nothing was queued.
    pub fn text(&mut self, payload: &[u8]) -> Result<(), NoRoom> {
        self.queue(Opcode::Text, payload, self.len_max)
    }

    /// Queues a ping.
    ///
    /// # Errors
    /// When there is no room: nothing was queued.
    pub fn ping(&mut self, payload: &[u8]) -> Result<(), NoRoom> {
        self.queue(Opcode::Ping, payload, self.len_max + CONTROL_ROOM)
    }

    /// Queues the answer to a ping, now or, when there is no room, as soon as there is: the latest ping wins.
    pub fn pong(&mut self, payload: &[u8]) {
        assert!(payload.len() <= CONTROL_LEN_MAX, "the decoder lets no longer ping through");
        self.unanswered = None;
        if self.queue(Opcode::Pong, payload, self.len_max + CONTROL_ROOM).is_err() {
            let mut ping = Ping { bytes: [0; CONTROL_LEN_MAX], len: payload.len() };
            ping.bytes[..payload.len()].copy_from_slice(payload);
            self.unanswered = Some(ping);
        }
    }

    /// Queues a close frame.
    ///
    /// # Errors
    /// When there is no room: nothing was queued.
    pub fn close(&mut self, code: u16) -> Result<(), NoRoom> {
        self.queue(Opcode::Close, &code.to_be_bytes(), self.len_max + CONTROL_ROOM)
    }

    /// Queues bytes as they are: the HTTP request before the first frame.
    pub fn raw(&mut self, bytes: &[u8]) {
        self.buffer.extend_from_slice(bytes);
    }

    /// What waits to be written.
    pub fn pending(&self) -> &[u8] {
        &self.buffer[self.written..]
    }

    /// Does nothing wait?
    pub fn is_empty(&self) -> bool {
        self.written == self.buffer.len()
    }

    /// The first `len` bytes of [`Outbox::pending`] were handed on.
    pub fn wrote(&mut self, len: usize) {
        self.written += len;
        assert!(self.written <= self.buffer.len(), "more was written than there was");
        if self.is_empty() {
            self.buffer.clear();
            self.written = 0;
        }
        if let Some(ping) = self.unanswered.take() {
            self.pong(&ping.bytes[..ping.len]);
        }
    }

    /// Forgets everything that waits.
    pub fn clear(&mut self) {
        self.buffer.clear();
        self.written = 0;
        self.unanswered = None;
    }

    fn queue(&mut self, opcode: Opcode, payload: &[u8], len_max: usize) -> Result<(), NoRoom> {
        let waiting = self.buffer.len() - self.written;
        if payload.len() > len_max || waiting + frame_len(payload.len()) > len_max {
            return Err(NoRoom);
        }
        let key = self.pool.take().map_err(|_| NoRoom)?;
        if self.written > 0 && self.buffer.len() + frame_len(payload.len()) > self.buffer.capacity() {
            self.buffer.drain(..self.written);
            self.written = 0;
        }
        frame(&mut self.buffer, opcode, payload, key);
        Ok(())
    }
}

/// Appends one whole, final, masked frame.
pub fn frame(into: &mut Vec<u8>, opcode: Opcode, payload: &[u8], key: [u8; KEY_LEN]) {
    let before = into.len();
    let mut head = [0; HEAD_LEN_MAX];
    head[0] = super::LAST_BIT | opcode.bits();
    let key_at = match payload.len() {
        len @ 0..=CONTROL_LEN_MAX => {
            head[1] = super::MASK_BIT | len as u8;
            2
        }
        len => match u16::try_from(len) {
            Ok(len) => {
                head[1] = super::MASK_BIT | super::LEN_IS_U16;
                head[2..4].copy_from_slice(&len.to_be_bytes());
                4
            }
            Err(_) => {
                head[1] = super::MASK_BIT | super::LEN_IS_U64;
                head[2..10].copy_from_slice(&(len as u64).to_be_bytes());
                10
            }
        },
    };
    head[key_at..key_at + KEY_LEN].copy_from_slice(&key);
    into.extend_from_slice(&head[..key_at + KEY_LEN]);
    let payload_at = into.len();
    into.extend_from_slice(payload);
    mask::apply(&mut into[payload_at..], key);
    assert_eq!(into.len() - before, frame_len(payload.len()), "a frame is as long as was reckoned");
}

/// Length of a masked frame around so much payload.
const fn frame_len(payload_len: usize) -> usize {
    let length = match payload_len {
        0..=CONTROL_LEN_MAX => 0,
        126..=65_535 => 2,
        _ => 8,
    };
    2 + length + KEY_LEN + payload_len
}

/// Longest head of a frame from a client.
const HEAD_LEN_MAX: usize = super::HEADER_LEN_MAX + KEY_LEN;
/// Room beyond the limit of text: a ping, a pong, a close, each at most 131 bytes, with some to spare.
const CONTROL_ROOM: usize = 512;
