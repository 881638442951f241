//! A request frame taken apart, and an answer put together.

use optiflow_base::clock::Nanos;
use serde::Serialize;
use serde_json::Value;
use serde_json::value::RawValue;

use crate::binance::errors::ApiError;
use crate::binance::json;
use crate::binance::limits::RateLimit;
use crate::binance::params::{Params, RawObject};
use crate::binance::rest::Answer;

/// A request that could be read.
pub struct Frame {
    /// As it was sent, and as it is echoed.
    pub id: Value,
    /// What is asked for.
    pub method: String,
    params: Option<Box<RawValue>>,
}

impl Frame {
    /// Reads a frame; the error is what is wrong with it and the id to say it under.
    pub fn parse(text: &str) -> Result<Frame, (Value, ApiError)> {
        let invalid = || (Value::Null, ApiError::new(-1000, "Invalid JSON request."));
        let mut fields: RawObject = serde_json::from_str(text).map_err(|_| invalid())?;
        let value = |raw: Box<RawValue>| serde_json::from_str::<Value>(raw.get());
        let id = fields.remove("id").map_or(Ok(Value::Null), value).map_err(|_| invalid())?;
        let is_id = id.is_null() || id.is_string() || id.is_i64() || id.is_u64();
        if !is_id {
            return Err(invalid());
        }
        match fields.remove("method").map(value) {
            Some(Ok(Value::String(method))) => Ok(Frame { id, method, params: fields.remove("params") }),
            _ => Err((id, ApiError::missing("method"))),
        }
    }

    /// Its parameters; none is as good as an empty object.
    pub fn params(&self) -> Result<Params, ApiError> {
        let Some(params) = self.params.as_ref().filter(|params| params.get() != "null") else {
            return Params::from_object(&RawObject::new());
        };
        let no_object = |_| ApiError::new(-1135, "Invalid 'params' in JSON request; expected an object.");
        Params::from_object(&serde_json::from_str(params.get()).map_err(no_object)?)
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
