//! Money as integers: `Price`, `Qty`, `Notional`, and the side of the market.
//!
//! Never a float, never mixed up: each is its own type over 10⁻⁸ units, and a product is taken in `i128`.
//! Arithmetic panics on overflow in every profile, because an overflow here is our bug; text from outside is
//! checked where it is read.

use std::fmt;
use std::iter::Sum;
use std::ops::{Add, AddAssign, Neg, Sub, SubAssign};

use crate::decimal::{self, DecimalError, Text, UNITS};

/// Price of one whole contract unit in the quote asset, in 10⁻⁸.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Price(i64);

/// Quantity of the base asset in 10⁻⁸; signed where it is a position (long is positive).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Qty(i64);

/// Amount of the quote asset in 10⁻⁸: price × quantity, fees, profit. Wide enough that no product overflows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Notional(i128);

macro_rules! shared {
    ($type:ident, $int:ty) => {
        impl $type {
            /// Nothing.
            pub const ZERO: Self = Self(0);
            /// From an integer count of 10⁻⁸.
            pub const fn from_units(units: $int) -> Self {
                Self(units)
            }
            /// The integer count of 10⁻⁸.
            pub const fn units(self) -> $int {
                self.0
            }
            /// For signals and display only: never for money.
            #[allow(clippy::cast_precision_loss)]
            pub fn as_f64(self) -> f64 {
                self.0 as f64 / UNITS as f64
            }
            /// Exactly nothing?
            pub const fn is_zero(self) -> bool {
                self.0 == 0
            }
            /// Size without sign; the most negative integer saturates.
            #[must_use]
            pub const fn abs(self) -> Self {
                Self(self.0.saturating_abs())
            }
            /// The sum, held within what can also be negated: for numbers from outside that nobody has bounded.
            #[must_use]
            pub const fn saturating_add(self, other: Self) -> Self {
                let sum = self.0.saturating_add(other.0);
                Self(if sum < -<$int>::MAX { -<$int>::MAX } else { sum })
            }
        }
        impl Add for $type {
            type Output = Self;
            fn add(self, other: Self) -> Self {
                Self(self.0 + other.0)
            }
        }
        impl Sub for $type {
            type Output = Self;
            fn sub(self, other: Self) -> Self {
                Self(self.0 - other.0)
            }
        }
        impl Neg for $type {
            type Output = Self;
            fn neg(self) -> Self {
                Self(-self.0)
            }
        }
        impl AddAssign for $type {
            fn add_assign(&mut self, other: Self) {
                self.0 += other.0;
            }
        }
        impl SubAssign for $type {
            fn sub_assign(&mut self, other: Self) {
                self.0 -= other.0;
            }
        }
        impl Sum for $type {
            fn sum<I: Iterator<Item = Self>>(iter: I) -> Self {
                iter.fold(Self::ZERO, Add::add)
            }
        }
    };
}

shared!(Price, i64);
shared!(Qty, i64);
shared!(Notional, i128);

macro_rules! text {
    ($type:ident) => {
        impl $type {
            /// Reads decimal text; see [`decimal::parse`] for what is accepted.
            pub fn parse(text: &[u8]) -> Result<Self, DecimalError> {
                decimal::parse(text).map(Self)
            }
            /// Writes exactly `decimals` decimals; panics if a digit that matters would be lost.
            pub fn text(self, decimals: usize) -> Text {
                decimal::write(self.0, decimals)
            }
        }
        impl fmt::Display for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(&decimal::write_trimmed(self.0))
            }
        }
        impl std::str::FromStr for $type {
            type Err = DecimalError;
            fn from_str(text: &str) -> Result<Self, DecimalError> {
                Self::parse(text.as_bytes())
            }
        }
    };
}

text!(Price);
text!(Qty);

impl Price {
    /// Price × quantity, rounded towards zero to 10⁻⁸ (exact whenever tick × step ≥ 10⁻⁸).
    pub const fn times(self, qty: Qty) -> Notional {
        Notional(self.0 as i128 * qty.0 as i128 / UNITS as i128)
    }

    /// The price moved by `ppm` parts per million, rounded towards zero: bands and offsets.
    #[must_use]
    pub fn shifted_ppm(self, ppm: i64) -> Price {
        let moved = i128::from(self.0) * i128::from(1_000_000 + ppm) / 1_000_000;
        Price(i64::try_from(moved).unwrap_or(i64::MAX))
    }
}

impl Notional {
    /// A share of the amount in parts per million, rounded towards zero: fees.
    #[must_use]
    pub const fn share_ppm(self, ppm: i64) -> Notional {
        Notional(self.0 * ppm as i128 / 1_000_000)
    }

    /// As 64-bit units for storage; saturates at ±92 billion of the quote asset.
    pub fn units_i64(self) -> i64 {
        i64::try_from(self.0).unwrap_or(if self.0 < 0 { i64::MIN } else { i64::MAX })
    }

    /// Reads decimal text; see [`decimal::parse`] for what is accepted.
    pub fn parse(text: &[u8]) -> Result<Self, DecimalError> {
        decimal::parse(text).map(|units| Notional(i128::from(units)))
    }
}

impl fmt::Display for Notional {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&decimal::write_trimmed(self.units_i64()))
    }
}

impl std::str::FromStr for Notional {
    type Err = DecimalError;
    fn from_str(text: &str) -> Result<Self, DecimalError> {
        Self::parse(text.as_bytes())
    }
}

/// Which side of the market an order or an aggressor is on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u8)]
pub enum Side {
    /// Bids.
    Buy,
    /// Asks.
    Sell,
}

impl Side {
    /// The other one.
    #[must_use]
    pub const fn opposite(self) -> Side {
        match self {
            Side::Buy => Side::Sell,
            Side::Sell => Side::Buy,
        }
    }

    /// `qty` as a change of position: positive for a buy.
    pub fn signed(self, qty: Qty) -> Qty {
        match self {
            Side::Buy => qty,
            Side::Sell => Qty::from_units(qty.units().saturating_neg()),
        }
    }

    /// Is `price` at least as aggressive as `than` on this side?
    pub fn reaches(self, price: Price, than: Price) -> bool {
        match self {
            Side::Buy => price >= than,
            Side::Sell => price <= than,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn products_are_exact_and_never_overflow() {
        let price: Price = "28145.10".parse().unwrap();
        let qty: Qty = "0.002".parse().unwrap();
        assert_eq!(price.times(qty).to_string(), "56.2902");
        let largest = Price::from_units(i64::MAX).times(Qty::from_units(i64::MAX));
        assert!(largest.units() > i128::from(i64::MAX));
    }

    #[test]
    fn fees_and_bands_round_towards_zero() {
        let notional: Notional = "498.5406".parse().unwrap();
        assert_eq!(notional.share_ppm(200).to_string(), "0.09970812");
        let price: Price = "100".parse().unwrap();
        assert_eq!(price.shifted_ppm(-5_000).to_string(), "99.5");
    }

    #[test]
    fn sides_say_which_price_reaches_which() {
        let (low, high) = (Price::from_units(1), Price::from_units(2));
        assert!(Side::Buy.reaches(high, low) && !Side::Buy.reaches(low, high));
        assert!(Side::Sell.reaches(low, high) && Side::Sell.reaches(low, low));
    }

    #[test]
    #[should_panic(expected = "overflow")]
    fn adding_beyond_the_range_stops_instead_of_wrapping() {
        let _ = Qty::from_units(i64::MAX) + Qty::from_units(1);
    }
}
