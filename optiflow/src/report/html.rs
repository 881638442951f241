//! Text for the page: everything from outside escaped, numbers written for people, money from its integers.

use optiflow_base::decimal::UNITS;
use optiflow_base::money::Notional;

use super::days::DAY_NS;

/// Text that no browser takes for markup, inside an element or a quoted attribute.
pub fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            letter if letter.is_control() => escaped.push('\u{fffd}'),
            letter => escaped.push(letter),
        }
    }
    escaped
}

/// Units of 10⁻⁸, rounded to `decimals` (half away from zero), with thousands apart.
pub fn fixed(units: i128, decimals: usize) -> String {
    assert!(decimals <= 8, "units have eight decimals");
    let step = 10i128.pow(8 - decimals as u32);
    let rounded = (units.abs() + step / 2) / step;
    let (scale, sign) = (10i128.pow(decimals as u32), if units < 0 && rounded > 0 { MINUS } else { "" });
    let whole = grouped(&(rounded / scale).to_string());
    if decimals == 0 {
        return format!("{sign}{whole}");
    }
    format!("{sign}{whole}.{:0decimals$}", rounded % scale)
}

/// All decimals that matter, at least two.
pub fn exact(units: i128) -> String {
    let mut text = fixed(units, 8);
    let kept = text.trim_end_matches('0').len();
    let least = text.len() - 6;
    text.truncate(kept.max(least));
    text
}

/// Decimals that all of these need, at least two: a column of exact amounts lines up.
pub fn decimals(amounts: impl IntoIterator<Item = i128>) -> usize {
    let needed = |units: i128| (2..8).find(|decimals| units % 10i128.pow(8 - decimals) == 0).unwrap_or(8) as usize;
    amounts.into_iter().map(needed).max().unwrap_or(2)
}

/// Money as a headline: two decimals, four of small sums.
pub fn money(amount: Notional) -> String {
    if amount.is_zero() {
        return "0".to_owned();
    }
    let small = amount.units().abs() < 100 * i128::from(UNITS);
    fixed(amount.units(), if small { 4 } else { 2 })
}

/// A whole number with thousands apart.
pub fn count(number: u64) -> String {
    grouped(&number.to_string())
}

/// A float with so many decimals, or n/a.
pub fn float(number: Option<f64>, decimals: usize) -> String {
    match number.filter(|number| number.is_finite()) {
        Some(number) => {
            let text = format!("{:.decimals$}", number.abs());
            let (whole, rest) = text.split_at(text.find('.').unwrap_or(text.len()));
            let is_zero = text.bytes().all(|byte| matches!(byte, b'0' | b'.'));
            format!("{}{}{rest}", if number < 0.0 && !is_zero { MINUS } else { "" }, grouped(whole))
        }
        None => "n/a".to_owned(),
    }
}

/// A share of one as percent, or n/a.
pub fn percent(share: Option<f64>) -> String {
    match share.filter(|share| share.is_finite()) {
        Some(share) => format!("{} %", float(Some(share * 100.0), 1)),
        None => "n/a".to_owned(),
    }
}

/// `part` of `whole` as percent, or n/a of nothing.
pub fn share(part: u64, whole: u64) -> String {
    percent((whole > 0).then(|| part as f64 / whole as f64))
}

/// A duration in the unit that suits it.
pub fn duration(nanos: i64) -> String {
    let seconds = nanos as f64 / 1e9;
    match nanos.unsigned_abs() {
        0 => "0".to_owned(),
        1..1_000 => format!("{nanos} ns"),
        1_000..1_000_000 => format!("{} µs", float(Some(seconds * 1e6), 1)),
        1_000_000..1_000_000_000 => format!("{} ms", float(Some(seconds * 1e3), 1)),
        1_000_000_000..60_000_000_000 => format!("{} s", float(Some(seconds), 1)),
        _ => {
            let (days, rest) = (nanos / DAY_NS, nanos % DAY_NS / 1_000_000_000);
            let (hours, minutes, seconds) = (rest / 3_600, rest / 60 % 60, rest % 60);
            match (days, hours) {
                (0, 0) => format!("{minutes} min {seconds} s"),
                (0, _) => format!("{hours} h {minutes} min"),
                _ => format!("{days} d {hours} h"),
            }
        }
    }
}

/// Year, month and day of a day since 1970 (days_from_civil backwards, by H. Hinnant).
pub fn civil(day: i64) -> (i64, usize, i64) {
    let day = day + 719_468;
    let (era, of_era) = (day.div_euclid(146_097), day.rem_euclid(146_097));
    let year_of_era = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let march = (5 * of_year + 2) / 153;
    let day_of_month = of_year - (153 * march + 2) / 5 + 1;
    let month = if march < 10 { march + 3 } else { march - 9 };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    (year, usize::try_from(month).unwrap_or(1), day_of_month)
}

/// A day as `2024-07-18`.
pub fn date(day: i64) -> String {
    let (year, month, day) = civil(day);
    format!("{year}-{month:02}-{day:02}")
}

/// A time as `2024-07-18 23:57:02`.
pub fn stamp(nanos: i64) -> String {
    let second = nanos.rem_euclid(DAY_NS) / 1_000_000_000;
    format!("{} {:02}:{:02}:{:02}", date(nanos.div_euclid(DAY_NS)), second / 3_600, second / 60 % 60, second % 60)
}

/// Letters of a number's sign class, for colour.
pub fn sign(units: i128) -> &'static str {
    match units {
        0 => "",
        1.. => "up",
        _ => "down",
    }
}

fn grouped(digits: &str) -> String {
    let mut text = String::with_capacity(digits.len() * 4 / 3);
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

const MINUS: &str = "\u{2212}";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_from_outside_is_markup() {
        let evil = "<img src=x onerror='alert(1)'>&\"\u{7}";
        assert_eq!(escape(evil), "&lt;img src=x onerror=&#39;alert(1)&#39;&gt;&amp;&quot;\u{fffd}");
    }

    #[test]
    fn money_is_written_from_its_integers() {
        for (units, exactly, two) in [
            (0, "0.00", "0.00"),
            (-1, "−0.00000001", "0.00"),
            (123_456_789_012_345_678, "1,234,567,890.12345678", "1,234,567,890.12"),
            (-250_000_000, "−2.50", "−2.50"),
            (499_500_000, "4.995", "5.00"),
            (-499_499_999, "−4.99499999", "−4.99"),
        ] {
            assert_eq!((exact(units).as_str(), fixed(units, 2).as_str()), (exactly, two), "{units}");
        }
        assert_eq!(fixed(-1_234_567_890_123, 0), "−12,346");
        assert_eq!((decimals([0, 100_000_000]), decimals([5_000, 100]), decimals([-1])), (2, 6, 8));
    }

    #[test]
    fn numbers_times_and_durations_are_for_people() {
        assert_eq!(float(Some(-1234.567), 1), "−1,234.6");
        assert_eq!((float(Some(-0.001), 2), float(Some(f64::NAN), 2)), ("0.00".to_owned(), "n/a".to_owned()));
        assert_eq!((percent(Some(0.1234)), share(1, 0)), ("12.3 %".to_owned(), "n/a".to_owned()));
        assert_eq!(stamp(1_721_347_022_000_000_000), "2024-07-18 23:57:02");
        assert_eq!((date(0), date(-1), date(11_016)), ("1970-01-01".into(), "1969-12-31".into(), "2000-02-29".into()));
        for (nanos, text) in
            [(5_000_000, "5.0 ms"), (514_000_000_000, "8 min 34 s"), (90_000 * 1_000_000_000, "1 d 1 h")]
        {
            assert_eq!(duration(nanos), text);
        }
    }
}
