//! A request frame taken apart, and an answer put together.

use optiflow_base::clock::Nanos;
use serde::Serialize;
use serde_json::{Map, Value};

use crate::binance::errors::ApiError;
use crate::binance::json;
use crate::binance::limits::RateLimit;
use crate::binance::params::Params;
use crate::binance::rest::Answer;

/// A request that could be read.
pub struct Frame {
    /// As it was sent, and as it is echoed.
    pub id: Value,
    /// What is asked for.
    pub method: String,
    params: Option<Value>,
}

impl Frame {
    /// Reads a frame; the error is what is wrong with it and the id to say it under.
    pub fn parse(text: &str) -> Result<Frame, (Value, ApiError)> {
        let invalid = || (Value::Null, ApiError::new(-1000, "Invalid JSON request."));
        let value: Value = serde_json::from_str(text).map_err(|_| invalid())?;
        let Value::Object(mut fields) = value else { return Err(invalid()) };
        let id = fields.remove("id").unwrap_or(Value::Null);
        let is_id = id.is_null() || id.is_string() || id.is_i64() || id.is_u64();
        if !is_id {
            return Err(invalid());
        }
        match fields.remove("method") {
            Some(Value::String(method)) => Ok(Frame { id, method, params: fields.remove("params") }),
            _ => Err((id, ApiError::missing("method"))),
        }
    }

    /// Its parameters; none is as good as an empty object.
    pub fn params(&self) -> Result<Params, ApiError> {
        match &self.params {
            None | Some(Value::Null) => Params::from_object(&Map::new()),
            Some(Value::Object(object)) => Params::from_object(object),
            Some(Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_)) => {
                Err(ApiError::new(-1135, "Invalid 'params' in JSON request; expected an object."))
            }
        }
    }
}

/// The answer as it is sent; without limits when there are none to show.
pub fn answer(now: Nanos, id: &Value, outcome: &Answer, limits: &[RateLimit]) -> String {
    let (status, field, body) = match outcome {
        Ok(result) => (200, "result", result.clone()),
        Err(error) => (error.status, "error", json::text(&Refusal::new(now, error)).unwrap_or_default()),
    };
    let mut text = format!("{{\"id\":{id},\"status\":{status},\"{field}\":{body}");
    if let (false, Ok(limits)) = (limits.is_empty(), json::text(limits)) {
        text.push_str(",\"rateLimits\":");
        text.push_str(&limits);
    }
    text.push('}');
    text
}

#[derive(Serialize)]
struct Refusal<'a> {
    code: i32,
    msg: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    data: Option<RetryAt>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct RetryAt {
    server_time: u64,
    retry_after: u64,
}

impl<'a> Refusal<'a> {
    fn new(now: Nanos, error: &'a ApiError) -> Refusal<'a> {
        let at = error.retry_at.filter(|_| error.code == TOO_MANY_REQUESTS);
        let data = at.map(|at| RetryAt { server_time: now.millis(), retry_after: at.millis() });
        Refusal { code: error.code, msg: &error.msg, data }
    }
}

/// The refusal that tells when to come back.
const TOO_MANY_REQUESTS: i32 = -1003;
