//! Marks and what hangs on them: the source's or derived ones, funding at its time, the check of the margin.
//!
//! Funding is paid at the funding time itself, by what is held then, at the mark and rate told last; requests and ticks
//! of that very moment come after it. Where the source tells no marks, the middle of the book is the mark: each second,
//! and in a long silence, where nothing moves it, at the funding times alone.

use optiflow_base::clock::Nanos;
use optiflow_base::money::Price;

use crate::core::{Core, Mark};
use crate::words::{CoreEvent, MarketTick, SymbolIndex, Tick};

impl Core {
    /// The source tells a mark; `next_funding_ms` is in the market's time, 0 where it does not say.
    pub(super) fn hear_mark(&mut self, now: Nanos, symbol: SymbolIndex, mut mark: Mark, out: &mut Vec<CoreEvent>) {
        self.markets[symbol].marked_by_source = true;
        let funding_at = match mark.next_funding_ms {
            0 => next_calendar_funding(now),
            ms => self.exchange_time(Nanos::from_millis(ms)),
        };
        mark.next_funding_ms = funding_at.millis();
        self.set_mark(now, symbol, mark, funding_at, out);
    }

    /// Gives a mark, taken from the middle of the book, to every symbol whose source has none.
    pub(super) fn derive_marks(&mut self, now: Nanos, out: &mut Vec<CoreEvent>) {
        assert!(now == self.marks_due, "marks are derived when they are due");
        let is_quiet = now.since(self.heard) > QUIET_MAX;
        self.marks_due = if is_quiet { next_calendar_funding(now) } else { Nanos(now.0 + MARK_EVERY) };
        for symbol in 0..self.markets.len() {
            let market = &self.markets[symbol];
            let Some(mid) = market.book.mid().filter(|_| !market.marked_by_source) else { continue };
            let funding_at = next_calendar_funding(now);
            let next_funding_ms = funding_at.millis();
            let mark = Mark { mark: mid, index: mid, funding_rate: DERIVED_FUNDING_RATE, next_funding_ms };
            self.set_mark(now, symbol, mark, funding_at, out);
        }
    }

    /// The market speaks again: marks come every second, as before a silence.
    pub(super) fn wake_marks(&mut self, now: Nanos) {
        self.heard = now;
        self.marks_due = self.marks_due.min(Nanos((now.0 + 1).next_multiple_of(MARK_EVERY)));
    }

    /// The next time at which a funding is due.
    pub(super) fn funding_due(&self) -> Option<Nanos> {
        self.markets.iter().filter_map(|market| market.funding_due).min()
    }

    /// Pays what is due now.
    pub(super) fn pay_funding(&mut self, now: Nanos, out: &mut Vec<CoreEvent>) {
        for symbol in 0..self.markets.len() {
            let market = &mut self.markets[symbol];
            if market.funding_due.take_if(|due| *due == now).is_none() {
                continue;
            }
            let mark = market.mark;
            if !self.account.position(symbol).qty.is_zero() {
                let amount = self.account.fund(symbol, mark.mark, mark.funding_rate);
                out.push(CoreEvent::Funding { at: now, symbol, amount, wallet: self.account.wallet() });
            }
        }
    }

    /// The mark, or the middle of the book while there is none; zero when there is neither.
    pub fn reference_price(&self, symbol: SymbolIndex) -> Price {
        let market = &self.markets[symbol];
        if market.mark.mark > Price::ZERO { market.mark.mark } else { market.book.mid().unwrap_or(Price::ZERO) }
    }

    fn set_mark(&mut self, now: Nanos, symbol: SymbolIndex, mark: Mark, funding_at: Nanos, out: &mut Vec<CoreEvent>) {
        let market = &mut self.markets[symbol];
        market.mark = mark;
        // A time that has passed was paid when it came, or before anybody was here.
        market.funding_due = Some(funding_at).filter(|due| *due > now);
        let Mark { mark, index, funding_rate, next_funding_ms } = mark;
        let what = Tick::Mark { mark, index, funding_rate, next_funding_ms };
        out.push(CoreEvent::Market(MarketTick { at: now, symbol, what }));
        self.check_margin(now, out);
    }
}

/// The next 00:00, 08:00 or 16:00 UTC after `now`.
fn next_calendar_funding(now: Nanos) -> Nanos {
    Nanos((now.0 + 1).next_multiple_of(FUNDING_EVERY))
}

/// Marks come every second of exchange time.
pub(super) const MARK_EVERY: u64 = 1_000_000_000;
/// Silence of the market after which marks are derived at funding times alone: between recordings may lie years.
const QUIET_MAX: u64 = 120 * MARK_EVERY;
/// Funding is paid every eight hours where the source does not say otherwise.
pub(super) const FUNDING_EVERY: u64 = 8 * 3_600 * 1_000_000_000;
/// Funding rate where the source has none: 0.01 %, the interest part alone.
const DERIVED_FUNDING_RATE: i64 = 10_000;
