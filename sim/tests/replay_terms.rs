//! What the exchange does besides matching: limits, least values, reduce-only, own orders that meet, funding, margin.

#![allow(clippy::unwrap_used)]

mod support;

use optiflow_base::money::Notional;
use optiflow_sim::replay::ReplayConfig;
use optiflow_sim::replay::feed::Feed;
use optiflow_sim::replay::latency::{Histogram, Latency, RoundTrips};
use optiflow_sim::replay::orders::{LIQUIDATION, Tells};
use optiflow_sim::replay::run::{Outcome, run};
use optiflow_sim::replay::script::Script;
use optiflow_sim::replay::terms::{Margin, SelfTrade, Terms};

use support::{MILLI, config, market, replay, script};

const BOOK: &str = "
    1000 depth buy 999 5
    1000 depth buy 998 10
    1000 depth buy 997 20
    1000 depth sell 1000 4
    1000 depth sell 1001 3
    1000 depth sell 1002 10
";
const END: &str = "
    90000 depth buy 900 1
";

fn with(terms: Terms) -> ReplayConfig {
    ReplayConfig { terms, ..config() }
}

fn told(config: &ReplayConfig, market: &str, script: &str) -> Vec<String> {
    replay(config, &format!("{BOOK}{market}{END}"), script)
}

fn ran(config: &ReplayConfig, market_text: &str, script_text: &str) -> (Outcome, Script) {
    let rows = market(&format!("{BOOK}{market_text}{END}"));
    let mut script = script(script_text);
    (run(config, Feed::memory(&rows), &mut script).unwrap(), script)
}

fn amount(text: &str) -> Notional {
    text.parse().unwrap()
}

#[test]
fn too_many_orders_are_refused_until_the_window_ends_and_cancels_are_not_counted() {
    let terms = Terms { orders_ten_seconds: 3, ..Terms::default() };
    let script = "
        1010 submit 1 buy 998 1 GTC
        1020 submit 2 buy 998 1 GTC
        1030 cancel 2
        1040 modify 1 998 2
        1050 submit 3 buy 998 1 GTC
        1050 modify 1 997 2
        9994 submit 4 buy 998 1 GTC
        9995 submit 5 buy 998 1 GTC
    ";
    let ours = told(&with(terms), "", script);
    let expected = [
        "1018 1 new left 1",
        "1028 2 new left 1",
        "1038 2 canceled left 1",
        "1048 1 new left 2",
        "1058 3 rejected TOO_MANY_ORDERS",
        "1058 1 rejected TOO_MANY_ORDERS",
        "10002 4 rejected TOO_MANY_ORDERS",
        "10003 5 new left 1",
    ];
    assert_eq!(ours, expected, "the window is the exchange's: what arrives at 10.000 s opens the next one");
    let (outcome, _) = ran(&with(terms), "", script);
    assert_eq!(outcome.tally.limited, 3);
    let peers = ReplayConfig { compatible: true, ..with(terms) };
    assert!(told(&peers, "", script).iter().all(|answer| !answer.contains("TOO_MANY")));
}

#[test]
fn a_refused_modification_leaves_the_order_as_it_was() {
    let terms = Terms { orders_minute: 1, ..Terms::default() };
    let script = "1010 submit 1 buy 998 2 GTC\n1030 modify 1 997 1";
    let ours = told(&with(terms), "1050 trade sell 998 11", script);
    assert_eq!(ours[1..], ["1038 1 rejected TOO_MANY_ORDERS", "1053 1 part made 1@998 left 1"]);
}

#[test]
fn an_order_below_the_least_value_is_refused_unless_it_only_reduces() {
    // A lot at 99.8 is worth 0.0998.
    let terms = Terms { min_notional: amount("0.3"), ..Terms::default() };
    let script = "
        1010 submit 1 buy 998 3 GTC
        1010 submit 2 buy 998 4 GTC
        1020 submit 3 buy 0 3 MARKET
        1030 submit 4 buy 0 4 MARKET
        1040 modify 2 998 2
        1050 submit 5 sell 999 1 IOC reduce
    ";
    let expected = [
        "1018 1 rejected BELOW_MIN_NOTIONAL",
        "1018 2 new left 4",
        "1028 3 rejected BELOW_MIN_NOTIONAL",
        "1038 4 filled took 4@1000 left 0",
        "1048 2 rejected BELOW_MIN_NOTIONAL",
        "1058 5 filled took 1@999 left 0",
    ];
    assert_eq!(told(&with(terms), "", script), expected, "a market order counts at the mark, here the mid of 99.95");
    let marked = "1001 mark 100.5";
    assert_eq!(told(&with(terms), marked, script)[2], "1028 3 filled took 3@1000 left 0");
}

#[test]
fn reduce_only_is_cut_to_the_position_and_refused_without_one() {
    let script = "
        1010 submit 1 sell 999 1 IOC reduce
        1020 submit 2 buy 1000 3 IOC
        1030 submit 3 buy 1001 1 IOC reduce
        1040 submit 4 sell 999 9 IOC reduce
    ";
    let expected = [
        "1018 1 rejected NOT_REDUCING",
        "1028 2 filled took 3@1000 left 0",
        "1038 3 rejected NOT_REDUCING",
        "1048 4 filled took 3@999 left 0",
    ];
    assert_eq!(told(&config(), "", script), expected);
    let peers = ReplayConfig { compatible: true, ..config() };
    assert!(told(&peers, "", script).iter().all(|answer| !answer.contains("NOT_REDUCING")));
}

#[test]
fn a_resting_reduce_only_order_never_turns_the_position_and_ends_when_nothing_is_left() {
    let script = "
        1010 submit 1 buy 1000 3 IOC
        1020 submit 2 sell 1001 3 GTC reduce
        1020 submit 3 sell 1002 2 GTC reduce
        1040 submit 4 sell 999 1 IOC
    ";
    let market = "1060 trade buy 1002 30";
    for (partial_fills, price) in [(true, "1001"), (false, "1001")] {
        let config = ReplayConfig { partial_fills, ..config() };
        let ours = told(&config, market, script);
        let expected = [
            "1028 2 new left 3".to_owned(),
            "1028 3 new left 2".to_owned(),
            "1048 4 filled took 1@999 left 0".to_owned(),
            format!("1063 2 part made 2@{price} left 1"),
            "1063 2 expired left 1 NOT_REDUCING".to_owned(),
            "1063 3 expired left 2 NOT_REDUCING".to_owned(),
        ];
        assert_eq!(ours[1..], expected, "partial {partial_fills}");
        let (outcome, _) = ran(&config, market, script);
        assert_eq!((outcome.ledger.position_parts(), outcome.tally.not_reducing), (0, 2));
    }
}

#[test]
fn a_reduce_only_order_is_cut_again_when_it_is_changed() {
    let script = "
        1010 submit 1 buy 1000 3 IOC
        1020 submit 2 sell 1001 1 GTC reduce
        1030 modify 2 1002 9
    ";
    assert_eq!(told(&config(), "", script)[1..], ["1028 2 new left 1", "1038 2 new left 3"]);
}

#[test]
fn orders_of_ours_that_meet_end_as_the_arriving_one_says() {
    let resting = "1010 submit 1 sell 1000 2 GTC\n1020 submit 2 buy 1001 8 IOC";
    let run = |mode: &str| told(&config(), "", &format!("{resting} {mode}"))[1..].to_vec();
    let four = "1028 2 part took 4@1000 left 4";
    assert_eq!(run("none"), [four, "1028 2 part took 3@1001 left 1", "1028 2 expired left 1"]);
    assert_eq!(
        run("expire-maker"),
        [four, "1028 1 expired left 2 SELF_TRADE", "1028 2 part took 3@1001 left 1", "1028 2 expired left 1"]
    );
    assert_eq!(run("EXPIRE_TAKER"), [four, "1028 2 expired left 4 SELF_TRADE"]);
    assert_eq!(run("expire-both"), [four, "1028 1 expired left 2 SELF_TRADE", "1028 2 expired left 4 SELF_TRADE"]);
    let ahead = told(&config(), "", "1010 submit 1 sell 1000 2 GTC\n1020 submit 2 buy 1000 4 GTC expire-both");
    assert_eq!(ahead[1..], ["1028 2 filled took 4@1000 left 0"], "what is displayed ahead of ours comes first");
}

#[test]
fn an_own_order_inside_the_spread_is_met_too() {
    let book = "1001 depth sell 1000 0\n1001 depth sell 1001 0";
    let terms = Terms { self_trade: SelfTrade::ExpireMaker, ..Terms::default() };
    let first = "1010 submit 1 sell 1000 2 GTC\n";
    let run = |second: &str| told(&with(terms), book, &format!("{first}{second}"))[1..].to_vec();
    assert_eq!(
        run("1020 submit 2 buy 1000 1 GTC"),
        ["1028 1 expired left 2 SELF_TRADE", "1028 2 new left 1"],
        "it comes to rest where ours was"
    );
    assert_eq!(run("1020 submit 2 buy 1000 1 GTX"), ["1028 2 expired left 1 SELF_TRADE"], "post-only would take");
    assert_eq!(run("1020 submit 2 buy 1000 1 FOK"), ["1028 2 expired left 1"]);
    assert_eq!(
        run("1020 submit 2 buy 0 1 MARKET"),
        ["1028 1 expired left 2 SELF_TRADE", "1028 2 filled took 1@1002 left 0"]
    );
    assert_eq!(run("1020 submit 2 buy 1000 1 GTC none"), ["1028 2 new left 1"]);
}

const FUNDED: &str = "
    1100 mark 100.5
    1100 funding 0.0001 2000
    1900 mark 101
    1900 funding 0.0003 2000
    2000 mark 999
    2000 funding 0.0007 3000
    2100 mark 102
";

#[test]
fn longs_pay_a_positive_rate_on_the_mark_at_its_time() {
    let (outcome, _) = ran(&config(), FUNDED, "1010 submit 1 buy 1001 5 IOC");
    // 0.005 × 101 × 0.0003 at 2.000 s, before what else happens then; 0.005 × 102 × 0.0007 at 3.000 s.
    let paid = [amount("0.0001515"), amount("0.000357")].into_iter().sum::<Notional>();
    assert_eq!((outcome.ledger.funding(), outcome.tally.fundings), (-paid, 2));
    let (short, _) = ran(&config(), FUNDED, "1010 submit 1 sell 999 5 IOC");
    assert_eq!(short.ledger.funding(), paid);
    let (peers, _) = ran(&ReplayConfig { compatible: true, ..config() }, FUNDED, "1010 submit 1 buy 1001 5 IOC");
    assert_eq!((peers.ledger.funding(), peers.tally.fundings), (Notional::ZERO, 0));
    let (flat, _) = ran(&config(), FUNDED, "");
    assert_eq!(flat.tally.fundings, 0);
}

#[test]
fn funding_is_for_what_is_held_at_its_time_and_told_one_way_later() {
    let (one, _) = ran(&config(), FUNDED, "1010 submit 1 buy 1001 5 IOC\n1994 submit 2 sell 998 5 IOC");
    assert_eq!(one.ledger.funding(), Notional::ZERO, "sold at 1.999 s");
    let (two, _) = ran(&config(), FUNDED, "1010 submit 1 buy 1001 5 IOC\n1995 submit 2 sell 998 5 IOC");
    assert_eq!(two.ledger.funding(), -amount("0.0001515"), "sold at 2.000 s, after the payment");

    struct Watch(Vec<i64>);
    impl optiflow_sim::replay::run::Trader for Watch {
        fn start(&mut self, first_ns: i64) -> Option<i64> {
            Some(first_ns + 10 * MILLI)
        }
        fn wake(&mut self, desk: &mut optiflow_sim::replay::run::Desk<'_>) -> Option<i64> {
            let order = optiflow_sim::replay::local::Order::limit(
                1,
                optiflow_base::money::Side::Buy,
                optiflow_sim::replay::orders::TimeInForce::Ioc,
                1_001,
                5,
            );
            desk.submit(&order).unwrap();
            None
        }
        fn funding(
            &mut self,
            funding: &optiflow_sim::replay::orders::Funding,
            local: &optiflow_sim::replay::local::Local,
        ) {
            assert!(!local.ledger().funding().is_zero(), "booked before it is told");
            self.0.extend([funding.exchange_ns / MILLI, funding.local_ns / MILLI, funding.position]);
        }
    }
    let rows = market(&format!("{BOOK}{FUNDED}{END}"));
    let mut watch = Watch(Vec::new());
    run(&config(), Feed::memory(&rows), &mut watch).unwrap();
    assert_eq!(watch.0, [2_000, 2_003, 5, 3_000, 3_003, 5]);
}

#[test]
fn time_that_the_market_does_not_reach_pays_nothing() {
    let rows = market(&format!("{BOOK}1100 mark 100\n1100 funding 0.0001 2000\n1999 mark 100"));
    let mut script = script("1010 submit 1 buy 1001 5 IOC");
    let outcome = run(&config(), Feed::memory(&rows), &mut script).unwrap();
    assert_eq!(outcome.tally.fundings, 0);
}

fn margin(wallet: &str, leverage: u32) -> Terms {
    let margin = Margin { wallet: amount(wallet), leverage, liquidation_fee_ppm: 12_500 };
    Terms { margin: Some(margin), ..Terms::default() }
}

#[test]
fn orders_beyond_the_margin_are_refused_and_those_that_reduce_pass() {
    // 0.005 at 100 is 0.5; a wallet of 0.1 carries 1 at leverage 10.
    let script = "
        1010 submit 1 buy 998 5 GTC
        1020 submit 2 buy 997 6 GTC
        1030 submit 3 sell 1002 9 GTC
        1040 modify 1 998 11
        1050 submit 4 buy 1000 4 IOC
        1060 submit 5 sell 999 4 IOC
        1070 submit 6 sell 999 1 IOC
    ";
    let ours = told(&with(margin("0.1", 10)), "", script);
    let expected = [
        "1018 1 new left 5",
        "1028 2 rejected NO_MARGIN",
        "1038 3 new left 9",
        "1048 1 rejected NO_MARGIN",
        "1058 4 filled took 4@1000 left 0",
        "1068 5 filled took 4@999 left 0",
        "1078 6 rejected NO_MARGIN",
    ];
    assert_eq!(ours, expected, "each side counts by itself, open orders included");
    let (outcome, _) = ran(&with(margin("0.1", 10)), "", script);
    assert_eq!(outcome.tally.no_margin, 3);
}

#[test]
fn an_account_below_its_maintenance_margin_is_liquidated() {
    // 0.005 bought at about 100: a fall of 1 costs 0.005.
    let script = "1010 submit 1 buy 1001 5 IOC\n1020 submit 2 buy 900 1 GTC";
    let fall = "
        2500 mark 99.5
        3500 mark 94
        4600 depth buy 999 3
        4600 depth buy 998 0
        4600 depth buy 997 1
    ";
    let config = with(margin("0.03", 125));
    let ours = told(&config, fall, script);
    let id = LIQUIDATION;
    let expected = ["4003 2 canceled left 1 LIQUIDATION".to_owned(), format!("4003 {id} filled took 5@999 left 0")];
    assert_eq!(ours[3..], expected, "looked at on the whole second");
    let (outcome, played) = ran(&config, fall, script);
    assert_eq!((outcome.tally.liquidations, outcome.ledger.position_parts()), (1, 0));
    let mut taken = played.answers().iter().filter(|answer| answer.tells == Tells::Fill).map(|answer| answer.image);
    let fees: Notional = taken.clone().map(|image| outcome.ledger.fee(&image)).sum();
    assert_eq!(outcome.ledger.fees(), fees);
    let closing = taken.next_back().map(|image| outcome.ledger.fee(&image)).unwrap();
    assert_eq!(closing, amount("0.4995").share_ppm(500 + 12_500), "a liquidation is dearer");
}

#[test]
fn a_liquidation_that_finds_no_book_is_tried_again() {
    let fall = "
        2400 depth buy 998 0
        2400 depth buy 997 0
        2400 depth buy 999 3
        2500 mark 80
        4500 depth buy 990 9
    ";
    let ours = told(&with(margin("0.03", 125)), fall, "1010 submit 1 buy 1001 5 IOC");
    let id = LIQUIDATION;
    let expected = [
        format!("3003 {id} part took 3@999 left 2"),
        format!("3003 {id} expired left 2 LIQUIDATION"),
        format!("5003 {id} filled took 2@990 left 0"),
    ];
    assert_eq!(ours[2..], expected);
}

#[test]
fn drawn_latencies_keep_the_order_of_messages_and_depend_on_the_seed_alone() {
    let wide = Histogram::new((1..40).map(|milli| (milli * 1_000_000, 1))).unwrap();
    let trips = RoundTrips { new: wide.clone(), cancel: wide.clone(), modify: wide };
    let drawn = |seed| ReplayConfig { latency: Latency::drawn(trips.clone(), seed), ..config() };
    let steps: String = (0..200)
        .map(|at| format!("{} submit {at} buy 990 1 GTC\n{} cancel {at}\n", 1_010 + at * 7, 1_012 + at * 7))
        .collect();
    let (one, script) = ran(&drawn(1), "", &steps);
    assert!(script.answers().is_sorted_by_key(|answer| answer.local_ns));
    assert!(script.answers().is_sorted_by_key(|answer| answer.image.exchange_ns));
    assert_eq!(one, ran(&drawn(1), "", &steps).0);
    assert_ne!(one.hash, ran(&drawn(2), "", &steps).0.hash);
    let first = &script.answers()[0];
    let (out, home) = (first.image.exchange_ns - 1_010 * MILLI, first.local_ns - first.image.exchange_ns);
    assert!((0..=1).contains(&(out - home)) && (out + home) % MILLI == 0, "the halves of one round trip: {out} {home}");
}
