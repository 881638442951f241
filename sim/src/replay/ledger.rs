//! The account of one run: position, cash, fees and funding, exact, from the fills and payments told.
//!
//! Never estimates and never forgets: each fill is booked once, and conservation is an equation of integers.

use optiflow_base::money::{Notional, Price, Qty, Side};

use super::orders::{Funding, Image, LIQUIDATION};
use super::{ReplayConfig, Scale};

/// What the fills add up to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ledger {
    scale: Scale,
    maker_fee_ppm: i64,
    taker_fee_ppm: i64,
    liquidation_fee_ppm: i64,
    position: i64,
    cash: Notional,
    fees: Notional,
    funding: Notional,
    turnover: Notional,
    bought: i64,
    sold: i64,
    fills: u64,
}

impl Ledger {
    /// Nothing traded yet.
    pub const fn new(config: &ReplayConfig) -> Ledger {
        let liquidation_fee_ppm = match config.terms.margin {
            Some(margin) => margin.liquidation_fee_ppm,
            None => 0,
        };
        Ledger {
            scale: config.scale,
            maker_fee_ppm: config.maker_fee_ppm,
            taker_fee_ppm: config.taker_fee_ppm,
            liquidation_fee_ppm,
            position: 0,
            cash: Notional::ZERO,
            fees: Notional::ZERO,
            funding: Notional::ZERO,
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

    /// Books funding.
    pub fn fund(&mut self, funding: &Funding) {
        self.funding += funding.received;
    }

    /// The fee of the image's last execution; a liquidation's is dearer.
    pub const fn fee(&self, image: &Image) -> Notional {
        let value = self.scale.notional(image.exec_tick, image.exec_qty);
        let rate = if image.maker { self.maker_fee_ppm } else { self.taker_fee_ppm };
        value.share_ppm(if image.id == LIQUIDATION { rate + self.liquidation_fee_ppm } else { rate })
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

    /// Funding received minus paid.
    pub const fn funding(&self) -> Notional {
        self.funding
    }

    /// Received minus paid for what was traded, before fees and funding.
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

    /// Cash less fees, funding, and the position valued at `tick`.
    pub fn equity(&self, tick: i32) -> Notional {
        self.equity_at(self.scale.price(tick))
    }

    /// The same, the position valued at `price`.
    pub fn equity_at(&self, price: Price) -> Notional {
        self.cash - self.fees + self.funding + price.times(self.position())
    }
}
