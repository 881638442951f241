//! Our end of the order path: the order table of the live oms, with a virtual post instead of sockets.
//!
//! What was approved goes into the table and on its way; what comes home becomes facts for the table's desk, which tells
//! risk, engine and storage as it does live. The gate closes for the reasons that exist here: stopping, a liquidation, an
//! exchange that takes only what reduces. Nothing is ever unknown: the post delivers, or says that a request was lost.

use std::collections::BTreeMap;
use std::time::Duration;

use optiflow_base::clock::Nanos;
use optiflow_base::ids::{OrderId, SymbolId};
use optiflow_base::log::Span;
use optiflow_base::money::{Notional, Price, Qty};
use optiflow_base::order::{Action, GateReason, NewOrder, OrderChange, Report, Terms};
use optiflow_base::ring::Rx;
use optiflow_base::stage::Progress;
use optiflow_oms::binance::outcome::{Meaning, meaning};
use optiflow_oms::desk::Desk;
use optiflow_oms::order::{self as book, End, Fact};
use optiflow_oms::report::Reporter;
use optiflow_oms::stage::LocalCode;
use optiflow_risk::Approved;

use super::books::Books;
use super::counts::Counts;
use super::observer::{Answer, Best, Fill, Liquidation, Observer, Payment, Reason, Status, Tells};
use super::post::{Letter, Mail, Post, Request};

mod modifying;

/// The order room of a virtual run.
pub(super) struct Gateway {
    pub(super) post: Post,
    pub(super) books: Books,
    pub(super) counts: Counts,
    desk: Desk,
    orders: Rx<Approved>,
    tickets: BTreeMap<OrderId, Ticket>,
    told: Option<(bool, GateReason)>,
    stopping: bool,
    liquidated: bool,
    restricted_until: Nanos,
    blocked_until: Nanos,
    silent_until: Nanos,
}

/// What the table does not keep of a live order.
#[derive(Clone, Copy, Debug)]
struct Ticket {
    symbol: SymbolId,
    order: NewOrder,
    decided: Nanos,
    sent: Nanos,
    cancel_sent: Nanos,
    modify_sent: Nanos,
    arrived: Nanos,
    ahead: Qty,
    filled: Qty,
    status: Status,
}

impl Gateway {
    pub(super) fn new(
        symbols: usize,
        wallet: Notional,
        reporter: Reporter,
        orders: Rx<Approved>,
        post: Post,
    ) -> Gateway {
        Gateway {
            post,
            books: Books::new(symbols, wallet),
            counts: Counts::default(),
            desk: Desk::new(symbols, reporter),
            orders,
            tickets: BTreeMap::new(),
            told: None,
            stopping: false,
            liquidated: false,
            restricted_until: Nanos(0),
            blocked_until: Nanos(0),
            silent_until: Nanos(0),
        }
    }

    /// Tells the account as a reconciled session knows it, flat and with its wallet, and opens the gate.
    pub(super) fn open(&mut self, now: Nanos, symbols: u16) {
        for symbol in 0..symbols {
            let report = self.desk.positions.adopt(now, SymbolId(symbol), Qty::ZERO, Price::ZERO);
            self.desk.adopt_position(report);
        }
        self.desk.reporter.send(Report::Wallet { balance: self.books.wallet(), at: now });
        self.tell_gate(now);
    }

    /// No new risk; everything that is open is cancelled, and again until it has ended.
    pub(super) fn stop(&mut self, now: Nanos) {
        self.stopping = true;
        self.tell_gate(now);
        self.cancel_all(now);
    }

    /// Orders that may be open.
    pub(super) fn live(&self) -> u32 {
        self.desk.table.counts().live
    }

    /// When the gate opens by itself, if it does.
    pub(super) fn next_due(&self) -> Option<Nanos> {
        let closed = self.told.is_some_and(|(_, reason)| reason == GateReason::RestrictedByExchange);
        closed.then_some(self.restricted_until)
    }

    /// Sends what was approved, and looks after the gate.
    pub(super) fn step(&mut self, now: Nanos) -> Progress {
        let mut worked = self.desk.reporter.flush();
        while let Some(approved) = self.orders.pop() {
            self.send(now, &approved);
            worked = true;
        }
        worked |= self.tell_gate(now);
        Progress::from_work(worked)
    }

    fn send(&mut self, now: Nanos, approved: &Approved) {
        let intent = approved.intent();
        let symbol = intent.symbol;
        match intent.action {
            Action::Place(order) => match self.may_place(now, &order) {
                Ok(()) => {
                    let ticket = Ticket {
                        symbol,
                        order,
                        decided: intent.decided,
                        sent: now,
                        cancel_sent: now,
                        modify_sent: now,
                        arrived: now,
                        ahead: Qty::ZERO,
                        filled: Qty::ZERO,
                        status: Status::None,
                    };
                    self.place(now, ticket);
                    self.desk.reporter.latency(Span::TickToOrder, now.since(intent.caused));
                }
                Err(local) => self.refuse(now, symbol, order.id, OrderChange::Refused { code: local.code() }),
            },
            Action::Cancel(id) => {
                if let Err(local) = self.cancel(now, id) {
                    self.refuse(now, symbol, id, OrderChange::CancelRefused { code: local.code() });
                }
            }
            Action::Modify { order, price, qty } => {
                if let Err(local) = self.modify(now, order, Terms { price, qty }) {
                    self.refuse(now, symbol, order, OrderChange::ModifyRefused { code: local.code() });
                }
            }
        }
    }

    /// Holds a request back.
    fn refuse(&mut self, now: Nanos, symbol: SymbolId, order: OrderId, change: OrderChange) {
        self.counts.refusals += 1;
        self.desk.reporter.order(now, 0, symbol, order, change);
    }

    fn may_place(&self, now: Nanos, order: &NewOrder) -> Result<(), LocalCode> {
        self.may_risk(now, order.reduce_only)?;
        if self.desk.table.has_room(order.id) { Ok(()) } else { Err(LocalCode::NoRoom) }
    }

    fn place(&mut self, now: Nanos, ticket: Ticket) {
        let Ticket { symbol, order, .. } = ticket;
        self.post.send(now, Request::Place(symbol, order));
        let inserted = self.desk.table.insert(symbol, &order, now);
        assert!(inserted, "there was room for it");
        self.tickets.insert(order.id, ticket);
        self.desk.reporter.order(now, 0, symbol, order.id, OrderChange::Sent);
    }

    fn cancel(&mut self, now: Nanos, id: OrderId) -> Result<(), LocalCode> {
        let order = self.desk.table.get(id).filter(|order| !order.state().is_end() && !order.cancelling);
        let symbol = order.ok_or(LocalCode::NotLive)?.symbol;
        if now < self.silent_until {
            return Err(LocalCode::Blocked);
        }
        self.post.send(now, Request::Cancel(symbol, id));
        self.desk.table.change(id, |order| order.cancelling = true);
        if let Some(ticket) = self.tickets.get_mut(&id) {
            ticket.cancel_sent = now;
        }
        self.desk.reporter.order(now, 0, symbol, id, OrderChange::CancelSent);
        Ok(())
    }

    fn cancel_all(&mut self, now: Nanos) {
        let live: Vec<OrderId> =
            self.desk.table.live().filter(|order| !order.cancelling).map(|order| order.id).collect();
        for id in live {
            // What cannot be asked now is asked again with the next letter.
            let _ = self.cancel(now, id);
        }
    }

    /// Reads a letter.
    pub(super) fn read(&mut self, letter: &Letter, observer: &mut impl Observer) {
        let &Letter { local: now, exch, says } = letter;
        match says {
            Mail::Usage(usage) => {
                self.blocked_until = self.blocked_until.max(usage.orders_blocked_until.unwrap_or_default());
                self.silent_until = self.silent_until.max(usage.blocked_until.unwrap_or_default());
                self.desk.reporter.send(Report::Usage(usage));
            }
            Mail::Account { symbol, qty, entry, wallet } => {
                self.tell_wallet(now, wallet);
                let report = self.desk.positions.claimed(now, symbol, qty, entry);
                self.desk.adopt_position(report);
            }
            Mail::Foreign { symbol, side, fill } => {
                self.desk.foreign_fill(now, exch.millis(), symbol, side, &fill);
                self.books.trade(symbol, side, &fill);
            }
            Mail::Funding { symbol, amount, wallet } => {
                self.books.fund(symbol, amount);
                self.counts.tally.fundings += 1;
                self.tell_wallet(now, wallet);
                observer.funding(&Payment { local: now, exch, symbol, amount });
            }
            Mail::Liquidation { margin_balance, maintenance } => {
                self.liquidated = true;
                self.counts.tally.liquidations += 1;
                self.desk.reporter.notice(now, "the exchange closes positions by force: look at the account", 0);
                observer.liquidation(&Liquidation { local: now, exch, margin_balance, maintenance });
            }
            Mail::Accepted { .. }
            | Mail::Traded { .. }
            | Mail::Ended { .. }
            | Mail::Refused { .. }
            | Mail::CancelRefused { .. } => self.read_order(letter, observer),
            Mail::Amended { .. } | Mail::ModifyRefused { .. } => self.read_modified(letter, observer),
        }
        self.tell_gate(now);
        if self.stopping {
            self.cancel_all(now);
        }
        assert!(!self.desk.contradicted, "the exchange of a virtual run never contradicts itself");
    }

    fn read_order(&mut self, letter: &Letter, observer: &mut impl Observer) {
        let &Letter { local: now, exch, says } = letter;
        let exchange_ms = exch.millis();
        match says {
            Mail::Accepted { order, exchange_id, ahead } => {
                let Some(ticket) = self.tickets.get_mut(&order) else { return };
                (ticket.arrived, ticket.ahead, ticket.status) = (exch, ahead, Status::New);
                self.desk.reporter.latency(Span::OrderAck, now.since(ticket.sent));
                self.desk.learn(now, exchange_ms, order, Fact::Exists { exchange_id, executed: Qty::ZERO });
                self.show(letter, order, Tells::State, None, PLAIN, observer);
            }
            Mail::Traded { order, exchange_id, fill, realized, filled } => {
                let Some(ticket) = self.tickets.get_mut(&order) else { return };
                ticket.filled += fill.qty;
                ticket.status = if filled { Status::Filled } else { Status::PartiallyFilled };
                let (ticket, executed) = (*ticket, ticket.filled);
                self.desk.learn(now, exchange_ms, order, Fact::Traded { exchange_id, fill });
                if filled {
                    let ended = Fact::Ended { exchange_id, end: End::Filled, executed };
                    self.desk.learn(now, exchange_ms, order, ended);
                }
                self.books.trade(ticket.symbol, ticket.order.side, &fill);
                self.show(letter, order, Tells::Fill, Some(&fill), PLAIN, observer);
                observer.fill(&seen(letter, &ticket, &fill, realized, self.books.best(ticket.symbol)));
                if filled {
                    self.tickets.remove(&order);
                }
            }
            Mail::Ended { order, exchange_id, end, executed, reason } => {
                let Some(ticket) = self.tickets.get_mut(&order) else { return };
                ticket.status = if end == End::Cancelled { Status::Canceled } else { Status::Expired };
                if ticket.cancel_sent > ticket.sent {
                    self.desk.reporter.latency(Span::CancelAck, now.since(ticket.cancel_sent));
                }
                self.desk.learn(now, exchange_ms, order, Fact::Ended { exchange_id, end, executed });
                self.show(letter, order, Tells::State, None, (0, reason), observer);
                self.tickets.remove(&order);
            }
            Mail::Refused { order, code, reason } => {
                let Some(ticket) = self.tickets.get_mut(&order) else { return };
                self.desk.reporter.latency(Span::OrderAck, now.since(ticket.sent));
                let lapsed = meaning(code) == Meaning::Lapsed;
                self.desk.learn(now, 0, order, if lapsed { Fact::Lapsed } else { Fact::Refused { code } });
                self.heed(now, code);
                self.show(letter, order, Tells::Rejected, None, (code, reason), observer);
                self.tickets.remove(&order);
            }
            Mail::CancelRefused { order, code } => {
                self.desk.cancel_refused(now, order, code);
                self.show(letter, order, Tells::Rejected, None, (code, Reason::None), observer);
            }
            Mail::Amended { .. }
            | Mail::ModifyRefused { .. }
            | Mail::Usage(_)
            | Mail::Account { .. }
            | Mail::Foreign { .. }
            | Mail::Funding { .. }
            | Mail::Liquidation { .. } => {}
        }
    }

    /// What a refusal asks for beyond the order.
    fn heed(&mut self, now: Nanos, code: i32) {
        if meaning(code) == Meaning::HaltIncrease {
            self.desk.reporter.notice(now, "the exchange restricts new risk: paused", code.into());
            self.restricted_until = now + RESTRICTED_PAUSE;
        }
    }

    fn show(
        &mut self,
        letter: &Letter,
        order: OrderId,
        tells: Tells,
        fill: Option<&book::Fill>,
        (code, reason): (i32, Reason),
        observer: &mut impl Observer,
    ) {
        let Some(ticket) = self.tickets.get(&order) else { return };
        self.counts.answer(reason);
        observer.answer(&Answer {
            local: letter.local,
            exch: letter.exch,
            requested: ticket.sent.max(ticket.cancel_sent).max(ticket.modify_sent),
            symbol: ticket.symbol,
            order: ticket.order,
            ahead: ticket.ahead,
            tells,
            status: ticket.status,
            leaves: ticket.order.qty - ticket.filled,
            exec_price: fill.map_or(Price::ZERO, |fill| fill.price),
            exec_qty: fill.map_or(Qty::ZERO, |fill| fill.qty),
            maker: fill.is_some_and(|fill| fill.maker),
            code,
            reason,
            best: self.books.best(ticket.symbol),
        });
    }

    fn tell_wallet(&mut self, now: Nanos, wallet: Notional) {
        self.books.set_wallet(wallet);
        self.desk.reporter.send(Report::Wallet { balance: wallet, at: now });
    }

    fn tell_gate(&mut self, now: Nanos) -> bool {
        let wanted = self.wanted_gate(now);
        if self.told == Some(wanted) {
            return false;
        }
        self.told = Some(wanted);
        let (open, reason) = wanted;
        self.desk.reporter.send(Report::Gate { open, reason, at: now });
        true
    }

    fn wanted_gate(&self, now: Nanos) -> (bool, GateReason) {
        if self.stopping {
            (false, GateReason::Stopping)
        } else if self.liquidated {
            (false, GateReason::AccountTrouble)
        } else if now < self.restricted_until {
            (false, GateReason::RestrictedByExchange)
        } else {
            (true, GateReason::Reconciled)
        }
    }
}

fn seen(letter: &Letter, ticket: &Ticket, fill: &book::Fill, realized: Notional, best: Option<Best>) -> Fill {
    Fill {
        local: letter.local,
        exch: letter.exch,
        symbol: ticket.symbol,
        order: ticket.order,
        trade: fill.trade,
        price: fill.price,
        qty: fill.qty,
        maker: fill.maker,
        fee: Notional::from_units(fill.fee.into()),
        realized,
        ahead: ticket.ahead,
        decided: ticket.decided,
        arrived: ticket.arrived,
        best,
    }
}

/// Nothing refused, and nothing to explain.
const PLAIN: (i32, Reason) = (0, Reason::None);
/// As live: new risk is not tried again for this long after a refusal that says nothing but exits is taken.
const RESTRICTED_PAUSE: Duration = Duration::from_secs(60);
