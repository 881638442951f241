//! The path a connection is opened with: its route, its form, and the streams it already asks for.
//!
//! Pure text in, plain data out.

use super::topic::Route;

/// What a path asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Opening {
    /// Which streams may speak.
    pub route: Route,
    /// `/stream`: every payload is wrapped with the name of its stream.
    pub combined: bool,
    /// Streams asked for in the URL, in order.
    pub wanted: Vec<Wanted>,
}

/// A stream asked for in a URL.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wanted {
    /// Its name, or a listen key.
    pub name: String,
    /// Only these user data events; empty for all.
    pub events: Vec<String>,
}

impl Opening {
    /// Reads path and query of a WebSocket request; `None` when nothing is served there.
    pub fn parse(path_and_query: &str) -> Option<Opening> {
        let (path, query) = path_and_query.split_once('?').unwrap_or((path_and_query, ""));
        let mut parts = path.split('/').filter(|part| !part.is_empty()).peekable();
        let route = match parts.peek().copied() {
            Some("public") => Route::Public,
            Some("market") => Route::Market,
            Some("private") => Route::Private,
            Some(_) => Route::Unrouted,
            None => return None,
        };
        if route != Route::Unrouted {
            parts.next();
        }
        let combined = match parts.next()? {
            "ws" => false,
            "stream" => true,
            _ => return None,
        };
        let mut wanted: Vec<Wanted> = parts.map(|name| Wanted { name: decode(name), events: Vec::new() }).collect();
        for pair in query.split('&') {
            let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
            match key {
                "streams" => wanted.extend(names(value).map(|name| Wanted { name, events: Vec::new() })),
                "listenKey" => wanted.push(Wanted { name: decode(value), events: Vec::new() }),
                "events" => {
                    if let Some(last) = wanted.last_mut() {
                        last.events = names(value).collect();
                    }
                }
                _ => {}
            }
        }
        Some(Opening { route, combined, wanted })
    }
}

fn names(value: &str) -> impl Iterator<Item = String> {
    let decoded = decode(value);
    let names: Vec<String> = decoded.split('/').filter(|name| !name.is_empty()).map(str::to_owned).collect();
    names.into_iter()
}

/// Percent-decoding; an escape that is none stays as it is.
fn decode(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut decoded = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        let escape = (bytes[at] == b'%')
            .then(|| text.get(at + 1..at + 3))
            .flatten()
            .and_then(|digits| u8::from_str_radix(digits, 16).ok());
        match escape {
            Some(byte) => {
                decoded.push(byte);
                at += 3;
            }
            None => {
                decoded.push(bytes[at]);
                at += 1;
            }
        }
    }
    String::from_utf8_lossy(&decoded).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sketch(path: &str) -> String {
        match Opening::parse(path) {
            None => "none".to_owned(),
            Some(opening) => {
                let wanted: Vec<String> = opening
                    .wanted
                    .iter()
                    .map(|wanted| match wanted.events.is_empty() {
                        true => wanted.name.clone(),
                        false => format!("{}({})", wanted.name, wanted.events.join("+")),
                    })
                    .collect();
                let form = if opening.combined { "combined" } else { "raw" };
                format!("{:?} {form} [{}]", opening.route, wanted.join(" "))
            }
        }
    }

    #[test]
    fn every_form_of_path_is_understood() {
        let table = [
            ("/public/ws/a@trade/b@trade", "Public raw [a@trade b@trade]"),
            ("/public/ws", "Public raw []"),
            ("/public/ws/0", "Public raw [0]"),
            ("/public/stream?streams=a@depth@100ms/b@bookTicker", "Public combined [a@depth@100ms b@bookTicker]"),
            ("/public/stream?streams=a%40depth%40100ms%2Fb@trade", "Public combined [a@depth@100ms b@trade]"),
            ("/market/stream?streams=!markPrice@arr@1s", "Market combined [!markPrice@arr@1s]"),
            ("/market/ws/", "Market raw []"),
            ("/private/ws/KEY", "Private raw [KEY]"),
            ("/private/ws?listenKey=KEY", "Private raw [KEY]"),
            ("/private/ws?listenKey=KEY&events=A/B", "Private raw [KEY(A+B)]"),
            ("/private/stream?listenKey=K1&events=A&listenKey=K2&events=B/C", "Private combined [K1(A) K2(B+C)]"),
            ("/ws/a@trade", "Unrouted raw [a@trade]"),
            ("/ws", "Unrouted raw []"),
            ("/stream?streams=a@trade", "Unrouted combined [a@trade]"),
            ("/stream", "Unrouted combined []"),
            ("/public/ws/%E5%B8%81usdt@trade", "Public raw [币usdt@trade]"),
            ("/public/ws/50%@trade", "Public raw [50%@trade]"),
            ("/", "none"),
            ("/public", "none"),
            ("/public/else", "none"),
            ("/fapi/v1/ping", "none"),
        ];
        for (path, expected) in table {
            assert_eq!(sketch(path), expected, "{path}");
        }
    }
}
