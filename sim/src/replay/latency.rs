//! How long a request takes to the exchange, and an answer back.
//!
//! Never orders messages: `links` does that, first in first out. A negative entry latency is a request that was lost
//! before the engine; its size is the time until we learn it. What is drawn comes from seeded generators of its own, one a
//! direction, so that equal runs draw equally however they are stepped.

use std::sync::Arc;

use super::ReplayError;
use super::orders::Verb;

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
    /// Drawn from measured round trips, by kind of request.
    Drawn(Drawn),
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
    /// Those of which answers' ways home are read.
    homeward: Arc<[LatencyRow]>,
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
        let homeward = Arc::clone(&rows);
        Ok(Latency::Table(LatencyTable { rows, homeward, entry_at: 0, response_at: 0 }))
    }

    /// The same, but a request that was lost tells nothing of answers' ways home: the exchange answered at no time, and the
    /// peer takes that for a time long ago. Where all were lost, answers take no time.
    #[must_use]
    pub fn without_lost_answers(mut self) -> Latency {
        if let Latency::Table(table) = &mut self {
            table.homeward = table.rows.iter().copied().filter(|row| row.exchange_ns > 0).collect();
        }
        self
    }

    /// From measured round trips. A request's way out is half of what is drawn for it and its answer's way home the other
    /// half; what nobody asked for (a fill of a resting order) comes home in half of a round trip of a new order.
    pub fn drawn(trips: RoundTrips, seed: u64) -> Latency {
        let (outward, homeward) = (Random(seed), Random(!seed));
        Latency::Drawn(Drawn { trips, outward, homeward })
    }

    /// For a request that leaves at `now`, asked in order of time: its way out, and its answer's way home where both are
    /// known at once.
    pub fn entry(&mut self, now: i64, verb: Verb) -> (i64, Option<i64>) {
        match self {
            Latency::Constant { entry_ns, .. } => (*entry_ns, None),
            Latency::Table(table) => (table.entry(now), None),
            Latency::Drawn(drawn) => {
                let trip = drawn.trips.of(verb).draw(&mut drawn.outward);
                (trip - trip / 2, Some(trip / 2))
            }
        }
    }

    /// For an answer given at `now` that no request has brought; asked in order of time.
    pub fn response(&mut self, now: i64) -> i64 {
        match self {
            Latency::Constant { response_ns, .. } => *response_ns,
            Latency::Table(table) => table.response(now),
            Latency::Drawn(drawn) => drawn.trips.new.draw(&mut drawn.homeward) / 2,
        }
    }
}

/// Round trips by kind of request.
#[derive(Clone, Debug)]
pub struct RoundTrips {
    /// Of a new order.
    pub new: Histogram,
    /// Of a cancel.
    pub cancel: Histogram,
    /// Of a modification.
    pub modify: Histogram,
}

impl RoundTrips {
    const fn of(&self, verb: Verb) -> &Histogram {
        match verb {
            Verb::New => &self.new,
            Verb::Cancel => &self.cancel,
            Verb::Modify => &self.modify,
        }
    }
}

/// Measured times, counted in buckets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Histogram {
    /// A bucket's end, and how many were counted up to it.
    buckets: Arc<[(i64, u64)]>,
    total: u64,
}

impl Histogram {
    /// From buckets of (end in ns, count), shortest first; `None` where nothing was counted.
    pub fn new(buckets: impl IntoIterator<Item = (u64, u64)>) -> Option<Histogram> {
        let mut total = 0u64;
        let counted = buckets.into_iter().filter(|(_, count)| *count > 0).map(|(end, count)| {
            total = total.saturating_add(count);
            (i64::try_from(end).unwrap_or(i64::MAX).min(LATENCY_NS_MAX), total)
        });
        let buckets: Arc<[(i64, u64)]> = counted.collect();
        (total > 0).then_some(Histogram { buckets, total })
    }

    /// How many were counted.
    pub const fn count(&self) -> u64 {
        self.total
    }

    /// One of them, each as likely as any other; its bucket's end.
    fn draw(&self, random: &mut Random) -> i64 {
        let pick = random.below(self.total);
        let at = self.buckets.partition_point(|(_, counted)| *counted <= pick);
        self.buckets[at].0
    }
}

/// Measured round trips, and where each direction's generator stands.
#[derive(Clone, Debug)]
pub struct Drawn {
    trips: RoundTrips,
    outward: Random,
    homeward: Random,
}

/// Splitmix64: small, seeded, good enough for draws of latency.
#[derive(Clone, Debug)]
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ self.0 >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ mixed >> 31
    }

    fn below(&mut self, limit: u64) -> u64 {
        ((u128::from(self.next()) * u128::from(limit)) >> 64) as u64
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
        let Some(first) = self.homeward.first() else { return 0 };
        if now < first.exchange_ns {
            return first.response();
        }
        while let Some([row, next]) = self.homeward.get(self.response_at..self.response_at + 2) {
            if row.exchange_ns <= now && now < next.exchange_ns {
                return interpolate(now, row.exchange_ns, row.response(), next.exchange_ns, next.response());
            }
            self.response_at += 1;
        }
        self.homeward[self.response_at].response()
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

/// No measured latency counts for more than an hour.
const LATENCY_NS_MAX: i64 = 3_600_000_000_000;

#[cfg(test)]
mod tests {
    use super::*;

    const BASE: i64 = 1_000_000_000_000;

    fn row(request: i64, exchange: i64, response: i64) -> LatencyRow {
        let at = |millis: i64| BASE + millis * 1_000_000;
        LatencyRow { request_ns: at(request), exchange_ns: at(exchange), response_ns: at(response) }
    }

    fn entry(latency: &mut Latency, after: i64) -> i64 {
        latency.entry(BASE + after, Verb::New).0
    }

    #[test]
    fn draws_follow_the_histogram_of_their_kind_and_the_seed() {
        let new = Histogram::new([(10, 0), (100, 1), (300, 3)]).unwrap();
        let (cancel, modify) = (Histogram::new([(41, 5)]).unwrap(), Histogram::new([(8, 1)]).unwrap());
        let latency = |seed| {
            Latency::drawn(RoundTrips { new: new.clone(), cancel: cancel.clone(), modify: modify.clone() }, seed)
        };
        let draws = |seed| -> Vec<_> {
            let mut latency = latency(seed);
            (0..4_000).map(|at| latency.entry(at, Verb::New)).collect()
        };
        let drawn = draws(7);
        let long = drawn.iter().filter(|trip| **trip == (150, Some(150))).count();
        assert!((2_900..3_100).contains(&long), "three of four: {long}");
        assert!(drawn.iter().all(|trip| [(150, Some(150)), (50, Some(50))].contains(trip)));
        assert_eq!(drawn, draws(7));
        assert_ne!(drawn, draws(8));
        let mut latency = latency(1);
        assert_eq!((latency.entry(0, Verb::Cancel), latency.entry(0, Verb::Modify)), ((21, Some(20)), (4, Some(4))));
        assert!([50, 150].contains(&latency.response(0)));
        assert_eq!(Histogram::new([(5, 0)]), None);
    }

    #[test]
    fn a_table_is_read_between_its_rows() {
        let mut latency = Latency::table(vec![row(0, 4, 7), row(100, 108, 114), row(200, 202, 203)]).unwrap();
        assert_eq!(entry(&mut latency, -5), 4_000_000, "before the first row");
        assert_eq!(entry(&mut latency, 10_000_000), 4_400_000);
        assert_eq!(latency.response(BASE + 40_000_000), 4_038_461, "truncated, not rounded");
        assert_eq!(entry(&mut latency, 300_000_000), 2_000_000, "after the last row");
        assert_eq!(latency.response(BASE + 300_000_000), 1_000_000);
    }

    #[test]
    fn next_to_a_lost_request_everything_is_lost() {
        let lost = LatencyRow { exchange_ns: 0, ..row(25, 0, 45) };
        let mut latency = Latency::table(vec![row(0, 4, 7), lost, row(45, 49, 52)]).unwrap();
        assert_eq!(entry(&mut latency, 10_000_000), -12_200_000);
        assert_eq!(entry(&mut latency, 45_000_000), 4_000_000);
    }

    #[test]
    fn answers_do_not_travel_by_requests_that_were_lost() {
        let epoch = 1_700_000_000_000_000_000;
        let at = |millis: i64| epoch + millis * 1_000_000;
        let row = |request: i64, exchange: i64, response: i64| LatencyRow {
            request_ns: at(request),
            exchange_ns: if exchange == 0 { 0 } else { at(exchange) },
            response_ns: at(response),
        };
        let answers = |rows: &[LatencyRow], is_peers: bool| {
            let latency = Latency::table(rows).unwrap();
            let mut latency = if is_peers { latency } else { latency.without_lost_answers() };
            [1, 30, 130, 500].map(|millis| latency.response(at(millis)) / 1_000_000)
        };
        let (first, middle, last) = (row(0, 4, 7), row(100, 108, 114), row(200, 202, 203));
        let lost = |request| row(request, 0, request + 20);
        assert_eq!(answers(&[first, middle, last], false), [3, 3, 4, 1]);
        assert_eq!(answers(&[lost(-50), first, lost(50), middle, lost(150), last, lost(250)], false), [3, 3, 4, 1]);
        assert_eq!(answers(&[lost(0), lost(1)], false), [0; 4]);
        // The peer's reading of a lost last request: half a century.
        assert_eq!(answers(&[first, lost(50)], true)[1], at(70) / 1_000_000);
    }

    #[test]
    fn tables_that_cannot_be_used_are_refused() {
        assert!(Latency::table(Vec::new()).is_err());
        let problem = Latency::table(vec![row(5, 6, 7), row(4, 5, 6)]).unwrap_err().to_string();
        assert!(problem.contains("row 1"), "{problem}");
    }
}
