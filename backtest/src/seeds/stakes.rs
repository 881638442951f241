//! What symbols may come to, counted anew only when something of it has changed.
//!
//! Prices change all the time and orders seldom: limits are checked against prices at every step, and what is held and
//! ordered is added up once for each change of it. Reads; changes nothing.

use optiflow_base::money::Notional;
use optiflow_sim::core::Core;

use super::ledger;
use super::truth::{self, Bound, Stake};
use super::watch::Watch;

/// Which orders, fills and words about them something was counted or compared of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Version {
    exchange: u64,
    wallet: Notional,
    lives: usize,
    told: u64,
}

impl Version {
    /// That of now. As long as it stands, so does everything that the exchange has of ours and that we say of it.
    pub fn of(core: &Core, lives: &[Watch]) -> Version {
        let told = lives.last().map_or(0, |life| life.changes);
        Version { exchange: core.changes(), wallet: core.wallet(), lives: lives.len(), told }
    }
}

/// What symbols may come to.
#[derive(Debug, Default)]
pub struct Stakes {
    /// `None` until something was counted.
    version: Option<Version>,
    /// As the exchange has it.
    theirs: Vec<Stake>,
    /// As we know it, with everything counted whose end is not told.
    ours: Vec<Stake>,
}

impl Stakes {
    /// Counts what has changed; says whether anything had.
    pub fn count(&mut self, core: &Core, lives: &[Watch]) -> bool {
        let version = Version::of(core, lives);
        let Some(life) = lives.last().filter(|_| self.version != Some(version)) else { return false };
        let symbols = 0..core.listings().len();
        self.theirs.clear();
        self.theirs.extend(symbols.clone().map(|symbol| truth::open(core, symbol)));
        self.ours.clear();
        self.ours.extend(symbols.map(|symbol| ledger::open_or_unknown(core, life, symbol)));
        self.version = Some(version);
        true
    }

    /// Checks both against the limits, at the prices of now.
    ///
    /// # Errors
    /// What is broken, in words.
    pub fn keep(&self, bound: &Bound, core: &Core) -> Result<(), String> {
        bound.holds(core, &self.theirs)?;
        bound.holds(core, &self.ours)
    }
}
