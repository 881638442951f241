//! Which streams are asked for, on which route, and how a snapshot is asked for.
//!
//! The list of streams stands in the URL: no subscription round trip, and a reconnect subscribes by itself. A stream on
//! the wrong route is accepted and stays silent, so each kind has exactly one route here.

use std::fmt::Write as _;

use arrayvec::ArrayString;
use optiflow_base::ids::{SymbolId, SymbolName};
use optiflow_base::market::StreamKind;
use optiflow_base::rest::{Auth, Method, QUERY_LEN_MAX, RestCall};

/// The configured symbols, found by their venue name.
#[derive(Clone, Debug)]
pub struct Symbols {
    by_name: Vec<(SymbolName, SymbolId)>,
}

impl Symbols {
    /// Names as the venue writes them in messages, upper case; their position is their id.
    ///
    /// # Panics
    /// If a name stands twice or there are more than [`SYMBOLS_MAX`]: configuration was checked before.
    pub fn new(names: &[SymbolName]) -> Symbols {
        assert!(names.len() <= SYMBOLS_MAX, "{} symbols do not fit one connection", names.len());
        let ids = (0u16..).map(SymbolId);
        let mut by_name: Vec<(SymbolName, SymbolId)> = names.iter().copied().zip(ids).collect();
        by_name.sort_unstable();
        assert!(by_name.windows(2).all(|pair| pair[0].0 != pair[1].0), "a symbol stands twice");
        Symbols { by_name }
    }

    /// The symbol of this name, when it is one of ours.
    pub fn find(&self, name: &[u8]) -> Option<SymbolId> {
        let at = self.by_name.binary_search_by(|(known, _)| known.as_bytes().cmp(name)).ok()?;
        self.by_name.get(at).map(|&(_, id)| id)
    }

    /// Symbol and kind of a stream name such as `btcusdt@depth@100ms`, when it is one of ours.
    pub fn find_stream(&self, stream: &[u8]) -> Option<(SymbolId, StreamKind)> {
        let (name, suffix) = split(stream)?;
        let kind = kind_of(suffix)?;
        let name = std::str::from_utf8(name).ok()?.to_uppercase();
        Some((self.find(name.as_bytes())?, kind))
    }
}

/// Kind of a whole stream name; `None` for streams that are never asked for, partial depth among them.
#[inline(always)]
pub(super) fn kind_of_stream(stream: &[u8]) -> Option<StreamKind> {
    split(stream).and_then(|(_, suffix)| kind_of(suffix))
}

#[inline(always)]
fn split(stream: &[u8]) -> Option<(&[u8], &[u8])> {
    let at = stream.iter().position(|&byte| byte == b'@')?;
    Some((stream.get(..at)?, stream.get(at + 1..)?))
}

#[inline(always)]
fn kind_of(suffix: &[u8]) -> Option<StreamKind> {
    match suffix {
        b"depth" | [b'd', b'e', b'p', b't', b'h', b'@', ..] => Some(StreamKind::Depth),
        b"bookTicker" => Some(StreamKind::Top),
        b"aggTrade" => Some(StreamKind::Trade),
        b"markPrice" | b"markPrice@1s" => Some(StreamKind::Mark),
        _ => None,
    }
}

/// Path of the connection that carries diffs and best prices. `depth_speed` is `100ms`, `500ms`, `0ms`, or `250ms`.
pub fn public_path(names: &[SymbolName], depth_speed: &str) -> String {
    // 250 ms is the speed of the bare name; with the speed spelt out the stream is accepted and stays silent.
    let depth = if depth_speed == "250ms" { "depth".to_owned() } else { format!("depth@{depth_speed}") };
    path("/public", names, &[&depth, "bookTicker"])
}

/// Path of the connection that carries trades and mark prices.
pub fn market_path(names: &[SymbolName]) -> String {
    path("/market", names, &["aggTrade", "markPrice@1s"])
}

fn path(route: &str, names: &[SymbolName], streams: &[&str]) -> String {
    assert!(!names.is_empty(), "a connection without streams would stay silent");
    let mut path = format!("{route}/stream?streams=");
    for (index, name) in names.iter().enumerate() {
        for (position, stream) in streams.iter().enumerate() {
            if index + position > 0 {
                path.push('/');
            }
            // A stream name in upper case is accepted and stays silent.
            push_encoded(&mut path, &name.to_lowercase());
            path.push('@');
            path.push_str(stream);
        }
    }
    path
}

/// The call for a book snapshot of `name`.
pub fn snapshot_call(name: &SymbolName, token: u64) -> RestCall {
    let mut encoded = String::with_capacity(QUERY_LEN_MAX);
    push_encoded(&mut encoded, name);
    let mut query = ArrayString::new();
    let written = write!(query, "symbol={encoded}&limit={SNAPSHOT_LEVELS_MAX}");
    assert!(written.is_ok(), "a symbol name fits a query");
    RestCall { token, method: Method::Get, path: DEPTH_PATH, query, auth: Auth::Open, weight: SNAPSHOT_WEIGHT }
}

/// Symbols may hold letters beyond ASCII; in a URL those are written as `%XX`.
fn push_encoded(into: &mut String, text: &str) {
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"_-.".contains(&byte) {
            into.push(char::from(byte));
        } else {
            let written = write!(into, "%{byte:02X}");
            assert!(written.is_ok(), "a String takes every text");
        }
    }
}

/// Most symbols of one feed: two streams each, and a connection carries 1024.
pub const SYMBOLS_MAX: usize = 512;
/// Levels a side that a snapshot is asked for.
pub const SNAPSHOT_LEVELS_MAX: usize = 1_000;
/// Request weight of such a snapshot.
pub const SNAPSHOT_WEIGHT: u32 = 20;
const DEPTH_PATH: &str = "/fapi/v1/depth";

#[cfg(test)]
mod tests {
    use super::*;

    fn names(names: &[&str]) -> Vec<SymbolName> {
        names.iter().map(|name| SymbolName::from(name).unwrap()).collect()
    }

    #[test]
    fn the_streams_stand_in_the_url_lower_case_on_their_own_route() {
        let two = names(&["BTCUSDT", "币安人生USDT"]);
        assert_eq!(
            public_path(&two, "100ms"),
            "/public/stream?streams=btcusdt@depth@100ms/btcusdt@bookTicker\
             /%E5%B8%81%E5%AE%89%E4%BA%BA%E7%94%9Fusdt@depth@100ms/%E5%B8%81%E5%AE%89%E4%BA%BA%E7%94%9Fusdt@bookTicker"
        );
        assert_eq!(market_path(&two[..1]), "/market/stream?streams=btcusdt@aggTrade/btcusdt@markPrice@1s");
        assert_eq!(public_path(&two[..1], "250ms"), "/public/stream?streams=btcusdt@depth/btcusdt@bookTicker");
    }

    #[test]
    fn a_snapshot_is_an_open_call_of_weight_twenty() {
        let call = snapshot_call(&names(&["BTCUSDT_261225"])[0], 7);
        assert_eq!((call.token, call.path, call.auth, call.weight), (7, "/fapi/v1/depth", Auth::Open, 20));
        assert_eq!(call.query.as_str(), "symbol=BTCUSDT_261225&limit=1000");
    }

    #[test]
    fn stream_names_are_recognised_whole() {
        let symbols = Symbols::new(&names(&["ETHUSDT", "BTCUSDT"]));
        let btc = SymbolId(1);
        let table = [
            ("btcusdt@depth@100ms", Some((btc, StreamKind::Depth))),
            ("btcusdt@depth", Some((btc, StreamKind::Depth))),
            ("btcusdt@depth@0ms", Some((btc, StreamKind::Depth))),
            ("btcusdt@depth20@100ms", None),
            ("btcusdt@rpiDepth@500ms", None),
            ("btcusdt@bookTicker", Some((btc, StreamKind::Top))),
            ("btcusdt@aggTrade", Some((btc, StreamKind::Trade))),
            ("btcusdt@markPrice@1s", Some((btc, StreamKind::Mark))),
            ("btcusdt@trade", None),
            ("xrpusdt@depth", None),
            ("!bookTicker", None),
            ("", None),
        ];
        for (stream, expected) in table {
            assert_eq!(symbols.find_stream(stream.as_bytes()), expected, "{stream}");
        }
        assert_eq!(symbols.find(b"ETHUSDT"), Some(SymbolId(0)));
        assert_eq!(symbols.find(b"ETHUSD"), None);
    }
}
