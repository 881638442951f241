//! What happens in a seeded world, drawn from its seed alone.

use std::time::Duration;

use optiflow_sim::binance::faults::Faults;
use optiflow_wire::transport::memory::{Chop, PipeOptions};

/// The plan of one world.
#[derive(Clone, Debug)]
pub struct Plan {
    /// What everything is drawn from.
    pub seed: u64,
    /// How long faults strike.
    pub span: Duration,
    /// What goes wrong.
    pub faults: Faults,
    /// When our process is killed, counted from the start, in order.
    pub kills: Vec<Duration>,
    /// When a person kills trading by command, counted from the start; the process lives on and opens nothing.
    pub halt: Option<Duration>,
    /// Through TLS?
    pub tls: bool,
    /// The longest time between two instants at which anybody steps.
    pub tick_max: Duration,
    /// Of 256 turns, how many are skipped: a stage that was not scheduled.
    pub skip_of_256: u8,
    /// How often a room that reads sockets may step in a turn while it has something to hear.
    pub hearing_steps: u32,
    /// Pieces in which bytes arrive.
    pub chop: Option<usize>,
    /// Mean time between two whims of the strategy.
    pub pace: Duration,
    /// `@depth` speed of the feed.
    pub depth_speed: &'static str,
}

impl Plan {
    /// The plan of `seed`, for so long a session.
    pub fn drawn(seed: u64, span: Duration) -> Plan {
        let mut random = fastrand::Rng::with_seed(seed ^ PLAN_SALT);
        let faults = if random.u8(0..10) == 0 { Faults::none(seed) } else { Faults::drawn(seed) };
        let mut kills: Vec<Duration> =
            (0..[0, 0, 1, 2][random.usize(0..4)]).map(|_| span.mul_f64(random.f64())).collect();
        kills.sort_unstable();
        let tls = random.u8(0..100) == 0;
        let mut plan = Plan {
            seed,
            span,
            faults: faults.ending(span),
            kills,
            halt: None,
            tls,
            tick_max: Duration::from_millis(random.u64(2..=25)),
            skip_of_256: if random.bool() { 0 } else { random.u8(1..=64) },
            hearing_steps: HEARING_STEPS,
            chop: random.bool().then(|| [1, 7, 100, 1_500][random.usize(0..4)]),
            pace: Duration::from_millis(random.u64(100..=2_000)),
            depth_speed: ["100ms", "500ms"][usize::from(random.u8(0..4) == 0)],
        };
        // Drawn last: what is added to plans leaves the older draws as they were.
        plan.halt = (random.u8(0..8) == 0).then(|| span.mul_f64(random.f64()));
        plan
    }

    /// How bytes travel in it.
    pub fn pipes(&self) -> PipeOptions {
        let chop = |salt: u64, least: usize| {
            self.chop.map(|len_max| Chop { seed: self.seed ^ salt, len_max: len_max.max(least) })
        };
        PipeOptions { chop_near: chop(1, 1), chop_far: chop(2, FAR_PIECE_LEAST), ..PipeOptions::default() }
    }
}

/// A turn is milliseconds long: a room that heard one message in each, or a few bytes, would lag ever further behind a busy
/// exchange, which none with a core of its own does.
const HEARING_STEPS: u32 = 64;
/// The exchange's end takes a greeting in many small pieces for an attack.
const FAR_PIECE_LEAST: usize = 512;
/// Keeps the plan's draws apart from those of the exchange and the strategy.
const PLAN_SALT: u64 = 0x706c_616e;
