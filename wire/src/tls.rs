//! TLS for clients: which certificate authorities are believed and what is offered.
//!
//! Offers TLS 1.3 and 1.2 with AES-GCM first (twice as quick as ChaCha20 where the processor helps). Lets a connection
//! take over its traffic keys, to seal records itself. Never skips a check: there is no switch for it. Runs at start;
//! the result is shared by every connection.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{CipherSuite, ClientConfig, RootCertStore, SupportedCipherSuite};

use crate::error::WireError;

/// Who may vouch for a server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Roots {
    /// Mozilla's authorities, compiled in: no file is read.
    WebPki,
    /// The authorities of a PEM file and nobody else: the simulated exchange, a proxy of one's own.
    CaFile(PathBuf),
}

/// What every connection of ours offers and believes.
///
/// # Errors
/// When the file of authorities cannot be read or holds none.
pub fn client_config(roots: &Roots) -> Result<Arc<ClientConfig>, WireError> {
    let store = match roots {
        Roots::WebPki => RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() },
        Roots::CaFile(path) => ca_file(path)?,
    };
    let mut provider = rustls::crypto::ring::default_provider();
    provider.cipher_suites.sort_by_key(preference);
    let mut config = ClientConfig::builder_with_provider(Arc::new(provider))
        .with_protocol_versions(&[&rustls::version::TLS13, &rustls::version::TLS12])
        .map_err(WireError::Tls)?
        .with_root_certificates(store)
        .with_no_client_auth();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    config.enable_secret_extraction = true;
    Ok(Arc::new(config))
}

fn ca_file(path: &Path) -> Result<RootCertStore, WireError> {
    let bad = |reason: String| WireError::CaFile { path: path.to_owned(), reason };
    let mut store = RootCertStore::empty();
    for certificate in CertificateDer::pem_file_iter(path).map_err(|error| bad(error.to_string()))? {
        let certificate = certificate.map_err(|error| bad(error.to_string()))?;
        store.add(certificate).map_err(|error| bad(error.to_string()))?;
    }
    if store.is_empty() { Err(bad("it holds no certificate".to_owned())) } else { Ok(store) }
}

/// Smaller is offered earlier; the order within a rank stays the provider's.
fn preference(suite: &SupportedCipherSuite) -> usize {
    let version = if suite.tls13().is_some() { 0 } else { AES_GCM.len() + 1 };
    version + AES_GCM.iter().position(|rank| rank.contains(&suite.suite())).unwrap_or(AES_GCM.len())
}

/// The suites with AES-GCM, the shorter key first: it is quicker, and long enough.
const AES_GCM: [[CipherSuite; 3]; 2] = [
    [
        CipherSuite::TLS13_AES_128_GCM_SHA256,
        CipherSuite::TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256,
        CipherSuite::TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256,
    ],
    [
        CipherSuite::TLS13_AES_256_GCM_SHA384,
        CipherSuite::TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384,
        CipherSuite::TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384,
    ],
];
