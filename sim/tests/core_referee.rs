//! The core and the replay core are each other's referee: written apart, they fill the same orders at the same prices,
//! quantities and times. Where a rule makes them differ, the rule is named and shown.

#![allow(clippy::unwrap_used)]

mod core_support;
mod support;

#[path = "core_support/duel.rs"]
mod duel;

use std::collections::BTreeMap;

use optiflow_base::money::Side;
use optiflow_base::order::TimeInForce;
use optiflow_sim::replay::ReplayConfig;
use optiflow_sim::replay::rows::Kind;
use proptest::prelude::*;

use duel::{Difference, Duel, Event, Outcome, Told5, market};

fn rules() -> impl Strategy<Value = ReplayConfig> {
    let queue = prop::sample::select(vec!["risk-averse", "log", "log2", "power:2", "power2:1.5", "power3:3"]);
    (queue, any::<bool>()).prop_map(|(queue, partial_fills)| ReplayConfig {
        queue: queue.parse().unwrap(),
        partial_fills,
        ..support::config()
    })
}

/// A duel over all events, or until the first meant difference.
fn duel(events: &[Event], rules: &ReplayConfig) -> Outcome {
    let (ticks, rows) = market(events);
    Duel::new(ticks, &rows, rules, 0).run(events)
}

fn side(buy: bool) -> Side {
    if buy { Side::Buy } else { Side::Sell }
}

/// Requests of every kind around 1000; ids count up.
fn request(id: u64, kind: u8, buy: bool, away: i64, parts: i64) -> Event {
    let tick = if buy { 1_000 - away } else { 1_001 + away };
    let time_in_force = [TimeInForce::Gtc, TimeInForce::Gtx, TimeInForce::Ioc, TimeInForce::Fok][kind as usize % 4];
    match kind {
        0..=4 => Event::Submit { id, side: side(buy), tick: Some(tick), parts, time_in_force },
        5 => Event::Submit { id, side: side(buy), tick: None, parts, time_in_force: TimeInForce::Ioc },
        6 => Event::Cancel(id.saturating_sub(parts as u64)),
        _ => Event::Modify { id: id.saturating_sub(parts as u64), tick, parts },
    }
}

/// A book that moves as books do: levels come, change and go, trades take from the best and the level follows, bests are
/// told by the ticker, and a side that moves through the other first clears its way.
#[derive(Default)]
struct Street {
    sides: BTreeMap<Side, BTreeMap<i64, i64>>,
    told: Vec<Event>,
}

impl Street {
    fn best(&self, side: Side) -> Option<i64> {
        let levels = self.sides.get(&side)?;
        match side {
            Side::Buy => levels.last_key_value(),
            Side::Sell => levels.first_key_value(),
        }
        .map(|(tick, _)| *tick)
    }

    fn set(&mut self, kind: Kind, side: Side, tick: i64, parts: i64) {
        let levels = self.sides.entry(side).or_default();
        if kind == Kind::Top {
            levels.retain(|&other, _| match side {
                Side::Buy => other <= tick,
                Side::Sell => other >= tick,
            });
        }
        if parts == 0 {
            levels.remove(&tick)
        } else {
            levels.insert(tick, parts)
        };
        self.told.push(Event::Row { kind, side, tick, parts });
    }

    /// Clears the other side's way up to `tick`.
    fn clear_to(&mut self, side: Side, tick: i64) {
        let other = side.opposite();
        while let Some(best) = self.best(other).filter(|best| match side {
            Side::Buy => *best <= tick,
            Side::Sell => *best >= tick,
        }) {
            self.set(Kind::Depth, other, best, 0);
        }
    }

    fn step(&mut self, kind: u8, side: Side, away: i64, parts: i64) {
        let worse = if side == Side::Buy { -1 } else { 1 };
        let start = if side == Side::Buy { 1_000 } else { 1_001 };
        let best = self.best(side).unwrap_or(start);
        let tick = (best + worse * (away - 2)).clamp(900, 1_100);
        let at_best = self.sides.get(&side).and_then(|levels| levels.get(&best)).copied().unwrap_or(0);
        match kind {
            0..=3 => {
                let tick = best + worse * away.max(0);
                self.clear_to(side, tick);
                self.set(Kind::Depth, side, tick, parts);
            }
            4 => {
                self.clear_to(side, tick);
                self.set(Kind::Depth, side, tick, parts + 1);
            }
            5 | 6 if at_best > 0 => {
                let traded = 1 + parts.min(at_best - 1);
                self.told.push(Event::Row { kind: Kind::Trade, side: side.opposite(), tick: best, parts: traded });
                self.set(Kind::Depth, side, best, at_best - traded);
            }
            7 => {
                self.clear_to(side, tick);
                self.set(Kind::Top, side, tick, parts + 1);
            }
            _ => self.told.push(Event::Row { kind: Kind::Trade, side: side.opposite(), tick, parts: parts + 1 }),
        }
    }
}

fn sane() -> impl Strategy<Value = Vec<Event>> {
    let step = (0u8..12, any::<bool>(), 0i64..6, 0i64..9, 0u8..8);
    prop::collection::vec(step, 20..160).prop_map(|steps| {
        let (mut street, mut ids) = (Street::default(), 0);
        for (kind, buy, away, parts, which) in steps {
            if kind >= 9 {
                ids += 1;
                street.told.push(request(ids, which, buy, away - 1, parts + 1));
            } else {
                street.step(kind, side(buy), away, parts);
            }
        }
        street.told
    })
}

fn nonsense() -> impl Strategy<Value = Vec<Event>> {
    let step = (0u8..12, any::<bool>(), -3i64..10, 0i64..12, 0u8..8);
    prop::collection::vec(step, 5..120).prop_map(|steps| {
        let mut ids = 0;
        let events = steps.into_iter().map(|(kind, buy, away, parts, which)| {
            let tick = if buy { 1_000 - away } else { 1_001 + away };
            match kind {
                0..=4 => Event::Row { kind: Kind::Depth, side: side(buy), tick, parts },
                5 | 6 => Event::Row { kind: Kind::Trade, side: side(!buy), tick, parts: parts + 1 },
                7 => Event::Row { kind: Kind::Top, side: side(buy), tick, parts: parts + 1 },
                _ => {
                    ids += 1;
                    request(ids, which, buy, away.min(4), parts + 1)
                }
            }
        });
        events.collect()
    })
}

/// One post-only order in a market that moves as markets do, the first that is asked for.
fn lonely() -> impl Strategy<Value = Vec<Event>> {
    sane().prop_map(|events| {
        let mut has_order = false;
        let wanted = events.into_iter().filter_map(|event| match event {
            Event::Row { .. } | Event::Wait(_) => Some(event),
            Event::Submit { side, tick: Some(tick), parts, .. } if !has_order => {
                has_order = true;
                let (parts, time_in_force) = (parts * 2, TimeInForce::Gtx);
                Some(Event::Submit { id: 1, side, tick: Some(tick), parts, time_in_force })
            }
            Event::Submit { .. } | Event::Cancel(_) | Event::Modify { .. } => None,
        });
        wanted.collect()
    })
}

/// Has the one always filled at least as much as the other?
fn is_ahead(one: &[Told5], other: &[Told5]) -> bool {
    let filled = |fills: &[Told5], at: u64| fills.iter().filter(|fill| fill.0 <= at).map(|fill| fill.3).sum::<i64>();
    one.iter().chain(other).all(|fill| filled(one, fill.0) >= filled(other, fill.0))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(600))]

    #[test]
    fn both_fill_alike_in_a_market_that_moves_as_markets_do(events in sane(), rules in rules()) {
        let Outcome { core, replay, .. } = duel(&events, &rules);
        prop_assert_eq!(core, replay);
    }

    #[test]
    fn both_fill_alike_in_a_market_without_sense(events in nonsense(), rules in rules()) {
        let Outcome { core, replay, .. } = duel(&events, &rules);
        prop_assert_eq!(core, replay);
    }

    #[test]
    fn trades_that_may_come_late_only_ever_delay_a_fill(events in lonely(), rules in rules()) {
        let (ticks, rows) = market(&events);
        let Outcome { core, replay, .. } = Duel::new(ticks, &rows, &rules, 200).run(&events);
        prop_assert!(is_ahead(&replay, &core), "{:?} {:?}", core, replay);
    }
}

/// `depth buy 999 5; trade sell 999 1; top sell 1001 2; submit 1 buy 999 2 gtc; modify 1 1001 9; cancel 1; wait 250`.
fn events(text: &str) -> Vec<Event> {
    text.split(';').map(|line| event(&line.split_whitespace().collect::<Vec<_>>())).collect()
}

fn event(words: &[&str]) -> Event {
    let number = |index: usize| words[index].parse::<i64>().unwrap();
    let kind = match words[0] {
        "depth" => Kind::Depth,
        "trade" => Kind::Trade,
        "top" => Kind::Top,
        "submit" => {
            let time_in_force = match words[5] {
                "gtx" => TimeInForce::Gtx,
                "ioc" => TimeInForce::Ioc,
                _ => TimeInForce::Gtc,
            };
            let (id, side, tick, parts) = (number(1) as u64, side(words[2] == "buy"), Some(number(3)), number(4));
            return Event::Submit { id, side, tick, parts, time_in_force };
        }
        "modify" => return Event::Modify { id: number(1) as u64, tick: number(2), parts: number(3) },
        "cancel" => return Event::Cancel(number(1) as u64),
        "wait" => return Event::Wait(number(1) as u64),
        other => panic!("verb {other}"),
    };
    Event::Row { kind, side: side(words[1] == "buy"), tick: number(2), parts: number(3) }
}

/// Both ways of filling a market, in short: order, parts, tick.
fn shown(text: &str, beyond: Option<Difference>, late_ms: u64) -> [String; 2] {
    let events = events(&format!("{BOOK}; {text}"));
    let (ticks, rows) = market(&events);
    let duel = Duel::new(ticks, &rows, &support::config(), late_ms);
    let Outcome { core, replay, stopped } = match beyond {
        Some(difference) => duel.beyond(difference).run(&events),
        None => duel.run(&events),
    };
    assert_eq!(stopped, None, "{text}");
    [core, replay]
        .map(|fills| fills.iter().map(|fill| format!("{}:{}@{}", fill.1, fill.3, fill.2)).collect::<Vec<_>>().join(" "))
}

const BOOK: &str = "depth buy 999 5; depth buy 998 10; depth sell 1000 4; depth sell 1001 3; depth sell 1002 10";

#[test]
fn both_know_what_was_taken_and_what_was_passed() {
    let table = [
        ("submit 1 buy 1000 3 ioc; depth sell 1000 3; submit 2 buy 1000 2 ioc", "1:3@1000"),
        (
            "submit 1 sell 1003 5 gtc; depth sell 1000 0; depth sell 1001 0; depth sell 1002 0; depth buy 1003 2; depth buy 1003 3",
            "1:2@1003 1:1@1003",
        ),
        ("submit 1 buy 999 4 gtc; trade sell 998 1; trade sell 999 2", "1:1@999 1:2@999"),
        ("submit 1 buy 1000 4 ioc; submit 2 buy 1000 1 gtx; trade sell 1000 1", "1:4@1000 2:1@1000"),
        ("submit 1 buy 998 9 gtc; modify 1 1000 9; modify 1 998 6; trade sell 997 9", "1:4@1000 1:2@998"),
        ("submit 1 buy 999 4 gtc; modify 1 999 2; depth buy 999 5; trade sell 999 6", "1:1@999"),
    ];
    for (text, expected) in table {
        assert_eq!(shown(text, None, 0), [expected, expected], "{text}");
    }
}

#[test]
fn the_differences_are_as_they_are_named() {
    let crossed = "depth buy 1001 1; depth buy 1001 0; submit 1 sell 1000 2 gtx; trade buy 1000 3";
    assert_eq!(shown(crossed, Some(Difference::Crossed), 0), ["1:2@1000", ""], "what is crossed is gone, or hidden");
    let late = "submit 1 buy 999 2 gtc; depth buy 999 2; wait 100; trade sell 999 3";
    assert_eq!(shown(late, None, 200), ["", "1:1@999"], "the trade is what the level has shown already");
    assert_eq!(shown(late, None, 0), ["1:1@999", "1:1@999"]);
    let cancelled = "submit 1 buy 999 2 gtc; depth buy 999 2; wait 300; trade sell 999 3";
    assert_eq!(shown(cancelled, None, 200), ["1:1@999", "1:1@999"], "too long ago: that was a cancel");
}
