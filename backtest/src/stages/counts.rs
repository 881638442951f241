//! What was answered and what was refused, here and there, counted as we learn of it. Never decides anything.

use optiflow_sim::replay::orders::Reason;
use optiflow_sim::replay::run::Tally;

/// The counts of a run.
#[derive(Default)]
pub(super) struct Counts {
    /// Answers about orders.
    pub(super) answers: u64,
    /// Requests that were held back here: by risk, or by the gate and the table of the oms.
    pub(super) refusals: u64,
    /// What the exchange did besides matching.
    pub(super) tally: Tally,
}

impl Counts {
    /// An answer about an order of ours, and why, where it is not the plain course of things.
    pub(super) const fn answer(&mut self, reason: Reason) {
        self.answers += 1;
        match reason {
            // An order of ours that a liquidation cancelled is part of it: the exchange tells the liquidation by itself.
            Reason::None | Reason::Liquidation => {}
            Reason::TooManyOrders => self.tally.limited += 1,
            Reason::BelowMinNotional => self.tally.below_min_notional += 1,
            Reason::NotReducing => self.tally.not_reducing += 1,
            Reason::NoMargin => self.tally.no_margin += 1,
            Reason::SelfTrade => self.tally.self_trades += 1,
        }
    }
}
