//! Lost answers, lost sockets, lost events: doubt stays exposure until the exchange has spoken.

use super::far::error;
use super::world::{Manner, World, no_answer};
use super::*;

const NOT_FOUND: (i32, &str) = (-2013, "Order does not exist.");

#[test]
fn a_missing_answer_is_not_a_failure() {
    let mut world = World::ready();
    world.manner = Manner::Mute;
    let id = world.place();
    world.run(1_990);
    assert_eq!(world.story(id), ["Sent"]);
    world.run(20);
    assert_eq!(world.story(id), ["Sent", "Unknown"]);
    assert_eq!(world.gates(), ["InDoubt"]);
    world.run(500);
    assert_eq!(world.story(id), ["Sent", "Unknown", "Accepted"], "the query found it");
    assert_eq!(world.gates(), ["InDoubt", "open Reconciled"]);
    assert_eq!(world.requests.len(), 1, "nothing is sent twice");
}

#[test]
fn not_found_is_a_refusal_only_when_it_is_heard_for_long_and_late_enough() {
    let mut world = World::ready();
    world.manner = Manner::Lose;
    let id = world.place();
    world.run(4_900);
    assert_eq!(world.story(id), ["Sent", "Unknown"], "a few answers prove nothing");
    world.run(3_000);
    assert_eq!(world.story(id), ["Sent", "Unknown", "Refused -2013"]);
    assert!(world.asked_about("/fapi/v1/order ") >= 2);
    assert_eq!(world.gates(), ["InDoubt", "open Reconciled"]);
}

#[test]
fn an_order_that_is_not_found_stays_exposure_while_a_trade_may_be_its() {
    let mut world = World::ready();
    world.manner = Manner::Mute;
    let id = world.place();
    world.run(3);
    let hidden = world.orders.remove(&id.to_string()).unwrap();
    world.trade_at_venue(41, hidden.id, "0.01");
    // An answer that cannot be read proves nothing either.
    world.scripted.entry("/fapi/v1/userTrades").or_default().push_back((200, "<html>".to_owned()));
    world.run(12_000);
    assert_eq!(world.story(id), ["Sent", "Unknown"]);
    assert!(world.notices().contains(&"an order that is not found may have traded; it stays exposure"));
    world.orders.insert(id.to_string(), hidden);
    world.set(&id.to_string(), "FILLED", "0.01");
    world.run(8_000);
    assert_eq!(world.story(id).last().map(String::as_str), Some("Done"), "{:?}", world.story(id));
    assert_eq!(world.oms.core.desk.positions.qty(super::world::BTC).unwrap().to_string(), "0.01");
    assert_eq!(world.gates(), ["InDoubt", "open Reconciled"]);
}

#[test]
fn a_trade_of_somebody_else_keeps_an_order_that_is_not_found_in_doubt_for_half_a_minute() {
    let mut world = World::ready();
    world.manner = Manner::Lose;
    let id = world.place();
    world.run(3);
    world.trade_at_venue(41, 9_999, "0.01");
    world.run(29_000);
    assert_eq!(world.story(id), ["Sent", "Unknown"]);
    world.run(31_000);
    assert_eq!(world.story(id), ["Sent", "Unknown", "Refused -2013"]);
    assert_eq!(world.oms.core.desk.positions.qty(super::world::BTC).unwrap().to_string(), "0.01");
    assert_eq!(world.gates().last().map(String::as_str), Some("open Reconciled"));
}

#[test]
fn an_order_that_shows_up_after_not_found_lives() {
    let mut world = World::ready();
    world.manner = Manner::Mute;
    let id = world.place();
    world.scripted.entry("/fapi/v1/order").or_default().push_back(error(NOT_FOUND.0, NOT_FOUND.1));
    world.run(2_300);
    assert_eq!(world.story(id), ["Sent", "Unknown"]);
    let fresh = world.order_event(&id.to_string(), "NEW", "NEW", "0", None);
    world.tell(&fresh);
    world.run(5_000);
    assert_eq!(world.story(id), ["Sent", "Unknown", "Accepted"]);
}

#[test]
fn an_order_that_the_exchange_forgets_for_a_while_stays_exposure() {
    let mut world = World::ready();
    let id = world.place();
    world.run(3);
    let forgotten = world.orders.remove(&id.to_string()).unwrap();
    world.cut_user();
    world.run(9_000);
    assert_eq!(world.story(id), ["Sent", "Accepted"], "not found does not soon end what was confirmed");
    assert_eq!(world.gates().last().map(String::as_str), Some("InDoubt"));
    world.orders.insert(id.to_string(), forgotten);
    world.run(10_000);
    assert_eq!(world.gates().last().map(String::as_str), Some("open Reconciled"));
    assert_eq!(world.story(id), ["Sent", "Accepted"]);
}

#[test]
fn an_order_that_the_exchange_has_forgotten_for_good_is_booked_as_cancelled() {
    let mut world = World::ready();
    let id = world.place();
    world.run(3);
    world.orders.remove(&id.to_string()).unwrap();
    world.cut_user();
    world.run(30_000);
    assert_eq!(world.story(id), ["Sent", "Accepted", "Cancelled"]);
    assert_eq!(world.gates().last().map(String::as_str), Some("open Reconciled"));
}

#[test]
fn a_late_answer_is_still_the_truth() {
    let mut world = World::ready();
    world.manner = Manner::Keep;
    let id = world.place();
    world.scripted.entry("/fapi/v1/order").or_default().extend((0..9).map(|_| no_answer()));
    world.run(2_050);
    assert_eq!(world.story(id), ["Sent", "Unknown"]);
    let reply = super::far::refused(&world.requests[0]["id"], -5022, "would take");
    world.reply(reply);
    world.run(20);
    assert_eq!(world.story(id), ["Sent", "Unknown", "Expired"]);
    assert_eq!(world.gates(), ["InDoubt", "open Reconciled"]);
}

#[test]
fn a_duplicate_id_is_asked_about_because_it_may_be_our_own_request() {
    let mut world = World::ready();
    world.manner = Manner::Keep;
    let id = world.place();
    world.rest_order(&id.to_string());
    world.run(3);
    let reply = super::far::refused(&world.requests[0]["id"], -4116, "ClientOrderId is duplicated.");
    world.reply(reply);
    world.run(500);
    assert_eq!(world.story(id), ["Sent", "Unknown", "Accepted"]);
}

#[test]
fn an_id_that_is_taken_proves_that_the_order_was_accepted_whatever_queries_say() {
    let mut world = World::ready();
    world.manner = Manner::Keep;
    let id = world.place();
    world.run(3);
    let number = world.requests[0]["id"].clone();
    world.reply(super::far::refused(&number, -4116, "ClientOrderId is duplicated."));
    // So many "not found" would prove the absence of any other unknown order.
    world.run(8_000);
    assert_eq!(world.story(id), ["Sent", "Unknown"]);
    assert!(world.asked_about("/fapi/v1/order ") > 3);
    assert_eq!(world.gates(), ["InDoubt"]);
    world.rest_order(&id.to_string());
    world.run(3_000);
    assert_eq!(world.story(id), ["Sent", "Unknown", "Accepted"]);
    assert_eq!(world.gates(), ["InDoubt", "open Reconciled"]);
    assert_eq!(world.requests.len(), 1, "nothing is sent twice");
}

#[test]
fn an_id_that_is_taken_by_nothing_that_can_be_found_is_given_up_in_the_end() {
    let mut world = World::ready();
    world.manner = Manner::Keep;
    let id = world.place();
    world.run(3);
    let number = world.requests[0]["id"].clone();
    world.reply(super::far::refused(&number, -4116, "ClientOrderId is duplicated."));
    world.run(20_000);
    assert_eq!(world.story(id), ["Sent", "Unknown", "Refused -2013"]);
    assert_eq!(world.gates(), ["InDoubt", "open Reconciled"]);
}

#[test]
fn a_dying_order_socket_leaves_everything_on_its_way_unknown_until_it_is_found() {
    let mut world = World::ready();
    world.manner = Manner::Mute;
    let (taken, cancelled) = (world.place(), world.place());
    world.run(3);
    world.manner = Manner::Lose;
    let lost = world.place();
    world.run(3);
    world.set(&cancelled.to_string(), "CANCELED", "0");
    world.cut_orders();
    world.run(3);
    for id in [taken, cancelled, lost] {
        assert_eq!(world.story(id), ["Sent", "Unknown"]);
    }
    assert_eq!(world.gates(), ["OrderSocketDown"]);
    world.manner = Manner::Answer;
    world.run(10_000);
    assert_eq!(world.story(taken)[2..], ["Accepted"]);
    assert_eq!(world.story(cancelled)[2..], ["Accepted", "Cancelled"]);
    assert_eq!(world.story(lost)[2..], ["Refused -2013"]);
    assert_eq!(world.gates(), ["OrderSocketDown", "InDoubt", "open Reconciled"]);
    assert_eq!(world.reached, [Milestone::Ready]);
    assert_eq!(world.requests.len(), 3, "nothing is sent twice");
}

#[test]
fn fills_missed_while_the_user_stream_was_down_are_booked_once() {
    let mut world = World::ready();
    let (first, second) = (world.place(), world.place());
    world.run(3);
    let part = world.order_event(&first.to_string(), "TRADE", "PARTIALLY_FILLED", "0.004", Some((11, "0.004")));
    world.tell(&part);
    world.run(3);
    let order = world.orders[&first.to_string()].id;
    world.trade_at_venue(11, order, "0.004");
    world.cut_user();
    world.trade_at_venue(12, order, "0.006");
    world.trade_at_venue(13, 999, "0.5");
    world.set(&first.to_string(), "FILLED", "0.01");
    world.run(3_000);
    let story = world.story(first);
    assert_eq!(story[2..], ["Filled 11 0.004/0.004 fee 10000000", "Filled 12 0.006/0.01 fee 10000000", "Done"]);
    assert_eq!(world.story(second), ["Sent", "Accepted"], "what is still open stays");
    assert_eq!(world.positions().last().map(String::as_str), Some("0.51"), "a stranger's trade counts too");
    assert_eq!(world.gates(), ["UserStreamDown", "InDoubt", "open Reconciled"]);
    // Told again by the stream, it is known already.
    let again = world.order_event(&first.to_string(), "TRADE", "FILLED", "0.01", Some((12, "0.006")));
    world.tell(&again);
    world.run(10);
    assert_eq!(world.story(first).len(), 5);
}

#[test]
fn an_end_without_its_fills_fetches_them() {
    let mut world = World::ready();
    let id = world.place();
    world.run(3);
    let order = world.orders[&id.to_string()].id;
    world.trade_at_venue(21, order, "0.003");
    let cancelled = world.order_event(&id.to_string(), "CANCELED", "CANCELED", "0.003", None);
    world.tell(&cancelled);
    world.set(&id.to_string(), "CANCELED", "0.003");
    world.run(100);
    assert_eq!(world.story(id), ["Sent", "Accepted"], "the end waits for the fill");
    world.run(2_000);
    assert_eq!(world.story(id)[2..], ["Filled 21 0.003/0.003 fee 10000000", "Cancelled"]);
    assert!(world.asked.iter().any(|call| call.contains(&format!("userTrades symbol=BTCUSDT&orderId={order}"))));
}

#[test]
fn a_user_event_that_cannot_be_read_makes_us_ask_for_everything() {
    let mut world = World::ready();
    let id = world.place();
    world.run(3);
    let order = world.orders[&id.to_string()].id;
    world.trade_at_venue(31, order, "0.01");
    world.set(&id.to_string(), "FILLED", "0.01");
    let mut broken = world.order_event(&id.to_string(), "TRADE", "FILLED", "0.01", Some((31, "0.01")));
    broken["o"]["l"] = "a lot".into();
    world.tell(&broken);
    world.run(5_000);
    assert_eq!(world.story(id)[2..], ["Filled 31 0.01/0.01 fee 10000000", "Done"]);
    assert_eq!(world.gates(), ["InDoubt", "open Reconciled"]);
}

#[test]
fn a_refused_order_that_lives_all_the_same_is_cancelled() {
    let mut world = World::ready();
    world.manner = Manner::Keep;
    let id = world.place();
    world.run(3);
    let reply = super::far::refused(&world.requests[0]["id"], -2010, "rejected");
    world.reply(reply);
    world.run(3);
    world.rest_order(&id.to_string());
    let fresh = world.order_event(&id.to_string(), "NEW", "NEW", "0", None);
    world.tell(&fresh);
    world.run(5_000);
    assert_eq!(world.story(id), ["Sent", "Refused -2010"]);
    assert_eq!(world.orders[&id.to_string()].status, "CANCELED");
    assert_eq!(world.gates(), ["InDoubt", "open Reconciled"]);
}

/// The order fills between the answers to this question and to the next; whether or not the fill is told at once, it is
/// counted once.
fn counts_a_fill_once(question: &str, told_at_once: bool) {
    let mut world = World::ready();
    let id = world.place();
    world.run(3);
    world.cut_user();
    let order = world.orders[&id.to_string()].id;
    let mut untold = None;
    for _ in 0..3_000 {
        world.run(1);
        if world.asked_about(question) == 1 && world.position == "0" {
            let filled = world.order_event(&id.to_string(), "TRADE", "FILLED", "0.01", Some((41, "0.01")));
            if told_at_once {
                world.tell(&filled);
            } else {
                untold = Some(filled);
            }
            world.set(&id.to_string(), "FILLED", "0.01");
            world.trade_at_venue(41, order, "0.01");
        }
    }
    if let Some(filled) = untold {
        world.tell(&filled);
        world.run(10);
    }
    assert_eq!(world.gates().last().map(String::as_str), Some("open Reconciled"));
    assert_eq!(world.oms.core.desk.positions.qty(super::world::BTC).unwrap().to_string(), "0.01");
    let fills = world.story(id).iter().filter(|word| word.starts_with("Filled")).count();
    assert_eq!(fills, 1);
}

#[test]
fn a_fill_that_comes_while_positions_are_asked_for_is_not_counted_twice() {
    // The answer on positions is from before the fill, and the fill arrives before the answer is read.
    counts_a_fill_once("positionRisk", true);
}

#[test]
fn a_fill_that_the_answer_on_positions_knows_first_is_not_counted_twice() {
    // It happens after trades were asked for and before positions are, and is told long after both answers.
    counts_a_fill_once("userTrades", false);
}

#[test]
fn whoever_cancels_again_and_again_does_not_put_the_comparison_off() {
    let mut world = World::ready();
    let both = [world.place(), world.place()];
    world.run(5);
    for id in both {
        world.set(&id.to_string(), "CANCELED", "0");
    }
    world.manner = Manner::Keep;
    world.requests.clear();
    world.cut_user();
    // Each answer comes when the next request has left: something is always on its way.
    for (round, id) in both.into_iter().cycle().take(30).enumerate() {
        world.cancel(id);
        world.run(100);
        if let Some(number) =
            round.checked_sub(1).and_then(|before| world.requests.get(before)).map(|it| it["id"].clone())
        {
            world.reply(super::far::refused(&number, -2011, "Unknown order sent."));
        }
        world.run(100);
    }
    for id in both {
        assert!(world.story(id).contains(&"Cancelled".to_owned()), "{:?}", world.story(id));
    }
}
