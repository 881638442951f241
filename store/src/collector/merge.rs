//! Lines of several files → one run of what they say, by local time.
//!
//! Each file is in order within itself, as far as its recorder was; a file is opened when its first line is due, so that
//! only files of the same time are open at once. Never sorts a file; never keeps more than a line of each.

use std::cmp::Reverse;
use std::path::{Path, PathBuf};

use optiflow_base::clock::Nanos;

use crate::collector::lines::Lines;
use crate::collector::payload::{self, Spoken};
use crate::collector::survey::Survey;
use crate::error::{Place, StoreError, Trouble};

/// Files being read as one.
pub(crate) struct Merge<'a> {
    inputs: &'a [PathBuf],
    /// Files to be opened, the next one last.
    closed: Vec<Closed>,
    /// Files that have something to say.
    open: Vec<Tape<'a>>,
    counts: Lined,
    /// Bytes of the files that are at their end.
    bytes_ended: u64,
}

/// What a line says, and where it stands.
pub(crate) struct Told {
    /// Number of the file.
    pub file: usize,
    /// Number of the line, from 1.
    pub line: u64,
    /// What it says.
    pub spoken: Spoken,
}

/// Lines read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Lined {
    /// Of any kind.
    pub all: u64,
    /// Those that say nothing of the market, and last ones that were cut.
    pub passed_over: u64,
}

struct Closed {
    begun: Nanos,
    file: usize,
    lead_limit_ns: i64,
}

struct Tape<'a> {
    path: &'a Path,
    file: usize,
    lines: Lines,
    lead_limit_ns: i64,
    has_spoken: bool,
    next: Option<Told>,
}

impl<'a> Merge<'a> {
    /// Files and what is known of them. An exchange time that is further ahead of the local one than `lead_ns`, or than
    /// is usual in its file, is an error.
    pub fn new(inputs: &'a [PathBuf], surveys: &[Survey], lead_ns: i64) -> Merge<'a> {
        assert_eq!(inputs.len(), surveys.len(), "every file was looked at");
        let closed = |(file, survey): (usize, &Survey)| Closed {
            begun: survey.begun,
            file,
            lead_limit_ns: survey.leads.limit_ns().max(lead_ns),
        };
        let mut closed: Vec<Closed> = surveys.iter().enumerate().map(closed).collect();
        closed.sort_by_key(|file| Reverse((file.begun, file.file)));
        Merge { inputs, closed, open: Vec::new(), counts: Lined::default(), bytes_ended: 0 }
    }

    /// What is next by local time; `None` after the last.
    pub fn read(&mut self) -> Result<Option<Told>, StoreError> {
        loop {
            let next =
                |(at, tape): (usize, &Tape<'_>)| tape.next.as_ref().map(|told| (told.spoken.local, told.file, at));
            let next = self.open.iter().enumerate().filter_map(next).min();
            if let Some(file) = self.closed.pop_if(|file| next.is_none_or(|(local, ..)| file.begun <= local)) {
                let path = &self.inputs[file.file];
                self.open.push(Tape::open(path, &file, &mut self.counts)?);
                continue;
            }
            let Some((_, _, at)) = next else { return Ok(None) };
            let tape = &mut self.open[at];
            let told = tape.next.take();
            tape.advance(&mut self.counts)?;
            if tape.next.is_none() {
                self.bytes_ended += self.open.swap_remove(at).lines.bytes();
            }
            return Ok(told);
        }
    }

    /// Lines read so far.
    pub const fn counts(&self) -> Lined {
        self.counts
    }

    /// Bytes of the files, as they lie on disk, that were read.
    pub fn bytes(&self) -> u64 {
        self.bytes_ended + self.open.iter().map(|tape| tape.lines.bytes()).sum::<u64>()
    }
}

impl<'a> Tape<'a> {
    fn open(path: &'a Path, closed: &Closed, counts: &mut Lined) -> Result<Tape<'a>, StoreError> {
        let Closed { file, lead_limit_ns, .. } = *closed;
        let lines = Lines::open(path)?;
        let mut tape = Tape { path, file, lines, lead_limit_ns, has_spoken: false, next: None };
        tape.advance(counts)?;
        if tape.has_spoken { Ok(tape) } else { Err(StoreError::new(path, Place::Whole, Trouble::Empty)) }
    }

    /// Finds the next line that says something of the market.
    fn advance(&mut self, counts: &mut Lined) -> Result<(), StoreError> {
        while let Some(line) = self.lines.read()? {
            counts.all += 1;
            let malformed = |what| StoreError::new(self.path, Place::Line(line.number), Trouble::Malformed(what));
            match payload::parse(line.bytes) {
                Ok(Some(spoken)) => {
                    check_lead(&spoken, self.lead_limit_ns).map_err(malformed)?;
                    self.next = Some(Told { file: self.file, line: line.number, spoken });
                    self.has_spoken = true;
                    return Ok(());
                }
                Ok(None) => counts.passed_over += 1,
                Err(_) if line.may_be_cut && self.has_spoken => counts.passed_over += 1,
                Err(_) if line.number == 1 => {
                    let what = "does not begin as a recording does, with a line `<local time> <JSON>`";
                    return Err(StoreError::foreign(self.path, what));
                }
                Err(what) => return Err(malformed(what)),
            }
        }
        Ok(())
    }
}

/// A time from far ahead would hold back everything that comes after it.
fn check_lead(spoken: &Spoken, limit_ns: i64) -> Result<(), String> {
    let Some(exch) = spoken.exch else { return Ok(()) };
    let lead_ns = exch.0 as i64 - spoken.local.0 as i64;
    if lead_ns <= limit_ns {
        return Ok(());
    }
    let (lead_s, limit_s) = (lead_ns / 1_000_000_000, limit_ns / 1_000_000_000);
    Err(format!("the exchange's time is {lead_s} s ahead of the local one, more than {limit_s} s is not believed"))
}
