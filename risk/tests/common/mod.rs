//! A risk stage with all its neighbours' ring ends in the hands of the test.

#![allow(dead_code, missing_docs, clippy::unwrap_used, clippy::expect_used)]

use std::time::Duration;

use optiflow_base::clock::{Nanos, VirtualClock};
use optiflow_base::control::Command;
use optiflow_base::ids::{OrderId, SymbolId, SymbolName, TradeId};
use optiflow_base::instrument::Instrument;
use optiflow_base::log::{Log, LogEvent};
use optiflow_base::market::{Level, MarketBody, MarketEvent};
use optiflow_base::money::{Price, Qty, Side};
use optiflow_base::order::{
    Action, DenyReason, GateReason, Intent, NewOrder, OrderChange, OrderEvent, OrderKind, Report, TimeInForce,
};
use optiflow_base::rates::RateLimits;
use optiflow_base::ring::{Rx, Tx, ring};
use optiflow_base::stage::{Room, Stage};
use optiflow_risk::{Approved, Risk, RiskConfig, RiskPorts, RiskSymbol, TotalLimits};

pub mod life;

pub const SYMBOL: SymbolId = SymbolId(0);
pub const EPOCH: u32 = 7;
/// A refusal that waiting does not heal.
pub const LASTING: i32 = -4120;

pub struct World {
    pub risk: Risk<VirtualClock>,
    /// What is quoted, asked and reported from now on is about this one.
    pub symbol: SymbolId,
    pub now: Nanos,
    pub intents: Tx<Intent>,
    pub quotes: Tx<MarketEvent>,
    pub reports: Tx<Report>,
    pub commands: Tx<Command>,
    pub orders: Rx<Approved>,
    pub denials: Rx<Report>,
    pub log: Rx<LogEvent>,
    pub next_id: u32,
    next_trade: u64,
}

pub struct Sizes {
    pub orders: usize,
    pub log: usize,
}

pub fn instrument() -> Instrument {
    Instrument {
        symbol: SYMBOL,
        name: SymbolName::from("BTCUSDT").unwrap(),
        tick_size: price("0.1"),
        price_min: price("556.8"),
        price_max: price("4529764"),
        step_size: qty("0.001"),
        qty_min: qty("0.001"),
        qty_max: qty("1000"),
        market_step_size: qty("0.001"),
        market_qty_min: qty("0.001"),
        market_qty_max: qty("120"),
        notional_min: "50".parse().unwrap(),
        percent_up_ppm: 1_050_000,
        percent_down_ppm: 950_000,
        open_orders_max: 200,
        maker_fee_ppm: 200,
        taker_fee_ppm: 500,
    }
}

/// Orders up to 1 000, positions up to 3 000 (0.1 at 30 000), five open orders, a band of 10 %.
pub fn config() -> RiskConfig {
    RiskConfig {
        symbols: vec![RiskSymbol {
            instrument: instrument(),
            order_notional_max: "1000".parse().unwrap(),
            position_notional_max: "3000".parse().unwrap(),
            open_orders_max: 5,
            price_band_ppm: 100_000,
        }],
        total: None,
        is_lasting: |code| code == LASTING,
        rates: RateLimits { orders_ten_seconds: 50, orders_minute: 1_000, weight_minute: 1_000, reserve_percent: 10 },
        quote_age_max: Duration::from_secs(3),
    }
}

/// As [`config`] for two symbols of the same kind, with limits over both.
pub fn config_of_two(notional_max: &str, open_orders_max: u32) -> RiskConfig {
    let one = config();
    let mut second = one.symbols[0].clone();
    second.instrument.symbol = SymbolId(1);
    let total = Some(TotalLimits { notional_max: notional_max.parse().unwrap(), open_orders_max });
    RiskConfig { symbols: vec![one.symbols[0].clone(), second], total, ..one }
}

impl World {
    /// A stage that has heard nothing yet.
    pub fn silent(config: RiskConfig, sizes: &Sizes) -> World {
        let (intents, intents_rx) = ring("intents", 256);
        let (quotes, quotes_rx) = ring("quotes", 512);
        let (reports, reports_rx) = ring("reports", 1_024);
        let (commands, commands_rx) = ring("commands", 16);
        let (orders_tx, orders) = ring("orders", sizes.orders);
        let (denials_tx, denials) = ring("denials", 256);
        let (log_tx, log) = ring("log", sizes.log);
        let now = Nanos(1_680_000_000_000_000_000);
        let ports = RiskPorts {
            intents: intents_rx,
            quotes: quotes_rx,
            reports: reports_rx,
            commands: commands_rx,
            orders: orders_tx,
            denials: denials_tx,
            log: Log::new(Room::Risk, log_tx),
        };
        let risk = Risk::new(config, VirtualClock::new(now), ports);
        World {
            risk,
            symbol: SYMBOL,
            now,
            intents,
            quotes,
            reports,
            commands,
            orders,
            denials,
            log,
            next_id: 1,
            next_trade: 1,
        }
    }

    /// A stage with an open gate, a book of 29 999.9 / 30 000.1 and a mark of 30 000.
    pub fn ready(config: RiskConfig) -> World {
        let mut world = World::silent(config, &Sizes { orders: 256, log: 1_024 });
        world.gate(true);
        world.top("29999.9", "30000.1");
        world.mark("30000");
        world.step();
        world
    }

    /// As [`World::ready`], the same prices in both symbols.
    pub fn ready_with_two(config: RiskConfig) -> World {
        let mut world = World::ready(config);
        world.symbol = SymbolId(1);
        world.top("29999.9", "30000.1");
        world.mark("30000");
        world.step();
        world.symbol = SYMBOL;
        world
    }

    pub fn step(&mut self) {
        self.risk.step(self.now);
    }

    pub fn intents_are_read(&self) -> bool {
        self.intents.free() == 256
    }

    pub fn wait(&mut self, span: Duration) {
        self.now = self.now + span;
    }

    pub fn gate(&mut self, open: bool) {
        self.gate_for(if open { GateReason::Reconciled } else { GateReason::Starting });
    }

    /// Open when reconciled, else closed for this reason.
    pub fn gate_for(&mut self, reason: GateReason) {
        self.report(Report::Gate { open: reason == GateReason::Reconciled, reason, at: self.now });
    }

    pub fn report(&mut self, report: Report) {
        self.reports.push(report).unwrap();
    }

    pub fn position(&mut self, units: &str) {
        self.report(Report::Position { symbol: self.symbol, qty: qty(units), entry: price("30000"), at: self.now });
    }

    pub fn change(&mut self, order: OrderId, change: OrderChange) {
        self.report(Report::Order(OrderEvent { symbol: self.symbol, order, at: self.now, exchange_ms: 0, change }));
    }

    pub fn fill(&mut self, order: OrderId, qty: Qty, total: Qty) {
        let trade = TradeId(self.next_trade);
        self.next_trade += 1;
        self.change(order, OrderChange::Filled { trade, price: price("30000"), qty, total, maker: true, fee: 0 });
    }

    pub fn quote(&mut self, body: MarketBody) {
        self.quotes.push(MarketEvent { received: self.now, body }).unwrap();
    }

    pub fn top(&mut self, bid: &str, ask: &str) {
        let level = |text: &str| Level { price: price(text), qty: qty("1") };
        self.quote(MarketBody::Top {
            symbol: self.symbol,
            update_id: 1,
            bid: level(bid),
            ask: level(ask),
            event_ms: 0,
        });
    }

    pub fn mark(&mut self, mark: &str) {
        let (mark, symbol) = (price(mark), self.symbol);
        self.quote(MarketBody::Mark { symbol, mark, index: mark, funding_rate: 0, next_funding_ms: 0, event_ms: 0 });
    }

    /// `buy 30000 0.002`, with `reduce` at the end if wanted; price `market` for a market order.
    pub fn order(&mut self, text: &str) -> NewOrder {
        let words: Vec<&str> = text.split_whitespace().collect();
        let (kind, limit) = match words[1] {
            "market" => (OrderKind::Market, Price::ZERO),
            text => (OrderKind::Limit, price(text)),
        };
        let id = OrderId::new(EPOCH, self.next_id);
        self.next_id += 1;
        NewOrder {
            id,
            side: if words[0] == "buy" { Side::Buy } else { Side::Sell },
            kind,
            time_in_force: TimeInForce::Gtx,
            price: limit,
            qty: qty(words[2]),
            reduce_only: words.get(3) == Some(&"reduce"),
        }
    }

    pub fn ask(&mut self, action: Action) -> String {
        let intent = Intent { symbol: self.symbol, action, caused: self.now, decided: self.now };
        self.intents.push(intent).unwrap();
        self.step();
        self.answer(intent)
    }

    /// What came of the last intent: `approved`, or the reason from the log, which the denial must match.
    fn answer(&mut self, intent: Intent) -> String {
        let mut reason = None;
        while let Some(event) = self.log.pop() {
            if let LogEvent::Denied { order, reason: why, .. } = event {
                assert_eq!(order, intent.order());
                reason = Some(why);
            }
        }
        match (self.orders.pop(), self.denials.pop()) {
            (Some(approved), None) => {
                assert_eq!(*approved.intent(), intent, "an approval carries the intent unchanged");
                assert_eq!(reason, None);
                "approved".to_owned()
            }
            (None, Some(Report::Order(event))) => {
                let reason: DenyReason = reason.expect("every denial is logged");
                let expected = match intent.action {
                    Action::Place(_) => OrderChange::Denied(reason),
                    Action::Cancel(_) => OrderChange::CancelRefused { code: 0 },
                    Action::Modify { .. } => OrderChange::ModifyRefused { code: 0 },
                };
                assert_eq!((event.order, event.change), (intent.order(), expected));
                format!("{reason:?}")
            }
            other => panic!("one answer for one intent, not {other:?}"),
        }
    }

    pub fn place(&mut self, text: &str) -> String {
        let order = self.order(text);
        self.ask(Action::Place(order))
    }

    /// Places an order that must be approved and returns it.
    pub fn placed(&mut self, text: &str) -> NewOrder {
        let order = self.order(text);
        assert_eq!(self.ask(Action::Place(order)), "approved", "{text}");
        order
    }

    pub fn cancel(&mut self, order: OrderId) -> String {
        self.ask(Action::Cancel(order))
    }

    /// Wants to modify an order that does not exist: denied, and nothing else comes of it.
    pub fn amend_nothing(&mut self) {
        let intent = self.amending_nothing();
        assert_eq!(self.ask(intent.action), "BadOrderId");
    }

    /// The intent of [`World::amend_nothing`].
    pub fn amending_nothing(&self) -> Intent {
        let order = OrderId::new(EPOCH, u32::MAX);
        let action = Action::Modify { order, price: price("29999.9"), qty: qty("0.002") };
        Intent { symbol: SYMBOL, action, caused: self.now, decided: self.now }
    }
}

pub fn price(text: &str) -> Price {
    text.parse().unwrap()
}

pub fn qty(text: &str) -> Qty {
    text.parse().unwrap()
}
