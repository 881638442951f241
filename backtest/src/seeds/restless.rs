//! A strategy without an opinion: places, crosses, cancels and exits at random, so that orders meet every fate.
//!
//! Stays within its limits only as far as risk makes it. Same seed, same view, same wishes.

use std::time::Duration;

use optiflow_base::clock::Nanos;
use optiflow_base::ids::OrderId;
use optiflow_base::money::{Notional, Price, Qty, Side};
use optiflow_base::order::TimeInForce;
use optiflow_engine::orders::OwnOrder;
use optiflow_engine::strategy::{LimitOrder, Orders, Strategy};
use optiflow_engine::view::View;

use super::sight::{Sight, Slip};

/// The strategy.
pub struct Restless {
    random: fastrand::Rng,
    pace: Duration,
    next: Nanos,
    slip: Slip,
    /// Does it modify orders, too?
    modifies: bool,
    /// Of ten orders, how many cross that would wait in a market as busy as usual.
    hasty: u8,
}

impl Restless {
    /// One that has a whim about every `pace`, and notes on the slip what it saw when it wanted to open a position.
    pub fn new(seed: u64, pace: Duration, modifies: bool, slip: Slip) -> Restless {
        Restless { random: fastrand::Rng::with_seed(seed), pace, next: Nanos(0), slip, modifies, hasty: 0 }
    }

    /// The same in a quiet market, where who waits to be met waits for long: more of its orders meet others.
    pub fn hasty(self) -> Restless {
        Restless { hasty: HASTY_OF_TEN, ..self }
    }

    fn note(&self, view: &View<'_>, order: OrderId, touch: (Price, Price)) {
        if let Ok(mut slip) = self.slip.lock() {
            slip.push(Sight {
                symbol: view.instrument.symbol,
                order,
                state: view.book.state(),
                age: view.book_age(),
                touch,
            });
        }
    }

    fn order(&mut self, view: &View<'_>, side: Side, touch: (Price, Price)) -> LimitOrder {
        let tick = view.instrument.tick_size.units();
        let (own, other) = match side {
            Side::Buy => touch,
            Side::Sell => (touch.1, touch.0),
        };
        let away = |price: Price, ticks: i64| match side {
            Side::Buy => Price::from_units(price.units() - ticks * tick),
            Side::Sell => Price::from_units(price.units() + ticks * tick),
        };
        let ticks = self.random.i64(0..20);
        let (price, time_in_force) = match self.random.u8(0..10) {
            hasty if hasty < self.hasty => {
                (away(other, -ticks), [TimeInForce::Gtc, TimeInForce::Ioc][usize::from(hasty % 2)])
            }
            0..=4 => (away(own, ticks / 4), TimeInForce::Gtx),
            5 | 6 => (away(own, ticks), TimeInForce::Gtc),
            7 => (away(other, -ticks), TimeInForce::Ioc),
            8 => (away(other, -ticks), TimeInForce::Gtc),
            _ => (other, TimeInForce::Fok),
        };
        let steps = self.random.i64(STEPS_LEAST..STEPS_MOST);
        let qty = Qty::from_units(quantum(view, own) * steps);
        LimitOrder { side, price, qty, time_in_force, reduce_only: self.random.u8(0..8) == 0 }
    }

    /// Another price, another quantity, or both; now and then a price that takes.
    fn modify(&mut self, view: &View<'_>, touch: (Price, Price), order: &OwnOrder, orders: &mut Orders) {
        let wanted = self.order(view, order.side, touch);
        let step = view.instrument.step_size;
        let _ = orders.modify(order, wanted.price, wanted.qty.max(order.filled + step));
    }
}

/// The least quantity that it likes: a few dozen dollars' worth, and a whole step.
fn quantum(view: &View<'_>, price: Price) -> i64 {
    let step = view.instrument.step_size;
    let steps = QUANTUM_WORTH.units() / price.times(step).units().max(1);
    step.units() * i64::try_from(steps).unwrap_or(1).max(1)
}

impl Strategy for Restless {
    fn name(&self) -> &'static str {
        "restless"
    }

    fn on_update(&mut self, view: &View<'_>, orders: &mut Orders) {
        if view.now < self.next {
            return;
        }
        self.next = view.now + self.pace.mul_f64(self.random.f64() * 2.0);
        let side = if self.random.bool() { Side::Buy } else { Side::Sell };
        let Some((bid, ask)) = view.book.touch().both() else { return };
        match self.random.u8(0..10) {
            0..=5 => {
                let touch = (bid.price, ask.price);
                let wanted = self.order(view, side, touch);
                // The engine gives no id to what it does not let pass.
                if let Some(order) = orders.limit(wanted).filter(|_| !wanted.reduce_only) {
                    self.note(view, order, touch);
                }
            }
            6..=8 => {
                let live = view.orders.live().count();
                if let Some(order) =
                    (live > 0).then(|| self.random.usize(0..live)).and_then(|at| view.orders.live().nth(at))
                {
                    if self.modifies && self.random.bool() {
                        self.modify(view, (bid.price, ask.price), order, orders);
                    } else {
                        orders.cancel(order);
                    }
                }
            }
            _ => {
                if let Some(held) = view.position.side() {
                    let _ = orders.market_exit(held.opposite(), view.position.qty.abs());
                }
            }
        }
    }
}

/// Of ten orders that it would let wait, how many cross in a quiet market.
const HASTY_OF_TEN: u8 = 2;
/// What the least quantity is worth at most, where a step of quantity is not worth more.
const QUANTUM_WORTH: Notional = Notional::from_units(60 * 100_000_000);
/// Orders are so many of it: on bitcoin 0.001 each, some 60 to 240 dollars.
const STEPS_LEAST: i64 = 1;
const STEPS_MOST: i64 = 5;
