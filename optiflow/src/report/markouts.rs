//! Markouts: how the mid went after our fills.
//!
//! A fill waits here for its horizons; [`Markouts::next_due`] says when a mid is wanted, and whoever drives the run lets
//! [`Markouts::settle`] see the mids of exactly that moment. A moment that passed unseen is not measured, never guessed,
//! and counted as missed. Memory is bounded: beyond [`PENDING_MAX`] waiting fills a new one is not followed, and
//! counted.

use std::collections::VecDeque;

use optiflow_base::ids::SymbolId;
use optiflow_base::money::{Notional, Price, Qty, Side};

use super::moments::Moments;
use super::words::FillLine;

/// Fills of four kinds, followed to every horizon.
#[derive(Clone, Debug)]
pub struct Markouts {
    pending: VecDeque<Pending>,
    /// Number of the first pending fill, counted from the start of the run.
    first: u64,
    /// By horizon: number of the fill that it waits for.
    next: [u64; HORIZONS.len()],
    next_due: i64,
    kinds: [[Mark; HORIZONS.len()]; 4],
    not_followed: u64,
}

/// One kind of fills at one horizon.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Mark {
    /// Signed moves of the mid from the fill's price, bps of the price; positive is good for us.
    pub bps: Moments,
    /// The same in money: what the fills would have made if closed at that mid.
    pub money: Notional,
    /// Fills whose moment passed unseen.
    pub missed: u64,
}

impl Mark {
    /// Were enough of the fills seen at their moment? Those that were missed are no fair sample: whether a moment is seen
    /// depends on when the strategy looks, and so does what it fills.
    pub const fn is_fair(&self) -> bool {
        self.missed * MISSED_PARTS_MAX <= self.bps.n() + self.missed
    }

    /// The mean, if it is fair to tell.
    pub fn mean(&self) -> Option<f64> {
        self.bps.mean().filter(|_| self.is_fair())
    }

    /// The standard error of the mean, if it is fair to tell.
    pub fn error(&self) -> Option<f64> {
        self.bps.error().filter(|_| self.is_fair())
    }
}

/// Which fills.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FillKind {
    /// Resting or taking?
    pub maker: bool,
    /// Bought or sold?
    pub side: Side,
}

#[derive(Clone, Copy, Debug)]
struct Pending {
    symbol: SymbolId,
    kind: FillKind,
    local_ns: i64,
    price: Price,
    qty: Qty,
}

impl Default for Markouts {
    fn default() -> Markouts {
        let kinds = [[Mark::default(); HORIZONS.len()]; 4];
        let next = [0; HORIZONS.len()];
        Markouts { pending: VecDeque::new(), first: 0, next, next_due: i64::MAX, kinds, not_followed: 0 }
    }
}

impl Markouts {
    /// Follows a fill; its mark at once is the mid that it was seen with.
    pub fn fill(&mut self, fill: &FillLine) {
        if self.pending.len() == PENDING_MAX {
            self.not_followed += 1;
            return;
        }
        let kind = FillKind { maker: fill.maker, side: fill.side };
        let pending = Pending { symbol: fill.symbol, kind, local_ns: fill.local_ns, price: fill.price, qty: fill.qty };
        let number = self.first + self.pending.len() as u64;
        self.pending.push_back(pending);
        self.mark(0, &pending, fill.mid);
        self.next[0] = number + 1;
        // The horizon "at once" is done, so the earliest moment can only be an earlier fill's or this one's first.
        self.next_due = self.next_due.min(fill.local_ns + HORIZONS[1].0);
    }

    /// When the mids are wanted next; `i64::MAX` when no fill waits.
    #[inline]
    pub const fn next_due(&self) -> i64 {
        self.next_due
    }

    /// It is `now`, and everything up to it has happened: `mids` are the mids by symbol.
    #[inline]
    pub fn settle(&mut self, now: i64, mids: &[Option<Price>]) {
        if now >= self.next_due {
            self.settle_due(now, mids);
        }
    }

    fn settle_due(&mut self, now: i64, mids: &[Option<Price>]) {
        self.next_due = i64::MAX;
        for (horizon, (after_ns, _)) in HORIZONS.iter().enumerate().skip(1) {
            while let Some(pending) = self.pending.get((self.next[horizon] - self.first) as usize).copied() {
                let due = pending.local_ns + after_ns;
                if due > now {
                    self.next_due = self.next_due.min(due);
                    break;
                }
                let mid = mids.get(pending.symbol.index()).copied().flatten();
                self.mark(horizon, &pending, mid.filter(|_| due == now));
                self.next[horizon] += 1;
            }
        }
        let done = self.next[HORIZONS.len() - 1];
        self.pending.drain(..(done - self.first) as usize);
        self.first = done;
    }

    /// Fills at a horizon that are of a kind for which `wanted` is true.
    pub fn at(&self, horizon: usize, wanted: impl Fn(FillKind) -> bool) -> Mark {
        let mut sum = Mark::default();
        for (kind, marks) in KINDS.iter().zip(&self.kinds) {
            if wanted(*kind) {
                let mark = &marks[horizon];
                sum.bps = sum.bps.with(mark.bps);
                sum.money += mark.money;
                sum.missed += mark.missed;
            }
        }
        sum
    }

    /// Fills that came while too many were waiting.
    pub const fn not_followed(&self) -> u64 {
        self.not_followed
    }

    fn mark(&mut self, horizon: usize, fill: &Pending, mid: Option<Price>) {
        let mark = &mut self.kinds[index(fill.kind)][horizon];
        let Some(mid) = mid.filter(|_| fill.price.units() > 0) else {
            mark.missed += 1;
            return;
        };
        let moved = mid - fill.price;
        let signed = if fill.kind.side == Side::Buy { moved } else { -moved };
        mark.bps.add(signed.as_f64() / fill.price.as_f64() * 1e4);
        mark.money += signed.times(fill.qty);
    }
}

const fn index(kind: FillKind) -> usize {
    (kind.maker as usize) << 1 | (kind.side as usize)
}

/// The four kinds, in the order of their index.
const KINDS: [FillKind; 4] = [
    FillKind { maker: false, side: Side::Buy },
    FillKind { maker: false, side: Side::Sell },
    FillKind { maker: true, side: Side::Buy },
    FillKind { maker: true, side: Side::Sell },
];

/// How long after the fill, in ns, and in words; ascending, the first is at once.
pub const HORIZONS: [(i64, &str); 9] = [
    (0, "0"),
    (10_000_000, "10 ms"),
    (100_000_000, "100 ms"),
    (1_000_000_000, "1 s"),
    (5_000_000_000, "5 s"),
    (10_000_000_000, "10 s"),
    (30_000_000_000, "30 s"),
    (60_000_000_000, "60 s"),
    (300_000_000_000, "5 min"),
];

/// Of a horizon one part in so many may be missed.
const MISSED_PARTS_MAX: u64 = 10;

/// Fills that wait at the same time: over 400 a second for five minutes.
pub const PENDING_MAX: usize = 131_072;

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: i64 = 1_000_000_000;

    fn fill(at: i64, side: Side, maker: bool, price: &str, mid: &str) -> FillLine {
        FillLine {
            symbol: SymbolId(0),
            id: 1,
            side,
            price: price.parse().unwrap(),
            qty: "0.5".parse().unwrap(),
            maker,
            fee: Notional::ZERO,
            ahead: Qty::ZERO,
            exchange_ns: at,
            local_ns: at,
            mid: Some(mid.parse().unwrap()),
        }
    }

    fn mids(mid: &str) -> [Option<Price>; 1] {
        [Some(mid.parse().unwrap())]
    }

    #[test]
    fn a_fill_is_marked_at_each_moment_that_is_seen_and_missed_at_the_others() {
        let mut markouts = Markouts::default();
        markouts.fill(&fill(SECOND, Side::Buy, true, "100", "100.05"));
        assert_eq!(markouts.next_due(), SECOND + 10_000_000);
        // 10 ms and 100 ms pass unseen; 1 s after the fill is seen.
        markouts.settle(2 * SECOND, &mids("99.9"));
        assert_eq!(markouts.next_due(), 6 * SECOND);
        let marks: Vec<Mark> = (0..5).map(|horizon| markouts.at(horizon, |_| true)).collect();
        assert_eq!((marks[0].bps.n(), marks[0].money.to_string().as_str()), (1, "0.025"));
        assert!((marks[0].bps.mean().unwrap() - 5.0).abs() < 1e-9);
        assert_eq!((marks[1].bps.n(), marks[1].missed, marks[2].missed), (0, 1, 1));
        assert_eq!(marks[3].money.to_string(), "-0.05");
        assert!((marks[3].bps.mean().unwrap() + 10.0).abs() < 1e-9);
        assert_eq!((marks[4].bps.n(), marks[4].missed), (0, 0), "still waiting");
        assert_eq!((marks[3].is_fair(), marks[1].is_fair()), (true, false), "what was missed is not told");
    }

    #[test]
    fn kinds_are_apart_and_the_wait_ends_with_the_last_horizon() {
        let mut markouts = Markouts::default();
        markouts.fill(&fill(0, Side::Buy, true, "100", "100"));
        markouts.fill(&fill(0, Side::Sell, false, "100", "100"));
        let mut seen = 0;
        while markouts.next_due() < i64::MAX {
            markouts.settle(markouts.next_due(), &mids("101"));
            seen += 1;
        }
        assert_eq!((seen, markouts.pending.len()), (8, 0), "fills of one moment are marked together");
        for horizon in 1..HORIZONS.len() {
            let maker = markouts.at(horizon, |kind| kind.maker);
            let sold = markouts.at(horizon, |kind| kind.side == Side::Sell);
            assert_eq!((maker.bps.n(), maker.money.to_string()), (1, "0.5".to_owned()));
            assert_eq!((sold.bps.n(), sold.money.to_string()), (1, "-0.5".to_owned()));
        }
        markouts.fill(&fill(SECOND, Side::Sell, true, "100", "100"));
        assert_eq!(markouts.next_due(), SECOND + 10_000_000);
    }

    #[test]
    fn what_waits_is_bounded() {
        let mut markouts = Markouts::default();
        for at in 0..PENDING_MAX as i64 + 3 {
            markouts.fill(&fill(at, Side::Buy, true, "100", "100"));
        }
        assert_eq!((markouts.pending.len(), markouts.not_followed()), (PENDING_MAX, 3));
    }
}
