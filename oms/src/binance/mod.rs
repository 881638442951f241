//! Everything that is Binance USDⓈ-M about orders: names, fields, codes, signatures, start-up checks.
//!
//! Never decides what to do with an order; it turns our words into theirs and theirs into ours.
//! `rest` and `setup` block and run on the control thread; the rest runs on the oms thread.

pub mod emergency;
pub mod hosts;
pub mod json;
pub mod outcome;
pub mod reply;
pub mod request;
pub mod rest;
pub mod setup;
pub mod sign;
pub mod truth;
pub mod user;

mod text;

#[cfg(test)]
pub(crate) mod samples;
