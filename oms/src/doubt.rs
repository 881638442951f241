//! What must be asked about an order, and when: the schedule of queries that turns doubt into truth.
//!
//! "Not found" is not proof: it must be heard again and again for a while, and only after the request can no longer be on
//! its way.
//! Pure arithmetic on times. Runs on the oms thread.

use std::time::Duration;

use optiflow_base::clock::{Nanos, nanos_of};

/// An open question about one order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Doubt {
    due: Nanos,
    asked: bool,
    tries: u32,
    absences: u32,
    first_absence: Nanos,
    /// They are of an order that nothing had shown.
    unconfirmed: bool,
}

impl Doubt {
    /// A question to be asked at `due`.
    pub const fn new(due: Nanos) -> Doubt {
        Doubt { due, asked: false, tries: 0, absences: 0, first_absence: Nanos(0), unconfirmed: true }
    }

    /// Is it time to ask?
    pub fn is_due(&self, now: Nanos) -> bool {
        !self.asked && now >= self.due
    }

    /// Circumstances have changed: ask now, unless the query is on its way.
    pub fn hurry(&mut self, now: Nanos) {
        self.due = self.due.min(now);
    }

    /// There is no hurry: not before `due`, unless the query is on its way.
    pub fn put_off(&mut self, due: Nanos) {
        self.due = self.due.max(due);
    }

    /// The query is on its way.
    pub fn asked(&mut self) {
        assert!(!self.asked, "one query at a time");
        self.asked = true;
        self.tries = self.tries.saturating_add(1);
    }

    /// The query brought nothing usable, or not yet everything: ask again, later each time.
    pub fn again(&mut self, now: Nanos) {
        self.asked = false;
        self.absences = 0;
        let doublings = self.tries.min(RETRY_DOUBLINGS_MAX);
        self.due = now + RETRY_FIRST * 2u32.pow(doublings);
    }

    /// The exchange no longer knows an order that it had confirmed. Has it said so for so long that it will not
    /// remember? An exchange that was restored from a backup does that, and a simulated one that was started again.
    pub fn forgotten(&mut self, now: Nanos) -> bool {
        if self.unconfirmed {
            // What was not found before it was shown is no sign that it has been forgotten since.
            (self.unconfirmed, self.absences) = (false, 0);
        }
        self.missed(now);
        self.is_forgotten(now)
    }

    /// Do the absences so far say so?
    pub fn is_forgotten(&self, now: Nanos) -> bool {
        !self.unconfirmed
            && self.absences >= FORGOTTEN_NEEDED
            && now.since(self.first_absence) >= nanos_of(FORGOTTEN_AFTER)
    }

    /// The exchange does not know the order. Is that proof by now? It cannot be while the request, good until
    /// `expired`, may still arrive there.
    pub fn absent(&mut self, now: Nanos, expired: Nanos) -> bool {
        if now < expired {
            self.absences = 0;
            self.later(now + ABSENCE_APART);
            return false;
        }
        self.missed(now);
        self.is_absent(now)
    }

    fn missed(&mut self, now: Nanos) {
        if self.absences == 0 {
            self.first_absence = now;
        }
        self.absences = self.absences.saturating_add(1);
        self.later(now + ABSENCE_APART);
    }

    /// The query was answered: ask again at `due`; what was heard so far still counts.
    fn later(&mut self, due: Nanos) {
        (self.asked, self.tries, self.due) = (false, 0, due);
    }

    /// How long ago was "does not exist" first heard, with no other answer since? In nanoseconds.
    pub fn absent_for(&self, now: Nanos) -> u64 {
        if self.absences == 0 { 0 } else { now.since(self.first_absence) }
    }

    /// Do the absences so far say that it never was there?
    pub fn is_absent(&self, now: Nanos) -> bool {
        self.absences >= ABSENCES_NEEDED && now.since(self.first_absence) >= nanos_of(ABSENCE_LASTS)
    }
}

/// First pause between queries of one order; doubles up to 2^4 times as much.
const RETRY_FIRST: Duration = Duration::from_millis(250);
/// Doublings of the pause: 4 s at most.
const RETRY_DOUBLINGS_MAX: u32 = 4;
/// Answers "does not exist" that make a proof.
const ABSENCES_NEEDED: u32 = 3;
/// From one of them to the next question.
const ABSENCE_APART: Duration = Duration::from_secs(1);
/// Least time from the first to the last of them: queries of a new order lag for seconds.
const ABSENCE_LASTS: Duration = Duration::from_secs(3);
/// Answers "does not exist", without another in between, that end an order which was confirmed.
const FORGOTTEN_NEEDED: u32 = 8;
/// Least time from the first to the last of them: far longer than the exchange's queries were ever seen to lag.
const FORGOTTEN_AFTER: Duration = Duration::from_secs(10);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn absence_is_proven_by_answers_a_second_apart_for_three_seconds() {
        let mut doubt = Doubt::new(Nanos::from_millis(100));
        assert!(!doubt.is_due(Nanos::from_millis(99)));
        assert!(doubt.is_due(Nanos::from_millis(100)));
        doubt.asked();
        assert!(!doubt.is_due(Nanos::from_millis(100)), "one query at a time");
        for millis in [110, 1_110, 2_110, 3_110] {
            assert!(!doubt.is_due(Nanos::from_millis(millis - 1)) || millis == 110);
            assert!(doubt.is_due(Nanos::from_millis(millis)) || millis == 110);
            assert_eq!(doubt.absent(Nanos::from_millis(millis), Nanos(0)), millis == 3_110);
        }
    }

    #[test]
    fn absence_counts_only_when_the_request_can_no_longer_arrive() {
        let (mut doubt, expired) = (Doubt::new(Nanos(0)), Nanos::from_millis(3_000));
        let mut proven_at = None;
        for now in (0..10_000).map(Nanos::from_millis) {
            if proven_at.is_none() && doubt.is_due(now) {
                doubt.asked();
                proven_at = doubt.absent(now, expired).then_some(now.millis());
            }
        }
        assert!(proven_at.is_some_and(|at| at >= 6_000), "{proven_at:?}");
    }

    #[test]
    fn queries_without_an_answer_come_ever_more_slowly() {
        let mut doubt = Doubt::new(Nanos(0));
        let mut now = Nanos(0);
        let mut pauses = Vec::new();
        for _ in 0..7 {
            doubt.asked();
            doubt.again(now);
            pauses.push(doubt.due.since(now) / 1_000_000);
            now = doubt.due;
        }
        assert_eq!(pauses, [500, 1_000, 2_000, 4_000, 4_000, 4_000, 4_000]);
    }
}
