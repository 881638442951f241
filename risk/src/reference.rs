//! What a price is measured against: the freshest top of the book and mark of one symbol.
//!
//! Says "no reference" rather than guess: when a part is missing, too old, silent, late, lost or crossed. New risk needs both
//! parts; for an exit either will do. Never keeps a history. Written by quotes, read by checks; risk thread.

use std::time::Duration;

use optiflow_base::clock::{Nanos, nanos_of};
use optiflow_base::market::{MarketBody, MarketEvent, StreamKind};
use optiflow_base::money::{Price, Side};

/// The last top and mark of one symbol, with when their bytes were read.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Reference {
    top: Option<Stamped<(Price, Price)>>,
    mark: Option<Stamped<Price>>,
    /// The stream is silent, or tells old news: then it still speaks, and is not believed.
    top_out: bool,
    mark_out: bool,
    /// The last ask and mark, believed or not; zero before the first.
    last: (Price, Price),
}

#[derive(Clone, Copy, Debug)]
struct Stamped<T> {
    at: Nanos,
    value: T,
}

/// A reference that may be used now: fresh, positive and not crossed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Quote {
    /// Best bid.
    pub(crate) bid: Price,
    /// Best ask.
    pub(crate) ask: Price,
    /// Mark price.
    pub(crate) mark: Price,
}

impl Reference {
    /// Takes in one event of the quotes ring; events that say nothing about top or mark are ignored.
    pub(crate) fn hear(&mut self, event: &MarketEvent) {
        match event.body {
            MarketBody::Top { bid, ask, .. } => {
                self.top = Some(Stamped { at: event.received, value: (bid.price, ask.price) });
                self.last.0 = ask.price;
            }
            MarketBody::Mark { mark, .. } => {
                self.mark = Some(Stamped { at: event.received, value: mark });
                self.last.1 = mark;
            }
            MarketBody::BookLost { .. } => self.top = None,
            MarketBody::Silence { stream: StreamKind::Top, silent, .. } => self.top_out = silent,
            MarketBody::Silence { stream: StreamKind::Mark, silent, .. } => self.mark_out = silent,
            MarketBody::Silence { stream: StreamKind::Depth | StreamKind::Trade, .. }
            | MarketBody::DepthStart { .. }
            | MarketBody::Levels { .. }
            | MarketBody::Trade { .. } => {}
        }
    }

    /// The reference at `now`, if every part of it can be believed.
    pub(crate) fn fresh(&self, now: Nanos, age_max: Duration) -> Option<Quote> {
        let ((bid, ask), mark) = (self.fresh_top(now, age_max)?, self.fresh_mark(now, age_max)?);
        Some(Quote { bid, ask, mark })
    }

    /// What an exit is measured against at `now`: the mark, or else the mid, whichever can be believed.
    pub(crate) fn fresh_for_exit(&self, now: Nanos, age_max: Duration) -> Option<Price> {
        let mid = || self.fresh_top(now, age_max).map(|(bid, ask)| middle(bid, ask));
        self.fresh_mark(now, age_max).or_else(mid)
    }

    /// The last price heard, the higher of ask and mark, however old; zero before the first.
    pub(crate) fn last(&self) -> Price {
        self.last.0.max(self.last.1).max(Price::ZERO)
    }

    fn fresh_top(&self, now: Nanos, age_max: Duration) -> Option<(Price, Price)> {
        let top = self.top.filter(|top| !self.top_out && now.since(top.at) <= nanos_of(age_max))?;
        let (bid, ask) = top.value;
        (bid > Price::ZERO && bid < ask).then_some((bid, ask))
    }

    fn fresh_mark(&self, now: Nanos, age_max: Duration) -> Option<Price> {
        let mark = self.mark.filter(|mark| !self.mark_out && now.since(mark.at) <= nanos_of(age_max))?;
        (mark.value > Price::ZERO).then_some(mark.value)
    }
}

impl Quote {
    /// Half way between bid and ask, rounded down to a unit.
    pub(crate) fn mid(&self) -> Price {
        middle(self.bid, self.ask)
    }

    /// What an order of `side` without a price would trade at.
    pub(crate) const fn opposite(&self, side: Side) -> Price {
        match side {
            Side::Buy => self.ask,
            Side::Sell => self.bid,
        }
    }

    /// The price at which an order is valued: the highest of its own, the ask and the mark, so that no limit is
    /// evaded by the choice of price.
    pub(crate) fn valuation(&self, price: Price) -> Price {
        price.max(self.ask).max(self.mark)
    }
}

const fn middle(bid: Price, ask: Price) -> Price {
    Price::from_units(bid.units().midpoint(ask.units()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use optiflow_base::ids::SymbolId;
    use optiflow_base::market::{BookLoss, Level};

    const SYMBOL: SymbolId = SymbolId(0);

    fn event(at: u64, body: MarketBody) -> MarketEvent {
        MarketEvent { received: Nanos::from_millis(at), body }
    }

    fn top(at: u64, bid: i64, ask: i64) -> MarketEvent {
        let level = |units: i64| Level { price: Price::from_units(units), qty: Default::default() };
        event(at, MarketBody::Top { symbol: SYMBOL, update_id: 1, bid: level(bid), ask: level(ask), event_ms: 0 })
    }

    fn mark(at: u64, mark: i64) -> MarketEvent {
        let mark = Price::from_units(mark);
        let body =
            MarketBody::Mark { symbol: SYMBOL, mark, index: mark, funding_rate: 0, next_funding_ms: 0, event_ms: 0 };
        event(at, body)
    }

    fn silence(stream: StreamKind, silent: bool) -> MarketEvent {
        event(10, MarketBody::Silence { symbol: SYMBOL, stream, silent })
    }

    #[test]
    fn a_reference_needs_both_parts_fresh_and_sound() {
        let lost = event(10, MarketBody::BookLost { symbol: SYMBOL, reason: BookLoss::Gap });
        let table: &[(&str, &[MarketEvent], bool)] = &[
            ("nothing", &[], false),
            ("top alone", &[top(10, 100, 102)], false),
            ("mark alone", &[mark(10, 101)], false),
            ("both", &[top(10, 100, 102), mark(10, 101)], true),
            ("old top", &[top(9, 100, 102), mark(10, 101)], false),
            ("old mark", &[top(10, 100, 102), mark(9, 101)], false),
            ("crossed", &[top(10, 102, 100), mark(10, 101)], false),
            ("locked", &[top(10, 100, 100), mark(10, 101)], false),
            ("no bid", &[top(10, 0, 102), mark(10, 101)], false),
            ("no mark", &[top(10, 100, 102), mark(10, 0)], false),
            ("book lost", &[top(10, 100, 102), mark(10, 101), lost], false),
            ("book lost, new top", &[mark(10, 101), lost, top(11, 100, 102)], true),
            ("silent top", &[top(10, 100, 102), mark(10, 101), silence(StreamKind::Top, true)], false),
            ("late top", &[mark(10, 101), silence(StreamKind::Top, true), top(10, 100, 102)], false),
            ("late mark", &[top(10, 100, 102), silence(StreamKind::Mark, true), mark(10, 101)], false),
            (
                "late and caught up",
                &[mark(10, 101), silence(StreamKind::Top, true), top(10, 100, 102), silence(StreamKind::Top, false)],
                true,
            ),
            ("silent mark", &[top(10, 100, 102), mark(10, 101), silence(StreamKind::Mark, true)], false),
            ("silent trades", &[top(10, 100, 102), mark(10, 101), silence(StreamKind::Trade, true)], true),
            ("speaks again", &[top(10, 100, 102), mark(10, 101), silence(StreamKind::Top, false)], true),
        ];
        for (name, events, expected) in table {
            let mut reference = Reference::default();
            events.iter().for_each(|event| reference.hear(event));
            let fresh = reference.fresh(Nanos::from_millis(20), Duration::from_millis(10));
            assert_eq!(fresh.is_some(), *expected, "{name}");
        }
    }

    #[test]
    fn an_exit_is_measured_against_the_mark_or_else_the_mid() {
        let lost = event(10, MarketBody::BookLost { symbol: SYMBOL, reason: BookLoss::Gap });
        let table: &[(&str, &[MarketEvent], Option<i64>)] = &[
            ("nothing", &[], None),
            ("top alone", &[top(10, 100, 104)], Some(102)),
            ("mark alone", &[mark(10, 101)], Some(101)),
            ("both", &[top(10, 100, 104), mark(10, 101)], Some(101)),
            ("old mark", &[top(10, 100, 104), mark(9, 101)], Some(102)),
            ("old top", &[top(9, 100, 104), mark(10, 101)], Some(101)),
            ("both old", &[top(9, 100, 104), mark(9, 101)], None),
            ("crossed, no mark", &[top(10, 104, 100)], None),
            ("book lost", &[top(10, 100, 104), mark(10, 101), lost], Some(101)),
            ("book lost, no mark", &[top(10, 100, 104), lost], None),
        ];
        for (name, events, expected) in table {
            let mut reference = Reference::default();
            events.iter().for_each(|event| reference.hear(event));
            let found = reference.fresh_for_exit(Nanos::from_millis(20), Duration::from_millis(10));
            assert_eq!(found.map(Price::units), *expected, "{name}");
        }
    }

    #[test]
    fn orders_are_valued_at_the_worst_price() {
        let price = Price::from_units;
        let quote = Quote { bid: price(100), ask: price(102), mark: price(104) };
        assert_eq!(quote.mid(), price(101));
        assert_eq!((quote.opposite(Side::Buy), quote.opposite(Side::Sell)), (price(102), price(100)));
        assert_eq!((quote.valuation(price(90)), quote.valuation(price(110))), (price(104), price(110)));
    }
}
