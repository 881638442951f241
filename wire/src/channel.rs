//! Plain bytes over a stream that may be guarded by TLS: reading, writing and the handshake, never blocking.
//!
//! rustls shakes hands: versions, certificates, keys. With TLS 1.3 and AES-GCM the records are ours from then on
//! ([`records`]): half the time, and no allocation. With anything else rustls goes on. An idle read costs one system
//! call.

mod key;
mod library;
mod records;
mod tickets;

use std::io::{self, ErrorKind, Read, Write};
use std::sync::Arc;

use rustls::ClientConfig;

use crate::down::Down;
use library::Library;
use records::Records;

/// A connected stream.
pub(crate) enum Channel<S> {
    /// As it is.
    Plain(S),
    /// Guarded by rustls.
    Library(Box<Library<S>>),
    /// Guarded by records of ours.
    Records(Box<Records<S>>),
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
        match tls {
            None => Ok(Channel::Plain(stream)),
            Some(config) => Ok(Channel::Library(Box::new(Library::new(stream, config, host)?))),
        }
    }

    /// Is the TLS handshake still going on?
    pub(crate) fn is_handshaking(&self) -> bool {
        match self {
            Channel::Plain(_) | Channel::Records(_) => false,
            Channel::Library(library) => library.is_handshaking(),
        }
    }

    /// The handshake is over: from now on bytes of the application flow.
    pub(crate) fn settle(self) -> Result<Channel<S>, Down> {
        match self {
            Channel::Plain(_) | Channel::Records(_) => Ok(self),
            Channel::Library(library) => library.settle(),
        }
    }

    /// Reads plain bytes; `into` has room for a TLS record at least.
    #[inline]
    pub(crate) fn read(&mut self, into: &mut [u8]) -> Result<Got, Down> {
        match self {
            Channel::Plain(stream) => got(stream.read(into)),
            Channel::Library(library) => library.read(into),
            Channel::Records(records) => records.read(into),
        }
    }

    /// Takes plain bytes to be written: how many were taken; 0 when there is no room now.
    #[inline]
    pub(crate) fn write(&mut self, bytes: &[u8]) -> Result<usize, Down> {
        match self {
            Channel::Plain(stream) => match stream.write(bytes) {
                Ok(len) => Ok(len),
                Err(error) if is_transient(&error) => Ok(0),
                Err(error) => Err(Down::Write(error.kind())),
            },
            Channel::Library(library) => library.write(bytes),
            Channel::Records(records) => records.write(bytes),
        }
    }

    /// Writes what waits inside: sealed records.
    #[inline]
    pub(crate) fn flush(&mut self) -> Result<(), Down> {
        match self {
            Channel::Plain(_) => Ok(()),
            Channel::Library(library) => library.flush(),
            Channel::Records(records) => records.flush(),
        }
    }

    /// Says goodbye as far as that is possible at once.
    pub(crate) fn farewell(&mut self) {
        match self {
            Channel::Plain(_) => {}
            Channel::Library(library) => library.farewell(),
            Channel::Records(records) => records.farewell(),
        }
    }

    /// Has so much been sealed that the connection should be replaced? (rustls changes its keys by itself.)
    pub(crate) fn is_worn(&self) -> bool {
        match self {
            Channel::Plain(_) | Channel::Library(_) => false,
            Channel::Records(records) => records.is_worn(),
        }
    }
}

#[cfg(test)]
impl<S: Read + Write> Channel<S> {
    /// One whose key has sealed enough.
    pub(crate) fn worn(stream: S) -> Channel<S> {
        Channel::Records(Box::new(records::tests::worn(stream)))
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
