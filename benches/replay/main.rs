//! Rows per second of CPU: a day of one symbol's market replayed on one core, input in memory.
//!
//! Makes its own market (seeded, a day of depth and trades), then replays it for a trader that only wakes and for the
//! grid market maker, round by round. Prints the median and the spread. CPU time, not wall time: the machine may be
//! shared. Never measures the making of the input.

mod market;

use std::fs;
use std::hint::black_box;

use optiflow_sim::replay::feed::Feed;
use optiflow_sim::replay::grid::{Grid, GridConfig};
use optiflow_sim::replay::latency::{Latency, LatencyRow};
use optiflow_sim::replay::queue::QueueModel;
use optiflow_sim::replay::rows::Row;
use optiflow_sim::replay::run::{Desk, Outcome, Trader, run};
use optiflow_sim::replay::terms::Terms;
use optiflow_sim::replay::{ReplayConfig, ReplayError, Scale};

fn main() -> Result<(), ReplayError> {
    let scale = market::scale();
    let rows = market::day(SEED)?;
    println!("market: {} rows of {} B, seed {SEED}, one day", rows.len(), size_of::<Row>());
    for compatible in [true, false] {
        for (name, queue, latency) in models(&rows)? {
            let config = config(scale, queue, latency, compatible);
            let rules = if compatible { "compatible" } else { "realistic" };
            measure(&format!("no-op  {rules:<10} {name}"), &rows, || run(&config, Feed::memory(&rows), &mut Noop))?;
            measure(&format!("grid   {rules:<10} {name}"), &rows, || {
                run(&config, Feed::memory(&rows), &mut Grid::new(GridConfig::default(), scale))
            })?;
        }
    }
    Ok(())
}

/// Wakes as often as the grid and looks at the best prices.
struct Noop;

impl Trader for Noop {
    fn start(&mut self, first_ns: i64) -> Option<i64> {
        Some(first_ns + PERIOD_NS)
    }

    fn wake(&mut self, desk: &mut Desk<'_>) -> Option<i64> {
        black_box(desk.local().book().best(optiflow_base::money::Side::Buy));
        Some(desk.now() + PERIOD_NS)
    }
}

fn models(rows: &[Row]) -> Result<[(&'static str, QueueModel, Latency); 2], ReplayError> {
    let constant = Latency::Constant { entry_ns: 5_000_000, response_ns: 3_000_000 };
    let first = rows.first().map_or(0, Row::exchange_ns);
    let table: Vec<LatencyRow> = (0..SECONDS_A_DAY)
        .map(|second| {
            let request_ns = first + second * 1_000_000_000;
            let exchange_ns = request_ns + 2_000_000 + second * 7_919 % 3_000_000;
            LatencyRow { request_ns, exchange_ns, response_ns: exchange_ns + 1_500_000 + second * 104_729 % 2_000_000 }
        })
        .collect();
    Ok([
        ("risk-averse, constant latency", QueueModel::RiskAverse, constant),
        ("power3:3, latency table", QueueModel::Power3(3.0), Latency::table(table)?),
    ])
}

fn config(scale: Scale, queue: QueueModel, latency: Latency, compatible: bool) -> ReplayConfig {
    ReplayConfig {
        scale,
        queue,
        latency,
        partial_fills: !compatible,
        compatible,
        maker_fee_ppm: 200,
        taker_fee_ppm: 500,
        terms: Terms::default(),
    }
}

fn measure(
    name: &str,
    rows: &[Row],
    mut once: impl FnMut() -> Result<Outcome, ReplayError>,
) -> Result<(), ReplayError> {
    let expected = once()?;
    let mut rates = Vec::new();
    for _ in 0..ROUNDS {
        let begun = cpu_ns();
        for _ in 0..RUNS_A_ROUND {
            assert_eq!(once()?, expected, "equal runs have equal outcomes");
        }
        let spent = cpu_ns() - begun;
        rates.push((rows.len() * RUNS_A_ROUND) as f64 * 1e3 / spent.max(1) as f64);
    }
    rates.sort_by(f64::total_cmp);
    let (least, median, most) = (rates[0], rates[rates.len() / 2], rates[rates.len() - 1]);
    println!(
        "{name:<52} {median:6.1} M rows/CPU s ({least:.1} to {most:.1} over {ROUNDS} rounds)  wakes {}  answers {}  fills {}  hash {:016x}",
        expected.wakes,
        expected.answers,
        expected.ledger.fills(),
        expected.hash
    );
    Ok(())
}

/// CPU time of this, the only thread: the scheduler's nanoseconds, else the process's ticks.
fn cpu_ns() -> u64 {
    let first = |text: String| text.split_whitespace().next().and_then(|field| field.parse().ok());
    if let Some(spent) = fs::read_to_string("/proc/self/schedstat").ok().and_then(first).filter(|spent| *spent > 0) {
        return spent;
    }
    let text = fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let fields = text.rsplit(") ").next().unwrap_or_default();
    let ticks: u64 = fields.split(' ').skip(11).take(2).filter_map(|field| field.parse::<u64>().ok()).sum();
    ticks * NANOS_A_TICK
}

const SEED: u64 = 7;
const ROUNDS: usize = 7;
/// Enough for a round to last much longer than the CPU clock's step of 4 ms.
const RUNS_A_ROUND: usize = 4;
const PERIOD_NS: i64 = 100_000_000;
const SECONDS_A_DAY: i64 = 86_400;
const NANOS_A_TICK: u64 = 10_000_000;
