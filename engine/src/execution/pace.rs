//! Restraint: orders in any second, and the pause after refusals.
//!
//! Risk holds harder limits for all strategies; this keeps one of them from ever meeting them. Allocates once, in `new`.
//! Engine thread.

use std::time::Duration;

use optiflow_base::clock::Nanos;
use optiflow_base::order::{DenyReason, OrderChange, OrderEvent, TimeInForce};

use crate::orders::{OrderStage, OwnOrder};

/// At most so many orders in any second, a few of them kept for exits.
#[derive(Debug)]
pub struct Pace {
    /// When the last orders were placed; a ring, `next` is the oldest.
    placed: Vec<Nanos>,
    next: usize,
}

impl Pace {
    /// So many orders in any second, none placed yet.
    ///
    /// # Panics
    /// If that is none.
    pub fn new(orders_per_second_max: u32) -> Pace {
        assert!(orders_per_second_max > 0, "some order may be placed");
        Pace { placed: vec![Nanos(0); orders_per_second_max as usize], next: 0 }
    }

    /// May an order be placed so that `reserve` more could follow at once?
    pub fn allows(&self, now: Nanos, reserve: usize) -> bool {
        let len = self.placed.len();
        let oldest = self.placed[(self.next + reserve.min(len - 1)) % len];
        oldest == Nanos(0) || now.since(oldest) >= SECOND_NS
    }

    /// An order was placed.
    pub fn note(&mut self, now: Nanos) {
        self.placed[self.next] = now;
        self.next = (self.next + 1) % self.placed.len();
    }
}

/// Waits longer and longer while the same refusal repeats.
#[derive(Debug)]
pub struct Breaker {
    cooldown: Duration,
    pause: Duration,
    refusals_max: u32,
    last: Option<Setback>,
    /// Identical refusals in a row.
    count: u32,
    until: Nanos,
    /// A person has not been told yet.
    untold: bool,
}

/// Why an order came to nothing: two are identical when they are equal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Setback {
    /// Risk denied it.
    Denied(DenyReason),
    /// The exchange refused it.
    Refused(i32),
    /// None fits the filters.
    Unfit,
}

impl Breaker {
    /// Pauses for `cooldown` after a refusal, twice as long after each identical one, never longer than `pause`; after
    /// `refusals_max` in a row for `pause`, and a person is told.
    pub const fn new(cooldown: Duration, pause: Duration, refusals_max: u32) -> Breaker {
        Breaker { cooldown, pause, refusals_max, last: None, count: 0, until: Nanos(0), untold: false }
    }

    /// May an order be placed?
    pub fn allows(&self, now: Nanos) -> bool {
        now >= self.until
    }

    /// Takes in what happened to an order that this breaker watches over. A post-only order that would have taken (−5022)
    /// is no refusal: the market moved; it is asked again after a short rest.
    pub fn hear(&mut self, order: &OwnOrder, event: &OrderEvent) {
        let rested = order.time_in_force == TimeInForce::Gtx;
        match event.change {
            OrderChange::Denied(reason) if order.stage == OrderStage::Ended => {
                self.refused(Setback::Denied(reason), event.at);
            }
            OrderChange::Refused { code } => self.refused(Setback::Refused(code), event.at),
            OrderChange::Accepted { .. } => self.accepted(),
            OrderChange::Expired if rested => self.rest(event.at),
            OrderChange::Denied(_)
            | OrderChange::Expired
            | OrderChange::Sent
            | OrderChange::Unknown
            | OrderChange::Filled { .. }
            | OrderChange::CancelSent
            | OrderChange::CancelRefused { .. }
            | OrderChange::ModifySent
            | OrderChange::Modified { .. }
            | OrderChange::ModifyRefused { .. }
            | OrderChange::Done
            | OrderChange::Cancelled => {}
        }
    }

    /// Something was refused.
    pub fn refused(&mut self, setback: Setback, now: Nanos) {
        self.count = if self.last == Some(setback) { self.count.saturating_add(1) } else { 1 };
        self.last = Some(setback);
        let doubled = self.cooldown.saturating_mul(1 << (self.count - 1).min(DOUBLINGS_MAX));
        let tripped = self.count >= self.refusals_max;
        self.untold |= self.count == self.refusals_max;
        self.until = now + if tripped { self.pause } else { doubled.min(self.pause) };
    }

    /// A short rest that counts as no refusal: a post-only order would have taken.
    pub fn rest(&mut self, now: Nanos) {
        self.until = self.until.max(now + self.cooldown);
    }

    /// The exchange took an order: whatever was refused before is over.
    pub fn accepted(&mut self) {
        (self.last, self.count) = (None, 0);
    }

    /// What a person should be told, once.
    pub fn take_alarm(&mut self) -> Option<i64> {
        let untold = std::mem::take(&mut self.untold);
        match self.last {
            Some(Setback::Refused(code)) if untold => Some(i64::from(code)),
            Some(Setback::Denied(_) | Setback::Unfit) if untold => Some(0),
            Some(_) | None => None,
        }
    }
}

const SECOND_NS: u64 = 1_000_000_000;
/// The pause doubles at most so often before its bound is reached anyway.
const DOUBLINGS_MAX: u32 = 16;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_second_holds_a_bounded_number_of_orders_and_a_reserve() {
        let mut pace = Pace::new(3);
        let ms = Nanos::from_millis;
        for at in [1_000, 1_010] {
            assert!(pace.allows(ms(at), 1));
            pace.note(ms(at));
        }
        assert!(!pace.allows(ms(1_020), 1), "the last one is reserved");
        assert!(pace.allows(ms(1_020), 0));
        pace.note(ms(1_020));
        assert!(!pace.allows(ms(1_999), 0));
        assert!(pace.allows(ms(2_000), 0) && !pace.allows(ms(2_000), 1));
        assert!(pace.allows(ms(2_010), 1));
    }

    #[test]
    fn the_pause_grows_with_identical_refusals_and_a_person_is_told_once() {
        let mut breaker = Breaker::new(Duration::from_millis(100), Duration::from_secs(5), 3);
        let ms = Nanos::from_millis;
        breaker.refused(Setback::Refused(-2019), ms(1_000));
        assert!(!breaker.allows(ms(1_099)) && breaker.allows(ms(1_100)));
        breaker.refused(Setback::Refused(-2019), ms(2_000));
        assert!(!breaker.allows(ms(2_199)) && breaker.allows(ms(2_200)));
        assert_eq!(breaker.take_alarm(), None);
        breaker.refused(Setback::Refused(-2019), ms(3_000));
        assert!(!breaker.allows(ms(7_999)) && breaker.allows(ms(8_000)));
        assert_eq!((breaker.take_alarm(), breaker.take_alarm()), (Some(-2019), None));
        breaker.refused(Setback::Denied(DenyReason::OrderRate), ms(9_000));
        assert!(breaker.allows(ms(9_100)), "another refusal counts from one");
        breaker.accepted();
        breaker.refused(Setback::Denied(DenyReason::OrderRate), ms(10_000));
        assert!(breaker.allows(ms(10_100)));
    }
}
