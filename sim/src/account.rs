//! The client's account: wallet, positions, realised profit, fees, funding, in exact integers.
//!
//! One-way mode, one quote asset. The cost of a position is kept as the sum of what was paid, so that closing it
//! realises exactly what came back less what went in, whatever the average price rounds to.
//! Never decides whether an order is allowed; never a float. Which thread: whoever drives the core.

use optiflow_base::clock::Nanos;
use optiflow_base::decimal::UNITS;
use optiflow_base::money::{Notional, Price, Qty, Side};

use crate::words::{Position, SymbolIndex};

/// The account.
#[derive(Clone, Debug)]
pub struct Account {
    wallet: Notional,
    holdings: Vec<Holding>,
}

#[derive(Clone, Debug)]
struct Holding {
    position: Position,
    leverage: u32,
}

impl Account {
    /// An account with `wallet` of the quote asset and flat positions in `symbols` symbols.
    pub fn new(wallet: Notional, symbols: usize, leverage: u32) -> Account {
        assert!(leverage > 0, "leverage divides");
        let holding = Holding { position: Position::default(), leverage };
        Account { wallet, holdings: vec![holding; symbols] }
    }

    /// Books a fill and its fee; returns the profit it realised, before the fee.
    pub fn fill(
        &mut self,
        at: Nanos,
        symbol: SymbolIndex,
        side: Side,
        price: Price,
        qty: Qty,
        fee: Notional,
    ) -> Notional {
        assert!(qty > Qty::ZERO && price > Price::ZERO, "a fill has a quantity and a price");
        let realized = self.holdings[symbol].fill(side, price, qty, fee);
        self.holdings[symbol].position.updated = at;
        self.wallet += realized - fee;
        realized
    }

    /// Pays or receives funding on a position at the mark; returns the change of the wallet.
    pub fn fund(&mut self, symbol: SymbolIndex, mark: Price, rate: i64) -> Notional {
        let value = mark.times(self.holdings[symbol].position.qty);
        let change = Notional::from_units(-(value.units() * i128::from(rate) / i128::from(UNITS)));
        self.wallet += change;
        change
    }

    /// The wallet, without unrealised profit.
    pub const fn wallet(&self) -> Notional {
        self.wallet
    }

    /// Is nothing held?
    pub fn is_flat(&self) -> bool {
        self.holdings.iter().all(|holding| holding.position.qty.is_zero())
    }

    /// The position in a symbol.
    pub fn position(&self, symbol: SymbolIndex) -> Position {
        self.holdings[symbol].position
    }

    /// Profit of a position if it were closed at the mark.
    pub fn unrealized(&self, symbol: SymbolIndex, mark: Price) -> Notional {
        self.holdings[symbol].position.unrealized(mark)
    }

    /// Leverage of a symbol.
    pub fn leverage(&self, symbol: SymbolIndex) -> u32 {
        self.holdings[symbol].leverage
    }

    /// Sets the leverage of a symbol.
    pub fn set_leverage(&mut self, symbol: SymbolIndex, leverage: u32) {
        assert!(leverage > 0, "leverage divides");
        self.holdings[symbol].leverage = leverage;
    }
}

impl Holding {
    fn fill(&mut self, side: Side, price: Price, qty: Qty, fee: Notional) -> Notional {
        let held = self.position.qty;
        let reduces = side.signed(held) < Qty::ZERO;
        let closing = if reduces { qty.min(held.abs()) } else { Qty::ZERO };
        let opening = qty - closing;
        let mut realized = Notional::ZERO;
        if !closing.is_zero() {
            let cost = part(self.position.cost, closing, held);
            let value = price.times(qty) - price.times(opening);
            realized = if held > Qty::ZERO { value - cost } else { cost - value };
            self.position.cost -= cost;
            self.position.fees = part(self.position.fees, held.abs() - closing, held);
        }
        let position = &mut self.position;
        position.cost += price.times(opening);
        position.fees += part(fee, opening, qty);
        position.qty += side.signed(qty);
        position.realized += realized;
        position.entry = average(position.cost, position.qty);
        assert!(position.cost >= Notional::ZERO, "what is held was paid for");
        assert!(!position.qty.is_zero() || position.cost.is_zero(), "a flat position has no cost");
        realized
    }
}

impl Position {
    /// Profit if it were closed at the mark; none while no mark is known.
    pub fn unrealized(&self, mark: Price) -> Notional {
        let value = mark.times(self.qty.abs());
        match self.qty {
            _ if mark.is_zero() => Notional::ZERO,
            long if long >= Qty::ZERO => value - self.cost,
            _ => self.cost - value,
        }
    }

    /// Where it would break even, the fees paid for it included; zero when flat.
    pub fn break_even(&self) -> Price {
        let per_unit = average(self.fees, self.qty);
        if self.qty >= Qty::ZERO { self.entry + per_unit } else { self.entry - per_unit }
    }
}

/// The share that `of` has in the `whole`, both taken without sign.
fn part(amount: Notional, of: Qty, whole: Qty) -> Notional {
    Notional::from_units(amount.units() * i128::from(of.abs().units()) / i128::from(whole.abs().units()))
}

/// Average price of `qty` bought or sold for `cost`, rounded down to 10⁻⁸; zero when flat.
fn average(cost: Notional, qty: Qty) -> Price {
    if qty.is_zero() {
        return Price::ZERO;
    }
    let units = cost.units() * i128::from(UNITS) / i128::from(qty.abs().units());
    Price::from_units(i64::try_from(units).unwrap_or(i64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn fill(account: &mut Account, text: &str) -> String {
        let (side, rest) = text.split_once(' ').unwrap();
        let (qty, price) = rest.split_once('@').unwrap();
        let side = if side == "buy" { Side::Buy } else { Side::Sell };
        let price: Price = price.parse().unwrap();
        let qty: Qty = qty.parse().unwrap();
        let fee = price.times(qty).share_ppm(200);
        let realized = account.fill(Nanos(1), 0, side, price, qty, fee);
        let position = account.position(0);
        format!("{realized} -> {}@{}", position.qty, position.entry)
    }

    #[test]
    fn fills_open_grow_reduce_close_and_flip_the_position() {
        let mut account = Account::new("1000".parse().unwrap(), 1, 20);
        for (text, expected) in [
            ("buy 1@100", "0 -> 1@100"),
            ("buy 1@110", "0 -> 2@105"),
            ("sell 0.5@115", "5 -> 1.5@105"),
            ("sell 2@100", "-7.5 -> -0.5@100"),
            ("sell 0.5@104", "0 -> -1@102"),
            ("buy 1@101", "1 -> 0@0"),
        ] {
            assert_eq!(fill(&mut account, text), expected, "{text}");
        }
        assert_eq!(account.position(0).realized.to_string(), "-1.5");
        let fees = "0.1241".parse::<Notional>().unwrap();
        assert_eq!(account.wallet(), "998.5".parse::<Notional>().unwrap() - fees);
    }

    #[test]
    fn break_even_counts_the_fees_of_what_is_still_held() {
        let mut account = Account::new("1000".parse().unwrap(), 1, 20);
        // Fill and its fee; fees and break-even price of the position afterwards.
        for (side, qty, fee, expected) in [
            (Side::Buy, "1", "0.2", "0.2 100.2"),
            (Side::Buy, "2", "0.4", "0.6 100.2"),
            (Side::Sell, "2", "0.5", "0.2 100.2"),
            (Side::Sell, "2", "0.4", "0.2 99.8"),
            (Side::Sell, "1", "-0.3", "-0.1 100.05"),
            (Side::Buy, "2", "0.1", "0 0"),
        ] {
            account.fill(Nanos(1), 0, side, "100".parse().unwrap(), qty.parse().unwrap(), fee.parse().unwrap());
            let position = account.position(0);
            assert_eq!(format!("{} {}", position.fees, position.break_even()), expected, "{side:?} {qty}");
        }
        account.fill(Nanos(1), 0, Side::Sell, "101".parse().unwrap(), "3".parse().unwrap(), Notional::ZERO);
        assert_eq!(account.position(0).unrealized("100".parse().unwrap()).to_string(), "3");
        assert!(account.position(0).unrealized(Price::ZERO).is_zero(), "no mark, no figure");
    }

    #[test]
    fn longs_pay_positive_funding_and_shorts_receive_it() {
        let mut account = Account::new(Notional::ZERO, 1, 20);
        fill(&mut account, "buy 2@100");
        let before = account.wallet();
        assert_eq!(account.fund(0, "100".parse().unwrap(), 10_000).to_string(), "-0.02");
        fill(&mut account, "sell 4@100");
        assert_eq!(account.fund(0, "100".parse().unwrap(), 10_000).to_string(), "0.02");
        assert!(account.wallet() < before);
    }

    proptest! {
        #[test]
        fn money_is_conserved(trades in prop::collection::vec((any::<bool>(), 1i64..2_000_000, 1i64..5_000), 1..200)) {
            let start: Notional = "10000".parse().unwrap();
            let mut account = Account::new(start, 1, 20);
            let (mut cash, mut fees, mut realized, mut held) =
                (Notional::ZERO, Notional::ZERO, Notional::ZERO, Qty::ZERO);
            for (buy, ticks, steps) in trades {
                let side = if buy { Side::Buy } else { Side::Sell };
                let price = Price::from_units(ticks * UNITS / 10);
                let qty = Qty::from_units(steps * UNITS / 1000);
                let fee = price.times(qty).share_ppm(500);
                realized += account.fill(Nanos(1), 0, side, price, qty, fee);
                fees += fee;
                held += side.signed(qty);
                cash += if buy { -price.times(qty) } else { price.times(qty) };
                prop_assert_eq!(account.wallet(), start + realized - fees);
                prop_assert_eq!(account.position(0).qty, held);
            }
            let mark = Price::from_units(1_000 * UNITS);
            let value = mark.times(held);
            prop_assert_eq!(realized + account.unrealized(0, mark), cash + value, "paper and cash agree exactly");
        }
    }
}
