//! One WebSocket connection as a state machine: dial, TLS, upgrade, up, close, and again.
//!
//! `poll(now)` does a bounded piece of work and says what happened; call it until it says `Idle`. Messages are handed
//! out in place. Pings are answered inside; our own pings find half-open connections. What is lost with a connection is
//! lost: nothing is sent twice, and whether the last thing sent arrived is for the caller to find out.
//! Never blocks, never reads a clock, never allocates while it is up (rustls does, per record, where it keeps the
//! records: TLS 1.2 and ChaCha20). One thread.

mod flow;
mod keepalive;
mod opening;
mod pace;

use std::ops::Range;

use optiflow_base::clock::Nanos;

use crate::backoff::Backoff;
use crate::channel::Channel;
use crate::down::Down;
use crate::endpoint::Endpoint;
use crate::error::SendError;
use crate::frame::decode::Inbox;
use crate::frame::encode::Outbox;
use crate::limits::Limits;
use crate::transport::Dialer;
use crate::upgrade::Upgrade;
use keepalive::Keepalive;
use pace::Pace;

/// A connection that keeps itself alive.
pub struct Connection<D: Dialer> {
    endpoint: Endpoint,
    dialer: D,
    limits: Limits,
    rng: fastrand::Rng,
    backoff: Backoff,
    /// Which of the endpoint's addresses is dialled next.
    address: usize,
    /// Which list of addresses the endpoint has.
    addresses_version: u64,
    /// Attempts in a row that did not come up.
    refusals: u32,
    state: State<D::Stream>,
    inbox: Inbox,
    outbox: Outbox,
    /// The next attempt waits for the other connections of the process, which was told.
    is_put_off: bool,
    /// Told by the next `poll`, before anything else.
    notice: Option<Down>,
}

/// What a `poll` came to.
#[derive(Debug, PartialEq, Eq)]
pub enum Event<'a> {
    /// Nothing to do now.
    Idle,
    /// Something was done; poll again.
    Working,
    /// Messages flow from now on.
    Up,
    /// The connection, or the attempt to make one, ended; another attempt follows by itself unless `close` was called.
    /// Comes once for every attempt, also for those that never were `Up`, and once when the next one is put off.
    Down(Down),
    /// A message, text or binary, to be parsed in place; text is UTF-8. Valid until the next call. May also come after
    /// `close`, as long as the peer has not closed too.
    Text(&'a mut [u8]),
}

enum State<S> {
    /// Down until it is time to dial.
    Waiting { until: Nanos },
    /// Down for good: closed.
    Stopped,
    /// TCP connects.
    Dialing { stream: S, deadline: Nanos },
    /// TLS shakes hands.
    Greeting { channel: Channel<S>, deadline: Nanos },
    /// HTTP upgrades.
    Upgrading { channel: Channel<S>, deadline: Nanos, upgrade: Upgrade },
    /// Messages flow.
    Up(Up<S>),
    /// Our close frame is out; waits for the peer's.
    Closing { channel: Channel<S>, deadline: Nanos, reason: Down },
}

struct Up<S> {
    channel: Channel<S>,
    keepalive: Keepalive,
    pace: Pace,
    since: Nanos,
    rotate_at: Nanos,
    /// Polls since reading last found nothing.
    busy_polls: u32,
    /// Writing failed; what the peer said before is still read.
    write_failed: Option<Down>,
}

/// An [`Event`] before it borrows.
enum Step {
    Idle,
    Working,
    Up,
    Down(Down),
    Text(Range<usize>),
}

impl<D: Dialer> Connection<D> {
    /// A connection that dials at the first `poll`. The seed decides the jitter of waits and of the lifetime.
    pub fn new(endpoint: Endpoint, dialer: D, limits: Limits, seed: u64) -> Connection<D> {
        limits.assert_sane();
        assert!(!endpoint.addresses.is_empty(), "an endpoint has an address");
        let mut rng = fastrand::Rng::with_seed(seed);
        let backoff = Backoff::new(limits.backoff_base, limits.backoff_cap, rng.fork());
        let inbox = Inbox::new(limits.message_len_max);
        let outbox = Outbox::new(limits.outgoing_len_max);
        let state = State::Waiting { until: Nanos(0) };
        Connection {
            endpoint,
            dialer,
            limits,
            rng,
            backoff,
            address: 0,
            addresses_version: 0,
            refusals: 0,
            state,
            inbox,
            outbox,
            is_put_off: false,
            notice: None,
        }
    }

    /// Does what can be done at `now`; call again until it says `Idle`.
    pub fn poll(&mut self, now: Nanos) -> Event<'_> {
        match self.step(now) {
            Step::Idle => Event::Idle,
            Step::Working => Event::Working,
            Step::Up => Event::Up,
            Step::Down(reason) => Event::Down(reason),
            Step::Text(range) => Event::Text(self.inbox.bytes_mut(range)),
        }
    }

    /// Queues a text message exactly once and writes what can be written at once; later polls write the rest. When
    /// writing fails the answer is still `Ok`, for part of the message may have left: `Down` follows, outcome unknown.
    ///
    /// # Errors
    /// When the connection is not up, too much is waiting, or too much was sent this second: nothing was queued.
    pub fn send_text(&mut self, now: Nanos, payload: &[u8]) -> Result<(), SendError> {
        let State::Up(up) = &mut self.state else { return Err(SendError::NotUp) };
        if up.write_failed.is_some() {
            return Err(SendError::NotUp);
        }
        if self.limits.texts_count && !up.pace.admits_text(now) {
            return Err(SendError::Full);
        }
        self.outbox.text(payload).map_err(|_| SendError::Full)?;
        up.flush(&mut self.outbox);
        Ok(())
    }

    /// The path that the next connect asks for.
    pub fn set_path(&mut self, path: &str) {
        path.clone_into(&mut self.endpoint.path);
    }

    /// Dials no earlier than `until`: the exchange has asked for silence. A connection that is up stays so.
    pub fn hold_off(&mut self, until: Nanos) {
        if let State::Waiting { until: wait } = &mut self.state {
            *wait = (*wait).max(until);
        }
    }

    /// Drops the connection and dials again at once; the next `poll` says `Down`. Whoever calls this again before the
    /// new connection has proven itself waits like after a failure: a nervous watchdog must not storm the exchange.
    pub fn reconnect(&mut self, now: Nanos) {
        match &self.state {
            State::Waiting { .. } => {}
            State::Stopped => self.state = State::Waiting { until: now },
            State::Dialing { .. }
            | State::Greeting { .. }
            | State::Upgrading { .. }
            | State::Up(_)
            | State::Closing { .. } => {
                let reason = self.end(now, Down::Asked);
                self.notice = Some(reason);
            }
        }
    }

    /// Closes in order: a close frame, the peer's answer or a time-out, then it stays down; `poll` says `Down(Closed)`.
    pub fn close(&mut self, now: Nanos) {
        match std::mem::replace(&mut self.state, State::Stopped) {
            State::Up(up) => self.begin_close(now, up, Down::Closed),
            State::Closing { channel, deadline, .. } => {
                self.state = State::Closing { channel, deadline, reason: Down::Closed };
            }
            State::Stopped => {}
            State::Waiting { .. } | State::Dialing { .. } | State::Greeting { .. } | State::Upgrading { .. } => {
                self.notice = Some(self.end(now, Down::Closed));
            }
        }
    }

    /// Can messages be sent?
    pub fn is_up(&self) -> bool {
        matches!(&self.state, State::Up(up) if up.write_failed.is_none())
    }

    fn step(&mut self, now: Nanos) -> Step {
        if let Some(reason) = self.notice.take() {
            return Step::Down(reason);
        }
        match &mut self.state {
            State::Up(_) => self.step_up(now),
            State::Waiting { until } if now < *until => Step::Idle,
            State::Stopped => Step::Idle,
            State::Waiting { .. } => self.dial(now),
            State::Dialing { .. } => self.step_dialing(now),
            State::Greeting { .. } => self.step_greeting(now),
            State::Upgrading { .. } => self.step_upgrading(now),
            State::Closing { .. } => self.step_closing(now),
        }
    }
}
