//! Rate limits: request weight by address, orders by account, in fixed windows of the UTC clock.
//!
//! A refused request costs its weight all the same; whoever goes on after too many refusals is banned, and longer each
//! time. Orders count when they reach the exchange, whatever becomes of them. Never looks at what a request asks.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::Duration;

use optiflow_base::clock::{Nanos, nanos_of};
use serde::Serialize;

use super::errors::ApiError;

/// What everybody used.
#[derive(Debug, Default)]
pub struct Limits {
    peers: BTreeMap<IpAddr, Peer>,
    orders_ten_seconds: Counter,
    orders_minute: Counter,
    /// Connections that were refused because there were too many attempts.
    connections_refused: u64,
}

/// What one address used.
#[derive(Debug, Default)]
struct Peer {
    weight: Counter,
    funding: Counter,
    /// Attempts to open a WebSocket connection.
    connections: Counter,
    refusals: Counter,
    banned_until: Nanos,
    bans: u32,
}

/// A count within the running window of the clock.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Counter {
    window: u64,
    used: u32,
}

/// One entry of a `rateLimits` array; `count` only on the WebSocket API.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct RateLimit {
    rate_limit_type: &'static str,
    interval: &'static str,
    interval_num: u32,
    limit: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    count: Option<i64>,
}

impl Limits {
    /// Charges `weight` to an address: refused when it is banned or its minute is used up.
    pub fn spend(&mut self, now: Nanos, address: IpAddr, weight: u32) -> Result<(), ApiError> {
        let peer = self.peer(now, address);
        if now < peer.banned_until {
            return Err(ApiError::banned(address, peer.banned_until));
        }
        if peer.weight.add(now, MINUTE, weight) <= WEIGHT_MINUTE {
            return Ok(());
        }
        Err(peer.refuse(now, address, ApiError::too_many_requests(WEIGHT_MINUTE, end_of(now, MINUTE))))
    }

    /// Charges a call of the funding endpoints, which have a limit of their own.
    pub fn spend_funding(&mut self, now: Nanos, address: IpAddr) -> Result<(), ApiError> {
        let peer = self.peer(now, address);
        if now < peer.banned_until {
            return Err(ApiError::banned(address, peer.banned_until));
        }
        if peer.funding.add(now, FIVE_MINUTES, 1) <= FUNDING_FIVE_MINUTES {
            return Ok(());
        }
        Err(peer.refuse(now, address, ApiError::too_many_requests(FUNDING_FIVE_MINUTES, end_of(now, FIVE_MINUTES))))
    }

    /// Counts an attempt to open a WebSocket connection. What Binance answers to one too many is not documented; the
    /// words are those of too many requests.
    pub fn connect(&mut self, now: Nanos, address: IpAddr) -> Result<(), ApiError> {
        let peer = self.peer(now, address);
        if peer.connections.add(now, FIVE_MINUTES, 1) <= CONNECTIONS_FIVE_MINUTES {
            return Ok(());
        }
        let refusal = ApiError::too_many_requests(CONNECTIONS_FIVE_MINUTES, end_of(now, FIVE_MINUTES));
        let refusal = peer.refuse(now, address, refusal);
        self.connections_refused += 1;
        Err(refusal)
    }

    /// How many connections were refused for too many attempts.
    pub const fn connections_refused(&self) -> u64 {
        self.connections_refused
    }

    /// Counts orders of the account: refused, and not counted, when a window is full.
    pub fn take_orders(&mut self, now: Nanos, address: IpAddr, orders: OrderCost) -> Result<(), ApiError> {
        let ten_seconds = self.orders_ten_seconds.used(now, TEN_SECONDS);
        let minute = self.orders_minute.used(now, MINUTE);
        let full = if ten_seconds + orders.ten_seconds > ORDERS_TEN_SECONDS {
            Some(ApiError::too_many_orders(ORDERS_TEN_SECONDS, "TEN_SECONDS", end_of(now, TEN_SECONDS)))
        } else if minute + orders.minute > ORDERS_MINUTE {
            Some(ApiError::too_many_orders(ORDERS_MINUTE, "MINUTE", end_of(now, MINUTE)))
        } else {
            None
        };
        if let Some(refusal) = full {
            return Err(self.peer(now, address).refuse(now, address, refusal));
        }
        self.orders_ten_seconds.add(now, TEN_SECONDS, orders.ten_seconds);
        self.orders_minute.add(now, MINUTE, orders.minute);
        Ok(())
    }

    /// Uses up an address's weight of this minute, as another client behind it would.
    pub fn exhaust(&mut self, now: Nanos, address: IpAddr) {
        self.peer(now, address).weight.add(now, MINUTE, WEIGHT_MINUTE);
    }

    /// Bans an address.
    pub fn ban(&mut self, now: Nanos, address: IpAddr, span: Duration) {
        self.peer(now, address).banned_until = now + span;
    }

    /// Until when nothing that an address asks is answered: it is banned, or its weight of this minute is used up.
    pub fn silent_until(&mut self, now: Nanos, address: IpAddr) -> Option<Nanos> {
        let peer = self.peer(now, address);
        let spent = (peer.weight.used(now, MINUTE) >= WEIGHT_MINUTE).then(|| end_of(now, MINUTE));
        spent.into_iter().chain((now < peer.banned_until).then_some(peer.banned_until)).max()
    }

    /// Fills the account's ten seconds, as another client of it would.
    pub fn fill_orders(&mut self, now: Nanos) {
        let room = ORDERS_TEN_SECONDS.saturating_sub(self.orders_ten_seconds.used(now, TEN_SECONDS));
        self.orders_ten_seconds.add(now, TEN_SECONDS, room);
    }

    /// Weight that an address used in this minute.
    pub fn weight(&mut self, now: Nanos, address: IpAddr) -> u32 {
        self.peer(now, address).weight.used(now, MINUTE)
    }

    /// Orders of the account in these ten seconds and in this minute.
    pub fn orders(&self, now: Nanos) -> (u32, u32) {
        (self.orders_ten_seconds.used(now, TEN_SECONDS), self.orders_minute.used(now, MINUTE))
    }

    fn peer(&mut self, now: Nanos, address: IpAddr) -> &mut Peer {
        if self.peers.len() >= PEERS_MAX && !self.peers.contains_key(&address) {
            self.peers.retain(|_, peer| peer.weight.used(now, MINUTE) > 0 || now < peer.banned_until);
            while self.peers.len() >= PEERS_MAX {
                self.peers.pop_first();
            }
        }
        self.peers.entry(address).or_default()
    }
}

impl Peer {
    fn refuse(&mut self, now: Nanos, address: IpAddr, refusal: ApiError) -> ApiError {
        if self.refusals.add(now, MINUTE, 1) <= REFUSALS_BEFORE_BAN {
            return refusal;
        }
        let span = BAN_FIRST.saturating_mul(1 << self.bans.min(BAN_DOUBLINGS_MAX)).min(BAN_MAX);
        self.bans += 1;
        self.refusals = Counter::default();
        self.banned_until = now + span;
        ApiError::banned(address, self.banned_until)
    }
}

impl Counter {
    fn used(&self, now: Nanos, span: Duration) -> u32 {
        if self.window == now.0 / nanos_of(span) { self.used } else { 0 }
    }

    pub(super) fn add(&mut self, now: Nanos, span: Duration, amount: u32) -> u32 {
        let used = self.used(now, span).saturating_add(amount);
        *self = Counter { window: now.0 / nanos_of(span), used };
        used
    }
}

/// What a request adds to the order counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OrderCost {
    /// In the ten-second window.
    pub ten_seconds: u32,
    /// In the minute window.
    pub minute: u32,
}

/// Whole seconds until `at`, at least one: `Retry-After`.
pub fn seconds_until(now: Nanos, at: Nanos) -> u64 {
    at.since(now).div_ceil(nanos_of(Duration::from_secs(1))).max(1)
}

fn end_of(now: Nanos, span: Duration) -> Nanos {
    let span = nanos_of(span);
    Nanos((now.0 / span + 1) * span)
}

/// The weight limit; with its count on the WebSocket API, where -1 stands for "not counted here".
pub fn weight_entry(count: Option<i64>) -> RateLimit {
    let limit = if count == Some(NOT_COUNTED) { NOT_COUNTED } else { i64::from(WEIGHT_MINUTE) };
    RateLimit { rate_limit_type: "REQUEST_WEIGHT", interval: "MINUTE", interval_num: 1, limit, count }
}

/// The two order limits: ten seconds, minute.
pub fn order_entries(counts: Option<(u32, u32)>) -> [RateLimit; 2] {
    let entry = |interval, interval_num, limit: u32, count: Option<u32>| RateLimit {
        rate_limit_type: "ORDERS",
        interval,
        interval_num,
        limit: i64::from(limit),
        count: count.map(i64::from),
    };
    [
        entry("SECOND", 10, ORDERS_TEN_SECONDS, counts.map(|counts| counts.0)),
        entry("MINUTE", 1, ORDERS_MINUTE, counts.map(|counts| counts.1)),
    ]
}

/// Stands for limit and count of what a request does not use.
pub const NOT_COUNTED: i64 = -1;
/// Weight of one address in one UTC minute.
const WEIGHT_MINUTE: u32 = 2_400;
/// Calls of the funding endpoints of one address in five minutes.
const FUNDING_FIVE_MINUTES: u32 = 500;
/// WebSocket connections that an address may try to open in five minutes.
const CONNECTIONS_FIVE_MINUTES: u32 = 300;
/// Orders of the account in ten seconds.
const ORDERS_TEN_SECONDS: u32 = 300;
/// Orders of the account in one minute.
const ORDERS_MINUTE: u32 = 1_200;
/// Refusals within a minute that an address may collect before it is banned.
const REFUSALS_BEFORE_BAN: u32 = 10;
/// First ban; each later one is twice as long.
const BAN_FIRST: Duration = Duration::from_secs(120);
/// Longest ban.
const BAN_MAX: Duration = Duration::from_secs(3 * 24 * 3_600);
/// Doublings after which a ban has certainly reached its longest.
const BAN_DOUBLINGS_MAX: u32 = 16;
/// Addresses that are remembered; idle ones are forgotten first.
const PEERS_MAX: usize = 1_024;
const TEN_SECONDS: Duration = Duration::from_secs(10);
const MINUTE: Duration = Duration::from_secs(60);
const FIVE_MINUTES: Duration = Duration::from_secs(300);

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;

    const PEER: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
    const OTHER: IpAddr = IpAddr::V4(Ipv4Addr::new(203, 0, 113, 7));
    const ONE: OrderCost = OrderCost { ten_seconds: 1, minute: 1 };

    fn at(seconds: u64) -> Nanos {
        Nanos::from_millis(1_795_327_200_000 + seconds * 1_000)
    }

    #[test]
    fn weight_runs_out_for_the_minute_and_for_that_address_only() {
        let mut limits = Limits::default();
        assert_eq!(limits.spend(at(19), PEER, 2_400), Ok(()));
        let refusal = limits.spend(at(19), PEER, 1).unwrap_err();
        assert_eq!((refusal.status, refusal.code), (429, -1003));
        assert_eq!(seconds_until(at(19), refusal.retry_at.unwrap()), 41);
        assert_eq!(limits.weight(at(19), PEER), 2_401, "a refused request costs its weight");
        assert_eq!(limits.spend(at(19), OTHER, 1), Ok(()));
        assert_eq!(limits.spend(at(60), PEER, 1), Ok(()));
        assert_eq!(limits.weight(at(60), PEER), 1);
    }

    #[test]
    fn going_on_after_refusals_is_banned_and_longer_each_time() {
        let mut limits = Limits::default();
        for (round, (start, span)) in [(0, 120), (180, 240), (480, 480)].into_iter().enumerate() {
            limits.spend(at(start), PEER, 2_400).unwrap();
            for _ in 0..REFUSALS_BEFORE_BAN {
                assert_eq!(limits.spend(at(start), PEER, 1).unwrap_err().status, 429, "round {round}");
            }
            let ban = limits.spend(at(start), PEER, 1).unwrap_err();
            assert_eq!((ban.status, ban.code), (418, -1003));
            assert_eq!(seconds_until(at(start), ban.retry_at.unwrap()), span);
            assert_eq!(limits.spend(at(start + span - 1), PEER, 1).unwrap_err().status, 418);
            assert_eq!(limits.spend(at(start + span), PEER, 1), Ok(()));
        }
    }

    #[test]
    fn orders_are_limited_in_both_windows() {
        let mut limits = Limits::default();
        for slice in 0..4 {
            for _ in 0..300 {
                limits.take_orders(at(slice * 10), PEER, ONE).unwrap();
            }
            let refusal = limits.take_orders(at(slice * 10 + 3), PEER, ONE).unwrap_err();
            assert_eq!(refusal.msg, "Too many new orders; current limit is 300 orders per TEN_SECONDS.");
            assert_eq!(seconds_until(at(slice * 10 + 3), refusal.retry_at.unwrap()), 7);
        }
        let refusal = limits.take_orders(at(40), PEER, ONE).unwrap_err();
        assert_eq!((refusal.status, refusal.code), (429, -1015));
        assert_eq!(refusal.msg, "Too many new orders; current limit is 1200 orders per MINUTE.");
        assert_eq!(limits.orders(at(40)), (0, 1_200), "what is refused is not counted");
        assert_eq!(limits.take_orders(at(60), PEER, ONE), Ok(()));
    }

    #[test]
    fn the_funding_endpoints_have_a_limit_of_their_own() {
        let mut limits = Limits::default();
        for _ in 0..500 {
            limits.spend_funding(at(0), PEER).unwrap();
        }
        assert_eq!(limits.spend_funding(at(0), PEER).unwrap_err().status, 429);
        assert_eq!(limits.weight(at(0), PEER), 0);
    }

    #[test]
    fn addresses_are_forgotten_before_there_are_too_many() {
        let mut limits = Limits::default();
        for index in 0..2 * PEERS_MAX as u32 {
            limits.spend(at(0), IpAddr::V4(Ipv4Addr::from_bits(index)), 1).unwrap();
        }
        assert!(limits.peers.len() <= PEERS_MAX);
    }
}
