//! A recorded market: raw stream lines of Binance (USDⓈ-M, spot where it differs little), one or several files in order.
//!
//! Streams the files; looks a bounded number of lines ahead to learn the symbols, their tick and step, whether single
//! trades are recorded (if so, aggregates are passed over) and whether a snapshot comes. Symbols that first appear
//! later are passed over. A tick's time is the exchange's event time, never going back; where an event has none, the
//! recorder's clock, shifted by what it last differed from the exchange's. Best prices before the first snapshot are
//! passed over; trades and marks are always told. A malformed line is passed over, many are an error; a line cut by
//! the end of a file is nothing. Which thread: whoever drives the core.

use std::collections::VecDeque;
use std::path::PathBuf;

use optiflow_base::clock::Nanos;

use crate::market::recorded::census::Followed;
use crate::market::recorded::gate::Diff;
use crate::market::recorded::lines::Lines;
use crate::market::recorded::payload::{Spoken, Word};
use crate::market::{Source, SourceError};
use crate::words::{Listing, MarketTick, SymbolIndex, Tick};

pub mod census;
pub mod gate;
pub mod json;
pub mod lines;
pub mod payload;

/// A recording being replayed.
pub struct Recorded {
    listings: Vec<Listing>,
    followed: Vec<Followed>,
    lines: Lines,
    ahead: VecDeque<Spoken>,
    told: VecDeque<MarketTick>,
    scratch: Vec<Tick>,
    /// Time of the last tick.
    at: Nanos,
    /// What the exchange's clock was last ahead of the recorder's, ns.
    shift: i64,
    malformed: u64,
}

impl Recorded {
    /// Opens the files as one recording, in the order given.
    ///
    /// # Errors
    /// When a file cannot be read or none holds a market.
    pub fn open(paths: &[PathBuf]) -> Result<Recorded, SourceError> {
        let mut recorded = Recorded {
            listings: Vec::new(),
            followed: Vec::new(),
            lines: Lines::open(paths)?,
            ahead: VecDeque::new(),
            told: VecDeque::new(),
            scratch: Vec::new(),
            at: Nanos(0),
            shift: 0,
            malformed: 0,
        };
        recorded.look_ahead(LOOK_AHEAD_LEN)?;
        let (listings, followed) = census::take(recorded.ahead.iter());
        if listings.is_empty() {
            return Err(SourceError::NoMarket { paths: paths.to_vec() });
        }
        recorded.listings = listings;
        recorded.followed = followed;
        Ok(recorded)
    }

    /// Malformed lines that were passed over so far.
    pub const fn malformed_lines(&self) -> u64 {
        self.malformed
    }

    /// Reads lines until `len` words wait or there are no more.
    fn look_ahead(&mut self, len: usize) -> Result<(), SourceError> {
        while self.ahead.len() < len {
            let Some(spoken) = self.read()? else { return Ok(()) };
            self.ahead.push_back(spoken);
        }
        Ok(())
    }

    /// The next line that says something of the market.
    fn read(&mut self) -> Result<Option<Spoken>, SourceError> {
        while let Some(line) = self.lines.read()? {
            match payload::parse(line.bytes) {
                Ok(Some(spoken)) => return Ok(Some(spoken)),
                Ok(None) => {}
                Err(_) if line.may_be_cut => {}
                Err(_) if self.malformed < MALFORMED_LINES_MAX => self.malformed += 1,
                Err(what) => {
                    let (path, line) = (line.path.clone(), line.number);
                    return Err(SourceError::Malformed { path, line, what });
                }
            }
        }
        Ok(None)
    }

    /// Turns a word into the ticks it gives rise to.
    fn hear(&mut self, spoken: Spoken) -> Result<(), SourceError> {
        let symbol = census::whose(&self.listings, &self.followed, &spoken);
        self.tell_time(&spoken);
        let Some(symbol) = symbol else { return Ok(()) };
        let followed = &mut self.followed[symbol];
        let mut ticks = std::mem::take(&mut self.scratch);
        let mut unfit = None;
        match spoken.what {
            Word::Snapshot { id, bids, asks } => followed.gate.snapshot(id, bids, asks, &mut ticks),
            Word::Depth { first_id, last_id, previous_id, bids, asks } => {
                let diff = Diff { first_id, last_id, previous_id, bids, asks };
                unfit = followed.gate.diff(diff, &mut ticks).err();
            }
            Word::Trade { is_aggregate, id, price, qty, taker } => {
                followed.price = Some(price);
                if followed.counts_trade(is_aggregate) {
                    ticks.push(Tick::Trade { id, price, qty, taker });
                }
            }
            Word::Top { update_id, bid, ask } => {
                followed.price = Some(bid.price);
                followed.gate.top(update_id, bid, ask, &mut ticks);
            }
            Word::Mark { mark, index, funding_rate, next_funding_ms } => {
                ticks.push(Tick::Mark { mark, index, funding_rate, next_funding_ms });
            }
        }
        if let Some(diff) = unfit {
            self.mend(symbol, diff, &mut ticks)?;
        }
        let at = self.at;
        self.told.extend(ticks.drain(..).map(|what| MarketTick { at, symbol, what }));
        self.scratch = ticks;
        Ok(())
    }

    /// A diff does not continue the one before: is there a snapshot to wait for?
    fn mend(&mut self, symbol: SymbolIndex, diff: Diff, ticks: &mut Vec<Tick>) -> Result<(), SourceError> {
        let comes = self.snapshot_comes(symbol, diff.first_id)?;
        let gate = &mut self.followed[symbol].gate;
        if comes {
            gate.wait();
        } else {
            gate.carry_on(ticks);
        }
        let refused = gate.diff(diff, ticks).is_err();
        assert!(!refused, "a gate that waits or is loose takes every diff");
        Ok(())
    }

    /// Does a snapshot of the symbol come within sight, not older than update `id`?
    fn snapshot_comes(&mut self, symbol: SymbolIndex, id: u64) -> Result<bool, SourceError> {
        for index in 0..LOOK_AHEAD_AT_BREAK_LEN {
            self.look_ahead(index + 1)?;
            let Some(spoken) = self.ahead.get(index) else { return Ok(false) };
            let is_late_enough = matches!(spoken.what, Word::Snapshot { id: snapshot, .. } if snapshot >= id);
            if is_late_enough && census::whose(&self.listings, &self.followed, spoken) == Some(symbol) {
                return Ok(true);
            }
        }
        Ok(false)
    }

    fn tell_time(&mut self, spoken: &Spoken) {
        if let (Some(event), Some(local)) = (spoken.event, spoken.local) {
            self.shift = event.0.wrapping_sub(local.0).cast_signed();
        }
        let local = || spoken.local.map(|local| Nanos(local.0.saturating_add_signed(self.shift)));
        self.at = self.at.max(spoken.event.or_else(local).unwrap_or(self.at));
    }
}

impl Source for Recorded {
    fn listings(&self) -> &[Listing] {
        &self.listings
    }

    fn next(&mut self) -> Result<Option<MarketTick>, SourceError> {
        loop {
            if let Some(tick) = self.told.pop_front() {
                return Ok(Some(tick));
            }
            let spoken = match self.ahead.pop_front() {
                Some(spoken) => Some(spoken),
                None => self.read()?,
            };
            let Some(spoken) = spoken else { return Ok(None) };
            self.hear(spoken)?;
        }
    }
}

/// Events read ahead to learn what the recording holds.
const LOOK_AHEAD_LEN: usize = 5_000;
/// Events read ahead after a break to learn whether a snapshot comes.
const LOOK_AHEAD_AT_BREAK_LEN: usize = 20_000;
/// Malformed lines that are put down to accidents.
const MALFORMED_LINES_MAX: u64 = 100;

#[cfg(test)]
mod tests;
