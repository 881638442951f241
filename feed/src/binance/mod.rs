//! Everything that is Binance's: stream names, messages, the snapshot request.
//!
//! Source: fact sheet of the USDⓈ-M futures streams, §1 (routes), §2 (messages), §2.11 (book rules).
//! Never opens a socket, never decides about sequence. Runs on the feed thread.
//!
//! Reading order: [`streams`] (what is subscribed), [`decoder`] (bytes to messages), then its two parsers.

pub mod decoder;
pub mod streams;

mod cursor;
mod general;
mod scan;

pub use decoder::{DecodeError, Decoder, Fault, LEVELS_MAX, Mark, Message, Top, Trade};
pub use streams::Symbols;
