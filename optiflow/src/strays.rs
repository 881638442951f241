//! Orders that former sessions left in symbols that are no longer configured: ended at the exchange and closed in the
//! database, before the session that does not know them begins.
//!
//! Main thread, at start. Cancels such orders and nothing else; refuses to start while one of them stays open.

use std::collections::BTreeMap;
use std::path::Path;

use optiflow_base::clock::{Clock, Nanos};
use optiflow_base::ids::{ExchangeOrderId, SymbolName, TradeId};
use optiflow_base::order::OrderChange;
use optiflow_oms::binance::setup::{Asker, STRAYS_MAX, Stray, StrayEnd, end_strays};
use optiflow_oms::order::{End, Fill};
use optiflow_storage::closing::{FormerFact, close_former};
use optiflow_storage::reader::former::{UnfinishedOrder, unfinished};
use optiflow_storage::{SessionInfo, StorageError};

use crate::problem::Problem;
use crate::say::say;

/// Ends them, books what is found, and says so. No request of a dead session arrives after `settled_at`.
///
/// # Errors
/// When one of them stays open, the exchange does not answer, or the file cannot be read or written.
pub(crate) fn settle<C: Clock>(
    path: &Path,
    session: &SessionInfo,
    asker: &mut Asker<'_, C>,
    clock: &C,
    settled_at: Nanos,
) -> Result<(), Problem> {
    let file = |error: StorageError| Problem::Usage(error.to_string());
    let mut left = strays(path, session).map_err(file)?;
    if left.is_empty() {
        return Ok(());
    }
    // The newest are the likeliest to be open.
    let begin = left.len().saturating_sub(STRAYS_MAX);
    let ends = end_strays(asker, &left[begin..], settled_at, &session.margin_asset);
    let ends = ends.map_err(|error| Problem::Failed(error.to_string()))?;
    let facts: Vec<FormerFact> = ends.iter().flat_map(facts).collect();
    close_former(path, clock.now(), &facts).map_err(file)?;
    let fills: usize = ends.iter().map(|end| end.missed.len()).sum();
    let (ended, others): (Vec<Stray>, Vec<Stray>) =
        left.drain(..).partition(|stray| ends.iter().any(|end| end.order == stray.order));
    if !ended.is_empty() {
        say(format_args!(
            "optiflow trade: orders of former sessions in symbols that are not configured any more were ended and closed \
             in the database, with {fills} fills that it missed: {}",
            counted(&ended)
        ));
    }
    if !others.is_empty() {
        say(format_args!(
            "optiflow trade: orders of former sessions in symbols that are not configured any more have no proven end, \
             and are asked about again at the next start: {}",
            counted(&others)
        ));
    }
    Ok(())
}

/// Orders without an end in symbols that this session does not trade, oldest first.
fn strays(path: &Path, session: &SessionInfo) -> Result<Vec<Stray>, StorageError> {
    let is_traded = |order: &UnfinishedOrder| session.symbols.iter().any(|symbol| symbol.name.as_str() == order.symbol);
    let orders = unfinished(path, &session.mode, &session.venue, &[])?.orders;
    let stray = |order: UnfinishedOrder| {
        let UnfinishedOrder { symbol, order, exchange_id, trades, filled, .. } = order;
        Some(Stray {
            symbol: SymbolName::from(&symbol).ok()?,
            order: order.id,
            exchange_id: exchange_id.map(ExchangeOrderId),
            trades: trades.into_iter().map(TradeId).collect(),
            filled,
        })
    };
    Ok(orders.into_iter().filter(|order| !is_traded(order)).filter_map(stray).collect())
}

/// What is proven of a stray, in the order in which it happened.
fn facts(end: &StrayEnd) -> Vec<FormerFact> {
    let fact = |exchange_ms: u64, change: OrderChange| FormerFact { order: end.order, exchange_ms, change };
    let accepted = end.exchange_id.map(|exchange_id| fact(0, OrderChange::Accepted { exchange_id }));
    let filled = end.missed.iter().map(|trade| {
        let Fill { trade: id, price, qty, maker, fee } = trade.fill;
        // The file adds them up.
        fact(trade.trade_ms, OrderChange::Filled { trade: id, price, qty, total: qty, maker, fee })
    });
    let last = match end.end {
        Some(End::Filled) => OrderChange::Done,
        Some(End::Cancelled) => OrderChange::Cancelled,
        Some(End::Expired) => OrderChange::Expired,
        None => OrderChange::Refused { code: NO_SUCH_ORDER },
    };
    accepted.into_iter().chain(filled).chain([fact(end.update_ms, last)]).collect()
}

/// How many in which symbol.
fn counted(strays: &[Stray]) -> String {
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    for stray in strays {
        *counts.entry(stray.symbol.as_str()).or_default() += 1;
    }
    let listed: Vec<String> = counts.iter().map(|(symbol, count)| format!("{count} in {symbol}")).collect();
    listed.join(", ")
}

/// "Order does not exist": it never reached the exchange.
const NO_SUCH_ORDER: i32 = -2013;
