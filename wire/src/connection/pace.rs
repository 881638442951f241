//! How many frames leave in a second: an exchange hangs up on whoever sends more, and may ban the address.
//!
//! Our own pings always find a token, because the others leave one. A pong waits for its token; of several that wait
//! only the latest is sent, which answers them all (RFC 6455 §5.5.3). The close frame, the last of all, has a token of
//! its own.

use std::time::Duration;

use optiflow_base::bucket::Bucket;
use optiflow_base::clock::Nanos;

use crate::frame::CONTROL_LEN_MAX;
use crate::frame::encode::Outbox;

/// The tokens of one connection, from up to down.
pub(super) struct Pace {
    bucket: Bucket,
    /// The latest ping, and whether it is still to be answered.
    ping: Vec<u8>,
    is_owed: bool,
}

impl Pace {
    pub(super) fn new(messages_per_second: u32) -> Pace {
        let bucket = Bucket::new(messages_per_second - CLOSES, SECOND);
        Pace { bucket, ping: Vec::with_capacity(CONTROL_LEN_MAX), is_owed: false }
    }

    /// May a text leave?
    pub(super) fn admits_text(&mut self, now: Nanos) -> bool {
        self.bucket.take_alone(now, OWN_PINGS).is_ok()
    }

    /// Our ping leaves.
    pub(super) fn ping(&mut self, now: Nanos) {
        let admitted = self.bucket.take_alone(now, 0);
        assert!(admitted.is_ok(), "pongs and texts leave a token, and our pings are rarer than tokens");
    }

    /// A ping arrived: it is answered now or later.
    pub(super) fn pinged(&mut self, now: Nanos, payload: &[u8], outbox: &mut Outbox) {
        assert!(payload.len() <= CONTROL_LEN_MAX, "the decoder lets no longer ping through");
        self.ping.clear();
        self.ping.extend_from_slice(payload);
        self.is_owed = true;
        self.answer(now, outbox);
    }

    /// Answers the ping that is owed, if it may; says whether it did.
    pub(super) fn answer(&mut self, now: Nanos, outbox: &mut Outbox) -> bool {
        if !self.is_owed || self.bucket.take_alone(now, OWN_PINGS).is_err() {
            return false;
        }
        self.is_owed = false;
        outbox.pong(&self.ping);
        true
    }
}

const SECOND: Duration = Duration::from_secs(1);
/// Tokens kept for the close frame.
const CLOSES: u32 = 1;
/// Tokens that pongs and texts leave.
const OWN_PINGS: u32 = 1;
