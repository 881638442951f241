//! A thread per core: each takes the next point that nobody has, until none is left.
//!
//! What a run comes to is handed to the caller's thread as it ends, in whatever order. The first failure stops the
//! rest: the runs under way end, no other begins. Threads share the market read-only and nothing else.

use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::thread;
use std::time::{Duration, Instant};

use super::plan::Point;
use super::world::{Done, World};
use crate::problem::Problem;

/// A run that ended, and how many seconds it took.
pub type Ran = Result<(Done, f64), Problem>;

/// Runs `todo` on `jobs` threads. `on_done` gets each run as it ends, by its place in `todo`; `on_beat` the rows passed
/// so far, now and then.
pub fn work<W: World>(
    jobs: usize,
    todo: &[&Point<W::Job>],
    world: &W,
    mut on_done: impl FnMut(usize, Ran) -> Result<(), Problem>,
    mut on_beat: impl FnMut(u64),
) -> Result<(), Problem> {
    assert!(jobs > 0, "somebody has to work");
    let desk =
        &Desk { todo, world, next: AtomicUsize::new(0), stop: AtomicBool::new(false), passed: AtomicU64::new(0) };
    thread::scope(|scope| {
        let (done, results) = channel();
        let hire = |_| {
            let done = done.clone();
            scope.spawn(move || desk.serve(&done))
        };
        let threads: Vec<_> = (0..jobs.min(todo.len())).map(hire).collect();
        drop(done);
        let mut outcome = Ok(());
        loop {
            match results.recv_timeout(BEAT) {
                Ok((index, ran)) => {
                    let told = on_done(index, ran);
                    desk.stop.fetch_or(told.is_err(), Ordering::Relaxed);
                    outcome = outcome.and(told);
                }
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => break,
            }
            on_beat(desk.passed.load(Ordering::Relaxed));
        }
        // A thread that panicked has printed why; joining it here keeps the rows of the others.
        let lost = threads.into_iter().map(|thread| thread.join()).filter(Result::is_err).count();
        outcome.and(if lost == 0 { Ok(()) } else { Err(Problem::Failed("a run ended unexpectedly".to_owned())) })
    })
}

/// What the threads share.
struct Desk<'a, W: World> {
    todo: &'a [&'a Point<W::Job>],
    world: &'a W,
    next: AtomicUsize,
    stop: AtomicBool,
    passed: AtomicU64,
}

impl<W: World> Desk<'_, W> {
    fn serve(&self, done: &Sender<(usize, Ran)>) {
        while !self.stop.load(Ordering::Relaxed) {
            let index = self.next.fetch_add(1, Ordering::Relaxed);
            let Some(point) = self.todo.get(index) else { return };
            let begun = Instant::now();
            let ran = self.world.run(&point.job, &self.passed);
            if done.send((index, ran.map(|done| (done, begun.elapsed().as_secs_f64())))).is_err() {
                return;
            }
        }
    }
}

/// How often the progress is shown.
const BEAT: Duration = Duration::from_millis(200);
