//! The simulated exchange as one thing to drive: requests and frames in, answers and frames out, time as it passes.
//!
//! What it does: finds the endpoint, charges its weight, checks key, timestamp and signature, counts orders, and lets the
//! handler run on the desk; hands stream connections to the streams and WebSocket API connections to the sessions.
//! What it never does: no sockets, no threads, no clock. Same calls in the same order, same answers.
//! Which thread: the one that drives it.

use std::net::IpAddr;

use optiflow_base::clock::Nanos;

use super::auth::{Keys, check_timestamp, rest_payload};
use super::desk::Desk;
use super::errors::ApiError;
use super::json;
use super::limits::{Limits, seconds_until};
use super::params::Params;
use super::rest::{Answer, Guard, Route, Weight, route};
use super::ws_api::Sessions;
use super::{ConnId, Outgoing, Request, Response};
use crate::core::{Core, CoreConfig};
use crate::market::{Source, SourceError};

/// What an exchange is made from.
#[derive(Debug)]
pub struct ExchangeConfig {
    /// Account, fees, replay; its listings are the source's.
    pub core: CoreConfig,
    /// The keys of the one account.
    pub keys: Keys,
    /// For what the exchange makes up: listen keys, client order ids.
    pub seed: u64,
}

/// The exchange.
pub struct Exchange {
    house: House,
    sessions: Sessions,
}

/// What requests of either kind are served from.
pub(super) struct House {
    pub(super) keys: Keys,
    pub(super) limits: Limits,
    pub(super) desk: Desk,
}

impl Exchange {
    /// An exchange on which nothing has happened yet.
    pub fn new(config: ExchangeConfig, source: Box<dyn Source>) -> Exchange {
        let desk = Desk::new(Core::new(config.core, source), config.seed);
        let house = House { keys: config.keys, limits: Limits::default(), desk };
        Exchange { house, sessions: Sessions::default() }
    }

    /// Answers an HTTP request.
    pub fn rest(&mut self, now: Nanos, request: &Request) -> Response {
        self.advance(now);
        let Some(route) = route(&request.method, &request.path) else {
            let refused = self.house.limits.spend(now, request.peer, 1);
            let error = refused.err().unwrap_or_else(|| ApiError::no_such_path(&request.method, &request.path));
            return self.house.response(now, request.peer, None, Err(error));
        };
        let answer = self.house.rest(now, request, &route);
        self.house.response(now, request.peer, Some(&route), answer)
    }

    /// A WebSocket upgrade: accepted, or refused with an HTTP answer.
    ///
    /// # Errors
    /// The answer to send instead of the upgrade.
    pub fn open(&mut self, now: Nanos, conn: ConnId, path_and_query: &str, peer: IpAddr) -> Result<(), Response> {
        self.advance(now);
        let (path, query) = path_and_query.split_once('?').unwrap_or((path_and_query, ""));
        if path == WS_API_PATH {
            let charged = self.house.limits.spend(now, peer, HANDSHAKE_WEIGHT);
            charged.map_err(|error| self.house.response(now, peer, None, Err(error)))?;
            self.sessions.open(now, conn, query, peer);
            return Ok(());
        }
        let opened = self.house.desk.streams.open(now, conn, path_and_query);
        opened.map_err(|status| Response { status, headers: Vec::new(), body: Vec::new() })
    }

    /// A text frame arrived.
    pub fn text(&mut self, now: Nanos, conn: ConnId, text: &str) {
        self.advance(now);
        if self.sessions.has(conn) {
            self.sessions.text(now, conn, text, &mut self.house);
        } else {
            self.house.desk.streams.text(now, conn, text);
        }
    }

    /// A pong arrived.
    pub fn pong(&mut self, now: Nanos, conn: ConnId, payload: &[u8]) {
        if self.sessions.has(conn) {
            self.sessions.pong(conn, payload);
        } else {
            self.house.desk.streams.pong(now, conn, payload);
        }
    }

    /// The connection is gone.
    pub fn closed(&mut self, conn: ConnId) {
        if !self.sessions.closed(conn) {
            self.house.desk.streams.closed(conn);
        }
    }

    /// Lets time pass.
    pub fn advance(&mut self, now: Nanos) {
        self.house.desk.advance(now);
        self.sessions.advance(now);
    }

    /// When something is next to be done; until then nothing happens without being asked for.
    pub fn next_due(&self) -> Option<Nanos> {
        self.house.desk.next_due().into_iter().chain(self.sessions.next_due()).min()
    }

    /// The next frame to write. User data goes out before the WebSocket API's answers.
    pub fn take_outgoing(&mut self) -> Option<(ConnId, Outgoing)> {
        self.house.desk.streams.take_outgoing().or_else(|| self.sessions.take_outgoing())
    }

    /// The ledger: orders, fills, positions, books.
    pub fn core(&self) -> &Core {
        &self.house.desk.core
    }

    /// Why the market stands still, if its source failed.
    pub fn market_failure(&self) -> Option<&SourceError> {
        self.house.desk.market_failure()
    }
}

impl House {
    fn rest(&mut self, now: Nanos, request: &Request, route: &Route) -> Answer {
        let body = if request.method == "GET" { &[][..] } else { &request.body };
        let body = std::str::from_utf8(body).map_err(|_| ApiError::illegal_text());
        let params = body.clone().and_then(|body| Params::from_form(&request.query, body));
        self.charge(now, request.peer, route, params.as_ref().ok())?;
        let (body, params) = (body?, params?);
        self.check_request(now, route.guard, request, &params, body)?;
        self.run(now, request.peer, route, &params)
    }

    /// Charges the weight of a request, also of one that cannot be read.
    pub(super) fn charge(
        &mut self,
        now: Nanos,
        peer: IpAddr,
        route: &Route,
        params: Option<&Params>,
    ) -> Result<(), ApiError> {
        if route.weight == Weight::Funding {
            return self.limits.spend_funding(now, peer);
        }
        self.limits.spend(now, peer, params.map_or(1, |params| route.weight.of(params)))
    }

    /// Runs a request that was charged and whose sender is who they say.
    pub(super) fn run(&mut self, now: Nanos, peer: IpAddr, route: &Route, params: &Params) -> Answer {
        if let Some(orders) = route.orders {
            self.limits.take_orders(now, peer, orders)?;
        }
        (route.run)(&mut self.desk, now, params)
    }

    fn check_request(
        &self,
        now: Nanos,
        guard: Guard,
        request: &Request,
        params: &Params,
        body: &str,
    ) -> Result<(), ApiError> {
        if guard == Guard::Open {
            return Ok(());
        }
        let api_key = request.api_key.as_deref();
        self.keys.check_key(api_key)?;
        if guard == Guard::Key {
            return Ok(());
        }
        let signature = params.mandatory("signature")?;
        check_timestamp(now, params)?;
        let payload = rest_payload(&request.query, body);
        self.keys.check_signature(api_key.unwrap_or_default(), payload.as_bytes(), signature)
    }

    fn response(&mut self, now: Nanos, peer: IpAddr, route: Option<&Route>, answer: Answer) -> Response {
        let mut headers = vec![("Content-Type", "application/json".to_owned())];
        if route.is_none_or(|route| route.weight != Weight::Funding) {
            headers.push(("X-MBX-USED-WEIGHT-1M", self.limits.weight(now, peer).to_string()));
        }
        let counted = match &answer {
            Ok(_) => true,
            Err(error) => error.code == TOO_MANY_ORDERS,
        };
        if counted && route.is_some_and(|route| route.orders.is_some()) {
            let (ten_seconds, minute) = self.limits.orders(now);
            headers.push(("X-MBX-ORDER-COUNT-10S", ten_seconds.to_string()));
            headers.push(("X-MBX-ORDER-COUNT-1M", minute.to_string()));
        }
        let (status, body) = match answer {
            Ok(body) => (200, body),
            Err(error) => {
                if let Some(at) = error.retry_at {
                    headers.push(("Retry-After", seconds_until(now, at).to_string()));
                }
                (error.status, json::text(&error.body()).unwrap_or_default())
            }
        };
        Response { status, headers, body: body.into_bytes() }
    }
}

/// Where the WebSocket API is; every other path is a stream's.
const WS_API_PATH: &str = "/ws-fapi/v1";
/// What opening a WebSocket API connection costs.
const HANDSHAKE_WEIGHT: u32 = 5;
/// The one refusal that tells the order counts.
const TOO_MANY_ORDERS: i32 = -1015;
