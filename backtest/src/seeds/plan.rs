//! What happens in a seeded world, drawn from its seed alone.

use std::ops::RangeInclusive;
use std::time::Duration;

use optiflow_sim::binance::faults::Faults;
use optiflow_wire::transport::memory::{Chop, PipeOptions};

use crate::world::Who;

/// The plan of one world.
#[derive(Clone, Debug, PartialEq)]
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
    /// The longest time between two instants at which anybody steps, while something of ours is under way.
    pub tick_max: Duration,
    /// The same while nothing is.
    pub idle_max: Duration,
    /// Of 256 turns, how many are skipped: a stage that was not scheduled.
    pub skip_of_256: u8,
    /// How often a room that reads sockets may step in a turn while it has something to hear.
    pub hearing_steps: u32,
    /// Pieces in which bytes arrive.
    pub chop: Option<usize>,
    /// Mean time between two whims of the strategy.
    pub pace: Duration,
    /// Does the strategy modify orders, too?
    pub modifies: bool,
    /// How many symbols are traded: one, or two under a limit of both together.
    pub symbols: usize,
    /// How busy the market is: one is as usual.
    pub market_rate: f64,
    /// `@depth` speed of the feed.
    pub depth_speed: &'static str,
    /// The disk that storage writes to.
    pub disk: Disk,
    /// Who is not scheduled for seconds, in order; they do not overlap.
    pub stalls: Vec<Stall>,
}

/// How a disk behaves.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Disk {
    /// The longest pause between two steps of storage.
    pub pause_max: Duration,
    /// When a write takes how long, in order.
    pub stalls: Vec<(Duration, Duration)>,
    /// When the disk is full, counted from the start; the process that is started then finds room again.
    pub full: Option<Duration>,
}

/// Somebody is not scheduled for a while, as under SIGSTOP or on a machine that froze.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Stall {
    /// One stage, or the whole process.
    pub who: Option<Who>,
    /// From when on, counted from the start.
    pub at: Duration,
    /// For how long.
    pub span: Duration,
}

impl Stall {
    /// When it is over, counted from the start.
    pub fn end(&self) -> Duration {
        self.at + self.span
    }
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
        let tick_max = Duration::from_millis(random.u64(2..=25));
        let mut plan = Plan {
            seed,
            span,
            faults: faults.ending(span),
            kills,
            halt: None,
            tls,
            tick_max,
            idle_max: tick_max,
            skip_of_256: if random.bool() { 0 } else { random.u8(1..=64) },
            hearing_steps: HEARING_STEPS,
            chop: random.bool().then(|| [1, 7, 100, 1_500][random.usize(0..4)]),
            pace: Duration::from_millis(random.u64(100..=2_000)),
            market_rate: 1.0,
            depth_speed: ["100ms", "500ms"][usize::from(random.u8(0..4) == 0)],
            modifies: false,
            symbols: 1,
            disk: Disk::default(),
            stalls: Vec::new(),
        };
        // Drawn last: what is added to plans leaves the older draws as they were.
        plan.halt = (random.u8(0..8) == 0).then(|| span.mul_f64(random.f64()));
        plan.disk = disk(&mut random, span);
        plan.stalls = stalls(&mut random, span);
        // Whoever dies while it recovers must be able to recover from that, too.
        if let Some(at) = plan.kills.last().copied().filter(|_| random.u8(0..4) == 0) {
            plan.kills.push((at + Duration::from_millis(random.u64(0..AGAIN_MS))).min(span));
        }
        plan.modifies = random.u8(0..3) == 0;
        plan.symbols = 1 + usize::from(random.u8(0..5) == 0);
        // Most markets are quiet, and where nothing is under way most time passes at a stretch: that many more worlds.
        plan.market_rate = MARKET_RATES[random.usize(0..MARKET_RATES.len())];
        let idle_max = tick_max.max(Duration::from_millis(random.u64(IDLE_MS)));
        // Who hears byte by byte, and now and then nothing, lags behind in long turns.
        plan.idle_max = if plan.chop.is_some_and(|piece| piece < IDLE_PIECE_LEAST) { tick_max } else { idle_max };
        plan
    }

    /// The same world as it would be if nothing in it were quiet: turns as short as ever, and a market as busy as usual.
    pub fn bustling(self) -> Plan {
        Plan { idle_max: self.tick_max, market_rate: 1.0, ..self }
    }

    /// How bytes travel in it.
    pub fn pipes(&self) -> PipeOptions {
        let chop = |salt: u64, least: usize| {
            self.chop.map(|len_max| Chop { seed: self.seed ^ salt, len_max: len_max.max(least) })
        };
        PipeOptions { chop_near: chop(1, 1), chop_far: chop(2, FAR_PIECE_LEAST), ..PipeOptions::default() }
    }
}

fn disk(random: &mut fastrand::Rng, span: Duration) -> Disk {
    let mut disk = Disk { pause_max: Duration::from_millis(random.u64(1..=100)), ..Disk::default() };
    if random.u8(0..6) == 0 {
        for (at, long) in drawn_spans(random, span, DISK_STALL_MAX) {
            disk.stalls.push((at, long));
        }
    }
    disk.full = (random.u8(0..24) == 0).then(|| span.mul_f64(random.f64()));
    disk
}

fn stalls(random: &mut fastrand::Rng, span: Duration) -> Vec<Stall> {
    if random.u8(0..6) > 0 {
        return Vec::new();
    }
    let spans = drawn_spans(random, span, STALL_MAX);
    let who = [Who::Feed, Who::Engine, Who::Risk, Who::Oms, Who::Control];
    let mut who = || random.bool().then(|| who[random.usize(0..who.len())]);
    spans.into_iter().map(|(at, span)| Stall { who: who(), at, span }).collect()
}

/// One or two stretches of a session, in order and apart, most of them short.
fn drawn_spans(random: &mut fastrand::Rng, session: Duration, longest: Duration) -> Vec<(Duration, Duration)> {
    let mut starts: Vec<Duration> = (0..random.usize(1..=2)).map(|_| session.mul_f64(random.f64())).collect();
    starts.sort_unstable();
    let ends = starts.iter().skip(1).copied().chain([session]).collect::<Vec<_>>();
    let long = |random: &mut fastrand::Rng| longest.mul_f64(longest.as_secs_f64().powf(random.f64() - 1.0));
    starts.iter().zip(ends).map(|(at, end)| (*at, long(random).min(end - *at))).collect()
}

/// How busy markets are.
const MARKET_RATES: [f64; 5] = [1.0, 0.3, 0.2, 0.2, 0.2];
/// The longest time that may pass at a stretch, where nothing is under way, ms.
const IDLE_MS: RangeInclusive<u64> = 20..=60;
/// Where pieces are smaller, no time passes at a stretch.
const IDLE_PIECE_LEAST: usize = 100;
/// The longest that a process may be stopped, or a stage not scheduled; the shortest is a second.
const STALL_MAX: Duration = Duration::from_secs(60);
/// The longest that a disk lets storage wait.
const DISK_STALL_MAX: Duration = Duration::from_secs(40);
/// Who is killed again is killed within this, ms.
const AGAIN_MS: u64 = 6_000;
/// A turn is milliseconds long: a room that heard one message in each, or a few bytes, would lag ever further behind a busy
/// exchange, which none with a core of its own does.
const HEARING_STEPS: u32 = 64;
/// The exchange's end takes a greeting in many small pieces for an attack.
const FAR_PIECE_LEAST: usize = 512;
/// Keeps the plan's draws apart from those of the exchange and the strategy.
const PLAN_SALT: u64 = 0x706c_616e;
