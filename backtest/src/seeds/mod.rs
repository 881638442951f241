//! Seeded fault worlds: whole sessions in virtual time against a lying exchange, judged after every step.
//!
//! What it does: a [`plan::Plan`] is drawn from a seed; [`run::run`] lives it: the real stages trade over the protocol's
//! bytes while faults strike, the process is killed and started again, the faults end, everything has to agree with the
//! exchange within a bound, and stopping has to leave nothing open. What must always hold is checked by [`watch`] (what
//! we say happened) and [`truth`] (what happened).
//! What it never does: it decides nothing for the stages, and it forgives nothing: a broken rule ends the run with the
//! seed that replays it.
//! Which thread: any; a world lives and dies on one.

pub mod bug;
pub mod compared;
pub mod database;
pub mod door;
mod judge;
pub mod lab;
pub mod ledger;
pub mod manners;
mod peace;
pub mod plan;
pub mod remembered;
pub mod restless;
pub mod run;
pub mod shrink;
pub mod sight;
pub mod stakes;
pub mod truth;
pub mod watch;
