//! Restarts and comparisons: what is held, open and traded, when one of the two sides has forgotten.

use std::cell::Cell;
use std::rc::Rc;
use std::time::Duration;

use optiflow_base::rest::Method;
use optiflow_sim::binance::faults::Fault;

use super::middle::Way;
use super::puppet::{Want, lots};
use super::session::Session;

// Elsewhere: a fill was recorded twice after a quick restart (hummingbot#4990).
// Here: killed before or after it has booked a fill, the next life holds what the exchange holds and counts it once.
#[test]
fn restart_after_fill_counts_once() {
    for heard in [0, 1, 100] {
        let mut session = Session::ready();
        session.hand().once = Some(Want::Take(lots(2)));
        session.run_until(200, |session| session.traded().len() == 1);
        session.run(heard);
        let first_life = session.positions().len();
        session.restart();
        session.run(5_000);
        session.world.far_end.cut_all();
        session.run(8_000);
        let positions = &session.positions()[first_life..];
        assert!(!positions.is_empty() && positions.iter().all(|qty| qty == "0.002"), "{heard}: {positions:?}");
        let booked = session.booked();
        assert!(booked.len() <= 1, "{heard}: {booked:?} were booked of {:?}", session.traded());
        assert_eq!(session.said("not of this session"), 0, "{heard}");
        assert_eq!(session.gates().last().map(String::as_str), Some("open Reconciled"));
    }
}

// Elsewhere: an order that was partly filled and then cancelled was shown for ever: a ghost (hummingbot#3001).
// Here: what is no longer listed is asked about; its end is booked, and the part that was filled stays booked once.
#[test]
fn partial_then_vanish() {
    let mut session = Session::ready();
    // An exit: entries are cancelled in every doubt, and the answer to that would tell.
    for qty in [5_000, 2_000] {
        session.hand().once = Some(Want::Take(lots(qty)));
        session.run(1_000);
    }
    session.hand().once = Some(Want::Leave(lots(7_000)));
    session.run_until(500, |session| !session.hand().live.is_empty() && session.booked().len() == 3);
    let id = session.hand().asked[2];
    let before = session.fate(id);
    assert_eq!(before, ["Sent", "Accepted", "Filled 5/5"], "partly filled");
    session.strike_for(50, &[Fault::DeadUserStream], Duration::from_secs(3_600));
    let query = format!("symbol=BTCUSDT&origClientOrderId={id}");
    assert_eq!(session.owner(Method::Delete, "/fapi/v1/order", &query), 200);
    session.run(50);
    assert_eq!(session.fate(id), before, "it has vanished, and nobody was told");
    session.world.far_end.cut_all();
    session.run(8_000);
    assert_eq!(session.story(id), ["Sent", "Accepted", "Filled 5/5", "Cancelled"]);
    session.agrees();
}

// Elsewhere: two reconciliations of the same truth gave different results (nautilus_trader#3878).
// Here: comparing again and again, also over trades that the stream has told already, changes nothing.
#[test]
fn reconcile_is_repeatable() {
    let unreadable = Rc::new(Cell::new(false));
    let spoils = unreadable.clone();
    // An event that cannot be read makes us compare from the last agreement on: over trades that are booked.
    let mut session = Session::tampered(Box::new(move |way, text| {
        let frame = (way, text.to_owned());
        let spoilt = (Way::Us, r#"{"e":"ORDER_TRADE_UPDATE","E":"?"}"#.to_owned());
        if spoils.get() && text.contains("ORDER_TRADE_UPDATE") { vec![frame, spoilt] } else { vec![frame] }
    }));
    session.hand().once = Some(Want::Rest);
    session.run(200);
    unreadable.set(true);
    session.hand().once = Some(Want::Take(lots(2)));
    session.run(5_000);
    unreadable.set(false);
    assert!(session.said("user event cannot be read") > 0 && session.traded().len() == 1);
    session.agrees();
    let told = (session.booked(), session.positions());
    let stories = || -> Vec<Vec<String>> { session.hand().asked.iter().map(|id| session.fate(*id)).collect() };
    let before = stories();
    for _ in 0..4 {
        let reconciled = session.said("reconciled");
        session.world.far_end.cut_all();
        session.run(8_000);
        assert!(session.said("reconciled") > reconciled);
        session.agrees();
        assert_eq!(session.booked(), told.0);
        assert!(session.positions().iter().skip(told.1.len()).all(|qty| Some(qty) == told.1.last()));
        let after: Vec<Vec<String>> = session.hand().asked.iter().map(|id| session.fate(*id)).collect();
        assert_eq!(after, before);
    }
}

// Elsewhere: an order was invisible to cancels and queries, and came back later (freqtrade#12681).
// Here: an order that was confirmed stays exposure while the exchange denies it, nothing new is risked, and it is found again.
#[test]
fn exchange_forgets_for_a_while() {
    let mut session = Session::ready();
    let faults = [Fault::OrderNotFound, Fault::OrderNotListed, Fault::CancelNotFound];
    session.strike_for(100, &faults, Duration::from_secs(8));
    session.hand().goal = Some(Want::Rest);
    session.run_until(100, |session| session.accepted() == 1);
    session.run(100);
    let id = session.only_order();
    session.world.far_end.cut_all();
    session.run(3_500);
    session.run(3_000);
    assert!(session.story(id).contains(&"CancelRefused -2011".to_owned()), "{:?}", session.story(id));
    assert_eq!(session.fate(id), ["Sent", "Accepted"], "neither listed nor found, and still ours");
    assert_eq!(session.gates().last().map(String::as_str), Some("InDoubt"));
    assert_eq!(session.accepted(), 1);
    session.run(15_000);
    assert_eq!(session.fate(id), ["Sent", "Accepted", "Cancelled"], "it has come back, and could be cancelled");
    assert_eq!((session.accepted(), session.only_order()), (1, id));
    session.agrees();
}
