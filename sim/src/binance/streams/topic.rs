//! What a stream name stands for, and on which route it is served.
//!
//! A name that stands for nothing — wrong case, unknown symbol, a stream that the simulated market never speaks on —
//! is no error: Binance acknowledges it and stays silent.

use crate::binance::tape::kline::Interval;
use crate::words::{Listing, SymbolIndex};

/// A stream that is served.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Topic {
    /// `<s>@depth[@speed]`
    Diff(SymbolIndex, Speed),
    /// `<s>@depth<levels>[@speed]`
    Partial(SymbolIndex, usize, Speed),
    /// `<s>@bookTicker`
    Top(SymbolIndex),
    /// `!bookTicker`
    AllTops,
    /// `<s>@trade`
    Trade(SymbolIndex),
    /// `<s>@aggTrade`
    AggTrade(SymbolIndex),
    /// `<s>@markPrice[@1s]`
    Mark(SymbolIndex, Pace),
    /// `!markPrice@arr[@1s]`
    AllMarks(Pace),
    /// `<s>@kline_<interval>`
    Kline(SymbolIndex, Interval),
    /// `<s>@miniTicker`
    MiniTicker(SymbolIndex),
    /// `!miniTicker@arr`
    AllMiniTickers,
    /// `<s>@ticker`
    Ticker(SymbolIndex),
    /// `!ticker@arr`
    AllTickers,
}

/// How often book changes are pushed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Speed {
    /// Every change of the source.
    Instant,
    /// `@100ms`
    Ms100,
    /// The default.
    Ms250,
    /// `@500ms`
    Ms500,
}

impl Speed {
    /// The speeds that gather changes in windows.
    pub const WINDOWED: [Speed; 3] = [Speed::Ms100, Speed::Ms250, Speed::Ms500];

    /// Length of its window, ms; zero when there is none.
    pub const fn window_ms(self) -> u64 {
        match self {
            Speed::Instant => 0,
            Speed::Ms100 => 100,
            Speed::Ms250 => 250,
            Speed::Ms500 => 500,
        }
    }
}

/// How often the mark price is pushed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Pace {
    /// `@1s`
    Second,
    /// The default: every three seconds.
    ThreeSeconds,
}

/// The first part of a connection's path, which decides what it may hear.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Route {
    /// `/public`
    Public,
    /// `/market`
    Market,
    /// `/private`
    Private,
    /// No route: the streams of `/public`, and user data as older clients and the test hosts have it.
    Unrouted,
}

impl Route {
    /// Does the market stream speak on this route?
    pub const fn carries(self, topic: Topic) -> bool {
        match self {
            Route::Public | Route::Unrouted => topic.is_public(),
            Route::Market => !topic.is_public(),
            Route::Private => false,
        }
    }

    /// Do listen keys work on this route?
    pub const fn carries_user_data(self) -> bool {
        matches!(self, Route::Private | Route::Unrouted)
    }
}

impl Topic {
    const fn is_public(self) -> bool {
        match self {
            Topic::Diff(..) | Topic::Partial(..) | Topic::Top(_) | Topic::AllTops | Topic::Trade(_) => true,
            Topic::AggTrade(_)
            | Topic::Mark(..)
            | Topic::AllMarks(_)
            | Topic::Kline(..)
            | Topic::MiniTicker(_)
            | Topic::AllMiniTickers
            | Topic::Ticker(_)
            | Topic::AllTickers => false,
        }
    }

    /// Reads a stream name; `None` when nothing is ever pushed under it.
    pub fn parse(name: &str, listings: &[Listing]) -> Option<Topic> {
        match name {
            "!bookTicker" => return Some(Topic::AllTops),
            "!markPrice@arr" => return Some(Topic::AllMarks(Pace::ThreeSeconds)),
            "!markPrice@arr@1s" => return Some(Topic::AllMarks(Pace::Second)),
            "!miniTicker@arr" => return Some(Topic::AllMiniTickers),
            "!ticker@arr" => return Some(Topic::AllTickers),
            _ => {}
        }
        let (symbol, stream) = name.split_once('@')?;
        if symbol.chars().any(char::is_uppercase) {
            return None;
        }
        let symbol = listings.iter().position(|listing| listing.name.to_lowercase() == symbol)?;
        match stream {
            "bookTicker" => Some(Topic::Top(symbol)),
            "trade" => Some(Topic::Trade(symbol)),
            "aggTrade" => Some(Topic::AggTrade(symbol)),
            "markPrice" => Some(Topic::Mark(symbol, Pace::ThreeSeconds)),
            "markPrice@1s" => Some(Topic::Mark(symbol, Pace::Second)),
            "miniTicker" => Some(Topic::MiniTicker(symbol)),
            "ticker" => Some(Topic::Ticker(symbol)),
            other => match other.strip_prefix("kline_") {
                Some(interval) => Interval::parse(interval).map(|interval| Topic::Kline(symbol, interval)),
                None => depth(symbol, other.strip_prefix("depth")?),
            },
        }
    }
}

fn depth(symbol: SymbolIndex, rest: &str) -> Option<Topic> {
    let (levels, speed) = match rest.split_once('@') {
        Some((levels, "0ms")) => (levels, Speed::Instant),
        Some((levels, "100ms")) => (levels, Speed::Ms100),
        Some((levels, "250ms")) => (levels, Speed::Ms250),
        Some((levels, "500ms")) => (levels, Speed::Ms500),
        Some(_) => return None,
        None => (rest, Speed::Ms250),
    };
    match (levels, speed) {
        ("", speed) => Some(Topic::Diff(symbol, speed)),
        (_, Speed::Instant) => None,
        ("5", speed) => Some(Topic::Partial(symbol, 5, speed)),
        ("10", speed) => Some(Topic::Partial(symbol, 10, speed)),
        ("20", speed) => Some(Topic::Partial(symbol, 20, speed)),
        _ => None,
    }
}

/// The level counts that partial depth offers.
pub const PARTIAL_LEVELS: [usize; 3] = [5, 10, 20];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::binance::streams::testing::listing;

    #[test]
    fn a_name_stands_for_a_topic_or_for_silence() {
        let listings = [listing("BTCUSDT"), listing("币安人生USDT")];
        let table: &[(&str, Option<Topic>)] = &[
            ("btcusdt@depth", Some(Topic::Diff(0, Speed::Ms250))),
            ("btcusdt@depth@250ms", Some(Topic::Diff(0, Speed::Ms250))),
            ("btcusdt@depth@0ms", Some(Topic::Diff(0, Speed::Instant))),
            ("btcusdt@depth@100ms", Some(Topic::Diff(0, Speed::Ms100))),
            ("btcusdt@depth@500ms", Some(Topic::Diff(0, Speed::Ms500))),
            ("btcusdt@depth@50ms", None),
            ("btcusdt@depth5", Some(Topic::Partial(0, 5, Speed::Ms250))),
            ("btcusdt@depth20@100ms", Some(Topic::Partial(0, 20, Speed::Ms100))),
            ("btcusdt@depth20@0ms", None),
            ("btcusdt@depth7", None),
            ("btcusdt@bookTicker", Some(Topic::Top(0))),
            ("btcusdt@trade", Some(Topic::Trade(0))),
            ("btcusdt@aggTrade", Some(Topic::AggTrade(0))),
            ("btcusdt@markPrice", Some(Topic::Mark(0, Pace::ThreeSeconds))),
            ("btcusdt@markPrice@1s", Some(Topic::Mark(0, Pace::Second))),
            ("btcusdt@kline_1m", Some(Topic::Kline(0, Interval::M1))),
            ("btcusdt@kline_1M", Some(Topic::Kline(0, Interval::Month))),
            ("btcusdt@kline_1s", None),
            ("btcusdt@miniTicker", Some(Topic::MiniTicker(0))),
            ("btcusdt@ticker", Some(Topic::Ticker(0))),
            ("btcusdt@forceOrder", None),
            ("btcusdt@compositeIndex", None),
            ("币安人生usdt@trade", Some(Topic::Trade(1))),
            ("BTCUSDT@aggTrade", None),
            ("ethusdt@trade", None),
            ("!bookTicker", Some(Topic::AllTops)),
            ("!markPrice@arr", Some(Topic::AllMarks(Pace::ThreeSeconds))),
            ("!markPrice@arr@1s", Some(Topic::AllMarks(Pace::Second))),
            ("!miniTicker@arr", Some(Topic::AllMiniTickers)),
            ("!ticker@arr", Some(Topic::AllTickers)),
            ("!forceOrder@arr", None),
            ("!contractInfo", None),
            ("0", None),
            ("", None),
        ];
        for (name, topic) in table {
            assert_eq!(Topic::parse(name, &listings), *topic, "{name}");
        }
    }

    #[test]
    fn each_route_carries_its_own_streams_only() {
        let book = Topic::Diff(0, Speed::Ms100);
        let trades = Topic::AggTrade(0);
        let table = [
            (Route::Public, true, false, false),
            (Route::Market, false, true, false),
            (Route::Private, false, false, true),
            (Route::Unrouted, true, false, true),
        ];
        for (route, public, market, user) in table {
            assert_eq!(
                (route.carries(book), route.carries(trades), route.carries_user_data()),
                (public, market, user),
                "{route:?}"
            );
        }
    }
}
