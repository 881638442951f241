//! The stage around the strategy: order of work, rings that are full, reports that come late or from nowhere, the log.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod common;

use common::SYMBOL;
use common::world::World;
use optiflow_base::clock::Nanos;
use optiflow_base::log::{LogEvent, Span};
use optiflow_base::market::{Level, MarketBody};
use optiflow_base::money::Side;
use optiflow_base::order::{GateReason, Report, Usage};
use optiflow_base::stage::{Progress, Stage};
use optiflow_engine::strategies::scalping_v1::config::ScalpingConfig;

const BUY_SIGNAL: &str = "gate:open book:10000/9/10000.1/1";

fn world() -> World {
    World::new(ScalpingConfig::default(), 64)
}

fn position(world: &World) -> String {
    let position = world.engine.position(SYMBOL).unwrap();
    format!("{} @ {}", position.qty, position.entry)
}

#[test]
fn a_full_intent_ring_leaves_no_trace_but_a_notice() {
    let mut world = World::new(ScalpingConfig::default(), 1);
    world.run(BUY_SIGNAL);
    world.run("ack:1 lost");
    assert!(world.notices().contains(&"intent ring full: not sent".to_owned()));
    assert_eq!(world.take_intents().len(), 1, "the order; its cancel found no room");
    assert_eq!(world.told("wait:600"), "cancel 1", "and is asked for again");
}

#[test]
fn an_order_that_found_no_room_never_was() {
    let mut world = World::new(ScalpingConfig::default(), 1);
    world.run(&format!("{BUY_SIGNAL} denied:1 wait:800"));
    let full = world.notices().iter().filter(|notice| *notice == "intent ring full: not sent").count();
    assert!(full > 1, "it is asked for again, so it is not believed to be pending");
}

#[test]
fn fills_are_booked_even_when_they_come_late() {
    let mut world = world();
    world.run(&format!("{BUY_SIGNAL} ack:1 lost cancelled:1 fill:1/0.004/10000"));
    assert_eq!(position(&world), "0.004 @ 10000");
    assert!(world.notices().contains(&"fill of an order that had ended".to_owned()));
}

#[test]
fn strangers_are_named_and_the_exchange_has_the_last_word() {
    let mut world = world();
    world.run("fill:77/1/10000 done:78");
    assert_eq!(position(&world), "0 @ 0", "nobody knows on which side it was");
    let notices = world.notices();
    assert!(notices.contains(&"fill of an unknown order: position waits for the exchange's word".to_owned()));
    assert!(notices.contains(&"report on an unknown order".to_owned()));
    world.run("position:-0.5/9990");
    assert_eq!(position(&world), "-0.5 @ 9990");
    assert!(world.notices().contains(&"position corrected by the exchange".to_owned()));
}

/// A thread that stood still finds more reports than one step hears; the last of them shuts the gate.
#[test]
fn nothing_is_decided_before_every_report_is_heard() {
    let mut world = world();
    world.run("book:10000/9/10000.1/1");
    let gate = |open, reason| Report::Gate { open, reason, at: Nanos(0) };
    world.from_oms.push(gate(true, GateReason::Reconciled)).unwrap();
    for _ in 0..100 {
        world.from_oms.push(Report::Usage(Usage::default())).unwrap();
    }
    world.from_oms.push(gate(false, GateReason::InDoubt)).unwrap();
    world.settle();
    assert_eq!(world.take_intents(), []);
}

#[test]
fn an_inherited_position_is_left_like_any_other() {
    let mut world = world();
    assert_eq!(world.told("position:-0.5/10000 gate:open book:10000/1/10000.1/9"), "1 buy 0.5 @ 9999.8 gtx exit");
}

#[test]
fn an_intent_leaves_before_the_next_event_is_read() {
    let mut world = world();
    world.run("gate:open");
    world.book(&["10000", "9", "10000.1", "1"]);
    world.top(&["10000", "8", "10000.1", "1"]);
    let now = world.now();
    assert_eq!(world.engine.step(now), Progress::Busy);
    assert_eq!((world.intents.len(), world.engine.book(SYMBOL).unwrap().is_overlaid()), (1, false));
    assert_eq!(world.engine.step(now), Progress::Busy);
    assert!(world.engine.book(SYMBOL).unwrap().is_overlaid());
}

#[test]
fn reports_come_before_events() {
    let mut world = world();
    world.book(&["10000", "9", "10000.1", "1"]);
    world.gate(true);
    world.gate(false);
    world.settle();
    assert!(world.take_intents().is_empty(), "the gate had closed when the book was read");
}

#[test]
fn a_step_is_bounded() {
    let mut world = world();
    for _ in 0..1_000 {
        world.top(&["10000", "1", "10000.1", "1"]);
    }
    let now = world.now();
    world.engine.step(now);
    assert_eq!(1_000 - world_waiting(&world), 64);
}

fn world_waiting(world: &World) -> usize {
    4_096 - world.market.free()
}

#[test]
fn the_log_tells_of_intents_latencies_and_sampled_signals() {
    let mut world = world();
    world.run("gate:open mark:10001");
    world.run("book:10000/9/10000.1/1 buy:2");
    for _ in 0..159 {
        world.run("top:10000/9/10000.1/1");
    }
    world.run("wait:1000 top:10000/9/10000.1/1");
    let (mut intents, mut latencies, mut samples) = (0, 0, Vec::new());
    while let Some(event) = world.log.pop() {
        match event {
            LogEvent::Intent(_) => intents += 1,
            LogEvent::Latency { span: Span::Engine, .. } => latencies += 1,
            LogEvent::Signal(sample) => samples.push(sample),
            LogEvent::Latency { .. }
            | LogEvent::Denied { .. }
            | LogEvent::Halted { .. }
            | LogEvent::Report(_)
            | LogEvent::Notice(_)
            | LogEvent::Lost { .. } => {}
        }
    }
    assert_eq!((intents, latencies), (1, 1 + 162 / 16));
    let sample = samples.last().unwrap();
    assert_eq!(samples.len(), 2, "one a second");
    assert_eq!((sample.bid.to_string().as_str(), sample.mark.to_string().as_str()), ("10000", "10001"));
    assert_eq!(
        (sample.obi_l1, sample.flow, sample.trades_per_second),
        (0.8, 1.0, 1.0),
        "the clock of signals is the exchange's: it has not told of a new second yet"
    );
    assert_eq!((samples[0].flow, samples[0].trades_per_second), (0.0, 0.0), "before the trade");
}

#[test]
fn a_depth_event_without_sense_loses_the_book_and_says_so() {
    let mut world = world();
    world.run(BUY_SIGNAL);
    let off = Level { price: "10000.05".parse().unwrap(), qty: "1".parse().unwrap() };
    world.send(MarketBody::Levels { symbol: SYMBOL, side: Side::Buy, count: 1, end: true, levels: [off; 3] });
    world.settle();
    assert!(world.notices().contains(&"book lost: a depth event made no sense".to_owned()));
    assert_eq!(world.told("sent:1"), "1 buy 0.012 @ 10000 gtx; cancel 1");
}

#[test]
fn an_event_of_an_unknown_symbol_is_named_and_ignored() {
    let mut world = world();
    let symbol = optiflow_base::ids::SymbolId(9);
    world.send(MarketBody::BookLost { symbol, reason: optiflow_base::market::BookLoss::Gap });
    world.settle();
    assert_eq!(world.notices(), ["market event of an unknown symbol"]);
}
