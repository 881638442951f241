//! The dead-man's switch: wound up before the first entry and while all is well, let down only after the proof.

use optiflow_base::control::Pulse;
use optiflow_base::rest::Method;
use serde_json::json;

use super::far::error;
use super::world::{World, hmac_key, no_answer};
use super::*;

const COUNTDOWN: &str = "/fapi/v1/countdownCancelAll";
const WOUND: &str = "POST /fapi/v1/countdownCancelAll symbol=BTCUSDT&countdownTime=30000";
const LET_DOWN: &str = "POST /fapi/v1/countdownCancelAll symbol=BTCUSDT&countdownTime=0";

#[test]
fn the_switch_is_wound_up_before_the_gate_opens_and_every_heartbeat_after_that() {
    let mut world = World::new();
    world.run(100);
    assert_eq!((world.asked_about(WOUND), world.countdown_ms), (1, 30_000));
    assert_eq!(world.gates(), ["Starting", "open Reconciled"]);
    world.run_by(10, 60_000);
    assert_eq!(world.asked_about(WOUND), 13, "every five seconds");
    assert_eq!(world.gates().len(), 2);
}

#[test]
fn without_a_confirmed_winding_no_entry_leaves_but_exits_do_and_it_is_told() {
    let refusals = [no_answer(), (503, "Service Unavailable.".to_owned()), error(-1000, "?"), (200, "{}".to_owned())];
    let mut world = World::new();
    // Short of ten contracts, so that a bid is an exit.
    world.position = "-0.5".to_owned();
    world.scripted.entry(COUNTDOWN).or_default().extend(refusals.iter().cycle().take(400).cloned());
    world.run(100);
    assert_eq!(world.gates(), ["Starting", "Unguarded"]);
    assert!(world.notices().contains(&"countdown was not renewed; asking again"));
    world.quote();
    world.run(1);
    let (entry, exit) = (world.place(), world.place_as(true));
    world.run(5);
    assert!(world.story(entry).is_empty(), "risk keeps it back: {:?}", world.story(entry));
    assert_eq!(world.story(exit), ["Sent", "Accepted"]);
    let asked = world.asked_about(COUNTDOWN);
    world.run_by(10, 20_000);
    assert!(world.asked_about(COUNTDOWN) - asked < 12, "asked ever more slowly, never beyond a heartbeat");
    world.scripted.clear();
    world.run_by(10, 5_000);
    assert_eq!(world.gates(), ["Starting", "Unguarded", "open Reconciled"]);
    assert_eq!(world.reached, [Milestone::Ready]);
}

#[test]
fn an_entry_that_was_approved_before_the_switch_ran_down_is_kept_back_by_the_stage_itself() {
    let mut world = World::ready();
    let id = world.place();
    world.risk.step(world.now());
    let approved = world.approved.pop().unwrap();
    world.rest_is_down = true;
    world.run_by(10, 15_100);
    assert_eq!(world.gates(), ["Unguarded"], "half a countdown without a confirmation");
    world.to_oms.push(approved).unwrap();
    world.run(3);
    assert_eq!(world.story(id), [format!("Refused {}", LocalCode::GateClosed.code())]);
    assert!(!world.notices().contains(&"countdown not renewed: the exchange cancels the symbol's orders"));
    world.run_by(10, 15_000);
    assert!(world.notices().contains(&"countdown not renewed: the exchange cancels the symbol's orders"));
    // Nobody knows what the exchange did meanwhile: everything is compared before trading goes on.
    world.rest_is_down = false;
    world.asked.clear();
    world.run_by(10, 30_000);
    assert!(world.asked_about("openOrders") > 0 && world.asked_about("positionRisk") > 0);
    assert_eq!(world.gates().last().map(String::as_str), Some("open Reconciled"));
}

#[test]
fn the_instant_the_switch_is_too_old_an_entry_is_refused_by_the_stage_before_anybody_was_told() {
    let mut world = World::ready();
    let id = world.place();
    world.risk.step(world.now());
    let approved = world.approved.pop().unwrap();
    world.rest_is_down = true;
    world.run_by(10, 14_800);
    assert!(world.gates().is_empty());
    world.clock.advance_to(world.now() + Duration::from_millis(500));
    world.to_oms.push(approved).unwrap();
    world.run(1);
    assert_eq!(world.story(id), [format!("Refused {}", LocalCode::Unguarded.code())]);
}

#[test]
fn only_a_whole_way_of_orders_and_a_whole_stream_wind_it_up() {
    for cut in [World::cut_orders as fn(&mut World), World::cut_user] {
        let mut world = World::ready();
        world.run_by(10, 4_900);
        cut(&mut world);
        world.deaf = true;
        world.run_by(10, 14_000);
        assert_eq!(world.asked_about(WOUND), 0, "no beat while a connection is missing");
        world.deaf = false;
        world.run_by(10, 40_000);
        assert!(world.asked_about(WOUND) > 0);
    }
}

#[test]
fn storage_that_shows_no_sign_of_life_or_loses_events_ends_the_beats() {
    let pulse = Pulse::new();
    let guards = Guards { storage: Some(pulse.clone()), ..Guards::default() };
    let world = World::guarded(hmac_key(), 4096, guards);
    pulse.beat(world.now());
    let mut world = world.made_ready();
    for _ in 0..100 {
        pulse.beat(world.now());
        world.run(100);
    }
    assert_eq!(world.asked_about(WOUND), 2);
    world.run_by(10, 60_000);
    assert_eq!(world.asked_about(WOUND), 2);
    assert_eq!(world.gates()[0], "Unguarded");
    assert!(world.notices().contains(&"storage is not well: the countdown is no longer renewed"));
    pulse.beat(world.now());
    world.run(1_000);
    assert_eq!(world.asked_about(WOUND), 3);
}

#[test]
fn a_stop_lets_the_switch_down_after_the_proof_and_not_before() {
    let mut world = World::ready();
    let _id = world.place();
    world.run(5);
    world.commands.push(Command::Stop).unwrap();
    world.run(4_000);
    assert_eq!(world.reached, [Milestone::Stopped]);
    let proof = world.asked.iter().rposition(|call| call.contains("openOrders")).unwrap();
    let down = world.asked.iter().position(|call| call == LET_DOWN).unwrap();
    assert!(down > proof, "{:?}", world.asked);
    assert_eq!((world.countdown_ms, world.asked_about(LET_DOWN)), (0, 1));
    world.run_by(10, 60_000);
    assert_eq!(world.asked_about(WOUND), 0, "nobody winds it up after that");
}

#[test]
fn a_stop_without_proof_leaves_the_switch_running() {
    let mut world = World::ready();
    world.manner = super::world::Manner::Mute;
    let _id = world.place();
    world.run(3);
    world.rest_is_down = true;
    world.commands.push(Command::Stop).unwrap();
    world.run(10_100);
    assert_eq!(world.reached, [Milestone::StopFailed { open_orders: 1 }]);
    assert_eq!((world.asked_about(LET_DOWN), world.countdown_ms), (0, 30_000));
}

#[test]
fn a_switch_that_cannot_be_let_down_does_not_unprove_the_stop() {
    let mut world = World::ready();
    world.scripted.entry(COUNTDOWN).or_default().extend(vec![no_answer(); 50]);
    world.commands.push(Command::Stop).unwrap();
    world.run(9_000);
    assert_eq!(world.reached, [Milestone::Stopped]);
    assert!(world.notices().contains(&"countdown could not be let down: it runs out by itself"));
    assert_eq!(world.asked_about(LET_DOWN), 4, "bounded");
}

#[test]
fn winding_is_a_signed_call_of_its_weight_and_waits_while_silence_is_asked_for() {
    let mut world = World::new();
    let until = world.now().millis() + 20_000;
    world.run(50);
    let mut calls = Vec::new();
    world.clock.advance_to(world.now() + Duration::from_secs(6));
    world.oms.step(world.now());
    while let Some(call) = world.rest.pop() {
        calls.push((call.method, call.path, call.weight));
        world.on_call(&call);
    }
    assert!(calls.contains(&(Method::Post, COUNTDOWN, 10)), "{calls:?}");
    world.run(10);
    world.asked.clear();
    world.reply(json!({"id": 77, "status": 418, "error": {"code": -1003, "msg": "", "data": {"retryAfter": until}}}));
    world.run_by(10, 13_000);
    assert_eq!(world.asked_about(COUNTDOWN), 0, "a ban silences the switch as well: it is there for that");
    world.run_by(10, 8_000);
    assert!(world.asked_about(COUNTDOWN) > 0);
}
