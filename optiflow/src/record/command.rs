//! The command `record`: finds the market, records until told to stop, says what it came to.
//!
//! Exit 0 when something was recorded and every file is closed, 1 when the disk failed or nothing was heard, 2 for a
//! wrong request.

use std::io::IsTerminal;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use indicatif::ProgressBar;
use optiflow_base::clock::RealClock;
use optiflow_base::stage::Progress;
use serde_json::json;
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};

use super::place::Place;
use super::recorder::Recorder;
use super::tally::Tally;
use crate::cli::RecordArgs;
use crate::config::Config;
use crate::problem::Problem;
use crate::say::{out, say};

/// Runs the command.
pub fn run(args: &RecordArgs) -> ExitCode {
    let begun = Instant::now();
    match record(args) {
        Ok((tally, end)) => {
            let seconds = begun.elapsed().as_secs_f64();
            if args.json {
                let folder = args.out.display().to_string();
                let mut value = json!({ "end": end, "out": folder, "seconds": seconds });
                if let (Some(value), Ok(serde_json::Value::Object(tally))) =
                    (value.as_object_mut(), serde_json::to_value(&tally))
                {
                    value.extend(tally);
                }
                out(&value);
            } else {
                out(format_args!("{}: {tally}\nend: {end}, after {seconds:.1} s", args.out.display()));
            }
            if tally.lines.total() > 0 {
                return ExitCode::SUCCESS;
            }
            say("optiflow record: nothing was heard; see the notes above, and check network and symbols");
            ExitCode::FAILURE
        }
        Err(problem) => {
            say(format_args!("optiflow record: {problem}"));
            problem.exit_code()
        }
    }
}

/// Records until there is a reason to stop; answers what it came to, and the reason.
fn record(args: &RecordArgs) -> Result<(Tally, &'static str), Problem> {
    let config = Config::load(&args.config).map_err(|error| Problem::Usage(error.to_string()))?;
    let place = Place::of(&config, args.exchange.as_deref())?;
    let stop = Arc::new(AtomicBool::new(false));
    for signal in [SIGHUP, SIGINT, SIGTERM] {
        let registered = signal_hook::flag::register(signal, stop.clone());
        registered.map_err(|error| Problem::Failed(format!("listening for signals: {error}")))?;
    }
    let bytes_max = args.file_mb.map_or(FILE_BYTES_MAX, |mebibytes| mebibytes.saturating_mul(MEBIBYTE));
    let mut recorder = Recorder::new(&config, &place, &args.out, bytes_max, RealClock::new())?;
    let mut show = Show::new(args.json);
    let begun = Instant::now();
    let end = loop {
        let progress = recorder.step()?;
        show.notes(&recorder.notes());
        if stop.load(Ordering::Relaxed) {
            break "asked to stop";
        }
        if args.run_for.is_some_and(|run_for| begun.elapsed() >= run_for) {
            break "the time is up";
        }
        if progress == Progress::Idle {
            show.state(&recorder, begun);
            std::thread::sleep(IDLE_PAUSE);
        }
    };
    show.clear();
    Ok((recorder.finish()?, end))
}

/// What a person at the terminal sees.
struct Show {
    bar: Option<ProgressBar>,
    turn: u128,
}

impl Show {
    fn new(quiet: bool) -> Show {
        Show { bar: (!quiet && std::io::stderr().is_terminal()).then(ProgressBar::new_spinner), turn: 0 }
    }

    fn notes(&self, notes: &[String]) {
        for note in notes {
            let tell = || say(format_args!("optiflow record: {note}"));
            match &self.bar {
                Some(bar) => bar.suspend(tell),
                None => tell(),
            }
        }
    }

    fn state(&mut self, recorder: &Recorder, begun: Instant) {
        let Some(bar) = &self.bar else { return };
        // The tally is put together anew each time: not for every pause of a fraction of a millisecond.
        let turn = begun.elapsed().as_millis() / REDRAW_MS;
        if turn != self.turn {
            self.turn = turn;
            bar.set_message(format!("{} s  {}", begun.elapsed().as_secs(), recorder.tally()));
            bar.tick();
        }
    }

    fn clear(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}

/// A file is closed at about this size, bytes on disk.
pub const FILE_BYTES_MAX: u64 = 256 * MEBIBYTE;
const MEBIBYTE: u64 = 1024 * 1024;
/// Nothing came: look again after this. Local times are late by as much.
const IDLE_PAUSE: Duration = Duration::from_micros(200);
const REDRAW_MS: u128 = 250;
