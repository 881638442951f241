//! Strategies that modify their orders: when they may, and what they see of it.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod common;

use std::cell::RefCell;
use std::sync::{Arc, Mutex};

use common::world::World;
use optiflow_base::money::Side;
use optiflow_base::order::{OrderEvent, TimeInForce};
use optiflow_engine::orders::OwnOrder;
use optiflow_engine::strategy::{LimitOrder, Orders, Strategy};
use optiflow_engine::view::View;

/// Places one order, and from then on wants it two ticks lower and twice as large.
struct Mover {
    time_in_force: TimeInForce,
    seen: Arc<Mutex<Vec<String>>>,
    wants: RefCell<Option<bool>>,
}

impl Strategy for Mover {
    fn name(&self) -> &'static str {
        "mover"
    }

    fn on_update(&mut self, view: &View<'_>, orders: &mut Orders) {
        let (price, qty) = ("9999.9".parse().unwrap(), "0.01".parse().unwrap());
        let Some(order) = view.orders.live().next() else {
            let (side, time_in_force, reduce_only) = (Side::Buy, self.time_in_force, false);
            if self.wants.borrow().is_none() {
                let placed = orders.limit(LimitOrder { side, price, qty, time_in_force, reduce_only });
                *self.wants.borrow_mut() = placed.map(|_| true);
            }
            return;
        };
        let _ = orders.modify(order, "9999.7".parse().unwrap(), "0.02".parse().unwrap());
    }

    fn on_report(&mut self, order: &OwnOrder, _: &OrderEvent) {
        let moving = order.modifying.map_or_else(String::new, |terms| format!(" to {} @ {}", terms.qty, terms.price));
        self.seen.lock().unwrap().push(format!("{}/{} @ {}{moving}", order.filled, order.qty, order.price));
    }
}

fn world(time_in_force: TimeInForce) -> (World, Arc<Mutex<Vec<String>>>) {
    let seen = Arc::new(Mutex::new(Vec::new()));
    let strategy = Mover { time_in_force, seen: Arc::clone(&seen), wants: RefCell::new(None) };
    let mut world = World::with(Box::new(strategy), 64);
    let told = world.told("gate:open book:9999.9/1/10000/1");
    assert!(told.starts_with("1 buy 0.01 @ 9999.9"), "{told}");
    (world, seen)
}

#[test]
fn an_order_is_modified_once_it_rests_and_one_request_at_a_time() {
    let (mut world, seen) = world(TimeInForce::Gtc);
    assert_eq!(world.told("sent:1 wait:100"), "", "not before the exchange has it");
    assert_eq!(world.told("ack:1 wait:100"), "modify 1 to 0.02 @ 9999.7");
    assert_eq!(world.told("modifysent:1 wait:1000"), "", "one at a time");
    assert_eq!(world.told("modified:1/9999.7/0.02 wait:20"), "", "it has what it wanted");
    assert_eq!(world.told("restated:1/9999.7/0.015 wait:20"), "modify 1 to 0.02 @ 9999.7", "somebody changed it");
    let seen = seen.lock().unwrap();
    let told: Vec<&str> = seen[3..].iter().map(String::as_str).collect();
    assert_eq!(told, ["0/0.01 @ 9999.9 to 0.02 @ 9999.7", "0/0.02 @ 9999.7", "0/0.015 @ 9999.7"]);
}

#[test]
fn after_a_success_the_next_may_follow_at_once() {
    let (mut world, _) = world(TimeInForce::Gtc);
    assert_eq!(world.told("ack:1"), "modify 1 to 0.02 @ 9999.7");
    let told = world.told("modifysent:1 modified:1/9999.7/0.02 restated:1/9999.7/0.015");
    assert_eq!(told, "modify 1 to 0.02 @ 9999.7");
}

#[test]
fn after_a_refusal_the_next_attempt_waits_a_moment() {
    let (mut world, _) = world(TimeInForce::Gtx);
    assert_eq!(world.told("ack:1"), "modify 1 to 0.02 @ 9999.7");
    assert_eq!(world.told("modifysent:1 modifyrefused:1 wait:300"), "", "the former terms stand");
    assert_eq!(world.told("wait:300"), "modify 1 to 0.02 @ 9999.7");
}

#[test]
fn fills_count_by_either_terms_while_they_are_open() {
    let (mut world, seen) = world(TimeInForce::Gtc);
    assert_eq!(world.told("ack:1 modifysent:1"), "modify 1 to 0.02 @ 9999.7");
    world.run("fill:1/0.014/9999.7 modified:1/9999.7/0.02 fill:1/0.006/9999.7 done:1");
    let seen = seen.lock().unwrap();
    let last: Vec<&str> = seen[seen.len() - 4..].iter().map(String::as_str).collect();
    let filled = "0.014/0.01 @ 9999.9 to 0.02 @ 9999.7";
    assert_eq!(last, [filled, "0.014/0.02 @ 9999.7", "0.02/0.02 @ 9999.7", "0.02/0.02 @ 9999.7"]);
}

#[test]
fn what_does_not_rest_or_is_being_cancelled_is_not_modified() {
    let (mut world, _) = world(TimeInForce::Ioc);
    assert_eq!(world.told("ack:1 wait:500"), "");
    let (mut world, _) = self::world(TimeInForce::Gtc);
    assert_eq!(
        world.told("sent:1 gate:closed ack:1 wait:500"),
        "cancel 1",
        "nothing but a cancel passes a closed gate"
    );
}
