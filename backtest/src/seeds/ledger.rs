//! Numbers recomputed from the exchange's own fills, in 128 bits: what is held, what it cost, what was paid and earned;
//! and the book that we hold, level by level.
//!
//! Reads; changes nothing.

use optiflow_base::ids::{SymbolId, TradeId};
use optiflow_base::money::{Notional, Qty, Side};
use optiflow_engine::book::{Book, BookState};
use optiflow_sim::core::Core;
use optiflow_sim::words::Fill;

use super::truth;
use super::watch::{ToldFill, Watch};

/// The exchange's position and wallet are what its fills come to, and we were told the price, quantity and fee of each.
///
/// # Errors
/// Where they differ, in words.
pub fn adds_up(core: &Core, wallet: Notional, life: &Watch) -> Result<(), String> {
    let (mut qty, mut paid, mut fees, mut realized) = (0i128, 0i128, 0i128, 0i128);
    let mut by_trade: Vec<&Fill> = core.fills(None);
    by_trade.sort_unstable_by_key(|fill| fill.trade_id);
    for fill in &by_trade {
        let sign = match fill.side {
            Side::Buy => 1,
            Side::Sell => -1,
        };
        let traded = i128::from(fill.qty.units());
        qty += sign * traded;
        paid += sign * traded * i128::from(fill.price.units()) / UNIT;
        fees += fill.fee.units();
        realized += fill.realized.units();
    }
    let held = core.position(0);
    // What was paid is still held at cost, or has come back as profit or loss.
    let cost = held.cost.units() * i128::from(held.qty.units().signum());
    let is_right = i128::from(held.qty.units()) == qty
        && held.realized.units() == realized
        && cost - realized == paid
        && core.wallet().units() == wallet.units() + realized - fees;
    if !is_right {
        let sums = format!("held {qty}, paid {paid}, fees {fees}, realised {realized}");
        return Err(format!("I16: fills come to {sums}; the exchange has {held:?} and {}", core.wallet()));
    }
    life.fills.iter().try_for_each(|((symbol, trade), told)| is_told_right(*symbol, *trade, told, &by_trade))
}

/// `fills` are in the order of their trades.
fn is_told_right(symbol: SymbolId, trade: TradeId, told: &ToldFill, fills: &[&Fill]) -> Result<(), String> {
    let Ok(at) = fills.binary_search_by_key(&trade.0, |fill| fill.trade_id) else { return Ok(()) };
    let fill = fills[at];
    let same = fill.price == told.price && fill.qty == told.qty && fill.fee.units() == i128::from(told.fee);
    if same {
        return Ok(());
    }
    let theirs = format!("{} at {} for {}", fill.qty, fill.price, fill.fee);
    Err(format!("I16: trade {} of symbol {} was {theirs}, booked as {told:?}", trade.0, symbol.0))
}

/// At the update that both have reached, our book is the exchange's, at least where orders are decided. Says whether
/// there was anything to compare.
///
/// # Errors
/// Where they differ, in words.
pub fn same_book(core: &Core, ours: &Book) -> Result<bool, String> {
    let theirs = core.book(0);
    let comparable = ours.state() == BookState::Synced && ours.touch().both().is_some();
    if !comparable || ours.last_id() != theirs.last_id() {
        return Ok(false);
    }
    for side in [Side::Buy, Side::Sell] {
        let pairs = ours.stored_levels(side).take(LEVELS).zip(theirs.levels(side).take(LEVELS));
        for (at, (our, their)) in pairs.enumerate() {
            if (our.price, our.qty) != (their.price, their.qty) {
                let update = theirs.last_id();
                return Err(format!("I6: at update {update}, {side:?} level {at} is {their:?}, we hold {our:?}"));
            }
        }
        let (our, their) = (ours.stored_levels(side).take(LEVELS).count(), theirs.levels(side).take(LEVELS).count());
        if our != their {
            return Err(format!("I6: at update {}, {their} levels of {side:?}, we hold {our}", theirs.last_id()));
        }
    }
    Ok(true)
}

/// The worst that may come of what this life has ordered, with everything counted whose end is not told: what is on its
/// way, what is open, and what nobody knows the fate of.
///
/// # Errors
/// When it is worth more than `limit`.
pub fn bounded_with_unknowns(core: &Core, life: &Watch, limit: Notional) -> Result<(), String> {
    let held = core.position(0).qty;
    let (mut buys, mut sells) = (Qty::ZERO, Qty::ZERO);
    let mut unknown = 0;
    for (id, told) in life.live() {
        let Some(intent) = life.intents.get(&id).filter(|intent| !intent.reduce_only) else { continue };
        let left = match truth::order_of(core, id) {
            // What it filled is in the position already; what it can no longer fill is over, told or not.
            Some(order) if order.status.is_open() => order.placed.qty - order.filled,
            Some(_) => Qty::ZERO,
            None => intent.qty,
        };
        unknown += u32::from(told.unknown);
        match intent.side {
            Side::Buy => buys += left,
            Side::Sell => sells += left,
        }
    }
    let worst = (held + buys).abs().max((held - sells).abs());
    let value = core.reference_price(0).times(worst);
    if value <= limit {
        return Ok(());
    }
    let open = format!("{buys} of buys and {sells} of sells ordered, {unknown} of unknown fate");
    Err(format!("I2: {held} held, {open}: worth {value}, limit {limit}"))
}

/// Levels of a side that are compared.
const LEVELS: usize = 20;
/// Units of a whole.
const UNIT: i128 = 100_000_000;
