//! The end of everything in an account: cancels all open and conditional orders, flattens if told to, and proves it.
//!
//! For a person in a hurry, from another process than the engine's, by REST alone. Touches orders of everybody, not only
//! ours. Looks, acts and looks again until two looks in a row show nothing; exits are reduce-only market orders, so that
//! a second one can do no harm. An answer is never taken for proof, only a look is. Bounded in rounds and time; keeps
//! silent when the exchange asks for it, and before a look would use up the weight of the minute. A key that is refused
//! ends it at once: time does not mend it. Blocks; runs on the main thread.

use std::collections::BTreeMap;
use std::time::Duration;

use optiflow_base::clock::{Clock, Nanos};
use optiflow_base::ids::SymbolName;
use optiflow_base::money::{Qty, Side};
use optiflow_base::rest::{Auth, Method, RestReply};

use crate::binance::outcome::{Meaning, meaning};
use crate::binance::rest::RestClient;
use crate::binance::setup::call;
use crate::binance::text::in_query;
use crate::binance::truth;
use crate::error::OmsError;

mod standing;

pub use standing::{Found, Holding, Standing};

/// What is to be ended.
#[derive(Clone, Debug)]
pub struct Wanted {
    /// Only these symbols; all when empty.
    pub symbols: Vec<SymbolName>,
    /// Close positions too.
    pub flatten: bool,
}

/// Something that was seen or done, for the person who watches.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Deed {
    /// An order is open.
    Found(Found),
    /// An order that was open is not any more.
    Gone(Found),
    /// A position is held.
    Held(Holding),
    /// A cancel was asked for.
    Cancel {
        /// What: all orders of a symbol, all conditional ones, or one.
        what: String,
        /// How the exchange answered.
        answer: String,
    },
    /// A market order that closes a position was sent.
    Exit {
        /// Which symbol.
        symbol: String,
        /// Buy or sell.
        side: Side,
        /// How much.
        qty: Qty,
        /// Its client order id.
        client: String,
        /// How the exchange answered.
        answer: String,
    },
    /// A look brought no usable answer.
    Blind(String),
    /// Nothing is asked for a while.
    Waiting {
        /// How long.
        span: Duration,
        /// Why.
        why: &'static str,
    },
}

/// How it ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct End {
    /// Two looks in a row showed nothing of what was to be ended.
    pub proven: bool,
    /// What the last look showed, if any look succeeded.
    pub left: Option<Standing>,
    /// Why it was given up.
    pub problem: Option<String>,
}

/// Ends everything that is wanted. `pause` waits; `say` is told of every deed; `stubborn` is called once when orders
/// keep appearing: somebody must be stopped.
pub fn kill<C: Clock>(
    client: &mut RestClient,
    clock: &C,
    wanted: &Wanted,
    pause: &mut dyn FnMut(Duration),
    say: &mut dyn FnMut(Deed),
    stubborn: &mut dyn FnMut(),
) -> End {
    let given_up = clock.now() + TIME_MAX;
    let mut hand = Hand {
        client,
        clock,
        wanted,
        pause,
        say,
        seen: BTreeMap::new(),
        sent: 0,
        blocked_until: Nanos(0),
        refused: None,
    };
    let (mut clear, mut left, mut problem) = (0, None, None);
    for round in 0..ROUNDS_MAX {
        if let Err(why) = hand.keep_silence(given_up) {
            problem = Some(why);
            break;
        }
        match hand.look() {
            Ok(standing) => {
                clear = if standing.is_clear(wanted.flatten) { clear + 1 } else { 0 };
                if clear == CLEAR_NEEDED {
                    return End { proven: true, left: Some(standing), problem: None };
                }
                if clear == 0 {
                    hand.act(&standing, round);
                }
                if round + 1 == STUBBORN_AFTER && !standing.orders.is_empty() {
                    stubborn();
                }
                (left, problem) = (Some(standing), None);
            }
            Err(error) => {
                clear = 0;
                (hand.say)(Deed::Blind(error.to_string()));
                problem = Some(error.to_string());
            }
        }
        if hand.refused.is_some() {
            problem = hand.refused;
            break;
        }
        if clock.now() >= given_up {
            break;
        }
        (hand.pause)(LOOK_AGAIN);
    }
    let tired = || format!("not proven after {} s or {ROUNDS_MAX} rounds", TIME_MAX.as_secs());
    End { proven: false, left, problem: problem.or_else(|| Some(tired())) }
}

struct Hand<'a, C: Clock> {
    client: &'a mut RestClient,
    clock: &'a C,
    wanted: &'a Wanted,
    pause: &'a mut dyn FnMut(Duration),
    say: &'a mut dyn FnMut(Deed),
    /// Orders that were open at the last look, and in how many looks.
    seen: BTreeMap<String, (Found, u32)>,
    sent: u32,
    blocked_until: Nanos,
    /// The key was refused, with what, and what to do.
    refused: Option<String>,
}

impl<C: Clock> Hand<'_, C> {
    /// Waits as long as the exchange has asked for, or until a look fits into the weight of the minute; says when that
    /// is longer than there is time.
    fn keep_silence(&mut self, given_up: Nanos) -> Result<(), String> {
        let now = self.clock.now();
        let weighed = now + self.client.wait_for(now, standing::weight(self.wanted));
        let (until, why) =
            if self.blocked_until >= weighed { (self.blocked_until, SILENCE) } else { (weighed, NO_WEIGHT) };
        if until <= now {
            return Ok(());
        }
        let span = Duration::from_nanos(until.since(now)) + SILENCE_MARGIN;
        if until >= given_up {
            return Err(format!("nothing may be asked for another {} s: {why}", span.as_secs()));
        }
        (self.say)(Deed::Waiting { span, why });
        (self.pause)(span);
        Ok(())
    }

    fn look(&mut self) -> Result<Standing, OmsError> {
        let mut standing =
            standing::look(self.wanted, &mut |path, query, weight| self.perform(Method::Get, path, query, weight))?;
        standing.orders.sort();
        self.compare(&standing);
        Ok(standing)
    }

    /// Tells what has come and what has gone since the last look.
    fn compare(&mut self, standing: &Standing) {
        let before = std::mem::take(&mut self.seen);
        for found in &standing.orders {
            let looks = before.get(&found.key()).map_or(0, |(_, looks)| *looks);
            if looks == 0 {
                (self.say)(Deed::Found(found.clone()));
            }
            self.seen.insert(found.key(), (found.clone(), looks + 1));
        }
        for (key, (found, _)) in before {
            if !self.seen.contains_key(&key) {
                (self.say)(Deed::Gone(found));
            }
        }
    }

    fn act(&mut self, standing: &Standing, round: u32) {
        for symbol in standing.symbols_with(false) {
            self.cancel("DELETE all orders of", &symbol, ALL_ORDERS, &format!("symbol={}", in_query(&symbol)));
        }
        for symbol in standing.symbols_with(true) {
            self.cancel(
                "DELETE all conditional orders of",
                &symbol,
                ALL_ALGOS,
                &format!("symbol={}", in_query(&symbol)),
            );
        }
        if round > 0 {
            self.cancel_stubborn();
        }
        if self.wanted.flatten {
            let limits = if standing.held.is_empty() { BTreeMap::new() } else { self.market_limits() };
            for holding in &standing.held {
                (self.say)(Deed::Held(holding.clone()));
                self.exit(holding, limits.get(&holding.symbol).copied());
            }
        }
    }

    /// What survived the cancel of everything is cancelled by its own id.
    fn cancel_stubborn(&mut self) {
        let again: Vec<Found> =
            self.seen.values().filter(|(_, looks)| *looks > 1).map(|(found, _)| found.clone()).take(ONES_MAX).collect();
        for found in again {
            let symbol = in_query(&found.symbol);
            let (path, query) = if found.conditional {
                (ONE_ALGO, format!("algoId={}", found.id))
            } else {
                (ONE_ORDER, format!("symbol={symbol}&orderId={}", found.id))
            };
            self.cancel("DELETE", &found.to_string(), path, &query);
        }
    }

    fn cancel(&mut self, verb: &str, what: &str, path: &'static str, query: &str) {
        let reply = self.perform(Method::Delete, path, query, 1);
        (self.say)(Deed::Cancel { what: format!("{verb} {what}"), answer: answer(&reply) });
    }

    /// Reduce-only in one-way mode; in hedge mode the closing side cannot exceed the position.
    fn exit(&mut self, holding: &Holding, largest: Option<Qty>) {
        let whole = holding.qty.abs();
        let qty = largest.filter(|largest| *largest > Qty::ZERO).map_or(whole, |largest| whole.min(largest));
        let side = if holding.qty > Qty::ZERO { Side::Sell } else { Side::Buy };
        let word = match side {
            Side::Buy => "BUY",
            Side::Sell => "SELL",
        };
        let bound = match (holding.hedged, side) {
            (false, _) => "reduceOnly=true",
            (true, Side::Sell) => "positionSide=LONG",
            (true, Side::Buy) => "positionSide=SHORT",
        };
        self.sent += 1;
        let client = format!("{EXIT_PREFIX}{:x}-{}", self.clock.now().millis(), self.sent);
        let symbol = in_query(&holding.symbol);
        let query = format!(
            "symbol={symbol}&side={word}&type=MARKET&quantity={qty}&{bound}&newClientOrderId={client}&newOrderRespType=RESULT"
        );
        let reply = self.perform(Method::Post, ONE_ORDER, &query, 0);
        (self.say)(Deed::Exit { symbol: holding.symbol.clone(), side, qty, client, answer: answer(&reply) });
    }

    /// Largest market order of each symbol; without an answer orders are not divided.
    fn market_limits(&mut self) -> BTreeMap<String, Qty> {
        let reply = self.perform_as(Method::Get, EXCHANGE_INFO, "", Auth::Open, 1);
        if reply.is_ok() { standing::market_limits(&reply.body) } else { BTreeMap::new() }
    }

    fn perform(&mut self, method: Method, path: &'static str, query: &str, weight: u32) -> RestReply {
        self.perform_as(method, path, query, Auth::Signed, weight)
    }

    fn perform_as(&mut self, method: Method, path: &'static str, query: &str, auth: Auth, weight: u32) -> RestReply {
        let reply = self.client.perform(&call(method, path, query, auth, weight), self.clock);
        if let Some(until) = reply.usage.blocked_until {
            self.blocked_until = self.blocked_until.max(until);
        }
        if !reply.is_ok() && truth::error(&reply.body).code.map(meaning) == Some(Meaning::Key) {
            self.refused = standing::check(path, &reply).err().map(|error| error.to_string());
        }
        reply
    }
}

/// An answer in few words.
fn answer(reply: &RestReply) -> String {
    let error = truth::error(&reply.body);
    match (reply.status, error.code) {
        (0, _) => "no answer: outcome unknown".to_owned(),
        (status, _) if reply.is_ok() => format!("HTTP {status}"),
        (status, Some(code)) => format!("HTTP {status}, code {code}: {}", error.text),
        (status, None) => format!("HTTP {status}: {}", error.text),
    }
}

const ALL_ORDERS: &str = "/fapi/v1/allOpenOrders";
const ALL_ALGOS: &str = "/fapi/v1/algoOpenOrders";
const ONE_ORDER: &str = "/fapi/v1/order";
const ONE_ALGO: &str = "/fapi/v1/algoOrder";
const EXCHANGE_INFO: &str = "/fapi/v1/exchangeInfo";
/// Not the prefix of a session's orders: no engine takes these for its own.
const EXIT_PREFIX: &str = "ofk-";
/// Looks in a row that must show nothing.
const CLEAR_NEEDED: u32 = 2;
/// Between two looks: longer than an order of the engine takes to appear.
const LOOK_AGAIN: Duration = Duration::from_millis(500);
/// Looks in which something is open before somebody is called stubborn.
const STUBBORN_AFTER: u32 = 4;
/// Orders cancelled one by one in a round.
const ONES_MAX: usize = 50;
const ROUNDS_MAX: u32 = 60;
/// Long enough to sit out the shortest ban.
const TIME_MAX: Duration = Duration::from_secs(180);
/// Why nothing is asked.
const SILENCE: &str = "the exchange asks for silence (HTTP 429 or 418)";
const NO_WEIGHT: &str = "the request weight of this minute is used up";
/// Clocks differ a little.
const SILENCE_MARGIN: Duration = Duration::from_millis(500);

#[cfg(test)]
mod tests;
