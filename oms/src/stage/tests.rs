//! The stage against a scripted exchange, in virtual time.

mod doubt;
mod far;
mod hostile;
mod leftovers;
mod limits;
mod numbers;
mod seen;
mod session;
mod silence;
mod stop;
mod trade;
mod world;

use super::*;
