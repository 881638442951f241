//! The command `sweep`: axes, plan, market in memory, runs on all cores, tables.
//!
//! Nothing is read of the market before every point is known to be runnable, and nothing runs that `runs.jsonl` has
//! already. Runs on the main thread, which also writes; the runs themselves are on threads of their own.

use std::fmt;
use std::num::NonZero;
use std::path::PathBuf;
use std::process::ExitCode;
use std::thread;
use std::time::Instant;

use serde::Serialize;
use serde_json::{Map, Value};

use super::axes::Axis;
use super::digest::{START, mix_bytes};
use super::journal::{FILE_NAME, Journal, Row};
use super::memory::{Room, bytes};
use super::page::{Title, page};
use super::plan::{Plan, Point, at_point};
use super::rows::Rows;
use super::stages::Stages;
use super::tables::{self, Ranked, rank, write_whole};
use super::workers::{Ran, work};
use super::world::{Opened, World};
use crate::backtest::command::cpu_time;
use crate::backtest::stages;
use crate::cli::SweepArgs;
use crate::problem::Problem;
use crate::progress;
use crate::say::{out, say};

/// Runs the command: exit 0 with tables, 1 when the data or the disk failed, 2 for a wrong request.
pub fn run(args: &SweepArgs) -> ExitCode {
    let told = sweep(args).and_then(|report| {
        let line = serde_json::to_string(&report);
        Ok((report, line.map_err(|error| Problem::Failed(format!("writing the report: {error}")))?))
    });
    match told {
        Ok((_, line)) if args.backtest.json => out(&line),
        Ok((report, _)) => out(report.to_string().trim_end()),
        Err(problem) => {
            say(format_args!("optiflow sweep: {problem}"));
            return problem.exit_code();
        }
    }
    ExitCode::SUCCESS
}

/// What a sweep came to.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// Runs of the grid.
    pub runs: usize,
    /// Of which `runs.jsonl` had so many already.
    pub skipped: usize,
    /// Rows of `runs.jsonl` that belong to other settings or other data.
    pub others: usize,
    /// Was a last line dropped that had been cut?
    pub dropped_cut_line: bool,
    /// Threads.
    pub jobs: usize,
    /// Rows of the market in memory, as one run reads them.
    pub rows: u64,
    /// What the rows take of memory, in every form that the runs need.
    pub packed_bytes: u64,
    /// How long reading and packing took.
    pub read_seconds: f64,
    /// How long the runs took, all together.
    pub seconds: f64,
    /// CPU time of the runs, all threads.
    pub cpu_seconds: f64,
    /// Runs by time.
    pub runs_per_second: f64,
    /// Rows by time.
    pub rows_per_second: f64,
    /// What the runs are sorted by.
    pub sort: &'static str,
    /// The best run; absent when no run has the metric.
    pub best: Option<Row>,
    /// Where the tables are.
    pub out: PathBuf,
    #[serde(skip)]
    words: String,
}

/// Runs a sweep and writes its tables.
pub fn sweep(args: &SweepArgs) -> Result<Report, Problem> {
    let backtest = &args.backtest;
    let is_of_stages = stages::is_wanted(backtest)?;
    if backtest.market.is_some() || backtest.db.is_some() {
        let text = "a sweep replays files and writes its own; leave out --market and --db";
        return Err(Problem::Usage(text.to_owned()));
    }
    if is_of_stages {
        return Sweep::run(args, Stages::open(args)?);
    }
    if backtest.run_for.is_some() {
        let text = "--for is for strategies of the engine, such as --strategy scalping_v1";
        return Err(Problem::Usage(text.to_owned()));
    }
    Sweep::run(args, Rows::open(args)?)
}

/// A sweep of one world.
struct Sweep<'a, W: World> {
    args: &'a SweepArgs,
    /// Who trades, and what is traded.
    names: (String, String),
    world: W,
    plan: Plan<W::Job>,
    journal: Journal,
}

impl<W: World> Sweep<'_, W> {
    fn run(args: &SweepArgs, mut opened: impl Opened<World = W>) -> Result<Report, Problem> {
        let (names, plan) = (opened.names(), opened.plan()?);
        let mut room = Room::new(args.memory);
        let begun = Instant::now();
        let world = opened.read(&mut room)?;
        let read_seconds = begun.elapsed().as_secs_f64();
        let journal = Journal::open(&args.backtest.out)?;
        let mut sweep = Sweep { args, names, world, plan, journal };
        let keys = sweep.keys();
        let jobs = args.jobs.map_or_else(cores, usize::from);
        let todo: Vec<usize> = (0..keys.len()).filter(|at| sweep.journal.row(&keys[*at]).is_none()).collect();
        let skipped = keys.len() - todo.len();
        let others = sweep.journal.len() - skipped;
        let rows_of = |at: &usize| sweep.world.market(&sweep.plan.points[*at].job).0;
        let (rows, rows_todo) = (rows_of(&0), todo.iter().map(rows_of).sum::<u64>());
        let (begun, spent) = (Instant::now(), cpu_time());
        sweep.run_all(jobs, &todo, &keys, rows_todo)?;
        let (seconds, cpu_seconds) = (begun.elapsed().as_secs_f64(), (cpu_time() - spent).as_secs_f64());
        let (words, best) = sweep.write_tables(&keys)?;
        let per_second = |count: f64| if todo.is_empty() { 0.0 } else { count / seconds.max(f64::MIN_POSITIVE) };
        Ok(Report {
            runs: keys.len(),
            skipped,
            others,
            dropped_cut_line: sweep.journal.has_dropped(),
            jobs,
            rows,
            packed_bytes: room.taken(),
            read_seconds,
            seconds,
            cpu_seconds,
            runs_per_second: per_second(todo.len() as f64),
            rows_per_second: per_second(rows_todo as f64),
            sort: args.sort.name(),
            best,
            out: args.backtest.out.clone(),
            words,
        })
    }

    /// What makes each run what it is: the market, the settings, and the program, which in another build may answer
    /// otherwise.
    fn keys(&self) -> Vec<String> {
        let program = std::env::current_exe().and_then(std::fs::read).unwrap_or_default();
        let program = mix_bytes(START, &program) as u32;
        let key = |point: &Point<W::Job>| {
            let (_, market) = self.world.market(&point.job);
            format!("{market:016x}-{:016x}-{program:08x}", point.settings)
        };
        self.plan.points.iter().map(key).collect()
    }

    /// Runs the points `todo`; each run is in the journal as soon as it ends.
    fn run_all(&mut self, jobs: usize, todo: &[usize], keys: &[String], rows: u64) -> Result<(), Problem> {
        let Sweep { names: (strategy, symbol), world, plan, journal, .. } = self;
        let points: Vec<&Point<W::Job>> = todo.iter().map(|at| &plan.points[*at]).collect();
        let bar = progress::runs_bar(rows);
        let mut ended = 0;
        let show = |ended: usize| bar.set_message(format!("{ended}/{} runs", todo.len()));
        show(0);
        let on_done = |index: usize, ran: Ran| {
            let point = points[index];
            let (done, seconds) = ran.map_err(|problem| at_point(&plan.axes, &point.choice, &problem))?;
            let parameters = parameters(&plan.axes, &point.choice);
            // Who trades can be swept as well.
            let strategy = parameters.get("strategy").and_then(Value::as_str).unwrap_or(strategy);
            journal.write(&Row {
                key: keys[todo[index]].clone(),
                strategy: strategy.to_owned(),
                parameters,
                symbol: symbol.clone(),
                event_log_hash: format!("{:016x}", done.hash),
                metrics: done.metrics,
                rows: world.market(&point.job).0,
                seconds: (seconds * 1e6).round() / 1e6,
            })?;
            ended += 1;
            show(ended);
            Ok(())
        };
        let outcome = work(jobs, &points, &*world, on_done, |passed| bar.set_position(passed));
        bar.finish_and_clear();
        outcome
    }

    /// Writes best.csv and heatmap.html; answers the table for the terminal, and the best run.
    fn write_tables(&self, keys: &[String]) -> Result<(String, Option<Row>), Problem> {
        let Sweep { args, names: (strategy, symbol), plan, journal, .. } = self;
        let run = |(point, key): (&'_ Point<W::Job>, &String)| journal.row(key).map(|row| (point.choice.clone(), row));
        let mut runs: Vec<Ranked<'_>> =
            plan.points.iter().zip(keys).filter_map(run).map(|(choice, row)| Ranked { choice, row }).collect();
        assert_eq!(runs.len(), plan.points.len(), "every point has run");
        rank(&mut runs, args.sort);
        let rows = runs.iter().map(|run| run.row.rows).max().unwrap_or(0);
        let title = Title { strategy, symbol, rows, sort: args.sort };
        let out = &args.backtest.out;
        write_whole(&out.join("best.csv"), &tables::csv(&plan.axes, &runs))?;
        write_whole(&out.join("heatmap.html"), &page(&title, &plan.axes, &runs))?;
        let best = runs.first().filter(|run| args.sort.of(&run.row.metrics).is_some());
        let (count, sort, table) = (runs.len(), args.sort.name(), tables::words(&plan.axes, &runs));
        let words = format!("{strategy} on {symbol}: {count} runs, best {sort} first\n{table}");
        Ok((words, best.map(|run| run.row.clone())))
    }
}

/// The swept settings of a point, as JSON.
fn parameters(axes: &[Axis], choice: &[usize]) -> Map<String, Value> {
    let value = |text: &str| match serde_json::from_str(text) {
        Ok(value @ (Value::Number(_) | Value::Bool(_))) => value,
        Ok(Value::Null | Value::String(_) | Value::Array(_) | Value::Object(_)) | Err(_) => Value::from(text),
    };
    axes.iter().zip(choice).map(|(axis, at)| (axis.path.clone(), value(&axis.values[*at]))).collect()
}

fn cores() -> usize {
    thread::available_parallelism().map_or(1, NonZero::get)
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.words)?;
        let (packed, read, seconds) = (bytes(self.packed_bytes), self.read_seconds, self.seconds);
        writeln!(f, "\n  market      {} rows, {packed} in memory, read in {read:.2} s", self.rows)?;
        let ran = self.runs - self.skipped;
        let million = self.rows_per_second / 1e6;
        writeln!(
            f,
            "  speed       {ran} runs on {} threads in {seconds:.2} s: {:.1} runs/s, {million:.1} M rows/s",
            self.jobs, self.runs_per_second
        )?;
        if self.skipped > 0 {
            writeln!(f, "  resumed     {} runs were in {FILE_NAME} already", self.skipped)?;
        }
        if self.dropped_cut_line {
            writeln!(f, "  mended      the last line of {FILE_NAME} was cut; its run was made again")?;
        }
        if self.others > 0 {
            let others = self.others;
            writeln!(f, "  left        {others} rows of {FILE_NAME} are of other settings, data or builds")?;
        }
        writeln!(f, "  reports     {}", self.out.display())
    }
}
