//! Bugs that rooms could have, planted at the seams of a world to prove that its rules notice.
//!
//! No line of the rooms knows of them: each is expressed by what would pass between our process and the exchange, or
//! from oms to risk, if a room had it.

/// A bug.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Bug {
    /// Every order leaves once more a while later, as if sent again after a time-out.
    OrderResent,
    /// An order whose outcome is not known is taken for refused.
    UnknownTakenForRefused,
    /// A user event that comes twice is booked twice.
    RepeatedFillBooked,
    /// A gap in the depth messages is not noticed.
    GapIgnored,
    /// The book begins with whatever snapshot was had first.
    OldSnapshotTaken,
    /// Fills that happened while the stream was down are not asked for.
    TradesNotFetched,
    /// Orders of a former life are not looked for.
    LeftoversIgnored,
    /// Positions are adopted from whatever answer was had first.
    OldPositionAdopted,
    /// A new life counts its order ids from where the last one began.
    IdsUsedAgain,
    /// Nobody keeps silent after 429 and 418.
    BanIgnored,
    /// Everything is asked for over and over.
    PollsWithoutBudget,
    /// The kill command is not heard.
    KillIgnored,
    /// Risk releases an order's exposure when its outcome is not known.
    UnknownReleased,
    /// Risk releases an order's exposure when its cancel is sent.
    CancelReleases,
    /// The cancels of a stop are lost, and every list is believed to be empty.
    StopsOnItsWord,
    /// Nobody asks about orders whose outcome is not known.
    DoubtsForgotten,
    /// Fees are not booked.
    FeesForgotten,
    /// Storage forgets a fill now and then.
    FillRowLost,
    /// After a restart, storage writes a fill twice now and then.
    FillRowTwice,
    /// Nobody looks whether storage has given up.
    DiskTroubleIgnored,
    /// Several symbols have no limit together.
    TotalIgnored,
    /// The countdown is believed to run, and never began.
    CountdownNeverWound,
    /// Orders wait for a while after they were signed.
    SignedTooEarly,
}

impl Bug {
    /// All of them.
    pub const ALL: [Bug; 23] = [
        Bug::OrderResent,
        Bug::UnknownTakenForRefused,
        Bug::RepeatedFillBooked,
        Bug::GapIgnored,
        Bug::OldSnapshotTaken,
        Bug::TradesNotFetched,
        Bug::LeftoversIgnored,
        Bug::OldPositionAdopted,
        Bug::IdsUsedAgain,
        Bug::BanIgnored,
        Bug::PollsWithoutBudget,
        Bug::KillIgnored,
        Bug::UnknownReleased,
        Bug::CancelReleases,
        Bug::StopsOnItsWord,
        Bug::DoubtsForgotten,
        Bug::FeesForgotten,
        Bug::FillRowLost,
        Bug::FillRowTwice,
        Bug::DiskTroubleIgnored,
        Bug::TotalIgnored,
        Bug::CountdownNeverWound,
        Bug::SignedTooEarly,
    ];
}
