//! The few words between the control thread and the hot stages.

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
