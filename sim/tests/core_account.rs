//! The account under stress: funding at its very time, liquidation when the margin is used up.

#![allow(clippy::unwrap_used)]

mod core_support;

use optiflow_base::money::{Notional, Side};
use optiflow_base::order::{OrderKind, TimeInForce};
use optiflow_sim::core::{Core, CoreConfig, VenueRules};
use optiflow_sim::words::{CoreEvent, OrderStatus, Placement};

use core_support::{Told, after, config, fills, limit, listing, ticks, until};

fn core(script: &str, wallet: &str, rules: VenueRules) -> Core {
    let mut listings = vec![listing(), listing()];
    listings[1].name = "OTHERUSDT".to_owned();
    let told = Told { listings: listings.clone(), ticks: ticks(script) };
    let config = CoreConfig { wallet: wallet.parse().unwrap(), leverage: 100, ..config(listings, rules) };
    let mut core = Core::new(config, Box::new(told));
    until(&mut core, 0.0);
    core
}

fn place(core: &mut Core, symbol: usize, text: &str, seconds: f64) -> Vec<CoreEvent> {
    let words: Vec<&str> = text.split_whitespace().collect();
    let (qty, price) = words[2].split_once('@').unwrap_or((words[2], "0"));
    let side = if words[1] == "buy" { Side::Buy } else { Side::Sell };
    let resting = limit(words[0], side, price.parse().unwrap(), qty.parse().unwrap());
    let kind = if price == "0" { OrderKind::Market } else { OrderKind::Limit };
    let placed = Placement { symbol, kind, time_in_force: TimeInForce::Gtc, ..resting };
    let mut events = Vec::new();
    core.place(after(seconds), placed, &mut events).unwrap();
    events
}

/// What was said, in short.
fn said(events: &[CoreEvent]) -> Vec<String> {
    let line = |event: &CoreEvent| match event {
        CoreEvent::Market(_) => None,
        CoreEvent::New(order) => {
            Some(format!("new {} {}@{}", order.placed.side as u8, order.placed.qty, order.placed.price))
        }
        CoreEvent::Fill { fill, .. } => {
            Some(format!("fill {}@{} fee {} realized {}", fill.qty, fill.price, fill.fee, fill.realized))
        }
        CoreEvent::Amended(order) => Some(format!("amended {}", order.placed.client_id)),
        CoreEvent::Ended { order, reason } => {
            Some(format!("end {} er{reason}", order.placed.client_id.split('-').next()?))
        }
        CoreEvent::Liquidation { margin_balance, maintenance, .. } => {
            Some(format!("liquidation {margin_balance} < {maintenance}"))
        }
        CoreEvent::Funding { at, symbol, amount, .. } => {
            Some(format!("funding {amount} of {symbol} at {}", at.since(core_support::START) / 1_000_000))
        }
    };
    events.iter().filter_map(line).collect()
}

const BOOK: &str =
    "0 book 5@59999.9 5@59000 | 4@60000 9@61000; 0 mark 60000 0; #1 0 book 90@99.9 | 90@100; #1 0 mark 100 0";

#[test]
fn funding_is_paid_at_its_time_by_what_is_held_then_whenever_marks_come() {
    // The next mark after the funding time comes a minute late, a request in between finds the funding paid.
    let script =
        format!("{BOOK}; 1 mark 60000 10 -20000; 9 mark 61000 10 30000; 70 mark 62000 28810; 80 trade buy 1@60000");
    let mut core = core(&script, "100000", VenueRules::default());
    place(&mut core, 0, "A buy 2 market", 0.0);
    assert_eq!(said(&until(&mut core, 9.999)), [""; 0]);
    assert_eq!(core.next_due(), Some(after(10.0)), "the funding time is a time to wake");
    let paid = until(&mut core, 30.0);
    assert_eq!(said(&paid), ["funding -36.6 of 0 at 10000"], "2 at the mark and the rate told last before it");
    place(&mut core, 0, "B sell 2 market", 30.0);
    assert_eq!(said(&until(&mut core, 80.0)), [""; 0], "once, and by nobody who holds nothing");
}

#[test]
fn who_trades_at_the_funding_time_itself_was_not_there_yet() {
    let script = format!("{BOOK}; 1 mark 60000 10; 10 trade sell 9@59999.9; 10 mark 60000 28810; 20 mark 60000 28810");
    let mut core = core(&script, "100000", VenueRules::default());
    place(&mut core, 0, "A buy 1@59999.9", 1.0);
    let events = until(&mut core, 10.0);
    assert_eq!(said(&events), ["fill 1@59999.9 fee 11.99998 realized 0"], "the trade comes after the funding");
    assert_eq!(said(&until(&mut core, 20.0)), [""; 0]);
}

#[test]
fn derived_marks_pay_on_the_calendar() {
    // 00:00, 08:00 and 16:00 UTC.
    let due = 1_700_000_000_u64.next_multiple_of(8 * 3_600) - 1_700_000_000;
    let script = format!("0 book 5@59999.9 | 5@60000.1; {} diff 6@59999.9 |; {} diff 7@59999.9 |", due - 1, due + 5);
    let mut core = core(&script, "100000", VenueRules::default());
    until(&mut core, 2.0);
    place(&mut core, 0, "A buy 1 market", 2.0);
    let events = until(&mut core, (due + 5) as f64);
    assert_eq!(said(&events), [format!("funding -6 of 0 at {}", due * 1_000)]);
}

#[test]
fn an_account_without_margin_is_liquidated_at_the_mark() {
    let script = format!("{BOOK}; 1 mark 59900 0; 2 mark 59300 0; 3 mark 59250 0; 4 mark 50000 0");
    let mut core = core(&script, "1000", VenueRules::default());
    place(&mut core, 0, "A buy 1 market", 0.0);
    place(&mut core, 0, "B buy 0.01@50000", 0.0);
    place(&mut core, 1, "C buy 1@90", 0.0);
    assert_eq!(said(&until(&mut core, 2.0)), [""; 0], "270 left of the margin, 237.2 needed");
    let events = until(&mut core, 3.0);
    let expected = [
        "liquidation 220 < 237",
        "end B er5",
        "end C er5",
        // The edge of the band of 90 %.
        "new 1 1@5925",
        // 5 bps as every taker, and 1.25 %.
        "fill 1@59999.9 fee 779.9987 realized -0.1",
    ];
    assert_eq!(said(&events), expected);
    let closing = core.all_orders(0).pop().unwrap();
    assert!(closing.liquidates && closing.status == OrderStatus::Filled, "{closing:?}");
    assert_eq!(closing.placed.client_id, format!("autoclose-{}", closing.id));
    assert!(core.position(0).qty.is_zero() && core.open_orders(None).is_empty());
    let wallet = "1000 30 0.1 779.9987".split(' ').map(|part| part.parse::<Notional>().unwrap());
    assert_eq!(core.wallet(), wallet.reduce(|start, spent| start - spent).unwrap());
    assert_eq!(said(&until(&mut core, 4.0)), [""; 0], "once");
}

#[test]
fn what_finds_nobody_is_tried_again_at_the_next_mark() {
    let script =
        "0 book 0.4@59900 | 5@60000; 0 mark 60000 0; 3 mark 59250 0; 4 mark 59200 0; 5 diff 7@59800 |; 6 mark 59200 0";
    let mut core = core(script, "1000", VenueRules::default());
    place(&mut core, 0, "A buy 1 market", 0.0);
    let events = until(&mut core, 3.0);
    let expected =
        ["liquidation 220 < 237", "new 1 1@5925", "fill 0.4@59900 fee 311.48 realized -40", "end autoclose er2"];
    assert_eq!(said(&events), expected);
    assert_eq!(said(&until(&mut core, 5.0)), [""; 0], "nobody to trade with, nothing to say");
    let expected = ["liquidation 138.52 < 142.08", "new 1 0.6@5920", "fill 0.6@59800 fee 466.44 realized -120"];
    assert_eq!(said(&until(&mut core, 6.0)), expected);
    assert!(core.position(0).qty.is_zero());
    assert_eq!(core.wallet().to_string(), "32.08");
}

#[test]
fn positions_close_until_the_rest_is_covered_the_neediest_first() {
    let script = format!("{BOOK}; 3 mark 59210 0");
    let mut core = core(&script, "1070", VenueRules::default());
    place(&mut core, 0, "A buy 1 market", 0.0);
    place(&mut core, 1, "C sell 40 market", 0.0);
    let events = until(&mut core, 3.0);
    // 1070 less fees of 30 and 1.998, less 4 of the short and 790 of the long; 236.84 and 16 are needed.
    assert_eq!(said(&events)[..2], ["liquidation 244.002 < 252.84", "new 1 1@5921"]);
    assert_eq!(core.position(1).qty, "-40".parse().unwrap(), "the short needs 16 and has 254");
}

#[test]
fn liquidation_can_be_cheaper_or_off_and_a_wallet_may_end_below_zero() {
    let script = "0 book 5@59999.9 | 4@60000; 0 mark 60000 0; 1 diff 0@59999.9 9@58000 |; 1 mark 58000 0";
    let run = |liquidation_fee_ppm| {
        let mut core = core(script, "1000", VenueRules { liquidation_fee_ppm, ..VenueRules::default() });
        place(&mut core, 0, "A buy 1 market", 0.0);
        until(&mut core, 1.0);
        (core.position(0).qty.to_string(), core.wallet().to_string())
    };
    assert_eq!(run(Some(0)), ("0".into(), "-1059".into()), "30 and 29 of fees, 2000 lost");
    assert_eq!(run(Some(10_000)), ("0".into(), "-1639".into()));
    assert_eq!(run(None), ("1".into(), "970".into()));
}

#[test]
fn shorts_are_liquidated_by_buying() {
    let script = "0 book 5@59999.9 | 4@60000; 0 mark 60000 0; 1 diff | 0@60000 9@60700; 1 mark 60750 0";
    let mut core = core(script, "1000", VenueRules::default());
    place(&mut core, 0, "A sell 1 market", 0.0);
    let events = until(&mut core, 1.0);
    let (fee, last) = ("60700".parse::<Notional>().unwrap().share_ppm(13_000), said(&events).pop().unwrap());
    assert_eq!(last, format!("fill 1@60700 fee {fee} realized -700.1"));
    let filled = fills(&events).next().unwrap();
    assert!(!filled.maker && filled.side == Side::Buy && filled.client_id.starts_with("autoclose-"));
}
