//! Our resting orders of one side, best first and then by arrival. Never answers, never fills by itself.

use super::super::ladder::NONE;
use super::super::orders::Image;
use super::super::queue::QueuePlace;

/// One resting order.
#[derive(Clone, Copy, Debug)]
pub(super) struct Resting {
    pub(super) image: Image,
    pub(super) key: i32,
    pub(super) place: QueuePlace,
    /// Parts that reached it while it waits to fill in one piece.
    pub(super) credit: i64,
}

impl Resting {
    /// Gives it `parts` of the market's volume, of which it may fill `most`; answers how many fill now.
    pub(super) fn give(&mut self, parts: i64, most: i64, partial_fills: bool) -> i64 {
        if partial_fills {
            return parts;
        }
        self.credit = (self.credit + parts).min(most);
        if self.credit == most { self.credit } else { 0 }
    }
}

/// One side's orders.
#[derive(Clone, Debug)]
pub(super) struct Own {
    orders: Vec<Resting>,
    best: i32,
    marks: Marks,
}

/// A bit for every key modulo their number: a row at a key without its bit concerns nothing that was marked.
#[derive(Clone, Copy, Debug)]
pub(super) struct Marks([u64; MARK_WORDS]);

impl Marks {
    pub(super) const fn new() -> Marks {
        Marks([0; MARK_WORDS])
    }

    #[inline]
    pub(super) const fn may_hold(&self, key: i32) -> bool {
        let (word, bit) = mark_of(key);
        self.0[word] & bit != 0
    }

    pub(super) const fn set(&mut self, key: i32) {
        let (word, bit) = mark_of(key);
        self.0[word] |= bit;
    }
}

impl Own {
    pub(super) fn new() -> Own {
        Own { orders: Vec::with_capacity(ORDERS_EXPECTED), best: NONE, marks: Marks::new() }
    }

    #[inline]
    pub(super) const fn is_empty(&self) -> bool {
        self.best == NONE
    }

    pub(super) fn orders(&self) -> &[Resting] {
        &self.orders
    }

    pub(super) fn orders_mut(&mut self) -> &mut [Resting] {
        &mut self.orders
    }

    /// The best key, [`NONE`] without orders.
    #[inline]
    pub(super) fn best(&self) -> i32 {
        self.best
    }

    #[inline]
    pub(super) fn may_rest_at(&self, key: i32) -> bool {
        self.marks.may_hold(key)
    }

    pub(super) fn at_mut(&mut self, key: i32) -> impl Iterator<Item = &mut Resting> {
        self.orders.iter_mut().skip_while(move |order| order.key > key).take_while(move |order| order.key == key)
    }

    /// The oldest order at `key`, and its place.
    pub(super) fn first_at(&self, key: i32) -> Option<(usize, &Resting)> {
        self.orders.iter().enumerate().find(|(_, order)| order.key == key)
    }

    /// The best key below `key`.
    pub(super) fn next_below(&self, key: i32) -> Option<i32> {
        self.orders.iter().map(|order| order.key).find(|other| *other < key)
    }

    pub(super) fn get(&self, id: u64) -> Option<&Resting> {
        self.orders.iter().find(|order| order.image.id == id)
    }

    pub(super) fn get_mut(&mut self, id: u64) -> Option<&mut Resting> {
        self.orders.iter_mut().find(|order| order.image.id == id)
    }

    pub(super) fn insert(&mut self, order: Resting) {
        let at = self.orders.partition_point(|other| other.key >= order.key);
        self.orders.insert(at, order);
        self.marks.set(order.key);
        self.best = self.orders[0].key;
    }

    pub(super) fn take(&mut self, id: u64) -> Option<Resting> {
        let at = self.orders.iter().position(|order| order.image.id == id)?;
        Some(self.remove(at))
    }

    pub(super) fn remove(&mut self, at: usize) -> Resting {
        let order = self.orders.remove(at);
        self.marks = Marks::new();
        for other in &self.orders {
            self.marks.set(other.key);
        }
        self.best = self.orders.first().map_or(NONE, |order| order.key);
        order
    }
}

#[inline]
const fn mark_of(key: i32) -> (usize, u64) {
    let slot = key as u32 as usize % (MARK_WORDS * 64);
    (slot / 64, 1 << (slot % 64))
}

const MARK_WORDS: usize = 16;
const ORDERS_EXPECTED: usize = 64;
