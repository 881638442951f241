//! Count, mean and spread of numbers that come one by one. Floats: these are estimates, never money.

/// Numbers seen so far, by Welford's recurrence.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Moments {
    n: u64,
    mean: f64,
    squares: f64,
}

impl Moments {
    /// One more.
    pub fn add(&mut self, value: f64) {
        self.n += 1;
        let before = value - self.mean;
        self.mean += before / self.n as f64;
        self.squares += before * (value - self.mean);
    }

    /// All numbers of both.
    #[must_use]
    pub fn with(self, other: Moments) -> Moments {
        if other.n == 0 {
            return self;
        }
        let n = self.n + other.n;
        let (apart, share) = (other.mean - self.mean, other.n as f64 / n as f64);
        Moments {
            n,
            mean: self.mean + apart * share,
            squares: self.squares + other.squares + apart * apart * self.n as f64 * share,
        }
    }

    /// How many.
    pub const fn n(&self) -> u64 {
        self.n
    }

    /// Their mean; `None` of nothing.
    pub fn mean(&self) -> Option<f64> {
        (self.n > 0).then_some(self.mean)
    }

    /// Their standard deviation; `None` of fewer than two.
    pub fn deviation(&self) -> Option<f64> {
        (self.n > 1).then(|| (self.squares / (self.n - 1) as f64).sqrt())
    }

    /// Standard error of the mean, as if they were independent.
    pub fn error(&self) -> Option<f64> {
        self.deviation().map(|deviation| deviation / (self.n as f64).sqrt())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(values: &[f64]) -> Moments {
        let mut moments = Moments::default();
        values.iter().for_each(|value| moments.add(*value));
        moments
    }

    #[test]
    fn mean_and_error_are_the_textbooks_and_parts_add_up_to_the_whole() {
        let all = of(&[2.0, 4.0, 4.0, 4.0, 5.0, 5.0, 7.0, 9.0]);
        assert_eq!((all.n(), all.mean()), (8, Some(5.0)));
        assert!((all.deviation().unwrap() - (32.0f64 / 7.0).sqrt()).abs() < 1e-12);
        assert!((all.error().unwrap() - (32.0f64 / 56.0).sqrt()).abs() < 1e-12);
        let parts = of(&[2.0, 4.0, 4.0]).with(of(&[4.0, 5.0, 5.0, 7.0, 9.0])).with(Moments::default());
        assert_eq!(parts.n(), 8);
        assert!((parts.mean().unwrap() - 5.0).abs() < 1e-12);
        assert!((parts.deviation().unwrap() - all.deviation().unwrap()).abs() < 1e-12);
        assert_eq!((of(&[]).mean(), of(&[1.0]).error()), (None, None));
    }
}
