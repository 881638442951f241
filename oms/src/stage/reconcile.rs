//! Doubt to truth: after a start, a loss or a contradiction everything is asked for again, in one fixed order.
//!
//! Open orders (at the start of all symbols; those of earlier sessions are cancelled, strangers' are left alone) → every order whose fate is open →
//! trades since the last agreement → positions and wallet. Only then may the gate open. The start is the same path as
//! every reconnect, so the path is well trodden. Never guesses; every answer that cannot be used is asked for again.

use std::collections::VecDeque;
use std::time::Duration;

use optiflow_base::clock::{Clock, Nanos, nanos_of};
use optiflow_base::ids::{OrderId, SymbolId, TradeId};
use optiflow_base::money::{Price, Qty};
use optiflow_base::rest::RestReply;

use super::calls::{Purpose, symbol_query};
use super::core::Core;
use crate::binance::text::in_query;
use crate::table::Table;

mod answers;
pub mod recovery;

/// How far the comparison with the exchange has come.
#[derive(Debug)]
pub struct Reconcile {
    step: Step,
    /// Requests before this number were on their way when it began.
    settles: u64,
    /// Per symbol, where a step asks for each.
    asked: Vec<Asked>,
    /// Our orders that the exchange shows as open.
    listed: Vec<OrderId>,
    /// All symbols at once: at the start only, because earlier sessions may have had other symbols.
    everywhere: Asked,
    /// The list of all symbols has shown nothing of ours outside the configured ones.
    nothing_elsewhere: bool,
    /// Orders of ours, open there, that we do not follow, with their symbols: to be cancelled.
    leftovers: VecDeque<(String, String)>,
    cancels_on_their_way: u32,
    /// How often leftovers have been cancelled since the last agreement.
    cleanings: u32,
    positions: Asked,
    wallet: Asked,
    /// Trades counted when positions were asked for.
    trades_then: u64,
    /// Positions as answered last, while they differ from what we believe.
    doubted: Option<Vec<(Qty, Price)>>,
    resume_at: Nanos,
    failures: u32,
    succeeded_at: Option<Nanos>,
    /// Up to here every trade is booked.
    trades_known: Vec<Option<TradeId>>,
    /// Trades before this belong to the first answer on positions, exchange ms.
    session_ms: u64,
    news: bool,
}

/// What is being found out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    /// Both sockets and the clock must be there first.
    Waiting,
    /// Requests that are on their way come to an end first.
    Settling,
    /// What is open?
    Listing,
    /// Leftovers are being cancelled.
    Cleaning,
    /// Every open question about an order.
    Resolving,
    /// What did former sessions send that was never written down?
    Catalogue,
    /// Trades since the last agreement.
    Trades,
    /// Positions and wallet.
    Account,
    /// We agree.
    Done,
}

/// Where one question stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Asked {
    /// Not asked.
    Todo,
    /// On its way.
    Waiting,
    /// Answered.
    Done,
}

impl Reconcile {
    /// Nothing agreed yet.
    pub fn new(symbols: usize) -> Reconcile {
        Reconcile {
            step: Step::Waiting,
            settles: 0,
            asked: vec![Asked::Todo; symbols],
            listed: Vec::new(),
            everywhere: Asked::Done,
            nothing_elsewhere: false,
            leftovers: VecDeque::new(),
            cancels_on_their_way: 0,
            cleanings: 0,
            positions: Asked::Todo,
            wallet: Asked::Todo,
            trades_then: 0,
            doubted: None,
            resume_at: Nanos(0),
            failures: 0,
            succeeded_at: None,
            trades_known: vec![None; symbols],
            session_ms: 0,
            news: false,
        }
    }

    /// Do we agree with the exchange?
    pub fn is_done(&self) -> bool {
        self.step == Step::Done
    }

    /// Is the list of open orders being fetched? It answers many questions at once.
    pub fn is_listing(&self) -> bool {
        matches!(self.step, Step::Settling | Step::Listing | Step::Cleaning)
    }

    /// Did we ever agree?
    pub const fn has_ever_succeeded(&self) -> bool {
        self.succeeded_at.is_some()
    }

    /// Was an agreement reached that nobody has been told of?
    pub fn take_news(&mut self) -> bool {
        std::mem::take(&mut self.news)
    }

    /// From the beginning, as soon as everything needed is there.
    pub fn restart(&mut self) {
        self.step = Step::Waiting;
    }

    /// The user stream was whole until now: later trades suffice next time.
    pub fn mark_trades(&mut self, table: &Table) {
        if self.is_done() {
            for (index, known) in self.trades_known.iter_mut().enumerate() {
                *known = table.last_trade(symbol_at(index)).or(*known);
            }
        }
    }

    /// Agreements that do not last are not sought again at once.
    pub fn slow_down(&mut self, now: Nanos) {
        if self.succeeded_at.is_some_and(|at| now.since(at) < nanos_of(LASTING)) {
            self.resume_at = now + LASTING;
        }
    }

    fn enter(&mut self, step: Step) {
        self.step = step;
        self.asked.fill(Asked::Todo);
    }

    fn failed(&mut self, now: Nanos) {
        self.resume_at = now + RETRY_FIRST * 2u32.pow(self.failures.min(RETRY_DOUBLINGS_MAX));
        self.failures = self.failures.saturating_add(1);
    }

    fn all_answered(&self) -> bool {
        self.asked.iter().all(|&asked| asked == Asked::Done)
    }
}

impl<C: Clock> Core<C> {
    pub(super) fn look_after_reconciliation(&mut self, now: Nanos) {
        if self.reconcile.is_done() || now < self.reconcile.resume_at {
            return;
        }
        if !self.is_connected() || !self.clock_sync.synced || self.trouble.is_some() {
            self.reconcile.restart();
            return;
        }
        match self.reconcile.step {
            Step::Waiting => self.begin_reconciliation(),
            // Not for those that left later: whoever cancels again and again would put this off for ever.
            Step::Settling if self.pending.are_over(self.reconcile.settles) => self.begin_listing(),
            Step::Listing => self.list_open_orders(now),
            Step::Cleaning => self.cancel_leftovers(now),
            Step::Resolving if self.desk.table.counts().doubtful == 0 => self.end_resolving(now),
            Step::Catalogue => self.list_all_orders(now),
            Step::Trades => self.list_trades(now),
            Step::Account => self.ask_account(now),
            Step::Settling | Step::Resolving | Step::Done => {}
        }
    }

    fn begin_reconciliation(&mut self) {
        self.calls.forget(is_ours);
        self.desk.contradicted = false;
        self.reconcile.doubted = None;
        self.reconcile.settles = self.pending.next();
        self.reconcile.step = Step::Settling;
    }

    fn begin_listing(&mut self) {
        self.reconcile.enter(Step::Listing);
        if !self.reconcile.nothing_elsewhere {
            // It answers for every symbol.
            self.reconcile.everywhere = Asked::Todo;
            self.reconcile.asked.fill(Asked::Done);
        }
        self.reconcile.listed.clear();
        self.reconcile.leftovers.clear();
        self.reconcile.cancels_on_their_way = 0;
    }

    fn list_open_orders(&mut self, now: Nanos) {
        if self.reconcile.everywhere == Asked::Todo {
            if self.calls.ask(now, Purpose::AllOpenOrders, arrayvec::ArrayString::new()) {
                self.reconcile.everywhere = Asked::Waiting;
            }
            return;
        }
        for index in 0..self.names.len() {
            if self.reconcile.asked[index] == Asked::Todo {
                let query = symbol_query(&self.names[index], format_args!(""));
                if !self.calls.ask(now, Purpose::OpenOrders(symbol_at(index)), query) {
                    return;
                }
                self.reconcile.asked[index] = Asked::Waiting;
            }
        }
        if !self.reconcile.all_answered() || self.reconcile.everywhere == Asked::Waiting {
            return;
        }
        if self.reconcile.leftovers.is_empty() {
            self.question_unlisted(now);
            self.reconcile.enter(Step::Resolving);
        } else {
            let count = self.reconcile.leftovers.len();
            self.desk.reporter.notice(now, "cancelling leftover orders", i64::try_from(count).unwrap_or(0));
            self.reconcile.step = Step::Cleaning;
        }
    }

    /// Orders that we take to live but that are not shown as open: each is asked about.
    fn question_unlisted(&mut self, now: Nanos) {
        let listed = &self.reconcile.listed;
        let unlisted: Vec<OrderId> =
            self.desk.table.live().map(|order| order.id).filter(|id| !listed.contains(id)).collect();
        for id in unlisted {
            self.desk.table.doubt(id, now);
            self.desk.table.change(id, |order| order.doubt.as_mut().map(|doubt| doubt.hurry(now)));
        }
    }

    fn cancel_leftovers(&mut self, now: Nanos) {
        while let Some((symbol, client)) = self.reconcile.leftovers.front() {
            let query = symbol_query(&in_query(symbol), format_args!("&origClientOrderId={client}"));
            if !self.calls.ask(now, Purpose::CancelOne, query) {
                return;
            }
            self.reconcile.leftovers.pop_front();
            self.reconcile.cancels_on_their_way += 1;
        }
        if self.reconcile.cancels_on_their_way == 0 {
            // What cannot be cancelled is tried ever more slowly: the list of everything is dear.
            self.reconcile.resume_at =
                now + LIST_AGAIN * 2u32.pow(self.reconcile.cleanings.min(CLEANING_DOUBLINGS_MAX));
            self.reconcile.cleanings = self.reconcile.cleanings.saturating_add(1);
            self.begin_listing();
        }
    }

    fn begin_trades(&mut self) {
        let first = !self.reconcile.has_ever_succeeded();
        self.reconcile.enter(if first { Step::Account } else { Step::Trades });
        (self.reconcile.positions, self.reconcile.wallet) = (Asked::Todo, Asked::Todo);
    }

    fn list_trades(&mut self, now: Nanos) {
        for index in 0..self.names.len() {
            if self.reconcile.asked[index] == Asked::Todo {
                let name = &self.names[index];
                let query = match self.reconcile.trades_known[index] {
                    Some(trade) => {
                        symbol_query(name, format_args!("&fromId={}&limit={TRADES_PAGE}", trade.0.saturating_add(1)))
                    }
                    None => {
                        let since = self.reconcile.session_ms.max(self.time.now_ms(now).saturating_sub(TRADES_SPAN_MS));
                        symbol_query(name, format_args!("&startTime={since}&limit={TRADES_PAGE}"))
                    }
                };
                if !self.calls.ask(now, Purpose::Trades(symbol_at(index)), query) {
                    return;
                }
                self.reconcile.asked[index] = Asked::Waiting;
            }
        }
        if self.reconcile.all_answered() {
            self.reconcile.step = Step::Account;
        }
    }

    fn ask_account(&mut self, now: Nanos) {
        let nothing = arrayvec::ArrayString::new;
        if self.reconcile.wallet == Asked::Todo && self.calls.ask(now, Purpose::Balance, nothing()) {
            self.reconcile.wallet = Asked::Waiting;
        }
        if self.reconcile.positions == Asked::Todo && self.calls.ask(now, Purpose::Positions, nothing()) {
            self.reconcile.positions = Asked::Waiting;
            self.reconcile.trades_then = self.desk.positions.trades();
        }
        if self.reconcile.wallet == Asked::Done && self.reconcile.positions == Asked::Done {
            self.agree(now);
        }
    }

    fn agree(&mut self, now: Nanos) {
        if !self.reconcile.has_ever_succeeded() {
            self.reconcile.session_ms = self.time.now_ms(now);
        }
        self.reconcile.step = Step::Done;
        self.reconcile.cleanings = 0;
        self.reconcile.succeeded_at = Some(now);
        self.reconcile.news = true;
        self.mark_whole_stream();
        self.desk.reporter.notice(now, "reconciled", i64::from(self.desk.table.counts().live));
    }
}

/// Whose an open order is.
pub enum Whose {
    /// Ours, and we follow it.
    Followed(OrderId),
    /// Ours, but not one we follow.
    Leftover,
    /// Somebody else's.
    Stranger,
}

/// The content of a good answer.
pub fn usable<T, E>(reply: &RestReply, read: impl FnOnce(&[u8]) -> Result<T, E>) -> Option<T> {
    if reply.is_ok() { read(&reply.body).ok() } else { None }
}

/// The symbol with this index.
pub fn symbol_at(index: usize) -> SymbolId {
    // The table of names is built from at most 2^16 instruments.
    SymbolId(u16::try_from(index).unwrap_or(u16::MAX))
}

/// Does a call belong to reconciling or stopping?
pub const fn is_ours(purpose: Purpose) -> bool {
    match purpose {
        Purpose::OpenOrders(_)
        | Purpose::AllOpenOrders
        | Purpose::Catalogue(_)
        | Purpose::Trades(_)
        | Purpose::Positions
        | Purpose::Balance
        | Purpose::CancelOne
        | Purpose::CancelAll(_)
        | Purpose::LetDown(_) => true,
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
        | Purpose::CheckPositions => false,
    }
}

/// The exchange looks at most seven days back in one question; without a trade to start from, six are asked for, ms.
pub const TRADES_SPAN_MS: u64 = 6 * 24 * 3_600_000;
/// Trades in one answer at most.
pub const TRADES_PAGE: usize = 1000;
/// Between two lists that should differ.
const LIST_AGAIN: Duration = Duration::from_millis(250);
/// Doublings of that pause while leftovers stay: 32 s at most.
const CLEANING_DOUBLINGS_MAX: u32 = 7;
/// First pause after an answer that could not be used; doubles up to 2^6 times as much.
const RETRY_FIRST: Duration = Duration::from_millis(500);
/// Doublings of the pause: 32 s at most.
const RETRY_DOUBLINGS_MAX: u32 = 6;
/// An agreement that lasts less is sought again only after as long.
const LASTING: Duration = Duration::from_secs(2);
