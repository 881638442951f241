//! Is time going forward, on each clock? Shared by what writes rows and what reads them.

use std::path::Path;

use optiflow_base::clock::Nanos;

use crate::error::{ClockName, Place, StoreError, Trouble};
use crate::event::Row;

/// The latest time seen on each clock.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Order {
    exch: Nanos,
    local: Nanos,
}

impl Order {
    /// Notes the row; false when it goes back on a clock that it counts on.
    pub fn admits(&mut self, row: &Row) -> bool {
        let goes_back = (row.on_exch() && row.exch < self.exch) || (row.on_local() && row.local < self.local);
        if row.on_exch() {
            self.exch = row.exch;
        }
        if row.on_local() {
            self.local = row.local;
        }
        !goes_back
    }

    /// Checks rows of which the first is number `first` of its file.
    pub fn check(&mut self, path: &Path, first: u64, rows: &[Row], mend: &'static str) -> Result<(), StoreError> {
        for (row, number) in rows.iter().zip(first..) {
            let before = *self;
            if !self.admits(row) {
                let (clock, behind_ns) = if row.on_exch() && row.exch < before.exch {
                    (ClockName::Exchange, before.exch.since(row.exch))
                } else {
                    (ClockName::Local, before.local.since(row.local))
                };
                let trouble = Trouble::Unsorted { clock, behind_ns, mend };
                return Err(StoreError::new(path, Place::Row(number), trouble));
            }
        }
        Ok(())
    }
}
