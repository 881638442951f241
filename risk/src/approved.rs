//! The proof that an intent passed risk: the only thing the oms stage accepts.
//!
//! Its fields are private and its constructor is visible to this crate alone: an order that skipped risk does not
//! compile. It carries the intent unchanged. Made on the risk thread, read on the oms thread.

use optiflow_base::clock::Nanos;
use optiflow_base::order::Intent;

/// An intent that risk has approved; its exposure is reserved until a report ends the order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Approved {
    intent: Intent,
    approved_at: Nanos,
}

impl Approved {
    /// What was approved, as it was asked for.
    pub const fn intent(&self) -> &Intent {
        &self.intent
    }

    /// When.
    pub const fn approved_at(&self) -> Nanos {
        self.approved_at
    }

    /// Only a decision of this crate makes one.
    pub(crate) const fn new(intent: Intent, approved_at: Nanos) -> Approved {
        Approved { intent, approved_at }
    }
}

const _: () = assert!(size_of::<Approved>() <= 128, "an approval is at most two cache lines");
