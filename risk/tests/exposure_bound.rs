//! Whatever strategies ask for and whatever becomes of it: exposure never exceeds its limit.
//!
//! The test keeps its own ledger of what could still fill, from approvals and reports alone.

#![allow(clippy::unwrap_used)]

mod common;

use std::collections::BTreeMap;
use std::time::Duration;

use common::{World, config, price};
use optiflow_base::ids::OrderId;
use optiflow_base::money::{Notional, Qty, Side};
use optiflow_base::order::{Action, NewOrder, OrderChange};
use proptest::prelude::*;

#[derive(Clone, Debug)]
enum Act {
    Place { buy: bool, milli: i64, ticks: i64, reduce: bool, market: bool },
    Cancel { which: usize },
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
        2 => (0usize..8, 1i64..40).prop_map(|(which, milli)| Act::Fill { which, milli }),
        1 => (0usize..8, 0u8..3).prop_map(|(which, how)| Act::End { which, how }),
        1 => (0usize..8).prop_map(|which| Act::Doubt { which }),
        1 => Just(Act::Wait),
    ]
}

#[derive(Default)]
struct Ledger {
    position: i64,
    open: BTreeMap<OrderId, (NewOrder, i64)>,
}

impl Ledger {
    fn pick(&self, which: usize) -> Option<OrderId> {
        self.open.keys().nth(which % self.open.len().max(1)).copied()
    }

    /// The largest position that could come about, either way. The exchange never lets a reduce-only order open one.
    fn worst(&self) -> Qty {
        let side = |side: Side| -> i64 {
            self.open
                .values()
                .filter(|(order, _)| order.side == side && !order.reduce_only)
                .map(|(_, remaining)| remaining)
                .sum()
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
                ledger.open.insert(order.id, (order, order.qty.units()));
            }
        }
        Act::Cancel { which } => {
            if let Some(id) = ledger.pick(which) {
                world.cancel(id);
            }
        }
        Act::Fill { which, milli } => {
            let Some(id) = ledger.pick(which) else { return };
            let (order, remaining) = ledger.open.get_mut(&id).unwrap();
            let against = -order.side.signed(Qty::from_units(ledger.position)).units();
            let most = if order.reduce_only { (*remaining).min(against) } else { *remaining };
            let filled = (milli * 100_000).min(most);
            if filled <= 0 {
                return;
            }
            *remaining -= filled;
            let total = Qty::from_units(order.qty.units() - *remaining);
            ledger.position += order.side.signed(Qty::from_units(filled)).units();
            world.fill(id, Qty::from_units(filled), total);
            if *remaining == 0 {
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
            let entries = ledger.open.values().filter(|(order, _)| !order.reduce_only).count();
            prop_assert!(entries <= 5);
        }
    }
}
