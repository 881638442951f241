//! A world that broke a rule, made small: whatever it does not need to break that rule is left out.
//!
//! What can be left out has a name, so that the smallest world is lived again by naming it. Bounded: a world is lived
//! again a few times for each part of it, and twice for each doubling of its minutes.

use std::fmt;
use std::time::Duration;

use optiflow_sim::binance::faults::Fault;

use super::plan::{Disk, Plan};
use super::run::{Broken, Tally};

/// Something of a plan that can be left out of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// One kind of fault.
    Fault(Fault),
    /// The deaths of the process.
    Kills,
    /// The kill of trading by command.
    Halt,
    /// Whoever is not scheduled for seconds.
    Stalls,
    /// What the disk does out of the ordinary.
    Disk,
    /// The modifies of the strategy.
    Modifies,
    /// The second symbol.
    SecondSymbol,
    /// Turns that are skipped.
    Skips,
    /// Bytes that arrive in pieces.
    Pieces,
    /// The quiet of the market, and of turns in which nothing is under way.
    Quiet,
}

impl Part {
    /// All of them.
    pub fn all() -> impl Iterator<Item = Part> {
        Fault::all().map(Part::Fault).chain(OTHERS)
    }

    /// The part of that name; that of a fault is the fault's.
    pub fn named(name: &str) -> Option<Part> {
        Part::all().find(|part| part.name() == name)
    }

    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Part::Fault(fault) => fault.name(),
            Part::Kills => "kills",
            Part::Halt => "halt",
            Part::Stalls => "stalls",
            Part::Disk => "disk",
            Part::Modifies => "modifies",
            Part::SecondSymbol => "second_symbol",
            Part::Skips => "skips",
            Part::Pieces => "pieces",
            Part::Quiet => "quiet",
        }
    }

    fn leave_out(self, plan: Plan) -> Plan {
        match self {
            Part::Fault(fault) => Plan { faults: plan.faults.clone().without(fault), ..plan },
            Part::Kills => Plan { kills: Vec::new(), ..plan },
            Part::Halt => Plan { halt: None, ..plan },
            Part::Stalls => Plan { stalls: Vec::new(), ..plan },
            Part::Disk => Plan { disk: Disk::default(), ..plan },
            Part::Modifies => Plan { modifies: false, ..plan },
            Part::SecondSymbol => Plan { symbols: 1, ..plan },
            Part::Skips => Plan { skip_of_256: 0, ..plan },
            Part::Pieces => Plan { chop: None, ..plan },
            Part::Quiet => plan.bustling(),
        }
    }
}

/// A world as it is named: its seed, for how many minutes faults strike, and what is left out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Name {
    /// What it is drawn from.
    pub seed: u64,
    /// For how long faults strike.
    pub minutes: u64,
    /// What is left out of what was drawn.
    pub without: Vec<Part>,
}

impl Name {
    /// The plan of that name.
    pub fn plan(&self) -> Plan {
        let drawn = Plan::drawn(self.seed, MINUTE * u32::try_from(self.minutes).unwrap_or(u32::MAX));
        self.without.iter().fold(drawn, |plan, part| part.leave_out(plan))
    }

    /// The smallest world that breaks the rule that this one was seen to break; `live` lives a plan.
    pub fn shrunk(&self, broken: &Broken, live: impl Fn(&Plan) -> Result<Tally, Broken>) -> Name {
        let breaks = |name: &Name| live(&name.plan()).is_err_and(|other| rule(&other.what) == rule(&broken.what));
        let mut smallest = self.shortened(&breaks);
        // What one part was needed for may be gone with another.
        for _ in 0..ROUNDS_MAX {
            let before = smallest.without.len();
            // Without its quiet a world is no smaller.
            for part in Part::all().filter(|part| *part != Part::Quiet) {
                let mut smaller = smallest.clone();
                smaller.without.push(part);
                // What is not in it needs no leaving out.
                if smaller.plan() != smallest.plan() && breaks(&smaller) {
                    smallest = smaller;
                }
            }
            if smallest.without.len() == before {
                break;
            }
        }
        smallest.shortened(&breaks)
    }

    fn shortened(&self, breaks: &impl Fn(&Name) -> bool) -> Name {
        let doublings = std::iter::successors(Some(1), |minutes| Some(minutes * 2));
        let mut shorter =
            doublings.take_while(|minutes| *minutes < self.minutes).map(|minutes| Name { minutes, ..self.clone() });
        shorter.find(breaks).unwrap_or_else(|| self.clone())
    }
}

impl fmt::Display for Name {
    /// The flags that live it again.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Name { seed, minutes, without } = self;
        write!(f, "--seeds {seed}..{} --minutes {minutes}", seed.saturating_add(1))?;
        let names: Vec<&str> = without.iter().map(|part| part.name()).collect();
        if names.is_empty() { Ok(()) } else { write!(f, " --without {}", names.join(",")) }
    }
}

/// The number of the rule that was broken.
fn rule(what: &str) -> &str {
    what.split(':').next().unwrap_or_default()
}

const MINUTE: Duration = Duration::from_secs(60);
/// How often each part is tried.
const ROUNDS_MAX: u32 = 4;
/// What can be left out beside faults.
const OTHERS: [Part; 9] = [
    Part::Kills,
    Part::Halt,
    Part::Stalls,
    Part::Disk,
    Part::Modifies,
    Part::SecondSymbol,
    Part::Skips,
    Part::Pieces,
    Part::Quiet,
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_part_has_a_name_of_its_own() {
        let mut names: Vec<&str> = Part::all().map(Part::name).collect();
        assert!(Part::all().all(|part| Part::named(part.name()) == Some(part)));
        names.sort_unstable();
        assert!(names.windows(2).all(|pair| pair[0] != pair[1]) && names.first().is_some_and(|name| !name.is_empty()));
        assert_eq!(Part::named("nothing"), None);
    }

    #[test]
    fn what_a_world_needs_to_break_its_rule_is_all_that_is_left() {
        let broken = |what: &str| Broken { seed: 7, at: Duration::ZERO, what: what.to_owned(), trail: Vec::new() };
        let is_late = |plan: &Plan| plan.faults.rules().iter().any(|rule| rule.fault == Fault::LateReply);
        // Breaks another rule when the kills are left out, and none in less than three minutes.
        let live = |plan: &Plan| match plan {
            plan if plan.span < MINUTE * 3 || !is_late(plan) => Ok(Tally::default()),
            plan if plan.kills.is_empty() => Err(broken("I4: another")),
            _ => Err(broken("I3: it")),
        };
        let whole = |seed| Name { seed, minutes: 10, without: Vec::new() };
        let name = (0..).map(whole).find(|name| live(&name.plan()).is_err_and(|it| it.what == "I3: it")).unwrap();
        let small = name.shrunk(&broken("I3: it"), live);
        assert_eq!((small.seed, small.minutes), (name.seed, 4));
        let plan = small.plan();
        let faults: Vec<Fault> = plan.faults.rules().iter().map(|rule| rule.fault).collect();
        assert_eq!(faults, [Fault::LateReply]);
        assert!(!plan.kills.is_empty() && plan.stalls.is_empty() && plan.chop.is_none() && !plan.modifies);
        let flags = small.to_string();
        let named =
            flags.split("--without ").nth(1).unwrap().split(',').map(Part::named).collect::<Option<Vec<Part>>>();
        assert_eq!(named, Some(small.without), "{flags}");
    }
}
