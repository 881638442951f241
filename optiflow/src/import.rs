//! The command `import`: recordings → an event store, with a progress bar, and what was found said in the end.
//!
//! Never guesses: a damaged or unsorted input is an error that names the line or row, and leaves no store behind.

use std::fmt::Write;
use std::io;
use std::process::ExitCode;

use optiflow_base::ids::SymbolName;
use optiflow_store::error::{StoreError, Trouble};
use optiflow_store::import::{Format, Options, Progress, Report, Shift, import};
use serde_json::{Value, json};

use crate::cli::ImportArgs;
use crate::problem::Problem;
use crate::progress;

/// Runs the command: exit 0 with a store, 1 when the inputs or the disk failed, 2 for a wrong request.
pub fn run(args: &ImportArgs) -> ExitCode {
    match import_all(args) {
        Ok(report) if args.json => println!("{}", as_json(args, &report)),
        Ok(report) => println!("{}", as_text(args, &report)),
        Err(problem) => {
            eprintln!("optiflow import: {problem}");
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
        Trouble::Request(_) => true,
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
        "shift_ns": report.shift_ns,
        "heard": {
            "depth": heard.depth, "trades": heard.trades, "tops": heard.tops, "marks": heard.marks,
            "snapshots": heard.snapshots, "passed_over": heard.passed_over,
        },
        "lines_passed_over": report.lines_passed_over,
        "gaps": report.gaps,
        "stale": report.stale,
        "rows_stored_twice": report.order.split,
        "rows_late": report.order.late,
    })
}

fn as_text(args: &ImportArgs, report: &Report) -> String {
    let mut text = format!("{}: {} rows, {} bytes", args.out.display(), report.rows, report.bytes);
    // Writing to a String does not fail.
    for info in &report.symbols {
        let _ = write!(text, "\n  {:<12} tick {}, lot {}", info.name, info.tick, info.lot);
    }
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
    text
}
