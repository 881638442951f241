//! The exchange's side: its book in its own time, our orders resting in it, and what becomes of both.
//!
//! What it does: applies market rows, accepts requests, estimates queues, fills and answers; with realistic rules it
//! keeps the account as the exchange does. What it never does: it never changes the market's book for our orders
//! (realistic rules remember what we took instead), and never looks at local time.

mod admission;
mod own;
mod requests;
mod settling;
mod taken;
mod taking;

use optiflow_base::decimal::UNITS;
use optiflow_base::money::{Price, Side};

use super::ladder::{Ladder, NONE};
use super::ledger::Ledger;
use super::links::Links;
use super::orders::{Image, Reason, Status, Tells};
use super::queue::{QueueModel, QueuePlace};
use super::rows::{Kind, Row};
use super::terms::{Terms, Windows};
use super::{ReplayConfig, Scale};

use self::own::{Own, Resting};
use self::settling::Alarms;
use self::taken::Taken;

/// The exchange's side.
#[derive(Clone, Debug)]
pub struct Venue {
    book: Ladder,
    own: [Own; 2],
    /// What we took of levels that still display it, by side: realistic rules only.
    taken: [Taken; 2],
    queue: QueueModel,
    rules: Rules,
    alarms: Alarms,
    /// The account in the exchange's time: ahead of the trader's by what is on its way home.
    account: Ledger,
    /// The latest mark price; zero where none was told.
    mark: Price,
    terms: Terms,
    windows: Windows,
    /// Reduce-only orders that rest.
    reducing: usize,
}

#[derive(Clone, Copy, Debug)]
struct Rules {
    scale: Scale,
    lot: f64,
    partial_fills: bool,
    compatible: bool,
}

impl Rules {
    fn float(&self, parts: i64) -> f64 {
        self.scale.qty(parts).units() as f64 / UNITS as f64
    }
}

impl Venue {
    /// An exchange without a market yet.
    pub fn new(config: &ReplayConfig) -> Venue {
        let lot = config.scale.lot.units() as f64 / UNITS as f64;
        let rules =
            Rules { scale: config.scale, lot, partial_fills: config.partial_fills, compatible: config.compatible };
        let book = Ladder::new(config.scale.parts_per_lot, config.compatible);
        Venue {
            book,
            own: [Own::new(), Own::new()],
            taken: [Taken::new(), Taken::new()],
            queue: config.queue,
            rules,
            alarms: Alarms::new(),
            account: Ledger::new(config),
            mark: Price::ZERO,
            terms: if config.compatible { Terms::default() } else { config.terms },
            windows: Windows::default(),
            reducing: 0,
        }
    }

    /// The exchange's book; while nothing of ours is there it may be some seconds behind.
    pub const fn book(&self) -> &Ladder {
        &self.book
    }

    /// What is resting on `side`, best first, then by arrival.
    pub fn resting(&self, side: Side) -> impl Iterator<Item = &Image> {
        self.own[super::index_of(side)].orders().iter().map(|order| &order.image)
    }

    /// The estimated quantity ahead of a resting order, in the base asset.
    pub fn ahead(&self, id: u64) -> Option<f64> {
        self.own.iter().find_map(|own| own.get(id)).map(|order| order.place.front)
    }

    /// The account in the exchange's time, which no trader may see.
    pub const fn account(&self) -> &Ledger {
        &self.account
    }

    /// Applies a market row.
    #[inline]
    pub fn row(&mut self, row: &Row, links: &mut Links) {
        if row.is_level() {
            self.level(row.side_index(), row.key(), row.parts(), row.exchange_ns(), links);
        } else if row.is_trade() {
            // The other side's key of the same tick.
            let index = 1 - row.side_index();
            if self.own[index].best() >= -row.key() {
                self.trade(index, row, links);
            }
        } else {
            self.rare_row(row, links);
        }
    }

    /// Nothing of ours is here: whatever the market does, nothing is told.
    #[inline]
    pub const fn is_idle(&self) -> bool {
        let held = self.account.position_parts() != 0 && !self.rules.compatible;
        self.own[0].is_empty() && self.own[1].is_empty() && !held
    }

    #[inline(always)]
    fn level(&mut self, index: usize, key: i32, parts: i64, now: i64, links: &mut Links) {
        let best_before = self.book.best_key(index);
        let before = self.book.set_key(index, key, parts);
        if self.own[index].may_rest_at(key) {
            self.queue_level(index, key, before, parts);
        }
        if self.taken[index].may_hold(key) {
            self.taken[index].shown(key, self.book.parts_at(index, key));
        }
        if key.wrapping_add(self.own[1 - index].best()) >= 0 && self.book.is_level(parts) {
            let raised = key > best_before;
            if raised || !self.rules.compatible {
                self.cross(index, key, parts, now, links);
            }
        }
    }

    #[inline(never)]
    fn rare_row(&mut self, row: &Row, links: &mut Links) {
        match row.kind() {
            Kind::Top => {
                let (index, key) = (row.side_index(), row.key());
                self.queue_removed_above(index, key);
                let now = row.exchange_ns();
                let best = self.book.best_key(index);
                if best > key {
                    self.taken[index].forget_from(key + 1);
                    self.book.top_key(index, key, self.book.parts_at(index, key));
                }
                self.level(index, key, row.parts(), now, links);
            }
            Kind::Clear => {
                self.taken[row.side_index()].forget_from(row.key());
                self.book.clear(row.side(), row.tick());
            }
            Kind::ClearBoth => {
                self.taken.iter_mut().for_each(|taken| taken.forget_from(NONE));
                self.book.clear_both();
            }
            Kind::Mark if !self.rules.compatible => self.mark = row.price(),
            Kind::Funding if !self.rules.compatible => self.funding_row(row),
            Kind::Mark | Kind::Index | Kind::Funding => {}
            Kind::Depth | Kind::Snapshot | Kind::Trade => unreachable!("handled before"),
        }
    }

    fn queue_level(&mut self, index: usize, key: i32, before: i64, after: i64) {
        let (before, after) = (self.rules.float(before), self.rules.float(after));
        for order in self.own[index].at_mut(key) {
            self.queue.depth(&mut order.place, before, after);
        }
    }

    /// The ticker says nothing better than `key` exists: what was displayed there is gone.
    fn queue_removed_above(&mut self, index: usize, key: i32) {
        let Venue { own, book, queue, rules, .. } = self;
        for order in own[index].orders_mut().iter_mut().take_while(|order| order.key > key) {
            let before = rules.float(book.parts_at(index, order.key));
            queue.depth(&mut order.place, before, 0.0);
        }
    }

    /// A trade meets our orders at its price and better, in price-time order.
    fn trade(&mut self, index: usize, row: &Row, links: &mut Links) {
        let (key, now) = (-row.key(), row.exchange_ns());
        let compatible = self.rules.compatible;
        let mut left = row.parts();
        let mut at = 0;
        if !compatible {
            // Who trades at a worse price has found nothing left ahead of ours.
            let passed = self.own[index].orders_mut().iter_mut().take_while(|order| order.key > key);
            passed.for_each(|order| order.place = QueuePlace::default());
        }
        while let Some(order) = self.own[index].orders_mut().get_mut(at).filter(|order| order.key >= key) {
            if left == 0 && !compatible {
                break;
            }
            let fill = if compatible {
                compatible_share(order, key, left, &self.queue, &self.rules)
            } else {
                let most = most_of(order, self.account.position_parts());
                let share = realistic_share(order, most, key, left, &self.queue, &self.rules);
                left -= share;
                order.give(share, most, self.rules.partial_fills)
            };
            at += usize::from(!self.fill_resting(index, at, fill, now, links));
        }
        self.end_useless(now, links);
    }

    /// The market's level at `key` of side `index` meets our orders on the other side, with what we did not take of it.
    fn cross(&mut self, index: usize, key: i32, parts: i64, now: i64, links: &mut Links) {
        let other = 1 - index;
        let untaken = parts - self.taken[index].at(key);
        let mut left = untaken;
        let mut at = 0;
        while let Some(order) = self.own[other].orders_mut().get_mut(at).filter(|order| order.key + key >= 0) {
            let fill = if self.rules.compatible {
                order.image.leaves
            } else {
                let most = most_of(order, self.account.position_parts());
                let share = left.min((most - order.credit).max(0));
                left -= share;
                order.give(share, most, self.rules.partial_fills)
            };
            at += usize::from(!self.fill_resting(other, at, fill, now, links));
        }
        if left < untaken {
            self.taken[index].add(key, untaken - left);
        }
        self.end_useless(now, links);
    }

    /// Fills `parts` of the resting order at place `at`; is it gone?
    fn fill_resting(&mut self, index: usize, at: usize, parts: i64, now: i64, links: &mut Links) -> bool {
        if parts == 0 {
            return false;
        }
        let order = &mut self.own[index].orders_mut()[at];
        let tick = order.image.tick;
        order.image.execute(now, true, tick, parts, self.rules.scale.parts_per_lot);
        let image = order.image;
        order.credit = 0;
        links.answer(now, image, Tells::Fill);
        let done = image.status == Status::Filled;
        if done {
            self.remove(index, at);
        }
        self.book_fill(&image, now);
        done
    }

    fn book_fill(&mut self, image: &Image, now: i64) {
        self.account.book(image);
        self.watch(now);
    }

    /// Reduce-only orders that have nothing left to reduce end.
    fn end_useless(&mut self, now: i64, links: &mut Links) {
        if self.reducing == 0 {
            return;
        }
        for side in [Side::Buy, Side::Sell] {
            let index = super::index_of(side);
            while self.reducible(side) == 0
                && let Some(at) = self.own[index].orders().iter().position(|order| order.image.reduce_only)
            {
                let order = self.remove(index, at);
                self.expire(order.image, Reason::NotReducing, now, links);
            }
        }
    }

    fn remove(&mut self, index: usize, at: usize) -> Resting {
        let order = self.own[index].remove(at);
        self.reducing -= usize::from(order.image.reduce_only);
        order
    }
}

/// The most that a resting order may still fill, where `position` is what is held.
const fn most_of(order: &Resting, position: i64) -> i64 {
    let image = &order.image;
    let held = match image.side {
        Side::Buy => -position,
        Side::Sell => position,
    };
    if !image.reduce_only || held >= image.leaves {
        image.leaves
    } else if held < 0 {
        0
    } else {
        held
    }
}

/// The peer's way: every order sees the whole trade; beyond its price an order fills whatever its size.
fn compatible_share(order: &mut Resting, key: i32, traded: i64, queue: &QueueModel, rules: &Rules) -> i64 {
    if order.key > key {
        return order.image.leaves;
    }
    queue.trade(&mut order.place, rules.float(traded));
    match queue.take_executable(&mut order.place, rules.lot) {
        0 => 0,
        lots if rules.partial_fills => order.image.leaves.min(lots * rules.scale.parts_per_lot),
        _ => order.image.leaves,
    }
}

/// What of the `left` parts of a trade reaches the order: all it needs of its `most` beyond its price, what its queue
/// leaves at it.
fn realistic_share(order: &mut Resting, most: i64, key: i32, left: i64, queue: &QueueModel, rules: &Rules) -> i64 {
    let wanted = (most - order.credit).max(0);
    if order.key > key {
        return left.min(wanted);
    }
    queue.trade(&mut order.place, rules.float(left));
    let reached = queue.take_executable(&mut order.place, rules.lot) * rules.scale.parts_per_lot;
    reached.min(left).min(wanted)
}
