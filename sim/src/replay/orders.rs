//! The words between the local side and the venue: an order's image, requests out, answers back, and the links that
//! carry them with latency, first in first out. Never decides anything.

use std::collections::VecDeque;

use optiflow_base::money::Side;
pub use optiflow_base::order::{OrderKind, TimeInForce};

use super::latency::Latency;

/// What is known of an order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Image {
    /// The trader's id.
    pub id: u64,
    /// Buy or sell.
    pub side: Side,
    /// Limit or market.
    pub kind: OrderKind,
    /// How long it lives.
    pub time_in_force: TimeInForce,
    /// Its state.
    pub status: Status,
    /// Did its last execution make?
    pub maker: bool,
    /// Limit in ticks; zero for a market order.
    pub tick: i32,
    /// Tick of its last execution.
    pub exec_tick: i32,
    /// Parts ordered.
    pub qty: i64,
    /// Parts open.
    pub leaves: i64,
    /// Parts of its last execution.
    pub exec_qty: i64,
    /// Parts displayed ahead of it when it came to rest.
    pub ahead: i64,
    /// When the exchange last changed it; zero before it ever did.
    pub exchange_ns: i64,
    /// When the local side last asked something of it.
    pub requested_ns: i64,
}

/// An order's state.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Status {
    /// Not yet answered.
    None,
    /// Resting.
    New,
    /// Resting, and part of it traded.
    PartiallyFilled,
    /// Ended: traded.
    Filled,
    /// Ended: cancelled.
    Canceled,
    /// Ended: could not rest, or was lost on the way.
    Expired,
}

impl Status {
    /// Is the order at the exchange, as far as this state tells?
    pub const fn is_active(self) -> bool {
        matches!(self, Status::New | Status::PartiallyFilled)
    }

    /// Is it over?
    pub const fn is_end(self) -> bool {
        matches!(self, Status::Filled | Status::Canceled | Status::Expired)
    }
}

/// What the local side asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Verb {
    /// A new order.
    New,
    /// Its end.
    Cancel,
    /// Another price or quantity.
    Modify,
}

/// A request under way to the exchange.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Request {
    /// What is asked.
    pub verb: Verb,
    /// The order as the local side wants it.
    pub image: Image,
}

/// An answer under way to the local side.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Answer {
    /// When the local side sees it.
    pub local_ns: i64,
    /// The order.
    pub image: Image,
    /// What it tells.
    pub tells: Tells,
}

/// What an answer tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Tells {
    /// The order's state after a request or at its end.
    State,
    /// An execution: the image's last one, told once.
    Fill,
    /// A request was refused or lost; the image is the request's.
    Rejected,
}

impl Image {
    /// Books an execution; the order is filled when less than half a lot is left.
    pub(super) fn execute(&mut self, now: i64, maker: bool, tick: i32, parts: i64, parts_per_lot: i64) {
        assert!(parts > 0 && parts <= self.leaves, "an execution is part of what is open");
        assert!(!self.status.is_end(), "an ended order does not trade");
        self.maker = maker;
        self.exec_tick = tick;
        self.exec_qty = parts;
        self.leaves -= parts;
        self.exchange_ns = now;
        let done = self.leaves * 2 < parts_per_lot;
        self.status = if done { Status::Filled } else { Status::PartiallyFilled };
    }

    /// Parts executed so far.
    pub const fn executed(&self) -> i64 {
        self.qty - self.leaves
    }
}

/// Both directions between the local side and the exchange.
#[derive(Clone, Debug)]
pub struct Links {
    latency: Latency,
    outward: VecDeque<(i64, Request)>,
    homeward: VecDeque<Answer>,
}

impl Links {
    /// Empty links.
    pub fn new(latency: Latency) -> Links {
        Links {
            latency,
            outward: VecDeque::with_capacity(MESSAGES_EXPECTED),
            homeward: VecDeque::with_capacity(MESSAGES_EXPECTED),
        }
    }

    /// Sends a request at `now`; one that is lost comes back as rejected, carrying `before`, the order unchanged.
    pub fn request(&mut self, now: i64, request: Request, before: Image) {
        let entry = self.latency.entry(now);
        if entry < 0 {
            self.push_home(now - entry, before, Tells::Rejected);
        } else {
            let last = self.outward.back().map_or(i64::MIN, |(at, _)| *at);
            self.outward.push_back((last.max(now + entry), request));
        }
    }

    /// Sends an answer from the exchange at `now`.
    pub fn answer(&mut self, now: i64, image: Image, tells: Tells) {
        let response = self.latency.response(now);
        self.push_home(now + response, image, tells);
    }

    /// When the next request arrives.
    #[inline]
    pub fn next_arrival(&self) -> Option<i64> {
        self.outward.front().map(|(at, _)| *at)
    }

    /// Is no request under way?
    #[inline]
    pub fn is_outward_empty(&self) -> bool {
        self.outward.is_empty()
    }

    /// When the next answer arrives.
    #[inline]
    pub fn next_answer(&self) -> Option<i64> {
        self.homeward.front().map(|answer| answer.local_ns)
    }

    /// Takes the next request.
    pub fn take_arrival(&mut self) -> Option<(i64, Request)> {
        self.outward.pop_front()
    }

    /// Takes the next answer.
    pub fn take_answer(&mut self) -> Option<Answer> {
        self.homeward.pop_front()
    }

    /// Is nothing under way?
    pub fn is_empty(&self) -> bool {
        self.outward.is_empty() && self.homeward.is_empty()
    }

    fn push_home(&mut self, at: i64, image: Image, tells: Tells) {
        let last = self.homeward.back().map_or(i64::MIN, |answer| answer.local_ns);
        self.homeward.push_back(Answer { local_ns: last.max(at), image, tells });
    }
}

const MESSAGES_EXPECTED: usize = 64;
