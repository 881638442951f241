//! The replay core's rules, one market at a time: market and script in, answers out.

mod support;

use optiflow_sim::replay::ReplayConfig;
use optiflow_sim::replay::feed::Feed;
use optiflow_sim::replay::grid::{Grid, GridConfig};
use optiflow_sim::replay::latency::{Latency, LatencyRow};
use optiflow_sim::replay::run::{Desk, Trader, run};

use support::{MILLI, config, market, replay, scale};

const BOOK: &str = "
    1000 depth buy 999 5
    1000 depth buy 998 10
    1000 depth buy 997 20
    1000 depth sell 1000 4
    1000 depth sell 1001 3
    1000 depth sell 1002 10
";
/// Long after everything: answers under way still arrive.
const END: &str = "
    9000 depth buy 900 1
";

fn realistic(market: &str, script: &str) -> Vec<String> {
    replay(&config(), &format!("{BOOK}{market}{END}"), script)
}

fn compatible(market: &str, script: &str) -> Vec<String> {
    let config = ReplayConfig { compatible: true, ..config() };
    replay(&config, &format!("{BOOK}{market}{END}"), script)
}

#[test]
fn a_trade_is_shared_among_our_orders_in_price_time_order() {
    let script = "
        1010 submit 1 buy 999 2 GTC
        1011 submit 2 buy 999 2 GTC
    ";
    let market = "1030 trade sell 999 8";
    let ours = realistic(market, script);
    assert_eq!(ours[2..], ["1033 1 filled made 2@999 left 0", "1033 2 part made 1@999 left 1"], "8 traded, 5 ahead");
    let peers = compatible(market, script);
    assert_eq!(peers[2..], ["1033 1 filled made 2@999 left 0", "1033 2 filled made 2@999 left 0"]);
}

#[test]
fn a_trade_through_fills_no_more_than_it_traded() {
    let script = "1010 submit 1 buy 999 7 GTC";
    assert_eq!(realistic("1030 trade sell 998 1", script)[1..], ["1033 1 part made 1@999 left 6"]);
    assert_eq!(compatible("1030 trade sell 998 1", script)[1..], ["1033 1 filled made 7@999 left 0"]);
}

#[test]
fn a_crossing_level_fills_no_more_than_it_displays_and_then_no_more_than_is_added() {
    let script = "1010 submit 1 sell 1001 5 GTC";
    let market = "
        1030 depth buy 1001 2
        1040 depth buy 1001 1
        1050 depth buy 1001 2
    ";
    let ours = realistic(market, script);
    assert_eq!(ours[1..], ["1033 1 part made 2@1001 left 3", "1053 1 part made 1@1001 left 2"]);
    assert_eq!(compatible(market, script)[1..], ["1033 1 filled made 5@1001 left 0"]);
}

#[test]
fn what_we_took_stays_taken_while_the_level_displays_it() {
    let script = "
        1010 submit 1 buy 1000 3 IOC
        1020 submit 2 buy 1001 3 IOC
        1040 submit 3 buy 1000 3 IOC
        1060 submit 4 buy 1000 9 IOC
        1080 submit 5 buy 1000 9 IOC
    ";
    let market = "
        1030 depth sell 1000 2
        1050 depth sell 1000 3
        1070 depth sell 1000 0
        1071 depth sell 1000 2
    ";
    let ours = realistic(market, script);
    let expected = [
        "1018 1 filled took 3@1000 left 0",
        "1028 2 part took 1@1000 left 2",
        "1028 2 filled took 2@1001 left 0",
        "1048 3 expired left 3",
        "1068 4 part took 1@1000 left 8",
        "1068 4 expired left 8",
        "1088 5 part took 2@1000 left 7",
        "1088 5 expired left 7",
    ];
    assert_eq!(ours, expected);
}

#[test]
fn what_we_took_of_a_level_that_is_hidden_for_a_while_stays_taken() {
    let script = "1010 submit 1 sell 999 5 IOC\n1060 submit 2 sell 998 3 IOC";
    let ours = realistic("1030 depth sell 999 1\n1040 depth buy 1000 1", script);
    assert_eq!(ours[1..], ["1068 2 part took 1@1000 left 2", "1068 2 filled took 2@998 left 0"]);
}

#[test]
fn a_limit_order_takes_what_is_there_and_rests_with_the_remainder() {
    let script = "1010 submit 1 buy 1001 9 GTC";
    let ours = realistic("1030 depth sell 1001 4", script);
    let expected =
        ["1018 1 part took 4@1000 left 5", "1018 1 part took 3@1001 left 2", "1033 1 part made 1@1001 left 1"];
    assert_eq!(ours, expected, "nothing is told twice when it comes to rest");
}

#[test]
fn fill_or_kill_counts_what_is_left_of_the_book() {
    let script = "
        1010 submit 1 buy 1000 2 IOC
        1020 submit 2 buy 1000 3 FOK
        1030 submit 3 buy 1001 5 FOK
    ";
    let ours = realistic("", script);
    let expected = [
        "1018 1 filled took 2@1000 left 0",
        "1028 2 expired left 3",
        "1038 3 part took 2@1000 left 3",
        "1038 3 filled took 3@1001 left 0",
    ];
    assert_eq!(ours, expected);
}

#[test]
fn in_one_piece_means_when_enough_has_traded() {
    let whole = ReplayConfig { partial_fills: false, ..config() };
    let market = format!("{BOOK}\n1030 trade sell 999 6\n1031 trade sell 999 1\n1032 trade sell 999 1\n{END}");
    let ours = replay(&whole, &market, "1010 submit 1 buy 999 3 GTC");
    assert_eq!(ours, ["1018 1 new left 3", "1035 1 filled made 3@999 left 0"], "5 ahead, then 1 + 1 + 1");
}

#[test]
fn a_modify_counts_what_was_executed() {
    let script = "
        1010 submit 1 buy 999 4 GTC
        1040 modify 1 999 3
        1060 modify 1 999 5
        1080 modify 1 999 1
    ";
    let ours = realistic("1030 trade sell 999 6", script);
    let expected = [
        "1018 1 new left 4",
        "1033 1 part made 1@999 left 3",
        "1048 1 part left 2",
        "1068 1 part left 4",
        "1088 1 canceled left 0",
    ];
    assert_eq!(ours, expected);
}

#[test]
fn every_modification_queues_again_and_one_that_changes_nothing_is_refused() {
    let none = Vec::<String>::new();
    let market = "1020 trade sell 999 4\n1060 trade sell 999 4";
    let smaller = "1010 submit 1 buy 999 4 GTC\n1030 modify 1 999 3";
    assert_eq!(realistic(market, smaller)[1..], ["1038 1 new left 3"], "behind all five again");
    assert_eq!(
        compatible(market, smaller)[2..],
        ["1063 1 filled made 3@999 left 0"],
        "the peer lets it keep its place"
    );
    let larger = "1010 submit 1 buy 999 4 GTC\n1030 modify 1 999 6";
    assert_eq!(realistic(market, larger)[2..], none);
    assert_eq!(compatible(market, larger)[2..], none);
    let same = "1010 submit 1 buy 999 3 GTC\n1030 modify 1 999 3";
    assert_eq!(realistic(market, same)[1..], ["1038 1 rejected new", "1063 1 filled made 3@999 left 0"]);
}

#[test]
fn a_modified_post_only_order_that_would_take_is_cancelled() {
    let script = "1010 submit 1 buy 999 4 GTX\n1030 modify 1 1000 4";
    assert_eq!(realistic("", script)[1..], ["1038 1 canceled left 4"]);
    assert_eq!(compatible("", script)[1..], ["1038 1 expired left 4"]);
}

#[test]
fn what_a_request_takes_before_it_rests_answers_it() {
    let script = "
        1010 submit 1 buy 999 9 GTC
        1020 modify 1 1000 9
        1030 cancel 1
        1040 submit 2 buy 1001 5 GTC
        1050 modify 2 998 4
    ";
    let expected = [
        "1018 1 new left 9",
        "1028 1 part took 4@1000 left 5",
        "1038 1 canceled left 5",
        "1048 2 part took 3@1001 left 2",
        "1058 2 part left 1",
    ];
    assert_eq!(realistic("", script), expected);
}

#[test]
fn the_ticker_moves_both_sides_at_its_own_time() {
    let script = "1010 submit 1 sell 1001 2 GTC\n1010 submit 2 buy 998 2 GTC";
    let market = "
        1030 top buy 1001 1
        1030 top sell 1002 4
        1040 top buy 998 3
        1050 trade sell 998 4
    ";
    let ours = realistic(market, script);
    let expected = ["1033 1 part made 1@1001 left 1", "1053 2 part made 1@998 left 1"];
    assert_eq!(ours[2..], expected, "a raised bid fills, and the queue ahead shrinks to what the ticker shows");
}

#[test]
fn a_later_message_never_overtakes_an_earlier_one() {
    let at = |millis: i64| millis * MILLI;
    let rows = vec![
        LatencyRow { request_ns: at(1000), exchange_ns: at(1050), response_ns: at(1060) },
        LatencyRow { request_ns: at(1020), exchange_ns: at(1021), response_ns: at(1080) },
        LatencyRow { request_ns: at(2000), exchange_ns: at(2001), response_ns: at(2002) },
    ];
    let table = ReplayConfig { latency: Latency::table(rows).unwrap(), ..config() };
    let script = "1001 submit 1 buy 999 1 GTC\n1019 submit 2 buy 998 1 GTC";
    let ours = replay(&table, &format!("{BOOK}{END}"), script);
    let times: Vec<&str> = ours.iter().map(|answer| answer.split(' ').next().unwrap()).collect();
    assert_eq!(ours.len(), 2);
    assert_eq!(times[0], times[1], "the second request waits for the first: {ours:?}");
}

#[test]
fn a_lost_request_never_reaches_the_engine() {
    let lost = ReplayConfig { latency: Latency::Constant { entry_ns: -7 * MILLI, response_ns: 0 }, ..config() };
    let ours = replay(&lost, &format!("{BOOK}{END}"), "1010 submit 1 buy 1000 1 GTC\n1020 cancel 1");
    assert_eq!(ours, ["1017 1 rejected none", "1027 1 rejected expired"]);
}

#[test]
fn requests_wait_for_their_answers_and_ids_for_being_forgotten() {
    let script = "
        1010 submit 1 buy 999 1 GTC
        1012 cancel 1
        1012 modify 1 999 2
        1013 submit 1 buy 999 1 GTC
        1020 cancel 1
        1030 submit 1 buy 999 1 GTC
        1031 clear
        1032 submit 1 buy 999 1 GTC
        1033 cancel 7
    ";
    let expected = [
        "1018 1 new left 1",
        "1028 1 canceled left 1",
        "1040 1 new left 1",
        "1012 OrderRequestInProcess",
        "1012 OrderRequestInProcess",
        "1013 OrderIdExist",
        "1030 OrderIdExist",
        "1033 OrderNotFound",
    ];
    assert_eq!(realistic("", script), expected);
}

#[test]
fn a_fill_that_overtakes_a_request_leaves_it_open() {
    let script = "
        1010 submit 1 buy 999 4 GTC
        1029 cancel 1
        1034 cancel 1
    ";
    let market = "1030 trade sell 999 6";
    let ours = realistic(market, script);
    let expected =
        ["1018 1 new left 4", "1033 1 part made 1@999 left 3", "1037 1 canceled left 3", "1034 OrderRequestInProcess"];
    assert_eq!(ours, expected);
    let peers = compatible(market, script);
    assert_eq!(peers[3..], ["1042 1 rejected part"], "the peer lets a second cancel go");
    let modified = realistic(market, &script.replacen("cancel 1", "modify 1 998 4", 1));
    assert_eq!(
        modified[2..],
        ["1037 1 part left 3", "1034 OrderRequestInProcess"],
        "nor does it answer a modification"
    );
}

#[test]
fn a_trade_at_the_instant_of_an_arrival_comes_first() {
    assert_eq!(compatible("1015 trade sell 998 9", "1010 submit 1 buy 999 1 GTC"), ["1018 1 new left 1"]);
    assert_eq!(compatible("1016 trade sell 998 9", "1010 submit 1 buy 999 1 GTC").len(), 2);
}

#[test]
fn a_market_order_without_a_book_expires() {
    let market = "1000 depth buy 999 5\n9000 depth buy 900 1";
    for rules in [true, false] {
        let config = ReplayConfig { compatible: rules, ..config() };
        assert_eq!(replay(&config, market, "1010 submit 1 buy 0 5 MARKET"), ["1018 1 expired left 5"]);
    }
}

#[test]
fn an_empty_feed_is_an_empty_run() {
    let outcome = run(&config(), Feed::memory(&[]), &mut Grid::new(GridConfig::default(), scale())).unwrap();
    assert_eq!((outcome.wakes, outcome.answers, outcome.ledger.fills()), (0, 0, 0));
}

#[test]
fn the_grid_quotes_both_sides_and_follows_the_market() {
    let book = "
        1000 depth buy 600000 50
        1000 depth sell 600001 50
        1500 trade sell 599900 5
        1600 depth buy 600000 0
        1600 depth buy 599600 50
        1600 depth sell 599601 50
        9000 depth buy 100 1
    ";
    let rows = market(book);
    let mut grid = Grid::new(GridConfig::default(), scale());
    let outcome = run(&config(), Feed::memory(&rows), &mut grid).unwrap();
    assert_eq!(
        outcome.ledger.position_parts(),
        5 + 50,
        "what was traded through us, then what crossed us: {outcome:?}"
    );
    assert!(outcome.answers > 40, "twenty quotes, then a move: {outcome:?}");
}

/// A grid that never says how regular its wakes are.
struct Restless(Grid);

impl Trader for Restless {
    fn start(&mut self, first_ns: i64) -> Option<i64> {
        self.0.start(first_ns)
    }

    fn wake(&mut self, desk: &mut Desk<'_>) -> Option<i64> {
        self.0.wake(desk)
    }
}

#[test]
fn a_pause_of_the_market_is_passed_over_and_changes_nothing() {
    let paused = |ms: u64| {
        market(&format!(
            "1000 depth buy 600000 50
            1000 depth sell 600001 50
            1500 trade sell 599900 5
            {} depth buy 600000 0
            {} depth buy 599600 50
            {} depth sell 599601 50
            {} depth buy 100 1",
            1_600 + ms,
            1_600 + ms,
            1_600 + ms,
            9_000 + ms
        ))
    };
    for pause in [50, 3_600_000] {
        let rows = paused(pause);
        let grid = || Grid::new(GridConfig::default(), scale());
        let plain = run(&config(), Feed::memory(&rows), &mut Restless(grid())).unwrap();
        assert_eq!(run(&config(), Feed::memory(&rows), &mut grid()).unwrap(), plain, "{pause} ms");
        assert!(plain.answers > 40, "{plain:?}");
    }
    // Six years: nobody would wait for two thousand million wakes.
    let six_years = paused(6 * 365 * 86_400_000);
    let outcome = run(&config(), Feed::memory(&six_years), &mut Grid::new(GridConfig::default(), scale())).unwrap();
    assert!(outcome.wakes > 1_890_000_000 && outcome.answers > 40, "{outcome:?}");
}
