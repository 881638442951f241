//! A session as its database has it → its orders, each with the moment it reached the exchange.
//!
//! What happened to each is in `life`. The exchange's acknowledgement names the millisecond in which a request was handled, on the market's own clock. Within
//! that millisecond, and for requests without one, the moment is the time of sending plus what the session's requests
//! typically took ([`Travel`]). Never guesses silently: how each moment is known is told.

use std::collections::BTreeMap;
use std::path::Path;

use optiflow_base::clock::Nanos;
use optiflow_base::money::{Notional, Price, Qty, Side};
use optiflow_base::order::TimeInForce;
use optiflow_storage::reader::history::{self, OrderFill, SentOrder, StoredSession, StoredSymbol};
use serde::Serialize;

use super::life::{Change, Life, could_rest, lives};
use super::travel::{Known, MILLI, Source, Travel, exchange_ms, middle_of, moment};
use crate::problem::Problem;

/// A recorded session.
#[derive(Clone, Debug)]
pub struct Recorded {
    /// Which one.
    pub session: StoredSession,
    /// What it traded.
    pub symbols: Vec<StoredSymbol>,
    /// Orders to send again, in the order of their ids.
    pub orders: Vec<Own>,
    /// Orders that are not.
    pub left_out: LeftOut,
    /// What requests took.
    pub travel: Travel,
    /// The last thing known of it, on our clock.
    pub last: Nanos,
}

/// An order to send again.
#[derive(Clone, Debug)]
pub struct Own {
    /// As the database has it.
    pub sent: SentOrder,
    /// Quantity that the exchange took.
    pub qty: Qty,
    /// When it reached the exchange, on its clock.
    pub arrival_ns: i64,
    /// How that is known.
    pub known_by: Known,
    /// New terms that it was given, later and later.
    pub changes: Vec<Change>,
    /// When its end was asked for, or the exchange ended it for reasons of its own.
    pub cancel_ns: Option<i64>,
    /// What it really traded.
    pub real: Fills,
}

/// What an order traded.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Fills {
    /// How much.
    pub qty: Qty,
    /// Price × quantity of it.
    pub value: Notional,
    /// Paid; negative is received.
    pub fee: Notional,
    /// When first, exchange ms.
    pub first_ms: Option<i64>,
    /// How much of it as the maker.
    pub maker: Qty,
}

/// Orders that are not sent again.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct LeftOut {
    /// The exchange refused them, for reasons that a market replay does not know.
    pub refused: u64,
    /// Nobody knows whether the exchange had them.
    pub unknown: u64,
    /// Nobody knows whether a modification of them worked.
    pub modify_unknown: u64,
}

impl Fills {
    /// Adds a fill.
    pub fn add(&mut self, price: Price, qty: Qty, fee: Notional, at_ms: i64, maker: bool) {
        self.qty += qty;
        self.value += price.times(qty);
        self.fee += fee;
        self.first_ms = Some(self.first_ms.map_or(at_ms, |first| first.min(at_ms)));
        if maker {
            self.maker += qty;
        }
    }

    /// Average price; `None` without a fill.
    pub fn price(&self) -> Option<f64> {
        (self.qty > Qty::ZERO).then(|| self.value.as_f64() / self.qty.as_f64())
    }
}

/// Reads a session; without a number, the last one of the file.
///
/// # Errors
/// When the file cannot be read or does not hold the session.
pub fn read(path: &Path, session: Option<i64>) -> Result<Recorded, Problem> {
    let say = |error: optiflow_storage::StorageError| Problem::Usage(error.to_string());
    let sessions = history::sessions(path).map_err(say)?;
    let known: Vec<String> = sessions.iter().map(|session| session.id.to_string()).collect();
    let found = match session {
        Some(wanted) => sessions.into_iter().find(|session| session.id == wanted),
        None => sessions.into_iter().next_back(),
    };
    let session = found
        .ok_or_else(|| Problem::Usage(format!("{}: no such session; it has {}", path.display(), known.join(", "))))?;
    let symbols = history::symbols(path, session.id).map_err(say)?;
    let sent = history::sent_orders(path, session.id).map_err(say)?;
    let steps = history::steps(path, session.id).map_err(say)?;
    let fills = history::order_fills(path, session.id).map_err(say)?;
    let median = history::latency_median(path, session.id, "order_ack").map_err(say)?;
    let lives = lives(&sent, &steps);
    let travel = travel(&lives, median);
    let last = steps.last().map_or(session.started, |step| step.at).max(session.ended.unwrap_or_default());
    let (orders, left_out) = orders(sent, &lives, &fills, &travel);
    Ok(Recorded { session, symbols, orders, left_out, travel, last })
}

/// What requests typically took, in the truest way that the session allows.
fn travel(lives: &BTreeMap<u64, Life>, histogram_median: Option<u64>) -> Travel {
    // The named millisecond lasts one; its middle is as often too early as too late.
    let named = lives.values().filter(|life| life.accepted).filter_map(|life| {
        let left = life.sent?.0.cast_signed();
        Some((left, middle_of(life.arrival_ms?) - left))
    });
    let named: Vec<(i64, i64)> = named.collect();
    if !named.is_empty() {
        return Travel::new(named, Source::Acknowledgements);
    }
    let halves = lives.values().filter_map(|life| {
        let sent = life.sent?;
        Some((sent.0.cast_signed(), life.acknowledged?.since(sent).cast_signed() / 2))
    });
    let halves: Vec<(i64, i64)> = halves.collect();
    match (halves.is_empty(), histogram_median) {
        (false, _) => Travel::new(halves, Source::RoundTrips),
        (true, Some(nanos)) => Travel::new(vec![(0, nanos.cast_signed() / 2)], Source::Histogram),
        (true, None) => Travel::new(Vec::new(), Source::Nothing),
    }
}

fn orders(
    sent: Vec<SentOrder>,
    lives: &BTreeMap<u64, Life>,
    fills: &[OrderFill],
    travel: &Travel,
) -> (Vec<Own>, LeftOut) {
    let mut real: BTreeMap<u64, (Fills, i64)> = BTreeMap::new();
    for fill in fills {
        let (sum, last_ms) = real.entry(fill.order).or_default();
        let at_ms = exchange_ms(fill.exchange_ms, fill.at, travel);
        let fee = Notional::from_units(fill.fee.into());
        sum.add(fill.price, fill.qty, fee, at_ms, fill.maker);
        *last_ms = at_ms.max(*last_ms);
    }
    let (mut orders, mut left_out) = (Vec::new(), LeftOut::default());
    for order in sent {
        let Some((life, left)) = lives.get(&order.id).and_then(|life| Some((life, life.sent?))) else {
            left_out.unknown += 1;
            continue;
        };
        // What lapsed on arrival (a post-only order that would have taken, one that may only take) a replay can tell again.
        let may_lapse = order.time_in_force == TimeInForce::Gtx || !could_rest(&order);
        let lapsed = order.state == "expired" && may_lapse;
        if !life.accepted && !lapsed {
            let count = if order.state == "refused" { &mut left_out.refused } else { &mut left_out.unknown };
            *count += 1;
            continue;
        }
        let (filled, last_ms) = real.get(&order.id).copied().unwrap_or_default();
        let (arrival_ns, known_by) = moment(left, life.arrival_ms, travel);
        let Some(mut changes) = life.changes(&order, arrival_ns, travel) else {
            left_out.modify_unknown += 1;
            continue;
        };
        let latest_ns = changes.last().map_or(arrival_ns, |change| change.at_ns);
        let cancel_ns = cancel(&order, life, last_ms, travel).map(|at| at.max(latest_ns + 1));
        // The exchange cuts a reduce-only order to the position.
        let is_cut = order.reduce_only && order.state == "filled" && filled.qty > Qty::ZERO;
        let mut qty = order.qty;
        if is_cut {
            *changes.last_mut().map_or(&mut qty, |change| &mut change.qty) = filled.qty;
        }
        orders.push(Own { sent: order, qty, arrival_ns, known_by, changes, cancel_ns, real: filled });
    }
    (orders, left_out)
}

/// When its end reached the exchange: asked for by us, or the exchange's own doing.
fn cancel(order: &SentOrder, life: &Life, last_fill_ms: i64, travel: &Travel) -> Option<i64> {
    match (order.state.as_str(), life.cancel_sent, life.cancel_sent_last) {
        // The cancel that worked was the last one.
        ("cancelled", Some(_), Some(last)) => Some(moment(last, life.ended_ms, travel).0),
        // It came too late: after the last fill.
        ("filled", Some(first), _) => Some(moment(first, None, travel).0.max((last_fill_ms + 1) * MILLI)),
        (_, Some(first), _) => Some(moment(first, life.ended_ms, travel).0),
        // By REST in the end, or by the exchange: a self trade, nothing left to reduce.
        ("cancelled" | "expired", None, _) if could_rest(order) && life.accepted => {
            let ended = life.ended?;
            Some(life.ended_ms.map_or_else(|| ended.0.cast_signed() + travel.at(ended), middle_of))
        }
        (_, None, _) => None,
    }
}

impl Own {
    /// Side, as written.
    pub const fn side(&self) -> &'static str {
        match self.sent.side {
            Side::Buy => "buy",
            Side::Sell => "sell",
        }
    }
}

#[cfg(test)]
mod tests;
