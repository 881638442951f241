//! What can go wrong outside the state machine: setting up, and sending.

use std::fmt;
use std::io;
use std::path::PathBuf;

/// Setting up an endpoint or its TLS failed; each says what was being done and what to do now.
#[derive(Debug)]
pub enum WireError {
    /// The address is not a `ws://` or `wss://` URL that we can use.
    Url {
        /// The URL as it was given.
        url: String,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// DNS gave no answer.
    Resolve {
        /// Host that was asked for.
        host: String,
        /// What the resolver said.
        source: io::Error,
    },
    /// DNS answered with no address.
    NoAddress {
        /// Host that was asked for.
        host: String,
    },
    /// The file of certificate authorities could not be read as PEM.
    CaFile {
        /// The file.
        path: PathBuf,
        /// What reading it said.
        reason: String,
    },
    /// TLS could not be set up.
    Tls(rustls::Error),
    /// A `wss://` host that is neither a DNS name nor an IP address.
    ServerName {
        /// The host.
        host: String,
    },
}

impl fmt::Display for WireError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            WireError::Url { url, reason } => {
                write!(f, "reading the URL {url:?}: {reason}; write it as wss://host[:port]/path")
            }
            WireError::Resolve { host, source } => {
                write!(f, "looking up {host}: {source}; check the spelling, the network and the DNS server")
            }
            WireError::NoAddress { host } => write!(f, "looking up {host}: no address; check the spelling"),
            WireError::CaFile { path, reason } => write!(
                f,
                "reading certificate authorities from {}: {reason}; give a PEM file with at least one CERTIFICATE",
                path.display()
            ),
            WireError::Tls(source) => write!(f, "setting up TLS: {source}; check the certificate authorities"),
            WireError::ServerName { host } => {
                write!(f, "{host:?} cannot be checked against a certificate; use a DNS name or an IP address")
            }
        }
    }
}

impl std::error::Error for WireError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            WireError::Resolve { source, .. } => Some(source),
            WireError::Tls(source) => Some(source),
            WireError::Url { .. }
            | WireError::NoAddress { .. }
            | WireError::CaFile { .. }
            | WireError::ServerName { .. } => None,
        }
    }
}

/// A message was not queued: nothing of it will ever be sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SendError {
    /// The connection is not up.
    NotUp,
    /// Too much is waiting to be written, the message alone is too long, or too much was sent this second.
    Full,
}

impl fmt::Display for SendError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            SendError::NotUp => "sending a message: the connection is not up; wait for it to come up",
            SendError::Full => "sending a message: too much is waiting or was sent this second; poll, then send again",
        })
    }
}

impl std::error::Error for SendError {}
