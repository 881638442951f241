//! The exchange's side: its book in its own time, our orders resting in it, and what becomes of both.
//!
//! What it does: applies market rows, accepts requests, estimates queues, fills and answers. What it never does: it
//! never changes the market's book for our orders (realistic rules remember what we took instead), and never looks
//! at local time.

mod own;
mod taking;

use optiflow_base::decimal::UNITS;
use optiflow_base::money::Side;

use super::ladder::Ladder;
use super::orders::{Image, Links, Request, Status, Tells, TimeInForce, Verb};
use super::queue::{QueueModel, QueuePlace};
use super::rows::{Kind, Row};
use super::{ReplayConfig, Scale, key_of};

use self::own::{Own, Resting};

/// The exchange's side.
#[derive(Clone, Debug)]
pub struct Venue {
    book: Ladder,
    own: [Own; 2],
    /// Displayed parts we took since the level was last told, by side and key: realistic rules only.
    taken: [Vec<(i32, i64)>; 2],
    queue: QueueModel,
    rules: Rules,
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
        Venue { book, own: [Own::new(), Own::new()], taken: [Vec::new(), Vec::new()], queue: config.queue, rules }
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

    /// Nothing rests here: whatever the market does, nothing is answered.
    #[inline]
    pub const fn is_idle(&self) -> bool {
        self.own[0].is_empty() && self.own[1].is_empty()
    }

    #[inline(always)]
    fn level(&mut self, index: usize, key: i32, parts: i64, now: i64, links: &mut Links) {
        let best_before = self.book.best_key(index);
        let before = self.book.set_key(index, key, parts);
        if self.own[index].may_rest_at(key) {
            self.queue_level(index, key, before, parts);
        }
        if !self.taken[index].is_empty() {
            self.taken[index].retain(|(at, _)| *at != key);
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
                    self.book.top_key(index, key, self.book.parts_at(index, key));
                }
                self.level(index, key, row.parts(), now, links);
            }
            Kind::Clear => self.book.clear(row.side(), row.tick()),
            Kind::ClearBoth => self.book.clear_both(),
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
        while let Some(order) = self.own[index].orders_mut().get_mut(at).filter(|order| order.key >= key) {
            if left == 0 && !compatible {
                break;
            }
            let fill = if compatible {
                compatible_share(order, key, left, &self.queue, &self.rules)
            } else {
                let share = realistic_share(order, key, left, &self.queue, &self.rules);
                left -= share;
                order.give(share, self.rules.partial_fills)
            };
            at += usize::from(!self.fill_resting(index, at, fill, now, links));
        }
    }

    /// The market's level at `key` of side `index` meets our orders on the other side.
    fn cross(&mut self, index: usize, key: i32, parts: i64, now: i64, links: &mut Links) {
        let other = 1 - index;
        let mut left = parts;
        let mut at = 0;
        while let Some(order) = self.own[other].orders_mut().get_mut(at).filter(|order| order.key + key >= 0) {
            let fill = if self.rules.compatible {
                order.image.leaves
            } else {
                let share = left.min(order.image.leaves - order.credit);
                left -= share;
                order.give(share, self.rules.partial_fills)
            };
            at += usize::from(!self.fill_resting(other, at, fill, now, links));
        }
        if !self.rules.compatible && left < parts {
            self.taken[index].push((key, parts - left));
        }
    }

    /// Fills `parts` of the resting order at place `at`; is it gone?
    fn fill_resting(&mut self, index: usize, at: usize, parts: i64, now: i64, links: &mut Links) -> bool {
        if parts == 0 {
            return false;
        }
        let order = &mut self.own[index].orders_mut()[at];
        let tick = order.image.tick;
        order.image.execute(now, true, tick, parts, self.rules.scale.parts_per_lot);
        links.answer(now, order.image, Tells::Fill);
        let done = order.image.status == Status::Filled;
        if done {
            self.own[index].remove(at);
        }
        done
    }

    /// Handles a request that arrives at `now`.
    pub fn request(&mut self, request: &Request, now: i64, links: &mut Links) {
        match request.verb {
            Verb::New => self.accept(request.image, now, links),
            Verb::Cancel => match self.take(request.image.id) {
                Some(order) => {
                    let image = Image { status: Status::Canceled, exchange_ns: now, ..order.image };
                    links.answer(now, image, Tells::State);
                }
                None => self.reject(request, now, links),
            },
            Verb::Modify => self.modify(request, now, links),
        }
    }

    fn reject(&self, request: &Request, now: i64, links: &mut Links) {
        links.answer(now, Image { exchange_ns: now, ..request.image }, Tells::Rejected);
    }

    fn take(&mut self, id: u64) -> Option<Resting> {
        self.own.iter_mut().find_map(|own| own.take(id))
    }

    /// The new quantity is the whole order's: what was executed counts towards it.
    fn modify(&mut self, request: &Request, now: i64, links: &mut Links) {
        let wanted = &request.image;
        let Some(order) = self.own.iter_mut().find_map(|own| own.get_mut(wanted.id)) else {
            return self.reject(request, now, links);
        };
        let old = order.image;
        let leaves = wanted.qty - old.executed();
        let grows = if self.rules.compatible { wanted.qty > old.leaves } else { leaves > old.leaves };
        let status = if old.executed() > 0 { Status::PartiallyFilled } else { Status::New };
        let image = Image {
            tick: wanted.tick,
            qty: wanted.qty,
            leaves,
            status,
            exchange_ns: now,
            requested_ns: wanted.requested_ns,
            ..old
        };
        if leaves <= 0 {
            self.take(wanted.id);
            links.answer(now, Image { leaves: 0, status: Status::Canceled, ..image }, Tells::State);
        } else if wanted.tick != old.tick || grows {
            self.take(wanted.id);
            self.accept(image, now, links);
        } else {
            order.image = image;
            order.credit = order.credit.min(leaves - 1);
            links.answer(now, image, Tells::State);
        }
    }

    /// An order comes to rest behind what is displayed; one that traded on arrival has been told of already.
    fn rest(&mut self, mut image: Image, told: bool, now: i64, links: &mut Links) {
        let index = super::index_of(image.side);
        let key = key_of(image.side, image.tick);
        image.ahead = self.book.parts_at(index, key);
        if !image.status.is_active() {
            image.status = Status::New;
        }
        image.exchange_ns = now;
        let place = QueuePlace::behind(self.rules.float(image.ahead));
        self.own[index].insert(Resting { image, key, place, credit: 0 });
        if !told {
            links.answer(now, image, Tells::State);
        }
    }

    fn expire(&self, image: Image, now: i64, links: &mut Links) {
        links.answer(now, Image { status: Status::Expired, exchange_ns: now, ..image }, Tells::State);
    }

    /// Accepts a new order, or a modified one as if it were new.
    fn accept(&mut self, image: Image, now: i64, links: &mut Links) {
        if self.crosses(&image) {
            return match image.time_in_force {
                TimeInForce::Gtx => self.expire(image, now, links),
                TimeInForce::Gtc | TimeInForce::Ioc | TimeInForce::Fok => self.take_market(image, now, links),
            };
        }
        match image.time_in_force {
            TimeInForce::Gtc | TimeInForce::Gtx if image.kind == super::orders::OrderKind::Limit => {
                self.rest(image, false, now, links);
            }
            TimeInForce::Gtc | TimeInForce::Gtx | TimeInForce::Ioc | TimeInForce::Fok => {
                self.expire(image, now, links);
            }
        }
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

/// What of the `left` parts of a trade reaches the order: all it needs beyond its price, what its queue leaves at it.
fn realistic_share(order: &mut Resting, key: i32, left: i64, queue: &QueueModel, rules: &Rules) -> i64 {
    let wanted = order.image.leaves - order.credit;
    if order.key > key {
        return left.min(wanted);
    }
    queue.trade(&mut order.place, rules.float(left));
    let reached = queue.take_executable(&mut order.place, rules.lot) * rules.scale.parts_per_lot;
    reached.min(left).min(wanted)
}
