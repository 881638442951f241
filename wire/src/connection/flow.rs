//! Up, and from up to down: messages in and out, pings, closing, and what follows an end.

use std::io::{Read, Write};
use std::ops::Range;
use std::time::Duration;

use optiflow_base::clock::{Nanos, nanos_of};

use super::keepalive::Due;
use super::{Connection, State, Step, Up};
use crate::channel::{Channel, Got};
use crate::down::{Down, Violation};
use crate::frame::decode::{Inbox, Incoming};
use crate::frame::encode::Outbox;
use crate::frame::{CLOSE_NONE, CLOSE_NORMAL};
use crate::renewal::FAILURES_BEFORE_LOOKUP;
use crate::transport::Dialer;

impl<D: Dialer> Connection<D> {
    pub(super) fn step_up(&mut self, now: Nanos) -> Step {
        let State::Up(up) = &mut self.state else { return Step::Idle };
        up.busy_polls += 1;
        if up.busy_polls >= BUSY_POLLS_MAX {
            up.busy_polls = 0;
            if let Some(step) = self.timers(now) {
                return step;
            }
        }
        let State::Up(up) = &mut self.state else { return Step::Idle };
        let (keepalive, pace, outbox) = (&mut up.keepalive, &mut up.pace, &mut self.outbox);
        let on_ping = |ping: &[u8]| pace.pinged(now, ping, outbox);
        let pumped = pump(&mut up.channel, &mut self.inbox, on_ping, |pong| keepalive.pong(now, pong));
        up.flush(&mut self.outbox);
        match pumped {
            Pumped::Message(range) => Step::Text(range),
            Pumped::Progress => Step::Working,
            Pumped::Nothing => self.rest(now),
            Pumped::PeerClosed(code) => {
                let answer = if code == CLOSE_NONE { CLOSE_NORMAL } else { code };
                self.part(now, answer, Down::PeerClosed { code })
            }
            Pumped::Violated(violation) => self.part(now, violation.close_code(), Down::Violation(violation)),
            Pumped::Lost(reason) => {
                let reason = up.write_failed.unwrap_or(reason);
                self.down(now, reason)
            }
        }
    }

    pub(super) fn step_closing(&mut self, now: Nanos) -> Step {
        let State::Closing { channel, deadline, reason } = &mut self.state else { return Step::Idle };
        let reason = *reason;
        if now >= *deadline {
            channel.farewell();
            return self.down(now, reason);
        }
        // Our close frame was the last.
        let pumped = pump(channel, &mut self.inbox, |_| {}, |_| {});
        // When writing fails, reading ends soon, and the deadline is there anyway.
        let _ = flush(channel, &mut self.outbox);
        match pumped {
            Pumped::Message(range) => Step::Text(range),
            Pumped::Progress => Step::Working,
            Pumped::Nothing => Step::Idle,
            Pumped::PeerClosed(_) => {
                channel.farewell();
                self.down(now, reason)
            }
            Pumped::Violated(_) | Pumped::Lost(_) => self.down(now, reason),
        }
    }

    /// Nothing to read: time for what is due.
    fn rest(&mut self, now: Nanos) -> Step {
        let State::Up(up) = &mut self.state else { return Step::Idle };
        up.busy_polls = 0;
        if let Some(reason) = up.write_failed {
            return self.down(now, reason);
        }
        if self.outbox.pool_mut().is_low() {
            // A refusal is not final: the next key asks again, and says so when there is none.
            let _ = self.outbox.pool_mut().refill();
        }
        self.timers(now).unwrap_or(Step::Idle)
    }

    fn timers(&mut self, now: Nanos) -> Option<Step> {
        let State::Up(up) = &mut self.state else { return None };
        if now >= up.rotate_at || up.channel.is_worn() {
            if let State::Up(up) = std::mem::replace(&mut self.state, State::Stopped) {
                self.begin_close(now, up, Down::Rotated);
            }
            return Some(Step::Working);
        }
        if up.pace.answer(now, &mut self.outbox) {
            up.flush(&mut self.outbox);
            return Some(Step::Working);
        }
        match up.keepalive.due(now) {
            Due::Nothing => None,
            Due::Ping(payload) => {
                // Without room the peer has not read for long; the ping counts as sent and its deadline runs.
                up.pace.ping(now);
                let _ = self.outbox.ping(&payload);
                up.flush(&mut self.outbox);
                Some(Step::Working)
            }
            Due::TimedOut => Some(self.down(now, Down::PongTimeout)),
        }
    }

    /// Sends a close frame and waits for the peer's.
    pub(super) fn begin_close(&mut self, now: Nanos, mut up: Up<D::Stream>, reason: Down) {
        // Without room the peer has not read for long; it learns of the end when the stream ends.
        let _ = self.outbox.close(CLOSE_NORMAL);
        up.flush(&mut self.outbox);
        let deadline = now + self.limits.close_timeout;
        self.state = State::Closing { channel: up.channel, deadline, reason };
    }

    /// Tells the peer with a close frame, as far as that is possible at once, and ends.
    fn part(&mut self, now: Nanos, code: u16, reason: Down) -> Step {
        if let State::Up(up) = &mut self.state {
            // Nobody is left to tell when this fails.
            let _ = self.outbox.close(code);
            up.flush(&mut self.outbox);
            up.channel.farewell();
        }
        self.down(now, reason)
    }

    pub(super) fn down(&mut self, now: Nanos, reason: Down) -> Step {
        Step::Down(self.end(now, reason))
    }

    /// Forgets the connection and decides when to dial again.
    pub(super) fn end(&mut self, now: Nanos, reason: Down) -> Down {
        let proven = match &self.state {
            State::Up(up) => now.since(up.since) >= nanos_of(self.limits.stable_after),
            State::Closing { reason, .. } => *reason == Down::Rotated,
            State::Waiting { .. }
            | State::Stopped
            | State::Dialing { .. }
            | State::Greeting { .. }
            | State::Upgrading { .. } => false,
        };
        if proven {
            self.backoff.reset();
        } else {
            self.address = (self.address + 1) % self.endpoint.addresses.len();
        }
        self.inbox.clear();
        self.outbox.clear();
        self.state = match wait_after(reason) {
            After::Never => State::Stopped,
            After::Drop => State::Waiting { until: now + self.backoff.after_drop() },
            After::Told(least) => State::Waiting { until: now + self.backoff.after_failure().max(least) },
            After::Failure => {
                let least = self.refused();
                State::Waiting { until: now + self.backoff.after_failure().max(least) }
            }
        };
        reason
    }
}

impl<D: Dialer> Connection<D> {
    /// Counts an attempt that failed: other addresses are asked for now and then, and whoever is refused for minutes
    /// comes back more rarely. Answers how long to wait at least.
    fn refused(&mut self) -> Duration {
        self.refusals = self.refusals.saturating_add(1);
        if let Some(renewal) = &self.endpoint.renewal
            && self.refusals.is_multiple_of(FAILURES_BEFORE_LOOKUP)
        {
            renewal.want();
        }
        if self.refusals < SIEGE_AFTER {
            return Duration::ZERO;
        }
        SIEGE_PAUSE.mul_f64(1.0 + 0.5 * self.rng.f64())
    }
}

impl<S: Read + Write> Up<S> {
    /// Writes what can be written. A failure is kept: what the peer said before it is still read.
    pub(super) fn flush(&mut self, outbox: &mut Outbox) {
        if self.write_failed.is_none() {
            self.write_failed = flush(&mut self.channel, outbox).err();
        }
    }
}

/// What pumping came to.
enum Pumped {
    Message(Range<usize>),
    Progress,
    Nothing,
    PeerClosed(u16),
    Violated(Violation),
    Lost(Down),
}

/// Decodes what was received, else reads once and decodes that: until a message, or a bounded number of control frames.
fn pump<S: Read + Write>(
    channel: &mut Channel<S>,
    inbox: &mut Inbox,
    mut on_ping: impl FnMut(&[u8]),
    mut on_pong: impl FnMut(&[u8]),
) -> Pumped {
    let mut has_read = false;
    for _ in 0..CONTROL_FRAMES_PER_POLL_MAX {
        match inbox.decode() {
            Ok(Some(Incoming::Message(range))) => return Pumped::Message(range),
            Ok(Some(Incoming::Ping(range))) => on_ping(inbox.bytes(range)),
            Ok(Some(Incoming::Pong(range))) => on_pong(inbox.bytes(range)),
            Ok(Some(Incoming::Close(code))) => return Pumped::PeerClosed(code),
            Err(violation) => return Pumped::Violated(violation),
            Ok(None) if has_read => return Pumped::Progress,
            Ok(None) => {
                has_read = true;
                match channel.read(inbox.room()) {
                    Ok(Got::Bytes(len)) => inbox.received(len),
                    Ok(Got::Progress) => return Pumped::Progress,
                    Ok(Got::Nothing) => return Pumped::Nothing,
                    Ok(Got::End) => return Pumped::Lost(Down::Ended),
                    Err(reason) => return Pumped::Lost(reason),
                }
            }
        }
    }
    Pumped::Progress
}

/// Hands the outbox to the channel as far as it takes it.
pub(super) fn flush<S: Read + Write>(channel: &mut Channel<S>, outbox: &mut Outbox) -> Result<(), Down> {
    // Ends: every round hands something on or returns.
    while !outbox.is_empty() {
        match channel.write(outbox.pending())? {
            0 => break,
            len => outbox.wrote(len),
        }
    }
    channel.flush()
}

/// When to dial again.
enum After {
    Never,
    /// We dropped it ourselves.
    Drop,
    /// It was refused by somebody who is there and says how long to wait at least.
    Told(Duration),
    /// It failed.
    Failure,
}

fn wait_after(reason: Down) -> After {
    match reason {
        Down::Closed => After::Never,
        Down::Rotated | Down::Asked => After::Drop,
        Down::Refused { retry_after: Some(seconds), .. } => {
            After::Told(Duration::from_secs(u64::from(seconds)).min(RETRY_AFTER_MAX))
        }
        Down::Refused { retry_after: None, .. }
        | Down::Connect(_)
        | Down::ConnectTimeout
        | Down::Tls(_)
        | Down::HandshakeTimeout
        | Down::Upgrade(_)
        | Down::PeerClosed { .. }
        | Down::Ended
        | Down::Read(_)
        | Down::Write(_)
        | Down::Violation(_)
        | Down::PongTimeout
        | Down::Entropy
        | Down::PutOff => After::Failure,
    }
}

/// Attempts in a row, none of which came up, after which the exchange counts as gone: two to three minutes.
const SIEGE_AFTER: u32 = 30;
/// Wait between attempts from then on; half as much again is drawn on top.
const SIEGE_PAUSE: Duration = Duration::from_secs(13);
/// Control frames handled in one poll.
const CONTROL_FRAMES_PER_POLL_MAX: u32 = 64;
/// Timers are looked at when there is nothing to read, and after so many polls in a row in which there was.
const BUSY_POLLS_MAX: u32 = 10_000;
/// Longest `Retry-After` that is believed: the longest ban that Binance gives.
const RETRY_AFTER_MAX: Duration = Duration::from_secs(3 * 24 * 3600);

#[cfg(test)]
mod tests {
    use super::super::Event;
    use super::super::keepalive::Keepalive;
    use super::super::pace::Pace;
    use super::*;
    use crate::endpoint::Endpoint;
    use crate::limits::Limits;
    use crate::transport::memory::{MemoryDialer, PipeOptions};

    #[test]
    fn a_connection_whose_key_is_worn_is_replaced_in_order() {
        let addresses = vec!["127.0.0.1:9001".parse().unwrap()];
        let endpoint = Endpoint {
            host: "localhost".to_owned(),
            port: 9001,
            addresses,
            path: "/".to_owned(),
            tls: None,
            renewal: None,
        };
        let (limits, now) = (Limits::orders(), Nanos(1));
        let dialer = MemoryDialer::new(PipeOptions::default());
        let channel = Channel::worn(dialer.clone().dial(endpoint.addresses[0]).unwrap());
        let mut connection = Connection::new(endpoint, dialer.clone(), limits.clone(), 1);
        let keepalive = Keepalive::new(now, limits.ping_interval, limits.pong_timeout);
        let pace = Pace::new(limits.messages_per_second);
        let rotate_at = now + limits.lifetime;
        connection.state =
            State::Up(Up { channel, keepalive, pace, since: now, rotate_at, busy_polls: 0, write_failed: None });
        assert_eq!(connection.poll(now), Event::Working);
        assert!(dialer.accept().unwrap().1.waiting() > 0, "the peer is told with a close frame");
        assert_eq!(connection.poll(now + limits.close_timeout), Event::Down(Down::Rotated));
    }
}
