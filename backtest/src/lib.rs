//! Virtual time: the real stages against the simulated exchange, on one thread, as fast as the machine goes.
//!
//! What it does: a [`world::World`] holds feed, engine, risk and oms with their rings, in-memory connections that carry
//! the very bytes of the protocol, and the exchange behind them; time moves only when the world is told.
//! What it never does: no sockets, no threads, no wall clock: the same seed gives the same events.
//! Which thread: the caller's.

pub mod ceiling;
pub mod control;
pub mod far_end;
pub mod former;
pub mod leash;
pub mod links;
pub mod listing;
pub mod seam;
pub mod seeds;
pub mod stages;
pub mod usual;
pub mod world;
