//! A stage is a function you call, not a thread you start.
//!
//! `step` does a bounded amount of work and returns; it never blocks, never asks for the time, starts no thread.
//! Live threads loop over `step`; backtests call the same `step`s under a virtual clock.

use crate::clock::Nanos;

/// Did a step find something to do?
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress {
    /// Nothing was waiting.
    Idle,
    /// Work was done; there may be more.
    Busy,
}

impl Progress {
    /// Busy when `worked`.
    pub const fn from_work(worked: bool) -> Progress {
        if worked { Progress::Busy } else { Progress::Idle }
    }

    /// Busy when either is.
    #[must_use]
    pub const fn or(self, other: Progress) -> Progress {
        match (self, other) {
            (Progress::Idle, Progress::Idle) => Progress::Idle,
            (Progress::Busy, _) | (_, Progress::Busy) => Progress::Busy,
        }
    }
}

/// One room's work, a bounded piece at a time.
pub trait Stage {
    /// Does what can be done at `now` without waiting.
    fn step(&mut self, now: Nanos) -> Progress;
}

/// The rooms of the house, in the order in which an event crosses them; control is the cold helper.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u8)]
pub enum Room {
    /// Sockets to market events.
    Feed,
    /// Market events to intents.
    Engine,
    /// Intents to approvals.
    Risk,
    /// Approvals to the exchange and back.
    Oms,
    /// Everything to the database.
    Storage,
    /// REST calls, signals of the operating system, the status line.
    Control,
}

impl Room {
    /// Name in tables, thread names and the database.
    pub const fn name(self) -> &'static str {
        match self {
            Room::Feed => "feed",
            Room::Engine => "engine",
            Room::Risk => "risk",
            Room::Oms => "oms",
            Room::Storage => "storage",
            Room::Control => "control",
        }
    }
}
