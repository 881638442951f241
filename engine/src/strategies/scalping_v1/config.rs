//! What `scalping_v1` is told: every number with its unit and range.
//! Checked once, before anything runs: every problem is listed, not the first.

use std::time::Duration;

use optiflow_base::money::Notional;

/// Parameters of `scalping_v1`. 100 ppm are one basis point.
#[derive(Clone, Debug, PartialEq)]
pub struct ScalpingConfig {
    /// Size of an entry, in the quote asset; raised to the least the exchange accepts. Above zero.
    pub order_notional: Notional,
    /// No entry if the position would exceed this, in the quote asset. At least `order_notional`.
    pub position_notional_max: Notional,
    /// Enter when the imbalance of the best level reaches this in the entry's direction. 0 to 1.
    pub obi_l1_enter: f64,
    /// Keep a waiting entry while the imbalance of the best level is at least this. −1 to `obi_l1_enter`.
    pub obi_l1_keep: f64,
    /// Enter only when the imbalance of five levels is at least this in the entry's direction. −1 to 1.
    pub obi_l5_enter: f64,
    /// Enter only when the trade flow is at least this in the entry's direction. −1 (off) to 1.
    pub flow_enter: f64,
    /// Quote one tick inside the spread when it is at least this wide, ticks. At least 2.
    pub improve_spread_ticks: i64,
    /// Cancel a quote when the price it should have is this far away, ticks. At least 1.
    pub reprice_ticks: i64,
    /// Leave a quote alone for at least this long, unless something is wrong. At most 60 s.
    pub quote_life_min: Duration,
    /// Give up an entry that has waited this long, and think again. `quote_life_min` to 600 s.
    pub quote_life_max: Duration,
    /// Take-profit distance from the entry price, ppm. The larger of this and `take_profit_ticks` counts. 0 to 100 000.
    pub take_profit_ppm: i64,
    /// Take-profit distance from the entry price, ticks. At least 1.
    pub take_profit_ticks: i64,
    /// Close the position when the mid has moved this far against the entry price, ppm. 1 to 100 000.
    pub stop_loss_ppm: i64,
    /// After this long, close the position by a post-only order at the touch. Above zero.
    pub hold_max: Duration,
    /// After this much longer, close it by taking. At most 600 s.
    pub exit_grace: Duration,
    /// How far through the touch a taking exit is priced, ticks. 0 to 10 000.
    pub cross_ticks: i64,
    /// Taking exits that may fail in a row before a market order is sent. 1 to 100.
    pub cross_attempts_max: u32,
    /// Orders in any second, exits included. 2 to 50.
    pub orders_per_second_max: u32,
    /// Pause after a refusal; doubles with every identical one. 1 ms to `refusal_pause`.
    pub refusal_cooldown: Duration,
    /// Identical refusals in a row after which a person is told and `refusal_pause` counts. 1 to 100.
    pub refusals_max: u32,
    /// Longest pause after refusals, except of exits that take: those pause half a second at most. At most 3600 s.
    pub refusal_pause: Duration,
    /// No trading when the book was last heard of longer ago than this. 1 ms to 60 s.
    pub stale_after: Duration,
}

impl Default for ScalpingConfig {
    /// Modest thresholds that trade often: for demonstrations, not for profit.
    fn default() -> ScalpingConfig {
        const ONE_QUOTE: i128 = optiflow_base::decimal::UNITS as i128;
        ScalpingConfig {
            order_notional: Notional::from_units(120 * ONE_QUOTE),
            position_notional_max: Notional::from_units(500 * ONE_QUOTE),
            obi_l1_enter: 0.1,
            obi_l1_keep: -0.9,
            obi_l5_enter: -0.2,
            flow_enter: -0.8,
            improve_spread_ticks: 3,
            reprice_ticks: 1,
            quote_life_min: Duration::from_millis(300),
            quote_life_max: Duration::from_secs(3),
            take_profit_ppm: 10,
            take_profit_ticks: 2,
            stop_loss_ppm: 300,
            hold_max: Duration::from_secs(2),
            exit_grace: Duration::from_secs(1),
            cross_ticks: 10,
            cross_attempts_max: 3,
            orders_per_second_max: 5,
            refusal_cooldown: Duration::from_millis(250),
            refusals_max: 5,
            refusal_pause: Duration::from_secs(10),
            stale_after: Duration::from_millis(1_500),
        }
    }
}

impl ScalpingConfig {
    /// Every problem, as `name: what is wrong`; empty when there is none.
    pub fn validate(&self) -> Vec<String> {
        let mut problems = Vec::new();
        self.validate_signals(&mut problems);
        self.validate_prices(&mut problems);
        self.validate_times(&mut problems);
        problems
    }

    fn validate_signals(&self, problems: &mut Vec<String>) {
        within(problems, "obi_l1_enter", self.obi_l1_enter, 0.0, 1.0);
        within(problems, "obi_l1_keep", self.obi_l1_keep, -1.0, self.obi_l1_enter);
        within(problems, "obi_l5_enter", self.obi_l5_enter, -1.0, 1.0);
        within(problems, "flow_enter", self.flow_enter, -1.0, 1.0);
    }

    fn validate_prices(&self, problems: &mut Vec<String>) {
        if self.order_notional <= Notional::ZERO {
            problems.push(format!("order_notional: {} is not above zero", self.order_notional));
        }
        if self.position_notional_max < self.order_notional {
            problems.push(format!(
                "position_notional_max: {} is below order_notional {}",
                self.position_notional_max, self.order_notional
            ));
        }
        within(problems, "improve_spread_ticks", self.improve_spread_ticks, 2, TICKS_MAX);
        within(problems, "reprice_ticks", self.reprice_ticks, 1, TICKS_MAX);
        within(problems, "take_profit_ppm", self.take_profit_ppm, 0, PPM_MAX);
        within(problems, "take_profit_ticks", self.take_profit_ticks, 1, TICKS_MAX);
        within(problems, "stop_loss_ppm", self.stop_loss_ppm, 1, PPM_MAX);
        within(problems, "cross_ticks", self.cross_ticks, 0, TICKS_MAX);
        within(problems, "cross_attempts_max", self.cross_attempts_max, 1, 100);
        within(problems, "orders_per_second_max", self.orders_per_second_max, 2, 50);
        within(problems, "refusals_max", self.refusals_max, 1, 100);
    }

    fn validate_times(&self, problems: &mut Vec<String>) {
        let table = [
            ("quote_life_min", self.quote_life_min, Duration::ZERO, Duration::from_secs(60)),
            ("quote_life_max", self.quote_life_max, self.quote_life_min, Duration::from_secs(600)),
            ("hold_max", self.hold_max, MILLISECOND, Duration::from_secs(86_400)),
            ("exit_grace", self.exit_grace, Duration::ZERO, Duration::from_secs(600)),
            ("refusal_cooldown", self.refusal_cooldown, MILLISECOND, self.refusal_pause),
            ("refusal_pause", self.refusal_pause, MILLISECOND, Duration::from_secs(3_600)),
            ("stale_after", self.stale_after, MILLISECOND, Duration::from_secs(60)),
        ];
        for (name, value, least, most) in table {
            within(problems, name, value, least, most);
        }
    }
}

fn within<T: PartialOrd + std::fmt::Debug>(problems: &mut Vec<String>, name: &str, value: T, least: T, most: T) {
    // Written so that a NaN is outside.
    if !(value >= least && value <= most) {
        problems.push(format!("{name}: {value:?} is not between {least:?} and {most:?}"));
    }
}

const TICKS_MAX: i64 = 10_000;
const PPM_MAX: i64 = 100_000;
const MILLISECOND: Duration = Duration::from_millis(1);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_default_is_valid() {
        assert_eq!(ScalpingConfig::default().validate(), Vec::<String>::new());
    }

    #[test]
    fn every_problem_is_listed() {
        let config = ScalpingConfig {
            order_notional: Notional::ZERO,
            position_notional_max: Notional::from_units(-1),
            obi_l1_enter: f64::NAN,
            flow_enter: -1.5,
            reprice_ticks: 0,
            stale_after: Duration::from_secs(61),
            refusal_pause: Duration::ZERO,
            ..ScalpingConfig::default()
        };
        let expected = [
            "obi_l1_enter: NaN is not between 0.0 and 1.0",
            "obi_l1_keep: -0.9 is not between -1.0 and NaN",
            "flow_enter: -1.5 is not between -1.0 and 1.0",
            "order_notional: 0 is not above zero",
            "position_notional_max: -0.00000001 is below order_notional 0",
            "reprice_ticks: 0 is not between 1 and 10000",
            "refusal_cooldown: 250ms is not between 1ms and 0ns",
            "refusal_pause: 0ns is not between 1ms and 3600s",
            "stale_after: 61s is not between 1ms and 60s",
        ];
        assert_eq!(config.validate(), expected);
    }
}
