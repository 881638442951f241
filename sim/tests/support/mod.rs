//! Markets and scripts as text, answers as text: what the replay tests share.
// Each test file uses its own part, and a test's helper may stop the test.
#![allow(dead_code, clippy::unwrap_used)]

pub mod made_up;
pub mod oracle;
pub mod peer;

use std::sync::Arc;

use optiflow_base::money::{Price, Side};
use optiflow_sim::replay::feed::{Blocks, Feed};
use optiflow_sim::replay::latency::Latency;
use optiflow_sim::replay::local::Order;
use optiflow_sim::replay::orders::{Answer, OrderKind, Reason, Status, Tells, TimeInForce};
use optiflow_sim::replay::queue::QueueModel;
use optiflow_sim::replay::rows::{Kind, MarketRow, Row, arrange};
use optiflow_sim::replay::run::{Outcome, run};
use optiflow_sim::replay::script::{Action, Script, Step};
use optiflow_sim::replay::terms::{SelfTrade, Terms};
use optiflow_sim::replay::{ReplayConfig, ReplayError, Scale};

/// Tick 0.1, lot 0.001, whole lots.
pub fn scale() -> Scale {
    Scale::lots("0.1".parse().unwrap(), "0.001".parse().unwrap())
}

/// Realistic rules, risk-averse, 5 ms out and 3 ms home.
pub fn config() -> ReplayConfig {
    ReplayConfig {
        scale: scale(),
        queue: QueueModel::RiskAverse,
        latency: Latency::Constant { entry_ns: 5_000_000, response_ns: 3_000_000 },
        partial_fills: true,
        compatible: false,
        maker_fee_ppm: 200,
        taker_fee_ppm: 500,
        terms: Terms::default(),
    }
}

/// Lines `ms kind side tick parts`; the local side learns 2 ms later. Also `ms mark PRICE` and `ms funding RATE NEXT_MS`.
/// Blank lines and `#` lines are skipped.
pub fn market(text: &str) -> Vec<Row> {
    arrange(&lines(text).map(|words| market_row(&words)).collect::<Vec<_>>()).unwrap()
}

fn market_row(words: &[&str]) -> MarketRow {
    let exchange_ns = words[0].parse::<i64>().unwrap() * MILLI;
    let local_ns = exchange_ns + 2 * MILLI;
    let kind = match words[1] {
        "depth" => Kind::Depth,
        "snapshot" => Kind::Snapshot,
        "top" => Kind::Top,
        "trade" => Kind::Trade,
        "clear" if words.len() == 2 => Kind::ClearBoth,
        "clear" => Kind::Clear,
        "mark" => return MarketRow::mark(exchange_ns, local_ns, words[2].parse().unwrap()),
        "funding" => {
            let rate = words[2].parse::<Price>().unwrap().units();
            return MarketRow::funding(exchange_ns, local_ns, rate.try_into().unwrap(), words[3].parse().unwrap());
        }
        other => panic!("kind {other}"),
    };
    if kind == Kind::ClearBoth {
        return MarketRow { kind, side: Side::Buy, exchange_ns, local_ns, tick: 0, parts: 0 };
    }
    let [_, _, side, tick, parts] = words else { panic!("a market line has five words: {words:?}") };
    let (tick, parts) = (tick.parse().unwrap(), parts.parse().unwrap());
    MarketRow { kind, side: side_of(side), exchange_ns, local_ns, tick, parts }
}

/// Lines `ms submit id side tick parts tif` (more words: `reduce`, an STP mode), `ms cancel id`, `ms modify id tick parts`,
/// `ms clear`.
pub fn script(text: &str) -> Script {
    Script::new(lines(text).map(|words| step(&words)).collect())
}

fn step(words: &[&str]) -> Step {
    let at = words[0].parse::<i64>().unwrap() * MILLI;
    let number = |index: usize| words[index].parse::<i64>().unwrap();
    let action = match words[1] {
        "submit" => {
            let (kind, time_in_force) = match words[6] {
                "GTC" => (OrderKind::Limit, TimeInForce::Gtc),
                "GTX" => (OrderKind::Limit, TimeInForce::Gtx),
                "IOC" => (OrderKind::Limit, TimeInForce::Ioc),
                "FOK" => (OrderKind::Limit, TimeInForce::Fok),
                "MARKET" => (OrderKind::Market, TimeInForce::Ioc),
                other => panic!("tif {other}"),
            };
            let order = Order::limit(number(2) as u64, side_of(words[3]), time_in_force, number(4) as i32, number(5));
            let reduce_only = words[7..].contains(&"reduce");
            let self_trade = words[7..].iter().find_map(|word| word.parse::<SelfTrade>().ok());
            Action::Submit(Order { kind, reduce_only, self_trade, ..order })
        }
        "cancel" => Action::Cancel { id: number(2) as u64 },
        "modify" => Action::Modify { id: number(2) as u64, tick: number(3) as i32, parts: number(4) },
        "clear" => Action::Clear,
        other => panic!("verb {other}"),
    };
    Step { at, action }
}

/// Runs and tells every answer: `ms id STATUS exec@tick leaves`, the execution only where there was one.
pub fn replay(config: &ReplayConfig, market_text: &str, script_text: &str) -> Vec<String> {
    let rows = market(market_text);
    let mut script = script(script_text);
    run(config, Feed::memory(&rows), &mut script).unwrap();
    let refusals = script.refusals().iter().map(|(step, refusal)| format!("{} {refusal:?}", step.at / MILLI));
    script.answers().iter().map(answer_text).chain(refusals).collect()
}

pub fn outcome(config: &ReplayConfig, feed: Feed<'_>, script: &mut Script) -> Outcome {
    run(config, feed, script).unwrap()
}

pub fn answer_text(answer: &Answer) -> String {
    let image = &answer.image;
    let status = match image.status {
        Status::None => "none",
        Status::New => "new",
        Status::PartiallyFilled => "part",
        Status::Filled => "filled",
        Status::Canceled => "canceled",
        Status::Expired => "expired",
    };
    let head = format!("{} {}", answer.local_ns / MILLI, image.id);
    match answer.tells {
        Tells::State if answer.reason == Reason::None => format!("{head} {status} left {}", image.leaves),
        Tells::State => format!("{head} {status} left {} {}", image.leaves, answer.reason.name()),
        Tells::Rejected if answer.reason == Reason::None => format!("{head} rejected {status}"),
        Tells::Rejected => format!("{head} rejected {}", answer.reason.name()),
        Tells::Fill => {
            let role = if image.maker { "made" } else { "took" };
            format!("{head} {status} {role} {}@{} left {}", image.exec_qty, image.exec_tick, image.leaves)
        }
    }
}

/// The same rows in blocks of any length.
pub struct Chopped {
    pub rows: Vec<Row>,
    pub at: usize,
    pub lengths: Vec<usize>,
}

impl Blocks for Chopped {
    fn next_block(&mut self) -> Result<Option<Arc<[Row]>>, ReplayError> {
        if self.at == self.rows.len() {
            return Ok(None);
        }
        let length = self.lengths.pop().unwrap_or(3).min(self.rows.len() - self.at);
        self.at += length;
        Ok(Some(self.rows[self.at - length..self.at].into()))
    }
}

fn lines(text: &str) -> impl Iterator<Item = Vec<&str>> {
    text.lines()
        .map(|line| line.split_whitespace().collect::<Vec<_>>())
        .filter(|words| words.first().is_some_and(|word| !word.starts_with('#')))
}

fn side_of(text: &str) -> Side {
    match text {
        "buy" => Side::Buy,
        "sell" => Side::Sell,
        other => panic!("side {other}"),
    }
}

pub const MILLI: i64 = 1_000_000;
