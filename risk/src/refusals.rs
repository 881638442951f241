//! The breaker for identical refusals: what the exchange says no to again and again is not asked for again at once.
//!
//! Counts refusals of one symbol by what is refused and how. So many of a kind within a window pause entries there, longer
//! each time, up to a bound; after a pause one entry is let through to see whether it heals. A kind that waiting does not heal
//! latches the symbol until a restart. Modifications that are refused and post-only orders that would have taken are daily
//! bread: only very many of them pause. Exits and cancels always pass. Knows no venue: which codes are lasting it is told.
//! Risk thread.

use std::time::Duration;

use optiflow_base::clock::{Nanos, nanos_of};
use optiflow_base::ids::SymbolId;
use optiflow_base::log::Refusal;
use optiflow_base::order::{DenyReason, OrderChange, OrderEvent};

use crate::exposure::Exposure;

/// The breakers of all symbols.
#[derive(Debug)]
pub(crate) struct Refusals {
    symbols: Vec<Breaker>,
    is_lasting: fn(i32) -> bool,
}

/// What a refusal brings about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Halt {
    /// What was refused too often.
    pub(crate) refusal: Refusal,
    /// Entries wait so long; `None`: until a restart.
    pub(crate) until: Option<Nanos>,
}

/// One symbol.
#[derive(Clone, Copy, Debug, Default)]
struct Breaker {
    /// No entry before this.
    until: Nanos,
    /// What ended or ends then is a pause, not the wait for a probe's answer.
    pausing: bool,
    /// There was a pause, and no order has been accepted since.
    probing: bool,
    kinds: [Option<Kind>; KINDS_LEN],
}

/// One kind of refusal and how often it was met.
#[derive(Clone, Copy, Debug)]
struct Kind {
    refusal: Refusal,
    /// Since when it is counted.
    since: Nanos,
    /// How often since then.
    count: u32,
    /// When it was met last.
    last: Nanos,
    /// Pauses in a row.
    pauses: u32,
}

impl Refusals {
    /// Nothing refused yet in `symbols` symbols; `is_lasting` knows the codes that waiting does not heal.
    pub(crate) fn new(symbols: usize, is_lasting: fn(i32) -> bool) -> Refusals {
        Refusals { symbols: vec![Breaker::default(); symbols], is_lasting }
    }

    /// May an order that opens or enlarges a position be placed or changed now?
    pub(crate) fn may_open(&self, now: Nanos, symbol: SymbolId) -> Result<(), DenyReason> {
        if now >= self.symbols[symbol.index()].until { Ok(()) } else { Err(DenyReason::RepeatedRefusal) }
    }

    /// Such an order was approved: the first one after a pause is a probe, and others wait for its answer, not for ever.
    pub(crate) fn opened(&mut self, now: Nanos, symbol: SymbolId) {
        let breaker = &mut self.symbols[symbol.index()];
        if breaker.probing {
            (breaker.until, breaker.pausing) = (later(now, PROBE_WAIT), false);
        }
    }

    /// The exchange took an order: after a pause that heals. During one it says nothing: the order left before it.
    pub(crate) fn accepted(&mut self, now: Nanos, symbol: SymbolId) {
        let breaker = &mut self.symbols[symbol.index()];
        if breaker.probing && !breaker.is_paused(now) {
            (breaker.until, breaker.probing) = (Nanos(0), false);
        }
    }

    /// Counts a refusal; tells when entries are halted for it from now on. What is refused during a pause left before it
    /// and says nothing new.
    pub(crate) fn count(&mut self, now: Nanos, symbol: SymbolId, refusal: Refusal) -> Option<Halt> {
        let is_lasting = matches!(refusal, Refusal::Order(code) if (self.is_lasting)(code));
        let breaker = &mut self.symbols[symbol.index()];
        if breaker.is_paused(now) {
            return None;
        }
        let kind = breaker.kind(now, refusal);
        (kind.count, kind.last) = (kind.count.saturating_add(1), now);
        // After a pause one more of the same is one too many, except of what is met every day.
        let known = kind.pauses > 0 && !is_daily(refusal);
        if kind.count < most(refusal) && !known {
            // It may be the answer to a probe: the next one may ask.
            breaker.until = Nanos(0);
            return None;
        }
        let until = if is_lasting { FOR_EVER } else { later(now, kind.pause()) };
        kind.pauses = kind.pauses.saturating_add(1);
        (kind.count, kind.since, kind.last) = (0, until, until);
        (breaker.until, breaker.pausing, breaker.probing) = (until, true, !is_daily(refusal));
        Some(Halt { refusal, until: (!is_lasting).then_some(until) })
    }
}

/// What a report says of a refusal, if it is one. Codes of our own, which are not negative, never reached the exchange.
#[inline]
pub(crate) fn refusal(event: &OrderEvent, exposure: &Exposure) -> Option<Refusal> {
    match event.change {
        OrderChange::Refused { code } if code < 0 => Some(Refusal::Order(code)),
        OrderChange::ModifyRefused { code } if code < 0 => Some(Refusal::Modify(code)),
        OrderChange::Expired => exposure.is_untouched_post_only(event.order).then_some(Refusal::WouldTake),
        OrderChange::Refused { .. }
        | OrderChange::ModifyRefused { .. }
        | OrderChange::Denied(_)
        | OrderChange::Sent
        | OrderChange::Accepted { .. }
        | OrderChange::Unknown
        | OrderChange::Filled { .. }
        | OrderChange::CancelSent
        | OrderChange::CancelRefused { .. }
        | OrderChange::ModifySent
        | OrderChange::Modified { .. }
        | OrderChange::Done
        | OrderChange::Cancelled => None,
    }
}

impl Breaker {
    fn is_paused(&self, now: Nanos) -> bool {
        self.pausing && now < self.until
    }

    /// The count of a kind, begun anew when its window is over; the kind that was met longest ago gives way to a new one.
    fn kind(&mut self, now: Nanos, refusal: Refusal) -> &mut Kind {
        let fresh = Kind { refusal, since: now, count: 0, last: now, pauses: 0 };
        let known = self.kinds.iter().position(|kind| kind.is_some_and(|kind| kind.refusal == refusal));
        let oldest = || {
            let ages = self.kinds.iter().enumerate().map(|(at, kind)| (kind.map(|kind| kind.last), at));
            ages.min().map_or(0, |(_, at)| at)
        };
        let at = known.unwrap_or_else(oldest);
        let kind = self.kinds[at].get_or_insert(fresh);
        if kind.refusal != refusal || now.since(kind.last) >= nanos_of(FORGOTTEN_AFTER) {
            *kind = fresh;
        } else if now.since(kind.since) >= nanos_of(WINDOW) {
            (kind.since, kind.count) = (now, 0);
        }
        kind
    }
}

impl Kind {
    /// Twice the pause before it.
    fn pause(&self) -> Duration {
        PAUSE_FIRST.saturating_mul(1 << self.pauses.min(DOUBLINGS_MAX)).min(PAUSE_MAX)
    }
}

const fn later(now: Nanos, span: Duration) -> Nanos {
    Nanos(now.0.saturating_add(span.as_nanos() as u64))
}

/// How many of a kind in a window are one too many.
const fn most(refusal: Refusal) -> u32 {
    if is_daily(refusal) { DAILY_MAX } else { IDENTICAL_MAX }
}

/// Is it met every day, by a strategy that does nothing wrong?
const fn is_daily(refusal: Refusal) -> bool {
    match refusal {
        Refusal::Order(_) => false,
        Refusal::Modify(_) | Refusal::WouldTake => true,
    }
}

/// Identical refusals of new orders in a window that halt entries.
pub const IDENTICAL_MAX: u32 = 5;
/// The same of modifications, and of post-only orders that would have taken: a fast market has many.
pub const DAILY_MAX: u32 = 200;
/// In which they are counted.
pub const WINDOW: Duration = Duration::from_secs(60);
/// The first pause; each one after it is twice as long.
pub const PAUSE_FIRST: Duration = Duration::from_secs(1);
/// The longest pause.
pub const PAUSE_MAX: Duration = Duration::from_secs(60);
/// A probe whose answer has not come after this keeps the next one back no longer.
pub const PROBE_WAIT: Duration = Duration::from_secs(2);
/// A kind that was not met for so long, pauses not counted, begins with the first pause again.
const FORGOTTEN_AFTER: Duration = Duration::from_secs(120);
/// Kinds of one symbol that are counted at once.
const KINDS_LEN: usize = 8;
/// The pause doubles at most so often before its bound is reached anyway.
const DOUBLINGS_MAX: u32 = 16;
/// No clock of ours gets there.
const FOR_EVER: Nanos = Nanos(u64::MAX);

#[cfg(test)]
mod tests;
