//! What drives the simulated exchange: a market that was recorded, or one that is made up.
//!
//! A source yields what the market did, in order; it knows nothing of orders, accounts or clients, and no clock: ticks
//! carry the market's own time. Never borrows parsing from the rooms that trade. Which thread: whoever drives the core.

use std::fmt;
use std::path::PathBuf;

use crate::words::{Listing, MarketTick};

pub mod listings;
pub mod metronome;
pub mod recorded;
pub mod synthetic;

/// Where market ticks come from.
pub trait Source: Send {
    /// The symbols it has; their order is their [`crate::words::SymbolIndex`]. Never changes.
    fn listings(&self) -> &[Listing];

    /// The next tick, `at` never going back; `None` when the market is over, for good.
    ///
    /// # Errors
    /// When the recording cannot be read on; the source is then at its end.
    fn next(&mut self) -> Result<Option<MarketTick>, SourceError>;

    /// From now on the market's own orders are told one by one ([`crate::words::Tick::Single`]) beside everything else,
    /// those that rest already first. False: this source does not know them.
    fn tell_singles(&mut self) -> bool {
        false
    }
}

/// Opens `synthetic` (BTCUSDT), `synthetic:NAME[,NAME…][@RATE]`, `metronome:PERIOD` (see [`metronome`]) or `FILE[,FILE…]`, several files being one recording.
///
/// At a rate of 0.2 a fifth of the usual happens in a second; without one, the usual.
///
/// # Errors
/// When a file cannot be read or holds no market, a synthetic symbol is not one we know, or a rate or period is none.
pub fn open(spec: &str, seed: u64) -> Result<Box<dyn Source>, SourceError> {
    if spec == SYNTHETIC {
        return Ok(Box::new(synthetic::Synthetic::new(seed, vec![listings::bitcoin()])));
    }
    if let Some(what) = spec.strip_prefix(SYNTHETIC).and_then(|rest| rest.strip_prefix(':')) {
        let (names, rate) = what.split_once('@').map_or((what, Ok(1.0)), |(names, rate)| (names, parse_rate(rate)));
        let known = |name: &str| listings::known(name).ok_or_else(|| SourceError::UnknownSymbol(name.to_owned()));
        let wanted: Result<Vec<Listing>, SourceError> = names.split(',').map(known).collect();
        return Ok(Box::new(synthetic::Synthetic::at_rate(seed, wanted?, rate?)));
    }
    if let Some(period) = spec.strip_prefix(METRONOME) {
        return Ok(Box::new(metronome::Metronome::parse(period)?));
    }
    let paths: Vec<PathBuf> = spec.split(',').map(PathBuf::from).collect();
    Ok(Box::new(recorded::Recorded::open(&paths)?))
}

fn parse_rate(text: &str) -> Result<f64, SourceError> {
    let rate = text.parse().ok().filter(|rate| synthetic::RATES.contains(rate));
    rate.ok_or_else(|| SourceError::NoRate(text.to_owned()))
}

/// Why a market cannot be had.
#[derive(Debug)]
pub enum SourceError {
    /// A file of the recording cannot be opened.
    Open {
        /// The file.
        path: PathBuf,
        /// What the operating system said.
        error: std::io::Error,
    },
    /// A file of the recording cannot be read on.
    Read {
        /// The file.
        path: PathBuf,
        /// The line that could not be read.
        line: u64,
        /// What went wrong.
        error: std::io::Error,
    },
    /// More lines are malformed than can be put down to accidents.
    Malformed {
        /// The file.
        path: PathBuf,
        /// The last malformed line.
        line: u64,
        /// What is wrong with it.
        what: String,
    },
    /// Nothing in the files is a market event.
    NoMarket {
        /// The files.
        paths: Vec<PathBuf>,
    },
    /// The synthetic market has no parameters for the symbol.
    UnknownSymbol(String),
    /// What follows the `@` of a synthetic market is no rate.
    NoRate(String),
    /// What follows `metronome:` is no period.
    NoPeriod(String),
}

impl fmt::Display for SourceError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            SourceError::Open { path, error } => {
                write!(
                    f,
                    "opening the market recording {}: {error}; name a readable file, or `synthetic`",
                    path.display()
                )
            }
            SourceError::Read { path, line, error } => {
                write!(
                    f,
                    "reading line {line} of {}: {error}; is the file damaged? try `gzip -t` on it",
                    path.display()
                )
            }
            SourceError::Malformed { path, line, what } => write!(
                f,
                "line {line} of {}: {what}; too many lines are malformed: a recording has lines `<local time> <JSON>`",
                path.display()
            ),
            SourceError::NoMarket { paths } => write!(
                f,
                "no depth, trade or bookTicker event in {}; a recording has lines `<local time> <JSON>`",
                paths.iter().map(|path| path.display().to_string()).collect::<Vec<_>>().join(", ")
            ),
            SourceError::UnknownSymbol(name) => write!(
                f,
                "no synthetic market for {name:?}; choose among {}",
                listings::KNOWN.map(|known| known.name).join(", ")
            ),
            SourceError::NoRate(text) => {
                let (least, most) = (synthetic::RATES.start(), synthetic::RATES.end());
                write!(
                    f,
                    "{text:?} is no rate of a synthetic market; write a number from {least} to {most}, such as 0.2"
                )
            }
            SourceError::NoPeriod(text) => {
                write!(f, "{text:?} is no period of a metronome; write a whole number and us, ms or s, such as 10ms")
            }
        }
    }
}

impl std::error::Error for SourceError {}

/// The word for the made-up market.
pub const SYNTHETIC: &str = "synthetic";
/// What stands before the period of a market that moves once a period.
pub const METRONOME: &str = "metronome:";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_synthetic_market_has_bitcoin_or_what_is_named() {
        let names = |spec: &str| -> Vec<String> {
            open(spec, 1).unwrap().listings().iter().map(|listing| listing.name.clone()).collect()
        };
        assert_eq!(names("synthetic"), ["BTCUSDT"]);
        assert_eq!(names("synthetic:ETHUSDT,DOGEUSDT"), ["ETHUSDT", "DOGEUSDT"]);
        let error = open("synthetic:NOPEUSDT", 1).err().unwrap().to_string();
        assert!(error.contains("NOPEUSDT") && error.contains("BTCUSDT, ETHUSDT"), "{error}");
    }

    #[test]
    fn a_rate_is_a_number_within_bounds_and_one_is_as_usual() {
        let ticks = |spec: &str| -> Vec<MarketTick> {
            let mut source = open(spec, 1).unwrap();
            (0..1_000).map(|_| source.next().unwrap().unwrap()).collect()
        };
        let usual = ticks("synthetic:BTCUSDT");
        assert_eq!(ticks("synthetic:BTCUSDT@1"), usual);
        let [usual_end, quiet_end] = [&usual, &ticks("synthetic:BTCUSDT@0.2")].map(|ticks| ticks[999].at.0);
        assert!(quiet_end > 3 * usual_end, "{quiet_end} and {usual_end} ns");
        for text in ["", "0", "-1", "NaN", "inf", "11", "fast"] {
            let error = open(&format!("synthetic:BTCUSDT@{text}"), 1).err().unwrap().to_string();
            assert!(error.contains("0.2"), "{text}: {error}");
        }
    }
}
