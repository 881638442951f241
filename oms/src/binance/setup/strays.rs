//! Orders of former sessions in symbols that this session does not trade: cancelled where they live, and followed to a
//! proven end, with every fill that nobody has booked.
//!
//! The stage knows no number for such a symbol, so this is done by REST before it starts. Everyone is asked about once
//! a round; "not found" counts as often, and as long, as `doubt.rs` demands (the stage asks for lists and trades besides). Never sends anything
//! but queries and cancels of the orders that it was given. Blocks; control thread, at start.

use std::fmt::Write as _;
use std::time::Duration;

use arrayvec::ArrayString;
use optiflow_base::clock::{Clock, Nanos};
use optiflow_base::ids::{ExchangeOrderId, OrderId, SymbolName, TradeId};
use optiflow_base::money::Qty;
use optiflow_base::rest::{Auth, Method, QUERY_LEN_MAX};

use super::{Asker, Wait, call, symbol_query};
use crate::binance::truth::{self, OrderTruth, TradeTruth};
use crate::doubt::Doubt;
use crate::error::OmsError;
use crate::order::{End, Fact};

/// An order whose end nobody wrote down.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stray {
    /// Where.
    pub symbol: SymbolName,
    /// Which.
    pub order: OrderId,
    /// The exchange's id, when it was ever told.
    pub exchange_id: Option<ExchangeOrderId>,
    /// The trades that are booked.
    pub trades: Vec<TradeId>,
    /// Their sum.
    pub filled: Qty,
}

/// What is proven of a stray.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StrayEnd {
    /// Which.
    pub order: OrderId,
    /// How it ended; `None` when it never reached the exchange.
    pub end: Option<End>,
    /// The exchange's id.
    pub exchange_id: Option<ExchangeOrderId>,
    /// When it last changed, exchange ms; 0 where that was not said.
    pub update_ms: u64,
    /// Its trades that are not booked yet.
    pub missed: Vec<TradeTruth>,
}

/// Ends the strays, `STRAYS_MAX` at most; those whose end could not be proven are not in the answer. No request of a dead
/// session arrives after `settled_at`.
///
/// # Errors
/// When one is still open after all, or the exchange does not answer.
pub fn end_strays<C: Clock>(
    asker: &mut Asker<'_, C>,
    strays: &[Stray],
    settled_at: Nanos,
    margin_asset: &str,
) -> Result<Vec<StrayEnd>, OmsError> {
    let look = |stray: &Stray| Look { stray: stray.clone(), doubt: Doubt::new(Nanos(0)), open: false, given_up: false };
    let mut looks: Vec<Look> = strays.iter().take(STRAYS_MAX).map(look).collect();
    let (mut ends, mut stopped) = (Vec::new(), false);
    for round in 0..ROUNDS_MAX {
        for at in 0..looks.len() {
            match looks[at].ask(asker, settled_at, margin_asset) {
                Ok(end) => ends.extend(end),
                Err(error) => {
                    keep_unproven(&mut looks, &ends);
                    return Err(naming(error, &looks));
                }
            }
        }
        keep_unproven(&mut looks, &ends);
        if looks.is_empty() {
            break;
        }
        if stopped {
            return Err(naming(OmsError::Stopped, &looks));
        }
        if round + 1 < ROUNDS_MAX {
            // Who is told to stop looks once more: what was cancelled has ended by now.
            stopped = asker.wait(&Wait { error: &remaining(&looks, false), span: ROUND_PAUSE }).is_err();
        }
    }
    if looks.iter().any(|look| look.open) { Err(remaining(&looks, true)) } else { Ok(ends) }
}

/// One stray, as far as it is known.
struct Look {
    stray: Stray,
    doubt: Doubt,
    /// The exchange showed it alive when it was last seen.
    open: bool,
    /// It cannot be asked about, for instance because its symbol is listed no more.
    given_up: bool,
}

impl Look {
    fn ask<C: Clock>(
        &mut self,
        asker: &mut Asker<'_, C>,
        settled_at: Nanos,
        margin_asset: &str,
    ) -> Result<Option<StrayEnd>, OmsError> {
        let query = self.query();
        match asker.ask(&call(Method::Get, ORDER, &query, Auth::Signed, 1)) {
            Ok(reply) => {
                let row = truth::order(&reply.body).map_err(|error| super::answer(ORDER, &error))?;
                self.open = matches!(row.status.fact(row.exchange_id, row.executed), Fact::Exists { .. });
                self.stray.exchange_id = Some(row.exchange_id);
                self.doubt = Doubt::new(Nanos(0));
                if self.open { self.cancel(asker, &query) } else { self.ended(asker, &row, margin_asset) }
            }
            Err(OmsError::Call { code: Some(NO_SUCH_ORDER), .. }) => self.absent(asker, settled_at, margin_asset),
            Err(error) => self.refused(error),
        }
    }

    /// Whatever comes of it, the next round looks again.
    fn cancel<C: Clock>(&mut self, asker: &mut Asker<'_, C>, query: &str) -> Result<Option<StrayEnd>, OmsError> {
        match asker.ask(&call(Method::Delete, ORDER, query, Auth::Signed, 1)) {
            Ok(_) | Err(OmsError::Call { .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// It ended; what it traded is asked for, and believed once it adds up.
    fn ended<C: Clock>(
        &mut self,
        asker: &mut Asker<'_, C>,
        row: &OrderTruth,
        margin_asset: &str,
    ) -> Result<Option<StrayEnd>, OmsError> {
        let Fact::Ended { end, executed, exchange_id } = row.status.fact(row.exchange_id, row.executed) else {
            return Ok(None);
        };
        let missed = if executed > self.stray.filled { self.missed(asker, margin_asset)? } else { Some(Vec::new()) };
        let Some(missed) = missed else { return Ok(None) };
        let units = missed.iter().map(|trade| trade.fill.qty.units());
        // A sum that does not fit is of numbers that are not true.
        let sum = units.fold(self.stray.filled.units(), i64::saturating_add);
        let (order, update_ms) = (self.stray.order, row.update_ms);
        let exchange_id = Some(exchange_id);
        Ok((sum >= executed.units()).then_some(StrayEnd { order, end: Some(end), exchange_id, update_ms, missed }))
    }

    /// The exchange does not know it. One that was accepted may have traded before it was forgotten.
    fn absent<C: Clock>(
        &mut self,
        asker: &mut Asker<'_, C>,
        settled_at: Nanos,
        margin_asset: &str,
    ) -> Result<Option<StrayEnd>, OmsError> {
        let now = asker.now();
        let exchange_id = self.stray.exchange_id;
        let proven = match exchange_id {
            None => self.doubt.absent(now, settled_at),
            Some(_) => self.doubt.forgotten(now),
        };
        if !proven {
            return Ok(None);
        }
        self.open = false;
        let missed = if exchange_id.is_some() { self.missed(asker, margin_asset)? } else { Some(Vec::new()) };
        let end = exchange_id.map(|_| End::Cancelled);
        let order = self.stray.order;
        Ok(missed.map(|missed| StrayEnd { order, end, exchange_id, update_ms: 0, missed }))
    }

    /// Its trades that are not booked; `None` when they are not told now.
    fn missed<C: Clock>(
        &mut self,
        asker: &mut Asker<'_, C>,
        margin_asset: &str,
    ) -> Result<Option<Vec<TradeTruth>>, OmsError> {
        let Some(id) = self.stray.exchange_id else { return Ok(None) };
        let mut query = symbol_query(&self.stray.symbol);
        // Two numbers and a name: it fits.
        let _ = write!(query, "&orderId={}&limit={TRADES_MAX}", id.0);
        match asker.ask(&call(Method::Get, TRADES, &query, Auth::Signed, 5)) {
            Ok(reply) => {
                let trades = truth::trades(&reply.body, margin_asset).map_err(|error| super::answer(TRADES, &error))?;
                let booked = &self.stray.trades;
                let is_missed = |trade: &TradeTruth| {
                    trade.order == id && trade.fill.is_possible() && !booked.contains(&trade.fill.trade)
                };
                Ok(Some(trades.into_iter().filter(is_missed).collect()))
            }
            Err(error) => self.refused(error).map(|_| None),
        }
    }

    /// A refusal that waiting does not mend concerns this order only; one that was seen alive is not given up.
    fn refused(&mut self, error: OmsError) -> Result<Option<StrayEnd>, OmsError> {
        if !matches!(error, OmsError::Call { .. }) {
            return Err(error);
        }
        self.given_up = !self.open;
        Ok(None)
    }

    fn query(&self) -> ArrayString<QUERY_LEN_MAX> {
        let mut query = symbol_query(&self.stray.symbol);
        let _ = write!(query, "&origClientOrderId={}", self.stray.order);
        query
    }
}

fn keep_unproven(looks: &mut Vec<Look>, ends: &[StrayEnd]) {
    looks.retain(|look| !look.given_up && !ends.iter().any(|end| end.order == look.stray.order));
}

/// Who was told to stop says what is left behind.
fn naming(error: OmsError, looks: &[Look]) -> OmsError {
    if !matches!(error, OmsError::Stopped | OmsError::Interrupted { .. }) {
        return error;
    }
    OmsError::Interrupted { path: ORDER, error: Box::new(remaining(looks, false)) }
}

/// Names those without a proven end, or those that are open.
fn remaining(looks: &[Look], only_open: bool) -> OmsError {
    let named: Vec<&Look> = looks.iter().filter(|look| look.open || !only_open).collect();
    let mut symbols: Vec<&str> = named.iter().map(|look| look.stray.symbol.as_str()).collect();
    symbols.sort_unstable();
    symbols.dedup();
    let open = named.iter().filter(|look| look.open).count();
    OmsError::Strays { symbols: symbols.join(", "), orders: named.len(), open }
}

/// Strays that are ended at one start; a session has far fewer orders in a symbol.
pub const STRAYS_MAX: usize = 64;
/// Rounds of questions: an order that was confirmed is forgotten only after ten seconds of absence, and one that was not
/// after three from when its request cannot arrive any more.
const ROUNDS_MAX: usize = 17;
/// From one round to the next.
const ROUND_PAUSE: Duration = Duration::from_secs(1);
/// Trades of one order in one answer.
const TRADES_MAX: usize = 1_000;
const ORDER: &str = "/fapi/v1/order";
const TRADES: &str = "/fapi/v1/userTrades";
/// "Order does not exist."
const NO_SUCH_ORDER: i32 = -2013;

#[cfg(test)]
mod tests {
    use optiflow_base::clock::VirtualClock;

    use super::*;
    use crate::binance::rest::{answer as say, client, server};
    use crate::time::ExchangeTime;

    fn stray(exchange_id: Option<u64>, trades: &[u64], filled: &str) -> Stray {
        let exchange_id = exchange_id.map(ExchangeOrderId);
        let trades = trades.iter().copied().map(TradeId).collect();
        let symbol = SymbolName::from("ETHUSDT").unwrap();
        Stray { symbol, order: OrderId::new(7, 1), exchange_id, trades, filled: filled.parse().unwrap() }
    }

    /// What came of one stray, and what was asked, without the signed ends.
    fn ended(stray: Stray, answers: Vec<String>) -> (Result<Vec<StrayEnd>, String>, Vec<String>) {
        ended_by(stray, answers, true)
    }

    /// As `ended`, for somebody who is told to stop or not.
    fn ended_by(stray: Stray, answers: Vec<String>, goes_on: bool) -> (Result<Vec<StrayEnd>, String>, Vec<String>) {
        let (base, heads) = server(answers);
        let (clock, time) = (VirtualClock::new(Nanos::from_millis(1_000)), ExchangeTime::new());
        let mut pause = |wait: &Wait<'_>| {
            clock.advance_to(clock.now() + wait.span);
            goes_on
        };
        let mut client = client(&base);
        let mut asker = Asker::new(&mut client, &clock, &time, Duration::from_secs(60), 7, &mut pause);
        let end = end_strays(&mut asker, &[stray], Nanos::from_millis(3_000), "USDT");
        let line = |head: String| head.split("&recvWindow=").next().unwrap_or_default().to_owned();
        (end.map_err(|error| error.to_string()), heads.try_iter().map(line).collect())
    }

    fn row(status: &str, executed: &str) -> String {
        let row = format!(
            r#"{{"orderId":9,"symbol":"ETHUSDT","status":"{status}","clientOrderId":"of-00000007-00000001","executedQty":"{executed}","updateTime":77}}"#
        );
        say("200 OK", "", &row)
    }

    fn trades(all: &[(u64, u64, &str)]) -> String {
        let one = |(id, order, qty): &(u64, u64, &str)| {
            format!(
                r#"{{"id":{id},"orderId":{order},"price":"2000","qty":"{qty}","commission":"0.1","commissionAsset":"USDT","maker":true,"buyer":true,"time":70}}"#
            )
        };
        say("200 OK", "", &format!("[{}]", all.iter().map(one).collect::<Vec<_>>().join(",")))
    }

    fn unknown() -> String {
        say("400 Bad Request", "", r#"{"code":-2013,"msg":"Order does not exist."}"#)
    }

    const LOOK: &str = "GET /fapi/v1/order?symbol=ETHUSDT&origClientOrderId=of-00000007-00000001";
    const CANCEL: &str = "DELETE /fapi/v1/order?symbol=ETHUSDT&origClientOrderId=of-00000007-00000001";
    const BOOK: &str = "GET /fapi/v1/userTrades?symbol=ETHUSDT&orderId=9&limit=1000";

    #[test]
    fn one_that_lives_is_cancelled_and_what_it_traded_unseen_is_found() {
        let answers = vec![
            row("PARTIALLY_FILLED", "0.5"),
            row("CANCELED", "0.5"),
            row("CANCELED", "0.5"),
            // Trades are told later than their order ends.
            trades(&[(71, 9, "0.2")]),
            row("CANCELED", "0.5"),
            trades(&[(70, 8, "5"), (71, 9, "0.2"), (72, 9, "0.3")]),
        ];
        let (end, asked) = ended(stray(None, &[71], "0.2"), answers);
        let end = end.unwrap().remove(0);
        assert_eq!((end.end, end.exchange_id, end.update_ms), (Some(End::Cancelled), Some(ExchangeOrderId(9)), 77));
        assert_eq!(end.missed.iter().map(|trade| trade.fill.trade.0).collect::<Vec<_>>(), [72]);
        assert_eq!(asked, [LOOK, CANCEL, LOOK, BOOK, LOOK, BOOK]);
    }

    #[test]
    fn numbers_beyond_reason_add_up_to_no_panic() {
        let huge: Vec<(u64, u64, &str)> = (1..=10).map(|id| (id, 9, "10000000000")).chain([(11, 9, "-1")]).collect();
        let (end, _) = ended(stray(None, &[], "0"), vec![row("CANCELED", "0.5"), trades(&huge)]);
        assert_eq!(end.unwrap()[0].missed.len(), 10, "and what cannot have happened did not");
    }

    #[test]
    fn absence_is_proven_only_after_requests_can_no_longer_arrive_and_by_hearing_it_for_a_while() {
        let (end, asked) = ended(stray(None, &[], "0"), vec![unknown(); 8]);
        let end = end.unwrap().remove(0);
        assert_eq!((end.end, end.missed.len()), (None, 0));
        assert_eq!(asked.len(), 6, "two before 3 s do not count, four after it do");
        // One that was accepted must be absent for longer, and may have traded.
        let answers = (0..11).map(|_| unknown()).chain([trades(&[(72, 9, "0.3")])]).collect();
        let (end, asked) = ended(stray(Some(9), &[], "0"), answers);
        let end = end.unwrap().remove(0);
        assert_eq!((end.end, end.missed.len(), asked.len()), (Some(End::Cancelled), 1, 12));
    }

    #[test]
    fn who_is_told_to_stop_looks_once_more_and_names_what_is_left() {
        let answers = vec![row("NEW", "0"), row("CANCELED", "0"), row("CANCELED", "0")];
        let (end, asked) = ended_by(stray(Some(9), &[], "0"), answers, false);
        assert_eq!(end.unwrap()[0].end, Some(End::Cancelled));
        assert_eq!(asked, [LOOK, CANCEL, LOOK]);
        let stuck = [row("NEW", "0"), say("400 Bad Request", "", r#"{"code":-2011,"msg":"Unknown order sent."}"#)];
        let limited = say("429 Too Many Requests", "", r#"{"code":-1003,"msg":"Too many requests."}"#);
        for (answers, asked) in
            [([stuck.clone(), stuck].concat(), vec![LOOK, CANCEL, LOOK, CANCEL]), (vec![limited], vec![LOOK])]
        {
            let (end, questions) = ended_by(stray(Some(9), &[], "0"), answers, false);
            let said = end.unwrap_err();
            for part in ["told to stop", "1 orders", "ETHUSDT", "optiflow kill --symbol"] {
                assert!(said.contains(part), "{said}");
            }
            assert_eq!(questions, asked);
        }
    }

    #[test]
    fn one_that_stays_open_is_named_with_what_to_do_and_one_that_cannot_be_asked_about_is_left() {
        let stuck = |_| [row("NEW", "0"), say("400 Bad Request", "", r#"{"code":-2011,"msg":"Unknown order sent."}"#)];
        let (end, _) = ended(stray(Some(9), &[], "0"), (0..ROUNDS_MAX).flat_map(stuck).collect());
        let said = end.unwrap_err();
        for part in ["ETHUSDT", "configuration", "optiflow kill --symbol"] {
            assert!(said.contains(part), "{said}");
        }
        let delisted = say("400 Bad Request", "", r#"{"code":-1121,"msg":"Invalid symbol."}"#);
        assert_eq!(ended(stray(Some(9), &[], "0"), vec![delisted]).0, Ok(Vec::new()));
    }
}
