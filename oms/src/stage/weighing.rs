//! What the requests of this room weigh, told to the account of the address and to those who count.
//!
//! REST calls are counted by the client that makes them; here is what leaves on the order sockets. Never decides.

use std::time::Duration;

use optiflow_base::clock::{Clock, Nanos};
use optiflow_base::order::{Report, Usage};

use super::core::Core;

/// What was told of our own count.
#[derive(Debug, Default)]
pub struct Weighing {
    told: u32,
    due: Nanos,
}

impl<C: Clock> Core<C> {
    /// A request of this weight leaves now.
    pub(super) fn weighs(&self, now: Nanos, weight: u32) {
        self.peace.weight().spend(self.time.theirs(now), weight);
    }

    /// The exchange told its count in answer to a request of ours.
    pub(super) fn heard_weight(&self, now: Nanos, usage: &Usage) {
        if let (Some(asked), Some(used)) = (usage.asked, usage.weight_minute) {
            self.peace.weight().told(self.time.theirs(asked), self.time.theirs(now), used);
        }
    }

    /// Those who count hear of what nobody answers with a count: calls under way, and the feed's.
    pub(super) fn look_after_weight(&mut self, now: Nanos) {
        let theirs = self.time.theirs(now);
        self.calls.set_room(self.peace.weight().room(theirs));
        if now < self.weighing.due {
            return;
        }
        let used = self.peace.weight().used(theirs);
        if used != self.weighing.told {
            self.weighing = Weighing { told: used, due: now + TELL_EVERY };
            self.desk.reporter.send(Report::Usage(Usage {
                weight_minute: Some(used),
                asked: Some(now),
                ..Usage::default()
            }));
        }
    }
}

/// Request weight of one cancel (fact sheet §5.3); placing and modifying weigh nothing.
pub const CANCEL_WEIGHT: u32 = 1;
/// Of one question about an order.
pub const STATUS_WEIGHT: u32 = 1;
/// Of opening an order socket.
pub const HANDSHAKE_WEIGHT: u32 = 5;
/// Of a logon.
pub const LOGON_WEIGHT: u32 = 2;
/// Our own count is told this often at most.
const TELL_EVERY: Duration = Duration::from_millis(100);
