//! Where tests find the sample messages that are shared outside this repository; absent ones are skipped aloud.

use std::path::PathBuf;

/// The file at `path` below the shared folder, or `None` (said aloud) when it is not there.
pub fn bytes(path: &str) -> Option<Vec<u8>> {
    let default = concat!(env!("CARGO_MANIFEST_DIR"), "/../../shared");
    let root = std::env::var_os("OPTIFLOW_SHARED").map_or_else(|| PathBuf::from(default), PathBuf::from);
    let found = std::fs::read(root.join(path)).ok();
    if found.is_none() {
        eprintln!("skipped: {path} is not in the shared folder (set OPTIFLOW_SHARED)");
    }
    found
}

/// A sample message of the venue.
pub fn message(name: &str) -> Option<String> {
    bytes(&format!("binance/messages/{name}")).and_then(|bytes| String::from_utf8(bytes).ok())
}
