//! What many worlds came to together.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use optiflow_backtest::seeds::run::{Broken, Tally};
use serde::{Serialize, Serializer};

/// What all worlds came to.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Sums {
    /// Worlds that were lived.
    pub seeds: u64,
    /// Virtual hours, of the worlds that kept every rule.
    pub virtual_hours: f64,
    /// How long it took.
    pub seconds: f64,
    /// Threads.
    pub jobs: usize,
    /// Orders that the exchange accepted.
    pub orders: u64,
    /// Trades.
    pub fills: u64,
    /// Times that the process was killed and started again.
    pub kills: u64,
    /// Times that trading was killed by command.
    pub halts: u64,
    /// Times that a stage, the process or the disk stood still.
    pub stalls: u64,
    /// Times that the process gave up because it could not write.
    pub disks_full: u64,
    /// Our book, compared with the exchange's at the same update.
    pub books_compared: u64,
    /// Worlds through TLS.
    pub tls: u64,
    /// How often each fault struck, by its name.
    pub faults: BTreeMap<&'static str, u64>,
    /// The slowest convergence after faults, seconds, and its seed.
    pub slowest_convergence: Option<(f64, u64)>,
    /// Everything that was said in the worlds that kept every rule, as one number in hexadecimal: two programs of which
    /// it is the same behave the same in all of them.
    #[serde(serialize_with = "in_hexadecimal")]
    pub digest: u64,
    /// Rules that did not hold, by seed.
    pub failures: Vec<Failure>,
}

/// A rule that did not hold.
#[derive(Clone, Debug, Serialize)]
pub struct Failure {
    /// The seed that replays it.
    pub seed: u64,
    /// When, virtual seconds from the start.
    pub at: f64,
    /// What, in words; begins with the number of the rule.
    pub what: String,
    /// The command that replays it.
    pub replay: String,
    /// The command that lives the smallest world that breaks the same rule, where one was sought.
    pub smallest: Option<String>,
}

impl Sums {
    /// Adds a world that kept every rule.
    pub fn add(&mut self, seed: u64, is_tls: bool, tally: &Tally) {
        self.seeds += 1;
        self.tls += u64::from(is_tls);
        self.virtual_hours += tally.lived.as_secs_f64() / SECONDS_OF_HOUR;
        self.orders += tally.accepted;
        self.fills += tally.fills;
        self.kills += tally.kills;
        self.halts += tally.halts;
        self.stalls += tally.stalls;
        self.disks_full += tally.disks;
        self.books_compared += tally.books;
        // In any order: threads end when they end.
        self.digest = self.digest.wrapping_add(tally.hash);
        for (name, count) in &tally.faults {
            *self.faults.entry(name).or_default() += count;
        }
        let converged = tally.converged.as_secs_f64();
        // Of equals the least seed, whatever ended first.
        let slower = self
            .slowest_convergence
            .is_none_or(|(slowest, of)| converged > slowest || converged.total_cmp(&slowest).is_eq() && seed < of);
        if slower {
            self.slowest_convergence = Some((converged, seed));
        }
    }

    /// Adds a world that broke a rule.
    pub fn fail(&mut self, broken: &Broken, replay: String, smallest: Option<String>) {
        self.seeds += 1;
        let (seed, at) = (broken.seed, broken.at.as_secs_f64());
        self.failures.push(Failure { seed, at, what: broken.what.clone(), replay, smallest });
    }

    /// The end: failures in the order of their seeds.
    pub fn finish(&mut self, took: Duration) {
        self.seconds = took.as_secs_f64();
        self.failures.sort_by_key(|failure| failure.seed);
    }
}

fn in_hexadecimal<S: Serializer>(number: &u64, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(&format_args!("{number:016x}"))
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "seed {} at {:.6} s: {}; replay: {}", self.seed, self.at, self.what, self.replay)?;
        self.smallest.as_ref().map_or(Ok(()), |smallest| write!(f, "; smallest: {smallest}"))
    }
}

impl fmt::Display for Sums {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let faults: u64 = self.faults.values().sum();
        let lived = self.seconds * self.jobs as f64 / self.virtual_hours.max(f64::MIN_POSITIVE);
        writeln!(f, "worlds        {} ({} through TLS), {} broke a rule", self.seeds, self.tls, self.failures.len())?;
        writeln!(f, "virtual time  {:.2} h in {:.1} s on {} threads", self.virtual_hours, self.seconds, self.jobs)?;
        if self.virtual_hours > 0.0 {
            writeln!(f, "              {lived:.2} thread-seconds per virtual hour")?;
        }
        writeln!(f, "orders        {} accepted, {} fills", self.orders, self.fills)?;
        writeln!(f, "kills         {} of the process, {} by command", self.kills, self.halts)?;
        writeln!(f, "stalls        {}, and {} full disks", self.stalls, self.disks_full)?;
        writeln!(f, "books         {} compared", self.books_compared)?;
        if let Some((slowest, seed)) = self.slowest_convergence {
            writeln!(f, "convergence   {slowest:.1} s at most, of seed {seed}")?;
        }
        writeln!(f, "said          {:016x}", self.digest)?;
        writeln!(f, "faults        {faults}")?;
        self.faults.iter().try_for_each(|(name, count)| writeln!(f, "  {name:<24} {count:>10}"))
    }
}

const SECONDS_OF_HOUR: f64 = 3_600.0;
