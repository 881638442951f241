//! The desk's part in conditional orders: watches prices, places what they trigger, tells what became of them.

use optiflow_base::clock::Nanos;
use optiflow_base::money::{Price, Qty};

use super::Desk;
use crate::binance::algo::{Algo, AlgoStatus, Algos, Watched};
use crate::binance::errors::ApiError;
use crate::words::{CoreEvent, Order, OrderKey, Reject, SymbolIndex, Tick};

impl Desk {
    /// The conditional orders.
    pub const fn algos(&self) -> &Algos {
        &self.algos
    }

    /// Takes a conditional order.
    pub fn place_algo(&mut self, now: Nanos, algo: Algo) -> Algo {
        let algo = self.algos.add(algo).clone();
        self.tell_algo(now, &algo);
        algo
    }

    /// Cancels a conditional order that waits.
    pub fn cancel_algo(&mut self, now: Nanos, id: u64) -> Option<Algo> {
        let algo = self.algos.change(now, id, |algo| algo.status = AlgoStatus::Canceled)?.clone();
        self.tell_algo(now, &algo);
        Some(algo)
    }

    /// The price that is watched, zero while there is none.
    pub fn watched_price(&self, symbol: SymbolIndex, watched: Watched) -> Price {
        match watched {
            Watched::Contract => self.core.last_trade_price(symbol).unwrap_or_default(),
            Watched::Mark => self.core.mark(symbol).mark,
        }
    }

    /// Notes what an event means to conditional orders: a price that triggers, an order that has ended.
    pub(super) fn watch(&mut self, now: Nanos, event: &CoreEvent) {
        match event {
            CoreEvent::Market(tick) => {
                let (watched, price) = match &tick.what {
                    Tick::Trade { price, .. } => (Watched::Contract, *price),
                    Tick::Mark { mark, .. } => (Watched::Mark, *mark),
                    Tick::Snapshot { .. } | Tick::Depth { .. } | Tick::Top { .. } | Tick::Single { .. } => return,
                };
                let touched = self.algos.triggered_by(tick.symbol, watched, price);
                let fresh: Vec<u64> = touched.into_iter().filter(|id| !self.triggered.contains(id)).collect();
                self.triggered.extend(fresh);
            }
            CoreEvent::Fill { order, .. } | CoreEvent::Ended { order, .. } if !order.status.is_open() => {
                let Some(id) = self.algos.of_order(order.id) else { return };
                let finished = self.algos.change(now, id, |algo| algo.status = AlgoStatus::Finished).cloned();
                if let Some(algo) = finished {
                    self.streams.on_algo(now, &algo, Some(order));
                }
            }
            CoreEvent::Fill { .. }
            | CoreEvent::Ended { .. }
            | CoreEvent::New(_)
            | CoreEvent::Amended(_)
            | CoreEvent::Liquidation { .. }
            | CoreEvent::Funding { .. } => {}
        }
    }

    /// Places the orders of the conditional orders that were triggered.
    pub(super) fn fire(&mut self, now: Nanos) {
        for id in std::mem::take(&mut self.triggered) {
            let Some(algo) = self.algos.find(&OrderKey::Id(id)).filter(|algo| algo.status == AlgoStatus::New) else {
                continue;
            };
            let mut placed = algo.placed.clone();
            if algo.close_position {
                placed.qty = self.core.position(placed.symbol).qty.abs();
            }
            let (price, qty) = (placed.price, placed.qty);
            let outcome = match qty {
                Qty::ZERO => Err(Reject::NotReducing),
                _ => self.core.place(now, placed, &mut self.events),
            };
            let told = self.algos.change(now, id, |algo| match &outcome {
                Ok(order) => {
                    algo.status = AlgoStatus::Triggered;
                    algo.order = Some(order.id);
                    algo.triggered = Some(now);
                }
                Err(reject) => {
                    algo.status = AlgoStatus::Rejected;
                    algo.refused = refusal(reject, price, qty);
                }
            });
            if let Some(algo) = told.cloned() {
                self.streams.on_algo(now, &algo, None);
            }
            self.publish(now);
        }
    }

    fn tell_algo(&mut self, now: Nanos, algo: &Algo) {
        self.streams.on_algo(now, algo, None::<&Order>);
    }
}

fn refusal(reject: &Reject, price: Price, qty: Qty) -> String {
    if *reject == Reject::NotReducing {
        return "Reduce Only reject".to_owned();
    }
    ApiError::from_reject(reject, price, qty).msg
}
