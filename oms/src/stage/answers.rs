//! Answers to REST calls, each to whom it belongs; and the questions about single orders.

use optiflow_base::clock::{Clock, Nanos};
use optiflow_base::ids::{OrderId, TradeId};
use optiflow_base::order::{Report, Usage};
use optiflow_base::rest::RestReply;

use super::by_rest;
use super::calls::{Purpose, symbol_query};
use super::core::{Core, binding};
use super::listen_key::Learned;
use super::placing::LocalCode;
use super::reconcile::{TRADES_PAGE, usable};
use crate::binance::outcome::{Meaning, meaning};
use crate::binance::truth::{self, TradeTruth};
use crate::desk::FIRST_QUERY;
use crate::order::Order;
use crate::time::TimeSample;

impl<C: Clock> Core<C> {
    /// A call came back.
    pub(super) fn on_answer(&mut self, now: Nanos, reply: &RestReply) {
        if let Some(until) = reply.usage.blocked_until {
            self.limited(reply.status, until);
        }
        let usage = binding(reply.usage, reply.status);
        if usage != Usage::default() {
            self.desk.reporter.send(Report::Usage(Usage { asked: Some(reply.sent), ..usage }));
        }
        let Some(purpose) = self.calls.answered(reply.token) else { return };
        let error = if reply.is_ok() { truth::ErrorTruth::default() } else { truth::error(&reply.body) };
        if let Some(code) = error.code {
            self.on_code(now, code);
        }
        match purpose {
            Purpose::Time => self.on_time(now, reply),
            Purpose::ListenKey => self.on_listen_key(now, reply),
            Purpose::KeepAlive => self.on_kept_alive(now, reply, error.code),
            Purpose::Query(id) => self.on_order_query(now, id, reply, &error),
            Purpose::OrderTrades(id, from) => self.on_order_trades(now, id, from, reply),
            Purpose::IsListed(id) => self.on_is_listed(now, id, reply),
            Purpose::HasTraded(id) => self.on_has_traded(now, id, reply),
            Purpose::Place(id) => self.on_placed(now, id, &by_rest::read(reply, &error)),
            Purpose::Cancel(id) => self.on_cancelled(now, id, &by_rest::read(reply, &error)),
            Purpose::Wind(symbol) => self.on_wound(now, symbol, reply),
            Purpose::CheckOrders(symbol) => self.on_checked_orders(now, symbol, reply),
            Purpose::CheckPositions => self.on_checked_positions(now, reply),
            Purpose::OpenOrders(_)
            | Purpose::AllOpenOrders
            | Purpose::Catalogue(_)
            | Purpose::Trades(_)
            | Purpose::Positions
            | Purpose::Balance
            | Purpose::CancelOne
            | Purpose::CancelAll(_)
            | Purpose::LetDown(_) => {
                if self.stopping.is_some() {
                    self.on_stopping_answer(now, purpose, reply);
                } else {
                    self.on_reconcile_answer(now, purpose, reply);
                }
            }
        }
    }

    /// A call that never came back is one without a complete answer.
    pub(super) fn unanswered_call(&mut self, now: Nanos, purpose: Purpose) {
        let reply = RestReply {
            token: 0,
            path: "",
            status: 0,
            body: Vec::new(),
            sent: now,
            received: now,
            usage: Usage::default(),
        };
        self.desk.reporter.notice(now, "REST call without an answer", 0);
        match purpose {
            Purpose::Time => self.clock_sync.failed(now),
            Purpose::ListenKey | Purpose::KeepAlive => self.listen_key.failed(now),
            Purpose::Query(id) | Purpose::OrderTrades(id, _) => self.ask_again(now, id),
            // The next "not found" asks again, and the next look looks again.
            Purpose::IsListed(_) | Purpose::HasTraded(_) | Purpose::CheckOrders(_) | Purpose::CheckPositions => {}
            Purpose::Place(id) => self.desk.unanswered(now, id, FIRST_QUERY),
            Purpose::Cancel(id) => self.desk.cancel_refused(now, id, LocalCode::Unanswered.code()),
            Purpose::Wind(symbol) => self.on_wound(now, symbol, &reply),
            Purpose::OpenOrders(_)
            | Purpose::AllOpenOrders
            | Purpose::Catalogue(_)
            | Purpose::Trades(_)
            | Purpose::Positions
            | Purpose::Balance
            | Purpose::CancelOne
            | Purpose::CancelAll(_)
            | Purpose::LetDown(_) => {
                if self.stopping.is_some() {
                    self.on_stopping_answer(now, purpose, &reply);
                } else {
                    self.on_reconcile_answer(now, purpose, &reply);
                }
            }
        }
    }

    fn on_time(&mut self, now: Nanos, reply: &RestReply) {
        let Some(server_ms) = usable(reply, truth::server_time) else {
            self.clock_sync.failed(now);
            return;
        };
        let sample = TimeSample { sent: reply.sent, received: reply.received, server_ms };
        let Some(offset) = self.clock_sync.sampled(now, sample) else { return };
        let change_ms = offset.saturating_sub(self.time.offset()) / 1_000_000;
        if change_ms.abs() >= CLOCK_CHANGE_WORTH_SAYING_MS {
            self.desk.reporter.notice(now, "exchange clock moved against ours, ms", change_ms);
        }
        self.time.set(offset);
        // Who counts by windows of the exchange's clock must know it.
        self.desk.reporter.send(Report::Usage(Usage { clock_offset_ns: Some(offset), ..Usage::default() }));
    }

    fn on_listen_key(&mut self, now: Nanos, reply: &RestReply) {
        let Some(key) = usable(reply, truth::listen_key) else {
            self.desk.reporter.notice(now, "no listen key; asking again", reply.status.into());
            self.listen_key.failed(now);
            return;
        };
        match self.listen_key.given(now, &key) {
            Learned::Same => {
                if std::mem::take(&mut self.stream_has_ended) {
                    self.stream_is_dead = true;
                    self.user_up = false;
                }
            }
            Learned::Changed => {
                self.stream_has_ended = false;
                self.new_path = self.listen_key.path();
                // What is connected now hangs on the former key.
                self.user_up = false;
            }
            Learned::Nothing => self.desk.reporter.notice(now, "listen key cannot be used; asking again", 0),
        }
    }

    fn on_kept_alive(&mut self, now: Nanos, reply: &RestReply, code: Option<i32>) {
        if reply.is_ok() {
            self.listen_key.kept(now);
        } else if code.is_none_or(|code| meaning(code) != Meaning::ListenKey) {
            self.desk.reporter.notice(now, "listen key was not kept alive; asking again", reply.status.into());
            self.listen_key.failed(now);
        } else {
            self.stream_has_ended(now);
        }
    }

    fn on_order_trades(&mut self, now: Nanos, id: OrderId, from: Option<TradeId>, reply: &RestReply) {
        let Some(rows) = usable(reply, |body| truth::trades(body, &self.margin_asset)) else {
            self.ask_again(now, id);
            return;
        };
        let Some(order) = self.desk.table.get(id) else { return };
        let (symbol, exchange_id) = (order.symbol, order.exchange_id());
        for row in rows.iter().filter(|row| Some(row.order) == exchange_id) {
            self.on_trade(now, symbol, row);
        }
        let complete = self.desk.table.get(id).is_none_or(|order| !order.misses_fills());
        let open = self.desk.table.get(id).is_some_and(Order::owes_terms);
        if complete && !open {
            self.desk.table.change(id, |order| order.doubt = None);
            return;
        }
        let next = if complete { None } else { next_page(from, &rows) };
        if !next.is_some_and(|next| self.ask_order_trades(now, id, Some(next))) {
            self.ask_again(now, id);
        }
    }

    /// The order's standing is known; what may still be missing are its trades.
    pub(super) fn answer_question(&mut self, now: Nanos, id: OrderId) {
        let Some(order) = self.desk.table.get(id) else { return };
        if !order.misses_fills() {
            // A modify request without an answer is a question of its own.
            self.desk.table.change(id, |order| order.doubt = order.doubt.filter(|_| order.owes_terms()));
        } else if !self.ask_order_trades(now, id, None) {
            self.ask_again(now, id);
        }
    }

    /// Asks for the newest trades of an order, or for those from one on; false when that cannot be asked now.
    fn ask_order_trades(&mut self, now: Nanos, id: OrderId, from: Option<TradeId>) -> bool {
        let Some(order) = self.desk.table.get(id) else { return false };
        let Some(exchange_id) = order.exchange_id() else { return false };
        let name = &self.names[order.symbol.index()];
        let query = match from {
            None => symbol_query(name, format_args!("&orderId={}&limit={TRADES_PAGE}", exchange_id.0)),
            Some(from) => {
                let rest = format_args!("&orderId={}&fromId={}&limit={TRADES_PAGE}", exchange_id.0, from.0);
                symbol_query(name, rest)
            }
        };
        self.calls.ask(now, Purpose::OrderTrades(id, from), query)
    }

    pub(super) fn ask_again(&mut self, now: Nanos, id: OrderId) {
        self.desk.table.change(id, |order| order.doubt.as_mut().map(|doubt| doubt.again(now)));
    }
}

/// Where to go on after a page of an order's trades that was full: its newest come first, and then all of them.
fn next_page(from: Option<TradeId>, rows: &[TradeTruth]) -> Option<TradeId> {
    let ids = || rows.iter().map(|row| row.fill.trade);
    match from {
        _ if rows.len() < TRADES_PAGE => None,
        None => Some(TradeId(0)),
        // An answer that does not begin there does not lead further.
        Some(from) if ids().any(|id| id < from) => None,
        Some(_) => ids().max().map(|last| TradeId(last.0.saturating_add(1))),
    }
}

/// Timestamps may be this far ahead of the exchange's clock and are still accepted.
pub(super) const CLOCK_SLACK: std::time::Duration = std::time::Duration::from_secs(1);
/// A smaller change of the offset is measurement noise.
const CLOCK_CHANGE_WORTH_SAYING_MS: i64 = 100;
