//! REST as messages: a hot stage asks with a `RestCall`, the control thread performs it and answers with a `RestReply`.
//!
//! The stage never waits and never opens a socket for it; a simulator can answer the same messages.
//! Never holds a secret: the control thread signs. Bounded: a call fits a ring slot, a body has a cap.

use arrayvec::ArrayString;

use crate::clock::Nanos;
use crate::order::Usage;

/// Longest query a stage may ask with.
pub const QUERY_LEN_MAX: usize = 512;
/// Largest body that is accepted from the exchange, bytes (a full `exchangeInfo` is about 1.2 MB).
pub const BODY_LEN_MAX: usize = 8 * 1024 * 1024;
/// In place of a status: the call was too late and was not sent.
pub const NOT_SENT: u16 = 1;
/// So much of its time must be left to a call when it is sent: it has to travel, and clocks differ a little.
const TRAVEL_MS: u64 = 100;

/// HTTP method.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Method {
    /// GET
    Get,
    /// POST
    Post,
    /// PUT
    Put,
    /// DELETE
    Delete,
}

impl Method {
    /// As it is written on the wire.
    pub const fn name(self) -> &'static str {
        match self {
            Method::Get => "GET",
            Method::Post => "POST",
            Method::Put => "PUT",
            Method::Delete => "DELETE",
        }
    }
}

/// What a call must carry to be let in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Auth {
    /// Nothing.
    Open,
    /// The API key.
    Key,
    /// The API key, a timestamp and a signature.
    Signed,
    /// The same, good until this time of the exchange's clock, ms: it is not sent later, and not let in.
    SignedUntil(u64),
}

/// A call that a stage wants made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RestCall {
    /// Chosen by the caller; comes back in the reply.
    pub token: u64,
    /// HTTP method.
    pub method: Method,
    /// Path, such as `/fapi/v1/depth`.
    pub path: &'static str,
    /// Query without timestamp and signature; sent as it is.
    pub query: ArrayString<QUERY_LEN_MAX>,
    /// What it must carry.
    pub auth: Auth,
    /// Request weight it costs.
    pub weight: u32,
}

impl RestCall {
    /// Is it too late to send it, at `now_ms` of the exchange's clock?
    pub const fn is_late(&self, now_ms: u64) -> bool {
        match self.auth {
            Auth::SignedUntil(until_ms) => now_ms.saturating_add(TRAVEL_MS) > until_ms,
            Auth::Open | Auth::Key | Auth::Signed => false,
        }
    }
}

/// What came of a call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RestReply {
    /// The caller's token.
    pub token: u64,
    /// The path that was called: a reply explains itself.
    pub path: &'static str,
    /// HTTP status; 0 when no complete answer came: the outcome is unknown. [`NOT_SENT`] when nothing left.
    pub status: u16,
    /// Body, empty when none came.
    pub body: Vec<u8>,
    /// Just before the request was written.
    pub sent: Nanos,
    /// Just after the answer was read.
    pub received: Nanos,
    /// What the headers say of our usage.
    pub usage: Usage,
}

impl RestReply {
    /// Did the exchange say yes?
    pub const fn is_ok(&self) -> bool {
        self.status >= 200 && self.status < 300
    }
}
