//! The ticks of one made-up symbol: lets the crowd act, and tells what the book did as an exchange would.
//!
//! Trades and best prices are told at once, changed levels in batches of 20 to 30 ms with `U`/`u`/`pu` ids that have
//! holes, the mark every second. Market time starts at zero.

use std::collections::{BTreeSet, VecDeque};

use optiflow_base::clock::Nanos;
use optiflow_base::decimal::UNITS;
use optiflow_base::market::Level;
use optiflow_base::money::{Price, Qty, Side};

use crate::market::synthetic::chance::Chance;
use crate::market::synthetic::ladder::{Ladder, Print};
use crate::market::synthetic::orders::Crowd;
use crate::words::{Listing, Tick};

/// One symbol's flow of ticks.
#[derive(Debug)]
pub struct Flow {
    chance: Chance,
    crowd: Crowd,
    ladder: Ladder,
    /// How often something happens: one is as usual.
    rate: f64,
    /// Batches for which moods have not yet gone by: with more time between people, moods last longer.
    moods_due: f64,
    tick_size: i64,
    step_size: i64,
    now: u64,
    batch_due: u64,
    mark_due: u64,
    /// Book update ids: of the last change, of the first change of this batch, of the last batch that was told.
    update_id: u64,
    batch_first_id: Option<u64>,
    told_id: u64,
    trade_id: u64,
    changed: BTreeSet<(Side, i64)>,
    top: Option<((i64, i64), (i64, i64))>,
    mark: i64,
    prints: Vec<Print>,
    told: VecDeque<(Nanos, Tick)>,
}

impl Flow {
    /// The flow of a symbol, where so many times the usual happens in a second; its first tick is the snapshot.
    pub fn new(listing: &Listing, seed: u64, rate: f64) -> Flow {
        let mut chance = Chance::new(seed);
        let (tick_size, step_size) = (listing.tick_size.units(), listing.step_size.units());
        let middle = start_price(listing) / tick_size;
        assert!(middle > TICKS_MIN, "{} is too cheap for its tick", listing.name);
        let worth = i128::from(middle * tick_size) * i128::from(step_size) / i128::from(UNITS);
        let unit = i128::from(UNIT_WORTH) / worth.max(1);
        let crowd = Crowd::new(i64::try_from(unit).unwrap_or(i64::MAX).max(1));
        let mut ladder = Ladder::default();
        crowd.furnish(&mut ladder, middle, &mut chance);
        let mut flow = Flow {
            chance,
            crowd,
            ladder,
            rate,
            moods_due: 0.0,
            tick_size,
            step_size,
            now: 0,
            batch_due: BATCH_LEAST,
            mark_due: 0,
            update_id: UPDATE_ID_FIRST,
            batch_first_id: None,
            told_id: UPDATE_ID_FIRST,
            trade_id: TRADE_ID_FIRST,
            changed: BTreeSet::new(),
            top: None,
            mark: middle * tick_size,
            prints: Vec::new(),
            told: VecDeque::new(),
        };
        flow.tell_snapshot();
        flow.tell_top();
        flow
    }

    /// When the next tick happens.
    pub fn next_at(&mut self) -> Nanos {
        loop {
            match self.told.front() {
                Some((at, _)) => return *at,
                None => self.step(),
            }
        }
    }

    /// The next tick.
    pub fn pop(&mut self) -> Option<(Nanos, Tick)> {
        self.next_at();
        self.told.pop_front()
    }

    /// From now on tells single orders too, beginning with those that rest after what was told so far.
    pub fn tell_singles(&mut self) {
        self.ladder.keep_journal();
        self.tell_journal();
    }

    /// One event of the market, or a batch or a mark that is due before it.
    fn step(&mut self) {
        let takers = self.crowd.taker_rate();
        let cancels = CANCELS_PER_ORDER * self.ladder.orders() as f64;
        let all = takers + RESTING_RATE + cancels;
        let event_at = self.now + self.chance.wait(all * self.rate);
        if self.mark_due <= event_at.min(self.batch_due) {
            self.now = self.mark_due;
            self.mark_due += MARK_EVERY;
            return self.tell_mark();
        }
        if self.batch_due <= event_at {
            self.now = self.batch_due;
            self.batch_due += self.chance.between(BATCH_LEAST as i64, BATCH_MOST as i64) as u64;
            self.moods_due += self.rate;
            while self.moods_due >= 1.0 {
                self.moods_due -= 1.0;
                self.crowd.rest(&mut self.chance);
            }
            return self.tell_depth();
        }
        self.now = event_at;
        let which = self.chance.unit() * all;
        if which < takers {
            self.take();
        } else if which < takers + RESTING_RATE {
            let place = self.crowd.rest_order(&mut self.ladder, &mut self.chance);
            self.note(place);
        } else {
            let place = self.crowd.cancel(&mut self.ladder, &mut self.chance);
            self.note(place);
        }
        self.tell_journal();
        self.tell_top();
    }

    fn tell_journal(&mut self) {
        for single in self.ladder.take_journal() {
            let (price, change) = (self.price(single.tick), self.qty(single.steps));
            // Ids of others begin at one: whoever knows of nobody knows of number zero.
            self.tell(Tick::Single { id: single.id + 1, side: single.side, price, change });
        }
    }

    fn take(&mut self) {
        let mut prints = std::mem::take(&mut self.prints);
        let taker = self.crowd.take(&mut self.ladder, &mut self.chance, &mut prints);
        for print in prints.drain(..) {
            self.note(Some((taker.opposite(), print.tick)));
            self.trade_id += 1;
            let (price, qty) = (self.price(print.tick), self.qty(print.steps));
            self.tell(Tick::Trade { id: self.trade_id, price, qty, taker });
        }
        self.prints = prints;
    }

    /// A level changed: it takes an id, sometimes after a hole, and is told with the batch.
    fn note(&mut self, place: Option<(Side, i64)>) {
        let Some(place) = place else { return };
        self.update_id += 1 + self.chance.run(ID_HOLES, ID_HOLE_MAX) as u64;
        self.batch_first_id.get_or_insert(self.update_id);
        self.changed.insert(place);
    }

    fn tell(&mut self, tick: Tick) {
        self.told.push_back((Nanos(self.now), tick));
    }

    fn tell_snapshot(&mut self) {
        let side = |side| self.ladder.levels(side).map(|(tick, steps)| self.level(tick, steps)).collect();
        let (bids, asks) = (side(Side::Buy), side(Side::Sell));
        self.tell(Tick::Snapshot { id: self.update_id, bids, asks });
    }

    fn tell_depth(&mut self) {
        let Some(first_id) = self.batch_first_id.take() else { return };
        let (mut bids, mut asks) = (Vec::new(), Vec::new());
        for &(side, tick) in &self.changed {
            let level = self.level(tick, self.ladder.at(side, tick));
            match side {
                Side::Buy => bids.push(level),
                Side::Sell => asks.push(level),
            }
        }
        self.changed.clear();
        let previous_id = std::mem::replace(&mut self.told_id, self.update_id);
        assert!(previous_id < first_id && first_id <= self.update_id, "ids count up");
        self.tell(Tick::Depth { first_id, last_id: self.update_id, previous_id, bids, asks });
    }

    fn tell_top(&mut self) {
        let (Some(bid), Some(ask)) = (self.ladder.best(Side::Buy), self.ladder.best(Side::Sell)) else { return };
        assert!(bid.0 < ask.0, "the made-up market is never crossed");
        if self.top.replace((bid, ask)) != Some((bid, ask)) {
            let (bid, ask) = (self.level(bid.0, bid.1), self.level(ask.0, ask.1));
            self.tell(Tick::Top { update_id: self.update_id, bid, ask });
        }
    }

    /// The mark follows the middle smoothly; the index is a little below it, so that longs pay.
    fn tell_mark(&mut self) {
        let (Some(bid), Some(ask)) = (self.ladder.best(Side::Buy), self.ladder.best(Side::Sell)) else { return };
        let middle = (bid.0 * self.tick_size).midpoint(ask.0 * self.tick_size);
        self.mark += (middle - self.mark) / MARK_SMOOTHING;
        let (mark, index) = (Price::from_units(self.mark), Price::from_units(self.mark - self.mark / INDEX_BELOW));
        self.tell(Tick::Mark { mark, index, funding_rate: FUNDING_RATE, next_funding_ms: 0 });
    }

    fn level(&self, tick: i64, steps: i64) -> Level {
        Level { price: self.price(tick), qty: self.qty(steps) }
    }

    const fn price(&self, tick: i64) -> Price {
        Price::from_units(tick * self.tick_size)
    }

    const fn qty(&self, steps: i64) -> Qty {
        Qty::from_units(steps * self.step_size)
    }
}

/// Where a symbol's price starts, in 10⁻⁸.
fn start_price(listing: &Listing) -> i64 {
    let known = START_PRICES.iter().find(|(name, _)| *name == listing.name);
    known.map_or(listing.tick_size.units() * TICKS_UNKNOWN, |&(_, price)| price)
}

/// Prices that symbols start at.
const START_PRICES: [(&str, i64); 4] =
    [("BTCUSDT", 60_000 * UNITS), ("ETHUSDT", 3_000 * UNITS), ("SOLUSDT", 150 * UNITS), ("DOGEUSDT", UNITS / 5)];
/// Where an unknown symbol starts, in ticks.
const TICKS_UNKNOWN: i64 = 50_000;
/// Fewest ticks a starting price may have.
const TICKS_MIN: i64 = 1_000;
/// Worth of one unit of size, quote asset, 10⁻⁸.
const UNIT_WORTH: i64 = 60 * UNITS;
/// Resting orders per second.
const RESTING_RATE: f64 = 110.0;
/// Thoughts of cancelling per second and resting order.
const CANCELS_PER_ORDER: f64 = 0.2;
/// Shortest batch of changed levels, ns.
const BATCH_LEAST: u64 = 20_000_000;
/// Longest batch of changed levels, ns.
const BATCH_MOST: u64 = 30_000_000;
/// Marks come this often, ns.
const MARK_EVERY: u64 = 1_000_000_000;
/// The mark makes up one part in this many of its distance to the middle.
const MARK_SMOOTHING: i64 = 4;
/// The index is below the mark by one part in this many.
const INDEX_BELOW: i64 = 10_000;
/// Funding rate, 10⁻⁸: 0.01 %.
const FUNDING_RATE: i64 = 10_000;
/// Book update ids start here, as large as the real ones.
const UPDATE_ID_FIRST: u64 = 9_000_000_000_000;
/// Trade ids start here.
const TRADE_ID_FIRST: u64 = 6_000_000_000;
/// Chance that an id is left out.
const ID_HOLES: f64 = 0.4;
/// Most ids left out in a row.
const ID_HOLE_MAX: i64 = 20;
