//! What the database knows of former sessions → what the oms is told of them: for live sessions and worlds alike.
//!
//! Reads the file once, before the session's own row is there; decides nothing.

use std::path::Path;

use optiflow_base::ids::{ExchangeOrderId, OrderId, TradeId};
use optiflow_oms::former::{Former, FormerOrder, Since};
use optiflow_storage::reader::former::{SymbolTail, UnfinishedOrder, unfinished};
use optiflow_storage::{SessionInfo, StorageError};

/// What former sessions in this mode at this exchange left unfinished, in the words of the oms. Orders in symbols that
/// are no longer traded are none of this session's: those that are open are cancelled as leftovers all the same.
///
/// # Errors
/// When the file cannot be read.
pub fn former(path: &Path, session: &SessionInfo) -> Result<Former, StorageError> {
    let names: Vec<&str> = session.symbols.iter().map(|symbol| symbol.name.as_str()).collect();
    let unfinished = unfinished(path, &session.mode, &session.venue, &names)?;
    let order = |order: UnfinishedOrder| {
        let symbol = session.symbols.iter().find(|symbol| symbol.name.as_str() == order.symbol)?.id;
        let UnfinishedOrder { order, decided: sent, exchange_id, trades, filled, .. } = order;
        let exchange_id = exchange_id.map(ExchangeOrderId);
        Some(FormerOrder {
            symbol,
            order,
            sent,
            exchange_id,
            trades: trades.into_iter().map(TradeId).collect(),
            filled,
        })
    };
    let since = |tail: &SymbolTail| match (tail.exchange_id, tail.first_session) {
        (Some(id), _) => Since::Order(ExchangeOrderId(id)),
        (None, Some(at)) => Since::Time(at),
        (None, None) => Since::Nothing,
    };
    let mut ended: Vec<OrderId> = unfinished.symbols.iter().flat_map(|tail| tail.ended.iter().copied()).collect();
    ended.sort_unstable();
    Ok(Former {
        epoch: session.epoch,
        since: unfinished.symbols.iter().map(since).collect(),
        orders: unfinished.orders.into_iter().filter_map(order).collect(),
        ended,
        died: unfinished.died,
    })
}
