//! What a TLS 1.3 server may still say of the handshake after it (RFC 8446 §4.6): tickets, which are skipped.
//!
//! A ticket may share a record with others or be spread over several. Everything else ends the connection.

use super::records::{CLOSE_NOTIFY, DECODE_ERROR, Over, UNEXPECTED_MESSAGE};
use crate::down::{Down, TlsFault};

/// Skips tickets.
#[derive(Debug, Default)]
pub(super) struct Tickets {
    head: [u8; HEAD_LEN],
    /// Bytes of a head that have come.
    head_len: usize,
    /// Bytes of a body that have not come.
    body_left: usize,
    /// Tickets so far.
    count: u32,
}

impl Tickets {
    /// Is no ticket unfinished? Nothing else may come in between (§5.1).
    pub(super) fn is_between(&self) -> bool {
        self.head_len == 0 && self.body_left == 0
    }

    /// Takes the content of a handshake record.
    pub(super) fn skip(&mut self, mut content: &[u8]) -> Result<(), Over> {
        if content.is_empty() {
            return Err(Over::refusal(UNEXPECTED_MESSAGE));
        }
        // Ends: every round takes a byte at least.
        while let [first, rest @ ..] = content {
            if self.body_left > 0 {
                let len = self.body_left.min(content.len());
                self.body_left -= len;
                content = &content[len..];
                continue;
            }
            self.head[self.head_len] = *first;
            self.head_len += 1;
            content = rest;
            match self.head {
                [NEW_SESSION_TICKET, ..] if self.head_len < HEAD_LEN => {}
                [NEW_SESSION_TICKET, high, middle, low] => {
                    self.begin(usize::from(high) << 16 | usize::from(middle) << 8 | usize::from(low))?;
                }
                [KEY_UPDATE, ..] => return Err(Over { alert: CLOSE_NOTIFY, reason: Down::Tls(TlsFault::KeyUpdate) }),
                _ => return Err(Over::refusal(UNEXPECTED_MESSAGE)),
            }
        }
        Ok(())
    }

    fn begin(&mut self, body_len: usize) -> Result<(), Over> {
        self.head_len = 0;
        self.body_left = body_len;
        self.count += 1;
        if body_len > TICKET_LEN_MAX || self.count > TICKETS_MAX { Err(Over::refusal(DECODE_ERROR)) } else { Ok(()) }
    }
}

/// Type and length of a handshake message (§4).
const HEAD_LEN: usize = 4;
/// Types of handshake messages (§4).
const NEW_SESSION_TICKET: u8 = 4;
const KEY_UPDATE: u8 = 24;
/// Longest ticket: its parts are at most 2 × 2^16 bytes and some (§4.6.1).
const TICKET_LEN_MAX: usize = 132 * 1024;
/// Most tickets in the life of a connection; usual are one or two.
const TICKETS_MAX: u32 = 1_024;
