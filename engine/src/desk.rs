//! One symbol's desk: its book, signals, orders, position and strategy, and the one place where a decision is made.
//!
//! Applies what the engine hands it and, when asked, shows the strategy a view and sends what it wants. Holds the law
//! that no order leaves on a book that is not synced and tradable or through a closed gate. Engine thread.

use std::time::Duration;

use optiflow_base::clock::{Clock, Nanos, nanos_of};
use optiflow_base::ids::OrderIds;
use optiflow_base::instrument::Instrument;
use optiflow_base::log::{Log, LogEvent, SignalSample};
use optiflow_base::market::{BookDoubt, BookLoss, MarketBody, MarketEvent};
use optiflow_base::money::{Price, Qty};
use optiflow_base::order::{Action, Intent, OrderChange, OrderEvent, Terms};
use optiflow_base::rates::Rates;
use optiflow_base::ring::Tx;

use crate::book::{Applied, Book};
use crate::denial::only_time_helps;
use crate::doubt::doubt_phrase;
use crate::engine::EngineSymbol;
use crate::orders::{Found, OwnOrder, OwnOrders};
use crate::position::Position;
use crate::signals::{Reading, Signals};
use crate::strategy::{Allowed, Orders, Strategy};
use crate::view::{SilentStreams, Trouble, View};

/// Everything of one symbol.
pub(crate) struct Desk {
    pub(crate) instrument: Instrument,
    pub(crate) book: Book,
    pub(crate) position: Position,
    strategy: Box<dyn Strategy + Send>,
    signals: Signals,
    own: OwnOrders,
    mark: Price,
    silent: SilentStreams,
    book_heard: Nanos,
    /// Since when bid and ask have been crossed.
    crossed: Option<Nanos>,
    /// When this thread last came back from a pause that no market has: what was known before it is not the present.
    woken: Nanos,
    /// Why the book is wanted anew; the feed was not told yet.
    doubt: Option<BookLoss>,
    /// Event time of the depth message that is being applied.
    depth_ms: u64,
    /// A report asks for a decision; when its bytes were read.
    pub(crate) reported: Option<Nanos>,
    /// No entry is asked for before this: risk has just said that only time helps.
    entries_held_until: Nanos,
    decided: Nanos,
    sampled: Nanos,
    forgotten: u64,
}

/// The ways out of the engine, shared by all desks.
pub(crate) struct Outlet<C> {
    pub(crate) clock: C,
    pub(crate) intents: Tx<Intent>,
    pub(crate) doubts: Tx<BookDoubt>,
    pub(crate) log: Log,
    orders: Orders,
}

/// When a decision is made and what it is a reaction to.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Moment {
    pub(crate) now: Nanos,
    /// When the bytes that caused it were read.
    pub(crate) caused: Nanos,
    pub(crate) gate: Gate,
    pub(crate) sample_every: Duration,
    pub(crate) book_age_max: Duration,
}

/// Which orders the oms would send; none before it has said so.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Gate {
    pub(crate) open: bool,
    pub(crate) exits_open: bool,
}

impl<C: Clock> Outlet<C> {
    pub(crate) fn new(epoch: u32, clock: C, intents: Tx<Intent>, doubts: Tx<BookDoubt>, log: Log) -> Outlet<C> {
        Outlet { clock, intents, doubts, log, orders: Orders::new(OrderIds::new(epoch)) }
    }
}

impl Desk {
    pub(crate) fn new(symbol: EngineSymbol, flow_window: Duration) -> Desk {
        let EngineSymbol { instrument, strategy } = symbol;
        Desk {
            instrument,
            book: Book::new(instrument.tick_size),
            position: Position::default(),
            strategy,
            signals: Signals::new(flow_window),
            own: OwnOrders::new(),
            mark: Price::ZERO,
            silent: SilentStreams::default(),
            book_heard: Nanos(0),
            crossed: None,
            woken: Nanos(0),
            doubt: None,
            depth_ms: 0,
            reported: None,
            entries_held_until: Nanos(0),
            decided: Nanos(0),
            sampled: Nanos(0),
            forgotten: 0,
        }
    }

    /// Takes in a market event; says whether it calls for a decision.
    #[inline]
    pub(crate) fn on_market<C>(&mut self, event: &MarketEvent, outlet: &mut Outlet<C>) -> bool {
        self.signals.hear(event.received);
        let event_ms = match event.body {
            MarketBody::DepthStart { event_ms, .. } => {
                self.depth_ms = event_ms;
                event_ms
            }
            MarketBody::Levels { .. } => self.depth_ms,
            MarketBody::Top { event_ms, .. } => event_ms,
            MarketBody::Trade { taker, qty, event_ms, .. } => {
                self.signals.on_trade(taker, qty, event_ms);
                return true;
            }
            MarketBody::Mark { mark, .. } => {
                self.mark = mark;
                return false;
            }
            MarketBody::Silence { stream, silent, .. } => {
                self.silent.set(stream, silent);
                return true;
            }
            MarketBody::BookLost { .. } => 0,
        };
        let applied = match self.book.apply(&event.body) {
            Applied::Complete => match self.doubt_of(event.received) {
                // Where nobody fetches books anew, as in a replay of events, the one that is there has to do.
                Some(reason) if outlet.doubts.is_heard() => self.book.distrust(reason),
                Some(_) | None => Applied::Complete,
            },
            applied @ (Applied::Nothing | Applied::Part | Applied::Lost(_)) => applied,
        };
        match applied {
            Applied::Nothing | Applied::Part => false,
            Applied::Complete => {
                self.book_heard = event.received;
                self.signals.on_book(self.book.touch(), event_ms);
                true
            }
            Applied::Lost(reason) => {
                self.signals.on_loss();
                self.crossed = None;
                if !matches!(event.body, MarketBody::BookLost { .. }) {
                    outlet.log.notice(event.received, doubt_phrase(reason), i64::from(self.instrument.symbol.0));
                    self.doubt = Some(reason);
                    self.tell_doubt(&mut outlet.doubts);
                }
                true
            }
        }
    }

    /// Why the complete book cannot be believed, if so.
    #[inline]
    fn doubt_of(&mut self, now: Nanos) -> Option<BookLoss> {
        if self.book.disagrees() {
            Some(BookLoss::Disagreed)
        } else if self.book.is_out_of_range() {
            Some(BookLoss::OutOfRange)
        } else {
            self.is_crossed_long(now).then_some(BookLoss::Crossed)
        }
    }

    /// Has the book been crossed for longer than a message may leave it so? Nothing is mended here: it is fetched anew.
    fn is_crossed_long(&mut self, now: Nanos) -> bool {
        if !self.book.is_crossed() {
            self.crossed = None;
            return false;
        }
        now.since(*self.crossed.get_or_insert(now)) > CROSSED_NS_MAX
    }

    /// Tells the feed that the book is wanted anew, as soon as there is room.
    fn tell_doubt(&mut self, doubts: &mut Tx<BookDoubt>) {
        if let Some(reason) = self.doubt
            && doubts.push(BookDoubt { symbol: self.instrument.symbol, reason }).is_ok()
        {
            self.doubt = None;
        }
    }

    /// Takes in what became of an order.
    pub(crate) fn on_order(&mut self, event: &OrderEvent, log: &mut Log) {
        self.reported = Some(event.at);
        let counter = i64::from(event.order.counter());
        match (self.own.apply(event), event.change) {
            (Found::Live(order), change) => {
                if matches!(change, OrderChange::Denied(reason) if only_time_helps(reason)) && !order.reduce_only {
                    self.entries_held_until = event.at + ENTRIES_HELD;
                }
                self.book_fill(&order, &change, event.at);
                self.strategy.on_report(&order, event);
            }
            (Found::Ended(order), OrderChange::Filled { .. }) => {
                self.book_fill(&order, &event.change, event.at);
                log.notice(event.at, "fill of an order that had ended", counter);
            }
            (Found::Ended(_), OrderChange::Unknown) => {
                log.notice(event.at, "doubt about an order that had ended", counter);
            }
            // The rest of what can be said of an ended order is an echo: an acknowledgement overtaken by the end.
            (Found::Ended(_), _) => {}
            (Found::Unknown, OrderChange::Filled { .. }) => {
                log.notice(event.at, "fill of an unknown order: position waits for the exchange's word", counter);
            }
            (Found::Unknown, _) => log.notice(event.at, "report on an unknown order", counter),
        }
    }

    /// Takes the exchange's word on the position.
    pub(crate) fn on_position(&mut self, qty: Qty, entry: Price, at: Nanos, log: &mut Log) {
        self.reported = Some(at);
        if qty != self.position.qty {
            log.notice(at, "position corrected by the exchange", qty.units());
        }
        self.position.replace(qty, entry, at);
    }

    /// Has the strategy been left alone for too long?
    pub(crate) fn is_overdue(&self, now: Nanos) -> bool {
        now >= self.overdue_at()
    }

    /// From when on it has.
    pub(crate) const fn overdue_at(&self) -> Nanos {
        Nanos(self.decided.0.saturating_add(DECIDE_EVERY_NS))
    }

    /// Shows the strategy the present and sends what it wants; says how many intents left.
    #[inline]
    pub(crate) fn decide<C: Clock>(&mut self, moment: Moment, rates: &Rates, outlet: &mut Outlet<C>) -> usize {
        if moment.now.since(self.decided) > NAP_NS {
            self.woken = moment.caused;
        }
        self.decided = moment.now;
        self.tell_doubt(&mut outlet.doubts);
        let reading = self.signals.read(&self.book);
        let view = View {
            now: moment.now,
            instrument: &self.instrument,
            book: &self.book,
            signals: &self.signals,
            reading,
            mark: self.mark,
            position: self.position,
            orders: &self.own,
            rates,
            gate_open: moment.gate.open,
            exits_open: moment.gate.exits_open,
            book_heard: self.book_heard,
            silent: self.silent,
        };
        let asleep = self.book_heard < self.woken;
        let trouble = view.trouble(Duration::MAX).or(asleep.then_some(Trouble::BookStale));
        let mut allowed = allowed(trouble);
        // What rests there stays: whether the depth stream has died is the feed's to say.
        let is_old = view.book_age() > nanos_of(moment.book_age_max);
        allowed.entries &= !is_old && moment.now >= self.entries_held_until;
        outlet.orders.begin(moment.now, allowed);
        if must_withdraw(moment.gate, trouble) {
            self.own.entries().for_each(|order| outlet.orders.cancel(order));
        }
        self.strategy.on_update(&view, &mut outlet.orders);
        for (what, value) in outlet.orders.notices() {
            outlet.log.notice(moment.now, what, *value);
        }
        let sent = if outlet.orders.actions().is_empty() { 0 } else { self.send(moment, outlet) };
        if let Some(reading) = reading
            && moment.now.since(self.sampled) >= nanos_of(moment.sample_every)
        {
            self.sample(moment.now, &reading, &mut outlet.log);
        }
        sent
    }

    fn send<C: Clock>(&mut self, moment: Moment, outlet: &mut Outlet<C>) -> usize {
        let decided = outlet.clock.now();
        let mut sent = 0;
        for action in outlet.orders.actions() {
            let own = match action {
                Action::Place(order) => self.own.insert(order, moment.now),
                Action::Cancel(id) => self.own.begin_cancel(*id, moment.now),
                Action::Modify { order, price, qty } => {
                    self.own.begin_modify(*order, Terms { price: *price, qty: *qty }, moment.now)
                }
            };
            if !own {
                if let Action::Place(order) = action {
                    outlet.log.notice(moment.now, "own-order table full: not placed", order.id.counter().into());
                }
                continue;
            }
            let intent = Intent { symbol: self.instrument.symbol, action: *action, caused: moment.caused, decided };
            if outlet.intents.push(intent).is_ok() {
                outlet.log.write(LogEvent::Intent(intent));
                sent += 1;
            } else {
                match action {
                    Action::Place(order) => self.own.remove(order.id),
                    Action::Cancel(id) => self.own.undo_cancel(*id),
                    Action::Modify { order, .. } => self.own.undo_modify(*order),
                }
                outlet.log.notice(moment.now, "intent ring full: not sent", intent.order().counter().into());
            }
        }
        sent
    }

    fn book_fill(&mut self, order: &OwnOrder, change: &OrderChange, at: Nanos) {
        if let OrderChange::Filled { price, qty, .. } = change {
            self.position.fill(order.side, *qty, *price, at);
        }
    }

    fn sample(&mut self, now: Nanos, reading: &Reading, log: &mut Log) {
        self.sampled = now;
        log.write(LogEvent::Signal(SignalSample {
            symbol: self.instrument.symbol,
            at: now,
            bid: reading.bid.price,
            ask: reading.ask.price,
            mark: self.mark,
            obi_l1: reading.obi_l1,
            obi_l5: reading.obi_l5,
            micro_bps: reading.micro_bps,
            flow: reading.flow,
            trades_per_second: reading.trades_per_second,
        }));
        let forgotten = self.book.forgotten() + self.signals.forgotten();
        if forgotten > self.forgotten {
            self.forgotten = forgotten;
            log.notice(now, "far levels or old flow forgotten for lack of room", forgotten as i64);
        }
    }
}

/// Nothing is placed while prices are in doubt or no order can be sent; a position may be closed in any lesser trouble.
const fn allowed(trouble: Option<Trouble>) -> Allowed {
    match trouble {
        None => Allowed { entries: true, exits: true },
        Some(trouble) => Allowed { entries: false, exits: !trouble.forbids_exits() },
    }
}

/// Must resting entry orders go, whatever the strategy thinks? A crossed book is left to it: it may last one message.
const fn must_withdraw(gate: Gate, trouble: Option<Trouble>) -> bool {
    let doubt = match trouble {
        Some(Trouble::GateClosed | Trouble::BookNotSynced | Trouble::ExitsOnly | Trouble::StreamSilent(_)) => true,
        Some(Trouble::BookNotTradable | Trouble::BookStale | Trouble::NoMark) | None => false,
    };
    doubt || !gate.open
}

/// A thread that decides every few hundredths of a second and has not for so long was stopped.
const NAP_NS: u64 = 1_000_000_000;
/// Longest that bid and ask may stay crossed before the book counts as wrong.
const CROSSED_NS_MAX: u64 = 500_000_000;
/// How long entries are held after such a denial: a strategy that asks again at every event is no runaway for that.
const ENTRIES_HELD: Duration = Duration::from_millis(100);
/// Longest time without a decision: time-outs are noticed even when the market says nothing.
const DECIDE_EVERY_NS: u64 = 20_000_000;
