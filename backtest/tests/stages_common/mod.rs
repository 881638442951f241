//! Stages over made-up or hand-made rows, with strategies that do as they are told, and somebody who writes it all down.

#![allow(dead_code)]

use std::sync::Arc;
use std::time::Duration;

use optiflow_backtest::listing::{self, FeesPpm};
use optiflow_backtest::stages::observer::{Answer, Fill, Flow, Payment, Standing};
use optiflow_backtest::stages::rows::{Market, Shared};
use optiflow_backtest::stages::{Lane, Observer, Outcome, Rows, StagesConfig, run};
use optiflow_base::clock::Nanos;
use optiflow_base::ids::{OrderId, SymbolId};
use optiflow_base::instrument::Instrument;
use optiflow_base::log::LogEvent;
use optiflow_base::market::Level;
use optiflow_base::money::{Notional, Price, Qty, Side};
use optiflow_base::order::TimeInForce;
use optiflow_base::rates::RateLimits;
use optiflow_engine::engine::{EngineConfig, EngineSymbol};
use optiflow_engine::strategies::scalping_v1::ScalpingV1;
use optiflow_engine::strategies::scalping_v1::config::ScalpingConfig;
use optiflow_engine::strategy::{LimitOrder, Orders, Strategy};
use optiflow_engine::view::View;
use optiflow_risk::{RiskConfig, RiskSymbol, TotalLimits};
use optiflow_sim::core::CoreConfig;
use optiflow_sim::market::listings;
use optiflow_sim::market::synthetic::Synthetic;
use optiflow_sim::replay::latency::Latency;
use optiflow_sim::words::Listing;
use optiflow_store::event::{Flags, Kind, Row};

pub const START_WALLET: i128 = 10_000 * 100_000_000;
/// Made-up markets begin here: 2024-01-01.
pub const BEGIN: Nanos = Nanos(1_704_067_200_000_000_000);
pub const FEED_NS: u64 = 3_000_000;

pub fn listing(name: &str) -> Listing {
    listings::known(name).unwrap()
}

pub fn instrument(index: usize, listing: &Listing) -> Instrument {
    listing::instrument(SymbolId(index as u16), listing, FeesPpm { maker: 200, taker: 500 }).unwrap()
}

/// A session of these listings, each traded by what `strategy` makes for it.
pub fn config(
    listings: Vec<Listing>,
    latency: Latency,
    strategy: impl Fn(usize) -> Box<dyn Strategy + Send>,
) -> StagesConfig {
    let instruments: Vec<Instrument> =
        listings.iter().enumerate().map(|(index, listing)| instrument(index, listing)).collect();
    let amount = |whole: i128| Notional::from_units(whole * 100_000_000);
    let limits = |instrument: &Instrument| RiskSymbol {
        instrument: *instrument,
        order_notional_max: amount(100_000),
        position_notional_max: amount(200_000),
        open_orders_max: 100,
        price_band_ppm: 40_000,
    };
    let symbol =
        |(index, instrument): (usize, &Instrument)| EngineSymbol { instrument: *instrument, strategy: strategy(index) };
    StagesConfig {
        engine: EngineConfig {
            symbols: instruments.iter().enumerate().map(symbol).collect(),
            epoch: 77,
            rates: RATES,
            sample_every: Duration::from_secs(1),
            book_age_max: Duration::from_secs(2),
            flow_window: Duration::from_secs(1),
        },
        risk: RiskConfig {
            symbols: instruments.iter().map(limits).collect(),
            // As much as all may have together.
            total: Some(TotalLimits {
                notional_max: amount(200_000 * instruments.len() as i128),
                open_orders_max: 100 * instruments.len() as u32,
            }),
            is_lasting: optiflow_oms::binance::outcome::is_lasting,
            rates: RateLimits {
                orders_ten_seconds: 100_000,
                orders_minute: 100_000,
                weight_minute: 100_000,
                reserve_percent: 0,
            },
            quote_age_max: Duration::from_secs(2),
        },
        core: CoreConfig {
            listings,
            wallet: Notional::from_units(START_WALLET),
            leverage: 20,
            maker_fee_ppm: 200,
            taker_fee_ppm: 500,
            speed: 1.0,
            start: Nanos(0),
            rules: Default::default(),
        },
        direct: None,
        latency,
        run_for: None,
        stop_timeout: Duration::from_secs(10),
    }
}

pub fn constant(entry_ns: i64, response_ns: i64) -> Latency {
    Latency::Constant { entry_ns, response_ns }
}

pub fn scalping() -> Box<dyn Strategy + Send> {
    let eager = ScalpingConfig { obi_l1_enter: 0.3, ..ScalpingConfig::default() };
    Box::new(ScalpingV1::new(eager))
}

/// The made-up market of these symbols as a stream without end.
pub fn synthetic(seed: u64, listings: &[Listing]) -> Box<dyn Rows> {
    let source = Synthetic::new(seed, listings.to_vec());
    Box::new(Market::new(Box::new(source), FEED_NS).from(BEGIN))
}

/// The first part of a stream, whole messages, in memory.
pub fn collect(mut rows: Box<dyn Rows>, span: Duration) -> Arc<[Row]> {
    let mut kept = Vec::new();
    loop {
        let block = rows.next_block().unwrap().unwrap();
        kept.extend(block.iter().filter(|row| row.exch <= BEGIN + span));
        if block.last().is_some_and(|row| row.exch > BEGIN + span) {
            return Arc::from(kept);
        }
    }
}

pub fn lane(rows: Box<dyn Rows>, symbols: usize) -> Vec<Lane> {
    vec![Lane { rows, symbols: (0..symbols).map(|id| Some(SymbolId(id as u16))).collect() }]
}

pub fn shared(rows: &Arc<[Row]>, symbols: usize) -> Vec<Lane> {
    lane(Box::new(Shared::new(rows.clone())), symbols)
}

/// Writes everything down.
#[derive(Debug, Default, PartialEq)]
pub struct Notes {
    pub answers: Vec<Answer>,
    pub fills: Vec<Fill>,
    pub payments: Vec<Payment>,
    pub equity: Vec<(Nanos, Notional)>,
    pub log: Vec<LogEvent>,
    pub stop_at: Option<Nanos>,
}

impl Observer for Notes {
    fn before(&mut self, at: Nanos) -> Result<Flow, String> {
        Ok(if self.stop_at.is_some_and(|stop_at| at >= stop_at) { Flow::Stop } else { Flow::On })
    }

    fn answer(&mut self, answer: &Answer) {
        self.answers.push(*answer);
    }

    fn fill(&mut self, fill: &Fill) {
        self.fills.push(*fill);
    }

    fn funding(&mut self, payment: &Payment) {
        self.payments.push(*payment);
    }

    fn standing(&mut self, standing: &Standing<'_>) {
        self.equity.push((standing.at, standing.equity));
    }

    fn log(&mut self, _now: Nanos, event: &LogEvent) {
        if !matches!(event, LogEvent::Signal(_) | LogEvent::Latency { .. }) {
            self.log.push(*event);
        }
    }
}

pub fn go(config: StagesConfig, lanes: Vec<Lane>) -> (Outcome, Notes) {
    let mut notes = Notes::default();
    let outcome = run(config, lanes, &mut notes).unwrap();
    (outcome, notes)
}

/// What a scripted strategy does at a time after the market's beginning.
#[derive(Clone, Copy, Debug)]
pub enum Act {
    /// A limit order so many ticks behind the best price of its side (negative: beyond it, towards the other side).
    Limit { side: Side, behind: i64, qty: &'static str, tif: TimeInForce },
    /// Gives every live order so much, so many ticks behind the best bid.
    Modify { behind: i64, qty: &'static str },
    /// Cancels every live order.
    CancelAll,
    /// Closes so much at the market.
    Exit { side: Side, qty: &'static str },
}

/// Does what it is told, when it is told.
pub struct Script {
    pub acts: Vec<(Duration, Act)>,
    pub done: usize,
    pub begin: Nanos,
}

impl Script {
    pub fn boxed(acts: Vec<(Duration, Act)>) -> Box<dyn Strategy + Send> {
        Box::new(Script { acts, done: 0, begin: BEGIN })
    }
}

impl Strategy for Script {
    fn name(&self) -> &'static str {
        "script"
    }

    fn on_update(&mut self, view: &View<'_>, orders: &mut Orders) {
        while let Some((after, act)) = self.acts.get(self.done).copied().filter(|(at, _)| view.now >= self.begin + *at)
        {
            let _ = after;
            let touch = view.book.touch().both();
            let asked: Option<OrderId> = match act {
                Act::Limit { side, behind, qty, tif } => touch.and_then(|(bid, ask)| {
                    let price = match side {
                        Side::Buy => view.instrument.offset_ticks(bid.price, -behind),
                        Side::Sell => view.instrument.offset_ticks(ask.price, behind),
                    };
                    let qty = qty.parse().unwrap();
                    orders.limit(LimitOrder { side, price, qty, time_in_force: tif, reduce_only: false })
                }),
                Act::Modify { behind, qty } => {
                    let Some((bid, _)) = touch else { return };
                    let price = view.instrument.offset_ticks(bid.price, -behind);
                    let asked = view.orders.live().all(|order| orders.modify(order, price, qty.parse().unwrap()));
                    self.done += usize::from(asked);
                    if asked {
                        continue;
                    }
                    return;
                }
                Act::CancelAll => {
                    view.orders.live().for_each(|order| orders.cancel(order));
                    self.done += 1;
                    continue;
                }
                Act::Exit { side, qty } => orders.market_exit(side, qty.parse().unwrap()),
            };
            if asked.is_none() {
                // Not now: the book is not there yet, or the gate is closed.
                return;
            }
            self.done += 1;
        }
    }
}

/// A row of the symbol 0, as simple markets are written by hand.
pub fn row(exch: u64, local: u64, kind: Kind, side: Option<Side>, price: &str, qty: &str, more: bool) -> Row {
    let at = |ms: u64| BEGIN + Duration::from_millis(ms);
    let flags = Flags::BOTH.with_more(more);
    let (price, qty): (Price, Qty) = (price.parse().unwrap(), qty.parse().unwrap());
    Row { exch: at(exch), local: at(local), price, qty, id: 0, symbol: SymbolId(0), kind, side, flags }
}

/// A calm book of one level a side from the beginning, told once a second with a mark, for `seconds`.
pub fn calm(seconds: u64, travel_ms: u64) -> Vec<Row> {
    let mut rows = vec![
        row(0, travel_ms, Kind::Clear, None, "0", "0", true),
        row(0, travel_ms, Kind::Snapshot, Some(Side::Buy), "60000", "5", true),
        row(0, travel_ms, Kind::Snapshot, Some(Side::Sell), "60000.1", "5", false),
    ];
    for second in 0..seconds {
        let (exch, local) = (second * 1_000, second * 1_000 + travel_ms);
        rows.push(row(exch, local, Kind::Top, Some(Side::Buy), "60000", "5", true));
        rows.push(row(exch, local, Kind::Top, Some(Side::Sell), "60000.1", "5", false));
        rows.push(row(exch, local, Kind::Mark, None, "60000", "0", false));
    }
    rows
}

pub fn level(price: &str, qty: &str) -> Level {
    Level { price: price.parse().unwrap(), qty: qty.parse().unwrap() }
}

/// What strategies see of the limits.
const RATES: RateLimits =
    RateLimits { orders_ten_seconds: 300, orders_minute: 1_200, weight_minute: 2_400, reserve_percent: 20 };
