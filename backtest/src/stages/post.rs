//! What travels between us and the exchange, each way first in first out, as long as the latency says.
//!
//! A request with a negative latency is lost before the exchange: nobody there ever hears of it, and after that time we
//! give it up. That is no message: it neither waits for those under way nor holds them back. Never looks into what it
//! carries.

use std::collections::VecDeque;

use optiflow_base::clock::Nanos;
use optiflow_base::ids::{ExchangeOrderId, OrderId, SymbolId};
use optiflow_base::money::{Notional, Price, Qty, Side};
use optiflow_base::order::{NewOrder, Terms, Usage};
use optiflow_oms::order::{End, Fill};
use optiflow_oms::stage::LocalCode;
use optiflow_sim::replay::latency::Latency;
use optiflow_sim::replay::orders::{Reason, Verb};

/// A request on its way to the exchange.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Request {
    /// An order.
    Place(SymbolId, NewOrder),
    /// Its end.
    Cancel(SymbolId, OrderId),
    /// Other terms of it.
    Modify(SymbolId, OrderId, Side, Terms),
}

/// Something on its way home.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Letter {
    /// When we read it.
    pub(super) local: Nanos,
    /// When it was written; zero of a request that was lost.
    pub(super) exch: Nanos,
    pub(super) says: Mail,
}

/// What a letter says.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Mail {
    /// The order was accepted, and rests behind `ahead`.
    Accepted { order: OrderId, exchange_id: ExchangeOrderId, ahead: Qty },
    /// A trade of one of our orders. `filled`: nothing is left of it.
    Traded { order: OrderId, exchange_id: ExchangeOrderId, fill: Fill, realized: Notional, filled: bool },
    /// The order ended otherwise.
    Ended { order: OrderId, exchange_id: ExchangeOrderId, end: End, executed: Qty, reason: Reason },
    /// The order was refused.
    Refused { order: OrderId, code: i32, reason: Reason },
    /// The cancel was refused.
    CancelRefused { order: OrderId, code: i32 },
    /// The order's terms are now these, and it rests behind `ahead`. `executed` of it has traded.
    Amended { order: OrderId, exchange_id: ExchangeOrderId, terms: Terms, executed: Qty, ahead: Qty },
    /// The new terms were refused.
    ModifyRefused { order: OrderId, code: i32, reason: Reason },
    /// A trade in our account that is none of our orders'.
    Foreign { symbol: SymbolId, side: Side, fill: Fill },
    /// The account after a trade.
    Account { symbol: SymbolId, qty: Qty, entry: Price, wallet: Notional },
    /// Funding, and the wallet after it.
    Funding { symbol: SymbolId, amount: Notional, wallet: Notional },
    /// The exchange closes positions by force.
    Liquidation { margin_balance: Notional, maintenance: Notional },
    /// What we used of the limits.
    Usage(Usage),
}

/// Both ways.
pub(super) struct Post {
    latency: Latency,
    outward: VecDeque<Outward>,
    homeward: VecDeque<Letter>,
    /// Requests that were lost, in the order of the times when we give them up.
    given_up: VecDeque<Letter>,
    /// The way home that was drawn together with the way out of the request that is being answered.
    answering: Option<i64>,
}

struct Outward {
    at: Nanos,
    request: Request,
    response_ns: Option<i64>,
}

impl Post {
    pub(super) fn new(latency: Latency) -> Post {
        let (outward, homeward, given_up) = (VecDeque::new(), VecDeque::new(), VecDeque::new());
        Post { latency: latency.without_lost_answers(), outward, homeward, given_up, answering: None }
    }

    /// Sends a request at `now`.
    pub(super) fn send(&mut self, now: Nanos, request: Request) {
        let verb = match request {
            Request::Place(..) => Verb::New,
            Request::Cancel(..) => Verb::Cancel,
            Request::Modify(..) => Verb::Modify,
        };
        let (entry, response_ns) = self.latency.entry(signed(now), verb);
        if entry < 0 {
            let says = match request {
                Request::Place(_, NewOrder { id: order, .. }) => {
                    Mail::Refused { order, code: LOST, reason: Reason::None }
                }
                Request::Cancel(_, order) => Mail::CancelRefused { order, code: LocalCode::Unanswered.code() },
                Request::Modify(_, order, ..) => {
                    let code = LocalCode::Unanswered.code();
                    Mail::ModifyRefused { order, code, reason: Reason::None }
                }
            };
            let local = Nanos(now.0 + entry.unsigned_abs());
            let place = self.given_up.partition_point(|other| other.local <= local);
            self.given_up.insert(place, Letter { local, exch: NOWHERE, says });
        } else {
            let last = self.outward.back().map_or(Nanos(0), |last| last.at);
            let at = Nanos(now.0 + entry.unsigned_abs()).max(last);
            self.outward.push_back(Outward { at, request, response_ns });
        }
    }

    /// Takes the next request that has arrived; until [`Post::answered`] every letter answers it.
    pub(super) fn arrived(&mut self, now: Nanos) -> Option<Request> {
        self.outward.front().filter(|next| next.at <= now)?;
        let Outward { request, response_ns, .. } = self.outward.pop_front()?;
        self.answering = response_ns;
        Some(request)
    }

    /// The request is dealt with.
    pub(super) fn answered(&mut self) {
        self.answering = None;
    }

    /// The exchange writes home at `now`: letters of one moment travel together.
    pub(super) fn write(&mut self, now: Nanos, letters: &[Mail]) {
        let response = self.answering.unwrap_or_else(|| self.latency.response(signed(now)));
        for says in letters {
            self.put_home(now, response.unsigned_abs(), *says);
        }
    }

    /// Takes the next letter that is here, those of the exchange before what is given up at the same time.
    pub(super) fn delivered(&mut self, now: Nanos) -> Option<Letter> {
        let next = self.next_delivery().filter(|at| *at <= now)?;
        let from = if self.homeward.front().is_some_and(|letter| letter.local == next) {
            &mut self.homeward
        } else {
            &mut self.given_up
        };
        from.pop_front()
    }

    /// When the next request arrives.
    pub(super) fn next_arrival(&self) -> Option<Nanos> {
        self.outward.front().map(|next| next.at)
    }

    /// When the next letter is here.
    pub(super) fn next_delivery(&self) -> Option<Nanos> {
        let fronts = [self.homeward.front(), self.given_up.front()];
        fronts.into_iter().flatten().map(|letter| letter.local).min()
    }

    /// Is nothing under way?
    pub(super) fn is_empty(&self) -> bool {
        self.outward.is_empty() && self.homeward.is_empty() && self.given_up.is_empty()
    }

    fn put_home(&mut self, now: Nanos, travels: u64, says: Mail) {
        let last = self.homeward.back().map_or(Nanos(0), |letter| letter.local);
        self.homeward.push_back(Letter { local: Nanos(now.0 + travels).max(last), exch: now, says });
    }
}

fn signed(now: Nanos) -> i64 {
    i64::try_from(now.0).unwrap_or(i64::MAX)
}

/// The exchange never had it.
const NOWHERE: Nanos = Nanos(0);
/// Code of an order whose request was lost: as far as we are concerned it was never sent.
const LOST: i32 = LocalCode::NotSent.code();

#[cfg(test)]
mod tests {
    use optiflow_sim::replay::latency::LatencyRow;

    use super::*;

    fn cancel(counter: u32) -> Request {
        Request::Cancel(SymbolId(0), OrderId::new(1, counter))
    }

    fn usage() -> Mail {
        Mail::Usage(Usage::default())
    }

    #[test]
    fn nothing_overtakes_either_way() {
        let row = |request, exchange, response| LatencyRow {
            request_ns: request,
            exchange_ns: exchange,
            response_ns: response,
        };
        let mut post = Post::new(Latency::table(vec![row(0, 100, 150), row(10, 20, 120), row(200, 210, 220)]).unwrap());
        post.send(Nanos(0), cancel(1));
        post.send(Nanos(10), cancel(2));
        assert_eq!(post.next_arrival(), Some(Nanos(100)));
        assert_eq!(post.arrived(Nanos(99)), None);
        assert_eq!((post.arrived(Nanos(100)), post.arrived(Nanos(100))), (Some(cancel(1)), Some(cancel(2))));
        post.write(Nanos(20), &[usage(), usage()]);
        post.write(Nanos(210), &[usage()]);
        let mut seen = Vec::new();
        while let Some(letter) = post.delivered(Nanos(1_000)) {
            seen.push((letter.exch.0, letter.local.0));
        }
        assert!(seen.is_sorted_by_key(|(_, local)| *local), "{seen:?}");
        assert!(post.is_empty());
    }

    #[test]
    fn a_lost_request_never_arrives_and_is_learnt_of_after_its_time() {
        let mut post = Post::new(Latency::Constant { entry_ns: -30, response_ns: 5 });
        post.send(Nanos(100), cancel(1));
        assert_eq!((post.next_arrival(), post.next_delivery()), (None, Some(Nanos(130))));
        let letter = post.delivered(Nanos(130)).unwrap();
        let expected = Mail::CancelRefused { order: OrderId::new(1, 1), code: LocalCode::Unanswered.code() };
        assert_eq!((letter.exch, letter.says), (NOWHERE, expected));
    }

    #[test]
    fn a_lost_request_holds_no_letter_back() {
        let row = |request_ns, exchange_ns, response_ns| LatencyRow { request_ns, exchange_ns, response_ns };
        let rows = vec![row(0, 0, 300), row(10, 0, 210), row(20, 110, 120), row(30, 120, 130)];
        let mut post = Post::new(Latency::table(rows).unwrap());
        post.send(Nanos(0), cancel(1));
        post.send(Nanos(9), cancel(2));
        post.write(Nanos(110), &[usage()]);
        let mut seen = Vec::new();
        while let Some(at) = post.next_delivery() {
            seen.push((at.0, post.delivered(at).unwrap().exch.0));
        }
        assert_eq!(seen, [(120, 110), (219, 0), (300, 0)]);
        assert!(post.is_empty());
    }
}
