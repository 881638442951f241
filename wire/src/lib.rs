//! Bytes in, bytes out, never blocking: TCP, TLS and WebSocket as one state machine that is stepped.
//!
//! What it does: keeps one WebSocket connection to one endpoint alive ([`connection::Connection`]), hands out text
//! messages in place from a reused buffer, queues messages exactly once, and dials again with capped, jittered backoff
//! when the connection is lost.
//! What it never does: it never blocks, never reads the clock, never logs, never starts a thread, never knows a venue;
//! it holds no message across a reconnect and sends none twice. Only [`endpoint::Endpoint::resolve`] and
//! [`renewal::Resolver`] wait (for DNS): the one runs at start, the other on a cold thread.
//! Which thread: the one that owns the `Connection`; all that is shared are the addresses of a [`renewal::Renewal`]
//! and the tokens of [`attempts::Attempts`].

pub mod attempts;
pub mod connection;
pub mod down;
pub mod endpoint;
pub mod error;
pub mod frame;
pub mod limits;
pub mod renewal;
pub mod tls;
pub mod transport;

mod backoff;
mod channel;
mod upgrade;
