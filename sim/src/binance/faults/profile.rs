//! Which faults strike, how often and when.

use std::time::Duration;

use super::kinds::Fault;

/// A profile of faults: a seed and the rules that draw from it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Faults {
    seed: u64,
    rules: Vec<Rule>,
}

/// A fault with its rate and its window.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rule {
    /// What goes wrong.
    pub fault: Fault,
    /// How often, in parts per million of what it is drawn for.
    pub rate: u32,
    /// Not before this, counted from the exchange's start.
    pub from: Duration,
    /// Not from this on.
    pub until: Option<Duration>,
    /// How long it lasts, or how late it makes things; without meaning for some.
    pub span: Duration,
}

impl Rule {
    /// The fault at a rate, in parts per million, all the time.
    pub fn new(fault: Fault, rate: u32) -> Rule {
        Rule { fault, rate, from: Duration::ZERO, until: None, span: fault.span().unwrap_or_default() }
    }
}

impl Faults {
    /// No faults at all; what rules are added draw from `seed`.
    pub const fn none(seed: u64) -> Faults {
        Faults { seed, rules: Vec::new() }
    }

    /// One more rule. Several may name one fault.
    #[must_use]
    pub fn with(mut self, rule: Rule) -> Faults {
        self.rules.push(rule);
        self
    }

    /// A profile for a virtual session: about half of the faults never, most others seldom, a few often.
    pub fn drawn(seed: u64) -> Faults {
        let mut random = fastrand::Rng::with_seed(seed ^ DRAWN_SALT);
        let mut faults = Faults::none(seed);
        for fault in Fault::all() {
            let highest = fault.highest();
            let (kind, seldom, often) =
                (random.u32(0..100), random.u32(1..=highest / 20), random.u32(highest / 4..=highest));
            let quarters = random.u32(1..=8);
            let rate = match kind {
                ..NEVER_PERCENT => continue,
                NEVER_PERCENT..SELDOM_PERCENT => seldom,
                SELDOM_PERCENT.. => often,
            };
            let rule = Rule::new(fault, rate);
            faults.rules.push(Rule { span: rule.span * quarters / 4, ..rule });
        }
        faults
    }

    /// The same faults, none of them from `end` on, counted from the exchange's start.
    #[must_use]
    pub fn ending(mut self, end: Duration) -> Faults {
        for rule in &mut self.rules {
            rule.until = Some(rule.until.map_or(end, |until| until.min(end)));
        }
        self
    }

    /// The same faults without one kind.
    #[must_use]
    pub fn without(mut self, fault: Fault) -> Faults {
        self.rules.retain(|rule| rule.fault != fault);
        self
    }

    /// What everything is drawn from.
    pub const fn seed(&self) -> u64 {
        self.seed
    }

    /// The rules.
    pub fn rules(&self) -> &[Rule] {
        &self.rules
    }
}

/// The rate of what always strikes.
pub const RATE_ONE: u32 = 1_000_000;
/// Keeps the draw of a profile apart from what the profile then draws.
const DRAWN_SALT: u64 = 0x6661_756c_7473;
/// Faults that a drawn profile leaves out, percent; and those and the seldom ones together.
const NEVER_PERCENT: u32 = 50;
const SELDOM_PERCENT: u32 = 88;
