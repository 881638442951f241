//! `echo`: one order for every move of the best prices, as small as can be and far from the market, and the order before it cancelled.
//!
//! A yardstick, not a way to earn: it shows how fast the engine can answer a tick, and every tick is answered (see
//! `benches/reaction`). Its orders are post-only buys so far below the best bid that they never trade. Whoever runs it keeps
//! the market slow enough for the account's order limits: risk refuses what goes beyond. Engine thread.

use optiflow_base::money::{Price, Side};
use optiflow_base::order::TimeInForce;

use crate::strategy::{LimitOrder, Orders, Strategy};
use crate::view::View;

/// What `echo` is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EchoConfig {
    /// How far below the best bid an order rests, ticks. At least 1.
    pub away_ticks: i64,
}

/// The strategy; one instance per symbol.
#[derive(Debug)]
pub struct Echo {
    config: EchoConfig,
    /// Best bid and ask as they were last seen.
    seen: Option<(Price, Price)>,
}

impl Echo {
    /// A strategy that follows `config`.
    pub const fn new(config: EchoConfig) -> Echo {
        Echo { config, seen: None }
    }
}

impl Strategy for Echo {
    fn name(&self) -> &'static str {
        "echo"
    }

    fn on_update(&mut self, view: &View<'_>, orders: &mut Orders) {
        let Some(reading) = view.reading else { return };
        let top = (reading.bid.price, reading.ask.price);
        if self.seen.replace(top) == Some(top) {
            return;
        }
        let (side, price) = (Side::Buy, view.instrument.offset_ticks(reading.bid.price, -self.config.away_ticks));
        if price > Price::ZERO {
            let qty = view.instrument.qty_min_at(price);
            // The new order first: that is the answer. Nothing comes of it while trading is not allowed.
            orders.limit(LimitOrder { side, price, qty, time_in_force: TimeInForce::Gtx, reduce_only: false });
        }
        for order in view.orders.live() {
            orders.cancel(order);
        }
    }
}
