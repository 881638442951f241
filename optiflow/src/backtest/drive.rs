//! The run itself: the strategy at its times, the tape at its own, and every answer to both.
//!
//! The tape looks on between the strategy's wakes; that changes nothing for the strategy. Its samples also bound memory:
//! the books drop what both have read only when the run stops.

use std::rc::Rc;

use optiflow_sim::replay::feed::Feed;
use optiflow_sim::replay::local::Local;
use optiflow_sim::replay::orders::{Answer, Funding};
use optiflow_sim::replay::run::{Desk, Outcome, Replay, Trader};
use optiflow_sim::replay::{ReplayConfig, ReplayError};

use super::output::Tape;
use super::source::{Passed, Source};
use crate::problem::Problem;
use crate::report::returns::SHORTEST_NS;

/// What a run came to.
pub struct Run<T> {
    /// The strategy, as the run left it.
    pub trader: T,
    /// What was written.
    pub tape: Tape,
    /// Hash and account.
    pub outcome: Outcome,
    /// Earliest time of the data on either clock.
    pub first_ns: i64,
    /// What came by of the market.
    pub passed: Rc<Passed>,
}

/// Nobody.
pub struct Nobody;

impl Trader for Nobody {
    fn start(&mut self, _first_ns: i64) -> Option<i64> {
        None
    }

    fn wake(&mut self, _desk: &mut Desk<'_>) -> Option<i64> {
        None
    }
}

/// Runs `trader` over all of `source`.
pub fn drive<T: Trader>(config: &ReplayConfig, source: Source, trader: T, tape: Tape) -> Result<Run<T>, Problem> {
    let passed = source.passed();
    let mut watched = Watched { trader, tape, looked_ns: i64::MIN, still_until_ns: i64::MIN, is_busy: false };
    let mut replay = Replay::new(config, Feed::streamed(source)).map_err(|error| feed_problem(&error))?;
    let failed = |error: ReplayError| feed_problem(&error);
    let Some(first_ns) = replay.first_ns().map_err(failed)? else {
        return Err(Problem::Failed(
            "the data hold no row of the symbol; give other files or another --symbol".to_owned(),
        ));
    };
    let mut wakes = 0;
    let mut next = watched.trader.start(first_ns);
    let mut sample = after(first_ns);
    let mut row = first_ns;
    loop {
        let at = next.unwrap_or(i64::MAX).min(sample);
        watched.still_until_ns = replay.next_ns();
        if !replay.advance(at, &mut watched).map_err(failed)? {
            break;
        }
        watched.look(at, replay.local());
        if next == Some(at) {
            wakes += 1;
            let before = replay.local().version();
            next = watched.trader.wake(&mut replay.desk());
            assert!(next.is_none_or(|next| next >= at), "a trader never asks for an earlier time");
            if replay.local().version() != before {
                watched.tape.decided(at);
            } else if let Some(calm) = next {
                let (later, passed_over) = replay.pass_over(calm, watched.trader.rhythm_ns());
                next = Some(later);
                wakes += passed_over;
            }
        }
        if sample == at {
            if row <= at {
                watched.tape.collector().heard(at);
                row = replay.next_row_ns();
            }
            watched.tape.sample(at, replay.local());
            sample = after(at);
            if watched.tape.is_still() {
                sample = sample.max(quiet(at, replay.next_ns().min(next.unwrap_or(i64::MAX))));
            }
        }
        watched.tape.check()?;
    }
    watched.tape.end(passed.last_ns.get().unwrap_or(first_ns), replay.local());
    let Watched { trader, tape, .. } = watched;
    Ok(Run { trader, tape, outcome: replay.outcome(wakes), first_ns, passed })
}

/// A strategy whose answers are written down.
struct Watched<T> {
    trader: T,
    tape: Tape,
    looked_ns: i64,
    /// Nothing happens before this: what was looked at last stays as it is.
    still_until_ns: i64,
    /// Are orders of ours at the exchange, as far as is known?
    is_busy: bool,
}

impl<T: Trader> Trader for Watched<T> {
    fn start(&mut self, first_ns: i64) -> Option<i64> {
        self.trader.start(first_ns)
    }

    fn wake(&mut self, desk: &mut Desk<'_>) -> Option<i64> {
        self.trader.wake(desk)
    }

    fn answer(&mut self, answer: &Answer, local: &Local) {
        self.tape.answer(answer, local);
        self.is_busy = local.orders().iter().any(|order| order.image.status.is_active());
        self.trader.answer(answer, local);
    }

    fn funding(&mut self, funding: &Funding, local: &Local) {
        self.trader.funding(funding, local);
    }

    #[inline]
    fn look_ns(&self) -> i64 {
        let again = self.looked_ns.saturating_add(LOOK_NS).max(self.still_until_ns);
        let touch = if self.is_busy { again } else { i64::MAX };
        self.tape.next_due().min(touch)
    }

    fn look(&mut self, now: i64, local: &Local) {
        self.looked_ns = now;
        self.tape.look(now, local);
    }
}

/// The next whole second after `now`.
const fn after(now: i64) -> i64 {
    (now.div_euclid(SAMPLE_NS) + 1) * SAMPLE_NS
}

/// The last whole second before `next`, until when nothing happens, but no period may end unseen.
const fn quiet(now: i64, next: i64) -> i64 {
    let last = next.saturating_sub(1).div_euclid(SAMPLE_NS) * SAMPLE_NS;
    let border = (now.div_euclid(SHORTEST_NS) + 1) * SHORTEST_NS;
    if last < border { last } else { border }
}

fn feed_problem(error: &ReplayError) -> Problem {
    match error {
        ReplayError::Feed(problem) => Problem::Failed(problem.clone()),
        ReplayError::Scale { .. } => Problem::Usage(error.to_string()),
        ReplayError::Row { .. } | ReplayError::LatencyTable { .. } | ReplayError::Script { .. } => {
            Problem::Failed(error.to_string())
        }
    }
}

/// Time between two rows of the equity curve.
const SAMPLE_NS: i64 = 1_000_000_000;
/// While orders are open, what they touch is looked at this often.
const LOOK_NS: i64 = 100_000_000;
