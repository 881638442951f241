//! The same market and the same orders through the core and through the replay core, side by side, until a rule in which
//! the two are meant to differ decides something.

// Each referee uses its own part.
#![allow(dead_code)]

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
    /// A level crosses the other side: the core removes what it crosses, the replay core keeps it hidden.
    Crossed,
}

/// A fill, as both tell it: ns since the start, order, tick, parts, maker.
pub type Told5 = (u64, u64, i64, i64, bool);

/// Where a duel went.
pub struct Outcome {
    pub core: Vec<Told5>,
    pub replay: Vec<Told5>,
    pub stopped: Option<Difference>,
}

/// The two.
pub struct Duel<'a> {
    core: Core,
    replay: Replay<'a>,
    listener: Listener,
    ours: Vec<Told5>,
    now: Nanos,
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
        Duel { core, replay, listener: Listener::default(), ours: Vec::new(), now: START, passed: Vec::new() }
    }

    /// Goes on where a rule makes the two differ.
    pub fn beyond(self, difference: Difference) -> Duel<'a> {
        Duel { passed: vec![difference], ..self }
    }

    pub fn run(mut self, events: &[Event]) -> Outcome {
        let mut stopped = None;
        for event in events {
            self.now = Nanos(self.now.0 + step_ms(event) * 1_000_000);
            stopped = self.both(event).filter(|difference| !self.passed.contains(difference));
            if stopped.is_some() {
                break;
            }
        }
        Outcome { core: self.ours, replay: self.listener.0, stopped }
    }

    fn both(&mut self, event: &Event) -> Option<Difference> {
        let crosses = self.crosses(event);
        let mut out = Vec::new();
        self.core.advance(self.now, &mut out).unwrap();
        self.replay.advance(self.now.0 as i64, &mut self.listener).unwrap();
        self.note(&out);
        match event {
            Event::Row { .. } | Event::Wait(_) => {}
            Event::Submit { .. } | Event::Cancel(_) | Event::Modify { .. } => self.act(event),
        }
        crosses.then_some(Difference::Crossed)
    }

    fn crosses(&self, event: &Event) -> bool {
        let &Event::Row { kind: Kind::Depth | Kind::Top, side, tick, parts } = event else { return false };
        let other = self.core.book(0).best(side.opposite());
        parts > 0 && other.is_some_and(|best| side.reaches(price(tick), best.price))
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
        self.note(&out);
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

    /// Keeps the core's fills.
    fn note(&mut self, out: &[CoreEvent]) {
        for fill in fills(out) {
            let (tick, parts) = (fill.price.units() / 10_000_000, fill.qty.units() / 100_000);
            let at = fill.at.0 - START.0;
            self.ours.push((at, fill.client_id.parse().unwrap(), tick, parts, fill.maker));
        }
    }
}
