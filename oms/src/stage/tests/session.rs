//! Start, keys, clocks and connections.

use optiflow_base::order::GateReason;
use serde_json::json;

use super::far::error;
use super::seen::usage_of;
use super::world::{World, no_answer, session_key};
use super::*;

#[test]
fn the_start_cleans_up_after_earlier_sessions_and_leaves_strangers_alone() {
    let mut world = World::new();
    world.rest_order("of-00000001-00000007");
    world.rest_order("web_abc");
    world.position = "0.5".to_owned();
    world.run(1_000);
    assert_eq!(world.reached, [Milestone::Ready]);
    assert_eq!(world.gates(), ["Starting", "open Reconciled"]);
    assert_eq!(world.positions(), ["0.5"]);
    assert!(
        world
            .seen
            .iter()
            .any(|report| matches!(report, Report::Wallet { balance, .. } if balance.to_string() == "10000"))
    );
    assert_eq!(world.orders["of-00000001-00000007"].status, "CANCELED");
    assert_eq!(world.orders["web_abc"].status, "NEW");
    assert_eq!(world.asked_about("DELETE"), 1);
    assert_eq!(world.asked_about("openOrders"), 2, "the list is asked for again after cleaning up");
    assert_eq!(*world.user_far.path.borrow(), "/private/ws/listenKeyOne");
    assert!(world.notices().contains(&"orders of somebody else are open and left alone"));
}

#[test]
fn nothing_begins_while_answers_are_missing_and_it_recovers_when_they_come() {
    let mut world = World::new();
    world.rest_is_down = true;
    world.run(3_000);
    assert_eq!(world.gates(), ["Starting"]);
    assert!(!world.user_far.is_connected(), "there is no key to connect with");
    world.rest_is_down = false;
    for path in ["/fapi/v1/openOrders", "/fapi/v3/positionRisk", "/fapi/v3/balance"] {
        world.scripted.entry(path).or_default().extend([no_answer(), (200, "<html>".to_owned()), (503, String::new())]);
    }
    world.run(60_000);
    assert_eq!(world.reached, [Milestone::Ready]);
    assert_eq!(world.gates(), ["Starting", "open Reconciled"]);
}

#[test]
fn an_ed25519_key_logs_on_first_and_signs_nothing_afterwards() {
    let mut world = World::with(session_key(), 4096);
    world.run(100);
    assert_eq!(world.requests[0]["method"], "session.logon");
    assert_eq!(world.reached, [Milestone::Ready]);
    world.quote();
    world.run(1);
    world.place();
    world.run(5);
    assert_eq!(world.requests[1]["method"], "order.place");
    assert!(world.requests[1]["params"]["signature"].is_null());
    world.cut_orders();
    world.run(2_000);
    assert_eq!(world.requests[2]["method"], "session.logon", "a logon does not survive its socket");
}

#[test]
fn a_fault_of_tls_is_told_in_words() {
    use optiflow_wire::down::{Down, TlsFault};
    let mut world = World::ready();
    world.logged.clear();
    let now = world.now();
    world.oms.core.user_socket_down(now, Down::Tls(TlsFault::KeyUpdate));
    world.run(1);
    let told = ["user stream is down", "the peer changed its TLS keys; a new connection gets new ones"];
    assert_eq!(world.notices()[..2], told);
}

#[test]
fn a_refused_key_is_told_once_and_not_shown_again() {
    let mut world = World::with(session_key(), 4096);
    world.manner = super::world::Manner::Keep;
    world.run(50);
    world
        .reply(json!({"id": 1, "status": 401, "error": {"code": -2015, "msg": "Invalid API-key, IP, or permissions"}}));
    world.run(60_000);
    assert!(matches!(world.reached[..], [Milestone::Failed(what)] if what.contains("API key")), "{:?}", world.reached);
    assert_eq!(world.requests.len(), 1, "one logon");
    assert_eq!(world.gates().last().map(String::as_str), Some("AccountTrouble"));
}

#[test]
fn an_expired_listen_key_is_replaced_and_everything_compared_again() {
    for by_event in [true, false] {
        let mut world = World::ready();
        world.listen_key = "listenKeyTwo".to_owned();
        if by_event {
            world.tell(&json!({"e": "listenKeyExpired", "E": "1795330800000", "listenKey": "listenKeyOne"}));
            world.run(5_000);
        } else {
            let gone = error(-1125, "This listenKey does not exist.");
            world.scripted.entry("/fapi/v1/listenKey").or_default().push_back(gone);
            world.run_by(50, 26 * 60_000);
        }
        assert_eq!(*world.user_far.path.borrow(), "/private/ws/listenKeyTwo");
        assert_eq!(world.gates(), ["UserStreamDown", "InDoubt", "open Reconciled"], "by event: {by_event}");
        assert_eq!(world.reached, [Milestone::Ready]);
    }
}

#[test]
fn a_listen_key_is_kept_alive_and_the_clock_measured_again() {
    let mut world = World::ready();
    world.run_by(50, 26 * 60_000);
    assert_eq!(world.asked_about("PUT /fapi/v1/listenKey"), 1);
    assert_eq!(world.asked_about("/fapi/v1/time"), 25 * 5, "five samples, a minute apart");
    assert_eq!(world.gates(), Vec::<String>::new(), "nothing changed");
}

#[test]
fn complaints_about_time_lead_to_a_measurement_at_once() {
    let mut world = World::ready();
    world.run(1_000);
    world
        .scripted
        .entry("/fapi/v1/time")
        .or_default()
        .extend((0..5).map(|_| (200, json!({"serverTime": super::world::START_MS + 5_000_000}).to_string())));
    world.reply(json!({"id": 99, "status": 400, "error": {"code": -1021, "msg": "Timestamp"}}));
    world.run(50);
    assert_eq!(world.asked_about("/fapi/v1/time"), 5);
    assert!(world.notices().contains(&"exchange clock moved against ours, ms"));
    world.place();
    world.run(5);
    let timestamp = world.requests[0]["params"]["timestamp"].as_u64().unwrap();
    assert!(timestamp > super::world::START_MS + 4_900_000, "{timestamp}");
}

#[test]
fn limits_are_told_and_kept() {
    let mut world = World::ready();
    let resting = world.place();
    world.run(5);
    world.requests.clear();
    world.cancel(resting);
    world.risk.step(world.now());
    let cancel = world.approved.pop().unwrap();
    world.manner = super::world::Manner::Keep;
    let first = world.place();
    world.run(5);
    let until = world.now().millis() + 700;
    world.reply(
        json!({"id": world.requests[0]["id"], "status": 429, "error": {"code": -1015, "msg": "Too many new orders",
        "data": {"retryAfter": until}}}),
    );
    world.run(5);
    assert_eq!(world.story(first), ["Sent", "Refused -1015"]);
    let usage = usage_of(&world.seen);
    let usage = usage.last().unwrap();
    let over = usage.orders_blocked_until.unwrap().millis() - until;
    assert!((40..=60).contains(&over), "a little longer than told, as clocks are known to some milliseconds: {over}");
    assert_eq!(usage.blocked_until, None, "cancels go on");
    // Risk has heard of it too; what it approved before is refused here.
    let second = world.place_as(true);
    world.run(5);
    assert!(world.story(second).is_empty() || world.story(second) == ["Refused 4"], "{:?}", world.story(second));
    assert_eq!(world.requests.len(), 1);
    world.manner = super::world::Manner::Answer;
    world.to_oms.push(cancel).unwrap();
    world.run(5);
    assert_eq!(world.story(resting)[2..], ["CancelSent", "Cancelled"], "cancels still go");
    world.run(760);
    let third = world.place();
    world.run(5);
    assert_eq!(world.story(third), ["Sent", "Accepted"]);
}

#[test]
fn a_ban_silences_everything_until_it_ends() {
    let mut world = World::ready();
    let resting = world.place();
    world.run(5);
    let until = world.now().millis() + 3_000;
    world.reply(
        json!({"id": 77, "status": 418, "error": {"code": -1003, "msg": "banned", "data": {"retryAfter": until}}}),
    );
    world.run(5);
    let (sent, asked) = (world.requests.len(), world.asked.len());
    // What risk let through before it heard of the ban.
    world.risk.step(world.now());
    world.cancel(resting);
    world.run(2_900);
    assert_eq!((world.requests.len(), world.asked.len()), (sent, asked));
    world.run(200);
    world.cancel(resting);
    world.run(5);
    assert_eq!(world.orders[&resting.to_string()].status, "CANCELED");
}

#[test]
fn the_stage_and_the_client_can_move_to_their_threads() {
    fn assert_send<T: Send>() {}
    assert_send::<Oms<optiflow_wire::transport::TcpDialer, optiflow_base::clock::RealClock>>();
    assert_send::<crate::binance::rest::RestClient>();
}

#[test]
fn a_report_ring_that_is_full_closes_the_gate_until_it_is_read() {
    let mut world = World::with(super::world::hmac_key(), 4);
    world.run(200);
    world.quote();
    world.run(1);
    let mut deep = Vec::new();
    // Nobody reads: the stage is stepped without the world.
    for _ in 0..8 {
        world.reply(json!({"id": 5_000, "status": 200, "rateLimits": [
            {"rateLimitType": "REQUEST_WEIGHT", "interval": "MINUTE", "intervalNum": 1, "limit": 2400, "count": 7}]}));
    }
    for _ in 0..3 {
        world.oms.step(world.clock.now());
    }
    assert!(world.oms.core.desk.reporter.is_backlogged());
    world.seen.clear();
    world.run(20);
    deep.extend(usage_of(&world.seen));
    assert_eq!(deep.len(), 8, "nothing was lost");
    let gate = |open: bool, reason: GateReason| format!("{}{reason:?}", if open { "open " } else { "" });
    assert_eq!(world.gates(), [gate(false, GateReason::InDoubt), gate(true, GateReason::Reconciled)]);
}

#[test]
fn the_secret_is_in_nothing_that_leaves_the_stage() {
    let mut world = World::ready();
    let id = world.place();
    world.run(3);
    world.cancel(id);
    world.run(3);
    world.cut_orders();
    world.run(500);
    let shown = format!("{:?} {:?} {:?} {:?}", world.requests, world.asked, world.logged, world.seen);
    assert!(shown.contains("signature") && !shown.contains("theSecret"));
}
