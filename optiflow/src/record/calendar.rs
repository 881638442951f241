//! Unix time → the UTC words of a file name. Never reads a clock.

use optiflow_base::clock::Nanos;

use crate::report::html::civil;

/// `YYYYMMDD_HHMMSS` of a moment, in UTC.
pub fn stamp(at: Nanos) -> String {
    let seconds = at.0 / 1_000_000_000;
    let (days, second) = (seconds / DAY_S, seconds % DAY_S);
    let (year, month, day) = civil(days.cast_signed());
    format!("{year:04}{month:02}{day:02}_{:02}{:02}{:02}", second / 3_600, second / 60 % 60, second % 60)
}

/// The hour, counted from 1970: a new one begins a new file.
pub const fn hour(at: Nanos) -> u64 {
    at.0 / (3_600 * 1_000_000_000)
}

const DAY_S: u64 = 86_400;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_have_their_date() {
        for (seconds, expected) in [
            (0, "19700101_000000"),
            (951_782_399, "20000228_235959"),
            (951_782_400, "20000229_000000"),
            (1_709_164_800, "20240229_000000"),
            (1_735_689_599, "20241231_235959"),
            (4_107_542_400, "21000301_000000"),
        ] {
            assert_eq!(stamp(Nanos(seconds * 1_000_000_000)), expected);
        }
        assert_eq!(hour(Nanos(7_199_999_999_999)), 1);
    }
}
