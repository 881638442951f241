//! A strategy that has gone wild.

use std::cell::Cell;
use std::rc::Rc;

use optiflow_base::log::{LogEvent, Refusal};

use super::middle::{Tamper, Way};
use super::puppet::{Want, lots};
use super::session::Session;

// Elsewhere: dormant code sent thousands of child orders a second for 45 minutes (Knight Capital, 2012).
// Here: a hundred wishes in a second set a latch: no entry leaves any more, what rests is withdrawn, exits go; time clears nothing.
#[test]
fn runaway_is_latched() {
    let mut session = Session::ready();
    session.hand().once = Some(Want::Take(lots(2)));
    session.run(500);
    assert_eq!(session.traded().len(), 1);
    session.hand().wild = true;
    session.run_until(1_000, |session| session.said(LATCHED) == 1);
    let accepted = session.accepted();
    session.run(1_000);
    assert!(session.exchange.borrow().core().open_orders(None).is_empty(), "what rested is withdrawn");
    session.run(5_000);
    assert!(session.accepted() <= accepted + IN_FLIGHT, "nothing new leaves");
    let latched = session.accepted();
    session.hand().wild = false;
    for _ in 0..10 {
        session.run(60_000);
        session.hand().once = Some(Want::Rest);
        session.run(500);
        let id = *session.hand().asked.last().unwrap();
        assert_eq!(session.story(id), ["Denied Latched"], "time does not clear a latch");
    }
    assert_eq!(session.accepted(), latched);
    session.hand().exit = true;
    session.run(500);
    assert_eq!(session.accepted(), latched + 1, "an exit passes");
    session.agrees();
}

// Elsewhere: an order that the venue refuses is sent again at every tick, hundreds of times a minute, until the account is banned.
// Here: five of a kind pause entries of the symbol, longer each time, or latch them where waiting does not heal; exits go.
#[test]
fn identical_refusals_are_braked() {
    for (code, lasting) in [(-2019, false), (-4164, false), (-4120, true), (-1102, true)] {
        let (refuses, placed) = (Rc::new(Cell::new(false)), Rc::new(Cell::new(0)));
        let mut session = Session::tampered(refusing(code, refuses.clone(), placed.clone()));
        session.hand().once = Some(Want::Take(lots(2)));
        session.run(500);
        assert_eq!((session.traded().len(), placed.get()), (1, 1));
        refuses.set(true);
        session.hand().goal = Some(Want::Rest);
        session.run(10_000);
        // Five, and one after each pause: 1, 2 and 4 s.
        let most = if lasting { 1 + 5 } else { 1 + 5 + 3 };
        assert!((1 + 5..=most).contains(&placed.get()), "{code}: {}", placed.get());
        let halts: Vec<bool> = session.log.iter().filter_map(|event| halted(event, code)).collect();
        assert_eq!(halts, vec![lasting; placed.get() as usize - 5], "{code}");
        assert_eq!(session.said(LATCHED), 0, "a strategy that asks again is no runaway");
        session.hand().exit = true;
        session.run(500);
        assert_eq!(session.traded().len(), 2, "{code}: an exit passes");
        // The exit's acceptance was taken for the wish come true.
        session.hand().exit = false;
        session.hand().goal = Some(Want::Rest);
        refuses.set(false);
        session.run(10_000);
        assert_eq!(session.exchange.borrow().core().open_orders(None).len(), usize::from(!lasting), "{code}");
    }
}

/// Did the breaker halt entries for good, for a refusal with this code?
fn halted(event: &LogEvent, code: i32) -> Option<bool> {
    match event {
        LogEvent::Halted { refusal, until, .. } if *refusal == Refusal::Order(code) => Some(until.is_none()),
        _ => None,
    }
}

/// Counts orders, and while it is told to, refuses those that may open a position.
fn refusing(code: i32, refuses: Rc<Cell<bool>>, placed: Rc<Cell<u32>>) -> Tamper {
    Box::new(move |way, text| {
        let is_order =
            way == Way::Exchange && text.contains("\"order.place\"") && !text.contains("\"reduceOnly\":true");
        let is_order = is_order && !text.contains("\"reduceOnly\":\"true\"");
        placed.set(placed.get() + u32::from(is_order));
        if !(is_order && refuses.get()) {
            return vec![(way, text.to_owned())];
        }
        let request: serde_json::Value = serde_json::from_str(text).unwrap();
        let answer = serde_json::json!({
            "id": request["id"], "status": 400, "error": {"code": code, "msg": "refused"}, "rateLimits": [],
        });
        vec![(Way::Us, answer.to_string())]
    })
}

/// What a person is told.
const LATCHED: &str = "runaway";
/// Approved in the very step that set the latch.
const IN_FLIGHT: usize = 16;
