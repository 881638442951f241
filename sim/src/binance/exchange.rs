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
use super::faults::{Asked, Fault, Faults, Lie, Words};
use super::json;
use super::limits::{Limits, seconds_until};
use super::params::Params;
use super::rest::{Answer, Guard, Route, Weight, route};
use super::ws_api::Sessions;
use super::{ConnId, Delivery, Outgoing, Request, Response};
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
    /// When it was last called.
    now: Nanos,
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
        let now = config.core.start;
        let desk = Desk::new(Core::new(config.core, source), config.seed);
        let house = House { keys: config.keys, limits: Limits::default(), desk };
        Exchange { house, sessions: Sessions::default(), now }
    }

    /// From `now` on these faults strike and no others; [`Faults::none`] ends them. What they do lasts no longer than
    /// they do; frames that were held back still leave at their time.
    pub fn set_faults(&mut self, now: Nanos, faults: &Faults) {
        self.advance(now);
        self.house.desk.liar.set(now, faults);
    }

    /// How often each fault struck so far.
    pub fn faults_struck(&self) -> impl Iterator<Item = (Fault, u64)> {
        self.house.desk.liar.counts()
    }

    /// Until when nothing that `peer` asks is answered: it is banned, or its weight is used up.
    pub fn silent_until(&mut self, now: Nanos, peer: IpAddr) -> Option<Nanos> {
        self.house.limits.silent_until(now, peer)
    }

    /// What it has counted: weight of `peer` in this minute, orders of the account in these ten seconds and this minute.
    pub fn used(&mut self, now: Nanos, peer: IpAddr) -> (u32, u32, u32) {
        let (ten_seconds, minute) = self.house.limits.orders(now);
        (self.house.limits.weight(now, peer), ten_seconds, minute)
    }

    /// Is a new connection refused now? Whoever accepts connections asks before anything else.
    pub fn refuses_connects(&self, now: Nanos) -> bool {
        self.house.desk.liar.refuses_connects(now)
    }

    /// Answers an HTTP request.
    pub fn rest(&mut self, now: Nanos, request: &Request) -> Response {
        self.advance(now);
        match self.house.lie(now, request.peer, || Asked::by_request(request)) {
            Lie::Truth => self.house.answer(now, request),
            Lie::Refuse(words) => self.house.instead(now, request.peer, words),
            Lie::Disown(words) => {
                self.house.answer(now, request);
                self.house.instead(now, request.peer, words)
            }
            Lie::Unread => Response::none(Delivery::Cut { after_bytes: 0 }),
            Lie::Mute => {
                self.house.answer(now, request);
                Response::none(Delivery::Never)
            }
            Lie::Cut => {
                let answer = self.house.answer(now, request);
                let after_bytes = self.house.desk.liar.cut_at(HEAD_LEN + answer.body.len());
                Response { delivery: Delivery::Cut { after_bytes }, ..answer }
            }
            Lie::Late(delay) => Response { delivery: Delivery::Late(delay), ..self.house.answer(now, request) },
            Lie::Slow(span) => {
                let answer = self.house.answer(now, request);
                let pause = span / u32::try_from(HEAD_LEN + answer.body.len()).unwrap_or(u32::MAX);
                Response { delivery: Delivery::Dribble { pause }, ..answer }
            }
        }
    }

    /// A WebSocket upgrade: accepted, or refused with an HTTP answer.
    ///
    /// # Errors
    /// The answer to send instead of the upgrade.
    pub fn open(&mut self, now: Nanos, conn: ConnId, path_and_query: &str, peer: IpAddr) -> Result<(), Response> {
        self.advance(now);
        let counted = self.house.limits.connect(now, peer);
        counted.map_err(|error| self.house.response(now, peer, None, Err(error)))?;
        let (path, query) = path_and_query.split_once('?').unwrap_or((path_and_query, ""));
        if path == WS_API_PATH {
            let charged = self.house.limits.spend(now, peer, HANDSHAKE_WEIGHT);
            charged.map_err(|error| self.house.response(now, peer, None, Err(error)))?;
            self.sessions.open(now, conn, query, peer);
            return Ok(());
        }
        let opened = self.house.desk.streams.open(now, conn, path_and_query);
        opened.map_err(Response::bare)
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
            self.sessions.pong(now, conn, payload);
        } else {
            self.house.desk.streams.pong(now, conn, payload);
        }
    }

    /// A ping arrived; whoever carries the frames answers it.
    pub fn ping(&mut self, now: Nanos, conn: ConnId) {
        if self.sessions.has(conn) {
            self.sessions.ping(now, conn);
        } else {
            self.house.desk.streams.ping(now, conn);
        }
    }

    /// How often somebody asked too much of it beside requests: connections that it refused because there were too many
    /// attempts, connections that it closed because they sent too many messages.
    pub const fn floods(&self) -> (u64, u64) {
        (self.house.limits.connections_refused(), self.sessions.flooded() + self.house.desk.streams.flooded())
    }

    /// The connection is gone.
    pub fn closed(&mut self, conn: ConnId) {
        self.house.desk.liar.closed(conn);
        if !self.sessions.closed(conn) {
            self.house.desk.streams.closed(conn);
        }
    }

    /// Lets time pass.
    pub fn advance(&mut self, now: Nanos) {
        self.now = now;
        self.house.desk.advance(now);
        self.sessions.advance(now);
    }

    /// When something is next to be done; until then nothing happens without being asked for.
    pub fn next_due(&self) -> Option<Nanos> {
        let desk = &self.house.desk;
        [desk.next_due(), self.sessions.next_due(), desk.liar.next_release()].into_iter().flatten().min()
    }

    /// The next frame to write. User data goes out before the WebSocket API's answers.
    pub fn take_outgoing(&mut self) -> Option<(ConnId, Outgoing)> {
        if self.house.desk.liar.is_quiet() {
            return self.take_honest();
        }
        loop {
            if let Some(held) = self.house.desk.liar.release(self.now) {
                return Some(held);
            }
            let (conn, frame) = self.take_honest()?;
            let Some(frame) = self.house.desk.liar.pass(self.now, conn, frame) else { continue };
            if matches!(frame, Outgoing::Cut { .. }) {
                self.sessions.closed(conn);
                self.house.desk.streams.closed(conn);
            }
            return Some((conn, frame));
        }
    }

    fn take_honest(&mut self) -> Option<(ConnId, Outgoing)> {
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
    /// What becomes of a request.
    pub(super) fn lie(&mut self, now: Nanos, peer: IpAddr, asked: impl FnOnce() -> Asked) -> Lie {
        if !self.desk.liar.is_on() {
            return Lie::Truth;
        }
        self.desk.liar.ask(now, asked(), peer, &mut self.limits)
    }

    fn answer(&mut self, now: Nanos, request: &Request) -> Response {
        let Some(route) = route(&request.method, &request.path) else {
            let refused = self.limits.spend(now, request.peer, 1);
            let error = refused.err().unwrap_or_else(|| ApiError::no_such_path(&request.method, &request.path));
            return self.response(now, request.peer, None, Err(error));
        };
        let answer = self.rest(now, request, &route);
        self.response(now, request.peer, Some(&route), answer)
    }

    /// The answer that is given instead of the true one.
    fn instead(&mut self, now: Nanos, peer: IpAddr, words: Words) -> Response {
        let Some((kind, body)) = words.body() else { return self.response(now, peer, None, Err(words.error())) };
        let headers = vec![("Content-Type", kind.to_owned())];
        Response { headers, body: body.as_bytes().to_vec(), ..Response::bare(words.error().status) }
    }

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
        check_timestamp(self.desk.liar.server_time(now), params)?;
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
        Response { headers, body: body.into_bytes(), ..Response::bare(status) }
    }
}

/// Where the WebSocket API is; every other path is a stream's.
const WS_API_PATH: &str = "/ws-fapi/v1";
/// What opening a WebSocket API connection costs.
const HANDSHAKE_WEIGHT: u32 = 5;
/// About how long the head of an HTTP answer is: where answers are cut, and how slowly they dribble.
const HEAD_LEN: usize = 160;
/// The one refusal that tells the order counts.
const TOO_MANY_ORDERS: i32 = -1015;
