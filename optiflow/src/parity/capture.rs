//! The files of a capture that a session needs → one event store.
//!
//! Takes what `optiflow record` and `--capture` write, a file that a crash left as `.part` included, and what
//! hftbacktest's collector writes. Never changes a capture.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use optiflow_base::clock::Nanos;
use optiflow_base::ids::SymbolName;
use optiflow_store::import::{Format, Options, Progress, Report, Shift, import};

use crate::import::store_problem;
use crate::problem::Problem;
use crate::progress;
use crate::record::stamp;

/// The market of one symbol during a session, imported.
#[derive(Clone, Debug)]
pub struct Captured {
    /// The store.
    pub store: PathBuf,
    /// The files it was made of.
    pub files: Vec<PathBuf>,
    /// What the import found.
    pub report: Report,
}

/// Imports the files of `symbol` between two moments into `out`.
///
/// # Errors
/// When there is none, or one cannot be read.
pub fn gather(folder: &Path, symbol: &str, (from, until): (Nanos, Nanos), out: &Path) -> Result<Captured, Problem> {
    let names = list(folder)?;
    let files: Vec<PathBuf> = choose(&names, symbol, from, until).into_iter().map(|name| folder.join(name)).collect();
    if files.is_empty() {
        let folder = folder.display();
        return Err(Problem::Usage(format!(
            "{folder}: no capture of {symbol} from the time of the session; give the folder that --capture or `optiflow record` wrote"
        )));
    }
    let store = out.join(format!("{}.parquet", symbol.to_lowercase()));
    let bar = progress::bytes_bar();
    let mut show = |progress: Progress| {
        bar.set_length(progress.bytes_total);
        bar.set_position(progress.bytes_done);
    };
    let options = Options { symbol: SymbolName::from(symbol).ok(), shift: Shift::Auto };
    let report = import(Format::Collector, &files, &store, &options, &mut show);
    bar.finish_and_clear();
    let report = report.map_err(|error| store_problem(&error))?;
    Ok(Captured { store, files, report })
}

fn list(folder: &Path) -> Result<Vec<String>, Problem> {
    let failed = |error| Problem::Usage(format!("reading the capture {}: {error}", folder.display()));
    let mut names = Vec::new();
    for entry in fs::read_dir(folder).map_err(failed)? {
        names.push(entry.map_err(failed)?.file_name().to_string_lossy().into_owned());
    }
    names.sort_unstable();
    Ok(names)
}

/// The files that may hold something of the time: the last that began before it, and those that began in it.
fn choose<'a>(names: &'a [String], symbol: &str, from: Nanos, until: Nanos) -> Vec<&'a str> {
    let prefix = format!("{}_", symbol.to_lowercase());
    let begun = |name: &'a str| -> Option<(String, u32, &'a str)> {
        let rest = name.strip_prefix(&prefix)?;
        let is_date = rest.len() > 8 && rest.bytes().take(8).all(|byte| byte.is_ascii_digit());
        let is_after = rest.as_bytes().get(8).is_some_and(|byte| b"._-".contains(byte));
        let stem = KNOWN_ENDINGS.iter().find_map(|ending| rest.trim_end_matches(".part").strip_suffix(ending))?;
        (is_date && is_after).then(|| {
            let digits: String = stem.chars().filter(char::is_ascii_digit).collect();
            let (time, part) = digits.split_at(digits.len().min(STAMP_DIGITS));
            (format!("{time:0<STAMP_DIGITS$}"), part.parse().unwrap_or(0), name)
        })
    };
    let mut files: Vec<(String, u32, &str)> = names.iter().filter_map(|name| begun(name)).collect();
    // Of one second, the file without a number is the first.
    files.sort_unstable();
    let digits = |at: Nanos| stamp(at).replace('_', "");
    let (from, until) = (digits(from - MARGIN), digits(until + MARGIN));
    let is_wanted = |(index, (begun, ..)): &(usize, &(String, u32, &str))| {
        let is_over = files.get(index + 1).is_some_and(|(next, ..)| *next <= from);
        *begun <= until && !is_over
    };
    files.iter().enumerate().filter(is_wanted).map(|(_, (.., name))| *name).collect()
}

/// Clocks of a recorder and of a session may differ by some seconds.
const MARGIN: Duration = Duration::from_secs(10);
/// `YYYYMMDDHHMMSS`.
const STAMP_DIGITS: usize = 14;
const KNOWN_ENDINGS: [&str; 4] = [".gz", ".zst", ".txt", ".dat"];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_files_of_the_session_are_chosen_by_their_names() {
        let names: Vec<String> = [
            "btcusdt_20251125.gz",
            "btcusdt_20251126_100000.gz",
            "btcusdt_20251126_110000-1.gz",
            "btcusdt_20251126_120000.gz.part",
            "btcusdt_20251126_130000.gz",
            "btcusdt_261225_20251126_110000.gz",
            "btcusdt_notes.txt",
            "ethusdt_20251126_110000.gz",
        ]
        .map(str::to_owned)
        .into();
        let hour = |hour: u64| Nanos((1_764_115_200 + hour * 3_600) * 1_000_000_000);
        let chosen = |from, until| choose(&names, "BTCUSDT", hour(from), hour(until)).join(" ");
        assert_eq!(stamp(hour(0)), "20251126_000000");
        assert_eq!(chosen(1, 2), "btcusdt_20251125.gz");
        let half = Duration::from_secs(1_800);
        let from_half_past = choose(&names, "BTCUSDT", hour(11) + half, hour(12) + half);
        assert_eq!(from_half_past, ["btcusdt_20251126_110000-1.gz", "btcusdt_20251126_120000.gz.part"]);
        let parts = ["110000.gz", "110000_01.gz", "120000-1.gz", "120000-10.gz", "120000-2.gz", "120000.gz"];
        let parts = parts.map(|part| format!("xrpusdt_20251126_{part}"));
        let expected = [0, 1, 5, 2, 4, 3].map(|at| parts[at].as_str());
        assert_eq!(choose(&parts, "XRPUSDT", hour(11), hour(13)), expected, "second parts come second");
        let names = &names[..1];
        assert!(choose(names, "XRPUSDT", hour(1), hour(20)).is_empty());
    }
}
