//! Stage 3: every intent becomes `Approved` or is denied with a reason.
//!
//! What it does: holds the limits (size, position, open orders, price band, request rates), the filters of the exchange
//! and the kill latch against every intent, on the worst case of all orders whose fate is not proven.
//! What it never does: it opens no socket, reads no file, decides no trade, and no order passes without it: an
//! [`approved::Approved`] can be made nowhere else. It never allocates after its tables have been built.
//! Which thread: the risk stage's; it is stepped, never started.

#![cfg_attr(not(test), deny(clippy::arithmetic_side_effects))]

pub mod approved;
mod checks;
pub mod config;
mod exposure;
pub mod latches;
mod rates;
mod reference;
pub mod refusals;
pub mod stage;
mod total;

pub use approved::Approved;
pub use config::{RiskConfig, RiskSymbol, TotalLimits};
pub use stage::{Risk, RiskPorts};
