//! A day of one symbol's market: a random walk with a book around it, told as depth batches and trades.
//!
//! Shaped like the yardstick's own day: 3 to 4 million rows, most changes within a few ticks of the best, the mid
//! moving by several ticks every 100 ms, with a jump now and then. Seeded: equal seeds make equal days.

use std::collections::BTreeMap;

use optiflow_base::money::{Price, Qty, Side};
use optiflow_sim::replay::rows::{Kind, MarketRow, Row, arrange};
use optiflow_sim::replay::{ReplayError, Scale};

/// The market's integers: tick 0.1, lot 0.001.
pub fn scale() -> Scale {
    Scale::lots(Price::from_units(10_000_000), Qty::from_units(100_000))
}

/// A day's rows, each clock in its order.
pub fn day(seed: u64) -> Result<Vec<Row>, ReplayError> {
    let mut maker = Maker {
        random: fastrand::Rng::with_seed(seed),
        now: START_NS,
        told: START_NS,
        bids: BTreeMap::new(),
        asks: BTreeMap::new(),
        best_bid: 600_000,
        rows: Vec::with_capacity(ROWS_EXPECTED),
    };
    maker.open();
    while maker.now < START_NS + DAY_NS {
        maker.now += 1_000_000 * maker.random.i64(40..170);
        maker.trades();
        if maker.random.u8(..) < 220 {
            maker.batch();
        }
    }
    arrange(&maker.rows)
}

struct Maker {
    random: fastrand::Rng,
    now: i64,
    told: i64,
    bids: BTreeMap<i32, i64>,
    asks: BTreeMap<i32, i64>,
    best_bid: i32,
    rows: Vec<MarketRow>,
}

impl Maker {
    fn open(&mut self) {
        for distance in 0..LEVELS {
            self.level(Side::Buy, self.best_bid - distance, 500);
            self.level(Side::Sell, self.best_bid + 1 + distance, 500);
        }
    }

    fn trades(&mut self) {
        while self.random.u8(..) < 105 {
            let side = if self.random.bool() { Side::Buy } else { Side::Sell };
            let tick = if side == Side::Buy { self.best_bid + 1 } else { self.best_bid };
            let parts = 1 + (-(self.random.f64().max(1e-9)).ln() * 60.0) as i64;
            self.row(Kind::Trade, side, tick, parts);
        }
    }

    fn batch(&mut self) {
        self.told = 0;
        let moved = match self.random.u16(0..1_000) {
            0..2 => self.random.i32(-120..=120),
            2..580 => (self.normal() * 3.4).round() as i32,
            _ => 0,
        };
        if moved != 0 {
            self.move_to(self.best_bid + moved);
        }
        for _ in 0..self.random.u8(1..3) {
            let side = if self.random.bool() { Side::Buy } else { Side::Sell };
            let distance = ((-(self.random.f64().max(1e-9)).ln()).powi(2) * 8.0) as i32;
            let tick = if side == Side::Buy { self.best_bid - distance } else { self.best_bid + 1 + distance };
            let gone = distance > 0 && self.random.u8(..) < 40;
            let parts = if gone { 0 } else { self.random.i64(1..3_000) };
            self.level(side, tick, parts);
        }
    }

    /// The best moves: what it passes is removed, what it leaves behind is thinly filled.
    fn move_to(&mut self, best_bid: i32) {
        let up = best_bid > self.best_bid;
        let (fallen, risen) = if up { (Side::Sell, Side::Buy) } else { (Side::Buy, Side::Sell) };
        let passed: Vec<i32> = match fallen {
            Side::Sell => self.asks.range(..=best_bid).map(|(tick, _)| *tick).collect(),
            Side::Buy => self.bids.range(best_bid + 1..).map(|(tick, _)| *tick).collect(),
        };
        for tick in passed {
            self.level(fallen, tick, 0);
        }
        self.best_bid = best_bid;
        let (front, behind) = if up { (best_bid, -1) } else { (best_bid + 1, 1) };
        let parts = self.random.i64(1..2_000);
        self.level(risen, front, parts);
        if self.random.bool() {
            let (parts, distance) = (self.random.i64(1..2_000), self.random.i32(1..4));
            self.level(risen, front + behind * distance, parts);
        }
        let facing = if up { best_bid + 1 } else { best_bid };
        let parts = self.random.i64(1..2_000);
        self.level(fallen, facing, parts);
    }

    fn level(&mut self, side: Side, tick: i32, parts: i64) {
        let levels = if side == Side::Buy { &mut self.bids } else { &mut self.asks };
        if parts == 0 {
            levels.remove(&tick);
        } else {
            levels.insert(tick, parts);
        }
        self.row(Kind::Depth, side, tick, parts);
    }

    /// Rows of one batch share their delay, as one message does; trades come faster than depth.
    fn row(&mut self, kind: Kind, side: Side, tick: i32, parts: i64) {
        if self.told == 0 || kind == Kind::Trade {
            let least = if kind == Kind::Trade { 1_600_000 } else { 2_200_000 };
            let delay = least + (-(self.random.f64().max(1e-9)).ln() * 900_000.0) as i64;
            self.told = self.now + delay;
        }
        self.rows.push(MarketRow { kind, side, exchange_ns: self.now, local_ns: self.told, tick, parts });
    }

    /// Nearly normal: the sum of twelve uniforms.
    fn normal(&mut self) -> f64 {
        (0..12).map(|_| self.random.f64()).sum::<f64>() - 6.0
    }
}

const START_NS: i64 = 1_717_200_000_000_000_000;
const DAY_NS: i64 = 86_400_000_000_000;
const LEVELS: i32 = 400;
const ROWS_EXPECTED: usize = 4_000_000;
