//! TLS 1.3 records after the handshake, sealed and opened by ourselves (RFC 8446 §5): in place, without allocating.
//!
//! Begins where rustls ended, with its traffic keys, and knows AES-GCM only. Never hands out a byte that was not proven
//! authentic. Tickets are skipped: a later connection shakes hands in full. A change of the peer's keys is not followed,
//! for only rustls had what it takes: the connection ends and is dialled again. Peers hardly ever do that.

use std::io::{Read, Write};

use rustls::{ConnectionTrafficSecrets, ExtractedSecrets};

use super::key::Key;
use super::{Got, got, is_transient};
use crate::channel::tickets::Tickets;
use crate::down::{Down, TlsFault};

/// A stream and the records on it.
pub(crate) struct Records<S> {
    stream: S,
    opener: Opener,
    sealer: Key,
    /// Sealed and not written in full; what lies before `written` is done with.
    sealed: Vec<u8>,
    written: usize,
    /// A record that has arrived in part.
    partial: Box<[u8]>,
    partial_len: usize,
    /// Why nothing more will be read.
    over: Option<Down>,
    /// The peer was told that we are done.
    is_farewelled: bool,
}

/// What opens records, and the rules between them.
struct Opener {
    key: Key,
    tickets: Tickets,
    /// Records in a row that held nothing.
    empty_run: u32,
}

/// Why a record ends the connection: the alert that tells the peer, and the reason.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Over {
    pub(super) alert: u8,
    pub(super) reason: Down,
}

impl<S: Read + Write> Records<S> {
    /// Carries on with the keys and record numbers at which the handshake ended.
    pub(super) fn new(stream: S, secrets: &ExtractedSecrets) -> Result<Records<S>, Down> {
        let key = |(sequence, secrets): &(u64, ConnectionTrafficSecrets)| {
            Key::new(*sequence, secrets).ok_or(Down::Tls(TlsFault::Incompatible))
        };
        Ok(Records {
            stream,
            opener: Opener { key: key(&secrets.rx)?, tickets: Tickets::default(), empty_run: 0 },
            sealer: key(&secrets.tx)?,
            sealed: Vec::with_capacity(RECORD_LEN_MAX + ALERT_RECORD_LEN),
            written: 0,
            partial: vec![0; RECORD_LEN_MAX].into_boxed_slice(),
            partial_len: 0,
            over: None,
            is_farewelled: false,
        })
    }

    /// Reads records into `into` and opens them there; what is left in front is plain.
    #[inline]
    pub(super) fn read(&mut self, into: &mut [u8]) -> Result<Got, Down> {
        assert!(into.len() >= RECORD_LEN_MAX, "there is room for a record");
        if let Some(reason) = self.over {
            return Err(reason);
        }
        if self.partial_len > 0 {
            return self.complete(into);
        }
        let room = into.len().min(READ_LEN_MAX);
        let len = match got(self.stream.read(&mut into[..room]))? {
            Got::Bytes(len) => len,
            nothing @ (Got::Progress | Got::Nothing | Got::End) => return Ok(nothing),
        };
        let (mut at, mut plain) = (0, 0);
        // Ends: every round takes a record or is the last.
        while at < len && self.over.is_none() {
            let opened = match record_len(&into[at..len]) {
                Ok(Some(record_len)) if record_len <= len - at => {
                    let record_at = at - plain;
                    at += record_len;
                    self.opener.open(&mut into[plain..at], record_at)
                }
                Ok(_) => {
                    self.partial_len = len - at;
                    self.partial[..self.partial_len].copy_from_slice(&into[at..len]);
                    break;
                }
                Err(over) => Err(over),
            };
            plain += self.judged(opened);
        }
        self.outcome(plain)
    }

    /// Reads on in the record that has arrived in part, and no further.
    fn complete(&mut self, into: &mut [u8]) -> Result<Got, Down> {
        let whole_len = match record_len(&self.partial[..self.partial_len]) {
            Ok(len) => len,
            Err(over) => {
                self.judged(Err(over));
                return self.outcome(0);
            }
        };
        let wanted = whole_len.unwrap_or(HEADER_LEN);
        match got(self.stream.read(&mut self.partial[self.partial_len..wanted]))? {
            Got::Bytes(len) => self.partial_len += len,
            nothing @ (Got::Progress | Got::Nothing | Got::End) => return Ok(nothing),
        }
        if whole_len != Some(self.partial_len) {
            return Ok(Got::Progress);
        }
        self.partial_len = 0;
        let opened = self.opener.open(&mut self.partial[..wanted], 0);
        let plain = self.judged(opened);
        into[..plain].copy_from_slice(&self.partial[..plain]);
        self.outcome(plain)
    }

    /// How much a record held; remembers, and tells the peer, when it ends the connection.
    fn judged(&mut self, opened: Result<usize, Over>) -> usize {
        match opened {
            Ok(len) => len,
            Err(over) => {
                self.over = Some(over.reason);
                self.alert(over.alert);
                0
            }
        }
    }

    /// What came before the end is handed out before the end is told.
    fn outcome(&self, plain: usize) -> Result<Got, Down> {
        match self.over {
            _ if plain > 0 => Ok(Got::Bytes(plain)),
            Some(reason) => Err(reason),
            None => Ok(Got::Progress),
        }
    }

    /// Seals a record and writes what can be written: how many bytes it took; 0 while an earlier one is not out.
    #[inline]
    pub(super) fn write(&mut self, bytes: &[u8]) -> Result<usize, Down> {
        if let Some(reason) = self.over {
            return Err(reason);
        }
        self.flush()?;
        if !self.sealed.is_empty() {
            return Ok(0);
        }
        let len = bytes.len().min(PLAIN_LEN_MAX);
        self.seal(APPLICATION_DATA, &bytes[..len])?;
        self.flush()?;
        Ok(len)
    }

    /// Writes what is sealed.
    #[inline]
    pub(super) fn flush(&mut self) -> Result<(), Down> {
        // Ends: every round writes something or returns.
        while self.written < self.sealed.len() {
            match self.stream.write(&self.sealed[self.written..]) {
                Ok(0) => return Ok(()),
                Ok(len) => self.written += len,
                Err(error) if is_transient(&error) => return Ok(()),
                Err(error) => return Err(Down::Write(error.kind())),
            }
        }
        self.sealed.clear();
        self.written = 0;
        Ok(())
    }

    /// Tells the peer that nothing more follows.
    pub(super) fn farewell(&mut self) {
        self.alert(CLOSE_NOTIFY);
    }

    /// Has the key sealed so much that it should be replaced?
    pub(super) fn is_worn(&self) -> bool {
        self.sealer.sequence() >= RECORDS_SEALED_WORN
    }

    /// Says goodbye, once.
    fn alert(&mut self, description: u8) {
        if std::mem::replace(&mut self.is_farewelled, true) {
            return;
        }
        let level = if description == CLOSE_NOTIFY { LEVEL_WARNING } else { LEVEL_FATAL };
        // Nobody is left to tell when this fails.
        let _ = self.seal(ALERT, &[level, description]).and_then(|()| self.flush());
    }

    fn seal(&mut self, content_type: u8, plain: &[u8]) -> Result<(), Down> {
        let begin = self.sealed.len();
        // Padded to whole blocks (§5.4): a block in part costs a quarter of the time.
        let inner_len = (plain.len() + 1).next_multiple_of(BLOCK_LEN).min(PLAIN_LEN_MAX + 1);
        assert!(begin + HEADER_LEN + inner_len + TAG_LEN <= self.sealed.capacity(), "a record has room");
        let [high, low] = ((inner_len + TAG_LEN) as u16).to_be_bytes();
        let header = [APPLICATION_DATA, LEGACY_VERSION[0], LEGACY_VERSION[1], high, low];
        self.sealed.extend_from_slice(&header);
        self.sealed.extend_from_slice(plain);
        self.sealed.push(content_type);
        self.sealed.resize(begin + HEADER_LEN + inner_len, 0);
        assert!(self.sealer.sequence() < RECORDS_SEALED_MAX, "a worn key is replaced long before");
        let tag =
            self.sealer.seal(header, &mut self.sealed[begin + HEADER_LEN..]).ok_or(Down::Tls(TlsFault::Malformed))?;
        self.sealed.extend_from_slice(tag.as_ref());
        Ok(())
    }
}

impl Opener {
    /// Opens the whole record that begins at `record_at` and ends with `bytes`; its content moves to the front of
    /// `bytes`. Answers how much of it is for the application.
    #[inline]
    fn open(&mut self, bytes: &mut [u8], record_at: usize) -> Result<usize, Over> {
        let header = bytes[record_at..].first_chunk::<HEADER_LEN>().copied().unwrap_or_default();
        let sealed_at = record_at + HEADER_LEN;
        let inner = self.key.open(header, bytes, sealed_at).ok_or(Over::refusal(BAD_RECORD_MAC))?;
        if inner.len() > PLAIN_LEN_MAX + 1 {
            return Err(Over::refusal(RECORD_OVERFLOW));
        }
        // The type is the last byte that is not padding (§5.4).
        let Some(type_at) = inner.iter().rposition(|byte| *byte != 0) else {
            return Err(Over::refusal(UNEXPECTED_MESSAGE));
        };
        let content = &inner[..type_at];
        match inner[type_at] {
            APPLICATION_DATA if self.tickets.is_between() => {
                self.empty_run = if content.is_empty() { self.empty_run + 1 } else { 0 };
                if self.empty_run > EMPTY_RUN_MAX { Err(Over::refusal(UNEXPECTED_MESSAGE)) } else { Ok(type_at) }
            }
            HANDSHAKE => self.tickets.skip(content).map(|()| 0),
            ALERT => Err(alerted(content)),
            _ => Err(Over::refusal(UNEXPECTED_MESSAGE)),
        }
    }
}

impl Over {
    /// The peer broke a rule.
    pub(super) const fn refusal(alert: u8) -> Over {
        Over { alert, reason: Down::Tls(TlsFault::Malformed) }
    }
}

fn alerted(content: &[u8]) -> Over {
    match content {
        [_, CLOSE_NOTIFY] => Over { alert: CLOSE_NOTIFY, reason: Down::Ended },
        [_, description] => Over { alert: CLOSE_NOTIFY, reason: Down::Tls(TlsFault::Alert(*description)) },
        [] => Over::refusal(UNEXPECTED_MESSAGE),
        _ => Over::refusal(DECODE_ERROR),
    }
}

/// Length of the record, header included, that these bytes begin; `None` when not even its header is there.
fn record_len(bytes: &[u8]) -> Result<Option<usize>, Over> {
    let Some(&[content_type, _, _, high, low]) = bytes.first_chunk::<HEADER_LEN>() else { return Ok(None) };
    let sealed_len = usize::from(u16::from_be_bytes([high, low]));
    match content_type {
        APPLICATION_DATA if sealed_len > SEALED_LEN_MAX => Err(Over::refusal(RECORD_OVERFLOW)),
        APPLICATION_DATA if sealed_len > TAG_LEN => Ok(Some(HEADER_LEN + sealed_len)),
        APPLICATION_DATA => Err(Over::refusal(BAD_RECORD_MAC)),
        // Nothing travels unprotected any more.
        _ => Err(Over::refusal(UNEXPECTED_MESSAGE)),
    }
}

/// Type, version and length of a record (§5.1).
pub(super) const HEADER_LEN: usize = 5;
/// What stands in the header for TLS 1.3 (§5.1).
const LEGACY_VERSION: [u8; 2] = [3, 3];
/// Tag of AES-GCM (RFC 5116 §5.1).
const TAG_LEN: usize = 16;
/// Block of AES.
const BLOCK_LEN: usize = 16;
/// Most content of a record (§5.1).
const PLAIN_LEN_MAX: usize = 1 << 14;
/// Most sealed bytes of a record (§5.2).
const SEALED_LEN_MAX: usize = PLAIN_LEN_MAX + 256;
/// Longest record.
pub(super) const RECORD_LEN_MAX: usize = HEADER_LEN + SEALED_LEN_MAX;
/// Our alert as a record.
const ALERT_RECORD_LEN: usize = HEADER_LEN + BLOCK_LEN + TAG_LEN;
/// Most that is read at once.
const READ_LEN_MAX: usize = 64 * 1024;
/// Records that an AES-GCM key may seal: 2^24.5 of full length (§5.5).
const RECORDS_SEALED_MAX: u64 = 1 << 24;
/// From here on the connection is replaced as if it were too old.
const RECORDS_SEALED_WORN: u64 = RECORDS_SEALED_MAX / 2;
/// Records in a row that may hold nothing (§5.4 allows them, for hiding when one talks).
const EMPTY_RUN_MAX: u32 = 32;
/// Content types (§5.1).
const ALERT: u8 = 21;
const HANDSHAKE: u8 = 22;
const APPLICATION_DATA: u8 = 23;
/// Alerts (§6).
const LEVEL_WARNING: u8 = 1;
const LEVEL_FATAL: u8 = 2;
pub(super) const CLOSE_NOTIFY: u8 = 0;
pub(super) const UNEXPECTED_MESSAGE: u8 = 10;
const BAD_RECORD_MAC: u8 = 20;
const RECORD_OVERFLOW: u8 = 22;
pub(super) const DECODE_ERROR: u8 = 50;

#[cfg(test)]
pub(crate) mod tests {
    use rustls::crypto::cipher::{AeadKey, Iv};

    use super::*;
    use crate::transport::memory::{Pipe, PipeOptions, pipe};

    fn secrets(sequence: u64) -> ExtractedSecrets {
        let lane = || ConnectionTrafficSecrets::Aes256Gcm { key: AeadKey::from([7; 32]), iv: Iv::from([9; 12]) };
        ExtractedSecrets { tx: (sequence, lane()), rx: (0, lane()) }
    }

    /// Records whose key is due to be replaced.
    pub(crate) fn worn<S: Read + Write>(stream: S) -> Records<S> {
        Records::new(stream, &secrets(RECORDS_SEALED_WORN)).unwrap()
    }

    fn near(sequence: u64) -> (Records<Pipe>, Pipe) {
        let (near, far) = pipe(&PipeOptions::default());
        (Records::new(near, &secrets(sequence)).unwrap(), far)
    }

    #[test]
    fn a_key_is_worn_long_before_its_limit_and_still_seals() {
        let (mut records, far) = near(RECORDS_SEALED_WORN - 1);
        assert!(!records.is_worn());
        assert_eq!(records.write(b"x"), Ok(1));
        assert!(records.is_worn());
        assert_eq!(records.write(b"x"), Ok(1));
        assert_eq!(far.waiting(), 2 * (HEADER_LEN + BLOCK_LEN + TAG_LEN));
    }

    #[test]
    #[should_panic(expected = "replaced long before")]
    fn a_key_never_seals_beyond_its_limit() {
        let _ = near(RECORDS_SEALED_MAX).0.write(b"x");
    }

    #[test]
    fn a_record_is_whole_blocks_and_never_longer_than_allowed() {
        for (len, inner_len) in
            [(0, 16), (15, 16), (16, 32), (PLAIN_LEN_MAX - 1, PLAIN_LEN_MAX), (PLAIN_LEN_MAX, PLAIN_LEN_MAX + 1)]
        {
            let (mut records, far) = near(0);
            assert_eq!(records.write(&vec![b'x'; len]), Ok(len));
            assert_eq!(far.waiting(), HEADER_LEN + inner_len + TAG_LEN, "{len}");
        }
    }

    #[test]
    fn keys_of_another_cipher_are_refused() {
        let lane = || ConnectionTrafficSecrets::Chacha20Poly1305 { key: AeadKey::from([7; 32]), iv: Iv::from([9; 12]) };
        let secrets = ExtractedSecrets { tx: (0, lane()), rx: (0, lane()) };
        let (near, _far) = pipe(&PipeOptions::default());
        assert_eq!(Records::new(near, &secrets).err(), Some(Down::Tls(TlsFault::Incompatible)));
    }
}
