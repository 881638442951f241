//! Old news: a stream that is steadily behind is found out and its connection dropped; jitter and steps of a clock are
//! not mistaken for it. Over sockets in memory, and on real recordings.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::wildcard_enum_match_arm)]

mod common;

#[path = "common/world.rs"]
mod world;

use std::time::Duration;

use optiflow_base::clock::{Clock, Nanos};
use world::{PATIENT, World, depth, snapshot, top, trade};

const LAG_MAX: Duration = Duration::from_secs(2);

/// A world whose exchange's clock is so many milliseconds ahead of ours, live at update id 10.
struct Late {
    world: World,
    ahead: u64,
    id: u64,
}

impl Late {
    fn live(ahead: u64) -> Late {
        let mut world = World::with(&["BTCUSDT"], 4_096, PATIENT, LAG_MAX);
        world.run(50);
        let mut late = Late { world, ahead, id: 9 };
        late.diff(20);
        late.world.run(1);
        late.answer();
        assert_eq!(late.world.market(), "snapshot0:10 diff0:10");
        late.world.quotes();
        late.world.notices();
        late
    }

    fn event_ms(&self, late: u64) -> u64 {
        self.world.clock.now().millis() + self.ahead - late
    }

    /// The next diff comes, so many milliseconds after the exchange wrote it.
    fn diff(&mut self, late: u64) {
        let text = depth("BTCUSDT", self.id + 1, self.id + 1, self.id);
        self.id += 1;
        let text = text.replace(r#""E":2"#, &format!(r#""E":{}"#, self.event_ms(late)));
        self.world.say("public", &text);
    }

    fn answer(&mut self) {
        let call = self.world.calls.pop().unwrap();
        let body = snapshot(self.id).replace(r#""E":2"#, &format!(r#""E":{}"#, self.event_ms(5)));
        self.world.answer(&call, 200, &body, None);
    }

    fn quiet(&mut self) -> bool {
        let heard = self.world.quotes() + &format!("{:?}", self.world.notices());
        heard == "[]"
    }
}

#[test]
fn a_steady_delay_of_three_seconds_is_noticed_by_the_first_late_message_and_the_connection_is_dropped() {
    for ahead in [0, 1_500, 3_600_000] {
        let mut late = Late::live(ahead);
        for _ in 0..50 {
            late.diff(20);
            late.world.run(100);
        }
        assert!(late.quiet(), "{ahead}: on time");
        late.world.market();
        // It goes on at its usual pace, three seconds behind.
        late.diff(3_020);
        late.world.run(1);
        assert_eq!(late.world.quotes(), "silent0:Depth", "{ahead}");
        assert!(late.world.market().starts_with("silent0:Depth diff"), "{ahead}: said before it is told");
        assert_eq!(late.world.notices(), [("depth stream late", 0)]);
        for _ in 0..19 {
            late.world.run(100);
            late.diff(3_020);
        }
        assert!(late.quiet(), "{ahead}: said once");
        late.world.run(100);
        late.diff(3_020);
        late.world.run(100);
        let notices = late.world.notices();
        assert!(notices.contains(&("public streams dropped because of silence or lag", 0)), "{notices:?}");
        assert!(notices.contains(&("public streams connected", 0)), "{notices:?}");
        // The new connection begins with the present.
        late.world.quotes();
        late.diff(20);
        late.world.run(1);
        late.answer();
        late.world.run(1);
        assert_eq!(late.world.quotes(), "speaks0:Depth");
        assert!(late.world.notices().contains(&("depth stream caught up", 0)));
    }
}

#[test]
fn jitter_and_a_single_stall_below_the_bound_are_not_lag() {
    let mut late = Late::live(700);
    // Repeatable noise: a linear congruence.
    let mut noise = 5u64;
    for _ in 0..3_000 {
        noise = noise.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let (often, seldom) = (5 + (noise >> 40) % 300, (noise >> 40) % 1_900);
        late.diff(if (noise >> 33).is_multiple_of(256) { seldom } else { often });
        late.world.run(20);
        late.world.market();
        assert!(late.quiet());
    }
}

#[test]
fn a_stream_that_is_late_from_its_first_message_is_found_out_by_the_snapshots_answer() {
    let mut world = World::with(&["BTCUSDT"], 64, PATIENT, LAG_MAX);
    world.run(50);
    let mut late = Late { world, ahead: 40, id: 9 };
    late.diff(3_000);
    late.world.run(1);
    late.answer();
    late.world.quotes();
    late.diff(3_000);
    late.world.run(1);
    assert_eq!(late.world.quotes(), "silent0:Depth");
}

#[test]
fn a_step_of_the_exchanges_clock_is_over_with_the_next_snapshot() {
    let mut late = Late::live(0);
    late.ahead = 10_000;
    for _ in 0..20 {
        late.diff(20);
        late.world.run(100);
    }
    assert!(late.quiet(), "forward is never lag");
    late.ahead = 0;
    for _ in 0..25 {
        late.diff(20);
        late.world.run(100);
    }
    assert!(late.world.quotes().starts_with("silent0:Depth"), "backward looks like it");
    late.world.run(50);
    assert!(late.world.servers.contains_key("public"), "connected anew");
    late.diff(20);
    late.world.run(1);
    late.answer();
    late.diff(20);
    late.world.run(1);
    assert!(late.world.quotes().ends_with("speaks0:Depth"));
    late.world.notices();
    for _ in 0..50 {
        late.diff(20);
        late.world.run(100);
        late.world.market();
        assert!(late.quiet());
    }
}

#[test]
fn each_stream_is_judged_for_itself() {
    let mut late = Late::live(0);
    let at = |late: &Late, behind: u64| format!(r#""E":{}"#, late.event_ms(behind));
    let text = top("BTCUSDT", 7).replace(r#""E":1"#, &at(&late, 2_500));
    late.world.say("public", &text);
    let text = trade("BTCUSDT", 7).replace(r#""E":1"#, &at(&late, 2_500));
    late.world.say("market", &text);
    late.diff(20);
    late.world.run(1);
    assert_eq!(late.world.quotes(), "silent0:Top top0:7 silent0:Trade");
    assert_eq!(late.world.notices(), [("best price stream late", 0), ("trade stream late", 0)]);
}

/// A stall delivers a batch of old news; whoever is quiet says nothing else for minutes. New connections would tell no more.
#[test]
fn a_quiet_stream_that_was_late_once_is_out_until_it_speaks_and_costs_no_connection() {
    let mut late = Late::live(0);
    let trade_of = |late: &Late, id, behind| {
        trade("BTCUSDT", id).replace(r#""E":1"#, &format!(r#""E":{}"#, late.event_ms(behind)))
    };
    let text = trade_of(&late, 7, 2_500);
    late.world.say("market", &text);
    let dialled = late.world.dialer.dialled();
    for _ in 0..120 {
        late.diff(20);
        late.world.run(1_000);
        late.world.market();
    }
    assert_eq!(late.world.quotes(), "silent0:Trade");
    assert_eq!(late.world.notices(), [("trade stream late", 0)]);
    assert_eq!(late.world.dialer.dialled(), dialled);
    let text = trade_of(&late, 8, 20);
    late.world.say("market", &text);
    late.world.run(1);
    assert_eq!(late.world.quotes(), "speaks0:Trade");
}

#[test]
fn the_recorded_days_are_never_late() {
    let recordings = [
        ("data/usdm/btcusdt_20230404.dat.gz", "BTCUSDT", 1_000),
        ("data/usdm/btcusdt_20230405.dat.gz", "BTCUSDT", 1_000),
        ("data/usdm/ethusdt_20240718.gz", "ETHUSDT", 1),
        ("data/usdm/ethusdt_20240719.gz", "ETHUSDT", 1),
    ];
    for (file, symbol, nanos) in recordings {
        let Some(path) = common::shared(file) else { return };
        let mut world = World::with(&[symbol], 65_536, PATIENT, LAG_MAX);
        world.run(50);
        let begun = world.clock.now();
        let (mut first, mut said) = (None, 0u64);
        for (local, payload) in common::lines(&path) {
            let passed = Nanos(local * nanos).since(*first.get_or_insert(Nanos(local * nanos)));
            world.clock.advance_to(world.clock.now().max(begun + Duration::from_nanos(passed)));
            let text = String::from_utf8(payload).unwrap();
            if text.starts_with(r#"{"stream""#) && text.ends_with('}') {
                let is_public = text.contains("@depth") || text.contains("@bookTicker");
                world.say(if is_public { "public" } else { "market" }, &text);
                said += 1;
            }
            while world.calls.pop().is_some() {}
            world.market();
        }
        let notices = world.notices();
        assert!(said > 10_000, "{file}: {said}");
        assert!(!notices.iter().any(|(what, _)| what.ends_with("late")), "{file}: {notices:?}");
        println!("{file}: {said} messages, none late");
    }
}
