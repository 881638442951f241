//! What we hold: the exchange's last word plus every trade since, and the check that both agree.
//!
//! The user stream tells positions and trades separately and in any order, so a told position only becomes a report
//! when the trades that made it have been booked; one that stays different is a reason to ask the exchange.
//! Never guesses which of the two is right. Runs on the oms thread; allocates nothing after start.

use std::time::Duration;

use optiflow_base::clock::{Nanos, nanos_of};
use optiflow_base::ids::SymbolId;
use optiflow_base::money::{Price, Qty};
use optiflow_base::order::Report;

/// Positions of the session's symbols.
#[derive(Debug)]
pub struct Positions {
    beliefs: Vec<Belief>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Belief {
    qty: Qty,
    entry: Price,
    /// The exchange has been asked at least once.
    known: bool,
    /// What the user stream said last, while it differs from what we believe.
    claim: Option<Claim>,
    /// When the answer that we adopted came, exchange ms: trades up to then may be in it, told or not.
    answered_ms: Option<u64>,
    /// A trade that may be in the answer was told only afterwards, and has been counted.
    overtaken: bool,
    told: Option<(Qty, Price)>,
    trades: u64,
}

#[derive(Clone, Copy, Debug)]
struct Claim {
    qty: Qty,
    entry: Price,
    since: Nanos,
}

impl Positions {
    /// Nothing known of this many symbols.
    pub fn new(symbols: usize) -> Positions {
        Positions { beliefs: vec![Belief::default(); symbols] }
    }

    /// What we believe to hold.
    pub fn qty(&self, symbol: SymbolId) -> Option<Qty> {
        self.beliefs.get(symbol.index()).filter(|belief| belief.known).map(|belief| belief.qty)
    }

    /// How many trades have been counted: an answer is about the present only if none came while it was on its way.
    pub fn trades(&self) -> u64 {
        self.beliefs.iter().map(|belief| belief.trades).sum()
    }

    /// A trade of ours at `at_ms` of the exchange's time: positive for a buy. Readers of reports count it themselves. A
    /// report follows when it explains what the user stream has claimed.
    pub fn own_trade(&mut self, now: Nanos, at_ms: u64, symbol: SymbolId, change: Qty, price: Price) -> Option<Report> {
        self.trade(at_ms, symbol, change, price)?;
        self.settle(now, symbol)
    }

    /// A trade of somebody else in our account: readers cannot count it, so they are told the result. The user stream
    /// claims the position before it tells the trade, so mostly the trade explains a claim and takes its entry.
    pub fn foreign_trade(
        &mut self,
        now: Nanos,
        at_ms: u64,
        symbol: SymbolId,
        change: Qty,
        price: Price,
    ) -> Option<Report> {
        self.trade(at_ms, symbol, change, price)?;
        self.settle(now, symbol).or_else(|| self.restate(now, symbol))
    }

    /// What we believe, once more.
    pub fn restate(&mut self, now: Nanos, symbol: SymbolId) -> Option<Report> {
        let belief = self.beliefs.get_mut(symbol.index())?;
        belief.known.then(|| belief.tell(now, symbol))
    }

    /// The user stream says what the position is.
    pub fn claimed(&mut self, now: Nanos, symbol: SymbolId, qty: Qty, entry: Price) -> Option<Report> {
        let belief = self.beliefs.get_mut(symbol.index())?;
        let since = belief.claim.map_or(now, |claim| claim.since);
        belief.claim = Some(Claim { qty, entry, since });
        self.settle(now, symbol)
    }

    /// The exchange, asked, says what the position is: from now on this is what we believe.
    pub fn adopt(&mut self, now: Nanos, symbol: SymbolId, qty: Qty, entry: Price) -> Option<Report> {
        let belief = self.beliefs.get_mut(symbol.index())?;
        let entry = belief.or_ours(qty, entry);
        *belief = Belief { qty, entry, known: true, claim: None, overtaken: false, ..*belief };
        Some(belief.tell(now, symbol))
    }

    /// The answers that were adopted came at `at_ms` of the exchange's time.
    pub fn answered(&mut self, at_ms: u64) {
        for belief in &mut self.beliefs {
            belief.answered_ms = Some(at_ms);
        }
    }

    /// Has a claim gone unexplained for too long, or may a trade have been counted that was in the last answer?
    pub fn is_disputed(&self, now: Nanos) -> bool {
        let overdue = |claim: Claim| now.since(claim.since) >= nanos_of(CLAIM_PATIENCE);
        self.beliefs.iter().any(|belief| belief.overtaken || belief.claim.is_some_and(overdue))
    }

    fn trade(&mut self, at_ms: u64, symbol: SymbolId, change: Qty, price: Price) -> Option<()> {
        let belief = self.beliefs.get_mut(symbol.index())?;
        belief.overtaken |= belief.answered_ms.is_some_and(|answered| at_ms <= answered);
        belief.entry = entry_after(belief.qty, belief.entry, change, price);
        // A sum that does not fit is not true; the claim that contradicts it leads to the truth.
        belief.qty = Qty::from_units(belief.qty.units().saturating_add(change.units()));
        belief.trades += 1;
        Some(())
    }

    fn settle(&mut self, now: Nanos, symbol: SymbolId) -> Option<Report> {
        let belief = self.beliefs.get_mut(symbol.index())?;
        let claim = belief.claim.filter(|claim| belief.known && claim.qty == belief.qty)?;
        belief.claim = None;
        belief.entry = belief.or_ours(claim.qty, claim.entry);
        (belief.told != Some((belief.qty, belief.entry))).then(|| belief.tell(now, symbol))
    }
}

impl Belief {
    fn tell(&mut self, at: Nanos, symbol: SymbolId) -> Report {
        self.told = Some((self.qty, self.entry));
        Report::Position { symbol, qty: self.qty, entry: self.entry, at }
    }

    /// The entry as told; ours where none was told although something is held.
    fn or_ours(&self, qty: Qty, told: Price) -> Price {
        if told.is_zero() && !qty.is_zero() { self.entry } else { told }
    }
}

/// The average entry after a trade: until the exchange says it, this is what it will say, but for rounding.
fn entry_after(held: Qty, entry: Price, change: Qty, price: Price) -> Price {
    let (before, added) = (i128::from(held.units()), i128::from(change.units()));
    let after = before + added;
    if after == 0 {
        return Price::ZERO;
    }
    if before == 0 || (before > 0) != (after > 0) || entry.is_zero() {
        return price;
    }
    if (before > 0) != (added > 0) {
        return entry;
    }
    let value = before.abs() * i128::from(entry.units()) + added.abs() * i128::from(price.units());
    i64::try_from(value / after.abs()).map_or(price, Price::from_units)
}

/// How long the user stream may claim a position that our trades do not explain.
const CLAIM_PATIENCE: Duration = Duration::from_secs(2);

#[cfg(test)]
mod tests {
    use super::*;

    const SYMBOL: SymbolId = SymbolId(0);
    const NOW: Nanos = Nanos(5);
    const AT_MS: u64 = 7;

    fn qty(units: i64) -> Qty {
        Qty::from_units(units)
    }

    fn price(units: i64) -> Price {
        Price::from_units(units)
    }

    fn position(units: i64, entry: i64) -> Option<Report> {
        Some(Report::Position { symbol: SYMBOL, qty: qty(units), entry: price(entry), at: NOW })
    }

    fn flat() -> Positions {
        let mut positions = Positions::new(1);
        assert_eq!(positions.qty(SYMBOL), None);
        assert_eq!(positions.adopt(NOW, SYMBOL, qty(0), price(0)), position(0, 0));
        positions
    }

    #[test]
    fn a_claim_is_reported_once_its_trades_are_booked_in_either_order() {
        let mut positions = flat();
        assert_eq!(positions.claimed(NOW, SYMBOL, qty(3), price(9)), None, "the trade comes later");
        assert_eq!(positions.own_trade(NOW, AT_MS, SYMBOL, qty(3), price(9)), position(3, 9));
        assert_eq!(positions.own_trade(NOW, AT_MS, SYMBOL, qty(2), price(7)), None, "the claim comes later");
        assert_eq!(positions.claimed(NOW, SYMBOL, qty(5), price(8)), position(5, 8));
        assert_eq!(positions.claimed(NOW, SYMBOL, qty(5), price(8)), None, "nothing new");
        assert!(!positions.is_disputed(Nanos::from_millis(60_000)));
    }

    #[test]
    fn a_claim_that_no_trade_explains_becomes_a_dispute_until_the_exchange_decides() {
        let mut positions = flat();
        positions.claimed(Nanos(0), SYMBOL, qty(7), price(1));
        positions.claimed(Nanos::from_millis(1_000), SYMBOL, qty(7), price(2));
        assert!(!positions.is_disputed(Nanos::from_millis(1_999)));
        assert!(positions.is_disputed(Nanos::from_millis(2_000)));
        assert_eq!(positions.adopt(NOW, SYMBOL, qty(7), price(1)), position(7, 1));
        assert!(!positions.is_disputed(Nanos::from_millis(9_000)));
        assert_eq!(positions.qty(SYMBOL), Some(qty(7)));
    }

    #[test]
    fn a_trade_that_may_be_in_the_answer_and_is_told_afterwards_makes_it_a_dispute() {
        let mut positions = flat();
        positions.answered(AT_MS - 1);
        positions.own_trade(NOW, AT_MS, SYMBOL, qty(3), price(9));
        assert!(!positions.is_disputed(NOW), "it happened after the answer");
        positions.adopt(NOW, SYMBOL, qty(3), price(9));
        positions.answered(AT_MS);
        positions.foreign_trade(NOW, AT_MS, SYMBOL, qty(3), price(9));
        assert!(positions.is_disputed(NOW), "three or six? The exchange must say");
        positions.adopt(NOW, SYMBOL, qty(3), price(9));
        assert!(!positions.is_disputed(NOW));
    }

    #[test]
    fn trades_of_others_are_reported_as_positions() {
        let mut positions = Positions::new(1);
        assert_eq!(positions.foreign_trade(NOW, AT_MS, SYMBOL, qty(1), price(5)), None, "the start is not known yet");
        let mut positions = flat();
        assert_eq!(positions.foreign_trade(NOW, AT_MS, SYMBOL, qty(-4), price(8)), position(-4, 8));
        assert_eq!(positions.foreign_trade(NOW, AT_MS, SYMBOL, qty(-4), price(6)), position(-8, 7), "the average");
        assert_eq!(positions.foreign_trade(NOW, AT_MS, SYMBOL, qty(3), price(1)), position(-5, 7), "what is left");
        assert_eq!(positions.foreign_trade(NOW, AT_MS, SYMBOL, qty(6), price(3)), position(1, 3), "turned round");
        assert_eq!(positions.foreign_trade(NOW, AT_MS, SYMBOL, qty(-1), price(3)), position(0, 0));
        assert_eq!(positions.trades(), 5);
        assert_eq!(positions.foreign_trade(NOW, AT_MS, SymbolId(9), qty(1), price(5)), None);
    }

    #[test]
    fn a_trade_of_others_that_explains_a_claim_settles_it_with_the_claimed_entry() {
        let mut positions = flat();
        assert_eq!(positions.claimed(NOW, SYMBOL, qty(4), price(9)), None, "the trade follows");
        assert_eq!(positions.foreign_trade(NOW, AT_MS, SYMBOL, qty(4), price(8)), position(4, 9));
        assert!(!positions.is_disputed(Nanos::from_millis(60_000)), "nothing is left to explain");
        // Two claims before their two trades.
        positions.claimed(NOW, SYMBOL, qty(6), price(10));
        positions.claimed(NOW, SYMBOL, qty(8), price(11));
        assert_eq!(positions.foreign_trade(NOW, AT_MS, SYMBOL, qty(2), price(12)), position(6, 10));
        assert_eq!(positions.foreign_trade(NOW, AT_MS, SYMBOL, qty(2), price(14)), position(8, 11));
        assert!(!positions.is_disputed(Nanos::from_millis(60_000)));
    }

    #[test]
    fn an_entry_of_nothing_is_not_told_of_something_held() {
        let mut positions = flat();
        positions.claimed(NOW, SYMBOL, qty(4), price(0));
        assert_eq!(positions.own_trade(NOW, AT_MS, SYMBOL, qty(4), price(8)), position(4, 8));
        assert_eq!(positions.adopt(NOW, SYMBOL, qty(4), price(0)), position(4, 8));
        assert_eq!(positions.adopt(NOW, SYMBOL, qty(0), price(0)), position(0, 0));
        let huge = |units| entry_after(qty(units), price(i64::MAX), qty(units), price(i64::MAX));
        assert_eq!((huge(i64::MAX), huge(i64::MIN)), (price(i64::MAX), price(i64::MAX)), "no sum is too large");
    }
}
