//! Why a book is not believed, in the words of a notice. Engine thread.

use optiflow_base::market::BookLoss;

/// What is said when the engine gives a book up.
pub(crate) const fn doubt_phrase(reason: BookLoss) -> &'static str {
    match reason {
        BookLoss::Disagreed => "book lost: best prices at the same update id are others",
        BookLoss::Crossed => "book lost: bid and ask stayed crossed",
        BookLoss::OutOfRange => "book lost: the price left the range of the last snapshot",
        BookLoss::Gap | BookLoss::Disconnected | BookLoss::Overflow | BookLoss::Malformed | BookLoss::RingFull => {
            "book lost: a depth event made no sense"
        }
    }
}
