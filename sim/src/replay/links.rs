//! The links between the local side and the exchange: requests out, answers and payments home, each with its latency and
//! first in first out each way. Never looks into what it carries.

use std::collections::VecDeque;

use super::latency::Latency;
use super::orders::{Answer, Funding, Image, LIQUIDATION, Reason, Request, Tells};

/// Both directions.
#[derive(Clone, Debug)]
pub struct Links {
    latency: Latency,
    outward: VecDeque<Outward>,
    homeward: VecDeque<Homeward>,
    /// The way home that was drawn together with the way out of the request being answered.
    answering: Option<i64>,
}

/// What travels to the local side.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Homeward {
    /// An answer about an order.
    Answer(Answer),
    /// Funding.
    Funding(Funding),
}

#[derive(Clone, Copy, Debug)]
struct Outward {
    at: i64,
    request: Request,
    response_ns: Option<i64>,
}

impl Homeward {
    /// When the local side sees it.
    #[inline]
    pub const fn local_ns(&self) -> i64 {
        match self {
            Homeward::Answer(answer) => answer.local_ns,
            Homeward::Funding(funding) => funding.local_ns,
        }
    }
}

impl Links {
    /// Empty links.
    pub fn new(latency: Latency) -> Links {
        Links {
            latency,
            outward: VecDeque::with_capacity(MESSAGES_EXPECTED),
            homeward: VecDeque::with_capacity(MESSAGES_EXPECTED),
            answering: None,
        }
    }

    /// Sends a request at `now`; one that is lost comes back as rejected, carrying `before`, the order unchanged.
    pub fn request(&mut self, now: i64, request: Request, before: Image) {
        let (entry, response_ns) = self.latency.entry(now, request.verb);
        if entry < 0 {
            self.push_answer(now - entry, before, Tells::Rejected, Reason::None);
        } else {
            let last = self.outward.back().map_or(i64::MIN, |last| last.at);
            self.outward.push_back(Outward { at: last.max(now + entry), request, response_ns });
        }
    }

    /// Sends an answer from the exchange at `now`.
    pub fn answer(&mut self, now: i64, image: Image, tells: Tells) {
        self.explain(now, image, tells, Reason::None);
    }

    /// Sends an answer from the exchange at `now`, with a reason.
    pub fn explain(&mut self, now: i64, image: Image, tells: Tells, reason: Reason) {
        let reason = if image.id == LIQUIDATION { Reason::Liquidation } else { reason };
        let response = self.response(now);
        self.push_answer(now + response, image, tells, reason);
    }

    /// Tells of funding from the exchange at its time.
    pub fn fund(&mut self, funding: Funding) {
        let response = self.latency.response(funding.exchange_ns);
        let local_ns = self.fifo(funding.exchange_ns + response);
        self.homeward.push_back(Homeward::Funding(Funding { local_ns, ..funding }));
    }

    /// When the next request arrives.
    #[inline]
    pub fn next_arrival(&self) -> Option<i64> {
        self.outward.front().map(|next| next.at)
    }

    /// Is no request under way?
    #[inline]
    pub fn is_outward_empty(&self) -> bool {
        self.outward.is_empty()
    }

    /// When the next answer or payment arrives.
    #[inline]
    pub fn next_home(&self) -> Option<i64> {
        self.homeward.front().map(Homeward::local_ns)
    }

    /// Takes the next request; until [`Links::answered`] every answer is to it.
    pub fn take_arrival(&mut self) -> Option<(i64, Request)> {
        let Outward { at, request, response_ns } = self.outward.pop_front()?;
        self.answering = response_ns;
        Some((at, request))
    }

    /// The request is dealt with.
    #[inline]
    pub fn answered(&mut self) {
        self.answering = None;
    }

    /// Takes the next answer or payment.
    pub fn take_home(&mut self) -> Option<Homeward> {
        self.homeward.pop_front()
    }

    /// Is nothing under way?
    pub fn is_empty(&self) -> bool {
        self.outward.is_empty() && self.homeward.is_empty()
    }

    fn response(&mut self, now: i64) -> i64 {
        match self.answering {
            Some(response) => response,
            None => self.latency.response(now),
        }
    }

    fn push_answer(&mut self, at: i64, image: Image, tells: Tells, reason: Reason) {
        let local_ns = self.fifo(at);
        self.homeward.push_back(Homeward::Answer(Answer { local_ns, image, tells, reason }));
    }

    /// No message overtakes an earlier one.
    fn fifo(&self, at: i64) -> i64 {
        self.homeward.back().map_or(at, |last| at.max(last.local_ns()))
    }
}

const MESSAGES_EXPECTED: usize = 64;
