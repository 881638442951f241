//! An order's terms: what is known of its price and total quantity, and the modify request that may change them.
//!
//! One request at a time. Until its fate is proven either terms may be in force; terms that were shown later in the
//! exchange's time replace earlier ones, whichever way they came. Never guesses. Runs on the oms thread.

use optiflow_base::clock::Nanos;
use optiflow_base::money::{Price, Qty};
use optiflow_base::order::{OrderChange, Terms};

use super::Order;

/// A modify request whose fate is not proven.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Amend {
    /// The number of the request.
    pub request: u64,
    /// What was asked for.
    pub terms: Terms,
    /// When it was handed to the socket.
    pub sent: Nanos,
    /// What is known of the answer.
    pub standing: Standing,
}

/// What is known of the answer to a modify request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// It may still come.
    Awaited,
    /// There is none of use: the request may have worked, or may yet.
    Lost,
    /// It came, and leaves open which terms are in force: the next that are shown are.
    Answered,
}

/// By what the exchange shows an order's terms.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shown {
    /// By its answer to this modify request.
    Reply(u64),
    /// By an event that tells of a modification.
    Event,
    /// By its answer to a question.
    Query,
}

impl Order {
    /// The terms, as last known.
    pub const fn terms(&self) -> Terms {
        Terms { price: self.price, qty: self.qty }
    }

    /// The modify request whose fate is not proven.
    pub const fn amend(&self) -> Option<Amend> {
        self.amend
    }

    /// Must the exchange be asked whether a modify request worked?
    pub fn owes_terms(&self) -> bool {
        self.amend.is_some_and(|amend| amend.standing != Standing::Awaited)
    }

    /// The most that it may trade in all.
    pub fn most(&self) -> Qty {
        self.amend.map_or(self.qty, |amend| amend.terms.qty.max(self.qty))
    }

    /// May a modify request be sent? Only for a limit order that rests at the exchange and that no request is about.
    pub fn can_amend(&self) -> bool {
        let lives = self.exchange_id.is_some() && !self.state.is_end() && self.closing.is_none();
        self.rests && lives && !self.cancelling && self.amend.is_none()
    }

    /// A modify request was handed to the socket.
    pub fn amending(&mut self, request: u64, terms: Terms, sent: Nanos) {
        assert!(self.can_amend(), "one modify request at a time");
        self.amend = Some(Amend { request, terms, sent, standing: Standing::Awaited });
    }

    /// The answer to a modify request is lost, or leaves the terms open; false when it is about no request of now.
    pub fn amend_stands(&mut self, request: u64, standing: Standing) -> bool {
        let Some(amend) = self.amend.as_mut().filter(|amend| amend.request == request) else { return false };
        amend.standing = standing;
        true
    }

    /// A modify request came to nothing; false when it is about no request of now.
    pub fn amend_refused(&mut self, request: u64) -> bool {
        self.amend.take_if(|amend| amend.request == request).is_some()
    }

    /// The exchange shows the terms, as they were at `at_ms` of its time. Says what is to be reported of it.
    pub fn shown(&mut self, terms: Terms, at_ms: u64, how: Shown) -> Option<OrderChange> {
        if terms.price <= Price::ZERO || terms.qty <= Qty::ZERO {
            return None;
        }
        let current = at_ms >= self.amended_ms;
        let asked = self.amend.is_some_and(|amend| match how {
            Shown::Reply(request) => request == amend.request,
            Shown::Event => current && terms == amend.terms,
            Shown::Query => current && (terms == amend.terms || amend.standing == Standing::Answered),
        });
        let before = self.terms();
        // Two changes in one millisecond cannot be told apart by time: the one that was asked for counts.
        if (asked && current) || at_ms > self.amended_ms {
            (self.price, self.qty, self.amended_ms) = (terms.price, terms.qty, at_ms);
        }
        if asked {
            self.amend = None;
        }
        let Terms { price, qty } = self.terms();
        let news = asked || self.terms() != before;
        (news && !self.state.is_end()).then_some(OrderChange::Modified { price, qty, asked })
    }
}
