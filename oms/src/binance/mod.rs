//! Everything that is Binance USDⓈ-M about orders: names, fields, codes, signatures, start-up checks.
//!
//! Never decides what to do with an order; it turns our words into theirs and theirs into ours.
//! `rest`, `setup`, `emergency` and `kill` block and run on cold threads; the rest runs on the oms thread.

pub mod emergency;
pub mod hosts;
pub mod json;
pub mod kill;
pub mod outcome;
pub mod reply;
pub mod request;
pub mod rest;
pub mod setup;
pub mod sign;
pub mod truth;
pub mod user;
pub mod wanted;

pub(crate) mod text;

#[cfg(test)]
pub(crate) mod samples;
