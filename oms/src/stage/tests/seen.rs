//! What came out of the stage, as short words.

use optiflow_base::ids::OrderId;
use optiflow_base::log::LogEvent;
use optiflow_base::order::{OrderChange, Usage};

use super::world::World;
use super::*;

impl World {
    /// What happened to an order, as short words.
    pub fn story(&self, id: OrderId) -> Vec<String> {
        let ours = |report: &Report| {
            if let Report::Order(event) = report { (event.order == id).then(|| word(&event.change)) } else { None }
        };
        self.seen.iter().filter_map(ours).collect()
    }

    pub fn gates(&self) -> Vec<String> {
        let gate = |report: &Report| {
            if let Report::Gate { open, reason, .. } = report {
                Some(format!("{}{reason:?}", if *open { "open " } else { "" }))
            } else {
                None
            }
        };
        self.seen.iter().filter_map(gate).collect()
    }

    pub fn positions(&self) -> Vec<String> {
        let position =
            |report: &Report| if let Report::Position { qty, .. } = report { Some(qty.to_string()) } else { None };
        self.seen.iter().filter_map(position).collect()
    }

    pub fn notices(&self) -> Vec<&'static str> {
        let notice = |event: &LogEvent| if let LogEvent::Notice(notice) = event { Some(notice.what) } else { None };
        self.logged.iter().filter_map(notice).collect()
    }

    pub fn asked_about(&self, part: &str) -> usize {
        self.asked.iter().filter(|call| call.contains(part)).count()
    }
}

#[allow(clippy::wildcard_enum_match_arm, reason = "what carries no number is its own word")]
fn word(change: &OrderChange) -> String {
    match change {
        OrderChange::Filled { trade, qty, total, fee, .. } => format!("Filled {} {qty}/{total} fee {fee}", trade.0),
        OrderChange::Refused { code } => format!("Refused {code}"),
        OrderChange::CancelRefused { code } => format!("CancelRefused {code}"),
        OrderChange::Accepted { .. } => "Accepted".to_owned(),
        other => format!("{other:?}"),
    }
}

pub fn usage_of(reports: &[Report]) -> Vec<Usage> {
    let usage = |report: &Report| if let Report::Usage(usage) = report { Some(*usage) } else { None };
    reports.iter().filter_map(usage).collect()
}
