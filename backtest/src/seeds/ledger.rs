//! Numbers recomputed from the exchange's own fills, in 128 bits: what is held, what it cost, what was paid and earned;
//! and the book that we hold, level by level.
//!
//! Reads; changes nothing.

use optiflow_base::ids::{SymbolId, TradeId};
use optiflow_base::money::{Notional, Side};
use optiflow_engine::book::{Book, BookState};
use optiflow_sim::core::Core;
use optiflow_sim::core::orders::Forgotten;
use optiflow_sim::words::Fill;

use super::truth::{self, Stake};
use super::watch::{ToldFill, Watch};

/// The exchange's position and wallet are what its fills come to, and we were told the price, quantity and fee of each.
///
/// # Errors
/// Where they differ, in words.
pub fn adds_up(core: &Core, wallet: Notional, life: &Watch) -> Result<(), String> {
    let listed = core.listings().len();
    let sums = (0..listed).map(|symbol| symbol_adds_up(core, symbol)).collect::<Result<Vec<i128>, String>>()?;
    let earned: i128 = sums.iter().sum();
    if core.wallet().units() != wallet.units() + earned {
        return Err(format!("I16: fills come to {earned} beside {wallet}; the exchange has {}", core.wallet()));
    }
    let mut by_trade: Vec<&Fill> = core.fills(None);
    by_trade.sort_unstable_by_key(|fill| fill.trade_id);
    life.fills.iter().try_for_each(|((symbol, trade), told)| is_told_right(*symbol, *trade, told, &by_trade))
}

/// The exchange's position is what the fills of the symbol come to; what they added to the wallet.
fn symbol_adds_up(core: &Core, symbol: usize) -> Result<i128, String> {
    if core.forgotten() != Forgotten::default() {
        let why = "the exchange no longer remembers all orders and fills of this world: let it live fewer minutes";
        return Err(why.to_owned());
    }
    let (mut qty, mut paid, mut fees, mut realized) = (0i128, 0i128, 0i128, 0i128);
    for fill in core.fills(Some(symbol)) {
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
    let held = core.position(symbol);
    // What was paid is still held at cost, or has come back as profit or loss.
    let cost = held.cost.units() * i128::from(held.qty.units().signum());
    let is_right = i128::from(held.qty.units()) == qty && held.realized.units() == realized && cost - realized == paid;
    if is_right {
        return Ok(realized - fees);
    }
    let sums = format!("held {qty}, paid {paid}, fees {fees}, realised {realized}");
    Err(format!("I16: fills of {} come to {sums}; the exchange has {held:?}", core.listings()[symbol].name))
}

/// `fills` are in the order of their trades.
fn is_told_right(symbol: SymbolId, trade: TradeId, told: &ToldFill, fills: &[&Fill]) -> Result<(), String> {
    let Ok(at) = fills.binary_search_by_key(&trade.0, |fill| fill.trade_id) else { return Ok(()) };
    let fill = fills[at];
    let same = fill.symbol == symbol.index()
        && fill.price == told.price
        && fill.qty == told.qty
        && fill.fee.units() == i128::from(told.fee);
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
pub fn same_book(core: &Core, symbol: usize, ours: &Book) -> Result<bool, String> {
    let theirs = core.book(symbol);
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

/// What a symbol may come to by what this life has ordered, with everything counted whose end is not told: what is on its
/// way, what is open, what a modify may add, and what nobody knows the fate of.
pub fn open_or_unknown(core: &Core, life: &Watch, symbol: usize) -> Stake {
    let mut stake = Stake { held: core.position(symbol).qty, ..Stake::default() };
    for (id, told) in life.live() {
        let wanted = life.intents.get(&id).filter(|wanted| wanted.symbol.index() == symbol);
        let Some(intent) = wanted.map(|wanted| wanted.order).filter(|order| !order.reduce_only) else { continue };
        let left = match truth::order_of(core, id) {
            // What it filled is in the position already; what it can no longer fill is over, told or not.
            Some(order) if order.status.is_open() => life.most(id, order.placed.qty) - order.filled,
            Some(_) => continue,
            None => life.most(id, intent.qty),
        };
        stake.add(intent.side, left);
        stake.unknown += usize::from(told.unknown);
    }
    stake
}

/// Levels of a side that are compared.
const LEVELS: usize = 20;
/// Units of a whole.
const UNIT: i128 = 100_000_000;
