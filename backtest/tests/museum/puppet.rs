//! A strategy on strings: wants what its hand is told, and keeps wanting until it sees that it has it.

use std::sync::{Arc, Mutex, MutexGuard};

use optiflow_base::ids::OrderId;
use optiflow_base::money::{Price, Qty, Side};
use optiflow_base::order::{OrderChange, OrderEvent, TimeInForce};
use optiflow_engine::orders::OwnOrder;
use optiflow_engine::strategy::{LimitOrder, Orders, Strategy};
use optiflow_engine::view::View;

/// An order that is wanted.
#[derive(Clone, Copy, Debug)]
pub enum Want {
    /// Rests far below the market: nothing trades with it.
    Rest,
    /// Buys so much at the market's price, at once or not at all.
    Take(Qty),
    /// Sells so much of the position at the market's price; the rest stays.
    Leave(Qty),
}

/// The strings.
#[derive(Debug, Default)]
pub struct Hand {
    /// Wanted until an order has come to be: one that failed is asked for again.
    pub goal: Option<Want>,
    /// Wanted once.
    pub once: Option<Want>,
    /// Wanted sixteen times at every update.
    pub wild: bool,
    /// Ends everything that is live.
    pub cancel: bool,
    /// Closes the position.
    pub exit: bool,
    /// What it asked for, in order.
    pub asked: Vec<OrderId>,
    /// Its live orders, as the view showed them last.
    pub live: Vec<OwnOrder>,
}

/// The strategy.
#[derive(Clone, Default)]
pub struct Puppet(Arc<Mutex<Hand>>);

impl Puppet {
    /// Its strings.
    pub fn hand(&self) -> MutexGuard<'_, Hand> {
        self.0.lock().unwrap()
    }
}

impl Strategy for Puppet {
    fn name(&self) -> &'static str {
        "puppet"
    }

    fn on_update(&mut self, view: &View<'_>, orders: &mut Orders) {
        let mut hand = self.hand();
        hand.live = view.orders.live().copied().collect();
        let Some((bid, ask)) = view.book.touch().both() else { return };
        let order = |want: Want| described(want, bid.price, ask.price, view.instrument.tick_size);
        if hand.cancel {
            view.orders.live().for_each(|order| orders.cancel(order));
        }
        if let Some(held) = view.position.side().filter(|_| hand.exit)
            && hand.live.iter().all(|order| !order.reduce_only)
        {
            hand.asked.extend(orders.market_exit(held.opposite(), view.position.qty.abs()));
        }
        if let Some(id) = hand.once.and_then(|want| orders.limit(order(want))) {
            hand.once = None;
            hand.asked.push(id);
        }
        if let Some(want) = hand.goal.filter(|_| hand.live.is_empty()) {
            hand.asked.extend(orders.limit(order(want)));
        }
        if hand.wild {
            hand.asked.extend((0..WILD).filter_map(|_| orders.limit(order(Want::Rest))));
        }
    }

    fn on_report(&mut self, _: &OwnOrder, event: &OrderEvent) {
        if matches!(event.change, OrderChange::Accepted { .. }) {
            self.hand().goal = None;
        }
    }
}

fn described(want: Want, bid: Price, ask: Price, tick: Price) -> LimitOrder {
    let buy = |price, qty, time_in_force| LimitOrder { side: Side::Buy, price, qty, time_in_force, reduce_only: false };
    match want {
        Want::Rest => buy(Price::from_units(bid.units() - REST_TICKS * tick.units()), lots(2), TimeInForce::Gtx),
        Want::Take(qty) => buy(ask, qty, TimeInForce::Ioc),
        Want::Leave(qty) => {
            LimitOrder { side: Side::Sell, price: bid, qty, time_in_force: TimeInForce::Gtc, reduce_only: true }
        }
    }
}

/// So many times the least quantity of bitcoin.
pub fn lots(count: i64) -> Qty {
    Qty::from_units(count * 100_000)
}

/// So far below the best bid an order rests.
const REST_TICKS: i64 = 20;
/// Wishes of a strategy gone wild, each time it is asked.
const WILD: usize = 16;
