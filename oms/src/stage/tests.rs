//! The stage against a scripted exchange, in virtual time.

mod doubt;
mod far;
mod hostile;
mod session;
mod stop;
mod trade;
mod world;

use super::*;
