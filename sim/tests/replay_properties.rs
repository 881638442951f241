//! What must hold of every replay, whatever the market and the orders: conservation, causality, determinism.

#![allow(clippy::unwrap_used)]

mod support;

use optiflow_base::money::{Notional, Side};
use optiflow_sim::replay::ReplayConfig;
use optiflow_sim::replay::feed::Feed;
use optiflow_sim::replay::local::Order;
use optiflow_sim::replay::orders::{Image, LIQUIDATION, OrderKind, Tells, TimeInForce};
use optiflow_sim::replay::rows::{Kind, Row};
use optiflow_sim::replay::run::{Replay, Trader};
use optiflow_sim::replay::script::Script;
use proptest::prelude::*;

use support::made_up::{drawn, rows, rules, steps};
use support::{Chopped, MILLI, outcome, scale};

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn the_ledger_is_the_sum_of_the_fills(rows in rows(), steps in steps(), config in rules()) {
        let mut script = Script::new(steps);
        let ledger = outcome(&config, Feed::memory(&rows), &mut script).ledger;
        let (mut position, mut cash, mut fees, mut count) = (0, Notional::ZERO, Notional::ZERO, 0);
        for answer in script.answers().iter().filter(|answer| answer.tells == Tells::Fill) {
            let image = &answer.image;
            let value = scale().notional(image.exec_tick, image.exec_qty);
            position += if image.side == Side::Buy { image.exec_qty } else { -image.exec_qty };
            cash = if image.side == Side::Buy { cash - value } else { cash + value };
            let rate = if image.maker { config.maker_fee_ppm } else { config.taker_fee_ppm };
            let extra = if image.id == LIQUIDATION { 12_500 } else { 0 };
            fees += value.share_ppm(rate + extra);
            count += 1;
        }
        prop_assert_eq!(ledger.position_parts(), position);
        prop_assert_eq!((ledger.cash(), ledger.fees(), ledger.fills()), (cash, fees, count));
    }

    #[test]
    fn nothing_fills_before_it_arrives_beyond_its_limit_or_more_than_was_ordered(
        rows in rows(), steps in steps(), config in rules()
    ) {
        let mut script = Script::new(steps);
        outcome(&config, Feed::memory(&rows), &mut script);
        let mut last = i64::MIN;
        for answer in script.answers() {
            let image = &answer.image;
            prop_assert!(answer.local_ns >= last, "answers come in order of time");
            last = answer.local_ns;
            prop_assert!((0..=image.qty).contains(&image.leaves) || answer.tells == Tells::Rejected, "{:?}", image);
            if answer.tells == Tells::Fill {
                let entry = if image.id == LIQUIDATION { 0 } else { 5 * MILLI };
                prop_assert!(image.exchange_ns >= image.requested_ns + entry, "{:?}", image);
                prop_assert!(answer.local_ns >= image.exchange_ns + 3 * MILLI);
                let limited = image.kind == OrderKind::Limit;
                let beyond = if image.side == Side::Buy { image.exec_tick > image.tick } else { image.exec_tick < image.tick };
                prop_assert!(!(limited && beyond), "{:?}", image);
            }
        }
    }

    #[test]
    fn realistic_makers_never_fill_more_than_met_them(rows in rows(), steps in steps(), config in rules()) {
        let config = ReplayConfig { compatible: false, ..config };
        let mut script = Script::new(steps);
        outcome(&config, Feed::memory(&rows), &mut script);
        let made = |side| fills(&script).filter(move |image| image.maker && image.side == side);
        for side in [Side::Buy, Side::Sell] {
            // Whoever sells to us sold in a trade or was offered: piece by piece in that instant, whole over time.
            let met = |since: i64, until: i64| -> i64 {
                exchange_rows(&rows)
                    .filter(|row| row.side() != side && matches!(row.kind(), Kind::Depth | Kind::Trade | Kind::Top))
                    .filter(|row| (since..=until).contains(&row.exchange_ns()))
                    .map(Row::parts)
                    .sum()
            };
            for at in made(side).map(|image| image.exchange_ns) {
                let since = if config.partial_fills { at } else { i64::MIN };
                let filled: i64 =
                    made(side).filter(|image| (since..=at).contains(&image.exchange_ns)).map(|image| image.exec_qty).sum();
                prop_assert!(filled <= met(since, at), "{side:?} at {at}: {filled}");
            }
        }
    }

    #[test]
    fn realistic_takers_never_take_a_level_twice(rows in rows(), steps in steps(), config in rules()) {
        let config = ReplayConfig { compatible: false, ..config };
        let mut script = Script::new(steps);
        outcome(&config, Feed::memory(&rows), &mut script);
        for taken in fills(&script).filter(|image| !image.maker) {
            let level = exchange_rows(&rows)
                .filter(|row| row.exchange_ns() <= taken.exchange_ns && row.tick() == taken.exec_tick)
                .filter(|row| row.side() != taken.side && matches!(row.kind(), Kind::Depth | Kind::Top))
                .last()
                .unwrap();
            let taken_since: i64 = fills(&script)
                .filter(|image| !image.maker && image.side == taken.side && image.exec_tick == taken.exec_tick)
                .filter(|image| (level.exchange_ns()..=taken.exchange_ns).contains(&image.exchange_ns))
                .map(|image| image.exec_qty)
                .sum();
            prop_assert!(taken_since <= level.parts(), "{taken:?}: {taken_since} of {level:?}");
        }
    }

    #[test]
    fn reduce_only_orders_bring_the_position_towards_zero_and_never_beyond(
        rows in rows(), steps in steps(), config in rules()
    ) {
        let config = ReplayConfig { compatible: false, ..config };
        let mut script = Script::new(steps);
        outcome(&config, Feed::memory(&rows), &mut script);
        let mut position = 0i64;
        for image in fills(&script) {
            let after = position + if image.side == Side::Buy { image.exec_qty } else { -image.exec_qty };
            if image.reduce_only {
                prop_assert!(after.abs() < position.abs() && after * position >= 0, "{position} then {after}: {image:?}");
            }
            position = after;
        }
    }

    #[test]
    fn both_ends_of_the_links_come_to_the_same_account(
        rows in rows(), steps in steps(), config in rules(), seed in any::<u64>(), draws in any::<bool>()
    ) {
        let config = if draws { ReplayConfig { latency: drawn(seed), ..config } } else { config };
        let mut replay = Replay::new(&config, Feed::memory(&rows)).unwrap();
        let mut script = Script::new(steps);
        let first = replay.first_ns().unwrap().unwrap();
        let mut next = script.start(first);
        while let Some(at) = next {
            if !replay.advance(at, &mut script).unwrap() {
                break;
            }
            next = script.wake(&mut replay.desk());
        }
        replay.advance(i64::MAX, &mut script).unwrap();
        prop_assert_eq!(replay.venue().account(), replay.local().ledger());
        if config.compatible {
            prop_assert!(replay.local().ledger().funding().is_zero());
        }
    }

    #[test]
    fn equal_inputs_give_equal_hashes_however_the_rows_are_delivered(
        rows in rows(), steps in steps(), config in rules(), lengths in prop::collection::vec(1usize..20, 0..40)
    ) {
        let whole = outcome(&config, Feed::memory(&rows), &mut Script::new(steps.clone()));
        let chopped = Chopped { rows: rows.clone(), at: 0, lengths };
        let streamed = outcome(&config, Feed::streamed(chopped), &mut Script::new(steps));
        prop_assert_eq!(whole, streamed);
    }

    #[test]
    fn more_steps_in_between_change_nothing(
        rows in rows(), steps in steps(), config in rules(), step in 1i64..50, seed in any::<u64>(), draws in any::<bool>()
    ) {
        let config = if draws { ReplayConfig { latency: drawn(seed), ..config } } else { config };
        let coarse = outcome(&config, Feed::memory(&rows), &mut Script::new(steps.clone()));
        let mut stepped = Stepped { script: Script::new(steps), step_ns: step * MILLI / 7 + 1, next: None };
        let fine = optiflow_sim::replay::run::run(&config, Feed::memory(&rows), &mut stepped).unwrap();
        prop_assert_eq!((fine.hash, fine.answers, fine.tally), (coarse.hash, coarse.answers, coarse.tally));
    }

    #[test]
    fn the_queue_ahead_never_grows(rows in rows(), tick in 990i32..1_000, config in rules()) {
        let mut replay = Replay::new(&config, Feed::memory(&rows)).unwrap();
        let mut nobody = Script::new(Vec::new());
        let first = replay.first_ns().unwrap().unwrap();
        let left = replay.advance(first + 20 * MILLI, &mut nobody).unwrap();
        let order = Order::limit(1, Side::Buy, TimeInForce::Gtx, tick, 1_000_000);
        if left {
            replay.desk().submit(&order).unwrap();
            let (mut now, mut ahead) = (first + 20 * MILLI, f64::INFINITY);
            while replay.advance(now, &mut nobody).unwrap() {
                let front = replay.venue().ahead(1).unwrap_or(f64::NEG_INFINITY).max(0.0);
                prop_assert!(front <= ahead, "{front} after {ahead}");
                if replay.venue().ahead(1).is_some() {
                    ahead = front;
                }
                now += MILLI / 3;
            }
        }
    }
}

fn fills(script: &Script) -> impl Iterator<Item = &Image> {
    script.answers().iter().filter(|answer| answer.tells == Tells::Fill).map(|answer| &answer.image)
}

fn exchange_rows(rows: &[Row]) -> impl Iterator<Item = &Row> {
    rows.iter().filter(|row| row.at_exchange())
}

/// Wakes more often than the script asks for.
struct Stepped {
    script: Script,
    step_ns: i64,
    next: Option<i64>,
}

impl optiflow_sim::replay::run::Trader for Stepped {
    fn start(&mut self, first_ns: i64) -> Option<i64> {
        self.next = self.script.start(first_ns);
        self.next.map(|next| next.min(first_ns + self.step_ns))
    }

    fn wake(&mut self, desk: &mut optiflow_sim::replay::run::Desk<'_>) -> Option<i64> {
        if self.next.is_some_and(|next| desk.now() >= next) {
            self.next = self.script.wake(desk);
        }
        self.next.map(|next| next.min(desk.now() + self.step_ns))
    }
}
