//! The replay core in compatible mode against the oracle's semantics written down a second time.
//!
//! The oracle's cases are few; here thousands of small markets and scripts are made up, on times so coarse that ties of every
//! kind happen, and both must tell the same.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod support;

use optiflow_base::money::Side;
use optiflow_sim::replay::ReplayConfig;
use optiflow_sim::replay::feed::Feed;
use optiflow_sim::replay::latency::{Latency, LatencyRow};
use optiflow_sim::replay::local::Order;
use optiflow_sim::replay::orders::{Answer, OrderKind, Status, Tells, TimeInForce};
use optiflow_sim::replay::queue::QueueModel;
use optiflow_sim::replay::rows::{Kind, MarketRow, arrange};
use optiflow_sim::replay::run::run;
use optiflow_sim::replay::script::{Action, Script, Step};

use support::peer::Peer;
use support::peer::models::PeerLatency;
use support::{MILLI, config};

#[test]
fn made_up_markets_come_out_as_the_semantics_say() {
    let mut answers = 0;
    for seed in 0..SEEDS {
        let mut random = fastrand::Rng::with_seed(seed);
        let (queue, latency) = (queue(&mut random), latency(&mut random));
        let (market, steps) = (market(&mut random), steps(&mut random));
        let partial = random.bool();
        let ours = ours(&market, &steps, queue, &latency, partial);
        let peer = Peer { market, queue, partial, latency }.run(&steps);
        answers += ours.len();
        if ours != peer {
            let (left, right): (Vec<_>, Vec<_>) = (
                ours.iter().filter(|line| !peer.contains(line)).collect(),
                peer.iter().filter(|line| !ours.contains(line)).collect(),
            );
            panic!("seed {seed} partial {partial} {queue:?}\nonly ours: {left:#?}\nonly theirs: {right:#?}");
        }
    }
    assert!(answers as u64 > SEEDS * 10, "the markets and scripts meet: {answers}");
}

fn ours(
    market: &[MarketRow],
    steps: &[Step],
    queue: QueueModel,
    latency: &PeerLatency,
    partial_fills: bool,
) -> Vec<String> {
    let latency = match latency {
        PeerLatency::Constant(entry_ns, response_ns) => {
            Latency::Constant { entry_ns: *entry_ns, response_ns: *response_ns }
        }
        PeerLatency::Table(rows) => Latency::table(rows.clone()).unwrap(),
    };
    let config = ReplayConfig { queue, latency, partial_fills, compatible: true, ..config() };
    let rows = arrange(market).unwrap();
    let mut script = Script::new(steps.to_vec());
    run(&config, Feed::memory(&rows), &mut script).unwrap();
    let first = market.iter().map(|row| row.exchange_ns.min(row.local_ns)).min().unwrap_or(0);
    let refusals = script.refusals().iter().map(|(step, refusal)| format!("{} {refusal:?}", step.at.max(first)));
    let mut told: Vec<String> = script.answers().iter().map(text).chain(refusals).collect();
    told.sort();
    told
}

fn text(answer: &Answer) -> String {
    let Answer { local_ns: at, image, tells, .. } = answer;
    let status = match image.status {
        Status::None => "none",
        Status::New => "new",
        Status::PartiallyFilled => "part",
        Status::Filled => "filled",
        Status::Canceled => "canceled",
        Status::Expired => "expired",
    };
    let head = format!("{at} {} {} {status}", image.exchange_ns, image.id);
    match tells {
        Tells::Rejected => format!("{at} {} rejected", image.id),
        Tells::State => format!("{head} left {}", image.leaves),
        Tells::Fill => format!("{head} {}@{} {} left {}", image.exec_qty, image.exec_tick, image.maker, image.leaves),
    }
}

fn queue(random: &mut fastrand::Rng) -> QueueModel {
    match random.u8(0..6) {
        0 => QueueModel::RiskAverse,
        1 => QueueModel::Log,
        2 => QueueModel::Log2,
        3 => QueueModel::Power(2.0),
        4 => QueueModel::Power2(2.0),
        _ => QueueModel::Power3(3.0),
    }
}

/// Constant, none at all, or a table: with lost requests, latencies that fall faster than time passes, and an end.
fn latency(random: &mut fastrand::Rng) -> PeerLatency {
    match random.u8(0..4) {
        0 => PeerLatency::Constant(5 * MILLI, 3 * MILLI),
        1 => PeerLatency::Constant(random.i64(0..4) * MILLI, random.i64(0..4) * MILLI),
        _ => {
            let mut request_ns = START + random.i64(0..60) * MILLI;
            let rows = (0..random.usize(1..9)).map(|_| {
                request_ns += random.i64(1..80) * MILLI;
                let exchange_ns = request_ns + random.i64(0..40) * MILLI + random.i64(0..1_000);
                let response_ns = exchange_ns + random.i64(0..40) * MILLI + random.i64(0..1_000);
                let lost = random.u8(0..8) == 0;
                LatencyRow { request_ns, exchange_ns: if lost { 0 } else { exchange_ns }, response_ns }
            });
            let mut rows: Vec<LatencyRow> = rows.collect();
            // Rows of a measured table reach the exchange in order; those that are lost do not.
            let mut last = 0;
            for row in &mut rows {
                if row.exchange_ns > 0 {
                    row.exchange_ns = row.exchange_ns.max(last + 1);
                    row.response_ns = row.response_ns.max(row.exchange_ns);
                    last = row.exchange_ns;
                }
            }
            PeerLatency::Table(rows)
        }
    }
}

fn market(random: &mut fastrand::Rng) -> Vec<MarketRow> {
    let mut now = START;
    let (mut centre, jumps) = (1_000, random.bool());
    (0..random.usize(1..250))
        .map(|_| {
            now += random.i64(0..6) * MILLI * i64::from(random.bool());
            centre += if jumps && random.u8(0..10) == 0 { random.i32(-4..5) } else { 0 };
            let side = if random.bool() { Side::Buy } else { Side::Sell };
            let away = if random.u8(0..8) == 0 { random.i32(-4..150) } else { random.i32(-2..7) };
            let tick = if side == Side::Buy { centre - away } else { centre + 1 + away };
            let (kind, parts) = match random.u8(0..40) {
                0 => (Kind::Clear, 0),
                1 if random.u8(0..4) == 0 => (Kind::ClearBoth, 0),
                2..5 => (Kind::Snapshot, random.i64(0..9)),
                5..17 => (Kind::Trade, random.i64(1..9)),
                _ => (Kind::Depth, if random.u8(0..3) == 0 { 0 } else { random.i64(1..12) }),
            };
            let delay = random.i64(0..4) + if random.u8(0..20) == 0 { 30 } else { 0 };
            MarketRow { kind, side, exchange_ns: now, local_ns: now + delay * MILLI, tick, parts }
        })
        .collect()
}

fn steps(random: &mut fastrand::Rng) -> Vec<Step> {
    let mut at = START - 20 * MILLI;
    (0..random.usize(1..60))
        .map(|_| {
            at += random.i64(0..12) * MILLI;
            let id = random.u64(1..9);
            let action = match random.u8(0..12) {
                0..7 => Action::Submit(order(random, id)),
                7..9 => Action::Cancel { id },
                9..11 => Action::Modify { id, tick: random.i32(993..1_009), parts: random.i64(1..12) },
                _ => Action::Clear,
            };
            Step { at, action }
        })
        .collect()
}

fn order(random: &mut fastrand::Rng, id: u64) -> Order {
    let side = if random.bool() { Side::Buy } else { Side::Sell };
    let time_in_force = match random.u8(0..8) {
        0..4 => TimeInForce::Gtc,
        4..6 => TimeInForce::Gtx,
        6 => TimeInForce::Ioc,
        _ => TimeInForce::Fok,
    };
    let kind = if random.u8(0..8) == 0 { OrderKind::Market } else { OrderKind::Limit };
    Order { kind, ..Order::limit(id, side, time_in_force, random.i32(993..1_009), random.i64(1..25)) }
}

const START: i64 = 1_000 * MILLI;
const SEEDS: u64 = 4_000;
