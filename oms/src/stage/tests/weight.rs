//! What our requests weigh is told to those who count, and when counts were asked for.

use serde_json::json;

use super::seen::usage_of;
use super::weighing::{CANCEL_WEIGHT, HANDSHAKE_WEIGHT};
use super::world::{Manner, World};

#[test]
fn own_weight_is_counted_as_it_leaves_and_told_with_the_instant_at_which_it_was_known() {
    let mut world = World::ready();
    world.run_by(10, 200);
    let resting = world.place();
    world.run_by(10, 200);
    world.cancel(resting);
    world.run_by(10, 200);
    let usage = usage_of(&world.seen).into_iter().rfind(|usage| usage.weight_minute.is_some()).unwrap();
    assert_eq!(usage.weight_minute, Some(HANDSHAKE_WEIGHT + CANCEL_WEIGHT), "an order weighs nothing");
    assert!(usage.asked.is_some_and(|asked| asked <= world.now()), "{usage:?}");
}

#[test]
fn a_count_in_an_answer_says_when_its_question_left() {
    let mut world = World::ready();
    world.manner = Manner::Keep;
    world.requests.clear();
    let order = world.place();
    world.run(3);
    let left = world.now();
    world.run(500);
    let limits =
        json!([{"rateLimitType": "ORDERS", "interval": "MINUTE", "intervalNum": 1, "limit": 1200, "count": 44}]);
    let number = world.requests[0]["id"].clone();
    world.reply(json!({"id": number, "status": 400, "error": {"code": -2010, "msg": ""}, "rateLimits": limits}));
    world.run(3);
    assert_eq!(world.story(order).first().unwrap(), "Sent");
    let usage = *usage_of(&world.seen).iter().rfind(|usage| usage.orders_minute == Some(44)).unwrap();
    assert!(usage.asked.is_some_and(|asked| asked <= left), "{usage:?}");
}
