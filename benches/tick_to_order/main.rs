//! Tick to order on one thread: TLS record bytes in memory → sealed order record in memory, no system calls.
//!
//! Prints p50 and p99 of our stages and of the plain library stack, and the ratio of medians over the rounds with its
//! spread. The two alternate order by order, and before each the simulated exchange does its own work: caches are as
//! cold as they are for both when ticks are milliseconds apart. Absolute times are this machine's; quote the ratio.

mod ours;
mod plain;

use std::time::Instant;

use optiflow_base::clock::nanos_of;
use optiflow_benches::{histogram, percentiles, tick, tls_pair};

fn main() {
    let (client, server) = tls_pair();
    let (mut ours_all, mut plain_all) = (histogram(), histogram());
    let mut ratios = Vec::new();
    for round in 0..ROUNDS {
        let (mut ours, mut plain) = (histogram(), histogram());
        let mut stages = ours::Ours::new(&client, &server, (KEY, SECRET));
        let mut stack = plain::Plain::new(client.clone(), server.clone());
        for index in 0..ORDERS_PER_ROUND + WARM_UP {
            let ours_span = stages.tick_to_order();
            let number = u64::from(round) * 1_000_000 + index;
            stages.exchange();
            stack.load(&tick(number));
            let begun = Instant::now();
            stack.tick_to_order(KEY, SECRET.as_bytes(), 1_795_327_200_000 + number);
            let plain_span = begun.elapsed();
            stages.stages();
            assert!(stack.take_written() > 0, "an order left");
            if index >= WARM_UP {
                ours.saturating_record(nanos_of(ours_span));
                plain.saturating_record(nanos_of(plain_span));
            }
        }
        ratios.push(percentiles(&plain).0.as_secs_f64() / percentiles(&ours).0.as_secs_f64());
        let merged = ours_all.add(&ours).is_ok() && plain_all.add(&plain).is_ok();
        assert!(merged, "histograms of one shape add up");
    }
    ratios.sort_by(f64::total_cmp);
    for (name, all) in
        [("ours, live stages, HMAC per order", &ours_all), ("plain library stack, HMAC per order", &plain_all)]
    {
        let (p50, p99) = percentiles(all);
        println!("{name:<38} p50 {p50:>9.2?}  p99 {p99:>9.2?}  n {}", all.len());
    }
    let (least, median, most) = (ratios[0], ratios[ratios.len() / 2], ratios[ratios.len() - 1]);
    println!("ratio of medians, plain : ours         {median:.2} ({least:.2} to {most:.2} over {ROUNDS} rounds)");
}

/// Rounds, each with fresh connections on both sides.
const ROUNDS: u32 = 5;
const ORDERS_PER_ROUND: u64 = 2_000;
const WARM_UP: u64 = 500;
/// A test key of the usual length; opens nothing.
const KEY: &str = "optiflowTestKey00000000000000000000000000000000000000000000apike";
const SECRET: &str = "optiflowTestSecret000000000000000000000000000000000000000000secr";
