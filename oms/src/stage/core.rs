//! Everything of the stage but its sockets: what is known, what is on its way, and what is due.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use optiflow_base::clock::{Clock, Nanos};
use optiflow_base::control::{Milestone, Pulse};
use optiflow_base::ids::{OrderId, SymbolId, SymbolName};
use optiflow_base::log::Log;
use optiflow_base::order::{NewOrder, Report, Usage};
use optiflow_base::rest::RestCall;
use optiflow_base::ring::Tx;
use optiflow_wire::connection::Connection;
use optiflow_wire::down::{Down, PUT_OFF};
use optiflow_wire::transport::Dialer;

use super::OmsConfig;
use super::audit::Audit;
use super::calls::{Calls, Purpose};
use super::clock_sync::ClockSync;
use super::dead_man::DeadMan;
use super::gate::Gate;
use super::listen_key::ListenKey;
use super::pending::{Line, Pending};
use super::reconcile::Reconcile;
use super::reconcile::recovery::Recovery;
use super::stopping::Stopping;
use super::watch::Watch;
use super::weighing::Weighing;
use crate::binance::request::Requests;
use crate::binance::sign::ApiKey;
use crate::desk::{Desk, FIRST_QUERY};
use crate::peace::{Block, Peace};
use crate::report::Reporter;
use crate::time::ExchangeTime;

/// The stage without its sockets.
pub struct Core<C> {
    pub(super) clock: C,
    pub(super) names: Vec<SymbolName>,
    pub(super) key: Arc<ApiKey>,
    pub(super) time: ExchangeTime,
    pub(super) margin_asset: String,
    pub(super) recv_window: Duration,
    pub(super) stop_timeout: Duration,
    pub(super) desk: Desk,
    pub(super) requests: Requests,
    pub(super) pending: Pending,
    pub(super) calls: Calls,
    pub(super) clock_sync: ClockSync,
    pub(super) listen_key: ListenKey,
    pub(super) reconcile: Reconcile,
    pub(super) recovery: Recovery,
    pub(super) stopping: Option<Stopping>,
    pub(super) gate: Gate,
    pub(super) dead_man: DeadMan,
    /// Storage's sign of life, where there is storage.
    pub(super) storage: Option<Pulse>,
    /// What the REST clients know together, and how much of it we have heard.
    pub(super) peace: Peace,
    pub(super) peace_seen: u64,
    pub(super) weighing: Weighing,
    /// The order socket in use; the other one, if there is one, is the spare.
    pub(super) line: Line,
    /// Requests are taken on the socket in use: connected, and logged on where the key needs that.
    pub(super) orders_ready: bool,
    /// The same of the spare.
    pub(super) spare_ready: bool,
    /// A request had no answer in time, and none has come since: questions go by REST.
    pub(super) owes_answers: bool,
    pub(super) user_up: bool,
    /// No new order before then: a limit was reached. Cancels still go.
    pub(super) blocked_until: Nanos,
    /// No request at all before then: the weight is used up, or we are banned.
    pub(super) silent_until: Nanos,
    /// No new risk before then: the exchange takes only what reduces.
    pub(super) restricted_until: Nanos,
    /// No new risk until a person restarts the session.
    pub(super) killed: bool,
    /// The last order that left, from rehearsal to rehearsal on the other side.
    pub(super) rehearsed: Option<(SymbolId, NewOrder)>,
    pub(super) watch: Watch,
    pub(super) audit: Audit,
    /// A person must act; never cleared.
    pub(super) trouble: Option<&'static str>,
    /// For the owner of the sockets: connect the user stream to this path.
    pub(super) new_path: Option<String>,
    /// The connection of the user stream hangs on a key that is gone, also when the same key is given again.
    pub(super) stream_has_ended: bool,
    /// For the owner of the sockets: nothing comes on the user stream any more, connect again.
    pub(super) stream_is_dead: bool,
    /// For the owner of the sockets: the logon on this one came to nothing, connect again.
    pub(super) logon_failed: [bool; 2],
    /// For the owner of the sockets: close all.
    pub(super) hang_up: bool,
    milestones: Tx<Milestone>,
    untold: VecDeque<Milestone>,
    next_look: Nanos,
}

impl<C: Clock> Core<C> {
    pub(super) fn new(
        config: OmsConfig,
        clock: C,
        to_risk: Tx<Report>,
        to_engine: Tx<Report>,
        rest: Tx<RestCall>,
        milestones: Tx<Milestone>,
        log: Log,
    ) -> Core<C> {
        let symbols = config.instruments.len();
        assert!(symbols > 0, "a session has a symbol");
        let (now, recv_window) = (clock.now(), Duration::from_millis(config.recv_window_ms.into()));
        Core {
            clock,
            names: config.instruments.iter().map(|instrument| instrument.name).collect(),
            requests: Requests::new(Arc::clone(&config.key), &config.instruments, config.recv_window_ms),
            key: config.key,
            time: config.time,
            margin_asset: config.margin_asset,
            recv_window,
            stop_timeout: config.stop_timeout,
            desk: Desk::new(symbols, Reporter::new(to_risk, to_engine, log)),
            pending: Pending::new(config.reply_timeout),
            calls: Calls::new(rest),
            clock_sync: ClockSync::new(),
            listen_key: ListenKey::new(&config.private.path),
            reconcile: Reconcile::new(symbols),
            recovery: Recovery::new(config.guards.former, config.guards.alone_since.unwrap_or(now), recv_window),
            stopping: None,
            gate: Gate::new(),
            dead_man: DeadMan::new(config.guards.countdown, symbols),
            storage: config.guards.storage,
            peace: config.guards.peace,
            peace_seen: 0,
            weighing: Weighing::default(),
            line: Line::First,
            orders_ready: false,
            spare_ready: false,
            owes_answers: false,
            user_up: false,
            blocked_until: Nanos(0),
            silent_until: Nanos(0),
            restricted_until: Nanos(0),
            killed: false,
            rehearsed: None,
            watch: Watch::new(),
            audit: Audit::new(now),
            trouble: None,
            new_path: None,
            stream_has_ended: false,
            stream_is_dead: false,
            logon_failed: [false; 2],
            hang_up: false,
            milestones,
            untold: VecDeque::with_capacity(MILESTONES_LEN),
            next_look: Nanos(0),
        }
    }

    pub(super) fn user_socket_up(&mut self, now: Nanos) {
        self.desk.reporter.notice(now, "user stream is up", 0);
        self.user_up = true;
    }

    /// The user stream is gone: what happens now must be asked for afterwards, beginning with the key.
    pub(super) fn user_socket_down(&mut self, now: Nanos, reason: Down) {
        self.note_down(now, "user stream is down", reason);
        (self.user_up, self.stream_has_ended) = (false, false);
        self.watch.forget();
        if reason != Down::Asked {
            // Only a new key makes us ask for another connection: that one needs no confirmation.
            self.listen_key.lost(now);
        }
        self.mark_whole_stream();
        self.reconcile.restart();
    }

    /// Up to now nothing of the user stream was missed: unless something did not fit, only later trades can be unknown.
    pub(super) fn mark_whole_stream(&mut self) {
        if !self.desk.contradicted {
            self.reconcile.mark_trades(&self.desk.table);
        }
    }

    /// The key of the user stream is gone: the connection stays and is silent from now on, whatever key comes next.
    pub(super) fn stream_has_ended(&mut self, now: Nanos) {
        self.mark_whole_stream();
        self.stream_has_ended = true;
        self.listen_key.lost(now);
        self.reconcile.restart();
    }

    /// Another connection for the user stream, a confirmed key, and a comparison of everything.
    pub(super) fn connect_stream_again(&mut self, now: Nanos) {
        self.watch.forget();
        self.stream_is_dead = true;
        self.user_up = false;
        self.listen_key.lost(now);
        self.reconcile.restart();
    }

    pub(super) fn note_down(&mut self, now: Nanos, what: &'static str, reason: Down) {
        let what = if reason == Down::PutOff { PUT_OFF } else { what };
        self.desk.reporter.notice(now, what, reason.code());
        if let Some(fault) = reason.tls_fault() {
            self.desk.reporter.notice(now, fault, reason.code());
        }
    }

    /// What is due: late answers, questions, key, clock, reconciliation or stopping.
    pub(super) fn look_after<D: Dialer>(&mut self, now: Nanos, socket: &mut Connection<D>) {
        if now < self.next_look {
            return;
        }
        self.next_look = now + LOOK_EVERY;
        while let Some(request) = self.pending.overdue(now) {
            self.desk.reporter.notice(now, "request without an answer", i64::try_from(request.number).unwrap_or(0));
            self.owes_answers = true;
            self.no_answer(now, &request, FIRST_QUERY);
        }
        while let Some(purpose) = self.calls.overdue(now) {
            self.unanswered_call(now, purpose);
        }
        self.admit_former(now);
        self.look_after_doubts(now, socket);
        self.look_after_session(now);
        self.look_after_peace(now);
        self.look_after_weight(now);
        self.rehearse(now);
        self.look_after_dead_man(now);
        if self.stopping.is_some() {
            self.look_after_stopping(now, socket);
        } else {
            self.look_after_stream(now);
            self.look_after_contradictions(now);
            self.look_after_reconciliation(now);
            self.look_after_audit(now);
        }
    }

    /// Asks about the orders whose question is due: on the order socket, which is the quicker way, else by REST.
    fn look_after_doubts<D: Dialer>(&mut self, now: Nanos, socket: &mut Connection<D>) {
        if self.stopping.is_none() && self.reconcile.is_listing() {
            return;
        }
        let mut due: [Option<OrderId>; QUERIES_PER_LOOK] = [None; QUERIES_PER_LOOK];
        self.desk.table.due(now, &mut due);
        for id in due.into_iter().flatten() {
            if !self.ask_status(now, id, socket) && !self.query(now, id) {
                return;
            }
            self.desk.table.change(id, |order| order.doubt.as_mut().map(crate::doubt::Doubt::asked));
        }
    }

    /// Key of the user stream, and the clock.
    fn look_after_session(&mut self, now: Nanos) {
        if self.clock_sync.is_due(now) && self.calls.ask(now, Purpose::Time, arrayvec::ArrayString::new()) {
            self.clock_sync.asked();
        }
        let stopped = self.stopping.as_ref().is_some_and(Stopping::is_finished);
        if let Some(purpose) = self.listen_key.due(now).filter(|_| !stopped && self.trouble.is_none())
            && self.calls.ask(now, purpose, arrayvec::ArrayString::new())
        {
            self.listen_key.asked();
        }
    }

    /// Whatever does not fit makes us ask for everything again.
    fn look_after_contradictions(&mut self, now: Nanos) {
        self.desk.contradicted |= self.reconcile.is_done() && self.recovery.takes_another_look(now);
        let disputed = self.desk.positions.is_disputed(now);
        if !(self.desk.contradicted || disputed) || !self.reconcile.is_done() {
            return;
        }
        if disputed {
            self.desk.reporter.notice(now, "position is in doubt: comparing everything", 0);
        }
        self.reconcile.slow_down(now);
        self.reconcile.restart();
    }

    /// A person must act: the gate stays closed, control is told once.
    pub(super) fn fail(&mut self, now: Nanos, what: &'static str) {
        if self.trouble.is_none() {
            self.trouble = Some(what);
            self.desk.reporter.notice(now, what, 0);
            self.reach(Milestone::Failed(what));
        }
    }

    /// Both sockets work and the stream's key is confirmed.
    pub(super) fn is_connected(&self) -> bool {
        self.orders_ready && self.user_is_ready()
    }

    pub(super) fn user_is_ready(&self) -> bool {
        self.user_up && self.listen_key.is_good()
    }

    pub(super) fn symbol(&self, name: &str) -> Option<SymbolId> {
        let at = self.names.iter().position(|known| known.as_str() == name)?;
        u16::try_from(at).ok().map(SymbolId)
    }

    /// What another client of this address was told binds us, and its weight is ours as well.
    fn look_after_peace(&mut self, now: Nanos) {
        let Some((usage, block)) = self.peace.news(now, &mut self.peace_seen) else { return };
        let mut usage = usage;
        if let Some(block) = block {
            self.limited(block.status, block.until);
            usage = binding(usage, block.status);
        }
        self.desk.reporter.send(Report::Usage(usage));
    }

    /// A limit was reached: no requests and no calls until then. A firewall's refusal of a call pauses calls alone; while
    /// nothing can be asked no risk is taken on, but cancels and exits leave on the order socket.
    pub(super) fn limited(&mut self, status: u16, until: Nanos) {
        self.calls.block(until);
        self.peace.keep(Block { until, status });
        if is_silence(status) {
            self.blocked_until = self.blocked_until.max(until);
            self.silent_until = self.silent_until.max(until);
        } else {
            self.restricted_until = self.restricted_until.max(until);
        }
    }

    /// Until when nobody of this address may ask for anything, not even a stream; a mere limit leaves streams alone.
    pub(super) fn banned_until(&self, now: Nanos) -> Option<Nanos> {
        let block = (now < self.silent_until).then(|| self.peace.block(now)).flatten()?;
        (block.status == BANNED).then_some(block.until)
    }

    pub(super) fn reach(&mut self, milestone: Milestone) {
        // While nobody listens, `Ready` after `Ready` says nothing new.
        if self.untold.back() != Some(&milestone) {
            assert!(self.untold.len() < MILESTONES_LEN, "milestones are few");
            self.untold.push_back(milestone);
        }
    }

    /// Gate, reports and milestones on their way out.
    pub(super) fn tell(&mut self, now: Nanos) -> bool {
        self.look_after_gate(now);
        while let Some(milestone) = self.untold.pop_front() {
            if let Err(milestone) = self.milestones.push(milestone) {
                self.untold.push_front(milestone);
                break;
            }
        }
        self.desk.reporter.is_backlogged() && self.desk.reporter.flush()
    }
}

/// What an answer with this status says to those who count. A firewall's refusal of a call pauses calls alone: told as
/// silence, it would hold back the cancels and exits that the order socket takes.
pub fn binding(usage: Usage, status: u16) -> Usage {
    Usage { blocked_until: usage.blocked_until.filter(|_| is_silence(status)), ..usage }
}

/// Does this status ask for silence on every way to the exchange?
pub const fn is_silence(status: u16) -> bool {
    matches!(status, BANNED | LIMITED)
}

/// HTTP status of a limit.
pub const LIMITED: u16 = 429;
/// HTTP status of a ban.
pub const BANNED: u16 = 418;
/// How often what is due is looked after.
const LOOK_EVERY: Duration = Duration::from_millis(1);
/// Orders asked about in one look.
const QUERIES_PER_LOOK: usize = 8;
/// Milestones that may wait for room.
const MILESTONES_LEN: usize = 16;
