//! All points of a sweep, each with its settings checked and a number that stands for them.
//!
//! Every point is read before any runs: a value that fits nothing is told at once and not hours later. Never opens the
//! market.

use std::collections::BTreeMap;

use super::axes::Axis;
use super::overrides::{Base, Change};
use crate::problem::Problem;

/// All points of a sweep.
pub struct Plan<J> {
    /// The swept settings, in the order given.
    pub axes: Vec<Axis>,
    /// Every combination of their values, the last axis fastest.
    pub points: Vec<Point<J>>,
}

/// One combination of values.
pub struct Point<J> {
    /// Which value of each axis.
    pub choice: Vec<usize>,
    /// What is to run.
    pub job: J,
    /// Equal settings have equal numbers.
    pub settings: u64,
}

impl<J> Plan<J> {
    /// Reads every point: `job` makes of a choice and its configuration what is to run, and its number.
    pub fn read<C>(
        axes: &[Axis],
        base: &Base<C>,
        mut job: impl FnMut(&[usize], C) -> Result<(J, u64), Problem>,
    ) -> Result<Plan<J>, Problem> {
        let total = count(axes)?;
        let changes = axes.iter().map(|axis| base.change(axis)).collect::<Result<Vec<Change>, Problem>>()?;
        let mut points = Vec::with_capacity(total);
        for index in 0..total {
            let choice = choice(axes, index);
            let read = base.point(&changes, &choice).and_then(|config| job(&choice, config));
            let (job, settings) = read.map_err(|problem| at_point(axes, &choice, &problem))?;
            points.push(Point { choice, job, settings });
        }
        check_different(axes, &points)?;
        Ok(Plan { axes: axes.to_vec(), points })
    }
}

/// How many points the axes have.
fn count(axes: &[Axis]) -> Result<usize, Problem> {
    for (at, axis) in axes.iter().enumerate() {
        if axes[..at].iter().any(|other| other.path == axis.path) {
            return Err(Problem::Usage(format!("--grid {} is given twice; put its values into one", axis.path)));
        }
    }
    let total = axes.iter().try_fold(1, |total: usize, axis| total.checked_mul(axis.values.len()));
    total.filter(|total| *total <= RUNS_MAX).ok_or_else(|| {
        let lengths: Vec<String> = axes.iter().map(|axis| axis.values.len().to_string()).collect();
        let lengths = lengths.join(" × ");
        Problem::Usage(format!("{lengths} runs are more than {RUNS_MAX}; take larger steps or sweep fewer settings"))
    })
}

/// Which values point `index` takes.
fn choice(axes: &[Axis], index: usize) -> Vec<usize> {
    let mut rest = index;
    let mut choice: Vec<usize> = axes.iter().rev().map(|axis| take_digit(&mut rest, axis.values.len())).collect();
    choice.reverse();
    assert_eq!(rest, 0, "an index of a point is below their number");
    choice
}

const fn take_digit(rest: &mut usize, base: usize) -> usize {
    let digit = *rest % base;
    *rest /= base;
    digit
}

/// No two points may be the same run: a setting that changes nothing is a slip.
fn check_different<J>(axes: &[Axis], points: &[Point<J>]) -> Result<(), Problem> {
    let mut seen: BTreeMap<u64, &Point<J>> = BTreeMap::new();
    for point in points {
        if let Some(other) = seen.insert(point.settings, point) {
            let (one, two) = (words(axes, &other.choice), words(axes, &point.choice));
            return Err(Problem::Usage(format!(
                "{one} and {two} are the same run; give each value once, and no flag of the same name, which goes first"
            )));
        }
    }
    Ok(())
}

/// A problem of a run or of its settings, with the point that has it.
pub fn at_point(axes: &[Axis], choice: &[usize], problem: &Problem) -> Problem {
    let place = words(axes, choice);
    match problem {
        Problem::Usage(text) => Problem::Usage(format!("{place}: {text}")),
        Problem::Failed(text) => Problem::Failed(format!("{place}: {text}")),
    }
}

/// A point in words: `strategy.levels=5 queue=log`.
fn words(axes: &[Axis], choice: &[usize]) -> String {
    let word = |(axis, at): (&Axis, &usize)| format!("{}={}", axis.path, axis.values[*at]);
    axes.iter().zip(choice).map(word).collect::<Vec<_>>().join(" ")
}

/// Runs of one sweep.
pub const RUNS_MAX: usize = 20_000;

#[cfg(test)]
mod tests {
    use super::*;

    fn axes(texts: &[&str]) -> Vec<Axis> {
        texts.iter().map(|text| text.parse().unwrap()).collect()
    }

    #[test]
    fn every_combination_comes_once_the_last_axis_fastest() {
        let axes = axes(&["a=1,2", "b=7", "c=x,y,z"]);
        assert_eq!(count(&axes), Ok(6));
        let names: Vec<String> = (0..6).map(|index| words(&axes, &choice(&axes, index))).collect();
        assert_eq!((names[0].as_str(), names[1].as_str()), ("a=1 b=7 c=x", "a=1 b=7 c=y"));
        assert_eq!((names[3].as_str(), names[5].as_str()), ("a=2 b=7 c=x", "a=2 b=7 c=z"));
    }

    #[test]
    fn too_many_runs_and_a_setting_given_twice_are_refused() {
        let told = |texts: &[&str]| count(&axes(texts)).unwrap_err().to_string();
        assert!(told(&["a=1..1000:1", "b=1..1000:1"]).contains("1000 × 1000 runs are more than 20000"));
        assert!(told(&["a=1..9999:1", "b=1..9999:1", "c=1..9999:1", "d=1..9999:1", "e=1..9999:1"]).contains("more"));
        assert!(told(&["a=1", "a=2"]).contains("--grid a is given twice"));
    }
}
