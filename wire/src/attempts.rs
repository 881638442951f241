//! How often a process may try to connect: one bucket that all its connections draw from.
//!
//! The exchange counts attempts by address, and each connection knows only its own back-off. Those without which nothing
//! can be sent or withdrawn find the last tokens kept for them ([`crate::limits::Limits::attempts_left`]). Never waits.
//! Any thread.

use std::sync::Arc;
use std::time::Duration;

use optiflow_base::bucket::Bucket;
use optiflow_base::clock::Nanos;

/// The attempts of one process; clones are the same ones.
#[derive(Clone, Debug)]
pub struct Attempts {
    bucket: Arc<Bucket>,
}

impl Attempts {
    /// None made yet.
    pub fn new() -> Attempts {
        Attempts { bucket: Arc::new(Bucket::new(ATTEMPTS_MAX, SPAN)) }
    }

    /// Counts an attempt that leaves now.
    ///
    /// # Errors
    /// When to ask again: until then there is none, or only what others need more.
    pub(crate) fn take(&self, now: Nanos, left: u32) -> Result<(), Nanos> {
        self.bucket.take(now, left)
    }
}

impl Default for Attempts {
    fn default() -> Attempts {
        Attempts::new()
    }
}

/// The same ones, not as many.
impl PartialEq for Attempts {
    fn eq(&self, other: &Attempts) -> bool {
        Arc::ptr_eq(&self.bucket, &other.bucket)
    }
}

impl Eq for Attempts {}

/// Nine in ten of the 300 that an address may make in five minutes: the rest is for other programs behind it.
pub const ATTEMPTS_MAX: u32 = 270;
/// In so long.
pub const SPAN: Duration = Duration::from_secs(300);
