//! The trader that sends a session's orders again, each at the moment it reached the exchange, and notes what fills.
//!
//! Links take no time here: the moments are those of arrival already. Never decides: an order, a modification or a cancel
//! is sent whether or not the simulated fate of others makes sense of it. Reduce-only orders are sent as plain ones, because the
//! position that they were to reduce is the real one; one difference must not breed others.

use optiflow_base::money::{Notional, Qty, Side};
use optiflow_sim::replay::feed::Feed;
use optiflow_sim::replay::ladder::Ladder;
use optiflow_sim::replay::latency::Latency;
use optiflow_sim::replay::local::{Local, Order};
use optiflow_sim::replay::orders::{Answer, OrderKind, Tells};
use optiflow_sim::replay::queue::QueueModel;
use optiflow_sim::replay::run::{Desk, Replay, Trader};
use optiflow_sim::replay::{ReplayConfig, ReplayError, Scale};

use super::market::{Market, tick_of};
use super::session::{Fills, Own};
use super::travel::MILLI;
use crate::problem::Problem;

/// What is to be simulated, and how.
#[derive(Clone, Copy, Debug)]
pub struct Rules {
    /// Integers of the symbol.
    pub scale: Scale,
    /// Estimate of queue places.
    pub queue: QueueModel,
    /// Resting orders fill piece by piece?
    pub partial_fills: bool,
    /// Fee of a maker's fill, ppm.
    pub maker_fee_ppm: i64,
    /// Fee of a taker's fill, ppm.
    pub taker_fee_ppm: i64,
    /// Added to every moment of arrival.
    pub delay_ns: i64,
}

/// What a run came to.
#[derive(Clone, Debug)]
pub struct Resent {
    /// What each order traded, in the order given; `None` where it fell outside the capture.
    pub fills: Vec<Option<Fills>>,
    /// The last mid price while both sides had one.
    pub mid: Option<f64>,
}

/// Runs `orders` through the captured market.
///
/// # Errors
/// When the capture cannot be read, or a price of an order is not on the grid.
pub fn resend(orders: &[&Own], market: Market, rules: &Rules) -> Result<Resent, Problem> {
    let failed = |error: ReplayError| Problem::Failed(error.to_string());
    let mut trader = Resend::new(orders, rules)?;
    let span = market.span();
    let config = config(rules);
    let mut replay = Replay::new(&config, Feed::streamed(market)).map_err(failed)?;
    let Some(first) = replay.first_ns().map_err(failed)? else {
        return Err(Problem::Failed("the capture holds no row of the symbol".to_owned()));
    };
    let mut next = trader.start(first);
    let mut stride = first;
    let mut mid = None;
    loop {
        // Both books must move on together, or memory holds what lies between them.
        stride = stride.saturating_add(STRIDE_NS).max(replay.next_ns().saturating_sub(1));
        let at = next.map_or(stride, |next| next.min(stride));
        stride = at;
        let goes_on = replay.advance(at, &mut trader).map_err(failed)?;
        mid = middle(replay.venue().book(), &rules.scale).or(mid);
        if !goes_on {
            break;
        }
        if next == Some(at) {
            next = trader.wake(&mut replay.desk());
        }
    }
    let inside =
        |at: i64| span.first.get().is_some_and(|first| at >= first) && span.last.get().is_some_and(|last| at <= last);
    let fills = orders.iter().zip(trader.fills);
    let fills = fills.map(|(own, fills)| inside(own.arrival_ns + rules.delay_ns).then_some(fills)).collect();
    Ok(Resent { fills, mid })
}

fn middle(book: &Ladder, scale: &Scale) -> Option<f64> {
    let best = |side| book.best(side).map(|tick| scale.price(tick).as_f64());
    Some(best(Side::Buy)?.midpoint(best(Side::Sell)?))
}

struct Resend<'a> {
    orders: &'a [&'a Own],
    rules: &'a Rules,
    /// Limit of each order.
    ticks: Vec<i32>,
    /// In the order of time.
    steps: Vec<Step>,
    next: usize,
    fills: Vec<Fills>,
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Step {
    at: i64,
    what: What,
    order: usize,
}

/// In the order in which they count at one moment.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum What {
    Submit,
    Modify { tick: i32, parts: i64 },
    Cancel,
}

impl<'a> Resend<'a> {
    fn new(orders: &'a [&'a Own], rules: &'a Rules) -> Result<Resend<'a>, Problem> {
        let mut steps = Vec::with_capacity(2 * orders.len());
        let mut ticks = Vec::with_capacity(orders.len());
        for (order, own) in orders.iter().enumerate() {
            let tick = match own.sent.kind {
                OrderKind::Limit => tick_of(own.sent.price, &rules.scale),
                OrderKind::Market => Ok(0),
            };
            let of_order = |problem| Problem::Usage(format!("order {}: {problem}", own.sent.client_id));
            ticks.push(tick.map_err(of_order)?);
            let mut push = |at_ns: i64, what| steps.push(Step { at: at_ns + rules.delay_ns, what, order });
            push(own.arrival_ns, What::Submit);
            for change in &own.changes {
                let tick = tick_of(change.price, &rules.scale).map_err(of_order)?;
                push(change.at_ns, What::Modify { tick, parts: rules.scale.parts(change.qty) });
            }
            if let Some(cancel_ns) = own.cancel_ns {
                push(cancel_ns, What::Cancel);
            }
        }
        steps.sort_unstable();
        Ok(Resend { orders, rules, ticks, steps, next: 0, fills: vec![Fills::default(); orders.len()] })
    }

    fn submit(&self, desk: &mut Desk<'_>, order: usize) {
        let own = &self.orders[order];
        let parts = self.rules.scale.parts(own.qty);
        let limit = Order::limit(id_of(order), own.sent.side, own.sent.time_in_force, self.ticks[order], parts);
        let sent = desk.submit(&Order { kind: own.sent.kind, ..limit });
        assert!(sent.is_ok() || parts <= 0, "ids are new and every order has a quantity: {sent:?}");
    }
}

impl Trader for Resend<'_> {
    fn start(&mut self, first_ns: i64) -> Option<i64> {
        // What came before the capture cannot be simulated; neither can its cancels.
        while self.steps.get(self.next).is_some_and(|step| step.at < first_ns) {
            self.next += 1;
        }
        self.steps.get(self.next).map(|step| step.at)
    }

    fn wake(&mut self, desk: &mut Desk<'_>) -> Option<i64> {
        desk.forget_ended();
        while let Some(step) = self.steps.get(self.next).copied().filter(|step| step.at <= desk.now()) {
            self.next += 1;
            // An order that has ended in the simulation is not there any more, which is an answer too.
            let _ = match step.what {
                What::Submit => {
                    self.submit(desk, step.order);
                    Ok(())
                }
                What::Modify { tick, parts } => desk.modify(id_of(step.order), tick, parts),
                What::Cancel => desk.cancel(id_of(step.order)),
            };
        }
        self.steps.get(self.next).map(|step| step.at)
    }

    fn answer(&mut self, answer: &Answer, _local: &Local) {
        let image = &answer.image;
        let order = usize::try_from(image.id).ok().and_then(|id| id.checked_sub(1));
        let Some(fills) = order.and_then(|order| self.fills.get_mut(order)) else { return };
        if answer.tells != Tells::Fill {
            return;
        }
        let scale = &self.rules.scale;
        let (price, qty): (_, Qty) = (scale.price(image.exec_tick), scale.qty(image.exec_qty));
        let ppm = if image.maker { self.rules.maker_fee_ppm } else { self.rules.taker_fee_ppm };
        let fee: Notional = price.times(qty).share_ppm(ppm);
        fills.add(price, qty, fee, image.exchange_ns.div_euclid(MILLI), image.maker);
    }
}

/// Realistic rules, and nothing asked of the account: it was the real one that had to carry the orders.
fn config(rules: &Rules) -> ReplayConfig {
    ReplayConfig {
        scale: rules.scale,
        queue: rules.queue,
        latency: Latency::Constant { entry_ns: 0, response_ns: 0 },
        partial_fills: rules.partial_fills,
        compatible: false,
        maker_fee_ppm: rules.maker_fee_ppm,
        taker_fee_ppm: rules.taker_fee_ppm,
        terms: Default::default(),
    }
}

const fn id_of(order: usize) -> u64 {
    order as u64 + 1
}

/// Rows of so much time are in memory at most.
const STRIDE_NS: i64 = 10_000_000_000;

#[cfg(test)]
mod tests {
    use optiflow_base::clock::Nanos;
    use optiflow_base::money::Price;
    use optiflow_base::order::TimeInForce;
    use optiflow_storage::reader::history::SentOrder;
    use optiflow_store::blocks::Blocks;
    use optiflow_store::event::{Flags, Kind, Row};
    use optiflow_store::writer::Writer;

    use super::super::life::Change;
    use super::super::travel::Known;
    use super::*;

    const SCALE: Scale = Scale { tick: Price::from_units(10_000_000), lot: Qty::from_units(100_000), parts_per_lot: 1 };

    /// A book of 5 at 100 and 101 from 1 s on, and each second a sale of 8 at 100.
    fn market(name: &str) -> Market {
        market_until(name, None)
    }

    /// The same; its asks go away at `asks_end` seconds.
    fn market_until(name: &str, asks_end: Option<u64>) -> Market {
        let path = std::env::temp_dir().join(format!("optiflow-resend-{name}-{}.parquet", std::process::id()));
        let mut writer = Writer::create(&path, "test").unwrap();
        let symbol = writer.symbol("AUSDT").unwrap();
        for second in 1..6 {
            let at = Nanos(second * 1_000_000_000);
            let mut push = |kind, side, price: &str, qty: &str| {
                let (price, qty, flags, side) = (price.parse().unwrap(), qty.parse().unwrap(), Flags::BOTH, Some(side));
                writer.push(Row { exch: at, local: at, price, qty, id: second, symbol, kind, side, flags }).unwrap();
            };
            push(Kind::Depth, Side::Buy, "100", "5");
            push(Kind::Depth, Side::Sell, "101", if asks_end.is_some_and(|end| second >= end) { "0" } else { "5" });
            push(Kind::Trade, Side::Sell, "100", "8");
        }
        writer.finish().unwrap();
        let stored = Blocks::open(std::slice::from_ref(&path), None).unwrap();
        std::fs::remove_file(&path).unwrap();
        Market::new(stored, SCALE)
    }

    fn own(changes: Vec<Change>) -> Own {
        let (price, qty) = ("99".parse().unwrap(), "1".parse().unwrap());
        let sent = SentOrder {
            id: 1,
            client_id: "of-1".to_owned(),
            symbol: "AUSDT".to_owned(),
            side: Side::Buy,
            kind: OrderKind::Limit,
            time_in_force: TimeInForce::Gtc,
            price,
            qty,
            reduce_only: false,
            decided: Nanos(0),
            state: "open".to_owned(),
            filled: Qty::ZERO,
        };
        let (arrival_ns, known_by, real) = (1_100_000_000, Known::Exchange, Fills::default());
        Own { sent, qty, arrival_ns, known_by, changes, cancel_ns: None, real }
    }

    #[test]
    fn what_is_left_is_valued_at_the_last_mid_that_there_was() {
        let queue = "risk-averse".parse::<crate::config::backtest::Queue>().unwrap().estimate().unwrap();
        let rules = Rules { scale: SCALE, queue, partial_fills: true, maker_fee_ppm: 0, taker_fee_ppm: 0, delay_ns: 0 };
        let order = own(Vec::new());
        for (name, asks_end, expected) in
            [("whole", None, Some(100.5)), ("torn", Some(3), Some(100.5)), ("never", Some(1), None)]
        {
            assert_eq!(resend(&[&order], market_until(name, asks_end), &rules).unwrap().mid, expected, "{name}");
        }
    }

    #[test]
    fn a_modified_order_trades_by_its_new_terms_from_the_moment_they_arrive() {
        let queue = "risk-averse".parse::<crate::config::backtest::Queue>().unwrap().estimate().unwrap();
        let rules = Rules { scale: SCALE, queue, partial_fills: true, maker_fee_ppm: 0, taker_fee_ppm: 0, delay_ns: 0 };
        let change = |at_ns, price: &str, qty: &str| {
            let (price, qty) = (price.parse().unwrap(), qty.parse().unwrap());
            Change { at_ns, price, qty }
        };
        let traded = |name: &str, changes| {
            let order = own(changes);
            let resent = resend(&[&order], market(name), &rules).unwrap();
            let fills = resent.fills[0].unwrap();
            (fills.qty.to_string(), fills.first_ms)
        };
        assert_eq!(traded("plain", vec![]), ("0".to_owned(), None));
        // Behind the 5 displayed, three of the next eight are ours.
        let to_best = change(2_100_000_000, "100", "2");
        assert_eq!(traded("best", vec![to_best]), ("2".to_owned(), Some(3_000)));
        let away = change(2_200_000_000, "98.5", "2");
        assert_eq!(traded("away", vec![to_best, away]), ("0".to_owned(), None));
    }
}
