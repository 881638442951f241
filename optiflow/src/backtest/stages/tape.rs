//! A run of the stages in the words of the tables and the report.

use optiflow_backtest::stages::Observer;
use optiflow_backtest::stages::observer::{Answer, Best, Fill, Flow, Standing, SymbolStanding};
use optiflow_base::clock::Nanos;
use optiflow_base::log::LogEvent;
use optiflow_base::order::{Intent, NewOrder};

use super::keeper::Keeper;
use crate::backtest::output::Tape;
use crate::problem::Problem;
use crate::report::words::{self, FillLine, OrderLine};

/// Writes down what it sees, and hands logs to the keeper.
pub(super) struct Onlooker<'a> {
    tape: Tape,
    keeper: Option<&'a mut Keeper>,
    standings: Vec<Option<words::Standing>>,
    /// Orders that were answered and have not ended.
    open: usize,
    looked: Nanos,
    problem: Option<Problem>,
}

impl<'a> Onlooker<'a> {
    pub(super) fn new(tape: Tape, keeper: Option<&'a mut Keeper>) -> Onlooker<'a> {
        Onlooker { tape, keeper, standings: Vec::new(), open: 0, looked: Nanos(0), problem: None }
    }

    /// The tables, and what made the run end before its time.
    pub(super) fn into_tape(self) -> (Tape, Option<Problem>) {
        (self.tape, self.problem)
    }

    fn see(&mut self, standing: &Standing<'_>) {
        self.looked = standing.at;
        for (symbol, id) in standing.symbols.iter().zip(0..) {
            self.tape.collector().look(optiflow_base::ids::SymbolId(id), symbol.best);
        }
        self.tape.collector().settle(time(standing.at));
    }
}

impl Observer for Onlooker<'_> {
    fn before(&mut self, _at: Nanos) -> Result<Flow, String> {
        let kept = self.keeper.as_ref().and_then(|keeper| keeper.failure());
        let kept = kept.map_or(Ok(()), |failure| Err(Problem::Failed(failure.to_owned())));
        match kept.and_then(|()| self.tape.check()) {
            Ok(()) => Ok(Flow::On),
            Err(problem) => {
                let text = problem.to_string();
                self.problem = Some(problem);
                Err(text)
            }
        }
    }

    fn answer(&mut self, answer: &Answer) {
        let NewOrder { id, side, kind, time_in_force, price, qty, .. } = answer.order;
        let is_first = answer.status == words::Status::New;
        self.open += usize::from(is_first && answer.tells == words::Tells::State);
        self.open -= usize::from(answer.status.is_end() && answer.tells != words::Tells::Rejected);
        let line = OrderLine {
            symbol: answer.symbol,
            id: id.counter().into(),
            side,
            kind,
            time_in_force,
            tells: answer.tells,
            status: answer.status,
            reason: answer.reason,
            price,
            qty,
            leaves: answer.leaves,
            ahead: answer.ahead,
            requested_ns: time(answer.requested),
            exchange_ns: time(answer.exch),
            local_ns: time(answer.local),
            best: answer.best,
        };
        self.tape.order(&line, (answer.exec_price, answer.exec_qty, answer.maker));
    }

    fn fill(&mut self, fill: &Fill) {
        self.tape.fill(&FillLine {
            symbol: fill.symbol,
            id: fill.order.id.counter().into(),
            side: fill.order.side,
            price: fill.price,
            qty: fill.qty,
            maker: fill.maker,
            fee: fill.fee,
            ahead: fill.ahead,
            exchange_ns: time(fill.exch),
            local_ns: time(fill.local),
            mid: fill.best.map(|best| best.mid()),
        });
    }

    fn decided(&mut self, intent: &Intent, best: Option<Best>) {
        let at = time(intent.decided);
        self.tape.collector().look(intent.symbol, best);
        self.tape.collector().decided(intent.symbol, at);
    }

    fn standing(&mut self, standing: &Standing<'_>) {
        self.see(standing);
        self.standings.clear();
        self.standings.extend(standing.symbols.iter().map(words_of));
        self.tape.collector().heard(time(standing.heard));
        self.tape.standings(time(standing.at), &self.standings);
        if let Some(keeper) = &mut self.keeper {
            keeper.step(standing.at);
        }
    }

    fn next_look(&self) -> Option<Nanos> {
        let busy = (self.open > 0).then(|| Nanos(self.looked.0 + LOOK_NS));
        let due = u64::try_from(self.tape.next_due()).ok().filter(|due| *due < i64::MAX.unsigned_abs());
        due.map(|due| Nanos(due.max(self.looked.0 + 1))).into_iter().chain(busy).min()
    }

    fn look(&mut self, standing: &Standing<'_>) {
        self.see(standing);
    }

    fn log(&mut self, now: Nanos, event: &LogEvent) {
        if let Some(keeper) = &mut self.keeper {
            keeper.log(now, event);
        }
    }
}

/// Where a symbol stands, in the report's words.
fn words_of(symbol: &SymbolStanding) -> Option<words::Standing> {
    let SymbolStanding { mid, position, balance, fees, funding, .. } = *symbol;
    Some(words::Standing::new(mid?, position, balance, fees, Some(funding)))
}

fn time(at: Nanos) -> i64 {
    i64::try_from(at.0).unwrap_or(i64::MAX)
}

/// While orders are open, what they touch is looked at this often.
const LOOK_NS: u64 = 100_000_000;
