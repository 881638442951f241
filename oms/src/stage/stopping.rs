//! Stopping: nothing new, cancel everything, and prove at the exchange that nothing of ours is open.
//!
//! Only then are the countdowns of the dead-man's switch let down. First a cancel per order on the order socket (the quick way), then by REST everything of a symbol (the sure way; one
//! by one where somebody else has orders too), then the list of open orders must be empty of ours and no order's fate
//! open. Works by REST alone when the sockets are down. Bounded by a deadline, after which failure is told.

use std::time::Duration;

use arrayvec::ArrayVec;
use optiflow_base::clock::{Clock, Nanos};
use optiflow_base::control::Milestone;
use optiflow_base::ids::{OrderId, SymbolId};
use optiflow_base::rest::RestReply;
use optiflow_wire::connection::Connection;
use optiflow_wire::transport::Dialer;

use super::calls::{Purpose, symbol_query};
use super::core::Core;
use super::placing::LocalCode;
use super::reconcile::{Asked, Whose, symbol_at, usable};
use crate::binance::truth;

/// How far stopping has come.
#[derive(Debug)]
pub struct Stopping {
    step: Step,
    deadline: Nanos,
    resume_at: Nanos,
    asked: Vec<Asked>,
    /// Orders of ours that are open there, by the last list.
    ours: Vec<(SymbolId, String)>,
    /// Symbols in which somebody else has open orders.
    shared: Vec<bool>,
    /// Cancels still to be asked for.
    to_delete: Vec<Deletion>,
    on_their_way: u32,
    /// The sure way has been taken at least once.
    deleted: bool,
    /// Countdowns still to be let down, and how often that has failed.
    to_let_down: Vec<SymbolId>,
    let_down_failures: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    Cancelling,
    Waiting {
        until: Nanos,
    },
    Listing,
    Deleting,
    /// Nothing is open: the countdowns end.
    LettingDown,
    Finished,
}

#[derive(Clone, Debug)]
enum Deletion {
    All(SymbolId),
    One(SymbolId, String),
}

impl Stopping {
    fn new(now: Nanos, timeout: Duration, symbols: usize) -> Stopping {
        Stopping {
            step: Step::Cancelling,
            deadline: now + timeout,
            resume_at: now,
            asked: vec![Asked::Todo; symbols],
            ours: Vec::new(),
            shared: vec![false; symbols],
            to_delete: Vec::new(),
            on_their_way: 0,
            deleted: false,
            to_let_down: Vec::new(),
            let_down_failures: 0,
        }
    }

    /// Has it been told how it ended?
    pub fn is_finished(&self) -> bool {
        self.step == Step::Finished
    }

    fn list(&mut self, resume_at: Nanos) {
        self.step = Step::Listing;
        self.resume_at = resume_at;
        self.asked.fill(Asked::Todo);
        self.ours.clear();
        self.shared.fill(false);
    }

    /// What the list showed is to be cancelled: everything of a symbol where all of it is ours.
    fn delete(&mut self) {
        self.step = Step::Deleting;
        let shared = &self.shared;
        let all = (0..shared.len()).filter(|&index| !shared[index]).map(|index| Deletion::All(symbol_at(index)));
        let ones = self.ours.drain(..).filter(|(symbol, _)| shared[symbol.index()]);
        self.to_delete = all.chain(ones.map(|(symbol, client)| Deletion::One(symbol, client))).collect();
        self.on_their_way = 0;
    }
}

impl<C: Clock> Core<C> {
    /// From now on only cancels leave.
    pub(super) fn stop(&mut self, now: Nanos) {
        if self.stopping.is_none() {
            self.desk.reporter.notice(now, "stopping", i64::from(self.desk.table.counts().live));
            self.stopping = Some(Stopping::new(now, self.stop_timeout, self.names.len()));
            // Answers that reconciliation waits for would be taken for ours.
            self.calls.forget(super::reconcile::is_ours);
        }
    }

    pub(super) fn look_after_stopping<D: Dialer>(&mut self, now: Nanos, socket: &mut Connection<D>) {
        let Some(stopping) = &self.stopping else { return };
        if stopping.is_finished() {
            return;
        }
        if now >= stopping.deadline && stopping.step == Step::LettingDown {
            self.finish_guarded(now);
            return;
        }
        if now >= stopping.deadline {
            let listed = u32::try_from(stopping.ours.len()).unwrap_or(u32::MAX);
            let open_orders = self.desk.table.counts().live.max(listed);
            self.finish(Milestone::StopFailed { open_orders });
            return;
        }
        if now < stopping.resume_at {
            return;
        }
        match stopping.step {
            Step::Cancelling => self.cancel_live(now, socket),
            Step::Waiting { until } => {
                if now >= until || self.is_quiet() {
                    self.with_stopping(|stopping| stopping.list(now));
                }
            }
            Step::Listing => self.list_for_stopping(now),
            Step::Deleting => self.delete_open(now),
            Step::LettingDown => self.let_down(now),
            Step::Finished => {}
        }
    }

    fn is_quiet(&self) -> bool {
        self.desk.table.counts().live == 0 && self.recovery.is_admitted() && self.pending.is_empty()
    }

    /// A few cancels at a time; when the socket takes no more, REST does the rest.
    fn cancel_live<D: Dialer>(&mut self, now: Nanos, socket: &mut Connection<D>) {
        let live: ArrayVec<OrderId, CANCELS_PER_LOOK> = {
            let open = self.desk.table.live().filter(|order| !order.cancelling);
            open.map(|order| order.id).take(CANCELS_PER_LOOK).collect()
        };
        let mut stuck = live.is_empty();
        for id in live {
            match self.cancel(now, id, socket) {
                Ok(_) | Err(LocalCode::NotLive) => {}
                Err(_) => {
                    stuck = true;
                    break;
                }
            }
        }
        if stuck {
            self.with_stopping(|stopping| stopping.step = Step::Waiting { until: now + CANCELS_WAIT });
        }
    }

    fn list_for_stopping(&mut self, now: Nanos) {
        let Some(stopping) = &mut self.stopping else { return };
        for (index, asked) in stopping.asked.iter_mut().enumerate() {
            if *asked == Asked::Todo {
                let query = symbol_query(&self.names[index], format_args!(""));
                if !self.calls.ask(now, Purpose::OpenOrders(symbol_at(index)), query) {
                    return;
                }
                *asked = Asked::Waiting;
            }
        }
        if !stopping.asked.iter().all(|&asked| asked == Asked::Done) {
            return;
        }
        if !(stopping.deleted && stopping.ours.is_empty()) {
            stopping.delete();
        } else if !self.recovery.is_settled(now) {
            // A request of the session that died may still arrive: what is open then is to be seen.
            stopping.list(self.recovery.settled_at());
        } else if self.is_quiet() {
            let running = self.dead_man.running().collect();
            self.with_stopping(|stopping| {
                (stopping.step, stopping.on_their_way) = (Step::LettingDown, 0);
                stopping.to_let_down = running;
            });
        } else {
            // Nothing is open there, but the fate of some order is: ask about each, then look again.
            let live: Vec<OrderId> = self.desk.table.live().map(|order| order.id).collect();
            for id in live {
                self.desk.table.doubt(id, now);
            }
            self.with_stopping(|stopping| stopping.list(now + LIST_AGAIN));
        }
    }

    fn delete_open(&mut self, now: Nanos) {
        let Some(stopping) = &mut self.stopping else { return };
        while let Some(deletion) = stopping.to_delete.last() {
            let (purpose, query) = match deletion {
                Deletion::All(symbol) => {
                    (Purpose::CancelAll(*symbol), symbol_query(&self.names[symbol.index()], format_args!("")))
                }
                Deletion::One(symbol, client) => {
                    let rest = format_args!("&origClientOrderId={client}");
                    (Purpose::CancelOne, symbol_query(&self.names[symbol.index()], rest))
                }
            };
            if !self.calls.ask(now, purpose, query) {
                return;
            }
            stopping.to_delete.pop();
            stopping.on_their_way += 1;
        }
        if stopping.on_their_way == 0 {
            stopping.deleted = true;
            stopping.list(now + LIST_AGAIN);
        }
    }

    fn let_down(&mut self, now: Nanos) {
        let Some(stopping) = &mut self.stopping else { return };
        while let Some(symbol) = stopping.to_let_down.last() {
            let query = symbol_query(&self.names[symbol.index()], format_args!("&countdownTime=0"));
            if !self.calls.ask(now, Purpose::LetDown(*symbol), query) {
                return;
            }
            stopping.to_let_down.pop();
            stopping.on_their_way += 1;
        }
        if stopping.on_their_way == 0 {
            self.finish(Milestone::Stopped);
        }
    }

    /// Nothing is open, which is what matters; a countdown that still runs finds nothing of ours.
    fn finish_guarded(&mut self, now: Nanos) {
        self.desk.reporter.notice(now, "countdown could not be let down: it runs out by itself", 0);
        self.finish(Milestone::Stopped);
    }

    fn on_let_down_for_stopping(&mut self, now: Nanos, symbol: SymbolId, reply: &RestReply) {
        let done = self.on_let_down(symbol, reply);
        let Some(stopping) = &mut self.stopping else { return };
        stopping.on_their_way = stopping.on_their_way.saturating_sub(1);
        if done || stopping.step != Step::LettingDown {
            return;
        }
        stopping.let_down_failures += 1;
        if stopping.let_down_failures > LET_DOWN_FAILURES_MAX {
            self.finish_guarded(now);
        } else {
            stopping.to_let_down.push(symbol);
            stopping.resume_at = now + RETRY_PAUSE;
        }
    }

    /// An answer to one of the questions above.
    pub(super) fn on_stopping_answer(&mut self, now: Nanos, purpose: Purpose, reply: &RestReply) {
        match purpose {
            Purpose::OpenOrders(symbol) => self.on_list_for_stopping(now, symbol, reply),
            // Whatever it says: the next list tells.
            Purpose::CancelAll(_) | Purpose::CancelOne => {
                self.with_stopping(|stopping| stopping.on_their_way = stopping.on_their_way.saturating_sub(1));
            }
            Purpose::LetDown(symbol) => self.on_let_down_for_stopping(now, symbol, reply),
            Purpose::Time
            | Purpose::Wind(_)
            | Purpose::ListenKey
            | Purpose::KeepAlive
            | Purpose::Query(_)
            | Purpose::OrderTrades(..)
            | Purpose::IsListed(_)
            | Purpose::HasTraded(_)
            | Purpose::Place(_)
            | Purpose::Cancel(_)
            | Purpose::CheckOrders(_)
            | Purpose::CheckPositions
            | Purpose::AllOpenOrders
            | Purpose::Catalogue(_)
            | Purpose::Trades(_)
            | Purpose::Positions
            | Purpose::Balance => {}
        }
    }

    fn on_list_for_stopping(&mut self, now: Nanos, symbol: SymbolId, reply: &RestReply) {
        let Some(rows) = usable(reply, truth::orders) else {
            self.with_stopping(|stopping| {
                stopping.asked[symbol.index()] = Asked::Todo;
                stopping.resume_at = now + RETRY_PAUSE;
            });
            return;
        };
        let (mut ours, mut shared) = (Vec::new(), false);
        for row in rows {
            match self.whose(&row) {
                Whose::Followed(id) => {
                    self.desk.learn(now, 0, id, row.status.fact(row.exchange_id, row.executed));
                    ours.push((symbol, row.client));
                }
                Whose::Leftover => ours.push((symbol, row.client)),
                Whose::Stranger => shared = true,
            }
        }
        self.with_stopping(|stopping| {
            stopping.ours.extend(ours);
            stopping.shared[symbol.index()] = shared;
            stopping.asked[symbol.index()] = Asked::Done;
        });
    }

    fn finish(&mut self, milestone: Milestone) {
        self.with_stopping(|stopping| stopping.step = Step::Finished);
        self.hang_up = true;
        self.reach(milestone);
    }

    fn with_stopping(&mut self, how: impl FnOnce(&mut Stopping)) {
        if let Some(stopping) = &mut self.stopping {
            how(stopping);
        }
    }
}

/// Cancels sent in one look.
const CANCELS_PER_LOOK: usize = 16;
/// How long the quick way gets.
const CANCELS_WAIT: Duration = Duration::from_millis(1_000);
/// Between two lists.
const LIST_AGAIN: Duration = Duration::from_millis(150);
/// Answers to letting a countdown down that may be of no use.
const LET_DOWN_FAILURES_MAX: u32 = 3;
/// After an answer that could not be used.
const RETRY_PAUSE: Duration = Duration::from_millis(500);
