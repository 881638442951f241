//! Placing, cancelling and modifying, and every way to be refused.

use super::*;

const BOOK: &str = "0 book 5@59999.9 5@59999.8 | 4@60000 3@60000.1; 0 mark 60000 0";

#[test]
fn orders_take_rest_and_end_as_their_time_in_force_says() {
    let table = [
        ("A buy 1@59999.9 gtx", "new A"),
        ("A buy 1@59999.9 gtc", "new A"),
        ("A buy 1@60000 gtc", "new A take A 1@60000 filled"),
        ("A buy 5@60000 gtc", "new A take A 4@60000 partly"),
        ("A buy 5@60000 ioc", "new A take A 4@60000 partly end A expired er2"),
        ("A buy 1@59999 ioc", "new A end A expired er2"),
        ("A buy 6@60000.1 fok", "new A take A 4@60000 partly take A 2@60000.1 filled"),
        ("A sell 2 market", "new A take A 2@59999.9 filled"),
        ("A buy 7 market", "new A take A 4@60000 partly take A 3@60000.1 filled"),
        ("A buy 8 market", "new A take A 4@60000 partly take A 3@60000.1 partly end A expired er9"),
    ];
    for (order, expected) in table {
        let mut desk = Desk::with(BOOK, |config| config.wallet = "1000000".parse().unwrap());
        desk.place(order).unwrap();
        assert_eq!(desk.said(), expected, "{order}");
    }
}

#[test]
fn what_breaks_a_rule_is_refused_and_leaves_no_trace() {
    let price = |text: &str| text.parse::<Price>().unwrap();
    let table = [
        ("A buy 1@0 gtc", Reject::PriceTooLow),
        ("A buy 1@500 gtc", Reject::PriceTooLow),
        ("A sell 1@4529764.1 gtc", Reject::PriceTooHigh),
        ("A buy 1@59999.95 gtc", Reject::PriceOffTick),
        ("A buy 0@59999.9 gtc", Reject::QtyTooLow),
        ("A buy 1000.001@59999.9 gtc", Reject::QtyTooHigh),
        ("A buy 120.001 market", Reject::QtyTooHigh),
        ("A buy 1.0005@59999.9 gtc", Reject::QtyOffStep),
        ("A buy 1@63000.1 gtc", Reject::PriceAboveBand(price("63000"))),
        ("A sell 1@56999.9 gtc", Reject::PriceBelowBand(price("57000"))),
        ("A buy 0.001@40000 gtc", Reject::NotionalTooLow("50".parse().unwrap())),
        ("A buy 1@60000 gtx", Reject::WouldTake),
        ("A sell 1@59999.9 gtx", Reject::WouldTake),
        ("A buy 6@60000 fok", Reject::CannotFill),
        ("A buy 1@59999.9 gtc reduce", Reject::NotReducing),
        ("A buy 40@59999.9 gtc", Reject::InsufficientMargin),
        ("X buy 0.1@59000 gtc", Reject::DuplicateClientId),
    ];
    for (order, expected) in table {
        let mut desk = Desk::with(BOOK, |config| config.wallet = "100000".parse().unwrap());
        desk.place("X buy 0.1@50000 gtc").unwrap();
        desk.said();
        let (next, wallet) = (desk.core.orders.next_id(), desk.core.wallet());
        assert_eq!(desk.place(order), Err(expected), "{order}");
        assert_eq!(desk.said(), "", "{order}");
        assert_eq!((desk.core.orders.next_id(), desk.core.wallet()), (next, wallet));
        assert_eq!(desk.core.open_orders(None).len(), 1);
    }
}

#[test]
fn the_number_of_open_orders_is_limited() {
    let mut desk = Desk::with(BOOK, |config| config.listings[0].open_orders_max = 2);
    desk.place("A buy 0.001@50000 gtc").unwrap();
    desk.place("B buy 0.001@50000 gtc").unwrap();
    assert_eq!(desk.place("C buy 0.001@50000 gtc"), Err(Reject::TooManyOpenOrders));
    assert_eq!(desk.core.cancel_all(desk.now, 0, &mut desk.events), 2);
    desk.place("A buy 0.001@50000 gtc").unwrap();
    assert_eq!(desk.core.all_orders(0).len(), 3);
    let newest = desk.core.order(0, &OrderKey::Client("A".into())).unwrap();
    assert_eq!(newest.status, OrderStatus::New, "a client id names the newest order that has it");
    let oldest = desk.core.all_orders(0)[0].id;
    assert_eq!(desk.core.order(0, &OrderKey::Id(oldest)).unwrap().status, OrderStatus::Canceled);
}

#[test]
fn a_market_order_needs_a_market() {
    let mut desk = Desk::new("0 book 5@59999.9 |; 0 mark 60000 0");
    assert_eq!(desk.place("A buy 1 market"), Err(Reject::NoLiquidity));
    let mut far = Desk::new("0 book 5@50000 | 5@70000; 0 mark 60000 0");
    assert_eq!(far.place("A buy 1 market"), Err(Reject::CounterpartyBeyondBand));
    assert_eq!(far.place("A sell 0.0001 market"), Err(Reject::QtyTooLow), "filters come first");
    let mut never = Desk::new("");
    assert_eq!(never.place("A buy 1 market"), Err(Reject::NoLiquidity), "nothing is known of the price either");
}

#[test]
fn self_trades_are_prevented_as_the_taker_wants() {
    let table = [
        ("B buy 1@60000 gtc taker", "new B end B expired-in-match er1"),
        ("B buy 1@60000 gtc maker", "new B end A expired-in-match er1 take B 1@60000 filled"),
        ("B buy 1@60000 gtc both", "new B end A expired-in-match er1 end B expired-in-match er1"),
        ("B buy 1@60000 gtc none", "new B take B 1@59999.9 filled make A 1@59999.9 filled"),
    ];
    for (order, expected) in table {
        let mut desk = Desk::new("0 book 5@59999.8 | 4@60000; 0 mark 60000 0");
        desk.place("A sell 1@59999.9 gtx").unwrap();
        desk.said();
        desk.place(order).unwrap();
        assert_eq!(desk.said(), expected, "{order}");
    }
}

#[test]
fn reduce_only_shrinks_to_the_position_and_never_flips_it() {
    let mut desk = Desk::new("0 book 5@59999.9 | 4@60000; 0 mark 60000 0; 1 trade buy 9@60000.5");
    desk.place("A buy 1@60000 gtc").unwrap();
    let order = desk.place("B sell 3@60000.4 gtc reduce").unwrap();
    assert_eq!(order.placed.qty.to_string(), "1", "cut to the position");
    desk.place("C sell 0.4@60000.3 gtc reduce").unwrap();
    desk.said();
    desk.until(1.0);
    assert_eq!(desk.said(), "make C 0.4@60000.3 filled make B 0.6@60000.4 partly end B expired er4");
    assert!(desk.core.position(0).qty.is_zero());
    assert_eq!(desk.place("D sell 1@60000 gtc reduce"), Err(Reject::NotReducing));
}

#[test]
fn an_amended_reduce_only_order_is_cut_to_the_position_too() {
    let mut desk = Desk::new("0 book 5@59999.9 | 4@60000; 0 mark 60000 0; 1 trade buy 0.25@60000.5");
    desk.place("A buy 1@60000 gtc").unwrap();
    desk.place("B sell 0.5@60000.4 gtc reduce").unwrap();
    assert_eq!(desk.modify("B sell 3@60000.3 gtc").unwrap().placed.qty.to_string(), "1");
    assert_eq!(desk.modify("B sell 5@60000.3 gtc"), Err(Reject::NothingToModify), "cut, it is what it was");
    desk.until(1.0);
    assert_eq!(desk.modify("B sell 3@60000.2 gtc").unwrap().placed.qty.to_string(), "1", "0.25 filled, 0.75 held");
}

#[test]
fn the_leverage_limits_what_may_be_held_and_ordered() {
    let ready = |leverage: u32| {
        let mut desk = Desk::with("0 book 9@59999.9 | 9@60000; 0 mark 60000 0", |config| {
            config.wallet = "1000000".parse().unwrap();
            config.leverage = leverage;
        });
        desk.place("A buy 3@60000 gtc").unwrap();
        desk.place("B buy 2@59000 gtc").unwrap();
        desk
    };
    let mut desk = ready(125);
    assert_eq!(desk.place("C buy 0.1@59999.9 gtx"), Err(Reject::PositionTooLarge));
    assert_eq!(desk.place("C buy 1 market"), Err(Reject::PositionTooLarge));
    assert_eq!(desk.modify("B buy 2.1@59000 gtc"), Err(Reject::PositionTooLarge));
    desk.place("C sell 7@60001 gtc").unwrap();
    assert_eq!(desk.place("D sell 2@60001 gtc"), Err(Reject::PositionTooLarge), "3 held, 9 for sale");
    desk.cancel("B").unwrap();
    desk.place("E buy 1.9@60000 gtc").unwrap();
    let desk = ready(100);
    assert_eq!(desk.core.check_leverage(0, 125), Ok(()));
    let mut desk = ready(100);
    desk.place("C buy 1@59999.9 gtx").unwrap();
    assert_eq!(desk.core.check_leverage(0, 125), Err(Reject::PositionTooLarge));
    assert_eq!(
        (desk.core.check_leverage(0, 101), desk.core.check_leverage(0, 1)),
        (Err(Reject::PositionTooLarge), Ok(()))
    );
    let mut poor = Desk::new("0 book 9@59999.9 | 9@60000; 0 mark 60000 0");
    poor.place("A buy 1@60000 gtc").unwrap();
    assert_eq!((poor.core.check_leverage(0, 7), poor.core.check_leverage(0, 6)), (Ok(()), Err(Reject::LeverageTooLow)));
}

#[test]
fn reduce_only_orders_end_when_the_position_is_gone_otherwise() {
    let mut desk = Desk::new(BOOK);
    desk.place("A buy 1@60000 gtc").unwrap();
    desk.place("B sell 1@60001 gtc reduce").unwrap();
    desk.said();
    desk.place("C sell 1 market").unwrap();
    assert_eq!(desk.said(), "new C take C 1@59999.9 filled end B expired er4");
}

#[test]
fn cancelling_ends_an_order_once() {
    let mut desk = Desk::new("0 book 5@59999.9 | 4@60000; 1 trade sell 60@59999.9; 1 trade sell 9@59999.9");
    desk.place("A buy 1@59999.9 gtx").unwrap();
    desk.place("B buy 1@59999.8 gtx").unwrap();
    assert_eq!(desk.cancel("B").unwrap().status, OrderStatus::Canceled);
    assert_eq!(desk.cancel("B"), Err(Reject::UnknownOrder));
    assert_eq!(desk.cancel("?"), Err(Reject::UnknownOrder));
    desk.until(1.0);
    assert_eq!(desk.said(), "new A new B end B canceled er0 make A 1@59999.9 filled");
    assert_eq!(desk.cancel("A"), Err(Reject::UnknownOrder));
}

#[test]
fn modifying_requeues_ends_or_is_refused() {
    let script = "0 book 5@59999.9 | 4@60000; 0 mark 60000 0; 1 trade sell 5.5@59999.9; 2 diff 7@59999.9 |";
    let ready = || {
        let mut desk = Desk::new(script);
        desk.place("A buy 1@59999.9 gtx").unwrap();
        desk.until(2.0);
        assert_eq!(desk.said(), "new A make A 0.5@59999.9 partly");
        desk
    };
    let table = [
        ("A buy 2@59999.9 gtc", "amended A 2@59999.9", Some("7")),
        ("A buy 0.9@59999.9 gtc", "amended A 0.9@59999.9", Some("7")),
        ("A buy 1@59999.5 gtc", "amended A 1@59999.5", Some("0")),
        ("A buy 0.5@59999.9 gtc", "end A canceled er0", None),
        ("A buy 0.4@59999.9 gtc", "end A canceled er0", None),
        ("A buy 1@60000 gtc", "end A canceled er0", None),
    ];
    for (request, expected, ahead) in table {
        let mut desk = ready();
        let order = desk.modify(request).unwrap();
        assert_eq!(desk.said(), expected, "{request}");
        assert_eq!(desk.core.queue_ahead(&order).map(|qty| qty.to_string()).as_deref(), ahead, "{request}");
    }
    let refused = [
        ("A buy 1@59999.9 gtc", Reject::NothingToModify),
        ("A sell 1@59999.8 gtc", Reject::UnknownOrder),
        ("B buy 1@59999.8 gtc", Reject::UnknownOrder),
        ("A buy 1@59999.85 gtc", Reject::PriceOffTick),
        ("A buy 9@59999.8 gtc", Reject::InsufficientMargin),
    ];
    for (request, expected) in refused {
        let mut desk = ready();
        assert_eq!(desk.modify(request), Err(expected), "{request}");
        assert_eq!(desk.core.open_orders(Some(0))[0].placed.qty.to_string(), "1", "it stays as it is");
    }
}

#[test]
fn an_ordinary_order_may_be_modified_into_taking() {
    let mut desk = Desk::new(BOOK);
    desk.place("A buy 1@59999.9 gtc").unwrap();
    desk.modify("A buy 2@60000 gtc").unwrap();
    assert_eq!(desk.said(), "new A amended A 2@60000 take A 2@60000 filled");
}

#[test]
fn margin_counts_position_orders_and_leverage() {
    let mut desk = Desk::new(BOOK);
    let text = |amount: Notional| amount.to_string();
    desk.place("A buy 1@59999.9 gtc").unwrap();
    assert_eq!(text(desk.core.initial_margin(0)), "2999.995");
    assert_eq!(text(desk.core.available()), "7000.005");
    desk.place("B sell 1@60001 gtc").unwrap();
    assert_eq!(text(desk.core.initial_margin(0)), "3000.05", "one side fills or the other");
    desk.place("C buy 2@60000 gtc").unwrap();
    assert_eq!(text(desk.core.position_margin(0)), "6000");
    assert_eq!(desk.place("D buy 1@59999 gtc"), Err(Reject::InsufficientMargin));
    desk.place("E sell 3@60002 gtc").unwrap();
    desk.core.set_leverage(0, 10);
    assert_eq!(text(desk.core.position_margin(0)), "12000");
    assert!(desk.core.available() < Notional::ZERO);
    desk.place("F sell 0.5 market").unwrap();
}
