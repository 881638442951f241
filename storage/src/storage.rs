//! The stage: drains every room's log, keeps the sums, writes the rows.
//!
//! May wait for the disk: it is the one stage that may, on a thread of its own. Never holds up another room and never
//! panics over the disk; the first failure ends writing and is told by `failed`. Storage thread.

use std::path::Path;
use std::time::Duration;

use optiflow_base::clock::{Nanos, nanos_of};
use optiflow_base::log::{LogEvent, Notice};
use optiflow_base::order::{OrderChange, OrderEvent, Report};
use optiflow_base::ring::Rx;
use optiflow_base::stage::{Progress, Room, Stage};

use crate::database;
use crate::error::StorageError;
use crate::latency::Latencies;
use crate::ledger::{Fill, Ledger};
use crate::report;
use crate::rows::Rows;
use crate::session::SessionInfo;
use crate::summary::{Profit, Summary};
use crate::writer::Writer;

/// The storage stage of one session.
#[derive(Debug)]
pub struct Storage {
    rows: Rows,
    ledger: Ledger,
    latencies: Latencies,
    rings: Vec<Rx<LogEvent>>,
    waiting: Vec<usize>,
    latencies_saved: Nanos,
    now: Nanos,
    outcome: Option<String>,
}

impl Storage {
    /// Opens or creates the file and begins the session in it.
    ///
    /// # Errors
    /// When the file cannot be used; the error says what to do.
    ///
    /// # Panics
    /// If the symbols are not listed in the order of their ids.
    pub fn open(path: &Path, session: &SessionInfo) -> Result<Storage, StorageError> {
        let listed = session.symbols.iter().enumerate().all(|(index, symbol)| symbol.id.index() == index);
        assert!(listed, "symbols are listed in the order of their ids");
        let connection = database::open(path)?;
        let id = database::begin_session(path, &connection, session)?;
        Ok(Storage {
            rows: Rows { writer: Writer::new(path, connection), session: id, info: session.clone() },
            ledger: Ledger::new(session),
            latencies: Latencies::new(),
            rings: Vec::new(),
            waiting: Vec::new(),
            latencies_saved: session.started,
            now: session.started,
            outcome: None,
        })
    }

    /// Adds the logs to drain, in the order in which an event crosses the rooms: causes are then read before effects.
    pub fn attach(&mut self, rings: Vec<Rx<LogEvent>>) {
        self.rings.extend(rings);
        self.waiting.resize(self.rings.len(), 0);
    }

    /// From now on the file may not grow, as if the disk were full, or may again: for tests of what follows.
    ///
    /// # Errors
    /// When the file cannot be asked.
    pub fn fill_disk(&mut self, is_full: bool) -> Result<(), StorageError> {
        self.rows.writer.fill_disk(is_full)
    }

    /// Why the file is incomplete, if it is: then no new risk should be taken.
    pub const fn failed(&self) -> Option<&StorageError> {
        self.rows.writer.failed()
    }

    /// The sums so far.
    pub fn summary(&self) -> Summary {
        let info = &self.rows.info;
        let symbols = self.ledger.symbols(info);
        let profit = symbols.iter().fold(Profit::default(), |sum, symbol| sum.plus(symbol.profit));
        Summary {
            session: self.rows.session,
            epoch: info.epoch,
            mode: info.mode.clone(),
            venue: info.venue.clone(),
            version: info.version.clone(),
            margin_asset: info.margin_asset.clone(),
            database: self.rows.writer.path().to_path_buf(),
            started_ns: info.started.0,
            until_ns: self.now.0,
            outcome: self.outcome.clone(),
            orders: self.ledger.orders.counts(),
            fills: self.ledger.fills,
            profit,
            wallet: self.ledger.wallet,
            symbols,
            latencies: self.latencies.summaries(),
            notices: self.ledger.notices(),
            log_events_lost: self.ledger.log_events_lost,
            rows_lost: self.rows.writer.rows_lost(),
            failure: self.failed().map(StorageError::to_string),
        }
    }

    /// Takes in what is still waiting, writes everything, closes the session row. Call when the other rooms have
    /// stopped. Calling it again changes nothing but the outcome.
    ///
    /// # Errors
    /// When something did not reach the file; [`Storage::summary`] still knows the sums.
    pub fn finish(&mut self, outcome: &str, now: Nanos) -> Result<Summary, StorageError> {
        self.drain(now);
        self.outcome = Some(outcome.to_owned());
        let summary = self.summary();
        self.rows.latency_buckets(now, &self.latencies);
        self.rows.end_session(now, outcome, &report::json(&summary));
        self.commit(now);
        self.rows.writer.truncate();
        match self.failed() {
            Some(failure) => Err(failure.clone()),
            None => Ok(summary),
        }
    }

    /// Takes what waits now. Lengths are read from the last room to the first, events from the first to the last: a
    /// cause that was written before its effect is then also read before it.
    fn drain(&mut self, now: Nanos) -> bool {
        self.now = now.max(self.now);
        for (ring, waiting) in self.rings.iter().zip(&mut self.waiting).rev() {
            *waiting = ring.len().min(EVENTS_PER_RING_AND_STEP);
        }
        let mut worked = false;
        for index in 0..self.rings.len() {
            for _ in 0..self.waiting[index] {
                let Some(event) = self.rings[index].pop() else { break };
                self.keep(now, &event);
                worked = true;
                if self.rows.writer.is_due(now) {
                    self.commit(now);
                }
            }
        }
        worked
    }

    fn keep(&mut self, now: Nanos, event: &LogEvent) {
        match *event {
            LogEvent::Intent(intent) => self.ledger.orders.intend(&intent),
            LogEvent::Denied { symbol, order, at, reason } => {
                self.ledger.orders.deny(at, symbol, order, reason);
                self.rows.denial(now, at, symbol, order, reason);
            }
            LogEvent::Halted { symbol, at, refusal, until } => {
                let what = if until.is_some() { SYMBOL_PAUSED } else { SYMBOL_LATCHED };
                self.ledger.notice(Room::Risk.name(), what);
                self.rows.halt(now, at, symbol, (refusal, until), what);
            }
            LogEvent::Report(report) => self.keep_report(now, &report),
            LogEvent::Signal(sample) => {
                self.ledger.sample(&sample);
                self.rows.signal(now, &sample);
            }
            LogEvent::Latency { span, nanos } => self.latencies.record(span, nanos),
            LogEvent::Notice(notice) => self.keep_notice(now, &notice),
            LogEvent::Lost { room, count } => {
                self.ledger.log_events_lost += count;
                let value = count.cast_signed();
                self.keep_notice(now, &Notice { room, at: now, what: LOG_EVENTS_LOST, value });
            }
        }
    }

    fn keep_report(&mut self, now: Nanos, report: &Report) {
        match *report {
            Report::Order(event) => {
                self.ledger.follow(&event);
                self.rows.order_event(now, &event);
                if let OrderChange::Filled { trade, price, qty, maker, fee, .. } = event.change {
                    let OrderEvent { symbol, order, exchange_ms, .. } = event;
                    self.keep_fill(now, &event, &Fill { exchange_ms, symbol, order, trade, price, qty, maker, fee });
                }
            }
            Report::Position { symbol, qty, entry, at } => {
                self.ledger.state_position(symbol, qty, entry, at);
                self.rows.position(now, symbol, qty, entry, at);
            }
            Report::Wallet { balance, at } => {
                self.ledger.wallet = Some(balance);
                self.rows.wallet(now, balance, at);
            }
            Report::Usage(usage) => self.rows.usage(now, &usage),
            Report::Gate { open, reason, at } => self.rows.gate(now, open, reason, at),
        }
    }

    fn keep_fill(&mut self, now: Nanos, event: &OrderEvent, fill: &Fill) {
        let side = self.ledger.orders.side(fill.order).or_else(|| self.rows.side_of(fill.order));
        if self.ledger.is_repeated(fill) || !self.rows.fill(now, event, fill, side) {
            self.ledger.fills.duplicates += 1;
        } else {
            self.ledger.book(fill, side);
        }
    }

    fn keep_notice(&mut self, now: Nanos, notice: &Notice) {
        self.ledger.notice(notice.room.name(), notice.what);
        self.rows.notice(now, notice);
    }

    /// Orders' rows are written once per batch, however often the orders changed.
    fn commit(&mut self, now: Nanos) {
        let (ledger, rows) = (&mut self.ledger, &mut self.rows);
        ledger.orders.flush(|id, record| rows.order(now, id, record));
        if now.since(self.latencies_saved) >= nanos_of(LATENCIES_SAVED_EVERY) || self.outcome.is_some() {
            self.latencies_saved = now;
            self.rows.latencies(now, &mut self.latencies);
        }
        self.rows.writer.commit();
    }
}

impl Stage for Storage {
    fn step(&mut self, now: Nanos) -> Progress {
        let worked = self.drain(now);
        let resting = !worked && self.ledger.orders.has_changed();
        if self.rows.writer.is_due(now) || resting {
            self.commit(now);
        }
        self.rows.writer.checkpoint(!worked);
        Progress::from_work(worked)
    }
}

/// Notice of log events that a room had to drop.
pub const LOG_EVENTS_LOST: &str = "log events lost";
/// Notice when the exchange keeps refusing orders of a symbol; its value is the venue code.
pub const SYMBOL_PAUSED: &str = "the same refusal again and again: entries in the symbol pause";
/// The same, when waiting does not heal it.
pub const SYMBOL_LATCHED: &str = "a refusal that waiting does not heal: no entry in the symbol before a restart";
/// Events taken from one ring in one step: larger than any ring, so that causes stay before effects.
const EVENTS_PER_RING_AND_STEP: usize = 1 << 17;
/// How often the latency table is renewed.
const LATENCIES_SAVED_EVERY: Duration = Duration::from_secs(10);
