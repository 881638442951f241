//! The limits: plain values that the command line has read and checked. None has a default.

use std::time::Duration;

use optiflow_base::instrument::Instrument;
use optiflow_base::money::Notional;
use optiflow_base::rates::RateLimits;

/// Limits of the session.
#[derive(Clone, Debug)]
pub struct RiskConfig {
    /// Limits of each symbol, in the order of their `SymbolId`.
    pub symbols: Vec<RiskSymbol>,
    /// Limits over all symbols together; those of each symbol hold beside them. With one symbol they may be absent.
    pub total: Option<TotalLimits>,
    /// Which codes of the exchange's refusals waiting does not heal.
    pub is_lasting: fn(i32) -> bool,
    /// How many orders may leave, and how much weight.
    pub rates: RateLimits,
    /// A top or mark older than this is no reference for a price. Entries need both, limit exits either.
    pub quote_age_max: Duration,
}

/// Limits over all symbols together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TotalLimits {
    /// Largest exposure: the sum over symbols of the worse side, position and everything open on that side filled.
    pub notional_max: Notional,
    /// Orders that may be open at once. Exits pass beyond it.
    pub open_orders_max: u32,
}

/// Limits of one symbol.
#[derive(Clone, Debug)]
pub struct RiskSymbol {
    /// The contract and its filters.
    pub instrument: Instrument,
    /// Largest single order, at the worse of its price and the mark.
    pub order_notional_max: Notional,
    /// Largest position, either way, with everything open on that side filled: each order at the worst of its own price,
    /// the ask and the mark.
    pub position_notional_max: Notional,
    /// Orders that may be open at once. An exit passes beyond it: a few dozen of them have room of their own.
    pub open_orders_max: u32,
    /// Furthest a limit price may be from the mid and from the mark, in ppm of each. Exits are bound by the exchange's
    /// own filter alone.
    pub price_band_ppm: i64,
}

impl RiskSymbol {
    /// Orders that may be open at once, by our limit and by the exchange's.
    pub(crate) fn open_orders(&self) -> u32 {
        self.open_orders_max.min(self.instrument.open_orders_max)
    }
}

impl RiskConfig {
    /// Asserts what the reader of the configuration has already proven to the user.
    pub(crate) fn assert_sound(&self) {
        let RateLimits { orders_ten_seconds, orders_minute, weight_minute, reserve_percent } = self.rates;
        assert!(reserve_percent < 100, "a reserve leaves something to trade with");
        assert!(orders_ten_seconds > 0 && orders_minute > 0 && weight_minute > 0, "budgets are positive");
        assert!(self.total.is_some() || self.symbols.len() <= 1, "several symbols have limits together");
        let sound = |total: TotalLimits| total.notional_max > Notional::ZERO && total.open_orders_max > 0;
        assert!(self.total.is_none_or(sound), "limits over all symbols are positive");
        for (index, symbol) in self.symbols.iter().enumerate() {
            assert!(symbol.instrument.symbol.index() == index, "symbols are listed in the order of their ids");
            assert!(symbol.order_notional_max > Notional::ZERO, "an order limit is positive");
            assert!(symbol.position_notional_max > Notional::ZERO, "a position limit is positive");
            assert!(symbol.price_band_ppm > 0, "a price band has a width");
            assert!(symbol.open_orders() > 0, "some order may be open");
        }
    }
}
