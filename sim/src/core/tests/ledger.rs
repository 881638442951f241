//! Conservation: whatever clients do to a lively market, the ledger adds up.

use super::*;
use crate::market::synthetic::Synthetic;
use proptest::prelude::*;

/// What a client does next: how long after, and what.
#[derive(Clone, Debug)]
enum Act {
    Place { buy: bool, away: i64, steps: i64, kind: u8, reduce: bool, mode: u8 },
    Cancel { which: usize },
    Modify { which: usize, away: i64, steps: i64 },
}

fn act() -> impl Strategy<Value = (u64, Act)> {
    let place = (any::<bool>(), -3i64..4, 1i64..200, 0u8..5, any::<bool>(), 0u8..4).prop_map(
        |(buy, away, steps, kind, reduce, mode)| Act::Place {
            buy,
            away,
            steps,
            kind,
            reduce: reduce && kind < 2,
            mode,
        },
    );
    let cancel = (0usize..8).prop_map(|which| Act::Cancel { which });
    let modify = (0usize..8, -2i64..3, 1i64..200).prop_map(|(which, away, steps)| Act::Modify { which, away, steps });
    (1u64..400, prop_oneof![6 => place, 1 => cancel, 1 => modify])
}

/// The ledger kept a second time, from events alone.
#[derive(Default)]
struct Shadow {
    realized: Notional,
    fees: Notional,
    funding: Notional,
    position: Qty,
    last_trade: u64,
    fills: usize,
    filled: std::collections::BTreeMap<u64, Qty>,
}

impl Shadow {
    fn follow(&mut self, start: Notional, event: &CoreEvent) {
        match event {
            CoreEvent::Fill { order, fill, position, wallet } => {
                assert!(fill.trade_id > self.last_trade, "trade ids count up");
                self.last_trade = fill.trade_id;
                self.fills += 1;
                self.realized += fill.realized;
                self.fees += fill.fee;
                self.position += fill.side.signed(fill.qty);
                let filled = self.filled.entry(order.id).or_default();
                *filled += fill.qty;
                assert_eq!(*filled, order.filled);
                assert_eq!(position.qty, self.position);
                assert_eq!(*wallet, start + self.realized - self.fees + self.funding);
                assert!(order.filled <= order.placed.qty);
                assert_eq!(order.status == OrderStatus::Filled, order.filled == order.placed.qty);
            }
            CoreEvent::Funding { amount, .. } => self.funding += *amount,
            CoreEvent::Ended { order, .. } => assert!(!order.status.is_open()),
            CoreEvent::New(order) | CoreEvent::Amended(order) => assert!(order.status.is_open()),
            CoreEvent::Market(_) | CoreEvent::Liquidation { .. } => {}
        }
    }
}

fn perform(core: &mut Core, now: Nanos, act: Act, name: usize, out: &mut Vec<CoreEvent>) {
    let open: Vec<(u64, Side)> = core.open_orders(None).iter().map(|order| (order.id, order.placed.side)).collect();
    let Some(mid) = core.book(0).mid() else { return };
    let tick = core.listings()[0].tick_size.units();
    let price = |away: i64| Price::from_units((mid.units() / tick + away) * tick);
    let qty = |steps: i64| Qty::from_units(steps * 100_000);
    match act {
        Act::Place { buy, away, steps, kind, reduce, mode } => {
            let side = if buy { "buy" } else { "sell" };
            let kind = ["gtc", "gtx", "ioc", "fok", "market"][kind as usize];
            let mode = ["none", "taker", "maker", "both"][mode as usize];
            let reduce = if reduce { "reduce" } else { "" };
            let text = format!("c{name} {side} {}@{} {kind} {mode} {reduce}", qty(steps), price(away));
            let _refused = core.place(now, placement(&text), out);
        }
        Act::Cancel { which } => {
            if let Some(&(id, _)) = open.get(which) {
                core.cancel(now, 0, &OrderKey::Id(id), out).unwrap();
            }
        }
        Act::Modify { which, away, steps } => {
            if let Some(&(id, side)) = open.get(which) {
                let (price, qty) = (price(away), qty(steps));
                let amendment = Amendment { side, price, price_match: PriceMatch::None, qty };
                let _refused = core.modify(now, 0, &OrderKey::Id(id), amendment, out);
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]
    #[test]
    fn the_ledger_adds_up(seed in 0u64..1_000, acts in prop::collection::vec(act(), 1..150)) {
        let source = Synthetic::new(seed, vec![listings::bitcoin()]);
        let start: Notional = "10000".parse().unwrap();
        let mut desk = Desk::new("");
        // Near a funding time, so that funding takes part.
        let begin = Nanos(START.0.next_multiple_of(marks::FUNDING_EVERY) - 5_000_000_000);
        let config = CoreConfig { start: begin, wallet: start, ..desk.core.config().clone() };
        desk.core = Core::new(config, Box::new(source));
        let (mut now, mut shadow, mut events) = (begin, Shadow::default(), Vec::new());
        for (name, (pause_ms, act)) in acts.into_iter().enumerate() {
            now = Nanos(now.0 + pause_ms * 1_000_000);
            desk.core.advance(now, &mut events).unwrap();
            perform(&mut desk.core, now, act, name, &mut events);
            for event in events.drain(..) {
                shadow.follow(start, &event);
            }
            prop_assert_eq!(desk.core.wallet(), start + shadow.realized - shadow.fees + shadow.funding);
            prop_assert_eq!(desk.core.position(0).qty, shadow.position);
            prop_assert_eq!(desk.core.fills(None).len(), shadow.fills);
        }
        for order in desk.core.all_orders(0) {
            prop_assert_eq!(order.filled, shadow.filled.get(&order.id).copied().unwrap_or_default());
            prop_assert_eq!(order.status.is_open(), desk.core.queue_ahead(order).is_some(), "open means in the queue");
        }
    }
}

/// A patient client keeps one small post-only order at the best price of each side for a minute.
#[test]
fn a_post_only_order_at_the_best_price_is_filled_within_seconds() {
    for seed in 0..6 {
        let mut desk = Desk::new("");
        let source = Synthetic::new(seed, vec![listings::bitcoin()]);
        desk.core = Core::new(desk.core.config().clone(), Box::new(source));
        let mut placed = 0;
        for step in 0..300 {
            desk.until(f64::from(step) * 0.2);
            for side in [Side::Buy, Side::Sell] {
                let best = desk.core.book(0).best(side).unwrap().price;
                let resting = desk.core.open_orders(None).into_iter().find(|order| order.placed.side == side);
                let Some((id, price)) = resting.map(|order| (order.placed.client_id.clone(), order.placed.price))
                else {
                    let name = if side == Side::Buy { "buy" } else { "sell" };
                    placed += usize::from(desk.place(&format!("c{placed} {name} 0.01@{best} gtx")).is_ok());
                    continue;
                };
                if price != best {
                    desk.cancel(&id).unwrap();
                }
            }
        }
        let fills = desk.core.fills(None).len();
        eprintln!("seed {seed}: {placed} placed, {fills} filled, wallet {}", desk.core.wallet());
        assert!(fills >= 5 && placed >= 20, "{fills} fills of {placed} orders with seed {seed}");
    }
}
