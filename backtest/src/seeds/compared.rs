//! The whole comparison of every second, of as much as has changed since the last.
//!
//! What was found right is right as long as nothing of it changes: orders, fills and what we say of them only ever come
//! with a count of them. Reads; changes nothing.

use optiflow_base::money::Notional;
use optiflow_sim::core::Core;

use super::stakes::Version;
use super::truth::{self, Accepted};
use super::watch::Watch;
use super::{lab, ledger};

/// What was compared so far, and found right.
#[derive(Debug, Default)]
pub struct Compared {
    /// Of the orders; `None` until they were compared.
    orders: Option<Version>,
    /// Of the trades; `None` until they were compared.
    trades: Option<Trades>,
    accepted: Accepted,
}

/// Which trades were compared. Trades never change, and no other changes what is held.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Trades {
    happened: u64,
    wallet: Notional,
    lives: usize,
    told: usize,
}

impl Compared {
    /// Compares what the exchange has with what the last life says.
    ///
    /// # Errors
    /// Where they differ, in words.
    pub fn compare(&mut self, core: &Core, lives: &[Watch]) -> Result<(), String> {
        let Some(life) = lives.last() else { return Ok(()) };
        let orders = Some(Version::of(core, lives));
        if self.orders != orders {
            truth::none_disowned(core, life)?;
            self.accepted.at_most_once(core, lives)?;
            self.orders = orders;
        }
        let (happened, wallet) = (core.forgotten().fills + core.fills(None).len() as u64, core.wallet());
        let trades = Some(Trades { happened, wallet, lives: lives.len(), told: life.fills.len() });
        if self.trades != trades {
            truth::nothing_invented(core, life)?;
            ledger::adds_up(core, lab::WALLET, life)?;
            self.trades = trades;
        }
        Ok(())
    }
}
