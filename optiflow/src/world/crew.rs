//! A thread per core: each lives the next seed that nobody has, until none is left.
//!
//! What a world came to is handed to the caller's thread as it ends, in whatever order. A broken rule stops nobody.

use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::channel;
use std::thread;

use optiflow_backtest::seeds::lab::Tls;
use optiflow_backtest::seeds::run::{Broken, Tally, run};
use optiflow_backtest::seeds::shrink::Name;

/// A world that ended.
pub type Ended = (u64, Result<Tally, Broken>);

/// Lives every seed on so many threads; `name` says what each is.
pub fn live(
    seeds: Range<u64>,
    name: impl Fn(u64) -> Name + Sync,
    jobs: usize,
    tls: &Tls,
    mut on_end: impl FnMut(Ended),
) {
    assert!(jobs > 0, "somebody has to live them");
    let next = Arc::new(AtomicU64::new(seeds.start));
    thread::scope(|scope| {
        let (ends, ended) = channel();
        for _ in 0..jobs {
            let (next, ends, name) = (next.clone(), ends.clone(), &name);
            scope.spawn(move || {
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= seeds.end || ends.send((seed, run(&name(seed).plan(), Some(tls)))).is_err() {
                        return;
                    }
                }
            });
        }
        drop(ends);
        ended.into_iter().for_each(&mut on_end);
    });
}
