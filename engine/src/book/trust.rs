//! How far from the touch a snapshot reached: beyond, a level that nobody told is unknown, not empty.
//! Runs once a snapshot, on the engine thread.

use optiflow_base::money::{Price, Side};

use super::grid::Grid;
use super::ladder::Ladder;
use super::level_at;

/// How far a side is known after a snapshot: to the end when it is shorter than a snapshot may be, else to a little
/// before its last level, so that the levels behind the touch are known too.
#[cold]
pub(super) fn trusted_of(grid: Grid, side: Side, ladder: &Ladder) -> Option<Price> {
    if ladder.len() < SNAPSHOT_LEVELS_FULL {
        return None;
    }
    let mut walk = ladder.walk(None);
    let (best, _) = walk.next()?;
    let (worst, _) = walk.last()?;
    Some(level_at(grid, side, worst + (best - worst) / TRUST_MARGIN, 0).price)
}

/// A snapshot side of so many levels was cut off: the most that one is asked for with.
const SNAPSHOT_LEVELS_FULL: usize = 1_000;
/// One part in so many of what a snapshot spans is left as a margin before its end.
const TRUST_MARGIN: i64 = 20;
