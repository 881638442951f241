//! Questions to the exchange by REST, on their way through the control thread and back.
//!
//! Remembers what each was for; an answer that never comes is given up after a while. Asks nothing while the exchange
//! has asked for silence. Bounded; allocates nothing.

use std::fmt::Write as _;
use std::time::Duration;

use arrayvec::{ArrayString, ArrayVec};
use optiflow_base::clock::{Nanos, nanos_of};
use optiflow_base::ids::{OrderId, SymbolId, TradeId};
use optiflow_base::rest::{Auth, Method, QUERY_LEN_MAX, RestCall};
use optiflow_base::ring::Tx;

use super::dead_man;

/// What a call is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// The exchange's clock.
    Time,
    /// A listen key, new or the same again.
    ListenKey,
    /// The listen key lives on.
    KeepAlive,
    /// Everything open in a symbol.
    OpenOrders(SymbolId),
    /// Everything open in any symbol.
    AllOpenOrders,
    /// Everything open in the symbol of an order that is not found: is it there?
    IsListed(OrderId),
    /// The account's trades in the symbol of an order that is not found, since it was sent: may one be its?
    HasTraded(OrderId),
    /// One of our orders.
    Query(OrderId),
    /// The newest trades of one of our orders, or those from one on.
    OrderTrades(OrderId, Option<TradeId>),
    /// All orders of the account in a symbol, from one on.
    Catalogue(SymbolId),
    /// The account's trades in a symbol.
    Trades(SymbolId),
    /// All positions.
    Positions,
    /// The wallet.
    Balance,
    /// Everything open in a symbol, for a look at what seems well.
    CheckOrders(SymbolId),
    /// All positions, for the same.
    CheckPositions,
    /// A new order, while no order socket can send.
    Place(OrderId),
    /// A cancel, likewise.
    Cancel(OrderId),
    /// The end of one order that is left over.
    CancelOne,
    /// The end of everything open in a symbol.
    CancelAll(SymbolId),
    /// The countdown of a symbol begins anew.
    Wind(SymbolId),
    /// The countdown of a symbol ends.
    LetDown(SymbolId),
}

/// Calls on their way.
pub struct Calls {
    ring: Tx<RestCall>,
    waiting: ArrayVec<Waiting, CALLS_MAX>,
    next_token: u64,
    blocked_until: Nanos,
    /// Weight that calls which can wait may use.
    room: u32,
}

#[derive(Clone, Copy)]
struct Waiting {
    token: u64,
    purpose: Purpose,
    asked: Nanos,
}

impl Calls {
    /// Asks through this ring.
    pub fn new(ring: Tx<RestCall>) -> Calls {
        Calls { ring, waiting: ArrayVec::new(), next_token: 1, blocked_until: Nanos(0), room: u32::MAX }
    }

    /// Asks; false when it cannot be asked now.
    pub fn ask(&mut self, now: Nanos, purpose: Purpose, query: ArrayString<QUERY_LEN_MAX>) -> bool {
        let (method, path, auth, weight) = shape(purpose);
        self.ask_as(now, purpose, query, (method, path, auth, weight))
    }

    /// Asks for an order that no exchange lets in after `until_ms` of its clock; false when it cannot be asked now.
    pub fn place(&mut self, now: Nanos, id: OrderId, query: ArrayString<QUERY_LEN_MAX>, until_ms: u64) -> bool {
        let purpose = Purpose::Place(id);
        let (method, path, _, weight) = shape(purpose);
        self.ask_as(now, purpose, query, (method, path, Auth::SignedUntil(until_ms), weight))
    }

    fn ask_as(
        &mut self,
        now: Nanos,
        purpose: Purpose,
        query: ArrayString<QUERY_LEN_MAX>,
        (method, path, auth, weight): Shape,
    ) -> bool {
        if now < self.blocked_until || self.waiting.len() >= waiting_max(purpose) || self.ring.free() == 0 {
            return false;
        }
        if weight > self.room && can_wait(purpose) {
            return false;
        }
        let call = RestCall { token: self.next_token, method, path, query, auth, weight };
        if self.ring.push(call).is_err() {
            return false;
        }
        self.waiting.push(Waiting { token: self.next_token, purpose, asked: now });
        self.next_token += 1;
        self.room = self.room.saturating_sub(weight);
        true
    }

    /// What the answer with this token is for; `None` when nobody waits for it any more.
    pub fn answered(&mut self, token: u64) -> Option<Purpose> {
        let at = self.waiting.iter().position(|waiting| waiting.token == token)?;
        Some(self.waiting.remove(at).purpose)
    }

    /// A call whose answer will not come any more.
    pub fn overdue(&mut self, now: Nanos) -> Option<Purpose> {
        let overdue = |waiting: &Waiting| now.since(waiting.asked) >= nanos_of(ANSWER_TIMEOUT);
        let at = self.waiting.iter().position(overdue)?;
        Some(self.waiting.remove(at).purpose)
    }

    /// Stops waiting for answers of one kind: those that come are ignored.
    pub fn forget(&mut self, is_one: impl Fn(Purpose) -> bool) {
        self.waiting.retain(|waiting| !is_one(waiting.purpose));
    }

    /// How much weight calls that can wait may use from now on.
    pub const fn set_room(&mut self, weight: u32) {
        self.room = weight;
    }

    /// Asks nothing until then.
    pub fn block(&mut self, until: Nanos) {
        self.blocked_until = self.blocked_until.max(until);
    }
}

/// `symbol=NAME` and what follows it.
pub fn symbol_query(name: &str, rest: std::fmt::Arguments<'_>) -> ArrayString<QUERY_LEN_MAX> {
    let mut query = ArrayString::new();
    // A symbol, an id and a few numbers: far below the limit.
    let fits = write!(query, "symbol={name}{rest}").is_ok();
    assert!(fits, "a query of ours fits");
    query
}

/// What is not asked for while weight is short: everything but what ends orders or keeps the session's guards alive.
const fn can_wait(purpose: Purpose) -> bool {
    match purpose {
        Purpose::KeepAlive
        | Purpose::Place(_)
        | Purpose::Cancel(_)
        | Purpose::CancelOne
        | Purpose::CancelAll(_)
        | Purpose::Wind(_)
        | Purpose::LetDown(_) => false,
        Purpose::Time
        | Purpose::ListenKey
        | Purpose::OpenOrders(_)
        | Purpose::AllOpenOrders
        | Purpose::IsListed(_)
        | Purpose::HasTraded(_)
        | Purpose::Query(_)
        | Purpose::OrderTrades(..)
        | Purpose::Catalogue(_)
        | Purpose::Trades(_)
        | Purpose::Positions
        | Purpose::Balance
        | Purpose::CheckOrders(_)
        | Purpose::CheckPositions => true,
    }
}

/// How many calls may be on their way when one more is added. Of some there may be as many as there are orders.
const fn waiting_max(purpose: Purpose) -> usize {
    match purpose {
        Purpose::Query(_) | Purpose::OrderTrades(..) | Purpose::IsListed(_) | Purpose::HasTraded(_) => ORDER_CALLS_MAX,
        Purpose::Place(_) | Purpose::Cancel(_) => SENDING_CALLS_MAX,
        Purpose::Time
        | Purpose::ListenKey
        | Purpose::KeepAlive
        | Purpose::OpenOrders(_)
        | Purpose::AllOpenOrders
        | Purpose::Catalogue(_)
        | Purpose::Trades(_)
        | Purpose::Positions
        | Purpose::Balance
        | Purpose::CheckOrders(_)
        | Purpose::CheckPositions
        | Purpose::CancelOne
        | Purpose::CancelAll(_)
        | Purpose::Wind(_)
        | Purpose::LetDown(_) => CALLS_MAX,
    }
}

type Shape = (Method, &'static str, Auth, u32);

const fn shape(purpose: Purpose) -> Shape {
    match purpose {
        Purpose::Time => (Method::Get, "/fapi/v1/time", Auth::Open, 1),
        Purpose::ListenKey => (Method::Post, "/fapi/v1/listenKey", Auth::Key, 1),
        Purpose::KeepAlive => (Method::Put, "/fapi/v1/listenKey", Auth::Key, 1),
        Purpose::OpenOrders(_) | Purpose::IsListed(_) | Purpose::CheckOrders(_) => {
            (Method::Get, "/fapi/v1/openOrders", Auth::Signed, 1)
        }
        Purpose::AllOpenOrders => (Method::Get, "/fapi/v1/openOrders", Auth::Signed, 40),
        Purpose::Query(_) => (Method::Get, "/fapi/v1/order", Auth::Signed, 1),
        Purpose::Catalogue(_) => (Method::Get, "/fapi/v1/allOrders", Auth::Signed, 5),
        Purpose::OrderTrades(..) | Purpose::HasTraded(_) | Purpose::Trades(_) => {
            (Method::Get, "/fapi/v1/userTrades", Auth::Signed, 5)
        }
        Purpose::Positions | Purpose::CheckPositions => (Method::Get, "/fapi/v3/positionRisk", Auth::Signed, 5),
        Purpose::Balance => (Method::Get, "/fapi/v3/balance", Auth::Signed, 5),
        Purpose::Place(_) => (Method::Post, "/fapi/v1/order", Auth::Signed, 0),
        Purpose::Cancel(_) | Purpose::CancelOne => (Method::Delete, "/fapi/v1/order", Auth::Signed, 1),
        Purpose::CancelAll(_) => (Method::Delete, "/fapi/v1/allOpenOrders", Auth::Signed, 1),
        Purpose::Wind(_) | Purpose::LetDown(_) => {
            (Method::Post, "/fapi/v1/countdownCancelAll", Auth::Signed, dead_man::WEIGHT)
        }
    }
}

/// Calls that may be on their way at once.
const CALLS_MAX: usize = 32;
/// Calls on their way beyond which no question about a single order is added: countdowns and keys never wait for those.
const ORDER_CALLS_MAX: usize = 24;
/// Calls on their way beyond which no order and no cancel is added: questions leave room for them, and they for countdowns,
/// keys and reconciliation.
const SENDING_CALLS_MAX: usize = 28;
/// An answer that takes longer is given up (the client gives up earlier and says so).
const ANSWER_TIMEOUT: Duration = Duration::from_secs(30);

#[cfg(test)]
mod tests {
    use super::*;
    use optiflow_base::ring::ring;

    #[test]
    fn questions_leave_room_for_orders_and_orders_for_keys_and_countdowns() {
        let (tx, mut rx) = ring("rest", 100);
        let mut calls = Calls::new(tx);
        let id = |counter: usize| OrderId::new(1, counter as u32);
        let mut add = |purpose: fn(OrderId) -> Purpose| {
            (0..CALLS_MAX).filter(|&counter| calls.ask(Nanos(0), purpose(id(counter)), ArrayString::new())).count()
        };
        assert_eq!((add(Purpose::Query), add(Purpose::Cancel)), (ORDER_CALLS_MAX, SENDING_CALLS_MAX - ORDER_CALLS_MAX));
        assert!(!calls.place(Nanos(0), id(99), ArrayString::new(), 7), "full for orders");
        assert!(calls.ask(Nanos(0), Purpose::Wind(SymbolId(0)), ArrayString::new()));
        let first = rx.pop().unwrap();
        (0..5).for_each(|more| assert!(calls.answered(first.token + more).is_some()));
        calls.set_room(0);
        assert!(calls.place(Nanos(0), id(99), ArrayString::new(), 7), "weight never holds it up");
        let last = std::iter::from_fn(|| rx.pop()).last().unwrap();
        assert_eq!((last.method, last.path, last.auth), (Method::Post, "/fapi/v1/order", Auth::SignedUntil(7)));
    }

    #[test]
    fn calls_are_bounded_answered_once_and_given_up_in_the_end() {
        let (tx, mut rx) = ring("rest", 100);
        let mut calls = Calls::new(tx);
        let query = || symbol_query("BTCUSDT", format_args!("&orderId={}", 5));
        for _ in 0..CALLS_MAX {
            assert!(calls.ask(Nanos(0), Purpose::Trades(SymbolId(0)), query()));
        }
        assert!(!calls.ask(Nanos(0), Purpose::Time, ArrayString::new()), "bounded");
        let call = rx.pop().unwrap();
        assert_eq!(
            (call.path, call.query.as_str(), call.weight),
            ("/fapi/v1/userTrades", "symbol=BTCUSDT&orderId=5", 5)
        );
        assert_eq!(calls.answered(call.token), Some(Purpose::Trades(SymbolId(0))));
        assert_eq!(calls.answered(call.token), None, "once");
        assert_eq!(calls.overdue(Nanos::from_millis(29_999)), None);
        assert_eq!(calls.overdue(Nanos::from_millis(30_000)), Some(Purpose::Trades(SymbolId(0))));
        calls.forget(|purpose| matches!(purpose, Purpose::Trades(_)));
        assert_eq!(calls.overdue(Nanos::from_millis(99_000)), None);
        calls.block(Nanos(500));
        assert!(!calls.ask(Nanos(499), Purpose::Time, ArrayString::new()), "silence was asked for");
        assert!(calls.ask(Nanos(500), Purpose::Time, ArrayString::new()));
        calls.set_room(9);
        assert!(calls.ask(Nanos(500), Purpose::Positions, ArrayString::new()));
        assert!(!calls.ask(Nanos(500), Purpose::Balance, ArrayString::new()), "weight is short");
        assert!(calls.ask(Nanos(500), Purpose::CancelOne, ArrayString::new()), "what ends orders is never held up");
    }
}
