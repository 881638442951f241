//! How late is what the exchange says? A backlog, ours or theirs, tells old news steadily: by arrival it looks fresh.
//!
//! Receipt − event time is the lag plus an offset between two clocks that nobody knows exactly. The least of it that was
//! seen stands for the offset. It may creep up as fast as clocks drift apart, no faster, so that a lag is not taken for
//! the normal case within hours; and it is held to what each snapshot's answer proves, for its event time lies between
//! question and answer. So a stream that was late from the start is found out, and a step of the exchange's clock is
//! known as such with the next snapshot. Our own clock never steps. Integers only; never allocates. Feed thread.

use optiflow_base::clock::Nanos;

/// The offset between the clocks, as it is known.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Lag {
    /// Our time − the exchange's, ns: the least that was seen, with the creep.
    offset: Option<i64>,
    /// Until when the creep is in it.
    crept: Nanos,
}

impl Lag {
    /// How late an event is, in nanoseconds; 0 for one that does not say when it happened.
    #[inline]
    pub(crate) fn of(&mut self, received: Nanos, event_ms: u64) -> u64 {
        if event_ms == 0 {
            return 0;
        }
        let apart = apart(received, event_ms);
        let Some(offset) = self.offset else {
            (self.offset, self.crept) = (Some(apart), received);
            return 0;
        };
        let offset = self.creep(offset, received);
        self.offset = Some(offset.min(apart));
        u64::try_from(apart.saturating_sub(offset)).unwrap_or(0)
    }

    /// An answer whose event time lies between `sent` and `received`, by whichever clock.
    pub(crate) fn answer(&mut self, sent: Nanos, received: Nanos, event_ms: u64) {
        if event_ms == 0 {
            return;
        }
        // The event time was rounded down to a millisecond.
        let (least, most) = (apart(sent, event_ms).saturating_sub(MILLI), apart(received, event_ms));
        self.offset = Some(self.offset.unwrap_or(most).min(most).max(least));
        self.crept = self.crept.max(received);
    }

    fn creep(&mut self, offset: i64, now: Nanos) -> i64 {
        let passed = now.since(self.crept);
        if passed < CREEP_EVERY_NS {
            return offset;
        }
        self.crept = now;
        offset.saturating_add(i64::try_from(passed / NS_PER_DRIFT).unwrap_or(i64::MAX))
    }
}

fn apart(ours: Nanos, event_ms: u64) -> i64 {
    let event = i64::try_from(event_ms).unwrap_or(i64::MAX).saturating_mul(MILLI);
    i64::try_from(ours.0).unwrap_or(i64::MAX).saturating_sub(event)
}

const MILLI: i64 = 1_000_000;
/// Clocks drift apart by one nanosecond in so many: 200 ppm, more than any crystal.
const NS_PER_DRIFT: u64 = 5_000;
/// The creep is added this often: a division that most events are spared.
const CREEP_EVERY_NS: u64 = 1_000_000_000;

#[cfg(test)]
mod tests {
    use super::*;

    fn at(millis: u64) -> Nanos {
        Nanos::from_millis(millis)
    }

    #[test]
    fn an_offset_of_the_clocks_is_no_lag_and_a_delay_is() {
        for offset in [0, 1_500, 1_000_000] {
            let mut lag = Lag::default();
            // When, how late it came, what is found within the creep of a few seconds.
            let table = [
                (0, 30, 0),
                (100, 20, 0),
                (200, 250, 230),
                (300, 20, 0),
                (3_400, 3_020, 3_000),
                (3_500, 3_020, 3_000),
                (3_600, 21, 1),
            ];
            for (ms, late, expected) in table {
                let found = lag.of(at(2_000_000 + ms), 2_000_000 + ms - late + offset);
                assert!(found.abs_diff(expected * 1_000_000) < 1_000_000, "{offset} {ms}: {found}");
            }
            assert_eq!(lag.of(at(9_000_000), 0), 0, "no event time, no lag");
        }
    }

    #[test]
    fn a_steady_delay_is_still_one_after_an_hour_and_drifting_clocks_never_are() {
        let mut lag = Lag::default();
        lag.of(at(0), 1);
        let late = (1..=3_600).map(|second| lag.of(at(second * 1_000 + 3_000), second * 1_000)).min().unwrap();
        assert!(late > 2_000_000_000, "{late}");
        // Ours gains 100 ppm on theirs, for a day.
        let mut lag = Lag::default();
        let most = (1..86_400).map(|second| lag.of(Nanos(second * 1_000_100_000), second * 1_000)).max().unwrap();
        assert!(most < 2_000_000, "{most}");
    }

    #[test]
    fn an_answer_finds_out_a_stream_that_was_late_from_the_start() {
        let mut lag = Lag::default();
        assert_eq!(lag.of(at(10_000), 7_000), 0, "nothing to measure it by yet");
        lag.answer(at(10_000), at(10_080), 10_040);
        assert_eq!(lag.of(at(10_100), 7_100) / 1_000_000, 2_960);
    }

    #[test]
    fn a_step_of_the_exchanges_clock_is_known_as_such_with_the_next_answer() {
        let mut lag = Lag::default();
        lag.of(at(10_000), 10_000);
        assert_eq!(lag.of(at(11_000), 6_000) / 1_000_000, 4_999);
        lag.answer(at(11_000), at(11_050), 6_020);
        assert!(lag.of(at(11_100), 6_100) < 60_000_000);
        // And back.
        assert_eq!(lag.of(at(12_000), 12_000), 0);
        assert!(lag.of(at(12_100), 12_100) < 1_000_000);
    }
}
