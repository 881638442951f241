//! Where does an order stand: on the order socket where that answers, by REST where it does not.

use super::far::refused;
use super::world::{Manner, StatusAnswer, World};

/// A world in which a first order's cancel is refused, so that it is asked about while the socket works.
fn asked_about(answer: StatusAnswer, status: &'static str, executed: &str) -> (World, optiflow_base::ids::OrderId) {
    let mut world = World::ready();
    world.status_answer = answer;
    let id = world.place();
    world.run(3);
    world.set(&id.to_string(), status, executed);
    world.manner = Manner::Keep;
    world.cancel(id);
    world.run(3);
    let number = world.requests.last().unwrap()["id"].clone();
    world.reply(refused(&number, -2011, "Unknown order sent."));
    (world, id)
}

#[test]
fn the_order_socket_is_asked_first_and_its_answer_suffices() {
    let (mut world, id) = asked_about(StatusAnswer::True, "CANCELED", "0");
    world.run(1_000);
    assert_eq!(world.story(id)[2..], ["CancelSent", "CancelRefused -2011", "Cancelled"]);
    assert_eq!(world.status_asked, [id.to_string()]);
    assert_eq!(world.asked_about("/fapi/v1/order "), 0);
}

#[test]
fn fills_that_the_socket_only_counts_are_fetched() {
    let (mut world, id) = asked_about(StatusAnswer::True, "FILLED", "0.01");
    let exchange_id = world.orders[&id.to_string()].id;
    world.trade_at_venue(51, exchange_id, "0.01");
    world.run(2_000);
    let story = world.story(id);
    assert_eq!(story[story.len() - 2..], ["Filled 51 0.01/0.01 fee 10000000", "Done"]);
}

#[test]
fn an_answer_of_no_use_or_none_is_asked_for_again_by_rest() {
    for (answer, patience) in [(StatusAnswer::Useless, 600), (StatusAnswer::Mute, 2_600)] {
        let (mut world, id) = asked_about(answer, "CANCELED", "0");
        world.run(patience);
        assert_eq!(world.story(id).last().map(String::as_str), Some("Cancelled"), "{answer:?}");
        assert_eq!((world.status_asked.len(), world.asked_about("/fapi/v1/order ")), (1, 1), "{answer:?}");
    }
}

#[test]
fn a_socket_that_owes_an_answer_is_not_asked() {
    let mut world = World::ready();
    world.status_answer = StatusAnswer::True;
    world.manner = Manner::Mute;
    let id = world.place();
    world.run(2_500);
    assert_eq!(world.story(id), ["Sent", "Unknown", "Accepted"]);
    assert_eq!((world.status_asked.len(), world.asked_about("/fapi/v1/order ")), (0, 1));
}

#[test]
fn absence_is_proven_by_the_socket_as_by_rest_for_long_and_late_enough() {
    let mut world = World::ready();
    world.status_answer = StatusAnswer::True;
    world.manner = Manner::Keep;
    let id = world.place();
    world.run(3);
    let number = world.requests[0]["id"].clone();
    world.reply(refused(&number, -1007, "Timeout waiting for response from backend server."));
    world.run(1_900);
    assert_eq!(world.story(id), ["Sent", "Unknown"], "the request may still be on its way");
    world.run(7_000);
    assert_eq!(world.story(id), ["Sent", "Unknown", "Refused -2013"]);
    assert!(world.status_asked.len() >= 2 && world.asked_about("/fapi/v1/order ") == 0);
    assert_eq!(world.gates(), ["InDoubt", "open Reconciled"]);
}

#[test]
fn a_question_on_a_dying_socket_goes_by_rest() {
    let (mut world, id) = asked_about(StatusAnswer::Mute, "CANCELED", "0");
    world.run(510);
    assert_eq!(world.status_asked.len(), 1);
    world.cut_orders();
    world.run(20);
    assert_eq!(world.story(id).last().map(String::as_str), Some("Cancelled"));
}
