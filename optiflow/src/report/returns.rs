//! Sharpe, Sortino and Calmar, from profit by period; and drawdown.
//!
//! A run has no capital of its own, so the series is profit in money, which is return on any constant capital: the
//! capital cancels in every ratio. The period is the longest of a day, an hour and five minutes for which the run is
//! long enough; a shorter run has no ratios, because a few hours scaled to a year say nothing. Years have 365 days:
//! crypto does not close. What lies between two recordings is no time of the market: periods without it are none without
//! profit, they are not counted. Floats: these are estimates; the drawdown is money and exact.

use optiflow_base::money::Notional;

use super::moments::Moments;

/// The equity of the whole run, sampled.
#[derive(Clone, Debug, Default)]
pub struct Returns {
    ladders: [Periods; PERIODS.len()],
    first: Option<(i64, Notional)>,
    last: (i64, Notional),
    /// When the market last told anything; `None` where nobody says, and then it always did.
    heard: Option<i64>,
    /// Time with a market.
    seen_ns: i64,
    drawdown: Drawdown,
}

/// The deepest fall of the equity from an earlier peak.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Drawdown {
    peak: Notional,
    peak_ns: i64,
    /// How deep; zero or more.
    pub deepest: Notional,
    /// When it was deepest.
    pub deepest_ns: i64,
    /// The longest time below an earlier peak.
    pub longest_ns: i64,
}

/// Ratios of a run long enough for them.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Ratios {
    /// Which period, in words.
    pub period: &'static str,
    /// Periods seen.
    pub periods: u64,
    /// Mean over standard deviation, a year.
    pub sharpe: Option<f64>,
    /// One standard error of it: what chance alone does in a run of this length.
    pub sharpe_error: f64,
    /// Mean over the deviation of losses, a year.
    pub sortino: Option<f64>,
    /// Profit a year over the deepest drawdown; only of 30 days of market and more.
    pub calmar: Option<f64>,
}

#[derive(Clone, Debug, Default)]
struct Periods {
    current: Option<Running>,
    profits: Moments,
    losses_squared: f64,
}

/// The period that runs.
#[derive(Clone, Copy, Debug)]
struct Running {
    number: i64,
    /// Equity at its begin.
    opening: Notional,
    /// Time of it with a market.
    seen_ns: i64,
}

impl Returns {
    /// The market told something at `at`, no later than the next sample.
    pub const fn heard(&mut self, at: i64) {
        self.heard = Some(at);
    }

    /// The equity at `now`.
    pub fn sample(&mut self, now: i64, equity: Notional) {
        if self.first.is_none() {
            self.first = Some((now, equity));
            self.drawdown = Drawdown::from(now, Notional::ZERO);
            self.last = (now, equity);
        }
        // What was heard just now says nothing of a long time before it that nobody looked at.
        let silent_from = self.heard.map_or(now, |heard| heard.min(self.last.0).saturating_add(SILENCE_NS));
        self.seen_ns += seen(self.last.0, now, silent_from);
        for (periods, period) in self.ladders.iter_mut().zip(&PERIODS) {
            periods.sample((now, equity), self.last, silent_from, period.nanos);
        }
        self.last = (now, equity);
        self.drawdown.sample(now, equity);
    }

    /// The drawdown so far.
    pub const fn drawdown(&self) -> &Drawdown {
        &self.drawdown
    }

    /// How far the equity is below its peak now.
    pub fn depth(&self) -> Notional {
        self.drawdown.peak - self.last.1
    }

    /// The ratios; `None` of a run with too little of the market for any.
    pub fn ratios(&self) -> Option<Ratios> {
        let (_, start) = self.first?;
        let chosen = self.ladders.iter().zip(&PERIODS).map(|(periods, period)| {
            let closed = periods.closed(self.last.1, period.nanos);
            (closed, period)
        });
        let (periods, period) = chosen.into_iter().find(|(closed, period)| closed.profits.n() >= period.least)?;
        let (n, mean) = (periods.profits.n(), periods.profits.mean()?);
        let a_year = (YEAR_NS / period.nanos as f64).sqrt();
        let ratio = |deviation: f64| (deviation > 0.0).then(|| mean / deviation * a_year);
        let sharpe = periods.profits.deviation().and_then(ratio);
        let per_period = sharpe.unwrap_or(0.0) / a_year;
        let deepest = self.drawdown.deepest.as_f64();
        let length = self.seen_ns as f64;
        let a_years_profit = (self.last.1 - start).as_f64() / length * YEAR_NS;
        let is_long = length >= CALMAR_LEAST_NS && deepest > 0.0;
        Some(Ratios {
            period: period.name,
            periods: n,
            sharpe,
            sharpe_error: ((1.0 + per_period * per_period / 2.0) / n as f64).sqrt() * a_year,
            sortino: ratio((periods.losses_squared / n as f64).sqrt()),
            calmar: is_long.then(|| a_years_profit / deepest),
        })
    }
}

impl Periods {
    fn sample(&mut self, sample: (i64, Notional), last: (i64, Notional), silent_from: i64, nanos: i64) {
        let (now, equity) = sample;
        let number = now.div_euclid(nanos);
        let Running { number: current, opening, seen_ns } =
            *self.current.get_or_insert(Running { number, opening: equity, seen_ns: 0 });
        if number == current {
            let seen_ns = seen_ns + seen(last.0, now, silent_from);
            self.current = Some(Running { number, opening, seen_ns });
            return;
        }
        // The equity where a period ends is that of the last sample in it or, where one falls on the border, of that.
        let on_border = now.rem_euclid(nanos) == 0 && number == current + 1;
        let (end, closing) = if on_border { sample } else { last };
        self.close(seen_ns + seen(last.0, end, silent_from), closing - opening, nanos);
        let seen_ns = seen(end.max(number * nanos), now, silent_from);
        self.current = Some(Running { number, opening: closing, seen_ns });
    }

    /// A period of which less than half had a market says little about a whole one, and of a hole nothing.
    fn close(&mut self, seen_ns: i64, profit: Notional, nanos: i64) {
        if seen_ns * 2 >= nanos {
            let profit = profit.as_f64();
            self.profits.add(profit);
            self.losses_squared += profit.min(0.0).powi(2);
        }
    }

    /// With the period that still runs.
    fn closed(&self, equity: Notional, nanos: i64) -> Periods {
        let mut closed = self.clone();
        if let Some(Running { opening, seen_ns, .. }) = self.current {
            closed.close(seen_ns, equity - opening, nanos);
        }
        closed
    }
}

impl Drawdown {
    /// From `peak`, reached at `now`.
    pub fn from(now: i64, peak: Notional) -> Drawdown {
        Drawdown { peak, peak_ns: now, ..Drawdown::default() }
    }

    /// How far below its peak is `equity`, seen at `now`?
    pub fn sample(&mut self, now: i64, equity: Notional) -> Notional {
        if equity >= self.peak {
            (self.peak, self.peak_ns) = (equity, now);
            return Notional::ZERO;
        }
        let depth = self.peak - equity;
        if depth > self.deepest {
            (self.deepest, self.deepest_ns) = (depth, now);
        }
        self.longest_ns = self.longest_ns.max(now - self.peak_ns);
        depth
    }
}

/// Time with a market between two moments, where it is silent from `silent_from` on.
fn seen(from: i64, to: i64, silent_from: i64) -> i64 {
    (to.min(silent_from) - from).max(0)
}

struct Period {
    name: &'static str,
    nanos: i64,
    /// Fewer of these say nothing.
    least: u64,
}

/// The shortest period: who samples where one ends, and where something changes, has sampled enough.
pub const SHORTEST_NS: i64 = HOUR_NS / 12;
/// A market that has told nothing for so long is none: just less than half of the shortest period, so that none counts
/// that had no row of its own, and samples a second apart do not change that.
const SILENCE_NS: i64 = SHORTEST_NS / 2 - 1_000_000_000;
const HOUR_NS: i64 = 3_600_000_000_000;
const YEAR_NS: f64 = 365.0 * 24.0 * HOUR_NS as f64;
const CALMAR_LEAST_NS: f64 = 30.0 * 24.0 * HOUR_NS as f64;

/// The longest first: a day from 60 days on, an hour from a week on, five minutes from a day on (which a file of one day
/// misses by some seconds, hence one less).
const PERIODS: [Period; 3] = [
    Period { name: "1 day", nanos: 24 * HOUR_NS, least: 60 },
    Period { name: "1 hour", nanos: HOUR_NS, least: 168 },
    Period { name: "5 minutes", nanos: SHORTEST_NS, least: 287 },
];

#[cfg(test)]
mod tests {
    use super::*;

    fn money(text: &str) -> Notional {
        text.parse().unwrap()
    }

    #[test]
    fn drawdown_is_from_the_highest_before_and_begins_at_nothing() {
        let mut returns = Returns::default();
        for (second, equity) in [(1, "-1"), (2, "3"), (3, "2"), (4, "2.5"), (5, "-0.5"), (6, "4"), (7, "3.9")] {
            returns.sample(second * 1_000_000_000, money(equity));
        }
        let drawdown = returns.drawdown();
        assert_eq!((drawdown.deepest.to_string(), drawdown.deepest_ns), ("3.5".to_owned(), 5_000_000_000));
        assert_eq!(drawdown.longest_ns, 3_000_000_000);
        let mut fees = Returns::default();
        fees.sample(1, money("-2"));
        assert_eq!(fees.drawdown().deepest, money("2"), "an account begins at zero");
    }

    #[test]
    fn a_short_run_has_no_ratios() {
        let mut returns = Returns::default();
        for minute in 0..600i64 {
            returns.sample(minute * HOUR_NS / 60, Notional::from_units(i128::from(minute * minute % 7)));
        }
        assert_eq!(returns.ratios(), None);
    }

    #[test]
    fn what_lies_between_two_recordings_is_not_counted() {
        let hole = 450 * 288;
        let of = |tells: bool, recorded: i64| {
            let mut returns = Returns::default();
            let mut period_of = |first: i64| {
                for second in 0..recorded * 300 {
                    let now = first * SHORTEST_NS + second * 1_000_000_000;
                    if tells {
                        returns.heard(now);
                    }
                    returns.sample(now, Notional::from_units(i128::from((now / SHORTEST_NS) % 3 * 100_000_000)));
                }
            };
            period_of(3);
            period_of(hole);
            returns.ratios()
        };
        assert_eq!(of(true, 2), None, "four periods of five minutes are no run of a day");
        let two = of(true, 150).unwrap();
        assert_eq!((two.period, two.periods, two.calmar), ("5 minutes", 300, None));
        // The hole itself is looked at every five minutes, with the same equity: that adds nothing.
        let mut returns = Returns::default();
        for period in 0..1_000 {
            if period < 2 {
                returns.heard(period * SHORTEST_NS);
            }
            returns.sample(period * SHORTEST_NS, Notional::ZERO);
        }
        assert_eq!((returns.ratios(), returns.seen_ns), (None, 2 * SILENCE_NS));
    }

    #[test]
    fn a_day_is_measured_in_fives_of_minutes_and_weeks_in_hours() {
        let of = |days: i64| {
            let mut returns = Returns::default();
            // One up by 3, one down by 1, in turn: mean 1, deviation 2 (and a little, for n - 1).
            for period in 0..=days * 288 {
                let units = (period / 2 * 2 + period % 2 * 3) * 100_000_000;
                returns.sample(period * HOUR_NS / 12, Notional::from_units(units.into()));
            }
            returns.ratios().unwrap()
        };
        let day = of(1);
        assert_eq!((day.period, day.periods, day.calmar), ("5 minutes", 288, None));
        let a_year = (365.0f64 * 288.0).sqrt();
        let deviation = 2.0 * (288.0f64 / 287.0).sqrt();
        assert!((day.sharpe.unwrap() - a_year / deviation).abs() < 1e-6, "{day:?}");
        assert!((day.sortino.unwrap() - a_year / 0.5f64.sqrt()).abs() < 1e-6, "{day:?}");
        assert!((day.sharpe_error - ((1.0 + 0.125) / 288.0f64).sqrt() * a_year).abs() < 0.1, "{day:?}");
        let month = of(31);
        assert_eq!((month.period, month.periods, month.sharpe), ("1 hour", 31 * 24, None), "no spread, no ratio");
        assert!((month.calmar.unwrap() - 365.0 * 288.0).abs() < 1.0, "{month:?}");
    }
}
