//! Requests: answered otherwise, too late, in part or not at all, executed or not.

use std::net::IpAddr;
use std::time::Duration;

use optiflow_base::clock::Nanos;

use super::kinds::Fault;
use super::liar::Liar;
use crate::binance::Request;
use crate::binance::errors::ApiError;
use crate::binance::limits::Limits;

/// A request, as far as the liar cares.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Asked {
    /// Over REST, rather than by a frame?
    pub over_rest: bool,
    /// Does it place orders?
    pub places: bool,
    /// May they only shrink a position?
    pub reduces: bool,
}

/// What becomes of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lie {
    /// It is executed and answered.
    Truth,
    /// It is answered in these words, and not executed.
    Refuse(Words),
    /// It is executed, and answered in these words.
    Disown(Words),
    /// It is not executed; the connection breaks.
    Unread,
    /// It is executed and never answered.
    Mute,
    /// It is executed; the answer breaks off, and the connection with it.
    Cut,
    /// It is executed; the answer leaves so much later.
    Late(Duration),
    /// It is executed; the answer takes so long, byte by byte.
    Slow(Duration),
}

/// The words of an answer that is not true, or of a refusal that has no reason.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Words {
    /// 503 "Unknown error…"
    Unknown,
    /// 408 -1007
    Timeout,
    /// 503 -1006
    BusError,
    /// 503 -1001
    InternalError,
    /// 503 "Service Unavailable."
    Unavailable,
    /// 503 -1008
    Throttled,
    /// 503 -1016
    ShuttingDown,
    /// 403 in HTML
    Forbidden,
}

impl Asked {
    /// What an HTTP request asks.
    pub fn by_request(request: &Request) -> Asked {
        let path = request.path.as_str();
        let places = request.method == "POST" && PLACING_PATHS.contains(&path);
        let says = |text: &[u8]| REDUCING.iter().any(|words| text.windows(words.len()).any(|part| part == *words));
        let reduces = places && (says(request.query.as_bytes()) || says(&request.body));
        Asked { over_rest: true, places, reduces }
    }

    /// What a frame asks.
    pub fn by_frame(text: &str) -> Asked {
        let places = text.contains("\"order.place\"");
        let compact = || text.bytes().filter(|byte| !matches!(byte, b' ' | b'"')).collect::<Vec<u8>>();
        let says =
            |text: &[u8]| REDUCING_FRAME.iter().any(|words| text.windows(words.len()).any(|part| part == *words));
        Asked { over_rest: false, places, reduces: places && says(&compact()) }
    }
}

impl Liar {
    /// Decides about a request; what it does to limits is done.
    pub fn ask(&mut self, now: Nanos, asked: Asked, peer: IpAddr, limits: &mut Limits) -> Lie {
        for (fault, befalls, effect) in REQUEST_FAULTS {
            let befallen = match befalls {
                Befalls::All => true,
                Befalls::Rest => asked.over_rest,
                Befalls::Orders => asked.places,
                Befalls::Entries => asked.places && !asked.reduces,
            };
            let Some(span) = befallen.then(|| self.strikes(now, fault)).flatten() else { continue };
            match effect {
                // The limits themselves refuse what they must, this request first.
                Effect::Exhaust => limits.exhaust(now, peer),
                Effect::Ban => limits.ban(now, peer, span),
                Effect::FillOrders => limits.fill_orders(now),
                Effect::Late => return Lie::Late(self.some_of(span)),
                Effect::Slow => return Lie::Slow(span),
                Effect::Lie(lie) => return lie,
            }
        }
        Lie::Truth
    }

    /// After how many bytes an answer of that length breaks off.
    pub fn cut_at(&mut self, len: usize) -> usize {
        self.random.usize(0..=len)
    }
}

impl Words {
    /// As an error of the API.
    pub fn error(self) -> ApiError {
        match self {
            Words::Unknown => ApiError::unknown(),
            Words::Timeout => ApiError::timeout(),
            Words::BusError => ApiError::bus_error(),
            Words::InternalError => ApiError::internal_error(),
            Words::Unavailable => ApiError::service_unavailable(),
            Words::Throttled => ApiError::throttled(),
            Words::ShuttingDown => ApiError::shutting_down(),
            Words::Forbidden => ApiError::forbidden(),
        }
    }

    /// Type and text of a body over REST that is no JSON: it comes from a machine before the exchange.
    pub const fn body(self) -> Option<(&'static str, &'static str)> {
        match self {
            Words::Unavailable => Some(("text/plain", "Service Unavailable.")),
            Words::Forbidden => Some(("text/html", FORBIDDEN)),
            Words::Unknown
            | Words::Timeout
            | Words::BusError
            | Words::InternalError
            | Words::Throttled
            | Words::ShuttingDown => None,
        }
    }
}

/// Which requests a fault can befall.
#[derive(Clone, Copy)]
enum Befalls {
    All,
    Rest,
    /// Those that place orders.
    Orders,
    /// Those that place orders that may enlarge a position.
    Entries,
}

/// What a fault does to a request.
#[derive(Clone, Copy)]
enum Effect {
    Exhaust,
    Ban,
    FillOrders,
    Late,
    Slow,
    Lie(Lie),
}

/// What is drawn for every request, in this order; the first lie that strikes is told.
const REQUEST_FAULTS: [(Fault, Befalls, Effect); 18] = [
    (Fault::TooManyRequests, Befalls::All, Effect::Exhaust),
    (Fault::Banned, Befalls::All, Effect::Ban),
    (Fault::TooManyOrders, Befalls::Orders, Effect::FillOrders),
    (Fault::LostRequest, Befalls::All, Effect::Lie(Lie::Unread)),
    (Fault::Forbidden, Befalls::Rest, Effect::Lie(Lie::Refuse(Words::Forbidden))),
    (Fault::ServiceUnavailable, Befalls::All, Effect::Lie(Lie::Refuse(Words::Unavailable))),
    (Fault::InternalError, Befalls::All, Effect::Lie(Lie::Refuse(Words::InternalError))),
    (Fault::ShuttingDown, Befalls::All, Effect::Lie(Lie::Refuse(Words::ShuttingDown))),
    (Fault::Throttled, Befalls::Entries, Effect::Lie(Lie::Refuse(Words::Throttled))),
    (Fault::UnknownNotExecuted, Befalls::All, Effect::Lie(Lie::Refuse(Words::Unknown))),
    (Fault::TimeoutNotExecuted, Befalls::All, Effect::Lie(Lie::Refuse(Words::Timeout))),
    (Fault::UnknownExecuted, Befalls::All, Effect::Lie(Lie::Disown(Words::Unknown))),
    (Fault::TimeoutExecuted, Befalls::All, Effect::Lie(Lie::Disown(Words::Timeout))),
    (Fault::BusErrorExecuted, Befalls::All, Effect::Lie(Lie::Disown(Words::BusError))),
    (Fault::LostReply, Befalls::All, Effect::Lie(Lie::Mute)),
    (Fault::CutReply, Befalls::All, Effect::Lie(Lie::Cut)),
    (Fault::LateReply, Befalls::All, Effect::Late),
    (Fault::SlowReply, Befalls::All, Effect::Slow),
];
const FORBIDDEN: &str = "<html><head><title>403 Forbidden</title></head><body>Request blocked.</body></html>";
const PLACING_PATHS: [&str; 3] = ["/fapi/v1/order", "/fapi/v1/order/test", "/fapi/v1/batchOrders"];
const REDUCING: [&[u8]; 2] = [b"reduceOnly=true", b"closePosition=true"];
const REDUCING_FRAME: [&[u8]; 2] = [b"reduceOnly:true", b"closePosition:true"];
