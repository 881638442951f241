//! Whatever strategies ask for and whatever becomes of it: exposure never exceeds its limit.
//!
//! The test keeps its own ledger of what could still fill, from approvals and reports alone.

#![allow(clippy::unwrap_used)]

mod common;

use std::collections::BTreeMap;
use std::time::Duration;

use common::{World, config, price};
use optiflow_base::ids::OrderId;
use optiflow_base::money::{Notional, Price, Qty, Side};
use optiflow_base::order::{Action, NewOrder, OrderChange, Terms};
use proptest::prelude::*;

#[derive(Clone, Debug)]
enum Act {
    Place { buy: bool, milli: i64, ticks: i64, reduce: bool, market: bool },
    Cancel { which: usize },
    Modify { which: usize, milli: i64, ticks: i64 },
    Answer { which: usize, how: u8 },
    Fill { which: usize, milli: i64 },
    End { which: usize, how: u8 },
    Doubt { which: usize },
    Wait,
}

fn act() -> impl Strategy<Value = Act> {
    let place = (any::<bool>(), 1i64..40, -50i64..50, prop::bool::weighted(0.2), prop::bool::weighted(0.1));
    prop_oneof![
        4 => place.prop_map(|(buy, milli, ticks, reduce, market)| Act::Place { buy, milli, ticks, reduce, market }),
        1 => (0usize..8).prop_map(|which| Act::Cancel { which }),
        2 => (0usize..8, 1i64..60, -50i64..50).prop_map(|(which, milli, ticks)| Act::Modify { which, milli, ticks }),
        1 => (0usize..8, 0u8..4).prop_map(|(which, how)| Act::Answer { which, how }),
        2 => (0usize..8, 1i64..40).prop_map(|(which, milli)| Act::Fill { which, milli }),
        1 => (0usize..8, 0u8..3).prop_map(|(which, how)| Act::End { which, how }),
        1 => (0usize..8).prop_map(|which| Act::Doubt { which }),
        1 => Just(Act::Wait),
    ]
}

#[derive(Default)]
struct Ledger {
    position: i64,
    /// With what is left of it, and what a modify without an answer asks for.
    open: BTreeMap<OrderId, (NewOrder, i64, Option<Terms>)>,
}

/// What may still fill: by the old quantity or, while that is open, by a larger new one.
fn claim((order, remaining, asked): &(NewOrder, i64, Option<Terms>)) -> i64 {
    remaining + asked.map_or(0, |terms| (terms.qty.units() - order.qty.units()).max(0))
}

impl Ledger {
    fn pick(&self, which: usize) -> Option<OrderId> {
        self.open.keys().nth(which % self.open.len().max(1)).copied()
    }

    /// The largest position that could come about, either way. The exchange never lets a reduce-only order open one.
    fn worst(&self) -> Qty {
        let side = |side: Side| -> i64 {
            self.open.values().filter(|(order, ..)| order.side == side && !order.reduce_only).map(claim).sum()
        };
        Qty::from_units((self.position + side(Side::Buy)).max(side(Side::Sell) - self.position))
    }
}

fn play(world: &mut World, ledger: &mut Ledger, act: &Act) {
    match *act {
        Act::Place { buy, milli, ticks, reduce, market } => {
            let side = if buy { "buy" } else { "sell" };
            let limit = price("30000").units() + ticks * 10_000_000;
            let limit =
                if market { "market".to_owned() } else { optiflow_base::decimal::write_trimmed(limit).to_string() };
            let reduce = if reduce { "reduce" } else { "" };
            let order = world.order(&format!("{side} {limit} 0.{milli:03} {reduce}"));
            if world.ask(Action::Place(order)) == "approved" {
                ledger.open.insert(order.id, (order, order.qty.units(), None));
            }
        }
        Act::Cancel { which } => {
            if let Some(id) = ledger.pick(which) {
                world.cancel(id);
            }
        }
        Act::Modify { which, milli, ticks } => {
            let Some(id) = ledger.pick(which) else { return };
            let (qty, price) = (Qty::from_units(milli * 100_000), price("30000").units() + ticks * 10_000_000);
            let terms = Terms { price: Price::from_units(price), qty };
            let approved = world.ask(Action::Modify { order: id, price: terms.price, qty }) == "approved";
            let (order, remaining, asked) = ledger.open.get_mut(&id).unwrap();
            if approved {
                assert!(asked.is_none(), "one request at a time");
                assert!(terms.qty.units() > order.qty.units() - *remaining, "something is left to trade");
                *asked = Some(terms);
            }
        }
        Act::Answer { which, how } => {
            let Some(id) = ledger.pick(which) else { return };
            let (order, remaining, asked) = ledger.open.get_mut(&id).unwrap();
            let filled = order.qty.units() - *remaining;
            let took = |terms: Terms, asked| OrderChange::Modified { price: terms.price, qty: terms.qty, asked };
            match (how, *asked) {
                // It was refused, unless more than the old quantity has traded: then it cannot have been.
                (0, Some(_)) if *remaining > 0 => {
                    *asked = None;
                    world.change(id, OrderChange::ModifyRefused { code: -4164 });
                }
                // Somebody else has made it smaller; our request is still on its way.
                (1, Some(_)) if filled < order.qty.units() - 100_000 => {
                    order.qty = Qty::from_units(order.qty.units() - 100_000);
                    *remaining -= 100_000;
                    world.change(id, took(Terms { price: order.price, qty: order.qty }, false));
                }
                (2 | 3, Some(terms)) if terms.qty.units() > filled => {
                    (order.price, order.qty, *asked) = (terms.price, terms.qty, None);
                    *remaining = terms.qty.units() - filled;
                    world.change(id, took(terms, true));
                }
                _ => {}
            }
        }
        Act::Fill { which, milli } => {
            let Some(id) = ledger.pick(which) else { return };
            let entry = ledger.open.get_mut(&id).unwrap();
            let claim = claim(entry);
            let (order, remaining, asked) = entry;
            let against = -order.side.signed(Qty::from_units(ledger.position)).units();
            let most = if order.reduce_only { claim.min(against) } else { claim };
            let filled = (milli * 100_000).min(most);
            if filled <= 0 {
                return;
            }
            *remaining -= filled;
            let total = Qty::from_units(order.qty.units() - *remaining);
            ledger.position += order.side.signed(Qty::from_units(filled)).units();
            world.fill(id, Qty::from_units(filled), total);
            if *remaining == 0 && asked.is_none() {
                ledger.open.remove(&id);
                world.change(id, OrderChange::Done);
            }
        }
        Act::End { which, how } => {
            let Some(id) = ledger.pick(which) else { return };
            ledger.open.remove(&id);
            let ends = [OrderChange::Cancelled, OrderChange::Expired, OrderChange::Refused { code: -2019 }];
            world.change(id, ends[usize::from(how)]);
        }
        Act::Doubt { which } => {
            if let Some(id) = ledger.pick(which) {
                world.change(id, OrderChange::Unknown);
            }
        }
        Act::Wait => world.wait(Duration::from_millis(400)),
    }
}

proptest! {
    #[test]
    fn exposure_never_exceeds_its_limit(acts in prop::collection::vec(act(), 1..120)) {
        let mut config = config();
        config.quote_age_max = Duration::from_secs(3_600);
        let limit: Notional = config.symbols[0].position_notional_max;
        let mut world = World::ready(config);
        // A mark off every grid: sums that are rounded apart must still agree.
        world.mark("30000.00000007");
        let mut ledger = Ledger::default();
        let mut most = Notional::ZERO;
        for act in &acts {
            play(&mut world, &mut ledger, act);
            world.step();
            most = most.max(price("30000").times(ledger.worst()));
            prop_assert!(most <= limit, "{most} after {act:?}");
            let entries = ledger.open.values().filter(|(order, ..)| !order.reduce_only).count();
            prop_assert!(entries <= 5);
        }
    }
}
