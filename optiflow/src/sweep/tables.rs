//! What a sweep came to, best first: best.csv, and the first rows of it on the terminal.
//!
//! Says nothing of when, where or how fast: equal sweeps make equal files.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use super::axes::Axis;
use super::journal::{Row, trouble};
use super::metrics::Metric;
use crate::problem::Problem;

/// A run of this sweep.
pub struct Ranked<'a> {
    /// Its place on every axis.
    pub choice: Vec<usize>,
    /// What it came to.
    pub row: &'a Row,
}

/// Sorts runs, the best first; equal ones stay in the order of the grid.
pub fn rank(runs: &mut [Ranked<'_>], by: Metric) {
    runs.sort_by(|one, other| {
        let better = by.best_first(&one.row.metrics, &other.row.metrics);
        better.then_with(|| one.choice.cmp(&other.choice))
    });
}

/// All runs as CSV.
pub fn csv(axes: &[Axis], runs: &[Ranked<'_>]) -> String {
    let mut text = String::from("rank");
    for name in axes.iter().map(|axis| axis.path.as_str()).chain(Metric::ALL.map(Metric::name)) {
        text.push(',');
        text.push_str(name);
    }
    text.push_str(",event_log_hash,key\n");
    for (index, Ranked { choice, row }) in runs.iter().enumerate() {
        text.push_str(&(index + 1).to_string());
        for (axis, at) in axes.iter().zip(choice) {
            text.push(',');
            text.push_str(&quoted(&axis.values[*at]));
        }
        for metric in Metric::ALL {
            text.push(',');
            if let Some(value) = metric.of(&row.metrics) {
                text.push_str(&value.to_string());
            }
        }
        text.push_str(&format!(",{},{}\n", row.event_log_hash, row.key));
    }
    text
}

/// The best runs as a table for the terminal.
pub fn words(axes: &[Axis], runs: &[Ranked<'_>]) -> String {
    let swept: Vec<usize> = (0..axes.len()).filter(|at| !axes[*at].is_fixed()).collect();
    let mut lines = vec![vec!["#".to_owned()]];
    lines[0].extend(swept.iter().map(|at| axes[*at].path.clone()));
    lines[0].extend(Metric::ALL.map(|metric| metric.name().to_owned()));
    for (index, Ranked { choice, row }) in runs.iter().take(ROWS_SHOWN).enumerate() {
        let mut line = vec![(index + 1).to_string()];
        line.extend(swept.iter().map(|at| axes[*at].values[choice[*at]].clone()));
        line.extend(Metric::ALL.map(|metric| shown(metric, metric.of(&row.metrics))));
        lines.push(line);
    }
    let widths: Vec<usize> = (0..lines[0].len())
        .map(|column| lines.iter().map(|line| line[column].chars().count()).max().unwrap_or(0))
        .collect();
    let mut text = String::new();
    for line in &lines {
        for (cell, width) in line.iter().zip(&widths) {
            // Writing to a text does not fail.
            let _ = write!(text, "  {cell:>width$}");
        }
        text.push('\n');
    }
    if runs.len() > ROWS_SHOWN {
        text.push_str(&format!("  … {} more in best.csv\n", runs.len() - ROWS_SHOWN));
    }
    text
}

/// Writes a file under its name only when it is whole.
pub fn write_whole(path: &Path, text: &str) -> Result<(), Problem> {
    let mut part = path.as_os_str().to_owned();
    part.push(".part");
    let part = Path::new(&part);
    fs::write(part, text).and_then(|()| fs::rename(part, path)).map_err(|error| trouble(path, "write", &error))
}

fn shown(metric: Metric, value: Option<f64>) -> String {
    let Some(value) = value else { return "–".to_owned() };
    match metric {
        Metric::Fills => format!("{value}"),
        Metric::Position | Metric::FillRatio => {
            let text = format!("{value:.4}");
            text.trim_end_matches('0').trim_end_matches('.').to_owned()
        }
        Metric::Equity
        | Metric::Balance
        | Metric::Fees
        | Metric::Funding
        | Metric::Turnover
        | Metric::MaxDrawdown
        | Metric::Sharpe => {
            let text = format!("{value:.2}");
            if text == "-0.00" { "0.00".to_owned() } else { text }
        }
    }
}

fn quoted(value: &str) -> String {
    if value.contains(['"', ',', '\n']) { format!("\"{}\"", value.replace('"', "\"\"")) } else { value.to_owned() }
}

/// Rows of the table on the terminal.
const ROWS_SHOWN: usize = 20;
