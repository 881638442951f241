//! What a request must pass before it meets the book: the count of orders, the least value, reduce-only, margin.
//!
//! Realistic rules only, and each only where the terms ask for it. Never changes the book or an order that rests.

use optiflow_base::money::{Notional, Price, Side};

use super::super::index_of;
use super::super::orders::{Image, OrderKind, Reason};
use super::Venue;

impl Venue {
    /// May the new order pass? A reduce-only one is cut to the position.
    pub(super) fn admit(&mut self, image: &mut Image, now: i64) -> Result<(), Reason> {
        self.count(now)?;
        self.check(image, None)
    }

    /// May the resting order `old` become `wanted`? A reduce-only one is cut to the position.
    pub(super) fn admit_change(&mut self, wanted: &mut Image, old: &Image, now: i64) -> Result<(), Reason> {
        self.count(now)?;
        self.check(wanted, Some(old))
    }

    /// How much of the position an order of `side` can close, in parts.
    pub(super) fn reducible(&self, side: Side) -> i64 {
        match side {
            Side::Buy => -self.account.position_parts(),
            Side::Sell => self.account.position_parts(),
        }
        .max(0)
    }

    /// The mark price, or the mid where none was told.
    pub(super) fn mark(&self) -> Option<Price> {
        if !self.mark.is_zero() {
            return Some(self.mark);
        }
        let best = |side| self.book.best(side).map(|tick| self.rules.scale.price(tick).units());
        let (bid, ask) = (best(Side::Buy)?, best(Side::Sell)?);
        Some(Price::from_units(bid + (ask - bid) / 2))
    }

    fn count(&mut self, now: i64) -> Result<(), Reason> {
        if self.windows.take(now, &self.terms) { Ok(()) } else { Err(Reason::TooManyOrders) }
    }

    /// The checks in the exchange's order; `old` is the order that a modification replaces.
    fn check(&self, image: &mut Image, old: Option<&Image>) -> Result<(), Reason> {
        let executed = old.map_or(0, Image::executed);
        if image.reduce_only {
            let reducible = self.reducible(image.side);
            if reducible == 0 {
                return Err(Reason::NotReducing);
            }
            image.qty = image.qty.min(executed + reducible);
            image.leaves = image.qty - executed;
            return Ok(());
        }
        if self.terms.min_notional.is_zero() && self.terms.margin.is_none() {
            return Ok(());
        }
        let price = self.price_of(image);
        let qty = self.rules.scale.qty(image.qty);
        if price.is_some_and(|price| price.times(qty) < self.terms.min_notional) {
            return Err(Reason::BelowMinNotional);
        }
        let leaves = self.rules.scale.qty((image.qty - executed).max(0));
        match price {
            Some(price) if !self.carries(image.side, price.times(leaves), old) => Err(Reason::NoMargin),
            Some(_) | None => Ok(()),
        }
    }

    /// What an order counts at: its limit; a market order counts at the mark.
    fn price_of(&self, image: &Image) -> Option<Price> {
        match image.kind {
            OrderKind::Limit => Some(self.rules.scale.price(image.tick)),
            OrderKind::Market => self.mark(),
        }
    }

    /// Does the margin carry `value` more on `side`, `old` taken away? What does not grow the larger side always passes.
    fn carries(&self, side: Side, value: Notional, old: Option<&Image>) -> bool {
        let (Some(margin), Some(mark)) = (self.terms.margin, self.mark()) else { return true };
        let held = mark.times(self.account.position());
        let towards = if side == Side::Buy { held } else { -held };
        let scale = &self.rules.scale;
        let open: Notional = self.own[index_of(side)]
            .orders()
            .iter()
            .map(|order| &order.image)
            .filter(|image| !image.reduce_only && old.is_none_or(|old| old.id != image.id))
            .map(|image| scale.notional(image.tick, image.leaves))
            .sum();
        let exposure = towards + open + value;
        let needed = exposure.units() / i128::from(margin.leverage.max(1));
        exposure <= held.abs() || needed <= (margin.wallet + self.account.equity_at(mark)).units()
    }
}
