//! What holds of the core under every rule of queueing and filling, whatever the market and the clients do: the ledger
//! adds up exactly, nothing fills before it arrived or beyond what was traded and displayed, no queue grows.

#![allow(clippy::unwrap_used)]

mod core_support;

use std::collections::BTreeMap;
use std::time::Duration;

use optiflow_base::clock::Nanos;
use optiflow_base::market::Level;
use optiflow_base::money::{Notional, Price, Qty, Side};
use optiflow_base::order::{OrderKind, TimeInForce};
use optiflow_sim::core::{Core, CoreConfig, VenueRules};
use optiflow_sim::market::synthetic::Synthetic;
use optiflow_sim::market::{Source, listings};
use optiflow_sim::matching::rules::{MatchingRules, Queueing};
use optiflow_sim::words::{
    Amendment, CoreEvent, Fill, MarketTick, Order, OrderKey, Placement, PriceMatch, SelfTrade, Tick,
};
use proptest::prelude::*;

use core_support::{START, Told, level, limit, price, qty};

/// So little that some accounts are liquidated.
const WALLET: &str = "400";

fn rules() -> impl Strategy<Value = VenueRules> {
    let queue = prop::sample::select(vec![
        "risk-averse",
        "log",
        "log2",
        "power:2",
        "power:0.5",
        "power2:2",
        "power3:3",
        "fifo",
    ]);
    (queue, any::<bool>(), any::<bool>(), any::<bool>()).prop_map(|(queue, partial_fills, late, liquidates)| {
        let late_trades = Duration::from_millis(if late { 200 } else { 0 });
        let matching = MatchingRules { queue: queue.parse().unwrap(), partial_fills, late_trades };
        let mut rules = VenueRules { matching, ..VenueRules::default() };
        rules.liquidation_fee_ppm = rules.liquidation_fee_ppm.filter(|_| liquidates);
        rules
    })
}

#[derive(Clone, Debug)]
enum Act {
    Place { buy: bool, away: i64, steps: i64, kind: u8, reduce: bool, mode: u8 },
    Cancel(usize),
    Modify { which: usize, away: i64, steps: i64 },
}

fn acts() -> impl Strategy<Value = Vec<(u64, Act)>> {
    let place = (any::<bool>(), -3i64..4, 1i64..400, 0u8..5, any::<bool>(), 0u8..4)
        .prop_map(|(buy, away, steps, kind, reduce, mode)| Act::Place { buy, away, steps, kind, reduce, mode });
    let modify = (0usize..8, -2i64..3, 1i64..300).prop_map(|(which, away, steps)| Act::Modify { which, away, steps });
    prop::collection::vec(
        (1u64..300, prop_oneof![6 => place, 1 => (0usize..8).prop_map(Act::Cancel), 1 => modify]),
        1..120,
    )
}

/// A market that follows no sense: levels, bests, trades and marks anywhere around 60 000.
fn nonsense() -> impl Strategy<Value = Vec<MarketTick>> {
    let row = (0u8..8, any::<bool>(), -6i64..7, 0i64..60, 0u64..80);
    prop::collection::vec(row, 1..250).prop_map(|rows| {
        let mut ticks = vec![MarketTick {
            at: Nanos(0),
            symbol: 0,
            what: Tick::Snapshot { id: 1, bids: vec![level(599_999, 40)], asks: vec![level(600_000, 40)] },
        }];
        let mut at = 0;
        for (id, (kind, buy, away, steps, wait)) in (2..).zip(rows) {
            at += wait * 1_000_000;
            let (side, one) = (if buy { Side::Buy } else { Side::Sell }, level(600_000 + away, steps));
            let (bids, asks) = if buy { (vec![one], vec![]) } else { (vec![], vec![one]) };
            let what = match kind {
                0..=3 => Tick::Depth { first_id: id, last_id: id, previous_id: id - 1, bids, asks },
                4 | 5 => Tick::Trade { id, price: one.price, qty: one.qty + qty(1), taker: side },
                6 => {
                    let update_id = if steps % 5 == 0 { id - 1 } else { id };
                    Tick::Top { update_id, bid: level(600_000 + away, steps), ask: level(600_001 + away, steps + 3) }
                }
                _ => {
                    let mark = price(600_000 + away * 1_000);
                    Tick::Mark {
                        mark,
                        index: mark,
                        funding_rate: away * 10_000,
                        next_funding_ms: (at / 1_000_000) + 700,
                    }
                }
            };
            ticks.push(MarketTick { at: Nanos(at), symbol: 0, what });
        }
        ticks
    })
}

/// What is known of an open order since it came or was amended.
#[derive(Clone, Copy, Default)]
struct Known {
    /// What may have met it so far.
    met: Qty,
    /// What it made.
    made: Qty,
    /// What was ahead of it last.
    ahead: Option<Qty>,
}

/// Everything that is known from events and before them.
struct Watch {
    partial: bool,
    exact: bool,
    realized: Notional,
    fees: Notional,
    funding: Notional,
    position: Qty,
    open: BTreeMap<u64, Known>,
    /// What may still be made of the tick in hand, by the side of the resting orders.
    volume: [Qty; 2],
}

impl Watch {
    fn new(rules: &VenueRules) -> Watch {
        Watch {
            partial: rules.matching.partial_fills,
            exact: rules.matching.queue == Queueing::Fifo,
            realized: Notional::ZERO,
            fees: Notional::ZERO,
            funding: Notional::ZERO,
            position: Qty::ZERO,
            open: BTreeMap::new(),
            volume: [Qty::ZERO; 2],
        }
    }

    fn wallet(&self) -> Notional {
        WALLET.parse::<Notional>().unwrap() + self.realized - self.fees + self.funding
    }

    fn events(&mut self, core: &Core, events: &[CoreEvent]) {
        for event in events {
            match event {
                CoreEvent::Market(tick) => self.market(core, tick),
                CoreEvent::New(order) => {
                    assert!(self.open.insert(order.id, Known::default()).is_none(), "an order is new once");
                }
                CoreEvent::Fill { order, fill, position, wallet } => {
                    self.fill(order, fill);
                    assert_eq!((position.qty, *wallet), (self.position, self.wallet()));
                }
                CoreEvent::Amended(order) => drop(self.open.insert(order.id, Known::default())),
                CoreEvent::Ended { order, .. } => drop(self.open.remove(&order.id)),
                CoreEvent::Liquidation { margin_balance, maintenance, .. } => assert!(margin_balance < maintenance),
                CoreEvent::Funding { amount, wallet, .. } => {
                    self.funding += *amount;
                    assert_eq!(*wallet, self.wallet());
                }
            }
        }
        self.queues(core);
        assert_eq!((core.wallet(), core.position(0).qty), (self.wallet(), self.position));
    }

    /// The volume that a tick brings to resting orders of each side.
    fn market(&mut self, core: &Core, tick: &MarketTick) {
        let all = |levels: &[Level]| levels.iter().map(|level| level.qty).sum::<Qty>();
        self.volume = match &tick.what {
            Tick::Trade { qty, taker: Side::Sell, .. } => [*qty, Qty::ZERO],
            Tick::Trade { qty, taker: Side::Buy, .. } => [Qty::ZERO, *qty],
            Tick::Snapshot { bids, asks, .. } | Tick::Depth { bids, asks, .. } => [all(asks), all(bids)],
            Tick::Top { bid, ask, .. } => [ask.qty, bid.qty],
            Tick::Mark { .. } | Tick::Single { .. } => [Qty::ZERO; 2],
        };
        for (id, known) in &mut self.open {
            if let Some(order) = core.order(0, &OrderKey::Id(*id)) {
                known.met += self.volume[order.placed.side as usize];
            }
        }
    }

    fn fill(&mut self, order: &Order, fill: &Fill) {
        assert!(fill.at >= order.created, "nothing fills before it arrived");
        assert!(self.open.contains_key(&order.id), "nothing fills that is not there");
        assert!(order.placed.kind == OrderKind::Market || order.placed.side.reaches(order.placed.price, fill.price));
        self.realized += fill.realized;
        self.fees += fill.fee;
        self.position += fill.side.signed(fill.qty);
        if fill.maker && !self.exact {
            let known = self.open.get_mut(&order.id).unwrap();
            known.made += fill.qty;
            assert!(known.made <= known.met, "{order:?} filled more than {} that met it", known.met);
            if self.partial {
                let volume = &mut self.volume[fill.side as usize];
                assert!(fill.qty <= *volume, "{fill:?} of {volume}");
                *volume -= fill.qty;
            }
        }
        if !order.status.is_open() {
            self.open.remove(&order.id);
        }
    }

    fn queues(&mut self, core: &Core) {
        for (id, known) in &mut self.open {
            let order = core.order(0, &OrderKey::Id(*id)).unwrap();
            let ahead = core.queue_ahead(order);
            assert!(ahead.is_some(), "open means in the queue");
            let last = std::mem::replace(&mut known.ahead, ahead);
            assert!(last.is_none_or(|last| ahead.unwrap() <= last), "{ahead:?} ahead, {last:?} before: {order:?}");
        }
    }
}

fn perform(core: &mut Core, now: Nanos, act: &Act, name: usize, out: &mut Vec<CoreEvent>) {
    let open: Vec<(u64, Side)> = core.open_orders(None).iter().map(|order| (order.id, order.placed.side)).collect();
    let Some(mid) = core.book(0).mid() else { return };
    let at = |away: i64| price(mid.units() / 10_000_000 + away);
    match *act {
        Act::Place { buy, away, steps, kind, reduce, mode } => {
            let side = if buy { Side::Buy } else { Side::Sell };
            let time_in_force =
                [TimeInForce::Gtc, TimeInForce::Gtx, TimeInForce::Ioc, TimeInForce::Fok][kind as usize % 4];
            let kind = if kind == 4 { OrderKind::Market } else { OrderKind::Limit };
            // Who trades with himself takes volume from no market; the watch tells makers by that.
            let self_trade = [SelfTrade::ExpireTaker, SelfTrade::ExpireMaker, SelfTrade::ExpireBoth][mode as usize % 3];
            let resting = limit(&format!("c{name}"), side, at(away), qty(steps));
            let placed = Placement { kind, time_in_force, reduce_only: reduce, self_trade, ..resting };
            let shown: BTreeMap<Price, Qty> = core.book(0).shown(side.opposite()).map(|l| (l.price, l.qty)).collect();
            let told = out.len();
            let _refused = core.place(now, placed, out);
            let taken = core_support::fills(&out[told..]).filter(|fill| !fill.maker);
            let exact = core.config().rules.matching.queue == Queueing::Fifo;
            for fill in taken.filter(|_| !exact) {
                assert!(fill.qty <= shown.get(&fill.price).copied().unwrap_or_default(), "{fill:?} was not displayed");
            }
        }
        Act::Cancel(which) => {
            if let Some(&(id, _)) = open.get(which) {
                core.cancel(now, 0, &OrderKey::Id(id), out).unwrap();
            }
        }
        Act::Modify { which, away, steps } => {
            if let Some(&(id, side)) = open.get(which) {
                let (price, price_match, qty) = (at(away), PriceMatch::None, qty(steps));
                let _refused = core.modify(now, 0, &OrderKey::Id(id), Amendment { side, price, price_match, qty }, out);
            }
        }
    }
}

fn run(rules: VenueRules, source: Box<dyn Source>, begin: Nanos, acts: &[(u64, Act)]) -> usize {
    let config = CoreConfig {
        wallet: WALLET.parse().unwrap(),
        leverage: 100,
        start: begin,
        ..core_support::config(source.listings().to_vec(), rules)
    };
    let mut core = Core::new(config, source);
    let (mut watch, mut now, mut events) = (Watch::new(&rules), begin, Vec::new());
    for (name, (pause_ms, act)) in acts.iter().enumerate() {
        let until = Nanos(now.0 + pause_ms * 1_000_000);
        // One moment after the other, so that every tick is watched with what was open at it.
        while let Some(due) = core.next_due().filter(|due| *due <= until) {
            core.advance(due, &mut events).unwrap();
            watch.events(&core, &events);
            events.clear();
        }
        now = until;
        perform(&mut core, now, act, name, &mut events);
        watch.events(&core, &events);
        events.clear();
    }
    core.fills(None).len()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(120))]

    #[test]
    fn a_made_up_market_keeps_the_laws(rules in rules(), seed in 0u64..10_000, acts in acts()) {
        // Near a funding time, so that funding takes part.
        let begin = Nanos(START.0.next_multiple_of(8 * 3_600 * 1_000_000_000) - 4_000_000_000);
        run(rules, Box::new(Synthetic::new(seed, vec![listings::bitcoin()])), begin, &acts);
    }

    #[test]
    fn a_market_without_sense_keeps_the_laws(rules in rules(), ticks in nonsense(), acts in acts()) {
        prop_assume!(rules.matching.queue != Queueing::Fifo);
        let source = Told { listings: vec![core_support::listing()], ticks: ticks.into() };
        run(rules, Box::new(source), START, &acts);
    }
}
