//! Our clients' orders of one symbol against the replayed market: queue position, fills, taking.
//!
//! A resting order joins behind what is displayed at its price. Trades at the price eat what is ahead, then the order;
//! what is displayed caps what can be ahead (cancellations are taken to be behind us as long as possible). A recording
//! may show the smaller quantity before it tells the trade that caused it: what the book took off the queue ahead is
//! remembered for a moment and spent before a trade moves the queue again, so that one event moves it once, in either
//! order. A trade through the price fills up to what it traded, the opposite side displayed within the price up to what
//! it displays: every volume is used once, by the best price first and then by time. Taking walks what is displayed and
//! remembers it: while a level shrinks, what was taken is what stays; only volume that is displayed anew can be taken.
//! Never alters the market's book, never touches accounts: it says who met whom, the core books it.
//! Times are the market's own. Which thread: whoever drives the core.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use optiflow_base::clock::Nanos;
use optiflow_base::market::Level;
use optiflow_base::money::{Price, Qty, Side};

use crate::book::Book;
use crate::words::SelfTrade;

/// The resting orders of one symbol and what was taken from its displayed liquidity.
#[derive(Clone, Debug, Default)]
pub struct Queue {
    bids: Vec<Resting>,
    asks: Vec<Resting>,
    /// What we took of displayed levels and the market still displays.
    taken_bids: BTreeMap<Price, Qty>,
    taken_asks: BTreeMap<Price, Qty>,
}

/// An order of ours in the queue.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Resting {
    order: u64,
    price: Price,
    left: Qty,
    /// Market quantity that is served before us at our price.
    ahead: Qty,
    /// What the book took off `ahead` before any trade told why, oldest first.
    shrunk: VecDeque<Shrunk>,
}

/// What a change of the book took off the queue ahead, and when.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Shrunk {
    at: Nanos,
    qty: Qty,
}

/// A fill of a resting order at its own price.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hit {
    /// Which order.
    pub order: u64,
    /// Its price.
    pub price: Price,
    /// How much of it.
    pub qty: Qty,
}

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

impl Queue {
    /// A trade of the market: fills resting orders on the side it hit.
    pub fn on_trade(&mut self, at: Nanos, price: Price, qty: Qty, taker: Side, hits: &mut Vec<Hit>) {
        let side = taker.opposite();
        let mut volume = qty;
        for resting in self.side_mut(side) {
            let reaching = if resting.price == price {
                resting.pass(at, volume)
            } else if side.reaches(resting.price, price) {
                // Who trades at a worse price has found nothing left at ours.
                resting.ahead = Qty::ZERO;
                resting.shrunk.clear();
                volume
            } else {
                break;
            };
            let fill = reaching.min(resting.left);
            volume -= fill;
            resting.fill(fill, hits);
        }
        self.side_mut(side).retain(|resting| !resting.left.is_zero());
    }

    /// The book changed: caps what is ahead by what is displayed, fills orders from what the opposite side displays
    /// within their price.
    pub fn on_book(&mut self, at: Nanos, book: &Book, hits: &mut Vec<Hit>) {
        for side in [Side::Buy, Side::Sell] {
            self.taken_mut(side).retain(|&price, taken| {
                *taken = (*taken).min(book.shown_at(side, price));
                !taken.is_zero()
            });
        }
        for side in [Side::Buy, Side::Sell] {
            let mut index = 0;
            while let Some(resting) = self.side_mut(side).get_mut(index) {
                resting.cap(at, book.shown_at(side, resting.price));
                let (price, left) = (resting.price, resting.left);
                let fill = self.take_displayed(book, side, price, left);
                self.side_mut(side)[index].fill(fill, hits);
                index += 1;
            }
            self.side_mut(side).retain(|resting| !resting.left.is_zero());
        }
    }

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
            let own = self.side(side).first().filter(|_| take.self_trade.is_some()).cloned();
            let within = |price: Price| take.limit.is_none_or(|limit| take.side.reaches(limit, price));
            let level = level.filter(|level| within(level.price));
            let own = own.filter(|own| within(own.price));
            let (price, mut available) = match (level, &own) {
                (None, None) => break,
                (Some(level), None) => (level.price, level.qty),
                (Some(level), Some(own)) if level.price == own.price => (level.price, level.qty.min(own.ahead)),
                (Some(level), Some(own)) if side.reaches(level.price, own.price) => (level.price, level.qty),
                (None | Some(_), Some(own)) => (own.price, Qty::ZERO),
            };
            available = available.min(left);
            if let Some(own) = own.filter(|_| available.is_zero()) {
                match self.meet_own(&own, take, left, steps) {
                    Some(traded) => left -= traded,
                    None => break,
                }
                continue;
            }
            self.note_taken(book, side, Level { price, qty: available });
            for behind in self.side_mut(side).iter_mut().filter(|resting| resting.price == price) {
                behind.ahead = (behind.ahead - available).max(Qty::ZERO);
            }
            steps.push(Step::Market { price, qty: available });
            left -= available;
        }
        left
    }

    /// Puts an order at the end of the queue at its price.
    pub fn join(&mut self, book: &Book, order: u64, side: Side, price: Price, left: Qty) {
        assert!(left > Qty::ZERO, "nothing to rest");
        let ahead = book.shown_at(side, price);
        let queue = self.side_mut(side);
        let place = queue.partition_point(|resting| side.reaches(resting.price, price));
        queue.insert(place, Resting { order, price, left, ahead, shrunk: VecDeque::new() });
    }

    /// Takes an order out of the queue; false when it was not there.
    pub fn leave(&mut self, side: Side, order: u64) -> bool {
        let queue = self.side_mut(side);
        let place = queue.iter().position(|resting| resting.order == order);
        place.map(|place| queue.remove(place)).is_some()
    }

    /// Market quantity ahead of a resting order at its price.
    pub fn ahead(&self, side: Side, order: u64) -> Option<Qty> {
        self.side(side).iter().find(|resting| resting.order == order).map(|resting| resting.ahead)
    }

    /// Meets the own order at the front: returns what traded, `None` when the taker goes no further.
    fn meet_own(&mut self, own: &Resting, take: Take, left: Qty, steps: &mut Vec<Step>) -> Option<Qty> {
        let side = take.side.opposite();
        match take.self_trade? {
            SelfTrade::None => {
                let qty = left.min(own.left);
                steps.push(Step::Own(Hit { order: own.order, price: own.price, qty }));
                let first = &mut self.side_mut(side)[0];
                first.left -= qty;
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
        book.shown(side).map(untaken).filter(|level| level.qty > Qty::ZERO)
    }

    /// Takes up to `qty` of what is displayed within `limit`; returns how much there was.
    fn take_displayed(&mut self, book: &Book, side: Side, limit: Price, qty: Qty) -> Qty {
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
        let taken = self.taken_mut(side).entry(level.price).or_default();
        *taken += level.qty;
        assert!(*taken <= book.shown_at(side, level.price), "no more is taken than is displayed");
    }

    const fn side(&self, side: Side) -> &Vec<Resting> {
        match side {
            Side::Buy => &self.bids,
            Side::Sell => &self.asks,
        }
    }

    const fn side_mut(&mut self, side: Side) -> &mut Vec<Resting> {
        match side {
            Side::Buy => &mut self.bids,
            Side::Sell => &mut self.asks,
        }
    }

    const fn taken(&self, side: Side) -> &BTreeMap<Price, Qty> {
        match side {
            Side::Buy => &self.taken_bids,
            Side::Sell => &self.taken_asks,
        }
    }

    const fn taken_mut(&mut self, side: Side) -> &mut BTreeMap<Price, Qty> {
        match side {
            Side::Buy => &mut self.taken_bids,
            Side::Sell => &mut self.taken_asks,
        }
    }
}

impl Resting {
    /// A trade at our price passes the queue: returns what of it reaches us. What the book has shown of it already
    /// moves the queue no further.
    fn pass(&mut self, at: Nanos, volume: Qty) -> Qty {
        self.forget_shrunk(at);
        let mut rest = volume;
        while let Some(oldest) = self.shrunk.front_mut().filter(|_| !rest.is_zero()) {
            let spent = oldest.qty.min(rest);
            oldest.qty -= spent;
            rest -= spent;
            if oldest.qty.is_zero() {
                self.shrunk.pop_front();
            }
        }
        let reaching = (rest - self.ahead).max(Qty::ZERO);
        self.ahead = (self.ahead - rest).max(Qty::ZERO);
        reaching
    }

    /// No more can be ahead than is displayed.
    fn cap(&mut self, at: Nanos, displayed: Qty) {
        if displayed < self.ahead {
            self.forget_shrunk(at);
            self.shrunk.push_back(Shrunk { at, qty: self.ahead - displayed });
            self.ahead = displayed;
        }
    }

    fn forget_shrunk(&mut self, at: Nanos) {
        let is_old = |shrunk: &Shrunk| at > shrunk.at + TRADE_LATE_MAX;
        while self.shrunk.front().is_some_and(is_old) {
            self.shrunk.pop_front();
        }
    }

    fn fill(&mut self, qty: Qty, hits: &mut Vec<Hit>) {
        assert!(qty >= Qty::ZERO && qty <= self.left, "a fill fits what is left");
        if !qty.is_zero() {
            self.left -= qty;
            hits.push(Hit { order: self.order, price: self.price, qty });
        }
    }
}

/// A trade may be told this long after the book has shown what it left. Beyond, the level had shrunk by cancels.
const TRADE_LATE_MAX: Duration = Duration::from_millis(200);

#[cfg(test)]
mod tests;
