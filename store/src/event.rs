//! One stored event: the row every market is replayed from.
//!
//! A depth message is as many rows as it has levels; all but the last say that more of the message follows, and so do
//! the rows of a snapshot, of a best-price pair and of a mark price. Whoever replays acts on the last one. Never
//! allocates; used by every thread that replays.

use optiflow_base::clock::Nanos;
use optiflow_base::ids::SymbolId;
use optiflow_base::money::{Price, Qty, Side};

/// One event, or one level of one, of one symbol.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Row {
    /// When it happened at the exchange.
    pub exch: Nanos,
    /// When it was received.
    pub local: Nanos,
    /// Price; the rate in 10⁻⁸ for [`Kind::Funding`].
    pub price: Price,
    /// Quantity; zero removes a level.
    pub qty: Qty,
    /// Book update id of a level or a best price, trade id, or the next funding time in ms; 0 where there is none.
    pub id: u64,
    /// Which symbol, by its place in the table that comes with the rows.
    pub symbol: SymbolId,
    /// What kind of event.
    pub kind: Kind,
    /// Side of the book, or of the taker; `None` where there is none.
    pub side: Option<Side>,
    /// Whose clock it counts on, and whether its message goes on.
    pub flags: Flags,
}

/// What kind of event a row is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u8)]
pub enum Kind {
    /// A level of the book now has this quantity.
    Depth,
    /// The same, as part of a snapshot.
    Snapshot,
    /// Levels are removed: of one side from the best to `price` (all of it when `price` is zero), or the whole book.
    Clear,
    /// A trade; the side is the taker's.
    Trade,
    /// The best price of one side; a pair, bid then ask, is one message.
    Top,
    /// Mark price.
    Mark,
    /// Index price.
    Index,
    /// Funding rate, and when it is next paid.
    Funding,
}

impl Kind {
    /// All of them, in order.
    pub const ALL: [Kind; 8] =
        [Kind::Depth, Kind::Snapshot, Kind::Clear, Kind::Trade, Kind::Top, Kind::Mark, Kind::Index, Kind::Funding];

    /// As written in the file.
    pub const fn name(self) -> &'static str {
        match self {
            Kind::Depth => "depth",
            Kind::Snapshot => "snapshot",
            Kind::Clear => "clear",
            Kind::Trade => "trade",
            Kind::Top => "top",
            Kind::Mark => "mark",
            Kind::Index => "index",
            Kind::Funding => "funding",
        }
    }

    /// Do its price and quantity lie on the symbol's tick and lot?
    pub const fn is_on_grid(self) -> bool {
        match self {
            Kind::Depth | Kind::Snapshot | Kind::Trade | Kind::Top => true,
            Kind::Clear | Kind::Mark | Kind::Index | Kind::Funding => false,
        }
    }
}

/// Whose clock a row counts on, and whether more rows of its message follow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Flags(u8);

impl Flags {
    /// Counts on both clocks, complete in itself.
    pub const BOTH: Flags = Flags(EXCH | LOCAL);
    /// Counts on the exchange's clock only.
    pub const EXCH: Flags = Flags(EXCH);
    /// Counts on the receiver's clock only.
    pub const LOCAL: Flags = Flags(LOCAL);

    /// The same, with or without more rows of the message to come.
    #[must_use]
    pub const fn with_more(self, more: bool) -> Flags {
        Flags(if more { self.0 | MORE } else { self.0 & !MORE })
    }

    /// The same, on the clocks of `clocks`.
    #[must_use]
    pub const fn on(self, clocks: Flags) -> Flags {
        Flags(self.0 & MORE | clocks.0 & (EXCH | LOCAL))
    }
}

impl Row {
    /// Does it count on the exchange's clock?
    pub const fn on_exch(&self) -> bool {
        self.flags.0 & EXCH != 0
    }

    /// Does it count on the receiver's clock?
    pub const fn on_local(&self) -> bool {
        self.flags.0 & LOCAL != 0
    }

    /// Do more rows of the same message follow?
    pub const fn more(&self) -> bool {
        self.flags.0 & MORE != 0
    }
}

const EXCH: u8 = 1;
const LOCAL: u8 = 2;
const MORE: u8 = 4;

const _: () = assert!(size_of::<Row>() == 48, "a row is three quarters of a cache line");
