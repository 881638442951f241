//! Why a core cannot be opened.

use std::fmt;

/// The queue is to be exact, but the source tells no single orders.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NoSingleOrders;

impl fmt::Display for NoSingleOrders {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(
            "queue fifo needs a market that tells every order: only `synthetic` does; \
             choose it, or estimate with risk-averse, log, log2, power:N, power2:N or power3:N",
        )
    }
}

impl std::error::Error for NoSingleOrders {}
