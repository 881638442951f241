//! Whole sessions in virtual time: the real stages trade the synthetic market, and everything agrees at the end.

#![allow(clippy::unwrap_used, clippy::wildcard_enum_match_arm)]

mod common;

use std::collections::BTreeMap;
use std::time::Duration;

use common::TestWorld;
use optiflow_base::clock::{Clock, Nanos};
use optiflow_base::control::Milestone;
use optiflow_base::ids::OrderId;
use optiflow_base::log::LogEvent;
use optiflow_base::order::{OrderChange, OrderEvent, Report};
use optiflow_engine::strategies::scalping_v1::ScalpingV1;
use optiflow_engine::strategies::scalping_v1::config::ScalpingConfig;

const TICK: Duration = Duration::from_millis(5);

fn session(seed: u64, seconds: u64) -> TestWorld {
    let strategy = Box::new(ScalpingV1::new(ScalpingConfig::default()));
    let mut world = common::world("synthetic", seed, "100ms", strategy);
    let end = world.clock.now() + Duration::from_secs(seconds);
    world.run_until(end, TICK);
    world
}

fn stop(world: &mut TestWorld) {
    world.stop();
    let end = world.clock.now() + Duration::from_secs(15);
    world.run_until(end, TICK);
}

fn events(world: &TestWorld) -> impl Iterator<Item = &OrderEvent> {
    world.log.iter().filter_map(|event| match event {
        LogEvent::Report(Report::Order(event)) => Some(event),
        _ => None,
    })
}

/// Trade ids that we booked, with their orders.
fn booked(world: &TestWorld) -> BTreeMap<u64, OrderId> {
    let fills = events(world).filter_map(|event| match event.change {
        OrderChange::Filled { trade, .. } => Some((trade.0, event.order)),
        _ => None,
    });
    fills.collect()
}

fn agrees_with_the_exchange(world: &TestWorld) {
    let exchange = world.exchange.borrow();
    let theirs: BTreeMap<u64, String> =
        exchange.core().fills(None).iter().map(|fill| (fill.trade_id, fill.client_id.clone())).collect();
    let ours: BTreeMap<u64, String> =
        booked(world).into_iter().map(|(trade, order)| (trade, order.to_string())).collect();
    assert_eq!(ours, theirs);
    assert!(exchange.core().open_orders(None).is_empty(), "nothing is left open");
    assert_eq!(world.milestones.last(), Some(&Milestone::Stopped));
}

#[test]
fn a_minute_gives_orders_and_fills_and_ends_with_nothing_open() {
    let mut world = session(7, 60);
    let accepted = events(&world).filter(|event| matches!(event.change, OrderChange::Accepted { .. })).count();
    assert!(accepted >= 20, "{accepted} orders accepted");
    assert!(!booked(&world).is_empty(), "something was filled");
    stop(&mut world);
    agrees_with_the_exchange(&world);
}

#[test]
fn the_same_seed_gives_the_same_session() {
    let (first, second) = (session(11, 20), session(11, 20));
    assert!(first.log == second.log, "every event, in order");
    assert_ne!(events(&first).count(), 0);
}

#[test]
fn connections_that_are_cut_again_and_again_lose_and_double_nothing() {
    let mut world = session(3, 5);
    for _ in 0..8 {
        world.far_end.cut_all();
        let end = world.clock.now() + Duration::from_secs(12);
        world.run_until(end, TICK);
    }
    let ready = world.milestones.iter().filter(|said| **said == Milestone::Ready).count();
    assert!(ready >= 5, "it came back {ready} times");
    stop(&mut world);
    agrees_with_the_exchange(&world);
    let last = Nanos(world.log.iter().map(|event| at(event).0).max().unwrap_or(0));
    assert!(last <= world.clock.now());
}

fn at(event: &LogEvent) -> Nanos {
    match event {
        LogEvent::Report(Report::Order(event)) => event.at,
        LogEvent::Intent(intent) => intent.decided,
        _ => Nanos(0),
    }
}
