//! Sessions written as steps, and what becomes of them.

use optiflow_base::order::OrderKind;
use optiflow_storage::reader::history::OrderStep;
use optiflow_storage::word::OrderWord;

use super::*;

fn step(at_us: u64, exchange_ms: u64, what: &str) -> OrderStep {
    let what = OrderWord::ALL.into_iter().find(|word| word.name() == what).unwrap();
    OrderStep { order: 1, at: Nanos(at_us * 1_000), exchange_ms, what, value: None }
}

fn valued(at_us: u64, exchange_ms: u64, what: &str, value: i64) -> OrderStep {
    OrderStep { value: Some(value), ..step(at_us, exchange_ms, what) }
}

fn order(state: &str, time_in_force: TimeInForce, reduce_only: bool) -> SentOrder {
    SentOrder {
        id: 1,
        client_id: "of-1".to_owned(),
        symbol: "BTCUSDT".to_owned(),
        side: Side::Buy,
        kind: OrderKind::Limit,
        time_in_force,
        price: Price::from_units(100),
        qty: Qty::from_units(50),
        reduce_only,
        decided: Nanos(0),
        state: state.to_owned(),
        filled: Qty::ZERO,
    }
}

fn told(order: SentOrder, steps: &[OrderStep], fills: &[OrderFill]) -> String {
    let orders = [order];
    let lives = lives(&orders, steps);
    let travel = Travel::new(vec![(0, 200_000)], Source::Acknowledgements);
    let (orders, left_out) = super::orders(orders.into(), &lives, fills, &travel);
    match orders.first() {
        Some(own) => {
            let us = |ns: i64| ns / 1_000;
            let changes: String = own
                .changes
                .iter()
                .map(|change| format!("{} at {} for {} ", us(change.at_ns), change.price.units(), change.qty.units()))
                .collect();
            let (arrival, qty, cancel) = (us(own.arrival_ns), own.qty.units(), own.cancel_ns.map(us));
            format!("{arrival} {:?} {qty} {changes}cancel {cancel:?}", own.known_by)
        }
        None if left_out.modify_unknown > 0 => format!("modify unknown {}", left_out.modify_unknown),
        None => format!("refused {} unknown {}", left_out.refused, left_out.unknown),
    }
}

#[test]
fn a_request_arrives_within_the_millisecond_that_the_exchange_names() {
    let gtx = || order("cancelled", TimeInForce::Gtx, false);
    let sent = step(5_100, 0, "sent");
    let table = [
        (vec![sent.clone(), step(5_500, 5, "accepted")], "5300 Exchange 50 cancel None"),
        (vec![sent.clone(), step(5_500, 6, "accepted")], "6000 Exchange 50 cancel None"),
        (vec![sent.clone(), step(5_500, 4, "accepted")], "4999 Exchange 50 cancel None"),
        (vec![sent.clone(), step(5_500, 0, "accepted")], "5300 Typical 50 cancel None"),
        (
            vec![sent.clone(), step(5_500, 5, "accepted"), step(9_000, 0, "cancel_sent"), step(9_900, 9, "cancelled")],
            "5300 Exchange 50 cancel Some(9200)",
        ),
        // Ended by the exchange itself.
        (
            vec![sent.clone(), step(5_500, 5, "accepted"), step(9_900, 9, "cancelled")],
            "5300 Exchange 50 cancel Some(9500)",
        ),
        (vec![sent.clone()], "refused 0 unknown 1"),
        (vec![], "refused 0 unknown 1"),
    ];
    for (steps, expected) in table {
        assert_eq!(told(gtx(), &steps, &[]), expected, "{steps:?}");
    }
}

#[test]
fn what_lapsed_is_sent_again_and_what_was_refused_is_not() {
    let steps = [step(5_100, 0, "sent"), step(5_500, 0, "expired")];
    assert_eq!(told(order("expired", TimeInForce::Gtx, false), &steps, &[]), "5300 Typical 50 cancel None");
    let steps = [step(5_100, 0, "sent"), step(5_500, 0, "refused")];
    assert_eq!(told(order("refused", TimeInForce::Gtx, false), &steps, &[]), "refused 1 unknown 0");
}

#[test]
fn a_cancel_that_came_too_late_comes_after_the_fill_and_a_cut_order_has_its_cut_size() {
    let (price, qty) = (Price::from_units(100), Qty::from_units(30));
    let fill = OrderFill { order: 1, exchange_ms: 20, at: Nanos(0), price, qty, fee: 0, maker: true };
    let steps = [
        step(5_100, 0, "sent"),
        step(5_500, 5, "accepted"),
        step(9_000, 0, "cancel_sent"),
        step(21_000, 20, "filled"),
        step(21_000, 20, "done"),
    ];
    let answer = told(order("filled", TimeInForce::Gtx, true), &steps, &[fill]);
    assert_eq!(answer, "5300 Exchange 30 cancel Some(21000)");
}

#[test]
fn travel_is_measured_in_the_truest_way_there_is() {
    let named = [step(5_100, 0, "sent"), step(5_500, 5, "accepted")];
    assert_eq!(travel(&lives(&[], &named), None).typical_ns, 400_000);
    let unnamed = [step(5_100, 0, "sent"), step(5_500, 0, "accepted")];
    let measured = travel(&lives(&[], &unnamed), None);
    assert_eq!((measured.typical_ns, measured.source), (200_000, Source::RoundTrips));
    assert_eq!(travel(&BTreeMap::new(), Some(80)).typical_ns, 40);
    assert_eq!(travel(&BTreeMap::new(), None).source, Source::Nothing);
}

#[test]
fn only_what_tells_of_its_arrival_names_it() {
    let sent = step(5_100, 0, "sent");
    let resting = |time_in_force| order("filled", time_in_force, false);
    let table = [
        // It rested without a named millisecond, and what happened later says nothing.
        (resting(TimeInForce::Gtc), vec![step(5_500, 0, "accepted"), step(9_900, 9, "filled")], "5300 Typical"),
        (resting(TimeInForce::Gtc), vec![step(9_900, 9, "filled"), step(9_950, 9, "accepted")], "5300 Typical"),
        (resting(TimeInForce::Gtx), vec![step(5_500, 5, "accepted"), step(9_900, 4, "filled")], "5300 Exchange"),
        // What cannot rest is over when it arrives.
        (resting(TimeInForce::Ioc), vec![step(6_500, 6, "filled"), step(6_500, 6, "done")], "6000 Exchange"),
        (order("expired", TimeInForce::Fok, false), vec![step(6_500, 6, "expired")], "6000 Exchange"),
        (order("expired", TimeInForce::Gtx, false), vec![step(6_500, 6, "expired")], "6000 Exchange"),
    ];
    for (order, mut steps, expected) in table {
        steps.insert(0, sent.clone());
        let answer = told(order, &steps, &[]);
        assert!(answer.starts_with(expected), "{answer}: {steps:?}");
    }
}

#[test]
fn modifications_arrive_when_the_exchange_says_and_those_of_unknown_fate_leave_the_order_out() {
    let begin = [step(5_100, 0, "sent"), step(5_500, 5, "accepted")];
    let modified = [valued(8_500, 8, "modified", 90), valued(8_500, 8, "modified_qty", 60)];
    let ask = step(8_100, 0, "modify_sent");
    let table: [(&str, Vec<OrderStep>, &str); 9] = [
        ("open", [std::slice::from_ref(&ask), &modified[..]].concat(), "50 8300 at 90 for 60 cancel None"),
        // Nobody here had asked for it.
        ("open", modified.to_vec(), "50 8500 at 90 for 60 cancel None"),
        ("open", vec![ask.clone(), step(8_500, 0, "modify_refused")], "50 cancel None"),
        (
            "cancelled",
            [std::slice::from_ref(&ask), &modified[..], &[step(8_600, 0, "cancel_sent"), step(8_900, 8, "cancelled")]]
                .concat(),
            "50 8300 at 90 for 60 cancel Some(8800)",
        ),
        // Ended by the exchange, whatever of the modification.
        ("cancelled", vec![ask.clone(), step(8_500, 8, "cancelled")], "50 cancel Some(8500)"),
        // Traded wholly before the request was there, or perhaps not.
        ("filled", vec![ask.clone(), step(8_500, 7, "filled"), step(8_500, 7, "done")], "50 cancel None"),
        ("filled", vec![ask.clone(), step(9_500, 9, "filled"), step(9_500, 9, "done")], "modify unknown 1"),
        ("open", vec![ask.clone()], "modify unknown 1"),
        ("open", vec![ask, modified[0].clone()], "modify unknown 1"),
    ];
    for (state, rest, expected) in table {
        let steps = [&begin[..], &rest].concat();
        let answer = told(order(state, TimeInForce::Gtx, false), &steps, &[]);
        assert!(answer.ends_with(expected), "{answer}: {rest:?}");
    }
}

#[test]
fn every_word_that_storage_writes_counts_for_something_or_changes_nothing_at_the_exchange() {
    let begin = [step(5_100, 0, "sent"), step(5_500, 5, "accepted"), valued(7_000, 7, "modified", 90)];
    let usual = [valued(7_000, 7, "modified_qty", 60)];
    let state = |steps: &[OrderStep]| format!("{:?}", lives(&[], steps));
    let before = state(&[&begin[..], &usual].concat());
    for word in OrderWord::ALL {
        let steps = [&begin[..], &usual, &[OrderStep { what: word, ..valued(8_000, 8, "sent", 80) }]].concat();
        let is_dropped = state(&steps) == before;
        let is_without_effect = match word {
            OrderWord::Denied | OrderWord::Refused | OrderWord::Unknown | OrderWord::CancelRefused => true,
            // Repeated, or no request is under way.
            OrderWord::Sent | OrderWord::Accepted | OrderWord::ModifyRefused => true,
            OrderWord::Filled | OrderWord::CancelSent | OrderWord::ModifySent | OrderWord::Modified => false,
            OrderWord::ModifiedQty | OrderWord::Done | OrderWord::Cancelled | OrderWord::Expired => false,
        };
        assert_eq!(is_dropped, is_without_effect, "{word:?}");
    }
}
