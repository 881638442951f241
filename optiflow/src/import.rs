//! The command `import`: recordings → an event store, with a progress bar, and what was found said in the end.
//!
//! Never guesses: a damaged or unsorted input is an error that names the line or row, and leaves no store behind.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::io;
use std::process::ExitCode;

use optiflow_base::clock::Nanos;
use optiflow_base::ids::SymbolName;
use optiflow_store::error::{StoreError, Trouble};
use optiflow_store::event::Kind;
use optiflow_store::import::{Format, Options, Progress, Report, Shift, import};
use serde_json::{Value, json};

use crate::cli::ImportArgs;
use crate::problem::Problem;
use crate::progress;
use crate::record::stamp;
use crate::say::{out, say};

/// Runs the command: exit 0 with a store, 1 when the inputs or the disk failed, 2 for a wrong request.
pub fn run(args: &ImportArgs) -> ExitCode {
    match import_all(args) {
        Ok(report) if args.json => out(as_json(args, &report)),
        Ok(report) => out(as_text(args, &report)),
        Err(problem) => {
            say(format_args!("optiflow import: {problem}"));
            return problem.exit_code();
        }
    }
    ExitCode::SUCCESS
}

fn import_all(args: &ImportArgs) -> Result<Report, Problem> {
    let bar = progress::bytes_bar();
    let mut show = |progress: Progress| {
        bar.set_length(progress.bytes_total);
        bar.set_position(progress.bytes_done);
        bar.set_message(format!("{} rows", progress.rows));
    };
    let options = Options { symbol: args.symbol, shift: args.shift };
    let report = import(args.format, &args.files, &args.out, &options, &mut show);
    bar.finish_and_clear();
    report.map_err(|error| store_problem(&error))
}

/// A file that is not there, or a request that makes no sense, is the caller's mistake; the rest is the file's.
pub(crate) fn store_problem(error: &StoreError) -> Problem {
    let is_usage = match &error.trouble {
        Trouble::Io { error, .. } => error.kind() == io::ErrorKind::NotFound,
        Trouble::Request(_) | Trouble::Twice(_) => true,
        Trouble::Empty
        | Trouble::Foreign(_)
        | Trouble::Corrupt(_)
        | Trouble::Malformed(_)
        | Trouble::Truncated { .. }
        | Trouble::Unsorted { .. }
        | Trouble::Unfit(_) => false,
    };
    if is_usage { Problem::Usage(error.to_string()) } else { Problem::Failed(error.to_string()) }
}

/// Reads the name of a format.
///
/// # Errors
/// When there is none of that name.
pub fn parse_format(text: &str) -> Result<Format, String> {
    text.parse().map_err(|error: StoreError| error.to_string())
}

/// Reads `auto` or a number of nanoseconds.
///
/// # Errors
/// When it is neither.
pub fn parse_shift(text: &str) -> Result<Shift, String> {
    if text == "auto" {
        return Ok(Shift::Auto);
    }
    text.parse().map(Shift::By).map_err(|_| "write auto, or a whole number of ns such as -1500000".to_owned())
}

/// Reads the name of a symbol.
///
/// # Errors
/// When it is no name that an exchange could use.
pub fn parse_symbol(text: &str) -> Result<SymbolName, String> {
    let shaped = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    let name = SymbolName::from(&text.to_uppercase()).ok().filter(|_| shaped);
    name.ok_or_else(|| "write a symbol as the exchange does, such as BTCUSDT".to_owned())
}

fn as_json(args: &ImportArgs, report: &Report) -> Value {
    let symbols: Vec<Value> = report
        .symbols
        .iter()
        .map(|info| json!({ "name": info.name.as_str(), "tick": info.tick.as_f64(), "lot": info.lot.as_f64() }))
        .collect();
    let heard = &report.heard;
    json!({
        "out": args.out,
        "rows": report.rows,
        "bytes": report.bytes,
        "symbols": symbols,
        "local_ns": { "first": report.span.0.0, "last": report.span.1.0 },
        "rows_by_kind": kinds(report).collect::<BTreeMap<_, _>>(),
        "shift_ns": report.shift_ns,
        "heard": {
            "depth": heard.depth, "trades": heard.trades, "tops": heard.tops, "marks": heard.marks,
            "snapshots": heard.snapshots, "passed_over": heard.passed_over,
        },
        "lines": report.lines,
        "lines_passed_over": report.lines_passed_over,
        "bare_snapshots": report.bare_snapshots,
        "gaps": report.gaps,
        "stale": report.stale,
        "rows_stored_twice": report.order.split,
        "rows_late": report.order.late,
        "warnings": warnings(report),
    })
}

fn as_text(args: &ImportArgs, report: &Report) -> String {
    let mut text = format!("{}: {} rows, {} bytes", args.out.display(), report.rows, report.bytes);
    // Writing to a String does not fail.
    for info in &report.symbols {
        let _ = write!(text, "\n  {:<12} tick {}, lot {}", info.name, info.tick, info.lot);
    }
    let (first, last) = report.span;
    let hours = last.since(first) as f64 / 3.6e12;
    let _ = write!(text, "\n  from {} to {} UTC, received in {hours:.2} h", moment(first), moment(last));
    let kinds: Vec<String> = kinds(report).map(|(kind, rows)| format!("{rows} {kind}")).collect();
    let _ = write!(text, "\n  rows: {}", kinds.join(", "));
    let heard = &report.heard;
    if report.heard != Default::default() {
        let _ = write!(
            text,
            "\n  heard: {} depth, {} trades, {} best prices, {} mark prices, {} snapshots; passed over {} and {} lines",
            heard.depth,
            heard.trades,
            heard.tops,
            heard.marks,
            heard.snapshots,
            heard.passed_over,
            report.lines_passed_over
        );
    }
    for (count, what) in [
        (report.gaps, "breaks in the sequence of a book, mended at the next snapshot"),
        (report.bare_snapshots, "snapshots of a file with several symbols that do not say which, dropped"),
        (report.stale, "depth messages that the snapshot already covered, dropped"),
        (report.order.split, "rows stored twice, once for each clock"),
        (report.order.late, "rows moved up to the window of exchange time"),
    ] {
        if count > 0 {
            let _ = write!(text, "\n  {count} {what}");
        }
    }
    if report.shift_ns != 0 {
        let why = if args.shift == Shift::Auto { ": the recorder's clock ran behind" } else { "" };
        let _ = write!(text, "\n  local times moved by {} ns{why}", report.shift_ns);
    }
    for warning in warnings(report) {
        let _ = write!(text, "\n  WARNING: {warning}");
    }
    text
}

/// Kinds of which there are rows.
fn kinds(report: &Report) -> impl Iterator<Item = (&'static str, u64)> {
    let kinds = Kind::ALL.iter().zip(report.kinds);
    kinds.filter(|(_, rows)| *rows > 0).map(|(kind, rows)| (kind.name(), rows))
}

/// What makes a store doubtful, though nothing in it is wrong.
fn warnings(report: &Report) -> Vec<String> {
    let heard = report.heard.depth + report.heard.snapshots;
    let shares = [
        (report.stale, heard, "depth messages were dropped as older than the book", "were files given that overlap?"),
        (
            report.lines_passed_over,
            report.lines,
            "lines say nothing of the market",
            "is this a recording of market streams?",
        ),
        (
            report.order.late,
            report.rows,
            "rows had to be moved up to the window",
            "was the recorder's clock set during it?",
        ),
    ];
    let mut warnings = Vec::new();
    for (part, whole, what, ask) in shares {
        if part.saturating_mul(WARNED_ONE_IN) > whole {
            let percent = part as f64 * 100.0 / whole.max(1) as f64;
            warnings.push(format!("{percent:.1} % ({part} of {whole}) {what}; {ask}"));
        }
    }
    if report.bare_snapshots > 0 {
        let count = report.bare_snapshots;
        warnings.push(format!("{count} snapshots do not say of which symbol they are; import a file for each symbol"));
    }
    warnings
}

/// `YYYY-MM-DD HH:MM:SS` in UTC.
fn moment(at: Nanos) -> String {
    let stamp = stamp(at);
    let digits = |from: usize, to: usize| stamp.get(from..to).unwrap_or_default();
    let (date, time) = ([digits(0, 4), digits(4, 6), digits(6, 8)], [digits(9, 11), digits(11, 13), digits(13, 15)]);
    format!("{} {}", date.join("-"), time.join(":"))
}

/// A warning is due when it is more than one in so many.
const WARNED_ONE_IN: u64 = 100;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn more_than_one_in_a_hundred_is_warned_of() {
        let mut report = Report { rows: 1_000, lines: 1_000, lines_passed_over: 10, ..Report::default() };
        report.heard.depth = 99;
        report.heard.snapshots = 1;
        report.stale = 1;
        report.order.late = 10;
        assert_eq!(warnings(&report), Vec::<String>::new());
        report.lines_passed_over = 11;
        report.stale = 2;
        report.order.late = 11;
        report.bare_snapshots = 1;
        let warned = warnings(&report);
        assert_eq!(warned.len(), 4, "{warned:?}");
        assert!(warned[0].starts_with("2.0 % (2 of 100) depth messages were dropped"), "{}", warned[0]);
        assert_eq!(warnings(&Report::default()), Vec::<String>::new());
    }

    #[test]
    fn a_moment_is_written_for_people() {
        assert_eq!(moment(Nanos(1_709_164_799_999_999_999)), "2024-02-28 23:59:59");
    }
}
