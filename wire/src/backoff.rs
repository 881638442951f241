//! How long to wait before dialling again: doubling, capped, jittered from a seed.

use std::time::Duration;

/// Failures in a row, turned into waits.
#[derive(Debug)]
pub(crate) struct Backoff {
    base: Duration,
    cap: Duration,
    failures: u32,
    rng: fastrand::Rng,
}

impl Backoff {
    pub(crate) fn new(base: Duration, cap: Duration, rng: fastrand::Rng) -> Backoff {
        assert!(base <= cap, "the first wait is the shortest");
        Backoff { base, cap, failures: 0, rng }
    }

    /// The connection has proven itself.
    pub(crate) fn reset(&mut self) {
        self.failures = 0;
    }

    /// Counts a failure: between half of the doubled base and all of it, so that clients do not return in step.
    pub(crate) fn after_failure(&mut self) -> Duration {
        let doubled = self.base.saturating_mul(1 << self.failures.min(DOUBLINGS_MAX));
        self.failures = self.failures.saturating_add(1);
        let whole = doubled.min(self.cap);
        whole.mul_f64(0.5 + 0.5 * self.rng.f64())
    }

    /// Counts a drop of our own: none at first, but whoever keeps dropping waits like whoever keeps failing.
    pub(crate) fn after_drop(&mut self) -> Duration {
        if self.failures > 0 {
            return self.after_failure();
        }
        self.failures = 1;
        Duration::ZERO
    }
}

/// Beyond this the cap has long been reached.
const DOUBLINGS_MAX: u32 = 20;

#[cfg(test)]
mod tests {
    use super::*;

    fn backoff(seed: u64) -> Backoff {
        Backoff::new(Duration::from_millis(250), Duration::from_secs(30), fastrand::Rng::with_seed(seed))
    }

    #[test]
    fn waits_double_up_to_the_cap_within_half_and_whole() {
        for seed in 0..50 {
            let mut backoff = backoff(seed);
            let mut whole = Duration::from_millis(250);
            for _ in 0..40 {
                let wait = backoff.after_failure();
                assert!(wait >= whole / 2 && wait <= whole, "{wait:?} of {whole:?}");
                whole = (whole * 2).min(Duration::from_secs(30));
            }
            backoff.reset();
            assert!(backoff.after_failure() <= Duration::from_millis(250));
        }
    }

    #[test]
    fn the_first_drop_is_free_and_the_next_is_not() {
        let mut backoff = backoff(1);
        assert_eq!(backoff.after_drop(), Duration::ZERO);
        assert!(backoff.after_drop() >= Duration::from_millis(250));
    }
}
