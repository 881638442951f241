//! rustls on a stream: the handshake always, and all that follows when the records are not ours to seal.
//!
//! Knows rustls' buffered interface and its limits: decrypted bytes are drained before more are read (it refuses to
//! read beyond 16 KiB of them), a write may be taken in part, records may be written in part. While it shakes hands it
//! gets one record at a time, so that nothing of what follows is inside it when it hands over its keys.

use std::io::{self, Read, Write};
use std::sync::Arc;

use rustls::pki_types::ServerName;
use rustls::{CertificateError, CipherSuite, ClientConfig, ClientConnection, ProtocolVersion};

use super::records::{HEADER_LEN, Records};
use super::{Channel, Got, got, is_transient};
use crate::down::{Down, TlsFault};

/// A stream and rustls' session on it.
pub(crate) struct Library<S> {
    stream: S,
    session: ClientConnection,
    /// Decrypted bytes may wait in the session.
    decrypted: bool,
    /// Why nothing more will be read.
    over: Option<Down>,
    /// The session may be asked for its keys.
    is_extractable: bool,
    /// Where the record ends that is being read; `None` once hands are shaken and reading needs no bounds.
    border: Option<Border>,
}

impl<S: Read + Write> Library<S> {
    pub(super) fn new(stream: S, config: &Arc<ClientConfig>, host: &str) -> Result<Library<S>, Down> {
        let name = ServerName::try_from(host.to_owned()).map_err(|_| Down::Tls(TlsFault::ServerName))?;
        let mut session = ClientConnection::new(Arc::clone(config), name).map_err(|error| Down::Tls(fault(&error)))?;
        session.set_buffer_limit(Some(SEALED_LEN_MAX));
        let is_extractable = config.enable_secret_extraction;
        Ok(Library { stream, session, decrypted: false, over: None, is_extractable, border: Some(Border::default()) })
    }

    /// Ends only when our last word is written too.
    pub(super) fn is_handshaking(&self) -> bool {
        self.session.is_handshaking() || self.session.wants_write()
    }

    /// Hands are shaken: takes the records over, if we know how to seal them.
    pub(super) fn settle(mut self: Box<Self>) -> Result<Channel<S>, Down> {
        assert!(!self.is_handshaking() && !self.decrypted, "the session holds nothing of anybody's");
        let suite = self.session.negotiated_cipher_suite().map(|suite| suite.suite());
        let is_known = self.session.protocol_version() == Some(ProtocolVersion::TLSv1_3)
            && suite.is_some_and(|suite| SUITES_OF_OURS.contains(&suite));
        if !self.is_extractable || !is_known {
            self.border = None;
            return Ok(Channel::Library(self));
        }
        let Library { stream, session, .. } = *self;
        let secrets = session.dangerous_extract_secrets().map_err(|error| Down::Tls(fault(&error)))?;
        Ok(Channel::Records(Box::new(Records::new(stream, &secrets)?)))
    }

    pub(super) fn read(&mut self, into: &mut [u8]) -> Result<Got, Down> {
        if !self.decrypted {
            if let Some(reason) = self.over {
                return Err(reason);
            }
            match self.receive()? {
                Got::Bytes(_) => self.open(),
                nothing @ (Got::Progress | Got::Nothing | Got::End) => return Ok(nothing),
            }
        }
        if !self.decrypted {
            return Ok(Got::Progress);
        }
        let len = match self.session.reader().read(into) {
            Ok(len) => len,
            Err(error) if is_transient(&error) => 0,
            Err(error) => return Err(Down::Read(error.kind())),
        };
        // A short read has drained the session; a full one may not have.
        self.decrypted = len == into.len();
        Ok(if len > 0 { Got::Bytes(len) } else { Got::Progress })
    }

    pub(super) fn write(&mut self, bytes: &[u8]) -> Result<usize, Down> {
        let len = self.session.writer().write(bytes).map_err(|error| Down::Write(error.kind()))?;
        self.flush()?;
        Ok(len)
    }

    pub(super) fn flush(&mut self) -> Result<(), Down> {
        // Ends: every round writes something or returns.
        while self.session.wants_write() {
            match self.session.write_tls(&mut self.stream) {
                Ok(0) => return Ok(()),
                Ok(_) => {}
                Err(error) if is_transient(&error) => return Ok(()),
                Err(error) => return Err(Down::Write(error.kind())),
            }
        }
        Ok(())
    }

    pub(super) fn farewell(&mut self) {
        self.session.send_close_notify();
        // Nobody is left to tell when this fails.
        let _ = self.flush();
    }

    fn receive(&mut self) -> Result<Got, Down> {
        match &mut self.border {
            None => got(self.session.read_tls(&mut self.stream)),
            Some(_) if !self.session.is_handshaking() => Ok(Got::Nothing),
            Some(border) => got(self.session.read_tls(&mut Bordered { stream: &mut self.stream, border })),
        }
    }

    /// Decrypts what was received. What came before a fault is handed out before it is told.
    fn open(&mut self) {
        match self.session.process_new_packets() {
            Ok(state) => self.decrypted = state.plaintext_bytes_to_read() > 0,
            Err(error) => {
                // The session has an alert ready that tells the peer; the reason matters more than whether it arrives.
                let _ = self.flush();
                self.over = Some(Down::Tls(fault(&error)));
                self.decrypted = true;
            }
        }
    }
}

/// How far a record has been read.
#[derive(Default)]
struct Border {
    header: [u8; HEADER_LEN],
    header_len: usize,
    /// Bytes behind the header that have not come.
    left: usize,
}

/// Reads no further than to the end of a record.
struct Bordered<'a, S> {
    stream: &'a mut S,
    border: &'a mut Border,
}

impl<S: Read> Read for Bordered<'_, S> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let wanted = if self.border.left > 0 { self.border.left } else { HEADER_LEN - self.border.header_len };
        let room = into.len().min(wanted);
        let len = self.stream.read(&mut into[..room])?;
        self.border.passed(&into[..len]);
        Ok(len)
    }
}

impl Border {
    fn passed(&mut self, bytes: &[u8]) {
        if self.left > 0 {
            self.left -= bytes.len();
            return;
        }
        self.header[self.header_len..][..bytes.len()].copy_from_slice(bytes);
        self.header_len += bytes.len();
        if let ([_, _, _, high, low], HEADER_LEN) = (self.header, self.header_len) {
            self.left = usize::from(u16::from_be_bytes([high, low]));
            self.header_len = 0;
        }
    }
}

/// rustls' many errors, as far as they differ in what to do about them.
#[allow(clippy::wildcard_enum_match_arm, reason = "the enums are foreign and non-exhaustive")]
fn fault(error: &rustls::Error) -> TlsFault {
    match error {
        rustls::Error::InvalidCertificate(certificate) => match certificate {
            CertificateError::Expired | CertificateError::ExpiredContext { .. } => TlsFault::Expired,
            CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => TlsFault::NotYetValid,
            CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => TlsFault::WrongHost,
            // A bad signature: an authority of the same name but another key, such as a test CA made anew.
            CertificateError::UnknownIssuer | CertificateError::BadSignature => TlsFault::UnknownIssuer,
            _ => TlsFault::Certificate,
        },
        rustls::Error::NoCertificatesPresented => TlsFault::Certificate,
        rustls::Error::AlertReceived(alert) => TlsFault::Alert(u8::from(*alert)),
        rustls::Error::PeerIncompatible(_) | rustls::Error::NoApplicationProtocol => TlsFault::Incompatible,
        _ => TlsFault::Malformed,
    }
}

/// Most sealed bytes that may wait inside the session.
const SEALED_LEN_MAX: usize = 64 * 1024;
/// The suites whose records we seal ourselves.
const SUITES_OF_OURS: [CipherSuite; 2] = [CipherSuite::TLS13_AES_128_GCM_SHA256, CipherSuite::TLS13_AES_256_GCM_SHA384];
