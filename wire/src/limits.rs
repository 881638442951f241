//! Every number that bounds a connection: sizes, patience, and how often it may try again.
//!
//! Never a default that hides a decision: a room chooses [`Limits::market`] or [`Limits::orders`] and may change fields.

use std::time::Duration;

use crate::attempts::Attempts;

/// The bounds of one connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Largest message accepted, bytes, all fragments together. Larger ones end the connection with 1009.
    pub message_len_max: usize,
    /// Most bytes of messages that may wait to be written; beyond it `send_text` answers `Full`.
    pub outgoing_len_max: usize,
    /// From dialling to an established TCP connection.
    pub connect_timeout: Duration,
    /// From an established TCP connection to `Up`: TLS handshake and HTTP upgrade.
    pub handshake_timeout: Duration,
    /// Our own ping goes out this long after the last one was answered.
    pub ping_interval: Duration,
    /// A ping that is not answered within this time proves the connection half-open.
    pub pong_timeout: Duration,
    /// How long an orderly close waits for the peer's half.
    pub close_timeout: Duration,
    /// First wait before dialling again; doubled by every failure in a row.
    pub backoff_base: Duration,
    /// Longest wait before dialling again.
    pub backoff_cap: Duration,
    /// A connection that was up this long has proven itself: the next failure starts again at `backoff_base`.
    pub stable_after: Duration,
    /// A connection is replaced at this age, before the exchange does it (Binance cuts at 24 h).
    pub lifetime: Duration,
    /// Up to this much, drawn from the seed, is added to `lifetime`, so that connections do not rotate together.
    pub lifetime_jitter: Duration,
    /// Frames that may leave in any second. What may not waits: a pong for its time, a text with its sender, who hears
    /// `Full`.
    pub messages_per_second: u32,
    /// Do texts count among them? The streams count everything, the WebSocket API pings and pongs.
    pub texts_count: bool,
    /// What all connections of the process draw their attempts from; none for one that is alone.
    pub attempts: Option<Attempts>,
    /// So many attempts are left to others that need them more.
    pub attempts_left: u32,
}

impl Limits {
    /// For market data: messages up to 256 KiB, few and small requests.
    pub fn market() -> Limits {
        Limits {
            message_len_max: 256 * KIB,
            outgoing_len_max: 16 * KIB,
            connect_timeout: Duration::from_secs(3),
            handshake_timeout: Duration::from_secs(5),
            ping_interval: Duration::from_secs(15),
            pong_timeout: Duration::from_secs(5),
            close_timeout: Duration::from_secs(2),
            backoff_base: Duration::from_millis(250),
            // Six sockets that all try this often stay below the 300 connections that an address may make in five minutes.
            backoff_cap: Duration::from_secs(6),
            stable_after: Duration::from_secs(60),
            lifetime: Duration::from_secs((23 * 60 + 50) * 60),
            lifetime_jitter: Duration::from_secs(5 * 60),
            messages_per_second: 10,
            texts_count: true,
            attempts: None,
            attempts_left: KEPT_FOR_ORDERS,
        }
    }

    /// For orders and user data: messages up to 1 MiB, more room for requests, half-open connections found sooner.
    pub fn orders() -> Limits {
        Limits {
            message_len_max: 1024 * KIB,
            outgoing_len_max: 64 * KIB,
            ping_interval: Duration::from_secs(3),
            pong_timeout: Duration::from_secs(2),
            messages_per_second: 5,
            texts_count: false,
            attempts_left: 0,
            ..Limits::market()
        }
    }

    /// The same, with the attempts of the whole process.
    pub fn sharing(self, attempts: &Attempts) -> Limits {
        Limits { attempts: Some(attempts.clone()), ..self }
    }

    /// Checks the numbers against each other.
    ///
    /// # Panics
    /// If a number makes no sense: limits are written by us, so that is our bug.
    pub(crate) fn assert_sane(&self) {
        assert!((MESSAGE_LEN_MAX_LEAST..=MESSAGE_LEN_MAX_MOST).contains(&self.message_len_max), "{self:?}");
        assert!(self.outgoing_len_max >= OUTGOING_LEN_MAX_LEAST, "{self:?}");
        assert!(self.backoff_base > Duration::ZERO && self.backoff_base <= self.backoff_cap, "{self:?}");
        let patience = [self.connect_timeout, self.handshake_timeout, self.ping_interval, self.pong_timeout];
        assert!(patience.iter().all(|&wait| wait > Duration::ZERO), "{self:?}");
        assert!(self.messages_per_second >= MESSAGES_LEAST && self.ping_interval >= PING_INTERVAL_LEAST, "{self:?}");
        assert!(self.lifetime > self.stable_after, "{self:?}");
    }
}

const KIB: usize = 1024;
/// Order and user sockets can come back so often when market data has used up what it may.
const KEPT_FOR_ORDERS: u32 = 10;
/// Below this there is no token for each of pings, pongs and the close.
const MESSAGES_LEAST: u32 = 5;
/// More often than once in a second our own pings could use up the tokens.
const PING_INTERVAL_LEAST: Duration = Duration::from_secs(1);
/// Below this a control frame and an HTTP answer would not fit the receive buffer.
const MESSAGE_LEN_MAX_LEAST: usize = KIB;
/// Above this the receive buffer stops being a buffer.
const MESSAGE_LEN_MAX_MOST: usize = 64 * KIB * KIB;
/// Below this no useful request fits.
const OUTGOING_LEN_MAX_LEAST: usize = KIB;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_limits_that_rooms_use_are_sane_and_rotate_before_the_exchange_does() {
        for limits in [Limits::market(), Limits::orders()] {
            limits.assert_sane();
            assert!(limits.lifetime + limits.lifetime_jitter < Duration::from_secs(24 * 3600));
        }
    }
}
