//! Request weight that this address has used in the running minute of the exchange's clock.
//!
//! Everybody who asks says what it costs before it leaves; where the exchange counts more, its count holds until the minute
//! turns. What can wait waits while only the share that is kept for cancels is left. Atomics; never waits. Any thread.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::Duration;

use optiflow_base::clock::Nanos;

/// The account of one address.
#[derive(Debug)]
pub struct Weight {
    /// The minute of Unix time, and the weight used in it.
    state: AtomicU64,
    limit: AtomicU32,
}

impl Weight {
    /// Counts what leaves at `theirs`, the exchange's time.
    pub fn spend(&self, theirs: Nanos, weight: u32) {
        self.change(theirs, |used| used.saturating_add(weight));
    }

    /// Adopts the exchange's count where it is higher: told in answer to what left at `asked` and was heard at `theirs`. When
    /// the minute has turned between them it cannot be known whose count it is.
    pub fn told(&self, asked: Nanos, theirs: Nanos, used: u32) {
        if minute(asked - CLOCK_ERROR_MAX) == minute(theirs) {
            self.change(theirs, |ours| ours.max(used));
        }
    }

    /// What is used at `theirs`.
    pub fn used(&self, theirs: Nanos) -> u32 {
        let (running, used) = parts(self.state.load(Ordering::Acquire));
        if running < minute(theirs) { 0 } else { used }
    }

    /// What is left for that which can wait: nothing of the share that is kept for cancels.
    pub fn room(&self, theirs: Nanos) -> u32 {
        let limit = self.limit.load(Ordering::Acquire);
        (limit - limit / KEPT_ONE_IN).saturating_sub(self.used(theirs))
    }

    /// How long something of this weight should wait: until the minute turns, unless there is room for it; in a minute in
    /// which nothing is used yet there always is.
    pub fn wait(&self, theirs: Nanos, weight: u32) -> Duration {
        if self.room(theirs) >= weight || self.used(theirs) == 0 {
            return Duration::ZERO;
        }
        Duration::from_nanos(MINUTE_NS - theirs.0 % MINUTE_NS)
    }

    /// Replaces the limit by the exchange's own.
    pub fn set_limit(&self, limit: u32) {
        self.limit.store(limit, Ordering::Release);
    }

    fn change(&self, theirs: Nanos, how: impl Fn(u32) -> u32) {
        let now = minute(theirs);
        let changed = |state: u64| {
            let (running, used) = parts(state);
            // A clock that was set back a little is in the minute that it has seen begin; one that was far off starts anew.
            let same = running == now || running == now.saturating_add(1);
            Some(if same { whole(running, how(used)) } else { whole(now, how(0)) })
        };
        // The closure never gives up.
        let _ = self.state.fetch_update(Ordering::AcqRel, Ordering::Acquire, changed);
    }
}

impl Default for Weight {
    fn default() -> Weight {
        Weight { state: AtomicU64::new(0), limit: AtomicU32::new(LIMIT_USUAL) }
    }
}

/// Enough for eight thousand years.
fn minute(at: Nanos) -> u32 {
    u32::try_from(at.0 / MINUTE_NS).unwrap_or(u32::MAX)
}

const fn parts(state: u64) -> (u32, u32) {
    ((state >> 32) as u32, state as u32)
}

const fn whole(minute: u32, used: u32) -> u64 {
    (minute as u64) << 32 | used as u64
}

const MINUTE_NS: u64 = 60_000_000_000;
/// The exchange's clock may be behind what we take it to be by so much, and still show the minute before.
const CLOCK_ERROR_MAX: Duration = Duration::from_millis(20);
/// What the exchange gives an address in a minute, until it says otherwise.
const LIMIT_USUAL: u32 = 2_400;
/// The share that is kept for cancels.
const KEPT_ONE_IN: u32 = 10;

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> Nanos {
        Nanos(29_922_120 * MINUTE_NS + seconds * 1_000_000_000)
    }

    #[test]
    fn weight_is_counted_by_the_minute_and_raised_to_what_is_told_of_the_same() {
        let weight = Weight::default();
        weight.spend(at(1), 20);
        weight.told(at(2), at(2), 15);
        assert_eq!(weight.used(at(59)), 20, "never lowered");
        weight.told(at(3), at(3), 400);
        weight.spend(at(58), 5);
        assert_eq!((weight.used(at(59)), weight.used(at(60))), (405, 0));
        weight.told(at(59), at(61), 405);
        assert_eq!(weight.used(at(61)), 0, "it was the last minute's");
        weight.told(at(60), at(60), 405);
        assert_eq!(weight.used(at(60)), 0, "and so may this be: clocks differ");
        weight.spend(at(61), 1);
        weight.spend(at(59), 1);
        assert_eq!(weight.used(at(61)), 2, "a clock set back a little");
    }

    #[test]
    fn the_last_tenth_is_kept_for_cancels() {
        let weight = Weight::default();
        weight.set_limit(100);
        weight.spend(at(0), 85);
        assert_eq!((weight.room(at(1)), weight.room(at(60))), (5, 90));
        assert_eq!(weight.wait(at(1), 5), Duration::ZERO);
        assert_eq!((weight.wait(at(1), 6), weight.wait(at(60), 6)), (Duration::from_secs(59), Duration::ZERO));
        assert_eq!(weight.wait(at(60), 1_000), Duration::ZERO, "there will never be more room");
        weight.spend(at(2), 10);
        assert_eq!(weight.room(at(3)), 0);
    }
}
