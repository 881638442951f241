//! `optiflow exchange` as a process of its own, and a client of it.

#![allow(dead_code, reason = "each test needs a part of it")]

use std::fs::{self, File};
use std::path::PathBuf;
use std::process::{Child, Command};
use std::sync::Arc;
use std::time::Duration;

use optiflow_base::secret::Secret;
use optiflow_oms::binance::rest::RestClient;
use optiflow_oms::binance::sign::ApiKey;
use optiflow_oms::time::ExchangeTime;
use optiflow_wire::tls::Roots;
use serde_json::Value;

use crate::support::{Folder, program, until};

/// `optiflow exchange`, killed when dropped.
pub struct Exchange {
    process: Child,
    /// The file with its line.
    pub line: String,
}

impl Exchange {
    /// Starts it with such arguments and waits until it listens; its keys lie in the folder.
    pub fn start(folder: &Folder, args: &[&str]) -> Exchange {
        Exchange::named(folder, "exchange", args)
    }

    /// The same, where there are several in one folder.
    pub fn named(folder: &Folder, name: &str, args: &[&str]) -> Exchange {
        let line = folder.path(&format!("{name}.json"));
        let mut command = Command::new(program());
        command.args(["exchange", "--json", "--folder", &folder.path("keys")]).args(args);
        let exchange = Exchange { process: command.stdout(File::create(&line).unwrap()).spawn().unwrap(), line };
        until("the exchange does not listen", Duration::from_secs(60), || {
            fs::read_to_string(&exchange.line).unwrap().contains('\n').then_some(())
        });
        exchange
    }

    /// What it said of itself.
    pub fn said(&self) -> Value {
        serde_json::from_str(&fs::read_to_string(&self.line).unwrap()).unwrap()
    }

    /// A client with its HMAC key.
    pub fn client(&self) -> RestClient {
        let said = self.said();
        let text = |field: &str| said[field].as_str().unwrap().to_owned();
        let key = ApiKey::hmac(&text("api_key"), &Secret::new(text("api_secret").into_bytes())).unwrap();
        let roots = Roots::CaFile(PathBuf::from(text("ca_file")));
        RestClient::new(&text("rest"), &roots, Some(Arc::new(key)), ExchangeTime::new()).unwrap()
    }
}

impl Drop for Exchange {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// A port that nobody uses.
pub fn free_port() -> String {
    std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port().to_string()
}
