//! The account of one run: position, cash and fees, exact, from the fills told.
//!
//! Never estimates and never forgets: each fill is booked once, and conservation is an equation of integers.

use optiflow_base::money::{Notional, Qty, Side};

use super::Scale;
use super::orders::Image;

/// What the fills add up to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ledger {
    scale: Scale,
    maker_fee_ppm: i64,
    taker_fee_ppm: i64,
    position: i64,
    cash: Notional,
    fees: Notional,
    turnover: Notional,
    bought: i64,
    sold: i64,
    fills: u64,
}

impl Ledger {
    /// Nothing traded yet.
    pub const fn new(scale: Scale, maker_fee_ppm: i64, taker_fee_ppm: i64) -> Ledger {
        Ledger {
            scale,
            maker_fee_ppm,
            taker_fee_ppm,
            position: 0,
            cash: Notional::ZERO,
            fees: Notional::ZERO,
            turnover: Notional::ZERO,
            bought: 0,
            sold: 0,
            fills: 0,
        }
    }

    /// Books the image's last execution.
    pub fn book(&mut self, image: &Image) {
        assert!(image.exec_qty > 0, "a fill has a quantity");
        let value = self.scale.notional(image.exec_tick, image.exec_qty);
        let fee = self.fee(image);
        match image.side {
            Side::Buy => {
                self.position += image.exec_qty;
                self.bought += image.exec_qty;
                self.cash -= value;
            }
            Side::Sell => {
                self.position -= image.exec_qty;
                self.sold += image.exec_qty;
                self.cash += value;
            }
        }
        self.turnover += value;
        self.fees += fee;
        self.fills += 1;
        assert!(self.position == self.bought - self.sold, "a position is what was bought and not sold");
    }

    /// The fee of the image's last execution.
    pub const fn fee(&self, image: &Image) -> Notional {
        let value = self.scale.notional(image.exec_tick, image.exec_qty);
        value.share_ppm(if image.maker { self.maker_fee_ppm } else { self.taker_fee_ppm })
    }

    /// Signed position in parts.
    #[inline]
    pub const fn position_parts(&self) -> i64 {
        self.position
    }

    /// Signed position.
    pub const fn position(&self) -> Qty {
        self.scale.qty(self.position)
    }

    /// Received minus paid, before fees.
    pub const fn cash(&self) -> Notional {
        self.cash
    }

    /// Fees paid; negative is rebates received.
    pub const fn fees(&self) -> Notional {
        self.fees
    }

    /// Value traded, both sides.
    pub const fn turnover(&self) -> Notional {
        self.turnover
    }

    /// Executions booked.
    pub const fn fills(&self) -> u64 {
        self.fills
    }

    /// Cash, fees and the position valued at `tick`.
    pub fn equity(&self, tick: i32) -> Notional {
        self.cash - self.fees + self.scale.notional(tick, self.position)
    }
}
