//! What the exchange does at times of its own: funding at its time, a look at the margin every second of a position,
//! liquidation.
//!
//! Realistic rules only. Never on the way of a row: the run stops its rows before [`Venue::alarm_ns`] and calls
//! [`Venue::settle`].

use optiflow_base::decimal::UNITS;
use optiflow_base::money::{Notional, Side};

use super::super::index_of;
use super::super::links::Links;
use super::super::orders::{Funding, Image, LIQUIDATION, OrderKind, Reason, Status, Tells, TimeInForce};
use super::super::rows::Row;
use super::super::terms::SelfTrade;
use super::Venue;
use crate::core::brackets::maintenance_margin;

/// When the exchange does something of its own accord.
#[derive(Clone, Copy, Debug)]
pub(super) struct Alarms {
    /// When funding is next settled, and its rate in 10⁻⁸.
    funding: Option<(i64, i64)>,
    /// When the margin is next looked at.
    look_ns: i64,
    /// The earlier of both.
    next_ns: i64,
    /// Rows are wanted up to here.
    until_ns: i64,
    /// And, before the next alarm, up to here.
    stop_ns: i64,
}

impl Alarms {
    pub(super) const fn new() -> Alarms {
        Alarms { funding: None, look_ns: i64::MAX, next_ns: i64::MAX, until_ns: i64::MIN, stop_ns: i64::MIN }
    }

    fn change(&mut self) {
        self.next_ns = self.funding.map_or(i64::MAX, |(at, _)| at).min(self.look_ns);
        self.stop_ns = self.until_ns.min(self.next_ns - 1);
    }
}

impl Venue {
    /// When the exchange next does something of its own accord: before everything else of that time.
    #[inline]
    pub const fn alarm_ns(&self) -> i64 {
        self.alarms.next_ns
    }

    /// Rows are wanted up to `until`.
    #[inline]
    pub fn stop_at(&mut self, until: i64) {
        self.alarms.until_ns = until;
        self.alarms.stop_ns = until.min(self.alarms.next_ns - 1);
    }

    /// No row after this may be applied before [`Venue::settle`] or another [`Venue::stop_at`].
    #[inline]
    pub const fn stop_ns(&self) -> i64 {
        self.alarms.stop_ns
    }

    /// Does what is due at [`Venue::alarm_ns`].
    pub fn settle(&mut self, links: &mut Links) {
        let now = self.alarms.next_ns;
        if let Some((at, rate)) = self.alarms.funding.filter(|(at, _)| *at == now) {
            self.alarms.funding = None;
            self.pay(at, rate, links);
        }
        if self.alarms.look_ns == now {
            self.alarms.look_ns = after(now);
            self.look(now, links);
        }
        self.alarms.change();
    }

    /// A rate, and when it is paid; a time that has passed is no time.
    pub(super) fn funding_row(&mut self, row: &Row) {
        self.alarms.funding = row.next_funding_ns().filter(|at| *at > row.exchange_ns()).map(|at| (at, row.rate()));
        self.alarms.change();
    }

    /// The position has changed.
    pub(super) fn watch(&mut self, now: i64) {
        if self.terms.margin.is_some() {
            let held = self.account.position_parts() != 0;
            self.alarms.look_ns = if held { self.alarms.look_ns.min(after(now)) } else { i64::MAX };
            self.alarms.change();
        }
    }

    /// Longs pay a positive rate, shorts receive it: position × mark × rate, rounded towards zero.
    fn pay(&mut self, now: i64, rate: i64, links: &mut Links) {
        let position = self.account.position_parts();
        let Some(mark) = self.mark().filter(|_| position != 0) else { return };
        let value = mark.times(self.account.position()).units();
        let received = Notional::from_units(-(value * i128::from(rate) / i128::from(UNITS)));
        let funding = Funding { exchange_ns: now, local_ns: now, position, mark, rate, received };
        self.account.fund(&funding);
        links.fund(funding);
    }

    fn look(&mut self, now: i64, links: &mut Links) {
        let (Some(margin), Some(mark)) = (self.terms.margin, self.mark()) else { return };
        let equity = margin.wallet + self.account.equity_at(mark);
        if equity < maintenance_margin(mark.times(self.account.position())) {
            self.liquidate(now, links);
        }
    }

    /// Ends every order and closes the position at what is displayed; what finds no taker is tried again a second later.
    fn liquidate(&mut self, now: i64, links: &mut Links) {
        for index in 0..2 {
            while !self.own[index].is_empty() {
                let order = self.remove(index, 0);
                let image = Image { status: Status::Canceled, exchange_ns: now, ..order.image };
                links.explain(now, image, Tells::State, Reason::Liquidation);
            }
        }
        let position = self.account.position_parts();
        let side = if position > 0 { Side::Sell } else { Side::Buy };
        let mut image = Image {
            id: LIQUIDATION,
            side,
            kind: OrderKind::Market,
            time_in_force: TimeInForce::Ioc,
            status: Status::None,
            maker: false,
            reduce_only: true,
            self_trade: SelfTrade::None,
            tick: 0,
            exec_tick: 0,
            qty: position.abs(),
            leaves: position.abs(),
            exec_qty: 0,
            ahead: 0,
            exchange_ns: now,
            requested_ns: now,
        };
        let index = index_of(side.opposite());
        let mut next = self.key_after(index, i32::MAX, false);
        while let Some(key) = next.filter(|_| image.leaves > 0) {
            self.take_at(&mut image, index, key, i64::MAX, now, links);
            next = self.key_after(index, key, false);
        }
        if image.status == Status::PartiallyFilled {
            self.expire(image, Reason::Liquidation, now, links);
        }
    }
}

/// The next whole second after `now`.
const fn after(now: i64) -> i64 {
    (now.div_euclid(SECOND_NS) + 1) * SECOND_NS
}

const SECOND_NS: i64 = 1_000_000_000;
