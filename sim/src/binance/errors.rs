//! Refusals as Binance words them: code, HTTP status, text.
//!
//! One place for every code this exchange answers with; what a code means to a client is the fact sheet's business.
//! Never decides anything: the caller knows why it refuses. Plain values, any thread.

use std::net::IpAddr;

use optiflow_base::clock::Nanos;
use optiflow_base::money::{Price, Qty};
use serde::Serialize;

use crate::words::Reject;

/// A refused request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ApiError {
    /// HTTP status; the WebSocket API uses the same number.
    pub status: u16,
    /// Binance's code.
    pub code: i32,
    /// Binance's text.
    pub msg: String,
    /// When the client may come back (429 and 418).
    pub retry_at: Option<Nanos>,
}

/// `{"code":…,"msg":…}`
#[derive(Serialize)]
pub(crate) struct ErrorBody<'a> {
    code: i32,
    msg: &'a str,
}

impl ApiError {
    /// Refused with HTTP 400.
    pub fn new(code: i32, msg: impl Into<String>) -> ApiError {
        ApiError { status: 400, code, msg: msg.into(), retry_at: None }
    }

    /// The body of the answer.
    pub(crate) fn body(&self) -> ErrorBody<'_> {
        ErrorBody { code: self.code, msg: &self.msg }
    }

    fn with_status(mut self, status: u16) -> ApiError {
        self.status = status;
        self
    }

    fn until(mut self, at: Nanos) -> ApiError {
        self.retry_at = Some(at);
        self
    }

    /// -5000: no such path, or not with this method.
    pub fn no_such_path(method: &str, path: &str) -> ApiError {
        ApiError::new(-5000, format!("Path {path}, Method {method} is invalid")).with_status(404)
    }

    /// -5000 on the WebSocket API.
    pub fn no_such_method(method: &str) -> ApiError {
        ApiError::new(-5000, format!("Method {method} is invalid")).with_status(404)
    }

    /// -1003 with 429: too much weight in this minute.
    pub fn too_many_requests(limit: u32, until: Nanos) -> ApiError {
        let msg = format!(
            "Too many requests; current limit is {limit} requests per minute. \
             Please use the websocket for live updates to avoid polling the API."
        );
        ApiError::new(-1003, msg).with_status(429).until(until)
    }

    /// -1003 with 418: the address is banned.
    pub fn banned(peer: IpAddr, until: Nanos) -> ApiError {
        let msg = format!(
            "Way too many requests; IP({peer}) banned until {}. Please use the websocket for live updates to avoid bans.",
            until.millis()
        );
        ApiError::new(-1003, msg).with_status(418).until(until)
    }

    /// -1000 with 503: nobody knows whether it was executed.
    pub fn unknown() -> ApiError {
        ApiError::new(-1000, "Unknown error, please check your request or try again later.").with_status(503)
    }

    /// -1001 with 503: not executed.
    pub fn internal_error() -> ApiError {
        ApiError::new(-1001, "Internal error; unable to process your request. Please try again.").with_status(503)
    }

    /// -1006: nobody knows whether it was executed. Its status is not established: taken for that of its kind.
    pub fn bus_error() -> ApiError {
        let msg = "An unexpected response was received from the message bus. Execution status unknown.";
        ApiError::new(-1006, msg).with_status(503)
    }

    /// -1007 with 408: nobody knows whether it was executed.
    pub fn timeout() -> ApiError {
        let msg = "Timeout waiting for response from backend server. Send status unknown; execution status unknown.";
        ApiError::new(-1007, msg).with_status(408)
    }

    /// -1008 with 503: not executed.
    pub fn throttled() -> ApiError {
        let msg = "Request throttled by system-level protection. Reduce-only/close-position orders are exempt. \
                   Please try again.";
        ApiError::new(-1008, msg).with_status(503)
    }

    /// -1016 with 503: not executed.
    pub fn shutting_down() -> ApiError {
        ApiError::new(-1016, "This service is no longer available.").with_status(503)
    }

    /// 503 without a code over REST; the code that a frame carries is not established.
    pub fn service_unavailable() -> ApiError {
        ApiError::new(-1000, "Service Unavailable.").with_status(503)
    }

    /// 403 of the firewall, which answers in HTML.
    pub fn forbidden() -> ApiError {
        ApiError::new(-1000, "Request blocked.").with_status(403)
    }

    /// -1015: too many orders in a window.
    pub fn too_many_orders(limit: u32, window: &str, until: Nanos) -> ApiError {
        let msg = format!("Too many new orders; current limit is {limit} orders per {window}.");
        ApiError::new(-1015, msg).with_status(429).until(until)
    }

    /// -1020: this exchange does not do that.
    pub fn unsupported() -> ApiError {
        ApiError::new(-1020, "This operation is not supported.")
    }

    /// -1021: the timestamp is too old.
    pub fn late() -> ApiError {
        ApiError::new(-1021, "Timestamp for this request is outside of the recvWindow.")
    }

    /// -1021: the timestamp is ahead of ours.
    pub fn ahead() -> ApiError {
        ApiError::new(-1021, "Timestamp for this request was 1000ms ahead of the server's time.")
    }

    /// -1022
    pub fn bad_signature() -> ApiError {
        ApiError::new(-1022, "Signature for this request is not valid.")
    }

    /// -1023
    pub fn start_after_end() -> ApiError {
        ApiError::new(-1023, "Start time is greater than end time.")
    }

    /// -1100: a parameter holds characters that it may not.
    pub fn illegal_characters(name: &str, legal: &str) -> ApiError {
        ApiError::new(-1100, format!("Illegal characters found in parameter '{name}'; legal range is '{legal}'."))
    }

    /// -1100: the text of the parameters cannot be read at all.
    pub fn illegal_text() -> ApiError {
        ApiError::new(-1100, "Illegal characters found in a parameter.")
    }

    /// -1101
    pub fn duplicate_parameter() -> ApiError {
        ApiError::new(-1101, "Duplicate values for a parameter detected.")
    }

    /// -1102
    pub fn missing(name: &str) -> ApiError {
        ApiError::new(-1102, format!("Mandatory parameter '{name}' was not sent, was empty/null, or malformed."))
    }

    /// -1102: neither of two ways to name an order was used.
    pub fn missing_either(one: &str, other: &str) -> ApiError {
        ApiError::new(-1102, format!("Param '{one}' or '{other}' must be sent, but both were empty/null!"))
    }

    /// -1105
    pub fn empty(name: &str) -> ApiError {
        ApiError::new(-1105, format!("Parameter '{name}' was empty."))
    }

    /// -1106
    pub fn not_required(name: &str) -> ApiError {
        ApiError::new(-1106, format!("Parameter '{name}' sent when not required."))
    }

    /// -1111
    pub fn precision() -> ApiError {
        ApiError::new(-1111, "Precision is over the maximum defined for this asset.")
    }

    /// -1121
    pub fn invalid_symbol() -> ApiError {
        ApiError::new(-1121, "Invalid symbol.")
    }

    /// -1125
    pub fn no_listen_key() -> ApiError {
        ApiError::new(
            -1125,
            "This listenKey does not exist. Please use `POST /fapi/v1/listenKey` to recreate `listenKey`",
        )
    }

    /// -1127
    pub fn interval_too_big(days: u64) -> ApiError {
        ApiError::new(-1127, format!("More than {days} days between startTime and endTime."))
    }

    /// -1130
    pub fn invalid(name: &str) -> ApiError {
        ApiError::new(-1130, format!("Data sent for parameter '{name}' is not valid."))
    }

    /// -1131
    pub fn recv_window() -> ApiError {
        ApiError::new(-1131, "recvWindow must be less than 60000")
    }

    /// -2011
    pub fn unknown_order() -> ApiError {
        ApiError::new(-2011, "Unknown order sent.")
    }

    /// -2013
    pub fn no_such_order() -> ApiError {
        ApiError::new(-2013, "Order does not exist.")
    }

    /// -2014: no key, or not the shape of one.
    pub fn key_format() -> ApiError {
        ApiError::new(-2014, "API-key format invalid.").with_status(401)
    }

    /// -2015: a key we do not know.
    pub fn unknown_key() -> ApiError {
        ApiError::new(-2015, "Invalid API-key, IP, or permissions for action.").with_status(401)
    }

    /// -4015
    pub fn client_id() -> ApiError {
        ApiError::new(-4015, "Client order id is not valid.")
    }

    /// -4056: this kind of key cannot log on.
    pub fn key_kind() -> ApiError {
        ApiError::new(-4056, "HMAC_SHA256 API key is not supported.")
    }

    /// -4062
    pub fn reduce_only_value() -> ApiError {
        ApiError::new(-4062, "Invalid or improper reduceOnly value.")
    }

    /// -4120
    pub fn conditional_order() -> ApiError {
        let msg = "Order type not supported for this endpoint. Please use the Algo Order API endpoints instead.";
        ApiError::new(-4120, msg)
    }

    /// What the core refused, in Binance's words. `price` and `qty` are what was asked for: they tell a value that is
    /// not positive from one below the filter.
    pub fn from_reject(reject: &Reject, price: Price, qty: Qty) -> ApiError {
        let (code, msg) = match reject {
            Reject::PriceTooLow if price <= Price::ZERO => (-4001, "Price less than 0.".to_owned()),
            Reject::PriceTooLow => (-4013, "Price less than min price.".to_owned()),
            Reject::PriceTooHigh => (-4002, "Price greater than max price.".to_owned()),
            Reject::PriceOffTick => (-4014, "Price not increased by tick size.".to_owned()),
            Reject::PriceAboveBand(bound) => (-4016, format!("Limit price can't be higher than {bound}.")),
            Reject::PriceBelowBand(bound) => (-4024, format!("Limit price can't be lower than {bound}.")),
            Reject::QtyTooLow if qty <= Qty::ZERO => (-4003, "Quantity less than zero.".to_owned()),
            Reject::QtyTooLow => (-4004, "Quantity less than min quantity.".to_owned()),
            Reject::QtyTooHigh => (-4005, "Quantity greater than max quantity.".to_owned()),
            Reject::QtyOffStep => (-4023, "Quantity not increased by step size.".to_owned()),
            Reject::NotionalTooLow(least) => {
                (-4164, format!("Order's notional must be no smaller than {least} (unless you choose reduce only)."))
            }
            Reject::WouldTake => (-5022, POST_ONLY.to_owned()),
            Reject::CannotFill => (-5021, FILL_OR_KILL.to_owned()),
            Reject::NotReducing => (-2022, "ReduceOnly Order is rejected.".to_owned()),
            Reject::InsufficientMargin => (-2019, "Margin is insufficient.".to_owned()),
            Reject::TooManyOpenOrders => (-2025, "Reach max open order limit.".to_owned()),
            Reject::DuplicateClientId => (-4116, "ClientOrderId is duplicated.".to_owned()),
            Reject::NoLiquidity => (-1112, "No orders on book for symbol.".to_owned()),
            Reject::CounterpartyBeyondBand => {
                (-4131, "The counterparty's best price does not meet the PERCENT_PRICE filter limit.".to_owned())
            }
            Reject::PositionTooLarge => {
                (-2027, "Exceeded the maximum allowable position at current leverage.".to_owned())
            }
            Reject::LeverageTooLow => {
                (-2028, "Leverage is smaller than permitted: insufficient margin balance.".to_owned())
            }
            Reject::TooManyAmendments => (-5026, "Exceed maximum modify order limit.".to_owned()),
            Reject::UnknownOrder => return ApiError::unknown_order(),
            Reject::NothingToModify => (-5027, "No need to modify the order.".to_owned()),
        };
        ApiError::new(code, msg)
    }
}

const POST_ONLY: &str = "Due to the order could not be executed as maker, the Post Only order will be rejected. \
                         The order will not be recorded in the order history";
const FILL_OR_KILL: &str = "Due to the order could not be filled immediately, the FOK order has been rejected. \
                            The order will not be recorded in the order history";
