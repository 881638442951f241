//! Leverage brackets: how much may be held at which leverage, and what margin keeps it.
//!
//! One table for every symbol, of the shape of BTCUSDT's. Exact integers; ratios are in parts per million.
//! Never changes anything; plain functions, any thread.

use optiflow_base::money::Notional;

/// A range of position sizes, in whole USDT.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bracket {
    /// Largest leverage.
    pub leverage: u32,
    /// Above this size.
    pub floor: u64,
    /// Up to this size.
    pub cap: u64,
    /// Maintenance margin, ppm of the size.
    pub ratio_ppm: i64,
    /// What the brackets below are cheaper by.
    pub cum: u64,
}

/// Maintenance margin of a position of this size: size × ratio − cum.
pub fn maintenance_margin(notional: Notional) -> Notional {
    let size = notional.abs();
    let bracket = BRACKETS.iter().find(|bracket| size <= whole(bracket.cap)).unwrap_or(&BRACKETS[BRACKETS.len() - 1]);
    size.share_ppm(bracket.ratio_ppm) - whole(bracket.cum)
}

/// Largest position at this leverage.
pub fn notional_max(leverage: u32) -> Notional {
    let allowed = BRACKETS.iter().filter(|bracket| bracket.leverage >= leverage);
    whole(allowed.map(|bracket| bracket.cap).max().unwrap_or(0))
}

const fn bracket(leverage: u32, floor: u64, cap: u64, ratio_ppm: i64, cum: u64) -> Bracket {
    Bracket { leverage, floor, cap, ratio_ppm, cum }
}

fn whole(amount: u64) -> Notional {
    Notional::from_units(i128::from(amount) * 100_000_000)
}

/// Largest leverage of any bracket.
pub const LEVERAGE_MAX: u32 = BRACKETS[0].leverage;
/// The brackets, smallest positions first.
pub const BRACKETS: [Bracket; 8] = [
    bracket(125, 0, 300_000, 4_000, 0),
    bracket(100, 300_000, 800_000, 5_000, 300),
    bracket(75, 800_000, 3_000_000, 6_500, 1_500),
    bracket(50, 3_000_000, 12_000_000, 10_000, 12_000),
    bracket(25, 12_000_000, 70_000_000, 20_000, 132_000),
    bracket(20, 70_000_000, 100_000_000, 25_000, 482_000),
    bracket(10, 100_000_000, 230_000_000, 50_000, 2_982_000),
    bracket(5, 230_000_000, 480_000_000, 100_000, 14_482_000),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_brackets_join_and_the_margin_has_no_jumps() {
        for pair in BRACKETS.windows(2) {
            let (low, high) = (&pair[0], &pair[1]);
            assert_eq!(low.cap, high.floor);
            let step = i128::from(high.floor) * i128::from(high.ratio_ppm - low.ratio_ppm) / 1_000_000;
            assert_eq!(i128::from(high.cum), i128::from(low.cum) + step);
        }
    }

    #[test]
    fn margins_and_caps_follow_the_table() {
        assert_eq!(maintenance_margin("830.917".parse().unwrap()).to_string(), "3.323668");
        assert_eq!(maintenance_margin("-400000".parse().unwrap()).to_string(), "1700");
        assert_eq!([20, 125, 126].map(|leverage| notional_max(leverage).to_string()), ["100000000", "300000", "0"]);
        assert_eq!(LEVERAGE_MAX, 125);
    }
}
