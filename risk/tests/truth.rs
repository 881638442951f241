//! Risk against two plain models, for random intents in two symbols and an exchange whose reports come late.
//!
//! The first model recounts everything that was asked for and told, from the first order on, and foretells each decision:
//! nothing is reserved too long or released too early. The second is the exchange itself, where trades happen before they
//! are told and those of one order may be told before those of another: what is held there, with everything that can still
//! open more, keeps the limits at every instant.

#![allow(clippy::unwrap_used)]

mod common;

use std::time::Duration;

use common::life::{Claim, Life, Stage};
use common::{World, config_of_two, price};
use optiflow_base::decimal::{UNITS, write_trimmed};
use optiflow_base::ids::{ExchangeOrderId, SymbolId, TradeId};
use optiflow_base::money::{Price, Qty, Side};
use optiflow_base::order::{Action, NewOrder, OrderChange, OrderKind, Terms};
use proptest::prelude::*;

#[derive(Clone, Debug)]
enum Act {
    Place {
        other: bool,
        buy: bool,
        milli: i64,
        ticks: i64,
        reduce: bool,
        market: bool,
    },
    Modify {
        which: usize,
        milli: i64,
        ticks: i64,
    },
    /// An order, or other terms for one, reaches the exchange.
    Arrive {
        which: usize,
        refused: bool,
    },
    Trade {
        which: usize,
        milli: i64,
    },
    End {
        which: usize,
    },
    /// The next report of one order is told.
    Tell {
        which: usize,
    },
    TellAll,
    /// The oms states what it knows of the positions.
    Restate,
}

fn act() -> impl Strategy<Value = Act> {
    let which = || 0usize..16;
    let place =
        (any::<bool>(), any::<bool>(), 2i64..34, -9i64..10, prop::bool::weighted(0.3), prop::bool::weighted(0.2));
    prop_oneof![
        6 => place.prop_map(|(other, buy, milli, ticks, reduce, market)| {
            Act::Place { other, buy, milli, ticks, reduce, market }
        }),
        2 => (which(), 2i64..40, -9i64..10).prop_map(|(which, milli, ticks)| Act::Modify { which, milli, ticks }),
        6 => (which(), prop::bool::weighted(0.1)).prop_map(|(which, refused)| Act::Arrive { which, refused }),
        9 => (which(), 1i64..60).prop_map(|(which, milli)| Act::Trade { which, milli }),
        2 => which().prop_map(|which| Act::End { which }),
        9 => which().prop_map(|which| Act::Tell { which }),
        1 => Just(Act::TellAll),
        1 => Just(Act::Restate),
    ]
}

struct Test {
    world: World,
    lives: Vec<Life>,
    /// What is held at the exchange.
    position: [i64; 2],
    trades: u64,
}

impl Test {
    fn new() -> Test {
        let mut config = config_of_two(&TOTAL_MAX.to_string(), OPEN_TOTAL_MAX as u32);
        config.quote_age_max = Duration::from_secs(3_600);
        config.symbols.iter_mut().for_each(|symbol| symbol.open_orders_max = OPEN_MAX as u32);
        (config.rates.orders_ten_seconds, config.rates.orders_minute) = (100_000, 100_000);
        Test { world: World::ready_with_two(config), lives: Vec::new(), position: [0; 2], trades: 0 }
    }

    /// One of the orders of which more can happen or be told.
    fn pick(&self, which: usize) -> Option<usize> {
        let is_current = |life: &Life| life.stage != Stage::Over || life.told < life.story.len();
        let current = self.lives.iter().enumerate().filter(|(_, life)| is_current(life)).map(|(index, _)| index);
        let current: Vec<usize> = current.collect();
        current.get(which % current.len().max(1)).copied()
    }

    fn play(&mut self, act: &Act) {
        // Fast enough to place a lot, slow enough to be no runaway.
        self.world.wait(Duration::from_millis(20));
        match *act {
            Act::Place { other, buy, milli, ticks, reduce, market } => {
                self.world.symbol = SYMBOLS[usize::from(other)];
                // Mostly there is something to reduce on one side alone.
                let held = self.told_position(self.world.symbol);
                let buy = if reduce && held != 0 { held < 0 } else { buy };
                let side = if buy { "buy" } else { "sell" };
                let limit =
                    if market { "market".to_owned() } else { write_trimmed(price_of(ticks).units()).to_string() };
                let text = format!("{side} {limit} 0.{milli:03} {}", if reduce { "reduce" } else { "" });
                let (symbol, order) = (self.world.symbol, self.world.order(&text));
                let expected = self.foretell_order(symbol, &order);
                assert_eq!(self.world.ask(Action::Place(order)), expected, "{text} in {symbol:?}");
                if expected == "approved" {
                    let (stage, qty, story) = (Stage::Flying, order.qty.units(), vec![OrderChange::Sent]);
                    let asked = Vec::new();
                    self.lives.push(Life { symbol, order, stage, qty, filled: 0, wish: None, story, told: 0, asked });
                }
            }
            Act::Modify { which, milli, ticks } => {
                self.modify(which, Terms { price: price_of(ticks), qty: Qty::from_units(milli * MILLI) });
            }
            Act::Arrive { which, refused } => self.arrive(which, refused),
            Act::Trade { which, milli } => {
                if let Some(index) = self.pick(which).filter(|index| self.lives[*index].stage == Stage::Open) {
                    self.fill(index, milli * MILLI);
                }
            }
            Act::End { which } => {
                if let Some(index) = self.pick(which).filter(|index| self.lives[*index].stage == Stage::Open) {
                    let life = &mut self.lives[index];
                    life.stage = Stage::Over;
                    life.story.push(OrderChange::Cancelled);
                }
            }
            Act::Tell { which } => {
                if let Some(index) = self.pick(which) {
                    self.tell(index);
                }
            }
            Act::TellAll => {
                for index in 0..self.lives.len() {
                    while self.lives[index].told < self.lives[index].story.len() {
                        self.tell(index);
                    }
                }
            }
            Act::Restate => {
                for symbol in SYMBOLS {
                    self.world.symbol = symbol;
                    self.world.position(&Qty::from_units(self.told_position(symbol)).to_string());
                }
                self.world.step();
            }
        }
    }

    fn modify(&mut self, which: usize, terms: Terms) {
        let Some(index) = self.pick(which) else { return };
        let (life, Terms { price, qty }) = (&self.lives[index], terms);
        let (expected, order) = (self.foretell_terms(life, terms), life.order.id);
        self.world.symbol = life.symbol;
        assert_eq!(self.world.ask(Action::Modify { order, price, qty }), expected, "{order} to {qty} @ {price}");
        if expected == "approved" {
            let life = &mut self.lives[index];
            life.asked.push((life.told, terms));
            life.wish = Some(terms).filter(|_| life.stage != Stage::Over);
        }
    }

    fn arrive(&mut self, which: usize, refused: bool) {
        let Some(index) = self.pick(which) else { return };
        let life = &mut self.lives[index];
        let against = -signed(life.order.side, self.position[life.symbol.index()]);
        match (life.stage, life.wish) {
            (Stage::Flying, _) if refused || (life.order.reduce_only && against <= 0) => {
                (life.stage, life.wish) = (Stage::Over, None);
                life.story.push(OrderChange::Refused { code: OWN_CODE });
            }
            (Stage::Flying, _) => {
                life.stage = Stage::Open;
                life.story.push(OrderChange::Accepted { exchange_id: ExchangeOrderId(1) });
                if life.order.kind == OrderKind::Market {
                    self.fill(index, i64::MAX);
                }
            }
            (Stage::Open, Some(_)) if refused => {
                life.wish = None;
                life.story.push(OrderChange::ModifyRefused { code: OWN_CODE });
            }
            (Stage::Open, Some(Terms { price, qty })) if qty.units() > life.filled => {
                (life.qty, life.wish) = (qty.units(), None);
                life.story.push(OrderChange::Modified { price, qty, asked: true });
            }
            (Stage::Open, Some(_)) => {
                (life.stage, life.wish) = (Stage::Over, None);
                life.story.push(OrderChange::Cancelled);
            }
            (Stage::Open | Stage::Over, _) => {}
        }
    }

    /// Trades so much, at most what is left and, reduce-only, what is held against it; a market order then ends.
    fn fill(&mut self, index: usize, units: i64) {
        let life = &mut self.lives[index];
        let held = &mut self.position[life.symbol.index()];
        let against = if life.order.reduce_only { -signed(life.order.side, *held) } else { i64::MAX };
        let units = units.min(life.qty - life.filled).min(against);
        if units > 0 {
            *held += signed(life.order.side, units);
            life.filled += units;
            self.trades += 1;
            let (trade, price) = (TradeId(self.trades), price_of(0));
            let (qty, total) = (Qty::from_units(units), Qty::from_units(life.filled));
            life.story.push(OrderChange::Filled { trade, price, qty, total, maker: true, fee: 0 });
        }
        let whole = life.filled == life.qty;
        if whole || life.order.kind == OrderKind::Market {
            (life.stage, life.wish) = (Stage::Over, None);
            life.story.push(if whole { OrderChange::Done } else { OrderChange::Expired });
        }
    }

    fn tell(&mut self, index: usize) {
        let life = &mut self.lives[index];
        let Some(change) = life.story.get(life.told) else { return };
        self.world.symbol = life.symbol;
        self.world.change(life.order.id, *change);
        life.told += 1;
        self.world.step();
    }

    fn told_position(&self, symbol: SymbolId) -> i64 {
        let ours = self.lives.iter().filter(|life| life.symbol == symbol);
        ours.map(|life| signed(life.order.side, life.told_trades())).sum()
    }

    /// Claims of one symbol that were told no end, with what makes each.
    fn claims(&self, symbol: SymbolId) -> Vec<(&NewOrder, Claim)> {
        let ours = self.lives.iter().filter(|life| life.symbol == symbol);
        ours.filter_map(|life| Some((&life.order, life.claim()?))).collect()
    }

    /// What one side of a symbol may come to be worth, everything at `floor` or more.
    fn worth(&self, symbol: SymbolId, side: Side, floor: i64) -> i128 {
        let claims = self.claims(symbol);
        let ours = || claims.iter().filter(|(order, _)| order.side == side);
        let exits: i64 = ours().filter(|(order, _)| order.reduce_only).map(|(_, claim)| claim.left).sum();
        let held = (signed(side, self.told_position(symbol)) + exits).max(0);
        let entries = ours().filter(|(order, _)| !order.reduce_only);
        let entries = entries.map(|(_, claim)| i128::from(claim.price.units().max(floor)) * i128::from(claim.left));
        i128::from(floor) * i128::from(held) + entries.sum::<i128>()
    }

    fn reducible(&self, symbol: SymbolId, side: Side) -> i64 {
        let claims = self.claims(symbol);
        let exits = claims.iter().filter(|(order, _)| order.side == side && order.reduce_only);
        -signed(side, self.told_position(symbol)) - exits.map(|(_, claim)| claim.left).sum::<i64>()
    }

    /// Is there room for a symbol whose one side is worth so much, beside the other?
    fn fits_total(&self, symbol: SymbolId, notional: i128) -> bool {
        let up = |worth: i128| (worth + UNIT - 1) / UNIT;
        let worse = |symbol| up(SIDES.map(|side| self.worth(symbol, side, ASK)).into_iter().max().unwrap());
        let other = SYMBOLS[1 - symbol.index()];
        worse(symbol).max(notional) + worse(other) <= TOTAL_MAX * UNIT
    }

    fn foretell_order(&self, symbol: SymbolId, order: &NewOrder) -> &'static str {
        let (side, qty) = (order.side, order.qty.units());
        if order.reduce_only {
            return if qty <= self.reducible(symbol, side) { "approved" } else { "NotReducing" };
        }
        let floor = order.price.units().max(ASK);
        let ours = i128::from(floor) * i128::from(qty);
        let notional = (self.worth(symbol, side, floor) + ours) / UNIT;
        let against = (-signed(side, self.told_position(symbol))).max(0);
        let credit = i128::from(floor) * i128::from(against) / UNIT;
        let open = SYMBOLS.map(|symbol| self.claims(symbol).len());
        if ours / UNIT > ORDER_MAX * UNIT {
            "OrderSize"
        } else if notional > POSITION_MAX * UNIT {
            if notional - credit <= POSITION_MAX * UNIT { "ExitFirst" } else { "PositionLimit" }
        } else if open[symbol.index()] >= OPEN_MAX {
            "OpenOrders"
        } else if open[0] + open[1] >= OPEN_TOTAL_MAX {
            "TotalOpenOrders"
        } else if self.fits_total(symbol, notional) {
            "approved"
        } else {
            "TotalLimit"
        }
    }

    fn foretell_terms(&self, life: &Life, terms: Terms) -> &'static str {
        let (symbol, side) = (life.symbol, life.order.side);
        let Some(claim) = life.claim() else { return "BadOrderId" };
        let (price, qty) = (terms.price.units(), terms.qty.units());
        if life.order.kind == OrderKind::Market || claim.amended || qty <= claim.filled {
            return "BadOrderId";
        }
        let left = claim.left.max(qty - claim.filled);
        if life.order.reduce_only {
            let fits = left - claim.left <= self.reducible(symbol, side).max(0);
            return if fits { "approved" } else { "NotReducing" };
        }
        let floor = price.max(ASK);
        let worth = |price: i64, left: i64| i128::from(price.max(floor)) * i128::from(left);
        let now = worth(claim.price.units(), claim.left);
        let worse = worth(claim.price.units().max(price), left);
        let notional = (self.worth(symbol, side, floor) - now + worse) / UNIT;
        if i128::from(floor) * i128::from(qty) / UNIT > ORDER_MAX * UNIT {
            "OrderSize"
        } else if notional > POSITION_MAX * UNIT {
            "PositionLimit"
        } else if self.fits_total(symbol, notional) {
            "approved"
        } else {
            "TotalLimit"
        }
    }

    /// At the exchange: the largest position that there is or could come about, in units of quantity.
    fn worst(&self, symbol: SymbolId) -> i64 {
        let held = self.position[symbol.index()];
        let entries = |side| {
            let ours = self.lives.iter().filter(move |life| life.symbol == symbol && life.order.side == side);
            ours.filter(|life| !life.order.reduce_only).map(Life::left).sum::<i64>()
        };
        SIDES.map(|side| signed(side, held) + entries(side)).into_iter().max().unwrap().max(held.abs())
    }

    fn check(&self) {
        let worst = SYMBOLS.map(|symbol| i128::from(self.worst(symbol)) * i128::from(price_of(0).units()) / UNIT);
        assert!(worst.iter().all(|worst| *worst <= POSITION_MAX * UNIT), "{worst:?}");
        assert!(worst[0] + worst[1] <= TOTAL_MAX * UNIT, "{worst:?}");
    }
}

fn price_of(ticks: i64) -> Price {
    Price::from_units(price("30000").units() + ticks * 10_000_000)
}

fn signed(side: Side, units: i64) -> i64 {
    side.signed(Qty::from_units(units)).units()
}

const SYMBOLS: [SymbolId; 2] = [SymbolId(0), SymbolId(1)];
const SIDES: [Side; 2] = [Side::Buy, Side::Sell];
const UNIT: i128 = UNITS as i128;
/// 0.001 of the base asset.
const MILLI: i64 = UNITS / 1_000;
/// The best ask: what counts is never valued below it.
const ASK: i64 = 30_000 * UNITS + UNITS / 10;
/// A code of our own: no refusal that the breaker counts.
const OWN_CODE: i32 = 1;
/// The limits of [`config_of_two`].
const ORDER_MAX: i128 = 1_000;
const POSITION_MAX: i128 = 3_000;
const TOTAL_MAX: i128 = 5_000;
const OPEN_MAX: usize = 8;
const OPEN_TOTAL_MAX: usize = 12;

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]
    #[test]
    fn decisions_are_those_of_a_recount_and_the_exchange_never_holds_more_than_the_limits(
        acts in prop::collection::vec(act(), 1..200),
    ) {
        let mut test = Test::new();
        for act in &acts {
            test.play(act);
            test.check();
        }
    }
}
