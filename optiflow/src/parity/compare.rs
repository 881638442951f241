//! Real and simulated fills side by side: a class for every order, and the figures of a queue model.
//!
//! Quantities are compared exactly; averages and quantiles are for people and are floats.

use optiflow_base::money::{Notional, Side};
use serde::Serialize;

use super::session::{Fills, Own};

/// One order under one queue model.
#[derive(Clone, Copy, Debug)]
pub struct Pair<'a> {
    /// The order.
    pub own: &'a Own,
    /// What the simulator made of it.
    pub simulated: Fills,
    /// The last known mid of its symbol.
    pub mid: Option<f64>,
}

/// How the two agree.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Class {
    /// The same quantity, which may be none.
    Same,
    /// Both traded, not the same quantity.
    Partly,
    /// Only the real one traded.
    OnlyReal,
    /// Only the simulated one traded.
    OnlySimulated,
}

impl Class {
    /// All of them.
    pub const ALL: [Class; 4] = [Class::Same, Class::Partly, Class::OnlyReal, Class::OnlySimulated];

    /// As written.
    pub const fn name(self) -> &'static str {
        match self {
            Class::Same => "same",
            Class::Partly => "partly",
            Class::OnlyReal => "only real",
            Class::OnlySimulated => "only simulated",
        }
    }
}

impl Pair<'_> {
    /// How the two agree.
    pub fn class(&self) -> Class {
        let (real, simulated) = (self.own.real.qty, self.simulated.qty);
        match (real == simulated, real.is_zero(), simulated.is_zero()) {
            (true, _, _) => Class::Same,
            (false, false, false) => Class::Partly,
            (false, _, true) => Class::OnlyReal,
            (false, true, false) => Class::OnlySimulated,
        }
    }

    /// Simulated less real first fill, ms.
    pub fn time_difference(&self) -> Option<i64> {
        Some(self.simulated.first_ms? - self.own.real.first_ms?)
    }

    /// Simulated less real average price.
    pub fn price_difference(&self) -> Option<f64> {
        Some(self.simulated.price()? - self.own.real.price()?)
    }

    /// What one unit was worth: the real average price, else the simulated one.
    fn unit_value(&self) -> f64 {
        self.own.real.price().or(self.simulated.price()).unwrap_or(0.0)
    }
}

/// The figures of one queue model.
#[derive(Clone, Debug, Serialize)]
pub struct Figures {
    /// The model, as written.
    pub queue: String,
    /// Orders compared.
    pub orders: usize,
    /// Of these, how many really traded.
    pub filled_real: usize,
    /// How many traded in the simulation.
    pub filled_simulated: usize,
    /// Orders by class.
    pub same: usize,
    /// Both traded, not the same quantity.
    pub partly: usize,
    /// Only the real one traded.
    pub only_real: usize,
    /// Only the simulated one traded.
    pub only_simulated: usize,
    /// Share of the orders with the same outcome.
    pub agreement: f64,
    /// The same among the orders that traded in either; one where none did.
    pub agreement_of_filled: f64,
    /// Quantity on which both agree, of the larger one of each order, weighted by its price: one where nothing traded.
    pub agreement_by_value: f64,
    /// Value of what really traded.
    pub value_real: f64,
    /// Value of what traded in the simulation.
    pub value_simulated: f64,
    /// Mean of the absolute difference of average prices in basis points, over orders that traded in both.
    pub price_error_bps: Option<f64>,
    /// First fills, simulated less real, over orders that traded in both.
    pub fill_time_ms: Option<TimeError>,
    /// Cash, fees and what is left at the last known mid, of the orders compared; `None` where a mid was never known.
    pub profit_real: Option<f64>,
    /// The same in the simulation.
    pub profit_simulated: Option<f64>,
    /// The simulation's less the real one.
    pub profit_difference: Option<f64>,
}

/// Differences of times, ms.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct TimeError {
    /// Over so many orders.
    pub orders: usize,
    /// Mean, with its sign.
    pub mean: f64,
    /// Quantiles of the absolute difference.
    pub p50: i64,
    /// 90 %.
    pub p90: i64,
    /// 99 %.
    pub p99: i64,
    /// The largest.
    pub max: i64,
}

impl Figures {
    /// Of the orders of all symbols: what is summed over them is money, never quantities of different things.
    pub fn of(queue: &str, pairs: &[Pair<'_>]) -> Figures {
        let count = |class: Class| pairs.iter().filter(|pair| pair.class() == class).count();
        let traded = |fills: &Fills| !fills.qty.is_zero();
        let (real, simulated) = (|pair: &Pair<'_>| pair.own.real, |pair: &Pair<'_>| pair.simulated);
        let filled = pairs.iter().filter(|pair| traded(&pair.own.real) || traded(&pair.simulated));
        let (mut either, mut either_same, mut least, mut most) = (0, 0, 0.0, 0.0);
        for pair in filled {
            either += 1;
            either_same += usize::from(pair.class() == Class::Same);
            least += pair.own.real.qty.min(pair.simulated.qty).as_f64() * pair.unit_value();
            most += pair.own.real.qty.max(pair.simulated.qty).as_f64() * pair.unit_value();
        }
        let error = |pair: &Pair<'_>| Some(pair.price_difference()?.abs() / pair.own.real.price()? * BPS);
        let errors: Vec<f64> = pairs.iter().filter_map(error).collect();
        let times: Vec<i64> = pairs.iter().filter_map(|pair| pair.time_difference()).collect();
        let value = |of: fn(&Pair<'_>) -> Fills| pairs.iter().map(|pair| of(pair).value).sum::<Notional>().as_f64();
        let (profit_real, profit_simulated) = (profit(pairs, real), profit(pairs, simulated));
        Figures {
            queue: queue.to_owned(),
            orders: pairs.len(),
            filled_real: pairs.iter().filter(|pair| traded(&pair.own.real)).count(),
            filled_simulated: pairs.iter().filter(|pair| traded(&pair.simulated)).count(),
            same: count(Class::Same),
            partly: count(Class::Partly),
            only_real: count(Class::OnlyReal),
            only_simulated: count(Class::OnlySimulated),
            agreement: share(count(Class::Same) as f64, pairs.len() as f64),
            agreement_of_filled: share(either_same as f64, f64::from(either)),
            agreement_by_value: share(least, most),
            value_real: value(real),
            value_simulated: value(simulated),
            price_error_bps: (!errors.is_empty()).then(|| errors.iter().sum::<f64>() / errors.len() as f64),
            fill_time_ms: TimeError::of(&times),
            profit_real,
            profit_simulated,
            profit_difference: profit_simulated.zip(profit_real).map(|(simulated, real)| simulated - real),
        }
    }

    /// How many are of the class.
    pub const fn count(&self, class: Class) -> usize {
        match class {
            Class::Same => self.same,
            Class::Partly => self.partly,
            Class::OnlyReal => self.only_real,
            Class::OnlySimulated => self.only_simulated,
        }
    }
}

impl TimeError {
    fn of(differences: &[i64]) -> Option<TimeError> {
        let mut sizes: Vec<i64> = differences.iter().map(|difference| difference.abs()).collect();
        sizes.sort_unstable();
        let max = *sizes.last()?;
        let quantile = |percent: usize| sizes[(sizes.len() * percent).div_ceil(100).max(1) - 1];
        let mean = differences.iter().sum::<i64>() as f64 / sizes.len() as f64;
        Some(TimeError { orders: sizes.len(), mean, p50: quantile(50), p90: quantile(90), p99: quantile(99), max })
    }
}

/// Cash less fees, and the position at the last known mid of its symbol; `None` where there is one without a mid.
fn profit(pairs: &[Pair<'_>], of: impl Fn(&Pair<'_>) -> Fills) -> Option<f64> {
    let each = |pair: &Pair<'_>| {
        let fills = of(pair);
        let held = if fills.qty.is_zero() { 0.0 } else { fills.qty.as_f64() * pair.mid? };
        let value = Notional::as_f64(fills.value);
        let gain = match pair.own.sent.side {
            Side::Buy => held - value,
            Side::Sell => value - held,
        };
        Some(gain - fills.fee.as_f64())
    };
    pairs.iter().map(each).sum()
}

fn share(part: f64, whole: f64) -> f64 {
    if whole > 0.0 { part / whole } else { 1.0 }
}

const BPS: f64 = 1e4;

#[cfg(test)]
mod tests {
    use optiflow_base::clock::Nanos;
    use optiflow_base::money::{Price, Qty};
    use optiflow_base::order::{OrderKind, TimeInForce};
    use optiflow_storage::reader::history::SentOrder;

    use super::super::travel::Known;
    use super::*;

    fn fills(qty: i64, price: i64, at_ms: i64) -> Fills {
        let mut fills = Fills::default();
        if qty > 0 {
            let (price, qty) = (Price::from_units(price * 100_000_000), Qty::from_units(qty * 100_000_000));
            fills.add(price, qty, Notional::from_units(100_000_000), at_ms, true);
        }
        fills
    }

    fn own(side: Side, real: Fills) -> Own {
        let sent = SentOrder {
            id: 1,
            client_id: "of-1".to_owned(),
            symbol: "BTCUSDT".to_owned(),
            side,
            kind: OrderKind::Limit,
            time_in_force: TimeInForce::Gtc,
            price: Price::from_units(1),
            qty: Qty::from_units(1),
            reduce_only: false,
            decided: Nanos(0),
            state: "filled".to_owned(),
            filled: Qty::ZERO,
        };
        let (qty, known_by) = (Qty::from_units(1), Known::Exchange);
        Own { sent, qty, arrival_ns: 0, known_by, changes: Vec::new(), cancel_ns: None, real }
    }

    #[test]
    fn classes_and_figures_follow_from_the_fills() {
        let cases = [
            (own(Side::Buy, fills(4, 10, 100)), fills(4, 10, 103)),
            (own(Side::Buy, fills(4, 10, 100)), fills(2, 10, 98)),
            (own(Side::Sell, fills(2, 12, 100)), fills(0, 0, 0)),
            (own(Side::Sell, fills(0, 0, 0)), fills(2, 12, 100)),
            (own(Side::Sell, fills(0, 0, 0)), fills(0, 0, 0)),
        ];
        let pairs: Vec<_> =
            cases.iter().map(|(own, simulated)| Pair { own, simulated: *simulated, mid: Some(11.0) }).collect();
        let figures = Figures::of("log", &pairs);
        assert_eq!(Class::ALL.map(|class| figures.count(class)), [2, 1, 1, 1]);
        assert_eq!((figures.filled_real, figures.filled_simulated), (3, 3));
        assert_eq!((figures.agreement, figures.agreement_of_filled), (0.4, 0.25));
        // 4 and 2 of 4 and 4 at 10, none of 2 and 2 at 12.
        assert!((figures.agreement_by_value - 60.0 / 128.0).abs() < 1e-12);
        assert_eq!((figures.value_real, figures.value_simulated), (104.0, 84.0));
        let times = figures.fill_time_ms.unwrap();
        assert_eq!((times.orders, times.mean, times.p50, times.p99, times.max), (2, 0.5, 2, 3, 3));
        assert_eq!(figures.price_error_bps, Some(0.0));
        // Bought 8 at 10, sold 2 at 12, three fees, at 11; the simulation bought 6.
        assert!((figures.profit_real.unwrap() - (8.0 + 2.0 - 3.0)).abs() < 1e-9);
        assert!((figures.profit_difference.unwrap() - -2.0).abs() < 1e-9);
    }

    #[test]
    fn symbols_weigh_by_what_is_traded_of_them_and_not_by_how_many_units_that_is() {
        // One coin of 60 000 that agrees, and a thousand of 1 that do not.
        let dear = own(Side::Buy, fills(1, 60_000, 0));
        let cheap = own(Side::Buy, fills(0, 0, 0));
        let pairs = [
            Pair { own: &dear, simulated: fills(1, 60_000, 0), mid: Some(60_000.0) },
            Pair { own: &cheap, simulated: fills(1_000, 1, 0), mid: Some(1.0) },
        ];
        let figures = Figures::of("log", &pairs);
        assert!((figures.agreement_by_value - 60.0 / 61.0).abs() < 1e-9, "{}", figures.agreement_by_value);
    }

    #[test]
    fn what_is_held_without_a_known_mid_is_worth_nobody_knows_what() {
        let order = own(Side::Buy, fills(1, 10, 0));
        let figures = Figures::of("log", &[Pair { own: &order, simulated: fills(0, 0, 0), mid: None }]);
        assert_eq!((figures.profit_real, figures.profit_simulated), (None, Some(0.0)));
        assert_eq!(figures.profit_difference, None);
    }

    #[test]
    fn nothing_traded_is_full_agreement() {
        let order = own(Side::Buy, fills(0, 0, 0));
        let figures = Figures::of("log", &[Pair { own: &order, simulated: fills(0, 0, 0), mid: None }]);
        assert_eq!((figures.agreement, figures.agreement_of_filled, figures.agreement_by_value), (1.0, 1.0, 1.0));
        assert_eq!(figures.fill_time_ms, None);
    }
}
