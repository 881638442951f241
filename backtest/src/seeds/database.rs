//! The database of a seeded world: the storage stage of each life, and the file that outlives them all.
//!
//! Storage is told what the rooms log, in the order in which it would have read it, and writes with the product's own
//! pragmas into a folder of this world alone, which is gone when the world is. A life that is killed takes with it what
//! storage had not committed. Single thread; waits for the disk, as storage may.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use optiflow_base::clock::Nanos;
use optiflow_base::control::Pulse;
use optiflow_base::ids::TradeId;
use optiflow_base::instrument::Instrument;
use optiflow_base::log::LogEvent;
use optiflow_base::order::{OrderChange, OrderEvent, Report};
use optiflow_base::ring::{Tx, ring};
use optiflow_base::stage::Stage;
use optiflow_oms::former::Former;
use optiflow_storage::{SessionInfo, SessionSymbol, Storage, StorageError, Summary, next_epoch};

use super::bug::Bug;
use crate::former::former;

/// The file, and who writes it now.
pub struct Database {
    folder: PathBuf,
    symbols: Vec<SessionSymbol>,
    bug: Option<Bug>,
    stage: Option<Writing>,
    lives: u32,
    fills: u64,
}

/// The storage stage of a life.
struct Writing {
    storage: Storage,
    events: Tx<LogEvent>,
    pulse: Pulse,
}

/// What a life is told by the file when it begins.
pub struct Opened {
    /// High half of its order ids.
    pub epoch: u32,
    /// What the lives before it left behind.
    pub former: Former,
    /// Beats while storage is well.
    pub pulse: Pulse,
}

impl Database {
    /// A folder without a file.
    ///
    /// # Errors
    /// When there is no folder to be had.
    pub fn new(instruments: &[Instrument], bug: Option<Bug>) -> Result<Database, String> {
        let number = FOLDERS.fetch_add(1, Ordering::Relaxed);
        let folder = std::env::temp_dir().join(format!("optiflow-world-{}-{number}", std::process::id()));
        std::fs::create_dir_all(&folder).map_err(|error| format!("making {}: {error}", folder.display()))?;
        let symbols = instruments.iter().map(SessionSymbol::of).collect();
        Ok(Database { folder, symbols, bug, stage: None, lives: 0, fills: 0 })
    }

    /// The file.
    pub fn path(&self) -> PathBuf {
        self.folder.join("world.db")
    }

    /// Sessions in it: as many as lives began.
    pub const fn lives(&self) -> u32 {
        self.lives
    }

    /// The symbols of every session.
    pub fn symbols(&self) -> &[SessionSymbol] {
        &self.symbols
    }

    /// A life begins: reads what those before it left, as a live one does at its start.
    ///
    /// # Errors
    /// When the file cannot be used.
    pub fn begin(&mut self, now: Nanos) -> Result<Opened, String> {
        self.open(&self.path(), now).map_err(|error| format!("I10: {error}"))
    }

    fn open(&mut self, path: &Path, now: Nanos) -> Result<Opened, StorageError> {
        let epoch = next_epoch(path, now)?;
        let session = self.session(now, epoch);
        // Before the session's own row is there.
        let former = former(path, &session)?;
        let mut storage = Storage::open(path, &session)?;
        let (events, waiting) = ring("log of the world", RING_LEN);
        storage.attach(vec![waiting]);
        let pulse = Pulse::new();
        pulse.beat(now);
        self.stage = Some(Writing { storage, events, pulse: pulse.clone() });
        self.lives += 1;
        Ok(Opened { epoch, former, pulse })
    }

    /// What a life that began now would be told.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn former(&self, now: Nanos) -> Result<Former, String> {
        former(&self.path(), &self.session(now, u32::MAX)).map_err(|error| format!("I10: {error}"))
    }

    /// A room logged this.
    ///
    /// # Errors
    /// When storage is so far behind that it is lost.
    pub fn log(&mut self, event: &LogEvent) -> Result<(), String> {
        let Some(stage) = &mut self.stage else { return Ok(()) };
        let mut tell = |event: LogEvent| {
            let told = stage.events.push(event);
            told.map_err(|_| format!("I8: storage lags {RING_LEN} events behind, and the next is lost"))
        };
        let LogEvent::Report(Report::Order(fill)) = event else { return tell(*event) };
        if !matches!(fill.change, OrderChange::Filled { .. }) {
            return tell(*event);
        }
        self.fills += 1;
        if self.bug == Some(Bug::FillRowLost) && self.fills.is_multiple_of(FILLS_TAMPERED) {
            return Ok(());
        }
        if self.bug == Some(Bug::FillRowTwice) && self.lives > 1 && self.fills.is_multiple_of(FILLS_TAMPERED) {
            tell(LogEvent::Report(Report::Order(again(fill))))?;
        }
        tell(*event)
    }

    /// Storage takes a step.
    pub fn step(&mut self, now: Nanos) {
        let Some(stage) = &mut self.stage else { return };
        stage.storage.step(now);
        if stage.storage.failed().is_none() || self.bug == Some(Bug::DiskTroubleIgnored) {
            stage.pulse.beat(now);
        }
    }

    /// The disk is full from now on, or has room again; a new life finds room.
    ///
    /// # Errors
    /// When the file cannot be asked.
    pub fn fill_disk(&mut self, is_full: bool) -> Result<(), String> {
        let filled = self.stage.as_mut().map_or(Ok(()), |stage| stage.storage.fill_disk(is_full));
        filled.map_err(|error| format!("I10: {error}"))
    }

    /// Has this life's storage given up, as its process sees?
    pub fn has_failed(&self) -> bool {
        let failed = self.stage.as_ref().is_some_and(|stage| stage.storage.failed().is_some());
        failed && self.bug != Some(Bug::DiskTroubleIgnored)
    }

    /// The process is gone, and with it what was not committed.
    pub fn die(&mut self) {
        self.stage = None;
    }

    /// The session ends in order.
    ///
    /// # Errors
    /// When something did not reach the file.
    pub fn finish(&mut self, now: Nanos) -> Result<Option<Summary>, String> {
        let summary = self.stage.take().map(|mut stage| stage.storage.finish("stopped", now)).transpose();
        let is_known = self.bug == Some(Bug::DiskTroubleIgnored);
        summary.or_else(|error| if is_known { Ok(None) } else { Err(format!("I10: {error}")) })
    }

    /// The file has nothing in it that must not be said, in no way of writing it.
    ///
    /// # Errors
    /// When it has, or cannot be read.
    pub fn keeps_secrets(&self, spellings: &[&[u8]]) -> Result<(), String> {
        let bytes = std::fs::read(self.path()).map_err(|error| format!("I11: {}: {error}", self.path().display()))?;
        let is_in = |spelling: &&&[u8]| bytes.windows(spelling.len()).any(|window| window == **spelling);
        match spellings.iter().find(is_in) {
            Some(spelling) => Err(format!("I11: the database has {} in it", String::from_utf8_lossy(spelling))),
            None => Ok(()),
        }
    }

    fn session(&self, started: Nanos, epoch: u32) -> SessionInfo {
        SessionInfo {
            epoch,
            started,
            mode: MODE.to_owned(),
            venue: VENUE.to_owned(),
            margin_asset: "USDT".to_owned(),
            config_hash: String::new(),
            binary_hash: String::new(),
            version: String::new(),
            symbols: self.symbols.clone(),
        }
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        self.stage = None;
        // What cannot be removed lies in a folder for what may go.
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

/// The same fill, as if it were another.
fn again(fill: &OrderEvent) -> OrderEvent {
    let mut again = *fill;
    if let OrderChange::Filled { trade, .. } = &mut again.change {
        *trade = TradeId(trade.0 + TRADES_AWAY);
    }
    again
}

/// What sessions of worlds are told apart by.
pub(super) const MODE: &str = "sim";
pub(super) const VENUE: &str = "world";
/// As much as the rings of the rooms hold together, where few rooms say much.
const RING_LEN: usize = 16_384;
/// Where a bug tampers with fills, every so many.
const FILLS_TAMPERED: u64 = 5;
const TRADES_AWAY: u64 = 1_000_000_000;
/// Folders made by this process.
static FOLDERS: AtomicU64 = AtomicU64::new(0);
