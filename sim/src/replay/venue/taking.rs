//! Our orders that meet the displayed book when they arrive.
//!
//! Compatible rules take in the peer's conventions: a whole order at the best price, or level by level with the
//! remainder at the limit. Realistic rules take what is displayed and not yet taken by us, and no more; where orders of
//! ours meet, one of them ends.

use optiflow_base::money::Side;

use super::super::ladder::NONE;
use super::super::links::Links;
use super::super::orders::{Image, OrderKind, Reason, Status, Tells, TimeInForce};
use super::super::terms::SelfTrade;
use super::super::{index_of, key_of};
use super::Venue;

impl Venue {
    /// Does the order meet the other side at once? What we took of it already is not there to be met.
    pub(super) fn crosses(&self, image: &Image) -> bool {
        let index = 1 - index_of(image.side);
        let mut other = self.book.best_key(index);
        while other != NONE && !self.taken[index].is_empty() && self.available(index, other) == 0 {
            other = self.book.key_below(index, other).unwrap_or(NONE);
        }
        match image.kind {
            OrderKind::Market => other != NONE,
            OrderKind::Limit => other != NONE && key_of(image.side, image.tick) + other >= 0,
        }
    }

    /// Does the order meet one of ours that rests, and may not?
    pub(super) fn meets_own(&self, image: &Image) -> bool {
        let own = self.own[1 - index_of(image.side)].best();
        let minds = image.self_trade != SelfTrade::None && image.time_in_force != TimeInForce::Fok;
        minds
            && own != NONE
            && match image.kind {
                OrderKind::Market => true,
                OrderKind::Limit => key_of(image.side, image.tick) + own >= 0,
            }
    }

    pub(super) fn take_market(&mut self, image: Image, now: i64, links: &mut Links) {
        match (self.rules.compatible, self.rules.partial_fills) {
            (true, false) => self.take_whole(image, now, links),
            (true, true) => self.take_levels_compatibly(image, now, links),
            (false, _) => self.take_levels(image, now, links),
        }
    }

    /// Any size at the best price.
    fn take_whole(&mut self, mut image: Image, now: i64, links: &mut Links) {
        let other = image.side.opposite();
        let tick = key_of(other, self.book.best_key(index_of(other)));
        let leaves = image.leaves;
        self.execute(&mut image, tick, leaves, now, links);
    }

    fn take_levels_compatibly(&mut self, mut image: Image, now: i64, links: &mut Links) {
        let other = image.side.opposite();
        let index = index_of(other);
        let best = self.book.best_key(index);
        let limit = match image.kind {
            OrderKind::Limit => key_of(other, image.tick),
            OrderKind::Market => best - MARKET_TICKS_MAX + i32::from(image.side == Side::Buy),
        };
        let is_limit = image.kind == OrderKind::Limit;
        if is_limit && image.time_in_force == TimeInForce::Fok && !self.is_enough(&image, limit) {
            return self.expire(image, Reason::None, now, links);
        }
        let rests_at_limit = is_limit && image.time_in_force == TimeInForce::Gtc;
        // The peer's sweep for a buyer ends one level before the limit, where the remainder trades anyway.
        let last = if rests_at_limit && image.side == Side::Buy { limit + 1 } else { limit };
        let mut next = Some(best);
        while let Some(key) = next.filter(|key| *key >= last) {
            let parts = self.book.parts_at(index, key).min(image.leaves);
            if parts > 0 {
                self.execute(&mut image, key_of(other, key), parts, now, links);
            }
            if image.status == Status::Filled {
                return;
            }
            next = self.book.key_below(index, key);
        }
        if rests_at_limit {
            let (tick, leaves) = (image.tick, image.leaves);
            self.execute(&mut image, tick, leaves, now, links);
        } else {
            self.expire(image, Reason::None, now, links);
        }
    }

    fn take_levels(&mut self, mut image: Image, now: i64, links: &mut Links) {
        let other = image.side.opposite();
        let index = index_of(other);
        let limit = match image.kind {
            OrderKind::Limit => key_of(other, image.tick),
            OrderKind::Market => NONE + 1,
        };
        if image.time_in_force == TimeInForce::Fok && !self.is_enough(&image, limit) {
            return self.expire(image, Reason::None, now, links);
        }
        let wanted = image.leaves;
        let minds_own = self.meets_own(&image);
        let mut next = self.key_after(index, i32::MAX, minds_own);
        while let Some(key) = next.filter(|key| *key >= limit) {
            if minds_own && !self.meet_own(&mut image, index, key, now, links) {
                return;
            }
            self.take_at(&mut image, index, key, i64::MAX, now, links);
            if image.status == Status::Filled {
                return;
            }
            next = self.key_after(index, key, minds_own);
        }
        if image.kind == OrderKind::Limit && image.time_in_force == TimeInForce::Gtc {
            let told = image.status == Status::PartiallyFilled && image.leaves < wanted;
            self.rest(image, told, now, links);
        } else {
            self.expire(image, Reason::None, now, links);
        }
    }

    /// The next displayed level worse than `key`, or one of our orders where it `minds` them.
    pub(super) fn key_after(&self, index: usize, key: i32, minds_own: bool) -> Option<i32> {
        let best = self.book.best_key(index);
        let market = if best < key { Some(best).filter(|best| *best != NONE) } else { self.book.key_below(index, key) };
        if minds_own { market.max(self.own[index].next_below(key)) } else { market }
    }

    /// The order meets ours that rest at `key`, after what is displayed ahead of them. Does it go on?
    fn meet_own(&mut self, image: &mut Image, index: usize, key: i32, now: i64, links: &mut Links) -> bool {
        let wanted = image.leaves;
        while let Some((at, order)) = self.own[index].first_at(key) {
            let ahead = (order.place.front.max(0.0) / self.rules.float(1)).round() as i64;
            self.take_at(image, index, key, ahead - (wanted - image.leaves), now, links);
            if image.status == Status::Filled {
                return false;
            }
            if image.self_trade != SelfTrade::ExpireTaker {
                let met = self.remove(index, at);
                self.expire(met.image, Reason::SelfTrade, now, links);
            }
            if image.self_trade != SelfTrade::ExpireMaker {
                self.expire(*image, Reason::SelfTrade, now, links);
                return false;
            }
        }
        true
    }

    /// Takes what is displayed at `key`, no more than `most`.
    pub(super) fn take_at(
        &mut self,
        image: &mut Image,
        index: usize,
        key: i32,
        most: i64,
        now: i64,
        links: &mut Links,
    ) {
        let displayed = if key <= self.book.best_key(index) { self.available(index, key) } else { 0 };
        let parts = displayed.min(most).min(image.leaves);
        if parts > 0 {
            self.taken[index].add(key, parts);
            self.execute(image, key_of(image.side.opposite(), key), parts, now, links);
        }
    }

    fn is_enough(&self, image: &Image, limit: i32) -> bool {
        let index = 1 - index_of(image.side);
        let mut missing = image.leaves;
        let mut next = Some(self.book.best_key(index));
        while let Some(key) = next.filter(|key| *key >= limit) {
            missing -= self.available(index, key);
            if missing * 2 <= self.rules.scale.parts_per_lot {
                return true;
            }
            next = self.book.key_below(index, key);
        }
        false
    }

    fn available(&self, index: usize, key: i32) -> i64 {
        (self.book.parts_at(index, key) - self.taken[index].at(key)).max(0)
    }

    fn execute(&mut self, image: &mut Image, tick: i32, parts: i64, now: i64, links: &mut Links) {
        image.execute(now, false, tick, parts, self.rules.scale.parts_per_lot);
        links.answer(now, *image, Tells::Fill);
        self.book_fill(image, now);
    }
}

/// How far the peer lets a market order sweep.
const MARKET_TICKS_MAX: i32 = 100;
