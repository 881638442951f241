//! The recorded oracle: its cases and markets, run here, and both sides' answers as comparable text.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;

use optiflow_base::money::{Price, Qty, Side};
use optiflow_sim::replay::feed::Feed;
use optiflow_sim::replay::latency::{Latency, LatencyRow};
use optiflow_sim::replay::orders::{Answer, Status, Tells};
use optiflow_sim::replay::rows::{Kind, MarketRow, Row, arrange};
use optiflow_sim::replay::run::{Outcome, run};
use optiflow_sim::replay::script::{OffTick, Script};
use optiflow_sim::replay::terms::Terms;
use optiflow_sim::replay::{ReplayConfig, Scale};
use serde_json::Value;

/// The recorded cases and their markets.
pub struct Oracle {
    root: PathBuf,
    pub cases: Vec<Case>,
    markets: BTreeMap<String, Vec<Row>>,
}

/// One line of the oracle.
pub struct Case {
    pub name: String,
    pub value: Value,
}

/// What a case came to here.
pub struct Run {
    pub answers: Vec<Answer>,
    refusals: Vec<String>,
    pub outcome: Outcome,
}

impl Oracle {
    pub fn open() -> Option<Oracle> {
        let default = concat!(env!("CARGO_MANIFEST_DIR"), "/../../shared");
        let root = PathBuf::from(std::env::var("OPTIFLOW_SHARED").unwrap_or(default.to_owned())).join("oracle");
        let Ok(text) = fs::read_to_string(root.join("expected.jsonl")) else {
            eprintln!("skipped: no oracle under {}; set OPTIFLOW_SHARED", root.display());
            return None;
        };
        let cases: Vec<Case> = text
            .lines()
            .map(|line| serde_json::from_str::<Value>(line).unwrap())
            .map(|value| Case { name: value["case"].as_str().unwrap().to_owned(), value })
            .collect();
        let mut oracle = Oracle { root, cases, markets: BTreeMap::new() };
        for case in &oracle.cases {
            let feed = case.text("feed");
            if !oracle.markets.contains_key(&feed) {
                let rows = read_market(&oracle.read(&feed.replace(".npz", ".csv")));
                oracle.markets.insert(feed, rows);
            }
        }
        Some(oracle)
    }

    pub fn case(&self, name: &str) -> &Case {
        self.cases.iter().find(|case| case.name == name).unwrap_or_else(|| panic!("no case {name}"))
    }

    fn read(&self, file: &str) -> String {
        let inside = |folder: &str| fs::read_to_string(self.root.join(folder).join(file));
        inside("micro").or_else(|_| inside("feed")).unwrap_or_else(|_| panic!("no oracle file {file}"))
    }

    pub fn rows(&self, case: &Case) -> &[Row] {
        &self.markets[&case.text("feed")]
    }

    pub fn run(&self, case: &Case, compatible: bool) -> Run {
        let config = ReplayConfig {
            scale: scale(),
            queue: case.text("queue").parse().unwrap(),
            latency: self.latency(&case.text("latency")),
            partial_fills: case.text("exchange") == "partial",
            compatible,
            maker_fee_ppm: -50,
            taker_fee_ppm: 700,
            terms: Terms::default(),
        };
        let mut script = Script::parse(&self.read(&case.text("actions")), &scale(), OffTick::Rounded).unwrap();
        let outcome = run(&config, Feed::memory(self.rows(case)), &mut script).unwrap();
        let refusals = script.refusals().iter().map(|(step, refusal)| format!("{} {refusal:?}", step.at)).collect();
        Run { answers: script.answers().to_vec(), refusals, outcome }
    }

    fn latency(&self, text: &str) -> Latency {
        if let Some(constant) = text.strip_prefix("const:") {
            let (entry, response) = constant.split_once(':').unwrap();
            return Latency::Constant { entry_ns: entry.parse().unwrap(), response_ns: response.parse().unwrap() };
        }
        let text = self.read(&text.replace(".npz", ".csv"));
        let rows = text.lines().skip(1).map(|line| {
            let times: Vec<i64> = line.split(',').map(|field| field.parse().unwrap()).collect();
            LatencyRow { request_ns: times[0], exchange_ns: times[1], response_ns: times[2] }
        });
        Latency::table(rows.collect::<Vec<_>>()).unwrap()
    }
}

impl Case {
    fn text(&self, field: &str) -> String {
        self.value[field].as_str().unwrap().to_owned()
    }

    pub fn is_aborted(&self) -> bool {
        !self.value["abort"].is_null()
    }

    pub fn peer_position(&self) -> f64 {
        self.value["state"]["position"].as_f64().unwrap()
    }

    /// Took more than one level, or part of one, with partial fills: the peer tells of the last one at most.
    pub fn misreports_takers(&self, ours: &Run) -> bool {
        let mut takes = BTreeMap::new();
        for answer in ours.executions().filter(|answer| !answer.image.maker) {
            *takes.entry(answer.image.id).or_insert(0) += 1;
        }
        let expired_after_taking =
            |answer: &Answer| answer.image.status == Status::Expired && answer.image.exec_qty > 0;
        self.text("exchange") == "partial"
            && (takes.values().any(|count| *count > 1) || ours.answers.iter().any(expired_after_taking))
    }

    /// Fills are right, but a zombie order answers a later request.
    pub fn has_wrong_answers(&self) -> bool {
        self.text("exchange") == "partial"
            && ["cancel_after_local_fill", "modify_after_local_fill"].iter().any(|name| self.name.starts_with(name))
    }

    pub fn fills(&self) -> Vec<String> {
        let mut fills: Vec<String> = self.value["fills"]
            .as_array()
            .unwrap()
            .iter()
            .map(|fill| {
                let number = |field: &str| fill[field].as_f64().unwrap();
                fill_text(
                    fill["local_ts"].as_i64().unwrap(),
                    fill["exch_ts"].as_i64().unwrap(),
                    fill["id"].as_u64().unwrap(),
                    fill["side"].as_str().unwrap(),
                    (number("price") * 1e8).round() as i64,
                    (number("qty") * 1e8).round() as i64,
                    fill["maker"].as_bool().unwrap(),
                )
            })
            .collect();
        fills.sort();
        fills
    }

    pub fn responses(&self) -> Vec<String> {
        let mut rows: Vec<String> = self.value["responses"]
            .as_array()
            .unwrap()
            .iter()
            .map(|row| {
                let at = |index: usize| &row[index];
                let qty = |index: usize| (at(index).as_f64().unwrap() * 1e8).round() as i64;
                format!(
                    "{},{},{},{},{},{},{},{},{},{},{},{}",
                    at(0),
                    at(1),
                    at(2),
                    at(3).as_str().unwrap(),
                    at(4).as_str().unwrap(),
                    at(5).as_str().unwrap(),
                    at(6),
                    qty(7),
                    qty(8),
                    qty(9),
                    at(10),
                    at(11),
                )
            })
            .collect();
        rows.sort();
        rows
    }

    pub fn refusals(&self) -> Vec<String> {
        let errors = self.value["action_errors"].as_array().unwrap().iter().map(|error| {
            let text = error["error"].as_str().unwrap();
            let refusal = if text.contains("in process") { "OrderRequestInProcess" } else { "OrderIdExist" };
            format!("{} {refusal}", error["t"])
        });
        errors.collect()
    }
}

impl Run {
    pub fn executions(&self) -> impl Iterator<Item = &Answer> {
        self.answers.iter().filter(|answer| answer.tells == Tells::Fill)
    }

    pub fn position(&self) -> f64 {
        self.outcome.ledger.position().as_f64()
    }

    pub fn sizes(&self) -> Vec<String> {
        self.executions().map(|answer| scale().qty(answer.image.exec_qty).to_string()).collect()
    }

    pub fn fills(&self) -> Vec<String> {
        let mut fills: Vec<String> = self
            .executions()
            .map(|answer| {
                let image = &answer.image;
                let price = scale().price(image.exec_tick).units();
                fill_text(
                    answer.local_ns,
                    image.exchange_ns,
                    image.id,
                    side(image.side),
                    price,
                    image.exec_qty,
                    image.maker,
                )
            })
            .collect();
        fills.sort();
        fills
    }

    pub fn responses(&self) -> Vec<String> {
        let mut rows: Vec<String> = self
            .answers
            .iter()
            .map(|answer| {
                let image = &answer.image;
                let request = if answer.tells == Tells::Rejected { "REJECTED" } else { "NONE" };
                let status = match image.status {
                    Status::None => "NONE",
                    Status::New => "NEW",
                    Status::PartiallyFilled => "PARTIALLY_FILLED",
                    Status::Filled => "FILLED",
                    Status::Canceled => "CANCELED",
                    Status::Expired => "EXPIRED",
                };
                format!(
                    "{},{},{},{},{},{},{},{},{},{},{},{}",
                    answer.local_ns,
                    image.exchange_ns,
                    image.id,
                    side(image.side),
                    request,
                    status,
                    image.tick,
                    image.qty,
                    image.leaves,
                    image.exec_qty,
                    image.exec_tick,
                    image.maker,
                )
            })
            .collect();
        rows.sort();
        rows
    }

    pub fn refusals(&self) -> Vec<String> {
        self.refusals.clone()
    }
}

fn fill_text(local: i64, exchange: i64, id: u64, side: &str, price: i64, qty: i64, maker: bool) -> String {
    format!("{local},{exchange},{id},{side},{price},{qty},{maker}")
}

fn side(side: Side) -> &'static str {
    match side {
        Side::Buy => "BUY",
        Side::Sell => "SELL",
    }
}

fn scale() -> Scale {
    Scale::finest("0.1".parse().unwrap(), "0.001".parse().unwrap())
}

fn read_market(text: &str) -> Vec<Row> {
    let rows = text.lines().skip(1).map(|line| {
        let fields: Vec<&str> = line.split(',').collect();
        let [kind, side, exchange, local, price, qty] = fields[..] else { panic!("a market row: {line}") };
        let kind = match (kind, side) {
            ("depth", _) => Kind::Depth,
            ("snapshot", _) => Kind::Snapshot,
            ("trade", _) => Kind::Trade,
            ("clear", "B" | "S") => Kind::Clear,
            ("clear", _) => Kind::ClearBoth,
            _ => panic!("a market row: {line}"),
        };
        MarketRow {
            kind,
            side: if side == "S" { Side::Sell } else { Side::Buy },
            exchange_ns: exchange.parse().unwrap(),
            local_ns: local.parse().unwrap(),
            tick: scale().nearest_tick(price.parse::<Price>().unwrap()).unwrap(),
            parts: scale().parts(qty.parse::<Qty>().unwrap()),
        }
    });
    arrange(&rows.collect::<Vec<_>>()).unwrap()
}
