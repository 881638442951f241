//! The stage against a scripted exchange, in virtual time.

mod by_rest;
mod dead_man;
mod doubt;
mod far;
mod former;
mod hostile;
mod interleavings;
mod leftovers;
mod limits;
mod modify;
mod numbers;
mod question;
mod seen;
mod session;
mod silence;
mod spare;
mod stop;
mod told_late;
mod trade;
mod weight;
mod world;

use super::*;
