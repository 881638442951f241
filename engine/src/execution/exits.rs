//! Exits: one working reduce-only order that leaves the position, resting while there is time, taking when there is none.
//!
//! A resting exit keeps its place while it is young or near enough and of the right size. One that takes replaces it at
//! once: it goes through the touch by so many ticks (IOC), and after so many failures, or where no filter allows the price, as
//! a market order. Refusals of resting exits never hold one that takes up, and its own pauses are short: a position past its
//! stop must not wait for a person. A reduce-only refusal (−2022) means that the position is not what we believe: the oms
//! compares it with the exchange's meanwhile, and the pause is what that takes. Decides not when to leave. Engine thread.

use std::time::Duration;

use optiflow_base::clock::nanos_of;
use optiflow_base::instrument::{Adjusted, Draft, Instrument, validate_and_adjust_quantity};
use optiflow_base::money::{Price, Side};
use optiflow_base::order::{OrderEvent, TimeInForce};

use super::is_near;
use super::pace::{Breaker, Pace, Setback};
use crate::orders::OwnOrder;
use crate::signals::Reading;
use crate::strategy::{LimitOrder, Orders};
use crate::view::View;

/// How a strategy would leave its position now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Leave {
    /// Wait at this price, post-only.
    Rest(Price),
    /// Now, whatever it costs.
    Take,
}

/// How that is carried out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ExitPolicy {
    /// A resting exit is left alone for so long.
    pub life_min: Duration,
    /// A resting exit moves when its price is this many ticks away from the one it should have.
    pub reprice_ticks: i64,
    /// How far through the touch an exit that takes is priced, ticks.
    pub cross_ticks: i64,
    /// Exits that take may fail so often before a market order.
    pub cross_attempts_max: u32,
    /// Orders of any second that a resting exit leaves to one that takes.
    pub kept_for_taking: usize,
}

/// Leaves one position.
#[derive(Debug)]
pub struct Exits {
    policy: ExitPolicy,
    rest_breaker: Breaker,
    taking_breaker: Breaker,
    /// Taking exits sent for the present position.
    crossings: u32,
}

/// The order that carries it out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Exit {
    /// Rest at this price, post-only.
    Rest(Price),
    /// Take up to this price; the rest expires.
    Cross(Price),
    /// Take whatever the book gives.
    Market,
}

impl Exits {
    /// Exits as `policy` says; after refusals each kind pauses for itself, one that takes by [`TAKING_PAUSE_MAX`] at most.
    pub fn new(policy: ExitPolicy, cooldown: Duration, pause: Duration, refusals_max: u32) -> Exits {
        let breaker = |pause: Duration| Breaker::new(cooldown.min(pause), pause, refusals_max);
        let (rest_breaker, taking_breaker) = (breaker(pause), breaker(pause.min(TAKING_PAUSE_MAX)));
        Exits { policy, rest_breaker, taking_breaker, crossings: 0 }
    }

    /// The position is flat: what failed for it is forgotten, and orders that would leave it go.
    pub fn rest(&mut self, view: &View<'_>, orders: &mut Orders) {
        self.crossings = 0;
        view.orders.exits().for_each(|order| orders.cancel(order));
    }

    /// Cancels exits that should go, and asks for the one that is wanted when no other works. `reference` is what the
    /// filters measure a price against.
    pub fn seek(
        &mut self,
        view: &View<'_>,
        (reading, reference): (&Reading, Price),
        leave: Leave,
        pace: &mut Pace,
        orders: &mut Orders,
    ) {
        let Some(side) = view.position.side().map(Side::opposite) else { return };
        let (exit, fit) = self.fitting(view, self.exit_for(view.instrument, reading, side, leave), side, reference);
        let mut working = false;
        for order in view.orders.exits() {
            working = true;
            if !self.keeps(view, order, exit, fit) {
                orders.cancel(order);
            }
        }
        let taking = exit.is_taking();
        let kept = if taking { 0 } else { self.policy.kept_for_taking };
        if working || !self.breaker(taking).allows(view.now) || !pace.allows(view.now, kept) {
            return;
        }
        let Some(Adjusted { price, qty }) = fit else {
            self.breaker(taking).refused(Setback::Unfit, view.now);
            return;
        };
        let limit = |price, time_in_force| LimitOrder { side, price, qty, time_in_force, reduce_only: true };
        let placed = match (exit, price) {
            (Exit::Rest(_), Some(price)) => orders.limit(limit(price, TimeInForce::Gtx)),
            (Exit::Cross(_), Some(price)) => orders.limit(limit(price, TimeInForce::Ioc)),
            (Exit::Market, _) | (_, None) => orders.market_exit(side, qty),
        };
        if placed.is_some() {
            pace.note(view.now);
            self.crossings = self.crossings.saturating_add(u32::from(taking));
        }
    }

    /// Takes in what happened to an exit.
    pub fn on_report(&mut self, order: &OwnOrder, event: &OrderEvent) {
        assert!(order.reduce_only, "entries are heard elsewhere");
        self.breaker(order.time_in_force != TimeInForce::Gtx).hear(order, event);
    }

    /// The codes of refusals that came again and again, each once.
    pub fn take_alarms(&mut self) -> impl Iterator<Item = i64> {
        [self.rest_breaker.take_alarm(), self.taking_breaker.take_alarm()].into_iter().flatten()
    }

    const fn breaker(&mut self, taking: bool) -> &mut Breaker {
        if taking { &mut self.taking_breaker } else { &mut self.rest_breaker }
    }

    fn exit_for(&self, instrument: &Instrument, reading: &Reading, side: Side, leave: Leave) -> Exit {
        match leave {
            Leave::Rest(price) => Exit::Rest(price),
            Leave::Take if self.crossings >= self.policy.cross_attempts_max => Exit::Market,
            Leave::Take => Exit::Cross(match side {
                Side::Buy => instrument.offset_ticks(reading.ask.price, self.policy.cross_ticks),
                Side::Sell => instrument.offset_ticks(reading.bid.price, -self.policy.cross_ticks),
            }),
        }
    }

    /// Made to fit the filters; one that takes at a price no filter allows becomes a market order.
    fn fitting(&self, view: &View<'_>, exit: Exit, side: Side, reference: Price) -> (Exit, Option<Adjusted>) {
        let fit = |price: Option<Price>| {
            let draft = Draft { side, price, qty: view.position.qty.abs(), reduce_only: true };
            validate_and_adjust_quantity(view.instrument, &draft, reference).ok()
        };
        match exit {
            Exit::Cross(price) if fit(Some(price)).is_none() => (Exit::Market, fit(None)),
            Exit::Rest(_) | Exit::Cross(_) | Exit::Market => (exit, fit(exit.price())),
        }
    }

    /// A taking exit replaces a resting one at once; a resting one moves only after its least life.
    fn keeps(&self, view: &View<'_>, order: &OwnOrder, exit: Exit, fit: Option<Adjusted>) -> bool {
        let resting = order.time_in_force == TimeInForce::Gtx;
        match exit {
            Exit::Rest(price) if resting => {
                let young = order.age(view.now) < nanos_of(self.policy.life_min);
                let whole = fit.is_some_and(|fit| fit.qty == order.remaining());
                young || (whole && is_near(view.instrument, order.price, price, self.policy.reprice_ticks))
            }
            Exit::Rest(_) => true,
            Exit::Cross(_) | Exit::Market => !resting,
        }
    }
}

impl Exit {
    const fn price(self) -> Option<Price> {
        match self {
            Exit::Rest(price) | Exit::Cross(price) => Some(price),
            Exit::Market => None,
        }
    }

    const fn is_taking(self) -> bool {
        match self {
            Exit::Rest(_) => false,
            Exit::Cross(_) | Exit::Market => true,
        }
    }
}

/// Longest pause of exits that take.
pub const TAKING_PAUSE_MAX: Duration = Duration::from_millis(500);
