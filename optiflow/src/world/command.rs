//! The command `world`: worlds on all cores, a line for each that broke a rule, the sums, and the file of kept seeds.
//!
//! Exit 0 when every world kept every rule, 1 when one did not, 2 for a wrong request. Lines of failures go to standard
//! error as they happen, the sums to standard output.

use std::fs::OpenOptions;
use std::io::Write as _;
use std::num::NonZero;
use std::ops::Range;
use std::path::Path;
use std::process::ExitCode;
use std::time::Instant;

use optiflow_backtest::seeds::lab::Tls;
use optiflow_backtest::seeds::run::{Broken, run as live};
use optiflow_backtest::seeds::shrink::{Name, Part};

use super::sums::Sums;
use super::{crew, tls};
use crate::cli::WorldArgs;
use crate::problem::Problem;
use crate::progress;
use crate::say::{out, say};

/// Runs the command.
pub fn run(args: &WorldArgs) -> ExitCode {
    let told = world(args).and_then(|sums| {
        let line = serde_json::to_string(&sums);
        Ok((sums, line.map_err(|error| Problem::Failed(format!("writing the sums: {error}")))?))
    });
    match told {
        Ok((sums, line)) => {
            if args.json {
                out(&line);
            } else {
                out(sums.to_string().trim_end());
            }
            if sums.failures.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
        }
        Err(problem) => {
            say(format_args!("optiflow world: {problem}"));
            problem.exit_code()
        }
    }
}

/// Lives the worlds and adds them up.
pub fn world(args: &WorldArgs) -> Result<Sums, Problem> {
    let tls = tls::both_ends()?;
    let name = |seed| Name { seed, minutes: args.minutes, without: args.without.clone() };
    let jobs = args.jobs.map(NonZero::get).map_or_else(cores, usize::from);
    let bar = progress::worlds_bar(args.seeds.end - args.seeds.start);
    let (begun, mut sums) = (Instant::now(), Sums { jobs, ..Sums::default() });
    crew::live(args.seeds.clone(), name, jobs, &tls, |(seed, lived)| {
        match lived {
            Ok(tally) => sums.add(seed, name(seed).plan().tls, &tally),
            Err(broken) => {
                let name = name(seed);
                let smallest = args.shrink.then(|| replay(&shrunk(&name, &broken, &tls)));
                sums.fail(&broken, replay(&name), smallest);
                bar.suspend(|| tell(&sums, &broken, args.trail));
            }
        }
        bar.inc(1);
        bar.set_message(format!("{} broke a rule", sums.failures.len()));
    });
    bar.finish_and_clear();
    sums.finish(begun.elapsed());
    if let Some(path) = &args.keep {
        keep(path, &sums, args.minutes)?;
    }
    Ok(sums)
}

/// Reads `FROM..TO`, the end not included.
pub fn parse_seeds(text: &str) -> Result<Range<u64>, String> {
    let wrong = || format!("{text}: seeds are FROM..TO, such as 0..1000, of which the last is 999");
    let (from, to) = text.split_once("..").ok_or_else(wrong)?;
    let seeds = from.parse().map_err(|_| wrong())?..to.parse().map_err(|_| wrong())?;
    if seeds.is_empty() { Err(wrong()) } else { Ok(seeds) }
}

/// Reads the name of something that can be left out of a world.
pub fn parse_part(text: &str) -> Result<Part, String> {
    let known = || Part::all().map(Part::name).collect::<Vec<_>>().join(", ");
    Part::named(text).ok_or_else(|| format!("{text}: nothing of that name is in any world; choose among {}", known()))
}

fn replay(name: &Name) -> String {
    format!("optiflow world {name} --trail")
}

fn shrunk(name: &Name, broken: &Broken, tls: &Tls) -> Name {
    name.shrunk(broken, |plan| live(plan, Some(tls)))
}

fn tell(sums: &Sums, broken: &Broken, trail: bool) {
    if trail {
        broken.trail.iter().rev().for_each(|line| say(format_args!("  {line}")));
    }
    if let Some(failure) = sums.failures.last() {
        say(failure);
    }
}

/// Appends the seeds that failed and are not in the file yet.
fn keep(path: &Path, sums: &Sums, minutes: u64) -> Result<(), Problem> {
    let failed = |error: std::io::Error| Problem::Failed(format!("keeping seeds in {}: {error}", path.display()));
    let known = match std::fs::read_to_string(path) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => String::new(),
        read => read.map_err(failed)?,
    };
    let lines = sums.failures.iter().map(|failure| (failure, format!("{} {minutes}", failure.seed)));
    let fresh: Vec<_> = lines.filter(|(_, line)| known.lines().all(|kept| kept.trim() != line)).collect();
    if fresh.is_empty() {
        return Ok(());
    }
    let mut file = OpenOptions::new().create(true).append(true).open(path).map_err(failed)?;
    let mut text = if known.is_empty() || known.ends_with('\n') { String::new() } else { "\n".to_owned() };
    for (failure, line) in fresh {
        text.push_str(&format!("# {}\n{line}\n", failure.what.lines().next().unwrap_or_default()));
    }
    file.write_all(text.as_bytes()).map_err(failed)
}

fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, NonZero::get)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_left_out_is_named() {
        assert_eq!(parse_part("kills"), Ok(Part::Kills));
        assert!(parse_part("kill").is_err_and(|why| why.contains("kills") && why.contains("late_reply")));
    }

    #[test]
    fn seeds_are_a_range_that_is_not_empty() {
        assert_eq!(parse_seeds("172..173"), Ok(172..173));
        for wrong in ["7", "7..7", "9..3", "..3", "3..", "a..b", "1..=2"] {
            assert!(parse_seeds(wrong).is_err(), "{wrong}");
        }
    }
}
