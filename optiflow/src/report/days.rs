//! Days of UTC: what each of them brought.

use optiflow_base::money::Notional;

use super::returns::Drawdown;

/// Every day of a run.
#[derive(Clone, Debug, Default)]
pub struct Days {
    days: Vec<Day>,
}

/// One day.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Day {
    /// Days since 1970.
    pub number: i64,
    /// Equity when it began: that of the evening before.
    pub opening: Notional,
    /// Equity when it ended, or last.
    pub closing: Notional,
    /// Realised, before fees.
    pub realised: Notional,
    /// Fees paid.
    pub fees: Notional,
    /// Funding received less paid.
    pub funding: Notional,
    /// Value traded.
    pub turnover: Notional,
    /// Fills.
    pub fills: u64,
    /// The deepest fall within the day.
    pub drawdown: Drawdown,
    funding_before: Notional,
}

impl Day {
    /// What the day brought.
    pub fn profit(&self) -> Notional {
        self.closing - self.opening
    }
}

impl Days {
    /// A fill at `now`.
    pub fn fill(&mut self, now: i64, value: Notional, fee: Notional, realised: Notional) {
        let day = self.day(now.div_euclid(DAY_NS), now);
        day.fills += 1;
        day.turnover += value;
        day.fees += fee;
        day.realised += realised;
    }

    /// The equity, and the funding of the whole run so far, at `now`; midnight belongs to the day that ends.
    pub fn sample(&mut self, now: i64, equity: Notional, funding: Notional) {
        let day = self.day((now - 1).div_euclid(DAY_NS), now);
        day.closing = equity;
        day.funding = funding - day.funding_before;
        day.drawdown.sample(now, equity);
    }

    /// All of them.
    pub fn all(&self) -> &[Day] {
        &self.days
    }

    fn day(&mut self, number: i64, now: i64) -> &mut Day {
        let last = self.days.last().copied();
        if last.is_none_or(|last| last.number < number) {
            let last = last.unwrap_or_default();
            let opening = last.closing;
            let drawdown = Drawdown::from(now, opening);
            let funding_before = last.funding_before + last.funding;
            self.days.push(Day { number, opening, closing: opening, drawdown, funding_before, ..Day::default() });
        }
        let newest = self.days.len() - 1;
        &mut self.days[newest]
    }
}

/// Nanoseconds of a day.
pub const DAY_NS: i64 = 86_400_000_000_000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_day_brings_the_difference_of_two_evenings() {
        let money = |text: &str| text.parse::<Notional>().unwrap();
        let mut days = Days::default();
        days.sample(DAY_NS - 5, money("1"), money("0"));
        days.fill(DAY_NS - 4, money("100"), money("0.02"), money("0.5"));
        days.sample(DAY_NS, money("4"), money("-0.25"));
        days.sample(DAY_NS + 1, money("3"), money("-0.25"));
        days.sample(DAY_NS + 2, money("3.5"), money("-1"));
        let [first, second] = days.all() else { panic!("two days: {days:?}") };
        assert_eq!((first.number, first.profit(), first.funding), (0, money("4"), money("-0.25")));
        assert_eq!((first.fills, first.realised, first.fees), (1, money("0.5"), money("0.02")));
        assert_eq!((second.profit(), second.funding, second.fills), (money("-0.5"), money("-0.75"), 0));
        assert_eq!(second.drawdown.deepest, money("1"));
    }
}
