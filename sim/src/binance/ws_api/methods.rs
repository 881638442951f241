//! Which method is which endpoint, who may call it, and the session methods.

use optiflow_base::clock::Nanos;
use serde::Serialize;

use super::frame::{self, Frame};
use super::{Logon, Session};
use crate::binance::auth::{Keys, check_timestamp, frame_payload};
use crate::binance::errors::ApiError;
use crate::binance::exchange::House;
use crate::binance::faults::Words;
use crate::binance::json;
use crate::binance::limits::{NOT_COUNTED, RateLimit, order_entries, weight_entry};
use crate::binance::params::Params;
use crate::binance::rest::{Answer, Guard, Route, Weight, account, algo, market, orders, settings, trade};

/// Serves a frame and returns the answer's text.
pub fn serve(now: Nanos, session: &mut Session, text: &str, house: &mut House) -> String {
    let frame = match Frame::parse(text) {
        Ok(frame) => frame,
        Err((id, error)) => {
            let outcome = Err(house.limits.spend(now, session.peer, 1).err().unwrap_or(error));
            return frame::answer(now, &id, &outcome, &[]);
        }
    };
    let params = frame.params();
    let shows = session.shows_limits && params.as_ref().is_ok_and(shows_limits);
    let method = Method::find(&frame.method);
    let outcome = match &method {
        Some(Method::Endpoint(route)) => endpoint(now, session, house, route, params),
        Some(Method::Session(method)) => call_session(now, session, house, *method, params),
        None => {
            let charged = house.limits.spend(now, session.peer, 1);
            charged.and_then(|()| Err(ApiError::no_such_method(&frame.method)))
        }
    };
    let limits = if shows { limits(now, session, house, method.as_ref(), outcome.is_err()) } else { Vec::new() };
    frame::answer(now, &frame.id, &outcome, &limits)
}

/// The answer that is given instead of the true one.
pub fn instead(now: Nanos, text: &str, words: Words) -> String {
    let id = Frame::parse(text).map_or_else(|(id, _)| id, |frame| frame.id);
    frame::answer(now, &id, &Err(words.error()), &[])
}

/// Does the sender want to see the limits?
pub fn shows_limits(params: &Params) -> bool {
    !params.pairs().any(|(name, value)| name == "returnRateLimits" && value == "false")
}

/// A method.
enum Method {
    Endpoint(Route),
    Session(SessionMethod),
}

#[derive(Clone, Copy)]
enum SessionMethod {
    Logon,
    Status,
    Logout,
}

impl Method {
    fn find(name: &str) -> Option<Method> {
        use Weight::{Depth, Fixed, PerSymbol};
        Some(Method::Endpoint(match name {
            "session.logon" => return Some(Method::Session(SessionMethod::Logon)),
            "session.status" => return Some(Method::Session(SessionMethod::Status)),
            "session.logout" => return Some(Method::Session(SessionMethod::Logout)),
            "order.place" => Route::ordering(0, 1, trade::place),
            "order.modify" => Route::ordering(0, 1, trade::modify_over_frame),
            "order.cancel" => Route::signed(1, trade::cancel),
            "algoOrder.place" => Route::signed(0, algo::place_over_frame),
            "algoOrder.cancel" => Route::signed(1, algo::cancel),
            "order.status" => Route::signed(1, orders::order),
            "account.position" => Route::signed(5, account::positions_v2),
            "v2/account.position" => Route::signed(5, account::positions_v3),
            "account.balance" | "v2/account.balance" => Route::signed(5, account::balance),
            "account.status" => Route::signed(5, account::status_v2),
            "v2/account.status" => Route::signed(5, account::status_v3),
            "ticker.book" => Route::open(PerSymbol { one: 2, all: 5 }, market::book_ticker),
            "ticker.price" => Route::open(PerSymbol { one: 1, all: 2 }, market::price_ticker),
            "depth" => Route::open(Depth, market::depth),
            "time" => Route::open(Fixed(1), market::time),
            "ping" => Route::open(Fixed(1), market::ping),
            "userDataStream.start" => Route::keyed(1, settings::start_listen_key),
            "userDataStream.ping" => Route::keyed(1, settings::keep_listen_key),
            "userDataStream.stop" => Route::keyed(1, settings::close_listen_key),
            _ => return None,
        }))
    }
}

fn endpoint(
    now: Nanos,
    session: &Session,
    house: &mut House,
    route: &Route,
    params: Result<Params, ApiError>,
) -> Answer {
    house.charge(now, session.peer, route, params.as_ref().ok())?;
    let params = params?;
    check_sender(house.desk.liar.server_time(now), session, &house.keys, route.guard, &params)?;
    house.run(now, session.peer, route, &params)
}

/// Lets a request in that carries a key and a signature, or comes over a session that logged on.
fn check_sender(now: Nanos, session: &Session, keys: &Keys, guard: Guard, params: &Params) -> Result<(), ApiError> {
    let logged_on = session.logon.as_ref().map(|logon| logon.api_key.as_str());
    let api_key = params.optional("apiKey")?;
    match guard {
        Guard::Open => return Ok(()),
        Guard::Key => return keys.check_key(Some(api_key.or(logged_on).ok_or_else(|| ApiError::missing("apiKey"))?)),
        Guard::Signed => {}
    }
    if params.has("signature") || api_key.is_some_and(|key| Some(key) != logged_on) {
        let api_key = api_key.ok_or_else(|| ApiError::missing("apiKey"))?;
        keys.check_key(Some(api_key))?;
        let signature = params.mandatory("signature")?;
        check_timestamp(now, params)?;
        return keys.check_signature(api_key, frame_payload(params).as_bytes(), signature);
    }
    if logged_on.is_none() {
        return Err(ApiError::missing("apiKey"));
    }
    check_timestamp(now, params)
}

fn call_session(
    now: Nanos,
    session: &mut Session,
    house: &mut House,
    method: SessionMethod,
    params: Result<Params, ApiError>,
) -> Answer {
    house.limits.spend(now, session.peer, SESSION_WEIGHT)?;
    let params = params?;
    match method {
        SessionMethod::Logon => {
            let api_key = params.mandatory("apiKey")?;
            house.keys.check_key(Some(api_key))?;
            let signature = params.mandatory("signature")?;
            check_timestamp(house.desk.liar.server_time(now), &params)?;
            house.keys.check_logon(api_key, frame_payload(&params).as_bytes(), signature)?;
            session.logon = Some(Logon { api_key: api_key.to_owned(), since: now });
        }
        SessionMethod::Status => {}
        SessionMethod::Logout => session.logon = None,
    }
    json::text(&SessionStatus {
        api_key: session.logon.as_ref().map(|logon| logon.api_key.as_str()),
        authorized_since: session.logon.as_ref().map(|logon| logon.since.millis()),
        connected_since: session.opened.millis(),
        return_rate_limits: session.shows_limits,
        server_time: house.desk.liar.server_time(now).millis(),
    })
}

/// Order methods show the order counts; refused ones show no weight, as on the wire.
fn limits(
    now: Nanos,
    session: &Session,
    house: &mut House,
    method: Option<&Method>,
    is_refused: bool,
) -> Vec<RateLimit> {
    let weight = i64::from(house.limits.weight(now, session.peer));
    let orders = match method {
        Some(Method::Endpoint(route)) => route.orders.is_some(),
        Some(Method::Session(_)) | None => false,
    };
    if !orders {
        return vec![weight_entry(Some(weight))];
    }
    let [ten_seconds, minute] = order_entries(Some(house.limits.orders(now)));
    vec![weight_entry(Some(if is_refused { NOT_COUNTED } else { weight })), ten_seconds, minute]
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct SessionStatus<'a> {
    api_key: Option<&'a str>,
    authorized_since: Option<u64>,
    connected_since: u64,
    return_rate_limits: bool,
    server_time: u64,
}

/// What a session method costs.
const SESSION_WEIGHT: u32 = 2;
