//! How long a request takes to the exchange, and an answer back.
//!
//! Never orders messages: the links in `local` and `venue` do that, first in first out. A negative entry latency is a
//! request that was lost before the engine; its size is the time until we learn it.

use std::sync::Arc;

use super::ReplayError;

/// A latency model.
#[derive(Clone, Debug)]
pub enum Latency {
    /// The same every time.
    Constant {
        /// Request to the exchange; negative is lost.
        entry_ns: i64,
        /// Answer back.
        response_ns: i64,
    },
    /// Interpolated between measured requests.
    Table(LatencyTable),
}

/// One measured request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LatencyRow {
    /// When it left.
    pub request_ns: i64,
    /// When the exchange had it; zero or less where it never did.
    pub exchange_ns: i64,
    /// When its answer was here.
    pub response_ns: i64,
}

/// Measured requests, and how far each direction has read in them: time never goes back.
#[derive(Clone, Debug)]
pub struct LatencyTable {
    rows: Arc<[LatencyRow]>,
    entry_at: usize,
    response_at: usize,
}

impl Latency {
    /// From measured requests, sorted by when they left.
    pub fn table(rows: impl Into<Arc<[LatencyRow]>>) -> Result<Latency, ReplayError> {
        let rows = rows.into();
        if rows.is_empty() {
            return Err(ReplayError::LatencyTable { row: 0, problem: "the table is empty; give at least one request" });
        }
        for (index, pair) in rows.windows(2).enumerate() {
            if pair[1].request_ns < pair[0].request_ns {
                let problem = "it left before the one above; sort the table by request time";
                return Err(ReplayError::LatencyTable { row: index + 1, problem });
            }
        }
        Ok(Latency::Table(LatencyTable { rows, entry_at: 0, response_at: 0 }))
    }

    /// For a request that leaves at `now`; asked in order of time.
    pub fn entry(&mut self, now: i64) -> i64 {
        match self {
            Latency::Constant { entry_ns, .. } => *entry_ns,
            Latency::Table(table) => table.entry(now),
        }
    }

    /// For an answer given at `now`; asked in order of time.
    pub fn response(&mut self, now: i64) -> i64 {
        match self {
            Latency::Constant { response_ns, .. } => *response_ns,
            Latency::Table(table) => table.response(now),
        }
    }
}

impl LatencyTable {
    fn entry(&mut self, now: i64) -> i64 {
        if now < self.rows[0].request_ns {
            return self.rows[0].entry();
        }
        while let Some([row, next]) = self.rows.get(self.entry_at..self.entry_at + 2) {
            if row.request_ns <= now && now < next.request_ns {
                let between = |low: i64, high: i64| interpolate(now, row.request_ns, low, next.request_ns, high);
                return if row.exchange_ns <= 0 || next.exchange_ns <= 0 {
                    -between(row.round_trip(), next.round_trip())
                } else {
                    between(row.exchange_ns - row.request_ns, next.exchange_ns - next.request_ns)
                };
            }
            self.entry_at += 1;
        }
        self.rows[self.entry_at].entry()
    }

    fn response(&mut self, now: i64) -> i64 {
        if now < self.rows[0].exchange_ns {
            return self.rows[0].response();
        }
        while let Some([row, next]) = self.rows.get(self.response_at..self.response_at + 2) {
            if row.exchange_ns <= now && now < next.exchange_ns {
                return interpolate(now, row.exchange_ns, row.response(), next.exchange_ns, next.response());
            }
            self.response_at += 1;
        }
        self.rows[self.response_at].response()
    }
}

impl LatencyRow {
    fn entry(&self) -> i64 {
        if self.exchange_ns <= 0 { -self.round_trip() } else { self.exchange_ns - self.request_ns }
    }

    fn response(&self) -> i64 {
        self.response_ns - self.exchange_ns
    }

    fn round_trip(&self) -> i64 {
        self.response_ns - self.request_ns
    }
}

/// On the line through both points; the slope's product is a float, truncated towards zero.
fn interpolate(at: i64, low_at: i64, low: i64, high_at: i64, high: i64) -> i64 {
    let slope = (high - low) as f64 / (high_at - low_at) as f64;
    (slope * (at - low_at) as f64) as i64 + low
}

#[cfg(test)]
mod tests {
    use super::*;

    const BASE: i64 = 1_000_000_000_000;

    fn row(request: i64, exchange: i64, response: i64) -> LatencyRow {
        let at = |millis: i64| BASE + millis * 1_000_000;
        LatencyRow { request_ns: at(request), exchange_ns: at(exchange), response_ns: at(response) }
    }

    #[test]
    fn a_table_is_read_between_its_rows() {
        let mut latency = Latency::table(vec![row(0, 4, 7), row(100, 108, 114), row(200, 202, 203)]).unwrap();
        assert_eq!(latency.entry(BASE - 5), 4_000_000, "before the first row");
        assert_eq!(latency.entry(BASE + 10_000_000), 4_400_000);
        assert_eq!(latency.response(BASE + 40_000_000), 4_038_461, "truncated, not rounded");
        assert_eq!(latency.entry(BASE + 300_000_000), 2_000_000, "after the last row");
        assert_eq!(latency.response(BASE + 300_000_000), 1_000_000);
    }

    #[test]
    fn next_to_a_lost_request_everything_is_lost() {
        let lost = LatencyRow { exchange_ns: 0, ..row(25, 0, 45) };
        let mut latency = Latency::table(vec![row(0, 4, 7), lost, row(45, 49, 52)]).unwrap();
        assert_eq!(latency.entry(BASE + 10_000_000), -12_200_000);
        assert_eq!(latency.entry(BASE + 45_000_000), 4_000_000);
    }

    #[test]
    fn tables_that_cannot_be_used_are_refused() {
        assert!(Latency::table(Vec::new()).is_err());
        let problem = Latency::table(vec![row(5, 6, 7), row(4, 5, 6)]).unwrap_err().to_string();
        assert!(problem.contains("row 1"), "{problem}");
    }
}
