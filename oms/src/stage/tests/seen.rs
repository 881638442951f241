//! What came out of the stage, as short words; and what the exchange tells it.

use optiflow_base::ids::OrderId;
use optiflow_base::log::LogEvent;
use optiflow_base::money::Qty;
use optiflow_base::order::{OrderChange, Usage};
use serde_json::{Value as Json, json};

use super::world::{START_MS, World};
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

impl World {
    /// An order event as the exchange writes it.
    pub fn order_event(
        &self,
        client: &str,
        kind: &str,
        status: &str,
        executed: &str,
        fill: Option<(u64, &str)>,
    ) -> Json {
        let id = self.orders.get(client).map_or(1, |order| order.id);
        let (trade, qty) = fill.unwrap_or((0, "0"));
        let now = self.now().millis();
        json!({"e": "ORDER_TRADE_UPDATE", "T": now, "E": now, "o": {
            "s": "BTCUSDT", "c": client, "S": "BUY", "x": kind, "X": status, "i": id, "l": qty, "z": executed,
            "L": "83000", "n": "0.1", "N": "USDT", "T": now, "t": trade, "m": true}})
    }

    /// The event that tells of an order's terms as they are.
    pub fn amendment(&self, client: &str) -> Json {
        let order = &self.orders[client];
        let mut event = self.order_event(client, "AMENDMENT", order.status, &order.executed, None);
        event["o"]["p"] = json!(order.price);
        event["o"]["q"] = json!(order.qty);
        event["o"]["T"] = json!(order.updated);
        event
    }

    pub fn account_event(qty: &str, wallet: &str) -> Json {
        json!({"e": "ACCOUNT_UPDATE", "E": START_MS, "a": {
            "B": [{"a": "USDT", "wb": wallet}], "P": [{"s": "BTCUSDT", "pa": qty, "ep": "83000", "ps": "BOTH"}]}})
    }

    /// A trade as `userTrades` shows it; also moves the position there.
    pub fn trade_at_venue(&mut self, trade: u64, order: u64, qty: &str) {
        self.trades.push(json!({"id": trade, "orderId": order, "price": "83000", "qty": qty, "commission": "0.1",
            "commissionAsset": "USDT", "maker": true, "buyer": true, "time": self.now().millis()}));
        let held: Qty = self.position.parse().unwrap();
        self.position = (held + qty.parse::<Qty>().unwrap()).to_string();
    }
}

#[allow(clippy::wildcard_enum_match_arm, reason = "what carries no number is its own word")]
fn word(change: &OrderChange) -> String {
    match change {
        OrderChange::Filled { trade, qty, total, fee, .. } => format!("Filled {} {qty}/{total} fee {fee}", trade.0),
        OrderChange::Refused { code } => format!("Refused {code}"),
        OrderChange::CancelRefused { code } => format!("CancelRefused {code}"),
        OrderChange::Accepted { .. } => "Accepted".to_owned(),
        OrderChange::ModifyRefused { code } => format!("ModifyRefused {code}"),
        OrderChange::Modified { price, qty, asked } => {
            format!("Modified {qty} @ {price}{}", if *asked { "" } else { " unasked" })
        }
        other => format!("{other:?}"),
    }
}

pub fn usage_of(reports: &[Report]) -> Vec<Usage> {
    let usage = |report: &Report| if let Report::Usage(usage) = report { Some(*usage) } else { None };
    reports.iter().filter_map(usage).collect()
}
