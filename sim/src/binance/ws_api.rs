//! The WebSocket API: the same endpoints as REST, asked for by frames, on connections that may log on.
//!
//! What it does: keeps the connections (pings every three minutes, a day at most) and serves their frames one by one.
//! What it never does: a frame that cannot be understood changes nothing but its sender's weight.
//! Which thread: whoever drives the exchange.

use std::collections::{BTreeMap, VecDeque};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use optiflow_base::clock::Nanos;

use super::exchange::House;
use super::faults::{Asked, Lie, dribble};
use super::limits::Counter;
use super::params::Params;
use super::{ConnId, Outgoing};

mod frame;
mod methods;

/// The connections of the WebSocket API.
#[derive(Debug, Default)]
pub struct Sessions {
    sessions: BTreeMap<ConnId, Session>,
    outgoing: VecDeque<(ConnId, Outgoing)>,
    /// Connections that were closed because they sent too many pings and pongs.
    flooded: u64,
}

/// One connection.
#[derive(Debug)]
struct Session {
    peer: IpAddr,
    opened: Nanos,
    /// Answers carry `rateLimits`, unless the address asked for none.
    shows_limits: bool,
    logon: Option<Logon>,
    next_ping: Nanos,
    /// The last ping, and when the oldest one that was not answered was sent.
    ping: Vec<u8>,
    unanswered: Option<Nanos>,
    /// Pings and pongs in this second.
    controls: Counter,
}

/// Who logged on, and when.
#[derive(Clone, Debug)]
struct Logon {
    api_key: String,
    since: Nanos,
}

impl Sessions {
    /// A connection opens; its handshake is paid.
    pub fn open(&mut self, now: Nanos, conn: ConnId, query: &str, peer: IpAddr) {
        let params = Params::from_form(query, "").unwrap_or_default();
        let session = Session {
            peer,
            opened: now,
            shows_limits: methods::shows_limits(&params),
            logon: None,
            next_ping: now + PING_INTERVAL,
            ping: Vec::new(),
            unanswered: None,
            controls: Counter::default(),
        };
        let replaced = self.sessions.insert(conn, session);
        assert!(replaced.is_none(), "connection ids are never used twice");
    }

    /// Is it one of ours?
    pub fn has(&self, conn: ConnId) -> bool {
        self.sessions.contains_key(&conn)
    }

    /// Serves a frame.
    pub fn text(&mut self, now: Nanos, conn: ConnId, text: &str, house: &mut House) {
        let Some(session) = self.sessions.get_mut(&conn) else { return };
        let lie = house.lie(now, session.peer, || Asked::by_frame(text));
        let answer: Arc<str> = match lie {
            Lie::Unread => "".into(),
            Lie::Refuse(words) => methods::instead(now, text, words).into(),
            Lie::Disown(words) => {
                methods::serve(now, session, text, house);
                methods::instead(now, text, words).into()
            }
            Lie::Truth | Lie::Mute | Lie::Cut | Lie::Late(_) | Lie::Slow(_) => {
                methods::serve(now, session, text, house).into()
            }
        };
        let frame = match lie {
            Lie::Truth | Lie::Refuse(_) | Lie::Disown(_) => Outgoing::Text(answer),
            Lie::Mute => return,
            Lie::Late(delay) => return house.desk.liar.hold(now + delay, conn, Outgoing::Text(answer)),
            Lie::Slow(span) => dribble(answer, span),
            Lie::Unread => Outgoing::Cut { text: answer, after_bytes: 0 },
            Lie::Cut => house.desk.liar.cut_within(answer),
        };
        if matches!(frame, Outgoing::Cut { .. }) {
            self.closed(conn);
        }
        self.outgoing.push_back((conn, frame));
    }

    /// A pong arrived; one that answers no ping counts for nothing.
    pub fn pong(&mut self, now: Nanos, conn: ConnId, payload: &[u8]) {
        self.ping(now, conn);
        if let Some(session) = self.sessions.get_mut(&conn).filter(|session| session.ping == payload) {
            session.unanswered = None;
        }
    }

    /// A ping arrived, or anything that counts like one; requests have their weight instead.
    pub fn ping(&mut self, now: Nanos, conn: ConnId) {
        let Some(session) = self.sessions.get_mut(&conn) else { return };
        if session.controls.add(now, Duration::from_secs(1), 1) > CONTROLS_SECOND {
            self.flooded += 1;
            self.closed(conn);
            self.outgoing.push_back((conn, Outgoing::Close { code: 1008, reason: "Too many requests".to_owned() }));
        }
    }

    /// How many connections were closed because they sent too many pings and pongs.
    pub const fn flooded(&self) -> u64 {
        self.flooded
    }

    /// Forgets a connection that is gone; says whether it was one of ours.
    pub fn closed(&mut self, conn: ConnId) -> bool {
        self.outgoing.retain(|(to, _)| *to != conn || !self.sessions.contains_key(&conn));
        self.sessions.remove(&conn).is_some()
    }

    /// Pings whom it is time to ping, and ends connections that do not answer or are too old.
    pub fn advance(&mut self, now: Nanos) {
        let mut ended = Vec::new();
        for (conn, session) in &mut self.sessions {
            if now >= session.opened + LIFETIME {
                ended.push((*conn, 1001, "The connection has reached its maximum lifetime"));
            } else if session.unanswered.is_some_and(|since| now >= since + PONG_TIMEOUT) {
                ended.push((*conn, 1008, "Pong timeout"));
            } else if now >= session.next_ping {
                session.next_ping = now + PING_INTERVAL;
                session.ping = now.millis().to_string().into_bytes();
                session.unanswered = session.unanswered.or(Some(now));
                self.outgoing.push_back((*conn, Outgoing::Ping(session.ping.clone())));
            }
        }
        for (conn, code, reason) in ended {
            self.sessions.remove(&conn);
            self.outgoing.push_back((conn, Outgoing::Close { code, reason: reason.to_owned() }));
        }
    }

    /// When `advance` has something to do next.
    pub fn next_due(&self) -> Option<Nanos> {
        let due = |session: &Session| {
            let timeout = session.unanswered.map_or(session.opened + LIFETIME, |since| since + PONG_TIMEOUT);
            timeout.min(session.next_ping).min(session.opened + LIFETIME)
        };
        self.sessions.values().map(due).min()
    }

    /// The next frame to write.
    pub fn take_outgoing(&mut self) -> Option<(ConnId, Outgoing)> {
        self.outgoing.pop_front()
    }
}

/// How often a connection is pinged.
const PING_INTERVAL: Duration = Duration::from_secs(3 * 60);
/// How long a ping may stay without its pong.
const PONG_TIMEOUT: Duration = Duration::from_secs(10 * 60);
/// Pings and pongs that a connection may send in a second.
const CONTROLS_SECOND: u32 = 5;
/// How long a connection may last.
const LIFETIME: Duration = Duration::from_secs(24 * 60 * 60);

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;

    fn log(sessions: &mut Sessions) -> Vec<String> {
        std::iter::from_fn(|| sessions.take_outgoing())
            .map(|(conn, outgoing)| match outgoing {
                Outgoing::Text(text) => format!("{} {text}", conn.0),
                Outgoing::Ping(payload) => format!("{} ping {}", conn.0, String::from_utf8(payload).unwrap()),
                Outgoing::Close { code, reason } => format!("{} close {code} {reason}", conn.0),
                Outgoing::Cut { .. } | Outgoing::Dribble { .. } => panic!("only the liar does that"),
            })
            .collect()
    }

    #[test]
    fn who_does_not_answer_pings_is_disconnected_and_everybody_after_a_day() {
        let mut sessions = Sessions::default();
        let minute = |minutes: u64| Nanos::from_millis(minutes * 60_000);
        let peer = IpAddr::V4(Ipv4Addr::LOCALHOST);
        sessions.open(minute(0), ConnId(1), "", peer);
        sessions.open(minute(0), ConnId(2), "", peer);
        assert_eq!(sessions.next_due(), Some(minute(3)));
        sessions.advance(minute(3));
        assert_eq!(log(&mut sessions), ["1 ping 180000", "2 ping 180000"]);
        sessions.pong(minute(3), ConnId(1), b"180000");
        sessions.pong(minute(3), ConnId(2), b"something else");
        for minutes in [6, 9, 12] {
            sessions.advance(minute(minutes));
            sessions.pong(minute(minutes), ConnId(1), (minutes * 60_000).to_string().as_bytes());
        }
        log(&mut sessions);
        assert_eq!(sessions.next_due(), Some(minute(13)));
        sessions.advance(minute(13));
        assert_eq!(log(&mut sessions), ["2 close 1008 Pong timeout"]);
        assert!(!sessions.has(ConnId(2)));
        sessions.advance(minute(24 * 60));
        assert_eq!(log(&mut sessions), ["1 close 1001 The connection has reached its maximum lifetime"]);
        assert_eq!(sessions.next_due(), None);
    }
}
