//! What an exchange tells at its end beside its books: how often each fault struck, how fast its clients reacted.

use std::io;
use std::path::Path;

use optiflow_sim::binance::faults::Fault;
use serde_json::{Map, Value, json};

pub use super::ruler::Reaction;

/// The report.
#[derive(Clone, Debug, Default)]
pub struct Report {
    /// Every fault, and how often it struck.
    pub faults: Vec<(Fault, u64)>,
    /// Every client that ordered; none where reactions were not measured.
    pub reactions: Vec<Reaction>,
}

impl Report {
    /// As JSON: faults that struck by name, and a summary of each client's reactions in µs.
    pub fn json(&self) -> Map<String, Value> {
        let struck = self.struck().map(|(fault, count)| (fault.name().to_owned(), count.into()));
        let reactions = self.reactions.iter().map(|reaction| {
            let mut row = json!({
                "client": reaction.client,
                "agent": reaction.agent,
                "orders": reaction.orders,
                "reactions": reaction.reactions.len(),
            });
            for (name, quantile) in QUANTILES {
                row[name] = reaction.micros_at(quantile).into();
            }
            row
        });
        Map::from_iter([
            ("faults".to_owned(), Value::Object(struck.collect())),
            ("reactions".to_owned(), reactions.collect()),
        ])
    }

    /// As text, a line for each fault that struck and for each client; empty when there is nothing to tell.
    pub fn text(&self) -> String {
        let mut text = String::new();
        for (fault, count) in self.struck() {
            text += &format!("\n{:<22}{count:>8}  per {}", fault.name(), fault.per().name());
        }
        for reaction in &self.reactions {
            let Reaction { client, agent, reactions, .. } = reaction;
            text += &format!("\nreaction of {client} ({agent}): {} times", reactions.len());
            for (name, quantile) in QUANTILES {
                text += &format!(", {} {:.1} µs", name.trim_end_matches("_us"), reaction.micros_at(quantile));
            }
        }
        text
    }

    /// Writes the histograms, one table after the other.
    ///
    /// # Errors
    /// What the operating system says.
    pub fn write_reactions(&self, path: &Path) -> io::Result<()> {
        let tables: Vec<String> = self.reactions.iter().map(Reaction::hgrm).collect();
        std::fs::write(path, tables.join("\n"))
    }

    fn struck(&self) -> impl Iterator<Item = (Fault, u64)> {
        self.faults.iter().copied().filter(|(_, count)| *count > 0)
    }
}

/// What is told of a histogram.
const QUANTILES: [(&str, f64); 6] =
    [("min_us", 0.0), ("p50_us", 0.5), ("p90_us", 0.9), ("p99_us", 0.99), ("p99.9_us", 0.999), ("max_us", 1.0)];
