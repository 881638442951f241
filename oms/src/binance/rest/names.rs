//! Where the exchange's host is: looked up when it is first needed, now and then, and when calls fail; never per request.
//!
//! A host that has once been found stays where it was while its name cannot be looked up: an outage of DNS stops nothing
//! that still works. `optiflow_wire::renewal` decides what is believed and how often is asked; no call
//! waits for a lookup longer than [`LOOKUP_MAX`]. Runs on the thread that performs a call.

use std::fmt;
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use optiflow_base::clock::Nanos;
use optiflow_wire::endpoint::Endpoint;
use optiflow_wire::renewal::{Lookup, Renewal, Resolver};
use ureq::Timeout;
use ureq::config::Config;
use ureq::http::Uri;
use ureq::unversioned::resolver::{DefaultResolver, ResolvedSocketAddrs, Resolver as UreqResolver};
use ureq::unversioned::transport::NextTimeout;

/// The addresses of one host. Clones share them.
#[derive(Clone)]
pub(super) struct Names {
    book: Arc<Mutex<Book<Bounded>>>,
}

impl Names {
    /// The host of a base URL; `None` when it has none. Looks nothing up yet.
    pub(super) fn of(base: &str) -> Option<Names> {
        let uri: Uri = base.parse().ok()?;
        let default_port = if uri.scheme_str() == Some("https") { 443 } else { 80 };
        let host = uri.host()?.trim_start_matches('[').trim_end_matches(']');
        let book = Book::new(Bounded, host, uri.port_u16().unwrap_or(default_port));
        Some(Names { book: Arc::new(Mutex::new(book)) })
    }

    /// When it is looked up again; zero before the first time.
    #[cfg(test)]
    pub(super) fn renew_at(&self) -> Nanos {
        self.book.lock().unwrap().renew_at
    }

    /// A call begins.
    pub(super) fn at(&self, now: Nanos) {
        self.book.lock().unwrap_or_else(PoisonError::into_inner).now = now;
    }

    /// A call did not get through: perhaps the host has moved.
    pub(super) fn doubt(&self) {
        self.book.lock().unwrap_or_else(PoisonError::into_inner).doubted = true;
    }
}

impl UreqResolver for Names {
    fn resolve(&self, _: &Uri, _: &Config, _: NextTimeout) -> Result<ResolvedSocketAddrs, ureq::Error> {
        let mut book = self.book.lock().unwrap_or_else(PoisonError::into_inner);
        let mut found = self.empty();
        let now = book.now;
        for address in book.addresses(now).iter().take(ADDRESSES_MAX) {
            found.push(*address);
        }
        if found.is_empty() { Err(ureq::Error::HostNotFound) } else { Ok(found) }
    }
}

impl fmt::Debug for Names {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Names")
    }
}

/// What is known of one host.
#[derive(Debug)]
struct Book<L> {
    resolver: Resolver<L>,
    /// `None` for a host written in digits: there is nothing to look up.
    renewal: Option<Renewal>,
    version: u64,
    addresses: Vec<SocketAddr>,
    renew_at: Nanos,
    doubted: bool,
    /// When the call began that is under way.
    now: Nanos,
}

impl<L: Lookup> Book<L> {
    fn new(lookup: L, host: &str, port: u16) -> Book<L> {
        let digits: Option<IpAddr> = host.parse().ok();
        // Only this machine's own name may turn out to be on this machine.
        let local = (host == "localhost").then_some(IpAddr::V4(Ipv4Addr::LOCALHOST));
        let addresses: Vec<SocketAddr> = digits.or(local).map(|ip| SocketAddr::new(ip, port)).into_iter().collect();
        let renewal = digits.is_none().then(Renewal::default);
        let (host, path) = (host.to_owned(), "/".to_owned());
        let endpoint = Endpoint { host, port, addresses, path, tls: None, renewal };
        let mut resolver = Resolver::new(lookup, port.into());
        resolver.serve(&endpoint);
        let Endpoint { addresses, renewal, .. } = endpoint;
        Book { resolver, renewal, version: 0, addresses, renew_at: Nanos(0), doubted: false, now: Nanos(0) }
    }

    /// The last good addresses, looked up anew when it is time. None when the name was never found.
    fn addresses(&mut self, now: Nanos) -> &[SocketAddr] {
        if let Some(renewal) = &self.renewal
            && (self.addresses.is_empty() || self.doubted || now >= self.renew_at)
        {
            renewal.want();
            // The resolver keeps its own pause: most of what is wanted in doubt is not done.
            if self.resolver.step(now) > 0 {
                (self.renew_at, self.doubted) = (now + RENEW_EVERY, false);
            }
            renewal.take(&mut self.version, &mut self.addresses);
        }
        &self.addresses
    }
}

/// Asks the operating system, for as long as a call can afford. ureq lets a thread of its own wait for the answer; by the
/// pause between lookups, those that DNS leaves hanging are few.
#[derive(Debug)]
struct Bounded;

impl Lookup for Bounded {
    fn lookup(&mut self, host: &str, port: u16) -> io::Result<Vec<SocketAddr>> {
        let uri: Uri = format!("http://{host}:{port}").parse().map_err(io::Error::other)?;
        let timeout = NextTimeout { after: LOOKUP_MAX.into(), reason: Timeout::Resolve, ..NextTimeout::default() };
        let found = DefaultResolver::default().resolve(&uri, &Config::default(), timeout).map_err(io::Error::other)?;
        Ok(found.iter().copied().collect())
    }
}

/// A call waits no longer for a lookup: a good part of its time is left to it.
const LOOKUP_MAX: Duration = Duration::from_millis(800);
/// From one lookup to the next while calls get through.
const RENEW_EVERY: Duration = Duration::from_secs(60);
/// As many as ureq has room for.
const ADDRESSES_MAX: usize = 16;

#[cfg(test)]
mod tests {
    use optiflow_base::clock::nanos_of;
    use optiflow_wire::renewal::LOOKUP_PAUSE;

    use super::*;

    /// What DNS says from now on, and how often it was asked.
    #[derive(Clone, Debug, Default)]
    struct Told(Arc<Mutex<(Option<Vec<SocketAddr>>, u32)>>);

    impl Told {
        fn says(&self, addresses: Option<&[&str]>) {
            let parsed = addresses.map(|all| all.iter().map(|one| one.parse().unwrap()).collect());
            self.0.lock().unwrap().0 = parsed;
        }

        fn asked(&self) -> u32 {
            self.0.lock().unwrap().1
        }
    }

    impl Lookup for Told {
        fn lookup(&mut self, _: &str, _: u16) -> io::Result<Vec<SocketAddr>> {
            let mut told = self.0.lock().unwrap();
            told.1 += 1;
            told.0.clone().ok_or_else(|| io::Error::other("no DNS"))
        }
    }

    fn shown(book: &mut Book<Told>, at: Duration) -> Vec<String> {
        book.addresses(Nanos(nanos_of(at))).iter().map(ToString::to_string).collect()
    }

    const FIRST: &[&str] = &["203.0.113.1:443"];
    const SECOND: &[&str] = &["203.0.113.2:443"];

    #[test]
    fn a_host_that_was_found_is_used_through_an_outage_of_dns_and_looked_up_now_and_then() {
        let told = Told::default();
        let mut book = Book::new(told.clone(), "fapi.example", 443);
        assert!(shown(&mut book, Duration::ZERO).is_empty(), "never found");
        told.says(Some(FIRST));
        assert!(shown(&mut book, Duration::from_secs(1)).is_empty() && told.asked() == 1, "not asked in a row");
        let mut at = LOOKUP_PAUSE * 2;
        for _ in 0..50 {
            assert_eq!(shown(&mut book, at), FIRST);
        }
        assert_eq!(told.asked(), 2, "a request costs no lookup");
        for bad in [None, Some(&[][..]), Some(&["127.0.0.1:443", "[::1]:443", "0.0.0.0:443"][..])] {
            told.says(bad);
            let before = told.asked();
            at += RENEW_EVERY;
            assert_eq!(
                (shown(&mut book, at), told.asked()),
                (FIRST.iter().map(|&a| a.to_owned()).collect(), before + 1)
            );
        }
        told.says(Some(SECOND));
        assert_eq!(shown(&mut book, at + RENEW_EVERY), SECOND);
    }

    #[test]
    fn a_host_that_may_have_moved_is_looked_up_sooner_but_not_at_every_failure() {
        let told = Told::default();
        told.says(Some(FIRST));
        let mut book = Book::new(told.clone(), "fapi.example", 443);
        assert_eq!(shown(&mut book, Duration::ZERO), FIRST);
        told.says(Some(SECOND));
        book.doubted = true;
        assert_eq!(shown(&mut book, Duration::from_secs(1)), FIRST);
        assert_eq!(shown(&mut book, LOOKUP_PAUSE * 2), SECOND);
        assert_eq!(told.asked(), 2);
    }

    #[test]
    fn digits_are_no_name_and_only_localhost_is_this_machine() {
        let told = Told::default();
        told.says(Some(FIRST));
        for (host, expected) in [("127.0.0.1", "127.0.0.1:80"), ("::1", "[::1]:80")] {
            assert_eq!(shown(&mut Book::new(told.clone(), host, 80), Duration::ZERO), [expected]);
        }
        assert_eq!(told.asked(), 0);
        told.says(Some(&["127.0.0.1:80"]));
        assert_eq!(shown(&mut Book::new(told.clone(), "localhost", 80), Duration::ZERO), ["127.0.0.1:80"]);
        assert!(shown(&mut Book::new(told, "fapi.example", 80), Duration::ZERO).is_empty());
    }
}
