//! Where the market is recorded: no key, no account, only public addresses.

use std::path::Path;

use optiflow_oms::binance::hosts::{self, Hosts};
use optiflow_wire::endpoint::Endpoint;
use optiflow_wire::tls::Roots;

use crate::config::{Config, Mode};
use crate::problem::Problem;
use crate::venue::{self, Venue};

/// A market that can be recorded.
#[derive(Clone, Debug)]
pub struct Place {
    /// Base URL of REST.
    pub rest: String,
    /// Base URL of the streams.
    pub streams: String,
    /// Whom TLS trusts.
    pub roots: Roots,
}

impl Place {
    /// The market of the configuration's mode.
    pub fn of(config: &Config, exchange: Option<&Path>) -> Result<Place, Problem> {
        let usage = |text: &str| Err(Problem::Usage(text.to_owned()));
        match (config.mode, exchange) {
            (Mode::Sim, Some(file)) => {
                let (rest, streams, roots) = venue::public_addresses(file)?;
                Ok(Place { rest, streams, roots })
            }
            (Mode::Sim, None) => usage(
                "mode is \"sim\": start `optiflow exchange --json > FILE` and give --exchange FILE, or set mode to \"testnet\" or \"live\", which needs no key to record",
            ),
            (Mode::Paper, None) => {
                usage("mode \"paper\" has no streams to record; record mode \"testnet\" or \"live\"")
            }
            (Mode::Paper | Mode::Testnet | Mode::Live, Some(_)) => usage("--exchange works with mode = \"sim\" only"),
            (Mode::Testnet, None) => Ok(Place::real(&hosts::TESTNET)),
            (Mode::Live, None) => Ok(Place::real(&hosts::MAINNET)),
        }
    }

    /// The market that a session trades on.
    pub fn beside(venue: &Venue) -> Place {
        Place { rest: venue.rest.clone(), streams: venue.streams.clone(), roots: venue.roots.clone() }
    }

    /// Where the streams are.
    pub fn streams(&self) -> Result<Endpoint, Problem> {
        Endpoint::resolve(&self.streams, &self.roots).map_err(|error| Problem::Failed(error.to_string()))
    }

    fn real(hosts: &Hosts) -> Place {
        Place { rest: hosts.rest.to_owned(), streams: hosts.streams.to_owned(), roots: Roots::WebPki }
    }
}
