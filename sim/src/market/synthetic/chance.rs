//! Chance from one seed, the same on every platform: uniform numbers, and waiting times by comparisons alone.

/// A seeded generator.
#[derive(Clone, Debug)]
pub struct Chance(fastrand::Rng);

impl Chance {
    /// A generator that is a function of the seed.
    pub fn new(seed: u64) -> Chance {
        Chance(fastrand::Rng::with_seed(seed))
    }

    /// Uniform in 0..1.
    pub fn unit(&mut self) -> f64 {
        self.0.f64()
    }

    /// True with this probability.
    pub fn is(&mut self, probability: f64) -> bool {
        self.unit() < probability
    }

    /// Uniform in `from..=to`.
    pub fn between(&mut self, from: i64, to: i64) -> i64 {
        self.0.i64(from..=to)
    }

    /// Uniform index below `len`.
    pub fn index(&mut self, len: usize) -> usize {
        self.0.usize(0..len)
    }

    /// One of the values.
    pub fn one_of(&mut self, values: &[i64]) -> i64 {
        values[self.index(values.len())]
    }

    /// Nanoseconds until the next event of a Poisson process: von Neumann's method, which needs no logarithm.
    pub fn wait(&mut self, per_second: f64) -> u64 {
        let mut whole = 0.0;
        loop {
            let first = self.unit();
            let (mut last, mut run) = (first, 1_u32);
            loop {
                let next = self.unit();
                if next >= last {
                    break;
                }
                last = next;
                run += 1;
            }
            if run % 2 == 1 {
                return ((whole + first) / per_second * 1e9) as u64 + 1;
            }
            whole += 1.0;
        }
    }

    /// How often something with this chance of going on goes on: small numbers mostly, large ones sometimes.
    pub fn run(&mut self, go_on: f64, most: i64) -> i64 {
        let mut length = 0;
        while length < most && self.is(go_on) {
            length += 1;
        }
        length
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waiting_times_have_the_mean_and_spread_of_a_poisson_process() {
        let mut chance = Chance::new(7);
        let waits: Vec<f64> = (0..100_000).map(|_| chance.wait(100.0) as f64 / 1e9).collect();
        let mean = waits.iter().sum::<f64>() / 1e5;
        let beyond = waits.iter().filter(|&&wait| wait > 0.01).count() as f64 / 1e5;
        assert!((mean - 0.01).abs() < 0.000_2, "mean {mean}");
        assert!((beyond - 0.367_9).abs() < 0.01, "a share of 1/e waits longer than the mean: {beyond}");
    }
}
