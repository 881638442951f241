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

use optiflow_base::clock::nanos_of;
use optiflow_base::instrument::{Adjusted, Draft, Instrument, validate_and_adjust_quantity};
use optiflow_base::money::{Notional, Price, Qty, Side};
use optiflow_base::order::OrderEvent;

use crate::execution::entries::{Entries, QuoteLife, Wanted};
use crate::execution::exits::{ExitPolicy, Exits, Leave};
use crate::execution::pace::{Breaker, Pace};
use crate::execution::{is_near, touch};
use crate::orders::OwnOrder;
use crate::position::Position;
use crate::signals::Reading;
use crate::strategy::{Orders, Strategy};
use crate::view::View;

use config::ScalpingConfig;

pub mod config;

/// The strategy; one instance per symbol.
#[derive(Debug)]
pub struct ScalpingV1 {
    config: ScalpingConfig,
    pace: Pace,
    entries: Entries,
    exits: Exits,
}

impl ScalpingV1 {
    /// A strategy that follows `config`.
    ///
    /// # Panics
    /// If the configuration has a problem: [`ScalpingConfig::validate`] lists them, before anything is started.
    pub fn new(config: ScalpingConfig) -> ScalpingV1 {
        let problems = config.validate();
        assert!(problems.is_empty(), "scalping_v1 is given a validated configuration: {problems:?}");
        let (cooldown, pause) = (config.refusal_cooldown, config.refusal_pause);
        let life = QuoteLife { min: config.quote_life_min, max: config.quote_life_max };
        let policy = ExitPolicy {
            life_min: config.quote_life_min,
            reprice_ticks: config.reprice_ticks,
            cross_ticks: config.cross_ticks,
            cross_attempts_max: config.cross_attempts_max,
            // Of two orders a second an entry and its profit order leave nothing to keep.
            kept_for_taking: if config.orders_per_second_max > 2 { ORDERS_KEPT_FOR_TAKING } else { 0 },
        };
        ScalpingV1 {
            pace: Pace::new(config.orders_per_second_max),
            entries: Entries::new(life, Breaker::new(cooldown, pause, config.refusals_max), ORDERS_KEPT_FOR_TAKING),
            exits: Exits::new(policy, cooldown, pause, config.refusals_max),
            config,
        }
    }

    fn seek_entry(&mut self, view: &View<'_>, reading: &Reading, orders: &mut Orders) {
        let ScalpingV1 { config, pace, entries, .. } = self;
        let wanted = || {
            let side = config.wanted(reading)?;
            let price = config.entry_price(view.instrument, reading, side);
            Some(Wanted { side, price, fit: config.entry_order(view, reading, side, price) })
        };
        entries.seek(view, pace, orders, |order| config.holds(view, reading, order), wanted);
    }

    /// By profit while there is time, past the stop or hold and grace by taking.
    fn leave(&self, view: &View<'_>, reading: &Reading, side: Side) -> Leave {
        let config = &self.config;
        let held = view.now.since(view.position.since);
        let (hold, grace) = (nanos_of(config.hold_max), nanos_of(config.exit_grace));
        if is_stopped(&view.position, reading, config.stop_loss_ppm) || held >= hold.saturating_add(grace) {
            return Leave::Take;
        }
        let touch = touch(reading, side);
        if held >= hold {
            return Leave::Rest(touch);
        }
        let profit = config.profit_price(view.instrument, view.position.entry, side);
        // Beyond the profit price already: the touch is better still, and a post-only order must not take.
        Leave::Rest(if side.reaches(profit, touch) { touch } else { profit })
    }
}

impl ScalpingConfig {
    /// The side that the signals call for, if they agree.
    fn wanted(&self, reading: &Reading) -> Option<Side> {
        [Side::Buy, Side::Sell].into_iter().find(|side| {
            let towards = direction(*side);
            reading.obi_l1 * towards >= self.obi_l1_enter
                && reading.obi_l5 * towards >= self.obi_l5_enter
                && reading.flow * towards >= self.flow_enter
        })
    }

    /// The reason of a waiting entry holds while the signal does and its price is the touch's or the one it would be placed
    /// at: a quote that has become the touch is not outbid by ourselves.
    fn holds(&self, view: &View<'_>, reading: &Reading, order: &OwnOrder) -> bool {
        let holds = reading.obi_l1 * direction(order.side) >= self.obi_l1_keep;
        let prices = [touch(reading, order.side), self.entry_price(view.instrument, reading, order.side)];
        holds && prices.into_iter().any(|price| is_near(view.instrument, order.price, price, self.reprice_ticks))
    }

    /// The touch, or one tick better in a wide spread.
    fn entry_price(&self, instrument: &Instrument, reading: &Reading, side: Side) -> Price {
        let inwards = match side {
            Side::Buy => 1,
            Side::Sell => -1,
        };
        let spread = (reading.ask.price - reading.bid.price).units() / instrument.tick_size.units();
        let wide = spread >= self.improve_spread_ticks;
        if wide { instrument.offset_ticks(touch(reading, side), inwards) } else { touch(reading, side) }
    }

    /// The configured size at `price`, at least what the exchange accepts, made to fit the filters.
    fn entry_order(&self, view: &View<'_>, reading: &Reading, side: Side, price: Price) -> Option<Adjusted> {
        let instrument = view.instrument;
        let qty = qty_worth(self.order_notional, price)?.max(instrument.qty_min_at(price));
        let draft = Draft { side, price: Some(price), qty, reduce_only: false };
        let adjusted = validate_and_adjust_quantity(instrument, &draft, reference(view, reading)).ok()?;
        let fits = price.times(adjusted.qty) <= self.position_notional_max;
        fits.then_some(adjusted)
    }

    fn profit_price(&self, instrument: &Instrument, entry: Price, side: Side) -> Price {
        let (ppm, ticks) = (self.take_profit_ppm, self.take_profit_ticks);
        let price = match side {
            Side::Sell => entry.shifted_ppm(ppm).max(instrument.offset_ticks(entry, ticks)),
            Side::Buy => entry.shifted_ppm(-ppm).min(instrument.offset_ticks(entry, -ticks)),
        };
        instrument.round_price(side, price)
    }
}

impl Strategy for ScalpingV1 {
    fn name(&self) -> &'static str {
        "scalping_v1"
    }

    fn on_update(&mut self, view: &View<'_>, orders: &mut Orders) {
        for code in self.entries.take_alarm().into_iter().chain(self.exits.take_alarms()) {
            orders.notice("scalping_v1 pauses: the same refusal again and again", code);
        }
        let trouble = view.trouble(self.config.stale_after);
        if trouble.is_some() || !view.position.is_flat() {
            view.orders.entries().for_each(|order| orders.cancel(order));
        }
        if trouble.is_some_and(|trouble| trouble.forbids_exits()) {
            return;
        }
        let Some(reading) = view.reading else { return };
        if let Some(side) = view.position.side().map(Side::opposite) {
            let leave = self.leave(view, &reading, side);
            self.exits.seek(view, (&reading, reference(view, &reading)), leave, &mut self.pace, orders);
            return;
        }
        self.exits.rest(view, orders);
        if trouble.is_none() {
            self.seek_entry(view, &reading, orders);
        }
    }

    fn on_report(&mut self, order: &OwnOrder, event: &OrderEvent) {
        if order.reduce_only {
            self.exits.on_report(order, event);
        } else {
            self.entries.on_report(order, event);
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
