//! A curve in bounded memory: however long the run, at most [`BUCKETS_MAX`] buckets of equal time, each with its first,
//! lowest, highest and last value. When they are full, neighbours become one.

use std::mem;

/// A curve.
#[derive(Clone, Debug, Default)]
pub struct Series {
    buckets: Vec<Bucket>,
    start: i64,
    /// Time of one bucket; zero before there are two points.
    width: i64,
}

#[derive(Clone, Copy, Debug)]
struct Bucket {
    number: i64,
    low: Point,
    high: Point,
    last: Point,
}

/// One point of a curve: when, and how much in 10⁻⁸.
pub type Point = (i64, i128);

impl Series {
    /// One more point, no earlier than the last.
    pub fn add(&mut self, at: i64, value: i128) {
        let point = (at, value);
        if self.buckets.is_empty() {
            (self.start, self.width) = (at, FINEST_NS);
        }
        let number = (at - self.start) / self.width;
        match self.buckets.last_mut() {
            Some(bucket) if bucket.number == number => bucket.add(point),
            Some(_) | None => self.buckets.push(Bucket { number, low: point, high: point, last: point }),
        }
        while self.buckets.len() > BUCKETS_MAX {
            self.halve();
        }
    }

    /// The curve: lowest and highest of each bucket in order of time, and the very last point.
    pub fn points(&self) -> Vec<Point> {
        let mut points = Vec::with_capacity(2 * self.buckets.len() + 1);
        for bucket in &self.buckets {
            let (mut early, mut late) = (bucket.low, bucket.high);
            if early.0 > late.0 {
                mem::swap(&mut early, &mut late);
            }
            points.push(early);
            if late.0 > early.0 {
                points.push(late);
            }
        }
        let last = self.buckets.last().map(|bucket| bucket.last);
        points.extend(last.filter(|last| points.last().is_some_and(|point| point.0 < last.0)));
        points
    }

    fn halve(&mut self) {
        self.width *= 2;
        let mut merged: Vec<Bucket> = Vec::with_capacity(BUCKETS_MAX + 1);
        for bucket in &self.buckets {
            let number = bucket.number / 2;
            match merged.last_mut() {
                Some(last) if last.number == number => last.merge(bucket),
                Some(_) | None => merged.push(Bucket { number, ..*bucket }),
            }
        }
        self.buckets = merged;
    }
}

impl Bucket {
    fn add(&mut self, point: Point) {
        if point.1 < self.low.1 {
            self.low = point;
        }
        if point.1 > self.high.1 {
            self.high = point;
        }
        self.last = point;
    }

    fn merge(&mut self, later: &Bucket) {
        self.add(later.low);
        self.add(later.high);
        self.last = later.last;
    }
}

/// An even sample of things that come one by one: all of them, then every second, every fourth, and so on.
#[derive(Clone, Debug)]
pub struct Sample<T> {
    kept: Vec<T>,
    every: u64,
    seen: u64,
}

impl<T> Default for Sample<T> {
    fn default() -> Sample<T> {
        Sample { kept: Vec::new(), every: 1, seen: 0 }
    }
}

impl<T> Sample<T> {
    /// One more.
    pub fn add(&mut self, thing: T) {
        if self.seen.is_multiple_of(self.every) {
            if self.kept.len() == SAMPLE_MAX {
                let mut number = 0;
                self.kept.retain(|_| {
                    number += 1;
                    number % 2 == 1
                });
                self.every *= 2;
            }
            if self.seen.is_multiple_of(self.every) {
                self.kept.push(thing);
            }
        }
        self.seen += 1;
    }

    /// What was kept.
    pub fn kept(&self) -> &[T] {
        &self.kept
    }

    /// One in how many was kept.
    pub const fn every(&self) -> u64 {
        self.every
    }

    /// How many came.
    pub const fn seen(&self) -> u64 {
        self.seen
    }
}

/// Buckets of a curve: twice as many points.
pub const BUCKETS_MAX: usize = 999;
/// Things kept of a sample.
pub const SAMPLE_MAX: usize = 5_000;
const FINEST_NS: i64 = 1_000_000_000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_curve_keeps_its_extremes_and_its_ends() {
        let mut series = Series::default();
        let value = |second: i64| i128::from(if second == 123_457 { -999 } else { second * 7_919 % 1_000 });
        for second in 0..200_000 {
            series.add(second * 1_000_000_000, value(second));
        }
        let points = series.points();
        assert!((BUCKETS_MAX / 2..=2_000).contains(&points.len()), "{}", points.len());
        assert!(points.is_sorted_by(|a, b| a.0 < b.0), "in order of time, each time once");
        assert!(points.iter().all(|(at, height)| *height == value(at / 1_000_000_000)), "every point is a real one");
        assert_eq!(points.iter().map(|point| point.1).min(), Some(-999), "the one spike is still there");
        assert_eq!((points.last().unwrap().0, points[0].0 < 400_000_000_000), (199_999_000_000_000, true));
    }

    #[test]
    fn a_short_curve_is_itself() {
        let mut series = Series::default();
        for (second, value) in [(0, 5), (1, 5), (2, 7), (100, -1)] {
            series.add(second * 1_000_000_000, value);
        }
        let points: Vec<Point> = series.points();
        assert_eq!(points, [(0, 5), (1_000_000_000, 5), (2_000_000_000, 7), (100_000_000_000, -1)]);
    }

    #[test]
    fn a_sample_is_even_and_bounded() {
        let mut sample = Sample::default();
        (0..23_000u64).for_each(|number| sample.add(number));
        assert_eq!((sample.seen(), sample.every()), (23_000, 8));
        assert_eq!(sample.kept().len(), 23_000 / 8);
        assert!(sample.kept().iter().enumerate().all(|(at, number)| *number == at as u64 * 8));
    }
}
