//! Orders from their first answer to their end: what became of them, where they queued, how long that took.
//!
//! Only open orders are kept, at most [`OPEN_MAX`]; what ended is a count. An order is *touched* when it filled, or when
//! its price was at or better than the best of its side at a moment that was looked at.

use std::collections::BTreeMap;

use optiflow_base::ids::SymbolId;
use optiflow_base::money::{Price, Qty, Side};

use super::spans::Spans;
use super::words::{Best, FillLine, OrderLine, Reason, Status, Tells};

/// All orders of a run.
#[derive(Clone, Debug, Default)]
pub struct Orders {
    open: BTreeMap<(SymbolId, u64), Open>,
    /// By symbol and side: the best price of an open order that was not touched yet.
    untouched: Vec<[Option<Price>; 2]>,
    sides: [Fates; 2],
    places: [Place; PLACES.len()],
    reasons: [u64; REASONS.len()],
    not_followed: u64,
}

/// What became of the orders of one side.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Fates {
    /// Sent and answered.
    pub placed: u64,
    /// Filled, or seen at the touch.
    pub touched: u64,
    /// Filled wholly.
    pub filled: u64,
    /// Filled in part and then ended, or open in part at the end.
    pub partly: u64,
    /// Cancelled, in part filled or not.
    pub cancelled: u64,
    /// Ended without coming to rest: a post-only order that would have taken, the rest of an immediate one.
    pub expired: u64,
    /// Never was an order: refused, or lost on the way.
    pub refused: u64,
    /// Open when the run ended.
    pub open: u64,
    /// Cancels and modifies that were refused or lost.
    pub requests_refused: u64,
    /// Quantity ordered; of several symbols, a sum of unlike things.
    pub qty: Qty,
    /// Quantity filled.
    pub qty_filled: Qty,
}

/// Orders that came to rest behind about the same queue.
#[derive(Clone, Debug, Default)]
pub struct Place {
    /// Came to rest.
    pub rested: u64,
    /// Filled at least in part.
    pub filled: u64,
    /// Filled wholly.
    pub whole: u64,
    /// Seen at the touch or filled.
    pub touched: u64,
    /// From coming to rest to the first fill, on the exchange's clock.
    pub wait: Spans,
}

#[derive(Clone, Copy, Debug)]
struct Open {
    side: Side,
    price: Price,
    qty: Qty,
    filled: Qty,
    /// Place in [`PLACES`], and when it came there on the exchange's clock; `None` before it rests.
    rests: Option<(usize, i64)>,
    touched: bool,
    is_whole: bool,
}

impl Orders {
    /// For so many symbols.
    pub fn new(symbols: usize) -> Orders {
        Orders { untouched: vec![[None; 2]; symbols], ..Orders::default() }
    }

    /// Takes an answer; is it the first about this order?
    pub fn order(&mut self, line: &OrderLine) -> bool {
        let key = (line.symbol, line.id);
        if let Some(at) = REASONS.iter().position(|reason| *reason == line.reason) {
            self.reasons[at] += u64::from(line.tells != Tells::Fill);
        }
        if line.tells == Tells::Rejected && line.status != Status::None {
            self.sides[line.side as usize].requests_refused += 1;
            return false;
        }
        let is_first = !self.open.contains_key(&key);
        if is_first && !self.begin(key, line) {
            return false;
        }
        let fates = &mut self.sides[line.side as usize];
        match (line.tells, line.status) {
            (Tells::Rejected, _) => fates.refused += 1,
            (Tells::State, Status::New | Status::PartiallyFilled) => return self.rest(key, line, is_first),
            (Tells::State, Status::Canceled) => fates.cancelled += 1,
            (Tells::State, Status::Expired) => fates.expired += 1,
            (Tells::Fill, Status::Filled) => fates.filled += 1,
            (Tells::Fill, _) | (Tells::State, Status::None | Status::Filled) => return is_first,
        }
        if line.tells == Tells::Fill {
            // The fill itself is told next and ends it.
            if let Some(open) = self.open.get_mut(&key) {
                open.is_whole = true;
            }
        } else {
            self.end(key);
        }
        is_first
    }

    /// Takes an execution, after its answer.
    pub fn fill(&mut self, line: &FillLine) {
        let key = (line.symbol, line.id);
        let Some(open) = self.open.get_mut(&key) else { return };
        let is_first = open.filled.is_zero();
        open.filled += line.qty;
        open.touched = true;
        if let Some((place, since)) = open.rests.filter(|_| is_first && line.maker) {
            self.places[place].wait.add(line.exchange_ns - since);
        }
        if open.is_whole {
            self.end(key);
        }
    }

    /// The best prices as seen now: which orders are at the touch?
    #[inline]
    pub fn look(&mut self, symbol: SymbolId, best: Best) {
        let [bid, ask] = self.untouched[symbol.index()];
        if bid.is_some_and(|bid| bid >= best.bid) {
            self.touch(symbol, Side::Buy, best);
        }
        if ask.is_some_and(|ask| ask <= best.ask) {
            self.touch(symbol, Side::Sell, best);
        }
    }

    /// What became of the orders of `side`, with those still open.
    pub fn fates(&self, side: Side) -> Fates {
        let mut fates = self.sides[side as usize];
        for open in self.open.values().filter(|open| open.side == side) {
            fates.open += 1;
            count(&mut fates, open);
        }
        fates
    }

    /// Where they queued, with those still open.
    pub fn places(&self) -> [Place; PLACES.len()] {
        let mut places = self.places.clone();
        self.open.values().for_each(|open| queued(&mut places, open));
        places
    }

    /// Why the exchange refused, ended or closed something, and how often, other than in the plain course of things.
    pub fn reasons(&self) -> impl Iterator<Item = (&'static str, u64)> {
        REASONS.iter().zip(self.reasons).map(|(reason, count)| (reason.name(), count)).filter(|(_, count)| *count > 0)
    }

    /// Orders that came while too many were open.
    pub const fn not_followed(&self) -> u64 {
        self.not_followed
    }

    fn begin(&mut self, key: (SymbolId, u64), line: &OrderLine) -> bool {
        if self.open.len() == OPEN_MAX {
            self.not_followed += 1;
            return false;
        }
        let fates = &mut self.sides[line.side as usize];
        fates.placed += 1;
        fates.qty += line.qty;
        let (side, price, qty) = (line.side, line.price, line.qty);
        let open = Open { side, price, qty, filled: Qty::ZERO, rests: None, touched: false, is_whole: false };
        self.open.insert(key, open);
        true
    }

    /// It came to rest, or to rest elsewhere.
    fn rest(&mut self, key: (SymbolId, u64), line: &OrderLine, is_first: bool) -> bool {
        if let Some(open) = self.open.get_mut(&key) {
            (open.price, open.qty) = (line.price, line.qty);
            open.rests = Some((place_of(line.ahead, line.qty), line.exchange_ns));
        }
        self.find_untouched(line.symbol, line.side);
        if let Some(best) = line.best {
            self.look(line.symbol, best);
        }
        is_first
    }

    fn end(&mut self, key: (SymbolId, u64)) {
        let Some(open) = self.open.remove(&key) else { return };
        count(&mut self.sides[open.side as usize], &open);
        queued(&mut self.places, &open);
        self.find_untouched(key.0, open.side);
    }

    fn touch(&mut self, symbol: SymbolId, side: Side, best: Best) {
        let facing = if side == Side::Buy { best.bid } else { best.ask };
        for open in self.of(symbol).filter(|open| open.side == side && side.reaches(open.price, facing)) {
            open.touched |= open.rests.is_some();
        }
        self.find_untouched(symbol, side);
    }

    fn find_untouched(&mut self, symbol: SymbolId, side: Side) {
        let waiting = self.of(symbol).filter(|open| open.side == side && !open.touched && open.rests.is_some());
        let prices = waiting.map(|open| open.price);
        let best = if side == Side::Buy { prices.max() } else { prices.min() };
        self.untouched[symbol.index()][side as usize] = best;
    }

    fn of(&mut self, symbol: SymbolId) -> impl Iterator<Item = &mut Open> {
        self.open.range_mut((symbol, 0)..=(symbol, u64::MAX)).map(|(_, open)| open)
    }
}

/// Counts what an order came to, but for how it ended.
fn count(fates: &mut Fates, open: &Open) {
    fates.touched += u64::from(open.touched);
    fates.partly += u64::from(!open.filled.is_zero() && !open.is_whole);
    fates.qty_filled += open.filled;
}

fn queued(places: &mut [Place; PLACES.len()], open: &Open) {
    let Some((place, _)) = open.rests else { return };
    let place = &mut places[place];
    place.rested += 1;
    place.touched += u64::from(open.touched);
    place.filled += u64::from(!open.filled.is_zero());
    place.whole += u64::from(open.is_whole);
}

/// Which class of queue: by how many times the order's own quantity was displayed ahead of it.
fn place_of(ahead: Qty, own: Qty) -> usize {
    if ahead.is_zero() {
        return 0;
    }
    let times = ahead.units() / own.units().max(1);
    PLACES.iter().skip(1).take_while(|(least, _)| times >= *least).count()
}

impl Fates {
    /// Both sides together.
    #[must_use]
    pub fn with(self, other: Fates) -> Fates {
        Fates {
            placed: self.placed + other.placed,
            touched: self.touched + other.touched,
            filled: self.filled + other.filled,
            partly: self.partly + other.partly,
            cancelled: self.cancelled + other.cancelled,
            expired: self.expired + other.expired,
            refused: self.refused + other.refused,
            open: self.open + other.open,
            requests_refused: self.requests_refused + other.requests_refused,
            qty: self.qty + other.qty,
            qty_filled: self.qty_filled + other.qty_filled,
        }
    }

    /// Orders that filled at least in part, of those placed; `None` of nothing.
    pub fn fill_ratio(&self) -> Option<f64> {
        (self.placed > 0).then(|| (self.filled + self.partly) as f64 / self.placed as f64)
    }
}

/// Classes of queues: least displayed quantity ahead in multiples of the order's own, and in words.
pub const PLACES: [(i64, &str); 6] =
    [(0, "nothing"), (0, "up to 1×"), (1, "1–10×"), (10, "10–100×"), (100, "100–1,000×"), (1_000, "1,000× and more")];

/// All but the plain course of things.
const REASONS: [Reason; 6] = [
    Reason::TooManyOrders,
    Reason::BelowMinNotional,
    Reason::NotReducing,
    Reason::NoMargin,
    Reason::SelfTrade,
    Reason::Liquidation,
];

/// Open orders that are followed at the same time.
pub const OPEN_MAX: usize = 65_536;

#[cfg(test)]
mod tests {
    use optiflow_base::money::Notional;
    use optiflow_base::order::{OrderKind, TimeInForce};

    use super::*;

    fn line(id: u64, side: Side, tells: Tells, status: Status, price: &str, ahead: &str) -> OrderLine {
        OrderLine {
            symbol: SymbolId(0),
            id,
            side,
            kind: OrderKind::Limit,
            time_in_force: TimeInForce::Gtx,
            tells,
            status,
            reason: Reason::None,
            price: price.parse().unwrap(),
            qty: "2".parse().unwrap(),
            leaves: Qty::ZERO,
            ahead: ahead.parse().unwrap(),
            requested_ns: 1_000,
            exchange_ns: 5_000,
            local_ns: 9_000,
            best: None,
        }
    }

    fn fill(id: u64, side: Side, qty: &str, exchange_ns: i64) -> FillLine {
        FillLine {
            symbol: SymbolId(0),
            id,
            side,
            price: "100".parse().unwrap(),
            qty: qty.parse().unwrap(),
            maker: true,
            fee: Notional::ZERO,
            ahead: Qty::ZERO,
            exchange_ns,
            local_ns: exchange_ns,
            mid: None,
        }
    }

    fn best(bid: &str, ask: &str) -> Best {
        Best { bid: bid.parse().unwrap(), ask: ask.parse().unwrap() }
    }

    #[test]
    fn each_order_has_one_fate_and_the_fates_add_up() {
        use Side::Buy;
        let mut orders = Orders::new(1);
        // One fills in two pieces, one in part and is cancelled, one is cancelled, one refused, one expires, one is open.
        for id in [1, 2, 3, 6] {
            assert!(orders.order(&line(id, Buy, Tells::State, Status::New, "100", "3")));
        }
        assert!(!orders.order(&line(1, Buy, Tells::Fill, Status::PartiallyFilled, "100", "3")));
        orders.fill(&fill(1, Buy, "0.5", 2_005_000));
        orders.order(&line(1, Buy, Tells::Fill, Status::Filled, "100", "3"));
        orders.fill(&fill(1, Buy, "1.5", 9_005_000));
        orders.order(&line(2, Buy, Tells::Fill, Status::PartiallyFilled, "100", "3"));
        orders.fill(&fill(2, Buy, "1", 4_005_000));
        orders.order(&line(2, Buy, Tells::State, Status::Canceled, "100", "3"));
        orders.order(&line(3, Buy, Tells::State, Status::Canceled, "100", "3"));
        orders.order(&line(3, Buy, Tells::Rejected, Status::New, "100", "3"));
        orders.order(&line(4, Buy, Tells::Rejected, Status::None, "100", "0"));
        orders.order(&line(5, Buy, Tells::State, Status::Expired, "100", "0"));
        let fates = orders.fates(Buy);
        assert_eq!((fates.placed, fates.filled, fates.partly, fates.cancelled), (6, 1, 1, 2));
        assert_eq!((fates.expired, fates.refused, fates.open, fates.requests_refused), (1, 1, 1, 1));
        assert_eq!(fates.placed, fates.filled + fates.cancelled + fates.expired + fates.refused + fates.open);
        assert_eq!((fates.touched, fates.qty.to_string(), fates.qty_filled.to_string()), (2, "12".into(), "3".into()));
        assert_eq!(fates.fill_ratio(), Some(2.0 / 6.0));
        assert_eq!(orders.fates(Side::Sell), Fates::default());
        let place = &orders.places()[2];
        assert_eq!((place.rested, place.filled, place.whole, place.wait.count()), (4, 2, 1, 2));
        assert_eq!(place.wait.max(), Some(4_000_000));
    }

    #[test]
    fn an_order_is_touched_when_its_price_is_the_best_of_its_side() {
        let mut orders = Orders::new(1);
        orders.order(&line(1, Side::Buy, Tells::State, Status::New, "99", "0"));
        orders.order(&line(2, Side::Sell, Tells::State, Status::New, "101", "0"));
        orders.look(SymbolId(0), best("99.5", "100.5"));
        assert_eq!((orders.fates(Side::Buy).touched, orders.fates(Side::Sell).touched), (0, 0));
        orders.look(SymbolId(0), best("99", "100"));
        assert_eq!((orders.fates(Side::Buy).touched, orders.fates(Side::Sell).touched), (1, 0));
        orders.look(SymbolId(0), best("101", "102"));
        assert_eq!(orders.fates(Side::Sell).touched, 1);
        let told =
            OrderLine { best: Some(best("98", "99")), ..line(3, Side::Buy, Tells::State, Status::New, "98", "0") };
        orders.order(&told);
        assert_eq!(orders.fates(Side::Buy).touched, 2, "it came to rest at the touch");
    }

    #[test]
    fn queues_are_told_apart_by_the_multiple_of_the_order() {
        let place = |ahead: &str| place_of(ahead.parse().unwrap(), "2".parse().unwrap());
        let places = ["0", "0.1", "1.9", "2", "19", "20", "199", "200", "1999", "2000", "90000"].map(place);
        assert_eq!(places, [0, 1, 1, 2, 2, 3, 3, 4, 4, 5, 5]);
    }
}
