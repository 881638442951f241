//! One resting order of ours: what is left of it, and what stands ahead of it at its price.
//!
//! What a change of the book took off the queue ahead is remembered for a moment and spent before a trade moves the queue
//! again. Risk-averse and exact places are integers; estimated ones are floats, because the models are defined in them,
//! and give whole lots. Never looks at a book by itself.

use std::collections::VecDeque;

use optiflow_base::clock::Nanos;
use optiflow_base::decimal::UNITS;
use optiflow_base::money::{Price, Qty};

use crate::matching::Hit;
use crate::matching::rules::{MatchingRules, Queueing};
use crate::replay::queue::{QueueModel, QueuePlace};

/// An order of ours in the queue.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Resting {
    pub(super) order: u64,
    pub(super) price: Price,
    pub(super) left: Qty,
    /// What of `left` volume has reached already, where it fills in one piece.
    credit: Qty,
    place: Place,
    /// What the level showed when it was last told.
    shown: Qty,
    /// What the book took off the queue ahead before any trade told why, oldest first.
    shrunk: VecDeque<Shrunk>,
}

/// What is served before an order at its price.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Place {
    /// Cancels are taken to be behind us as long as possible.
    Cautious { ahead: Qty },
    /// A model's estimate.
    Estimated { model: QueueModel, place: QueuePlace },
    /// The market's own orders up to this id are ahead.
    Exact { ahead: Qty, last: u64 },
}

/// What a change of the book took off the queue ahead, and when.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Shrunk {
    at: Nanos,
    qty: Qty,
}

impl Resting {
    /// An order behind everything that its price shows, and behind the market's own orders up to `last`.
    pub(super) fn new(order: u64, price: Price, left: Qty, shown: Qty, queue: Queueing, last: u64) -> Resting {
        assert!(left > Qty::ZERO, "nothing to rest");
        let place = match queue {
            Queueing::Model(QueueModel::RiskAverse) => Place::Cautious { ahead: shown },
            Queueing::Model(model) => Place::Estimated { model, place: QueuePlace::behind(float(shown)) },
            Queueing::Fifo => Place::Exact { ahead: shown, last },
        };
        Resting { order, price, left, credit: Qty::ZERO, place, shown, shrunk: VecDeque::new() }
    }

    /// Market quantity that is served before it.
    pub(super) fn ahead(&self) -> Qty {
        match &self.place {
            Place::Cautious { ahead } | Place::Exact { ahead, .. } => *ahead,
            Place::Estimated { place, .. } => whole(place.front),
        }
    }

    /// How much more volume it takes.
    pub(super) fn wanted(&self) -> Qty {
        self.left - self.credit
    }

    /// A trade at our price passes the queue: returns what of it reaches us. What the book has shown of it already
    /// moves the queue no further.
    pub(super) fn pass(&mut self, at: Nanos, volume: Qty, rules: &MatchingRules, lot: Qty) -> Qty {
        let rest = if self.shrunk.is_empty() { volume } else { self.spend_shrunk(at, volume, rules) };
        match &mut self.place {
            Place::Cautious { ahead } | Place::Exact { ahead, .. } => {
                let reaching = (rest - *ahead).max(Qty::ZERO);
                *ahead = (*ahead - rest).max(Qty::ZERO);
                reaching
            }
            Place::Estimated { model, place } => {
                model.trade(place, float(rest));
                let lots = model.take_executable(place, float(lot));
                Qty::from_units(lots.saturating_mul(lot.units())).min(rest)
            }
        }
    }

    /// Who trades at a worse price has found nothing left ahead of us.
    pub(super) fn clear_ahead(&mut self) {
        self.shrunk.clear();
        match &mut self.place {
            Place::Cautious { ahead } | Place::Exact { ahead, .. } => *ahead = Qty::ZERO,
            Place::Estimated { place, .. } => *place = QueuePlace::default(),
        }
    }

    /// `qty` of what is ahead was taken by an order of ours.
    pub(super) fn shorten(&mut self, qty: Qty) {
        match &mut self.place {
            Place::Cautious { ahead } | Place::Exact { ahead, .. } => *ahead = (*ahead - qty).max(Qty::ZERO),
            Place::Estimated { place, .. } => place.front = (place.front - float(qty)).max(0.0),
        }
    }

    /// The market's own order `id` was cancelled with `qty` left.
    pub(super) fn other_left(&mut self, id: u64, qty: Qty) {
        if let Place::Exact { ahead, last } = &mut self.place
            && id <= *last
        {
            *ahead = (*ahead - qty).max(Qty::ZERO);
        }
    }

    /// The level shows `shown` now; `is_told` says whether the market has just told it, changed or not.
    pub(super) fn see(&mut self, at: Nanos, shown: Qty, is_told: impl Fn() -> bool, rules: &MatchingRules) {
        let before = std::mem::replace(&mut self.shown, shown);
        let gone = match &mut self.place {
            Place::Exact { .. } => return,
            Place::Cautious { ahead } => {
                let was = std::mem::replace(ahead, shown.min(*ahead));
                was - *ahead
            }
            Place::Estimated { model, place } => {
                if before == shown && !(place.traded != 0.0 && is_told()) {
                    return;
                }
                let front = place.front;
                model.depth(place, float(before), float(shown));
                // Nobody steps in before us, whatever the arithmetic of the model says.
                place.front = place.front.min(front);
                whole(front) - whole(place.front)
            }
        };
        if gone > Qty::ZERO && !rules.late_trades.is_zero() {
            self.forget_shrunk(at, rules);
            self.note_shrunk(Shrunk { at, qty: gone });
        }
    }

    /// Gives it volume of the market, no more than it wants; it trades at once, or in one piece when it has all it wants.
    pub(super) fn give(&mut self, volume: Qty, rules: &MatchingRules, hits: &mut Vec<Hit>) {
        assert!(volume >= Qty::ZERO && volume <= self.wanted(), "nobody is given more than it wants");
        if volume.is_zero() {
            return;
        }
        self.credit += volume;
        if rules.partial_fills || self.credit == self.left {
            hits.push(Hit { order: self.order, price: self.price, qty: self.credit });
            self.left -= std::mem::take(&mut self.credit);
        }
    }

    /// An order of ours trades with it.
    pub(super) fn trade_with_own(&mut self, qty: Qty) {
        self.left -= qty;
        // What reached it before waits for one unit more, so that it fills in one piece with the next volume.
        self.credit = self.credit.min(self.left - Qty::from_units(1)).max(Qty::ZERO);
    }

    /// Spends what the book has shown already; returns what of the volume is news.
    fn spend_shrunk(&mut self, at: Nanos, volume: Qty, rules: &MatchingRules) -> Qty {
        self.forget_shrunk(at, rules);
        let mut rest = volume;
        while let Some(oldest) = self.shrunk.front_mut().filter(|_| !rest.is_zero()) {
            let spent = oldest.qty.min(rest);
            oldest.qty -= spent;
            rest -= spent;
            if oldest.qty.is_zero() {
                self.shrunk.pop_front();
            }
        }
        rest
    }

    /// When there are too many to tell apart, the latest become one.
    fn note_shrunk(&mut self, shrunk: Shrunk) {
        let is_full = self.shrunk.len() == SHRUNK_MAX;
        match self.shrunk.back_mut().filter(|_| is_full) {
            Some(latest) => *latest = Shrunk { qty: latest.qty + shrunk.qty, ..shrunk },
            None => self.shrunk.push_back(shrunk),
        }
    }

    fn forget_shrunk(&mut self, at: Nanos, rules: &MatchingRules) {
        let is_old = |shrunk: &Shrunk| at > shrunk.at + rules.late_trades;
        while self.shrunk.front().is_some_and(is_old) {
            self.shrunk.pop_front();
        }
    }
}

/// A quantity as the models count it: in the base asset.
fn float(qty: Qty) -> f64 {
    qty.units() as f64 / UNITS as f64
}

/// What a model has ahead, as a quantity; what a trade left beyond is not ahead.
fn whole(front: f64) -> Qty {
    Qty::from_units((front.max(0.0) * UNITS as f64).round() as i64)
}

/// What a book took off the queue within the time in which a trade may tell of it, told apart.
const SHRUNK_MAX: usize = 1_024;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_queue_that_shrinks_without_end_is_remembered_in_bounded_memory_and_in_full() {
        let (rules, price) = (MatchingRules::default(), Price::from_units(1));
        assert!(!rules.late_trades.is_zero());
        let shown = 5_000;
        let one = Qty::from_units(1);
        let mut resting =
            Resting::new(1, price, one, Qty::from_units(shown), Queueing::Model(QueueModel::RiskAverse), 0);
        for left in (0..shown).rev() {
            resting.see(Nanos(1), Qty::from_units(left), || true, &rules);
        }
        assert_eq!(resting.shrunk.len(), SHRUNK_MAX);
        assert_eq!(resting.shrunk.iter().map(|shrunk| shrunk.qty).sum::<Qty>(), Qty::from_units(shown));
    }
}
