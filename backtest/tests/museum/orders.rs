//! Answers that are missing, wrong or refusing: what became of one order.

use std::cell::Cell;
use std::rc::Rc;
use std::time::Duration;

use optiflow_sim::binance::faults::Fault;

use super::middle::{Tamper, Way};
use super::puppet::{Want, lots};
use super::session::Session;

// Elsewhere: a timeout was handled as the order's failure, and orphans stayed on the exchange (hummingbot#493).
// Here: -1007 for an order that was executed leaves it exposure, and it is asked about, not asked for again.
#[test]
fn timeout_is_not_failure() {
    let mut session = Session::ready();
    session.strike_for(WINDOW, &[Fault::TimeoutExecuted, Fault::DeadUserStream], Duration::from_millis(500));
    session.hand().goal = Some(Want::Rest);
    session.run_until(WINDOW, |session| session.accepted() == 1);
    session.run(2);
    let id = session.only_order();
    assert_eq!(session.fate(id), ["Sent", "Unknown"]);
    assert_eq!(session.gates().last().map(String::as_str), Some("InDoubt"));
    session.run(5_000);
    assert_eq!(session.fate(id), ["Sent", "Unknown", "Accepted", "Cancelled"], "found, and withdrawn for the doubt");
    assert_eq!((session.accepted(), session.only_order()), (1, id));
    session.agrees();
}

// Elsewhere: -2013 about a fresh order marked it as failed, and duplicates followed (hummingbot#601).
// Here: an order without an answer outlives every "does not exist" that could be too early.
#[test]
fn not_found_is_not_failure() {
    // Denied while the request could still be on its way, and for a while after that.
    for hidden in [2_500, 3_900] {
        let mut session = Session::ready();
        let faults = [Fault::TimeoutExecuted, Fault::DeadUserStream, Fault::OrderNotFound];
        session.strike_for(WINDOW, &faults, Duration::from_millis(hidden));
        session.hand().goal = Some(Want::Rest);
        session.run_until(WINDOW, |session| session.accepted() == 1);
        session.run(hidden - 100);
        let id = session.only_order();
        assert_eq!(session.fate(id), ["Sent", "Unknown"], "it was not found, and that proves nothing yet");
        session.run(5_000);
        let fate = ["Sent", "Unknown", "Accepted", "Cancelled"];
        assert_eq!(session.fate(id), fate, "found, and withdrawn for the doubt");
        assert_eq!((session.accepted(), session.struck(Fault::OrderNotFound)), (1, 1));
        assert_eq!(session.only_order(), id);
        session.agrees();
    }
}

// Elsewhere: a read timeout led to the order being sent again, and it was bought twice (catalyst#317).
// Here: an order whose answer never comes is sent once; what it bought is found out and booked once.
#[test]
fn retry_after_read_timeout() {
    let mut session = Session::ready();
    session.strike_for(WINDOW, &[Fault::LostReply, Fault::DeadUserStream], Duration::from_secs(4));
    session.hand().goal = Some(Want::Take(lots(2)));
    session.run_until(WINDOW, |session| session.accepted() == 1);
    session.run(1_900);
    let id = session.only_order();
    assert_eq!(session.fate(id), ["Sent"], "bought, and nobody has told us");
    session.run(8_000);
    assert_eq!(session.fate(id), ["Sent", "Unknown", "Accepted", "Filled 0.002/0.002", "Done"]);
    assert_eq!((session.accepted(), session.struck(Fault::LostReply)), (1, 1));
    assert_eq!(session.only_order(), id);
    session.agrees();
}

// Elsewhere: after -1007 the accept came on the user stream, and the scheduled retry still fired: -4116 (nautilus_trader#4215).
// Here: an order whose request arrives twice is one order; -4116 ends nothing, whether it comes after the accept or before.
#[test]
fn accept_beats_pending_retry() {
    for (accept_first, story) in
        [(true, &["Sent", "Accepted"][..]), (false, &["Sent", "Unknown", "Accepted", "Cancelled"])]
    {
        let (placed, taken) = (Rc::new(Cell::new(0)), Rc::new(Cell::new(0)));
        let mut session = Session::tampered(repeating(placed.clone(), taken.clone(), accept_first));
        session.hand().goal = Some(Want::Rest);
        session.run(6_000);
        let id = session.only_order();
        assert_eq!(session.fate(id), story);
        assert_eq!((placed.get(), taken.get()), (1, 1), "sent by us once, called taken once");
        assert_eq!(session.said("order id is taken"), 1);
        assert_eq!(session.accepted(), 1);
        session.agrees();
    }
}

/// Sends orders twice and loses the first answer; the accept of the user stream comes at once or after the second.
fn repeating(placed: Rc<Cell<u32>>, taken: Rc<Cell<u32>>, accept_first: bool) -> Tamper {
    Box::new(move |way, text| {
        let frame = (way, text.to_owned());
        if way == Way::Exchange && text.contains("\"order.place\"") {
            placed.set(placed.get() + 1);
            return vec![frame.clone(), frame];
        }
        if way == Way::Us && text.contains("-4116") {
            taken.set(taken.get() + 1);
            return vec![(if accept_first { Way::UsLater } else { way }, frame.1)];
        }
        let is_event = text.contains("ORDER_TRADE_UPDATE");
        if is_event && !accept_first {
            return vec![(Way::UsLater, frame.1)];
        }
        let is_first_answer = way == Way::Us && !is_event && text.contains("clientOrderId") && taken.get() == 0;
        if is_first_answer { Vec::new() } else { vec![frame] }
    })
}

// Elsewhere: the venue moved order types to another endpoint overnight, and orders were refused with -4120 (nautilus_trader#3287).
// Here: that is a refusal at once, told with its code; it is not sent again, leaves no doubt, and whatever rests can be cancelled.
#[test]
fn venue_moves_the_endpoint() {
    let (moved, placed) = (Rc::new(Cell::new(false)), Rc::new(Cell::new(0)));
    let mut session = Session::tampered(moving(moved.clone(), placed.clone()));
    session.hand().once = Some(Want::Rest);
    session.run(500);
    let resting = session.only_order();
    moved.set(true);
    let gates = session.gates();
    session.hand().once = Some(Want::Take(lots(2)));
    session.run(5_000);
    let refused = session.hand().asked[1];
    assert_eq!(session.fate(refused), ["Sent", "Refused -4120"]);
    assert_eq!(placed.get(), 2, "each was sent once");
    assert_eq!(session.gates(), gates, "a plain refusal is no doubt");
    session.agrees();
    session.hand().cancel = true;
    session.run(500);
    assert_eq!(session.story(resting), ["Sent", "Accepted", "CancelSent", "Cancelled"]);
}

/// Once it has moved, takes no order any more.
fn moving(moved: Rc<Cell<bool>>, placed: Rc<Cell<u32>>) -> Tamper {
    Box::new(move |way, text| {
        let is_order = way == Way::Exchange && text.contains("\"order.place\"");
        placed.set(placed.get() + u32::from(is_order));
        if !(is_order && moved.get()) {
            return vec![(way, text.to_owned())];
        }
        let request: serde_json::Value = serde_json::from_str(text).unwrap();
        let words = "Order type not supported for this endpoint. Please use the Algo Order API endpoints instead.";
        let answer = serde_json::json!({
            "id": request["id"], "status": 400, "error": {"code": -4120, "msg": words}, "rateLimits": [],
        });
        vec![(Way::Us, answer.to_string())]
    })
}

// No incident of somebody else: it is said here because only here both order sockets die and REST lives.
// Here: while no order socket can be had, what rests is cancelled and the position is closed by REST, each with one request.
#[test]
fn no_order_socket_can_be_had() {
    let mut session = Session::ready();
    session.hand().once = Some(Want::Take(lots(2)));
    session.run(500);
    session.hand().once = Some(Want::Rest);
    session.run(500);
    let resting = session.hand().asked[1];
    session.strike_for(1_300, &[Fault::RefusedConnects, Fault::CutReply], Duration::from_secs(20));
    session.run_until(1_100, |session| session.struck(Fault::RefusedConnects) > 0);
    session.hand().once = Some(Want::Rest);
    session.run(500);
    let is_down = |session: &Session| session.gates().last().map(String::as_str) == Some("OrderSocketDown");
    assert!(is_down(&session), "{:?}", session.gates());
    assert_eq!(session.fate(resting), ["Sent", "Accepted", "Cancelled"], "withdrawn for the doubt");
    session.hand().exit = true;
    session.run(500);
    let exit = *session.hand().asked.last().unwrap();
    assert_eq!(session.story(exit), ["Sent", "Accepted", "Filled 0.002/0.002", "Done"]);
    assert!(is_down(&session) && session.traded().len() == 2, "{:?}", session.gates());
    session.hand().exit = false;
    session.run(30_000);
    assert_eq!(session.accepted(), 4, "each was sent once");
    session.agrees();
}

/// So long a fault strikes, ms: the one request of the incident falls into it, the question that follows does not.
const WINDOW: u64 = 60;
