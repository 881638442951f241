//! Orders of ours that take: what they find displayed and not yet taken, and the own orders in their way.
//!
//! Never alters the market's book; remembers what was taken of it instead.

use optiflow_base::market::Level;
use optiflow_base::money::{Price, Qty, Side};

use crate::book::Book;
use crate::matching::resting::Resting;
use crate::matching::{Hit, Queue};
use crate::words::SelfTrade;

/// What a taker wants.
#[derive(Clone, Copy, Debug)]
pub struct Take {
    /// The taker's side.
    pub side: Side,
    /// Worst acceptable price; `None` takes any.
    pub limit: Option<Price>,
    /// How much.
    pub qty: Qty,
    /// What happens at an own order; `None` passes them by.
    pub self_trade: Option<SelfTrade>,
}

/// One step of a taker through the liquidity.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Trades with the market.
    Market {
        /// At this price.
        price: Price,
        /// This much.
        qty: Qty,
    },
    /// Trades with an own resting order.
    Own(Hit),
    /// The own resting order in the way expires.
    ExpireMaker(u64),
    /// The taker's remainder expires because of an own order.
    ExpireTaker,
}

/// The own order at the front of its side, as a taker meets it.
#[derive(Clone, Copy, Debug)]
struct Front {
    order: u64,
    price: Price,
    left: Qty,
    ahead: Qty,
}

impl Front {
    fn of(resting: &Resting) -> Front {
        Front { order: resting.order, price: resting.price, left: resting.left, ahead: resting.ahead() }
    }
}

impl Queue {
    /// The best price at which a taker on `side` finds something displayed and not yet taken.
    pub fn best(&self, book: &Book, side: Side) -> Option<Price> {
        self.liquidity(book, side).next().map(|level| level.price)
    }

    /// Would a limit order at `price` meet anything, displayed or own?
    pub fn would_take(&self, book: &Book, side: Side, price: Price) -> bool {
        let displayed = self.best(book, side);
        let own = self.side(side.opposite()).first().map(|resting| resting.price);
        displayed.into_iter().chain(own).any(|best| side.reaches(price, best))
    }

    /// How much a taker finds displayed within `limit`, counted no further than `enough`.
    pub fn available(&self, book: &Book, side: Side, limit: Option<Price>, enough: Qty) -> Qty {
        let mut found = Qty::ZERO;
        for level in self.liquidity(book, side) {
            if found >= enough || limit.is_some_and(|limit| !side.reaches(limit, level.price)) {
                break;
            }
            found += level.qty;
        }
        found.min(enough)
    }

    /// Walks the liquidity for a taker, best price first and what is ahead of an own order before it. Returns what is
    /// left of it; `steps` says what happened, in order.
    pub fn take(&mut self, book: &Book, take: Take, steps: &mut Vec<Step>) -> Qty {
        let mut left = take.qty;
        while !left.is_zero() {
            let side = take.side.opposite();
            let level = self.liquidity(book, take.side).next();
            let own = self.side(side).first().filter(|_| take.self_trade.is_some()).map(Front::of);
            let within = |price: Price| take.limit.is_none_or(|limit| take.side.reaches(limit, price));
            let level = level.filter(|level| within(level.price));
            let own = own.filter(|own| within(own.price));
            let (price, mut available) = match (level, own) {
                (None, None) => break,
                (Some(level), None) => (level.price, level.qty),
                (Some(level), Some(own)) if level.price == own.price => {
                    (level.price, level.qty.min(self.lots_ahead(own.ahead)))
                }
                (Some(level), Some(own)) if side.reaches(level.price, own.price) => (level.price, level.qty),
                (None | Some(_), Some(own)) => (own.price, Qty::ZERO),
            };
            available = available.min(left);
            if let Some(own) = own.filter(|_| available.is_zero()) {
                match self.meet_own(own, take, left, steps) {
                    Some(traded) => left -= traded,
                    None => break,
                }
                continue;
            }
            self.note_taken(book, side, Level { price, qty: available });
            for behind in self.side_mut(side).iter_mut().filter(|resting| resting.price == price) {
                behind.shorten(available);
            }
            steps.push(Step::Market { price, qty: available });
            left -= available;
        }
        left
    }

    /// What is ahead of an own order, in whole lots: an estimate may be any fraction.
    fn lots_ahead(&self, ahead: Qty) -> Qty {
        Qty::from_units(ahead.units() - ahead.units() % self.lot.units())
    }

    /// Meets the own order at the front: returns what traded, `None` when the taker goes no further.
    fn meet_own(&mut self, own: Front, take: Take, left: Qty, steps: &mut Vec<Step>) -> Option<Qty> {
        let side = take.side.opposite();
        match take.self_trade? {
            SelfTrade::None => {
                let qty = left.min(own.left);
                steps.push(Step::Own(Hit { order: own.order, price: own.price, qty }));
                let first = &mut self.side_mut(side)[0];
                first.trade_with_own(qty);
                if first.left.is_zero() {
                    self.side_mut(side).remove(0);
                }
                Some(qty)
            }
            SelfTrade::ExpireTaker => {
                steps.push(Step::ExpireTaker);
                None
            }
            SelfTrade::ExpireMaker => {
                self.side_mut(side).remove(0);
                steps.push(Step::ExpireMaker(own.order));
                Some(Qty::ZERO)
            }
            SelfTrade::ExpireBoth => {
                self.side_mut(side).remove(0);
                steps.push(Step::ExpireMaker(own.order));
                steps.push(Step::ExpireTaker);
                None
            }
        }
    }

    /// What a taker on `side` finds displayed and not yet taken, best first.
    fn liquidity<'a>(&'a self, book: &'a Book, side: Side) -> impl Iterator<Item = Level> + 'a {
        let side = side.opposite();
        let taken = self.taken(side);
        let untaken = move |level: Level| {
            let qty = level.qty - taken.get(&level.price).copied().unwrap_or(Qty::ZERO);
            Level { qty, ..level }
        };
        self.levels(book, side).map(untaken).filter(|level| level.qty > Qty::ZERO)
    }

    /// Takes up to `qty` of what is displayed within `limit`; returns how much there was.
    pub(super) fn take_displayed(&mut self, book: &Book, side: Side, limit: Price, qty: Qty) -> Qty {
        let mut left = qty;
        while !left.is_zero() {
            let level = self.liquidity(book, side).next().filter(|level| side.reaches(limit, level.price));
            let Some(level) = level else { break };
            let qty = level.qty.min(left);
            self.note_taken(book, side.opposite(), Level { price: level.price, qty });
            left -= qty;
        }
        qty - left
    }

    fn note_taken(&mut self, book: &Book, side: Side, level: Level) {
        let displayed = self.level_at(book, side, level.price);
        let taken = self.taken_mut(side).entry(level.price).or_default();
        *taken += level.qty;
        assert!(*taken <= displayed, "no more is taken than is displayed");
    }
}
