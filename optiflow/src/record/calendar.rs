//! Unix time → the UTC words of a file name. Never reads a clock.

use optiflow_base::clock::Nanos;

/// `YYYYMMDD_HHMMSS` of a moment, in UTC.
pub fn stamp(at: Nanos) -> String {
    let seconds = at.0 / 1_000_000_000;
    let (days, second) = (seconds / DAY_S, seconds % DAY_S);
    let (year, month, day) = date(days);
    format!("{year:04}{month:02}{day:02}_{:02}{:02}{:02}", second / 3_600, second / 60 % 60, second % 60)
}

/// The hour, counted from 1970: a new one begins a new file.
pub const fn hour(at: Nanos) -> u64 {
    at.0 / (3_600 * 1_000_000_000)
}

/// Days since 1970 → the date, by Howard Hinnant's `civil_from_days`: years that begin in March have their odd day last.
const fn date(days: u64) -> (u64, u64, u64) {
    let shifted = days + DAYS_0000_TO_1970;
    let (era, day_of_era) = (shifted / ERA_DAYS, shifted % ERA_DAYS);
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let march_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * march_month + 2) / 5 + 1;
    let month = if march_month < 10 { march_month + 3 } else { march_month - 9 };
    let year = year_of_era + era * 400 + if month <= 2 { 1 } else { 0 };
    (year, month, day)
}

const DAY_S: u64 = 86_400;
/// From 0000-03-01 to 1970-01-01.
const DAYS_0000_TO_1970: u64 = 719_468;
/// Days of four hundred years.
const ERA_DAYS: u64 = 146_097;

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
