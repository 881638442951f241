//! A strategy that wants more than the limits give, all the time: places, modifies and cancels as fast as the runaway
//! breaker lets it, so that the limiter alone holds it back. It closes what it holds, bit by bit.
//!
//! No opinion on the market. Same seed, same view, same wishes.

use std::time::Duration;

use optiflow_base::clock::Nanos;
use optiflow_base::money::{Price, Qty, Side};
use optiflow_base::order::TimeInForce;
use optiflow_engine::strategy::{LimitOrder, Orders, Strategy};
use optiflow_engine::view::View;

/// The strategy.
pub struct Greedy {
    random: fastrand::Rng,
    /// Its next wish.
    next: Nanos,
    next_exit: Nanos,
    /// When its mood turns: it wants everything, then for a while nothing, so that every edge of a window is met in every
    /// mood.
    turns: Nanos,
    is_greedy: bool,
}

impl Greedy {
    /// One whose whims come from `seed`.
    pub fn new(seed: u64) -> Greedy {
        Greedy {
            random: fastrand::Rng::with_seed(seed),
            next: Nanos(0),
            next_exit: Nanos(0),
            turns: Nanos(0),
            is_greedy: false,
        }
    }

    fn wish(&mut self, view: &View<'_>, orders: &mut Orders, touch: (Price, Price)) {
        let live = view.orders.live().count();
        let whim = self.random.u8(0..10);
        if live < LIVE_LEAST || (whim < 5 && live < LIVE_MOST) {
            let is_taking = self.random.u8(..) < TAKING_OF_256;
            let drawn = if self.random.bool() { Side::Buy } else { Side::Sell };
            // What it takes enlarges what it holds, so that there is always something to close; but never up to the limit of
            // a position: here nothing but the rates may hold it back.
            let is_large = view.position.qty.abs() >= steps(view, HELD_STEPS_MOST);
            let enlarging = view.position.side().map(|held| if is_large { held.opposite() } else { held });
            let side = enlarging.filter(|_| is_taking).unwrap_or(drawn);
            let (price, time_in_force) = match side {
                Side::Buy if is_taking => (touch.1, TimeInForce::Ioc),
                Side::Sell if is_taking => (touch.0, TimeInForce::Ioc),
                Side::Buy | Side::Sell => (self.price(view, side, touch), TimeInForce::Gtx),
            };
            let qty = view.instrument.step_size;
            let _ = orders.limit(LimitOrder { side, price, qty, time_in_force, reduce_only: false });
            return;
        }
        let Some(order) = view.orders.live().nth(self.random.usize(..live)) else { return };
        if whim < 7 {
            let price = self.price(view, order.side, touch);
            let _ = orders.modify(order, price, order.qty);
        } else {
            orders.cancel(order);
        }
    }

    /// Mostly away from the market, so that orders live until they are cancelled; now and then at the touch.
    fn price(&mut self, view: &View<'_>, side: Side, (bid, ask): (Price, Price)) -> Price {
        let tick = view.instrument.tick_size.units();
        let away =
            if self.random.u8(..) < AT_TOUCH_OF_256 { 0 } else { self.random.i64(TICKS_LEAST..TICKS_MOST) * tick };
        match side {
            Side::Buy => Price::from_units(bid.units() - away),
            Side::Sell => Price::from_units(ask.units() + away),
        }
    }
}

impl Strategy for Greedy {
    fn name(&self) -> &'static str {
        "greedy"
    }

    fn on_update(&mut self, view: &View<'_>, orders: &mut Orders) {
        let Some((bid, ask)) = view.book.touch().both() else { return };
        if view.now >= self.next_exit
            && let Some(held) = view.position.side()
            && view.orders.exits().next().is_none()
            && orders.market_exit(held.opposite(), view.position.qty.abs().min(steps(view, EXIT_STEPS_MOST))).is_some()
        {
            self.next_exit = view.now + EXIT_EVERY;
        }
        if view.now >= self.turns {
            self.is_greedy = !self.is_greedy;
            let most = if self.is_greedy { GREEDY_MOST } else { CONTENT_MOST };
            self.turns = view.now + most.mul_f64(self.random.f64());
        }
        // What was not wished for in time is not made up for: the runaway breaker counts by the second.
        self.next = self.next.max(view.now - WISH_EVERY * WISHES_MOST);
        while self.next <= view.now {
            self.next = self.next + WISH_EVERY;
            if self.is_greedy {
                self.wish(view, orders, (bid.price, ask.price));
            }
        }
    }
}

fn steps(view: &View<'_>, count: i64) -> Qty {
    Qty::from_units(view.instrument.step_size.units() * count)
}

/// 60 wishes a second: the breaker takes 100 intents to place or modify for a strategy gone wild, and exits come on top.
const WISH_EVERY: Duration = Duration::from_micros(16_667);
/// Wishes of one update.
const WISHES_MOST: u32 = 3;
/// From one exit to the next.
const EXIT_EVERY: Duration = Duration::from_millis(500);
/// One exit closes no more than this many steps.
const EXIT_STEPS_MOST: i64 = 1;
/// It holds no more than about this many.
const HELD_STEPS_MOST: i64 = 60;
/// It is greedy for so long at most, and content for so long.
const GREEDY_MOST: Duration = Duration::from_secs(10);
const CONTENT_MOST: Duration = Duration::from_secs(2);
/// It always wants this many orders open.
const LIVE_LEAST: usize = 8;
/// And no more than these.
const LIVE_MOST: usize = 26;
/// So many of 256 new orders take what rests: they give it a position to close.
const TAKING_OF_256: u8 = 40;
/// One price in so many of 256 is the best one.
const AT_TOUCH_OF_256: u8 = 8;
/// Else it is so many ticks away: on bitcoin 10 to 300 dollars.
const TICKS_LEAST: i64 = 100;
const TICKS_MOST: i64 = 3_000;
