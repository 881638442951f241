//! Binance's face of the simulated exchange: requests and frames in, answers and frames out.
//!
//! What it does: `exchange` is the one thing to drive — it owns the desk (core, streams, account settings), the rate
//! limits and the WebSocket API sessions; `rest` and `ws_api` find the endpoint, check key, signature and limits, and
//! run the same handlers on the desk.
//! What it never does: no sockets, no threads, no clock: requests come as values, time comes as an argument.
//! Which thread: whoever drives the exchange.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

pub mod auth;
pub mod errors;
pub mod exchange;
pub mod faults;
pub mod limits;
pub mod streams;
pub mod tape;

mod algo;
mod desk;
mod json;
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
    /// A text frame in which the connection breaks; it is forgotten already.
    Cut {
        /// The frame; empty when nothing is written at all.
        text: Arc<str>,
        /// How many bytes of what is written for the frame still leave, before the connection is cut without a word.
        after_bytes: usize,
    },
    /// A text frame that is written byte by byte.
    Dribble {
        /// The frame.
        text: Arc<str>,
        /// How long to wait before each byte.
        pause: Duration,
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
    /// How it leaves.
    pub delivery: Delivery,
}

/// How an HTTP answer leaves: whoever has the socket carries it out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Delivery {
    /// At once and whole.
    #[default]
    Whole,
    /// So much later.
    Late(Duration),
    /// The connection is cut without a word after so many bytes of the answer, its head included.
    Cut {
        /// How many bytes leave; zero also where there is no answer at all.
        after_bytes: usize,
    },
    /// Never; the connection stays open. The status is zero, as for whatever was not answered.
    Never,
    /// Byte by byte.
    Dribble {
        /// How long to wait before each byte.
        pause: Duration,
    },
}

impl Response {
    /// No answer: status zero, as for whatever was not answered.
    pub const fn none(delivery: Delivery) -> Response {
        Response { status: 0, headers: Vec::new(), body: Vec::new(), delivery }
    }

    /// An answer without a body.
    pub const fn bare(status: u16) -> Response {
        Response { status, headers: Vec::new(), body: Vec::new(), delivery: Delivery::Whole }
    }
}
