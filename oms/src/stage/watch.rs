//! Is the user stream alive? Pings prove the connection, not the events.
//!
//! Every order that a reply accepted must be told by the stream too, within a while; one that is not means that the
//! stream has stopped telling, and whatever else it should have told is missing as well. Then it is connected again and
//! everything is compared. Patience grows while that does not help. Bounded; allocated once; runs on the oms thread.

use std::collections::VecDeque;
use std::time::Duration;

use optiflow_base::clock::{Clock, Nanos};
use optiflow_base::ids::OrderId;

use super::core::Core;

/// Accepted orders whose own event is still to come, oldest first.
#[derive(Debug)]
pub struct Watch {
    awaited: VecDeque<(OrderId, Nanos)>,
    /// Deaths since the last event.
    deaths: u32,
}

impl Watch {
    /// Nothing awaited.
    pub fn new() -> Watch {
        Watch { awaited: VecDeque::with_capacity(AWAITED_LEN), deaths: 0 }
    }

    /// The stream is gone: what it did not tell will be asked for.
    pub fn forget(&mut self) {
        self.awaited.clear();
    }

    /// An order event came: the stream lives.
    pub const fn alive(&mut self) {
        self.deaths = 0;
    }

    fn patience(&self) -> Duration {
        EVENT_PATIENCE * 2u32.pow(self.deaths.min(DOUBLINGS_MAX))
    }
}

impl<C: Clock> Core<C> {
    /// A reply accepted the order: unless the stream was quicker, its event must follow.
    pub(super) fn expect_event(&mut self, now: Nanos, id: OrderId) {
        let unheard = self.desk.table.get(id).is_some_and(|order| !order.heard && !order.state().is_end());
        if unheard && self.user_is_ready() && self.watch.awaited.len() < AWAITED_LEN {
            self.watch.awaited.push_back((id, now));
        }
    }

    /// Connects the stream again when it has kept silent about an order for too long.
    pub(super) fn look_after_stream(&mut self, now: Nanos) {
        while let Some(&(id, accepted)) = self.watch.awaited.front() {
            if self.desk.table.get(id).is_none_or(|order| order.heard) {
                self.watch.awaited.pop_front();
                continue;
            }
            if now < accepted + self.watch.patience() {
                return;
            }
            self.desk.reporter.notice(now, "user stream is up but says nothing: connecting again", id.counter().into());
            self.watch.deaths = self.watch.deaths.saturating_add(1);
            // What it told last is no proof of what it told before.
            self.desk.contradicted = true;
            self.connect_stream_again(now);
        }
    }
}

/// From an accepting reply to the order's own event at most; usually it takes milliseconds, either way.
const EVENT_PATIENCE: Duration = Duration::from_secs(3);
/// Doublings of it while no event comes at all: 96 s at most.
const DOUBLINGS_MAX: u32 = 5;
/// Orders awaited at once; more are not watched, because these suffice.
const AWAITED_LEN: usize = 1024;
