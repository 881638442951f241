//! A look at a whole recording before it is imported: whose it is, what it holds of each symbol and from when to when,
//! and how far the recorder's clock ran behind the exchange's.
//!
//! Never writes. Malformed lines are left for the import to judge.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use optiflow_base::clock::Nanos;

use crate::collector::lines::Lines;
use crate::collector::payload::{self, Spoken, Word};
use crate::error::{Place, StoreError, Trouble};
use crate::reorder::WINDOW_NS;

/// What is known of one file.
#[derive(Clone, Debug, Default)]
pub(crate) struct Survey {
    /// What it holds, by symbol; a bare snapshot names none.
    pub symbols: BTreeMap<String, Mentions>,
    /// A snapshot that does not say whose it is.
    pub has_bare_snapshot: bool,
    /// Local time of the first line that says something.
    pub begun: Nanos,
    /// How far exchange times were ahead of local ones.
    pub leads: Leads,
    newest_local: Nanos,
    /// Local times go back further than can be put in order: the import will say where.
    is_unsorted: bool,
}

/// What a file holds of one symbol.
#[derive(Clone, Debug, Default)]
pub(crate) struct Mentions {
    /// Single trades: aggregates of the same file would count twice.
    pub has_single_trades: bool,
    /// A snapshot that says whose it is.
    pub has_snapshot: bool,
    /// First and last local time of depth, trades, best prices and mark prices.
    spans: [Option<(Nanos, Nanos)>; STREAMS.len()],
}

/// How far exchange times are ahead of local ones, ns: behind zero as a rule, unless the recorder's clock is behind.
///
/// A single line with an absurd time must not count: what is further ahead than the window beyond the median of the
/// first lines is left out.
#[derive(Clone, Debug, Default)]
pub(crate) struct Leads {
    first: Vec<i64>,
    limit_ns: Option<i64>,
    greatest_ns: Option<i64>,
}

/// Looks at all lines; `progress` is told the bytes read.
pub(crate) fn survey(path: &Path, progress: &mut dyn FnMut(u64)) -> Result<Survey, StoreError> {
    let mut lines = Lines::open(path)?;
    let mut survey = Survey::default();
    let mut has_spoken = false;
    loop {
        let bytes = lines.bytes();
        let Some(line) = lines.read()? else { break };
        if line.number.is_multiple_of(PROGRESS_LINES) {
            progress(bytes);
        }
        let Ok(Some(spoken)) = payload::parse(line.bytes) else { continue };
        if !has_spoken {
            survey.begun = spoken.local;
        }
        has_spoken = true;
        survey.note(&spoken);
    }
    survey.leads.settle();
    Ok(survey)
}

/// Refuses files that hold the same stream of the same symbol at the same time: everything in it would count twice.
pub(crate) fn check_overlaps(inputs: &[PathBuf], surveys: &[Survey]) -> Result<(), StoreError> {
    let mut spans: BTreeMap<(&str, usize), Vec<Span>> = BTreeMap::new();
    for (index, survey) in surveys.iter().enumerate().filter(|(_, survey)| !survey.is_unsorted) {
        for (symbol, mentions) in &survey.symbols {
            for (stream, span) in mentions.spans.iter().enumerate() {
                if let Some((first, last)) = span {
                    spans.entry((symbol, stream)).or_default().push((*first, *last, index));
                }
            }
        }
    }
    for ((symbol, stream), mut spans) in spans {
        spans.sort_unstable();
        let mut longest: Option<(Nanos, usize)> = None;
        for (first, last, index) in spans {
            // Recorders that change files may be some seconds apart.
            if let Some((until, other)) = longest.filter(|(until, _)| until.0 > first.0.saturating_add(WINDOW_NS)) {
                let shared_s = until.min(last).since(first) / 1_000_000_000;
                let (other, stream) = (inputs[other].display(), STREAMS[stream]);
                let what = format!("holds {stream} of {symbol} that {other} holds too, for {shared_s} s");
                return Err(StoreError::new(&inputs[index], Place::Whole, Trouble::Twice(what)));
            }
            if longest.is_none_or(|(until, _)| last > until) {
                longest = Some((last, index));
            }
        }
    }
    Ok(())
}

impl Survey {
    fn note(&mut self, spoken: &Spoken) {
        if let Some(exch) = spoken.exch {
            self.leads.note(exch.0 as i64 - spoken.local.0 as i64);
        }
        self.newest_local = self.newest_local.max(spoken.local);
        self.is_unsorted |= self.newest_local.since(spoken.local) > WINDOW_NS;
        let is_snapshot = matches!(spoken.word, Word::Snapshot { .. });
        let Some(symbol) = &spoken.symbol else {
            self.has_bare_snapshot |= is_snapshot;
            return;
        };
        if !self.symbols.contains_key(symbol) {
            self.symbols.insert(symbol.clone(), Mentions::default());
        }
        let Some(mentions) = self.symbols.get_mut(symbol) else { return };
        mentions.has_snapshot |= is_snapshot;
        mentions.has_single_trades |= matches!(spoken.word, Word::Trade { is_aggregate: false, .. });
        let stream = match spoken.word {
            Word::Snapshot { .. } => return,
            Word::Depth { .. } => 0,
            Word::Trade { .. } => 1,
            Word::Top { .. } => 2,
            Word::Mark { .. } => 3,
        };
        let local = spoken.local;
        let (first, last) = mentions.spans[stream].unwrap_or((local, local));
        mentions.spans[stream] = Some((first.min(local), last.max(local)));
    }
}

impl Leads {
    fn note(&mut self, lead_ns: i64) {
        match self.limit_ns {
            Some(limit_ns) if lead_ns <= limit_ns => self.greatest_ns = self.greatest_ns.max(Some(lead_ns)),
            Some(_) => {}
            None => {
                self.first.push(lead_ns);
                if self.first.len() == LEADS_FIRST {
                    self.settle();
                }
            }
        }
    }

    fn settle(&mut self) {
        if self.limit_ns.is_some() {
            return;
        }
        self.first.sort_unstable();
        let usual_ns = self.first.get(self.first.len().saturating_sub(1) / 2).map_or(0, |median| (*median).max(0));
        let limit_ns = usual_ns.saturating_add(WINDOW_NS as i64);
        self.limit_ns = Some(limit_ns);
        self.greatest_ns = self.first.iter().copied().filter(|lead_ns| *lead_ns <= limit_ns).max();
        self.first = Vec::new();
    }

    /// The most that any line was ahead, absurd ones left out; `None` when no line tells both times.
    pub const fn greatest_ns(&self) -> Option<i64> {
        self.greatest_ns
    }

    /// What is further ahead than this is absurd.
    pub fn limit_ns(&self) -> i64 {
        self.limit_ns.unwrap_or(WINDOW_NS as i64)
    }
}

/// First and last local time in a file, and its number.
type Span = (Nanos, Nanos, usize);

/// Streams that are compared between files, as an error calls them.
const STREAMS: [&str; 4] = ["depth", "trades", "best prices", "mark prices"];
/// Lines whose median says how far the recorder's clock is off.
const LEADS_FIRST: usize = 1001;
const PROGRESS_LINES: u64 = 4096;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_few_absurd_times_do_not_say_how_far_the_clock_is_off() {
        let (second, day) = (1_000_000_000, 86_400_000_000_000);
        let table: &[(&[i64], Option<i64>, i64)] = &[
            (&[], None, 10),
            (&[-5 * second, 30 * day], Some(-5), 10),
            (&[30 * day, 2 * second, 3 * second, i64::MAX - second, second], Some(3), 13),
            (&[3_600 * second, 3_601 * second, 3_599 * second], Some(3_601), 3_610),
            (&[-60 * second, -61 * second, second], Some(1), 10),
        ];
        for (leads, greatest, limit) in table {
            let mut told = Leads::default();
            leads.iter().for_each(|lead_ns| told.note(*lead_ns));
            told.settle();
            let answer = (told.greatest_ns().map(|greatest| greatest / second), told.limit_ns() / second);
            assert_eq!(answer, (*greatest, *limit), "{leads:?}");
        }
        let mut told = Leads::default();
        (0..LEADS_FIRST).for_each(|_| told.note(0));
        [day, 2 * second, day].iter().for_each(|lead_ns| told.note(*lead_ns));
        assert_eq!(told.greatest_ns(), Some(2 * second), "far down too");
    }
}
