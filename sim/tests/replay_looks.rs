//! Whoever looks on, and whoever sleeps through what is quiet, changes nothing and misses nothing.

#![allow(clippy::unwrap_used)]

mod support;

use optiflow_base::money::Side;
use optiflow_sim::replay::feed::Feed;
use optiflow_sim::replay::local::Local;
use optiflow_sim::replay::orders::Answer;
use optiflow_sim::replay::rows::Row;
use optiflow_sim::replay::run::{Desk, Replay, Trader, run};
use optiflow_sim::replay::script::Script;
use proptest::prelude::*;

use support::made_up::{rows, rules, steps};
use support::{MILLI, outcome};

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn looks_change_nothing_and_see_what_whoever_stops_there_sees(
        rows in rows(), steps in steps(), config in rules(), step in 1i64..200
    ) {
        let plain = outcome(&config, Feed::memory(&rows), &mut Script::new(steps.clone()));
        let step_ns = step * MILLI / 7 + 1;
        let mut looking = Looking { script: Script::new(steps.clone()), step_ns, due: i64::MAX, seen: Vec::new() };
        let looked = run(&config, Feed::memory(&rows), &mut looking).unwrap();
        prop_assert_eq!(plain, looked);
        let last = rows.iter().filter(|row| row.at_local()).map(Row::local_ns).max();
        prop_assert!(looking.due >= last.unwrap(), "looks go on as long as the market");
        let mut replay = Replay::new(&config, Feed::memory(&rows)).unwrap();
        let mut script = Script::new(steps);
        let mut next = script.start(replay.first_ns().unwrap().unwrap());
        for (at, best, version) in looking.seen {
            while let Some(wake) = next.filter(|wake| *wake < at) {
                prop_assert!(replay.advance(wake, &mut script).unwrap());
                next = script.wake(&mut replay.desk());
            }
            prop_assert!(replay.advance(at, &mut script).unwrap(), "the market went on at {at}");
            prop_assert_eq!((best, version), (replay.local().book().best(Side::Buy), replay.local().version()));
        }
    }

    #[test]
    fn before_the_next_time_nothing_happens(rows in rows(), steps in steps(), config in rules()) {
        let mut replay = Replay::new(&config, Feed::memory(&rows)).unwrap();
        let mut script = Script::new(steps);
        let mut next = script.start(replay.first_ns().unwrap().unwrap());
        let mut last = i64::MIN;
        while let Some(wake) = next {
            let quiet = replay.next_ns().saturating_sub(1);
            if (last + 1..wake).contains(&quiet) {
                let before = (replay.local().version(), replay.local().book().best(Side::Buy));
                replay.advance(quiet, &mut script).unwrap();
                prop_assert_eq!(before, (replay.local().version(), replay.local().book().best(Side::Buy)));
            }
            if !replay.advance(wake, &mut script).unwrap() {
                break;
            }
            next = script.wake(&mut replay.desk());
            last = wake;
        }
    }
}

/// Looks on without waking.
struct Looking {
    script: Script,
    step_ns: i64,
    due: i64,
    seen: Vec<(i64, Option<i32>, u64)>,
}

impl Trader for Looking {
    fn start(&mut self, first_ns: i64) -> Option<i64> {
        self.due = first_ns + self.step_ns;
        self.script.start(first_ns)
    }

    fn wake(&mut self, desk: &mut Desk<'_>) -> Option<i64> {
        self.script.wake(desk)
    }

    fn answer(&mut self, answer: &Answer, local: &Local) {
        self.script.answer(answer, local);
    }

    fn look_ns(&self) -> i64 {
        self.due
    }

    fn look(&mut self, now: i64, local: &Local) {
        assert_eq!(now, self.due);
        self.seen.push((now, local.book().best(Side::Buy), local.version()));
        self.due = now + self.step_ns;
    }
}
