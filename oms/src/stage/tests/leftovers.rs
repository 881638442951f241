//! Orders of earlier sessions in symbols that nobody configures any more.

use super::world::{World, no_answer};
use super::*;

const EVERYTHING: &str = "GET /fapi/v1/openOrders ";

fn lists(world: &World) -> (usize, usize) {
    let all = world.asked.iter().filter(|call| *call == EVERYTHING).count();
    (all, world.asked_about(EVERYTHING) - all)
}

#[test]
fn the_first_list_is_of_all_symbols_and_later_ones_are_not() {
    let mut world = World::new();
    world.run(1_000);
    assert_eq!((lists(&world), world.reached.as_slice()), ((1, 0), &[Milestone::Ready][..]));
    world.cut_user();
    world.run(3_000);
    assert_eq!(lists(&world), (1, 1));
}

#[test]
fn orders_of_earlier_sessions_are_cancelled_in_whatever_symbol_they_are() {
    let mut world = World::new();
    world.scripted.entry("/fapi/v1/openOrders").or_default().push_back(no_answer());
    for (symbol, client) in [
        ("ETHUSDT", "of-00000001-00000007"),
        ("BTCUSDT", "of-00000001-00000008"),
        ("\u{5e01}USDT", "of-00000001-00000009"),
        ("ETHUSDT", "web_abc"),
        ("ETHUSDT", "of-mine"),
    ] {
        world.rest_order_in(symbol, client);
    }
    world.run(3_000);
    assert_eq!(world.reached, [Milestone::Ready]);
    for counter in 7..=9 {
        assert_eq!(world.orders[&format!("of-00000001-{counter:08x}")].status, "CANCELED");
    }
    assert_eq!((world.orders["web_abc"].status, world.orders["of-mine"].status), ("NEW", "NEW"));
    assert_eq!(world.asked_about("DELETE /fapi/v1/order symbol=ETHUSDT&origClientOrderId=of-00000001-00000007"), 1);
    assert_eq!(world.asked_about("DELETE /fapi/v1/order symbol=%E5%B8%81USDT&"), 1);
    assert_eq!(lists(&world), (3, 0), "one was lost, the last one proves it");
    for what in
        ["leftover orders in symbols that are not configured", "orders of somebody else are open and left alone"]
    {
        assert!(world.notices().contains(&what), "{what}");
    }
}

#[test]
fn a_leftover_that_cannot_be_cancelled_is_tried_ever_more_slowly() {
    let mut world = World::new();
    world.rest_order_in("ETHUSDT", "of-00000001-00000007");
    let refused = || super::far::error(-1013, "no");
    world.scripted.entry("/fapi/v1/order").or_default().extend((0..1_000).map(|_| refused()));
    world.run_by(10, 60_000);
    let (all, _) = lists(&world);
    assert!((7..=10).contains(&all), "{all} lists of weight 40 in a minute");
    assert!(world.reached.is_empty());
}
