//! The file to read first: builds the rings and the stages, links them, and puts them on threads.
//!
//! ```text
//!   feed ──▶ engine ──▶ risk ──▶ oms ◀──▶ exchange          storage ◀── every room's log ring
//! ```
//! The rings themselves, and what else they carry, are in `backtest/src/links.rs`, shared with virtual worlds. Feed and
//! oms ask for REST calls by ring, and a cold thread each performs them. Stages that share a core share a thread and
//! run in order.
//!
//! Never decides anything about trading. Runs on the main thread; what it starts is listed in [`Pipeline`].

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use crossbeam::channel::{Receiver, Sender, bounded};
use optiflow_backtest::links::{self, Links, Outside, RestLine};
use optiflow_base::clock::{Clock, Nanos, RealClock};
use optiflow_base::control::{Command, Milestone, Pulse};
use optiflow_base::log::LogEvent;
use optiflow_base::placement::{self, Seat, Wait, Waiter};
use optiflow_base::ring::{Rx, Tx};
use optiflow_base::stage::{Progress, Room, Stage};
use optiflow_engine::engine::{Engine, EngineConfig};
use optiflow_feed::{Feed, FeedConfig};
use optiflow_oms::binance::rest::RestClient;
use optiflow_oms::stage::{Oms, OmsConfig};
use optiflow_risk::{Risk, RiskConfig};
use optiflow_storage::{Storage, Summary};
use optiflow_wire::renewal::{Resolver, SystemLookup};
use optiflow_wire::transport::TcpDialer;

use crate::say::say;

/// Everything the rooms need to be built.
pub struct Rooms {
    /// Stage 1.
    pub feed: FeedConfig,
    /// Stage 2.
    pub engine: EngineConfig,
    /// Stage 3.
    pub risk: RiskConfig,
    /// Stage 4.
    pub oms: OmsConfig,
    /// Stage 5, already open.
    pub storage: Storage,
    /// Performs the feed's REST calls.
    pub feed_rest: RestClient,
    /// Performs the oms's REST calls.
    pub oms_rest: RestClient,
}

/// The running pipeline, seen from the main thread.
pub struct Pipeline {
    /// What the oms stage has to say.
    pub milestones: Rx<Milestone>,
    commands: [Tx<Command>; 2],
    halt: Arc<AtomicBool>,
    /// Hot seats.
    threads: Vec<JoinHandle<()>>,
    /// Which of them handles orders.
    order_seat: usize,
    /// Those that perform REST calls.
    callers: Vec<JoinHandle<()>>,
    storage: StorageThread,
}

/// Links the rooms with rings and starts a thread for every seat.
///
/// # Errors
/// When the operating system refuses a thread.
pub fn start(rooms: Rooms, seats: &[Seat], clock: &RealClock) -> std::io::Result<Pipeline> {
    let Links { feed, engine, risk, oms, outside } = Links::new();
    let pulse = rooms.oms.guards.storage.clone().unwrap_or_default();
    pulse.beat(clock.now());
    let mut resolver = Resolver::new(SystemLookup, clock.now().0);
    for endpoint in [&rooms.feed.public, &rooms.feed.market, &rooms.oms.ws_api, &rooms.oms.private] {
        resolver.serve(endpoint);
    }
    let mut stages: Vec<(Room, Box<dyn Stage + Send>)> = vec![
        (Room::Feed, Box::new(Feed::new(rooms.feed, || TcpDialer, clock.clone(), feed))),
        (Room::Engine, Box::new(Engine::new(rooms.engine, clock.clone(), engine))),
        (Room::Risk, Box::new(Risk::new(rooms.risk, clock.clone(), risk))),
        (Room::Oms, Box::new(Oms::new(rooms.oms, || TcpDialer, clock.clone(), oms))),
    ];
    let Outside { feed_rest, oms_rest, logs, milestones, commands } = outside;
    let halt = Arc::new(AtomicBool::new(false));
    let mut threads = Vec::new();
    let mut order_seat = 0;
    let mut cold = (None, None);
    for seat in seats {
        if seat.rooms.contains(&Room::Storage) {
            cold.0 = seat.core;
        } else if seat.rooms.contains(&Room::Control) {
            cold.1 = seat.core;
        } else {
            let (mine, others) = stages.into_iter().partition(|(room, _)| seat.rooms.contains(room));
            stages = others;
            if seat.rooms.contains(&Room::Oms) {
                order_seat = threads.len();
            }
            threads.push(start_seat(seat.clone(), mine, clock.clone(), halt.clone())?);
        }
    }
    assert!(stages.is_empty(), "the placement seats every hot room");
    let mut callers = Vec::new();
    for (client, line) in [(rooms.feed_rest, feed_rest), (rooms.oms_rest, oms_rest)] {
        callers.push(start_rest(client, line, cold.1, clock.clone(), halt.clone())?);
    }
    start_resolver(resolver, cold.1, clock.clone(), halt.clone())?;
    let storage = StorageThread::start(rooms.storage, logs, cold.0, clock.clone(), pulse)?;
    Ok(Pipeline { milestones, commands, halt, threads, order_seat, callers, storage })
}

impl Pipeline {
    /// Asks for an orderly stop: no new risk, everything cancelled; the oms answers with a milestone.
    pub fn stop(&mut self) {
        links::tell(&mut self.commands, Command::Stop);
    }

    /// Sets the kill latch: no new risk until the next session, open entries are cancelled, exits go on.
    pub fn kill(&mut self) {
        links::tell(&mut self.commands, Command::Kill);
    }

    /// The session so far.
    pub fn summary(&self) -> Summary {
        self.storage.shown.summary.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Has a thread ended that should run until told otherwise? Names the trouble.
    pub fn trouble(&self) -> Option<String> {
        let ended = self.threads.iter().chain(&self.callers).find(|thread| thread.is_finished());
        let ended = ended.map(|thread| format!("thread {} ended", thread.thread().name().unwrap_or("?")));
        ended.or_else(|| self.storage.shown.trouble.lock().unwrap_or_else(PoisonError::into_inner).clone())
    }

    /// Has the thread that handles orders ended? Then it will never say how a stop went.
    pub fn is_mute(&self) -> bool {
        self.threads.get(self.order_seat).is_none_or(JoinHandle::is_finished)
    }

    /// Ends the threads that trade, within a bounded time: from here on nothing is sent, unless one of them hangs. Names
    /// what failed.
    pub fn halt(&mut self) -> Option<String> {
        self.halt.store(true, Ordering::Relaxed);
        // A call that is on its way may take seconds and concerns nobody any more: it goes with the process.
        thread::sleep(CALLERS_GRACE);
        let callers = self.callers.drain(..).filter(JoinHandle::is_finished);
        join_within(HALT_MAX, self.threads.drain(..).chain(callers))
    }

    /// After `halt`: lets storage drain what was written, and closes the session with `outcome`. The sums come back even
    /// when something failed on the way; what failed comes with them.
    pub fn finish(self, outcome: &str) -> (Summary, Option<String>) {
        self.storage.finish(outcome)
    }
}

/// Joins threads that were told to end; names the last that panicked or does not end within `span`, and leaves that one
/// behind.
fn join_within(span: Duration, threads: impl Iterator<Item = JoinHandle<()>>) -> Option<String> {
    let end = Instant::now() + span;
    let mut failed = None;
    for thread in threads {
        let name = thread.thread().name().unwrap_or("?").to_owned();
        if !is_over(&thread, end) {
            failed = Some(format!("thread {name} hangs"));
        } else if thread.join().is_err() {
            failed = Some(format!("thread {name} panicked; its message is above"));
        }
    }
    failed
}

/// Waits for the end of a thread, until `end`.
pub(crate) fn is_over<T>(thread: &JoinHandle<T>, end: Instant) -> bool {
    while !thread.is_finished() {
        if Instant::now() >= end {
            return false;
        }
        thread::sleep(JOIN_LOOK_EVERY);
    }
    true
}

fn start_seat(
    seat: Seat,
    mut stages: Vec<(Room, Box<dyn Stage + Send>)>,
    clock: RealClock,
    halt: Arc<AtomicBool>,
) -> std::io::Result<JoinHandle<()>> {
    let names: Vec<&str> = stages.iter().map(|(room, _)| room.name()).collect();
    thread::Builder::new().name(names.join("+")).spawn(move || {
        pin_or_say(seat.core);
        let mut waiter = Waiter::new(seat.wait);
        while !halt.load(Ordering::Relaxed) {
            let mut progress = Progress::Idle;
            for (_, stage) in &mut stages {
                progress = progress.or(stage.step(clock.now()));
            }
            waiter.after(progress);
        }
    })
}

fn start_rest(
    mut client: RestClient,
    mut line: RestLine,
    core: Option<usize>,
    clock: RealClock,
    halt: Arc<AtomicBool>,
) -> std::io::Result<JoinHandle<()>> {
    thread::Builder::new().name(line.calls.name().to_owned()).spawn(move || {
        pin_or_say(core);
        let mut waiter = Waiter::new(Wait::Park);
        while !halt.load(Ordering::Relaxed) {
            let Some(call) = line.calls.pop() else {
                waiter.after(Progress::Idle);
                continue;
            };
            let mut reply = client.perform(&call, &clock);
            // The stage drains its replies on every step; a full ring only means that it is busy right now.
            while let Err(refused) = line.replies.push(reply) {
                if halt.load(Ordering::Relaxed) {
                    return;
                }
                reply = refused;
                waiter.after(Progress::Idle);
            }
        }
    })
}

/// Looks names up when connections keep failing. Nobody waits for this thread: DNS may take longer than a stop.
pub(crate) fn start_resolver(
    mut resolver: Resolver<SystemLookup>,
    core: Option<usize>,
    clock: RealClock,
    halt: Arc<AtomicBool>,
) -> std::io::Result<()> {
    let thread = thread::Builder::new().name("names".to_owned()).spawn(move || {
        pin_or_say(core);
        while !halt.load(Ordering::Relaxed) {
            resolver.step(clock.now());
            thread::sleep(RESOLVE_EVERY);
        }
    });
    thread.map(drop)
}

struct StorageThread {
    shown: Arc<Shown>,
    outcome: Sender<String>,
    thread: JoinHandle<(Summary, Option<String>)>,
}

/// What the main thread sees of storage, renewed a few times a second.
struct Shown {
    summary: Mutex<Summary>,
    trouble: Mutex<Option<String>>,
}

impl StorageThread {
    fn start(
        mut storage: Storage,
        logs: Vec<Rx<LogEvent>>,
        core: Option<usize>,
        clock: RealClock,
        pulse: Pulse,
    ) -> std::io::Result<StorageThread> {
        storage.attach(logs);
        let shown = Arc::new(Shown { summary: Mutex::new(storage.summary()), trouble: Mutex::new(None) });
        let (outcome, ended) = bounded(1);
        let mine = shown.clone();
        let thread = thread::Builder::new().name("storage".to_owned()).spawn(move || {
            pin_or_say(core);
            keep(&mut storage, &clock, &mine, &ended, &pulse)
        })?;
        Ok(StorageThread { shown, outcome, thread })
    }

    fn finish(self, outcome: &str) -> (Summary, Option<String>) {
        // A thread that is gone cannot be told; joining it says why.
        let _ = self.outcome.send(outcome.to_owned());
        let ended = is_over(&self.thread, Instant::now() + DRAIN_MAX);
        let told = if ended { self.thread.join().ok() } else { None };
        told.unwrap_or_else(|| {
            let last = self.shown.summary.lock().unwrap_or_else(PoisonError::into_inner).clone();
            let why = if ended { "panicked; its message is above" } else { "hangs: the disk, most likely" };
            (last, Some(format!("thread storage {why}; the database lacks what came last")))
        })
    }
}

/// Drains the logs until an outcome is given; then drains what is left and closes the session.
fn keep(
    storage: &mut Storage,
    clock: &RealClock,
    shown: &Shown,
    ended: &Receiver<String>,
    pulse: &Pulse,
) -> (Summary, Option<String>) {
    let mut waiter = Waiter::new(Wait::Park);
    let mut shown_at = Nanos(0);
    let mut outcome = None;
    loop {
        let now = clock.now();
        outcome = outcome.or_else(|| ended.try_recv().ok());
        let progress = storage.step(now);
        if storage.failed().is_none() {
            pulse.beat(now);
        }
        if let (Progress::Idle, Some(outcome)) = (progress, &outcome) {
            return match storage.finish(outcome, now) {
                Ok(summary) => (summary, None),
                Err(error) => (storage.summary(), Some(error.to_string())),
            };
        }
        if now >= shown_at + SUMMARY_PERIOD {
            shown_at = now;
            *shown.summary.lock().unwrap_or_else(PoisonError::into_inner) = storage.summary();
            if let Some(error) = storage.failed() {
                *shown.trouble.lock().unwrap_or_else(PoisonError::into_inner) = Some(error.to_string());
            }
        }
        waiter.after(progress);
    }
}

fn pin_or_say(core: Option<usize>) {
    let Some(core) = core else { return };
    if let Err(problem) = placement::pin(core) {
        say(format_args!("optiflow: {problem}; running unpinned"));
    }
}

/// What a thread that performs REST calls gets to notice that it is over.
const CALLERS_GRACE: Duration = Duration::from_millis(50);
/// What a hot thread, which never blocks, gets to end.
const HALT_MAX: Duration = Duration::from_secs(1);
/// What storage gets to write what is left, on a disk that stands still for a while.
const DRAIN_MAX: Duration = Duration::from_secs(60);
/// How often a thread that shall end is looked at.
const JOIN_LOOK_EVERY: Duration = Duration::from_millis(1);
/// How fresh the status line is.
const SUMMARY_PERIOD: Duration = Duration::from_millis(250);
/// How often the wishes of connections are looked at: far below the pause between their attempts.
const RESOLVE_EVERY: Duration = Duration::from_millis(200);

#[cfg(test)]
pub(crate) mod tests {
    use std::path::Path;

    use super::*;
    use crate::rooms;

    /// A pipeline of which only storage is real, writing to `path`: `seat` is what handles orders.
    pub(crate) fn of_seat(path: &Path, seat: fn()) -> (Pipeline, Tx<Milestone>) {
        let clock = RealClock::new();
        let session = rooms::session("sim", "none", "", clock.now(), 1, &[], String::new());
        let storage = Storage::open(path, &session).unwrap();
        let Links { oms, outside, .. } = Links::new();
        let Outside { logs, milestones, commands, .. } = outside;
        let storage = StorageThread::start(storage, logs, None, clock, Pulse::new()).unwrap();
        let (halt, threads) = (Arc::new(AtomicBool::new(false)), vec![thread::spawn(seat)]);
        let pipeline = Pipeline { milestones, commands, halt, threads, order_seat: 0, callers: Vec::new(), storage };
        (pipeline, oms.milestones)
    }

    #[test]
    fn a_thread_that_hangs_is_named_and_left_behind() {
        let named = |name: &str, work: fn()| thread::Builder::new().name(name.to_owned()).spawn(work).unwrap();
        let threads = [named("good", || {}), named("bad", || thread::park_timeout(Duration::from_secs(3_600)))];
        assert_eq!(join_within(Duration::from_millis(50), threads.into_iter()), Some("thread bad hangs".to_owned()));
        let panicked = join_within(HALT_MAX, [named("worse", || panic!("on purpose"))].into_iter());
        assert!(panicked.is_some_and(|why| why.contains("worse panicked")));
        assert_eq!(join_within(HALT_MAX, [named("good", || {})].into_iter()), None);
    }
}
