//! A thread per core: each lives the next seed that nobody has, until none is left.
//!
//! What a world came to is handed to the caller's thread as it ends, in whatever order. A broken rule stops nobody.

use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::channel;
use std::thread;
use std::time::Duration;

use optiflow_backtest::seeds::lab::Tls;
use optiflow_backtest::seeds::plan::Plan;
use optiflow_backtest::seeds::run::{Broken, Tally, run};

/// A world that ended.
pub type Ended = (u64, Result<Tally, Broken>);

/// Lives every seed for so long on so many threads.
pub fn live(seeds: Range<u64>, span: Duration, jobs: usize, tls: &Tls, mut on_end: impl FnMut(Ended)) {
    assert!(jobs > 0, "somebody has to live them");
    let next = Arc::new(AtomicU64::new(seeds.start));
    thread::scope(|scope| {
        let (ends, ended) = channel();
        for _ in 0..jobs {
            let (next, ends) = (next.clone(), ends.clone());
            scope.spawn(move || {
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= seeds.end || ends.send((seed, run(&Plan::drawn(seed, span), Some(tls)))).is_err() {
                        return;
                    }
                }
            });
        }
        drop(ends);
        ended.into_iter().for_each(&mut on_end);
    });
}
