//! The same market and the same orders through the core and through the replay core, side by side, until a rule in which
//! the two are meant to differ decides something.

// Each referee uses its own part.
#![allow(dead_code)]

use std::collections::BTreeMap;

use optiflow_base::clock::Nanos;
use optiflow_base::money::Side;
use optiflow_base::order::{OrderKind, TimeInForce};
use optiflow_sim::core::{Core, VenueRules};
use optiflow_sim::matching::rules::{MatchingRules, Queueing};
use optiflow_sim::replay::ReplayConfig;
use optiflow_sim::replay::feed::Feed;
use optiflow_sim::replay::latency::Latency;
use optiflow_sim::replay::local::{Local, Order};
use optiflow_sim::replay::orders::{Answer, Tells};
use optiflow_sim::replay::rows::{Kind, MarketRow, Row, arrange};
use optiflow_sim::replay::run::{Desk, Replay, Trader};
use optiflow_sim::words::{Amendment, CoreEvent, MarketTick, OrderKey, Placement, PriceMatch, Tick};

use crate::core_support::{START, Told, config, fills, level, limit, listing, price, qty};

/// What happens next, a millisecond after the last.
#[derive(Clone, Debug)]
pub enum Event {
    /// A row of the market.
    Row { kind: Kind, side: Side, tick: i64, parts: i64 },
    /// A new order; a market order has no tick.
    Submit { id: u64, side: Side, tick: Option<i64>, parts: i64, time_in_force: TimeInForce },
    /// Its end.
    Cancel(u64),
    /// Another price.
    Modify { id: u64, tick: i64, parts: i64 },
    /// Time alone.
    Wait(u64),
}

/// A rule in which the two are meant to differ.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Difference {
    /// A level we took from is told again: the replay core takes it for whole, the core only for what was added.
    Retold,
    /// A trade beyond our price did not fill us: the core knows that nothing is ahead any more, the replay core waits.
    Through,
    /// A level crosses the other side: the core removes what it crosses, the replay core keeps it hidden.
    Crossed,
    /// The replay core's trader still waits for the answer to a modification that traded on arrival, and may ask nothing.
    Unanswered,
    /// A post-only order meets nothing but what we took already: the core rests it, the replay core does not.
    PostOnly,
}

/// A fill, as both tell it: ns since the start, order, tick, parts, maker.
pub type Told5 = (u64, u64, i64, i64, bool);

/// Where a duel went.
pub struct Outcome {
    pub core: Vec<Told5>,
    pub replay: Vec<Told5>,
    pub stopped: Option<Difference>,
}

/// The two, and what must be known to see a difference coming.
pub struct Duel<'a> {
    core: Core,
    replay: Replay<'a>,
    listener: Listener,
    ours: Vec<Told5>,
    now: Nanos,
    /// What we took of levels since they were told, by side and tick.
    taken: BTreeMap<(Side, i64), i64>,
    /// Differences that do not end it.
    passed: Vec<Difference>,
}

#[derive(Default)]
struct Listener(Vec<Told5>);

impl Trader for Listener {
    fn start(&mut self, _: i64) -> Option<i64> {
        None
    }
    fn wake(&mut self, _: &mut Desk<'_>) -> Option<i64> {
        None
    }
    fn answer(&mut self, answer: &Answer, _: &Local) {
        let image = &answer.image;
        if answer.tells == Tells::Fill {
            let at = image.exchange_ns as u64 - START.0;
            self.0.push((at, image.id, i64::from(image.exec_tick), image.exec_qty, image.maker));
        }
    }
}

/// Both forms of a market: ticks for the core, rows for the replay core, and one far away at the end.
pub fn market(events: &[Event]) -> (Vec<MarketTick>, Vec<Row>) {
    let (mut at, mut ticks, mut rows) = (START, Vec::new(), Vec::new());
    let last = Event::Row { kind: Kind::Depth, side: Side::Buy, tick: 1, parts: 1 };
    for event in events.iter().chain([&Event::Wait(60_000), &last]) {
        at = Nanos(at.0 + step_ms(event) * 1_000_000);
        let &Event::Row { kind, side, tick, parts } = event else { continue };
        let id = ticks.len() as u64 + 1;
        let one = level(tick, parts);
        let (bids, asks) = if side == Side::Buy { (vec![one], vec![]) } else { (vec![], vec![one]) };
        let what = if kind == Kind::Trade {
            Tick::Trade { id, price: one.price, qty: one.qty, taker: side }
        } else if kind == Kind::Top {
            let told = |levels: Vec<_>| levels.into_iter().next().unwrap_or_default();
            Tick::Top { update_id: id, bid: told(bids), ask: told(asks) }
        } else {
            Tick::Depth { first_id: id, last_id: id, previous_id: id - 1, bids, asks }
        };
        ticks.push(MarketTick { at, symbol: 0, what });
        let (exchange_ns, tick) = (at.0 as i64, tick as i32);
        rows.push(MarketRow { kind, side, exchange_ns, local_ns: exchange_ns, tick, parts });
    }
    (ticks, arrange(&rows).unwrap())
}

fn step_ms(event: &Event) -> u64 {
    match event {
        Event::Wait(ms) => *ms,
        Event::Row { .. } | Event::Submit { .. } | Event::Cancel(_) | Event::Modify { .. } => 1,
    }
}

impl<'a> Duel<'a> {
    /// Both before the first event; `replay` says queue model and partial fills for both.
    pub fn new(ticks: Vec<MarketTick>, rows: &'a [Row], replay: &ReplayConfig, late_ms: u64) -> Duel<'a> {
        let matching = MatchingRules {
            queue: Queueing::Model(replay.queue),
            partial_fills: replay.partial_fills,
            late_trades: std::time::Duration::from_millis(late_ms),
        };
        let rules = VenueRules { matching, liquidation_fee_ppm: None };
        let first = ticks.first().map_or(START, |tick| tick.at);
        let core = Core::new(
            optiflow_sim::core::CoreConfig { start: first, ..config(vec![listing()], rules) },
            Box::new(Told { listings: vec![listing()], ticks: ticks.into() }),
        );
        let latency = Latency::Constant { entry_ns: 0, response_ns: 0 };
        let replay = Replay::new(&ReplayConfig { latency, ..replay.clone() }, Feed::memory(rows)).unwrap();
        let (listener, ours, taken) = (Listener::default(), Vec::new(), BTreeMap::new());
        Duel { core, replay, listener, ours, now: START, taken, passed: Vec::new() }
    }

    /// Goes on where a rule makes the two differ.
    pub fn beyond(self, difference: Difference) -> Duel<'a> {
        Duel { passed: vec![difference], ..self }
    }

    pub fn run(mut self, events: &[Event]) -> Outcome {
        let mut stopped = None;
        for event in events {
            self.now = Nanos(self.now.0 + step_ms(event) * 1_000_000);
            stopped = self.before(event).filter(|difference| !self.passed.contains(difference));
            if stopped.is_some() {
                break;
            }
            stopped = self.both(event).filter(|difference| !self.passed.contains(difference));
            if stopped.is_some() {
                break;
            }
        }
        Outcome { core: self.ours, replay: self.listener.0, stopped }
    }

    fn both(&mut self, event: &Event) -> Option<Difference> {
        let (exposed, crosses, reached) = (self.exposed(event), self.crosses(event), self.reached(event));
        let mut out = Vec::new();
        self.core.advance(self.now, &mut out).unwrap();
        self.replay.advance(self.now.0 as i64, &mut self.listener).unwrap();
        self.note(&out, event);
        if let Some(level) = reached {
            *self.taken.entry(level).or_default() += 1;
        }
        match event {
            Event::Row { .. } | Event::Wait(_) => {}
            Event::Submit { .. } | Event::Cancel(_) | Event::Modify { .. } => self.act(event),
        }
        let is_open = |id: &u64| self.core.order(0, &OrderKey::Id(*id)).is_some_and(|order| order.status.is_open());
        let through = exposed.iter().any(is_open).then_some(Difference::Through);
        through.or(crosses.then_some(Difference::Crossed))
    }

    /// A difference that the event itself would make.
    fn before(&mut self, event: &Event) -> Option<Difference> {
        if let Event::Cancel(id) | Event::Modify { id, .. } = *event
            && self.replay.desk().order(id).is_some_and(|order| order.pending.is_some())
        {
            return Some(Difference::Unanswered);
        }
        match *event {
            Event::Row { kind: Kind::Depth | Kind::Top, side, tick, parts } => {
                let retold = parts > 0 && self.taken.get(&(side, tick)).is_some_and(|taken| *taken > 0);
                retold.then_some(Difference::Retold)
            }
            Event::Submit { side, tick: Some(tick), time_in_force: TimeInForce::Gtx, .. } => self.post_only(side, tick),
            Event::Modify { id, tick, .. } => {
                let order = self.core.order(0, &OrderKey::Client(id.to_string()))?;
                let is_gtx = order.placed.time_in_force == TimeInForce::Gtx;
                self.post_only(order.placed.side, tick).filter(|_| is_gtx)
            }
            Event::Row { .. } | Event::Submit { .. } | Event::Cancel(_) | Event::Wait(_) => None,
        }
    }

    fn post_only(&self, side: Side, tick: i64) -> Option<Difference> {
        let best = self.core.book(0).best(side.opposite())?;
        let taken = self.taken.get(&(side.opposite(), best.price.units() / 10_000_000));
        let meets = side.reaches(price(tick), best.price) && taken.is_some_and(|taken| *taken > 0);
        meets.then_some(Difference::PostOnly)
    }

    /// Our orders that a trade passes, with something ahead of them: by the core's number.
    fn exposed(&self, event: &Event) -> Vec<u64> {
        let &Event::Row { kind: Kind::Trade, side: taker, tick, .. } = event else { return Vec::new() };
        let (side, at) = (taker.opposite(), price(tick));
        let open = self.core.open_orders(None).into_iter().filter(|order| order.placed.side == side);
        let passed = open.filter(|order| side.reaches(order.placed.price, at) && order.placed.price != at);
        passed
            .filter(|order| self.core.queue_ahead(order).is_some_and(|ahead| !ahead.is_zero()))
            .map(|o| o.id)
            .collect()
    }

    fn crosses(&self, event: &Event) -> bool {
        let &Event::Row { kind: Kind::Depth | Kind::Top, side, tick, parts } = event else { return false };
        let other = self.core.book(0).best(side.opposite());
        parts > 0 && other.is_some_and(|best| side.reaches(price(tick), best.price))
    }

    /// The level that an event tells, when orders of ours are within it.
    fn reached(&self, event: &Event) -> Option<(Side, i64)> {
        let &Event::Row { kind: Kind::Depth | Kind::Top, side, tick, parts } = event else { return None };
        let open = self.core.open_orders(None);
        let mut others = open.iter().filter(|order| order.placed.side != side);
        let is_reached = parts > 0 && others.any(|order| side.reaches(price(tick), order.placed.price));
        is_reached.then_some((side, tick))
    }

    fn act(&mut self, event: &Event) {
        if self.meets_own(event) {
            return;
        }
        let mut out = Vec::new();
        match *event {
            Event::Submit { id, side, tick, parts, time_in_force } => {
                let kind = if tick.is_some() { OrderKind::Limit } else { OrderKind::Market };
                let resting = limit(&id.to_string(), side, price(tick.unwrap_or(0)), qty(parts));
                let placed = Placement { kind, time_in_force, ..resting };
                let _refused = self.core.place(self.now, placed, &mut out);
                let tick = tick.unwrap_or(0) as i32;
                let order = Order { id, side, kind, time_in_force, tick, parts, reduce_only: false, self_trade: None };
                self.replay.desk().submit(&order).unwrap();
            }
            Event::Cancel(id) => {
                let key = OrderKey::Client(id.to_string());
                let cancelled = self.core.cancel(self.now, 0, &key, &mut out).is_ok();
                assert!(!cancelled || self.replay.desk().cancel(id).is_ok(), "{id} is open in one alone");
            }
            Event::Modify { id, tick, parts } => {
                let key = OrderKey::Client(id.to_string());
                let open = self.core.order(0, &key).filter(|order| order.status.is_open());
                let Some(side) = open.map(|order| order.placed.side) else { return };
                let amendment = Amendment { side, price: price(tick), price_match: PriceMatch::None, qty: qty(parts) };
                if self.core.modify(self.now, 0, &key, amendment, &mut out).is_ok() {
                    self.replay.desk().modify(id, tick as i32, parts).unwrap();
                }
            }
            Event::Row { .. } | Event::Wait(_) => unreachable!("no request"),
        }
        self.replay.advance(self.now.0 as i64, &mut self.listener).unwrap();
        self.note(&out, event);
    }

    /// Would the request meet another order of ours? The two treat that by settings of their own.
    fn meets_own(&self, event: &Event) -> bool {
        let (side, tick) = match *event {
            Event::Submit { side, tick, .. } => (side, tick),
            Event::Modify { id, tick, .. } => match self.core.order(0, &OrderKey::Client(id.to_string())) {
                Some(order) => (order.placed.side, Some(tick)),
                None => return false,
            },
            Event::Row { .. } | Event::Cancel(_) | Event::Wait(_) => return false,
        };
        let reaches = |other| tick.is_none_or(|tick| side.reaches(price(tick), other));
        let open = self.core.open_orders(None);
        open.iter().any(|order| order.placed.side != side && reaches(order.placed.price))
    }

    /// Keeps the core's fills, and what was taken of which level.
    fn note(&mut self, out: &[CoreEvent], event: &Event) {
        if let &Event::Row { kind: Kind::Depth | Kind::Top, side, tick, parts } = event {
            let is_gone = |of: Side, at: i64| {
                let better = of == side && at != tick && side.reaches(price(at), price(tick));
                (of, at) == (side, tick) || (better && matches!(event, Event::Row { kind: Kind::Top, .. }))
            };
            assert!(parts >= 0, "quantities are not negative");
            self.taken.retain(|(of, at), _| !is_gone(*of, *at));
        }
        for fill in fills(out) {
            let (tick, parts) = (fill.price.units() / 10_000_000, fill.qty.units() / 100_000);
            let at = fill.at.0 - START.0;
            self.ours.push((at, fill.client_id.parse().unwrap(), tick, parts, fill.maker));
            if !fill.maker {
                *self.taken.entry((fill.side.opposite(), tick)).or_default() += parts;
            }
        }
    }
}
