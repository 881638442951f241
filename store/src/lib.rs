//! The event store: normalised market events in Parquet files, one row an event, and what reads and writes them.
//!
//! Write with [`writer::Writer`], or turn recordings into a store with [`import::import`]; read with
//! [`blocks::Blocks`], which also takes the `.npz` of hftbacktest as it is. `docs/store.md` describes the file.
//! Never holds a whole file: rows pass in blocks, whatever the length. Never trades, never parses for the live feed.
//! Reading runs on a thread of its own that hands blocks through a bounded channel; everything else on the caller's.

pub mod event;

pub mod blocks;
pub mod writer;

pub mod import;

pub mod latency;

pub mod error;
pub mod schema;

mod chain;
mod collector;
mod file;
mod group;
mod labels;
mod npy;
mod npz;
mod order;
mod reorder;
mod zip;
