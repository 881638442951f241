//! A session at the account's order limit: a strategy that wants more than it may, and a limiter that alone holds it.
//!
//! What it does: the real feed, engine, risk and oms, the protocol's bytes and the simulated exchange with its true limits;
//! bytes take time, connections are cut, the exchange's clock drifts against ours. `ground` builds it, `weather` and
//! `courier` carry what travels, `greedy` wants, `run` lets time pass, `tally` keeps our count beside the exchange's and
//! `verdict` adds both up.
//! What it never does: it invents no fault of the exchange: those are [`crate::seeds`]'. What is refused here, we asked for.
//! Which thread: the caller's.

pub mod courier;
pub mod greedy;
pub mod ground;
pub mod run;
pub mod tally;
pub mod verdict;
pub mod weather;
