//! Doubt to truth: after a start, a loss or a contradiction everything is asked for again, in one fixed order.
//!
//! Open orders (those of earlier sessions are cancelled, strangers' are left alone) → every order whose fate is open →
//! trades since the last agreement → positions and wallet. Only then may the gate open. The start is the same path as
//! every reconnect, so the path is well trodden. Never guesses; every answer that cannot be used is asked for again.

use std::collections::VecDeque;
use std::time::Duration;

use optiflow_base::clock::{Clock, Nanos, nanos_of};
use optiflow_base::ids::{ORDER_PREFIX, OrderId, SymbolId, TradeId};
use optiflow_base::money::{Price, Qty};
use optiflow_base::order::Report;
use optiflow_base::rest::RestReply;

use super::calls::{Purpose, symbol_query};
use super::core::Core;
use crate::binance::truth::{self, OrderTruth, TradeTruth};
use crate::order::Fact;
use crate::table::Table;

/// How far the comparison with the exchange has come.
#[derive(Debug)]
pub struct Reconcile {
    step: Step,
    /// Per symbol, where a step asks for each.
    asked: Vec<Asked>,
    /// Our orders that the exchange shows as open.
    listed: Vec<OrderId>,
    /// Orders of ours, open there, that we do not follow: to be cancelled.
    leftovers: VecDeque<(SymbolId, String)>,
    cancels_on_their_way: u32,
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
    /// Requests on their way come to an end first.
    Settling,
    /// What is open?
    Listing,
    /// Leftovers are being cancelled.
    Cleaning,
    /// Every open question about an order.
    Resolving,
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
            asked: vec![Asked::Todo; symbols],
            listed: Vec::new(),
            leftovers: VecDeque::new(),
            cancels_on_their_way: 0,
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
            Step::Settling if self.pending.is_empty() => self.begin_listing(),
            Step::Listing => self.list_open_orders(now),
            Step::Cleaning => self.cancel_leftovers(now),
            Step::Resolving if self.desk.table.counts().doubtful == 0 => self.begin_trades(),
            Step::Trades => self.list_trades(now),
            Step::Account => self.ask_account(now),
            Step::Settling | Step::Resolving | Step::Done => {}
        }
    }

    fn begin_reconciliation(&mut self) {
        self.calls.forget(is_ours);
        self.desk.contradicted = false;
        self.reconcile.doubted = None;
        self.reconcile.step = Step::Settling;
    }

    fn begin_listing(&mut self) {
        self.reconcile.enter(Step::Listing);
        self.reconcile.listed.clear();
        self.reconcile.leftovers.clear();
        self.reconcile.cancels_on_their_way = 0;
    }

    fn list_open_orders(&mut self, now: Nanos) {
        for index in 0..self.names.len() {
            if self.reconcile.asked[index] == Asked::Todo {
                let query = symbol_query(&self.names[index], format_args!(""));
                if !self.calls.ask(now, Purpose::OpenOrders(symbol_at(index)), query) {
                    return;
                }
                self.reconcile.asked[index] = Asked::Waiting;
            }
        }
        if !self.reconcile.all_answered() {
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
            let query = symbol_query(&self.names[symbol.index()], format_args!("&origClientOrderId={client}"));
            if !self.calls.ask(now, Purpose::CancelOne(*symbol), query) {
                return;
            }
            self.reconcile.leftovers.pop_front();
            self.reconcile.cancels_on_their_way += 1;
        }
        if self.reconcile.cancels_on_their_way == 0 {
            self.reconcile.resume_at = now + LIST_AGAIN;
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
                    Some(trade) => symbol_query(name, format_args!("&fromId={}&limit={TRADES_PAGE}", trade.0 + 1)),
                    None => {
                        let since = self.reconcile.session_ms;
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
        self.reconcile.failures = 0;
        self.reconcile.succeeded_at = Some(now);
        self.reconcile.news = true;
        self.mark_whole_stream();
        self.desk.reporter.notice(now, "reconciled", i64::from(self.desk.table.counts().live));
    }

    /// An answer to one of the questions above.
    pub(super) fn on_reconcile_answer(&mut self, now: Nanos, purpose: Purpose, reply: &RestReply) {
        let usable = match (purpose, self.reconcile.step) {
            (Purpose::OpenOrders(symbol), Step::Listing) => self.on_open_orders(now, symbol, reply),
            (Purpose::Trades(symbol), Step::Trades) => self.on_trades(now, symbol, reply),
            (Purpose::Positions, Step::Account) => self.on_positions(now, reply),
            (Purpose::Balance, Step::Account) => self.on_balance(now, reply),
            (Purpose::CancelOne(_), Step::Cleaning) => {
                // Whatever it says: the next list tells whether the order is gone.
                self.reconcile.cancels_on_their_way = self.reconcile.cancels_on_their_way.saturating_sub(1);
                true
            }
            _ => return,
        };
        if !usable {
            self.reconcile.failed(now);
            self.desk.reporter.notice(now, "reconciling: no usable answer, asking again", reply.status.into());
            self.reconcile_again(purpose);
        }
    }

    fn reconcile_again(&mut self, purpose: Purpose) {
        match purpose {
            Purpose::OpenOrders(symbol) | Purpose::Trades(symbol) => {
                if let Some(asked) = self.reconcile.asked.get_mut(symbol.index()) {
                    *asked = Asked::Todo;
                }
            }
            Purpose::Positions => self.reconcile.positions = Asked::Todo,
            Purpose::Balance => self.reconcile.wallet = Asked::Todo,
            Purpose::Time
            | Purpose::ListenKey
            | Purpose::KeepAlive
            | Purpose::Query(_)
            | Purpose::OrderTrades(_)
            | Purpose::CancelOne(_)
            | Purpose::CancelAll(_) => {}
        }
    }

    fn on_open_orders(&mut self, now: Nanos, symbol: SymbolId, reply: &RestReply) -> bool {
        let Some(rows) = usable(reply, truth::orders) else { return false };
        let mut strangers = 0;
        for row in rows {
            match self.whose(&row) {
                Whose::Followed(id) => {
                    self.desk.learn(now, 0, id, row.status.fact(row.exchange_id, row.executed));
                    self.reconcile.listed.push(id);
                    self.answer_question(now, id);
                }
                Whose::Leftover => self.reconcile.leftovers.push_back((symbol, row.client)),
                Whose::Stranger => strangers += 1,
            }
        }
        if strangers > 0 {
            self.desk.reporter.notice(now, "orders of somebody else are open and left alone", strangers);
        }
        self.reconcile.asked[symbol.index()] = Asked::Done;
        true
    }

    /// Whose is an open order?
    pub(super) fn whose(&self, row: &OrderTruth) -> Whose {
        if !row.client.starts_with(ORDER_PREFIX) {
            return Whose::Stranger;
        }
        match OrderId::parse(row.client.as_bytes()) {
            Some(id) if self.desk.table.get(id).is_some_and(|order| !order.state().is_end()) => Whose::Followed(id),
            // Of an earlier session, or one that we take to have ended: it must not stay.
            Some(_) => Whose::Leftover,
            // Our prefix on somebody else's order: not ours to touch.
            None => Whose::Stranger,
        }
    }

    fn on_trades(&mut self, now: Nanos, symbol: SymbolId, reply: &RestReply) -> bool {
        let Some(rows) = usable(reply, |body| truth::trades(body, &self.margin_asset)) else { return false };
        for row in &rows {
            self.on_trade(now, symbol, row);
        }
        let last = rows.iter().map(|row| row.fill.trade).max();
        let known = &mut self.reconcile.trades_known[symbol.index()];
        *known = last.or(*known);
        let more = rows.len() >= TRADES_PAGE && last.is_some();
        self.reconcile.asked[symbol.index()] = if more { Asked::Todo } else { Asked::Done };
        true
    }

    /// A trade that a query shows; booked unless it was.
    pub(super) fn on_trade(&mut self, now: Nanos, symbol: SymbolId, row: &TradeTruth) {
        match self.desk.table.by_exchange_id(symbol, row.order) {
            Some(id) => {
                let fact = Fact::Traded { exchange_id: row.order, fill: row.fill };
                if !row.fee_in_margin && row.fill.fee == 0 {
                    self.desk.reporter.notice(now, "fee was taken in another asset and is not counted", 0);
                }
                self.desk.learn(now, row.trade_ms, id, fact);
            }
            None => self.desk.foreign_fill(now, symbol, row.side, &row.fill),
        }
    }

    fn on_positions(&mut self, now: Nanos, reply: &RestReply) -> bool {
        let Some(rows) = usable(reply, truth::positions) else { return false };
        let mut held = vec![(Qty::ZERO, Price::ZERO); self.names.len()];
        for row in rows {
            let Some(symbol) = self.symbol(&row.symbol) else { continue };
            if row.hedged && !row.qty.is_zero() {
                self.fail(now, "the account is in hedge mode: switch it to one-way mode");
                return true;
            }
            if !row.hedged {
                held[symbol.index()] = (row.qty, row.entry);
            }
        }
        if self.desk.positions.trades() != self.reconcile.trades_then {
            // A trade came while the answer was on its way: nobody knows on which side of it the answer is.
            self.reconcile.positions = Asked::Todo;
            return true;
        }
        let believed = |(index, (qty, _)): (usize, &(Qty, Price))| {
            self.desk.positions.qty(symbol_at(index)).is_none_or(|belief| belief == *qty)
        };
        let agrees = held.iter().enumerate().all(believed);
        if !agrees && self.reconcile.doubted.as_ref() != Some(&held) {
            // Queries can lag behind: a difference counts when it is told twice.
            self.reconcile.doubted = Some(held);
            self.reconcile.positions = Asked::Todo;
            self.reconcile.resume_at = now + LIST_AGAIN;
            return true;
        }
        if !agrees {
            self.desk.reporter.notice(now, "position was not what we believed; the exchange's is adopted", 0);
        }
        for (index, (qty, entry)) in held.into_iter().enumerate() {
            let report = self.desk.positions.adopt(now, symbol_at(index), qty, entry);
            self.desk.adopt_position(report);
        }
        self.reconcile.positions = Asked::Done;
        true
    }

    fn on_balance(&mut self, now: Nanos, reply: &RestReply) -> bool {
        let Some(found) = usable(reply, |body| truth::balance(body, &self.margin_asset)) else { return false };
        if found.is_none() {
            self.desk.reporter.notice(now, "the account holds nothing of the margin asset", 0);
        }
        self.desk.reporter.send(Report::Wallet { balance: found.unwrap_or_default(), at: now });
        self.reconcile.wallet = Asked::Done;
        true
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
        | Purpose::Trades(_)
        | Purpose::Positions
        | Purpose::Balance
        | Purpose::CancelOne(_)
        | Purpose::CancelAll(_) => true,
        Purpose::Time
        | Purpose::ListenKey
        | Purpose::KeepAlive
        | Purpose::Query(_)
        | Purpose::OrderTrades(_) => false,
    }
}

/// Trades in one answer at most.
const TRADES_PAGE: usize = 1000;
/// Between two lists that should differ.
const LIST_AGAIN: Duration = Duration::from_millis(250);
/// First pause after an answer that could not be used; doubles up to 2^6 times as much.
const RETRY_FIRST: Duration = Duration::from_millis(500);
/// Doublings of the pause: 32 s at most.
const RETRY_DOUBLINGS_MAX: u32 = 6;
/// An agreement that lasts less is sought again only after as long.
const LASTING: Duration = Duration::from_secs(2);
