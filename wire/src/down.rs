//! Why a connection went down: small, `Copy`, and able to say it in words.

use std::fmt;
use std::io::ErrorKind;

/// Why a connection, or an attempt to make one, ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Down {
    /// TCP could not connect.
    Connect(ErrorKind),
    /// TCP did not connect in time.
    ConnectTimeout,
    /// TLS refused, ours or theirs.
    Tls(TlsFault),
    /// TLS and upgrade did not finish in time.
    HandshakeTimeout,
    /// The server answered the upgrade with another status than 101.
    Refused {
        /// HTTP status.
        status: u16,
        /// `Retry-After`, seconds: the next attempt waits at least this long.
        retry_after: Option<u32>,
    },
    /// The answer to the upgrade is not the answer to our question.
    Upgrade(UpgradeFault),
    /// The peer closed in order.
    PeerClosed {
        /// Its close code; 1005 when it gave none.
        code: u16,
    },
    /// The peer ended the stream without closing.
    Ended,
    /// Reading failed.
    Read(ErrorKind),
    /// Writing failed: what was queued last may or may not have arrived.
    Write(ErrorKind),
    /// The peer broke the WebSocket protocol.
    Violation(Violation),
    /// Our ping was not answered in time: half-open.
    PongTimeout,
    /// Replaced because of its age, or because its key has sealed enough.
    Rotated,
    /// `reconnect` was called.
    Asked,
    /// `close` was called; it stays down.
    Closed,
    /// The operating system gave no randomness for mask keys.
    Entropy,
    /// No attempt was made: the process has made too many lately. Told once; it is made as soon as it may be.
    PutOff,
}

impl Down {
    /// The number that belongs to it, where there is one: HTTP status, close code, TLS alert; else 0.
    pub const fn code(self) -> i64 {
        match self {
            Down::Refused { status, .. } => status as i64,
            Down::PeerClosed { code } => code as i64,
            Down::Tls(TlsFault::Alert(alert)) => alert as i64,
            Down::Tls(_)
            | Down::Connect(_)
            | Down::ConnectTimeout
            | Down::HandshakeTimeout
            | Down::Upgrade(_)
            | Down::Ended
            | Down::Read(_)
            | Down::Write(_)
            | Down::Violation(_)
            | Down::PongTimeout
            | Down::Rotated
            | Down::Asked
            | Down::Closed
            | Down::Entropy
            | Down::PutOff => 0,
        }
    }

    /// What was wrong with TLS, if that was it: no number tells.
    pub const fn tls_fault(self) -> Option<&'static str> {
        if let Down::Tls(fault) = self { Some(fault.words()) } else { None }
    }
}

impl fmt::Display for Down {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Down::Connect(kind) => write!(f, "could not connect: {kind}"),
            Down::ConnectTimeout => f.write_str("could not connect in time"),
            Down::Tls(fault) => write!(f, "TLS failed: {fault}"),
            Down::HandshakeTimeout => f.write_str("TLS and WebSocket handshake did not finish in time"),
            Down::Refused { status, retry_after: None } => {
                write!(f, "the server answered the WebSocket upgrade with HTTP {status}")
            }
            Down::Refused { status, retry_after: Some(seconds) } => {
                write!(f, "the server answered the WebSocket upgrade with HTTP {status}, retry after {seconds} s")
            }
            Down::Upgrade(fault) => write!(f, "the answer to the WebSocket upgrade {fault}"),
            Down::PeerClosed { code } => write!(f, "closed by the peer with code {code}"),
            Down::Ended => f.write_str("the peer ended the stream without closing"),
            Down::Read(kind) => write!(f, "reading failed: {kind}"),
            Down::Write(kind) => write!(f, "writing failed: {kind}; what was sent last may not have arrived"),
            Down::Violation(violation) => write!(f, "the peer broke the WebSocket protocol: {violation}"),
            Down::PongTimeout => f.write_str("a ping was not answered in time; the connection is half-open"),
            Down::Rotated => f.write_str("replaced because of its age, or because its key has sealed enough"),
            Down::Asked => f.write_str("dropped on request"),
            Down::Closed => f.write_str("closed on request"),
            Down::Entropy => f.write_str("the operating system gave no randomness"),
            Down::PutOff => f.write_str(PUT_OFF),
        }
    }
}

/// What rooms tell when an attempt is put off.
pub const PUT_OFF: &str = "too many attempts to connect lately: the next one waits";

/// What was wrong with the answer to the upgrade.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UpgradeFault {
    /// Not HTTP/1.1, or not HTTP at all.
    NotHttp,
    /// Larger than the header buffer.
    TooLong,
    /// No `Upgrade: websocket` or no `Connection: upgrade`.
    NotUpgraded,
    /// `Sec-WebSocket-Accept` is missing or does not match our key.
    Accept,
    /// An extension or a protocol that we did not offer.
    Unasked,
}

impl fmt::Display for UpgradeFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            UpgradeFault::NotHttp => "is not HTTP/1.1",
            UpgradeFault::TooLong => "is too long",
            UpgradeFault::NotUpgraded => "does not upgrade to WebSocket",
            UpgradeFault::Accept => "does not match our key",
            UpgradeFault::Unasked => "chooses an extension or protocol that was not offered",
        })
    }
}

/// Why TLS failed, as far as it matters to an operator.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TlsFault {
    /// The host cannot be a server name.
    ServerName,
    /// The certificate has expired.
    Expired,
    /// The certificate is not valid yet.
    NotYetValid,
    /// The certificate is for another host.
    WrongHost,
    /// No certificate authority of ours vouches for it.
    UnknownIssuer,
    /// The certificate is bad in another way.
    Certificate,
    /// The peer sent this alert.
    Alert(u8),
    /// Version, cipher suite, or protocol could not be agreed.
    Incompatible,
    /// The peer changed its keys within the connection (RFC 8446 §4.6.3), which we do not follow.
    KeyUpdate,
    /// The bytes are not TLS, or not what they should be.
    Malformed,
}

impl TlsFault {
    /// In words, but for the number of an alert.
    pub const fn words(self) -> &'static str {
        match self {
            TlsFault::ServerName => "the host is neither a DNS name nor an IP address; mend the URL",
            TlsFault::Expired => "the certificate has expired; check the machine's clock",
            TlsFault::NotYetValid => "the certificate is not valid yet; check the machine's clock",
            TlsFault::WrongHost => "the certificate is for another host; check the URL",
            TlsFault::UnknownIssuer => "the certificate's issuer is unknown; check the certificate authorities",
            TlsFault::Certificate => "the certificate is bad",
            TlsFault::Alert(_) => "the peer sent a TLS alert",
            TlsFault::Incompatible => "no common TLS version or cipher suite",
            TlsFault::KeyUpdate => "the peer changed its TLS keys; a new connection gets new ones",
            TlsFault::Malformed => "the peer does not speak proper TLS; is the port right?",
        }
    }
}

impl fmt::Display for TlsFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.words())?;
        if let TlsFault::Alert(code) = self { write!(f, ", {code}") } else { Ok(()) }
    }
}

/// Which rule of RFC 6455 the peer broke.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Violation {
    /// A reserved bit is set: no extension was agreed.
    ReservedBits,
    /// An opcode without meaning.
    Opcode,
    /// A server must not mask.
    Masked,
    /// A control frame in fragments.
    FragmentedControl,
    /// A control frame beyond 125 bytes.
    LongControl,
    /// A length that is not written in the shortest way, or has its top bit set.
    Length,
    /// A message beyond the limit.
    TooLong,
    /// A continuation without a beginning.
    Continuation,
    /// A new message inside a fragmented one.
    Interleaved,
    /// A message in too many fragments.
    Fragments,
    /// A text message, or the reason of a close, that is not UTF-8.
    Utf8,
    /// A close frame with one byte, or with a code that must not be sent.
    CloseCode,
}

impl Violation {
    /// The close code that tells the peer.
    pub const fn close_code(self) -> u16 {
        match self {
            Violation::ReservedBits
            | Violation::Opcode
            | Violation::Masked
            | Violation::FragmentedControl
            | Violation::LongControl
            | Violation::Length
            | Violation::Continuation
            | Violation::Interleaved
            | Violation::CloseCode => 1002,
            Violation::Utf8 => 1007,
            Violation::Fragments => 1008,
            Violation::TooLong => 1009,
        }
    }
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Violation::ReservedBits => "a reserved bit is set",
            Violation::Opcode => "unknown opcode",
            Violation::Masked => "a server frame is masked",
            Violation::FragmentedControl => "a control frame is fragmented",
            Violation::LongControl => "a control frame is longer than 125 bytes",
            Violation::Length => "a length is not in its shortest form",
            Violation::TooLong => "a message is longer than the limit",
            Violation::Continuation => "a continuation continues nothing",
            Violation::Interleaved => "a message begins inside another",
            Violation::Fragments => "a message has too many fragments",
            Violation::Utf8 => "text is not UTF-8",
            Violation::CloseCode => "a close frame has a bad code",
        })
    }
}

const _: () = assert!(size_of::<Down>() <= 16, "a reason travels by value");

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reason_has_a_number_or_words_that_tell_it_from_others() {
        for (down, code, fault) in [
            (Down::Refused { status: 403, retry_after: None }, 403, None),
            (Down::PeerClosed { code: 1008 }, 1008, None),
            (Down::Ended, 0, None),
            (Down::Tls(TlsFault::Alert(80)), 80, Some("the peer sent a TLS alert")),
            (Down::Tls(TlsFault::KeyUpdate), 0, Some("the peer changed its TLS keys; a new connection gets new ones")),
        ] {
            assert_eq!((down.code(), down.tls_fault()), (code, fault), "{down}");
        }
        assert_eq!(Down::Tls(TlsFault::Alert(80)).to_string(), "TLS failed: the peer sent a TLS alert, 80");
    }
}
