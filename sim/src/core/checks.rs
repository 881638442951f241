//! What an order must satisfy to be let in: filters, percent price, notional, margin; and the account's margin figures.
//!
//! Never changes anything.

use optiflow_base::money::{Notional, Price, Qty, Side};
use optiflow_base::order::OrderKind;

use crate::core::Core;
use crate::core::brackets::notional_max;
use crate::words::{Listing, Order, Placement, Reject, SymbolIndex};

impl Core {
    /// Initial margin that a symbol binds: position and open orders, at the mark.
    pub fn initial_margin(&self, symbol: SymbolIndex) -> Notional {
        self.per_leverage(symbol, self.exposure_with(symbol, None, None))
    }

    /// The part of the initial margin that the position alone binds.
    pub fn position_margin(&self, symbol: SymbolIndex) -> Notional {
        let value = self.reference_price(symbol).times(self.account.position(symbol).qty.abs());
        self.per_leverage(symbol, value)
    }

    /// What is free for new orders: wallet and unrealised profit less what is bound.
    pub fn available(&self) -> Notional {
        let symbols = 0..self.markets.len();
        let free = |symbol| self.unrealized(symbol) - self.initial_margin(symbol);
        self.wallet() + symbols.map(free).sum::<Notional>()
    }

    /// Open orders' notional on a side of a symbol.
    pub fn open_notional(&self, symbol: SymbolIndex, side: Side) -> Notional {
        self.open_value(symbol, side, None)
    }

    /// Checks the filters for a limit order.
    pub(super) fn check_limit(&self, symbol: SymbolIndex, side: Side, price: Price, qty: Qty) -> Result<(), Reject> {
        let listing = &self.config.listings[symbol];
        check_price(listing, price)?;
        check_qty(listing, qty, listing.qty_max)?;
        match self.band(symbol, side) {
            Some(bound) if !side.reaches(bound, price) => Err(match side {
                Side::Buy => Reject::PriceAboveBand(bound),
                Side::Sell => Reject::PriceBelowBand(bound),
            }),
            Some(_) | None => Ok(()),
        }
    }

    /// Checks the filters for a market order, and that there is somebody to trade with.
    pub(super) fn check_market(&self, symbol: SymbolIndex, side: Side, qty: Qty) -> Result<(), Reject> {
        let listing = &self.config.listings[symbol];
        check_qty(listing, qty, listing.market_qty_max)?;
        let market = &self.markets[symbol];
        let best = market.queue.best(&market.book, side).ok_or(Reject::NoLiquidity)?;
        let is_near = self.band(symbol, side).is_none_or(|bound| side.reaches(bound, best));
        if is_near { Ok(()) } else { Err(Reject::CounterpartyBeyondBand) }
    }

    /// May the leverage be set so: is what is held and ordered not too much for it, and is there margin for it?
    ///
    /// # Errors
    /// Why not.
    pub fn check_leverage(&self, symbol: SymbolIndex, leverage: u32) -> Result<(), Reject> {
        let exposure = self.exposure_with(symbol, None, None);
        if exposure > notional_max(leverage) {
            return Err(Reject::PositionTooLarge);
        }
        let more = Notional::from_units(exposure.units() / i128::from(leverage.max(1))) - self.initial_margin(symbol);
        let is_bearable = more <= Notional::ZERO || more <= self.available();
        if is_bearable { Ok(()) } else { Err(Reject::LeverageTooLow) }
    }

    /// Checks MIN_NOTIONAL at a price.
    pub(super) fn check_notional(&self, symbol: SymbolIndex, price: Price, qty: Qty) -> Result<(), Reject> {
        let least = self.config.listings[symbol].notional_min;
        if price.times(qty) < least { Err(Reject::NotionalTooLow(least)) } else { Ok(()) }
    }

    /// Worst price that PERCENT_PRICE lets a side take; `None` while there is no mark.
    pub(super) fn band(&self, symbol: SymbolIndex, side: Side) -> Option<Price> {
        let mark = self.markets[symbol].mark.mark;
        let ppm = self.config.listings[symbol].percent_price_ppm;
        match side {
            _ if mark.is_zero() => None,
            Side::Buy => Some(mark.shifted_ppm(ppm)),
            Side::Sell => Some(mark.shifted_ppm(-ppm)),
        }
    }

    /// Do the leverage's limit and the margin suffice for `value` more on a side, not counting the order `except`? What
    /// shrinks exposure is always let in.
    pub(super) fn check_exposure(
        &self,
        symbol: SymbolIndex,
        side: Side,
        value: Notional,
        except: Option<u64>,
    ) -> Result<(), Reject> {
        let exposure = self.exposure_with(symbol, Some((side, value)), except);
        let is_more = exposure > self.exposure_with(symbol, None, None);
        if is_more && exposure > notional_max(self.account.leverage(symbol)) {
            return Err(Reject::PositionTooLarge);
        }
        let grown = self.per_leverage(symbol, exposure) - self.initial_margin(symbol);
        if grown > Notional::ZERO && grown > self.available() { Err(Reject::InsufficientMargin) } else { Ok(()) }
    }

    /// The price at which an order's value counts for margin: a market order's is the reference price.
    pub(super) fn margin_price(&self, placed: &Placement) -> Price {
        match placed.kind {
            OrderKind::Limit => placed.price,
            OrderKind::Market => self.reference_price(placed.symbol),
        }
    }

    /// Exposure is the worse of all buys filled and all sells filled.
    fn exposure_with(&self, symbol: SymbolIndex, more: Option<(Side, Notional)>, except: Option<u64>) -> Notional {
        let held = self.reference_price(symbol).times(self.account.position(symbol).qty);
        let mut buys = self.open_value(symbol, Side::Buy, except);
        let mut sells = self.open_value(symbol, Side::Sell, except);
        match more {
            Some((Side::Buy, value)) => buys += value,
            Some((Side::Sell, value)) => sells += value,
            None => {}
        }
        (held + buys).abs().max((held - sells).abs())
    }

    fn open_value(&self, symbol: SymbolIndex, side: Side, except: Option<u64>) -> Notional {
        let excepted = except.and_then(|id| self.orders.by_id(id)).filter(|order| order.placed.side == side);
        self.orders.open_notional(symbol, side) - excepted.map(Order::open_notional).unwrap_or_default()
    }

    fn per_leverage(&self, symbol: SymbolIndex, value: Notional) -> Notional {
        Notional::from_units(value.units() / i128::from(self.account.leverage(symbol)))
    }
}

fn check_price(listing: &Listing, price: Price) -> Result<(), Reject> {
    if price <= Price::ZERO || price < listing.price_min {
        return Err(Reject::PriceTooLow);
    }
    if price > listing.price_max {
        return Err(Reject::PriceTooHigh);
    }
    if price.units() % listing.tick_size.units() == 0 { Ok(()) } else { Err(Reject::PriceOffTick) }
}

fn check_qty(listing: &Listing, qty: Qty, most: Qty) -> Result<(), Reject> {
    if qty <= Qty::ZERO || qty < listing.qty_min {
        return Err(Reject::QtyTooLow);
    }
    if qty > most {
        return Err(Reject::QtyTooHigh);
    }
    if qty.units() % listing.step_size.units() == 0 { Ok(()) } else { Err(Reject::QtyOffStep) }
}
