//! Binance's face of the simulated exchange: requests and frames in, answers and frames out.
//!
//! What it does: `exchange` is the one thing to drive — it owns the desk (core, streams, account settings), the rate
//! limits and the WebSocket API sessions; `rest` and `ws_api` find the endpoint, check key, signature and limits, and
//! run the same handlers on the desk.
//! What it never does: no sockets, no threads, no clock: requests come as values, time comes as an argument.
//! Which thread: whoever drives the exchange.

use std::net::IpAddr;
use std::sync::Arc;

pub mod auth;
pub mod exchange;
pub mod streams;
pub mod tape;

mod algo;
mod desk;
mod errors;
mod json;
mod limits;
mod params;
mod records;
mod rest;
mod ws_api;

#[cfg(test)]
mod tests;

/// A WebSocket connection, as the shell numbers it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ConnId(pub u64);

/// What the exchange wants written to a connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outgoing {
    /// A text frame.
    Text(Arc<str>),
    /// A ping with this payload.
    Ping(Vec<u8>),
    /// A close frame; the connection is forgotten already.
    Close {
        /// Close code.
        code: u16,
        /// Reason.
        reason: String,
    },
}

/// An HTTP request, as far as the exchange cares.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// `GET`, `POST`, `PUT` or `DELETE`.
    pub method: String,
    /// Path without the query.
    pub path: String,
    /// Query as it was sent, without the question mark; empty when there was none.
    pub query: String,
    /// The `X-MBX-APIKEY` header.
    pub api_key: Option<String>,
    /// Body as it was sent.
    pub body: Vec<u8>,
    /// Who asks: the weight limit counts by address.
    pub peer: IpAddr,
}

/// An HTTP answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Response {
    /// HTTP status.
    pub status: u16,
    /// Headers beside length and date.
    pub headers: Vec<(&'static str, String)>,
    /// Body.
    pub body: Vec<u8>,
}
