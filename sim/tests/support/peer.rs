//! The oracle's semantics written down a second time, as plainly as they are described: one queue of events, books that are
//! maps, every order looked at every time. Slow, and shares nothing with the replay core but its words.

mod matching;
pub mod models;

use std::collections::BTreeMap;

use optiflow_base::money::Side;
use optiflow_sim::replay::orders::{OrderKind, TimeInForce};
use optiflow_sim::replay::queue::QueueModel;
use optiflow_sim::replay::rows::{Kind, MarketRow};
use optiflow_sim::replay::script::{Action, Step};

use models::{PeerLatency, moved};

/// What a run is made of.
pub struct Peer {
    pub market: Vec<MarketRow>,
    pub queue: QueueModel,
    pub partial: bool,
    pub latency: PeerLatency,
}

/// One side's stored levels, and the best of them that shows.
#[derive(Default)]
struct Half {
    levels: BTreeMap<i64, i64>,
    best: Option<i64>,
    /// The worst price set since the side was last empty: no search goes beyond it.
    edge: Option<i64>,
}

#[derive(Clone, Debug)]
struct Order {
    id: u64,
    side: Side,
    kind: OrderKind,
    tif: TimeInForce,
    tick: i64,
    qty: i64,
    leaves: i64,
    front: f64,
    traded: f64,
    requested: i64,
    status: &'static str,
    exchange: i64,
}

#[derive(Clone, Copy, PartialEq)]
enum Ask {
    New,
    Cancel,
    Modify,
}

struct Known {
    status: &'static str,
    pending: Option<Ask>,
    requested: i64,
    order: Order,
    before: (i64, i64),
}

struct Answer {
    at: i64,
    order: Order,
    rejected: bool,
    fill: Option<(i64, i64, bool)>,
}

/// The state of a run; sides are 0 for bids, 1 for asks.
struct World<'a> {
    peer: &'a Peer,
    book: [Half; 2],
    orders: Vec<Order>,
    table: BTreeMap<u64, Known>,
    outward: Vec<(i64, Ask, Order)>,
    homeward: Vec<Answer>,
    outward_last: i64,
    homeward_last: i64,
    told: Vec<String>,
}

impl Peer {
    /// Every answer and refusal, as text, sorted.
    pub fn run(&self, steps: &[Step]) -> Vec<String> {
        let mut exchange = self.market.clone();
        exchange.sort_by_key(|row| row.exchange_ns);
        let first = self.market.iter().map(|row| row.exchange_ns.min(row.local_ns)).min();
        let last_row = self.market.iter().map(|row| row.exchange_ns.max(row.local_ns)).max();
        let (Some(first), Some(last_row)) = (first, last_row) else { return Vec::new() };
        let mut world = World {
            peer: self,
            book: [Half::default(), Half::default()],
            orders: Vec::new(),
            table: BTreeMap::new(),
            outward: Vec::new(),
            homeward: Vec::new(),
            outward_last: i64::MIN,
            homeward_last: i64::MIN,
            told: Vec::new(),
        };
        let mut rows = exchange.into_iter().peekable();
        let mut steps = steps.iter().peekable();
        loop {
            let action = steps.peek().map_or(i64::MAX, |step| step.at.max(first));
            let answer = world.homeward.first().map_or(i64::MAX, |answer| answer.at);
            let row = rows.peek().map_or(i64::MAX, |row| row.exchange_ns);
            let arrival = world.outward.first().map_or(i64::MAX, |request| request.0);
            let next = answer.min(row).min(arrival);
            if action < next {
                // A run ends with its data: after the last row of either clock and the last answer nothing is sent.
                if next == i64::MAX && action >= last_row {
                    break;
                }
                if let Some(step) = steps.next() {
                    world.act(step, action);
                }
            } else if next == i64::MAX {
                break;
            } else if answer == next {
                let answer = world.homeward.remove(0);
                world.see(answer);
            } else if row == next {
                if let Some(row) = rows.next() {
                    world.row(&row);
                }
            } else {
                let (at, ask, order) = world.outward.remove(0);
                world.arrive(at, ask, order);
            }
        }
        world.told.sort();
        world.told
    }
}

impl World<'_> {
    fn act(&mut self, step: &Step, now: i64) {
        let refused = match step.action {
            Action::Clear => {
                self.table.retain(|_, known| !["filled", "canceled", "expired"].contains(&known.status));
                None
            }
            Action::Submit(order) if self.table.contains_key(&order.id) => Some("OrderIdExist"),
            Action::Submit(new) => {
                let order = Order {
                    id: new.id,
                    side: new.side,
                    kind: new.kind,
                    tif: new.time_in_force,
                    tick: i64::from(new.tick),
                    qty: new.parts,
                    leaves: new.parts,
                    front: 0.0,
                    traded: 0.0,
                    requested: now,
                    status: "none",
                    exchange: 0,
                };
                let before = (order.tick, order.qty);
                let known =
                    Known { status: "none", pending: Some(Ask::New), requested: now, order: order.clone(), before };
                self.table.insert(new.id, known);
                self.send(now, Ask::New, order);
                None
            }
            Action::Cancel { id } => self.ask(now, id, Ask::Cancel, None),
            Action::Modify { id, tick, parts } => self.ask(now, id, Ask::Modify, Some((i64::from(tick), parts))),
        };
        if let Some(refused) = refused {
            self.told.push(format!("{now} {refused}"));
        }
    }

    fn ask(&mut self, now: i64, id: u64, ask: Ask, change: Option<(i64, i64)>) -> Option<&'static str> {
        let Some(known) = self.table.get_mut(&id) else { return Some("OrderNotFound") };
        if known.pending.is_some() {
            return Some("OrderRequestInProcess");
        }
        known.pending = Some(ask);
        known.requested = now;
        known.order.requested = now;
        known.before = (known.order.tick, known.order.qty);
        if let Some((tick, qty)) = change {
            (known.order.tick, known.order.qty) = (tick, qty);
        }
        let order = known.order.clone();
        self.send(now, ask, order);
        None
    }

    fn send(&mut self, now: i64, ask: Ask, order: Order) {
        let entry = self.peer.latency.entry(now);
        if entry < 0 {
            self.push_home(now - entry, order, true, None);
        } else {
            self.outward_last = self.outward_last.max(now + entry);
            self.outward.push((self.outward_last, ask, order));
        }
    }

    fn answer(&mut self, now: i64, order: &Order, rejected: bool, fill: Option<(i64, i64, bool)>) {
        let order = Order { exchange: now, ..order.clone() };
        self.push_home(now + self.peer.latency.response(now), order, rejected, fill);
    }

    fn push_home(&mut self, at: i64, order: Order, rejected: bool, fill: Option<(i64, i64, bool)>) {
        self.homeward_last = self.homeward_last.max(at);
        self.homeward.push(Answer { at: self.homeward_last, order, rejected, fill });
    }

    fn see(&mut self, answer: Answer) {
        let Answer { at, order, rejected, fill } = answer;
        self.told.push(match fill {
            _ if rejected => format!("{at} {} rejected", order.id),
            Some((tick, qty, maker)) => {
                format!(
                    "{at} {} {} {} {qty}@{tick} {maker} left {}",
                    order.exchange, order.id, order.status, order.leaves
                )
            }
            None => format!("{at} {} {} {} left {}", order.exchange, order.id, order.status, order.leaves),
        });
        match self.table.get_mut(&order.id) {
            Some(known) if rejected => {
                if known.requested == order.requested {
                    match known.pending.take() {
                        Some(Ask::New) => known.status = "expired",
                        Some(Ask::Modify) => (known.order.tick, known.order.qty) = known.before,
                        Some(Ask::Cancel) | None => {}
                    }
                }
            }
            Some(known) => {
                known.status = order.status;
                known.pending = None;
                let requested = known.requested;
                known.order = Order { requested, ..order };
            }
            None if rejected => {}
            None => {
                let (status, requested, before) = (order.status, order.requested, (order.tick, order.qty));
                self.table.insert(order.id, Known { status, pending: None, requested, order, before });
            }
        }
    }

    fn row(&mut self, row: &MarketRow) {
        let (side, tick, now) = (index(row.side), i64::from(row.tick), row.exchange_ns);
        match row.kind {
            Kind::Depth | Kind::Snapshot => self.depth(side, tick, row.parts, now),
            Kind::Trade => self.trade(1 - side, tick, row.parts, now),
            Kind::Clear => self.clear(side, tick),
            Kind::ClearBoth => self.book = [Half::default(), Half::default()],
            Kind::Top | Kind::Mark | Kind::Index | Kind::Funding => panic!("the peer does not read it"),
        }
    }

    fn depth(&mut self, side: usize, tick: i64, qty: i64, now: i64) {
        let best_before = self.book[side].best;
        let before = self.book[side].levels.get(&tick).copied().unwrap_or(0);
        if qty == 0 {
            self.book[side].levels.remove(&tick);
            if best_before == Some(tick) {
                self.book[side].best = self.next(side, tick);
                if self.book[side].best.is_none() {
                    self.book[side].edge = None;
                }
            }
        } else {
            let half = &mut self.book[side];
            half.levels.insert(tick, qty);
            half.edge = Some(half.edge.map_or(tick, |edge| if better(side, edge, tick) { tick } else { edge }));
            if best_before.is_none_or(|best| better(side, tick, best)) {
                half.best = Some(tick);
                let facing = self.book[1 - side].best;
                if facing.is_some_and(|facing| !better(side, facing, tick)) {
                    self.book[1 - side].best = self.next(1 - side, tick);
                }
            }
        }
        let model = self.peer.queue;
        for order in self.orders.iter_mut().filter(|order| index(order.side) == side && order.tick == tick) {
            moved(model, order, units(before), units(qty));
        }
        let best = self.book[side].best;
        if best != best_before && best.is_some_and(|best| best_before.is_none_or(|before| better(side, best, before))) {
            let best = best.unwrap();
            let met = |order: &Order| index(order.side) != side && !better(side, order.tick, best);
            self.fill_where(met, now);
        }
    }

    /// The next stored level of a side, worse than `tick`, no further than the edge.
    fn next(&self, side: usize, tick: i64) -> Option<i64> {
        let half = &self.book[side];
        let edge = half.edge?;
        let within = |other: &i64| !better(side, edge, *other);
        if side == 0 {
            half.levels.range(..tick).next_back().map(|(tick, _)| *tick).filter(within)
        } else {
            half.levels.range(tick + 1..).next().map(|(tick, _)| *tick).filter(within)
        }
    }

    fn clear(&mut self, side: usize, tick: i64) {
        if let Some(best) = self.book[side].best {
            let (low, high) = if side == 0 { (tick, best) } else { (best, tick) };
            self.book[side].levels.retain(|other, _| !(low..=high).contains(other));
        }
        // One tick too far: their off-by-one.
        self.book[side].best = self.next(side, if side == 0 { tick - 1 } else { tick + 1 });
        if self.book[side].best.is_none() {
            self.book[side].edge = None;
        }
    }

    fn trade(&mut self, side: usize, tick: i64, qty: i64, now: i64) {
        let beyond = |order: &Order| index(order.side) == side && better(side, order.tick, tick);
        self.fill_where(beyond, now);
        let partial = self.peer.partial;
        let mut at = 0;
        while at < self.orders.len() {
            let order = &mut self.orders[at];
            let mut filled = 0;
            if index(order.side) == side && order.tick == tick {
                order.front -= units(qty);
                order.traded += units(qty);
                let lots = (-order.front / units(1)).round() as i64;
                if lots > 0 {
                    order.front = 0.0;
                    filled = if partial { lots.min(order.leaves) } else { order.leaves };
                }
            }
            if filled > 0 && self.fill_resting(at, filled, now) {
                continue;
            }
            at += 1;
        }
    }

    fn fill_where(&mut self, met: impl Fn(&Order) -> bool, now: i64) {
        while let Some(at) = self.orders.iter().position(&met) {
            let leaves = self.orders[at].leaves;
            self.fill_resting(at, leaves, now);
        }
    }

    /// Is it gone?
    fn fill_resting(&mut self, at: usize, qty: i64, now: i64) -> bool {
        let order = &mut self.orders[at];
        order.leaves -= qty;
        order.status = if order.leaves == 0 { "filled" } else { "part" };
        let (order, done) = (order.clone(), order.leaves == 0);
        self.answer(now, &order, false, Some((order.tick, qty, true)));
        if done {
            self.orders.remove(at);
        }
        done
    }
}

const fn index(side: Side) -> usize {
    match side {
        Side::Buy => 0,
        Side::Sell => 1,
    }
}

/// Is `left` strictly better than `right` on the side?
const fn better(side: usize, left: i64, right: i64) -> bool {
    if side == 0 { left > right } else { left < right }
}

/// Lots of 0.001 in the base asset.
fn units(lots: i64) -> f64 {
    (lots * 100_000) as f64 / 1e8
}
