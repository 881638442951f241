//! A core and its market for tests from outside: listings without narrow filters, sources that tell what they are given.
// Each test file uses its own part, and a test's helper may stop the test.
#![allow(dead_code, clippy::unwrap_used)]

use std::collections::VecDeque;

use optiflow_base::clock::Nanos;
use optiflow_base::market::Level;
use optiflow_base::money::{Notional, Price, Qty, Side};
use optiflow_base::order::{OrderKind, TimeInForce};
use optiflow_sim::core::{Core, CoreConfig, VenueRules};
use optiflow_sim::market::{Source, SourceError, listings};
use optiflow_sim::words::{CoreEvent, Fill, Listing, MarketTick, Placement, SelfTrade, Terms, Tick};

/// Exchange time of a market's first tick.
pub const START: Nanos = Nanos::from_millis(1_700_000_000_000);

/// Tick 0.1, step 0.001, and filters that let everything pass.
pub fn listing() -> Listing {
    Listing {
        price_min: "0.1".parse().unwrap(),
        notional_min: Notional::ZERO,
        percent_price_ppm: 900_000,
        open_orders_max: 1_000,
        ..listings::bitcoin()
    }
}

/// A rich account of the listings, by the rules.
pub fn config(listings: Vec<Listing>, rules: VenueRules) -> CoreConfig {
    CoreConfig {
        listings,
        wallet: "1000000000".parse().unwrap(),
        leverage: 5,
        maker_fee_ppm: 200,
        taker_fee_ppm: 500,
        speed: 1.0,
        start: START,
        rules,
    }
}

/// A source that tells what it was given.
pub struct Told {
    pub listings: Vec<Listing>,
    pub ticks: VecDeque<MarketTick>,
}

impl Source for Told {
    fn listings(&self) -> &[Listing] {
        &self.listings
    }
    fn next(&mut self) -> Result<Option<MarketTick>, SourceError> {
        Ok(self.ticks.pop_front())
    }
}

/// `60000.1` in ticks of 0.1.
pub fn price(ticks: i64) -> Price {
    Price::from_units(ticks * 10_000_000)
}

/// A quantity in steps of 0.001.
pub fn qty(steps: i64) -> Qty {
    Qty::from_units(steps * 100_000)
}

pub fn level(ticks: i64, steps: i64) -> Level {
    Level { price: price(ticks), qty: qty(steps) }
}

/// A limit order that may rest.
pub fn limit(client_id: &str, side: Side, price: Price, qty: Qty) -> Placement {
    Placement {
        symbol: 0,
        client_id: client_id.to_owned(),
        side,
        kind: OrderKind::Limit,
        time_in_force: TimeInForce::Gtc,
        price,
        qty,
        reduce_only: false,
        self_trade: SelfTrade::ExpireMaker,
        terms: Terms::default(),
    }
}

/// `0 book 5@59999.9 | 4@60000; 2 trade sell 1@59999.9; 3 mark 60000 3600`: seconds and what; a top has an id before its
/// sides, a mark the seconds at which funding is due (0: the calendar), and may begin with `#N` for symbol N.
pub fn ticks(script: &str) -> VecDeque<MarketTick> {
    let lines = script.split(';').map(str::trim).filter(|line| !line.is_empty());
    lines.zip(1..).map(|(line, id)| tick(line, id)).collect()
}

fn tick(line: &str, id: u64) -> MarketTick {
    let mut words = line.split_whitespace().peekable();
    let symbol = words.next_if(|word| word.starts_with('#')).map_or(0, |word| word[1..].parse().unwrap());
    let at = Nanos((words.next().unwrap().parse::<f64>().unwrap() * 1e9) as u64);
    let (verb, rest) = (words.next().unwrap(), words.collect::<Vec<_>>());
    let what = match verb {
        "book" => {
            let [bids, asks] = sides(&rest);
            Tick::Snapshot { id, bids, asks }
        }
        "diff" => {
            let [bids, asks] = sides(&rest);
            Tick::Depth { first_id: id, last_id: id, previous_id: id - 1, bids, asks }
        }
        "top" => {
            let [bids, asks] = sides(&rest[1..]);
            let side = |levels: Vec<Level>| levels.first().copied().unwrap_or_default();
            Tick::Top { update_id: rest[0].parse().unwrap(), bid: side(bids), ask: side(asks) }
        }
        "trade" => {
            let Level { price, qty } = level_text(rest[1]);
            Tick::Trade { id, price, qty, taker: if rest[0] == "buy" { Side::Buy } else { Side::Sell } }
        }
        "mark" => {
            let mark = rest[0].parse().unwrap();
            let next_funding_ms = (rest[1].parse::<f64>().unwrap() * 1e3) as u64;
            let funding_rate = rest.get(2).map_or(10_000, |rate| rate.parse().unwrap());
            Tick::Mark { mark, index: mark, funding_rate, next_funding_ms }
        }
        other => panic!("verb {other}"),
    };
    MarketTick { at, symbol, what }
}

fn sides(words: &[&str]) -> [Vec<Level>; 2] {
    let middle = words.iter().position(|word| *word == "|").unwrap();
    [&words[..middle], &words[middle + 1..]].map(|side| side.iter().map(|word| level_text(word)).collect())
}

fn level_text(text: &str) -> Level {
    let (qty, price) = text.split_once('@').unwrap();
    Level { price: price.parse().unwrap(), qty: qty.parse().unwrap() }
}

/// Advances to so many seconds after the start and returns what was said of orders and money.
pub fn until(core: &mut Core, seconds: f64) -> Vec<CoreEvent> {
    let mut events = Vec::new();
    core.advance(after(seconds), &mut events).unwrap();
    events.retain(|event| !matches!(event, CoreEvent::Market(_)));
    events
}

pub fn after(seconds: f64) -> Nanos {
    Nanos(START.0 + (seconds * 1e9) as u64)
}

/// The fills among events.
pub fn fills(events: &[CoreEvent]) -> impl Iterator<Item = &Fill> {
    events.iter().filter_map(|event| match event {
        CoreEvent::Fill { fill, .. } => Some(fill),
        CoreEvent::Market(_)
        | CoreEvent::New(_)
        | CoreEvent::Amended(_)
        | CoreEvent::Ended { .. }
        | CoreEvent::Liquidation { .. }
        | CoreEvent::Funding { .. } => None,
    })
}
