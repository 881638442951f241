//! An order in the memory of a test: what is true of it at the exchange, what was told, and what both leave open.

use optiflow_base::ids::SymbolId;
use optiflow_base::money::Price;
use optiflow_base::order::{NewOrder, OrderChange, Terms};

/// An approved order: what is true of it at the exchange, and what has been told.
pub struct Life {
    pub symbol: SymbolId,
    pub order: NewOrder,
    pub stage: Stage,
    pub qty: i64,
    pub filled: i64,
    /// Other terms that are on their way.
    pub wish: Option<Terms>,
    pub story: Vec<OrderChange>,
    pub told: usize,
    /// Approved modifications, each with how much had been told before it.
    pub asked: Vec<(usize, Terms)>,
}

#[derive(Clone, Copy, PartialEq)]
pub enum Stage {
    Flying,
    Open,
    Over,
}

/// What an order may still trade by all that was told.
pub struct Claim {
    pub price: Price,
    pub left: i64,
    pub filled: i64,
    pub amended: bool,
}

impl Life {
    /// Tells its story again, from the beginning; `None` once its end was told.
    pub fn claim(&self) -> Option<Claim> {
        let (mut terms, mut amended) = (Terms { price: self.order.price, qty: self.order.qty }, None);
        let mut filled = 0;
        for at in 0..=self.told {
            amended = self.asked.iter().rfind(|asked| asked.0 == at).map(|asked| asked.1).or(amended);
            match self.story[..self.told].get(at) {
                Some(OrderChange::Filled { qty, .. }) => filled += qty.units(),
                Some(OrderChange::Modified { price, qty, .. }) => {
                    (terms, amended) = (Terms { price: *price, qty: *qty }, None);
                }
                Some(OrderChange::ModifyRefused { .. }) => amended = None,
                Some(change) if change.is_end() => return None,
                Some(_) | None => {}
            }
        }
        let (price, qty) =
            amended.map_or((terms.price, terms.qty), |new| (new.price.max(terms.price), new.qty.max(terms.qty)));
        Some(Claim { price, left: (qty.units() - filled).max(0), filled, amended: amended.is_some() })
    }

    pub fn told_trades(&self) -> i64 {
        let trades = self.story[..self.told].iter();
        trades.map(|change| if let OrderChange::Filled { qty, .. } = change { qty.units() } else { 0 }).sum()
    }

    /// What could still trade at the exchange.
    pub fn left(&self) -> i64 {
        let most = self.wish.map_or(self.qty, |wish| wish.qty.units().max(self.qty));
        if self.stage == Stage::Over { 0 } else { (most - self.filled).max(0) }
    }
}
