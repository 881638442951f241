//! From down to up: dial, shake hands, upgrade. Cold: allocation is allowed here.

use std::io::{Read, Write};

use optiflow_base::clock::Nanos;

use super::flow::flush;
use super::pace::Pace;
use super::{Connection, State, Step, Up};
use crate::channel::{Channel, Got};
use crate::connection::keepalive::Keepalive;
use crate::down::Down;
use crate::frame::decode::Inbox;
use crate::transport::Dialer;
use crate::upgrade::Upgrade;

impl<D: Dialer> Connection<D> {
    pub(super) fn dial(&mut self, now: Nanos) -> Step {
        if let Some(renewal) = &self.endpoint.renewal
            && renewal.take(&mut self.addresses_version, &mut self.endpoint.addresses)
        {
            self.address = 0;
        }
        if let Some(step) = self.put_off(now) {
            return step;
        }
        let address = self.endpoint.addresses[self.address % self.endpoint.addresses.len()];
        if self.outbox.pool_mut().refill().is_err() {
            return self.down(now, Down::Entropy);
        }
        match self.dialer.dial(address) {
            Ok(stream) => {
                self.state = State::Dialing { stream, deadline: now + self.limits.connect_timeout };
                Step::Working
            }
            Err(error) => self.down(now, Down::Connect(error.kind())),
        }
    }

    /// Waits when the process has made too many attempts lately; says so once.
    fn put_off(&mut self, now: Nanos) -> Option<Step> {
        let attempts = self.limits.attempts.as_ref()?;
        let Err(until) = attempts.take(now, self.limits.attempts_left) else {
            self.is_put_off = false;
            return None;
        };
        self.state = State::Waiting { until };
        let was_told = std::mem::replace(&mut self.is_put_off, true);
        Some(if was_told { Step::Idle } else { Step::Down(Down::PutOff) })
    }

    pub(super) fn step_dialing(&mut self, now: Nanos) -> Step {
        let State::Dialing { stream, deadline } = &mut self.state else { return Step::Idle };
        match self.dialer.connected(stream) {
            Ok(true) => {}
            Ok(false) if now < *deadline => return Step::Idle,
            Ok(false) => return self.down(now, Down::ConnectTimeout),
            Err(error) => return self.down(now, Down::Connect(error.kind())),
        }
        let State::Dialing { stream, .. } = std::mem::replace(&mut self.state, State::Stopped) else {
            return Step::Idle;
        };
        match Channel::new(stream, self.endpoint.tls.as_ref(), &self.endpoint.host) {
            Ok(channel) => {
                self.state = State::Greeting { channel, deadline: now + self.limits.handshake_timeout };
                Step::Working
            }
            Err(reason) => self.down(now, reason),
        }
    }

    pub(super) fn step_greeting(&mut self, now: Nanos) -> Step {
        let State::Greeting { channel, deadline } = &mut self.state else { return Step::Idle };
        let deadline = *deadline;
        let wrote = channel.flush();
        if channel.is_handshaking() {
            return match receive(channel, &mut self.inbox).and_then(|got| wrote.map(|()| got)) {
                // A failed write is told after what the peer had to say.
                Err(reason) => self.down(now, reason),
                Ok(Got::End) => self.down(now, Down::Ended),
                // Also for a peer that drips bytes for ever.
                Ok(_) if now >= deadline => self.down(now, Down::HandshakeTimeout),
                Ok(Got::Nothing) => Step::Idle,
                Ok(Got::Bytes(_) | Got::Progress) => Step::Working,
            };
        }
        let State::Greeting { channel, .. } = std::mem::replace(&mut self.state, State::Stopped) else {
            return Step::Idle;
        };
        let channel = match channel.settle() {
            Ok(channel) => channel,
            Err(reason) => return self.down(now, reason),
        };
        let (upgrade, request) = Upgrade::ask(&self.endpoint);
        self.outbox.raw(&request);
        self.state = State::Upgrading { channel, deadline, upgrade };
        Step::Working
    }

    pub(super) fn step_upgrading(&mut self, now: Nanos) -> Step {
        let State::Upgrading { channel, deadline, upgrade } = &mut self.state else { return Step::Idle };
        let wrote = flush(channel, &mut self.outbox);
        let deadline = *deadline;
        let got = receive(channel, &mut self.inbox);
        let head_len = match got {
            Ok(Got::Bytes(_)) => match upgrade.judge(self.inbox.undecoded()) {
                Ok(head_len) => head_len,
                Err(reason) => return self.down(now, reason),
            },
            Ok(_) | Err(_) => None,
        };
        match (got, head_len) {
            (_, Some(head_len)) => self.come_up(now, head_len),
            (Err(reason), None) => self.down(now, reason),
            (Ok(Got::End), None) => self.down(now, Down::Ended),
            (Ok(_), None) if now >= deadline => self.down(now, Down::HandshakeTimeout),
            (Ok(Got::Nothing), None) => match wrote {
                Ok(()) => Step::Idle,
                // Told only now: an answer that refuses us says more than a failed write.
                Err(reason) => self.down(now, reason),
            },
            (Ok(Got::Bytes(_) | Got::Progress), None) => Step::Working,
        }
    }

    fn come_up(&mut self, now: Nanos, head_len: usize) -> Step {
        let State::Upgrading { channel, .. } = std::mem::replace(&mut self.state, State::Stopped) else {
            return Step::Idle;
        };
        self.inbox.skip(head_len);
        self.refusals = 0;
        let jitter = self.limits.lifetime_jitter.mul_f64(self.rng.f64());
        self.state = State::Up(Up {
            channel,
            keepalive: Keepalive::new(now, self.limits.ping_interval, self.limits.pong_timeout),
            pace: Pace::new(self.limits.messages_per_second),
            since: now,
            rotate_at: now + self.limits.lifetime + jitter,
            busy_polls: 0,
            write_failed: None,
        });
        Step::Up
    }
}

fn receive<S: Read + Write>(channel: &mut Channel<S>, inbox: &mut Inbox) -> Result<Got, Down> {
    let got = channel.read(inbox.room())?;
    if let Got::Bytes(len) = got {
        inbox.received(len);
    }
    Ok(got)
}
