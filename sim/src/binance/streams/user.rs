//! The account's user data stream: what the core did to orders and account, as events in the order of the wire.
//!
//! One marketable order arrives as TRADE_LITE, then NEW, then ACCOUNT_UPDATE, then TRADE, all of one time: its NEW is held
//! back until the next event shows whether it filled at once. Resting fills arrive without the NEW.
//! What it never does: it decides nothing about orders; it sends only to those who listen with the living key.

use std::collections::BTreeMap;

use optiflow_base::clock::Nanos;
use optiflow_base::money::{Notional, Price, Side};

use super::hub::Hub;
use super::listen_key::ListenKey;
use super::user_frames::{self, Execution, OpenNotional};
use crate::binance::algo::Algo;
use crate::words::{CoreEvent, Fill, Listing, Order, Position, SymbolIndex};

/// The account's stream.
#[derive(Debug)]
pub struct UserStream {
    listings: Vec<Listing>,
    key: ListenKey,
    symbols: Vec<Symbol>,
    held: Option<Held>,
}

#[derive(Debug, Default)]
struct Symbol {
    /// Side and open notional of the open orders, by exchange id.
    open: BTreeMap<u64, (Side, Notional)>,
}

/// The NEW of an order that may have filled at once.
#[derive(Debug)]
struct Held {
    order: u64,
    message: String,
}

/// A fill with what it led to.
#[derive(Debug)]
struct Filled<'a> {
    order: &'a Order,
    fill: &'a Fill,
    position: &'a Position,
    wallet: Notional,
}

impl UserStream {
    /// Nothing has happened; no listen key is alive.
    pub fn new(listings: &[Listing], seed: u64) -> UserStream {
        UserStream {
            listings: listings.to_vec(),
            key: ListenKey::new(seed),
            symbols: listings.iter().map(|_| Symbol::default()).collect(),
            held: None,
        }
    }

    /// The account's listen key.
    pub const fn key(&mut self) -> &mut ListenKey {
        &mut self.key
    }

    /// When the listen key expires.
    pub fn next_due(&self) -> Option<Nanos> {
        self.key.expires()
    }

    /// Lets the listen key expire.
    pub fn advance(&mut self, now: Nanos, hub: &mut Hub) {
        if let Some(key) = self.key.expire(now) {
            hub.publish_user(&key, "listenKeyExpired", &user_frames::listen_key_expired(now, &key));
        }
    }

    /// The core did something; `mark` is the mark price of a symbol.
    pub fn event(&mut self, now: Nanos, event: &CoreEvent, mark: impl Fn(SymbolIndex) -> Price, hub: &mut Hub) {
        match event {
            // The orders and fills that follow tell of it.
            CoreEvent::Market(_) | CoreEvent::Liquidation { .. } => {}
            CoreEvent::New(order) => {
                self.settle(hub);
                let message = self.order_message(now, order, Execution::New);
                self.held = Some(Held { order: order.id, message });
            }
            CoreEvent::Fill { order, fill, position, wallet } => {
                if self.held.as_ref().is_some_and(|held| held.order != order.id) {
                    self.settle(hub);
                }
                let filled = Filled { order, fill, position, wallet: *wallet };
                self.fill(now, &filled, mark(fill.symbol), hub);
            }
            CoreEvent::Amended(order) => {
                self.settle(hub);
                let message = self.order_message(now, order, Execution::Amendment);
                self.publish(ORDER, &message, hub);
            }
            CoreEvent::Ended { order, reason } => {
                self.settle(hub);
                let message = self.order_message(now, order, Execution::Ended(*reason));
                self.publish(ORDER, &message, hub);
            }
            CoreEvent::Funding { symbol, amount, wallet, .. } => {
                self.settle(hub);
                let message = user_frames::account_funding(now, &self.listings[*symbol], *amount, *wallet);
                self.publish(ACCOUNT, &message, hub);
            }
        }
    }

    /// A leverage was changed.
    pub fn leverage(&mut self, now: Nanos, symbol: &str, leverage: u32, hub: &mut Hub) {
        self.settle(hub);
        self.publish("ACCOUNT_CONFIG_UPDATE", &user_frames::leverage(now, symbol, leverage), hub);
    }

    /// Something became of a conditional order.
    pub fn algo(&mut self, now: Nanos, algo: &Algo, order: Option<&Order>, hub: &mut Hub) {
        self.settle(hub);
        let message = user_frames::algo(now, &self.listings[algo.placed.symbol], algo, order);
        self.publish("ALGO_UPDATE", &message, hub);
    }

    /// Sends the NEW that is held back: nothing filled it at once.
    pub fn settle(&mut self, hub: &mut Hub) {
        if let Some(held) = self.held.take() {
            self.publish(ORDER, &held.message, hub);
        }
    }

    fn fill(&mut self, now: Nanos, filled: &Filled<'_>, mark: Price, hub: &mut Hub) {
        let Filled { order, fill, position, wallet } = *filled;
        let listing = &self.listings[fill.symbol];
        let lite = user_frames::trade_lite(now, listing, order, fill);
        let account = user_frames::account_order(now.max(fill.at), listing, wallet, position, mark);
        let trade = self.order_message(now, order, Execution::Trade(fill));
        self.publish("TRADE_LITE", &lite, hub);
        self.settle(hub);
        self.publish(ACCOUNT, &account, hub);
        self.publish(ORDER, &trade, hub);
    }

    /// Notes what is open of the order and writes its event.
    fn order_message(&mut self, now: Nanos, order: &Order, execution: Execution<'_>) -> String {
        let symbol = &mut self.symbols[order.placed.symbol];
        if order.status.is_open() {
            symbol.open.insert(order.id, (order.placed.side, order.open_notional()));
        } else {
            symbol.open.remove(&order.id);
        }
        let total = |side: Side| symbol.open.values().filter(|(of, _)| *of == side).map(|(_, open)| *open).sum();
        let open = OpenNotional { bids: total(Side::Buy), asks: total(Side::Sell) };
        user_frames::order(now, &self.listings[order.placed.symbol], order, execution, open)
    }

    fn publish(&self, event: &str, message: &str, hub: &mut Hub) {
        if let Some(key) = self.key.current() {
            hub.publish_user(key, event, message);
        }
    }
}

const ORDER: &str = "ORDER_TRADE_UPDATE";
const ACCOUNT: &str = "ACCOUNT_UPDATE";

#[cfg(test)]
#[path = "user_tests.rs"]
mod tests;
