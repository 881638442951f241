//! Order-book imbalance: (bid quantity − ask quantity) / (both), over levels or weighted by distance; microprice.
//! Reads the view, keeps nothing. Engine thread.

use optiflow_base::market::Level;
use optiflow_base::money::Side;

use crate::book::Book;

/// Quantity of the best levels of both sides, in 10⁻⁸.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Depth {
    /// Bid quantity.
    pub bids: i64,
    /// Ask quantity.
    pub asks: i64,
}

impl Depth {
    /// The best `levels` levels of each side.
    #[inline]
    pub fn of(book: &Book, levels: usize) -> Depth {
        Depth { bids: total(book, Side::Buy, levels), asks: total(book, Side::Sell, levels) }
    }

    /// (bids − asks) / (bids + asks); 0 when there is nothing.
    #[inline]
    #[allow(clippy::cast_precision_loss)]
    pub fn imbalance(&self) -> f64 {
        ratio(self.bids.saturating_sub(self.asks) as f64, self.bids.saturating_add(self.asks) as f64)
    }
}

/// `obi_lN`: imbalance of the best `levels` levels.
pub fn obi(book: &Book, levels: usize) -> f64 {
    Depth::of(book, levels).imbalance()
}

/// `obi_dw`: imbalance with weights `exp(−d / decay_bps)`, `d` the distance from the mid in basis points, over the
/// levels with `d ≤ 10 × decay_bps`. Costs an exponential a level: for sampling, not for every message.
pub fn obi_weighted(book: &Book, decay_bps: f64) -> f64 {
    let Some((bid, ask)) = book.touch().both() else { return 0.0 };
    let mid = (bid.price.as_f64() + ask.price.as_f64()) / 2.0;
    let weigh = |side| weighted(book, side, mid, decay_bps);
    let (bids, asks) = (weigh(Side::Buy), weigh(Side::Sell));
    ratio(bids - asks, bids + asks)
}

/// The mid moved towards the thinner side: `(a·B + b·A) / (B + A)`, for signals only.
pub fn microprice(bid: Level, ask: Level) -> f64 {
    let (mid, half_spread) = mid_and_half_spread(bid, ask);
    mid + half_spread * touch_imbalance(bid, ask)
}

/// Microprice − mid in basis points of the mid.
#[inline]
pub fn micro_bps(bid: Level, ask: Level) -> f64 {
    let (mid, half_spread) = mid_and_half_spread(bid, ask);
    ratio(half_spread * touch_imbalance(bid, ask), mid) * BPS
}

fn mid_and_half_spread(bid: Level, ask: Level) -> (f64, f64) {
    let (bid, ask) = (bid.price.as_f64(), ask.price.as_f64());
    ((ask + bid) / 2.0, (ask - bid) / 2.0)
}

fn touch_imbalance(bid: Level, ask: Level) -> f64 {
    Depth { bids: bid.qty.units(), asks: ask.qty.units() }.imbalance()
}

/// Saturates: a sum beyond 9·10¹⁰ base units is no quantity of this world, and must not stop the engine.
#[inline]
fn total(book: &Book, side: Side, levels: usize) -> i64 {
    book.levels(side).take(levels).fold(0, |sum: i64, level| sum.saturating_add(level.qty.units()))
}

fn weighted(book: &Book, side: Side, mid: f64, decay_bps: f64) -> f64 {
    let distance = |level: &Level| (level.price.as_f64() - mid).abs() / mid * BPS;
    let near = book.levels(side).take_while(|level| distance(level) <= REACH_DECAYS * decay_bps);
    near.map(|level| level.qty.as_f64() * (-distance(&level) / decay_bps).exp()).sum()
}

fn ratio(part: f64, whole: f64) -> f64 {
    if whole == 0.0 { 0.0 } else { part / whole }
}

const BPS: f64 = 1e4;
/// How many decay lengths from the mid a weighted imbalance looks.
const REACH_DECAYS: f64 = 10.0;
