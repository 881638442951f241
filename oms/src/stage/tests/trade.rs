//! Orders that live as they should, and those that are refused.

use optiflow_base::log::{LogEvent, Span};
use serde_json::json;

use super::far::refused;
use super::world::{Manner, World};
use super::*;

#[test]
fn an_order_is_sent_accepted_filled_in_parts_and_done() {
    let mut world = World::ready();
    let id = world.place();
    let client = id.to_string();
    world.run(3);
    assert_eq!(world.story(id), ["Sent", "Accepted"]);
    // The early sign of a trade, everything twice, wallet and position before and after their trade.
    let part = world.order_event(&client, "TRADE", "PARTIALLY_FILLED", "0.004", Some((11, "0.004")));
    let rest = world.order_event(&client, "TRADE", "FILLED", "0.01", Some((12, "0.006")));
    let lite = json!({"e": "TRADE_LITE", "E": 1, "T": 1, "s": "BTCUSDT", "q": "0.010", "p": "83000", "m": true,
        "c": client, "S": "BUY", "L": "83000", "l": "0.004", "t": 11, "i": 1});
    let fresh = world.order_event(&client, "NEW", "NEW", "0", None);
    for event in [&lite, &fresh, &World::account_event("0.004", "9999.9"), &part, &part, &rest] {
        world.tell(event);
    }
    world.tell(&World::account_event("0.01", "9999.8"));
    world.tell(&rest);
    world.run(3);
    let story = world.story(id);
    assert_eq!(story[2..], ["Filled 11 0.004/0.004 fee 10000000", "Filled 12 0.006/0.01 fee 10000000", "Done"]);
    assert_eq!(world.positions(), ["0.004", "0.01"]);
    let wallets = world.seen.iter().filter(|report| matches!(report, Report::Wallet { .. })).count();
    assert_eq!(wallets, 2);
    world.run(5_000);
    assert_eq!(world.asked_about("/fapi/v1/order "), 0, "nothing was in doubt");
    assert!(world.gates().is_empty());
    for span in [Span::Oms, Span::TickToOrder, Span::OrderAck, Span::UserDelay] {
        let told = world.logged.iter().filter(|e| matches!(e, LogEvent::Latency { span: s, .. } if *s == span)).count();
        assert!(told > 0, "{span:?}");
    }
    let logged = world.logged.iter().filter(|event| matches!(event, LogEvent::Report(Report::Order(_)))).count();
    assert_eq!(logged, 5, "storage hears what engine hears");
}

#[test]
fn rehearsals_leave_nothing_behind() {
    let mut world = World::ready();
    let first = world.place();
    world.run(3);
    assert!(world.oms.core.rehearsed.is_some());
    let (requests, logged) = (world.requests.len(), world.logged.len());
    world.run_by(1, 20);
    assert_eq!((world.requests.len(), world.logged.len()), (requests, logged), "twenty rehearsals");
    let second = world.place();
    world.run(3);
    let params = |at: usize| &world.requests[at]["params"];
    let same = ["side", "price", "quantity", "type", "timeInForce"];
    assert!(
        same.iter()
            .all(|name| params(requests)[name] == params(requests - 1)[name] && !params(requests)[name].is_null())
    );
    assert_eq!(params(requests)["newClientOrderId"], second.to_string());
    assert_eq!(world.story(first), world.story(second));
}

#[test]
fn events_may_come_before_the_answer() {
    let mut world = World::ready();
    world.manner = Manner::Keep;
    let id = world.place();
    world.run(3);
    let resting = world.rest_order(&id.to_string());
    let filled = world.order_event(&id.to_string(), "TRADE", "FILLED", "0.01", Some((11, "0.01")));
    world.tell(&filled);
    world.run(3);
    let reply = super::far::accepted(&world.requests[0]["id"], &resting);
    world.reply(reply);
    world.run(3);
    assert_eq!(world.story(id), ["Sent", "Accepted", "Filled 11 0.01/0.01 fee 10000000", "Done"]);
}

#[test]
fn a_cancel_ends_the_order_once_whoever_tells_first() {
    for event_first in [true, false] {
        let mut world = World::ready();
        let id = world.place();
        let client = id.to_string();
        world.run(3);
        if event_first {
            world.manner = Manner::Mute;
        }
        world.cancel(id);
        world.run(3);
        let cancelled = world.order_event(&client, "CANCELED", "CANCELED", "0", None);
        world.tell(&cancelled);
        world.run(3);
        if event_first {
            let reply = super::far::accepted(&world.requests[1]["id"], &world.orders[&client].clone());
            world.reply(reply);
            world.run(3);
        }
        assert_eq!(world.story(id), ["Sent", "Accepted", "CancelSent", "Cancelled"], "event first: {event_first}");
        assert_eq!(world.asked_about("/fapi/v1/order "), 0);
    }
}

#[test]
fn a_cancel_that_loses_against_a_fill_is_refused_and_the_fill_counts() {
    let mut world = World::ready();
    let id = world.place();
    world.run(3);
    world.set(&id.to_string(), "FILLED", "0.01");
    world.cancel(id);
    world.run(3);
    let filled = world.order_event(&id.to_string(), "TRADE", "FILLED", "0.01", Some((11, "0.01")));
    world.tell(&filled);
    world.run(3_000);
    let story = world.story(id);
    assert_eq!(story[2..], ["CancelSent", "CancelRefused -2011", "Filled 11 0.01/0.01 fee 10000000", "Done"]);
    assert_eq!(world.asked_about("/fapi/v1/order "), 0, "its end came before the question");
}

#[test]
fn a_refused_cancel_is_followed_by_the_question_where_the_order_is() {
    let mut world = World::ready();
    let id = world.place();
    world.run(3);
    world.set(&id.to_string(), "CANCELED", "0");
    world.cancel(id);
    world.run(3_000);
    assert_eq!(world.story(id)[2..], ["CancelSent", "CancelRefused -2011", "Cancelled"]);
    assert!(world.gates().is_empty(), "an order that exists is no reason to close");
}

#[test]
fn refusals_keep_their_code_and_leave_nothing_behind() {
    let mut world = World::ready();
    world.manner = Manner::Keep;
    for (code, expected) in [(-5022, "Expired"), (-5021, "Expired"), (-2019, "Refused -2019"), (-1008, "Refused -1008")]
    {
        let id = world.place();
        world.run(3);
        let number = world.requests.last().unwrap()["id"].clone();
        world.reply(refused(&number, code, "refused"));
        world.run(3);
        assert_eq!(world.story(id), ["Sent", expected]);
    }
    world.run(3_000);
    assert_eq!(world.asked_about("/fapi/v1/order "), 0);
    assert_eq!(world.oms.core.desk.table.counts().live, 0);
}

#[test]
fn what_cannot_be_sent_is_refused_with_our_own_code() {
    let mut world = World::ready();
    // Approved while the gate was open, handed over when the socket is gone.
    let first = world.place();
    world.risk.step(world.now());
    let approved = world.approved.pop().unwrap();
    world.cut_orders();
    world.run(2);
    world.to_oms.push(approved).unwrap();
    world.run(1);
    assert_eq!(world.story(first), [format!("Refused {}", LocalCode::GateClosed.code())]);
    assert!(world.requests.is_empty());
    world.run(3_000);
    assert_eq!(world.gates(), ["OrderSocketDown", "InDoubt", "open Reconciled"]);
    // A cancel of what has ended, and a second cancel of what is being cancelled.
    let second = world.place();
    world.run(3);
    world.manner = Manner::Mute;
    world.cancel(second);
    world.run(1);
    world.cancel(second);
    world.run(2);
    assert_eq!(world.story(second), ["Sent", "Accepted", "CancelSent", "CancelRefused 6"]);
}

#[test]
fn trades_of_others_move_the_position_and_forced_closing_stops_us() {
    let mut world = World::ready();
    let manual = world.order_event("web_1", "TRADE", "FILLED", "0.5", Some((77, "0.5")));
    world.tell(&manual);
    world.tell(&manual);
    world.run(3);
    assert_eq!(world.positions(), ["0.5"], "once");
    let forced = world.order_event("autoclose-123", "CALCULATED", "FILLED", "0.5", Some((78, "0.5")));
    world.tell(&forced);
    world.run(3);
    assert_eq!(world.gates(), ["AccountTrouble"]);
    assert!(matches!(world.reached[..], [Milestone::Failed(what)] if what.contains("force")));
}

#[test]
fn trades_and_forced_closing_in_a_symbol_that_is_not_configured_are_told_once_an_event_and_move_nothing() {
    let mut world = World::ready();
    for (client, kind, fill, told) in [
        ("web_1", "NEW", None, None),
        ("web_1", "TRADE", Some((77, "0.5")), Some("a trade in a symbol that is not configured")),
        (
            "adl_autoclose",
            "NEW",
            None,
            Some("the exchange closes a position by force in a symbol that is not configured"),
        ),
        (
            "autoclose-123",
            "CALCULATED",
            Some((78, "0.5")),
            Some("the exchange closes a position by force in a symbol that is not configured"),
        ),
    ] {
        world.logged.clear();
        let mut event = world.order_event(client, kind, "PARTIALLY_FILLED", "0.5", fill);
        event["o"]["s"] = json!("DOGEUSDT");
        world.tell(&event);
        world.run(3);
        assert_eq!(world.notices(), told.into_iter().collect::<Vec<_>>(), "{client} {kind}");
    }
    assert!(world.positions().is_empty() && world.gates().is_empty() && world.reached.is_empty());
}

#[test]
fn a_position_that_no_trade_explains_is_asked_for() {
    let mut world = World::ready();
    world.position = "0.3".to_owned();
    world.tell(&World::account_event("0.3", "9000"));
    world.run(1_500);
    assert!(world.positions().is_empty(), "a trade may still explain it");
    world.run(3_000);
    assert_eq!(world.positions(), ["0.3"]);
    assert_eq!(world.gates(), ["InDoubt", "open Reconciled"]);
}

#[test]
fn a_fee_in_another_asset_is_named_and_not_added_up() {
    let mut world = World::ready();
    let id = world.place();
    world.run(3);
    let mut filled = world.order_event(&id.to_string(), "TRADE", "FILLED", "0.01", Some((11, "0.01")));
    filled["o"]["N"] = json!("BNB");
    world.tell(&filled);
    world.run(3);
    assert_eq!(world.story(id)[2..], ["Filled 11 0.01/0.01 fee 0", "Done"]);
    assert!(world.notices().contains(&"fee was taken in another asset and is not counted"));
}
