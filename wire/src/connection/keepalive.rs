//! Our own pings: proof that both directions still work.
//!
//! Data that keeps arriving proves only one direction; an answered ping proves both. At most one ping is on its way.

use std::time::Duration;

use optiflow_base::clock::Nanos;

/// When to ping and when to give up.
pub(super) struct Keepalive {
    interval: Duration,
    timeout: Duration,
    /// Number of the latest ping: its payload.
    number: u64,
    /// The latest ping is not answered yet.
    outstanding: bool,
    /// When to ping next or, while one is outstanding, to give up.
    due_at: Nanos,
}

/// What is due.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Due {
    /// Nothing.
    Nothing,
    /// A ping with this payload.
    Ping([u8; PAYLOAD_LEN]),
    /// The end: no answer came.
    TimedOut,
}

impl Keepalive {
    pub(super) fn new(now: Nanos, interval: Duration, timeout: Duration) -> Keepalive {
        Keepalive { interval, timeout, number: 0, outstanding: false, due_at: now + interval }
    }

    pub(super) fn due(&mut self, now: Nanos) -> Due {
        if now < self.due_at {
            return Due::Nothing;
        }
        if self.outstanding {
            return Due::TimedOut;
        }
        self.number += 1;
        self.outstanding = true;
        self.due_at = now + self.timeout;
        Due::Ping(self.number.to_be_bytes())
    }

    /// A pong that answers something else, or nothing, proves nothing.
    pub(super) fn pong(&mut self, now: Nanos, payload: &[u8]) {
        if self.outstanding && payload == self.number.to_be_bytes() {
            self.outstanding = false;
            self.due_at = now + self.interval;
        }
    }
}

const PAYLOAD_LEN: usize = 8;
