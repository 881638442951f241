//! Bytes that come in any pieces, or not at all: single bytes make the same events as whole messages, and a connection
//! that is cut after any byte of a message loses the book and yields nothing of the half.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::wildcard_enum_match_arm)]

mod common;

#[path = "common/world.rs"]
mod world;

use std::collections::hash_map::DefaultHasher;
use std::hash::{Hash, Hasher};
use std::io::Write;

use optiflow_wire::transport::memory::{Chop, PipeOptions};
use world::{World, depth, mark, snapshot, top, trade};

fn live(options: PipeOptions) -> World {
    let mut world = World::over(&["BTCUSDT"], options);
    world.run(400);
    world.say("public", &depth("BTCUSDT", 90, 100, 80));
    world.run(400);
    let call = world.calls.pop().unwrap();
    world.answer(&call, 200, &snapshot(95), None);
    world
}

/// Hash of every event's body, and how many.
fn told(world: &mut World) -> (u64, usize) {
    let (mut hasher, mut count) = (DefaultHasher::new(), 0);
    while let Some(event) = world.market.pop() {
        format!("{:?}", event.body).hash(&mut hasher);
        count += 1;
    }
    (hasher.finish(), count)
}

#[test]
fn single_bytes_make_the_same_events_as_whole_messages() {
    let hash = |chop_near: Option<Chop>| {
        let mut world = live(PipeOptions { chop_near, ..PipeOptions::default() });
        for id in 101..120u64 {
            // One after the other: between two connections there is no order to keep.
            for (route, text) in [
                ("public", depth("BTCUSDT", id, id, id - 1)),
                ("public", top("BTCUSDT", id)),
                ("market", trade("BTCUSDT", id)),
                ("market", mark("BTCUSDT", "12.5")),
            ] {
                world.say(route, &text);
                world.run(150);
            }
        }
        told(&mut world)
    };
    let whole = hash(None);
    assert!(whole.1 > 19 * 4, "{whole:?}");
    for (seed, len_max) in [(1, 1), (2, 1), (3, 3), (4, 17)] {
        assert_eq!(hash(Some(Chop { seed, len_max })), whole, "pieces of up to {len_max}");
    }
}

#[test]
fn a_connection_that_is_cut_after_any_byte_loses_the_book_and_yields_nothing_of_the_half() {
    let text = depth("BTCUSDT", 101, 110, 100);
    let mut frame = vec![0x81, 126];
    frame.extend_from_slice(&u16::try_from(text.len()).unwrap().to_be_bytes());
    frame.extend_from_slice(text.as_bytes());
    for len in 0..=frame.len() {
        let mut world = live(PipeOptions::default());
        assert_eq!(world.market(), "snapshot0:95 diff0:100");
        world.servers.get_mut("public").unwrap().write_all(&frame[..len]).unwrap();
        world.settle();
        world.cut("public");
        world.run(2);
        let expected = if len == frame.len() { "diff0:110 lost0:Disconnected" } else { "lost0:Disconnected" };
        assert_eq!(world.market(), expected, "after {len} of {} bytes", frame.len());
        // The new connection begins with nothing of the old one.
        world.run(600);
        world.say("public", &depth("BTCUSDT", 201, 210, 200));
        world.run(1_000);
        let call = world.calls.pop().unwrap();
        world.answer(&call, 200, &snapshot(205), None);
        assert_eq!(world.market(), "snapshot0:205 diff0:210");
    }
}
