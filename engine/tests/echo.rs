//! `echo` behind the engine stage: scripts of market and reports → the intents that leave.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod common;

use common::world::World;
use optiflow_engine::strategies::echo::{Echo, EchoConfig};

fn told(script: &str) -> String {
    World::with(Box::new(Echo::new(EchoConfig { away_ticks: 50 })), 64).told(script)
}

#[test]
fn every_move_of_the_best_prices_is_answered_by_one_order() {
    for (what, script, expected) in [
        ("the first sight of prices", "gate:open book:10000/9/10000.1/1", "1 buy 0.006 @ 9995 gtx"),
        (
            "a move: the new order first, then the old one goes",
            "gate:open book:10000/9/10000.1/1 ack:1 book:10000.1/9/10000.2/1",
            "1 buy 0.006 @ 9995 gtx; 2 buy 0.006 @ 9995.1 gtx; cancel 1",
        ),
        (
            "quantities alone are no move",
            "gate:open book:10000/9/10000.1/1 ack:1 book:10000/5/10000.1/3",
            "1 buy 0.006 @ 9995 gtx",
        ),
        ("nothing while the gate is closed", "book:10000/9/10000.1/1 book:10000.1/9/10000.2/1", ""),
    ] {
        assert_eq!(told(script), expected, "{what}: {script}");
    }
}
