//! The collector's raw text: `<local time> <JSON>` lines of Binance's streams, as hftbacktest's collector and our own
//! recorder write them.
//!
//! [`lines`] reads them, [`json`] and [`payload`] say what one says, [`survey`] looks at whole files, [`merge`] reads
//! them as one, [`gate`] keeps the book's sequence, [`convert`] makes rows of it, [`collect`] is the import. Never writes a store; knows no other venue. Runs on the caller's thread.

pub(crate) mod collect;
pub(crate) mod convert;
pub(crate) mod gate;
pub(crate) mod json;
pub(crate) mod lines;
pub(crate) mod merge;
pub(crate) mod payload;
pub(crate) mod survey;
