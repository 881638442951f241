//! Which trades have been booked: a trade is booked once, however often and by whomever it is told.
//!
//! Trade ids of a symbol rise, so the newest are kept in order and everything older than the oldest kept counts as
//! booked. Bounded and allocated once; runs on the oms thread.

use std::collections::VecDeque;

use optiflow_base::ids::TradeId;

/// The booked trades of one symbol.
#[derive(Debug)]
pub struct Booked {
    ids: VecDeque<u64>,
    floor: u64,
}

impl Booked {
    /// Nothing booked yet.
    pub fn new() -> Booked {
        Booked { ids: VecDeque::with_capacity(KEPT_LEN), floor: 0 }
    }

    /// Books the trade; false when it already was (or is older than memory, or is no trade id at all).
    pub fn book(&mut self, trade: TradeId) -> bool {
        if trade.0 <= self.floor {
            return false;
        }
        let at = match self.ids.back() {
            None => 0,
            Some(last) if trade.0 > *last => self.ids.len(),
            Some(_) => match self.ids.binary_search(&trade.0) {
                Ok(_) => return false,
                Err(at) => at,
            },
        };
        self.ids.insert(at, trade.0);
        if self.ids.len() == KEPT_LEN {
            self.floor = self.ids.pop_front().unwrap_or(self.floor);
        }
        assert!(self.ids.len() < KEPT_LEN, "what is kept is bounded");
        true
    }

    /// The newest booked trade.
    pub fn last(&self) -> Option<TradeId> {
        self.ids.back().copied().map(TradeId)
    }
}

impl Default for Booked {
    fn default() -> Booked {
        Booked::new()
    }
}

/// Trades of a symbol that are remembered one by one.
const KEPT_LEN: usize = 4096;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_trade_is_booked_once_in_whatever_order_it_comes() {
        let mut booked = Booked::new();
        let answers: Vec<bool> = [5, 3, 5, 9, 3, 4, 0].iter().map(|&id| booked.book(TradeId(id))).collect();
        assert_eq!(answers, [true, true, false, true, false, true, false]);
        assert_eq!(booked.last(), Some(TradeId(9)));
    }

    #[test]
    fn memory_is_bounded_and_what_it_lost_stays_booked() {
        let mut booked = Booked::new();
        let capacity = booked.ids.capacity();
        for id in 1..=3 * KEPT_LEN as u64 {
            assert!(booked.book(TradeId(id)));
        }
        assert!(!booked.book(TradeId(1)) && !booked.book(TradeId(2 * KEPT_LEN as u64)));
        assert_eq!(booked.ids.capacity(), capacity, "nothing was allocated");
    }

    proptest::proptest! {
        #[test]
        fn the_same_as_a_set(ids in proptest::collection::vec(1u64..200, 0..300)) {
            let mut booked = Booked::new();
            let mut set = std::collections::BTreeSet::new();
            for id in ids {
                proptest::prop_assert_eq!(booked.book(TradeId(id)), set.insert(id));
            }
        }
    }
}
