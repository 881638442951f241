//! Both ends' TLS of the few worlds that have it, made once a process.
//!
//! Our end reads the authority from a file, as it does before a real exchange; the file is gone when this returns.

use std::fs;

use optiflow_backtest::seeds::lab::Tls;
use optiflow_wire::tls::{Roots, client_config};
use rcgen::KeyPair;

use crate::exchange::certificate;
use crate::problem::Problem;

/// Makes them.
pub fn both_ends() -> Result<Tls, Problem> {
    let failed = |what: &str, why: String| Problem::Failed(format!("{what} for worlds with TLS: {why}"));
    let key = KeyPair::generate().map_err(|error| failed("making a key", error.to_string()))?;
    let made = certificate::make(&key).map_err(|error| failed("making a certificate", error.to_string()))?;
    let path = std::env::temp_dir().join(format!("optiflow-world-{}.pem", std::process::id()));
    fs::write(&path, &made.ca_pem).map_err(|error| failed("writing the authority", error.to_string()))?;
    let client = client_config(&Roots::CaFile(path.clone()));
    let removed = fs::remove_file(&path);
    let client = client.map_err(|error| failed("reading the authority", error.to_string()))?;
    removed.map_err(|error| failed("removing the authority's file", error.to_string()))?;
    Ok(Tls { server: made.server, client })
}
