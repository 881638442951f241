//! An incident as it runs: time, the two sides, what was said, and what is true.

use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;

use optiflow_backtest::far_end::{FarEnd, LOOPBACK};
use optiflow_base::clock::{Clock, VirtualClock};
use optiflow_base::ids::{OrderId, SymbolId};
use optiflow_base::log::LogEvent;
use optiflow_base::order::{OrderChange, Report};
use optiflow_base::rest::{Auth, Method, RestCall};
use optiflow_oms::binance::rest::target;
use optiflow_oms::time::ExchangeTime;
use optiflow_sim::binance::Request;
use optiflow_sim::binance::exchange::Exchange;
use optiflow_sim::binance::faults::{Fault, Faults, RATE_ONE, Rule};
use optiflow_wire::transport::memory::{MemoryDialer, PipeOptions};

use super::lab::{self, MuseumWorld, START};
use super::middle::{Middle, Tamper};
use super::puppet::{Hand, Puppet};

/// A process of ours, and the exchange that it trades on.
pub struct Session {
    pub exchange: Rc<RefCell<Exchange>>,
    pub world: MuseumWorld,
    pub puppet: Puppet,
    clock: Rc<VirtualClock>,
    middle: Option<Middle>,
    /// Everything of all lives that storage would have been given.
    pub log: Vec<LogEvent>,
    lives: u32,
}

impl Session {
    /// On a market that moves by a tick once a second, ready to trade.
    pub fn ready() -> Session {
        Session::begun("metronome:1s", None)
    }

    /// On that market, with somebody in the middle.
    pub fn tampered(tamper: Tamper) -> Session {
        Session::begun("metronome:1s", Some(tamper))
    }

    /// On `market`, ready to trade.
    pub fn begun(market: &str, tamper: Option<Tamper>) -> Session {
        let exchange = Rc::new(RefCell::new(lab::exchange(market)));
        let clock = Rc::new(VirtualClock::new(START));
        let puppet = Puppet::default();
        let (mut world, outer) = lab::process(0, &exchange, &clock, Box::new(puppet.clone()));
        let middle = tamper.map(|tamper| {
            let inner = MemoryDialer::new(PipeOptions::default());
            world.far_end = FarEnd::new(exchange.clone(), inner.clone(), None);
            Middle::new(outer, inner, tamper)
        });
        let mut session = Session { exchange, world, puppet, clock, middle, log: Vec::new(), lives: 1 };
        // Between two windings of the dead-man's switch.
        session.run(6_500);
        assert_eq!(session.gates().last().map(String::as_str), Some("open Reconciled"), "ready to trade");
        session
    }

    /// Lets time pass, a millisecond at a time.
    pub fn run(&mut self, millis: u64) {
        for _ in 0..millis {
            let next = self.clock.now() + STEP;
            if let Some(middle) = &mut self.middle {
                middle.step();
            }
            self.world.run_until(next, STEP);
            self.log.append(&mut self.world.log);
        }
    }

    /// Lets time pass until it is so, and says how many milliseconds that took.
    pub fn run_until(&mut self, most: u64, mut is_so: impl FnMut(&Session) -> bool) -> u64 {
        for millis in 0..most {
            if is_so(self) {
                return millis;
            }
            self.run(1);
        }
        panic!("it was not so within {most} ms: {:?}", self.notices());
    }

    /// From now on these always strike; what lasts, lasts for `span` where that means anything.
    pub fn strike(&mut self, faults: &[Fault], span: Duration) {
        let rule = |fault: &Fault| Rule { span, ..Rule::new(*fault, RATE_ONE) };
        let faults = faults.iter().fold(Faults::none(1), |all, fault| all.with(rule(fault)));
        self.exchange.borrow_mut().set_faults(self.clock.now(), &faults);
    }

    /// These always strike for so long from now on; what they did to connections and orders lasts for `span`.
    pub fn strike_for(&mut self, millis: u64, faults: &[Fault], span: Duration) {
        let from = Duration::from_nanos(self.clock.now().since(START));
        let until = Some(from + Duration::from_millis(millis));
        let rule = |fault: &Fault| Rule { span, from, until, ..Rule::new(*fault, RATE_ONE) };
        let faults = faults.iter().fold(Faults::none(1), |all, fault| all.with(rule(fault)));
        self.exchange.borrow_mut().set_faults(self.clock.now(), &faults);
    }

    /// How often it has struck.
    pub fn struck(&self, fault: Fault) -> u64 {
        self.exchange.borrow().faults_struck().find(|(struck, _)| *struck == fault).unwrap().1
    }

    /// The strings of the strategy.
    pub fn hand(&self) -> std::sync::MutexGuard<'_, Hand> {
        self.puppet.hand()
    }

    /// The process dies in the middle of whatever it does, and is started again.
    pub fn restart(&mut self) {
        assert!(self.middle.is_none(), "whoever is in the middle stays where he is");
        self.world.far_end.cut_all();
        self.puppet = Puppet::default();
        let strategy = Box::new(self.puppet.clone());
        self.world = lab::process(self.lives, &self.exchange, &self.clock, strategy).0;
        self.lives += 1;
    }

    /// The owner of the account asks the exchange, from somewhere else.
    pub fn owner(&mut self, method: Method, path: &'static str, query: &str) -> u16 {
        let mut call = RestCall { token: 0, method, path, query: Default::default(), auth: Auth::Signed, weight: 1 };
        call.query.push_str(query);
        let now = self.clock.now();
        let key = lab::key();
        let target = target(&call, Some(&key), ExchangeTime::new().now_ms(now)).unwrap();
        let (path, query) = target.split_once('?').unwrap();
        let request = Request {
            method: method.name().to_owned(),
            path: path.to_owned(),
            query: query.to_owned(),
            api_key: Some(key.id().to_owned()),
            body: Vec::new(),
            peer: LOOPBACK,
        };
        self.exchange.borrow_mut().rest(now, &request).status
    }

    /// What became of an order, word by word.
    pub fn story(&self, id: OrderId) -> Vec<String> {
        let events = self.log.iter().filter_map(|event| match event {
            LogEvent::Report(Report::Order(event)) if event.order == id => Some(word(&event.change)),
            LogEvent::Denied { order, reason, .. } if *order == id => Some(format!("Denied {reason:?}")),
            _ => None,
        });
        events.collect()
    }

    /// What became of an order, apart from cancels: entries are cancelled whenever there is doubt.
    pub fn fate(&self, id: OrderId) -> Vec<String> {
        self.story(id)
            .into_iter()
            .filter(|word| !word.starts_with("CancelSent") && !word.starts_with("CancelRefused"))
            .collect()
    }

    /// Every trade that was booked, in order.
    pub fn booked(&self) -> Vec<u64> {
        let trades = self.log.iter().filter_map(|event| match event {
            LogEvent::Report(Report::Order(event)) => match event.change {
                OrderChange::Filled { trade, .. } => Some(trade.0),
                _ => None,
            },
            _ => None,
        });
        trades.collect()
    }

    /// Every trade that happened, in order.
    pub fn traded(&self) -> Vec<u64> {
        self.exchange.borrow().core().fills(None).iter().map(|fill| fill.trade_id).collect()
    }

    /// Positions as they were told.
    pub fn positions(&self) -> Vec<String> {
        let positions = self.log.iter().filter_map(|event| match event {
            LogEvent::Report(Report::Position { qty, .. }) => Some(qty.to_string()),
            _ => None,
        });
        positions.collect()
    }

    /// What the gate was told to be, in order.
    pub fn gates(&self) -> Vec<String> {
        let gates = self.log.iter().filter_map(|event| match event {
            LogEvent::Report(Report::Gate { open: true, reason, .. }) => Some(format!("open {reason:?}")),
            LogEvent::Report(Report::Gate { open: false, reason, .. }) => Some(format!("{reason:?}")),
            _ => None,
        });
        gates.collect()
    }

    /// What a person was told.
    pub fn notices(&self) -> Vec<&'static str> {
        let notices = self.log.iter().filter_map(|event| match event {
            LogEvent::Notice(notice) => Some(notice.what),
            _ => None,
        });
        notices.collect()
    }

    /// How often a person was told so.
    pub fn said(&self, what: &str) -> usize {
        self.notices().iter().filter(|said| said.contains(what)).count()
    }

    /// The only order that the strategy asked for.
    pub fn only_order(&self) -> OrderId {
        let hand = self.hand();
        assert_eq!(hand.asked.len(), 1, "asked for once");
        hand.asked[0]
    }

    /// Orders that the exchange ever accepted.
    pub fn accepted(&self) -> usize {
        self.exchange.borrow().core().all_orders(0).len()
    }

    /// We and the exchange hold the same, have the same open, and know the same trades.
    pub fn agrees(&self) {
        let exchange = self.exchange.borrow();
        let core = exchange.core();
        let held = self.world.position(SymbolId(0)).unwrap_or_default().qty;
        assert_eq!(held, core.position(0).qty, "position");
        let mut theirs: Vec<String> =
            core.open_orders(None).iter().map(|order| order.placed.client_id.clone()).collect();
        let mut ours: Vec<String> = self.hand().live.iter().map(|order| order.id.to_string()).collect();
        theirs.sort();
        ours.sort();
        assert_eq!(ours, theirs, "open orders");
        assert_eq!(self.booked(), self.traded(), "trades");
        assert_eq!(self.gates().last().map(String::as_str), Some("open Reconciled"));
    }
}

fn word(change: &OrderChange) -> String {
    match change {
        OrderChange::Accepted { .. } => "Accepted".to_owned(),
        OrderChange::Refused { code } => format!("Refused {code}"),
        OrderChange::Filled { qty, total, .. } => format!("Filled {qty}/{total}"),
        OrderChange::CancelRefused { code } => format!("CancelRefused {code}"),
        other => format!("{other:?}"),
    }
}

const STEP: Duration = Duration::from_millis(1);
