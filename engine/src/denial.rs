//! What a denial by risk means for the next wish. Engine thread.

use optiflow_base::order::DenyReason;

/// Would the same order be denied again a moment later, whatever it asks for?
pub(crate) const fn only_time_helps(reason: DenyReason) -> bool {
    match reason {
        DenyReason::Latched
        | DenyReason::GateClosed
        | DenyReason::NoReference
        | DenyReason::OrderRate
        | DenyReason::WeightRate
        | DenyReason::RepeatedRefusal => true,
        DenyReason::PriceFilter
        | DenyReason::LotSize
        | DenyReason::MinNotional
        | DenyReason::PercentPrice
        | DenyReason::OffGrid
        | DenyReason::OrderSize
        | DenyReason::PositionLimit
        | DenyReason::OpenOrders
        | DenyReason::PriceBand
        | DenyReason::NotReducing
        | DenyReason::BadOrderId
        | DenyReason::RingFull
        | DenyReason::TotalLimit
        | DenyReason::TotalOpenOrders
        | DenyReason::ExitFirst => false,
    }
}
