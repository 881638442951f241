//! Other terms for a resting order: accepted, refused, in doubt, overtaken by fills; told once, whoever tells first.

use optiflow_base::ids::OrderId;
use optiflow_base::order::Terms;
use serde_json::{Value as Json, json};

use super::far::{accepted, refused};
use super::world::{BTC, Manner, START_MS, StatusAnswer, World};

const NEW_TERMS: &str = "Modified 0.02 @ 82990";

/// A world with an open order, whose story begins anew.
fn open() -> (World, OrderId, String) {
    let mut world = World::ready();
    let id = world.place();
    world.run(3);
    assert_eq!(world.story(id), ["Sent", "Accepted"]);
    world.seen.clear();
    (world, id, id.to_string())
}

/// The same with a modify request that the test answers.
fn asked() -> (World, OrderId, String) {
    let (mut world, id, client) = open();
    world.manner = Manner::Keep;
    world.modify(id, "82990", "0.02");
    world.run(3);
    assert_eq!(world.story(id), ["ModifySent"]);
    (world, id, client)
}

fn terms(world: &World, id: OrderId) -> String {
    let Terms { price, qty } = world.oms.core.desk.table.get(id).unwrap().terms();
    format!("{qty} @ {price}")
}

fn number(world: &World) -> Json {
    world.requests.last().unwrap()["id"].clone()
}

#[test]
fn accepted_terms_are_told_once_and_leave_no_question() {
    let (mut world, id, client) = open();
    world.modify(id, "82990", "0.02");
    world.run(3);
    let again = world.amendment(&client);
    world.tell(&again);
    world.run(5_000);
    assert_eq!(world.story(id), ["ModifySent", NEW_TERMS]);
    assert_eq!(terms(&world, id), "0.02 @ 82990");
    let params = &world.requests[1]["params"];
    assert_eq!(
        [&params["origClientOrderId"], &params["side"], &params["price"], &params["quantity"]],
        [&json!(client), &json!("BUY"), &json!("82990.0"), &json!("0.020")]
    );
    assert_eq!(world.asked_about("/fapi/v1/order "), 0);
    assert!(world.gates().is_empty());
    // And another one, to terms that it had before.
    world.modify(id, "83000", "0.01");
    world.run(3);
    assert_eq!(world.story(id)[2..], ["ModifySent", "Modified 0.01 @ 83000"]);
}

#[test]
fn a_refusal_leaves_the_terms_as_they_were() {
    for (code, asks) in [(-4164, 0), (-5026, 0), (-5029, 0), (-1015, 0), (-2013, 1), (-2011, 1), (-5022, 1)] {
        let (mut world, id, _) = asked();
        let number = number(&world);
        world.reply(refused(&number, code, "refused"));
        world.run(3_000);
        assert_eq!(world.story(id), ["ModifySent".to_owned(), format!("ModifyRefused {code}")]);
        assert_eq!(terms(&world, id), "0.01 @ 83000");
        assert_eq!(world.asked_about("/fapi/v1/order ").min(1), asks, "{code}");
        assert_eq!(world.oms.core.desk.table.counts().doubtful, 0);
    }
}

#[test]
fn what_cannot_be_modified_is_refused_here() {
    let (mut world, id, _) = asked();
    assert!(!world.oms.core.desk.table.get(id).unwrap().can_amend());
    // Risk lets only one leave at a time.
    let requests = world.requests.len();
    world.modify(id, "82980", "0.02");
    world.run(3);
    assert_eq!(world.requests.len(), requests);
    // A cancel goes out all the same, and then no modify.
    world.manner = Manner::Keep;
    world.cancel(id);
    world.run(3);
    assert_eq!(world.requests.len(), requests + 1);
    let number = world.requests[1]["id"].clone();
    world.reply(refused(&number, -4164, "refused"));
    world.run(3);
    world.modify(id, "82980", "0.02");
    world.run(3);
    assert_eq!(world.story(id), ["ModifySent", "CancelSent", "ModifyRefused -4164", "ModifyRefused 6"]);
}

#[test]
fn nothing_to_modify_means_that_the_terms_are_asked_for() {
    let (mut world, id, client) = asked();
    world.amend(&client, "82990", "0.015");
    let number = number(&world);
    world.reply(refused(&number, -5027, "No need to modify the order."));
    world.run(500);
    assert_eq!(world.story(id), ["ModifySent", "Modified 0.015 @ 82990"]);
    assert_eq!(world.oms.core.desk.table.counts().doubtful, 0);
}

#[test]
fn without_an_answer_the_exchange_is_asked_and_believed_either_way() {
    for (by_socket, worked) in [(true, true), (true, false), (false, true), (false, false)] {
        let (mut world, id, client) = open();
        world.manner = if worked { Manner::Mute } else { Manner::Lose };
        world.stream_tells = false;
        world.status_answer = if by_socket { StatusAnswer::True } else { StatusAnswer::Useless };
        world.modify(id, "82990", "0.02");
        world.run(2_050);
        assert_eq!(world.story(id), ["ModifySent"], "silence proves nothing");
        assert!(world.oms.core.desk.table.get(id).unwrap().owes_terms());
        world.run(500);
        let expected: &[&str] = if worked { &["ModifySent", NEW_TERMS] } else { &["ModifySent"] };
        assert_eq!(world.story(id), expected, "old terms once prove nothing either");
        world.run(6_000);
        let expected = if worked { ["ModifySent", NEW_TERMS] } else { ["ModifySent", "ModifyRefused 7"] };
        assert_eq!(world.story(id), expected, "by socket {by_socket}");
        assert_eq!(world.oms.core.desk.table.counts().doubtful, 0);
        assert_eq!(world.requests.len(), 2, "nothing is sent twice");
        // What turns up later is told, and binds nobody.
        if !worked {
            world.amend(&client, "82990", "0.02");
            let event = world.amendment(&client);
            world.tell(&event);
            world.run(3);
            assert_eq!(world.story(id)[2..], ["Modified 0.02 @ 82990 unasked"]);
        }
    }
}

#[test]
fn terms_that_nobody_told_of_are_learned_when_orders_are_listed() {
    // A modify request that was taken to have failed, or somebody else's.
    for ours in [true, false] {
        let (mut world, id, client) = open();
        if ours {
            world.manner = Manner::Lose;
            world.modify(id, "82990", "0.02");
            world.run(9_000);
            assert_eq!(world.story(id), ["ModifySent", "ModifyRefused 7"]);
        }
        world.seen.clear();
        world.amend(&client, "82990", "0.02");
        world.cut_user();
        world.run(3_000);
        assert_eq!(world.story(id), ["Modified 0.02 @ 82990 unasked"], "more may trade than was asked for: {ours}");
        assert_eq!(terms(&world, id), "0.02 @ 82990");
    }
}

#[test]
fn a_lost_socket_leaves_a_question_that_the_list_of_open_orders_answers() {
    for worked in [true, false] {
        let (mut world, id, client) = asked();
        if worked {
            world.amend(&client, "82990", "0.02");
        }
        world.cut_orders();
        world.run(10_000);
        let expected = if worked { ["ModifySent", NEW_TERMS] } else { ["ModifySent", "ModifyRefused 7"] };
        assert_eq!(world.story(id), expected);
        assert_eq!(world.gates().last().map(String::as_str), Some("open Reconciled"));
    }
}

#[test]
fn an_answer_that_comes_late_is_still_the_answer() {
    let (mut world, id, client) = asked();
    world.rest_is_down = true;
    world.run(3_000);
    world.amend(&client, "82990", "0.02");
    let reply = accepted(&number(&world), &world.orders[&client].clone());
    world.reply(reply);
    world.run(3);
    assert_eq!(world.story(id), ["ModifySent", NEW_TERMS]);
}

#[test]
fn an_order_that_the_exchange_ends_instead_has_ended() {
    let (mut world, id, client) = asked();
    world.set(&client, "CANCELED", "0");
    let reply = accepted(&number(&world), &world.orders[&client].clone());
    world.reply(reply);
    world.run(3_000);
    assert_eq!(world.story(id), ["ModifySent", "Cancelled"]);
    assert_eq!(world.oms.core.desk.table.counts(), crate::table::Counts::default());
}

/// The request was answered after its time; the messages about it, and about two fills of which one is larger than what
/// was left before, come in every order, each of them twice.
#[test]
fn reply_event_query_and_fills_end_the_same_in_every_order_of_arrival() {
    let mut played = 0;
    let mut items: Vec<usize> = (0..5).collect();
    permute(&mut items, 0, &mut |order| {
        play(order);
        played += 1;
    });
    assert_eq!(played, 120);
}

fn play(order: &[usize]) {
    let (mut world, id, client) = asked();
    world.held = Some(Vec::new());
    world.run_by(50, 2_200);
    let exchange_id = world.orders[&client].id;
    world.amend(&client, "82990", "0.02");
    let reply = accepted(&number(&world), &world.orders[&client].clone());
    let event = world.amendment(&client);
    world.trade_at_venue(11, exchange_id, "0.008");
    world.trade_at_venue(12, exchange_id, "0.012");
    world.set(&client, "FILLED", "0.02");
    let fill = |world: &World, status: &str, total: &str, trade| {
        world.order_event(&client, "TRADE", status, total, Some(trade))
    };
    let part = fill(&world, "PARTIALLY_FILLED", "0.008", (11, "0.008"));
    let rest = fill(&world, "FILLED", "0.02", (12, "0.012"));
    for &at in order {
        for _ in 0..2 {
            match at {
                0 => world.reply(reply.clone()),
                1 => world.tell(&event),
                2 => world.tell(&part),
                3 => world.tell(&rest),
                _ => {
                    for call in world.held.replace(Vec::new()).unwrap_or_default() {
                        world.on_call(&call);
                    }
                }
            }
            world.run(1);
        }
    }
    for call in world.held.take().unwrap_or_default() {
        world.on_call(&call);
    }
    world.run_by(50, 6_000);
    let story = world.story(id);
    let what = format!("{order:?}: {story:?}");
    assert_eq!(story.last().map(String::as_str), Some("Done"), "{what}");
    assert_eq!(terms(&world, id), "0.02 @ 82990", "{what}");
    // Where the end is proven first, there is nothing left to tell of terms.
    let told: Vec<&String> = story.iter().filter(|word| word.starts_with("Modified")).collect();
    assert!(told.is_empty() || told == [NEW_TERMS], "{what}");
    let fills = |trade: &str| story.iter().filter(|word| word.starts_with(&format!("Filled {trade} "))).count();
    assert_eq!((fills("11"), fills("12"), story.len() - told.len()), (1, 1, 4), "{what}");
    assert_eq!(world.oms.core.desk.positions.qty(BTC), Some("0.02".parse().unwrap()), "{what}");
    assert_eq!(world.oms.core.desk.table.counts(), crate::table::Counts::default(), "{what}");
    assert!(!world.notices().contains(&"order traded more than it was for"), "{what}");
    assert!(world.now().millis() > START_MS && world.requests.len() == 2, "{what}");
}

fn permute(items: &mut Vec<usize>, from: usize, visit: &mut impl FnMut(&[usize])) {
    if from == items.len() {
        visit(items);
        return;
    }
    for at in from..items.len() {
        items.swap(from, at);
        permute(items, from + 1, visit);
        items.swap(from, at);
    }
}
