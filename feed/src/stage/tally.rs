//! Counts of what goes wrong often, told to storage once a second at most.
//!
//! Never loses a count. Runs on the feed thread.

use std::time::Duration;

use optiflow_base::clock::Nanos;
use optiflow_base::log::Log;

/// What is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Count {
    /// A subscribed message that the scanner left to the general parser.
    Fallback,
    /// A message that could not be understood, or that says what cannot be true.
    Malformed,
    /// An event behind the one before it, dropped.
    Old,
    /// An event that the full market ring could not take, dropped.
    MarketFull,
    /// An event that the full quotes ring could not take, dropped.
    QuotesFull,
    /// A snapshot request that failed.
    SnapshotFailed,
    /// A snapshot that could not be joined to the diffs.
    SnapshotUnjoined,
    /// A depth message that broke the run while it was still waiting for its snapshot.
    Restart,
}

impl Count {
    const ALL: [Count; 8] = [
        Count::Fallback,
        Count::Malformed,
        Count::Old,
        Count::MarketFull,
        Count::QuotesFull,
        Count::SnapshotFailed,
        Count::SnapshotUnjoined,
        Count::Restart,
    ];

    const fn phrase(self) -> &'static str {
        match self {
            Count::Fallback => "messages left to the general parser",
            Count::Malformed => "malformed market messages",
            Count::Old => "old market events dropped",
            Count::MarketFull => "market ring full, events dropped",
            Count::QuotesFull => "quotes ring full, events dropped",
            Count::SnapshotFailed => "snapshot requests failed",
            Count::SnapshotUnjoined => "snapshots that did not fit the diffs",
            Count::Restart => "depth runs broken before their snapshot",
        }
    }
}

/// The counts since the last report.
#[derive(Debug, Default)]
pub(super) struct Tally {
    counts: [i64; Count::ALL.len()],
    report_at: Nanos,
}

impl Tally {
    pub(super) fn add(&mut self, count: Count) {
        self.counts[count as usize] += 1;
    }

    /// Writes what was counted, if the last report is old enough.
    pub(super) fn report(&mut self, now: Nanos, log: &mut Log) {
        if now < self.report_at {
            return;
        }
        self.report_at = now + REPORT_EVERY;
        for (count, number) in Count::ALL.into_iter().zip(&mut self.counts) {
            if *number > 0 {
                log.notice(now, count.phrase(), std::mem::take(number));
            }
        }
    }
}

/// Shortest time between two reports.
const REPORT_EVERY: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests {
    use super::*;
    use optiflow_base::log::LogEvent;
    use optiflow_base::ring::ring;
    use optiflow_base::stage::Room;

    #[test]
    fn counts_are_told_once_a_second_and_none_is_lost() {
        let (tx, mut rx) = ring("log", 8);
        let mut log = Log::new(Room::Feed, tx);
        let mut tally = Tally::default();
        let mut told = Vec::new();
        for millis in 0..2_500 {
            tally.add(Count::Old);
            tally.report(Nanos::from_millis(millis), &mut log);
        }
        while let Some(LogEvent::Notice(notice)) = rx.pop() {
            told.push((notice.what, notice.value));
        }
        let old = "old market events dropped";
        assert_eq!(told, [(old, 1), (old, 1_000), (old, 1_000)]);
    }
}
