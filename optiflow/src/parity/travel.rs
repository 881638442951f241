//! How long requests travel to the exchange, and when each was handled there.
//!
//! A moment that the exchange names is a millisecond of its own clock. Within it, and where none is named, the typical
//! travel decides: the median of the requests around it, the difference of the clocks included, because clocks drift.

use optiflow_base::clock::Nanos;
use serde::Serialize;

/// What a request took to the exchange, its clock less ours included.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Travel {
    /// The median of the session, ns.
    pub typical_ns: i64,
    /// How it was measured.
    pub source: Source,
    /// Requests measured: when each left, and what it took, ns. Clocks drift, so neighbours in time count.
    #[serde(skip)]
    measured: Vec<(i64, i64)>,
}

/// How the travel of requests was measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Source {
    /// Acknowledgements that name the exchange's millisecond.
    Acknowledgements,
    /// Half of the round trips; the clocks are taken to agree.
    RoundTrips,
    /// Half of the median of the session's histogram `order_ack`; the clocks are taken to agree.
    Histogram,
    /// Not at all: taken as zero.
    Nothing,
}

/// How a moment is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Known {
    /// The exchange named its millisecond.
    Exchange,
    /// From the time of sending and what requests typically took.
    Typical,
}

impl Travel {
    /// From measured requests.
    pub fn new(mut measured: Vec<(i64, i64)>, source: Source) -> Travel {
        measured.sort_unstable();
        Travel { typical_ns: median(&measured), source, measured }
    }

    /// What a request that left at `sent` typically took: the median of its neighbours.
    pub fn at(&self, sent: Nanos) -> i64 {
        let place = self.measured.partition_point(|(left, _)| *left < sent.0.cast_signed());
        let begin = place.saturating_sub(NEIGHBOURS / 2).min(self.measured.len().saturating_sub(NEIGHBOURS));
        let end = self.measured.len().min(begin + NEIGHBOURS);
        median(&self.measured[begin..end])
    }
}

fn median(measured: &[(i64, i64)]) -> i64 {
    let mut values: Vec<i64> = measured.iter().map(|(_, took)| *took).collect();
    values.sort_unstable();
    values.get(values.len() / 2).copied().unwrap_or(0)
}

/// When something that left at `sent` was handled, and how that is known.
pub fn moment(sent: Nanos, named_ms: Option<u64>, travel: &Travel) -> (i64, Known) {
    let typical = sent.0.cast_signed() + travel.at(sent);
    match named_ms {
        Some(ms) => {
            let begin = ms.cast_signed() * MILLI;
            (typical.clamp(begin, begin + MILLI - 1), Known::Exchange)
        }
        None => (typical, Known::Typical),
    }
}

/// The millisecond in which something was handled that we learned of at `learned`.
pub fn exchange_ms(named_ms: u64, learned: Nanos, travel: &Travel) -> i64 {
    if named_ms > 0 { named_ms.cast_signed() } else { (learned.0.cast_signed() + travel.at(learned)) / MILLI }
}

/// The middle of a named millisecond.
pub const fn middle_of(ms: u64) -> i64 {
    ms.cast_signed() * MILLI + MILLI / 2
}

/// Requests around one whose travel is not known.
const NEIGHBOURS: usize = 51;
/// Nanoseconds of a millisecond.
pub const MILLI: i64 = 1_000_000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn travel_follows_clocks_that_drift() {
        let drifting = (0..1_000).map(|second| (second * 1_000_000_000, second * 1_000)).collect();
        let travel = Travel::new(drifting, Source::Acknowledgements);
        let at = |second: u64| travel.at(Nanos(second * 1_000_000_000)) / 1_000;
        assert_eq!((at(500), at(0), at(5_000), travel.typical_ns), (500, 25, 974, 500_000));
    }
}
