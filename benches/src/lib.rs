//! What the benches share: a TLS server in memory that seals ticks into records, the ticks themselves, and figures.
//!
//! Never part of the product. One thread, no sockets: what is measured is our code and TLS, not the kernel.

use std::io::{Read, Write};
use std::sync::Arc;
use std::time::Duration;

use hdrhistogram::Histogram;
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::{CipherSuite, ClientConfig, RootCertStore, ServerConfig, ServerConnection};

/// Both sides' TLS configurations for the host `localhost`, trusting each other only.
///
/// # Panics
/// When a certificate cannot be made: a bench has nobody to report to.
pub fn tls_pair() -> (Arc<ClientConfig>, Arc<ServerConfig>) {
    let Ok(made) = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]) else {
        panic!("no certificate could be made")
    };
    let mut provider = rustls::crypto::ring::default_provider();
    // Both sides of a comparison seal with what we offer first.
    provider.cipher_suites.sort_by_key(|suite| suite.suite() != CipherSuite::TLS13_AES_128_GCM_SHA256);
    let provider = Arc::new(provider);
    let mut roots = RootCertStore::empty();
    let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(made.signing_key.serialize_der()));
    let trusted = roots.add(made.cert.der().clone());
    let server = ServerConfig::builder_with_provider(provider.clone())
        .with_safe_default_protocol_versions()
        .map(|builder| builder.with_no_client_auth().with_single_cert(vec![made.cert.der().clone()], key));
    let client = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map(|builder| builder.with_root_certificates(roots).with_no_client_auth());
    match (trusted, server, client) {
        (Ok(()), Ok(Ok(server)), Ok(mut client)) => {
            // As in the product; the plain stack never asks for the keys.
            client.enable_secret_extraction = true;
            (Arc::new(client), Arc::new(server))
        }
        _ => panic!("TLS could not be configured"),
    }
}

/// The far end of a connection: speaks TLS over bytes and answers the WebSocket upgrade.
pub struct Server {
    tls: ServerConnection,
}

impl Server {
    /// A server that has seen nothing yet.
    ///
    /// # Panics
    /// When TLS refuses its own configuration.
    pub fn new(config: Arc<ServerConfig>) -> Server {
        match ServerConnection::new(config) {
            Ok(tls) => Server { tls },
            Err(error) => panic!("{error}"),
        }
    }

    /// Takes what the client wrote; returns the plaintext in it.
    pub fn read(&mut self, mut bytes: &[u8]) -> Vec<u8> {
        let mut plain = Vec::new();
        while !bytes.is_empty() {
            let taken = self.tls.read_tls(&mut bytes).unwrap_or(0);
            assert!(taken > 0 && self.tls.process_new_packets().is_ok(), "the client speaks TLS");
            let _ = self.tls.reader().read_to_end(&mut plain);
        }
        plain
    }

    /// Seals `plain` into TLS records, behind whatever TLS itself has to say.
    pub fn write(&mut self, plain: &[u8]) -> Vec<u8> {
        assert!(self.tls.writer().write_all(plain).is_ok(), "TLS takes a message");
        let mut sealed = Vec::new();
        while self.tls.wants_write() {
            assert!(self.tls.write_tls(&mut sealed).is_ok(), "writing to memory succeeds");
        }
        sealed
    }
}

/// An unmasked text frame, as a server sends it.
pub fn server_frame(payload: &str) -> Vec<u8> {
    let mut frame = vec![0x81];
    match u16::try_from(payload.len()) {
        Ok(len) if len < 126 => frame.push(len as u8),
        Ok(len) => {
            frame.push(126);
            frame.extend(len.to_be_bytes());
        }
        Err(_) => panic!("ticks are short"),
    }
    frame.extend(payload.as_bytes());
    frame
}

/// The `index`-th best bid and ask, as Binance writes a combined `bookTicker`: prices wander, quantities swing.
pub fn tick(index: u64) -> String {
    let step = (index * 7 % 100) as i64 - 50;
    let bid = 600_000 + step;
    let (bid_qty, ask_qty) = if index.is_multiple_of(2) { (9_150, 1_203) } else { (1_207, 9_981) };
    let (whole, tenth) = (bid / 10, bid % 10);
    let ask = bid + 1;
    let (ask_whole, ask_tenth) = (ask / 10, ask % 10);
    let update = 11_757_092_630_476 + index;
    let millis = 1_795_327_200_000 + index;
    format!(
        "{{\"stream\":\"btcusdt@bookTicker\",\"data\":{{\"e\":\"bookTicker\",\"u\":{update},\"s\":\"BTCUSDT\",\
         \"ps\":\"BTCUSDT\",\"b\":\"{whole}.{tenth}0\",\"B\":\"{}.{:03}\",\"a\":\"{ask_whole}.{ask_tenth}0\",\
         \"A\":\"{}.{:03}\",\"T\":{millis},\"E\":{millis},\"st\":1}}}}",
        bid_qty / 1000,
        bid_qty % 1000,
        ask_qty / 1000,
        ask_qty % 1000,
    )
}

/// A histogram for spans up to a second.
///
/// # Panics
/// Never: the bounds are constants.
pub fn histogram() -> Histogram<u64> {
    match Histogram::new_with_max(1_000_000_000, 3) {
        Ok(histogram) => histogram,
        Err(error) => panic!("{error}"),
    }
}

/// `p50` and `p99` of a histogram as spans.
pub fn percentiles(histogram: &Histogram<u64>) -> (Duration, Duration) {
    let at = |quantile| Duration::from_nanos(histogram.value_at_quantile(quantile));
    (at(0.50), at(0.99))
}
