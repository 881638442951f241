//! The museum: what went wrong at others, each as a test that fails when the remedy is taken out of our code.
//!
//! The real stages trade over the protocol's bytes against the simulated exchange in virtual time; one fault strikes at a
//! chosen instant, and a strategy wants exactly what the incident needs. One incident, secrets in a bug report, needs the
//! whole program and is in the tests of `optiflow`.

#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::wildcard_enum_match_arm)]

#[path = "museum/brakes.rs"]
mod brakes;
#[path = "museum/lab.rs"]
mod lab;
#[path = "museum/middle.rs"]
mod middle;
#[path = "museum/orders.rs"]
mod orders;
#[path = "museum/puppet.rs"]
mod puppet;
#[path = "museum/session.rs"]
mod session;
#[path = "museum/streams.rs"]
mod streams;
#[path = "museum/truth.rs"]
mod truth;
