//! Who comes to the made-up market: how large, on which side, how far from the best price.
//!
//! People react to the book: takers go with the imbalance and the mood, queues that are thin are left, queues that are
//! thick are joined. Therefore imbalance predicts the next move, as it does in real markets.

use optiflow_base::money::Side;

use crate::market::synthetic::chance::Chance;
use crate::market::synthetic::ladder::{Ladder, Print};

/// The people of one symbol and their mood.
#[derive(Clone, Debug)]
pub struct Crowd {
    /// −1 (selling) to 1 (buying), wandering, pushed by trades.
    mood: f64,
    /// Takers per second that recent takers bring along.
    excitement: f64,
    /// Steps of one unit of size, so that sizes are worth the same in every symbol.
    unit: i64,
}

impl Crowd {
    /// A calm crowd; `unit` steps are worth about 60 of the quote asset.
    pub const fn new(unit: i64) -> Crowd {
        Crowd { mood: 0.0, excitement: 0.0, unit }
    }

    /// Fills an empty ladder around `middle`.
    pub fn furnish(&self, ladder: &mut Ladder, middle: i64, chance: &mut Chance) {
        for away in 0..LEVELS_AT_START {
            for _ in 0..3 {
                ladder.add(Side::Buy, middle - 1 - away, self.unit * chance.one_of(&SIZES));
                ladder.add(Side::Sell, middle + away, self.unit * chance.one_of(&SIZES));
            }
        }
    }

    /// Takers per second now.
    pub fn taker_rate(&self) -> f64 {
        TAKERS_CALM + self.excitement
    }

    /// Lets the mood wander and the excitement cool: to be called every batch.
    pub fn rest(&mut self, chance: &mut Chance) {
        self.excitement *= COOLING;
        self.mood = (self.mood * MOOD_FADE + (chance.unit() - 0.5) * MOOD_KICK).clamp(-1.0, 1.0);
    }

    /// A taker comes: returns its side, and what it traded in `prints`.
    pub fn take(&mut self, ladder: &mut Ladder, chance: &mut Chance, prints: &mut Vec<Print>) -> Side {
        let lean = 1.1 * imbalance(ladder) + 0.9 * self.mood;
        let side = if chance.is(0.5 + 0.5 * lean / (1.0 + lean.abs())) { Side::Buy } else { Side::Sell };
        let resting = ladder.levels(side.opposite()).take(SWEEP_LEVELS_MAX).map(|(_, steps)| steps);
        let reach: i64 = resting.sum();
        let best = ladder.best(side.opposite()).map_or(0, |(_, steps)| steps);
        let steps = if chance.is(SWEEPS) {
            best + chance.between(0, (reach - best).max(0) / 2)
        } else {
            self.unit * chance.one_of(&TAKER_SIZES)
        };
        ladder.take(side, steps.clamp(1, (reach / 2).max(1)), prints);
        self.excitement = (self.excitement + TAKERS_FOLLOW).min(TAKERS_EXCITED_MAX);
        let push = if side == Side::Buy { MOOD_PUSH } else { -MOOD_PUSH };
        self.mood = (self.mood + push).clamp(-1.0, 1.0);
        side
    }

    /// Someone rests an order: returns where.
    pub fn rest_order(&self, ladder: &mut Ladder, chance: &mut Chance) -> Option<(Side, i64)> {
        let ((bid, _), (ask, _)) = (ladder.best(Side::Buy)?, ladder.best(Side::Sell)?);
        let thin = [Side::Buy, Side::Sell].into_iter().find(|&side| ladder.depth(side) < LEVELS_MIN);
        let lean = 0.15 * imbalance(ladder) + 0.25 * self.mood;
        let side = thin.unwrap_or(if chance.is(0.5 + lean) { Side::Buy } else { Side::Sell });
        let gap = ask - bid - 1;
        let improves = gap > 0 && chance.is(IMPROVES);
        let away = if improves {
            -chance.between(1, gap)
        } else if thin.is_none() && chance.is(JOINS) {
            0
        } else {
            1 + chance.run(FARTHER, AWAY_MAX)
        };
        let tick = match side {
            Side::Buy => bid - away,
            Side::Sell => ask + away,
        };
        if tick < 1 {
            return None;
        }
        ladder.add(side, tick, self.unit * chance.one_of(&SIZES) + chance.between(0, self.unit - 1));
        Some((side, tick))
    }

    /// Someone thinks of cancelling: returns where an order went away, `None` when it stayed.
    pub fn cancel(&self, ladder: &mut Ladder, chance: &mut Chance) -> Option<(Side, i64)> {
        let (id, side, tick) = ladder.draw(chance)?;
        let (best, _) = ladder.best(side)?;
        let favour = if side == Side::Buy { imbalance(ladder) } else { -imbalance(ladder) };
        let stays = if tick == best { 0.45 + 0.4 * favour } else { 0.25 };
        if ladder.depth(side) <= LEVELS_MIN || chance.is(stays) {
            return None;
        }
        ladder.cancel(id);
        Some((side, tick))
    }
}

/// −1 (asks only) to 1 (bids only), of the best prices.
fn imbalance(ladder: &Ladder) -> f64 {
    let quantity = |side| ladder.best(side).map_or(0, |(_, steps)| steps) as f64;
    let (bids, asks) = (quantity(Side::Buy), quantity(Side::Sell));
    (bids - asks) / (bids + asks).max(1.0)
}

/// Prices a side has at the start.
const LEVELS_AT_START: i64 = 60;
/// Prices a side keeps.
const LEVELS_MIN: usize = 40;
/// Sizes of resting orders, in units.
const SIZES: [i64; 16] = [1, 2, 3, 5, 8, 12, 20, 20, 30, 40, 60, 80, 120, 200, 400, 1_200];
/// Sizes of takers, in units.
const TAKER_SIZES: [i64; 16] = [1, 1, 2, 2, 3, 5, 8, 10, 20, 30, 50, 80, 150, 300, 600, 1_500];
/// Takers per second when nothing happens.
const TAKERS_CALM: f64 = 6.0;
/// Takers per second that one taker brings along, fading.
const TAKERS_FOLLOW: f64 = 1.2;
/// Most takers per second that excitement brings.
const TAKERS_EXCITED_MAX: f64 = 40.0;
/// What excitement keeps from batch to batch.
const COOLING: f64 = 0.95;
/// What mood keeps from batch to batch.
const MOOD_FADE: f64 = 0.998;
/// Width of the random change of mood in a batch.
const MOOD_KICK: f64 = 0.06;
/// Change of mood by a taker.
const MOOD_PUSH: f64 = 0.01;
/// Share of takers that clear the best price.
const SWEEPS: f64 = 0.05;
/// Prices a taker reaches at most.
const SWEEP_LEVELS_MAX: usize = 12;
/// Share of resting orders that go into an open spread.
const IMPROVES: f64 = 0.7;
/// Share of resting orders that join the best price.
const JOINS: f64 = 0.4;
/// Chance of going one tick farther away.
const FARTHER: f64 = 0.94;
/// Farthest resting orders, ticks from the best price.
const AWAY_MAX: i64 = 150;
