//! Where an in-memory world can be watched and tampered with: everything that passes between our process and the exchange.
//!
//! A seam sees every REST call and reply, every frame in either direction and every report from oms to risk. One that
//! only watches proves manners; one that tampers plants the bug that a room could have, to prove that worlds notice. A
//! world without a seam pays nothing. Single thread.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;

use optiflow_base::clock::Nanos;
use optiflow_base::order::Report;
use optiflow_base::rest::{RestCall, RestReply};
use optiflow_base::ring::{Rx, Tx, ring};
use optiflow_sim::binance::{ConnId, Response};

/// Sees what passes, and decides whether it passes as it is.
pub trait Seam {
    /// A REST call is about to leave.
    fn call(&mut self, now: Nanos, call: &RestCall) -> Passage {
        let _ = (now, call);
        Passage::Pass
    }

    /// The exchange answered a call with this, whether it is ever heard or not.
    fn answered(&mut self, response: &Response) {
        let _ = response;
    }

    /// The answer to a call is handed over.
    fn reply(&mut self, now: Nanos, reply: &mut RestReply) {
        let _ = (now, reply);
    }

    /// Is silence kept after 429 and 418?
    fn keeps_peace(&self) -> bool {
        true
    }

    /// A frame reached the exchange; false swallows it.
    fn frame_in(&mut self, now: Nanos, conn: ConnId, text: &str) -> bool {
        let _ = (now, conn, text);
        true
    }

    /// A frame that reaches the exchange now although nobody sent it.
    fn stray(&mut self, now: Nanos) -> Option<(ConnId, String)> {
        let _ = now;
        None
    }

    /// The exchange writes a frame that has left then: `None` leaves it as it is, else these are written instead.
    fn frame_out(&mut self, leaves_at: Nanos, text: &Arc<str>) -> Option<Vec<Arc<str>>> {
        let _ = (leaves_at, text);
        None
    }

    /// Is what oms reports to risk tampered with?
    fn is_between_oms_and_risk(&self) -> bool {
        false
    }

    /// What risk hears of what oms reports.
    fn report(&mut self, report: Report) -> Report {
        report
    }
}

/// What becomes of a REST call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Passage {
    /// It is made.
    Pass,
    /// It is made so many times more.
    Again(u32),
    /// It is not made, and answered with this body.
    Answer(&'static [u8]),
}

/// A seam that several ends share.
pub type SharedSeam = Rc<RefCell<dyn Seam>>;

/// Carries reports from oms to risk by way of a seam.
pub struct Relay {
    from_oms: Rx<Report>,
    to_risk: Tx<Report>,
}

impl Relay {
    /// Puts itself behind the writing end of a ring, which is exchanged for one that it reads.
    pub fn behind(to_risk: &mut Tx<Report>) -> Relay {
        let (tx, from_oms) = ring("reports to the seam", RELAY_LEN);
        Relay { from_oms, to_risk: std::mem::replace(to_risk, tx) }
    }

    /// Carries what waits.
    pub fn carry(&mut self, seam: &mut dyn Seam) {
        while self.to_risk.free() > 0
            && let Some(report) = self.from_oms.pop()
        {
            let carried = self.to_risk.push(seam.report(report));
            assert!(carried.is_ok(), "there was room");
        }
    }
}

/// As long as the ring that it prolongs.
const RELAY_LEN: usize = 1_024;
