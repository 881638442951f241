//! A file of faults: TOML → [`Faults`], or every problem it has.
//!
//! Any number of `[[fault]]` tables with `name` and `rate`, and if wanted `from`, `until`, `span`; before them `seed`. What
//! each fault does is written in `docs/faults.md`. Runs on the main thread before anything listens.

use std::fmt;
use std::path::Path;
use std::time::Duration;

use optiflow_sim::binance::faults::{Fault, Faults, RATE_ONE, Rule};

use crate::config::reader::{self, Reader, Section};

/// Reads a file of faults; a file without a seed takes `seed`.
///
/// # Errors
/// Every problem of the file, a line each.
pub fn load(path: &Path, seed: u64) -> Result<Faults, FaultsError> {
    let refused = |problems| FaultsError { path: path.display().to_string(), problems };
    let text = std::fs::read_to_string(path).map_err(|error| refused(vec![format!("cannot be read: {error}")]))?;
    parse(&text, seed).map_err(refused)
}

fn parse(text: &str, seed: u64) -> Result<Faults, Vec<String>> {
    let table = reader::tables(text)?;
    let reader = Reader::new(text);
    let root = reader.root(table.get_ref());
    let default = i64::try_from(seed).unwrap_or(i64::MAX);
    let seed = root.int("seed", Some(default), 0..=i64::MAX).unsigned_abs();
    let sections = root.children("fault");
    let faults = sections.iter().filter_map(read).fold(Faults::none(seed), Faults::with);
    sections.into_iter().for_each(Section::end);
    root.end();
    let (problems, _) = reader.finish();
    if problems.is_empty() { Ok(faults) } else { Err(problems) }
}

fn read(section: &Section<'_>) -> Option<Rule> {
    let names: Vec<&str> = Fault::all().map(Fault::name).collect();
    let fault = Fault::named(&section.choice("name", None, &names));
    let rate = section.float("rate", None, 0.0..=1.0);
    let from = section.span("from", Some(Duration::ZERO), Duration::ZERO..=MOST);
    let until = section.has("until").then(|| section.span("until", None, Duration::ZERO..=MOST));
    if until.is_some_and(|until| until <= from) {
        section.problem("until", "must come after from");
    }
    let usual = fault.and_then(Fault::span);
    let span = section.has("span").then(|| section.span("span", None, Duration::ZERO..=MOST));
    if let (Some(fault), Some(_), None) = (fault, span, usual) {
        section.problem("span", format!("{} has none: it strikes and is over", fault.name()));
    }
    // A rate is no money: rounding it to parts per million is what it is for.
    let rate = (rate * f64::from(RATE_ONE)).round() as u32;
    Some(Rule { fault: fault?, rate, from, until, span: span.or(usual).unwrap_or_default() })
}

/// What is wrong with a file of faults.
#[derive(Debug)]
pub struct FaultsError {
    path: String,
    problems: Vec<String>,
}

impl fmt::Display for FaultsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let FaultsError { path, problems } = self;
        write!(f, "{path}: {} of the file of faults; docs/faults.md describes it", count(problems.len()))?;
        problems.iter().try_for_each(|problem| write!(f, "\n  {problem}"))
    }
}

impl std::error::Error for FaultsError {}

fn count(problems: usize) -> String {
    if problems == 1 { "1 problem".to_owned() } else { format!("{problems} problems") }
}

/// Longer than any session.
const MOST: Duration = Duration::from_secs(366 * 24 * 3_600);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_becomes_rules_and_what_is_left_out_has_its_usual_value() {
        let text = "seed = 5\n[[fault]]\nname = \"lost_reply\"\nrate = 0.25\n\n[[fault]]\nname = \"order_not_found\"\n\
                    rate = 1\nfrom = \"10s\"\nuntil = \"1m\"\nspan = \"500ms\"\n\n[[fault]]\nname = \"late_reply\"\nrate = 0\n";
        let expected = Faults::none(5)
            .with(Rule::new(Fault::LostReply, 250_000))
            .with(Rule {
                from: Duration::from_secs(10),
                until: Some(Duration::from_secs(60)),
                span: Duration::from_millis(500),
                ..Rule::new(Fault::OrderNotFound, RATE_ONE)
            })
            .with(Rule::new(Fault::LateReply, 0));
        assert_eq!(parse(text, 1), Ok(expected));
        assert_eq!(parse("", 1), Ok(Faults::none(1)));
    }

    #[test]
    fn every_problem_is_named_with_its_line() {
        let text = "[[fault]]\nname = \"lost_replies\"\nrate = 2\n[[fault]]\nname = \"cut_reply\"\nrate = 0.1\n\
                    span = \"1s\"\nuntil = \"0s\"\n[[fault]]\nrte = 1\n";
        let problems = parse(text, 1).unwrap_err();
        for part in [
            "line 2: fault[0].name: \"lost_replies\" is none of unknown_executed, unknown_not_executed, timeout_executed",
            "line 3: fault[0].rate: 2 is outside 0 to 1",
            "line 8: fault[1].until: must come after from",
            "line 7: fault[1].span: cut_reply has none",
            "fault[2].name: missing",
            "fault[2].rate: missing",
            "line 10: fault[2].rte: unknown key; known here: name, rate, from, until, span",
        ] {
            assert!(problems.iter().any(|problem| problem.starts_with(part)), "{part}: {problems:#?}");
        }
        assert!(problems[0].ends_with("clock_jump"), "every fault is listed: {}", problems[0]);
        assert!(parse("seed =", 1).is_err());
        assert!(parse("fault = 1", 1).is_err());
    }

    #[test]
    fn the_documentation_names_every_fault() {
        let page = include_str!("../../../docs/faults.md");
        for fault in Fault::all() {
            assert!(page.contains(&format!("`{}`", fault.name())), "{} is not in docs/faults.md", fault.name());
        }
    }
}
