//! The few words between the control thread and the hot stages, and a sign of life from one thread to another.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::clock::Nanos;

/// Control tells a hot stage.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Command {
    /// No new risk from now on; cancel everything; say `Milestone::Stopped` when the exchange shows nothing open.
    Stop,
    /// The kill latch, by hand: no new risk until a restart; risk orders the cancel of every resting order that may
    /// open or enlarge a position. Cancels and reduce-only orders go on, and nothing stops by itself.
    Kill,
}

/// The oms stage tells control.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Milestone {
    /// Reconciled: trading may begin (also after every reconnect).
    Ready,
    /// Nothing of ours is open any more, proven by the exchange.
    Stopped,
    /// Stopping did not succeed in time: this many orders may still be open.
    StopFailed {
        /// Orders that may still be open.
        open_orders: u32,
    },
    /// Cannot trade and will not recover by itself (key refused, wrong mode); the phrase says what to do.
    Failed(&'static str),
}

/// A sign of life: when its owner was last well. Written by one thread, read by others; never waits.
#[derive(Clone, Debug, Default)]
pub struct Pulse {
    last: Arc<AtomicU64>,
}

impl Pulse {
    /// Not yet well.
    pub fn new() -> Pulse {
        Pulse::default()
    }

    /// All is well at `now`.
    pub fn beat(&self, now: Nanos) {
        self.last.store(now.0, Ordering::Relaxed);
    }

    /// Nanoseconds since the last beat.
    pub fn age(&self, now: Nanos) -> u64 {
        now.since(Nanos(self.last.load(Ordering::Relaxed)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pulse_ages_until_it_beats() {
        let pulse = Pulse::new();
        assert_eq!(pulse.age(Nanos(7)), 7);
        pulse.clone().beat(Nanos(5));
        assert_eq!((pulse.age(Nanos(7)), pulse.age(Nanos(4))), (2, 0));
    }
}
