//! A recorder beside a trading session: a cold thread of its own, with connections of its own.
//!
//! It hears the same streams as the session, not the same bytes: what a reconnect costs one, the other may have. That is
//! the honest price of leaving the hot path alone. It shares the session's clock, so that its local times and those of
//! the database are one. Trading never waits for it and goes on when it fails; the end says so.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use optiflow_base::clock::RealClock;
use optiflow_base::placement::{self, Wait, Waiter};

use super::command::FILE_BYTES_MAX;
use super::place::Place;
use super::recorder::Recorder;
use super::tally::Tally;
use crate::config::Config;
use crate::problem::Problem;
use crate::say::say;
use crate::venue::Venue;

/// A recorder that runs beside a session; dropping it ends it too.
pub struct Aside {
    halt: Arc<AtomicBool>,
    /// Every symbol has its first snapshot.
    ready: Arc<AtomicBool>,
    thread: Option<JoinHandle<Result<Tally, Problem>>>,
}

impl Aside {
    /// Starts on `core`.
    ///
    /// # Errors
    /// When the folder cannot be made or a thread is refused.
    pub fn start(
        out: &Path,
        config: &Config,
        venue: &Venue,
        clock: &RealClock,
        core: Option<usize>,
    ) -> Result<Aside, Problem> {
        let recorder = Recorder::new(config, &Place::beside(venue), out, FILE_BYTES_MAX, clock.clone())?;
        let (halt, ready) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicBool::new(false)));
        let work = {
            let (halt, ready) = (halt.clone(), ready.clone());
            move || {
                if let Some(problem) = core.and_then(|core| placement::pin(core).err()) {
                    say(format_args!("optiflow: capture: {problem}; running unpinned"));
                }
                record(recorder, &halt, &ready)
            }
        };
        let thread = thread::Builder::new().name("capture".to_owned()).spawn(work);
        let thread = thread.map_err(|error| Problem::Failed(format!("starting a thread: {error}")))?;
        Ok(Aside { halt, ready, thread: Some(thread) })
    }

    /// Waits a while until every symbol has its first snapshot, so that the first order falls into the capture.
    pub fn wait(&self) {
        let begun = Instant::now();
        let runs = || self.thread.as_ref().is_some_and(|thread| !thread.is_finished());
        while !self.ready.load(Ordering::Relaxed) && runs() {
            if begun.elapsed() > READY_WAIT {
                say("optiflow: capture: no snapshot of every symbol yet; trading begins without it");
                return;
            }
            thread::sleep(LOOK_EVERY);
        }
    }

    /// Ends the recording and closes its files.
    ///
    /// # Errors
    /// What it failed of, now or before.
    pub fn stop(mut self) -> Result<Tally, Problem> {
        self.halt.store(true, Ordering::Relaxed);
        let Some(thread) = self.thread.take() else { return Ok(Tally::default()) };
        let died = || Problem::Failed("the recorder panicked; its message is above".to_owned());
        thread.join().map_err(|_| died())?
    }
}

impl Drop for Aside {
    fn drop(&mut self) {
        self.halt.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            // Whoever drops it without stopping it has another error to tell.
            let _ = thread.join();
        }
    }
}

fn record(mut recorder: Recorder, halt: &AtomicBool, ready: &AtomicBool) -> Result<Tally, Problem> {
    let mut waiter = Waiter::new(Wait::Park);
    while !halt.load(Ordering::Relaxed) {
        let progress = recorder.step().inspect_err(|problem| say(format_args!("optiflow: capture: {problem}")))?;
        for note in recorder.notes() {
            say(format_args!("optiflow: capture: {note}"));
        }
        if recorder.is_recording() {
            ready.store(true, Ordering::Relaxed);
        }
        waiter.after(progress);
    }
    recorder.finish()
}

/// How long the start of trading waits for the recorder.
const READY_WAIT: Duration = Duration::from_secs(10);
const LOOK_EVERY: Duration = Duration::from_millis(10);
