//! A trader that does what a file says, when it says so. Never thinks, and never mends a price unless asked to.

use optiflow_base::money::{Price, Qty, Side};

use super::local::{Local, Order, Refusal};
use super::orders::{Answer, OrderKind, TimeInForce};
use super::run::{Desk, Trader};
use super::terms::SelfTrade;
use super::{ReplayError, Scale};

/// One line of a script.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Step {
    /// When, on the local clock.
    pub at: i64,
    /// What.
    pub action: Action,
}

/// What a script can do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// Submit an order.
    Submit(Order),
    /// Cancel one.
    Cancel {
        /// Which.
        id: u64,
    },
    /// Give one another price and quantity.
    Modify {
        /// Which.
        id: u64,
        /// Its new limit in ticks.
        tick: i32,
        /// Its new quantity in parts.
        parts: i64,
    },
    /// Forget ended orders.
    Clear,
}

/// What becomes of a limit that is no multiple of the tick.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OffTick {
    /// The line is refused: no exchange takes such an order.
    Refused,
    /// It is rounded to the nearest tick, as the peer does.
    Rounded,
}

/// Replays a script.
#[derive(Clone, Debug)]
pub struct Script {
    steps: Vec<Step>,
    next: usize,
    start: i64,
    answers: Vec<Answer>,
    refusals: Vec<(Step, Refusal)>,
}

impl Script {
    /// From steps in order of time.
    pub fn new(steps: Vec<Step>) -> Script {
        Script { steps, next: 0, start: i64::MIN, answers: Vec::new(), refusals: Vec::new() }
    }

    /// From CSV with the header `t_ns,verb,order_id,side,price,qty,tif,type`, to which `reduce_only` and `stp` may be added;
    /// verbs submit, cancel, modify, clear. Without any line of these there is nothing to run, which is an error.
    pub fn parse(text: &str, scale: &Scale, off_tick: OffTick) -> Result<Script, ReplayError> {
        let mut steps = Vec::new();
        let mut added = Vec::new();
        for (index, line) in text.lines().enumerate() {
            let line = line.trim();
            let failed = |problem| ReplayError::Script { line: index + 1, problem };
            if index == 0 && line.starts_with("t_ns") {
                added = parse_header(line).map_err(failed)?;
                continue;
            }
            if line.is_empty() {
                continue;
            }
            let step = parse_step(line, &added, scale, off_tick).map_err(failed)?;
            if steps.last().is_some_and(|last: &Step| last.at > step.at) {
                return Err(failed("it is earlier than the line above; sort the script by time".to_owned()));
            }
            steps.push(step);
        }
        if steps.is_empty() {
            let problem = format!("nothing is asked for; give lines of {COLUMNS}, such as {EXAMPLE}");
            return Err(ReplayError::Script { line: text.lines().count().max(1), problem });
        }
        Ok(Script::new(steps))
    }

    /// Every answer seen, in order.
    pub fn answers(&self) -> &[Answer] {
        &self.answers
    }

    /// Every step that was refused locally.
    pub fn refusals(&self) -> &[(Step, Refusal)] {
        &self.refusals
    }

    fn next_at(&self) -> Option<i64> {
        self.steps.get(self.next).map(|step| step.at.max(self.start))
    }
}

impl Trader for Script {
    fn start(&mut self, first_ns: i64) -> Option<i64> {
        self.start = first_ns;
        self.next_at()
    }

    fn wake(&mut self, desk: &mut Desk<'_>) -> Option<i64> {
        // One at a time: with no latency at all an answer comes between two steps of one time.
        if let Some(step) = self.steps.get(self.next).copied().filter(|step| step.at <= desk.now()) {
            self.next += 1;
            let done = match step.action {
                Action::Submit(order) => desk.submit(&order),
                Action::Cancel { id } => desk.cancel(id),
                Action::Modify { id, tick, parts } => desk.modify(id, tick, parts),
                Action::Clear => {
                    desk.forget_ended();
                    Ok(())
                }
            };
            if let Err(refusal) = done {
                self.refusals.push((step, refusal));
            }
        }
        self.next_at()
    }

    fn answer(&mut self, answer: &Answer, _local: &Local) {
        self.answers.push(*answer);
    }
}

/// A column that a script may have beyond the usual ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Added {
    ReduceOnly,
    SelfTrade,
}

/// The columns that a header adds.
fn parse_header(line: &str) -> Result<Vec<Added>, String> {
    let rest = line.strip_prefix(COLUMNS).filter(|rest| rest.is_empty() || rest.starts_with(','));
    let rest = rest.ok_or_else(|| format!("the header is not {COLUMNS}, to which reduce_only and stp may be added"))?;
    let column = |name: &str| match name {
        "reduce_only" => Ok(Added::ReduceOnly),
        "stp" => Ok(Added::SelfTrade),
        _ => Err(format!("column {name:?} is unknown; {COLUMNS} may be followed by reduce_only and stp")),
    };
    rest.split(',').skip(1).map(column).collect()
}

fn parse_step(line: &str, added: &[Added], scale: &Scale, off_tick: OffTick) -> Result<Step, String> {
    let mut fields: Vec<&str> = line.split(',').collect();
    let wrong = || {
        let columns = if added.is_empty() { COLUMNS } else { "what the header names" };
        format!("it has {} fields; give {columns}", line.split(',').count())
    };
    if fields.len() != COLUMNS_COUNT + added.len() {
        return Err(wrong());
    }
    let more = fields.split_off(COLUMNS_COUNT);
    let [at, verb, id, side, price, qty, tif, kind] = fields[..] else { return Err(wrong()) };
    let number = |name: &str, text: &str| format!("{name} {text:?} is not a number");
    let at: i64 = at.parse().map_err(|_| number("t_ns", at))?;
    let id: u64 = id.parse().map_err(|_| number("order_id", id))?;
    let tick = |off_tick| {
        let price: Price = price.parse().map_err(|_| number("price", price))?;
        let tick = scale.nearest_tick(price).ok_or_else(|| number("price", "beyond the ticks"))?;
        check_tick(price, tick, scale, off_tick)
    };
    let parts = || qty.parse::<Qty>().map(|qty| scale.parts(qty)).map_err(|_| number("qty", qty));
    let action = match verb {
        "submit" => {
            let (mut reduce_only, mut self_trade) = (false, None);
            for (column, text) in added.iter().zip(more) {
                match column {
                    Added::ReduceOnly => reduce_only = parse_flag(text)?,
                    Added::SelfTrade if text.is_empty() => {}
                    Added::SelfTrade => self_trade = Some(text.parse::<SelfTrade>()?),
                }
            }
            let (side, kind, time_in_force) = (parse_side(side)?, parse_kind(kind)?, parse_time_in_force(tif)?);
            // What stands there of a market order is read by nobody.
            let off_tick = if kind == OrderKind::Market { OffTick::Rounded } else { off_tick };
            let (tick, parts) = (tick(off_tick)?, parts()?);
            Action::Submit(Order { id, side, kind, time_in_force, tick, parts, reduce_only, self_trade })
        }
        "cancel" => Action::Cancel { id },
        "modify" => Action::Modify { id, tick: tick(off_tick)?, parts: parts()? },
        "clear" => Action::Clear,
        _ => return Err(format!("verb {verb:?} is unknown; use submit, cancel, modify or clear")),
    };
    Ok(Step { at, action })
}

fn check_tick(price: Price, tick: i32, scale: &Scale, off_tick: OffTick) -> Result<i32, String> {
    let nearest = scale.price(tick);
    match off_tick {
        OffTick::Refused if nearest != price => Err(format!(
            "price {price} is no multiple of the tick {}; the nearest is {nearest}, or give a finer --tick",
            scale.tick
        )),
        OffTick::Refused | OffTick::Rounded => Ok(tick),
    }
}

fn parse_flag(text: &str) -> Result<bool, String> {
    match text {
        "true" | "1" => Ok(true),
        "" | "false" | "0" => Ok(false),
        _ => Err(format!("reduce_only {text:?} is unknown; use true or false")),
    }
}

fn parse_side(text: &str) -> Result<Side, String> {
    match text {
        "BUY" => Ok(Side::Buy),
        "SELL" => Ok(Side::Sell),
        _ => Err(format!("side {text:?} is unknown; use BUY or SELL")),
    }
}

fn parse_kind(text: &str) -> Result<OrderKind, String> {
    match text {
        "LIMIT" => Ok(OrderKind::Limit),
        "MARKET" => Ok(OrderKind::Market),
        _ => Err(format!("type {text:?} is unknown; use LIMIT or MARKET")),
    }
}

fn parse_time_in_force(text: &str) -> Result<TimeInForce, String> {
    match text {
        "GTC" => Ok(TimeInForce::Gtc),
        "IOC" => Ok(TimeInForce::Ioc),
        "FOK" => Ok(TimeInForce::Fok),
        "GTX" => Ok(TimeInForce::Gtx),
        _ => Err(format!("tif {text:?} is unknown; use GTC, IOC, FOK or GTX")),
    }
}

const COLUMNS: &str = "t_ns,verb,order_id,side,price,qty,tif,type";
const COLUMNS_COUNT: usize = 8;
const EXAMPLE: &str = "1700000000000000000,submit,1,BUY,99.9,0.5,GTC,LIMIT";

#[cfg(test)]
mod tests {
    use super::*;

    fn scale() -> Scale {
        Scale::finest("0.1".parse().unwrap(), "0.001".parse().unwrap())
    }

    #[test]
    fn lines_become_steps() {
        let text = "t_ns,verb,order_id,side,price,qty,tif,type\n10,submit,1,BUY,99.9,2,GTX,LIMIT\n11,modify,1,,99.8,0.5,GTC,LIMIT\n12,cancel,1,,,,GTC,LIMIT\n13,clear,0,,,,GTC,LIMIT\n";
        let script = Script::parse(text, &scale(), OffTick::Refused).unwrap();
        let Action::Submit(order) = script.steps[0].action else { panic!("a submit") };
        assert_eq!((order.tick, order.parts, order.time_in_force), (999, 200_000_000, TimeInForce::Gtx));
        assert_eq!(script.steps[1].action, Action::Modify { id: 1, tick: 998, parts: 50_000_000 });
        assert_eq!(script.steps[2].action, Action::Cancel { id: 1 });
        assert_eq!(script.steps[3].action, Action::Clear);
    }

    #[test]
    fn a_header_may_add_columns_in_either_order() {
        let text = format!(
            "{COLUMNS},stp,reduce_only\n10,submit,1,BUY,99.9,2,GTC,LIMIT,EXPIRE_BOTH,true\n11,submit,2,BUY,99.9,2,GTC,LIMIT,,\n12,cancel,1,,,,,,,\n"
        );
        let script = Script::parse(&text, &scale(), OffTick::Refused).unwrap();
        let terms: Vec<_> = script.steps[..2]
            .iter()
            .map(|step| match step.action {
                Action::Submit(order) => (order.reduce_only, order.self_trade),
                Action::Cancel { .. } | Action::Modify { .. } | Action::Clear => panic!("a submit"),
            })
            .collect();
        assert_eq!(terms, [(true, Some(SelfTrade::ExpireBoth)), (false, None)]);
        for (text, says) in [
            (format!("{COLUMNS},colour"), "colour"),
            ("t_ns,verb".to_owned(), "header"),
            (format!("{COLUMNS},stp\n10,submit,1,BUY,1,1,GTC,LIMIT"), "8 fields"),
            (format!("{COLUMNS},reduce_only\n10,submit,1,BUY,1,1,GTC,LIMIT,yes"), "reduce_only"),
        ] {
            let problem = Script::parse(&text, &scale(), OffTick::Refused).unwrap_err().to_string();
            assert!(problem.contains(says), "{problem}");
        }
    }

    #[test]
    fn lines_that_cannot_be_read_are_named_with_the_mend() {
        for (line, says) in [
            ("10,submit,1,BUY", "4 fields"),
            ("10,buy,1,BUY,1,1,GTC,LIMIT", "verb"),
            ("x,submit,1,BUY,1,1,GTC,LIMIT", "t_ns"),
            ("10,submit,1,LONG,1,1,GTC,LIMIT", "side"),
            ("10,submit,1,BUY,one,1,GTC,LIMIT", "price"),
        ] {
            let problem = Script::parse(line, &scale(), OffTick::Refused).unwrap_err().to_string();
            assert!(problem.contains("line 1") && problem.contains(says), "{problem}");
        }
        let problem =
            Script::parse("11,clear,0,,,,GTC,LIMIT\n10,clear,0,,,,GTC,LIMIT", &scale(), OffTick::Refused).unwrap_err();
        assert!(problem.to_string().contains("line 2"));
    }

    #[test]
    fn a_script_that_asks_for_nothing_is_no_script() {
        for (text, line) in [("", 1), ("\n\n", 2), (COLUMNS, 1), (&format!("{COLUMNS}\n")[..], 1)] {
            let problem = Script::parse(text, &scale(), OffTick::Rounded).unwrap_err().to_string();
            assert!(problem.contains(&format!("line {line}: nothing is asked for")), "{problem}");
            assert!(problem.contains(COLUMNS), "it says what was expected: {problem}");
        }
        assert!(Script::parse(EXAMPLE, &scale(), OffTick::Refused).is_ok());
    }

    #[test]
    fn a_price_off_the_tick_is_refused_or_rounded() {
        for line in ["10,submit,1,BUY,99.96,1,GTC,LIMIT", "10,modify,1,,99.96,1,GTC,LIMIT"] {
            let text = format!("{COLUMNS}\n{line}");
            let problem = Script::parse(&text, &scale(), OffTick::Refused).unwrap_err().to_string();
            for says in ["line 2", "99.96", "0.1", "the nearest is 100", "--tick"] {
                assert!(problem.contains(says), "{says}: {problem}");
            }
            let tick = match Script::parse(&text, &scale(), OffTick::Rounded).unwrap().steps[0].action {
                Action::Submit(order) => order.tick,
                Action::Modify { tick, .. } => tick,
                Action::Cancel { .. } | Action::Clear => panic!("a price"),
            };
            assert_eq!(tick, 1_000);
        }
        let market = "10,submit,1,BUY,99.96,1,IOC,MARKET";
        assert!(Script::parse(market, &scale(), OffTick::Refused).is_ok());
    }
}
