//! The HTTP/1.1 upgrade: the request, and whether the answer is the answer to it.
//!
//! Sans-IO and bounded: an answer has at most [`ANSWER_LEN_MAX`] bytes of head. What follows the head stays where it is:
//! it is the first frame.

use httparse::{EMPTY_HEADER, Response, Status};
use tungstenite::handshake::client::generate_key;
use tungstenite::handshake::derive_accept_key;

use crate::down::{Down, UpgradeFault};
use crate::endpoint::Endpoint;

/// An upgrade that was asked for.
pub(crate) struct Upgrade {
    /// What `Sec-WebSocket-Accept` must say.
    accept: String,
}

impl Upgrade {
    /// Writes the request.
    pub(crate) fn ask(endpoint: &Endpoint) -> (Upgrade, Vec<u8>) {
        let key = generate_key();
        let accept = derive_accept_key(key.as_bytes());
        let mut request = b"GET ".to_vec();
        push_path(&mut request, &endpoint.path);
        request.extend_from_slice(b" HTTP/1.1\r\nHost: ");
        push_host(&mut request, endpoint);
        request.extend_from_slice(b"\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n");
        request.extend_from_slice(format!("Sec-WebSocket-Key: {key}\r\nUser-Agent: {USER_AGENT}\r\n\r\n").as_bytes());
        (Upgrade { accept }, request)
    }

    /// Judges the answer: the length of its head, or `None` when more bytes are needed.
    pub(crate) fn judge(&self, received: &[u8]) -> Result<Option<usize>, Down> {
        let head = &received[..received.len().min(ANSWER_LEN_MAX)];
        let mut headers = [EMPTY_HEADER; HEADERS_MAX];
        let mut answer = Response::new(&mut headers);
        match answer.parse(head) {
            Ok(Status::Complete(len)) => self.accepted(&answer).map(|()| Some(len)),
            Ok(Status::Partial) if head.len() < ANSWER_LEN_MAX => Ok(None),
            Ok(Status::Partial) | Err(httparse::Error::TooManyHeaders) => Err(Down::Upgrade(UpgradeFault::TooLong)),
            Err(_) => Err(Down::Upgrade(UpgradeFault::NotHttp)),
        }
    }

    fn accepted(&self, answer: &Response<'_, '_>) -> Result<(), Down> {
        let status = answer.code.unwrap_or(0);
        if status != SWITCHING_PROTOCOLS {
            let retry_after = header(answer, "retry-after").and_then(|value| value.parse().ok());
            return Err(Down::Refused { status, retry_after });
        }
        if answer.version != Some(1) {
            return Err(Down::Upgrade(UpgradeFault::NotHttp));
        }
        let says = |name, wanted: &str| {
            header(answer, name)
                .is_some_and(|value| value.split(',').any(|token| token.trim().eq_ignore_ascii_case(wanted)))
        };
        if !says("upgrade", "websocket") || !says("connection", "upgrade") {
            return Err(Down::Upgrade(UpgradeFault::NotUpgraded));
        }
        if header(answer, "sec-websocket-accept") != Some(self.accept.as_str()) {
            return Err(Down::Upgrade(UpgradeFault::Accept));
        }
        let offered_nothing = ["sec-websocket-extensions", "sec-websocket-protocol"];
        if offered_nothing.iter().any(|name| header(answer, name).is_some_and(|value| !value.is_empty())) {
            return Err(Down::Upgrade(UpgradeFault::Unasked));
        }
        Ok(())
    }
}

fn header<'a>(answer: &Response<'_, 'a>, name: &str) -> Option<&'a str> {
    let found = answer.headers.iter().find(|header| header.name.eq_ignore_ascii_case(name))?;
    std::str::from_utf8(found.value).ok().map(str::trim)
}

/// Anything but visible ASCII is percent-encoded: a path can never add a header.
fn push_path(request: &mut Vec<u8>, path: &str) {
    if !path.starts_with('/') {
        request.push(b'/');
    }
    for byte in path.bytes() {
        if byte.is_ascii_graphic() && byte != b'#' {
            request.push(byte);
        } else {
            request.extend_from_slice(format!("%{byte:02X}").as_bytes());
        }
    }
}

fn push_host(request: &mut Vec<u8>, endpoint: &Endpoint) {
    let (open, close) = if endpoint.host.contains(':') { ("[", "]") } else { ("", "") };
    request.extend_from_slice(format!("{open}{}{close}", endpoint.host).as_bytes());
    let default_port = if endpoint.tls.is_some() { 443 } else { 80 };
    if endpoint.port != default_port {
        request.extend_from_slice(format!(":{}", endpoint.port).as_bytes());
    }
}

const SWITCHING_PROTOCOLS: u16 = 101;
const USER_AGENT: &str = concat!("optiflow/", env!("CARGO_PKG_VERSION"));
/// Longest head of an answer.
const ANSWER_LEN_MAX: usize = 8 * 1024;
/// Most headers of an answer.
const HEADERS_MAX: usize = 64;
