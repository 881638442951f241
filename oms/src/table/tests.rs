//! Every order of arrival leads to the same end; the table is bounded and counts right.

use optiflow_base::money::{Price, Qty, Side};
use optiflow_base::order::{OrderChange, OrderKind, TimeInForce};

use super::*;
use crate::order::{End, Fill, Oddity};

const SYMBOL: SymbolId = SymbolId(0);
const EXCHANGE: ExchangeOrderId = ExchangeOrderId(77);

fn qty(units: i64) -> Qty {
    Qty::from_units(units)
}

fn id(counter: u32) -> OrderId {
    OrderId::new(5, counter)
}

fn new_order(counter: u32) -> NewOrder {
    NewOrder {
        id: id(counter),
        side: Side::Buy,
        kind: OrderKind::Limit,
        time_in_force: TimeInForce::Gtx,
        price: Price::from_units(100),
        qty: qty(10),
        reduce_only: false,
    }
}

fn exists(executed: i64) -> Fact {
    Fact::Exists { exchange_id: EXCHANGE, executed: qty(executed) }
}

fn traded(trade: u64, units: i64) -> Fact {
    let fill = Fill { trade: TradeId(trade), price: Price::from_units(100), qty: qty(units), maker: true, fee: 1 };
    Fact::Traded { exchange_id: EXCHANGE, fill }
}

fn ended(end: End, executed: i64) -> Fact {
    Fact::Ended { exchange_id: EXCHANGE, end, executed: qty(executed) }
}

/// What a reader of the reports believes after a sequence of facts: it checks every promise on the way.
fn play(facts: &[&[Fact]]) -> (State, Qty, Vec<u64>, bool) {
    let mut table = Table::new(1);
    assert!(table.insert(SYMBOL, &new_order(1), Nanos(0)));
    let (mut trades, mut ends, mut accepted, mut total) = (Vec::new(), 0, 0, Qty::ZERO);
    for change in facts.iter().flat_map(|group| group.iter()).flat_map(|fact| {
        let effects = table.learn(id(1), *fact).unwrap_or_default();
        assert_eq!(effects.odd, None, "{fact:?} is not odd");
        effects.changes
    }) {
        assert_eq!(ends, 0, "nothing follows the end");
        match change {
            OrderChange::Accepted { .. } => accepted += 1,
            OrderChange::Filled { trade, qty, total: said, .. } => {
                total += qty;
                assert_eq!(total, said, "totals add up");
                trades.push(trade.0);
            }
            OrderChange::Unknown => assert_eq!(accepted, 0, "unknown is not said of what was accepted"),
            OrderChange::Refused { .. } | OrderChange::Done | OrderChange::Cancelled | OrderChange::Expired => {
                ends += 1
            }
            OrderChange::Denied(_)
            | OrderChange::Sent
            | OrderChange::CancelSent
            | OrderChange::CancelRefused { .. }
            | OrderChange::ModifySent
            | OrderChange::Modified { .. }
            | OrderChange::ModifyRefused { .. } => panic!("no fact leads to {change:?}"),
        }
    }
    let order = table.get(id(1)).unwrap();
    assert_eq!(ends == 1, order.state().is_end(), "an end is announced once");
    assert_eq!(table.counts().live, u32::from(!order.state().is_end()));
    trades.sort_unstable();
    (order.state(), order.booked(), trades, accepted == 1)
}

fn permutations(items: &mut Vec<usize>, from: usize, visit: &mut impl FnMut(&[usize])) {
    if from == items.len() {
        visit(items);
        return;
    }
    for at in from..items.len() {
        items.swap(from, at);
        permutations(items, from + 1, visit);
        items.swap(from, at);
    }
}

#[test]
fn every_order_of_arrival_leads_to_the_same_end() {
    // Each inner list is one message; a message's facts stay together, messages come in any order.
    let part = |trade, units, so_far| vec![traded(trade, units), exists(so_far)];
    let stories: Vec<(&str, Vec<Vec<Fact>>, State)> = vec![
        (
            "filled in two, answer lost, asked twice",
            vec![
                vec![Fact::Unanswered],
                vec![exists(0)],
                part(1, 4, 4),
                vec![traded(2, 6), ended(End::Filled, 10)],
                vec![exists(4)],
                vec![ended(End::Filled, 10)],
            ],
            State::Filled,
        ),
        (
            "partly filled, then cancelled, every witness heard",
            vec![
                vec![exists(0)],
                vec![exists(0)],
                part(1, 3, 3),
                part(2, 4, 7),
                vec![ended(End::Cancelled, 7)],
                vec![ended(End::Cancelled, 7)],
            ],
            State::Cancelled,
        ),
        (
            "told twice by two streams",
            vec![
                part(1, 4, 4),
                part(1, 4, 4),
                vec![traded(2, 6), ended(End::Filled, 10)],
                vec![traded(2, 6), ended(End::Filled, 10)],
                vec![Fact::Unanswered],
                vec![exists(0)],
            ],
            State::Filled,
        ),
        (
            "expired without a fill, answer lost",
            vec![vec![Fact::Unanswered], vec![exists(0)], vec![ended(End::Expired, 0)], vec![ended(End::Expired, 0)]],
            State::Expired,
        ),
        (
            "refused late, then proven absent",
            vec![vec![Fact::Unanswered], vec![Fact::Refused { code: -5022 }], vec![Fact::Refused { code: -5022 }]],
            State::Refused,
        ),
        (
            "still open",
            vec![vec![Fact::Unanswered], vec![exists(0)], part(1, 3, 3), part(2, 2, 5)],
            State::PartlyFilled,
        ),
    ];
    for (name, messages, state) in stories {
        let mut seen = 0;
        let in_order: Vec<&[Fact]> = messages.iter().map(Vec::as_slice).collect();
        let expected = play(&in_order);
        assert_eq!(expected.0, state, "{name}");
        permutations(&mut (0..messages.len()).collect(), 0, &mut |order| {
            let shuffled: Vec<&[Fact]> = order.iter().map(|&at| messages[at].as_slice()).collect();
            assert_eq!(play(&shuffled), expected, "{name}: {order:?}");
            seen += 1;
        });
        assert_eq!(seen, (1..=messages.len()).product::<usize>(), "{name}");
    }
}

#[test]
fn an_end_waits_for_the_fills_that_the_exchange_counts() {
    let mut table = Table::new(1);
    table.insert(SYMBOL, &new_order(1), Nanos(0));
    let effects = table.learn(id(1), ended(End::Cancelled, 4)).unwrap();
    assert_eq!(effects.changes.as_slice(), [OrderChange::Accepted { exchange_id: EXCHANGE }]);
    let order = table.get(id(1)).unwrap();
    assert!(order.is_closing() && order.misses_fills() && !order.state().is_end());
    let effects = table.learn(id(1), traded(9, 4)).unwrap();
    assert_eq!(effects.changes.last(), Some(&OrderChange::Cancelled));
}

#[test]
fn contradictions_are_named_and_never_lose_a_fill() {
    type Row<'a> = (&'a str, &'a [Fact], Fact, Option<Oddity>, State, i64);
    let table: &[Row<'_>] = &[
        ("late fill", &[ended(End::Cancelled, 0)], traded(1, 2), Some(Oddity::LateFill), State::Cancelled, 2),
        (
            "refusal of a live order",
            &[exists(0)],
            Fact::Refused { code: -1 },
            Some(Oddity::DeniedButAlive),
            State::Open,
            0,
        ),
        (
            "absence of a live order",
            &[exists(0)],
            Fact::Absent { code: -2013 },
            Some(Oddity::DeniedButAlive),
            State::Open,
            0,
        ),
        (
            "a refused order lives",
            &[Fact::Refused { code: -1 }],
            exists(0),
            Some(Oddity::AliveButRefused),
            State::Refused,
            0,
        ),
        (
            "a refused order trades",
            &[Fact::Refused { code: -1 }],
            traded(1, 2),
            Some(Oddity::LateFill),
            State::Refused,
            2,
        ),
        (
            "two ends",
            &[ended(End::Cancelled, 0)],
            ended(End::Expired, 0),
            Some(Oddity::EndsDiffer),
            State::Cancelled,
            0,
        ),
        ("too much", &[traded(1, 9)], traded(2, 2), Some(Oddity::Overfilled), State::PartlyFilled, 11),
        ("absurd", &[traded(1, 9)], traded(2, i64::MAX), Some(Oddity::Absurd), State::PartlyFilled, 9),
        ("negative", &[], traded(2, -1), Some(Oddity::Absurd), State::PartlyFilled, 0),
        ("a lapsed order lives", &[Fact::Lapsed], exists(0), Some(Oddity::AliveButRefused), State::Refused, 0),
        ("lapsed twice", &[Fact::Lapsed], Fact::Lapsed, None, State::Refused, 0),
        ("absent while sending", &[], Fact::Absent { code: -2013 }, None, State::Sending, 0),
        ("absent while unknown", &[Fact::Unanswered], Fact::Absent { code: -2013 }, None, State::Refused, 0),
    ];
    for (name, before, fact, odd, state, booked) in table {
        let mut table = Table::new(1);
        table.insert(SYMBOL, &new_order(1), Nanos(0));
        for fact in *before {
            table.learn(id(1), *fact);
        }
        let effects = table.learn(id(1), *fact).unwrap();
        let order = table.get(id(1)).unwrap();
        assert_eq!((effects.odd, order.state(), order.booked()), (*odd, *state, qty(*booked)), "{name}");
    }
}

#[test]
fn an_order_that_lapsed_has_expired_without_ever_having_existed() {
    for before in [&[][..], &[Fact::Unanswered]] {
        let mut table = Table::new(1);
        table.insert(SYMBOL, &new_order(1), Nanos(0));
        for fact in before {
            table.learn(id(1), *fact);
        }
        let effects = table.learn(id(1), Fact::Lapsed).unwrap();
        assert_eq!((effects.changes.as_slice(), effects.odd), (&[OrderChange::Expired][..], None));
        let order = table.get(id(1)).unwrap();
        assert!(order.state().is_end() && order.exchange_id().is_none());
        assert_eq!(table.counts().live, 0);
    }
}

#[test]
fn an_impossible_trade_does_not_keep_the_true_one_from_being_booked() {
    for (units, price) in [(0, 100), (-4, 100), (4, 0), (4, -1)] {
        let mut table = Table::new(1);
        table.insert(SYMBOL, &new_order(1), Nanos(0));
        let fill = Fill { trade: TradeId(1), price: Price::from_units(price), qty: qty(units), maker: true, fee: 1 };
        let effects = table.learn(id(1), Fact::Traded { exchange_id: EXCHANGE, fill }).unwrap();
        assert_eq!(effects.odd, Some(Oddity::Absurd));
        assert_eq!(table.last_trade(SYMBOL), None, "nothing was booked");
        let effects = table.learn(id(1), traded(1, 4)).unwrap();
        assert!(matches!(effects.changes.last(), Some(OrderChange::Filled { .. })), "{effects:?}");
        assert!(table.learn(id(1), traded(1, 4)).is_none(), "once");
    }
}

#[test]
fn an_order_claims_a_trade_that_was_booked_as_somebody_elses_once() {
    let mut table = Table::new(1);
    table.insert(SYMBOL, &new_order(1), Nanos(0));
    assert!(table.book_foreign(SYMBOL, TradeId(1)) && !table.book_foreign(SYMBOL, TradeId(1)));
    let effects = table.learn(id(1), traded(1, 4)).unwrap();
    assert!(effects.counted && effects.changes.len() == 2, "{effects:?}");
    assert_eq!(table.get(id(1)).unwrap().booked(), qty(4));
    assert!(table.learn(id(1), traded(1, 4)).is_none(), "once");
    assert!(!table.learn(id(1), traded(2, 4)).unwrap().counted);
    for trade in 10..10 + 2 * FOREIGN_LEN as u64 {
        assert!(table.book_foreign(SYMBOL, TradeId(trade)));
    }
    assert_eq!(table.foreign.len(), FOREIGN_LEN, "bounded");
}

#[test]
fn the_table_is_bounded_and_forgets_only_what_has_ended() {
    let mut table = Table::new(1);
    let far = |lap: u32| 1 + lap * SLOTS_LEN as u32;
    for lap in 0..PROBES_MAX as u32 {
        assert!(table.insert(SYMBOL, &new_order(far(lap)), Nanos(0)));
    }
    assert!(!table.has_room(id(far(99))), "all slots of this id hold live orders");
    assert!(!table.insert(SYMBOL, &new_order(far(99)), Nanos(0)));
    assert!(!table.insert(SYMBOL, &new_order(far(3)), Nanos(0)), "an id is used once");
    table.doubt(id(far(7)), Nanos(0));
    table.learn(id(far(7)), ended(End::Cancelled, 0));
    assert_eq!(table.counts(), Counts { live: 15, unknown: 0, doubtful: 1 });
    assert!(table.insert(SYMBOL, &new_order(far(99)), Nanos(0)));
    assert_eq!(table.counts(), Counts { live: 16, unknown: 0, doubtful: 0 });
    assert!(table.get(id(far(7))).is_none() && table.get(id(far(99))).is_some());
}

#[test]
fn orders_are_found_by_what_is_known_of_them() {
    let mut table = Table::new(2);
    for counter in 1..=3 {
        table.insert(SYMBOL, &new_order(counter), Nanos(0));
    }
    table.learn(id(2), exists(0));
    table.learn(id(3), Fact::Refused { code: -1 });
    assert_eq!(table.by_exchange_id(SYMBOL, EXCHANGE), Some(id(2)));
    assert_eq!(table.by_exchange_id(SymbolId(1), EXCHANGE), None);
    assert_eq!(table.live().map(|order| order.id).collect::<Vec<_>>(), [id(1), id(2)]);
    table.doubt(id(1), Nanos(5));
    let mut due = [Some(id(9)); 2];
    table.due(Nanos(4), &mut due);
    assert_eq!(due, [None, None]);
    table.due(Nanos(5), &mut due);
    assert_eq!(due, [Some(id(1)), None]);
    assert!(!table.book_foreign(SymbolId(9), TradeId(1)), "a stranger's symbol books nothing");
}

proptest::proptest! {
    /// What is packed for the search says the same as the slots themselves, whatever happened before.
    #[test]
    fn the_packed_heads_say_what_the_slots_say(steps in proptest::collection::vec((0u32..40, 0u32..3, 0u8..4), 0..300)) {
        let mut table = Table::new(1);
        // Counters that share a few slots, of several sessions, taken in any order.
        for (counter, lap, what) in steps {
            let id = OrderId::new(5 + lap, counter % 8 + counter / 8 * SLOTS_LEN as u32);
            let slow = probe(id).find(|&at| table.slots[at].as_ref().is_some_and(|order| order.id == id));
            let free = probe(id).find(|&at| table.slots[at].as_ref().is_none_or(|order| order.state().is_end()));
            proptest::prop_assert_eq!(table.find(id), slow);
            proptest::prop_assert_eq!(table.has_room(id), slow.is_none() && free.is_some());
            match what {
                0 | 1 => {
                    let taken = table.insert(SYMBOL, &NewOrder { id, ..new_order(0) }, Nanos(0));
                    proptest::prop_assert_eq!(taken, slow.is_none() && free.is_some());
                    proptest::prop_assert!(!taken || table.find(id) == free);
                }
                2 => {
                    table.learn(id, Fact::Refused { code: -1 });
                }
                _ => {
                    table.learn(id, exists(0));
                }
            }
        }
    }
}
