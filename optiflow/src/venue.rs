//! Where the exchange is and with which key: embedded, already running, testnet or live.
//!
//! Starts the embedded exchange when the configuration asks for it, reads key files, and refuses everything that could
//! reach real money by mistake. Never logs a key, and lets no core hold one. Runs on the main thread before the pipeline starts.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use optiflow_base::secret::Secret;
use optiflow_oms::binance::hosts;
use optiflow_oms::binance::sign::ApiKey;
use optiflow_sim::binance::faults::Faults;
use optiflow_wire::endpoint::Endpoint;
use optiflow_wire::tls::Roots;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use serde::Deserialize;

use crate::cli::TradeArgs;
use crate::config::{Config, Mode};
use crate::exchange::{self, ExchangeOptions, Running};
use crate::problem::Problem;

/// An exchange that can be traded on.
pub struct Venue {
    /// Base URL of REST.
    pub rest: String,
    /// Base URL of the streams.
    pub streams: String,
    /// URL of the WebSocket API.
    pub ws_api: String,
    /// Whom TLS trusts.
    pub roots: Roots,
    /// With which key.
    pub key: Arc<ApiKey>,
    /// The embedded exchange, when there is one.
    pub embedded: Option<Running>,
}

impl Venue {
    /// Finds or starts the exchange that the configuration and the flags name; an embedded one lives on `cold_core`.
    ///
    /// # Errors
    /// Says what was being done and what to do now.
    pub fn open(config: &Config, args: &TradeArgs, cold_core: Option<usize>) -> Result<Venue, Problem> {
        leave_no_image();
        match (config.mode, args.live) {
            (Mode::Live, false) => {
                return usage("mode is \"live\", but --live is missing: real money needs both");
            }
            (Mode::Sim | Mode::Paper | Mode::Testnet, true) => {
                return usage("--live was given, but the configuration's mode is not \"live\"");
            }
            (Mode::Live, true) | (Mode::Sim | Mode::Paper | Mode::Testnet, false) => {}
        }
        match (config.mode, &args.exchange) {
            (Mode::Sim, None) => Venue::embedded(config, args, cold_core),
            (Mode::Sim, Some(file)) => Venue::running(config, file),
            (Mode::Paper, None) => usage("mode \"paper\" has no exchange that is asked over a connection"),
            (Mode::Paper | Mode::Testnet | Mode::Live, Some(_)) => usage("--exchange works with mode = \"sim\" only"),
            (Mode::Testnet, None) => Venue::real(&hosts::TESTNET, config),
            (Mode::Live, None) => Venue::real(&hosts::MAINNET, config),
        }
    }

    /// The exchange that is already there, for a command that ends things and starts nothing.
    ///
    /// # Errors
    /// Says what was being done and what to do now.
    pub fn reach(config: &Config, exchange: Option<&Path>) -> Result<Venue, Problem> {
        leave_no_image();
        match (config.mode, exchange) {
            (Mode::Sim, Some(file)) => Venue::running(config, file),
            (Mode::Sim, None) => usage(
                "mode is \"sim\" and no --exchange was given: the embedded exchange lives inside `optiflow trade` and ends \
                 with it",
            ),
            (Mode::Paper, None) => usage("mode \"paper\" has no exchange outside of `optiflow trade`"),
            (Mode::Paper | Mode::Testnet | Mode::Live, Some(_)) => usage("--exchange works with mode = \"sim\" only"),
            (Mode::Testnet, None) => Venue::real(&hosts::TESTNET, config),
            (Mode::Live, None) => Venue::real(&hosts::MAINNET, config),
        }
    }

    /// An endpoint under one of the base URLs.
    ///
    /// # Errors
    /// When the host cannot be resolved or the roots cannot be read.
    pub fn endpoint(&self, url: &str) -> Result<Endpoint, Problem> {
        Endpoint::resolve(url, &self.roots).map_err(|error| Problem::Failed(error.to_string()))
    }

    fn embedded(config: &Config, args: &TradeArgs, cold_core: Option<usize>) -> Result<Venue, Problem> {
        let options = ExchangeOptions {
            port: 0,
            market: args.market.clone().unwrap_or_else(|| config.sim.market.clone()),
            seed: args.seed.unwrap_or(config.sim.seed),
            speed: args.speed.unwrap_or(config.sim.speed),
            tls: config.sim.tls,
            folder: config.sim.folder.clone(),
            faults: Faults::default(),
            reaction: false,
        };
        let running = exchange::start_on(options, cold_core).map_err(|error| {
            let text = error.to_string();
            if exchange::is_usage(&error) { Problem::Usage(text) } else { Problem::Failed(text) }
        })?;
        let private = config.sim.ed25519.then_some(running.ed25519_key_file.as_path());
        let key = test_key(&running.api_key, &running.api_secret, private)?;
        Ok(Venue {
            rest: running.rest.clone(),
            streams: running.streams.clone(),
            ws_api: running.ws_api.clone(),
            roots: running.ca_file.clone().map_or(Roots::WebPki, Roots::CaFile),
            key: Arc::new(key),
            embedded: Some(running),
        })
    }

    fn running(config: &Config, file: &Path) -> Result<Venue, Problem> {
        let said = said(file)?;
        let private = config.sim.ed25519.then_some(said.ed25519_key_file.as_path());
        let key = test_key(&said.api_key, &said.api_secret, private)?;
        Ok(Venue {
            rest: said.rest,
            streams: said.streams,
            ws_api: said.ws_api,
            roots: said.ca_file.map_or(Roots::WebPki, |path| Roots::CaFile(path.into())),
            key: Arc::new(key),
            embedded: None,
        })
    }

    fn real(hosts: &hosts::Hosts, config: &Config) -> Result<Venue, Problem> {
        let keys = config.keys.as_ref().ok_or_else(|| Problem::Usage("this mode needs a [keys] table".to_owned()))?;
        Ok(Venue {
            rest: hosts.rest.to_owned(),
            streams: hosts.streams.to_owned(),
            ws_api: hosts.ws_api.to_owned(),
            roots: Roots::WebPki,
            key: Arc::new(
                ApiKey::from_files(&keys.api_key_file, &keys.secret_file)
                    .map_err(|error| Problem::Usage(error.to_string()))?,
            ),
            embedded: None,
        })
    }
}

/// REST, streams and authorities of an `optiflow exchange` that runs on this machine: all that its market takes.
///
/// # Errors
/// When the file does not hold its line, or names another machine.
pub(crate) fn public_addresses(file: &Path) -> Result<(String, String, Roots), Problem> {
    let said = said(file)?;
    Ok((said.rest, said.streams, said.ca_file.map_or(Roots::WebPki, |path| Roots::CaFile(path.into()))))
}

/// What an exchange on this machine said of itself.
fn said(file: &Path) -> Result<Said, Problem> {
    let said = wait_for_line(file)?;
    let said: Said = serde_json::from_str(&said).map_err(|error| {
        Problem::Usage(format!("{}: is not the line of `optiflow exchange --json`: {error}", file.display()))
    })?;
    for url in [&said.rest, &said.streams, &said.ws_api] {
        if !is_loopback(url) {
            let file = file.display();
            return usage(format!("{file}: {url} is not on this machine; mode \"sim\" stays on loopback"));
        }
    }
    Ok(said)
}

/// The line that `optiflow exchange --json` prints; what is not needed here is left out.
#[derive(Deserialize)]
struct Said {
    rest: String,
    streams: String,
    ws_api: String,
    api_key: String,
    api_secret: String,
    ed25519_key_file: PathBuf,
    ca_file: Option<String>,
}

/// A process that a signal ends writes no core from here on: keys would be in it.
fn leave_no_image() {
    let most = getrlimit(Resource::Core).maximum;
    // A limit may always be lowered; where the system says otherwise, trading goes on as before.
    let _ = setrlimit(Resource::Core, Rlimit { current: Some(0), maximum: most });
}

/// The simulated exchange's test key: with its private half it signs the logon, otherwise every order.
fn test_key(name: &str, secret: &str, private: Option<&Path>) -> Result<ApiKey, Problem> {
    let key = match private {
        None => ApiKey::hmac(name, &Secret::new(secret.as_bytes().to_vec())),
        Some(file) => {
            let pem = fs::read(file);
            let pem = pem.map_err(|error| Problem::Failed(format!("reading {}: {error}", file.display())))?;
            ApiKey::ed25519(name, &Secret::new(pem))
        }
    };
    key.map_err(|error| Problem::Usage(error.to_string()))
}

fn usage<T>(text: impl Into<String>) -> Result<T, Problem> {
    Err(Problem::Usage(text.into()))
}

/// The line that an exchange writes once it listens; one that was started a moment ago gets a moment.
fn wait_for_line(file: &Path) -> Result<String, Problem> {
    let mut last = String::new();
    for _ in 0..LINE_TRIES {
        match fs::read_to_string(file) {
            Ok(text) if text.contains('\n') => return Ok(text.trim().to_owned()),
            Ok(_) => "it is not complete yet".clone_into(&mut last),
            Err(error) => last = error.to_string(),
        }
        thread::sleep(LINE_PAUSE);
    }
    let file = file.display();
    usage(format!("reading {file}: {last}; give the file that holds the line of `optiflow exchange --json`"))
}

fn is_loopback(url: &str) -> bool {
    let host = url.split("://").nth(1).unwrap_or("").split(['/', ':']).next().unwrap_or("");
    host == "localhost" || host.parse::<std::net::Ipv4Addr>().is_ok_and(|address| address.is_loopback())
}

const LINE_TRIES: u32 = 50;
const LINE_PAUSE: Duration = Duration::from_millis(100);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_loopback_counts_as_a_simulated_exchange() {
        for (url, expected) in [
            ("http://127.0.0.1:9000", true),
            ("wss://localhost:9000/ws-fapi/v1", true),
            ("https://fapi.binance.com", false),
            ("https://127.0.0.1.example.com", false),
            ("nonsense", false),
        ] {
            assert_eq!(is_loopback(url), expected, "{url}");
        }
    }
}
