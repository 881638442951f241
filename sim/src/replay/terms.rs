//! What the exchange asks of an account besides a match: limits, least values, own orders that meet, margin.
//!
//! The default asks nothing. With the peer's conventions nothing of it applies. Never decides: `venue` does.

use std::fmt;
use std::str::FromStr;

use optiflow_base::money::Notional;

/// The exchange's terms.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Terms {
    /// Least value of an order that may grow the position; zero for none.
    pub min_notional: Notional,
    /// New orders and modifications in ten seconds of the UTC clock; zero for no limit.
    pub orders_ten_seconds: u32,
    /// The same in a minute.
    pub orders_minute: u32,
    /// What becomes of orders of ours that meet, where the order does not say.
    pub self_trade: SelfTrade,
    /// The account's means; without them nothing is checked and nobody is liquidated.
    pub margin: Option<Margin>,
}

/// What an account can carry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Margin {
    /// What it begins with.
    pub wallet: Notional,
    /// Size by initial margin, at least 1.
    pub leverage: u32,
    /// What a liquidation costs beyond the taker's fee, ppm of what it closes.
    pub liquidation_fee_ppm: i64,
}

/// What becomes of an order that would trade with another one of ours. The mode of the order that arrives decides; it
/// does not apply to fill-or-kill, and a post-only order that would meet one of ours expires as if it would take.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum SelfTrade {
    /// They do not see each other.
    #[default]
    None,
    /// The rest of the arriving order expires.
    ExpireTaker,
    /// The resting order expires.
    ExpireMaker,
    /// Both.
    ExpireBoth,
}

impl SelfTrade {
    /// As written.
    pub const fn name(self) -> &'static str {
        match self {
            SelfTrade::None => "none",
            SelfTrade::ExpireTaker => "expire-taker",
            SelfTrade::ExpireMaker => "expire-maker",
            SelfTrade::ExpireBoth => "expire-both",
        }
    }
}

impl fmt::Display for SelfTrade {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for SelfTrade {
    type Err = String;

    /// Reads `none`, `expire-taker`, `expire-maker` or `expire-both`, also as Binance writes them: `EXPIRE_TAKER` …
    fn from_str(text: &str) -> Result<SelfTrade, String> {
        match text.to_ascii_lowercase().replace('_', "-").as_str() {
            "none" => Ok(SelfTrade::None),
            "expire-taker" => Ok(SelfTrade::ExpireTaker),
            "expire-maker" => Ok(SelfTrade::ExpireMaker),
            "expire-both" => Ok(SelfTrade::ExpireBoth),
            _ => Err(format!("stp {text:?} is unknown; use none, expire-taker, expire-maker or expire-both")),
        }
    }
}

/// Orders counted in windows of the UTC clock.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Windows {
    ten_seconds: Window,
    minute: Window,
}

#[derive(Clone, Copy, Debug, Default)]
struct Window {
    number: i64,
    count: u32,
}

impl Windows {
    /// Counts an order at `now`; refused, and not counted, where a window is full.
    pub(super) fn take(&mut self, now: i64, terms: &Terms) -> bool {
        self.ten_seconds.enter(now, TEN_SECONDS_NS);
        self.minute.enter(now, MINUTE_NS);
        if self.ten_seconds.is_full(terms.orders_ten_seconds) || self.minute.is_full(terms.orders_minute) {
            return false;
        }
        self.ten_seconds.count += 1;
        self.minute.count += 1;
        true
    }
}

impl Window {
    fn enter(&mut self, now: i64, span_ns: i64) {
        let number = now.div_euclid(span_ns);
        if number != self.number {
            *self = Window { number, count: 0 };
        }
    }

    const fn is_full(&self, limit: u32) -> bool {
        limit != 0 && self.count >= limit
    }
}

/// What Binance allows an account in ten seconds.
pub const ORDERS_TEN_SECONDS: u32 = 300;
/// What Binance allows an account in a minute.
pub const ORDERS_MINUTE: u32 = 1_200;
const TEN_SECONDS_NS: i64 = 10_000_000_000;
const MINUTE_NS: i64 = 60_000_000_000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_window_refuses_until_the_clock_opens_the_next_one() {
        let terms = Terms { orders_ten_seconds: 2, orders_minute: 3, ..Terms::default() };
        let mut windows = Windows::default();
        let second = 1_000_000_000;
        let seen: Vec<bool> = [1, 2, 9, 10, 11, 59, 60].map(|at| windows.take(at * second, &terms)).into();
        assert_eq!(seen, [true, true, false, true, false, false, true]);
        assert!((0..10_000).all(|at| Windows::default().take(at, &Terms::default())));
    }

    #[test]
    fn modes_are_read_in_either_spelling() {
        assert_eq!("EXPIRE_MAKER".parse(), Ok(SelfTrade::ExpireMaker));
        assert_eq!("expire-both".parse(), Ok(SelfTrade::ExpireBoth));
        assert!("both".parse::<SelfTrade>().unwrap_err().contains("both"));
    }
}
