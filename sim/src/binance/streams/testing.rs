//! What the tests of the streams share: a listing, levels from text, and a world of core and streams.

use std::collections::VecDeque;

use optiflow_base::clock::Nanos;
use optiflow_base::market::Level;
use optiflow_base::money::{Notional, Side};

use super::Streams;
use crate::binance::{ConnId, Outgoing};
use crate::core::{Core, CoreConfig};
use crate::market::{Source, SourceError};
use crate::words::{CoreEvent, Listing, MarketTick, Tick};

/// A listing with two decimals of price and three of quantity.
pub(crate) fn listing(name: &str) -> Listing {
    Listing {
        name: name.to_owned(),
        base_asset: name.trim_end_matches("USDT").to_owned(),
        tick_size: "0.01".parse().unwrap(),
        price_min: "0.01".parse().unwrap(),
        price_max: "1000000".parse().unwrap(),
        step_size: "0.001".parse().unwrap(),
        qty_min: "0.001".parse().unwrap(),
        qty_max: "1000".parse().unwrap(),
        market_qty_max: "120".parse().unwrap(),
        notional_min: "5".parse().unwrap(),
        percent_price_ppm: 50_000,
        open_orders_max: 200,
        price_precision: 2,
        qty_precision: 3,
    }
}

/// Levels from `price:qty price:qty`.
pub(crate) fn levels(text: &str) -> Vec<Level> {
    let level = |pair: &str| {
        let (price, qty) = pair.split_once(':').unwrap();
        Level { price: price.parse().unwrap(), qty: qty.parse().unwrap() }
    };
    text.split_whitespace().map(level).collect()
}

/// Ticks of the first listing, from one line each: `<ms> book <id> <bids> | <asks>`, `<ms> diff <U> <u> <bids> | <asks>`,
/// `<ms> trade <id> <price> <qty> buy`, `<ms> top <id> <bid> <ask>`, `<ms> mark <price>`.
pub(crate) fn ticks(script: &str) -> Vec<MarketTick> {
    let mut previous_id = 0;
    let lines = script.lines().map(str::trim).filter(|line| !line.is_empty());
    lines
        .map(|line| {
            let (head, asks) = line.split_once('|').unwrap_or((line, ""));
            let words: Vec<&str> = head.split_whitespace().collect();
            let number = |at: usize| words[at].parse::<u64>().unwrap();
            let side = |from: usize| levels(&words[from..].join(" "));
            let what = match words[1] {
                "book" => Tick::Snapshot { id: number(2), bids: side(3), asks: levels(asks) },
                "diff" => Tick::Depth {
                    first_id: number(2),
                    last_id: number(3),
                    previous_id,
                    bids: side(4),
                    asks: levels(asks),
                },
                "trade" => Tick::Trade {
                    id: number(2),
                    price: words[3].parse().unwrap(),
                    qty: words[4].parse().unwrap(),
                    taker: if words[5] == "buy" { Side::Buy } else { Side::Sell },
                },
                "top" => Tick::Top { update_id: number(2), bid: side(3)[0], ask: side(3)[1] },
                "mark" => Tick::Mark {
                    mark: words[2].parse().unwrap(),
                    index: words[2].parse().unwrap(),
                    funding_rate: 10_000,
                    next_funding_ms: 28_800_000,
                },
                other => panic!("{other}?"),
            };
            match &what {
                Tick::Snapshot { id, .. } => previous_id = *id,
                Tick::Depth { last_id, .. } => previous_id = *last_id,
                Tick::Trade { .. } | Tick::Top { .. } | Tick::Mark { .. } | Tick::Single { .. } => {}
            }
            MarketTick { at: Nanos::from_millis(number(0)), symbol: 0, what }
        })
        .collect()
}

struct Script {
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

/// Core and streams, driven as an exchange drives them.
pub(crate) struct World {
    pub(crate) core: Core,
    pub(crate) streams: Streams,
    pub(crate) now: Nanos,
    /// Every frame that was sent, in order.
    pub(crate) sent: Vec<(u64, Outgoing)>,
}

impl World {
    /// A world that replays a script for BTCUSDT, beginning at the time of the first tick.
    pub(crate) fn scripted(script: &str) -> World {
        let ticks: VecDeque<MarketTick> = ticks(script).into();
        let start = ticks.front().map_or(Nanos(0), |tick| tick.at);
        World::new(Box::new(Script { listings: vec![listing("BTCUSDT")], ticks }), start)
    }

    /// A world that replays `source`.
    pub(crate) fn new(source: Box<dyn Source>, start: Nanos) -> World {
        let listings = source.listings().to_vec();
        let config = CoreConfig {
            listings: listings.clone(),
            wallet: Notional::from_units(1_000_000_000_000),
            leverage: 20,
            maker_fee_ppm: 200,
            taker_fee_ppm: 500,
            speed: 1.0,
            start,
            rules: Default::default(),
        };
        let streams = Streams::new(&listings, 1);
        World { core: Core::new(config, source), streams, now: start, sent: Vec::new() }
    }

    /// Opens a connection.
    pub(crate) fn open(&mut self, id: u64, path: &str) {
        self.streams.open(self.now, ConnId(id), path).unwrap();
    }

    /// Moves time to `ms`, stopping wherever core or streams have something to do.
    pub(crate) fn run_to(&mut self, ms: u64) {
        let end = Nanos::from_millis(ms);
        loop {
            let due = [self.core.next_due(), self.streams.next_due()].into_iter().flatten().min();
            let next = due.filter(|&due| due < end).unwrap_or(end).max(self.now);
            self.now = next;
            let mut events = Vec::new();
            self.core.advance(next, &mut events).unwrap();
            self.hand_in(&events);
            self.streams.advance(next, &self.core);
            self.drain();
            if next >= end {
                return;
            }
        }
    }

    /// Hands events of the core to the streams.
    pub(crate) fn hand_in(&mut self, events: &[CoreEvent]) {
        for event in events {
            self.streams.on_event(self.now, event, &self.core);
        }
        self.drain();
    }

    fn drain(&mut self) {
        while let Some((ConnId(id), frame)) = self.streams.take_outgoing() {
            self.sent.push((id, frame));
        }
    }

    /// The text frames sent to a connection so far; forgets them.
    pub(crate) fn texts(&mut self, id: u64) -> Vec<String> {
        let (mine, others) = std::mem::take(&mut self.sent).into_iter().partition(|(to, _)| *to == id);
        self.sent = others;
        mine.into_iter()
            .map(|(_, frame): (u64, Outgoing)| match frame {
                Outgoing::Text(text) => text.to_string(),
                Outgoing::Ping(payload) => format!("ping {}", String::from_utf8(payload).unwrap()),
                Outgoing::Close { code, reason } => format!("close {code} {reason}"),
                Outgoing::Cut { .. } | Outgoing::Dribble { .. } => panic!("only the liar does that"),
            })
            .collect()
    }
}
