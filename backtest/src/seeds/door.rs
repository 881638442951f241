//! The seam of a seeded world: watches manners, and plants a bug where one is wanted.
//!
//! One for each life of the process. Same seed, same calls, same mischief.

use std::sync::Arc;
use std::time::Duration;

use optiflow_base::clock::Nanos;
use optiflow_base::order::{OrderChange, OrderEvent, Report};
use optiflow_base::rest::{Method, RestCall, RestReply};
use optiflow_sim::binance::{ConnId, Response};

use super::bug::Bug;
use super::manners::Manners;
use crate::seam::{Passage, Seam};

/// The door between our process and the exchange.
#[derive(Debug, Default)]
pub struct Door {
    /// What was seen there.
    pub manners: Manners,
    bug: Option<Bug>,
    /// Did our process ask for anything, or was it answered, since somebody last looked here?
    pub is_astir: bool,
    /// Has the process been told to stop?
    pub is_stopping: bool,
    /// Frames that leave later or once more, and when.
    resent: Vec<(Nanos, ConnId, String)>,
    /// The first answer that was had.
    old_answer: Option<Vec<u8>>,
    /// Depth messages seen, and the `u` of the last one that was let through.
    depths: u64,
    last_u: Option<u64>,
}

impl Door {
    /// A door with a bug behind it, or an honest one.
    pub fn new(bug: Option<Bug>) -> Door {
        Door { bug, ..Door::default() }
    }

    fn has(&self, bug: Bug) -> bool {
        self.bug == Some(bug)
    }

    /// A depth message: one in many is lost, and the next is made to fit.
    fn gap(&mut self, text: &Arc<str>) -> Option<Vec<Arc<str>>> {
        let number = |key: &str| -> Option<u64> {
            text.split(key).nth(1)?.split(|c: char| !c.is_ascii_digit()).next()?.parse().ok()
        };
        let (last, previous) = (number("\"u\":")?, number("\"pu\":")?);
        self.depths += 1;
        if self.depths.is_multiple_of(GAP_EVERY) {
            return Some(Vec::new());
        }
        let before = self.last_u.replace(last);
        let patched = before.filter(|before| *before != previous)?;
        Some(vec![text.replacen(&format!("\"pu\":{previous}"), &format!("\"pu\":{patched}"), 1).into()])
    }

    fn event(&self, text: &Arc<str>) -> Option<Vec<Arc<str>>> {
        let trades = text.contains("\"x\":\"TRADE\"");
        if self.has(Bug::RepeatedFillBooked) && trades {
            // What tells one trade from another is its id: a booking that does not look at it sees two.
            let (head, rest) = text.split_once("\"t\":")?;
            let (id, tail) = rest.split_once(',')?;
            return Some(vec![text.clone(), format!("{head}\"t\":{id}9,{tail}").into()]);
        }
        if self.has(Bug::FeesForgotten) && trades {
            let (head, rest) = text.split_once("\"n\":\"")?;
            let (_, tail) = rest.split_once('"')?;
            return Some(vec![format!("{head}\"n\":\"0\"{tail}").into()]);
        }
        None
    }

    /// The first answer that was had instead of this one.
    fn instead(&mut self, body: &mut Vec<u8>) {
        match &mut self.old_answer {
            None => self.old_answer = Some(body.clone()),
            Some(old) => body.clone_from(old),
        }
    }
}

impl Seam for Door {
    fn call(&mut self, now: Nanos, call: &RestCall) -> Passage {
        self.is_astir = true;
        self.manners.asks(now, call.path);
        let cancels = call.method == Method::Delete;
        let lists = call.path == OPEN_ORDERS;
        let counts_down = call.path == COUNTDOWN;
        let Some(bug) = self.bug else { return Passage::Pass };
        if bug == Bug::PollsWithoutBudget {
            return Passage::Again(POLLS);
        }
        let answer = if self.is_stopping {
            let stops = bug == Bug::StopsOnItsWord;
            (stops && (cancels || counts_down)).then_some(DONE).or((stops && lists).then_some(NOTHING))
        } else {
            let ignored = bug == Bug::LeftoversIgnored && lists || bug == Bug::TradesNotFetched && call.path == TRADES;
            ignored.then_some(NOTHING)
        };
        let forgotten = bug == Bug::DoubtsForgotten && call.path == ORDER && call.method == Method::Get;
        let unwound = bug == Bug::CountdownNeverWound && counts_down && !self.is_stopping;
        let answer = answer.or(unwound.then_some(WOUND));
        answer.or(forgotten.then_some(b"nobody asked")).map_or(Passage::Pass, Passage::Answer)
    }

    fn answered(&mut self, response: &Response) {
        self.manners.answered(response.status, &response.body);
    }

    fn reply(&mut self, now: Nanos, reply: &mut RestReply) {
        self.is_astir = true;
        self.manners.told(now, reply);
        if self.has(Bug::BanIgnored) {
            reply.usage.blocked_until = None;
        }
        let is_good = reply.status == 200;
        if self.has(Bug::OldPositionAdopted) && is_good && reply.path == POSITIONS {
            self.instead(&mut reply.body);
        }
        if self.has(Bug::OldSnapshotTaken) && is_good && reply.path == DEPTH {
            let fresh = id_of(&reply.body);
            self.instead(&mut reply.body);
            let (old, text) = (id_of(&reply.body), String::from_utf8_lossy(&reply.body).into_owned());
            if let (Some(fresh), Some(old)) = (fresh, old) {
                reply.body = text.replacen(&old, &fresh, 1).into_bytes();
            }
        }
    }

    fn keeps_peace(&self) -> bool {
        !self.has(Bug::BanIgnored)
    }

    fn frame_in(&mut self, now: Nanos, conn: ConnId, text: &str) -> bool {
        self.is_astir = true;
        let Some(method) = text.split("\"method\":\"").nth(1).and_then(|rest| rest.split('"').next()) else {
            return true;
        };
        if !method.starts_with("order.") {
            return true;
        }
        self.manners.asks(now, method);
        if self.has(Bug::OrderResent) && method == "order.place" {
            self.resent.push((now + RESENT_AFTER, conn, text.to_owned()));
        }
        if self.has(Bug::SignedTooEarly) && method == "order.place" {
            self.resent.push((now + STALE_AFTER, conn, text.to_owned()));
            return false;
        }
        let is_lost = self.has(Bug::StopsOnItsWord) && self.is_stopping
            || self.has(Bug::DoubtsForgotten) && method == "order.status";
        !is_lost
    }

    fn stray(&mut self, now: Nanos) -> Option<(ConnId, String)> {
        let at = self.resent.iter().position(|(due, ..)| *due <= now)?;
        let (_, conn, text) = self.resent.remove(at);
        Some((conn, text))
    }

    fn frame_out(&mut self, leaves_at: Nanos, text: &Arc<str>) -> Option<Vec<Arc<str>>> {
        self.manners.frame_out(leaves_at, text);
        let bug = self.bug?;
        if text.contains("\"e\":\"ORDER_TRADE_UPDATE\"") {
            return self.event(text);
        }
        if bug == Bug::GapIgnored && text.contains("\"e\":\"depthUpdate\"") {
            return self.gap(text);
        }
        let is_unknown = UNKNOWN.iter().any(|words| text.contains(words));
        if bug == Bug::UnknownTakenForRefused && is_unknown {
            let id = text.split("\"id\":").nth(1)?.split(',').next()?;
            return Some(vec![format!("{{\"id\":{id},{REFUSAL}}}").into()]);
        }
        None
    }

    fn is_between_oms_and_risk(&self) -> bool {
        self.has(Bug::UnknownReleased) || self.has(Bug::CancelReleases)
    }

    fn report(&mut self, report: Report) -> Report {
        let Report::Order(event) = report else { return report };
        let mut change = event.change;
        if change == OrderChange::Unknown && self.has(Bug::UnknownReleased) {
            change = OrderChange::Refused { code: REFUSED };
        }
        if change == OrderChange::CancelSent && self.has(Bug::CancelReleases) {
            change = OrderChange::Cancelled;
        }
        Report::Order(OrderEvent { change, ..event })
    }
}

/// `lastUpdateId` and its number, as written.
fn id_of(body: &[u8]) -> Option<String> {
    let text = std::str::from_utf8(body).ok()?;
    let (_, rest) = text.split_once(LAST_UPDATE)?;
    Some(format!("{LAST_UPDATE}{}", rest.split(',').next()?))
}

const LAST_UPDATE: &str = "\"lastUpdateId\":";
const OPEN_ORDERS: &str = "/fapi/v1/openOrders";
const COUNTDOWN: &str = "/fapi/v1/countdownCancelAll";
const TRADES: &str = "/fapi/v1/userTrades";
const ORDER: &str = "/fapi/v1/order";
const POSITIONS: &str = "/fapi/v3/positionRisk";
const DEPTH: &str = "/fapi/v1/depth";
const NOTHING: &[u8] = b"[]";
const DONE: &[u8] = br#"{"code":200,"msg":"The operation of cancel all open order is done."}"#;
/// As the exchange confirms a countdown of the span that the oms winds up.
const WOUND: &[u8] = br#"{"symbol":"BTCUSDT","countdownTime":"30000"}"#;
/// Answers after which the fate of an order is not known.
const UNKNOWN: [&str; 4] = ["\"code\":-1007,", "\"code\":-1006,", "Unknown error, please check", "\"code\":-1001,"];
const REFUSAL: &str = r#""status":400,"error":{"code":-2019,"msg":"Margin is insufficient."}"#;
const REFUSED: i32 = -2019;
/// Within the time that a request is good for.
const RESENT_AFTER: Duration = Duration::from_millis(700);
/// Longer than a request is good for.
const STALE_AFTER: Duration = Duration::from_millis(1_500);
/// One depth message in so many is lost.
const GAP_EVERY: u64 = 50;
/// How often more everything is asked for.
const POLLS: u32 = 150;
