//! Tick to order on one thread: TLS record bytes in memory → sealed order record in memory, no system calls.
//!
//! Prints p50 and p99 of our stages and of the plain library stack, of the whole way and of its last part alone (from
//! the approved intent, or the plain stack's decision, to the sealed record), and the ratio of medians over the rounds
//! with its spread: with a key that signs the logon only, and with one that signs every order. All alternate order by
//! order, and before each the simulated exchange does its own work: caches are as cold as they are for both when ticks are
//! milliseconds apart. Once a millisecond the oms rehearses an order, here as it does live: that is part of what is
//! measured. Absolute times are this machine's; quote the ratio.

#![allow(clippy::unwrap_used)] // A bench has nobody to report to.

mod ours;
mod plain;

use std::time::{Duration, Instant};

use hdrhistogram::Histogram;
use optiflow_base::clock::nanos_of;
use optiflow_benches::{histogram, percentiles, tick, tls_pair};
use ours::{Key, Ours, Spans};
use plain::Plain;

fn main() {
    let (client, server) = tls_pair();
    let keys = [Key::ed25519(KEY), Key::Hmac(KEY.to_owned(), SECRET.to_owned())];
    let (mut whole, mut order) = (Table::new(), Table::new());
    for round in 0..ROUNDS {
        let mut ours = keys.each_ref().map(|key| Ours::new(&client, &server, key));
        let mut plain = Plain::new(client.clone(), server.clone());
        for index in 0..ORDERS_PER_ROUND + WARM_UP {
            let number = u64::from(round) * 1_000_000 + index;
            let taken =
                [ours[0].tick_to_order(), ours[1].tick_to_order(), plain_order(&mut plain, &mut ours[1], number)];
            if index >= WARM_UP {
                whole.record(taken.map(|spans| spans.whole));
                order.record(taken.map(|spans| spans.order));
            }
        }
        whole.end_round();
        order.end_round();
    }
    whole.print("tick to order");
    order.print("approved intent to sealed record");
}

/// One order by the library stack, after the exchange in `beside` has done its own work as it does before one of ours. The
/// tick is sealed even before that: a far end that seals it right before the measurement, with the very code that seals
/// the order afterwards, warms that code, and no exchange does so from another machine.
fn plain_order(plain: &mut Plain, beside: &mut Ours, number: u64) -> Spans {
    plain.load(&tick(number));
    beside.exchange();
    let begun = Instant::now();
    let order = plain.tick_to_order(KEY, SECRET.as_bytes(), 1_795_327_200_000 + number);
    let whole = begun.elapsed();
    beside.stages();
    assert!(plain.take_written() > 0, "an order left");
    Spans { whole, order }
}

/// One span of all three, over the rounds.
struct Table {
    all: [Histogram<u64>; 3],
    round: [Histogram<u64>; 3],
    ratios: [Vec<f64>; 2],
}

impl Table {
    fn new() -> Table {
        let three = || [histogram(), histogram(), histogram()];
        Table { all: three(), round: three(), ratios: [Vec::new(), Vec::new()] }
    }

    fn record(&mut self, spans: [Duration; 3]) {
        for (histogram, span) in self.round.iter_mut().zip(spans) {
            histogram.saturating_record(nanos_of(span));
        }
    }

    fn end_round(&mut self) {
        let medians = self.round.each_ref().map(|span| percentiles(span).0.as_secs_f64());
        for (ratios, ours) in self.ratios.iter_mut().zip(medians) {
            ratios.push(medians[2] / ours);
        }
        let merged = self.all.iter_mut().zip(&self.round).all(|(all, round)| all.add(round).is_ok());
        assert!(merged, "histograms of one shape add up");
        self.round.iter_mut().for_each(Histogram::reset);
    }

    fn print(&mut self, what: &str) {
        println!("{what}");
        for (name, all) in NAMES.iter().zip(&self.all) {
            let (p50, p99) = percentiles(all);
            println!("  {name:<40} p50 {p50:>9.2?}  p99 {p99:>9.2?}  n {}", all.len());
        }
        for (name, ratios) in NAMES.iter().zip(&mut self.ratios) {
            ratios.sort_by(f64::total_cmp);
            let (least, median, most) = (ratios[0], ratios[ratios.len() / 2], ratios[ratios.len() - 1]);
            println!(
                "  plain : {name:<32} {median:.2} ({least:.2} to {most:.2}), ratio of medians over {ROUNDS} rounds"
            );
        }
    }
}

const NAMES: [&str; 3] =
    ["ours, live stages, session.logon", "ours, live stages, HMAC per order", "plain library stack, HMAC per order"];
/// Rounds, each with fresh connections on both sides.
const ROUNDS: u32 = 5;
const ORDERS_PER_ROUND: u64 = 2_000;
const WARM_UP: u64 = 500;
/// A test key of the usual length; opens nothing.
const KEY: &str = "optiflowTestKey00000000000000000000000000000000000000000000apike";
const SECRET: &str = "optiflowTestSecret000000000000000000000000000000000000000000secr";
