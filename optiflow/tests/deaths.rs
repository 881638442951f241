//! Sudden death: `optiflow trade` is killed again and again at random instants and started again on the same database;
//! in the end the database has every fill of the exchange exactly once, and nothing is open or unfinished.
//!
//! It dies while it starts, while it recovers, while it trades and while it stops. Several exchanges with an engine each
//! run at a time. Whenever a life trades, no order of an earlier one may be open; now and then nobody comes back, and the
//! countdown at the exchange must have cancelled everything.
//!
//! Against an exchange that lies, a life may find no moment in which it can trade: with `cut_stream` at 1 % of events a
//! market stream lives for seconds, and one `shutting_down` or `throttled` stops new risk for a minute. Such a life is
//! killed where it stands, after a bounded wait, and counted as barren.
//!
//! `OPTIFLOW_DEATHS` says how often (6 when it is not set), `OPTIFLOW_DEATHS_PAIRS` on how many exchanges at a time (2),
//! `OPTIFLOW_DEATHS_SEED` which instants, `OPTIFLOW_DEATHS_FAULTS` names a faults file for the exchange, and
//! `OPTIFLOW_DEATHS_PROGRAM` another build of the program.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::collections::VecDeque;
use std::path::PathBuf;
use std::process::ExitStatus;
use std::thread;
use std::time::{Duration, Instant};

use pair::{Engine, Fills, Pair, busy};
use support::until;

mod exchange;
mod pair;
mod support;

#[test]
fn every_fill_is_in_the_database_once_and_nothing_is_left_after_many_deaths() {
    let deaths = number("OPTIFLOW_DEATHS", 6);
    let pairs = number("OPTIFLOW_DEATHS_PAIRS", 2).clamp(1, deaths.max(1));
    let seed = number("OPTIFLOW_DEATHS_SEED", 4);
    eprintln!("{deaths} deaths on {pairs} exchanges: about {} minutes", deaths / pairs / LIVES_A_MINUTE + 1);
    let of = move |pair: u64| deaths / pairs + u64::from(pair < deaths % pairs);
    let threads: Vec<_> = (0..pairs).map(|pair| thread::spawn(move || lives(pair, of(pair), seed))).collect();
    let tallies: Vec<Tally> = threads.into_iter().map(|thread| thread.join().expect("told above")).collect();
    let sum = |of: fn(&Tally) -> usize| tallies.iter().map(of).sum::<usize>();
    eprintln!(
        "{deaths} deaths: {} while starting, {} while recovering, {} while trading, {} while stopping; {} more stopped \
         before they could be killed; {} barren; {} times nobody came back before the countdown was over; {} fills, {} \
         orders found that the database had not heard of; stopping took {:?} at most",
        sum(|tally| tally.deaths[0]),
        sum(|tally| tally.deaths[1]),
        sum(|tally| tally.deaths[2]),
        sum(|tally| tally.deaths[3]),
        sum(|tally| tally.stopped),
        sum(|tally| tally.barren),
        sum(|tally| tally.abandoned),
        sum(|tally| tally.fills),
        sum(|tally| tally.found),
        tallies.iter().map(|tally| tally.stop_max).max().unwrap(),
    );
    assert!(deaths < 6 || sum(|tally| tally.fills) > 0, "something was traded");
}

/// What happened to one exchange and its engines.
#[derive(Debug, Default)]
struct Tally {
    /// While starting, recovering, trading, stopping.
    deaths: [usize; 4],
    stopped: usize,
    /// Lives that were to trade and could not.
    barren: usize,
    abandoned: usize,
    fills: usize,
    found: usize,
    stop_max: Duration,
}

fn lives(number: u64, deaths: u64, seed: u64) -> Tally {
    let faults = std::env::var_os(FAULTS).map(PathBuf::from);
    let configuration = busy("BTCUSDT", "") + if faults.is_some() { "" } else { SHORT_COUNTDOWN };
    let mut pair = Pair::start(&format!("deaths-{number}"), &configuration, faults.as_deref());
    let mut random = fastrand::Rng::with_seed(seed ^ (number << 32));
    let (mut tally, mut begun) = (Tally::default(), VecDeque::new());
    while (tally.deaths.iter().sum::<usize>() as u64) < deaths {
        wait_for_connections(&mut begun);
        pair.wait_for_weight(LIFE_WEIGHT);
        let mut engine = pair.trade();
        live(&mut pair, &mut engine, &mut random, &mut tally, faults.is_some());
    }
    end_in_order(&mut pair, faults.is_some(), &mut tally);
    judge(&mut pair, &mut tally, faults.is_some());
    tally
}

/// One life, which ends in one of four ways.
fn live(pair: &mut Pair, engine: &mut Engine, random: &mut fastrand::Rng, tally: &mut Tally, lies: bool) {
    let moment = random.choice([0, 0, 1, 1, 1, 2, 2, 2, 3, 3]).unwrap();
    let within = |random: &mut fastrand::Rng, millis: u64| {
        thread::sleep(Duration::from_micros(random.u64(..millis * 1_000)));
    };
    match moment {
        0 => within(random, STARTING_MS),
        1 => {
            pair.wait_for_session(engine);
            within(random, RECOVERING_MS);
        }
        _ => {
            if !pair.wait_for_trading(engine, if lies { BARREN_AFTER } else { READY_MAX }) {
                assert!(lies, "the engine does not trade: {}", pair.said());
                tally.barren += 1;
            }
            // What an exchange that lies about its orders shows is no proof.
            assert!(lies || pair.orphans().is_empty(), "{:?} {}", pair.orphans(), pair.said());
            within(random, TRADING_MS);
        }
    }
    if moment == 3 {
        engine.terminate();
        within(random, STOPPING_MS);
    } else {
        assert!(engine.process.try_wait().unwrap().is_none(), "the engine ended by itself: {}", pair.said());
    }
    if engine.kill() {
        tally.deaths[moment] += 1;
    } else {
        tally.stopped += 1;
    }
    if moment >= 2 && random.u8(..12) == 0 && !lies {
        tally.abandoned += 1;
        until("the countdown does not cancel", COUNTDOWN + COUNTDOWN_SLACK, || pair.open().is_empty().then_some(()));
    }
}

/// Each life connects anew and knows nothing of the attempts of the others: not more of them than the exchange admits.
fn wait_for_connections(begun: &mut VecDeque<Instant>) {
    if begun.len() as u64 == 5 * LIVES_A_MINUTE
        && let Some(first) = begun.pop_front()
    {
        thread::sleep((first + Duration::from_secs(300)).saturating_duration_since(Instant::now()));
    }
    begun.push_back(Instant::now());
}

/// One more life, which ends in order. Against a liar that may take several.
fn end_in_order(pair: &mut Pair, lies: bool, tally: &mut Tally) {
    for _ in 0..if lies { 10 } else { 1 } {
        pair.wait_for_weight(LIFE_WEIGHT);
        let mut engine = pair.trade();
        let traded = pair.wait_for_trading(&mut engine, if lies { BARREN_AFTER } else { READY_MAX });
        assert!(traded || lies, "the engine does not trade: {}", pair.said());
        tally.barren += usize::from(!traded);
        let told = Instant::now();
        engine.terminate();
        let bound = if lies { STOP_BOUND_UNDER_FAULTS } else { STOP_BOUND };
        let status =
            until("the last session does not end", Duration::from_secs(120), || engine.process.try_wait().unwrap());
        tally.stop_max = tally.stop_max.max(told.elapsed());
        assert!(told.elapsed() < bound, "stopping took {:?}: {}", told.elapsed(), pair.said());
        if ExitStatus::success(&status) {
            return;
        }
        assert!(lies, "the last session does not end in order: {}", pair.said());
        assert!(pair.said().contains("optiflow kill") || pair.said().contains("nothing of ours is open"));
    }
    panic!("no session ends in order: {}", pair.said());
}

fn judge(pair: &mut Pair, tally: &mut Tally, lies: bool) {
    if lies {
        thread::sleep(LIES_LAST);
    }
    let (theirs, ours) = (pair.fills(), pair.written());
    let repeated = pair.count("SELECT count(*) - count(DISTINCT trade_id) FROM fills");
    let sums = pair.count(
        "SELECT count(*) FROM orders WHERE filled <> \
         (SELECT coalesce(sum(qty), 0) FROM fills WHERE fills.order_id = orders.order_id)",
    );
    assert_eq!(difference(&ours, &theirs), Vec::<String>::new());
    assert_eq!((repeated, sums), (0, 0), "fills are told once and add up to what their orders say");
    assert_eq!(pair.open(), Vec::<String>::new());
    assert_eq!(pair.unfinished(), 0, "every order has come to its end");
    tally.fills = theirs.len();
    let found = pair.count("SELECT count(*) FROM notices WHERE what LIKE '%never written down'");
    tally.found = usize::try_from(found).unwrap();
}

fn difference(ours: &Fills, theirs: &Fills) -> Vec<String> {
    let missing = theirs.iter().filter(|(id, row)| ours.get(id) != Some(row));
    let invented = ours.iter().filter(|(id, _)| !theirs.contains_key(id));
    let missing = missing.map(|(id, row)| format!("{id}: exchange {row}, database {:?}", ours.get(id)));
    missing.chain(invented.map(|(id, row)| format!("{id}: database {row}, not at the exchange"))).collect()
}

fn number(name: &str, usual: u64) -> u64 {
    std::env::var(name).map_or(usual, |text| text.parse().unwrap_or_else(|_| panic!("{name} is a number")))
}

/// A session that begins against an honest exchange trades within this.
const READY_MAX: Duration = Duration::from_secs(200);
/// A session against a liar is waited for this long.
const BARREN_AFTER: Duration = Duration::from_secs(40);
/// Names a faults file for the exchange.
const FAULTS: &str = "OPTIFLOW_DEATHS_FAULTS";
/// What an exchange says of an order is true after so long, by the usual spans of its lies.
const LIES_LAST: Duration = Duration::from_secs(3);
/// Beside it, where nobody lies: a liar may well keep so short a countdown from ever being renewed in time.
const SHORT_COUNTDOWN: &str = r#"
[oms]
heartbeat = "1300ms"
countdown = "4s"
"#;

/// That countdown, and how long after it an order may be seen.
const COUNTDOWN: Duration = Duration::from_secs(4);
const COUNTDOWN_SLACK: Duration = Duration::from_secs(2);
/// A life that begins costs less request weight than this.
const LIFE_WEIGHT: u32 = 250;
/// Lives that an exchange's limit of connections allows in a minute: 300 in five minutes, some seven for a life.
const LIVES_A_MINUTE: u64 = 8;
/// Within such times of its beginning a phase is ended, milliseconds: most of them have not come to their own end.
const STARTING_MS: u64 = 400;
const RECOVERING_MS: u64 = 2_200;
const TRADING_MS: u64 = 1_000;
const STOPPING_MS: u64 = 150;
/// From SIGTERM to the end.
const STOP_BOUND: Duration = Duration::from_secs(5);
/// `[oms] stop_timeout` and 7 s.
const STOP_BOUND_UNDER_FAULTS: Duration = Duration::from_secs(17);
