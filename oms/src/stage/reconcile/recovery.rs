//! After a death: the orders of former sessions come to a proven end, and every fill of theirs is booked.
//!
//! Those that the database names are followed from the start on; those it never heard of are found by asking for all
//! orders since the last ones it knows, once no request of the dead session can arrive any more. Each is asked about by
//! its client id and cancelled while it lives, and the gate stays closed until all have ended. Everything that is learned
//! goes to storage under the order's own id, so that doing it again, or dying on the way, changes nothing.

use std::collections::VecDeque;
use std::time::Duration;

use optiflow_base::clock::{Clock, Nanos};
use optiflow_base::ids::{ExchangeOrderId, OrderId, SymbolId};
use optiflow_base::money::Qty;
use optiflow_base::order::{Action, Intent};
use optiflow_base::rest::RestReply;

use super::{Asked, LIST_AGAIN, Step, TRADES_SPAN_MS, symbol_at, usable};
use crate::binance::truth::{self, OrderTruth};
use crate::former::{Former, FormerOrder, Since};
use crate::stage::answers::CLOCK_SLACK;
use crate::stage::calls::{Purpose, symbol_query};
use crate::stage::core::Core;

/// What is still to be found out about former sessions.
#[derive(Debug)]
pub struct Recovery {
    former: Former,
    /// Known by name, and without room in the table so far.
    waiting: VecDeque<FormerOrder>,
    /// Found at the exchange and followed since, sorted: the table forgets an order after its end, as it does those that
    /// are known by name.
    found: Vec<OrderId>,
    /// Per symbol, up to where all orders have been seen.
    seen: Vec<Since>,
    catalogued: bool,
    /// After a death the list of all orders is read again: it may lag behind, and nothing else tells of an order that it
    /// left out and that has ended. Pauses before the readings that are still to come.
    looks: std::slice::Iter<'static, Duration>,
    /// The next of them is due then.
    look_due: Option<Nanos>,
    /// No request of a dead session arrives after this.
    settled_at: Nanos,
}

impl Recovery {
    /// Nothing found out yet; without former sessions nothing has to be. None of them sent anything after `gone`.
    pub fn new(former: Option<Former>, gone: Nanos, recv_window: Duration) -> Recovery {
        let catalogued = former.is_none();
        let former = former.unwrap_or_default();
        Recovery {
            waiting: former.orders.iter().cloned().collect(),
            found: Vec::new(),
            seen: former.since.clone(),
            catalogued,
            looks: if former.died { LOOKS.iter() } else { [].iter() },
            look_due: None,
            settled_at: if former.died { gone + recv_window + CLOCK_SLACK } else { gone },
            former,
        }
    }

    /// Is it an order of a former session?
    pub fn is_former(&self, id: OrderId) -> bool {
        id.epoch() < self.former.epoch
    }

    /// Is everyone followed who is known by name?
    pub fn is_admitted(&self) -> bool {
        self.waiting.is_empty()
    }

    /// Have all orders been seen that were never written down?
    pub const fn is_catalogued(&self) -> bool {
        self.catalogued
    }

    /// From then on no request of a dead session arrives.
    pub const fn settled_at(&self) -> Nanos {
        self.settled_at
    }

    /// May they be asked for now?
    pub fn is_settled(&self, now: Nanos) -> bool {
        now >= self.settled_at
    }

    /// The list of all has been read.
    pub fn has_catalogued(&mut self, now: Nanos) {
        self.catalogued = true;
        if self.look_due.is_none() {
            self.look_due = self.looks.next().map(|pause| now + *pause);
        }
    }

    /// Is the list of all to be read once more? Says so once.
    pub fn takes_another_look(&mut self, now: Nanos) -> bool {
        let due = self.look_due.take_if(|due| now >= *due);
        if due.is_some() {
            self.look_again();
        }
        due.is_some()
    }

    /// An order has turned up that the list of all should have shown: look at all of it again.
    pub fn look_again(&mut self) {
        self.catalogued = false;
        self.seen.clone_from(&self.former.since);
    }

    /// Has anything to be found out about this one?
    fn is_open_question(&self, id: OrderId) -> bool {
        self.is_former(id)
            && self.former.ended.binary_search(&id).is_err()
            && self.found.binary_search(&id).is_err()
            && !self.former.orders.iter().any(|known| known.order.id == id)
    }
}

impl<C: Clock> Core<C> {
    /// Every fate is known. Orders of former sessions that live are cancelled first, and those that nobody wrote down
    /// are looked for.
    pub(super) fn end_resolving(&mut self, now: Nanos) {
        let (table, names) = (&self.desk.table, &self.names);
        let living = table.live().filter(|order| order.former);
        let living: VecDeque<_> =
            living.map(|order| (names[order.symbol.index()].to_string(), order.id.to_string())).collect();
        if !living.is_empty() {
            let count = i64::try_from(living.len()).unwrap_or(i64::MAX);
            self.desk.reporter.notice(now, "cancelling former orders that live and are not listed", count);
            self.reconcile.leftovers = living;
            self.reconcile.step = Step::Cleaning;
        } else if self.recovery.is_catalogued() {
            if self.recovery.is_admitted() {
                self.begin_trades();
            }
        } else if self.recovery.is_settled(now) {
            self.reconcile.enter(Step::Catalogue);
        }
    }

    pub(super) fn list_all_orders(&mut self, now: Nanos) {
        if self.read_catalogue(now) {
            self.recovery.has_catalogued(now);
            self.reconcile.enter(Step::Resolving);
        }
    }

    /// Follows those that are known by name, as far as there is room.
    pub(in crate::stage) fn admit_former(&mut self, now: Nanos) {
        for _ in 0..self.recovery.waiting.len() {
            let Some(order) = self.recovery.waiting.pop_front() else { return };
            if self.desk.table.get(order.order.id).is_none() && !self.desk.table.insert_former(&order, now) {
                self.recovery.waiting.push_back(order);
            }
        }
    }

    /// An event of an order that we should know and do not: the list of all orders is to be read again.
    pub(in crate::stage) fn on_unknown_former(&mut self, now: Nanos, client: &str) {
        let id = OrderId::parse(client.as_bytes());
        if let Some(id) = id.filter(|id| self.recovery.is_catalogued() && self.recovery.is_open_question(*id)) {
            let counter = i64::from(id.counter());
            self.desk.reporter.notice(now, "an order of a former session turned up: looking for all of them", counter);
            self.recovery.look_again();
            self.desk.contradicted = true;
        }
    }

    /// An order of a former session that the exchange shows and the database never heard of is followed from now on.
    /// False when there is no room for it now.
    pub(in crate::stage) fn adopt_former(&mut self, now: Nanos, symbol: SymbolId, row: &OrderTruth) -> bool {
        let Some(id) = OrderId::parse(row.client.as_bytes()) else { return true };
        if !self.recovery.is_open_question(id) || self.desk.table.get(id).is_some() {
            return true;
        }
        let counter = i64::from(id.counter());
        let shown = row.wanted.and_then(|wanted| wanted.order(id, row.terms).zip(Some(wanted.time_ms)));
        let Some((order, time_ms)) = shown else {
            self.desk.reporter.notice(now, "an order of a former session is shown without its terms", counter);
            return true;
        };
        let at = self.time.ours(time_ms).min(now);
        let (trades, filled) = (Vec::new(), Qty::ZERO);
        let former = FormerOrder { symbol, order, sent: at, exchange_id: None, trades, filled };
        if !self.desk.table.insert_former(&former, now) {
            return false;
        }
        self.recovery.found.insert(self.recovery.found.partition_point(|known| *known < id), id);
        self.desk.reporter.notice(now, "an order of a former session that was never written down", counter);
        self.desk.reporter.keep_intent(Intent { symbol, action: Action::Place(order), caused: at, decided: at });
        self.desk.learn(now, 0, id, row.status.fact(row.exchange_id, row.executed));
        self.answer_question(now, id);
        true
    }

    /// Asks for all orders since the last that the database knows; says when all have been seen.
    pub(in crate::stage) fn read_catalogue(&mut self, now: Nanos) -> bool {
        for index in 0..self.names.len() {
            if self.reconcile.asked[index] != Asked::Todo {
                continue;
            }
            let name = &self.names[index];
            let query = match self.recovery.seen.get(index).copied().unwrap_or_default() {
                Since::Nothing => {
                    self.reconcile.asked[index] = Asked::Done;
                    continue;
                }
                Since::Order(id) => symbol_query(name, format_args!("&orderId={}&limit={PAGE_LEN}", id.0)),
                Since::Time(at) => {
                    let earliest = self.time.now_ms(now).saturating_sub(TRADES_SPAN_MS);
                    let since = self.time.now_ms(at).saturating_sub(SINCE_SLACK_MS).max(earliest);
                    symbol_query(name, format_args!("&startTime={since}&limit={PAGE_LEN}"))
                }
            };
            if !self.calls.ask(now, Purpose::Catalogue(symbol_at(index)), query) {
                return false;
            }
            self.reconcile.asked[index] = Asked::Waiting;
        }
        self.reconcile.all_answered()
    }

    /// A page of all orders.
    pub(in crate::stage) fn on_catalogue(&mut self, now: Nanos, symbol: SymbolId, reply: &RestReply) -> bool {
        let Some(mut rows) = usable(reply, truth::orders) else { return false };
        rows.sort_by_key(|row| row.exchange_id);
        let mut complete = rows.len() < PAGE_LEN;
        for row in &rows {
            let mut next = ExchangeOrderId(row.exchange_id.0.saturating_add(1));
            if !self.adopt_former(now, symbol, row) {
                // Orders that end make room; until then this one is asked for again.
                self.reconcile.resume_at = now + LIST_AGAIN;
                (next, complete) = (row.exchange_id, false);
            }
            if let Some(seen) = self.recovery.seen.get_mut(symbol.index()) {
                *seen = Since::Order(next);
            }
            if next == row.exchange_id {
                break;
            }
        }
        self.reconcile.asked[symbol.index()] = if complete { Asked::Done } else { Asked::Todo };
        true
    }
}

/// From one reading of all orders to the next after a death. Lists lag for less than five seconds as a rule, and for how
/// long at worst nobody says.
const LOOKS: [Duration; 2] = [Duration::from_secs(5), Duration::from_secs(60)];
/// Orders in one answer at most.
const PAGE_LEN: usize = 1000;
/// The clocks of two sessions may differ by this much, ms.
const SINCE_SLACK_MS: u64 = 60_000;
