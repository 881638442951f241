//! The order book of one symbol, and the view of it that decisions are made on.
//!
//! What it does: applies the events of the market ring; holds every level of both sides; lays the last bookTicker over
//! the stored levels while it is newer than the last diff, and holds the stored levels against it when both are of the
//! same update; knows how far from the touch the last snapshot reached: beyond, only what diffs told is known, and a
//! level that nobody told is not an empty one.
//! What it never does: judges sequence numbers (the feed has proven them), allocates after `new`, panics on anything
//! the market sends: a level off the tick grid or of negative quantity loses the book until the next snapshot; a
//! bookTicker like that is dropped with the one before it, and the stored levels show again.
//! Nothing can be read between the start of a depth message and its end. Engine thread.

use optiflow_base::market::{BookLoss, Level, MarketBody};
use optiflow_base::money::{Price, Qty, Side};

use grid::Grid;
use ladder::{Ladder, Walk};
use trust::trusted_of;

mod bitmap;
mod far;
mod grid;
mod ladder;
mod trust;

/// The order book of one symbol.
#[derive(Debug)]
pub struct Book {
    grid: Grid,
    bids: Ladder,
    asks: Ladder,
    state: BookState,
    /// A depth message has begun and not ended.
    applying: bool,
    last_id: u64,
    ticker: Option<Ticker>,
    view: Touch,
    overlaid: bool,
    disagrees: bool,
    /// The message being applied is a snapshot.
    whole: bool,
    /// Lowest bid and highest ask at which every level is known.
    trusted: [Option<Price>; 2],
}

/// May the book be believed?
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BookState {
    /// No snapshot yet.
    Empty,
    /// A snapshot and every diff since.
    Synced,
    /// Not until the next snapshot.
    Lost(BookLoss),
}

/// What an event did to the book.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Applied {
    /// Nothing: not about the book, out of date, or the book is waiting for a snapshot.
    Nothing,
    /// A part of a message: nothing may be read yet.
    Part,
    /// The message is complete: the view is up to date.
    Complete,
    /// The book has just become unbelievable.
    Lost(BookLoss),
}

/// Best bid and best ask of the view.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Touch {
    /// Best bid; `None` when there is none.
    pub bid: Option<Level>,
    /// Best ask; `None` when there is none.
    pub ask: Option<Level>,
}

/// The last bookTicker.
#[derive(Clone, Copy, Debug)]
struct Ticker {
    update_id: u64,
    touch: Touch,
    bid_key: i64,
    ask_key: i64,
}

impl Book {
    /// An empty book on the grid of `tick_size`. Allocates about 2 MB, and never again.
    ///
    /// # Panics
    /// If the tick is not positive.
    pub fn new(tick_size: Price) -> Book {
        Book {
            grid: Grid::new(tick_size),
            bids: Ladder::new(),
            asks: Ladder::new(),
            state: BookState::Empty,
            applying: false,
            last_id: 0,
            ticker: None,
            view: Touch::default(),
            overlaid: false,
            disagrees: false,
            whole: false,
            trusted: [None; 2],
        }
    }

    /// Applies one event of this book's symbol.
    #[inline]
    pub fn apply(&mut self, body: &MarketBody) -> Applied {
        match body {
            MarketBody::DepthStart { snapshot, empty, last_id, .. } => self.start(*snapshot, *empty, *last_id),
            MarketBody::Levels { side, count, end, levels, .. } => {
                self.levels_of(*side, levels.get(..usize::from(*count)), *end)
            }
            MarketBody::Top { update_id, bid, ask, .. } => self.top(*update_id, *bid, *ask),
            MarketBody::BookLost { reason, .. } => self.lose(*reason),
            MarketBody::Trade { .. } | MarketBody::Mark { .. } | MarketBody::Silence { .. } => Applied::Nothing,
        }
    }

    /// May the book be believed?
    pub const fn state(&self) -> BookState {
        self.state
    }

    /// Best bid and ask of the view; nothing between the start and the end of a message, or when not synced.
    #[inline]
    pub fn touch(&self) -> Touch {
        if self.is_readable() { self.view } else { Touch::default() }
    }

    /// Best bid or best ask of the view.
    pub fn best(&self, side: Side) -> Option<Level> {
        match side {
            Side::Buy => self.touch().bid,
            Side::Sell => self.touch().ask,
        }
    }

    /// Both sides are there and the best bid is below the best ask: the only state in which to decide anything.
    pub fn is_tradable(&self) -> bool {
        matches!(self.touch(), Touch { bid: Some(bid), ask: Some(ask) } if bid.price < ask.price)
    }

    /// Complete and synced, but the best bid is not below the best ask.
    pub fn is_crossed(&self) -> bool {
        matches!(self.touch(), Touch { bid: Some(bid), ask: Some(ask) } if bid.price >= ask.price)
    }

    /// Is the touch the last bookTicker's, because it is newer than the last diff?
    pub const fn is_overlaid(&self) -> bool {
        self.overlaid
    }

    /// Does the bookTicker say otherwise at the very same update id? Every recorded one that can be compared so is equal
    /// to the book: the book is wrong.
    pub const fn disagrees(&self) -> bool {
        self.disagrees
    }

    /// Worst price of a side up to which every level is known; beyond it a snapshot was cut off, and only levels that
    /// changed since are there. `None`: the whole side is known.
    pub const fn trusted(&self, side: Side) -> Option<Price> {
        self.trusted[side as usize]
    }

    /// Has the touch come so near to what the last snapshot did not tell that levels behind it may be missing?
    pub fn is_out_of_range(&self) -> bool {
        let Touch { bid, ask } = self.touch();
        let below = |level: Level| self.trusted(Side::Buy).is_some_and(|edge| level.price <= edge);
        let above = |level: Level| self.trusted(Side::Sell).is_some_and(|edge| level.price >= edge);
        bid.is_some_and(below) || ask.is_some_and(above)
    }

    /// Levels of one side of the view, best first. Cheap to begin: take as many as are needed.
    #[inline]
    pub fn levels(&self, side: Side) -> Levels<'_> {
        let touch = self.touch();
        let (ladder, first) = match side {
            Side::Buy => (&self.bids, touch.bid),
            Side::Sell => (&self.asks, touch.ask),
        };
        let walk = match (self.is_readable(), self.overlaid, self.ticker) {
            (false, _, _) => None,
            (true, true, Some(ticker)) => Some(ladder.walk(Some(ticker.key(side)))),
            (true, _, _) => Some(ladder.walk(None)),
        };
        let first = if self.overlaid { first } else { None };
        Levels { grid: self.grid, side, first, walk }
    }

    /// Stored levels of one side, best first, without the bookTicker's overlay: what the diffs alone say.
    pub fn stored_levels(&self, side: Side) -> Levels<'_> {
        let ladder = match side {
            Side::Buy => &self.bids,
            Side::Sell => &self.asks,
        };
        let walk = self.is_readable().then(|| ladder.walk(None));
        Levels { grid: self.grid, side, first: None, walk }
    }

    /// How many levels are stored on one side.
    pub const fn stored_len(&self, side: Side) -> usize {
        match side {
            Side::Buy => self.bids.len(),
            Side::Sell => self.asks.len(),
        }
    }

    /// Levels far from the touch that were forgotten because there was no room for them.
    pub const fn forgotten(&self) -> u64 {
        self.bids.forgotten() + self.asks.forgotten()
    }

    /// Update id of the last depth message.
    pub const fn last_id(&self) -> u64 {
        self.last_id
    }

    /// The book is not to be believed any longer, for a reason that it cannot see itself.
    pub(crate) fn distrust(&mut self, reason: BookLoss) -> Applied {
        self.lose(reason)
    }

    fn start(&mut self, snapshot: bool, empty: bool, last_id: u64) -> Applied {
        if snapshot {
            self.bids.clear();
            self.asks.clear();
            self.state = BookState::Synced;
        } else if self.state != BookState::Synced {
            return Applied::Nothing;
        } else if self.applying || last_id < self.last_id {
            return self.lose(BookLoss::Malformed);
        }
        self.last_id = last_id;
        self.whole = snapshot;
        self.applying = true;
        if empty { self.finish() } else { Applied::Part }
    }

    fn levels_of(&mut self, side: Side, levels: Option<&[Level]>, end: bool) -> Applied {
        if self.state != BookState::Synced {
            return Applied::Nothing;
        }
        let (true, Some(levels)) = (self.applying, levels) else { return self.lose(BookLoss::Malformed) };
        for level in levels {
            let (Some(tick), true) = (self.grid.tick_of(level.price), level.qty >= Qty::ZERO) else {
                return self.lose(BookLoss::Malformed);
            };
            match side {
                Side::Buy => self.bids.set(tick, level.qty.units()),
                Side::Sell => self.asks.set(-tick, level.qty.units()),
            }
        }
        if end { self.finish() } else { Applied::Part }
    }

    fn finish(&mut self) -> Applied {
        assert!(self.applying, "a message begins before it ends");
        self.bids.settle();
        self.asks.settle();
        self.applying = false;
        if self.whole {
            self.trusted =
                [trusted_of(self.grid, Side::Buy, &self.bids), trusted_of(self.grid, Side::Sell, &self.asks)];
        }
        self.refresh();
        Applied::Complete
    }

    fn top(&mut self, update_id: u64, bid: Level, ask: Level) -> Applied {
        if self.ticker.is_some_and(|ticker| update_id < ticker.update_id) {
            return Applied::Nothing;
        }
        let (Some(bid_touch), Some(ask_touch)) = (self.touch_of(bid), self.touch_of(ask)) else {
            self.ticker = None;
            return self.ticker_changed();
        };
        self.ticker = Some(Ticker {
            update_id,
            touch: Touch { bid: bid_touch.map(|_| bid), ask: ask_touch.map(|_| ask) },
            bid_key: bid_touch.unwrap_or(0),
            ask_key: ask_touch.map_or(i64::MIN, |tick| -tick),
        });
        self.ticker_changed()
    }

    fn ticker_changed(&mut self) -> Applied {
        match (self.state, self.applying) {
            (BookState::Synced, true) => Applied::Part,
            (BookState::Synced, false) => {
                self.refresh();
                Applied::Complete
            }
            (BookState::Empty | BookState::Lost(_), _) => Applied::Nothing,
        }
    }

    /// The tick of one side of a bookTicker: `Some(None)` when the side is empty, `None` when it makes no sense.
    fn touch_of(&self, level: Level) -> Option<Option<i64>> {
        if level.qty.is_zero() {
            return Some(None);
        }
        if level.qty < Qty::ZERO { None } else { self.grid.tick_of(level.price).map(Some) }
    }

    /// The ticker goes too: after a loss the exchange may have restarted its ids, and an old one would win for ever.
    fn lose(&mut self, reason: BookLoss) -> Applied {
        self.state = BookState::Lost(reason);
        self.applying = false;
        self.ticker = None;
        self.overlaid = false;
        self.disagrees = false;
        self.view = Touch::default();
        Applied::Lost(reason)
    }

    #[inline]
    fn refresh(&mut self) {
        let newer = self.ticker.filter(|ticker| ticker.update_id > self.last_id);
        self.overlaid = newer.is_some();
        self.view = match newer {
            Some(ticker) => ticker.touch,
            None => Touch {
                bid: self.bids.best().map(|(key, qty)| level_at(self.grid, Side::Buy, key, qty)),
                ask: self.asks.best().map(|(key, qty)| level_at(self.grid, Side::Sell, key, qty)),
            },
        };
        self.disagrees = self.ticker.is_some_and(|it| it.update_id == self.last_id && it.touch != self.view);
    }

    #[inline]
    fn is_readable(&self) -> bool {
        self.state == BookState::Synced && !self.applying
    }
}

impl Ticker {
    const fn key(&self, side: Side) -> i64 {
        match side {
            Side::Buy => self.bid_key,
            Side::Sell => self.ask_key,
        }
    }
}

impl Touch {
    /// Best bid and best ask, when there are both.
    pub const fn both(&self) -> Option<(Level, Level)> {
        match (self.bid, self.ask) {
            (Some(bid), Some(ask)) => Some((bid, ask)),
            (None, _) | (_, None) => None,
        }
    }
}

/// Levels of one side, best first.
#[derive(Clone, Debug)]
pub struct Levels<'a> {
    grid: Grid,
    side: Side,
    first: Option<Level>,
    walk: Option<Walk<'a>>,
}

impl Iterator for Levels<'_> {
    type Item = Level;

    #[inline]
    fn next(&mut self) -> Option<Level> {
        if let Some(first) = self.first.take() {
            return Some(first);
        }
        let (key, qty) = self.walk.as_mut()?.next()?;
        Some(level_at(self.grid, self.side, key, qty))
    }
}

#[inline]
fn level_at(grid: Grid, side: Side, key: i64, qty: i64) -> Level {
    let tick = match side {
        Side::Buy => key,
        Side::Sell => -key,
    };
    Level { price: grid.price_of(tick), qty: Qty::from_units(qty) }
}

#[cfg(test)]
mod tests;
