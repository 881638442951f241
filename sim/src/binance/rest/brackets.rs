//! Leverage brackets: how much may be held at which leverage, and what margin keeps it.
//!
//! One table for every symbol, of the shape of BTCUSDT's. Exact integers; ratios are in parts per million.

use optiflow_base::money::Notional;
use serde::Serialize;

/// A bracket, as `leverageBracket` answers it. Numbers are JSON numbers there, so ratios and sums are floats: they are
/// written, never computed with.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct BracketRow {
    bracket: usize,
    initial_leverage: u32,
    notional_cap: u64,
    notional_floor: u64,
    maint_margin_ratio: f64,
    cum: f64,
}

/// The whole table.
pub fn rows() -> Vec<BracketRow> {
    let row = |(index, bracket): (usize, &Bracket)| BracketRow {
        bracket: index + 1,
        initial_leverage: bracket.leverage,
        notional_cap: bracket.cap,
        notional_floor: bracket.floor,
        maint_margin_ratio: bracket.ratio_ppm as f64 / 1e6,
        cum: bracket.cum as f64,
    };
    BRACKETS.iter().enumerate().map(row).collect()
}

/// Maintenance margin of a position of this size: size × ratio − cum.
pub fn maintenance_margin(notional: Notional) -> Notional {
    let size = notional.abs();
    let bracket = BRACKETS.iter().find(|bracket| size <= whole(bracket.cap)).unwrap_or(&BRACKETS[BRACKETS.len() - 1]);
    size.share_ppm(bracket.ratio_ppm) - whole(bracket.cum)
}

/// Largest position, in whole USDT, at this leverage.
pub fn notional_max(leverage: u32) -> u64 {
    let allowed = BRACKETS.iter().filter(|bracket| bracket.leverage >= leverage);
    allowed.map(|bracket| bracket.cap).max().unwrap_or(0)
}

/// Largest leverage of any bracket.
pub const LEVERAGE_MAX: u32 = BRACKETS[0].leverage;

struct Bracket {
    leverage: u32,
    floor: u64,
    cap: u64,
    ratio_ppm: i64,
    cum: u64,
}

const fn bracket(leverage: u32, floor: u64, cap: u64, ratio_ppm: i64, cum: u64) -> Bracket {
    Bracket { leverage, floor, cap, ratio_ppm, cum }
}

const BRACKETS: [Bracket; 8] = [
    bracket(125, 0, 300_000, 4_000, 0),
    bracket(100, 300_000, 800_000, 5_000, 300),
    bracket(75, 800_000, 3_000_000, 6_500, 1_500),
    bracket(50, 3_000_000, 12_000_000, 10_000, 12_000),
    bracket(25, 12_000_000, 70_000_000, 20_000, 132_000),
    bracket(20, 70_000_000, 100_000_000, 25_000, 482_000),
    bracket(10, 100_000_000, 230_000_000, 50_000, 2_982_000),
    bracket(5, 230_000_000, 480_000_000, 100_000, 14_482_000),
];

fn whole(amount: u64) -> Notional {
    Notional::from_units(i128::from(amount) * 100_000_000)
}

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
        assert_eq!((notional_max(20), notional_max(125), notional_max(126)), (100_000_000, 300_000, 0));
        assert_eq!(LEVERAGE_MAX, 125);
    }
}
