//! Frames on their way out: lost, doubled, late, out of order, cut or dribbling.

use std::sync::Arc;
use std::time::Duration;

use optiflow_base::clock::Nanos;

use super::kinds::Fault;
use super::liar::Liar;
use crate::binance::{ConnId, Outgoing};

/// What a frame tells, as far as the liar cares.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// ORDER_TRADE_UPDATE
    Order,
    /// ACCOUNT_UPDATE
    Account,
    /// TRADE_LITE
    TradeLite,
    /// Any other event of the account.
    User,
    /// depthUpdate
    Depth,
    /// Any other market event.
    Market,
    /// An answer.
    Answer,
}

impl Liar {
    /// A held frame whose time has come.
    pub fn release(&mut self, now: Nanos) -> Option<(ConnId, Outgoing)> {
        let (at, _) = *self.held.keys().next()?;
        if at > now {
            return None;
        }
        self.held.pop_first().map(|(_, frame)| frame)
    }

    /// A frame that is about to leave: as it is or in another way; nothing when it is lost or leaves later.
    pub fn pass(&mut self, now: Nanos, conn: ConnId, frame: Outgoing) -> Option<Outgoing> {
        if self.cut.contains(&conn) {
            return None;
        }
        let text = match frame {
            Outgoing::Text(text) => text,
            Outgoing::Cut { .. } => {
                self.cut_off(conn);
                return Some(frame);
            }
            Outgoing::Close { .. } => {
                self.forget(conn);
                return Some(frame);
            }
            Outgoing::Ping(_) | Outgoing::Dribble { .. } => return Some(frame),
        };
        let kind = Kind::of(&text);
        if kind == Kind::Answer {
            return Some(Outgoing::Text(text));
        }
        if self.is_unheard(now, conn, kind) {
            return None;
        }
        if self.strikes(now, Fault::CutStream).is_some() {
            self.cut_off(conn);
            return Some(self.cut_within(text));
        }
        self.repeat(now, conn, kind, &text);
        if let Some(due) = self.late(now, conn, kind) {
            self.hold(due, conn, Outgoing::Text(text));
            return None;
        }
        Some(match self.strikes(now, Fault::SlowStream) {
            Some(span) => dribble(text, span),
            None => Outgoing::Text(text),
        })
    }

    /// Keeps a frame until `due`.
    pub fn hold(&mut self, due: Nanos, conn: ConnId, frame: Outgoing) {
        if self.held.len() < HELD_MAX {
            self.held_count += 1;
            self.held.insert((due, self.held_count), (conn, frame));
        }
    }

    /// The frame with the connection's end somewhere in it.
    pub fn cut_within(&mut self, text: Arc<str>) -> Outgoing {
        let after_bytes = self.random.usize(0..=text.len() + FRAME_HEAD_LEN_MAX);
        Outgoing::Cut { text, after_bytes }
    }

    /// Notes that a connection is cut: nothing more leaves on it.
    fn cut_off(&mut self, conn: ConnId) {
        self.forget(conn);
        self.cut.insert(conn);
    }

    /// Is the event lost?
    fn is_unheard(&mut self, now: Nanos, conn: ConnId, kind: Kind) -> bool {
        if self.dead.get(&conn).is_some_and(|until| now < *until) {
            return true;
        }
        let fault = if kind.is_user() { Fault::DeadUserStream } else { Fault::DeadMarketStream };
        if let Some(span) = self.strikes(now, fault) {
            self.dead.insert(conn, now + span);
            return true;
        }
        kind == Kind::Depth && self.strikes(now, Fault::DepthGap).is_some()
    }

    /// Will it come again?
    fn repeat(&mut self, now: Nanos, conn: ConnId, kind: Kind, text: &Arc<str>) {
        let fault = match kind {
            Kind::Depth => Fault::DuplicateDepth,
            Kind::Order | Kind::Account | Kind::TradeLite | Kind::User => Fault::DuplicateUserEvent,
            Kind::Market | Kind::Answer => return,
        };
        if let Some(span) = self.strikes(now, fault) {
            let due = now + self.some_of(span);
            self.hold(due, conn, Outgoing::Text(text.clone()));
        }
    }

    /// When it leaves, if not now.
    fn late(&mut self, now: Nanos, conn: ConnId, kind: Kind) -> Option<Nanos> {
        let fault = match kind {
            Kind::Order => Some(Fault::LateOrderUpdate),
            Kind::Account => Some(Fault::LateAccountUpdate),
            Kind::TradeLite => Some(Fault::LateTradeLite),
            Kind::User => None,
            Kind::Depth | Kind::Market | Kind::Answer => return None,
        };
        if let Some(span) = self.strikes(now, Fault::ReorderedUserEvent) {
            return Some(now + self.some_of(span));
        }
        let before = self.waits.get(&(conn, kind)).copied().filter(|before| *before > now);
        let struck = fault.and_then(|fault| self.strikes(now, fault));
        let due = match (before, struck) {
            (None, None) => return None,
            (before, Some(span)) => (now + self.some_of(span)).max(before.unwrap_or(now)),
            (Some(before), None) => before,
        };
        self.waits.insert((conn, kind), due);
        Some(due)
    }
}

impl Kind {
    /// What a text frame tells.
    pub fn of(text: &str) -> Kind {
        let Some((_, rest)) = text.split_once(EVENT_KEY) else { return Kind::Answer };
        match rest.split('"').next().unwrap_or_default() {
            "ORDER_TRADE_UPDATE" => Kind::Order,
            "ACCOUNT_UPDATE" => Kind::Account,
            "TRADE_LITE" => Kind::TradeLite,
            "ALGO_UPDATE" | "ACCOUNT_CONFIG_UPDATE" | "MARGIN_CALL" | "listenKeyExpired" => Kind::User,
            "depthUpdate" => Kind::Depth,
            _ => Kind::Market,
        }
    }

    const fn is_user(self) -> bool {
        matches!(self, Kind::Order | Kind::Account | Kind::TradeLite | Kind::User)
    }
}

/// The frame byte by byte over the span.
pub fn dribble(text: Arc<str>, span: Duration) -> Outgoing {
    let pause = span / u32::try_from(text.len()).unwrap_or(u32::MAX).max(1);
    Outgoing::Dribble { text, pause }
}

/// How an event begins to say what it is.
const EVENT_KEY: &str = "\"e\":\"";
/// The longest head that a server's frame has.
const FRAME_HEAD_LEN_MAX: usize = 10;
/// Frames that are held at a time; a client that is told of so many at once has lost some.
const HELD_MAX: usize = 100_000;
