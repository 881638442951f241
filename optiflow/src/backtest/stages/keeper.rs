//! Storage beside a run of the stages: the same database as a live session writes, on the run's own thread.
//!
//! Times are the run's. The session begins with the first event, so that a run that fails before leaves none.

use std::path::{Path, PathBuf};

use optiflow_base::clock::{Clock, Nanos, RealClock};
use optiflow_base::log::LogEvent;
use optiflow_base::ring::{Rx, Tx, ring};
use optiflow_base::stage::Stage;
use optiflow_storage::{SessionInfo, Storage, Summary, next_epoch};

use super::ground::Ground;
use crate::config::{Config, Mode};
use crate::problem::Problem;
use crate::{opening, rooms};

/// The database of a run.
pub(crate) struct Keeper {
    path: PathBuf,
    info: SessionInfo,
    storage: Option<Storage>,
    events: Tx<LogEvent>,
    waiting: Option<Rx<LogEvent>>,
    failure: Option<String>,
}

impl Keeper {
    /// Makes sure that the database can be written, and gives the run its epoch.
    pub(crate) fn open(path: &Path, config: &Config, text: &str, ground: &mut Ground) -> Result<Keeper, Problem> {
        let epoch = next_epoch(path, RealClock::new().now()).map_err(|error| Problem::Usage(error.to_string()))?;
        ground.stages.engine.epoch = epoch;
        let mode = if config.mode == Mode::Paper { "paper" } else { "backtest" };
        let instruments: Vec<_> = ground.stages.engine.symbols.iter().map(|symbol| symbol.instrument).collect();
        let info = rooms::session(mode, "virtual", text, Nanos(0), epoch, &instruments, opening::binary_hash());
        let (events, waiting) = ring("storage", RING_LEN);
        Ok(Keeper { path: path.to_owned(), info, storage: None, events, waiting: Some(waiting), failure: None })
    }

    /// Keeps what a room wrote.
    pub(crate) fn log(&mut self, now: Nanos, event: &LogEvent) {
        if self.storage.is_none() {
            self.begin(now);
        }
        if self.events.push(*event).is_err() {
            self.step(now);
            let pushed = self.events.push(*event);
            assert!(pushed.is_ok() || self.failure.is_some(), "storage that works takes what waits");
        }
    }

    /// Writes what waits.
    pub(crate) fn step(&mut self, now: Nanos) {
        if let Some(storage) = &mut self.storage {
            storage.step(now);
            if let Some(error) = storage.failed() {
                self.failure.get_or_insert(error.to_string());
            }
        }
    }

    /// Why the database is incomplete, if it is.
    pub(crate) fn failure(&self) -> Option<&str> {
        self.failure.as_deref()
    }

    /// The sums so far.
    pub(crate) fn summary(&self) -> Option<Summary> {
        self.storage.as_ref().map(Storage::summary)
    }

    /// Writes the rest and closes the session.
    pub(crate) fn finish(mut self, outcome: &str, now: Nanos) -> Result<Summary, Problem> {
        if self.storage.is_none() {
            self.begin(now);
        }
        self.step(now);
        let failed = || Problem::Failed("the database was never written".to_owned());
        let mut storage =
            self.storage.take().ok_or_else(|| self.failure.clone().map_or_else(failed, Problem::Failed))?;
        storage.finish(outcome, now).map_err(|error| Problem::Failed(error.to_string()))
    }

    fn begin(&mut self, now: Nanos) {
        let Some(waiting) = self.waiting.take() else { return };
        self.info.started = now;
        match Storage::open(&self.path, &self.info) {
            Ok(mut storage) => {
                storage.attach(vec![waiting]);
                self.storage = Some(storage);
            }
            Err(error) => self.failure = Some(error.to_string()),
        }
    }
}

/// Events that wait for the next step.
const RING_LEN: usize = 8_192;
