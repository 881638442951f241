//! Cancels and exits by REST, while no order socket can send.

use optiflow_base::ids::OrderId;
use optiflow_base::order::Usage;
use optiflow_base::rest::{Auth, NOT_SENT};

use super::far::error;
use super::world::{World, hmac_key, no_answer};
use super::*;
use crate::peace::{Block, Peace};

const PLACE: &str = "POST /fapi/v1/order ";
const CANCEL: &str = "DELETE /fapi/v1/order ";
const ORDER: &str = "/fapi/v1/order";
const NOWHERE: &str = r#"{"code":-2013,"msg":"Order does not exist."}"#;

/// A world that is short, with a bid on the book, whose order socket has just died and finds nobody.
fn dark_with(guards: Guards) -> (World, OrderId) {
    let mut world = World::guarded(hmac_key(), 4096, guards).made_ready();
    world.position = "-0.5".to_owned();
    world.tell(&World::account_event("-0.5", "9000"));
    world.run(4_000);
    let resting = world.place();
    world.run(5);
    assert_eq!(world.story(resting), ["Sent", "Accepted"]);
    world.deaf = true;
    world.cut_orders();
    world.run(2);
    assert_eq!(world.gates().last().map(String::as_str), Some("OrderSocketDown"));
    world.asked.clear();
    world.requests.clear();
    (world, resting)
}

fn dark() -> (World, OrderId) {
    dark_with(Guards::default())
}

/// How often a request about this order left that changes something, whichever way.
fn sent(world: &World, what: &str, id: OrderId) -> usize {
    let id = id.to_string();
    let by_rest = world.asked.iter().filter(|call| call.starts_with(what) && call.contains(&id)).count();
    let sockets = world.requests.iter().chain(&world.spare_requests);
    by_rest + sockets.filter(|request| request.to_string().contains(&id)).count()
}

#[test]
fn a_cancel_and_an_exit_leave_by_rest_and_an_entry_does_not() {
    let (mut world, resting) = dark();
    world.cancel(resting);
    let (exit, entry) = (world.place_as(true), world.place());
    world.held = Some(Vec::new());
    world.run(5);
    let calls = world.held.take().unwrap();
    let until_ms = world.oms.core.desk.table.get(exit).unwrap().sent.millis() + 1_000;
    assert_eq!(calls[1].auth, Auth::SignedUntil(until_ms), "no longer than on a socket");
    assert_eq!(world.story(exit), ["Sent"]);
    calls.iter().for_each(|call| world.on_call(call));
    world.run(5);
    assert_eq!(world.story(resting)[2..], ["CancelSent", "Cancelled"]);
    assert_eq!(world.story(exit), ["Sent", "Accepted"]);
    assert!(world.story(entry).is_empty(), "risk keeps it back: {:?}", world.story(entry));
    let expected = [
        format!("{CANCEL}symbol=BTCUSDT&origClientOrderId={resting}"),
        format!(
            "{PLACE}symbol=BTCUSDT&side=BUY&type=LIMIT&quantity=0.01&price=83000&timeInForce=GTX&reduceOnly=true\
             &newClientOrderId={exit}&newOrderRespType=ACK&selfTradePreventionMode=EXPIRE_MAKER"
        ),
    ];
    assert_eq!(world.asked, expected);
    world.deaf = false;
    world.run(8_000);
    assert_eq!(world.gates().last().map(String::as_str), Some("open Reconciled"));
    assert_eq!((sent(&world, PLACE, exit), sent(&world, CANCEL, resting)), (1, 1));
}

#[test]
fn an_entry_that_risk_approved_before_stays_here_while_an_exit_leaves() {
    let limits = Limits { texts_count: true, messages_per_second: FRAMES, ..Limits::orders() };
    let mut world = World::built(hmac_key(), 4096, Guards::default(), limits).made_ready();
    world.position = "-0.5".to_owned();
    world.tell(&World::account_event("-0.5", "9000"));
    world.run(4_000);
    // The socket takes no more for a while; the gate is open.
    let entries: Vec<OrderId> = (0..=FRAMES).map(|_| world.place()).collect();
    world.run(5);
    let (first, last) = (entries[0], entries[FRAMES as usize]);
    assert_eq!(
        (world.story(first), world.story(last)),
        (vec!["Sent".into(), "Accepted".into()], vec!["Refused 1".into()])
    );
    assert_eq!(world.gates().last().map(String::as_str), Some("open Reconciled"));
    let exit = world.place_as(true);
    world.cancel(first);
    world.run(5);
    assert_eq!(world.story(exit), ["Sent", "Accepted"]);
    assert_eq!(world.story(first)[2..], ["CancelSent", "Cancelled"]);
    assert_eq!((world.asked_about(PLACE), sent(&world, PLACE, exit)), (1, 1));
}

#[test]
fn an_exit_s_answer_is_read_by_the_one_table() {
    let table = [
        (error(-2019, "Margin is insufficient."), "Refused -2019"),
        (error(-5022, "Post only"), "Expired"),
        ((503, "Service Unavailable.".to_owned()), "Refused 503"),
        ((403, "<html>".to_owned()), "Refused 403"),
        // The client gave up before anything left.
        ((403, String::new()), "Refused 1"),
        ((NOT_SENT, String::new()), "Refused 1"),
        (no_answer(), "Unknown"),
        ((503, String::new()), "Unknown"),
        ((503, r#"{"code":-1000,"msg":"Unknown error, please check your request"}"#.to_owned()), "Unknown"),
        ((408, r#"{"code":-1007,"msg":"Timeout waiting for response"}"#.to_owned()), "Unknown"),
        ((400, r#"{"code":-1007,"msg":"Timeout waiting for response"}"#.to_owned()), "Unknown"),
        ((200, "<html>".to_owned()), "Unknown"),
        (error(-4116, "ClientOrderId is duplicated."), "Unknown"),
    ];
    for (answer, expected) in table {
        let (mut world, _) = dark();
        let exit = world.place_as(true);
        world.scripted.entry(ORDER).or_default().push_back(answer.clone());
        world.run(5);
        assert_eq!(world.story(exit), ["Sent", expected], "{answer:?}");
        assert_eq!(sent(&world, PLACE, exit), 1);
        world.run(9_000);
        // What is not known is asked about, and given up only on proof; a taken id proves the contrary.
        let end = match expected {
            "Unknown" if answer.1.contains("-4116") => vec!["Sent", "Unknown"],
            "Unknown" => vec!["Sent", "Unknown", "Refused -2013"],
            _ => vec!["Sent", expected],
        };
        assert_eq!(world.story(exit), end, "{answer:?}");
        assert_eq!(sent(&world, PLACE, exit), 1, "{answer:?}");
    }
}

#[test]
fn an_exit_that_was_taken_without_an_answer_is_found_and_never_sent_again() {
    let (mut world, _) = dark();
    let exit = world.place_as(true);
    world.scripted.entry(ORDER).or_default().push_back(no_answer());
    world.run(1);
    world.rest_order(&exit.to_string());
    world.run(50);
    assert_eq!(world.story(exit), ["Sent", "Unknown"]);
    let exposed = |world: &World| world.oms.core.desk.table.get(exit).is_some_and(|order| !order.state().is_end());
    assert!(exposed(&world));
    world.deaf = false;
    world.run(8_000);
    assert_eq!(world.story(exit), ["Sent", "Unknown", "Accepted"]);
    assert!(exposed(&world));
    assert_eq!(sent(&world, PLACE, exit), 1);
    assert_eq!(world.gates().last().map(String::as_str), Some("open Reconciled"));
}

#[test]
fn a_cancel_s_answer_is_read_by_the_one_table() {
    let table = [
        (error(-2011, "Unknown order sent."), "CancelRefused -2011"),
        ((503, "Service Unavailable.".to_owned()), "CancelRefused 503"),
        (no_answer(), "CancelRefused 7"),
        ((503, String::new()), "CancelRefused 7"),
        ((408, r#"{"code":-1007,"msg":"Timeout"}"#.to_owned()), "CancelRefused 7"),
        ((200, "<html>".to_owned()), "CancelRefused 7"),
        ((403, String::new()), "CancelRefused 1"),
    ];
    for (answer, expected) in table {
        let (mut world, resting) = dark();
        world.cancel(resting);
        world.scripted.entry(ORDER).or_default().push_back(answer.clone());
        world.run(5);
        assert_eq!(world.story(resting)[2..], ["CancelSent", expected], "{answer:?}");
        world.run(1_000);
        assert!(world.asked_about("GET /fapi/v1/order ") > 0, "it is looked up: {answer:?}");
        assert_eq!(sent(&world, CANCEL, resting), 1, "{answer:?}");
        world.cancel(resting);
        world.run(5);
        assert_eq!(world.story(resting).last().unwrap(), "Cancelled", "whoever asked may ask again: {answer:?}");
    }
}

/// The one call about an order that is on its way, taken from the line.
fn on_its_way(world: &mut World) -> RestCall {
    world.held = Some(Vec::new());
    world.run(3);
    let calls = world.held.take().unwrap();
    assert_eq!(calls.len(), 1);
    calls[0]
}

#[test]
fn an_answer_that_comes_after_its_time_changes_nothing() {
    for taken in [true, false] {
        let (mut world, _) = dark();
        let exit = world.place_as(true);
        let call = on_its_way(&mut world);
        if taken {
            world.rest_order(&exit.to_string());
        }
        world.run_by(10, 29_900);
        assert_eq!(world.story(exit), ["Sent"], "its answer is waited for");
        world.run_by(10, 10_000);
        let end = if taken { vec!["Sent", "Unknown", "Accepted"] } else { vec!["Sent", "Unknown", "Refused -2013"] };
        assert_eq!(world.story(exit), end);
        world.scripted.entry(ORDER).or_default().push_back((400, NOWHERE.to_owned()));
        world.on_call(&call);
        world.run(5);
        assert_eq!(world.story(exit), end);
    }
}

#[test]
fn a_cancel_whose_answer_never_comes_may_be_asked_again() {
    let (mut world, resting) = dark();
    world.cancel(resting);
    on_its_way(&mut world);
    world.cancel(resting);
    world.run_by(10, 29_900);
    assert_eq!(world.story(resting)[2..], ["CancelSent", "CancelRefused 6"], "one at a time");
    world.run_by(10, 200);
    assert_eq!(world.story(resting).last().unwrap(), "CancelRefused 7");
    world.cancel(resting);
    world.run(5);
    assert_eq!(world.story(resting).last().unwrap(), "Cancelled");
}

#[test]
fn a_socket_that_returns_meanwhile_sends_nothing_again() {
    let (mut world, resting) = dark();
    let exit = world.place_as(true);
    let place = on_its_way(&mut world);
    world.cancel(resting);
    let cancel = on_its_way(&mut world);
    world.deaf = false;
    world.run(6_000);
    assert!(world.order_far.is_connected());
    assert_eq!(world.story(exit), ["Sent"], "however often it is not found: it may still arrive");
    assert_eq!(world.gates().last().map(String::as_str), Some("InDoubt"));
    assert!(world.requests.is_empty(), "{:?}", world.requests);
    world.on_call(&cancel);
    world.on_call(&place);
    world.run(5_000);
    assert_eq!(world.story(exit), ["Sent", "Accepted"]);
    assert_eq!(world.story(resting)[2..], ["CancelSent", "Cancelled"]);
    assert_eq!(world.gates().last().map(String::as_str), Some("open Reconciled"));
    assert_eq!((sent(&world, PLACE, exit), sent(&world, CANCEL, resting)), (1, 1));
}

#[test]
fn silence_holds_it_back_whoever_was_asked_for_it() {
    for (status, code) in [(418, LocalCode::Blocked), (429, LocalCode::Blocked), (403, LocalCode::NotSent)] {
        let peace = Peace::new();
        let (mut world, resting) = dark_with(Guards { peace: peace.clone(), ..Guards::default() });
        // Approved before anybody hears of it.
        world.cancel(resting);
        let exit = world.place_as(true);
        world.risk.step(world.now());
        let approved: Vec<Approved> = std::iter::from_fn(|| world.approved.pop()).collect();
        assert_eq!(approved.len(), 2);
        let until = world.now() + Duration::from_secs(60);
        peace.keep(Block { until, status });
        peace.tell(&Usage { blocked_until: Some(until), ..Usage::default() });
        world.run(2);
        approved.into_iter().for_each(|one| world.to_oms.push(one).unwrap());
        world.run(1_000);
        let code = code.code();
        assert_eq!(world.story(exit), [format!("Refused {code}")], "{status}");
        assert_eq!(world.story(resting)[2..], [format!("CancelRefused {code}")], "{status}");
        assert!(world.asked.is_empty(), "{:?}", world.asked);
    }
}

#[test]
fn a_key_that_was_refused_is_not_shown_again() {
    let (mut world, resting) = dark();
    world.scripted.entry(ORDER).or_default().push_back((401, r#"{"code":-2015,"msg":"Invalid API-key"}"#.to_owned()));
    world.cancel(resting);
    world.run(5);
    assert_eq!(world.story(resting)[2..], ["CancelSent", "CancelRefused -2015"]);
    assert_eq!(world.gates().last().map(String::as_str), Some("AccountTrouble"));
    for _ in 0..5 {
        world.cancel(resting);
        world.run(5);
    }
    assert_eq!(world.story(resting).last().unwrap(), "CancelRefused 1");
    assert_eq!(sent(&world, CANCEL, resting), 1);
}

#[test]
fn a_session_that_stops_proves_the_end_of_what_left_by_rest() {
    let (mut world, _) = dark();
    let exit = world.place_as(true);
    world.scripted.entry(ORDER).or_default().push_back(no_answer());
    world.run(2);
    world.rest_order(&exit.to_string());
    world.commands.push(Command::Stop).unwrap();
    world.run(8_000);
    assert_eq!(world.reached.last(), Some(&Milestone::Stopped));
    assert_eq!(world.orders[&exit.to_string()].status, "CANCELED");
    assert_eq!(world.story(exit), ["Sent", "Unknown", "Accepted", "Cancelled"]);
}

/// More requests than the order socket takes in a moment.
const FRAMES: u32 = 5;
