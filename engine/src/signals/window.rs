//! Sums over several sliding windows that share one bounded ring of events.
//!
//! Each window remembers where its oldest event is, so an event is added once and leaves each window once: O(1)
//! amortised. When the ring is full the oldest event is forgotten and counted. Allocates once, in `new`. Engine thread.

/// Several windows `(now − span, now]` over one stream of events that carry two integers.
#[derive(Debug)]
pub struct Sliding {
    ring: Box<[Entry]>,
    /// Events ever pushed; the newest is at `pushed − 1`.
    pushed: u64,
    windows: Vec<Window>,
    forgotten: u64,
}

/// What a window holds. Sums wrap rather than stop the engine; they are right again as soon as they fit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sum {
    /// Sum of the events' first numbers.
    pub first: i64,
    /// Sum of the events' second numbers.
    pub second: i64,
    /// How many events.
    pub count: u32,
}

#[derive(Clone, Copy, Debug, Default)]
struct Entry {
    at_ms: u64,
    pair: [i64; 2],
}

#[derive(Clone, Copy, Debug)]
struct Window {
    span_ms: u64,
    /// Sequence number of its oldest event.
    oldest: u64,
    sum: Sum,
}

impl Sliding {
    /// Windows of `spans_ms` over at most `len_max` events, a power of two.
    pub fn new(spans_ms: &[u64], len_max: usize) -> Sliding {
        assert!(len_max.is_power_of_two(), "the ring is indexed by a mask");
        let window = |&span_ms: &u64| Window { span_ms, oldest: 0, sum: Sum::default() };
        Sliding {
            ring: vec![Entry::default(); len_max].into_boxed_slice(),
            pushed: 0,
            windows: spans_ms.iter().map(window).collect(),
            forgotten: 0,
        }
    }

    /// An event at `at_ms`, which is not before the last one's and not before the last roll's.
    #[inline]
    pub fn push(&mut self, at_ms: u64, pair: [i64; 2]) {
        let mask = self.ring.len() as u64 - 1;
        let reused = (self.pushed & mask) as usize;
        let overdue = self.pushed.checked_sub(self.ring.len() as u64);
        let mut forgotten = false;
        for window in &mut self.windows {
            if overdue == Some(window.oldest) {
                window.drop_oldest(self.ring[reused].pair);
                forgotten = true;
            }
            window.sum.first = window.sum.first.wrapping_add(pair[0]);
            window.sum.second = window.sum.second.wrapping_add(pair[1]);
            window.sum.count += 1;
        }
        self.forgotten += u64::from(forgotten);
        self.ring[reused] = Entry { at_ms, pair };
        self.pushed += 1;
    }

    /// Lets go of what is no longer inside the windows that end at `now_ms`.
    #[inline]
    pub fn roll(&mut self, now_ms: u64) {
        let mask = self.ring.len() as u64 - 1;
        for window in &mut self.windows {
            while window.oldest < self.pushed {
                let entry = self.ring[(window.oldest & mask) as usize];
                if entry.at_ms.saturating_add(window.span_ms) > now_ms {
                    break;
                }
                window.drop_oldest(entry.pair);
            }
        }
    }

    /// What the `index`-th window holds.
    #[inline]
    pub fn sum(&self, index: usize) -> Sum {
        self.windows[index].sum
    }

    /// Events that left because the ring was full, not because their time was over.
    pub const fn forgotten(&self) -> u64 {
        self.forgotten
    }

    /// Forgets everything.
    pub fn clear(&mut self) {
        for window in &mut self.windows {
            window.oldest = self.pushed;
            window.sum = Sum::default();
        }
    }
}

impl Window {
    #[inline]
    fn drop_oldest(&mut self, pair: [i64; 2]) {
        assert!(self.sum.count > 0, "what leaves a window was in it");
        self.oldest += 1;
        self.sum.first = self.sum.first.wrapping_sub(pair[0]);
        self.sum.second = self.sum.second.wrapping_sub(pair[1]);
        self.sum.count -= 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    proptest::proptest! {
        #[test]
        fn windows_agree_with_adding_up_again(
            steps in proptest::collection::vec((0u64..40, -50i64..50, 0i64..50), 1..200),
        ) {
            let spans = [10, 100, 1_000];
            let mut sliding = Sliding::new(&spans, 256);
            let (mut now, mut events) = (0, Vec::new());
            for (wait, first, second) in steps {
                now += wait;
                sliding.roll(now);
                sliding.push(now, [first, second]);
                events.push((now, first, second));
                for (index, span) in spans.iter().enumerate() {
                    let inside = events.iter().filter(|(at, _, _)| at + span > now);
                    let mut expected = Sum::default();
                    for (_, first, second) in inside {
                        expected.first += first;
                        expected.second += second;
                        expected.count += 1;
                    }
                    proptest::prop_assert_eq!(sliding.sum(index), expected);
                }
            }
            proptest::prop_assert_eq!(sliding.forgotten(), 0);
        }
    }

    #[test]
    fn a_full_ring_forgets_the_oldest_and_the_sums_stay_true_to_what_is_left() {
        let mut sliding = Sliding::new(&[5, 1_000], 4);
        for at in 0..10 {
            sliding.roll(at);
            sliding.push(at, [1, i64::MAX - at as i64]);
        }
        assert_eq!(sliding.sum(1), Sum { first: 4, second: -4 - 30, count: 4 });
        assert_eq!((sliding.sum(0).count, sliding.forgotten()), (4, 6));
        sliding.roll(2_000);
        assert_eq!((sliding.sum(0), sliding.sum(1)), (Sum::default(), Sum::default()));
    }
}
