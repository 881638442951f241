//! A user stream whose pings are fine and whose events never come; a storage that cannot keep up.

use super::world::World;

const DEAD: &str = "user stream is up but says nothing: connecting again";

fn deaths(world: &World) -> usize {
    world.notices().iter().filter(|what| **what == DEAD).count()
}

#[test]
fn an_accepted_order_of_which_the_stream_says_nothing_means_that_the_stream_is_dead() {
    let mut world = World::ready();
    world.stream_tells = false;
    let id = world.place();
    world.run(5);
    let order = world.orders[&id.to_string()].id;
    world.trade_at_venue(11, order, "0.01");
    world.set(&id.to_string(), "FILLED", "0.01");
    world.run(2_900);
    assert_eq!((deaths(&world), world.story(id)), (0, vec!["Sent".to_owned(), "Accepted".to_owned()]));
    world.asked.clear();
    world.run(3_000);
    assert_eq!(deaths(&world), 1);
    assert_eq!(world.gates(), ["UserStreamDown", "InDoubt", "open Reconciled"]);
    assert_eq!(world.story(id)[2..], ["Filled 11 0.01/0.01 fee 10000000", "Done"], "what it hid was found");
    assert_eq!(world.asked_about("POST /fapi/v1/listenKey"), 1, "the key is confirmed again");
}

#[test]
fn a_stream_that_stays_dead_is_connected_again_ever_more_slowly_and_one_event_restores_trust() {
    let mut world = World::ready();
    world.stream_tells = false;
    for _ in 0..60 {
        world.place();
        world.run_by(10, 1_000);
    }
    let first = deaths(&world);
    assert!((3..=5).contains(&first), "{first} in a minute: 3, 6, 12, 24 s");
    world.stream_tells = true;
    world.place();
    world.run_by(10, 10_000);
    world.stream_tells = false;
    let before = deaths(&world);
    world.place();
    world.run_by(10, 7_000);
    assert_eq!(deaths(&world), before + 1, "patience is short again: what was hidden before counts as one death");
}

#[test]
fn orders_that_the_stream_tells_of_in_whatever_order_keep_it_alive() {
    let mut world = World::ready();
    for _ in 0..20 {
        let id = world.place();
        world.run(50);
        world.cancel(id);
        world.run(50);
    }
    world.run(5_000);
    assert_eq!(deaths(&world), 0);
    assert!(world.gates().is_empty());
}

#[test]
fn a_storage_that_cannot_keep_up_stops_nothing() {
    let mut world = World::ready();
    let now = world.now();
    for value in 0..70_000 {
        world.oms.core.desk.reporter.notice(now, "much to say", value);
    }
    let lost = |event: &optiflow_base::log::LogEvent| matches!(event, optiflow_base::log::LogEvent::Lost { .. });
    let asked = world.asked_about("positionRisk");
    world.run(5_000);
    let now = world.now();
    world.oms.core.desk.reporter.notice(now, "more to say", 0);
    world.run(1);
    assert!(world.logged.iter().any(lost), "events were lost, and that is said");
    assert!(world.gates().is_empty(), "{:?}", world.gates());
    assert_eq!(world.asked_about("positionRisk"), asked, "nothing was compared again");
}
