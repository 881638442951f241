//! The incoming half: one reused buffer that bytes are received into and messages are decoded in, in place.
//!
//! A message is handed out as a range of the buffer and stays valid until bytes are received again. Behind every
//! message lie at least [`SLACK_LEN`] more bytes of the buffer. Fragments are joined by moving them together inside the
//! buffer. Allocates once, at the start; a peer cannot make it grow.

use std::ops::Range;

use super::{CLOSE_NONE, CONTROL_LEN_MAX, HEADER_LEN_MAX, Header, Opcode, close_code_may_travel, header};
use crate::down::Violation;

/// Received bytes, decoded in place.
pub struct Inbox {
    /// `capacity` bytes to receive into, and slack behind them.
    buffer: Vec<u8>,
    capacity: usize,
    message_len_max: usize,
    /// First byte not decoded yet.
    start: usize,
    /// First byte not received yet.
    end: usize,
    /// Where the frame ends whose header has been read and whose rest has not arrived; 0 when there is none.
    awaited: usize,
    partial: Option<Partial>,
}

/// What came in. Ranges are positions in the buffer: see [`Inbox::bytes`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Incoming {
    /// A whole message, text or binary; text is UTF-8.
    Message(Range<usize>),
    /// A ping, to be echoed.
    Ping(Range<usize>),
    /// A pong.
    Pong(Range<usize>),
    /// The peer closes; 1005 when it gave no code.
    Close(u16),
}

/// A message of which some fragments have arrived, joined at `range`.
struct Partial {
    range: Range<usize>,
    text: bool,
    fragments: u32,
}

impl Inbox {
    /// For messages of at most `message_len_max` bytes.
    pub fn new(message_len_max: usize) -> Inbox {
        let capacity = message_len_max + HEADER_LEN_MAX + CONTROL_LEN_MAX + READ_ROOM;
        let buffer = vec![0; capacity + SLACK_LEN];
        Inbox { buffer, capacity, message_len_max, start: 0, end: 0, awaited: 0, partial: None }
    }

    /// Room to receive into; never empty. Ranges handed out before become invalid.
    #[inline]
    pub fn room(&mut self) -> &mut [u8] {
        let kept = self.partial.as_ref().map_or(0, |partial| partial.range.len());
        if self.start == self.end && kept == 0 {
            if let Some(partial) = &mut self.partial {
                partial.range = 0..0;
            }
            self.start = 0;
            self.end = 0;
        } else if self.capacity - self.end < READ_ROOM && self.start > kept {
            self.compact(kept);
        }
        assert!(self.end < self.capacity, "an unfinished message leaves room for its rest");
        &mut self.buffer[self.end..self.capacity]
    }

    /// So many bytes were put into [`Inbox::room`].
    pub fn received(&mut self, len: usize) {
        self.end += len;
        assert!(self.end <= self.capacity, "more was received than there was room for");
    }

    /// Decodes the next message or control frame; `None` when more bytes are needed.
    ///
    /// # Errors
    /// When the peer broke a rule: the connection must end.
    #[inline]
    pub fn decode(&mut self) -> Result<Option<Incoming>, Violation> {
        // What arrives in many pieces is not looked at with each of them.
        if self.end < self.awaited || self.end == self.start { Ok(None) } else { self.decode_next() }
    }

    fn decode_next(&mut self) -> Result<Option<Incoming>, Violation> {
        self.awaited = 0;
        // Ends: every round consumes a frame, and fragments of one message are counted.
        loop {
            let joined = self.partial.as_ref().map_or(0, |partial| partial.range.len());
            let Some(head) = header(&self.buffer[self.start..self.end], self.message_len_max - joined)? else {
                return Ok(None);
            };
            let from = self.start + head.header_len;
            let payload = from..from + head.payload_len;
            let incoming = match head.opcode {
                Opcode::Text | Opcode::Binary if self.partial.is_some() => return Err(Violation::Interleaved),
                Opcode::Continuation if self.partial.is_none() => return Err(Violation::Continuation),
                _ if payload.end > self.end => {
                    self.awaited = payload.end;
                    return Ok(None);
                }
                Opcode::Ping => Some(Incoming::Ping(payload.clone())),
                Opcode::Pong => Some(Incoming::Pong(payload.clone())),
                Opcode::Close => Some(Incoming::Close(close_code(&self.buffer[payload.clone()])?)),
                Opcode::Text | Opcode::Binary | Opcode::Continuation => self.data(head, payload.clone())?,
            };
            self.start = payload.end;
            if incoming.is_some() {
                return Ok(incoming);
            }
        }
    }

    /// The bytes of a range.
    pub fn bytes(&self, range: Range<usize>) -> &[u8] {
        &self.buffer[range]
    }

    /// The bytes of a range, to be parsed in place.
    pub fn bytes_mut(&mut self, range: Range<usize>) -> &mut [u8] {
        assert!(range.end + SLACK_LEN <= self.buffer.len(), "behind every message lies slack");
        &mut self.buffer[range]
    }

    /// Received and not decoded: the answer to the upgrade, and what follows it.
    pub fn undecoded(&self) -> &[u8] {
        &self.buffer[self.start..self.end]
    }

    /// The first `len` undecoded bytes were no frames and are done with.
    pub fn skip(&mut self, len: usize) {
        self.start += len;
        assert!(self.start <= self.end, "more was skipped than there was");
    }

    /// Forgets everything.
    pub fn clear(&mut self) {
        self.start = 0;
        self.end = 0;
        self.awaited = 0;
        self.partial = None;
    }

    fn data(&mut self, head: Header, payload: Range<usize>) -> Result<Option<Incoming>, Violation> {
        let (text, range) = match self.partial.take() {
            None => {
                let text = head.opcode == Opcode::Text;
                if !head.last {
                    self.partial = Some(Partial { range: payload, text, fragments: 1 });
                    return Ok(None);
                }
                (text, payload)
            }
            Some(Partial { mut range, text, fragments }) => {
                assert!(range.end <= payload.start, "fragments move to the front");
                range.end += payload.len();
                self.buffer.copy_within(payload, range.end - head.payload_len);
                if !head.last {
                    if fragments == FRAGMENTS_MAX {
                        return Err(Violation::Fragments);
                    }
                    self.partial = Some(Partial { range, text, fragments: fragments + 1 });
                    return Ok(None);
                }
                (text, range)
            }
        };
        // Checked at the end and not as bytes arrive: 30 ns for a kilobyte of JSON.
        if text && std::str::from_utf8(&self.buffer[range.clone()]).is_err() {
            return Err(Violation::Utf8);
        }
        Ok(Some(Incoming::Message(range)))
    }

    /// Moves what is still needed to the front.
    fn compact(&mut self, kept: usize) {
        assert!(self.start > kept, "there is something to gain");
        if let Some(partial) = &mut self.partial {
            self.buffer.copy_within(partial.range.clone(), 0);
            partial.range = 0..kept;
        }
        self.buffer.copy_within(self.start..self.end, kept);
        self.end = kept + (self.end - self.start);
        self.awaited = self.awaited.saturating_sub(self.start - kept);
        self.start = kept;
    }
}

fn close_code(payload: &[u8]) -> Result<u16, Violation> {
    match payload {
        [] => Ok(CLOSE_NONE),
        [_] => Err(Violation::CloseCode),
        [high, low, reason @ ..] => {
            let code = u16::from_be_bytes([*high, *low]);
            if !close_code_may_travel(code) {
                return Err(Violation::CloseCode);
            }
            if std::str::from_utf8(reason).is_err() { Err(Violation::Utf8) } else { Ok(code) }
        }
    }
}

/// Bytes of the buffer behind every message, so that a scanner may look a little too far.
pub const SLACK_LEN: usize = 64;
/// What a read should have room for: four TLS records.
const READ_ROOM: usize = 64 * 1024;
/// Most fragments of one message.
const FRAGMENTS_MAX: u32 = 4_096;
