//! Requests of a client: place, cancel, cancel all, modify.
//!
//! A refused request leaves no trace. Time comes with each request; the market is as replayed so far.

use optiflow_base::clock::Nanos;
use optiflow_base::money::{Price, Qty};
use optiflow_base::order::{OrderKind, TimeInForce};

use crate::core::Core;
use crate::matching::{Hit, Step, Take};
use crate::words::{Amendment, CoreEvent, Order, OrderKey, OrderStatus, Placement, Reject, SymbolIndex};

impl Core {
    /// Places an order: checks it, lets it take what it may, rests or expires the remainder. Returns it as it stands then.
    ///
    /// # Errors
    /// Why it is refused; it then never existed.
    pub fn place(&mut self, now: Nanos, placement: Placement, out: &mut Vec<CoreEvent>) -> Result<Order, Reject> {
        let placed = self.admit(placement)?;
        let id = self.orders.next_id();
        let order = Order {
            id,
            liquidates: false,
            placed,
            status: OrderStatus::New,
            filled: Qty::ZERO,
            filled_quote: Default::default(),
            created: now,
            updated: now,
        };
        self.orders.add(order.clone());
        out.push(CoreEvent::New(order.clone()));
        self.enter_market(now, &order, out);
        self.orders.by_id(id).cloned().ok_or(Reject::UnknownOrder)
    }

    /// Cancels an open order and returns it as it ended.
    ///
    /// # Errors
    /// `UnknownOrder` when there is none, or it is not open.
    pub fn cancel(
        &mut self,
        now: Nanos,
        symbol: SymbolIndex,
        key: &OrderKey,
        out: &mut Vec<CoreEvent>,
    ) -> Result<Order, Reject> {
        let id = self.open_order(symbol, key)?.id;
        self.end(now, id, OrderStatus::Canceled, REASON_NONE, out).ok_or(Reject::UnknownOrder)
    }

    /// Expires an open order whose time is over and returns it as it ended.
    ///
    /// # Errors
    /// `UnknownOrder` when there is none, or it is not open.
    pub fn expire(&mut self, now: Nanos, id: u64, out: &mut Vec<CoreEvent>) -> Result<Order, Reject> {
        self.end(now, id, OrderStatus::Expired, REASON_NONE, out).ok_or(Reject::UnknownOrder)
    }

    /// Cancels every open order of a symbol; returns how many.
    pub fn cancel_all(&mut self, now: Nanos, symbol: SymbolIndex, out: &mut Vec<CoreEvent>) -> usize {
        let ids: Vec<u64> = self.orders.open(symbol).map(|order| order.id).collect();
        for &id in &ids {
            self.end(now, id, OrderStatus::Canceled, REASON_NONE, out);
        }
        assert!(self.orders.open_count(symbol) == 0, "nothing is open after cancelling all");
        ids.len()
    }

    /// Gives an open limit order a new price and total quantity, a reduce-only one no more than the position; it goes to
    /// the end of the queue. It is cancelled instead when the quantity is filled already, or when it is post-only and would take at the new price.
    ///
    /// # Errors
    /// Why it stays as it is.
    pub fn modify(
        &mut self,
        now: Nanos,
        symbol: SymbolIndex,
        key: &OrderKey,
        amendment: Amendment,
        out: &mut Vec<CoreEvent>,
    ) -> Result<Order, Reject> {
        let Amendment { side, price, price_match, qty } = amendment;
        let order = self.open_order(symbol, key)?.clone();
        let (id, placed) = (order.id, &order.placed);
        if placed.side != side {
            return Err(Reject::UnknownOrder);
        }
        let most = if placed.reduce_only { order.filled + self.reducible(&order) } else { qty };
        let qty = qty.min(most);
        if placed.price == price && placed.qty == qty {
            return Err(Reject::NothingToModify);
        }
        self.check_limit(symbol, side, price, qty)?;
        if !placed.reduce_only {
            self.check_notional(symbol, price, qty)?;
            let left = (qty - order.filled).max(Qty::ZERO);
            self.check_exposure(symbol, side, price.times(left), Some(id))?;
        }
        let market = &mut self.markets[symbol];
        market.queue.leave(side, id);
        let would_take = market.queue.would_take(&market.book, side, price);
        if qty <= order.filled || (placed.time_in_force == TimeInForce::Gtx && would_take) {
            return self.end(now, id, OrderStatus::Canceled, REASON_NONE, out).ok_or(Reject::UnknownOrder);
        }
        let amended = self.orders.change(id, |order| {
            order.placed.price = price;
            order.placed.qty = qty;
            order.placed.terms.price_match = price_match;
            order.updated = now;
        });
        let amended = amended.cloned().ok_or(Reject::UnknownOrder)?;
        out.push(CoreEvent::Amended(amended.clone()));
        self.enter_market(now, &amended, out);
        self.orders.by_id(id).cloned().ok_or(Reject::UnknownOrder)
    }

    fn open_order(&self, symbol: SymbolIndex, key: &OrderKey) -> Result<&Order, Reject> {
        self.orders.find(symbol, key).filter(|order| order.status.is_open()).ok_or(Reject::UnknownOrder)
    }

    /// Every check of a new order, in the exchange's order; a reduce-only quantity is cut to the position.
    ///
    /// # Errors
    /// Why it would be refused.
    pub fn admit(&self, mut placed: Placement) -> Result<Placement, Reject> {
        let symbol = placed.symbol;
        match placed.kind {
            OrderKind::Limit => self.check_limit(symbol, placed.side, placed.price, placed.qty)?,
            OrderKind::Market => self.check_market(symbol, placed.side, placed.qty)?,
        }
        let price = self.margin_price(&placed);
        if !placed.reduce_only {
            self.check_notional(symbol, price, placed.qty)?;
        }
        if self.orders.is_client_id_open(symbol, &placed.client_id) {
            return Err(Reject::DuplicateClientId);
        }
        if self.orders.open_count(symbol) >= self.config.listings[symbol].open_orders_max as usize {
            return Err(Reject::TooManyOpenOrders);
        }
        if placed.reduce_only {
            let held = self.account.position(symbol).qty;
            if placed.side.signed(held) >= Qty::ZERO {
                return Err(Reject::NotReducing);
            }
            placed.qty = placed.qty.min(held.abs());
        } else {
            self.check_exposure(symbol, placed.side, price.times(placed.qty), None)?;
        }
        self.admit_to_book(&placed)?;
        Ok(placed)
    }

    /// The checks of limit orders that need the book: post-only and all-or-nothing.
    fn admit_to_book(&self, placed: &Placement) -> Result<(), Reject> {
        let (side, qty) = (placed.side, placed.qty);
        let market = &self.markets[placed.symbol];
        let limit = self.worst_price(placed);
        match (placed.kind, placed.time_in_force) {
            (OrderKind::Limit, TimeInForce::Gtx) => {
                let takes = market.queue.would_take(&market.book, side, placed.price);
                if takes { Err(Reject::WouldTake) } else { Ok(()) }
            }
            (OrderKind::Limit, TimeInForce::Fok) => {
                let enough = market.queue.available(&market.book, side, limit, qty) == qty;
                if enough { Ok(()) } else { Err(Reject::CannotFill) }
            }
            (OrderKind::Limit, TimeInForce::Gtc | TimeInForce::Ioc) | (OrderKind::Market, _) => Ok(()),
        }
    }

    /// Worst price an order may take at: its own, or the edge of the percent-price band for a market order.
    fn worst_price(&self, placed: &Placement) -> Option<Price> {
        match placed.kind {
            OrderKind::Limit => Some(placed.price),
            OrderKind::Market => self.band(placed.symbol, placed.side),
        }
    }

    /// Lets an order take, then rests or expires what is left.
    pub(super) fn enter_market(&mut self, now: Nanos, order: &Order, out: &mut Vec<CoreEvent>) {
        let (id, placed) = (order.id, &order.placed);
        let all_or_nothing = placed.time_in_force == TimeInForce::Fok;
        let take = Take {
            side: placed.side,
            limit: self.worst_price(placed),
            qty: placed.qty - order.filled,
            self_trade: Some(placed.self_trade).filter(|_| !all_or_nothing),
        };
        let market = &mut self.markets[placed.symbol];
        let mut steps = std::mem::take(&mut self.steps);
        let left = market.queue.take(&market.book, take, &mut steps);
        let mut is_stopped = false;
        for step in steps.drain(..) {
            match step {
                Step::Market { price, qty } => {
                    self.settle_taker(now, placed.symbol, Hit { order: id, price, qty }, out);
                }
                Step::Own(hit) => {
                    self.settle_taker(now, placed.symbol, Hit { order: id, ..hit }, out);
                    self.settle_maker(now, placed.symbol, hit, out);
                }
                Step::ExpireMaker(maker) => {
                    self.end(now, maker, OrderStatus::ExpiredInMatch, REASON_SELF_TRADE, out);
                }
                Step::ExpireTaker => is_stopped = true,
            }
        }
        self.steps = steps;
        if is_stopped {
            self.end(now, id, OrderStatus::ExpiredInMatch, REASON_SELF_TRADE, out);
        } else if !left.is_zero() {
            self.rest_or_expire(now, order, left, out);
        }
        self.expire_beyond_position(now, placed.symbol, out);
    }

    fn rest_or_expire(&mut self, now: Nanos, order: &Order, left: Qty, out: &mut Vec<CoreEvent>) {
        let placed = &order.placed;
        match (placed.kind, placed.time_in_force) {
            (OrderKind::Market, _) => {
                self.end(now, order.id, OrderStatus::Expired, REASON_MARKET_REMAINDER, out);
            }
            (OrderKind::Limit, TimeInForce::Ioc | TimeInForce::Fok) => {
                self.end(now, order.id, OrderStatus::Expired, REASON_IOC_REMAINDER, out);
            }
            (OrderKind::Limit, TimeInForce::Gtc | TimeInForce::Gtx) => {
                let market = &mut self.markets[placed.symbol];
                market.queue.join(&market.book, order.id, placed.side, placed.price, left);
            }
        }
    }
}

/// `er` of an order that ended for no special reason.
const REASON_NONE: u8 = 0;
/// `er` of self-trade prevention.
const REASON_SELF_TRADE: u8 = 1;
/// `er` of an immediate-or-cancel remainder.
const REASON_IOC_REMAINDER: u8 = 2;
/// `er` of a market order's remainder.
const REASON_MARKET_REMAINDER: u8 = 9;
