//! The collector: hears all that a run tells and keeps what the report shows, in memory that does not grow with the run.
//!
//! It only listens: nothing here reaches back into the run. To have markouts measured, whoever drives the run asks
//! [`Collector::next_due`] when a look is wanted, and looks at exactly that time: after everything up to it, before
//! anything later.

use std::collections::VecDeque;

use optiflow_base::ids::SymbolId;
use optiflow_base::money::{Notional, Price, Qty, Side};

use super::account::{Account, Closings};
use super::days::Days;
use super::markouts::Markouts;
use super::moments::Moments;
use super::orders::Orders;
use super::returns::Returns;
use super::series::{Sample, Series};
use super::spans::Spans;
use super::words::{Best, FillLine, OrderLine, Standing, Status, Tells};

/// What a run came to, as far as it has gone.
#[derive(Clone, Debug)]
pub struct Collector {
    pub(super) symbols: Vec<Symbol>,
    pub(super) orders: Orders,
    pub(super) markouts: Markouts,
    pub(super) latency: Latency,
    pub(super) returns: Returns,
    pub(super) days: Days,
    pub(super) equity: Series,
    pub(super) depth: Series,
    mids: Vec<Option<Price>>,
    span_ns: Option<(i64, i64)>,
}

/// One symbol.
#[derive(Clone, Debug, Default)]
pub(super) struct Symbol {
    pub(super) name: String,
    pub(super) account: Account,
    pub(super) price: Series,
    pub(super) position: Series,
    pub(super) fills: Sample<Drawn>,
    pub(super) standing: Option<Standing>,
    /// Mids of the moments at which the trader asked for something, the latest last.
    decisions: VecDeque<(i64, Price)>,
}

/// A fill as the charts show it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Drawn {
    pub(super) at: i64,
    pub(super) side: Side,
    pub(super) price: Price,
    pub(super) qty: Qty,
    pub(super) maker: bool,
    pub(super) realised: Option<Notional>,
}

/// How long requests and answers travelled, and what the mid did meanwhile.
#[derive(Clone, Debug, Default)]
pub(super) struct Latency {
    pub(super) entry: Spans,
    pub(super) response: Spans,
    pub(super) round_trip: Spans,
    pub(super) lost: u64,
    pub(super) moves: [Moves; 2],
}

/// Moves of the mid from the decision for an order until its first answer was seen.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Moves {
    /// Up for a buy, down for a sale: away from a resting order, against one that takes; bps.
    pub(super) away: Moments,
    /// Whatever the direction, bps.
    pub(super) size: Moments,
    /// How many times it stood still.
    pub(super) still: u64,
}

impl Collector {
    /// For symbols of these names, in the order of their ids.
    pub fn new(names: &[String]) -> Collector {
        let symbol = |name: &String| Symbol { name: name.clone(), ..Symbol::default() };
        Collector {
            symbols: names.iter().map(symbol).collect(),
            orders: Orders::new(names.len()),
            markouts: Markouts::default(),
            latency: Latency::default(),
            returns: Returns::default(),
            days: Days::default(),
            equity: Series::default(),
            depth: Series::default(),
            mids: vec![None; names.len()],
            span_ns: None,
        }
    }

    /// An answer, at its time.
    pub fn order(&mut self, line: &OrderLine) {
        let is_first = self.orders.order(line);
        self.latency.answer(line, is_first);
        if is_first && line.exchange_ns > 0 {
            let decided = self.symbols[line.symbol.index()].decided_at(line.requested_ns);
            if let (Some(before), Some(best)) = (decided, line.best) {
                self.latency.moves[line.side as usize].add(line.side, before, best.mid());
            }
        }
    }

    /// An execution, after its answer.
    pub fn fill(&mut self, line: &FillLine) {
        let symbol = &mut self.symbols[line.symbol.index()];
        let realised = symbol.account.fill(line);
        let FillLine { local_ns, side, price, qty, maker, .. } = *line;
        symbol.position.add(local_ns, i128::from(symbol.account.position().units()));
        symbol.fills.add(Drawn { at: local_ns, side, price, qty, maker, realised });
        self.days.fill(local_ns, price.times(qty), line.fee, realised.unwrap_or_default());
        self.orders.fill(line);
        self.markouts.fill(line);
    }

    /// When the best prices are wanted next for markouts; `i64::MAX` while no fill waits.
    #[inline]
    pub const fn next_due(&self) -> i64 {
        self.markouts.next_due()
    }

    /// The best prices of a symbol as the trader sees them now; look at every symbol, then [`Collector::settle`].
    #[inline]
    pub fn look(&mut self, symbol: SymbolId, best: Option<Best>) {
        if let Some(best) = best {
            self.mids[symbol.index()] = Some(best.mid());
            self.orders.look(symbol, best);
        }
    }

    /// The trader asked for something of this symbol at `now`, on the best prices looked at last.
    pub fn decided(&mut self, symbol: SymbolId, now: i64) {
        let Some(mid) = self.mids[symbol.index()] else { return };
        let decisions = &mut self.symbols[symbol.index()].decisions;
        if decisions.len() == DECISIONS_MAX {
            decisions.pop_front();
        }
        decisions.push_back((now, mid));
    }

    /// All symbols were looked at, and it is `now`.
    #[inline]
    pub fn settle(&mut self, now: i64) {
        self.markouts.settle(now, &self.mids);
    }

    /// The market told something at `at`, no later than the next sample: who never says so is taken to hear it always.
    pub const fn heard(&mut self, at: i64) {
        self.returns.heard(at);
    }

    /// Where every symbol stands at `now`, by symbol; `None` before a market had two sides.
    pub fn sample(&mut self, now: i64, standings: &[Option<Standing>]) {
        self.span_ns = Some((self.span_ns.map_or(now, |(first, _)| first), now));
        for (symbol, standing) in self.symbols.iter_mut().zip(standings) {
            if let Some(standing) = standing {
                symbol.price.add(now, i128::from(standing.mid.units()));
                symbol.position.add(now, i128::from(standing.position.units()));
                symbol.standing = Some(*standing);
            }
        }
        let Some(equity) = self.equity() else { return };
        self.returns.sample(now, equity);
        self.days.sample(now, equity, self.funding().unwrap_or_default());
        self.equity.add(now, equity.units());
        self.depth.add(now, -self.returns.depth().units());
    }

    /// Equity of all symbols; `None` before any market had two sides.
    pub fn equity(&self) -> Option<Notional> {
        let mut standings = self.standings().peekable();
        standings.peek()?;
        Some(standings.map(|standing| standing.equity).sum())
    }

    /// Funding of all symbols, received less paid; `None` where there was none.
    pub fn funding(&self) -> Option<Notional> {
        let mut funding = self.standings().filter_map(|standing| standing.funding).peekable();
        funding.peek()?;
        Some(funding.sum())
    }

    /// Realised and unrealised profit of all symbols, before fees.
    pub fn profit(&self) -> (Notional, Notional) {
        let realised = self.symbols.iter().map(|symbol| symbol.account.realised()).sum();
        (realised, self.symbols.iter().map(Symbol::unrealised).sum())
    }

    /// Fees of all symbols.
    pub fn fees(&self) -> Notional {
        self.symbols.iter().map(|symbol| symbol.account.fees()).sum()
    }

    /// Value traded, all and as maker.
    pub fn turnover(&self) -> (Notional, Notional) {
        let all = self.symbols.iter().map(|symbol| symbol.account.turnover());
        all.fold(Default::default(), |sum, one| (sum.0 + one.0, sum.1 + one.1))
    }

    /// Fills, all and as maker.
    pub fn fills(&self) -> (u64, u64) {
        let all = self.symbols.iter().map(|symbol| symbol.account.fills());
        all.fold((0, 0), |sum, one| (sum.0 + one.0, sum.1 + one.1))
    }

    /// What fills realised, all symbols.
    pub(super) fn closings(&self) -> Closings {
        self.symbols.iter().fold(Closings::default(), |sum, symbol| sum.with(symbol.account.closings()))
    }

    /// First and last time of a sample.
    pub(super) const fn span_ns(&self) -> Option<(i64, i64)> {
        self.span_ns
    }

    fn standings(&self) -> impl Iterator<Item = &Standing> {
        self.symbols.iter().filter_map(|symbol| symbol.standing.as_ref())
    }
}

impl Symbol {
    pub(super) fn unrealised(&self) -> Notional {
        self.standing.map_or(Notional::ZERO, |standing| self.account.unrealised(standing.mid))
    }

    fn decided_at(&self, requested_ns: i64) -> Option<Price> {
        let at = self.decisions.binary_search_by_key(&requested_ns, |(at, _)| *at).ok()?;
        Some(self.decisions[at].1)
    }
}

impl Latency {
    fn answer(&mut self, line: &OrderLine, is_first: bool) {
        let is_lost = line.tells == Tells::Rejected && line.exchange_ns < line.requested_ns;
        if is_lost {
            self.lost += 1;
            return;
        }
        self.response.add(line.local_ns - line.exchange_ns);
        // An unasked answer (a fill of a resting order, the end of what did not fill) says nothing of the way there.
        let is_asked = match line.tells {
            Tells::Rejected => true,
            Tells::State => line.status != Status::Expired,
            Tells::Fill => false,
        };
        if is_first || is_asked {
            self.entry.add(line.exchange_ns - line.requested_ns);
            self.round_trip.add(line.local_ns - line.requested_ns);
        }
    }
}

impl Moves {
    fn add(&mut self, side: Side, before: Price, after: Price) {
        if before.units() <= 0 {
            return;
        }
        let up = (after - before).as_f64() / before.as_f64() * 1e4;
        self.away.add(if side == Side::Buy { up } else { -up });
        self.size.add(up.abs());
        self.still += u64::from(after == before);
    }

    pub(super) fn with(self, other: Moves) -> Moves {
        Moves { away: self.away.with(other.away), size: self.size.with(other.size), still: self.still + other.still }
    }
}

/// Decisions remembered until their answers come; an older one's answer says nothing of the mid.
const DECISIONS_MAX: usize = 65_536;
