//! The rules of matching that a run chooses: how queues are estimated, how resting orders fill, how late trades come.
//!
//! Plain data; the default is what the exchange does. Never decides anything.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use crate::replay::queue::QueueModel;

/// How our resting orders are matched.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct MatchingRules {
    /// How it is known what stands ahead of an order.
    pub queue: Queueing,
    /// Does a resting order fill piece by piece (true), or in one piece once enough volume has reached it (false)?
    pub partial_fills: bool,
    /// A trade may be told this long after the book has shown what it left; beyond, the level had shrunk by cancels.
    /// Zero takes the order of telling at its word. With [`Queueing::Fifo`] nothing is told late.
    pub late_trades: Duration,
}

/// How it is known what stands ahead of an order at its price.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Queueing {
    /// Estimated from what the level shows.
    Model(QueueModel),
    /// Exact: the source tells the market's own orders one by one. Only the synthetic market can.
    Fifo,
}

impl Default for MatchingRules {
    /// Risk-averse, piece by piece, trades up to 200 ms late.
    fn default() -> MatchingRules {
        let queue = Queueing::Model(QueueModel::RiskAverse);
        MatchingRules { queue, partial_fills: true, late_trades: LATE_TRADES }
    }
}

impl FromStr for Queueing {
    type Err = String;

    /// Reads `fifo` or the name of a [`QueueModel`].
    fn from_str(text: &str) -> Result<Queueing, String> {
        if text == "fifo" {
            return Ok(Queueing::Fifo);
        }
        text.parse().map(Queueing::Model).map_err(|problem| format!("{problem}, or fifo with a synthetic market"))
    }
}

impl fmt::Display for Queueing {
    /// The name that is read back.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Queueing::Fifo => f.write_str("fifo"),
            Queueing::Model(QueueModel::RiskAverse) => f.write_str("risk-averse"),
            Queueing::Model(QueueModel::Log) => f.write_str("log"),
            Queueing::Model(QueueModel::Log2) => f.write_str("log2"),
            Queueing::Model(QueueModel::Power(n)) => write!(f, "power:{n}"),
            Queueing::Model(QueueModel::Power2(n)) => write!(f, "power2:{n}"),
            Queueing::Model(QueueModel::Power3(n)) => write!(f, "power3:{n}"),
        }
    }
}

/// How late trades of the recorded market were seen to come.
const LATE_TRADES: Duration = Duration::from_millis(200);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_and_written_alike() {
        for name in ["risk-averse", "log", "log2", "power:2", "power2:1.5", "power3:3", "fifo"] {
            assert_eq!(name.parse::<Queueing>().unwrap().to_string(), name);
        }
        let problem = "lifo".parse::<Queueing>().unwrap_err();
        assert!(problem.contains("lifo") && problem.contains("power3:N") && problem.contains("fifo with"), "{problem}");
    }
}
