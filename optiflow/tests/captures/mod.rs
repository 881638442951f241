//! An exchange as a process of its own, and a configuration to trade or record it with.

#![allow(dead_code)]

use std::fs::{self, File};
use std::path::Path;
use std::process::{Child, Command};
use std::time::{Duration, Instant};

use crate::support::Folder;

/// `optiflow exchange`, killed when dropped.
pub struct Exchange {
    process: Child,
    /// The file with its line.
    pub line: String,
}

impl Exchange {
    /// Starts it on `port`, 0 for any, and waits until it listens.
    pub fn start(folder: &Folder, port: u16) -> Exchange {
        Exchange::of(folder, port, "synthetic")
    }

    /// The same, of another market.
    pub fn of(folder: &Folder, port: u16, market: &str) -> Exchange {
        let line = folder.path("exchange.json");
        let process = Command::new(env!("CARGO_BIN_EXE_optiflow"))
            .args(["exchange", "--json", "--port", &port.to_string(), "--folder", &folder.path("keys")])
            .args(["--market", market])
            .stdout(File::create(&line).unwrap())
            .spawn()
            .unwrap();
        let deadline = Instant::now() + Duration::from_secs(20);
        while !fs::read_to_string(&line).unwrap().contains('\n') {
            assert!(Instant::now() < deadline, "the exchange does not listen");
            std::thread::sleep(Duration::from_millis(20));
        }
        Exchange { process, line }
    }
}

impl Drop for Exchange {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// A port that nobody uses.
pub fn free_port() -> u16 {
    std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// Puts the demo's configuration into the folder, as `demo.toml`.
pub fn demo(folder: &Folder) {
    let shipped = Path::new(env!("CARGO_MANIFEST_DIR")).join("../configs/demo.toml");
    fs::copy(shipped, folder.path("demo.toml")).unwrap();
}
