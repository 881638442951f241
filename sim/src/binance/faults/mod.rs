//! The liar: everything that can go wrong between an exchange and its clients, on purpose and by seed.
//!
//! What it does: `kinds` names the faults, `profile` says which of them strike how often and when, and the liar draws:
//! for each request (`requests`), each frame on its way out (`frames`), each new order and each second. Where bytes matter
//! it only decides ([`super::Delivery`], `Outgoing::Cut`, `Outgoing::Dribble`); whoever has the socket carries it out.
//! What it never does: it changes no ledger. What is told may be false, late or missing; what happened is as the core has
//! it. Without a rule it draws nothing, and the exchange is byte for byte what it would be without it.
//! Which thread: whoever drives the exchange. Same seed, same calls, same lies.

mod frames;
mod kinds;
mod liar;
mod profile;
mod requests;

#[cfg(test)]
mod tests;

pub use kinds::{Fault, Per};
pub use profile::{Faults, RATE_ONE, Rule};

pub(super) use frames::dribble;
pub(super) use liar::{Hidden, Liar};
pub(super) use requests::{Asked, Lie, Words};
