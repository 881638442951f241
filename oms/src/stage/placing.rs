//! Approved intents to bytes on the order socket, and the answers to them.
//!
//! What cannot be sent is refused here with a code of our own, because then nothing has left; whatever has left is
//! exposure until an answer, an event or a query says otherwise.

use std::time::Duration;

use optiflow_base::clock::{Clock, Nanos};
use optiflow_base::ids::{OrderId, SymbolId};
use optiflow_base::log::Span;
use optiflow_base::order::{Action, NewOrder, OrderChange, Report, Terms, Usage};
use optiflow_risk::Approved;
use optiflow_wire::connection::Connection;
use optiflow_wire::transport::Dialer;

use super::core::{BANNED, Core, LIMITED};
use super::pending::{Asked, Request};
use super::weighing::CANCEL_WEIGHT;
use crate::binance::outcome::{Meaning, Outcome, meaning};
use crate::binance::reply::{self, Reply};
use crate::binance::rest::PAUSE_MAX;
use crate::desk::FIRST_QUERY;
use crate::order::Fact;
use crate::order::terms::Standing;

/// Codes of refusals that are ours: positive, because the exchange's are negative. Nothing was sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(i32)]
pub enum LocalCode {
    /// No order socket can send, and by REST it cannot leave either: it would open risk, it modifies, REST is silent or
    /// has no room, it was too late when its turn came, or a person must act first.
    NotSent = 1,
    /// Too many orders or requests are on their way.
    NoRoom = 2,
    /// The gate is closed and the order would open risk, or we are stopping.
    GateClosed = 3,
    /// The exchange has asked for silence.
    Blocked = 4,
    /// Price or quantity has digits that the symbol does not allow.
    OffGrid = 5,
    /// Cancel of an order that is not live, or is being cancelled; modify of one that does not rest, or that a request is
    /// about.
    NotLive = 6,
    /// A cancel was sent but has no usable answer: it may be asked again. A modify was, and did not work.
    Unanswered = 7,
    /// The session was killed and the order is not reduce-only.
    Killed = 8,
    /// The dead-man's switch of the symbol is not wound up and the order is not reduce-only.
    Unguarded = 9,
}

impl LocalCode {
    /// As reports carry it.
    pub const fn code(self) -> i32 {
        self as i32
    }
}

impl<C: Clock> Core<C> {
    /// Sends what risk approved, or says why not.
    pub(super) fn send<D: Dialer>(&mut self, now: Nanos, approved: &Approved, socket: &mut Connection<D>) {
        let intent = approved.intent();
        let written = match intent.action {
            Action::Place(order) => match self.place(now, intent.symbol, &order, socket) {
                Ok(written) => written,
                Err(local) => return self.place_otherwise(now, intent.symbol, &order, local),
            },
            Action::Cancel(id) => match self.cancel(now, id, socket) {
                Ok(written) => written,
                Err(local) => return self.cancel_otherwise(now, intent.symbol, id, local),
            },
            Action::Modify { order, price, qty } => match self.modify(now, order, Terms { price, qty }, socket) {
                Ok(written) => written,
                Err(local) => {
                    let change = OrderChange::ModifyRefused { code: local.code() };
                    self.desk.reporter.order(now, 0, intent.symbol, order, change);
                    return;
                }
            },
        };
        self.desk.reporter.latency(Span::Oms, written.since(approved.approved_at()));
        self.desk.reporter.latency(Span::TickToOrder, written.since(intent.caused));
    }

    fn place<D: Dialer>(
        &mut self,
        now: Nanos,
        symbol: SymbolId,
        order: &NewOrder,
        socket: &mut Connection<D>,
    ) -> Result<Nanos, LocalCode> {
        let frame = self.order_frame(now, symbol, order)?;
        socket.send_text(now, frame).map_err(|_| LocalCode::NotSent)?;
        let written = self.clock.now();
        self.pending.sent(Asked::Place(order.id), self.line, written);
        let inserted = self.desk.table.insert(symbol, order, written);
        assert!(inserted, "there was room for it");
        self.rehearsed = Some((symbol, *order));
        self.desk.reporter.order(written, 0, symbol, order.id, OrderChange::Sent);
        Ok(written)
    }

    /// The request for an order, if it may leave and there is room for it.
    // Never inlined: orders and rehearsals go the same way.
    #[inline(never)]
    fn order_frame(&mut self, now: Nanos, symbol: SymbolId, order: &NewOrder) -> Result<&[u8], LocalCode> {
        self.may_risk(now, symbol, order.reduce_only)?;
        let number = self.ready(now)?;
        if !self.desk.table.has_room(order.id) {
            return Err(LocalCode::NoRoom);
        }
        let timestamp = self.time.now_ms(now);
        self.requests.place(number, symbol, order, timestamp).map_err(|_| LocalCode::OffGrid)
    }

    /// Writes the request for an order like the last one and drops it: the next one finds its way in the caches, which
    /// otherwise costs it as much as sealing does. Nothing leaves and nothing is remembered.
    pub(super) fn rehearse(&mut self, now: Nanos) {
        let Some((symbol, last)) = &mut self.rehearsed else { return };
        last.side = last.side.opposite();
        let next = OrderId::new(last.id.epoch(), last.id.counter().wrapping_add(1));
        let (symbol, order) = (*symbol, NewOrder { id: next, ..*last });
        // An order that could not leave now is not written either.
        let _ = self.order_frame(now, symbol, &order);
    }

    /// May an order, or another one's new terms, leave?
    pub(super) fn may_risk(&self, now: Nanos, symbol: SymbolId, reduce_only: bool) -> Result<(), LocalCode> {
        let may_reduce = reduce_only && self.reconcile.has_ever_succeeded();
        if self.stopping.is_some() || !(self.gate.is_open() || may_reduce) {
            return Err(LocalCode::GateClosed);
        }
        if self.killed && !reduce_only {
            return Err(LocalCode::Killed);
        }
        if !(reduce_only || self.dead_man.is_armed(symbol, now)) {
            return Err(LocalCode::Unguarded);
        }
        if now < self.blocked_until { Err(LocalCode::Blocked) } else { Ok(()) }
    }

    /// From now on only cancels and reduce-only orders leave, until a person restarts the session.
    pub(super) fn kill(&mut self, now: Nanos) {
        if !self.killed {
            self.killed = true;
            self.desk.reporter.notice(now, "killed: no new risk until a restart", self.desk.table.counts().live.into());
        }
    }

    /// Asks for the end of one of our live orders.
    pub(super) fn cancel<D: Dialer>(
        &mut self,
        now: Nanos,
        id: OrderId,
        socket: &mut Connection<D>,
    ) -> Result<Nanos, LocalCode> {
        let order = self.desk.table.get(id).filter(|order| !order.state().is_end() && !order.cancelling);
        let symbol = order.ok_or(LocalCode::NotLive)?.symbol;
        let number = self.ready(now)?;
        let timestamp = self.time.now_ms(now);
        let frame = self.requests.cancel(number, symbol, id, timestamp).map_err(|_| LocalCode::OffGrid)?;
        socket.send_text(now, frame).map_err(|_| LocalCode::NotSent)?;
        let written = self.clock.now();
        self.pending.sent(Asked::Cancel(id), self.line, written);
        self.weighs(now, CANCEL_WEIGHT);
        self.desk.table.change(id, |order| order.cancelling = true);
        self.desk.reporter.order(written, 0, symbol, id, OrderChange::CancelSent);
        Ok(written)
    }

    /// The number of the next request, if one may be sent at all.
    pub(super) fn ready(&self, now: Nanos) -> Result<u64, LocalCode> {
        if !self.orders_ready {
            return Err(LocalCode::NotSent);
        }
        if now < self.silent_until {
            return Err(LocalCode::Blocked);
        }
        self.pending.next_number().ok_or(LocalCode::NoRoom)
    }

    /// An answer on the order socket.
    pub(super) fn on_reply(&mut self, now: Nanos, text: &[u8]) {
        let Ok(reply) = reply::parse(text) else {
            // Whose answer it was cannot be known; that request runs into its time-out and is asked about.
            self.desk.reporter.notice(now, "answer on the order socket cannot be read", i64::from(text.len() as u32));
            return;
        };
        self.owes_answers = false;
        let request = reply.id.and_then(|number| self.pending.answered(number));
        self.on_usage(now, request.as_ref(), &reply);
        if let Some(code) = reply.code {
            self.on_code(now, code);
        }
        match request {
            Some(request) => self.on_answered(now, &request, &reply),
            None => self.desk.reporter.notice(now, "answer to no request of ours", reply.code.unwrap_or(0).into()),
        }
    }

    fn on_answered(&mut self, now: Nanos, request: &Request, reply: &Reply) {
        match request.asked {
            Asked::Place(id) => {
                self.desk.reporter.latency(Span::OrderAck, now.since(request.sent));
                self.on_placed(now, id, reply);
            }
            Asked::Cancel(id) => {
                self.desk.reporter.latency(Span::CancelAck, now.since(request.sent));
                self.on_cancelled(now, id, reply);
            }
            Asked::Modify(id) => self.on_modified(now, id, request.number, reply),
            Asked::Status(id) => self.on_status(now, id, reply),
            Asked::Logon => match reply.outcome {
                Outcome::Accepted => self.set_ready(request.line, true),
                // A refused key is not shown again: that leads to a ban.
                Outcome::Refused | Outcome::Unknown => self.logon_failed(request.line),
            },
        }
    }

    pub(super) fn on_placed(&mut self, now: Nanos, id: OrderId, reply: &Reply) {
        match (reply.outcome, reply.order, reply.code) {
            (Outcome::Accepted, Some(order), _) => {
                let fact = order.status.fact(order.exchange_id, order.executed);
                self.desk.learn(now, order.update_ms, id, fact);
                self.expect_event(now, id);
            }
            (Outcome::Refused, _, Some(code)) if meaning(code) == Meaning::Lapsed => {
                self.desk.learn(now, 0, id, Fact::Lapsed);
            }
            (Outcome::Refused, _, code) => {
                // Refusals without a code (a firewall, a ban) carry their status, which cannot be taken for a code.
                let code = code.unwrap_or_else(|| i32::from(reply.status));
                self.desk.learn(now, 0, id, Fact::Refused { code });
            }
            (Outcome::Unknown, _, Some(code)) if meaning(code) == Meaning::IdTaken => {
                let counter = i64::from(id.counter());
                self.desk.reporter.notice(
                    now,
                    "order id is taken: an earlier copy of the request was accepted",
                    counter,
                );
                self.desk.table.change(id, |order| order.vouched = true);
                self.desk.unanswered(now, id, FIRST_QUERY);
            }
            (Outcome::Accepted, None, _) | (Outcome::Unknown, _, _) => self.desk.unanswered(now, id, FIRST_QUERY),
        }
    }

    pub(super) fn on_cancelled(&mut self, now: Nanos, id: OrderId, reply: &Reply) {
        match (reply.outcome, reply.order) {
            (Outcome::Accepted, Some(order)) => {
                let fact = order.status.fact(order.exchange_id, order.executed);
                self.desk.learn(now, order.update_ms, id, fact);
                let live = self.desk.table.get(id).is_some_and(|order| !order.state().is_end() && !order.is_closing());
                if live {
                    // Accepted, but shown as open: the event or the query will tell.
                    self.desk.cancel_refused(now, id, LocalCode::Unanswered.code());
                }
            }
            (Outcome::Refused, _) => {
                let code = reply.code.unwrap_or_else(|| i32::from(reply.status));
                self.desk.cancel_refused(now, id, code);
            }
            (Outcome::Accepted, None) | (Outcome::Unknown, _) => {
                self.desk.cancel_refused(now, id, LocalCode::Unanswered.code());
            }
        }
    }

    /// A request that will not be answered any more, as far as we know.
    pub(super) fn no_answer(&mut self, now: Nanos, request: &Request, patience: Duration) {
        match request.asked {
            Asked::Place(id) => self.desk.unanswered(now, id, patience),
            Asked::Cancel(id) => self.desk.cancel_refused(now, id, LocalCode::Unanswered.code()),
            Asked::Modify(id) => self.desk.amend_stands(now, id, request.number, Standing::Lost, patience),
            Asked::Status(id) => self.query_instead(now, id),
            Asked::Logon => self.logon_failed[request.line.index()] = true,
        }
    }

    fn on_usage(&mut self, now: Nanos, request: Option<&Request>, reply: &Reply) {
        let limited = matches!(reply.status, BANNED | LIMITED);
        let mut usage = reply.usage;
        if limited {
            // One that had passed before the request left is none; one that passed on the way is over.
            let asked = request.map_or(now, |request| request.sent.min(now));
            let told = reply.retry_at_ms.map(|millis| self.time.ours(millis));
            // Their clock, as we know it, may be off by seconds: the answer was written between its request and now.
            let span = reply.retry_in_ms.map(|span| Duration::from_millis(span).min(PAUSE_MAX));
            let told = told.map(|until| span.map_or(until, |span| until.clamp(asked + span, now + span)));
            let told = told.filter(|until| *until > asked);
            let until = told.unwrap_or_else(|| self.window_end(now, reply));
            // Never longer than the longest ban: a nonsensical answer must not end the session. And a little longer than
            // told: the end is a time of the exchange's clock, which we know to some milliseconds.
            let until = until.min(now + PAUSE_MAX - CLOCK_MARGIN) + CLOCK_MARGIN;
            self.desk.reporter.notice(now, "exchange asks for silence on the order socket", reply.status.into());
            if reply.status != BANNED && reply.code == Some(TOO_MANY_ORDERS) {
                self.blocked_until = self.blocked_until.max(until);
                usage.orders_blocked_until = Some(until);
            } else {
                self.limited(reply.status, until);
                usage.blocked_until = Some(until);
            }
        }
        if usage != Usage::default() {
            usage.asked = request.map(|request| request.sent);
            self.heard_weight(now, &usage);
            self.desk.reporter.send(Report::Usage(usage));
        }
    }

    /// When a limit ends of which the exchange did not say when: with its window, a ban after its shortest time.
    fn window_end(&self, now: Nanos, reply: &Reply) -> Nanos {
        let (window_ms, code) = (self.time.now_ms(now), reply.code);
        let next = |span_ms: u64| self.time.ours((window_ms / span_ms + 1) * span_ms);
        match (reply.status, code) {
            (BANNED, _) => now + BAN_LEAST,
            (_, Some(TOO_MANY_ORDERS)) => next(10_000),
            _ => next(60_000),
        }
    }

    /// What an error code asks for, whoever got it.
    pub(super) fn on_code(&mut self, now: Nanos, code: i32) {
        match meaning(code) {
            Meaning::Clock => self.clock_sync.hurry(now),
            Meaning::Key => self.fail(now, "the exchange refuses the API key: check key, secret, permissions, address"),
            Meaning::Account => self.fail(now, "the account cannot trade as it is: check its mode and state"),
            Meaning::ListenKey => self.listen_key.lost(now),
            Meaning::HaltIncrease => {
                self.desk.reporter.notice(now, "the exchange restricts new risk: paused", code.into());
                self.restricted_until = self.restricted_until.max(now + RESTRICTED_PAUSE);
            }
            Meaning::Disagreement => {
                self.desk.reporter.notice(now, "refusal does not fit what we hold: comparing everything", code.into());
                self.desk.contradicted = true;
            }
            Meaning::Plain | Meaning::Limit | Meaning::NotFound | Meaning::IdTaken | Meaning::Lapsed => {}
        }
    }
}

/// Too many new orders: only orders are limited, and only in their window.
const TOO_MANY_ORDERS: i32 = -1015;
/// Silence goes on for this long after its end by our reading of the exchange's clock.
const CLOCK_MARGIN: Duration = Duration::from_millis(50);
/// The shortest ban.
const BAN_LEAST: Duration = Duration::from_secs(120);
/// New risk is not tried again for this long after a refusal that says nothing but exits is taken.
const RESTRICTED_PAUSE: Duration = Duration::from_secs(60);
