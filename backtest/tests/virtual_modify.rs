//! A strategy that modifies its order again and again, against the simulated exchange over its real protocol: what we
//! hold for true is what the exchange has, through cut connections as well.

#![allow(clippy::unwrap_used, clippy::wildcard_enum_match_arm)]

mod common;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use common::TestWorld;
use optiflow_base::clock::{Clock, Nanos};
use optiflow_base::control::Milestone;
use optiflow_base::ids::OrderId;
use optiflow_base::log::LogEvent;
use optiflow_base::money::{Price, Qty, Side};
use optiflow_base::order::{Action, OrderChange, OrderEvent, Report, TimeInForce};
use optiflow_engine::strategy::{LimitOrder, Orders, Strategy};
use optiflow_engine::view::View;

const TICK: Duration = Duration::from_millis(5);
const PACE: Duration = Duration::from_millis(200);

/// Keeps one post-only order some ticks behind the best of its side, nearer and farther in turn, and larger and smaller;
/// what it bought it sells again.
struct Follower {
    moved: Nanos,
    turn: usize,
}

impl Strategy for Follower {
    fn name(&self) -> &'static str {
        "follower"
    }

    fn on_update(&mut self, view: &View<'_>, orders: &mut Orders) {
        let Some((bid, ask)) = view.book.touch().both().filter(|_| view.now >= self.moved + PACE) else { return };
        let (behind, qty) = [(1, "0.004"), (3, "0.002"), (0, "0.006")][self.turn % 3];
        let live = view.orders.live().next();
        let fresh = if view.position.qty > Qty::ZERO { Side::Sell } else { Side::Buy };
        let (side, time_in_force, reduce_only) = (live.map_or(fresh, |order| order.side), TimeInForce::Gtx, false);
        let price: Price = match side {
            Side::Buy => view.instrument.offset_ticks(bid.price, -behind),
            Side::Sell => view.instrument.offset_ticks(ask.price, behind),
        };
        let qty: Qty = qty.parse().unwrap();
        let asked = match live {
            Some(order) => orders.modify(order, price, qty.max(order.filled + "0.002".parse().unwrap())),
            None => orders.limit(LimitOrder { side, price, qty, time_in_force, reduce_only }).is_some(),
        };
        if asked {
            (self.moved, self.turn) = (view.now, self.turn + 1);
        }
    }
}

fn events(world: &TestWorld) -> impl Iterator<Item = &OrderEvent> {
    world.log.iter().filter_map(|event| match event {
        LogEvent::Report(Report::Order(event)) => Some(event),
        _ => None,
    })
}

/// The terms of every order that is not over, as told.
fn told_terms(world: &TestWorld) -> BTreeMap<OrderId, (Price, Qty)> {
    let (mut terms, mut sent) = (BTreeMap::new(), BTreeSet::new());
    for event in &world.log {
        match event {
            LogEvent::Intent(intent) => {
                if let Action::Place(order) = intent.action {
                    terms.insert(order.id, (order.price, order.qty));
                }
            }
            LogEvent::Report(Report::Order(event)) => match event.change {
                OrderChange::Modified { price, qty, .. } => {
                    terms.insert(event.order, (price, qty));
                }
                OrderChange::Sent => {
                    sent.insert(event.order);
                }
                change if change.is_end() => {
                    terms.remove(&event.order);
                }
                _ => {}
            },
            _ => {}
        }
    }
    terms.retain(|id, _| sent.contains(id));
    terms
}

fn count(world: &TestWorld, which: impl Fn(&OrderChange) -> bool) -> usize {
    events(world).filter(|event| which(&event.change)).count()
}

fn run(world: &mut TestWorld, seconds: u64) {
    let end = world.clock.now() + Duration::from_secs(seconds);
    world.run_until(end, TICK);
}

/// Are the terms of all open orders here what they are there? Between two wishes they are.
fn compare(world: &TestWorld) -> bool {
    let exchange = world.exchange.borrow();
    let ours = told_terms(world);
    let theirs: BTreeMap<OrderId, (Price, Qty)> = exchange
        .core()
        .open_orders(None)
        .iter()
        .map(|order| {
            let id = OrderId::parse(order.placed.client_id.as_bytes()).unwrap();
            (id, (order.placed.price, order.placed.qty))
        })
        .collect();
    ours == theirs
}

fn play(seed: u64, cuts: usize) -> TestWorld {
    let mut world = common::world("synthetic", seed, "100ms", Box::new(Follower { moved: Nanos(0), turn: 0 }));
    run(&mut world, 10);
    for _ in 0..cuts {
        world.far_end.cut_all();
        run(&mut world, 12);
    }
    run(&mut world, 20);
    let mut agreed = 0;
    for _ in 0..40 {
        let end = world.clock.now() + Duration::from_millis(50);
        world.run_until(end, TICK);
        agreed += u32::from(compare(&world));
    }
    assert!(agreed >= 20, "ours and theirs agreed at {agreed} of 40 looks");
    let sent = count(&world, |change| *change == OrderChange::ModifySent);
    let modified = count(&world, |change| matches!(change, OrderChange::Modified { asked: true, .. }));
    let refused = count(&world, |change| matches!(change, OrderChange::ModifyRefused { .. }));
    assert!(sent >= 40 && modified >= 30, "{sent} sent, {modified} modified, {refused} refused");
    let unasked = count(&world, |change| matches!(change, OrderChange::Modified { asked: false, .. }));
    assert_eq!(unasked, 0, "nobody else modifies");
    world.stop();
    run(&mut world, 15);
    let fills: Vec<u64> = events(&world)
        .filter_map(|event| match event.change {
            OrderChange::Filled { trade, .. } => Some(trade.0),
            _ => None,
        })
        .collect();
    let exchange = world.exchange.borrow();
    let theirs: Vec<u64> = exchange.core().fills(None).iter().map(|fill| fill.trade_id).collect();
    let sorted = |mut ids: Vec<u64>| {
        ids.sort_unstable();
        ids
    };
    assert_eq!(sorted(fills), sorted(theirs), "each trade once");
    assert!(exchange.core().open_orders(None).is_empty(), "nothing is left open");
    assert_eq!(world.milestones.last(), Some(&Milestone::Stopped));
    drop(exchange);
    world
}

#[test]
fn modified_orders_are_at_the_exchange_what_we_say_they_are() {
    play(7, 0);
}

#[test]
fn cut_connections_leave_no_doubt_about_the_terms() {
    for seed in [3, 4] {
        play(seed, 3);
    }
}
