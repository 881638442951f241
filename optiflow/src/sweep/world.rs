//! Where a sweep's runs take place: what a world must do to be swept.
//!
//! There are two: `rows`, the fast replay core, and `stages`, the live stages. A world reads its market once and then
//! only lends it.

use std::sync::atomic::AtomicU64;

use super::memory::Room;
use super::metrics::Metrics;
use super::plan::Plan;
use crate::problem::Problem;

/// A world whose data are open: its settings can be read, and then its market.
pub trait Opened {
    /// What it becomes.
    type World: World;

    /// Who trades, and what is traded.
    fn names(&self) -> (String, String);

    /// All points, every setting checked.
    fn plan(&mut self) -> Result<Plan<<Self::World as World>::Job>, Problem>;

    /// Reads the market into memory; after [`Opened::plan`].
    fn read(self, room: &mut Room) -> Result<Self::World, Problem>;
}

/// A world with its market in memory, shared by all runs.
pub trait World: Sync {
    /// Settings of one run.
    type Job: Send + Sync;

    /// Rows that a run of `job` reads, and the number of that market.
    fn market(&self, job: &Self::Job) -> (u64, u64);

    /// Runs `job`, counting rows into `passed` as they are read. On any thread.
    fn run(&self, job: &Self::Job, passed: &AtomicU64) -> Result<Done, Problem>;
}

/// What a run came to.
#[derive(Clone, Debug)]
pub struct Done {
    /// Every answer in order, as one number.
    pub hash: u64,
    /// What it is measured by.
    pub metrics: Metrics,
}
