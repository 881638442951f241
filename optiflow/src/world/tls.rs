//! Both ends' TLS of the few worlds that have it, made once a process.
//!
//! Our end reads the authority from a file, as it does before a real exchange; the file is gone when this returns. All keys
//! are Ed25519 and always the same: other signatures differ in length from one handshake to the next, and where bytes
//! arrive in pieces a world would not be lived again from its seed.

use std::fs;

use optiflow_backtest::seeds::lab::Tls;
use optiflow_wire::tls::{Roots, client_config};

use crate::exchange::{certificate, keys};
use crate::problem::Problem;

/// Makes them.
pub fn both_ends() -> Result<Tls, Problem> {
    let failed = |what: &str, why: String| Problem::Failed(format!("{what} for worlds with TLS: {why}"));
    let mut random = fastrand::Rng::with_seed(KEYS_SEED);
    let mut key = || keys::ed25519(&mut random).map_err(|error| failed("making a key", error.to_string()));
    let (authority, server) = (key()?, key()?);
    let made = certificate::make(&authority, &server);
    let made = made.map_err(|error| failed("making a certificate", error.to_string()))?;
    let path = std::env::temp_dir().join(format!("optiflow-world-{}.pem", std::process::id()));
    fs::write(&path, &made.ca_pem).map_err(|error| failed("writing the authority", error.to_string()))?;
    let client = client_config(&Roots::CaFile(path.clone()));
    let removed = fs::remove_file(&path);
    let client = client.map_err(|error| failed("reading the authority", error.to_string()))?;
    removed.map_err(|error| failed("removing the authority's file", error.to_string()))?;
    Ok(Tls { server: made.server, client })
}

/// Whatever it is, they open nothing.
const KEYS_SEED: u64 = 1;
