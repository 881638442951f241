//! Packed market rows: what happened, once for both clocks.
//!
//! A [`Row`] is 24 bytes: exchange time, one word of quantity, kind, side and validity, the price in ticks (negated
//! for asks, so that more is better on both sides), and the delay to the local clock. Mark and index prices are off the
//! tick: they are in units of 10⁻⁸ where the quantity is, a funding rate is where the price is.
//! An event whose delay does not fit 32 bits, or whose place differs between the clocks, is stored as two rows, each
//! valid for one clock. Rows valid for the exchange are sorted by exchange time, rows valid for the local side by
//! local time: [`arrange`] makes that so, [`check_order`] says where it is not.
//! Never reads files. Any thread; rows are shared read-only.

use optiflow_base::money::{Price, Side};

use super::{ReplayError, TICK_MAX, key_of};

/// One packed row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C)]
pub struct Row {
    exchange_ns: i64,
    word: u64,
    key: i32,
    delay_ns: i32,
}

const _: () = assert!(size_of::<Row>() == 24, "a row is 24 bytes");

/// What a row says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u8)]
pub enum Kind {
    /// A level's new quantity.
    Depth = 0,
    /// A level of a snapshot: handled as depth.
    Snapshot = 1,
    /// The best level as the ticker tells it: nothing better exists on its side.
    Top = 2,
    /// A trade; the side is the aggressor's.
    Trade = 3,
    /// Remove a side's levels from its best to the row's tick.
    Clear = 4,
    /// Remove both sides.
    ClearBoth = 5,
    /// The mark price.
    Mark = 6,
    /// The index price.
    Index = 7,
    /// The funding rate, and when it is next paid.
    Funding = 8,
}

/// A row before packing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MarketRow {
    /// What it says.
    pub kind: Kind,
    /// Bid or ask; of a trade, the aggressor.
    pub side: Side,
    /// When it happened.
    pub exchange_ns: i64,
    /// When we learned it.
    pub local_ns: i64,
    /// Price in ticks; of funding, the rate in 10⁻⁸.
    pub tick: i32,
    /// Quantity in parts; of a mark or index price, the price in 10⁻⁸; of funding, when it is next paid in ms.
    pub parts: i64,
}

impl MarketRow {
    /// A mark price.
    pub const fn mark(exchange_ns: i64, local_ns: i64, price: Price) -> MarketRow {
        MarketRow { kind: Kind::Mark, side: Side::Buy, exchange_ns, local_ns, tick: 0, parts: price.units() }
    }

    /// An index price.
    pub const fn index(exchange_ns: i64, local_ns: i64, price: Price) -> MarketRow {
        MarketRow { kind: Kind::Index, side: Side::Buy, exchange_ns, local_ns, tick: 0, parts: price.units() }
    }

    /// A funding rate of 10⁻⁸, next paid at `next_ms`; zero where no time is set.
    pub const fn funding(exchange_ns: i64, local_ns: i64, rate: i32, next_ms: i64) -> MarketRow {
        MarketRow { kind: Kind::Funding, side: Side::Buy, exchange_ns, local_ns, tick: rate, parts: next_ms }
    }
}

/// Which clocks a row is valid for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Validity {
    /// Both.
    Both,
    /// The exchange's book alone.
    Exchange,
    /// The local book alone.
    Local,
}

impl Row {
    /// Is it valid for the exchange?
    #[inline]
    pub const fn at_exchange(&self) -> bool {
        self.word & EXCHANGE != 0
    }

    /// Is it valid for the local side?
    #[inline]
    pub const fn at_local(&self) -> bool {
        self.word & LOCAL != 0
    }

    /// When it happened; of a row valid for the local side alone, when we learned it.
    #[inline]
    pub const fn exchange_ns(&self) -> i64 {
        self.exchange_ns
    }

    /// When we learned it; of a row valid for the exchange alone, when it happened.
    #[inline]
    pub const fn local_ns(&self) -> i64 {
        self.exchange_ns.wrapping_add(self.delay_ns as i64)
    }

    /// Price in ticks.
    #[inline]
    pub const fn tick(&self) -> i32 {
        key_of(self.side(), self.key)
    }

    /// Price as its side's key.
    #[inline]
    pub(crate) const fn key(&self) -> i32 {
        self.key
    }

    /// Quantity in parts.
    #[inline]
    pub const fn parts(&self) -> i64 {
        (self.word >> PARTS_SHIFT) as i64
    }

    /// The price of a mark or index row.
    pub const fn price(&self) -> Price {
        Price::from_units(self.parts())
    }

    /// The rate of a funding row, 10⁻⁸.
    pub const fn rate(&self) -> i64 {
        self.key as i64
    }

    /// When a funding row's rate is next paid, ns; `None` where no time is set.
    pub const fn next_funding_ns(&self) -> Option<i64> {
        if self.parts() == 0 { None } else { self.parts().checked_mul(1_000_000) }
    }

    /// What it says.
    #[inline]
    pub const fn kind(&self) -> Kind {
        match self.word >> KIND_SHIFT & KIND_MASK {
            0 => Kind::Depth,
            1 => Kind::Snapshot,
            2 => Kind::Top,
            3 => Kind::Trade,
            4 => Kind::Clear,
            5 => Kind::ClearBoth,
            6 => Kind::Mark,
            7 => Kind::Index,
            _ => Kind::Funding,
        }
    }

    /// Is it a plain level: depth or snapshot?
    #[inline]
    pub(crate) const fn is_level(&self) -> bool {
        self.word & (KIND_MASK - 1) << KIND_SHIFT == 0
    }

    /// Is it a trade?
    #[inline]
    pub(crate) const fn is_trade(&self) -> bool {
        self.word & KIND_MASK << KIND_SHIFT == (Kind::Trade as u64) << KIND_SHIFT
    }

    /// Bid or ask; of a trade, the aggressor.
    #[inline]
    pub const fn side(&self) -> Side {
        if self.word & ASK == 0 { Side::Buy } else { Side::Sell }
    }

    /// 0 for bid, 1 for ask.
    #[inline]
    pub(crate) const fn side_index(&self) -> usize {
        (self.word & ASK) as usize
    }

    fn pack(row: &MarketRow, validity: Validity) -> Option<Row> {
        let (exchange_ns, delay_ns, flags) = match validity {
            Validity::Both => {
                (row.exchange_ns, i32::try_from(row.local_ns.checked_sub(row.exchange_ns)?).ok()?, EXCHANGE | LOCAL)
            }
            Validity::Exchange => (row.exchange_ns, 0, EXCHANGE),
            Validity::Local => (row.local_ns, 0, LOCAL),
        };
        let ask = if row.side == Side::Sell { ASK } else { 0 };
        let word = (row.parts as u64) << PARTS_SHIFT | (row.kind as u64) << KIND_SHIFT | flags | ask;
        Some(Row { exchange_ns, word, key: key_of(row.side, row.tick), delay_ns })
    }
}

/// Packs `row` onto `into`: one row, or two where the clocks are too far apart.
pub fn push(into: &mut Vec<Row>, row: &MarketRow, validity: Validity) -> Result<(), ReplayError> {
    let problem = |text: &str| ReplayError::Row { row: into.len(), problem: text.to_owned() };
    if row.tick.unsigned_abs() > TICK_MAX.unsigned_abs() {
        return Err(problem("its price is too many ticks from zero; check the tick size"));
    }
    if !(0..=PARTS_MAX).contains(&row.parts) {
        return Err(problem("its quantity is negative or too large; check the lot size"));
    }
    match Row::pack(row, validity) {
        Some(packed) => into.push(packed),
        None => {
            into.extend(Row::pack(row, Validity::Exchange));
            into.extend(Row::pack(row, Validity::Local));
        }
    }
    Ok(())
}

/// Packs events given in any order so that each clock sees its own order; equal times keep the order given.
pub fn arrange(events: &[MarketRow]) -> Result<Vec<Row>, ReplayError> {
    let by_exchange = order_by(events, |row| row.exchange_ns);
    let by_local = order_by(events, |row| row.local_ns);
    let (exchange_rank, local_rank) = (ranks(&by_exchange), ranks(&by_local));
    let mut rows = Vec::with_capacity(events.len() + events.len() / 16);
    let (mut exchange_at, mut local_at) = (0, 0);
    while exchange_at < events.len() || local_at < events.len() {
        let exchange_head = by_exchange.get(exchange_at).copied();
        let local_head = by_local.get(local_at).copied();
        let (index, validity) = match (exchange_head, local_head) {
            (Some(left), Some(right)) if left == right => (left, Validity::Both),
            (Some(left), Some(right)) => {
                let exchange_lead = local_rank[left as usize].saturating_sub(local_at);
                let local_lead = exchange_rank[right as usize].saturating_sub(exchange_at);
                let local_done = exchange_rank[right as usize] < exchange_at;
                let exchange_done = local_rank[left as usize] < local_at;
                if exchange_done || (!local_done && exchange_lead >= local_lead) {
                    (left, Validity::Exchange)
                } else {
                    (right, Validity::Local)
                }
            }
            (Some(left), None) => (left, Validity::Exchange),
            (None, Some(right)) => (right, Validity::Local),
            (None, None) => break,
        };
        exchange_at += usize::from(validity != Validity::Local);
        local_at += usize::from(validity != Validity::Exchange);
        push(&mut rows, &events[index as usize], validity)?;
    }
    Ok(rows)
}

/// Is every clock's order kept? Names the first row that comes before its predecessor.
pub fn check_order(rows: &[Row]) -> Result<(), ReplayError> {
    let (mut exchange_last, mut local_last) = (i64::MIN, i64::MIN);
    for (index, row) in rows.iter().enumerate() {
        let late =
            (row.at_exchange() && row.exchange_ns() < exchange_last) || (row.at_local() && row.local_ns() < local_last);
        if late {
            let problem = "it is earlier than the row before it; sort the file or import it again".to_owned();
            return Err(ReplayError::Row { row: index, problem });
        }
        if row.at_exchange() {
            exchange_last = row.exchange_ns();
        }
        if row.at_local() {
            local_last = row.local_ns();
        }
    }
    Ok(())
}

fn order_by(events: &[MarketRow], time: impl Fn(&MarketRow) -> i64) -> Vec<u32> {
    let mut order: Vec<u32> = (0..events.len() as u32).collect();
    order.sort_by_key(|index| time(&events[*index as usize]));
    order
}

fn ranks(order: &[u32]) -> Vec<usize> {
    let mut ranks = vec![0; order.len()];
    for (rank, index) in order.iter().enumerate() {
        ranks[*index as usize] = rank;
    }
    ranks
}

/// The largest quantity of a row, in parts.
pub const PARTS_MAX: i64 = (1 << 56) - 1;

const PARTS_SHIFT: u32 = 8;
const KIND_SHIFT: u32 = 1;
const KIND_MASK: u64 = 0xf;
const ASK: u64 = 1;
const EXCHANGE: u64 = 1 << 6;
const LOCAL: u64 = 1 << 7;

#[cfg(test)]
mod tests {
    use super::*;

    fn event(exchange_ns: i64, local_ns: i64, tick: i32) -> MarketRow {
        MarketRow { kind: Kind::Trade, side: Side::Sell, exchange_ns, local_ns, tick, parts: 7 }
    }

    #[test]
    fn a_row_keeps_what_was_packed() {
        let mut rows = Vec::new();
        let row = MarketRow { parts: PARTS_MAX, ..event(1_000, 900, -5) };
        push(&mut rows, &row, Validity::Both).unwrap();
        let packed = rows[0];
        assert_eq!((packed.exchange_ns(), packed.local_ns(), packed.tick()), (1_000, 900, -5));
        assert_eq!((packed.parts(), packed.kind(), packed.side()), (PARTS_MAX, Kind::Trade, Side::Sell));
        assert!(packed.at_exchange() && packed.at_local() && !packed.is_level());
    }

    #[test]
    fn prices_off_the_tick_and_rates_are_kept_exactly() {
        let mut rows = Vec::new();
        let mark: Price = "60000.12345678".parse().unwrap();
        for row in [
            MarketRow::mark(5, 6, mark),
            MarketRow::index(5, 6, mark),
            MarketRow::funding(5, 6, -12_345, 1_717_200_000_000),
        ] {
            push(&mut rows, &row, Validity::Both).unwrap();
        }
        assert_eq!(rows.iter().map(Row::kind).collect::<Vec<_>>(), [Kind::Mark, Kind::Index, Kind::Funding]);
        assert_eq!((rows[0].price(), rows[1].price(), rows[2].rate()), (mark, mark, -12_345));
        assert_eq!(rows[2].next_funding_ns(), Some(1_717_200_000_000_000_000));
        assert!(rows.iter().all(|row| !row.is_level() && !row.is_trade()));
    }

    #[test]
    fn clocks_too_far_apart_make_two_rows() {
        let mut rows = Vec::new();
        push(&mut rows, &event(1_000, 9_000_000_000, 1), Validity::Both).unwrap();
        assert_eq!(rows.len(), 2);
        assert_eq!((rows[0].at_exchange(), rows[0].at_local(), rows[0].exchange_ns()), (true, false, 1_000));
        assert_eq!((rows[1].at_exchange(), rows[1].at_local(), rows[1].local_ns()), (false, true, 9_000_000_000));
    }

    #[test]
    fn arranging_gives_each_clock_its_order_and_doubles_only_what_must_be() {
        let events = [event(20, 40, 0), event(0, 45, 1), event(0, 45, 2), event(30, 50, 3)];
        let rows = arrange(&events).unwrap();
        check_order(&rows).unwrap();
        let exchange: Vec<i32> = rows.iter().filter(|row| row.at_exchange()).map(Row::tick).collect();
        let local: Vec<i32> = rows.iter().filter(|row| row.at_local()).map(Row::tick).collect();
        assert_eq!(exchange, [1, 2, 0, 3]);
        assert_eq!(local, [0, 1, 2, 3]);
        assert_eq!(rows.len(), 5);
    }

    #[test]
    fn a_row_out_of_order_is_named() {
        let mut rows = Vec::new();
        push(&mut rows, &event(5, 6, 0), Validity::Both).unwrap();
        push(&mut rows, &event(4, 7, 0), Validity::Both).unwrap();
        assert!(check_order(&rows).unwrap_err().to_string().contains("row 1"));
        assert!(push(&mut rows, &MarketRow { parts: -1, ..event(5, 8, 0) }, Validity::Both).is_err());
    }
}
