//! One symbol's account at average cost: what each fill realised, exactly.
//!
//! The cost of a position is an amount, not a price: closing a share of the position takes that share of the amount,
//! rounded to 10⁻⁸ in favour of what stays, so realised and unrealised always add up to the whole.

use optiflow_base::money::{Notional, Price, Qty, Side};

use super::moments::Moments;
use super::words::FillLine;

/// Position at average cost, and what closing it realised.
#[derive(Clone, Debug, Default)]
pub struct Account {
    position: Qty,
    /// What the open position cost (long) or brought (short): the sign is the position's.
    cost: Notional,
    realised: Notional,
    fees: Notional,
    turnover: Notional,
    fills: u64,
    makers: u64,
    maker_turnover: Notional,
    position_max: Qty,
    closings: Closings,
}

/// What fills that closed something realised, before fees.
#[derive(Clone, Debug, Default)]
pub struct Closings {
    /// Fills that closed something.
    pub count: u64,
    /// Of these, with profit.
    pub won: u64,
    /// Of these, with loss.
    pub lost: u64,
    /// Sum of profits.
    pub profit: Notional,
    /// Sum of losses, positive.
    pub loss: Notional,
    /// The best.
    pub best: Notional,
    /// The worst.
    pub worst: Notional,
    /// What was realised, bps of the closed value.
    pub bps: Moments,
    /// How many realised less than each of [`EDGES_BPS`], and more than the last.
    pub spread: [u64; EDGES_BPS.len() + 1],
}

impl Account {
    /// Books a fill; answers what it realised, `None` where it only opened.
    pub fn fill(&mut self, fill: &FillLine) -> Option<Notional> {
        let value = fill.price.times(fill.qty);
        self.fills += 1;
        self.fees += fill.fee;
        self.turnover += value;
        if fill.maker {
            self.makers += 1;
            self.maker_turnover += value;
        }
        let change = fill.side.signed(fill.qty);
        let against = (self.position.units() > 0) != (change.units() > 0) && !self.position.is_zero();
        let closed = if against { fill.qty.min(self.position.abs()) } else { Qty::ZERO };
        let opened = fill.qty - closed;
        let realised = (!closed.is_zero()).then(|| self.close(fill, closed));
        // The rest of the value, so that no rounding is lost between what closes and what opens.
        let opening = if opened == fill.qty { value } else { value - fill.price.times(closed) };
        self.cost += if fill.side == Side::Buy { opening } else { -opening };
        self.position += change;
        self.position_max = self.position_max.max(self.position.abs());
        assert!(!self.position.is_zero() || self.cost.is_zero(), "no position, no cost");
        realised
    }

    fn close(&mut self, fill: &FillLine, closed: Qty) -> Notional {
        let (part, whole) = (i128::from(closed.units()), i128::from(self.position.abs().units()));
        let cost = Notional::from_units(self.cost.units() * part / whole);
        let value = fill.price.times(closed);
        let brought = if fill.side == Side::Sell { value } else { -value };
        self.cost -= cost;
        let realised = brought - cost;
        self.realised += realised;
        self.closings.add(realised, value);
        realised
    }

    /// Signed position.
    pub const fn position(&self) -> Qty {
        self.position
    }

    /// What an open unit cost on average; `None` without a position. For reading: rounded to 10⁻⁸.
    pub fn average_price(&self) -> Option<Price> {
        let position = i128::from(self.position.units());
        let units = (position != 0).then(|| self.cost.units() * i128::from(optiflow_base::decimal::UNITS) / position);
        units.and_then(|units| i64::try_from(units).ok()).map(Price::from_units)
    }

    /// Realised so far, before fees.
    pub const fn realised(&self) -> Notional {
        self.realised
    }

    /// What the open position would bring at `mid`, beyond what it cost.
    pub fn unrealised(&self, mid: Price) -> Notional {
        mid.times(self.position) - self.cost
    }

    /// Fees paid.
    pub const fn fees(&self) -> Notional {
        self.fees
    }

    /// Value traded: all, and as maker.
    pub const fn turnover(&self) -> (Notional, Notional) {
        (self.turnover, self.maker_turnover)
    }

    /// Fills: all, and as maker.
    pub const fn fills(&self) -> (u64, u64) {
        (self.fills, self.makers)
    }

    /// The largest position held, without sign.
    pub const fn position_max(&self) -> Qty {
        self.position_max
    }

    /// What fills realised.
    pub const fn closings(&self) -> &Closings {
        &self.closings
    }
}

impl Closings {
    fn add(&mut self, realised: Notional, value: Notional) {
        self.best = if self.count == 0 { realised } else { self.best.max(realised) };
        self.worst = if self.count == 0 { realised } else { self.worst.min(realised) };
        self.count += 1;
        if realised > Notional::ZERO {
            self.won += 1;
            self.profit += realised;
        } else if realised < Notional::ZERO {
            self.lost += 1;
            self.loss += -realised;
        }
        if !value.is_zero() {
            let bps = realised.as_f64() / value.as_f64() * 1e4;
            self.bps.add(bps);
            self.spread[EDGES_BPS.iter().take_while(|edge| bps >= **edge).count()] += 1;
        }
    }

    /// Both together.
    #[must_use]
    pub fn with(&self, other: &Closings) -> Closings {
        let mut sum = self.clone();
        if other.count > 0 {
            sum.best = if self.count == 0 { other.best } else { self.best.max(other.best) };
            sum.worst = if self.count == 0 { other.worst } else { self.worst.min(other.worst) };
        }
        sum.count += other.count;
        sum.won += other.won;
        sum.lost += other.lost;
        sum.profit += other.profit;
        sum.loss += other.loss;
        sum.bps = sum.bps.with(other.bps);
        sum.spread.iter_mut().zip(&other.spread).for_each(|(sum, more)| *sum += more);
        sum
    }
}

/// Where one class of realised profit ends and the next begins, bps.
pub const EDGES_BPS: [f64; 11] = [-20.0, -10.0, -5.0, -2.0, -1.0, 0.0, 1.0, 2.0, 5.0, 10.0, 20.0];

#[cfg(test)]
mod tests {
    use optiflow_base::ids::SymbolId;

    use super::*;

    fn fill(account: &mut Account, side: Side, qty: &str, price: &str) -> Option<String> {
        let line = FillLine {
            symbol: SymbolId(0),
            id: 1,
            side,
            price: price.parse().unwrap(),
            qty: qty.parse().unwrap(),
            maker: true,
            fee: "0.01".parse().unwrap(),
            ahead: Qty::ZERO,
            exchange_ns: 0,
            local_ns: 0,
            mid: None,
        };
        account.fill(&line).map(|realised| realised.to_string())
    }

    #[test]
    fn what_a_fill_realises_is_against_the_average_cost() {
        let mut account = Account::default();
        let table = [
            (Side::Buy, "1", "100", None, "1", Some("100")),
            (Side::Buy, "1", "110", None, "2", Some("105")),
            (Side::Sell, "0.5", "111", Some("3"), "1.5", Some("105")),
            (Side::Sell, "2.5", "104", Some("-1.5"), "-1", Some("104")),
            (Side::Buy, "1", "100.5", Some("3.5"), "0", None),
        ];
        for (side, qty, price, realised, position, average) in table {
            assert_eq!(fill(&mut account, side, qty, price).as_deref(), realised, "{side:?} {qty} at {price}");
            assert_eq!(account.position().to_string(), position);
            assert_eq!(account.average_price().map(|price| price.to_string()).as_deref(), average);
        }
        assert_eq!((account.realised().to_string(), account.fees().to_string()), ("5".to_owned(), "0.05".to_owned()));
        assert_eq!(account.turnover().0.to_string(), "626");
        let closings = account.closings();
        assert_eq!((closings.count, closings.won, closings.lost), (3, 2, 1));
        assert_eq!((closings.best.to_string(), closings.worst.to_string()), ("3.5".to_owned(), "-1.5".to_owned()));
        assert_eq!(account.position_max().to_string(), "2");
    }

    proptest::proptest! {
        #[test]
        fn realised_and_unrealised_are_the_cash_and_the_position(
            fills in proptest::collection::vec((proptest::bool::ANY, 1i64..400_000_000, 1i64..90_000_000_000), 1..60),
            mid in 1i64..90_000_000_000,
        ) {
            let (mut account, mut cash) = (Account::default(), Notional::ZERO);
            for (buy, qty, price) in fills {
                let (side, qty, price) = (if buy { Side::Buy } else { Side::Sell }, Qty::from_units(qty), Price::from_units(price));
                cash += if buy { -price.times(qty) } else { price.times(qty) };
                fill(&mut account, side, &qty.to_string(), &price.to_string());
            }
            let mid = Price::from_units(mid);
            proptest::prop_assert_eq!(account.realised() + account.unrealised(mid), cash + mid.times(account.position()));
        }
    }
}
