//! Progress bars of long commands: shown where standard error is a terminal, hidden anywhere else.

use std::fmt::Write;
use std::io::IsTerminal;

use indicatif::{ProgressBar, ProgressState, ProgressStyle};

/// Counts bytes of input.
pub fn bytes_bar() -> ProgressBar {
    bar(0, "{bar:30} {binary_bytes}/{binary_total_bytes}  {binary_bytes_per_sec}  ETA {eta}  {msg}")
}

/// Counts `total` events.
pub fn events_bar(total: u64) -> ProgressBar {
    bar(total, "{bar:30} {human_pos}/{human_len} events  {rate}  ETA {eta}")
}

/// Counts the `total` rows of many runs; the message says how many of these ended.
pub fn runs_bar(total: u64) -> ProgressBar {
    bar(total, "{bar:30} {msg}  {rate}  ETA {eta}")
}

/// Counts `total` seeded worlds; the message says how many of these broke a rule.
pub fn worlds_bar(total: u64) -> ProgressBar {
    bar(total, "{bar:30} {human_pos}/{human_len} worlds  ETA {eta}  {msg}")
}

fn bar(total: u64, template: &str) -> ProgressBar {
    if !std::io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let style = ProgressStyle::with_template(template).unwrap_or(ProgressStyle::default_bar());
    ProgressBar::new(total).with_style(style.with_key("rate", rate))
}

/// Events per second, in millions: digits after that only flicker. Writing to the bar's text does not fail.
fn rate(state: &ProgressState, into: &mut dyn Write) {
    let _ = write!(into, "{:.1} M/s", state.per_sec() / 1e6);
}
