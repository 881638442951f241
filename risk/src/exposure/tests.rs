//! Exposure as it moves: from orders to the position, between old and new terms, and back.

use super::*;
use optiflow_base::clock::Nanos;
use optiflow_base::ids::TradeId;
use optiflow_base::order::{OrderKind, TimeInForce};

const SYMBOL: SymbolId = SymbolId(0);

fn order(counter: u32, side: Side, qty: i64, reduce_only: bool) -> NewOrder {
    let (kind, time_in_force) = (OrderKind::Limit, TimeInForce::Gtx);
    let (id, price) = (OrderId::new(1, counter), Price::from_units(1));
    NewOrder { id, side, kind, time_in_force, price, qty: Qty::from_units(qty), reduce_only }
}

fn event(counter: u32, change: OrderChange) -> OrderEvent {
    OrderEvent { symbol: SYMBOL, order: OrderId::new(1, counter), at: Nanos(0), exchange_ms: 0, change }
}

fn fill(counter: u32, qty: i64) -> OrderEvent {
    let (price, qty) = (Price::from_units(1), Qty::from_units(qty));
    event(counter, OrderChange::Filled { trade: TradeId(1), price, qty, total: qty, maker: true, fee: 0 })
}

fn worst(exposure: &Exposure) -> (i128, i128) {
    for side in [Side::Buy, Side::Sell] {
        assert_eq!(exposure.worst(SYMBOL, side), exposure.recount(SYMBOL, side));
    }
    (exposure.worst(SYMBOL, Side::Buy), exposure.worst(SYMBOL, Side::Sell))
}

#[test]
fn exposure_moves_from_orders_to_position_and_is_released_only_by_an_end() {
    let mut exposure = Exposure::new(&[8]);
    exposure.reserve(SYMBOL, &order(1, Side::Buy, 10, false));
    exposure.reserve(SYMBOL, &order(2, Side::Sell, 4, false));
    assert_eq!(worst(&exposure), (10, 4));
    for change in [OrderChange::Sent, OrderChange::Unknown, OrderChange::CancelRefused { code: -2011 }] {
        assert_eq!(exposure.follow(&event(1, change)), None);
        assert_eq!(worst(&exposure), (10, 4), "{change:?} releases nothing");
    }
    exposure.follow(&fill(1, 3));
    assert_eq!(worst(&exposure), (10, 4), "three are held, seven may follow; they give the other side no credit");
    exposure.follow(&event(1, OrderChange::Cancelled));
    assert_eq!(worst(&exposure), (3, 4));
    exposure.follow(&event(2, OrderChange::Expired));
    assert_eq!(worst(&exposure), (3, 0));
    assert_eq!(exposure.open_orders(SYMBOL), 0);
}

#[test]
fn a_fill_told_before_an_exit_s_may_have_come_after_it() {
    let mut exposure = Exposure::new(&[8]);
    exposure.adopt(SYMBOL, Qty::from_units(-8));
    exposure.reserve(SYMBOL, &order(1, Side::Buy, 3, false));
    exposure.reserve(SYMBOL, &order(2, Side::Buy, 8, true));
    assert_eq!(worst(&exposure), (3, 8), "the exit closes what is held, no more");
    exposure.follow(&fill(1, 3));
    exposure.follow(&event(1, OrderChange::Done));
    assert_eq!(worst(&exposure), (3, 5), "if the exit filled first, the three opened a position");
    exposure.follow(&event(2, OrderChange::Expired));
    assert_eq!(worst(&exposure), (0, 5), "it did not");
}

#[test]
fn a_modified_order_is_exposure_by_the_worse_of_both_terms_until_it_is_told() {
    let terms = |price, qty| Terms { price: Price::from_units(price), qty: Qty::from_units(qty) };
    let told = |price, qty, asked| {
        let Terms { price, qty } = terms(price, qty);
        event(1, OrderChange::Modified { price, qty, asked })
    };
    let id = OrderId::new(1, 1);
    let claims = |exposure: &Exposure| {
        let worth = exposure.worst_worth(SYMBOL, Side::Buy, Price::from_units(0));
        (worst(exposure).0, worth)
    };
    let mut exposure = Exposure::new(&[8]);
    exposure.reserve(SYMBOL, &order(1, Side::Buy, 10, false));
    for (asked, expected, after) in
        [((3, 4), (10, 30), (4, 12)), ((2, 15), (15, 45), (15, 30)), ((9, 15), (15, 135), (15, 135))]
    {
        assert!(exposure.amendable(SYMBOL, id, terms(asked.0, asked.1)).is_some());
        exposure.amend(id, terms(asked.0, asked.1));
        exposure.follow(&event(1, OrderChange::ModifySent));
        assert_eq!(claims(&exposure), expected, "asked {asked:?}");
        assert!(exposure.amendable(SYMBOL, id, terms(1, 1)).is_none(), "one at a time");
        exposure.follow(&told(asked.0, asked.1, true));
        assert_eq!(claims(&exposure), after, "told {asked:?}");
    }
    // Refused: the old terms again. Told by somebody else's doing: ours is still on its way.
    exposure.amend(id, terms(1, 20));
    exposure.follow(&event(1, OrderChange::ModifyRefused { code: -4164 }));
    assert_eq!(claims(&exposure), (15, 135));
    exposure.amend(id, terms(1, 20));
    exposure.follow(&told(5, 12, false));
    assert_eq!(claims(&exposure), (20, 100));
    // A fill of the larger quantity, before it is told, is no surprise; less than has traded cannot be asked for.
    assert_eq!(exposure.follow(&fill(1, 16)), None);
    exposure.follow(&told(1, 20, true));
    assert_eq!(exposure.worst(SYMBOL, Side::Buy), 20);
    assert!(exposure.amendable(SYMBOL, id, terms(1, 16)).is_none());
    assert!(exposure.amendable(SYMBOL, id, terms(1, 17)).is_some());
    exposure.amend(id, terms(1, 30));
    exposure.follow(&event(1, OrderChange::Cancelled));
    assert_eq!(exposure.worst(SYMBOL, Side::Buy), 16);
}

#[test]
fn reduce_only_orders_share_the_position_they_reduce() {
    let mut exposure = Exposure::new(&[8]);
    exposure.adopt(SYMBOL, Qty::from_units(10));
    assert_eq!((exposure.reducible(SYMBOL, Side::Sell), exposure.reducible(SYMBOL, Side::Buy)), (10, -10));
    exposure.reserve(SYMBOL, &order(1, Side::Sell, 6, true));
    assert_eq!(exposure.reducible(SYMBOL, Side::Sell), 4);
    assert_eq!(worst(&exposure), (10, 0), "they cannot open anything");
    exposure.follow(&fill(1, 6));
    exposure.follow(&event(1, OrderChange::Done));
    assert_eq!(exposure.reducible(SYMBOL, Side::Sell), 4);
}

#[test]
fn fills_that_do_not_fit_are_booked_and_told() {
    let mut exposure = Exposure::new(&[8]);
    exposure.reserve(SYMBOL, &order(1, Side::Buy, 10, false));
    exposure.follow(&event(1, OrderChange::Cancelled));
    assert_eq!(exposure.follow(&fill(1, 2)), Some(Surprise::Late));
    assert_eq!(worst(&exposure), (2, 0));
    assert!(!exposure.is_adrift(SYMBOL));
    assert_eq!(exposure.follow(&fill(9, 2)), Some(Surprise::Stranger));
    assert!(exposure.is_adrift(SYMBOL));
    exposure.adopt(SYMBOL, Qty::from_units(4));
    assert!(!exposure.is_adrift(SYMBOL));
    exposure.reserve(SYMBOL, &order(2, Side::Buy, 1, false));
    assert_eq!(exposure.follow(&fill(2, 3)), Some(Surprise::Excess));
    assert_eq!(worst(&exposure), (7, 0));
    assert!(exposure.is_adrift(SYMBOL));
    exposure.reconciled();
    assert!(!exposure.is_adrift(SYMBOL));
}

#[test]
fn only_a_post_only_order_of_which_nothing_traded_can_have_ended_because_it_would_take() {
    let mut exposure = Exposure::new(&[8]);
    let taker = NewOrder { time_in_force: TimeInForce::Ioc, ..order(2, Side::Buy, 10, false) };
    [order(1, Side::Buy, 10, false), taker].iter().for_each(|order| exposure.reserve(SYMBOL, order));
    assert_eq!([1, 2].map(|counter| exposure.is_untouched_post_only(OrderId::new(1, counter))), [true, false]);
    exposure.follow(&fill(1, 1));
    assert!(!exposure.is_untouched_post_only(OrderId::new(1, 1)));
}

#[test]
fn a_trade_of_less_than_nothing_claims_nothing() {
    let mut exposure = Exposure::new(&[8]);
    exposure.reserve(SYMBOL, &order(1, Side::Buy, 10, false));
    exposure.follow(&fill(1, 8));
    let (price, qty) = (Price::from_units(1), Qty::from_units(4));
    exposure.follow(&event(1, OrderChange::Modified { price, qty, asked: false }));
    exposure.follow(&fill(1, -3));
    worst(&exposure);
    exposure.follow(&event(1, OrderChange::Cancelled));
    assert_eq!(exposure.open_orders(SYMBOL), 0);
}

#[test]
fn cancels_find_only_open_orders_of_their_symbol() {
    let mut exposure = Exposure::new(&[8, 8]);
    exposure.reserve(SYMBOL, &order(1, Side::Buy, 10, false));
    assert!(exposure.is_open(SYMBOL, OrderId::new(1, 1)));
    assert!(!exposure.is_open(SymbolId(1), OrderId::new(1, 1)));
    assert!(!exposure.is_open(SYMBOL, OrderId::new(1, 2)));
}
