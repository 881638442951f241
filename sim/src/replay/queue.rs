//! Where in its price level's queue one of our orders stands: an estimate from what the level shows.
//!
//! Never a matching rule by itself: the venue asks how much of a trade reaches us. Quantities are floats here on
//! purpose: the models are defined in floats of the base asset, and equal results need equal arithmetic.

use std::str::FromStr;

/// How the quantity ahead of us shrinks when the level shrinks for reasons other than trades.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum QueueModel {
    /// Only trades move us forward; cancels happen behind us as long as they can.
    RiskAverse,
    /// Share behind: ln(1+back) / (ln(1+back) + ln(1+front)).
    Log,
    /// Share behind: ln(1+back) / ln(1+back+front).
    Log2,
    /// Share behind: backⁿ / (backⁿ + frontⁿ).
    Power(f64),
    /// Share behind: backⁿ / (back+front)ⁿ.
    Power2(f64),
    /// Share behind: 1 − (front / (front+back))ⁿ.
    Power3(f64),
}

/// An order's place.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct QueuePlace {
    /// Quantity ahead; below zero is what a trade left for us.
    pub front: f64,
    /// Traded at the price since the level last changed.
    pub traded: f64,
}

impl QueuePlace {
    /// Behind everything the level shows.
    pub const fn behind(displayed: f64) -> QueuePlace {
        QueuePlace { front: displayed, traded: 0.0 }
    }
}

impl QueueModel {
    /// A trade of `qty` at the order's price.
    pub fn trade(&self, place: &mut QueuePlace, qty: f64) {
        place.front -= qty;
        place.traded += qty;
    }

    /// The level goes from `before` to `after`.
    pub fn depth(&self, place: &mut QueuePlace, before: f64, after: f64) {
        if *self == QueueModel::RiskAverse {
            place.front = place.front.min(after);
            return;
        }
        let change = before - after - place.traded;
        place.traded = 0.0;
        if change < 0.0 {
            place.front = place.front.min(after);
            return;
        }
        let front = place.front;
        let back = before - front;
        let mut behind = self.share_behind(front, back);
        if behind.is_infinite() {
            behind = 1.0;
        }
        let estimate = front - (1.0 - behind) * change + (back - behind * change).min(0.0);
        place.front = estimate.min(after);
    }

    /// Whole lots of the trades so far that are ours; what is ours is no longer ahead of anyone.
    pub fn take_executable(&self, place: &mut QueuePlace, lot: f64) -> i64 {
        let lots = (-place.front / lot).round() as i64;
        if lots > 0 {
            place.front = 0.0;
        }
        lots.max(0)
    }

    fn share_behind(&self, front: f64, back: f64) -> f64 {
        match *self {
            QueueModel::RiskAverse => 1.0,
            QueueModel::Log => (1.0 + back).ln() / ((1.0 + back).ln() + (1.0 + front).ln()),
            QueueModel::Log2 => (1.0 + back).ln() / (1.0 + (back + front)).ln(),
            QueueModel::Power(n) => back.powf(n) / (back.powf(n) + front.powf(n)),
            QueueModel::Power2(n) => back.powf(n) / (back + front).powf(n),
            QueueModel::Power3(n) => 1.0 - (front / (front + back)).powf(n),
        }
    }
}

impl FromStr for QueueModel {
    type Err = String;

    /// Reads `risk-averse`, `log`, `log2`, `power:N`, `power2:N` or `power3:N`.
    fn from_str(text: &str) -> Result<QueueModel, String> {
        let exponent = |digits: &str| match digits.parse::<f64>() {
            Ok(n) if n.is_finite() && n > 0.0 => Ok(n),
            Ok(_) | Err(_) => Err(format!("queue model {text:?}: the exponent must be a positive number")),
        };
        match text.split_once(':') {
            None if text == "risk-averse" || text == "risk" => Ok(QueueModel::RiskAverse),
            None if text == "log" => Ok(QueueModel::Log),
            None if text == "log2" => Ok(QueueModel::Log2),
            Some(("power", n)) => exponent(n).map(QueueModel::Power),
            Some(("power2", n)) => exponent(n).map(QueueModel::Power2),
            Some(("power3", n)) => exponent(n).map(QueueModel::Power3),
            None | Some(_) => Err(format!(
                "queue model {text:?} is unknown; use risk-averse, log, log2, power:N, power2:N or power3:N"
            )),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_and_strangers_named() {
        assert_eq!("power3:2.5".parse(), Ok(QueueModel::Power3(2.5)));
        assert_eq!("risk-averse".parse(), Ok(QueueModel::RiskAverse));
        for bad in ["power", "power:x", "power:-1", "lifo", "log:2"] {
            assert!(bad.parse::<QueueModel>().unwrap_err().contains(bad), "{bad}");
        }
    }

    #[test]
    fn nothing_ahead_and_nothing_behind_gives_the_new_quantity() {
        let mut place = QueuePlace::behind(0.0);
        QueueModel::Log.depth(&mut place, 0.0, 0.0);
        assert_eq!(place.front, 0.0);
        let mut place = QueuePlace { front: -2.0, traded: 0.0 };
        QueueModel::Log.depth(&mut place, 3.0, 2.0);
        assert_eq!(place.front, 2.0, "a NaN share falls back to the level");
    }

    #[test]
    fn an_infinite_share_is_everything_behind() {
        let mut place = QueuePlace { front: -1.0, traded: 0.0 };
        QueueModel::Log2.depth(&mut place, 0.0, 0.0);
        assert!(place.front <= 0.0);
    }

    #[test]
    fn what_a_trade_leaves_is_taken_once() {
        let model = QueueModel::RiskAverse;
        let mut place = QueuePlace::behind(5.0);
        model.trade(&mut place, 5.0004);
        assert_eq!(model.take_executable(&mut place, 0.001), 0);
        model.trade(&mut place, 0.0002);
        assert_eq!(model.take_executable(&mut place, 0.001), 1);
        assert_eq!(place.front, 0.0);
    }

    #[test]
    fn the_queue_never_grows_from_behind() {
        for model in [QueueModel::RiskAverse, QueueModel::Log, QueueModel::Log2, QueueModel::Power(2.0)] {
            let mut place = QueuePlace::behind(5.0);
            for level in [9.0, 12.0, 7.0, 30.0] {
                let before = place.front;
                model.depth(&mut place, 5.0, level);
                assert!(place.front <= before, "{model:?}");
            }
        }
    }
}
