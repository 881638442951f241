//! Best bids and asks (bookTicker) as an input of their own: they move the book that is traded on, match resting orders,
//! and do not come back from the past.

#![allow(clippy::unwrap_used)]

mod core_support;

use optiflow_base::money::Side;
use optiflow_base::order::TimeInForce;
use optiflow_sim::core::{Core, VenueRules};
use optiflow_sim::words::{Placement, Reject};

use core_support::{Told, after, config, fills, limit, listing, ticks, until};

/// Update ids: the book is 1, the line after it 2 and so on; a top says its own.
fn core(script: &str) -> Core {
    let told = Told { listings: vec![listing()], ticks: ticks(script) };
    let mut core = Core::new(config(vec![listing()], VenueRules::default()), Box::new(told));
    until(&mut core, 0.0);
    core
}

fn place(core: &mut Core, text: &str, time_in_force: TimeInForce) -> Result<String, Reject> {
    let words: Vec<&str> = text.split_whitespace().collect();
    let (qty, price) = words[2].split_once('@').unwrap();
    let side = if words[1] == "buy" { Side::Buy } else { Side::Sell };
    let placed = Placement { time_in_force, ..limit(words[0], side, price.parse().unwrap(), qty.parse().unwrap()) };
    let mut events = Vec::new();
    core.place(after(0.0), placed, &mut events)?;
    Ok(filled(&events))
}

fn filled(events: &[optiflow_sim::words::CoreEvent]) -> String {
    let text = fills(events).map(|fill| format!("{} {}@{}", fill.client_id, fill.qty, fill.price));
    text.collect::<Vec<_>>().join(", ")
}

#[test]
fn a_best_price_fills_what_it_reaches_with_what_it_shows() {
    let mut core = core("0 book 5@99 | 4@101; 1 top 9 2@101 | 7@102; 2 top 10 3@101 | 7@102; 3 top 11 3@100.5 | 7@102");
    place(&mut core, "A sell 4@101", TimeInForce::Gtx).unwrap();
    place(&mut core, "B sell 1@100", TimeInForce::Gtx).unwrap();
    assert_eq!(filled(&until(&mut core, 1.0)), "B 1@100, A 1@101", "the better price first, no more than is shown");
    assert_eq!(filled(&until(&mut core, 2.0)), "A 1@101", "what is shown anew");
    assert_eq!(filled(&until(&mut core, 3.0)), "");
    assert_eq!(core.book(0).best(Side::Buy).unwrap().price, "100.5".parse().unwrap());
}

#[test]
fn takers_meet_the_newer_best_price() {
    let mut core = core("0 book 5@99 3@98 | 4@101; 0 top 9 2@98 | 1@100");
    assert_eq!(
        place(&mut core, "A sell 9@97", TimeInForce::Ioc).unwrap(),
        "A 2@98",
        "nothing better, its quantity stands"
    );
    assert_eq!(place(&mut core, "B buy 3@101", TimeInForce::Ioc).unwrap(), "B 1@100, B 2@101");
    assert_eq!(place(&mut core, "C sell 1@98.5", TimeInForce::Gtx).unwrap(), "", "99 is gone");
}

#[test]
fn a_level_told_alone_does_not_bring_back_what_the_top_removed() {
    let mut core = core("0 book 5@99 3@98 | 4@101; 0 top 2 2@98 | 4@101; 1 diff | 7@105; 2 diff 1@99 |");
    place(&mut core, "A sell 2@98.5", TimeInForce::Gtx).unwrap();
    assert_eq!(filled(&until(&mut core, 1.0)), "", "the diff says nothing of 99");
    assert_eq!(filled(&until(&mut core, 2.0)), "A 1@98.5");
}

#[test]
fn a_stale_top_neither_moves_the_book_nor_matches() {
    let mut core =
        core("0 book 5@99 | 4@101; 1 diff 6@99 |; 2 top 2 9@101 | 9@102; 3 top 1 9@101 | 9@102; 4 top 4 1@99 | 4@101");
    place(&mut core, "A sell 2@100", TimeInForce::Gtx).unwrap();
    place(&mut core, "B buy 2@99", TimeInForce::Gtx).unwrap();
    assert_eq!(filled(&until(&mut core, 3.0)), "", "updates 2 and 1 are known");
    let ahead = |core: &Core| {
        let order = core.open_orders(None)[1].clone();
        core.queue_ahead(&order).unwrap().to_string()
    };
    assert_eq!((core.book(0).best(Side::Buy).unwrap().qty.to_string(), ahead(&core)), ("6".into(), "5".into()));
    until(&mut core, 4.0);
    assert_eq!(ahead(&core), "1", "what the best shows caps the queue");
}

#[test]
fn one_side_may_be_told_alone() {
    let mut core = core("0 book 5@99 | 4@101 6@102; 1 top 9 2@101 | ; 2 top 10 | 1@101.5");
    place(&mut core, "A sell 1@100", TimeInForce::Gtx).unwrap();
    assert_eq!(filled(&until(&mut core, 1.0)), "A 1@100");
    let best = |core: &Core, side| core.book(0).best(side).unwrap().price.to_string();
    assert_eq!(
        (best(&core, Side::Buy), best(&core, Side::Sell)),
        ("101".into(), "102".into()),
        "101 is no ask any more"
    );
    until(&mut core, 2.0);
    assert_eq!((best(&core, Side::Buy), best(&core, Side::Sell)), ("101".into(), "101.5".into()));
}
