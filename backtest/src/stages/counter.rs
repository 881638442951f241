//! The exchange's counter: takes requests in, asks the core, and writes home what became of them.
//!
//! Counts orders and weight as the exchange does and refuses what is beyond. Codes are the venue's own, from the
//! simulator's face. Knows nothing of us but the account.

use optiflow_base::clock::Nanos;
use optiflow_base::ids::{ExchangeOrderId, OrderId, SymbolId, TradeId};
use optiflow_base::money::{Price, Qty, Side};
use optiflow_base::order::{self, NewOrder, Usage};
use optiflow_oms::order::{End, Fill};
use optiflow_sim::binance::errors::ApiError;
use optiflow_sim::binance::limits::{Limits, OrderCost};
use optiflow_sim::core::Core;
use optiflow_sim::replay::orders::Reason;
use optiflow_sim::words::{
    self, Amendment, CoreEvent, MarketTick, OrderKey, OrderStatus, Placement, Reject, SelfTrade, Terms, Tick,
};

use super::ears::Ears;
use super::message::Mark;
use super::post::{Mail, Post, Request};
use crate::far_end::LOOPBACK;

/// The counter.
#[derive(Default)]
pub(super) struct Counter {
    limits: Limits,
    events: Vec<CoreEvent>,
    letters: Vec<Mail>,
}

impl Counter {
    /// Lets the market move up to `now`, and writes home what that means for us.
    pub(super) fn advance(
        &mut self,
        now: Nanos,
        core: &mut Core,
        post: &mut Post,
        ears: &mut Ears,
    ) -> Result<(), String> {
        let advanced = core.advance(now, &mut self.events);
        self.write(now, None, post, ears);
        advanced.map_err(|error| error.to_string())
    }

    /// Serves a request that has arrived.
    pub(super) fn serve(&mut self, now: Nanos, request: Request, core: &mut Core, post: &mut Post, ears: &mut Ears) {
        let (refusal, ahead) = match request {
            Request::Place(symbol, order) => match self.place(now, symbol, &order, core) {
                Ok(ahead) => (None, ahead),
                Err((error, reason)) => {
                    let refused = Mail::Refused { order: order.id, code: error.code, reason };
                    (Some((refused, error)), None)
                }
            },
            Request::Cancel(symbol, order) => match self.cancel(now, symbol, order, core) {
                Ok(()) => (None, None),
                Err(error) => (Some((Mail::CancelRefused { order, code: error.code }, error)), None),
            },
            Request::Modify(symbol, order, side, terms) => match self.modify(now, symbol, (order, side), terms, core) {
                Ok(ahead) => (None, ahead),
                Err((error, reason)) => {
                    let refused = Mail::ModifyRefused { order, code: error.code, reason };
                    (Some((refused, error)), None)
                }
            },
        };
        let usage = self.usage(now, refusal.as_ref().map(|(_, error)| error));
        self.letters.push(Mail::Usage(usage));
        if let Some((refused, _)) = refusal {
            self.letters.push(refused);
        }
        self.write(now, ahead, post, ears);
    }

    fn place(
        &mut self,
        now: Nanos,
        symbol: SymbolId,
        order: &NewOrder,
        core: &mut Core,
    ) -> Result<Option<Qty>, (ApiError, Reason)> {
        self.count_order(now)?;
        let NewOrder { id, side, kind, time_in_force, price, qty, reduce_only } = *order;
        let placement = Placement {
            symbol: symbol.index(),
            client_id: id.to_string(),
            side,
            kind,
            time_in_force,
            price,
            qty,
            reduce_only,
            self_trade: SelfTrade::ExpireMaker,
            terms: Terms::default(),
        };
        let placed = core.place(now, placement, &mut self.events);
        let placed = placed.map_err(|reject| (ApiError::from_reject(&reject, price, qty), reason(&reject)))?;
        Ok(core.queue_ahead(&placed))
    }

    fn cancel(&mut self, now: Nanos, symbol: SymbolId, order: OrderId, core: &mut Core) -> Result<(), ApiError> {
        self.limits.spend(now, LOOPBACK, CANCEL_WEIGHT)?;
        let key = OrderKey::Client(order.to_string());
        let cancelled = core.cancel(now, symbol.index(), &key, &mut self.events);
        cancelled.map(|_| ()).map_err(|reject| ApiError::from_reject(&reject, Price::ZERO, Qty::ZERO))
    }

    fn modify(
        &mut self,
        now: Nanos,
        symbol: SymbolId,
        (order, side): (OrderId, Side),
        order::Terms { price, qty }: order::Terms,
        core: &mut Core,
    ) -> Result<Option<Qty>, (ApiError, Reason)> {
        self.count_order(now)?;
        let key = OrderKey::Client(order.to_string());
        let amendment = Amendment { side, price, price_match: Terms::default().price_match, qty };
        let modified = core.modify(now, symbol.index(), &key, amendment, &mut self.events);
        let modified = modified.map_err(|reject| (ApiError::from_reject(&reject, price, qty), reason(&reject)))?;
        Ok(core.queue_ahead(&modified))
    }

    /// Counts an order or other terms of one, if there may be one more.
    fn count_order(&mut self, now: Nanos) -> Result<(), (ApiError, Reason)> {
        let counted = self.limits.spend(now, LOOPBACK, PLACE_WEIGHT);
        let cost = OrderCost { ten_seconds: 1, minute: 1 };
        let counted = counted.and_then(|()| self.limits.take_orders(now, LOOPBACK, cost));
        counted.map_err(|error| (error, Reason::TooManyOrders))
    }

    fn usage(&mut self, now: Nanos, error: Option<&ApiError>) -> Usage {
        let (ten_seconds, minute) = self.limits.orders(now);
        let until = error.and_then(|error| error.retry_at);
        let only_orders = error.is_some_and(|error| error.code == TOO_MANY_ORDERS);
        Usage {
            weight_minute: Some(self.limits.weight(now, LOOPBACK)),
            orders_ten_seconds: Some(ten_seconds),
            orders_minute: Some(minute),
            blocked_until: until.filter(|_| !only_orders),
            orders_blocked_until: until.filter(|_| only_orders),
            ..Usage::default()
        }
    }

    /// Writes home what the core did; `ahead` belongs to the order that was just placed or modified.
    fn write(&mut self, now: Nanos, ahead: Option<Qty>, post: &mut Post, ears: &mut Ears) {
        if !self.letters.is_empty() {
            post.write(now, &self.letters);
            self.letters.clear();
        }
        for event in self.events.drain(..) {
            if let CoreEvent::Market(MarketTick { symbol, what, .. }) = &event {
                if let Tick::Mark { mark, index, funding_rate, next_funding_ms } = *what {
                    let mark = Mark { mark, index, funding_rate, next_funding_ms };
                    ears.derived(now, symbol_id(*symbol), mark);
                }
                continue;
            }
            letters(&event, ahead, &mut self.letters);
            post.write(now, &self.letters);
            self.letters.clear();
        }
        post.answered();
    }
}

/// What an event of the core means to the owner of the account.
fn letters(event: &CoreEvent, ahead: Option<Qty>, into: &mut Vec<Mail>) {
    match event {
        CoreEvent::New(order) => {
            if let Some(id) = ours(order) {
                let ahead = ahead.unwrap_or_default();
                into.push(Mail::Accepted { order: id, exchange_id: ExchangeOrderId(order.id), ahead });
            }
        }
        CoreEvent::Fill { order, fill, position, wallet } => {
            let symbol = symbol_id(fill.symbol);
            let (qty, entry) = (position.qty, position.entry);
            into.push(Mail::Account { symbol, qty, entry, wallet: *wallet });
            into.push(traded(order, fill));
        }
        CoreEvent::Ended { order, reason } => {
            let end = match order.status {
                OrderStatus::Canceled => End::Cancelled,
                OrderStatus::Expired | OrderStatus::ExpiredInMatch => End::Expired,
                OrderStatus::Filled | OrderStatus::New | OrderStatus::PartiallyFilled => End::Filled,
            };
            if let Some(id) = ours(order) {
                let exchange_id = ExchangeOrderId(order.id);
                let reason = end_reason(order, *reason);
                into.push(Mail::Ended { order: id, exchange_id, end, executed: order.filled, reason });
            }
        }
        CoreEvent::Funding { symbol, amount, wallet, .. } => {
            into.push(Mail::Funding { symbol: symbol_id(*symbol), amount: *amount, wallet: *wallet });
        }
        CoreEvent::Liquidation { margin_balance, maintenance, .. } => {
            into.push(Mail::Liquidation { margin_balance: *margin_balance, maintenance: *maintenance });
        }
        CoreEvent::Amended(order) => {
            if let Some(id) = ours(order) {
                let exchange_id = ExchangeOrderId(order.id);
                let terms = order::Terms { price: order.placed.price, qty: order.placed.qty };
                let (executed, ahead) = (order.filled, ahead.unwrap_or_default());
                into.push(Mail::Amended { order: id, exchange_id, terms, executed, ahead });
            }
        }
        // The market was heard before.
        CoreEvent::Market(_) => {}
    }
}

/// Why an order was refused, as far as tables tell.
const fn reason(reject: &Reject) -> Reason {
    match reject {
        Reject::NotionalTooLow(_) => Reason::BelowMinNotional,
        Reject::NotReducing => Reason::NotReducing,
        Reject::InsufficientMargin => Reason::NoMargin,
        Reject::PriceTooLow
        | Reject::PriceTooHigh
        | Reject::PriceOffTick
        | Reject::PriceAboveBand(_)
        | Reject::PriceBelowBand(_)
        | Reject::QtyTooLow
        | Reject::QtyTooHigh
        | Reject::QtyOffStep
        | Reject::WouldTake
        | Reject::CannotFill
        | Reject::TooManyOpenOrders
        | Reject::DuplicateClientId
        | Reject::NoLiquidity
        | Reject::CounterpartyBeyondBand
        | Reject::PositionTooLarge
        | Reject::LeverageTooLow
        | Reject::TooManyAmendments
        | Reject::UnknownOrder
        | Reject::NothingToModify => Reason::None,
    }
}

/// Why an order ended, as far as tables tell; `er` is the exchange's word for it.
fn end_reason(order: &words::Order, er: u8) -> Reason {
    match (order.status, er) {
        (OrderStatus::ExpiredInMatch, _) => Reason::SelfTrade,
        (_, ER_LIQUIDATION) => Reason::Liquidation,
        (_, ER_NOT_REDUCING) => Reason::NotReducing,
        (_, _) => Reason::None,
    }
}

fn traded(order: &words::Order, fill: &words::Fill) -> Mail {
    let &words::Fill { trade_id, symbol, side, price, qty, maker, fee, realized, .. } = fill;
    let fill = Fill { trade: TradeId(trade_id), price, qty, maker, fee: fee.units_i64() };
    let filled = order.status == OrderStatus::Filled;
    match ours(order) {
        Some(id) => Mail::Traded { order: id, exchange_id: ExchangeOrderId(order.id), fill, realized, filled },
        None => Mail::Foreign { symbol: symbol_id(symbol), side, fill },
    }
}

/// Our id of the order; `None` for those by which the exchange closes positions.
fn ours(order: &words::Order) -> Option<OrderId> {
    OrderId::parse(order.placed.client_id.as_bytes())
}

/// The session's symbol of a listing: they are in the same order.
fn symbol_id(index: usize) -> SymbolId {
    SymbolId(u16::try_from(index).unwrap_or(u16::MAX))
}

/// `er` of an order that a liquidation cancelled.
const ER_LIQUIDATION: u8 = 5;
/// `er` of a reduce-only order with nothing left to reduce.
const ER_NOT_REDUCING: u8 = 4;
/// "Too many new orders": only orders are limited.
const TOO_MANY_ORDERS: i32 = -1015;
/// Orders cost no weight; they are counted.
const PLACE_WEIGHT: u32 = 0;
const CANCEL_WEIGHT: u32 = 1;
