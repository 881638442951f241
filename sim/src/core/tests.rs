//! The core from outside: requests as text go in, events as text come out.

use std::collections::VecDeque;

use super::*;
use crate::market::listings;
use crate::words::{Amendment, OrderStatus, Placement, PriceMatch, Reject, SelfTrade, Terms};
use optiflow_base::market::Level;
use optiflow_base::money::{Qty, Side};
use optiflow_base::order::{OrderKind, TimeInForce};

mod ledger;
mod replay;
mod requests;

/// A source that tells what it was given.
pub struct Script {
    listings: Vec<Listing>,
    ticks: VecDeque<MarketTick>,
}

impl Source for Script {
    fn listings(&self) -> &[Listing] {
        &self.listings
    }
    fn next(&mut self) -> Result<Option<MarketTick>, SourceError> {
        Ok(self.ticks.pop_front())
    }
}

fn level(text: &str) -> Level {
    let (qty, price) = text.split_once('@').unwrap();
    Level { price: price.parse().unwrap(), qty: qty.parse().unwrap() }
}

/// `1.5 book 5@99 | 4@101`, `2 trade sell 1@99`, `2 top 5@99 | 4@101`, `2 diff …`, `3 mark 100 28800000`: seconds, what.
fn ticks(script: &str) -> VecDeque<MarketTick> {
    let lines = script.split(';').map(str::trim).filter(|line| !line.is_empty());
    lines.zip(1..).map(|(line, id)| tick(line, id)).collect()
}

fn tick(line: &str, id: u64) -> MarketTick {
    let (seconds, rest) = line.split_once(' ').unwrap();
    let (verb, rest) = rest.split_once(' ').unwrap();
    let sides = || {
        let (bids, asks) = rest.split_once('|').unwrap();
        [bids, asks].map(|side| side.split_whitespace().map(level).collect::<Vec<_>>())
    };
    let what = match verb {
        "book" => {
            let [bids, asks] = sides();
            Tick::Snapshot { id, bids, asks }
        }
        "diff" => {
            let [bids, asks] = sides();
            Tick::Depth { first_id: id, last_id: id, previous_id: id - 1, bids, asks }
        }
        "trade" => {
            let (taker, what) = rest.split_once(' ').unwrap();
            let Level { price, qty } = level(what);
            Tick::Trade { id, price, qty, taker: side(taker) }
        }
        _ => {
            let (mark, next) = rest.split_once(' ').unwrap();
            let mark = mark.parse().unwrap();
            Tick::Mark { mark, index: mark, funding_rate: 10_000, next_funding_ms: next.parse().unwrap() }
        }
    };
    let nanos = (seconds.parse::<f64>().unwrap() * 1e9) as u64;
    MarketTick { at: Nanos(nanos), symbol: 0, what }
}

fn side(text: &str) -> Side {
    if text == "buy" { Side::Buy } else { Side::Sell }
}

/// A core under test, with what it said last.
pub struct Desk {
    core: Core,
    now: Nanos,
    events: Vec<CoreEvent>,
}

pub const START: Nanos = Nanos::from_millis(1_700_000_000_000);

impl Desk {
    pub fn new(script: &str) -> Desk {
        Desk::with(script, |_| {})
    }

    pub fn with(script: &str, change: impl FnOnce(&mut CoreConfig)) -> Desk {
        let listings = vec![listings::bitcoin()];
        let mut config = CoreConfig {
            listings: listings.clone(),
            wallet: "10000".parse().unwrap(),
            leverage: 20,
            maker_fee_ppm: 200,
            taker_fee_ppm: 500,
            speed: 1.0,
            start: START,
            rules: VenueRules::default(),
        };
        change(&mut config);
        let mut desk = Desk {
            core: Core::new(config, Box::new(Script { listings, ticks: ticks(script) })),
            now: START,
            events: vec![],
        };
        desk.until(0.0);
        desk.events.clear();
        desk
    }

    /// Advances to so many seconds after the start.
    pub fn until(&mut self, seconds: f64) {
        self.now = Nanos(START.0 + (seconds * 1e9) as u64);
        self.core.advance(self.now, &mut self.events).unwrap();
    }

    /// `A buy 1@59000 gtc`, with more words: `reduce`, `taker`, `maker`, `both`, `none`; `A buy 1 market`.
    pub fn place(&mut self, text: &str) -> Result<Order, Reject> {
        let placement = placement(text);
        self.core.place(self.now, placement, &mut self.events)
    }

    pub fn cancel(&mut self, client_id: &str) -> Result<Order, Reject> {
        self.core.cancel(self.now, 0, &OrderKey::Client(client_id.to_owned()), &mut self.events)
    }

    pub fn modify(&mut self, text: &str) -> Result<Order, Reject> {
        let placed = placement(text);
        let key = OrderKey::Client(placed.client_id);
        let amendment =
            Amendment { side: placed.side, price: placed.price, price_match: PriceMatch::None, qty: placed.qty };
        self.core.modify(self.now, 0, &key, amendment, &mut self.events)
    }

    /// What was said of orders and money since the last time.
    pub fn said(&mut self) -> String {
        let events = std::mem::take(&mut self.events);
        events.iter().filter_map(event_text).collect::<Vec<_>>().join(" ")
    }
}

fn placement(text: &str) -> Placement {
    let words: Vec<&str> = text.split_whitespace().collect();
    let (qty, price) = words[2].split_once('@').unwrap_or((words[2], "0"));
    let has = |word: &str| words.contains(&word);
    let time_in_force = match words[3] {
        "ioc" => TimeInForce::Ioc,
        "fok" => TimeInForce::Fok,
        "gtx" => TimeInForce::Gtx,
        _ => TimeInForce::Gtc,
    };
    Placement {
        symbol: 0,
        client_id: words[0].to_owned(),
        side: side(words[1]),
        kind: if has("market") { OrderKind::Market } else { OrderKind::Limit },
        time_in_force,
        price: price.parse().unwrap(),
        qty: qty.parse().unwrap(),
        reduce_only: has("reduce"),
        self_trade: match () {
            () if has("taker") => SelfTrade::ExpireTaker,
            () if has("both") => SelfTrade::ExpireBoth,
            () if has("none") => SelfTrade::None,
            () => SelfTrade::ExpireMaker,
        },
        terms: Terms::default(),
    }
}

fn event_text(event: &CoreEvent) -> Option<String> {
    let id = |order: &Order| order.placed.client_id.clone();
    Some(match event {
        CoreEvent::Market(_) => return None,
        CoreEvent::New(order) => format!("new {}", id(order)),
        CoreEvent::Fill { order, fill, .. } => {
            let role = if fill.maker { "make" } else { "take" };
            format!("{role} {} {}@{} {}", id(order), fill.qty, fill.price, status(order))
        }
        CoreEvent::Amended(order) => format!("amended {} {}@{}", id(order), order.placed.qty, order.placed.price),
        CoreEvent::Ended { order, reason } => format!("end {} {} er{reason}", id(order), status(order)),
        CoreEvent::Funding { amount, .. } => format!("funding {amount}"),
        CoreEvent::Liquidation { margin_balance, maintenance, .. } => {
            format!("liquidation {margin_balance} < {maintenance}")
        }
    })
}

fn status(order: &Order) -> &'static str {
    match order.status {
        OrderStatus::New => "new",
        OrderStatus::PartiallyFilled => "partly",
        OrderStatus::Filled => "filled",
        OrderStatus::Canceled => "canceled",
        OrderStatus::Expired => "expired",
        OrderStatus::ExpiredInMatch => "expired-in-match",
    }
}
