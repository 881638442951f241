//! Limits, restrictions and the kill latch: who may still pass.

use optiflow_base::order::Usage;
use serde_json::json;

use super::far::refused;
use super::seen::usage_of;
use super::world::{Manner, START_MS, World};
use super::*;

/// A world in which one order rests and the next one's answer is for the test to give.
fn keeping() -> (World, optiflow_base::ids::OrderId) {
    let mut world = World::ready();
    let resting = world.place();
    world.run(5);
    world.manner = Manner::Keep;
    world.requests.clear();
    (world, resting)
}

#[test]
fn a_limit_on_orders_lets_cancels_flow_and_one_on_weight_does_not() {
    for (status, code, cancels_flow) in
        [(429, -1015, true), (429, -1003, false), (418, -1003, false), (418, -1015, false)]
    {
        let (mut world, resting) = keeping();
        world.cancel(resting);
        world.risk.step(world.now());
        let cancel = world.approved.pop().unwrap();
        let until = world.now().millis() + 5_000;
        world.reply(
            json!({"id": 77, "status": status, "error": {"code": code, "msg": "", "data": {"retryAfter": until}}}),
        );
        world.run(5);
        let usage = *usage_of(&world.seen).last().unwrap();
        assert_eq!(usage.orders_blocked_until.is_some(), cancels_flow, "{status} {code}");
        assert_eq!(usage.blocked_until.is_some(), !cancels_flow, "{status} {code}");
        world.to_oms.push(cancel).unwrap();
        world.run(5);
        assert_eq!(world.requests.len(), usize::from(cancels_flow), "{status} {code}");
    }
}

#[test]
fn a_limit_that_is_said_to_have_ended_long_ago_lasts_as_long_as_one_without_an_end() {
    let wait = |status: u16, data: serde_json::Value| {
        let mut world = World::ready();
        world.reply(json!({"id": 77, "status": status, "error": {"code": -1003, "msg": "", "data": data}}));
        world.run(3);
        usage_of(&world.seen).last().unwrap().blocked_until.unwrap().since(world.now())
    };
    for status in [429, 418] {
        for past in [0, START_MS - 1] {
            assert_eq!(wait(status, json!({"retryAfter": past})), wait(status, json!({})), "{status} {past}");
        }
    }
    // It ended while the answer was on its way: nothing is left to wait for.
    let (mut world, _) = keeping();
    world.place();
    world.run(50);
    let (number, ended) = (world.requests[0]["id"].clone(), world.now().millis() - 20);
    world.reply(
        json!({"id": number, "status": 429, "error": {"code": -1003, "msg": "", "data": {"retryAfter": ended}}}),
    );
    world.run(3);
    let until = usage_of(&world.seen).last().unwrap().blocked_until.unwrap();
    assert!(until.since(world.now()) < 50_000_000, "{until:?}");
}

#[test]
fn during_a_ban_the_user_stream_does_not_connect_and_after_a_limit_it_does() {
    for (status, connects) in [(429, true), (418, false)] {
        let mut world = World::ready();
        let until = world.now().millis() + 30_000;
        world.reply(
            json!({"id": 77, "status": status, "error": {"code": -1003, "msg": "", "data": {"retryAfter": until}}}),
        );
        world.run(5);
        world.cut_user();
        world.run_by(10, 29_000);
        assert_eq!(world.user_far.is_connected(), connects, "{status}");
        world.run_by(10, 3_000);
        assert!(world.user_far.is_connected(), "{status}");
    }
}

#[test]
fn a_connection_that_is_replaced_because_of_its_age_waits_for_the_end_of_a_ban_too() {
    use optiflow_wire::limits::Limits;
    let aged = Limits { lifetime: Duration::from_secs(100), lifetime_jitter: Duration::ZERO, ..Limits::orders() };
    let mut world = World::built(super::world::hmac_key(), 4096, Guards::default(), aged).made_ready();
    world.run_by(10, 60_000);
    let until = world.now().millis() + 90_000;
    world.reply(json!({"id": 77, "status": 418, "error": {"code": -1003, "msg": "", "data": {"retryAfter": until}}}));
    let up = |world: &World| world.notices().iter().filter(|what| what.ends_with(" is up")).count();
    world.run_by(10, 85_000);
    assert!(world.notices().contains(&"order socket is down") && world.notices().contains(&"user stream is down"));
    assert_eq!(up(&world), 2, "of the beginning");
    world.run_by(10, 10_000);
    assert_eq!(up(&world), 4);
}

#[test]
fn while_the_exchange_wants_silence_nobody_connects_and_then_somebody_does_soon() {
    let mut world = World::ready();
    let until = world.now().millis() + 60_000;
    world.reply(json!({"id": 77, "status": 418, "error": {"code": -1003, "msg": "", "data": {"retryAfter": until}}}));
    world.run(5);
    world.cut_orders();
    world.run_by(10, 60_000);
    assert!(!world.order_far.is_connected(), "an attempt to connect is a request, too");
    world.run_by(10, 1_000);
    assert!(world.order_far.is_connected());
}

#[test]
fn silence_lasts_as_long_as_was_asked_for_however_wrong_their_clock_is_known() {
    for wrong in [-2_000_000_000, 0, 2_000_000_000] {
        let mut world = World::ready();
        let server = world.now().millis();
        world.oms.core.time.set(wrong);
        let data = json!({"serverTime": server, "retryAfter": server + 30_000});
        world.reply(json!({"id": 77, "status": 429, "error": {"code": -1003, "msg": "", "data": data}}));
        world.run(3);
        let until = usage_of(&world.seen).last().unwrap().blocked_until.unwrap().millis();
        assert!((server + 30_000..server + 30_100).contains(&until), "{wrong}: {}", until - server);
    }
}

#[test]
fn no_answer_silences_us_for_longer_than_the_longest_ban() {
    for (status, code) in [(429, -1015), (429, -1003), (418, -1003)] {
        let mut world = World::ready();
        for retry in [u64::MAX, START_MS * 2] {
            world.reply(
                json!({"id": 77, "status": status, "error": {"code": code, "msg": "", "data": {"retryAfter": retry}}}),
            );
            world.run(3);
            let usage = *usage_of(&world.seen).last().unwrap();
            let until = usage.blocked_until.or(usage.orders_blocked_until).unwrap();
            assert!(until <= world.now() + crate::binance::rest::PAUSE_MAX, "{status} {code} {retry}");
        }
    }
}

#[test]
fn a_restriction_pauses_new_risk_for_a_minute_while_exits_go_on() {
    for code in [-4400, -4401, -4106, -2027, -1122] {
        let (mut world, _) = keeping();
        let id = world.place();
        world.run(3);
        let number = world.requests[0]["id"].clone();
        world.reply(refused(&number, code, "reduce only"));
        world.run(3);
        assert_eq!(world.story(id), ["Sent".to_owned(), format!("Refused {code}")]);
        assert_eq!(world.gates(), ["RestrictedByExchange"]);
        let reason = optiflow_base::order::GateReason::RestrictedByExchange;
        assert!(reason.lets_exits_pass());
        world.run_by(50, 59_000);
        assert_eq!(world.gates(), ["RestrictedByExchange"]);
        world.run_by(50, 1_100);
        assert_eq!(world.gates(), ["RestrictedByExchange", "open Reconciled"]);
        assert!(world.reached.is_empty(), "nothing failed");
    }
}

#[test]
fn a_refusal_that_does_not_fit_what_we_hold_makes_us_compare_everything() {
    for code in [-2022, -2024, -2025] {
        let (mut world, _) = keeping();
        world.position = "0.3".to_owned();
        world.place();
        world.run(3);
        let number = world.requests[0]["id"].clone();
        world.reply(refused(&number, code, "ReduceOnly Order is rejected."));
        world.run(6_000);
        assert_eq!(world.gates(), ["InDoubt", "open Reconciled"], "{code}");
        assert_eq!(world.positions(), ["0.3"], "{code}");
    }
}

#[test]
fn after_the_kill_only_cancels_and_exits_leave() {
    let mut world = World::ready();
    let resting = world.place();
    world.run(5);
    let approve = |world: &mut World, reduce_only: bool| {
        let id = world.place_as(reduce_only);
        world.risk.step(world.now());
        (id, world.approved.pop())
    };
    // What risk had approved before it heard of the kill.
    let (entry, approved) = approve(&mut world, false);
    world.commands.push(Command::Kill).unwrap();
    world.run(2);
    world.to_oms.push(approved.unwrap()).unwrap();
    world.run(3);
    assert_eq!(world.story(entry), [format!("Refused {}", LocalCode::Killed.code())]);
    world.cancel(resting);
    world.run(5);
    assert_eq!(world.story(resting)[2..], ["CancelSent", "Cancelled"]);
    // A short position that a bid reduces.
    world.tell(&World::account_event("-0.5", "9000"));
    world.position = "-0.5".to_owned();
    world.run(4_000);
    let (exit, approved) = approve(&mut world, true);
    world.to_oms.push(approved.expect("risk lets an exit pass")).unwrap();
    world.run(3);
    assert_eq!(world.story(exit), ["Sent", "Accepted"]);
    assert!(world.gates().iter().all(|gate| gate != "Stopping"), "nothing stops by itself");
}

#[test]
fn what_another_client_of_the_address_is_told_silences_us_and_reaches_risk() {
    let peace = crate::peace::Peace::new();
    let guards = Guards { peace: peace.clone(), ..Guards::default() };
    let mut world = World::guarded(super::world::hmac_key(), 4096, guards).made_ready();
    let resting = world.place();
    world.run(5);
    peace.tell(&Usage { weight_minute: Some(1_700), ..Usage::default() });
    world.run(3);
    assert_eq!(usage_of(&world.seen).last().unwrap().weight_minute, Some(1_700));
    world.cancel(resting);
    world.risk.step(world.now());
    let cancel = world.approved.pop().unwrap();
    world.asked.clear();
    let until = world.now() + Duration::from_secs(60);
    peace.keep(crate::peace::Block { until, status: 429 });
    peace.tell(&Usage { blocked_until: Some(until), ..Usage::default() });
    world.run(3);
    world.to_oms.push(cancel).unwrap();
    world.run_by(10, 59_000);
    assert_eq!(usage_of(&world.seen).last().unwrap().blocked_until, Some(until));
    assert_eq!(world.story(resting).last().unwrap(), &format!("CancelRefused {}", LocalCode::Blocked.code()));
    assert!(world.asked.is_empty(), "{:?}", world.asked);
}

#[test]
fn a_firewall_s_refusal_of_a_call_pauses_calls_and_new_risk_while_cancels_and_exits_leave() {
    let peace = crate::peace::Peace::new();
    let guards = Guards { peace: peace.clone(), ..Guards::default() };
    let mut world = World::guarded(super::world::hmac_key(), 4096, guards).made_ready();
    world.position = "-0.5".to_owned();
    world.tell(&World::account_event("-0.5", "9000"));
    world.run(4_000);
    let resting = world.place();
    world.run(5);
    world.asked.clear();
    let until = world.now() + Duration::from_secs(120);
    peace.keep(crate::peace::Block { until, status: 403 });
    peace.tell(&Usage { blocked_until: Some(until), weight_minute: Some(7), ..Usage::default() });
    world.run(5);
    let told = *usage_of(&world.seen).last().unwrap();
    assert_eq!((told.weight_minute, told.blocked_until), (Some(7), None));
    assert_eq!(world.gates().last().map(String::as_str), Some("RestrictedByExchange"));
    let entry = world.place();
    world.cancel(resting);
    let exit = world.place_as(true);
    world.run(5);
    assert!(world.story(entry).is_empty(), "risk keeps it back: {:?}", world.story(entry));
    assert_eq!(world.story(resting)[2..], ["CancelSent", "Cancelled"]);
    assert_eq!(world.story(exit), ["Sent", "Accepted"]);
    assert!(world.asked.is_empty(), "{:?}", world.asked);
}

#[test]
fn silence_that_the_order_socket_is_asked_for_binds_the_clients_too() {
    let peace = crate::peace::Peace::new();
    let guards = Guards { peace: peace.clone(), ..Guards::default() };
    let mut world = World::guarded(super::world::hmac_key(), 4096, guards).made_ready();
    let until = world.now().millis() + 5_000;
    world.reply(json!({"id": 77, "status": 418, "error": {"code": -1003, "msg": "", "data": {"retryAfter": until}}}));
    world.run(3);
    assert_eq!(peace.block(world.now()).map(|block| block.status), Some(418));
}

#[test]
fn risk_is_told_the_exchange_s_clock() {
    let world = {
        let mut world = World::new();
        world.run(100);
        world
    };
    let offsets: Vec<i64> = usage_of(&world.seen).iter().filter_map(|usage| usage.clock_offset_ns).collect();
    assert_eq!(offsets.len(), 1, "{offsets:?}");
    assert!(offsets[0].abs() <= 500_000, "the far end's clock is ours, cut to milliseconds: {offsets:?}");
}
