//! `scalping_v1`: quotes post-only on the side that the book leans to, and leaves by profit, stop or time.
//!
//! Flat: when the imbalance of the best level is strong, five levels agree and the trade flow does not object, one
//! post-only order joins (or improves) the touch on that side; it is cancelled when the touch moves away or the signal
//! fades. In a position: a reduce-only post-only order at the profit price; past the stop, or past hold and grace, a
//! reduce-only order that takes, at last a market order. At most one working entry and one working exit at a time.
//! Refusals are answered by pauses, for each kind of order apart: nothing that befalls entries or profit orders holds an
//! exit that takes up, and its own pauses are short.
//! It never acts on a book that is unsynced, crossed or stale, with a silent stream (exits excepted where prices are
//! still good) or through a closed gate. Prices are made by tick arithmetic on integers. Engine thread.

use std::time::Duration;

use optiflow_base::clock::nanos_of;
use optiflow_base::instrument::{Adjusted, Draft, Instrument, validate_and_adjust_quantity};
use optiflow_base::money::{Notional, Price, Qty, Side};
use optiflow_base::order::{OrderChange, OrderEvent, TimeInForce};

use crate::orders::{OrderStage, OwnOrder};
use crate::position::Position;
use crate::signals::Reading;
use crate::strategy::{LimitOrder, Orders, Strategy};
use crate::view::View;

use config::ScalpingConfig;
use pace::{Breaker, Pace, Refusal};

pub mod config;
mod pace;

/// The strategy; one instance per symbol.
#[derive(Debug)]
pub struct ScalpingV1 {
    config: ScalpingConfig,
    pace: Pace,
    entry_breaker: Breaker,
    /// Of exits that rest.
    rest_breaker: Breaker,
    /// Of exits that take.
    taking_breaker: Breaker,
    /// Taking exits sent for the present position.
    crossings: u32,
}

/// How a position is to be left now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Exit {
    /// Rest at this price, post-only.
    Rest(Price),
    /// Take up to this price; the rest expires.
    Cross(Price),
    /// Take whatever the book gives.
    Market,
}

impl ScalpingV1 {
    /// A strategy that follows `config`.
    ///
    /// # Panics
    /// If the configuration has a problem: [`ScalpingConfig::validate`] lists them, before anything is started.
    pub fn new(config: ScalpingConfig) -> ScalpingV1 {
        let problems = config.validate();
        assert!(problems.is_empty(), "scalping_v1 is given a validated configuration: {problems:?}");
        let breaker = |pause: Duration| Breaker::new(config.refusal_cooldown.min(pause), pause, config.refusals_max);
        ScalpingV1 {
            pace: Pace::new(config.orders_per_second_max),
            entry_breaker: breaker(config.refusal_pause),
            rest_breaker: breaker(config.refusal_pause),
            taking_breaker: breaker(config.refusal_pause.min(TAKING_PAUSE_MAX)),
            crossings: 0,
            config,
        }
    }

    fn seek_entry(&mut self, view: &View<'_>, reading: &Reading, orders: &mut Orders) {
        for order in view.orders.entries().filter(|order| !self.keeps_entry(view, reading, order)) {
            orders.cancel(order);
        }
        let working = view.orders.live().next().is_some();
        let ready = self.entry_breaker.allows(view.now) && self.pace.allows(view.now, ORDERS_KEPT_FOR_TAKING);
        let Some(side) = self.wanted(reading).filter(|_| !working && ready) else { return };
        let price = self.entry_price(view.instrument, reading, side);
        let Some(adjusted) = self.entry_order(view, reading, side, price) else {
            self.entry_breaker.refused(Refusal::Unfit, view.now);
            return;
        };
        let (price, qty) = (adjusted.price.unwrap_or(price), adjusted.qty);
        let time_in_force = TimeInForce::Gtx;
        if orders.limit(LimitOrder { side, price, qty, time_in_force, reduce_only: false }).is_some() {
            self.pace.note(view.now);
        }
    }

    /// The side that the signals call for, if they agree.
    fn wanted(&self, reading: &Reading) -> Option<Side> {
        [Side::Buy, Side::Sell].into_iter().find(|side| {
            let towards = direction(*side);
            reading.obi_l1 * towards >= self.config.obi_l1_enter
                && reading.obi_l5 * towards >= self.config.obi_l5_enter
                && reading.flow * towards >= self.config.flow_enter
        })
    }

    /// A waiting entry stays while it is young; then, until it is old, while the signal holds and its price is the
    /// touch's or the one it would be placed at: a quote that has become the touch is not outbid by ourselves.
    fn keeps_entry(&self, view: &View<'_>, reading: &Reading, order: &OwnOrder) -> bool {
        let age = order.age(view.now);
        if age < nanos_of(self.config.quote_life_min) {
            return true;
        }
        let holds = reading.obi_l1 * direction(order.side) >= self.config.obi_l1_keep;
        let prices = [touch(reading, order.side), self.entry_price(view.instrument, reading, order.side)];
        let near = prices.into_iter().any(|price| self.is_near(view.instrument, order.price, price));
        age < nanos_of(self.config.quote_life_max) && holds && near
    }

    /// The touch, or one tick better in a wide spread.
    fn entry_price(&self, instrument: &Instrument, reading: &Reading, side: Side) -> Price {
        let inwards = match side {
            Side::Buy => 1,
            Side::Sell => -1,
        };
        let spread = (reading.ask.price - reading.bid.price).units() / instrument.tick_size.units();
        let wide = spread >= self.config.improve_spread_ticks;
        if wide { instrument.offset_ticks(touch(reading, side), inwards) } else { touch(reading, side) }
    }

    /// The configured size at `price`, at least what the exchange accepts, made to fit the filters.
    fn entry_order(&self, view: &View<'_>, reading: &Reading, side: Side, price: Price) -> Option<Adjusted> {
        let instrument = view.instrument;
        let qty = qty_worth(self.config.order_notional, price)?.max(instrument.qty_min_at(price));
        let draft = Draft { side, price: Some(price), qty, reduce_only: false };
        let adjusted = validate_and_adjust_quantity(instrument, &draft, reference(view, reading)).ok()?;
        let fits = price.times(adjusted.qty) <= self.config.position_notional_max;
        fits.then_some(adjusted)
    }

    fn seek_exit(&mut self, view: &View<'_>, reading: &Reading, orders: &mut Orders) {
        let Some(side) = view.position.side().map(Side::opposite) else { return };
        let (exit, fit) = self.fitting_exit(view, reading, side);
        let mut working = false;
        for order in view.orders.exits() {
            working = true;
            if !self.keeps_exit(view, order, exit, fit) {
                orders.cancel(order);
            }
        }
        let taking = exit.is_taking();
        let kept = if taking { 0 } else { self.kept_for_taking() };
        if working || !self.exit_breaker(taking).allows(view.now) || !self.pace.allows(view.now, kept) {
            return;
        }
        let Some(Adjusted { price, qty }) = fit else {
            self.exit_breaker(taking).refused(Refusal::Unfit, view.now);
            return;
        };
        let limit = |price, time_in_force| LimitOrder { side, price, qty, time_in_force, reduce_only: true };
        let placed = match (exit, price) {
            (Exit::Rest(_), Some(price)) => orders.limit(limit(price, TimeInForce::Gtx)),
            (Exit::Cross(_), Some(price)) => orders.limit(limit(price, TimeInForce::Ioc)),
            (Exit::Market, _) | (_, None) => orders.market_exit(side, qty),
        };
        if placed.is_some() {
            self.pace.note(view.now);
            self.crossings = self.crossings.saturating_add(u32::from(taking));
        }
    }

    /// Of two orders a second an entry and its profit order leave nothing to keep.
    const fn kept_for_taking(&self) -> usize {
        if self.config.orders_per_second_max > 2 { ORDERS_KEPT_FOR_TAKING } else { 0 }
    }

    const fn exit_breaker(&mut self, taking: bool) -> &mut Breaker {
        if taking { &mut self.taking_breaker } else { &mut self.rest_breaker }
    }

    /// The exit for now, made to fit the filters; one that takes at a price no filter allows becomes a market order.
    fn fitting_exit(&self, view: &View<'_>, reading: &Reading, side: Side) -> (Exit, Option<Adjusted>) {
        let fit = |price: Option<Price>| {
            let draft = Draft { side, price, qty: view.position.qty.abs(), reduce_only: true };
            validate_and_adjust_quantity(view.instrument, &draft, reference(view, reading)).ok()
        };
        match self.exit_for(view, reading, side) {
            Exit::Cross(price) if fit(Some(price)).is_none() => (Exit::Market, fit(None)),
            exit @ (Exit::Rest(_) | Exit::Cross(_) | Exit::Market) => (exit, fit(exit.price())),
        }
    }

    fn exit_for(&self, view: &View<'_>, reading: &Reading, side: Side) -> Exit {
        let config = &self.config;
        let held = view.now.since(view.position.since);
        let (hold, grace) = (nanos_of(config.hold_max), nanos_of(config.exit_grace));
        if is_stopped(&view.position, reading, config.stop_loss_ppm) || held >= hold.saturating_add(grace) {
            return self.taking_exit(view.instrument, reading, side);
        }
        let touch = touch(reading, side);
        if held >= hold {
            return Exit::Rest(touch);
        }
        let profit = self.profit_price(view.instrument, view.position.entry, side);
        // Beyond the profit price already: the touch is better still, and a post-only order must not take.
        Exit::Rest(if side.reaches(profit, touch) { touch } else { profit })
    }

    fn taking_exit(&self, instrument: &Instrument, reading: &Reading, side: Side) -> Exit {
        if self.crossings >= self.config.cross_attempts_max {
            return Exit::Market;
        }
        Exit::Cross(match side {
            Side::Buy => instrument.offset_ticks(reading.ask.price, self.config.cross_ticks),
            Side::Sell => instrument.offset_ticks(reading.bid.price, -self.config.cross_ticks),
        })
    }

    fn profit_price(&self, instrument: &Instrument, entry: Price, side: Side) -> Price {
        let ppm = self.config.take_profit_ppm;
        let ticks = self.config.take_profit_ticks;
        let price = match side {
            Side::Sell => entry.shifted_ppm(ppm).max(instrument.offset_ticks(entry, ticks)),
            Side::Buy => entry.shifted_ppm(-ppm).min(instrument.offset_ticks(entry, -ticks)),
        };
        instrument.round_price(side, price)
    }

    /// A taking exit replaces a resting one at once; a resting one moves only after its least life.
    fn keeps_exit(&self, view: &View<'_>, order: &OwnOrder, exit: Exit, fit: Option<Adjusted>) -> bool {
        let resting = order.time_in_force == TimeInForce::Gtx;
        match exit {
            Exit::Rest(price) if resting => {
                let young = order.age(view.now) < nanos_of(self.config.quote_life_min);
                let whole = fit.is_some_and(|fit| fit.qty == order.remaining());
                young || (whole && self.is_near(view.instrument, order.price, price))
            }
            Exit::Rest(_) => true,
            Exit::Cross(_) | Exit::Market => !resting,
        }
    }

    fn is_near(&self, instrument: &Instrument, price: Price, wanted: Price) -> bool {
        let near = instrument.offset_ticks(Price::ZERO, self.config.reprice_ticks);
        price.units().abs_diff(wanted.units()) < near.units().unsigned_abs()
    }
}

impl Strategy for ScalpingV1 {
    fn name(&self) -> &'static str {
        "scalping_v1"
    }

    fn on_update(&mut self, view: &View<'_>, orders: &mut Orders) {
        for breaker in [&mut self.entry_breaker, &mut self.rest_breaker, &mut self.taking_breaker] {
            if let Some(code) = breaker.take_alarm() {
                orders.notice("scalping_v1 pauses: the same refusal again and again", code);
            }
        }
        let trouble = view.trouble(self.config.stale_after);
        if trouble.is_some() || !view.position.is_flat() {
            view.orders.entries().for_each(|order| orders.cancel(order));
        }
        if trouble.is_some_and(|trouble| trouble.forbids_exits()) {
            return;
        }
        let Some(reading) = view.reading else { return };
        if !view.position.is_flat() {
            self.seek_exit(view, &reading, orders);
            return;
        }
        self.crossings = 0;
        view.orders.exits().for_each(|order| orders.cancel(order));
        if trouble.is_none() {
            self.seek_entry(view, &reading, orders);
        }
    }

    fn on_report(&mut self, order: &OwnOrder, event: &OrderEvent) {
        let resting = order.time_in_force == TimeInForce::Gtx;
        let breaker = if order.reduce_only { self.exit_breaker(!resting) } else { &mut self.entry_breaker };
        let over = order.stage == OrderStage::Ended;
        match event.change {
            OrderChange::Denied(reason) if over => breaker.refused(Refusal::Denied(reason), event.at),
            OrderChange::Refused { code } => breaker.refused(Refusal::Refused(code), event.at),
            OrderChange::Accepted { .. } => breaker.accepted(),
            OrderChange::Expired if resting => breaker.rest(event.at),
            OrderChange::Denied(_)
            | OrderChange::Expired
            | OrderChange::Sent
            | OrderChange::Unknown
            | OrderChange::Filled { .. }
            | OrderChange::CancelSent
            | OrderChange::CancelRefused { .. }
            | OrderChange::ModifySent
            | OrderChange::Modified { .. }
            | OrderChange::ModifyRefused { .. }
            | OrderChange::Done
            | OrderChange::Cancelled => {}
        }
    }
}

impl Exit {
    const fn price(self) -> Option<Price> {
        match self {
            Exit::Rest(price) | Exit::Cross(price) => Some(price),
            Exit::Market => None,
        }
    }

    const fn is_taking(self) -> bool {
        match self {
            Exit::Rest(_) => false,
            Exit::Cross(_) | Exit::Market => true,
        }
    }
}

/// Has the mid moved `ppm` against the entry price? On integers: both sides are doubled mids.
fn is_stopped(position: &Position, reading: &Reading, ppm: i64) -> bool {
    let entry = i128::from(position.entry.units()) * 2;
    let moved = i128::from(reading.mid_doubled()) - entry;
    let against = if position.qty > Qty::ZERO { -moved } else { moved };
    against * 1_000_000 >= entry * i128::from(ppm)
}

/// The best price of the side that an order of `side` would rest on.
const fn touch(reading: &Reading, side: Side) -> Price {
    match side {
        Side::Buy => reading.bid.price,
        Side::Sell => reading.ask.price,
    }
}

/// The mark price; the bid until there is one.
fn reference(view: &View<'_>, reading: &Reading) -> Price {
    if view.mark.is_zero() { reading.bid.price } else { view.mark }
}

/// How much `notional` buys at `price`, rounded down.
fn qty_worth(notional: Notional, price: Price) -> Option<Qty> {
    let units = notional.units() * i128::from(optiflow_base::decimal::UNITS) / i128::from(price.units());
    i64::try_from(units).ok().map(Qty::from_units)
}

const fn direction(side: Side) -> f64 {
    match side {
        Side::Buy => 1.0,
        Side::Sell => -1.0,
    }
}

/// Of the orders in any second, so many are kept for exits that take.
const ORDERS_KEPT_FOR_TAKING: usize = 1;
/// Longest pause of exits that take: a position past its stop must not wait for a person.
const TAKING_PAUSE_MAX: Duration = Duration::from_millis(500);
