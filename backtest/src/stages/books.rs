//! What we have traded and been paid, symbol by symbol, as we learnt of it. Exact; never decides anything.

use optiflow_base::clock::Nanos;
use optiflow_base::ids::SymbolId;
use optiflow_base::money::{Notional, Side};
use optiflow_oms::order::Fill;

use super::observer::{Best, Standing, SymbolStanding};

/// The sums of a run.
pub(super) struct Books {
    symbols: Vec<SymbolStanding>,
    start: Notional,
    wallet: Notional,
}

impl Books {
    pub(super) fn new(symbols: usize, wallet: Notional) -> Books {
        Books { symbols: vec![SymbolStanding::default(); symbols], start: wallet, wallet }
    }

    pub(super) fn trade(&mut self, symbol: SymbolId, side: Side, fill: &Fill) {
        let book = &mut self.symbols[symbol.index()];
        let value = fill.price.times(fill.qty);
        book.position += side.signed(fill.qty);
        match side {
            Side::Buy => book.balance -= value,
            Side::Sell => book.balance += value,
        }
        book.fees += Notional::from_units(fill.fee.into());
        book.turnover += value;
        book.fills += 1;
    }

    pub(super) fn fund(&mut self, symbol: SymbolId, amount: Notional) {
        self.symbols[symbol.index()].funding += amount;
    }

    pub(super) fn set_wallet(&mut self, wallet: Notional) {
        self.wallet = wallet;
    }

    pub(super) const fn wallet(&self) -> Notional {
        self.wallet
    }

    pub(super) fn see(&mut self, symbol: SymbolId, best: Option<Best>) {
        let book = &mut self.symbols[symbol.index()];
        book.best = best;
        book.mid = best.map(|best| best.mid()).or(book.mid);
    }

    pub(super) fn best(&self, symbol: SymbolId) -> Option<Best> {
        self.symbols[symbol.index()].best
    }

    pub(super) fn standing(&self, at: Nanos, heard: Nanos) -> Standing<'_> {
        let profit: Notional = self.symbols.iter().map(SymbolStanding::profit).sum();
        Standing { at, heard, symbols: &self.symbols, wallet: self.wallet, equity: self.start + profit }
    }

    pub(super) fn into_symbols(self) -> Vec<SymbolStanding> {
        self.symbols
    }
}
