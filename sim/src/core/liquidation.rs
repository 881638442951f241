//! What becomes of an account whose margin is used up: at a mark, all orders end, then positions are closed.
//!
//! Cross margin: the balance is the wallet and every unrealised profit, the need is the sum of the brackets' maintenance
//! margins. Positions close one after the other, the one that needs most first, until the rest is covered: each by an
//! immediate-or-cancel order at the edge of the percent-price band, paying the taker fee and the clearance fee. What
//! finds nobody is tried again at the next mark. There is no insurance fund: a wallet can end below zero, which says how
//! much the fund would have paid. Never asks anybody.

use optiflow_base::clock::Nanos;
use optiflow_base::money::{Notional, Price, Qty, Side};
use optiflow_base::order::{OrderKind, TimeInForce};

use crate::core::Core;
use crate::core::brackets;
use crate::words::{CoreEvent, Order, OrderStatus, Placement, SelfTrade, SymbolIndex, Terms};

impl Core {
    /// Wallet and unrealised profit at the marks.
    pub fn margin_balance(&self) -> Notional {
        self.wallet() + self.symbols().map(|symbol| self.unrealized(symbol)).sum::<Notional>()
    }

    /// What the margin balance must be at least: the maintenance margins of all positions.
    pub fn maintenance(&self) -> Notional {
        self.symbols().map(|symbol| self.maintenance_of(symbol)).sum()
    }

    /// Liquidates when the margin does not suffice, as far as there is anything to end or to close.
    pub(super) fn check_margin(&mut self, now: Nanos, out: &mut Vec<CoreEvent>) {
        if self.config.rules.liquidation_fee_ppm.is_none() || self.account.is_flat() {
            return;
        }
        let (margin_balance, maintenance) = (self.margin_balance(), self.maintenance());
        if margin_balance >= maintenance {
            return;
        }
        let open: Vec<u64> = self.open_orders(None).iter().map(|order| order.id).collect();
        if open.is_empty() && self.symbols().all(|symbol| self.closing_order(symbol).is_none()) {
            return;
        }
        out.push(CoreEvent::Liquidation { at: now, margin_balance, maintenance });
        for id in open {
            self.end(now, id, OrderStatus::Expired, REASON_LIQUIDATED, out);
        }
        let mut symbols: Vec<SymbolIndex> = self.symbols().collect();
        symbols.sort_by_key(|&symbol| std::cmp::Reverse(self.maintenance_of(symbol)));
        for symbol in symbols {
            if self.margin_balance() < self.maintenance() {
                self.close_position(now, symbol, out);
            }
        }
    }

    /// The clearance fee, ppm, of the order that is closing a position now; nothing for any other.
    pub(super) fn clearance_fee_ppm(&self, order: u64) -> i64 {
        self.config.rules.liquidation_fee_ppm.filter(|_| self.liquidating == Some(order)).unwrap_or(0)
    }

    fn close_position(&mut self, now: Nanos, symbol: SymbolIndex, out: &mut Vec<CoreEvent>) {
        let Some(placed) = self.closing_order(symbol) else { return };
        let id = self.orders.next_id();
        let order = Order {
            id,
            liquidates: true,
            placed: Placement { client_id: format!("{AUTOCLOSE}{id}"), ..placed },
            status: OrderStatus::New,
            filled: Qty::ZERO,
            filled_quote: Notional::ZERO,
            created: now,
            updated: now,
        };
        self.orders.add(order.clone());
        out.push(CoreEvent::New(order.clone()));
        self.liquidating = Some(id);
        self.enter_market(now, &order, out);
        self.liquidating = None;
    }

    /// The order that closes a position; `None` without one, or with nobody to trade with.
    fn closing_order(&self, symbol: SymbolIndex) -> Option<Placement> {
        let held = self.account.position(symbol).qty;
        let side = if held > Qty::ZERO { Side::Sell } else { Side::Buy };
        let price = self.worst_tick(symbol, side);
        let market = &self.markets[symbol];
        let best = market.queue.best(&market.book, side)?;
        let is_wanted = !held.is_zero() && side.reaches(price, best);
        is_wanted.then(|| Placement {
            symbol,
            client_id: String::new(),
            side,
            kind: OrderKind::Limit,
            time_in_force: TimeInForce::Ioc,
            price,
            qty: held.abs(),
            reduce_only: false,
            self_trade: SelfTrade::None,
            terms: Terms::default(),
        })
    }

    /// The last tick within the percent-price band, or within the filter while there is no mark.
    fn worst_tick(&self, symbol: SymbolIndex, side: Side) -> Price {
        let listing = &self.config.listings[symbol];
        let (tick, band) = (listing.tick_size.units(), self.band(symbol, side).map(Price::units));
        Price::from_units(match side {
            Side::Buy => band.map_or(listing.price_max.units(), |edge| edge - edge % tick),
            Side::Sell => band.map_or(listing.price_min.units(), |edge| edge + (tick - edge % tick) % tick),
        })
    }

    fn maintenance_of(&self, symbol: SymbolIndex) -> Notional {
        let held = self.account.position(symbol).qty;
        if held.is_zero() {
            return Notional::ZERO;
        }
        brackets::maintenance_margin(self.reference_price(symbol).times(held))
    }

    const fn symbols(&self) -> std::ops::Range<SymbolIndex> {
        0..self.markets.len()
    }
}

/// How the client ids of orders that liquidate begin; a client may choose such a one as well.
const AUTOCLOSE: &str = "autoclose-";
/// `er` of orders that ended because the account was liquidated.
const REASON_LIQUIDATED: u8 = 5;
