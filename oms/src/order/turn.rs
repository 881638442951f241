//! The table of an order's states: what each fact makes of each state.
//!
//! Pure; every pair is written out, so a new state or fact must be decided here. Runs on the oms thread.

use super::{Fact, Oddity, State};

/// Facts without their contents: the columns of the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// The exchange has it.
    Exists,
    /// It traded.
    Traded,
    /// It ended there.
    Ended,
    /// It never came to be.
    Refused,
    /// It is proven to be unknown there.
    Absent,
    /// Nobody knows.
    Unanswered,
}

/// The column of a fact.
pub const fn kind(fact: &Fact) -> Kind {
    match fact {
        Fact::Exists { .. } => Kind::Exists,
        Fact::Traded { .. } => Kind::Traded,
        Fact::Ended { .. } | Fact::Forgotten => Kind::Ended,
        Fact::Refused { .. } | Fact::Lapsed => Kind::Refused,
        Fact::Absent { .. } => Kind::Absent,
        Fact::Unanswered => Kind::Unanswered,
    }
}

/// A field of the table.
pub enum Turn {
    /// Nothing new, or only numbers.
    Stay,
    /// Another state.
    To(State),
    /// It does not fit: say so, keep the state.
    Odd(Oddity),
}

/// The table: what a fact makes of a state. (`Ended` ends an order in `close`, once no fill is missing.)
pub const fn turn(state: State, kind: Kind) -> Turn {
    use State::{Cancelled, Expired, Filled, Open, PartlyFilled, Refused, Sending, Unknown};
    match (state, kind) {
        // Nothing heard yet, or nothing usable: any proof of existence opens it.
        (Sending | Unknown, Kind::Exists | Kind::Ended) => Turn::To(Open),
        (Sending | Unknown, Kind::Traded) => Turn::To(PartlyFilled),
        (Sending | Unknown, Kind::Refused) => Turn::To(Refused),
        (Sending, Kind::Unanswered) => Turn::To(Unknown),
        (Unknown, Kind::Absent) => Turn::To(Refused),
        // A query cannot prove absence while the request may still be on its way.
        (Sending, Kind::Absent) | (Unknown, Kind::Unanswered) => Turn::Stay,
        // Proven to exist: a lost answer no longer matters, a refusal is a contradiction.
        (Open, Kind::Traded) => Turn::To(PartlyFilled),
        (PartlyFilled, Kind::Traded) => Turn::Stay,
        (Open | PartlyFilled, Kind::Exists | Kind::Ended | Kind::Unanswered) => Turn::Stay,
        (Open | PartlyFilled, Kind::Refused | Kind::Absent) => Turn::Odd(Oddity::DeniedButAlive),
        // Ended for good: only a late fill still counts, and it does not revive.
        (Filled | Cancelled | Expired, Kind::Traded) => Turn::Odd(Oddity::LateFill),
        (Filled | Cancelled | Expired, Kind::Exists | Kind::Ended | Kind::Unanswered) => Turn::Stay,
        (Filled | Cancelled | Expired, Kind::Refused | Kind::Absent) => Turn::Odd(Oddity::DeniedButAlive),
        (Refused, Kind::Traded) => Turn::Odd(Oddity::LateFill),
        (Refused, Kind::Exists | Kind::Ended) => Turn::Odd(Oddity::AliveButRefused),
        (Refused, Kind::Refused | Kind::Absent | Kind::Unanswered) => Turn::Stay,
    }
}
