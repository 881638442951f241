//! A token bucket: so many tokens at once, and one more every so often; for limits whose windows nobody tells us.
//!
//! However a window of `span` lies, no more than `limit` tokens leave in it: half of them may leave at once, the other half
//! comes back within the span. One number, changed atomically, so that several threads may draw from one bucket.
//! Never waits: it says from when on there will be a token. Any thread.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crate::clock::{Nanos, nanos_of};

/// Tokens that return one by one.
#[derive(Debug)]
pub struct Bucket {
    /// From one token to the next.
    period_ns: u64,
    /// Tokens of a full bucket.
    burst: u64,
    /// When it will be full again.
    full_at: AtomicU64,
}

impl Bucket {
    /// A full one: never more than `limit` tokens in any `span`.
    ///
    /// # Panics
    /// If there are fewer than two tokens to a span: half of them must be one at least.
    pub fn new(limit: u32, span: Duration) -> Bucket {
        assert!(limit >= 2 && nanos_of(span) >= u64::from(limit), "half of {limit} tokens, one by one, in {span:?}");
        let burst = u64::from(limit / 2);
        // Rounded up: never earlier than it may.
        let period_ns = nanos_of(span).div_ceil(u64::from(limit) - burst);
        Bucket { period_ns, burst, full_at: AtomicU64::new(0) }
    }

    /// Takes a token if `reserve` tokens remain afterwards.
    ///
    /// # Errors
    /// From when on there will be one, if nobody else takes it: later than `now`.
    pub fn take(&self, now: Nanos, reserve: u32) -> Result<(), Nanos> {
        let changed = |full_at: u64| self.after(full_at, now, reserve).ok();
        let updated = self.full_at.fetch_update(Ordering::AcqRel, Ordering::Acquire, changed);
        updated.or_else(|full_at| self.after(full_at, now, reserve)).map(|_| ())
    }

    /// The same by one who shares it with nobody: an atomic change would wait until all that was written has settled.
    ///
    /// # Errors
    /// From when on there will be a token: later than `now`.
    #[inline]
    pub fn take_alone(&mut self, now: Nanos, reserve: u32) -> Result<(), Nanos> {
        let full_at = *self.full_at.get_mut();
        *self.full_at.get_mut() = self.after(full_at, now, reserve)?;
        Ok(())
    }

    /// When it will be full after one more token is taken; else from when on there is one.
    #[inline]
    fn after(&self, full_at: u64, now: Nanos, reserve: u32) -> Result<u64, Nanos> {
        assert!(u64::from(reserve) < self.burst, "a reserve leaves something to take");
        let room = self.period_ns.saturating_mul(self.burst);
        // Of a bucket that holds nothing: a clock that was set back must not make anybody wait longer.
        let latest = now.0 + room;
        let then = full_at.max(now.0).min(latest) + self.period_ns;
        let kept = then + self.period_ns.saturating_mul(reserve.into());
        if kept <= latest { Ok(then) } else { Err(Nanos(kept.saturating_sub(room))) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn at(ms: u64) -> Nanos {
        Nanos::from_millis(1_000_000 + ms)
    }

    #[test]
    fn half_leaves_at_once_and_the_rest_one_by_one() {
        let bucket = Bucket::new(10, SECOND);
        for _ in 0..5 {
            assert_eq!(bucket.take(at(0), 0), Ok(()));
        }
        assert_eq!(bucket.take(at(0), 0), Err(at(200)));
        assert_eq!(bucket.take(at(199), 0), Err(at(200)));
        assert_eq!((bucket.take(at(200), 0), bucket.take(at(200), 0)), (Ok(()), Err(at(400))));
    }

    #[test]
    fn no_window_of_the_span_sees_more_than_the_limit() {
        for (limit, seed) in [(2, 1), (5, 2), (10, 3), (11, 4), (200, 5)] {
            let (bucket, mut random) = (Bucket::new(limit, SECOND), seed * 0x9e37_79b9_u64);
            let (mut now, mut taken) = (at(0), Vec::new());
            for _ in 0..20_000 {
                random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                now = now + Duration::from_micros((random >> 33) % 3_000);
                match bucket.take(now, 0) {
                    Ok(()) => taken.push(now),
                    Err(until) => assert!(until > now && until.since(now) <= 1_000_000_000, "{limit}"),
                }
            }
            let limit = limit as usize;
            assert!(taken.len() > limit, "it gives");
            assert!(taken.windows(limit + 1).all(|some| some[limit].since(some[0]) >= 1_000_000_000), "{limit}");
        }
    }

    #[test]
    fn the_reserve_is_for_those_who_need_not_leave_one() {
        let bucket = Bucket::new(10, SECOND);
        for _ in 0..3 {
            assert_eq!(bucket.take(at(0), 2), Ok(()));
        }
        assert_eq!(bucket.take(at(0), 2), Err(at(200)));
        assert_eq!((bucket.take(at(0), 0), bucket.take(at(0), 0)), (Ok(()), Ok(())));
        assert_eq!((bucket.take(at(0), 0), bucket.take(at(0), 2)), (Err(at(200)), Err(at(600))));
    }

    #[test]
    fn alone_or_not_the_answers_are_the_same() {
        let (shared, mut alone) = (Bucket::new(7, SECOND), Bucket::new(7, SECOND));
        for step in 0..3_000u64 {
            let (now, reserve) = (at(step * step % 4_001 + step * 40), u32::from(step % 3 == 0));
            assert_eq!(alone.take_alone(now, reserve), shared.take(now, reserve), "{step}");
        }
    }

    #[test]
    fn a_clock_set_back_makes_nobody_wait_longer_than_for_an_empty_bucket() {
        let bucket = Bucket::new(10, SECOND);
        assert_eq!(bucket.take(at(3_600_000), 0), Ok(()));
        assert_eq!(bucket.take(at(0), 0), Err(at(200)));
        assert_eq!(bucket.take(at(200), 0), Err(at(400)), "it was told another time");
    }
}
