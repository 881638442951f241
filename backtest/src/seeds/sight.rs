//! What strategies saw when they wanted to open a position, held against what the exchange showed of late.
//!
//! The strategy notes it on a slip that it shares with the run; the run compares and forgets it.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use optiflow_base::clock::{Nanos, nanos_of};
use optiflow_base::ids::{OrderId, SymbolId};
use optiflow_base::money::{Price, Side};
use optiflow_engine::book::BookState;
use optiflow_sim::core::Core;

/// What was seen when an order was wanted.
#[derive(Clone, Copy, Debug)]
pub struct Sight {
    /// Of what.
    pub symbol: SymbolId,
    /// The order.
    pub order: OrderId,
    /// What the book said of itself.
    pub state: BookState,
    /// When the book was last heard of, before the decision.
    pub age: u64,
    /// Best bid and best ask.
    pub touch: (Price, Price),
}

/// Where strategies write.
pub type Slip = Arc<Mutex<Vec<Sight>>>;

/// The exchange's best prices of late.
#[derive(Debug, Default)]
pub struct Shown {
    /// By symbol.
    bests: Vec<Bests>,
}

/// Best bid and best ask of a symbol, and since when.
type Bests = VecDeque<(Nanos, Price, Price)>;

impl Shown {
    /// Looks at the exchange, and at what was decided since the last look.
    ///
    /// # Errors
    /// The decision that should not have been made, in words.
    pub fn look(&mut self, now: Nanos, core: &Core, slip: &Slip) -> Result<(), String> {
        self.bests.resize_with(core.listings().len(), Bests::new);
        for (symbol, bests) in self.bests.iter_mut().enumerate() {
            let book = core.book(symbol);
            if let (Some(bid), Some(ask)) = (book.best(Side::Buy), book.best(Side::Sell)) {
                let best = (bid.price, ask.price);
                if bests.back().is_none_or(|(_, bid, ask)| (*bid, *ask) != best) {
                    bests.push_back((now, best.0, best.1));
                }
            }
            // The price that stood when the time began is needed too: the one before it goes.
            while bests.get(1).is_some_and(|(at, ..)| now.since(*at) > nanos_of(MEMORY)) {
                bests.pop_front();
            }
        }
        let Ok(mut slip) = slip.lock() else { return Ok(()) };
        slip.drain(..).try_for_each(|sight| self.judge(&sight))
    }

    fn judge(&self, sight: &Sight) -> Result<(), String> {
        let Sight { symbol, order, state, age, touch: (bid, ask) } = *sight;
        if state != BookState::Synced || bid >= ask {
            return Err(format!("I5: {order} was wanted on a book that is {state:?}, {bid} to {ask}"));
        }
        if age > nanos_of(MEMORY) {
            return Err(format!("I5: {order} was wanted on a book of {:?} ago", Duration::from_nanos(age)));
        }
        // A range, not a list: between two looks the exchange may have shown any price on its way from one to the other.
        let Some(bests) = self.bests.get(symbol.index()) else { return Ok(()) };
        let least = bests.iter().map(|(_, bid, _)| bid.units()).min();
        let most = bests.iter().map(|(.., ask)| ask.units()).max();
        let (Some(least), Some(most)) = (least, most) else { return Ok(()) };
        let (floor, ceiling) = (least - least / TOLERANCE, most + most / TOLERANCE);
        if floor <= bid.units() && ask.units() <= ceiling {
            return Ok(());
        }
        let last = bests.back();
        Err(format!("I5: {order} was wanted at {bid} to {ask}, which the exchange has not shown of late: {last:?}"))
    }
}

/// A book that is older is not to be traded on; and the exchange's prices of so long ago count as seen.
const MEMORY: Duration = Duration::from_secs(5);
/// Prices within one in so many of the range are in it: depth and best prices are told apart from each other.
const TOLERANCE: i64 = 10_000;
