//! What a strategy sees: one symbol at one instant, read-only.
//! Built by the engine for every decision; owns nothing, decides nothing. Engine thread.

use std::time::Duration;

use optiflow_base::clock::{Nanos, nanos_of};
use optiflow_base::instrument::Instrument;
use optiflow_base::market::StreamKind;
use optiflow_base::money::Price;
use optiflow_base::rates::Rates;

use crate::book::{Book, BookState};
use crate::orders::OwnOrders;
use crate::position::Position;
use crate::signals::{Reading, Signals};

/// One symbol at one instant.
#[derive(Clone, Copy, Debug)]
pub struct View<'a> {
    /// The present.
    pub now: Nanos,
    /// The contract and its filters.
    pub instrument: &'a Instrument,
    /// The order book.
    pub book: &'a Book,
    /// Windowed sums, for strategies that want more than the reading.
    pub signals: &'a Signals,
    /// The signals of this instant; `None` while the book is not tradable.
    pub reading: Option<Reading>,
    /// Mark price; zero until known.
    pub mark: Price,
    /// Our position.
    pub position: Position,
    /// Our orders.
    pub orders: &'a OwnOrders,
    /// Our use of the exchange's limits.
    pub rates: &'a Rates,
    /// May new risk be opened, as far as orders and account are concerned?
    pub gate_open: bool,
    /// May a position be closed, as far as orders and account are concerned?
    pub exits_open: bool,
    /// When the last message that keeps the book up to date was received; zero before the first.
    pub book_heard: Nanos,
    /// Which streams are silent beyond their limit.
    pub silent: SilentStreams,
}

/// Why no new risk may be opened now. The gravest is named first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trouble {
    /// No order can be sent, or none may be: not yet reconciled, no order socket, account trouble, or stopping.
    GateClosed,
    /// No believable book.
    BookNotSynced,
    /// A side is missing, or bid and ask have crossed.
    BookNotTradable,
    /// The book has not been heard of for longer than the strategy allows.
    BookStale,
    /// Orders or positions are in doubt: the gate lets reduce-only orders pass and no others.
    ExitsOnly,
    /// The mark price is not known yet: risk measures every entry against it.
    NoMark,
    /// A stream is silent beyond its limit.
    StreamSilent(StreamKind),
}

/// Which streams are silent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SilentStreams {
    flags: [bool; StreamKind::ALL.len()],
}

impl View<'_> {
    /// Nanoseconds since the book was last heard of.
    pub fn book_age(&self) -> u64 {
        self.now.since(self.book_heard)
    }

    /// Why no new risk may be opened now, if so. Whatever forbids exits as well comes before what does not, so that
    /// the trouble that is named never hides a graver one.
    pub fn trouble(&self, stale_after: Duration) -> Option<Trouble> {
        if !self.exits_open {
            Some(Trouble::GateClosed)
        } else if self.book.state() != BookState::Synced {
            Some(Trouble::BookNotSynced)
        } else if self.reading.is_none() {
            Some(Trouble::BookNotTradable)
        } else if self.book_age() > nanos_of(stale_after) {
            Some(Trouble::BookStale)
        } else if self.silent.is(StreamKind::Depth) {
            Some(Trouble::StreamSilent(StreamKind::Depth))
        } else if !self.gate_open {
            Some(Trouble::ExitsOnly)
        } else if self.mark.is_zero() {
            Some(Trouble::NoMark)
        } else {
            self.silent.first().map(Trouble::StreamSilent)
        }
    }
}

impl Trouble {
    /// Are the prices themselves in doubt, or orders impossible? If not, a position may still be closed: a stream of
    /// trades or marks that went silent is no reason to keep a risk when the book is good.
    pub const fn forbids_exits(&self) -> bool {
        match self {
            Trouble::GateClosed
            | Trouble::BookNotSynced
            | Trouble::BookNotTradable
            | Trouble::BookStale
            | Trouble::StreamSilent(StreamKind::Depth) => true,
            Trouble::ExitsOnly
            | Trouble::NoMark
            | Trouble::StreamSilent(StreamKind::Top | StreamKind::Trade | StreamKind::Mark) => false,
        }
    }
}

impl SilentStreams {
    /// Notes that a stream went silent or speaks again.
    pub fn set(&mut self, stream: StreamKind, silent: bool) {
        self.flags[stream as usize] = silent;
    }

    /// Is this stream silent?
    pub const fn is(&self, stream: StreamKind) -> bool {
        self.flags[stream as usize]
    }

    /// The first silent stream; depth, top, trade, mark in this order.
    pub fn first(&self) -> Option<StreamKind> {
        StreamKind::ALL.into_iter().find(|stream| self.flags[*stream as usize])
    }
}
