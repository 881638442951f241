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

impl fmt::Display for TlsFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            TlsFault::ServerName => f.write_str("the host is neither a DNS name nor an IP address; mend the URL"),
            TlsFault::Expired => f.write_str("the certificate has expired; check the machine's clock"),
            TlsFault::NotYetValid => f.write_str("the certificate is not valid yet; check the machine's clock"),
            TlsFault::WrongHost => f.write_str("the certificate is for another host; check the URL"),
            TlsFault::UnknownIssuer => {
                f.write_str("the certificate's issuer is unknown; check the certificate authorities")
            }
            TlsFault::Certificate => f.write_str("the certificate is bad"),
            TlsFault::Alert(code) => write!(f, "the peer sent alert {code}"),
            TlsFault::Incompatible => f.write_str("no common version or cipher suite"),
            TlsFault::KeyUpdate => f.write_str("the peer changed its keys; a new connection gets new ones"),
            TlsFault::Malformed => f.write_str("the peer does not speak proper TLS; is the port right?"),
        }
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
