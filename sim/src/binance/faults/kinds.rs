//! The faults by name: what each does, what it is drawn for, how long it lasts.

use std::time::Duration;

/// Something that goes wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[expect(missing_docs, reason = "`Fault::what` says it, for the program's users too")]
pub enum Fault {
    UnknownExecuted,
    UnknownNotExecuted,
    TimeoutExecuted,
    TimeoutNotExecuted,
    BusErrorExecuted,
    InternalError,
    ServiceUnavailable,
    Throttled,
    ShuttingDown,
    TooManyRequests,
    Banned,
    TooManyOrders,
    Forbidden,
    LostRequest,
    LostReply,
    CutReply,
    LateReply,
    SlowReply,
    OrderNotFound,
    OrderNotListed,
    CancelNotFound,
    DuplicateUserEvent,
    LateOrderUpdate,
    LateAccountUpdate,
    LateTradeLite,
    ReorderedUserEvent,
    DeadUserStream,
    ListenKeyExpired,
    ListenKeyLost,
    DepthGap,
    DuplicateDepth,
    StaleSnapshot,
    DeadMarketStream,
    CutStream,
    SlowStream,
    RefusedConnects,
    ClockJump,
}

/// What a fault is drawn for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Per {
    /// Every request over REST or the WebSocket API that it can befall.
    Request,
    /// Every order that is accepted.
    Order,
    /// Every event on its way to one connection.
    Event,
    /// Every second of the exchange's clock.
    Second,
}

struct Row {
    fault: Fault,
    name: &'static str,
    per: Per,
    /// How long it lasts or how late it makes things, if that means anything.
    span_ms: Option<u64>,
    /// The highest rate that a drawn profile gives it, parts per million.
    highest: u32,
    what: &'static str,
}

impl Fault {
    /// All of them, in the order of the documentation.
    pub fn all() -> impl Iterator<Item = Fault> {
        TABLE.iter().map(|row| row.fault)
    }

    /// The fault of that name.
    pub fn named(name: &str) -> Option<Fault> {
        TABLE.iter().find(|row| row.name == name).map(|row| row.fault)
    }

    /// Its name in files and reports.
    pub fn name(self) -> &'static str {
        self.row().name
    }

    /// What it does, in a line.
    pub fn what(self) -> &'static str {
        self.row().what
    }

    /// What it is drawn for.
    pub fn per(self) -> Per {
        self.row().per
    }

    /// How long it lasts, or how late it makes things, unless a rule says otherwise; nothing where that has no meaning.
    pub fn span(self) -> Option<Duration> {
        self.row().span_ms.map(Duration::from_millis)
    }

    /// The highest rate that a drawn profile gives it, parts per million.
    pub(super) fn highest(self) -> u32 {
        self.row().highest
    }

    fn row(self) -> &'static Row {
        &TABLE[self as usize]
    }
}

impl Per {
    /// Its name in reports.
    pub const fn name(self) -> &'static str {
        match self {
            Per::Request => "request",
            Per::Order => "order",
            Per::Event => "event",
            Per::Second => "second",
        }
    }
}

/// How many faults there are.
pub(super) const COUNT: usize = TABLE.len();

const fn row(
    fault: Fault,
    name: &'static str,
    per: Per,
    span_ms: Option<u64>,
    highest: u32,
    what: &'static str,
) -> Row {
    Row { fault, name, per, span_ms, highest, what }
}

/// Row by row the faults in the order of their declaration.
#[rustfmt::skip]
const TABLE: [Row; 37] = {
    use Fault::*;
    use Per::{Event, Order, Request, Second};
    [
        row(UnknownExecuted, "unknown_executed", Request, None, 50_000,
            "executed, answered 503 \"Unknown error, please check your request or try again later.\""),
        row(UnknownNotExecuted, "unknown_not_executed", Request, None, 50_000,
            "not executed, answered 503 with the same words"),
        row(TimeoutExecuted, "timeout_executed", Request, None, 50_000, "executed, answered 408 -1007"),
        row(TimeoutNotExecuted, "timeout_not_executed", Request, None, 50_000, "not executed, answered 408 -1007"),
        row(BusErrorExecuted, "bus_error_executed", Request, None, 20_000, "executed, answered 503 -1006"),
        row(InternalError, "internal_error", Request, None, 50_000, "not executed, answered 503 -1001"),
        row(ServiceUnavailable, "service_unavailable", Request, None, 50_000,
            "not executed, answered 503 \"Service Unavailable.\", which is no JSON over REST"),
        row(Throttled, "throttled", Request, None, 100_000,
            "new orders are not executed and answered 503 -1008; reduce-only orders pass"),
        row(ShuttingDown, "shutting_down", Request, None, 5_000, "not executed, answered 503 -1016"),
        row(TooManyRequests, "too_many_requests", Request, None, 500,
            "the address's weight is used up as if by another client: 429 -1003 with Retry-After to the end of the minute"),
        row(Banned, "banned", Request, Some(120_000), 100,
            "the address is banned for the span: 418 -1003 with Retry-After"),
        row(TooManyOrders, "too_many_orders", Request, None, 2_000,
            "the account's ten seconds are full as if by another client: orders are answered 429 -1015"),
        row(Forbidden, "forbidden", Request, None, 2_000, "REST only: not executed, answered 403 in HTML"),
        row(LostRequest, "lost_request", Request, None, 50_000, "not executed: the connection breaks with the request on its way"),
        row(LostReply, "lost_reply", Request, None, 50_000, "executed and never answered; the connection stays"),
        row(CutReply, "cut_reply", Request, None, 50_000, "executed; the connection breaks after any byte of the answer"),
        row(LateReply, "late_reply", Request, Some(2_000), 200_000, "executed; the answer leaves up to the span later"),
        row(SlowReply, "slow_reply", Request, Some(1_000), 20_000, "executed; the answer dribbles byte by byte over the span"),
        row(OrderNotFound, "order_not_found", Order, Some(2_000), 300_000,
            "for the span from its acceptance, queries of the order answer -2013"),
        row(OrderNotListed, "order_not_listed", Order, Some(2_000), 100_000,
            "for the span from its acceptance, openOrders and allOrders leave the order out"),
        row(CancelNotFound, "cancel_not_found", Order, Some(2_000), 100_000,
            "for the span from its acceptance, cancels of the order answer -2011"),
        row(DuplicateUserEvent, "duplicate_user_event", Event, Some(1_000), 200_000,
            "a user event comes again up to the span later"),
        row(LateOrderUpdate, "late_order_update", Event, Some(2_000), 300_000,
            "ORDER_TRADE_UPDATE comes up to the span later, and those behind it wait: TRADE_LITE and answers overtake it"),
        row(LateAccountUpdate, "late_account_update", Event, Some(2_000), 300_000,
            "ACCOUNT_UPDATE comes up to the span later, and those behind it wait"),
        row(LateTradeLite, "late_trade_lite", Event, Some(2_000), 300_000,
            "TRADE_LITE comes up to the span later, and those behind it wait: ORDER_TRADE_UPDATE overtakes it"),
        row(ReorderedUserEvent, "reordered_user_event", Event, Some(1_000), 100_000,
            "a user event comes up to the span later, and nothing waits for it"),
        row(DeadUserStream, "dead_user_stream", Event, Some(86_400_000), 2_000,
            "a user stream falls silent for the span; it still pings and answers pings"),
        row(ListenKeyExpired, "listen_key_expired", Second, None, 2_000,
            "the listen key expires: listenKeyExpired, then silence, and -1125 to a keep-alive"),
        row(ListenKeyLost, "listen_key_lost", Second, None, 2_000, "the listen key expires and nobody is told"),
        row(DepthGap, "depth_gap", Event, None, 10_000, "a depth message is lost: `pu` of the next does not fit"),
        row(DuplicateDepth, "duplicate_depth", Event, Some(500), 20_000, "a depth message comes again up to the span later"),
        row(StaleSnapshot, "stale_snapshot", Request, None, 500_000,
            "GET depth answers with a book of one to two seconds ago, older than the diffs"),
        row(DeadMarketStream, "dead_market_stream", Event, Some(86_400_000), 500,
            "a market stream connection falls silent for the span; it still pings and answers pings"),
        row(CutStream, "cut_stream", Event, None, 500, "a stream connection breaks after any byte of an event"),
        row(SlowStream, "slow_stream", Event, Some(500), 1_000, "an event dribbles byte by byte over the span"),
        row(RefusedConnects, "refused_connects", Second, Some(5_000), 5_000, "for the span, new connections are refused"),
        row(ClockJump, "clock_jump", Second, Some(3_000), 5_000,
            "the server's clock, as GET time tells it and timestamps are judged by, jumps to any offset within the span"),
    ]
};
