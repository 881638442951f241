//! Connections, what each of them listens to, and the frames on their way to them.
//!
//! What it does: the subscribe protocol, the rules of a connection (streams, messages a second, pings, lifetime), and
//! delivery: a message is written once per stream and shared by all who listen.
//! What it never does: it knows no market and no account; they publish into it.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use optiflow_base::clock::Nanos;
use serde_json::Value;

use super::protocol::{self, Command, RequestId};
use super::route::{Opening, Wanted};
use super::topic::{Route, Topic};
use crate::binance::{ConnId, Outgoing};
use crate::words::Listing;

/// The connections and their subscriptions.
#[derive(Debug)]
pub struct Hub {
    listings: Vec<Listing>,
    connections: BTreeMap<ConnId, Connection>,
    market: BTreeMap<Topic, Vec<Listener>>,
    user: BTreeMap<Arc<str>, Vec<Listener>>,
    outgoing: VecDeque<(ConnId, Outgoing)>,
    /// Connections that were closed because they sent too much.
    flooded: u64,
}

#[derive(Debug)]
struct Connection {
    route: Route,
    combined: bool,
    names: Vec<Arc<str>>,
    allowance: Allowance,
    ends: Nanos,
    next_ping: Nanos,
    /// The last ping, and when the oldest one that was not answered was sent.
    ping: Vec<u8>,
    unanswered: Option<Nanos>,
}

#[derive(Debug)]
struct Listener {
    connection: ConnId,
    name: Arc<str>,
    /// What a message of this stream begins with on a combined connection.
    head: Arc<str>,
    /// User data only: these events; empty for all.
    events: Vec<String>,
}

impl Hub {
    /// No connection yet.
    pub fn new(listings: &[Listing]) -> Hub {
        Hub {
            listings: listings.to_vec(),
            connections: BTreeMap::new(),
            market: BTreeMap::new(),
            user: BTreeMap::new(),
            outgoing: VecDeque::new(),
            flooded: 0,
        }
    }

    /// A connection opens. The error is an HTTP status.
    pub fn open(&mut self, now: Nanos, id: ConnId, path_and_query: &str) -> Result<(), u16> {
        let opening = Opening::parse(path_and_query).ok_or(404u16)?;
        if opening.wanted.len() > STREAMS_MAX {
            return Err(400);
        }
        let connection = Connection {
            route: opening.route,
            combined: opening.combined,
            names: Vec::new(),
            allowance: Allowance::full(now),
            ends: now + LIFETIME,
            next_ping: now + PING_INTERVAL,
            ping: Vec::new(),
            unanswered: None,
        };
        let replaced = self.connections.insert(id, connection);
        assert!(replaced.is_none(), "connection ids are never used twice");
        for wanted in opening.wanted {
            self.subscribe(id, wanted);
        }
        Ok(())
    }

    /// A text frame arrived.
    pub fn text(&mut self, now: Nanos, id: ConnId, text: &str) {
        if !self.admit(now, id) {
            return;
        }
        match protocol::read(text) {
            Err(refusal) => self.send(id, Outgoing::Text(refusal.into())),
            Ok((request, command)) => self.perform(id, &request, command),
        }
    }

    /// A pong frame arrived. Only one that copies the ping is an answer.
    pub fn pong(&mut self, now: Nanos, id: ConnId, payload: &[u8]) {
        if self.admit(now, id)
            && let Some(connection) = self.connections.get_mut(&id)
            && connection.ping == payload
        {
            connection.unanswered = None;
        }
    }

    /// A ping frame arrived: it counts like any other message.
    pub fn ping(&mut self, now: Nanos, id: ConnId) {
        self.admit(now, id);
    }

    /// How many connections were closed because they sent too much.
    pub const fn flooded(&self) -> u64 {
        self.flooded
    }

    /// The connection is gone.
    pub fn closed(&mut self, id: ConnId) {
        let Some(connection) = self.connections.remove(&id) else { return };
        for name in &connection.names {
            self.forget(id, name);
        }
    }

    /// Sends pings that are due; ends connections that are too old or do not answer.
    pub fn advance(&mut self, now: Nanos) {
        let mut ended = Vec::new();
        for (&id, connection) in &mut self.connections {
            if now >= connection.ends {
                ended.push((id, 1001, "The connection has reached its maximum lifetime"));
            } else if connection.unanswered.is_some_and(|since| now >= since + PONG_TIMEOUT) {
                ended.push((id, 1008, "Pong timeout"));
            } else if now >= connection.next_ping {
                connection.next_ping = now + PING_INTERVAL;
                connection.unanswered.get_or_insert(now);
                connection.ping = now.millis().to_string().into_bytes();
                self.outgoing.push_back((id, Outgoing::Ping(connection.ping.clone())));
            }
        }
        for (id, code, reason) in ended {
            self.close(id, code, reason);
        }
    }

    /// When `advance` has something to do.
    pub fn next_due(&self) -> Option<Nanos> {
        let due = |connection: &Connection| {
            let timeout = connection.unanswered.map_or(connection.ends, |since| since + PONG_TIMEOUT);
            connection.ends.min(connection.next_ping).min(timeout)
        };
        self.connections.values().map(due).min()
    }

    /// Does anybody listen?
    pub fn is_wanted(&self, topic: Topic) -> bool {
        self.market.contains_key(&topic)
    }

    /// Sends a market message to all who listen.
    pub fn publish(&mut self, topic: Topic, message: &str) {
        let Some(listeners) = self.market.get(&topic) else { return };
        let mut shared = Shared::new(message);
        for listener in listeners {
            let frame = shared.frame(&self.connections, listener);
            enqueue(&mut self.outgoing, listener.connection, frame);
        }
        self.drop_slow();
    }

    /// Sends a user data event to all who listen with `listen_key` and want events of its kind.
    pub fn publish_user(&mut self, listen_key: &str, event: &str, message: &str) {
        let Some(listeners) = self.user.get(listen_key) else { return };
        let mut shared = Shared::new(message);
        for listener in listeners {
            if listener.events.is_empty() || listener.events.iter().any(|wanted| wanted == event) {
                let frame = shared.frame(&self.connections, listener);
                enqueue(&mut self.outgoing, listener.connection, frame);
            }
        }
        self.drop_slow();
    }

    /// The next frame to write, oldest first. The driver takes all of them after every call.
    pub fn take_outgoing(&mut self) -> Option<(ConnId, Outgoing)> {
        self.outgoing.pop_front()
    }

    /// Spends one message of the connection's allowance; closes it when there is none.
    fn admit(&mut self, now: Nanos, id: ConnId) -> bool {
        let Some(connection) = self.connections.get_mut(&id) else { return false };
        let admitted = connection.allowance.spend(now);
        if !admitted {
            self.flooded += 1;
            self.close(id, 1008, "Too many requests");
        }
        admitted
    }

    fn perform(&mut self, id: ConnId, request: &RequestId, command: Command) {
        let result = match command {
            Command::Subscribe(names) => {
                for name in names {
                    if !self.subscribe(id, Wanted { name, events: Vec::new() }) {
                        let refusal = protocol::refusal(Some(request), 4, "Too many subscriptions");
                        self.send(id, Outgoing::Text(refusal.into()));
                        return self.close(id, 1008, "Invalid request");
                    }
                }
                Value::Null
            }
            Command::Unsubscribe(names) => {
                for name in names {
                    self.unsubscribe(id, &name);
                }
                Value::Null
            }
            Command::List => {
                let names = self.connections.get(&id).map(|connection| connection.names.as_slice()).unwrap_or_default();
                names.iter().map(|name| Value::from(&**name)).collect()
            }
            Command::SetCombined(combined) => {
                if let Some(connection) = self.connections.get_mut(&id) {
                    connection.combined = combined;
                }
                Value::Null
            }
            Command::GetCombined => {
                Value::from(self.connections.get(&id).is_some_and(|connection| connection.combined))
            }
        };
        self.send(id, Outgoing::Text(protocol::answer(request, &result).into()));
    }

    /// Notes the stream; delivers it too when the route carries it. False when the connection has too many.
    fn subscribe(&mut self, id: ConnId, wanted: Wanted) -> bool {
        let Some(connection) = self.connections.get_mut(&id) else { return true };
        if connection.names.iter().any(|name| **name == wanted.name) {
            return true;
        }
        if connection.names.len() == STREAMS_MAX {
            return false;
        }
        let name: Arc<str> = wanted.name.into();
        connection.names.push(name.clone());
        let head = format!(r#"{{"stream":{},"data":"#, Value::from(&*name)).into();
        let listener = Listener { connection: id, name: name.clone(), head, events: wanted.events };
        match Topic::parse(&name, &self.listings) {
            Some(topic) if connection.route.carries(topic) => self.market.entry(topic).or_default().push(listener),
            Some(_) => {}
            None if connection.route.carries_user_data() => self.user.entry(name).or_default().push(listener),
            None => {}
        }
        true
    }

    fn unsubscribe(&mut self, id: ConnId, name: &str) {
        if let Some(connection) = self.connections.get_mut(&id) {
            connection.names.retain(|known| **known != *name);
        }
        self.forget(id, name);
    }

    fn forget(&mut self, id: ConnId, name: &str) {
        let stays = |listener: &Listener| listener.connection != id || *listener.name != *name;
        if let Some(topic) = Topic::parse(name, &self.listings)
            && let Some(listeners) = self.market.get_mut(&topic)
        {
            listeners.retain(stays);
            if listeners.is_empty() {
                self.market.remove(&topic);
            }
        }
        if let Some(listeners) = self.user.get_mut(name) {
            listeners.retain(stays);
            if listeners.is_empty() {
                self.user.remove(name);
            }
        }
    }

    fn close(&mut self, id: ConnId, code: u16, reason: &str) {
        self.closed(id);
        self.outgoing.push_back((id, Outgoing::Close { code, reason: reason.to_owned() }));
    }

    fn send(&mut self, id: ConnId, frame: Outgoing) {
        self.outgoing.push_back((id, frame));
    }

    /// A driver that does not take its frames loses its connections, not the process its memory.
    fn drop_slow(&mut self) {
        if self.outgoing.len() < OUTGOING_MAX {
            return;
        }
        let waiting: Vec<ConnId> = self.connections.keys().copied().collect();
        self.outgoing.clear();
        for id in waiting {
            self.close(id, 1008, "Slow consumer");
        }
    }
}

fn enqueue(outgoing: &mut VecDeque<(ConnId, Outgoing)>, id: ConnId, frame: Arc<str>) {
    outgoing.push_back((id, Outgoing::Text(frame)));
}

/// A message in the forms that were asked for so far, each written once.
struct Shared<'a> {
    message: &'a str,
    raw: Option<Arc<str>>,
    wrapped: Option<(Arc<str>, Arc<str>)>,
}

impl<'a> Shared<'a> {
    const fn new(message: &'a str) -> Shared<'a> {
        Shared { message, raw: None, wrapped: None }
    }

    fn frame(&mut self, connections: &BTreeMap<ConnId, Connection>, listener: &Listener) -> Arc<str> {
        let combined = connections.get(&listener.connection).is_some_and(|connection| connection.combined);
        if !combined {
            return self.raw.get_or_insert_with(|| self.message.into()).clone();
        }
        // Two names may stand for one topic; the wrapper carries the name as it was asked for.
        if let Some((name, frame)) = &self.wrapped
            && *name == listener.name
        {
            return frame.clone();
        }
        let frame: Arc<str> = [&*listener.head, self.message, "}"].concat().into();
        self.wrapped = Some((listener.name.clone(), frame.clone()));
        frame
    }
}

/// Messages a connection may send: a bucket that refills steadily.
#[derive(Debug)]
struct Allowance {
    tokens: u64,
    refilled: Nanos,
}

impl Allowance {
    const fn full(now: Nanos) -> Allowance {
        Allowance { tokens: MESSAGES_BURST, refilled: now }
    }

    fn spend(&mut self, now: Nanos) -> bool {
        let earned = now.since(self.refilled) / MESSAGE_INTERVAL_NS;
        if earned > 0 {
            self.tokens = (self.tokens + earned).min(MESSAGES_BURST);
            self.refilled = self.refilled + Duration::from_nanos(earned.saturating_mul(MESSAGE_INTERVAL_NS));
        }
        let allowed = self.tokens > 0;
        self.tokens = self.tokens.saturating_sub(1);
        allowed
    }
}

/// Streams per connection.
const STREAMS_MAX: usize = 1_024;
/// Messages answered back to back, as measured.
const MESSAGES_BURST: u64 = 15;
/// Ten messages a second, as documented.
const MESSAGE_INTERVAL_NS: u64 = 100_000_000;
const PING_INTERVAL: Duration = Duration::from_secs(3 * 60);
const PONG_TIMEOUT: Duration = Duration::from_secs(10 * 60);
const LIFETIME: Duration = Duration::from_secs(24 * 60 * 60);
/// Frames that wait for the driver; it takes them after every call, so this is far more than it ever sees.
const OUTGOING_MAX: usize = 1_000_000;

#[cfg(test)]
#[path = "hub_tests.rs"]
mod tests;
