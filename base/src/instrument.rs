//! What may be traded and how: a symbol's filters, and the one function that makes an order fit them (M15).
//!
//! All arithmetic is exact on integers. Never talks to the exchange: the venue parses the filters, this applies them.
//! Rule source: fact sheet §3.4 (PRICE_FILTER, LOT_SIZE, MARKET_LOT_SIZE, MIN_NOTIONAL, PERCENT_PRICE, MAX_NUM_ORDERS).

use std::fmt;

use crate::decimal::decimals_of;
use crate::ids::{SymbolId, SymbolName};
use crate::money::{Notional, Price, Qty, Side};

/// One tradable contract with every filter that futures orders must pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Instrument {
    /// Index in this session.
    pub symbol: SymbolId,
    /// Venue name, upper case.
    pub name: SymbolName,
    /// Smallest price step.
    pub tick_size: Price,
    /// PRICE_FILTER bounds; zero disables.
    pub price_min: Price,
    /// PRICE_FILTER bounds; zero disables.
    pub price_max: Price,
    /// Smallest quantity step of limit orders.
    pub step_size: Qty,
    /// LOT_SIZE bounds of limit orders.
    pub qty_min: Qty,
    /// LOT_SIZE bounds of limit orders.
    pub qty_max: Qty,
    /// MARKET_LOT_SIZE step.
    pub market_step_size: Qty,
    /// MARKET_LOT_SIZE lower bound.
    pub market_qty_min: Qty,
    /// MARKET_LOT_SIZE upper bound.
    pub market_qty_max: Qty,
    /// Smallest price × quantity; reduce-only orders are exempt.
    pub notional_min: Notional,
    /// A buy may not be priced above mark × this, in ppm (1 050 000 = 1.05).
    pub percent_up_ppm: i64,
    /// A sell may not be priced below mark × this, in ppm.
    pub percent_down_ppm: i64,
    /// Open orders allowed on the symbol.
    pub open_orders_max: u32,
    /// Maker fee in ppm of notional; negative is a rebate.
    pub maker_fee_ppm: i64,
    /// Taker fee in ppm of notional.
    pub taker_fee_ppm: i64,
}

/// What is asked for, before the filters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Draft {
    /// Buy or sell.
    pub side: Side,
    /// Limit price; `None` for a market order.
    pub price: Option<Price>,
    /// Wanted quantity, positive.
    pub qty: Qty,
    /// May only shrink the position (exempt from MIN_NOTIONAL).
    pub reduce_only: bool,
}

/// A draft that every filter accepts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Adjusted {
    /// Price on the tick grid, moved away from the market (never more aggressive); `None` for a market order.
    pub price: Option<Price>,
    /// Quantity on the step grid, never more than was asked for.
    pub qty: Qty,
}

/// Which filter cannot be met, and by what.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FilterError {
    /// Price outside PRICE_FILTER after rounding to the tick.
    Price(Price),
    /// Quantity below LOT_SIZE minimum after rounding down to the step.
    QtyTooSmall(Qty),
    /// Price × quantity below MIN_NOTIONAL (mark × quantity for a market order).
    NotionalTooSmall(Notional),
    /// Price beyond PERCENT_PRICE around the mark.
    PercentPrice(Price),
}

impl fmt::Display for FilterError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            FilterError::Price(price) => write!(f, "price {price} is outside PRICE_FILTER"),
            FilterError::QtyTooSmall(qty) => write!(f, "quantity {qty} is below LOT_SIZE"),
            FilterError::NotionalTooSmall(notional) => write!(f, "notional {notional} is below MIN_NOTIONAL"),
            FilterError::PercentPrice(price) => write!(f, "price {price} is outside PERCENT_PRICE"),
        }
    }
}

impl std::error::Error for FilterError {}

impl Instrument {
    /// Decimals that write every price on the tick grid.
    pub fn price_decimals(&self) -> usize {
        decimals_of(self.tick_size.units())
    }

    /// Decimals that write every quantity on the step grid.
    pub fn qty_decimals(&self) -> usize {
        decimals_of(self.step_size.units()).max(decimals_of(self.market_step_size.units()))
    }

    /// `price` on the tick grid, rounded away from the other side: a bid down, an ask up.
    pub fn round_price(&self, side: Side, price: Price) -> Price {
        let (tick, units) = (self.tick_size.units(), price.units());
        assert!(tick > 0, "an instrument has a tick");
        let down = units.saturating_sub(units.rem_euclid(tick));
        Price::from_units(match side {
            Side::Buy => down,
            Side::Sell if down == units => down,
            // Beyond the last tick that fits there is no price; no filter lets one so high pass.
            Side::Sell => down.checked_add(tick).unwrap_or(down),
        })
    }

    /// Price `ticks` steps above `price` (below when negative); saturates at prices that no filter lets pass.
    pub fn offset_ticks(&self, price: Price, ticks: i64) -> Price {
        Price::from_units(price.units().saturating_add(ticks.saturating_mul(self.tick_size.units())))
    }

    /// Least quantity that satisfies LOT_SIZE and MIN_NOTIONAL at `price`, rounded up to the step.
    pub fn qty_min_at(&self, price: Price) -> Qty {
        let step = i128::from(self.step_size.units());
        let price_units = i128::from(price.units());
        assert!(price_units > 0 && step > 0, "a quantity is sought at a positive price");
        let worth = self.notional_min.units().saturating_mul(i128::from(crate::decimal::UNITS));
        let needed = worth.saturating_add(price_units - 1) / price_units;
        let rounded = (needed.saturating_add(step - 1) / step).saturating_mul(step);
        let units = i64::try_from(rounded).unwrap_or(i64::MAX);
        Qty::from_units(units.max(self.qty_min.units()))
    }
}

/// Makes a draft fit the instrument's filters, or says which one it cannot meet.
///
/// The price moves to the tick grid away from the market, the quantity down to the step grid and to the maximum:
/// never more aggressive and never larger than asked. `mark` is the mark price (PERCENT_PRICE, and MIN_NOTIONAL of
/// market orders).
pub fn validate_and_adjust_quantity(
    instrument: &Instrument,
    draft: &Draft,
    mark: Price,
) -> Result<Adjusted, FilterError> {
    let price = draft.price.map(|price| instrument.round_price(draft.side, price));
    if let Some(price) = price {
        check_price(instrument, draft.side, price, mark)?;
    }
    let (step, min, max) = match price {
        Some(_) => (instrument.step_size, instrument.qty_min, instrument.qty_max),
        None => (instrument.market_step_size, instrument.market_qty_min, instrument.market_qty_max),
    };
    assert!(step.units() > 0, "an instrument has a step");
    let wanted = draft.qty.units().min(max.units());
    let qty = Qty::from_units(wanted.max(0) / step.units() * step.units());
    if qty < min || qty <= Qty::ZERO {
        return Err(FilterError::QtyTooSmall(draft.qty));
    }
    let notional = price.unwrap_or(mark).times(qty);
    if !draft.reduce_only && notional < instrument.notional_min {
        return Err(FilterError::NotionalTooSmall(notional));
    }
    assert!(qty <= draft.qty, "an adjusted quantity never grows");
    Ok(Adjusted { price, qty })
}

fn check_price(instrument: &Instrument, side: Side, price: Price, mark: Price) -> Result<(), FilterError> {
    let below = !instrument.price_min.is_zero() && price < instrument.price_min;
    let above = !instrument.price_max.is_zero() && price > instrument.price_max;
    if price <= Price::ZERO || below || above {
        return Err(FilterError::Price(price));
    }
    let outside = match side {
        Side::Buy => price > mark.shifted_ppm(instrument.percent_up_ppm - 1_000_000),
        Side::Sell => price < mark.shifted_ppm(instrument.percent_down_ppm - 1_000_000),
    };
    if outside { Err(FilterError::PercentPrice(price)) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn btcusdt() -> Instrument {
        let price = |text: &str| text.parse::<Price>().unwrap();
        let qty = |text: &str| text.parse::<Qty>().unwrap();
        Instrument {
            symbol: SymbolId(0),
            name: SymbolName::from("BTCUSDT").unwrap(),
            tick_size: price("0.1"),
            price_min: price("556.8"),
            price_max: price("4529764"),
            step_size: qty("0.001"),
            qty_min: qty("0.001"),
            qty_max: qty("1000"),
            market_step_size: qty("0.001"),
            market_qty_min: qty("0.001"),
            market_qty_max: qty("120"),
            notional_min: "50".parse().unwrap(),
            percent_up_ppm: 1_050_000,
            percent_down_ppm: 950_000,
            open_orders_max: 200,
            maker_fee_ppm: 200,
            taker_fee_ppm: 500,
        }
    }

    fn adjust(side: Side, price: &str, qty: &str, reduce_only: bool) -> String {
        let price = (!price.is_empty()).then(|| price.parse().unwrap());
        let draft = Draft { side, price, qty: qty.parse().unwrap(), reduce_only };
        match validate_and_adjust_quantity(&btcusdt(), &draft, "30000".parse().unwrap()) {
            Ok(Adjusted { price: Some(price), qty }) => format!("{price} {qty}"),
            Ok(Adjusted { price: None, qty }) => format!("market {qty}"),
            Err(error) => error.to_string(),
        }
    }

    #[test]
    fn orders_are_made_to_fit_or_the_filter_is_named() {
        let table = [
            (Side::Buy, "30000.19", "0.0029", false, "30000.1 0.002"),
            (Side::Sell, "30000.11", "0.0029", false, "30000.2 0.002"),
            (Side::Sell, "30000.1", "0.002", false, "30000.1 0.002"),
            (Side::Buy, "30000", "5000", false, "30000 1000"),
            (Side::Buy, "", "5000", false, "market 120"),
            (Side::Buy, "30000", "0.0009", false, "quantity 0.0009 is below LOT_SIZE"),
            (Side::Buy, "30000", "-1", false, "quantity -1 is below LOT_SIZE"),
            (Side::Buy, "30000", "0.001", false, "notional 30 is below MIN_NOTIONAL"),
            (Side::Buy, "30000", "0.001", true, "30000 0.001"),
            (Side::Buy, "", "0.001", false, "notional 30 is below MIN_NOTIONAL"),
            (Side::Buy, "31500.1", "0.01", false, "price 31500.1 is outside PERCENT_PRICE"),
            (Side::Buy, "31500", "0.01", false, "31500 0.01"),
            (Side::Sell, "28499.9", "0.01", false, "price 28499.9 is outside PERCENT_PRICE"),
            (Side::Sell, "45000", "0.01", false, "45000 0.01"),
            (Side::Buy, "556.7", "1", false, "price 556.7 is outside PRICE_FILTER"),
            (Side::Sell, "4529764.1", "1", false, "price 4529764.1 is outside PRICE_FILTER"),
        ];
        for (side, price, qty, reduce_only, expected) in table {
            assert_eq!(adjust(side, price, qty, reduce_only), expected, "{side:?} {price} {qty}");
        }
    }

    #[test]
    fn least_quantity_meets_the_minimum_notional_exactly() {
        let instrument = btcusdt();
        let price: Price = "28145.1".parse().unwrap();
        let qty = instrument.qty_min_at(price);
        assert_eq!(qty.to_string(), "0.002");
        assert!(price.times(qty) >= instrument.notional_min);
    }

    #[test]
    fn hostile_numbers_saturate() {
        let mut instrument = btcusdt();
        for units in [i64::MIN, i64::MIN + 1, i64::MAX - 1, i64::MAX] {
            for side in [Side::Buy, Side::Sell] {
                let rounded = instrument.round_price(side, Price::from_units(units));
                let draft = Draft { side, price: Some(rounded), qty: Qty::from_units(units), reduce_only: true };
                assert!(validate_and_adjust_quantity(&instrument, &draft, Price::from_units(units)).is_err());
            }
            for ticks in [i64::MIN, -1, 1, i64::MAX] {
                instrument.offset_ticks(Price::from_units(units), ticks);
            }
        }
        assert_eq!(instrument.offset_ticks(Price::from_units(i64::MAX), 1).units(), i64::MAX);
        instrument.notional_min = crate::money::Notional::from_units(i128::MAX);
        assert_eq!(instrument.qty_min_at(Price::from_units(1)).units(), i64::MAX);
    }

    proptest::proptest! {
        #[test]
        fn an_adjusted_order_passes_every_filter(price in 1i64..50_000_000, qty in 0i64..2_000_000, buy: bool, reduce: bool) {
            let instrument = btcusdt();
            let mark: Price = "30000".parse().unwrap();
            let side = if buy { Side::Buy } else { Side::Sell };
            let price = Price::from_units(price * 1_000_000);
            let draft = Draft { side, price: Some(price), qty: Qty::from_units(qty * 1_000), reduce_only: reduce };
            if let Ok(Adjusted { price: Some(fit), qty }) = validate_and_adjust_quantity(&instrument, &draft, mark) {
                proptest::prop_assert_eq!(fit.units() % instrument.tick_size.units(), 0);
                proptest::prop_assert_eq!(qty.units() % instrument.step_size.units(), 0);
                proptest::prop_assert!(fit >= instrument.price_min && fit <= instrument.price_max);
                proptest::prop_assert!(qty >= instrument.qty_min && qty <= draft.qty);
                proptest::prop_assert!(reduce || fit.times(qty) >= instrument.notional_min);
                proptest::prop_assert!(side.opposite().reaches(fit, price), "never more aggressive than asked");
            }
        }
    }
}
