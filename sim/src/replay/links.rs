//! The links between the local side and the exchange: requests out, answers and payments home, each with its latency and
//! first in first out each way. Never looks into what it carries.
//!
//! That a request was lost is learnt here, when its time is out: no message, so it neither waits for those under way nor
//! holds them back. With the peer's conventions it does both.

use std::collections::VecDeque;

use super::latency::Latency;
use super::orders::{Answer, Funding, Image, LIQUIDATION, Reason, Request, Tells};

/// Both directions.
#[derive(Clone, Debug)]
pub struct Links {
    latency: Latency,
    outward: VecDeque<Outward>,
    homeward: VecDeque<Homeward>,
    /// Requests that were lost, in the order of the times when we give them up.
    given_up: VecDeque<Answer>,
    compatible: bool,
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
    /// Empty links, by the realistic rules or the peer's.
    pub fn new(latency: Latency, compatible: bool) -> Links {
        Links {
            latency: if compatible { latency } else { latency.without_lost_answers() },
            outward: VecDeque::with_capacity(MESSAGES_EXPECTED),
            homeward: VecDeque::with_capacity(MESSAGES_EXPECTED),
            given_up: VecDeque::with_capacity(MESSAGES_EXPECTED),
            compatible,
            answering: None,
        }
    }

    /// Sends a request at `now`; one that is lost comes back as rejected, carrying `before`, the order unchanged.
    pub fn request(&mut self, now: i64, request: Request, before: Image) {
        let (entry, response_ns) = self.latency.entry(now, request.verb);
        if entry < 0 && self.compatible {
            self.push_answer(now - entry, before, Tells::Rejected, Reason::None);
        } else if entry < 0 {
            self.give_up(now - entry, before);
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

    /// When the next answer or payment arrives, or the next lost request is given up.
    #[inline]
    pub fn next_home(&self) -> Option<i64> {
        let message = self.homeward.front().map(Homeward::local_ns);
        match self.given_up.front() {
            None => message,
            Some(lost) => Some(message.map_or(lost.local_ns, |at| at.min(lost.local_ns))),
        }
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

    /// Takes what [`Links::next_home`] tells of; messages go before what is given up at the same time.
    pub fn take_home(&mut self) -> Option<Homeward> {
        let message = self.homeward.front().map_or(i64::MAX, Homeward::local_ns);
        match self.given_up.front() {
            Some(lost) if lost.local_ns < message => self.given_up.pop_front().map(Homeward::Answer),
            Some(_) | None => self.homeward.pop_front(),
        }
    }

    /// Is nothing under way?
    pub fn is_empty(&self) -> bool {
        self.outward.is_empty() && self.homeward.is_empty() && self.given_up.is_empty()
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

    /// Times out are as long as the latency says, so a later request may be given up earlier.
    fn give_up(&mut self, local_ns: i64, image: Image) {
        let place = self.given_up.partition_point(|other| other.local_ns <= local_ns);
        self.given_up.insert(place, Answer { local_ns, image, tells: Tells::Rejected, reason: Reason::None });
    }

    /// No message overtakes an earlier one.
    fn fifo(&self, at: i64) -> i64 {
        self.homeward.back().map_or(at, |last| at.max(last.local_ns()))
    }
}

const MESSAGES_EXPECTED: usize = 64;

#[cfg(test)]
mod tests {
    use optiflow_base::money::Side;

    use super::super::latency::LatencyRow;
    use super::super::orders::{OrderKind, Status, TimeInForce, Verb};
    use super::super::terms::SelfTrade;
    use super::*;

    fn image(id: u64) -> Image {
        Image {
            id,
            side: Side::Buy,
            kind: OrderKind::Limit,
            time_in_force: TimeInForce::Gtc,
            status: Status::None,
            maker: false,
            reduce_only: false,
            self_trade: SelfTrade::None,
            tick: 100,
            exec_tick: 0,
            qty: 1,
            leaves: 1,
            exec_qty: 0,
            ahead: 0,
            exchange_ns: 0,
            requested_ns: 0,
        }
    }

    /// The first request is lost and given up after 300 or 200 ns, the second is answered at 120.
    fn seen(compatible: bool) -> Vec<(u64, i64)> {
        let row = |request_ns, exchange_ns, response_ns| LatencyRow { request_ns, exchange_ns, response_ns };
        let rows = vec![row(0, 0, 300), row(10, 0, 210), row(20, 110, 120), row(30, 120, 130)];
        let mut links = Links::new(Latency::table(rows).unwrap(), compatible);
        for (id, now) in [(1, 0), (2, 9), (3, 20)] {
            links.request(now, Request { verb: Verb::New, image: image(id) }, image(id));
        }
        let (at, request) = links.take_arrival().unwrap();
        links.answer(at, request.image, Tells::State);
        links.answered();
        let mut seen = Vec::new();
        while let Some(at) = links.next_home() {
            match links.take_home() {
                Some(Homeward::Answer(answer)) => seen.push((answer.image.id, at)),
                Some(Homeward::Funding(_)) | None => panic!("an answer is due at {at}"),
            }
        }
        assert!(links.is_empty());
        seen
    }

    #[test]
    fn a_lost_request_holds_nothing_back_but_with_the_peers_conventions() {
        assert_eq!(seen(false), [(3, 120), (2, 219), (1, 300)]);
        assert_eq!(seen(true), [(1, 300), (2, 300), (3, 300)]);
    }
}
