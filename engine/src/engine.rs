//! The engine stage: pops reports and market events, keeps one desk per symbol, lets strategies decide.
//!
//! Reports come first, so that a decision never rests on an order that is known to have ended. A strategy is asked once
//! for every complete depth message, bookTicker or trade, after reports, and at least every few hundredths of a second.
//! An intent leaves before the next event is read. Bounded work a step; never blocks. Engine thread.

use std::time::Duration;

use optiflow_base::clock::{Clock, Nanos};
use optiflow_base::ids::SymbolId;
use optiflow_base::instrument::Instrument;
use optiflow_base::log::{Log, Span};
use optiflow_base::market::{BookDoubt, MarketEvent};
use optiflow_base::order::{Intent, Report};
use optiflow_base::rates::{RateLimits, Rates};
use optiflow_base::ring::{Rx, Tx};
use optiflow_base::stage::{Progress, Stage};

use crate::book::Book;
use crate::desk::{Desk, Gate, Moment, Outlet};
use crate::position::Position;
use crate::strategy::Strategy;

/// The engine stage.
pub struct Engine<C> {
    desks: Vec<Desk>,
    market: Rx<MarketEvent>,
    from_risk: Rx<Report>,
    from_oms: Rx<Report>,
    outlet: Outlet<C>,
    gate: Gate,
    rates: Rates,
    sample_every: Duration,
    book_age_max: Duration,
    measured: u32,
}

/// What the engine is to do.
pub struct EngineConfig {
    /// One entry per symbol; index = [`SymbolId`].
    pub symbols: Vec<EngineSymbol>,
    /// This session's epoch: order ids begin with it.
    pub epoch: u32,
    /// The limits that risk holds, for strategies to see.
    pub rates: RateLimits,
    /// How often signals are written to the log.
    pub sample_every: Duration,
    /// No entry is asked for on a book that was last heard longer ago than this, whatever its strategy thinks of age.
    pub book_age_max: Duration,
    /// Window of the trade flow that strategies read.
    pub flow_window: Duration,
}

/// A symbol and who trades it.
pub struct EngineSymbol {
    /// The contract.
    pub instrument: Instrument,
    /// Its strategy.
    pub strategy: Box<dyn Strategy + Send>,
}

/// The engine's ring ends.
pub struct EnginePorts {
    /// Market events, from feed.
    pub market: Rx<MarketEvent>,
    /// Intents, to risk.
    pub intents: Tx<Intent>,
    /// Books that cannot be believed although they are in sequence, to feed.
    pub doubts: Tx<BookDoubt>,
    /// Denials, from risk.
    pub from_risk: Rx<Report>,
    /// Everything else that became of orders, from oms.
    pub from_oms: Rx<Report>,
    /// To storage.
    pub log: Log,
}

impl<C: Clock> Engine<C> {
    /// A stage with empty books and a closed gate; `clock` stamps decisions and measures latency.
    ///
    /// # Panics
    /// If a symbol's id is not its index.
    pub fn new(config: EngineConfig, clock: C, ports: EnginePorts) -> Engine<C> {
        let EnginePorts { market, intents, doubts, from_risk, from_oms, log } = ports;
        let desk = |symbol| Desk::new(symbol, config.flow_window);
        let desks: Vec<Desk> = config.symbols.into_iter().map(desk).collect();
        for (index, desk) in desks.iter().enumerate() {
            assert!(desk.instrument.symbol.index() == index, "a symbol's id is its index");
        }
        Engine {
            desks,
            market,
            from_risk,
            from_oms,
            outlet: Outlet::new(config.epoch, clock, intents, doubts, log),
            gate: Gate::default(),
            rates: Rates::new(config.rates),
            sample_every: config.sample_every,
            book_age_max: config.book_age_max,
            measured: 0,
        }
    }

    /// The book of a symbol.
    pub fn book(&self, symbol: SymbolId) -> Option<&Book> {
        self.desks.get(symbol.index()).map(|desk| &desk.book)
    }

    /// Our position in a symbol, as the engine believes it.
    pub fn position(&self, symbol: SymbolId) -> Option<Position> {
        self.desks.get(symbol.index()).map(|desk| desk.position)
    }

    /// When time alone makes the engine decide: the earliest moment at which a desk has been left alone for too long.
    pub fn next_due(&self) -> Option<Nanos> {
        self.desks.iter().map(Desk::overdue_at).min()
    }

    /// Takes in what was told, as much as a step takes; says how much that was.
    fn reports(&mut self, now: Nanos) -> usize {
        for taken in 0..REPORTS_PER_STEP_MAX {
            let Some(report) = self.from_risk.pop().or_else(|| self.from_oms.pop()) else { return taken };
            self.on_report(&report, now);
        }
        REPORTS_PER_STEP_MAX
    }

    fn on_report(&mut self, report: &Report, now: Nanos) {
        match *report {
            Report::Order(event) => match self.desks.get_mut(event.symbol.index()) {
                Some(desk) => {
                    self.rates.follow(event.at, &event.change);
                    desk.on_order(&event, &mut self.outlet.log);
                }
                None => self.outlet.log.notice(event.at, "report on an unknown symbol", event.symbol.0.into()),
            },
            Report::Position { symbol, qty, entry, at } => match self.desks.get_mut(symbol.index()) {
                Some(desk) => desk.on_position(qty, entry, at, &mut self.outlet.log),
                None => self.outlet.log.notice(at, "position of an unknown symbol", symbol.0.into()),
            },
            Report::Gate { open, at, reason } => {
                self.gate = Gate { open, exits_open: open || reason.lets_exits_pass() };
                self.desks.iter_mut().for_each(|desk| desk.reported = Some(at));
            }
            Report::Usage(usage) => self.rates.adopt(now, &usage),
            Report::Wallet { .. } => {}
        }
    }

    /// Lets the desks decide that were told something, or that have been left alone too long.
    fn decide_due(&mut self, now: Nanos) -> usize {
        let mut sent = 0;
        // What waits on the ring may be the very news that forbids it, and is read in a moment.
        let is_quiet = self.market.is_empty();
        for desk in &mut self.desks {
            let caused = desk.reported.take().or_else(|| (is_quiet && desk.is_overdue(now)).then_some(now));
            if let Some(caused) = caused {
                let (gate, sample_every, book_age_max) = (self.gate, self.sample_every, self.book_age_max);
                let moment = Moment { now, caused, gate, sample_every, book_age_max };
                sent += desk.decide(moment, &self.rates, &mut self.outlet);
            }
        }
        sent
    }

    fn events(&mut self, now: Nanos) -> Progress {
        for taken in 0..EVENTS_PER_STEP_MAX {
            let Some(event) = self.market.pop() else { return Progress::from_work(taken > 0) };
            if self.on_event(&event, now) > 0 {
                break;
            }
        }
        Progress::Busy
    }

    #[inline]
    fn on_event(&mut self, event: &MarketEvent, now: Nanos) -> usize {
        let symbol = event.body.symbol();
        let Some(desk) = self.desks.get_mut(symbol.index()) else {
            self.outlet.log.notice(event.received, "market event of an unknown symbol", symbol.0.into());
            return 0;
        };
        if !desk.on_market(event, &mut self.outlet) {
            return 0;
        }
        let (caused, gate, sample_every) = (event.received, self.gate, self.sample_every);
        let moment = Moment { now, caused, gate, sample_every, book_age_max: self.book_age_max };
        let sent = desk.decide(moment, &self.rates, &mut self.outlet);
        self.measured = (self.measured + 1) % MEASURED_ONE_IN;
        if sent > 0 || self.measured == 0 {
            let nanos = self.outlet.clock.now().since(event.received);
            self.outlet.log.latency(Span::Engine, nanos);
        }
        sent
    }
}

impl<C: Clock> Stage for Engine<C> {
    fn step(&mut self, now: Nanos) -> Progress {
        let reports = self.reports(now);
        // What still waits may forbid what would be decided now: it is read first.
        if reports == REPORTS_PER_STEP_MAX || self.decide_due(now) > 0 {
            return Progress::Busy;
        }
        Progress::from_work(reports > 0).or(self.events(now))
    }
}

/// Reports taken in one step.
const REPORTS_PER_STEP_MAX: usize = 64;
/// Market events taken in one step.
const EVENTS_PER_STEP_MAX: usize = 64;
/// Latency is measured for one decision in so many, and for every one that sent an intent.
const MEASURED_ONE_IN: u32 = 16;
