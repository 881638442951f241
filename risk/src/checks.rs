//! The checks of one order against its limits, in the order in which they are asked.
//!
//! Pure: they read limits, quote and exposure, change nothing and answer with a reason. All sums are exact integers.
//! Risk thread.

use optiflow_base::decimal::UNITS;
use optiflow_base::ids::SymbolId;
use optiflow_base::instrument::{Adjusted, Draft, FilterError, validate_and_adjust_quantity};
use optiflow_base::money::{Notional, Price, Qty};
use optiflow_base::order::{DenyReason, NewOrder, OrderKind};

use crate::config::RiskSymbol;
use crate::exposure::{Amendable, Claim, EXITS_OPEN_MAX, Exposure};
use crate::reference::Quote;

/// Holds an order that may open or enlarge a position against everything but latches and rates.
pub(crate) fn entry(
    limits: &RiskSymbol,
    order: &NewOrder,
    quote: &Quote,
    exposure: &Exposure,
) -> Result<(), DenyReason> {
    assert!(!order.reduce_only, "an exit has checks of its own");
    filters(limits, order, quote.mark)?;
    order_size(limits, order, quote)?;
    position(limits, order, quote, exposure)?;
    open_orders(limits, exposure)?;
    price_band(limits, order, quote)
}

/// Holds a reduce-only order against the filters and the position it must shrink, and nothing else: an exit must always
/// be possible, however many orders are open and wherever the price has gone. `reference` is asked for by a limit order
/// only; what a market order does depends on no price of ours.
pub(crate) fn exit(
    limits: &RiskSymbol,
    order: &NewOrder,
    reference: Option<Price>,
    exposure: &Exposure,
) -> Result<(), DenyReason> {
    assert!(order.reduce_only, "an entry has checks of its own");
    let mark = match order.kind {
        OrderKind::Limit => reference.ok_or(DenyReason::NoReference)?,
        OrderKind::Market => Price::ZERO,
    };
    filters(limits, order, mark)?;
    let symbol = limits.instrument.symbol;
    reducing(symbol, order, exposure)?;
    if exposure.open_exits(symbol) < EXITS_OPEN_MAX { Ok(()) } else { Err(DenyReason::OpenOrders) }
}

/// Holds an open order against everything but latches and rates as if it were placed with its new terms; until it is told
/// which are in force, the position limit counts the worse of old and new.
pub(crate) fn amended_entry(
    limits: &RiskSymbol,
    amended: &Amendable,
    quote: &Quote,
    exposure: &Exposure,
) -> Result<(), DenyReason> {
    let order = &amended.as_new;
    assert!(!order.reduce_only, "an exit has checks of its own");
    filters(limits, order, quote.mark)?;
    order_size(limits, order, quote)?;
    if amended_notional(amended, quote, exposure, limits.instrument.symbol) > limits.position_notional_max {
        return Err(DenyReason::PositionLimit);
    }
    price_band(limits, order, quote)
}

/// The same of a reduce-only order: what it may newly trade must be there to reduce, beside what it may trade already.
pub(crate) fn amended_exit(
    limits: &RiskSymbol,
    amended: &Amendable,
    reference: Option<Price>,
    exposure: &Exposure,
) -> Result<(), DenyReason> {
    let order = &amended.as_new;
    filters(limits, order, reference.ok_or(DenyReason::NoReference)?)?;
    let more = i128::from(amended.worse.remaining.units()).saturating_sub(i128::from(amended.now.remaining.units()));
    let fits = more <= exposure.reducible(limits.instrument.symbol, order.side).max(0);
    if fits { Ok(()) } else { Err(DenyReason::NotReducing) }
}

/// Worst-case notional of an order's side while either of its terms may be in force.
pub(crate) fn amended_notional(amended: &Amendable, quote: &Quote, exposure: &Exposure, symbol: SymbolId) -> Notional {
    let floor = quote.valuation(amended.as_new.price);
    let worth =
        |claim: Claim| i128::from(claim.price.max(floor).units()).saturating_mul(i128::from(claim.remaining.units()));
    let others = exposure.worst_worth(symbol, amended.as_new.side, floor).saturating_sub(worth(amended.now));
    Notional::from_units(others.saturating_add(worth(amended.worse)) / UNITS_WIDE)
}

/// Worst-case notional of the order's side once it is approved: what the position limit bounds.
pub(crate) fn exposure_notional(symbol: SymbolId, order: &NewOrder, quote: &Quote, exposure: &Exposure) -> Notional {
    let floor = quote.valuation(order.price);
    let ours = i128::from(floor.units()).saturating_mul(i128::from(order.qty.units()));
    let worth = exposure.worst_worth(symbol, order.side, floor).saturating_add(ours);
    Notional::from_units(worth / UNITS_WIDE)
}

/// A lower bound of [`exposure_notional`] from the running sum `worst_units`: no order of ours valued at its own price.
pub(crate) fn least_notional(worst_units: i128, order: &NewOrder, quote: &Quote) -> Notional {
    let units = worst_units.saturating_add(i128::from(order.qty.units()));
    let qty = Qty::from_units(i64::try_from(units).unwrap_or(if units < 0 { i64::MIN } else { i64::MAX }));
    quote.valuation(order.price).times(qty)
}

/// The exchange's filters: the order must be exactly what they would make of it.
fn filters(limits: &RiskSymbol, order: &NewOrder, mark: Price) -> Result<(), DenyReason> {
    let price = match order.kind {
        OrderKind::Limit => Some(order.price),
        OrderKind::Market if order.price.is_zero() => None,
        OrderKind::Market => return Err(DenyReason::OffGrid),
    };
    if order.price.units() > UNITS_MAX {
        return Err(DenyReason::PriceFilter);
    }
    if order.qty.units() > UNITS_MAX {
        return Err(DenyReason::LotSize);
    }
    let draft = Draft { side: order.side, price, qty: order.qty, reduce_only: order.reduce_only };
    match validate_and_adjust_quantity(&limits.instrument, &draft, mark) {
        Ok(adjusted) if adjusted == (Adjusted { price, qty: order.qty }) => Ok(()),
        Ok(_) => Err(DenyReason::OffGrid),
        Err(FilterError::Price(_)) => Err(DenyReason::PriceFilter),
        Err(FilterError::QtyTooSmall(_)) => Err(DenyReason::LotSize),
        Err(FilterError::NotionalTooSmall(_)) => Err(DenyReason::MinNotional),
        Err(FilterError::PercentPrice(_)) => Err(DenyReason::PercentPrice),
    }
}

/// A reduce-only order is bounded by the position instead of by the size and position limits.
fn reducing(symbol: SymbolId, order: &NewOrder, exposure: &Exposure) -> Result<(), DenyReason> {
    let fits = i128::from(order.qty.units()) <= exposure.reducible(symbol, order.side);
    if fits { Ok(()) } else { Err(DenyReason::NotReducing) }
}

fn order_size(limits: &RiskSymbol, order: &NewOrder, quote: &Quote) -> Result<(), DenyReason> {
    let notional = quote.valuation(order.price).times(order.qty);
    if notional <= limits.order_notional_max { Ok(()) } else { Err(DenyReason::OrderSize) }
}

fn position(limits: &RiskSymbol, order: &NewOrder, quote: &Quote, exposure: &Exposure) -> Result<(), DenyReason> {
    let symbol = limits.instrument.symbol;
    let worst = exposure_notional(symbol, order, quote, exposure);
    if worst <= limits.position_notional_max {
        return Ok(());
    }
    // A position on the other side gives no credit: say so where that is all that is missing.
    let floor = i128::from(quote.valuation(order.price).units());
    let credit = floor.saturating_mul(exposure.held_against(symbol, order.side)) / UNITS_WIDE;
    let nearly = worst.units().saturating_sub(credit) <= limits.position_notional_max.units();
    Err(if nearly { DenyReason::ExitFirst } else { DenyReason::PositionLimit })
}

fn open_orders(limits: &RiskSymbol, exposure: &Exposure) -> Result<(), DenyReason> {
    let open = exposure.open_orders(limits.instrument.symbol);
    if open < limits.open_orders() { Ok(()) } else { Err(DenyReason::OpenOrders) }
}

/// Near enough to the mid and to the mark, above and below: a price far from both is a mistake on either side.
fn price_band(limits: &RiskSymbol, order: &NewOrder, quote: &Quote) -> Result<(), DenyReason> {
    let price = match order.kind {
        OrderKind::Limit => order.price,
        OrderKind::Market => quote.opposite(order.side),
    };
    let near = |anchor: Price| {
        let away = i128::from(price.units().abs_diff(anchor.units())).saturating_mul(PPM);
        away <= i128::from(anchor.units()).saturating_mul(i128::from(limits.price_band_ppm))
    };
    if near(quote.mid()) && near(quote.mark) { Ok(()) } else { Err(DenyReason::PriceBand) }
}

/// Larger numbers fit no filter, and rounding them could overflow.
const UNITS_MAX: i64 = i64::MAX / 4;
/// Units in a whole, for products of two money integers.
const UNITS_WIDE: i128 = UNITS as i128;
const PPM: i128 = 1_000_000;
