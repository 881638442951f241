//! Which endpoint answers what, what it costs, and who may ask: the table behind REST and the WebSocket API.
//!
//! A handler sees only the desk, the time and the parameters: keys, signatures and limits are settled before it runs.

use optiflow_base::clock::Nanos;

use super::desk::Desk;
use super::errors::ApiError;
use super::limits::OrderCost;
use super::params::Params;

pub mod account;
pub mod algo;
pub mod figures;
pub mod info;
pub mod klines;
pub mod market;
pub mod orders;
pub mod placement;
pub mod settings;
pub mod trade;

/// What a handler answers: the body, or why not.
pub type Answer = Result<String, ApiError>;

/// Runs a request on the desk.
pub type Handler = fn(&mut Desk, Nanos, &Params) -> Answer;

/// An endpoint.
#[derive(Clone, Copy)]
pub struct Route {
    /// Who may ask.
    pub guard: Guard,
    /// What it costs the address.
    pub weight: Weight,
    /// What it adds to the order counts.
    pub orders: Option<OrderCost>,
    /// Who answers.
    pub run: Handler,
}

/// Who may ask.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Guard {
    /// Anybody.
    Open,
    /// Whoever has a key.
    Key,
    /// Whoever has a key and signs.
    Signed,
}

/// What a request costs the address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Weight {
    /// Always the same.
    Fixed(u32),
    /// More when no symbol is named.
    PerSymbol {
        /// With a symbol.
        one: u32,
        /// Without.
        all: u32,
    },
    /// By the number of levels.
    Depth,
    /// By the number of klines.
    Klines,
    /// None: the funding endpoints are counted apart.
    Funding,
}

impl Weight {
    /// What this request costs; a limit that cannot be read costs the default.
    pub fn of(self, params: &Params) -> u32 {
        let limit = params.integer("limit").ok().flatten();
        match self {
            Weight::Fixed(weight) => weight,
            Weight::PerSymbol { one, .. } if params.has("symbol") => one,
            Weight::PerSymbol { all, .. } => all,
            Weight::Depth => match limit.unwrap_or(500) {
                0..=50 => 2,
                51..=100 => 5,
                101..=500 => 10,
                501.. => 20,
            },
            Weight::Klines => match limit {
                None => 5,
                Some(0..=100) => 1,
                Some(101..=500) => 2,
                Some(501..=1000) => 5,
                Some(1001..) => 10,
            },
            Weight::Funding => 0,
        }
    }
}

impl Route {
    /// Anybody may ask.
    pub const fn open(weight: Weight, run: Handler) -> Route {
        Route { guard: Guard::Open, weight, orders: None, run }
    }

    /// Asks for a key.
    pub const fn keyed(weight: u32, run: Handler) -> Route {
        Route { guard: Guard::Key, weight: Weight::Fixed(weight), orders: None, run }
    }

    /// Asks for a key and a signature.
    pub const fn signed(weight: u32, run: Handler) -> Route {
        Route { guard: Guard::Signed, weight: Weight::Fixed(weight), orders: None, run }
    }

    /// As `signed`, dearer when no symbol is named.
    pub const fn signed_per_symbol(one: u32, all: u32, run: Handler) -> Route {
        Route { guard: Guard::Signed, weight: Weight::PerSymbol { one, all }, orders: None, run }
    }

    /// As `signed`, and counts as so many orders.
    pub const fn ordering(weight: u32, ten_seconds: u32, run: Handler) -> Route {
        let orders = Some(OrderCost { ten_seconds, minute: 1 });
        Route { guard: Guard::Signed, weight: Weight::Fixed(weight), orders, run }
    }
}

/// The endpoint of a method and path; `None` when there is none.
pub fn route(method: &str, path: &str) -> Option<Route> {
    market::route(method, path)
        .or_else(|| algo::route(method, path))
        .or_else(|| klines::route(method, path))
        .or_else(|| trade::route(method, path))
        .or_else(|| orders::route(method, path))
        .or_else(|| account::route(method, path))
        .or_else(|| settings::route(method, path))
}

/// Rows between `startTime` and `endTime`, as the parameters ask; -1127 when that is too long.
pub fn window(params: &Params, days_max: u64) -> Result<(u64, u64), ApiError> {
    let (start, end) = (params.integer("startTime")?, params.integer("endTime")?);
    if let (Some(start), Some(end)) = (start, end) {
        if start > end {
            return Err(ApiError::start_after_end());
        }
        if end - start > days_max * DAY_MS {
            return Err(ApiError::interval_too_big(days_max));
        }
    }
    Ok((start.unwrap_or(0), end.unwrap_or(u64::MAX)))
}

/// As `window`, for what is kept long but shown a week at a time: from a beginning alone to a week after it, to an end
/// alone from a week before it; without either the last week, or everything for who names a first row.
pub fn week(now: Nanos, params: &Params, days_max: u64, names_a_row: bool) -> Result<(u64, u64), ApiError> {
    let (start, end) = window(params, days_max)?;
    Ok(match (params.has("startTime"), params.has("endTime")) {
        (true, false) => (start, start.saturating_add(7 * DAY_MS)),
        (false, true) => (end.saturating_sub(7 * DAY_MS), end),
        (false, false) if !names_a_row => (now.millis().saturating_sub(7 * DAY_MS), end),
        (true, true) | (false, false) => (start, end),
    })
}

/// The `limit` rows that were asked for: the first ones when a beginning was named, the last ones otherwise.
pub fn page<T>(mut rows: Vec<T>, limit: usize, from_the_beginning: bool) -> Vec<T> {
    if from_the_beginning {
        rows.truncate(limit);
    } else {
        let surplus = rows.len().saturating_sub(limit);
        rows.drain(..surplus);
    }
    rows
}

/// Milliseconds of a day.
pub const DAY_MS: u64 = 24 * 60 * 60 * 1_000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn weights_follow_what_is_asked_for() {
        let weight = |weight: Weight, query: &str| weight.of(&Params::from_form(query, "").unwrap());
        for (query, depth, klines) in [
            ("", 10, 5),
            ("limit=5", 2, 1),
            ("limit=50", 2, 1),
            ("limit=100", 5, 1),
            ("limit=499", 10, 2),
            ("limit=500", 10, 2),
            ("limit=1000", 20, 5),
            ("limit=1500", 20, 10),
            ("limit=x", 10, 5),
        ] {
            assert_eq!(weight(Weight::Depth, query), depth, "{query}");
            assert_eq!(weight(Weight::Klines, query), klines, "{query}");
        }
        let per_symbol = Weight::PerSymbol { one: 1, all: 40 };
        assert_eq!((weight(per_symbol, ""), weight(per_symbol, "symbol=BTCUSDT")), (40, 1));
    }

    #[test]
    fn without_both_ends_a_week_is_shown() {
        let day = |days: u64| days * DAY_MS;
        let now = Nanos::from_millis(day(100));
        for (query, names_a_row, expected) in [
            ("", false, (day(93), u64::MAX)),
            ("", true, (0, u64::MAX)),
            ("startTime=0", false, (0, day(7))),
            ("endTime=864000000", false, (day(3), day(10))),
            ("startTime=5&endTime=604800005", true, (5, day(7) + 5)),
        ] {
            let params = Params::from_form(query, "").unwrap();
            assert_eq!(week(now, &params, 7, names_a_row), Ok(expected), "{query}");
        }
        let longer = Params::from_form("startTime=5&endTime=604800006", "").unwrap();
        assert_eq!(week(now, &longer, 7, false).unwrap_err().code, -1127);
    }

    #[test]
    fn a_page_is_the_beginning_or_the_end() {
        assert_eq!(page(vec![1, 2, 3], 2, true), [1, 2]);
        assert_eq!(page(vec![1, 2, 3], 2, false), [2, 3]);
        assert_eq!(page(vec![1], 2, false), [1]);
    }
}
