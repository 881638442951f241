//! Every order and fill the exchange knows: alive ones without bound, ended ones up to a bound.
//!
//! Never decides anything. Ids count up from the exchange's start in milliseconds × 1000, so that an exchange that is
//! started again does not give an id out twice.

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};

use optiflow_base::clock::Nanos;
use optiflow_base::money::{Notional, Side};

use crate::words::{Fill, Order, OrderKey, OrderStatus, SymbolIndex};

/// What was forgotten, so that whoever compares knows where the memory begins.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Forgotten {
    /// Ended orders.
    pub orders: u64,
    /// Fills: all up to `last_trade_id`.
    pub fills: u64,
    /// The newest trade that is forgotten; zero while none is.
    pub last_trade_id: u64,
}

/// Orders by id, by client id and by being open; fills in order.
#[derive(Debug)]
pub struct Orders {
    by_id: BTreeMap<u64, Order>,
    /// Per symbol: the newest order of each client id. Looked up, never walked.
    by_client: Vec<HashMap<String, u64>>,
    /// Per symbol, oldest first.
    open: Vec<BTreeSet<u64>>,
    /// Per symbol and side: what the open orders may still add to the exposure.
    open_notional: Vec<[Notional; 2]>,
    /// Per symbol: how many open orders may only reduce.
    reducing: Vec<usize>,
    ended: VecDeque<u64>,
    fills: VecDeque<Fill>,
    forgotten: Forgotten,
    next_order: u64,
    next_trade: u64,
    /// How often anything of the above changed.
    changes: u64,
}

impl Orders {
    /// No orders yet, for `symbols` symbols of an exchange started at `start`.
    pub fn new(symbols: usize, start: Nanos) -> Orders {
        let first = (start.millis() * 1_000).max(1);
        Orders {
            by_id: BTreeMap::new(),
            by_client: vec![HashMap::new(); symbols],
            open: vec![BTreeSet::new(); symbols],
            open_notional: vec![[Notional::ZERO; 2]; symbols],
            reducing: vec![0; symbols],
            ended: VecDeque::new(),
            fills: VecDeque::new(),
            forgotten: Forgotten::default(),
            next_order: first,
            next_trade: first,
            changes: 0,
        }
    }

    /// The id that the next order gets.
    pub const fn next_id(&self) -> u64 {
        self.next_order
    }

    /// Takes a trade id.
    pub const fn take_trade_id(&mut self) -> u64 {
        let id = self.next_trade;
        self.next_trade += 1;
        id
    }

    /// How often an order was taken in or changed, or a fill was kept. As long as it stands, so does everything here.
    pub const fn changes(&self) -> u64 {
        self.changes
    }

    /// Takes a new order in; its id is [`Orders::next_id`].
    pub fn add(&mut self, order: Order) {
        assert!(order.id == self.next_order && order.status.is_open(), "a new order is open and has the next id");
        self.next_order += 1;
        self.changes += 1;
        let symbol = order.placed.symbol;
        self.by_client[symbol].insert(order.placed.client_id.clone(), order.id);
        self.open[symbol].insert(order.id);
        self.open_notional[symbol][order.placed.side as usize] += order.open_notional();
        self.reducing[symbol] += usize::from(order.placed.reduce_only);
        self.by_id.insert(order.id, order);
    }

    /// Changes an open order; when that ends it, it moves to the history. `None` when there is no such open order.
    pub fn change(&mut self, id: u64, change: impl FnOnce(&mut Order)) -> Option<&Order> {
        let order = self.by_id.get_mut(&id).filter(|order| order.status.is_open())?;
        let before = order.open_notional();
        change(order);
        self.changes += 1;
        let (symbol, ended) = (order.placed.symbol, !order.status.is_open());
        self.open_notional[symbol][order.placed.side as usize] += order.open_notional() - before;
        if ended {
            self.reducing[symbol] -= usize::from(order.placed.reduce_only);
            self.open[symbol].remove(&id);
            self.ended.push_back(id);
            self.forget_oldest(id);
        }
        self.by_id.get(&id)
    }

    /// Keeps a fill.
    pub fn add_fill(&mut self, fill: Fill) {
        if self.fills.len() == FILLS_MAX
            && let Some(oldest) = self.fills.pop_front()
        {
            self.forgotten.fills += 1;
            self.forgotten.last_trade_id = oldest.trade_id;
        }
        self.fills.push_back(fill);
        self.changes += 1;
    }

    /// The order of that id, alive or remembered.
    pub fn by_id(&self, id: u64) -> Option<&Order> {
        self.by_id.get(&id)
    }

    /// The order a client names: by id, or the newest with that client id.
    pub fn find(&self, symbol: SymbolIndex, key: &OrderKey) -> Option<&Order> {
        match key {
            OrderKey::Id(id) => self.by_id.get(id).filter(|order| order.placed.symbol == symbol),
            OrderKey::Client(client_id) => self.of_client(symbol, client_id),
        }
    }

    /// The newest order with that client id.
    pub fn of_client(&self, symbol: SymbolIndex, client_id: &str) -> Option<&Order> {
        self.by_id.get(self.by_client.get(symbol)?.get(client_id)?)
    }

    /// Is an open order of that client id there?
    pub fn is_client_id_open(&self, symbol: SymbolIndex, client_id: &str) -> bool {
        self.of_client(symbol, client_id).is_some_and(|order| order.status.is_open())
    }

    /// Open orders of a symbol, oldest first.
    pub fn open(&self, symbol: SymbolIndex) -> impl Iterator<Item = &Order> {
        self.open[symbol].iter().filter_map(|id| self.by_id.get(id))
    }

    /// How many orders of a symbol are open.
    pub fn open_count(&self, symbol: SymbolIndex) -> usize {
        self.open[symbol].len()
    }

    /// What the open orders on a side of a symbol may still add to the exposure.
    pub fn open_notional(&self, symbol: SymbolIndex, side: Side) -> Notional {
        self.open_notional[symbol][side as usize]
    }

    /// Is any order of a symbol open that may only reduce?
    pub fn any_reducing(&self, symbol: SymbolIndex) -> bool {
        self.reducing[symbol] > 0
    }

    /// All orders, oldest first.
    pub fn all(&self) -> impl Iterator<Item = &Order> {
        self.by_id.values()
    }

    /// The fills, oldest first.
    pub fn fills(&self) -> impl Iterator<Item = &Fill> {
        self.fills.iter()
    }

    /// What is no longer remembered.
    pub const fn forgotten(&self) -> Forgotten {
        self.forgotten
    }

    fn forget_oldest(&mut self, newest: u64) {
        if self.ended.len() <= ENDED_ORDERS_MAX {
            return;
        }
        let Some(id) = self.ended.pop_front() else { return };
        assert!(id != newest, "the history is longer than one order");
        let Some(order) = self.by_id.remove(&id) else { return };
        self.forgotten.orders += 1;
        let by_client = &mut self.by_client[order.placed.symbol];
        if by_client.get(&order.placed.client_id) == Some(&id) {
            by_client.remove(&order.placed.client_id);
        }
    }
}

impl Order {
    /// What it may still add to the exposure of its side: nothing once it has ended or when it can only reduce.
    pub fn open_notional(&self) -> Notional {
        let adds = self.status.is_open() && !self.placed.reduce_only;
        if adds { self.placed.price.times(self.placed.qty - self.filled) } else { Notional::ZERO }
    }
}

impl OrderStatus {
    /// Ended in a way that leaves a remainder?
    pub const fn is_cut_short(self) -> bool {
        matches!(self, OrderStatus::Canceled | OrderStatus::Expired | OrderStatus::ExpiredInMatch)
    }
}

/// Ended orders that are remembered.
pub const ENDED_ORDERS_MAX: usize = 100_000;
/// Fills that are remembered.
pub const FILLS_MAX: usize = 500_000;

#[cfg(test)]
mod tests {
    use optiflow_base::money::{Price, Qty};
    use optiflow_base::order::{OrderKind, TimeInForce};

    use super::*;
    use crate::words::{Placement, SelfTrade, Terms};

    fn order(id: u64) -> Order {
        let placed = Placement {
            symbol: 0,
            client_id: id.to_string(),
            side: Side::Buy,
            kind: OrderKind::Limit,
            time_in_force: TimeInForce::Gtc,
            price: Price::from_units(1),
            qty: Qty::from_units(1),
            reduce_only: false,
            self_trade: SelfTrade::None,
            terms: Terms::default(),
        };
        let (created, updated) = (Nanos(0), Nanos(0));
        let (filled, filled_quote) = (Qty::ZERO, Notional::ZERO);
        Order { id, liquidates: false, placed, status: OrderStatus::New, filled, filled_quote, created, updated }
    }

    #[test]
    fn what_is_forgotten_is_counted_and_the_oldest_goes_first() {
        let mut orders = Orders::new(1, Nanos(0));
        for _ in 0..ENDED_ORDERS_MAX + 3 {
            let id = orders.next_id();
            orders.add(order(id));
            orders.change(id, |order| order.status = OrderStatus::Canceled);
        }
        let fill = Fill {
            trade_id: 0,
            order_id: 1,
            client_id: String::new(),
            symbol: 0,
            side: Side::Buy,
            price: Price::from_units(1),
            qty: Qty::from_units(1),
            maker: true,
            fee: Notional::ZERO,
            realized: Notional::ZERO,
            at: Nanos(0),
        };
        for _ in 0..FILLS_MAX + 2 {
            let trade_id = orders.take_trade_id();
            orders.add_fill(Fill { trade_id, ..fill.clone() });
        }
        assert_eq!(orders.forgotten(), Forgotten { orders: 3, fills: 2, last_trade_id: 2 });
        assert_eq!((orders.all().count(), orders.fills().count()), (ENDED_ORDERS_MAX, FILLS_MAX));
        assert_eq!(orders.fills().next().map(|fill| fill.trade_id), Some(3));
    }
}
