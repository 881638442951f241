//! The spare order socket: warm, logged on, and in use the moment the first one ends.

use super::far::accepted;
use super::world::{Manner, World, hmac_key, session_key};
use super::*;

fn spared(key: Arc<ApiKey>) -> World {
    World::guarded(key, 4096, Guards { spare: true, ..Guards::default() }).made_ready()
}

#[test]
fn the_spare_is_connected_and_logged_on_and_carries_no_orders() {
    let mut world = spared(session_key());
    assert_eq!(world.spare_requests.len(), 1);
    assert_eq!(world.spare_requests[0]["method"], "session.logon");
    let id = world.place();
    world.run(5);
    assert_eq!(world.story(id), ["Sent", "Accepted"]);
    assert_eq!((world.requests.len(), world.spare_requests.len()), (2, 1));
}

#[test]
fn when_the_first_dies_the_spare_takes_over_without_closing_the_gate() {
    for key in [hmac_key(), session_key()] {
        let mut world = spared(key);
        let resting = world.place();
        world.run(5);
        world.cut_orders();
        world.run(1);
        let next = world.place();
        world.cancel(resting);
        world.run(5);
        assert_eq!(world.story(next), ["Sent", "Accepted"]);
        assert_eq!(world.story(resting)[2..], ["CancelSent", "Cancelled"]);
        assert!(world.gates().is_empty(), "nothing was in doubt: {:?}", world.gates());
        assert!(world.notices().contains(&"spare order socket takes over"));
        // The first one comes back as the spare, and takes over in its turn.
        world.run(3_000);
        assert!(world.order_far.is_connected());
        world.spare_far.cut(optiflow_wire::transport::memory::Cut::Reset);
        world.run(1);
        let last = world.place();
        world.run(5);
        assert_eq!(world.story(last), ["Sent", "Accepted"]);
        assert_eq!(world.requests.last().unwrap()["params"]["newClientOrderId"], last.to_string());
        assert!(world.gates().is_empty());
    }
}

#[test]
fn what_was_on_its_way_on_the_dying_socket_is_asked_about_and_never_sent_again() {
    let mut world = spared(hmac_key());
    world.manner = Manner::Mute;
    let taken = world.place();
    world.run(3);
    world.manner = Manner::Lose;
    let lost = world.place();
    world.run(3);
    world.manner = Manner::Answer;
    world.cut_orders();
    world.run(3);
    assert_eq!(world.gates(), ["InDoubt"]);
    world.run(9_000);
    assert_eq!(world.story(taken), ["Sent", "Unknown", "Accepted"]);
    assert_eq!(world.story(lost), ["Sent", "Unknown", "Refused -2013"]);
    let sent = |id: &str| {
        let all = world.requests.iter().chain(&world.spare_requests);
        all.filter(|request| request["params"]["newClientOrderId"] == id).count()
    };
    assert_eq!((sent(&taken.to_string()), sent(&lost.to_string())), (1, 1));
    assert_eq!(world.gates(), ["InDoubt", "open Reconciled"]);
}

#[test]
fn when_the_first_grows_old_the_spare_takes_over_and_a_last_answer_still_counts() {
    let aged = Limits { lifetime: Duration::from_secs(100), lifetime_jitter: Duration::ZERO, ..Limits::orders() };
    let guards = Guards { spare: true, ..Guards::default() };
    let mut world = World::built(hmac_key(), 4096, guards, aged).made_ready();
    world.run_by(10, 70_000);
    assert!(world.notices().contains(&"spare order socket is down"), "it is younger and was replaced first");
    world.run_by(10, 29_870);
    assert!(world.order_far.is_connected() && world.spare_far.is_connected());
    world.manner = Manner::Keep;
    let early = world.place();
    world.run(3);
    let number = world.requests[0]["id"].clone();
    world.deaf = true;
    world.manner = Manner::Answer;
    while world.oms.order_socket.is_up() && !world.notices().contains(&"spare order socket takes over") {
        world.run(1);
    }
    let late = world.place();
    world.run(5);
    assert_eq!(world.story(late), ["Sent", "Accepted"], "on the spare, at once");
    assert_eq!(world.spare_requests.len(), 1);
    let resting = world.rest_order(&early.to_string());
    world.reply(accepted(&number, &resting));
    world.run(5);
    assert_eq!(world.story(early), ["Sent", "Accepted"]);
    assert!(world.gates().is_empty(), "{:?}", world.gates());
}

#[test]
fn a_dead_spare_is_no_reason_to_stop_and_two_dead_sockets_are() {
    let mut world = spared(hmac_key());
    world.spare_far.cut(optiflow_wire::transport::memory::Cut::Reset);
    world.run(2);
    assert!(world.gates().is_empty());
    let id = world.place();
    world.run(3);
    assert_eq!(world.story(id), ["Sent", "Accepted"]);
    world.cut_orders();
    world.run(2);
    assert_eq!(world.gates(), ["OrderSocketDown"]);
    world.run(5_000);
    assert_eq!(world.gates().last().map(String::as_str), Some("open Reconciled"));
}
