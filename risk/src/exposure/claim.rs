//! What an order claims of the limits, and what it would claim with other terms. Risk thread.

use optiflow_base::money::{Price, Qty};
use optiflow_base::order::NewOrder;

/// An order and what other terms would make of it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Amendable {
    /// The order with the new terms.
    pub(crate) as_new: NewOrder,
    /// What it claims now.
    pub(crate) now: Claim,
    /// What it would claim until it is told which terms are in force.
    pub(crate) worse: Claim,
}

/// What an order may still trade, and the price at which that counts.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Claim {
    pub(crate) price: Price,
    pub(crate) remaining: Qty,
}
