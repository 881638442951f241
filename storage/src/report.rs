//! A summary for people and for machines: plain text tables, and JSON.
//!
//! Reads nothing but the summary. Any thread.

use std::fmt::Write as _;

use optiflow_base::clock::Nanos;

use crate::summary::{SpanSummary, Summary, SymbolSummary};

/// The summary as one JSON object on one line.
pub fn json(summary: &Summary) -> String {
    match serde_json::to_string(summary) {
        Ok(json) => json,
        Err(error) => unreachable!("a summary has text keys and plain values: {error}"),
    }
}

/// The summary as text tables.
pub fn text(summary: &Summary) -> String {
    let mut out = String::new();
    head(&mut out, summary);
    orders(&mut out, summary);
    let header = ["symbol", "position", "entry", "last", "fills", "volume", "realised", "fees", "net", "unrealised"];
    let mut money = vec![header.map(str::to_owned)];
    money.extend(summary.symbols.iter().map(symbol_row));
    table(&mut out, &money);
    for symbol in summary.symbols.iter().filter(|symbol| !agrees(symbol)) {
        let exchange = symbol.exchange_position.unwrap_or_default();
        let _ = writeln!(out, "! {}: the exchange states a position of {exchange}", symbol.name);
    }
    profit(&mut out, summary);
    if !summary.latencies.is_empty() {
        let header = ["latency", "count", "p50", "p90", "p99", "p99.9", "max"];
        let mut spans = vec![header.map(str::to_owned)];
        spans.extend(summary.latencies.iter().map(span_row));
        table(&mut out, &spans);
    }
    foot(&mut out, summary);
    out
}

/// The summary in a few words, for a live status line.
pub fn line(summary: &Summary) -> String {
    let Summary { orders, fills, profit, .. } = summary;
    let counts = [("sent", orders.sent), ("open", orders.open), ("denied", orders.denied), ("fills", fills.fills)];
    let positions = summary.symbols.iter().map(|symbol| format!(" · {} {}", symbol.position, symbol.name));
    let total = profit.net + profit.unrealised;
    format!("{} · P&L {total} {}{}", sentence(&counts), summary.margin_asset, positions.collect::<String>())
}

fn head(out: &mut String, summary: &Summary) {
    let Summary { session, mode, venue, version, .. } = summary;
    let outcome = summary.outcome.as_deref().unwrap_or("running");
    let ran = Nanos(summary.until_ns).since(Nanos(summary.started_ns)) / 100_000_000;
    let _ = writeln!(
        out,
        "session {session} · {venue} · {mode} · {outcome} after {}.{} s · version {version}",
        ran / 10,
        ran % 10
    );
    out.push('\n');
}

fn orders(out: &mut String, summary: &Summary) {
    let counts = &summary.orders;
    let words = [
        ("intended", counts.intended),
        ("sent", counts.sent),
        ("accepted", counts.accepted),
        ("filled", counts.filled),
        ("cancelled", counts.cancelled),
        ("expired", counts.expired),
        ("refused", counts.refused),
        ("denied", counts.denied),
        ("unknown", counts.unknown),
        ("open", counts.open),
    ];
    let _ = writeln!(out, "orders   {}", sentence(&words));
    let fills = &summary.fills;
    let words = [("fills", fills.fills), ("maker", fills.maker), ("taker", fills.taker)];
    let _ = writeln!(out, "fills    {}", sentence(&words));
    let rare = [("duplicates ignored", fills.duplicates), ("without a known order", fills.unbooked)];
    if rare.iter().any(|(_, count)| *count > 0) {
        let _ = writeln!(out, "         {}", sentence(&rare));
    }
    if !counts.denials.is_empty() {
        let words: Vec<(&str, u64)> = counts.denials.iter().map(|(reason, count)| (*reason, *count)).collect();
        let _ = writeln!(out, "denied   {}", sentence(&words));
    }
    out.push('\n');
}

fn profit(out: &mut String, summary: &Summary) {
    let (profit, asset) = (summary.profit, &summary.margin_asset);
    let total = profit.net + profit.unrealised;
    let _ = writeln!(out, "P&L net of fees {} {asset} realised, {total} {asset} with what is held", profit.net);
    if let Some(wallet) = summary.wallet {
        let _ = writeln!(out, "wallet   {wallet} {asset}");
    }
    out.push('\n');
}

fn foot(out: &mut String, summary: &Summary) {
    for notice in &summary.notices {
        let _ = writeln!(out, "notice   {}: {} × {}", notice.room, notice.what, notice.count);
    }
    let lost = [("log events", summary.log_events_lost), ("rows", summary.rows_lost)];
    if lost.iter().any(|(_, count)| *count > 0) {
        let _ = writeln!(out, "! lost   {}", sentence(&lost));
    }
    if let Some(failure) = &summary.failure {
        let _ = writeln!(out, "! {failure}");
    }
    let _ = writeln!(out, "database {}", summary.database.display());
}

fn symbol_row(symbol: &SymbolSummary) -> [String; 10] {
    let profit = symbol.profit;
    [
        symbol.name.clone(),
        symbol.position.to_string(),
        symbol.entry.to_string(),
        symbol.last.to_string(),
        symbol.fills.to_string(),
        profit.volume.to_string(),
        profit.realised.to_string(),
        profit.fees.to_string(),
        profit.net.to_string(),
        profit.unrealised.to_string(),
    ]
}

fn span_row(span: &SpanSummary) -> [String; 7] {
    let [p50, p90, p99, p999, max] = [span.p50_ns, span.p90_ns, span.p99_ns, span.p999_ns, span.max_ns].map(duration);
    [span.span.to_owned(), span.count.to_string(), p50, p90, p99, p999, max]
}

fn agrees(symbol: &SymbolSummary) -> bool {
    symbol.exchange_position.is_none_or(|exchange| exchange == symbol.position)
}

/// `12 sent · 3 filled`.
fn sentence(words: &[(&str, u64)]) -> String {
    words.iter().map(|(word, count)| format!("{count} {word}")).collect::<Vec<_>>().join(" · ")
}

/// Nanoseconds with three digits that matter and a unit.
fn duration(nanos: u64) -> String {
    let (unit, scale) = match nanos {
        0..1_000 => return format!("{nanos} ns"),
        1_000..1_000_000 => ("µs", 1_000),
        1_000_000..1_000_000_000 => ("ms", 1_000_000),
        _ => ("s", 1_000_000_000),
    };
    let (whole, thousandths) = (nanos / scale, nanos % scale * 1_000 / scale);
    match whole {
        0..10 => format!("{whole}.{:02} {unit}", thousandths / 10),
        10..100 => format!("{whole}.{} {unit}", thousandths / 100),
        _ => format!("{whole} {unit}"),
    }
}

/// Columns under their headers: the first to the left, numbers to the right.
fn table<const COLUMNS: usize>(out: &mut String, rows: &[[String; COLUMNS]]) {
    let mut widths = [0; COLUMNS];
    for row in rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = cell.chars().count().max(*width);
        }
    }
    for row in rows {
        let mut line = String::new();
        for (index, (cell, width)) in row.iter().zip(widths).enumerate() {
            let _ = if index == 0 { write!(line, "{cell:<width$}") } else { write!(line, "  {cell:>width$}") };
        }
        out.push_str(line.trim_end());
        out.push('\n');
    }
    out.push('\n');
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_show_three_digits() {
        let table = [
            (0, "0 ns"),
            (999, "999 ns"),
            (1_000, "1.00 µs"),
            (12_345, "12.3 µs"),
            (123_456, "123 µs"),
            (1_999_999, "1.99 ms"),
            (60_000_000_000, "60.0 s"),
        ];
        for (nanos, text) in table {
            assert_eq!(duration(nanos), text);
        }
    }
}
