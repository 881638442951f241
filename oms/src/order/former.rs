//! An order of a former session, followed again: nothing is known but what was written down.

use optiflow_base::clock::Nanos;

use super::{Order, State};
use crate::doubt::Doubt;
use crate::former::FormerOrder;

impl Order {
    /// Exposure until its end is proven, and a question from the start.
    pub fn former(former: &FormerOrder, now: Nanos) -> Order {
        let state = match former.exchange_id {
            None => State::Unknown,
            Some(_) if former.filled.is_zero() => State::Open,
            Some(_) => State::PartlyFilled,
        };
        Order {
            doubt: Some(Doubt::new(now)),
            former: true,
            state,
            exchange_id: former.exchange_id,
            booked: former.filled,
            executed: former.filled,
            ..Order::new(former.symbol, &former.order, former.sent.min(now))
        }
    }
}
