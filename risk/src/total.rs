//! Limits over all symbols together: exposure in notional, and open orders.
//!
//! A symbol counts by its worse side, with every order whose end is not proven filled. While a symbol has no fresh price
//! its exposure counts by the last one, but never below the symbol's own limit; where none was ever heard it counts as
//! boundless. Pure but for its tables, which are built once. Risk thread.

use optiflow_base::clock::Nanos;
use optiflow_base::decimal::UNITS;
use optiflow_base::ids::SymbolId;
use optiflow_base::money::{Notional, Price};
use optiflow_base::order::DenyReason;

use crate::config::{RiskConfig, TotalLimits};
use crate::exposure::Exposure;
use crate::reference::Reference;

/// The limits, and room to sum up in.
#[derive(Debug)]
pub(crate) struct Total {
    limits: TotalLimits,
    /// The price at which each symbol's position is valued; zero: none was ever heard.
    floors: Vec<Price>,
    /// What buys and sells of each symbol are worth, in units of price × units of quantity.
    worths: Vec<[i128; 2]>,
}

impl Total {
    /// `None` where no limits are configured.
    pub(crate) fn new(config: &RiskConfig) -> Option<Total> {
        let symbols = config.symbols.len();
        let table = |limits| Total { limits, floors: vec![Price::ZERO; symbols], worths: vec![[0; 2]; symbols] };
        config.total.map(table)
    }

    /// May an order be opened in `symbol`, beside all that are open?
    pub(crate) fn may_open(&self, exposure: &Exposure) -> Result<(), DenyReason> {
        if exposure.open_total() < self.limits.open_orders_max as usize {
            Ok(())
        } else {
            Err(DenyReason::TotalOpenOrders)
        }
    }

    /// Does the exposure of all keep its limit when that of `symbol` becomes `notional` on the side of the order and stays
    /// as it is on the other?
    pub(crate) fn fits(
        &mut self,
        now: Nanos,
        (symbol, notional): (SymbolId, Notional),
        (config, references, exposure): (&RiskConfig, &[Reference], &Exposure),
    ) -> Result<(), DenyReason> {
        for (floor, reference) in self.floors.iter_mut().zip(references) {
            *floor = reference.last();
        }
        exposure.worths(&self.floors, &mut self.worths);
        let mut total = notional.units();
        for (index, worth) in self.worths.iter().enumerate() {
            let worst = whole(worth[0].max(worth[1]));
            let counted = if index == symbol.index() {
                worst.saturating_sub(notional.units()).max(0)
            } else if worst == 0 && !exposure.has_any(index) {
                0
            } else if references[index].fresh(now, config.quote_age_max).is_some() {
                worst
            } else if self.floors[index] > Price::ZERO {
                worst.max(config.symbols[index].position_notional_max.units())
            } else {
                i128::MAX
            };
            total = total.saturating_add(counted);
        }
        let fits = total <= self.limits.notional_max.units();
        if fits { Ok(()) } else { Err(DenyReason::TotalLimit) }
    }
}

/// Rounded up: a sum of symbols is never too small.
fn whole(worth: i128) -> i128 {
    worth.saturating_add(UNITS_WIDE).saturating_sub(1) / UNITS_WIDE
}

/// Units in a whole.
const UNITS_WIDE: i128 = UNITS as i128;
