//! Addresses that change while the process runs: a connection that keeps failing asks, a cold thread looks the name up.
//!
//! [`Renewal`] is shared between the connections of an endpoint and the [`Resolver`] that serves it. The connection only
//! raises a flag and, before it dials, takes a newer list if it is there and nobody is at it: it never waits. The resolver
//! looks a name up at most every [`LOOKUP_PAUSE`], and keeps the last good addresses when that fails.

use std::io;
use std::net::{SocketAddr, ToSocketAddrs};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, TryLockError};
use std::time::Duration;

use optiflow_base::clock::Nanos;

use crate::endpoint::Endpoint;

/// The addresses of one endpoint, as they were last found. Clones share them.
#[derive(Clone, Debug, Default)]
pub struct Renewal {
    shared: Arc<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    wanted: AtomicBool,
    /// Counts the lists; 0 is the one that the endpoint began with.
    version: AtomicU64,
    addresses: Mutex<Vec<SocketAddr>>,
}

impl Renewal {
    /// The addresses that are known do not work.
    pub fn want(&self) {
        self.shared.wanted.store(true, Ordering::Relaxed);
    }

    /// Replaces `addresses` when there are others than those of `version`; true when it did.
    pub fn take(&self, version: &mut u64, addresses: &mut Vec<SocketAddr>) -> bool {
        let newest = self.shared.version.load(Ordering::Acquire);
        if newest == *version {
            return false;
        }
        let found = match self.shared.addresses.try_lock() {
            Ok(found) => found,
            Err(TryLockError::Poisoned(found)) => found.into_inner(),
            // The next dial takes them.
            Err(TryLockError::WouldBlock) => return false,
        };
        *version = newest;
        addresses.clone_from(&found);
        true
    }

    fn publish(&self, found: &[SocketAddr]) {
        let mut addresses = self.shared.addresses.lock().unwrap_or_else(PoisonError::into_inner);
        found.clone_into(&mut addresses);
        self.shared.version.fetch_add(1, Ordering::Release);
    }
}

/// Looks names up; a seam for tests.
pub trait Lookup {
    /// The addresses of a host. May block.
    ///
    /// # Errors
    /// When they cannot be found.
    fn lookup(&mut self, host: &str, port: u16) -> io::Result<Vec<SocketAddr>>;
}

/// Asks the operating system.
#[derive(Debug, Default)]
pub struct SystemLookup;

impl Lookup for SystemLookup {
    fn lookup(&mut self, host: &str, port: u16) -> io::Result<Vec<SocketAddr>> {
        Ok((host, port).to_socket_addrs()?.take(ADDRESSES_MAX).collect())
    }
}

/// Looks names up for connections that ask for it. Blocks: for a cold thread that does nothing else.
#[derive(Debug)]
pub struct Resolver<L> {
    lookup: L,
    names: Vec<Name>,
    rng: fastrand::Rng,
}

#[derive(Debug)]
struct Name {
    host: String,
    port: u16,
    renewal: Renewal,
    /// What was published last.
    known: Vec<SocketAddr>,
    /// No lookup before this.
    next_at: Nanos,
}

impl<L: Lookup> Resolver<L> {
    /// A resolver that serves nobody yet. The seed decides the jitter of pauses.
    pub fn new(lookup: L, seed: u64) -> Resolver<L> {
        Resolver { lookup, names: Vec::new(), rng: fastrand::Rng::with_seed(seed) }
    }

    /// Looks the endpoint's name up whenever its connections ask for it. A host written in digits has no name.
    pub fn serve(&mut self, endpoint: &Endpoint) {
        let Some(renewal) = endpoint.renewal.clone() else { return };
        let Endpoint { host, port, addresses, .. } = endpoint;
        let (host, known) = (host.clone(), addresses.clone());
        self.names.push(Name { host, port: *port, renewal, known, next_at: Nanos(0) });
    }

    /// Does what connections asked for, as far as it is time; answers how many names were looked up. Blocks on DNS.
    pub fn step(&mut self, now: Nanos) -> usize {
        let mut looked_up = 0;
        for name in &mut self.names {
            if now < name.next_at || !name.renewal.shared.wanted.swap(false, Ordering::Relaxed) {
                continue;
            }
            name.next_at = now + LOOKUP_PAUSE.mul_f64(1.0 + 0.5 * self.rng.f64());
            looked_up += 1;
            // When it fails, the last good addresses stay; whoever still fails with them asks again.
            let found = self.lookup.lookup(&name.host, name.port).unwrap_or_default();
            let found = believable(found, &name.known);
            if !found.is_empty() && found != name.known {
                name.renewal.publish(&found);
                name.known = found;
            }
        }
        looked_up
    }
}

/// What may be dialled of a DNS answer: a name that was out in the world does not suddenly live on this machine.
fn believable(mut found: Vec<SocketAddr>, known: &[SocketAddr]) -> Vec<SocketAddr> {
    if !known.iter().any(|address| address.ip().is_loopback()) {
        found.retain(|address| !address.ip().is_loopback() && !address.ip().is_unspecified());
    }
    found.truncate(ADDRESSES_MAX);
    found.dedup();
    found
}

/// Shortest time between two lookups of a name; half as much again is drawn on top.
pub const LOOKUP_PAUSE: Duration = Duration::from_secs(10);
/// Failed attempts in a row after which a connection asks for other addresses, again and again.
pub(crate) const FAILURES_BEFORE_LOOKUP: u32 = 3;
/// Addresses kept of a DNS answer.
pub(crate) const ADDRESSES_MAX: usize = 16;
