//! The yardstick: a symmetric grid market maker with inventory skew, for speed and parity.
//!
//! Its prices are computed in floats, in the order written down for it, because two backtesters must come to the same
//! last digit; they become ticks before anything is sent. Never looks at anything but best prices, its position and
//! its orders.

use optiflow_base::decimal::UNITS;
use optiflow_base::money::Side;

use super::Scale;
use super::local::{Local, Order};
use super::orders::TimeInForce;
use super::run::{Desk, Trader};

/// What a grid is made of.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct GridConfig {
    /// Distance of the first price from the mid, relative.
    pub half_spread: f64,
    /// Distance between prices, relative.
    pub interval: f64,
    /// Prices a side.
    pub levels: usize,
    /// Shift per unit of normalised position, relative.
    pub skew: f64,
    /// Quantity of each order, in the base asset.
    pub order_qty: f64,
    /// No more buying from here on, no more selling from its negative on; in the base asset.
    pub max_position: f64,
    /// Time between two looks.
    pub period_ns: i64,
}

impl Default for GridConfig {
    fn default() -> GridConfig {
        GridConfig {
            half_spread: 0.000_05,
            interval: 0.000_05,
            levels: 10,
            skew: 0.000_005,
            order_qty: 0.01,
            max_position: 0.1,
            period_ns: 100_000_000,
        }
    }
}

/// The grid market maker.
#[derive(Clone, Debug)]
pub struct Grid {
    config: GridConfig,
    scale: Scale,
    tick: f64,
    parts: i64,
    bids: Vec<Wanted>,
    asks: Vec<Wanted>,
    cancels: Vec<u64>,
    quiet: Option<Look>,
    /// The last wake asked for something.
    asked: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Wanted {
    id: u64,
    tick: i32,
}

/// All that a decision depends on: the same look at the same orders asks for the same, and that was nothing.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Look {
    best_bid: i32,
    best_ask: i32,
    version: u64,
    bid: f64,
    ask: f64,
    step: f64,
}

impl Grid {
    /// A grid on a symbol.
    pub fn new(config: GridConfig, scale: Scale) -> Grid {
        assert!(config.period_ns > 0 && config.levels <= LEVELS_MAX, "a grid has a period and a bounded depth");
        let parts =
            scale.parts(optiflow_base::money::Qty::from_units((config.order_qty * UNITS as f64).round() as i64));
        assert!(parts > 0, "an order has a quantity");
        Grid {
            config,
            scale,
            tick: scale.tick.units() as f64 / UNITS as f64,
            parts,
            bids: Vec::with_capacity(config.levels),
            asks: Vec::with_capacity(config.levels),
            cancels: Vec::with_capacity(LEVELS_MAX),
            quiet: None,
            asked: false,
        }
    }

    /// First bid, first ask and the distance between prices.
    fn prices(&self, best_bid: i32, best_ask: i32, position: f64) -> (f64, f64, f64) {
        let GridConfig { half_spread, interval, skew, order_qty, .. } = self.config;
        let (best_bid, best_ask) = (f64::from(best_bid) * self.tick, f64::from(best_ask) * self.tick);
        let mid = (best_bid + best_ask) / 2.0;
        let normalised = position / order_qty;
        let bid = (mid * (1.0 - (half_spread + skew * normalised))).min(best_bid);
        let ask = (mid * (1.0 + (half_spread - skew * normalised))).max(best_ask);
        let step = ((mid * interval / self.tick + 0.5).floor() * self.tick).max(self.tick);
        ((bid / step).floor() * step, (ask / step).ceil() * step, step)
    }

    fn want(&mut self, bid: f64, ask: f64, step: f64, position: f64) {
        self.bids.clear();
        self.asks.clear();
        let (mut bid, mut ask) = (bid, ask);
        for _ in 0..self.config.levels {
            if position < self.config.max_position {
                self.bids.push(wanted(bid, self.tick));
                bid -= step;
            }
            if position > -self.config.max_position {
                self.asks.push(wanted(ask, self.tick));
                ask += step;
            }
        }
    }

    /// Sends what is asked for; was anything sent?
    fn ask_for(&mut self, desk: &mut Desk<'_>) -> bool {
        self.cancels.clear();
        for order in desk.local().orders() {
            let wanted = match order.image.side {
                Side::Buy => &self.bids,
                Side::Sell => &self.asks,
            };
            if order.is_cancellable() && !wanted.iter().any(|wanted| wanted.id == order.image.id) {
                self.cancels.push(order.image.id);
            }
        }
        let mut sent = !self.cancels.is_empty();
        for id in &self.cancels {
            let cancelled = desk.cancel(*id);
            assert!(cancelled.is_ok(), "an order that can be cancelled is");
        }
        for (side, wanted) in [(Side::Buy, &self.bids), (Side::Sell, &self.asks)] {
            for Wanted { id, tick } in wanted {
                if !desk.local().knows(*id) {
                    sent |= desk.submit(&Order::limit(*id, side, TimeInForce::Gtx, *tick, self.parts)).is_ok();
                }
            }
        }
        sent
    }

    fn position(&self, local: &Local) -> f64 {
        self.scale.qty(local.ledger().position_parts()).units() as f64 / UNITS as f64
    }
}

impl Trader for Grid {
    fn start(&mut self, first_ns: i64) -> Option<i64> {
        Some(first_ns + self.config.period_ns)
    }

    #[inline]
    fn wake(&mut self, desk: &mut Desk<'_>) -> Option<i64> {
        let next = Some(desk.now() + self.config.period_ns);
        desk.forget_ended();
        self.asked = false;
        let local = desk.local();
        let (Some(best_bid), Some(best_ask)) = (local.book().best(Side::Buy), local.book().best(Side::Sell)) else {
            return next;
        };
        let version = local.version();
        if let Some(quiet) = &self.quiet
            && (quiet.best_bid, quiet.best_ask, quiet.version) == (best_bid, best_ask, version)
        {
            return next;
        }
        let position = self.position(local);
        let (bid, ask, step) = self.prices(best_bid, best_ask, position);
        let look = Look { best_bid, best_ask, version, bid, ask, step };
        if let Some(quiet) = &mut self.quiet
            && (quiet.version, quiet.bid, quiet.ask, quiet.step) == (version, bid, ask, step)
        {
            *quiet = look;
            return next;
        }
        self.want(bid, ask, step, position);
        self.asked = self.ask_for(desk);
        self.quiet = if self.asked { None } else { Some(look) };
        next
    }

    fn rhythm_ns(&self) -> Option<i64> {
        (!self.asked).then_some(self.config.period_ns)
    }
}

fn wanted(price: f64, tick: f64) -> Wanted {
    let tick = (price / tick + 0.5).floor();
    Wanted { id: tick as u64, tick: tick as i32 }
}

const LEVELS_MAX: usize = 1_000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prices_sit_on_the_grid_outside_the_spread() {
        let scale = Scale::lots("0.1".parse().unwrap(), "0.001".parse().unwrap());
        let grid = Grid::new(GridConfig::default(), scale);
        let (bid, ask, step) = grid.prices(600_000, 600_001, 0.0);
        assert_eq!((bid.round() as i64, ask.round() as i64, step.round() as i64), (59_997, 60_006, 3));
        let (lower, _, _) = grid.prices(600_000, 600_001, 0.05);
        assert!(lower < bid, "long lowers the bid");
        assert_eq!(wanted(59_997.0, 0.1).tick, 599_970);
    }
}
