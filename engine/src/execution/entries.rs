//! Entries: at most one working order that may open a position, post-only, kept at the market.
//!
//! A quote is left alone while it is young, whatever the signal does: to cancel at every flicker costs the place in the
//! queue and the order limits. Then it stays as long as its reason holds, and is given up when it has waited too long. While
//! its cancel is under way nothing else is placed. Decides neither side nor price nor size. Engine thread.

use std::time::Duration;

use optiflow_base::clock::nanos_of;
use optiflow_base::instrument::Adjusted;
use optiflow_base::money::{Price, Side};
use optiflow_base::order::{OrderEvent, TimeInForce};

use super::pace::{Breaker, Pace, Setback};
use crate::orders::OwnOrder;
use crate::strategy::{LimitOrder, Orders};
use crate::view::View;

/// How long a quote lives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct QuoteLife {
    /// Nothing is done about it for so long, unless something is wrong.
    pub min: Duration,
    /// After so long it is cancelled, filled in part or not at all.
    pub max: Duration,
}

/// The entry that a strategy would have now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Wanted {
    /// Buy or sell.
    pub side: Side,
    /// Its price.
    pub price: Price,
    /// What the filters make of it; `None`: no order of this kind fits them.
    pub fit: Option<Adjusted>,
}

/// Keeps one entry at the market.
#[derive(Debug)]
pub struct Entries {
    life: QuoteLife,
    breaker: Breaker,
    /// Orders of any second that are left to others.
    kept: usize,
}

impl Entries {
    /// Quotes that live as `life` says, held back by `breaker`; of the orders in any second it leaves `kept` to exits.
    pub const fn new(life: QuoteLife, breaker: Breaker, kept: usize) -> Entries {
        Entries { life, breaker, kept }
    }

    /// Cancels the entry that should go, and asks for the one that is wanted when nothing else works: `holds` says of a
    /// working entry whether its reason still does, `wanted` is asked only when an order could leave.
    pub fn seek(
        &mut self,
        view: &View<'_>,
        pace: &mut Pace,
        orders: &mut Orders,
        holds: impl Fn(&OwnOrder) -> bool,
        wanted: impl FnOnce() -> Option<Wanted>,
    ) {
        for order in view.orders.entries().filter(|order| !self.keeps(view, order, &holds)) {
            orders.cancel(order);
        }
        let working = view.orders.live().next().is_some();
        if working || !self.breaker.allows(view.now) || !pace.allows(view.now, self.kept) {
            return;
        }
        let Some(Wanted { side, price, fit }) = wanted() else { return };
        let Some(adjusted) = fit else {
            self.breaker.refused(Setback::Unfit, view.now);
            return;
        };
        let (price, qty) = (adjusted.price.unwrap_or(price), adjusted.qty);
        let time_in_force = TimeInForce::Gtx;
        if orders.limit(LimitOrder { side, price, qty, time_in_force, reduce_only: false }).is_some() {
            pace.note(view.now);
        }
    }

    /// Takes in what happened to an entry.
    pub fn on_report(&mut self, order: &OwnOrder, event: &OrderEvent) {
        assert!(!order.reduce_only, "exits are heard elsewhere");
        self.breaker.hear(order, event);
    }

    /// The code of a refusal that came again and again, once.
    pub fn take_alarm(&mut self) -> Option<i64> {
        self.breaker.take_alarm()
    }

    fn keeps(&self, view: &View<'_>, order: &OwnOrder, holds: impl Fn(&OwnOrder) -> bool) -> bool {
        let age = order.age(view.now);
        age < nanos_of(self.life.min) || (age < nanos_of(self.life.max) && holds(order))
    }
}
