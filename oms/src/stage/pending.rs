//! Requests on the order socket that have no answer yet.
//!
//! Request numbers rise, so a request sits in the slot that its number names; the oldest is found without searching.
//! A request whose time is up is told once and kept until its slot is needed: a late answer is still the truth.
//! Bounded and allocated once; runs on the oms thread.

use std::time::Duration;

use optiflow_base::clock::{Nanos, nanos_of};
use optiflow_base::ids::OrderId;

/// What a request asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Asked {
    /// A new order.
    Place(OrderId),
    /// A cancel.
    Cancel(OrderId),
    /// Other terms of an order.
    Modify(OrderId),
    /// Where an order stands.
    Status(OrderId),
    /// A session.
    Logon,
}

/// One of the two order sockets: an answer comes on the socket on which its request left, or never.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Line {
    /// The one that is used first.
    First,
    /// The one that begins as the spare.
    Second,
}

impl Line {
    /// The other one.
    pub const fn other(self) -> Line {
        match self {
            Line::First => Line::Second,
            Line::Second => Line::First,
        }
    }

    /// As an index into a pair.
    pub const fn index(self) -> usize {
        match self {
            Line::First => 0,
            Line::Second => 1,
        }
    }
}

/// A request on its way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Request {
    /// Its number.
    pub number: u64,
    /// What it asked for.
    pub asked: Asked,
    /// To which socket it was handed.
    pub line: Line,
    /// When.
    pub sent: Nanos,
    /// Its time was up before the answer came.
    pub late: bool,
}

/// All requests on their way.
#[derive(Debug)]
pub struct Pending {
    slots: Vec<Option<Request>>,
    next: u64,
    /// Everything below is answered or late.
    oldest: u64,
    timeout: Duration,
}

impl Pending {
    /// Requests that are late after `timeout`.
    pub fn new(timeout: Duration) -> Pending {
        Pending { slots: vec![None; SLOTS_LEN], next: 1, oldest: 1, timeout }
    }

    /// The number of the next request; `None` while too many are on their way.
    pub fn next_number(&self) -> Option<u64> {
        // Whatever waits is no older than `oldest`, so the slot itself, which nobody has touched for long, is not looked at.
        (self.next - self.oldest < SLOTS_LEN as u64).then_some(self.next)
    }

    /// The request with the number given by `next_number` has been handed to the socket.
    pub fn sent(&mut self, asked: Asked, line: Line, sent: Nanos) {
        let number = self.next;
        let before = self.slots[slot(number)].replace(Request { number, asked, line, sent, late: false });
        assert!(before.is_none_or(|request| request.late), "a slot is free before it is used");
        self.next += 1;
        assert!(self.next - self.oldest <= SLOTS_LEN as u64, "what is on its way fits its slots");
    }

    /// The request that an answer belongs to; `None` for answers to nothing of ours.
    pub fn answered(&mut self, number: u64) -> Option<Request> {
        let found = self.slots[slot(number)].take_if(|request| request.number == number)?;
        self.settle();
        Some(found)
    }

    /// A request whose time is up; each is told once.
    pub fn overdue(&mut self, now: Nanos) -> Option<Request> {
        let oldest = self.slots[slot(self.oldest)].as_mut().filter(|request| request.number == self.oldest)?;
        if now.since(oldest.sent) < nanos_of(self.timeout) {
            return None;
        }
        oldest.late = true;
        let found = *oldest;
        self.settle();
        Some(found)
    }

    /// A connection is gone: takes out the oldest request without an answer that left on it. None will come for any.
    pub fn lost(&mut self, line: Line) -> Option<Request> {
        let lost = |request: &mut Request, number| request.number == number && request.line == line && !request.late;
        let found = (self.oldest..self.next)
            .find_map(|number| self.slots[slot(number)].take_if(|request| lost(request, number)));
        self.settle();
        found
    }

    /// Is nothing on its way?
    pub const fn is_empty(&self) -> bool {
        self.oldest == self.next
    }

    /// The number of the next request, whether or not there is room for it.
    pub const fn next(&self) -> u64 {
        self.next
    }

    /// Are all requests before this number answered, lost or late?
    pub const fn are_over(&self, before: u64) -> bool {
        self.oldest >= before
    }

    fn settle(&mut self) {
        let waits =
            |slot: &Option<Request>, number| slot.is_some_and(|request| request.number == number && !request.late);
        while self.oldest < self.next && !waits(&self.slots[slot(self.oldest)], self.oldest) {
            self.oldest += 1;
        }
    }
}

const fn slot(number: u64) -> usize {
    (number % SLOTS_LEN as u64) as usize
}

/// Requests that may be on their way at once: far beyond what the exchange's order limits allow in a time-out.
const SLOTS_LEN: usize = 2048;

#[cfg(test)]
mod tests {
    use super::*;

    fn order(counter: u32) -> Asked {
        Asked::Place(OrderId::new(1, counter))
    }

    fn sent(pending: &mut Pending, counter: u32, at: u64) -> u64 {
        let number = pending.next_number().unwrap();
        pending.sent(order(counter), Line::First, Nanos::from_millis(at));
        number
    }

    #[test]
    fn answers_find_their_request_late_ones_too() {
        let mut pending = Pending::new(Duration::from_secs(2));
        let numbers: Vec<u64> = (0..4).map(|at| sent(&mut pending, at, u64::from(at) * 100)).collect();
        assert_eq!(pending.answered(numbers[1]).unwrap().asked, order(1));
        assert_eq!(pending.answered(numbers[1]), None, "once");
        assert_eq!(pending.answered(999_999), None, "not ours");
        assert_eq!(pending.overdue(Nanos::from_millis(1_999)), None);
        assert_eq!(pending.overdue(Nanos::from_millis(2_250)).unwrap().asked, order(0));
        assert_eq!(pending.overdue(Nanos::from_millis(2_250)).unwrap().asked, order(2));
        assert_eq!(pending.overdue(Nanos::from_millis(2_250)), None);
        assert!(pending.answered(numbers[0]).unwrap().late, "a late answer is still an answer");
        assert!(!pending.is_empty());
        assert_eq!(pending.lost(Line::First).unwrap().asked, order(3));
        assert_eq!(pending.lost(Line::First), None, "those that were late have been told before");
        assert!(pending.is_empty());
    }

    #[test]
    fn what_is_on_its_way_is_bounded() {
        let mut pending = Pending::new(Duration::from_secs(2));
        for counter in 0..SLOTS_LEN as u32 {
            sent(&mut pending, counter, 0);
        }
        assert_eq!(pending.next_number(), None);
        assert!(pending.overdue(Nanos::from_millis(2_000)).is_some());
        assert!(pending.next_number().is_some(), "a late request gives its slot up");
        sent(&mut pending, 9, 0);
        assert_eq!(std::iter::from_fn(|| pending.lost(Line::First)).count(), SLOTS_LEN);
        assert!(pending.is_empty());
    }

    proptest::proptest! {
        #[test]
        fn every_request_is_told_exactly_once(answers in proptest::collection::vec((0u64..64, 0u64..3), 0..200)) {
            let mut pending = Pending::new(Duration::from_millis(10));
            let (mut made, mut told, mut now) = (0u64, std::collections::BTreeMap::new(), 0);
            for (number, what) in answers {
                now += 1;
                match what {
                    0 => {
                        sent(&mut pending, 1, now);
                        made += 1;
                    }
                    1 => {
                        if let Some(request) = pending.answered(number).filter(|request| !request.late) {
                            *told.entry(request.number).or_insert(0) += 1;
                        }
                    }
                    _ => {
                        if let Some(request) = pending.overdue(Nanos::from_millis(now)) {
                            *told.entry(request.number).or_insert(0) += 1;
                        }
                    }
                }
            }
            while let Some(request) = pending.lost(Line::First) {
                *told.entry(request.number).or_insert(0) += 1;
            }
            proptest::prop_assert!(pending.is_empty());
            proptest::prop_assert_eq!(told.len() as u64, made);
            proptest::prop_assert!(told.values().all(|&times| times == 1));
        }
    }
}
