//! Stopping: nothing of ours stays open, or failure is told in time.

use super::world::{Manner, World};
use super::*;

#[test]
fn stopping_cancels_everything_of_ours_and_proves_it() {
    let mut world = World::ready();
    let ids: Vec<_> = (0..40).map(|_| world.place()).collect();
    world.run(10);
    world.commands.push(Command::Stop).unwrap();
    world.run(2);
    let late = world.place();
    world.run(3_000);
    assert_eq!(world.reached, [Milestone::Stopped]);
    assert_eq!(world.gates(), ["Stopping"]);
    for id in ids {
        assert_eq!(world.story(id), ["Sent", "Accepted", "CancelSent", "Cancelled"]);
        assert_eq!(world.orders[&id.to_string()].status, "CANCELED");
    }
    assert!(!world.orders.contains_key(&late.to_string()), "no new risk");
    assert_eq!(world.asked_about("DELETE /fapi/v1/allOpenOrders symbol=BTCUSDT"), 1);
    assert!(!world.oms.order_socket.is_up() && !world.oms.user_socket.is_up());
    let asked = world.asked.len();
    world.run(5_000);
    assert!(world.asked.len() <= asked + 5, "quiet afterwards: {:?}", &world.asked[asked..]);
}

#[test]
fn orders_of_others_in_the_same_symbol_survive_our_stopping() {
    let mut world = World::ready();
    world.manner = Manner::Mute;
    let id = world.place();
    world.rest_order("web_mine");
    world.run(3);
    world.cut_orders();
    world.commands.push(Command::Stop).unwrap();
    world.run(8_000);
    assert_eq!(world.reached, [Milestone::Stopped]);
    assert_eq!(world.orders["web_mine"].status, "NEW");
    assert_eq!(world.orders[&id.to_string()].status, "CANCELED");
    assert_eq!(world.asked_about("allOpenOrders"), 0);
}

#[test]
fn a_fill_during_stopping_is_booked_before_the_end() {
    let mut world = World::ready();
    let id = world.place();
    world.run(3);
    let order = world.orders[&id.to_string()].id;
    world.set(&id.to_string(), "FILLED", "0.01");
    world.trade_at_venue(51, order, "0.01");
    world.commands.push(Command::Stop).unwrap();
    world.run(6_000);
    assert_eq!(world.reached, [Milestone::Stopped]);
    let story = world.story(id);
    assert_eq!(story[story.len() - 2..], ["Filled 51 0.01/0.01 fee 10000000", "Done"]);
}

#[test]
fn stopping_that_cannot_be_proven_fails_in_time() {
    let mut world = World::ready();
    world.manner = Manner::Mute;
    let _id = world.place();
    world.run(3);
    world.rest_is_down = true;
    world.commands.push(Command::Stop).unwrap();
    world.run(9_990);
    assert!(world.reached.is_empty());
    world.run(20);
    assert_eq!(world.reached, [Milestone::StopFailed { open_orders: 1 }]);
    world.run(1_000);
    assert_eq!(world.reached.len(), 1, "told once");
}

#[test]
fn stopping_before_the_start_is_complete_still_looks() {
    let mut world = World::new();
    world.rest_order("of-00000001-00000007");
    world.commands.push(Command::Stop).unwrap();
    world.run(5_000);
    assert_eq!(world.reached, [Milestone::Stopped]);
    assert_eq!(world.orders["of-00000001-00000007"].status, "CANCELED");
}

#[test]
fn stopping_right_after_a_death_waits_for_the_last_requests_of_the_dead() {
    use crate::former::{Former, Since};
    let since = vec![Since::Order(optiflow_base::ids::ExchangeOrderId(1))];
    let former = Former { epoch: 2, since, died: true, ..Former::default() };
    let mut world =
        World::guarded(super::world::hmac_key(), 4096, Guards { former: Some(former), ..Guards::default() });
    world.commands.push(Command::Stop).unwrap();
    world.run(1_900);
    assert!(world.reached.is_empty(), "a request of the dead may still arrive");
    world.rest_order("of-00000001-00000007");
    world.run(3_000);
    assert_eq!(world.reached, [Milestone::Stopped]);
    assert_eq!(world.orders["of-00000001-00000007"].status, "CANCELED");
}
