//! Plain bytes over a stream that may be guarded by TLS: reading, writing and the handshake, never blocking.
//!
//! Knows rustls' buffered interface and its limits: decrypted bytes are drained before more are read (it refuses to
//! read beyond 16 KiB of them), a write may be taken in part, records may be written in part. An idle read costs one
//! system call.

use std::io::{self, ErrorKind, Read, Write};
use std::sync::Arc;

use rustls::pki_types::ServerName;
use rustls::{CertificateError, ClientConfig, ClientConnection};

use crate::down::{Down, TlsFault};

/// A connected stream.
pub(crate) enum Channel<S> {
    /// As it is.
    Plain(S),
    /// Guarded.
    Tls(Box<Guarded<S>>),
}

/// A stream and the TLS session on it.
pub(crate) struct Guarded<S> {
    stream: S,
    session: ClientConnection,
    /// Decrypted bytes wait in the session.
    decrypted: bool,
}

/// What reading came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Got {
    /// So many bytes.
    Bytes(usize),
    /// None yet, but something happened; there may be more.
    Progress,
    /// Nothing there.
    Nothing,
    /// The peer will send no more.
    End,
}

impl<S: Read + Write> Channel<S> {
    /// Guards the stream when there is a TLS configuration.
    pub(crate) fn new(stream: S, tls: Option<&Arc<ClientConfig>>, host: &str) -> Result<Channel<S>, Down> {
        let Some(config) = tls else { return Ok(Channel::Plain(stream)) };
        let name = ServerName::try_from(host.to_owned()).map_err(|_| Down::Tls(TlsFault::ServerName))?;
        let mut session = ClientConnection::new(Arc::clone(config), name).map_err(|error| Down::Tls(fault(&error)))?;
        session.set_buffer_limit(Some(SEALED_LEN_MAX));
        Ok(Channel::Tls(Box::new(Guarded { stream, session, decrypted: false })))
    }

    /// Is the TLS handshake still going on?
    pub(crate) fn is_handshaking(&self) -> bool {
        match self {
            Channel::Plain(_) => false,
            Channel::Tls(guarded) => guarded.session.is_handshaking(),
        }
    }

    /// Reads plain bytes.
    pub(crate) fn read(&mut self, into: &mut [u8]) -> Result<Got, Down> {
        match self {
            Channel::Plain(stream) => got(stream.read(into)),
            Channel::Tls(guarded) => guarded.read(into),
        }
    }

    /// Takes plain bytes to be written: how many were taken; 0 when there is no room now.
    pub(crate) fn write(&mut self, bytes: &[u8]) -> Result<usize, Down> {
        match self {
            Channel::Plain(stream) => match stream.write(bytes) {
                Ok(len) => Ok(len),
                Err(error) if is_transient(&error) => Ok(0),
                Err(error) => Err(Down::Write(error.kind())),
            },
            Channel::Tls(guarded) => {
                let len = guarded.session.writer().write(bytes).map_err(|error| Down::Write(error.kind()))?;
                guarded.flush()?;
                Ok(len)
            }
        }
    }

    /// Writes what waits inside: sealed records.
    pub(crate) fn flush(&mut self) -> Result<(), Down> {
        match self {
            Channel::Plain(_) => Ok(()),
            Channel::Tls(guarded) => guarded.flush(),
        }
    }

    /// Says goodbye as far as that is possible at once.
    pub(crate) fn farewell(&mut self) {
        if let Channel::Tls(guarded) = self {
            guarded.session.send_close_notify();
            // Nobody is left to tell when this fails.
            let _ = guarded.flush();
        }
    }
}

impl<S: Read + Write> Guarded<S> {
    fn read(&mut self, into: &mut [u8]) -> Result<Got, Down> {
        if !self.decrypted {
            match got(self.session.read_tls(&mut self.stream))? {
                Got::Bytes(_) => self.open()?,
                Got::Progress => return Ok(Got::Progress),
                Got::Nothing => return Ok(Got::Nothing),
                Got::End => return Ok(Got::End),
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

    /// Decrypts what was received.
    fn open(&mut self) -> Result<(), Down> {
        match self.session.process_new_packets() {
            Ok(state) => {
                self.decrypted = state.plaintext_bytes_to_read() > 0;
                Ok(())
            }
            Err(error) => {
                // The session has an alert ready that tells the peer; the reason matters more than whether it arrives.
                let _ = self.flush();
                Err(Down::Tls(fault(&error)))
            }
        }
    }

    fn flush(&mut self) -> Result<(), Down> {
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
}

fn got(result: io::Result<usize>) -> Result<Got, Down> {
    match result {
        Ok(0) => Ok(Got::End),
        Ok(len) => Ok(Got::Bytes(len)),
        Err(error) if error.kind() == ErrorKind::WouldBlock => Ok(Got::Nothing),
        Err(error) if error.kind() == ErrorKind::Interrupted => Ok(Got::Progress),
        Err(error) => Err(Down::Read(error.kind())),
    }
}

fn is_transient(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted)
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
