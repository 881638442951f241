//! The subscribe protocol: one text frame in, a command or Binance's refusal out.
//!
//! Pure text: what a command does is the hub's business.

use serde::Deserialize;
use serde_json::Value;

/// What a client asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Command {
    /// Add these streams.
    Subscribe(Vec<String>),
    /// Remove these streams.
    Unsubscribe(Vec<String>),
    /// List the streams.
    List,
    /// Wrap payloads, or do not.
    SetCombined(bool),
    /// Are payloads wrapped?
    GetCombined,
}

/// Names a request: a whole number, or text. Numbers are what is documented; Binance's own client sends text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RequestId(Value);

impl RequestId {
    fn of(request: &Value) -> Option<RequestId> {
        request.get("id").filter(|id| id.is_u64() || id.is_string()).cloned().map(RequestId)
    }
}

/// Reads a frame. The error is the answer to send.
pub fn read(text: &str) -> Result<(RequestId, Command), String> {
    let value: Value =
        serde_json::from_str(text).map_err(|error| refusal(None, 3, &format!("Invalid JSON: {error}")))?;
    let id = RequestId::of(&value);
    let invalid = |reason: &str| refusal(id.as_ref(), 2, &format!("Invalid request: {reason}"));
    // Read again with types, from the text: the library then says line and column, as Binance does.
    let request: Request = serde_json::from_str(text).map_err(|error| invalid(&error.to_string()))?;
    let id = id.clone().ok_or_else(|| invalid("request ID must be an unsigned integer"))?;
    let command = command(request).map_err(|(code, reason)| refusal(Some(&id), code, reason))?;
    Ok((id, command))
}

/// The answer to a command that was carried out.
pub fn answer(id: &RequestId, result: &Value) -> String {
    format!(r#"{{"result":{result},"id":{}}}"#, id.0)
}

/// A refusal: bare when the request carried no id that could be read.
pub fn refusal(id: Option<&RequestId>, code: u8, message: &str) -> String {
    let message = Value::from(message);
    match id {
        Some(id) => format!(r#"{{"error":{{"code":{code},"msg":{message}}},"id":{}}}"#, id.0),
        None => format!(r#"{{"code":{code},"msg":{message}}}"#),
    }
}

#[derive(Deserialize)]
struct Request {
    method: Method,
    params: Option<Vec<Value>>,
}

#[derive(Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
enum Method {
    Subscribe,
    Unsubscribe,
    ListSubscriptions,
    SetProperty,
    GetProperty,
}

/// Code and text of a refusal.
type Problem = (u8, &'static str);

fn command(request: Request) -> Result<Command, Problem> {
    if request.method == Method::ListSubscriptions {
        return Ok(Command::List);
    }
    let params = request.params.ok_or((2, "Invalid request: missing field `params`"))?;
    match request.method {
        Method::ListSubscriptions => Ok(Command::List),
        Method::Subscribe => stream_names(&params).map(Command::Subscribe),
        Method::Unsubscribe => stream_names(&params).map(Command::Unsubscribe),
        Method::GetProperty => match params.as_slice() {
            [name] => property_name(name).map(|()| Command::GetCombined),
            [] => Err((2, "Invalid request: property name must be a string")),
            [_, _, ..] => Err((2, "Invalid request: too many parameters")),
        },
        Method::SetProperty => match params.as_slice() {
            [] => Err((2, "Invalid request: property name must be a string")),
            [name, rest @ ..] if rest.len() <= 1 => {
                property_name(name)?;
                let combined = rest.first().and_then(Value::as_bool);
                combined.map(Command::SetCombined).ok_or((1, "Invalid value type: expected Boolean"))
            }
            [_, ..] => Err((2, "Invalid request: too many parameters")),
        },
    }
}

fn stream_names(params: &[Value]) -> Result<Vec<String>, Problem> {
    let name = |value: &Value| value.as_str().map(str::to_owned);
    params.iter().map(name).collect::<Option<_>>().ok_or((2, "Invalid request: stream name must be a string"))
}

fn property_name(name: &Value) -> Result<(), Problem> {
    match name.as_str() {
        Some("combined") => Ok(()),
        Some(_) => Err((0, "Unknown property")),
        None => Err((2, "Invalid request: property name must be a string")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frame_is_a_command_or_the_refusal_that_binance_sends() {
        let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
        type Row = (&'static str, Result<(Value, Command), &'static str>);
        let table: Vec<Row> = vec![
            (
                r#"{"method":"SUBSCRIBE","params":["btcusdt@depth@100ms","btcusdt@bookTicker"],"id":1}"#,
                Ok((Value::from(1), Command::Subscribe(names(&["btcusdt@depth@100ms", "btcusdt@bookTicker"])))),
            ),
            (
                r#"{"method":"UNSUBSCRIBE","params":["btcusdt@bookTicker"],"id":312}"#,
                Ok((Value::from(312), Command::Unsubscribe(names(&["btcusdt@bookTicker"])))),
            ),
            (r#"{"method":"LIST_SUBSCRIPTIONS","id":3}"#, Ok((Value::from(3), Command::List))),
            (
                r#"{"method":"SET_PROPERTY","params":["combined",true],"id":5}"#,
                Ok((Value::from(5), Command::SetCombined(true))),
            ),
            (r#"{"method":"GET_PROPERTY","params":["combined"],"id":2}"#, Ok((Value::from(2), Command::GetCombined))),
            (
                r#"{"method":"SUBSCRIB","id":9}"#,
                Err("{\"error\":{\"code\":2,\"msg\":\"Invalid request: unknown variant `SUBSCRIB`, expected one of \
                     `SUBSCRIBE`, `UNSUBSCRIBE`, `LIST_SUBSCRIPTIONS`, `SET_PROPERTY`, `GET_PROPERTY` at line 1 \
                     column 20\"},\"id\":9}"),
            ),
            ("hello", Err(r#"{"code":3,"msg":"Invalid JSON: expected value at line 1 column 1"}"#)),
            (
                r#"{"id":4}"#,
                Err(
                    r#"{"error":{"code":2,"msg":"Invalid request: missing field `method` at line 1 column 8"},"id":4}"#,
                ),
            ),
            (
                r#"{"method":"LIST_SUBSCRIPTIONS"}"#,
                Err(r#"{"code":2,"msg":"Invalid request: request ID must be an unsigned integer"}"#),
            ),
            (r#"{"method":"LIST_SUBSCRIPTIONS","id":"2b9e"}"#, Ok((Value::from("2b9e"), Command::List))),
            (
                r#"{"method":"LIST_SUBSCRIPTIONS","id":-1}"#,
                Err(r#"{"code":2,"msg":"Invalid request: request ID must be an unsigned integer"}"#),
            ),
            (
                r#"{"method":"SUBSCRIBE","id":6}"#,
                Err(r#"{"error":{"code":2,"msg":"Invalid request: missing field `params`"},"id":6}"#),
            ),
            (
                r#"{"method":"SUBSCRIBE","params":[1],"id":6}"#,
                Err(r#"{"error":{"code":2,"msg":"Invalid request: stream name must be a string"},"id":6}"#),
            ),
            (
                r#"{"method":"SET_PROPERTY","params":["else",true],"id":7}"#,
                Err(r#"{"error":{"code":0,"msg":"Unknown property"},"id":7}"#),
            ),
            (
                r#"{"method":"SET_PROPERTY","params":["combined",1],"id":7}"#,
                Err(r#"{"error":{"code":1,"msg":"Invalid value type: expected Boolean"},"id":7}"#),
            ),
            (
                r#"{"method":"GET_PROPERTY","params":["combined",true],"id":7}"#,
                Err(r#"{"error":{"code":2,"msg":"Invalid request: too many parameters"},"id":7}"#),
            ),
            (
                r#"{"method":"GET_PROPERTY","params":[5],"id":7}"#,
                Err(r#"{"error":{"code":2,"msg":"Invalid request: property name must be a string"},"id":7}"#),
            ),
        ];
        for (frame, expected) in table {
            let expected = expected.map(|(id, command)| (RequestId(id), command)).map_err(str::to_owned);
            assert_eq!(read(frame), expected, "{frame}");
        }
    }

    #[test]
    fn answers_read_as_binance_writes_them() {
        let id = |id: u64| RequestId(Value::from(id));
        assert_eq!(answer(&id(1), &Value::Null), r#"{"result":null,"id":1}"#);
        assert_eq!(
            answer(&id(3), &Value::from(vec!["btcusdt@depth@100ms"])),
            r#"{"result":["btcusdt@depth@100ms"],"id":3}"#
        );
        assert_eq!(answer(&id(2), &Value::from(true)), r#"{"result":true,"id":2}"#);
        assert_eq!(
            refusal(Some(&id(77)), 4, "Too many subscriptions"),
            r#"{"error":{"code":4,"msg":"Too many subscriptions"},"id":77}"#
        );
    }
}
