//! The live status: one line that is redrawn on a terminal, or a line every ten seconds anywhere else.
//!
//! Reads the session's summary and nothing else. Runs on the main thread; what it says is written by a thread of its own,
//! because a terminal that is held (Ctrl-S) or a pipe that nobody empties must not hold up a stop. What cannot be said
//! soon enough is left out.

use std::io::IsTerminal;
use std::sync::mpsc::{SyncSender, sync_channel};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};

use crate::pipeline::{Pipeline, is_over};
use crate::say::say;

/// The live status.
pub struct Status {
    /// To the thread that writes, and that thread; none when nothing is to be said.
    writer: Option<(SyncSender<String>, JoinHandle<()>)>,
    on_terminal: bool,
    run_for: Option<Duration>,
    shown: Option<u64>,
}

impl Status {
    /// Silent when `quiet`; redrawn in place when standard error is a terminal.
    pub fn new(quiet: bool, run_for: Option<Duration>) -> Status {
        let on_terminal = std::io::stderr().is_terminal();
        if quiet {
            return Status { writer: None, on_terminal, run_for, shown: None };
        }
        let mut line = Line { bar: on_terminal.then(spinner) };
        Status { writer: writer(move |text| line.write(text)), on_terminal, run_for, shown: None }
    }

    /// Shows where the session stands, `running_ns` after it became ready.
    pub fn show(&mut self, running_ns: Option<u64>, pipeline: &Pipeline) {
        if self.writer.is_none() {
            return;
        }
        let Some(running_ns) = running_ns else {
            if self.on_terminal {
                self.write("connecting and reconciling".to_owned());
            }
            return;
        };
        let period = if self.on_terminal { REDRAW_NS } else { LINE_NS };
        let turn = running_ns / period;
        if self.shown == Some(turn) {
            return;
        }
        self.shown = Some(turn);
        let seconds = running_ns / 1_000_000_000;
        let total = self.run_for.map_or(String::new(), |span| format!("/{}", span.as_secs()));
        let summary = pipeline.summary();
        self.write(format!("{seconds}{total} s  {}", optiflow_storage::report::line(&summary)));
    }

    fn write(&self, text: String) {
        if let Some((lines, _)) = &self.writer {
            // Full, or the thread is gone: the next line says more than this one.
            let _ = lines.try_send(text);
        }
    }
}

impl Drop for Status {
    fn drop(&mut self) {
        if let Some((lines, thread)) = self.writer.take() {
            drop(lines);
            // So that the line is gone before the result is there.
            is_over(&thread, Instant::now() + CLEAR_MAX);
        }
    }
}

/// A thread that writes what it is sent; none where the operating system refuses one.
fn writer(mut write: impl FnMut(&str) + Send + 'static) -> Option<(SyncSender<String>, JoinHandle<()>)> {
    let (lines, sent) = sync_channel::<String>(LINES_MAX);
    let work = move || sent.into_iter().for_each(|line| write(&line));
    Some((lines, thread::Builder::new().name("status".to_owned()).spawn(work).ok()?))
}

/// The line on a terminal, which goes when this does, or lines below each other.
struct Line {
    bar: Option<ProgressBar>,
}

impl Line {
    fn write(&mut self, text: &str) {
        match &self.bar {
            Some(bar) => {
                bar.set_message(text.to_owned());
                bar.tick();
            }
            None => say(text),
        }
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}

fn spinner() -> ProgressBar {
    let style = ProgressStyle::with_template("{spinner} {msg}").unwrap_or(ProgressStyle::default_spinner());
    ProgressBar::new_spinner().with_style(style)
}

const REDRAW_NS: u64 = 250_000_000;
const LINE_NS: u64 = 10_000_000_000;
/// Lines that wait to be written.
const LINES_MAX: usize = 2;
/// How long the end waits for the line to be cleared.
const CLEAR_MAX: Duration = Duration::from_millis(200);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_terminal_that_is_held_holds_up_nobody() {
        let held = |_: &str| thread::park_timeout(Duration::from_secs(3_600));
        let status = Status { writer: writer(held), on_terminal: false, run_for: None, shown: None };
        let (told, done) = sync_channel(1);
        thread::spawn(move || {
            (0..100).for_each(|line| status.write(line.to_string()));
            drop(status);
            told.send(()).unwrap();
        });
        assert_eq!(done.recv_timeout(Duration::from_secs(20)), Ok(()));
    }

    #[test]
    fn what_is_sent_is_written_before_the_end() {
        let (wrote, written) = sync_channel(9);
        let write = move |line: &str| wrote.send(line.to_owned()).unwrap();
        let status = Status { writer: writer(write), on_terminal: false, run_for: None, shown: None };
        status.write("one".to_owned());
        drop(status);
        assert_eq!(written.into_iter().collect::<Vec<_>>(), ["one"]);
    }
}
