//! The loop: the next instant is the earliest at which anything happens, and everything of an instant happens in order.
//!
//! Within an instant: the market and requests at the exchange, the market and letters here, then the stages until none
//! has work. What leaves them at once arrives in a later round of the same instant.

use std::rc::Rc;
use std::time::Duration;

use optiflow_base::clock::{Clock, Nanos, VirtualClock};
use optiflow_base::control::Command;
use optiflow_base::ids::SymbolId;
use optiflow_base::log::LogEvent;
use optiflow_base::ring::Rx;
use optiflow_base::stage::{Progress, Stage};
use optiflow_engine::book::BookState;
use optiflow_engine::engine::{Engine, EngineConfig};
use optiflow_oms::report::Reporter;
use optiflow_risk::{Risk, RiskConfig};
use optiflow_sim::core::{Core, CoreConfig};
use optiflow_sim::market::Source;

use super::counter::Counter;
use super::digest::Digest;
use super::direct::{Direct, Firsthand};
use super::ears::Ears;
use super::gateway::Gateway;
use super::heard::Heard;
use super::observer::{Best, Flow, Observer};
use super::playback::{Decks, Playback};
use super::post::Post;
use super::tape::{Lane, Tape};
use super::{End, Outcome, StagesConfig};
use crate::links::{self, Links, Outside};

/// Everything of one run.
pub(super) struct World {
    clock: Rc<VirtualClock>,
    core: Core,
    counter: Counter,
    decks: Decks,
    ears: Ears,
    engine: Engine<Rc<VirtualClock>>,
    risk: Risk<Rc<VirtualClock>>,
    gateway: Gateway,
    outside: Outside,
    logs: Vec<Rx<LogEvent>>,
    digest: Digest,
    symbols: u16,
    first: Nanos,
    stop_at: Option<Nanos>,
    stop_timeout: Duration,
    next_sample: Nanos,
    /// When we last heard or read anything.
    news: Nanos,
    log_events_lost: u64,
    heard: Vec<Heard>,
}

impl World {
    pub(super) fn new(config: StagesConfig, lanes: Vec<Lane>) -> Result<World, String> {
        let StagesConfig { engine, risk, core, direct, latency, run_for, stop_timeout } = config;
        let symbols = engine.symbols.len();
        check_symbols(&engine, &risk, &core);
        let decks = Decks::new(Tape::new(lanes, direct.is_some()), symbols);
        let (source, first) = source(&decks, &core, direct)?;
        if let Some(problem) = decks.lock().failure.take() {
            return Err(problem);
        }
        let first = first.ok_or("the market says nothing about these symbols; give other rows")?;
        let clock = Rc::new(VirtualClock::new(first));
        let Links { feed, engine: engine_ports, risk: risk_ports, oms, mut outside } = Links::new();
        let logs = std::mem::take(&mut outside.logs);
        let wallet = core.wallet;
        let core = Core::open(CoreConfig { start: first, speed: 1.0, ..core }, source);
        let core = core.map_err(|unfit| unfit.to_string())?;
        let reporter = Reporter::new(oms.to_risk, oms.to_engine, oms.log);
        Ok(World {
            core,
            counter: Counter::default(),
            ears: Ears::new(decks.clone(), symbols, feed.market, feed.quotes),
            decks,
            engine: Engine::new(engine, clock.clone(), engine_ports),
            risk: Risk::new(risk, clock.clone(), risk_ports),
            gateway: Gateway::new(symbols, wallet, reporter, oms.orders, Post::new(latency)),
            clock,
            outside,
            logs,
            digest: Digest::new(),
            symbols: u16::try_from(symbols).map_err(|_| "too many symbols for one session")?,
            first,
            stop_at: run_for.map(|span| first + span),
            stop_timeout,
            next_sample: after(first),
            news: first,
            log_events_lost: 0,
            heard: vec![Heard::default(); symbols],
        })
    }

    pub(super) fn run(mut self, observer: &mut impl Observer) -> Result<Outcome, String> {
        self.gateway.open(self.first, self.symbols);
        let end = self.run_until_end(observer)?;
        self.stop(observer)?;
        let now = self.clock.now();
        self.look();
        observer.standing(&self.gateway.books.standing(now, self.ears.heard()));
        let (rows, rows_of_symbols) = self.decks.lock().tape.rows();
        let open_orders = self.core.open_orders(None).len();
        let standing = self.gateway.books.standing(now, self.ears.heard());
        let (wallet, equity) = (standing.wallet, standing.equity);
        Ok(Outcome {
            hash: self.digest.value(),
            rows,
            rows_of_symbols,
            first: self.first,
            last: now,
            end,
            wallet,
            equity,
            open_orders: u32::try_from(open_orders).unwrap_or(u32::MAX),
            answers: self.gateway.counts.answers,
            refusals: self.gateway.counts.refusals,
            tally: self.gateway.counts.tally,
            heard: self.heard(),
            symbols: self.gateway.books.into_symbols(),
            log_events_lost: self.log_events_lost,
        })
    }

    fn run_until_end(&mut self, observer: &mut impl Observer) -> Result<End, String> {
        loop {
            let (Some(at), false) = (self.next_at()?, self.is_market_over()?) else { return Ok(End::MarketOver) };
            if let Some(stop_at) = self.stop_at.filter(|stop_at| at > *stop_at) {
                self.instant(stop_at, observer)?;
                return Ok(End::TimeUp);
            }
            if observer.before(at)? == Flow::Stop {
                return Ok(End::Asked);
            }
            self.instant(at, observer)?;
        }
    }

    /// Lets everything of ours end.
    fn stop(&mut self, observer: &mut impl Observer) -> Result<(), String> {
        let now = self.clock.now();
        let deadline = now + self.stop_timeout;
        links::tell(&mut self.outside.commands, Command::Stop);
        self.gateway.stop(now);
        self.settle(now, observer)?;
        while self.gateway.live() > 0 || !self.gateway.post.is_empty() {
            let Some(at) = self.next_at()?.filter(|at| *at <= deadline) else { return Ok(()) };
            // Told once to stop is enough; a paced run still waits for its time.
            let _ = observer.before(at)?;
            self.instant(at, observer)?;
        }
        Ok(())
    }

    /// When anything happens next.
    fn next_at(&self) -> Result<Option<Nanos>, String> {
        let due = [
            self.core.next_due(),
            self.gateway.post.next_arrival(),
            self.ears.next_at()?,
            self.gateway.post.next_delivery(),
            self.gateway.next_due(),
            self.timer(),
        ];
        let now = self.clock.now();
        Ok(due.into_iter().flatten().min().map(|at| at.max(now)))
    }

    /// When time alone makes the engine decide. In a long silence with nothing of ours under way it need not: nothing rests
    /// on a market that is not there, and days between two recordings are not waited through.
    fn timer(&self) -> Option<Nanos> {
        let quiet = self.clock.now() > self.news + QUIET_MAX && self.gateway.post.is_empty();
        self.engine.next_due().filter(|_| !quiet)
    }

    /// Has everything been told that the rows have, on either clock, and nothing of ours is under way?
    fn is_market_over(&self) -> Result<bool, String> {
        Ok(self.core.market_ended() && self.ears.next_at()?.is_none() && self.gateway.post.is_empty())
    }

    fn instant(&mut self, at: Nanos, observer: &mut impl Observer) -> Result<(), String> {
        self.show(at, observer);
        self.clock.advance_to(at);
        for _ in 0..ROUNDS_MAX {
            let World { core, counter, gateway, ears, decks, .. } = self;
            counter.advance(at, core, &mut gateway.post, ears)?;
            if let Some(problem) = decks.lock().failure.take() {
                return Err(problem);
            }
            while let Some(request) = gateway.post.arrived(at) {
                counter.serve(at, request, core, &mut gateway.post, ears);
            }
            self.hear(at, observer)?;
            if self.gateway.post.next_delivery().is_some_and(|next| next <= at) {
                self.look();
            }
            while let Some(letter) = self.gateway.post.delivered(at) {
                self.news = at;
                self.gateway.read(&letter, observer);
            }
            self.settle(at, observer)?;
            let again = |next: Option<Nanos>| next.is_some_and(|next| next <= at);
            if !again(self.gateway.post.next_arrival()) && !again(self.gateway.post.next_delivery()) {
                return Ok(());
            }
        }
        Err(format!("orders and answers without latency go on for ever at {} ns; give them some latency", at.0))
    }

    /// Shows where the run stands at every time before `at` at which somebody wants to know.
    fn show(&mut self, at: Nanos, observer: &mut impl Observer) {
        let (mut looks, mut close_looks) = (0, 0);
        loop {
            // A moment that is over is looked at now.
            let look = observer
                .next_look()
                .filter(|_| close_looks < CLOSE_LOOKS_MAX)
                .map_or(Nanos(u64::MAX), |look| look.max(self.clock.now()));
            let due = self.next_sample.min(look);
            if due >= at {
                return;
            }
            self.look();
            let standing = self.gateway.books.standing(due, self.ears.heard());
            if look == due {
                close_looks += 1;
                observer.look(&standing);
                assert!(observer.next_look().is_none_or(|next| next > due), "who has looked looks later next time");
            }
            if self.next_sample == due {
                observer.standing(&standing);
                self.next_sample = after(due);
                looks += 1;
                if looks == LOOKS_MAX {
                    self.next_sample = self.next_sample.max(after(at - Duration::from_nanos(2 * SAMPLE_NS)));
                }
            }
        }
    }

    fn hear(&mut self, at: Nanos, observer: &mut impl Observer) -> Result<(), String> {
        loop {
            if !self.ears.has_room() {
                self.settle(at, observer)?;
                assert!(self.ears.has_room(), "stages that have settled have read their rings");
            }
            if !self.ears.hear(at)? {
                return Ok(());
            }
            self.news = at;
        }
    }

    /// Steps the stages, in the order in which an event crosses them, until none has work.
    fn settle(&mut self, at: Nanos, observer: &mut impl Observer) -> Result<(), String> {
        for _ in 0..STEPS_MAX {
            let engine = self.engine.step(at);
            let risk = self.risk.step(at);
            let progress = engine.or(risk).or(self.gateway.step(at));
            self.drain(at, observer);
            if progress == Progress::Idle {
                return Ok(());
            }
        }
        Err(format!("the stages find no rest at {} ns: a strategy that never stops deciding?", at.0))
    }

    fn drain(&mut self, at: Nanos, observer: &mut impl Observer) {
        for log in &mut self.logs {
            while let Some(event) = log.pop() {
                if let LogEvent::Lost { count, .. } = event {
                    self.log_events_lost += count;
                }
                self.gateway.counts.refusals += u64::from(matches!(event, LogEvent::Denied { .. }));
                if let LogEvent::Intent(intent) = &event {
                    self.heard[intent.symbol.index()].decisions += 1;
                    observer.decided(intent, best(&self.engine, intent.symbol));
                }
                self.digest.log(&event);
                observer.log(at, &event);
            }
        }
        // Nobody but the feed of a live session asks for these.
        while self.outside.milestones.pop().is_some() {}
    }

    /// Notes the best prices of every book, as the engine has them.
    fn look(&mut self) {
        for symbol in (0..self.symbols).map(SymbolId) {
            let best = best(&self.engine, symbol);
            let heard = &mut self.heard[symbol.index()];
            heard.synced |= self.engine.book(symbol).is_some_and(|book| book.state() == BookState::Synced);
            heard.two_sided |= best.is_some();
            self.gateway.books.see(symbol, best);
        }
    }

    /// What each strategy had to go by.
    fn heard(&self) -> Vec<Heard> {
        let heard = self.heard.iter().zip((0..self.symbols).map(SymbolId));
        let counted = |(heard, symbol): (&Heard, SymbolId)| Heard {
            marked: self.ears.is_marked(symbol),
            trades: self.ears.trades(symbol),
            ..*heard
        };
        heard.map(counted).collect()
    }
}

/// The market of the core, and when it begins.
fn source(
    decks: &Decks,
    core: &CoreConfig,
    direct: Option<Direct>,
) -> Result<(Box<dyn Source>, Option<Nanos>), String> {
    let listings = core.listings.clone();
    Ok(match direct {
        Some(direct) => {
            let mut source = Firsthand::new(decks.clone(), listings, direct);
            let first = source.begins()?;
            (Box::new(source), first)
        }
        None => {
            let mut source = Playback::new(decks.clone(), listings);
            let first = source.begins();
            (Box::new(source), first)
        }
    })
}

fn best(engine: &Engine<Rc<VirtualClock>>, symbol: SymbolId) -> Option<Best> {
    let (bid, ask) = engine.book(symbol)?.touch().both()?;
    Some(Best { bid: bid.price, ask: ask.price })
}

fn check_symbols(engine: &EngineConfig, risk: &RiskConfig, core: &CoreConfig) {
    assert!(engine.symbols.len() == risk.symbols.len(), "engine and risk have the same symbols");
    assert!(engine.symbols.len() == core.listings.len(), "engine and exchange have the same symbols");
    for (symbol, listing) in engine.symbols.iter().zip(&core.listings) {
        assert!(symbol.instrument.name.as_str() == listing.name, "engine and exchange list symbols in one order");
    }
}

/// The next whole second.
const fn after(now: Nanos) -> Nanos {
    Nanos((now.0 / SAMPLE_NS + 1) * SAMPLE_NS)
}

/// Time between two looks at where the run stands.
const SAMPLE_NS: u64 = 1_000_000_000;
/// Silence through which the engine is still woken by time alone: every time-out of a strategy is over by then.
const QUIET_MAX: Duration = Duration::from_secs(120);
/// The same for looks that an observer asks for: at the closest, ten minutes of them.
const CLOSE_LOOKS_MAX: u32 = 6_000;
/// Looks at a run in which nothing happens, before those up to the next event are left out.
const LOOKS_MAX: u64 = 120;
/// Rounds of one instant: without latency, orders and answers follow each other at once.
const ROUNDS_MAX: u32 = 10_000;
/// Steps of the stages in one round.
const STEPS_MAX: u32 = 1_000_000;
