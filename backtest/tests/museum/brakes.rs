//! A strategy that has gone wild.

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

/// What a person is told.
const LATCHED: &str = "runaway";
/// Approved in the very step that set the latch.
const IN_FLIGHT: usize = 16;
