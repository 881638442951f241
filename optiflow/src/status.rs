//! The live status: one line that is redrawn on a terminal, or a line every ten seconds anywhere else.
//!
//! Reads the session's summary and nothing else. Runs on the main thread.

use std::io::IsTerminal;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};

use crate::pipeline::Pipeline;
use crate::say::say;

/// The live status.
pub struct Status {
    bar: Option<ProgressBar>,
    quiet: bool,
    run_for: Option<Duration>,
    shown: Option<u64>,
}

impl Status {
    /// Silent when `quiet`; redrawn in place when standard error is a terminal.
    pub fn new(quiet: bool, run_for: Option<Duration>) -> Status {
        let bar = (!quiet && std::io::stderr().is_terminal()).then(|| {
            let bar = ProgressBar::new_spinner();
            bar.set_style(ProgressStyle::with_template("{spinner} {msg}").unwrap_or(ProgressStyle::default_spinner()));
            bar
        });
        Status { bar, quiet, run_for, shown: None }
    }

    /// Shows where the session stands, `running_ns` after it became ready.
    pub fn show(&mut self, running_ns: Option<u64>, pipeline: &Pipeline) {
        if self.quiet {
            return;
        }
        let Some(running_ns) = running_ns else {
            self.print("connecting and reconciling", None);
            return;
        };
        let period = if self.bar.is_some() { REDRAW_NS } else { LINE_NS };
        let turn = running_ns / period;
        if self.shown == Some(turn) {
            return;
        }
        let seconds = running_ns / 1_000_000_000;
        let total = self.run_for.map_or(String::new(), |span| format!("/{}", span.as_secs()));
        let summary = pipeline.summary();
        self.print(&format!("{seconds}{total} s  {}", optiflow_storage::report::line(&summary)), Some(turn));
    }

    fn print(&mut self, text: &str, turn: Option<u64>) {
        match &self.bar {
            Some(bar) => {
                bar.set_message(text.to_owned());
                bar.tick();
            }
            None if turn.is_some() => say(text),
            None => {}
        }
        self.shown = turn;
    }
}

impl Drop for Status {
    fn drop(&mut self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}

const REDRAW_NS: u64 = 250_000_000;
const LINE_NS: u64 = 10_000_000_000;
