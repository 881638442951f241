//! Where a connection goes: host, addresses, path, and whether TLS guards it.
//!
//! Parsing and DNS happen at start: [`Endpoint::resolve`] blocks and must not run on a hot thread. Later reconnects go
//! through the addresses found then, or through newer ones when a [`crate::renewal::Resolver`] has found some.

use std::fmt;
use std::net::{IpAddr, SocketAddr, ToSocketAddrs};
use std::sync::Arc;

use crate::error::WireError;
use crate::renewal::{ADDRESSES_MAX, Renewal};
use crate::tls::{self, Roots};

/// One server, ready to be dialled.
#[derive(Clone)]
pub struct Endpoint {
    /// Name for `Host` and, with TLS, for the certificate.
    pub host: String,
    /// TCP port.
    pub port: u16,
    /// Addresses, tried in turn.
    pub addresses: Vec<SocketAddr>,
    /// Path and query of the upgrade, beginning with `/`.
    pub path: String,
    /// TLS, when the URL was `wss://`.
    pub tls: Option<Arc<rustls::ClientConfig>>,
    /// Where newer addresses come from, when a resolver serves the endpoint.
    pub renewal: Option<Renewal>,
}

impl Endpoint {
    /// Reads `ws(s)://host[:port][/path]` and looks the host up. Blocks on DNS.
    ///
    /// # Errors
    /// When the URL cannot be used, the host has no address, or the authorities cannot be read.
    pub fn resolve(url: &str, roots: &Roots) -> Result<Endpoint, WireError> {
        let parts = parse(url).map_err(|reason| WireError::Url { url: url.to_owned(), reason })?;
        let tls = if parts.secure { Some(tls::client_config(roots)?) } else { None };
        let host = parts.host.to_owned();
        if parts.secure && rustls::pki_types::ServerName::try_from(parts.host).is_err() {
            return Err(WireError::ServerName { host });
        }
        let found = (parts.host, parts.port).to_socket_addrs();
        let mut addresses: Vec<SocketAddr> = match found {
            Ok(found) => found.take(ADDRESSES_MAX).collect(),
            Err(source) => return Err(WireError::Resolve { host, source }),
        };
        addresses.dedup();
        if addresses.is_empty() {
            return Err(WireError::NoAddress { host });
        }
        // Digits are no name: there is nothing to look up again.
        let renewal = parts.host.parse::<IpAddr>().is_err().then(Renewal::default);
        Ok(Endpoint { host, port: parts.port, addresses, path: parts.path.to_owned(), tls, renewal })
    }

    /// The same server, another path.
    #[must_use]
    pub fn with_path(mut self, path: &str) -> Endpoint {
        path.clone_into(&mut self.path);
        self
    }
}

/// The path is left out: it may carry a listen key.
impl fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = if self.tls.is_some() { "wss" } else { "ws" };
        write!(f, "Endpoint({scheme}://{}:{} at {:?})", self.host, self.port, self.addresses)
    }
}

struct Parts<'a> {
    secure: bool,
    host: &'a str,
    port: u16,
    path: &'a str,
}

fn parse(url: &str) -> Result<Parts<'_>, &'static str> {
    let (secure, rest) = match (url.strip_prefix("wss://"), url.strip_prefix("ws://")) {
        (Some(rest), _) => (true, rest),
        (None, Some(rest)) => (false, rest),
        (None, None) => return Err("it does not begin with ws:// or wss://"),
    };
    if !url.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err("it holds a space or a character that is not ASCII");
    }
    if url.contains('#') {
        return Err("it has a fragment");
    }
    let (authority, path) = match rest.find(['/', '?']) {
        Some(at) if rest.as_bytes()[at] == b'/' => rest.split_at(at),
        Some(_) => return Err("it has a query but no path"),
        None => (rest, "/"),
    };
    if authority.contains('@') {
        return Err("it carries a user name");
    }
    let default_port = if secure { 443 } else { 80 };
    let (host, port) = host_and_port(authority, default_port)?;
    if host.is_empty() {
        return Err("it has no host");
    }
    Ok(Parts { secure, host, port, path })
}

fn host_and_port(authority: &str, default_port: u16) -> Result<(&str, u16), &'static str> {
    let (host, port) = match authority.strip_prefix('[') {
        Some(inside) => {
            let (host, rest) = inside.split_once(']').ok_or("the [ of an IPv6 address is not closed")?;
            if !rest.is_empty() && !rest.starts_with(':') {
                return Err("there is something between the host and the port");
            }
            (host, rest.strip_prefix(':'))
        }
        None => match authority.split_once(':') {
            Some((_, port)) if port.contains(':') => return Err("write an IPv6 address in [brackets]"),
            Some((host, port)) => (host, Some(port)),
            None => (authority, None),
        },
    };
    match port {
        None => Ok((host, default_port)),
        Some(port) => match port.parse::<u16>() {
            Ok(number) if number > 0 && !port.starts_with('+') => Ok((host, number)),
            Ok(_) | Err(_) => Err("the port is not a number from 1 to 65535"),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_becomes_parts_or_the_reason_why_not() {
        let table = [
            (
                "wss://fstream.binance.com/public/stream?streams=a/b",
                "wss fstream.binance.com 443 /public/stream?streams=a/b",
            ),
            ("ws://127.0.0.1:9001", "ws 127.0.0.1 9001 /"),
            ("ws://[::1]:9001/x", "ws ::1 9001 /x"),
            ("wss://[::1]/x", "wss ::1 443 /x"),
            ("http://host/", "it does not begin with ws:// or wss://"),
            ("wss://", "it has no host"),
            ("wss://:443/", "it has no host"),
            ("wss://host:0/", "the port is not a number from 1 to 65535"),
            ("wss://host:+1/", "the port is not a number from 1 to 65535"),
            ("wss://host:65536/", "the port is not a number from 1 to 65535"),
            ("wss://::1/", "write an IPv6 address in [brackets]"),
            ("wss://[::1/", "the [ of an IPv6 address is not closed"),
            ("wss://[::1]x/", "there is something between the host and the port"),
            ("wss://me:secret@host/", "it carries a user name"),
            ("wss://host?x=1", "it has a query but no path"),
            ("wss://host/#part", "it has a fragment"),
            ("wss://host/a b", "it holds a space or a character that is not ASCII"),
            ("wss://host/\r\nX: y", "it holds a space or a character that is not ASCII"),
        ];
        for (url, expected) in table {
            let shown = match parse(url) {
                Ok(parts) => {
                    let scheme = if parts.secure { "wss" } else { "ws" };
                    format!("{scheme} {} {} {}", parts.host, parts.port, parts.path)
                }
                Err(reason) => reason.to_owned(),
            };
            assert_eq!(shown, expected, "{url}");
        }
    }

    #[test]
    fn a_numeric_host_resolves_without_dns() {
        let endpoint = Endpoint::resolve("ws://127.0.0.1:9/x", &Roots::WebPki).unwrap();
        assert_eq!(endpoint.addresses, ["127.0.0.1:9".parse().unwrap()]);
        assert!(endpoint.tls.is_none());
        assert!(Endpoint::resolve("wss://127.0.0.1:9/x", &Roots::WebPki).unwrap().tls.is_some());
        let missing = Endpoint::resolve("wss://127.0.0.1/", &Roots::CaFile("/nonexistent/ca.pem".into()));
        assert!(missing.unwrap_err().to_string().contains("/nonexistent/ca.pem"));
    }

    #[test]
    fn what_debug_prints_has_no_path() {
        let endpoint = Endpoint::resolve("ws://127.0.0.1:9/private/ws/listenkey", &Roots::WebPki).unwrap();
        assert!(!format!("{endpoint:?}").contains("listenkey"));
    }
}
