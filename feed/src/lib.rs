//! Stage 1: socket bytes to market events that are proven to be in sequence.
//!
//! What it does: keeps the two market-data connections of a venue, reads their messages into fixed point without
//! allocating, joins snapshot and diffs into an unbroken run per symbol, watches every stream for silence, and writes
//! the market ring.
//! What it never does: it keeps no book, takes no trading decision, sends nothing but subscriptions in a URL, blocks
//! nowhere; it never lets half a depth message, a broken sequence or an impossible number pass as a book.
//! Which thread: the feed thread. REST snapshots are asked of the control thread as messages.
//!
//! Reading order: [`binance`] (bytes to [`binance::Message`]), [`sync`] (is it in sequence?), the stage ([`Feed`]).

pub mod binance;
pub mod sync;

mod lag;
mod plausible;
mod stage;
mod watch;

pub use stage::{Feed, FeedConfig, FeedPorts, FeedSymbol, MARKET_RING_LEN_MIN, Silence};
