//! One function per kind of row: what is written where. The tables are described in `schema`.
//!
//! Knows SQL and the names of things in the file; decides nothing. Storage thread.

use optiflow_base::clock::Nanos;
use optiflow_base::ids::{OrderId, SymbolId};
use optiflow_base::log::{Notice, Refusal, SignalSample};
use optiflow_base::money::{Notional, Price, Qty, Side};
use optiflow_base::order::{DenyReason, GateReason, OrderChange, OrderEvent, OrderKind, TimeInForce, Usage};
use optiflow_base::stage::Room;
use rusqlite::params;

use crate::latency::Latencies;
use crate::ledger::Fill;
use crate::orders::OrderRecord;
use crate::session::SessionInfo;
use crate::word::OrderWord;
use crate::writer::Writer;

/// Writes the rows of one session.
#[derive(Debug)]
pub(crate) struct Rows {
    pub(crate) writer: Writer,
    pub(crate) session: i64,
    pub(crate) info: SessionInfo,
}

impl Rows {
    pub(crate) fn order(&mut self, now: Nanos, id: OrderId, record: &OrderRecord) {
        let placed = record.placed;
        let order = placed.map(|placed| placed.order);
        let values = params![
            raw(id),
            self.session,
            id.to_string(),
            self.info.name(record.symbol),
            order.map(|order| side_text(order.side)),
            order.map(|order| kind_text(order.kind)),
            order.map(|order| tif_text(order.time_in_force)),
            order.map(|order| order.price.units()),
            order.map(|order| order.qty.units()),
            order.map(|order| order.reduce_only),
            placed.map(|placed| nanos(placed.caused)),
            placed.map(|placed| nanos(placed.decided)),
            record.state.name(),
            record.filled.units(),
            record.exchange_id.map(|id| id.0.cast_signed()),
            nanos(record.changed_at),
        ];
        self.writer.write(now, UPSERT_ORDER, values);
    }

    pub(crate) fn order_event(&mut self, now: Nanos, event: &OrderEvent) {
        let (what, value) = change_word(&event.change);
        let (at, exchange_ms) = (nanos(event.at), event.exchange_ms.cast_signed());
        let values = params![self.session, raw(event.order), at, exchange_ms, what.name(), value];
        self.writer.write(now, INSERT_ORDER_EVENT, values);
        if let OrderChange::Modified { qty, .. } = event.change {
            // An event has one number, and terms are two.
            let what = OrderWord::ModifiedQty.name();
            let values = params![self.session, raw(event.order), at, exchange_ms, what, Some(qty.units())];
            self.writer.write(now, INSERT_ORDER_EVENT, values);
        }
    }

    /// False when the file has this fill already: then it was booked by an earlier session.
    pub(crate) fn fill(&mut self, now: Nanos, event: &OrderEvent, fill: &Fill, side: Option<Side>) -> bool {
        let values = params![
            raw(fill.order),
            fill.trade.0.cast_signed(),
            self.session,
            self.info.name(fill.symbol),
            nanos(event.at),
            event.exchange_ms.cast_signed(),
            side.map(side_text),
            fill.price.units(),
            fill.qty.units(),
            fill.maker,
            fill.fee,
        ];
        self.writer.write(now, INSERT_FILL, values) != Some(0)
    }

    /// Side of an order that an earlier session placed.
    pub(crate) fn side_of(&self, order: OrderId) -> Option<Side> {
        let side: String = self.writer.read(SELECT_SIDE, [raw(order)])?;
        [Side::Buy, Side::Sell].into_iter().find(|known| side_text(*known) == side)
    }

    pub(crate) fn position(&mut self, now: Nanos, symbol: SymbolId, qty: Qty, entry: Price, at: Nanos) {
        let values = params![self.session, self.info.name(symbol), nanos(at), qty.units(), entry.units()];
        self.writer.write(now, INSERT_POSITION, values);
    }

    pub(crate) fn wallet(&mut self, now: Nanos, balance: Notional, at: Nanos) {
        self.writer.write(now, INSERT_WALLET, params![self.session, nanos(at), balance.units_i64()]);
    }

    pub(crate) fn usage(&mut self, now: Nanos, usage: &Usage) {
        let Usage { weight_minute, orders_ten_seconds, orders_minute, blocked_until, orders_blocked_until, .. } =
            *usage;
        // A measured clock alone is no count.
        if *usage == (Usage { clock_offset_ns: usage.clock_offset_ns, ..Usage::default() }) {
            return;
        }
        let values = params![
            self.session,
            nanos(now),
            weight_minute,
            orders_ten_seconds,
            orders_minute,
            blocked_until.map(nanos),
            orders_blocked_until.map(nanos),
        ];
        self.writer.write(now, INSERT_USAGE, values);
    }

    /// A sample with something that is no number has no row: the file takes none, and one bad sample must not end it all.
    pub(crate) fn signal(&mut self, now: Nanos, sample: &SignalSample) {
        let SignalSample { obi_l1, obi_l5, micro_bps, flow, trades_per_second, .. } = *sample;
        if ![obi_l1, obi_l5, micro_bps, flow, trades_per_second].iter().all(|signal| signal.is_finite()) {
            self.writer.lose();
            return;
        }
        let values = params![
            self.session,
            self.info.name(sample.symbol),
            nanos(sample.at),
            sample.bid.units(),
            sample.ask.units(),
            sample.mark.units(),
            obi_l1,
            obi_l5,
            micro_bps,
            flow,
            trades_per_second,
        ];
        self.writer.write(now, INSERT_SIGNAL, values);
    }

    pub(crate) fn denial(&mut self, now: Nanos, at: Nanos, symbol: SymbolId, order: OrderId, reason: DenyReason) {
        let name = self.info.name(symbol);
        let values = params![self.session, nanos(at), "denied", deny_text(reason), name, raw(order)];
        self.writer.write(now, INSERT_RISK_EVENT, values);
    }

    /// A symbol in which nothing new is risked, for a while or until a restart.
    pub(crate) fn halt(
        &mut self,
        now: Nanos,
        at: Nanos,
        symbol: SymbolId,
        (refusal, until): (Refusal, Option<Nanos>),
        phrase: &str,
    ) {
        let (kind, code) = match refusal {
            Refusal::Order(code) => ("refused", i64::from(code)),
            Refusal::Modify(code) => ("modify_refused", i64::from(code)),
            Refusal::WouldTake => ("would_take", 0),
        };
        let (what, reason) = match until {
            Some(until) => ("paused", format!("{kind} {code}, for {} ms", until.since(at) / NANOS_PER_MS)),
            None => ("latched", format!("{kind} {code}")),
        };
        let values = params![self.session, nanos(at), what, reason, self.info.name(symbol), None::<i64>];
        self.writer.write(now, INSERT_RISK_EVENT, values);
        self.writer.write(now, INSERT_NOTICE, params![self.session, nanos(at), Room::Risk.name(), phrase, code]);
    }

    pub(crate) fn gate(&mut self, now: Nanos, open: bool, reason: GateReason, at: Nanos) {
        let what = if open { "gate_opened" } else { "gate_closed" };
        let values = params![self.session, nanos(at), what, gate_text(reason), None::<&str>, None::<i64>];
        self.writer.write(now, INSERT_RISK_EVENT, values);
    }

    pub(crate) fn notice(&mut self, now: Nanos, notice: &Notice) {
        let Notice { room, at, what, value } = *notice;
        self.writer.write(now, INSERT_NOTICE, params![self.session, nanos(at), room.name(), what, value]);
        if room == Room::Risk {
            let values = params![self.session, nanos(at), "notice", what, None::<&str>, None::<i64>];
            self.writer.write(now, INSERT_RISK_EVENT, values);
        }
    }

    /// Rows of spans that nobody measured since the last time stand as they are.
    pub(crate) fn latencies(&mut self, now: Nanos, latencies: &mut Latencies) {
        for span in latencies.fresh() {
            let [count, mean, p50, p90, p99, p999, max] =
                [span.count, span.mean_ns, span.p50_ns, span.p90_ns, span.p99_ns, span.p999_ns, span.max_ns]
                    .map(u64::cast_signed);
            let values = params![self.session, span.span, count, mean, p50, p90, p99, p999, max];
            self.writer.write(now, UPSERT_LATENCY, values);
        }
    }

    pub(crate) fn latency_buckets(&mut self, now: Nanos, latencies: &Latencies) {
        for (span, upper, count) in latencies.buckets() {
            let values = params![self.session, span, upper.cast_signed(), count.cast_signed()];
            self.writer.write(now, INSERT_BUCKET, values);
        }
    }

    pub(crate) fn end_session(&mut self, now: Nanos, outcome: &str, summary: &str) {
        self.writer.write(now, END_SESSION, params![nanos(now), outcome, summary, self.session]);
    }
}

/// A denial in the database and in the summary.
pub(crate) const fn deny_text(reason: DenyReason) -> &'static str {
    match reason {
        DenyReason::Latched => "latched",
        DenyReason::GateClosed => "gate_closed",
        DenyReason::NoReference => "no_reference",
        DenyReason::PriceFilter => "price_filter",
        DenyReason::LotSize => "lot_size",
        DenyReason::MinNotional => "min_notional",
        DenyReason::PercentPrice => "percent_price",
        DenyReason::OffGrid => "off_grid",
        DenyReason::OrderSize => "order_size",
        DenyReason::PositionLimit => "position_limit",
        DenyReason::OpenOrders => "open_orders",
        DenyReason::PriceBand => "price_band",
        DenyReason::OrderRate => "order_rate",
        DenyReason::WeightRate => "weight_rate",
        DenyReason::NotReducing => "not_reducing",
        DenyReason::BadOrderId => "bad_order_id",
        DenyReason::RingFull => "ring_full",
        DenyReason::TotalLimit => "total_limit",
        DenyReason::TotalOpenOrders => "total_open_orders",
        DenyReason::RepeatedRefusal => "repeated_refusal",
        DenyReason::ExitFirst => "exit_first",
    }
}

const fn nanos(at: Nanos) -> i64 {
    at.0.cast_signed()
}

const fn raw(order: OrderId) -> i64 {
    order.raw().cast_signed()
}

pub(crate) const fn side_text(side: Side) -> &'static str {
    match side {
        Side::Buy => "buy",
        Side::Sell => "sell",
    }
}

pub(crate) const fn kind_text(kind: OrderKind) -> &'static str {
    match kind {
        OrderKind::Limit => "limit",
        OrderKind::Market => "market",
    }
}

pub(crate) const fn tif_text(time_in_force: TimeInForce) -> &'static str {
    match time_in_force {
        TimeInForce::Gtc => "gtc",
        TimeInForce::Ioc => "ioc",
        TimeInForce::Fok => "fok",
        TimeInForce::Gtx => "gtx",
    }
}

const fn gate_text(reason: GateReason) -> &'static str {
    match reason {
        GateReason::Reconciled => "reconciled",
        GateReason::Starting => "starting",
        GateReason::OrderSocketDown => "order_socket_down",
        GateReason::UserStreamDown => "user_stream_down",
        GateReason::InDoubt => "in_doubt",
        GateReason::RestrictedByExchange => "restricted_by_exchange",
        GateReason::Unguarded => "unguarded",
        GateReason::AccountTrouble => "account_trouble",
        GateReason::Stopping => "stopping",
    }
}

pub(crate) fn change_word(change: &OrderChange) -> (OrderWord, Option<i64>) {
    match *change {
        OrderChange::Denied(_) => (OrderWord::Denied, None),
        OrderChange::Sent => (OrderWord::Sent, None),
        OrderChange::Accepted { exchange_id } => (OrderWord::Accepted, Some(exchange_id.0.cast_signed())),
        OrderChange::Refused { code } => (OrderWord::Refused, Some(i64::from(code))),
        OrderChange::Unknown => (OrderWord::Unknown, None),
        OrderChange::Filled { trade, .. } => (OrderWord::Filled, Some(trade.0.cast_signed())),
        OrderChange::CancelSent => (OrderWord::CancelSent, None),
        OrderChange::CancelRefused { code } => (OrderWord::CancelRefused, Some(i64::from(code))),
        OrderChange::ModifySent => (OrderWord::ModifySent, None),
        OrderChange::Modified { price, .. } => (OrderWord::Modified, Some(price.units())),
        OrderChange::ModifyRefused { code } => (OrderWord::ModifyRefused, Some(i64::from(code))),
        OrderChange::Done => (OrderWord::Done, None),
        OrderChange::Cancelled => (OrderWord::Cancelled, None),
        OrderChange::Expired => (OrderWord::Expired, None),
    }
}

const NANOS_PER_MS: u64 = 1_000_000;
/// An order's row only gains: what was wanted stays, an end is final, the filled quantity never shrinks. It belongs to the
/// session that gave it its id, even when a later one is the first to write it.
const UPSERT_ORDER: &str = "INSERT INTO orders
    (order_id, session_id, client_id, symbol, side, kind, tif, price, qty, reduce_only, caused_ns, decided_ns,
     state, filled, exchange_id, changed_ns)
    VALUES (?1, coalesce((SELECT id FROM sessions WHERE epoch = (?1 >> 32 & 0xffffffff)), ?2),
        ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
    ON CONFLICT (order_id) DO UPDATE SET
        side = coalesce(side, excluded.side), kind = coalesce(kind, excluded.kind), tif = coalesce(tif, excluded.tif),
        price = coalesce(price, excluded.price), qty = coalesce(qty, excluded.qty),
        reduce_only = coalesce(reduce_only, excluded.reduce_only),
        caused_ns = coalesce(caused_ns, excluded.caused_ns), decided_ns = coalesce(decided_ns, excluded.decided_ns),
        state = iif(state IN ('refused', 'filled', 'cancelled', 'expired'), state, excluded.state),
        changed_ns = iif(state IN ('refused', 'filled', 'cancelled', 'expired'), changed_ns, excluded.changed_ns),
        filled = max(filled, excluded.filled), exchange_id = coalesce(excluded.exchange_id, exchange_id)";
const INSERT_ORDER_EVENT: &str =
    "INSERT INTO order_events (session_id, order_id, at_ns, exchange_ms, what, value) VALUES (?, ?, ?, ?, ?, ?)";
const INSERT_FILL: &str = "INSERT INTO fills
    (order_id, trade_id, session_id, symbol, at_ns, exchange_ms, side, price, qty, maker, fee)
    VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (order_id, trade_id) DO NOTHING";
const SELECT_SIDE: &str = "SELECT side FROM orders WHERE order_id = ?";
const INSERT_POSITION: &str = "INSERT INTO positions (session_id, symbol, at_ns, qty, entry) VALUES (?, ?, ?, ?, ?)";
const INSERT_WALLET: &str = "INSERT INTO wallets (session_id, at_ns, balance) VALUES (?, ?, ?)";
const INSERT_USAGE: &str = "INSERT INTO usage
    (session_id, at_ns, weight_minute, orders_ten_seconds, orders_minute, blocked_until_ns,
     orders_blocked_until_ns) VALUES (?, ?, ?, ?, ?, ?, ?)";
const INSERT_SIGNAL: &str = "INSERT INTO signals
    (session_id, symbol, at_ns, bid, ask, mark, obi_l1, obi_l5, micro_bps, flow, trades_per_second)
    VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)";
const INSERT_RISK_EVENT: &str =
    "INSERT INTO risk_events (session_id, at_ns, what, reason, symbol, order_id) VALUES (?, ?, ?, ?, ?, ?)";
const INSERT_NOTICE: &str = "INSERT INTO notices (session_id, at_ns, room, what, value) VALUES (?, ?, ?, ?, ?)";
const UPSERT_LATENCY: &str = "INSERT OR REPLACE INTO latency
    (session_id, span, count, mean, p50, p90, p99, p999, max) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)";
const INSERT_BUCKET: &str =
    "INSERT OR REPLACE INTO latency_buckets (session_id, span, nanos, count) VALUES (?, ?, ?, ?)";
const END_SESSION: &str = "UPDATE sessions SET ended_ns = ?, outcome = ?, summary = ? WHERE id = ?";
