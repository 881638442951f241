//! What a recording holds, learned from its first events: symbols, tick and step, kinds of trades, snapshots.
//!
//! The filters of well-known symbols are taken as they are listed, unless the recording's prices or quantities are
//! finer: then the recording is right. Never reads files.

use std::collections::BTreeMap;

use optiflow_base::decimal::decimals_of;
use optiflow_base::market::Level;
use optiflow_base::money::{Price, Qty};

use crate::market::listings;
use crate::market::recorded::gate::Gate;
use crate::market::recorded::payload::{Spoken, Word};
use crate::words::{Listing, SymbolIndex};

/// A symbol of the recording and where its replay stands.
#[derive(Debug)]
pub struct Followed {
    /// The depth in sequence.
    pub gate: Gate,
    /// A recent price, to recognise snapshots that do not name their symbol.
    pub price: Option<Price>,
    /// Single trades or aggregates; `None` while neither was seen.
    trades: Option<TradeKind>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum TradeKind {
    Single,
    Aggregate,
}

impl Followed {
    /// Is this kind of trade the one to be told? Single trades win as soon as they appear.
    pub fn counts_trade(&mut self, is_aggregate: bool) -> bool {
        let kind = if is_aggregate { TradeKind::Aggregate } else { TradeKind::Single };
        if kind == TradeKind::Single || self.trades.is_none() {
            self.trades = Some(kind);
        }
        self.trades == Some(kind)
    }
}

/// Takes the census: the listings, sorted by first appearance, and their replay at its start.
pub fn take<'a>(spoken: impl Iterator<Item = &'a Spoken> + Clone) -> (Vec<Listing>, Vec<Followed>) {
    let mut found: BTreeMap<String, Found> = BTreeMap::new();
    for (order, spoken) in spoken.clone().enumerate() {
        let Some(symbol) = &spoken.symbol else { continue };
        if found.len() < SYMBOLS_MAX || found.contains_key(symbol) {
            found.entry(symbol.clone()).or_insert_with(|| Found::new(order)).see(&spoken.what);
        }
    }
    let mut found: Vec<(String, Found)> = found.into_iter().filter(|(_, found)| found.is_market).collect();
    found.sort_by_key(|(_, found)| found.order);
    let listings: Vec<Listing> = found.iter().map(|(name, found)| found.listing(name)).collect();
    let mut followed: Vec<Followed> = found.iter().map(|(_, found)| found.followed()).collect();
    for spoken in spoken.filter(|spoken| matches!(spoken.what, Word::Snapshot { .. })) {
        if let Some(symbol) = whose(&listings, &followed, spoken) {
            followed[symbol].gate = Gate::new(true);
        }
    }
    (listings, followed)
}

/// Whose event it is. A snapshot without a name belongs to the only symbol, or to the one whose price it shows.
pub fn whose(listings: &[Listing], followed: &[Followed], spoken: &Spoken) -> Option<SymbolIndex> {
    if let Some(name) = &spoken.symbol {
        return listings.iter().position(|listing| listing.name == *name);
    }
    let Word::Snapshot { bids, .. } = &spoken.what else { return None };
    if listings.len() == 1 {
        return Some(0);
    }
    let best = bids.first()?.price.units();
    let distance = |symbol: &SymbolIndex| {
        let price = followed[*symbol].price.map_or(i64::MAX, Price::units);
        i128::from(price).abs_diff(i128::from(best))
    };
    let nearest = (0..listings.len()).min_by_key(distance)?;
    (distance(&nearest) <= u128::from(best.unsigned_abs()) / SNAPSHOT_PRICE_PART).then_some(nearest)
}

/// What was found of a symbol.
#[derive(Debug)]
struct Found {
    order: usize,
    is_market: bool,
    price_decimals: usize,
    qty_decimals: usize,
    price: Option<Price>,
    has_diffs: bool,
    has_single_trades: bool,
    has_aggregates: bool,
}

impl Found {
    const fn new(order: usize) -> Found {
        Found {
            order,
            is_market: false,
            price_decimals: 0,
            qty_decimals: 0,
            price: None,
            has_diffs: false,
            has_single_trades: false,
            has_aggregates: false,
        }
    }

    fn see(&mut self, word: &Word) {
        match word {
            Word::Snapshot { bids, asks, .. } | Word::Depth { bids, asks, .. } => {
                self.is_market = true;
                self.has_diffs |= matches!(word, Word::Depth { .. });
                bids.iter().chain(asks).for_each(|&level| self.see_level(level));
            }
            Word::Trade { is_aggregate, price, qty, .. } => {
                self.is_market = true;
                self.has_aggregates |= is_aggregate;
                self.has_single_trades |= !is_aggregate;
                self.see_price(*price);
                self.see_level(Level { price: *price, qty: *qty });
            }
            Word::Top { bid, ask, .. } => {
                self.is_market = true;
                self.see_price(bid.price);
                self.see_level(*bid);
                self.see_level(*ask);
            }
            Word::Mark { mark, .. } => {
                self.price.get_or_insert(*mark);
            }
        }
    }

    fn see_price(&mut self, price: Price) {
        self.price.get_or_insert(price);
    }

    fn see_level(&mut self, level: Level) {
        self.price_decimals = self.price_decimals.max(decimals_of(level.price.units()));
        self.qty_decimals = self.qty_decimals.max(decimals_of(level.qty.units()));
    }

    fn listing(&self, name: &str) -> Listing {
        let seen = listings::inferred(name, self.price_decimals, self.qty_decimals);
        let Some(mut listing) = listings::known(name) else { return seen };
        if seen.tick_size < listing.tick_size {
            listing.tick_size = seen.tick_size;
            listing.price_precision = listing.price_precision.max(self.price_decimals);
        }
        if seen.step_size < listing.step_size {
            listing.step_size = seen.step_size;
            listing.qty_min = seen.step_size;
            listing.qty_precision = listing.qty_precision.max(self.qty_decimals);
        }
        assert!(listing.tick_size > Price::ZERO && listing.step_size > Qty::ZERO, "grids have a mesh");
        listing
    }

    fn followed(&self) -> Followed {
        let trades = match (self.has_single_trades, self.has_aggregates) {
            (true, _) => Some(TradeKind::Single),
            (false, true) => Some(TradeKind::Aggregate),
            (false, false) => None,
        };
        let gate = if self.has_diffs { Gate::new(false) } else { Gate::of_tops() };
        Followed { gate, price: self.price, trades }
    }
}

/// Symbols of a recording that are followed.
const SYMBOLS_MAX: usize = 64;
/// A snapshot shows a symbol's price when it is off by less than one part in this many.
const SNAPSHOT_PRICE_PART: u128 = 20;
