//! A world for a connection: tungstenite as the server at the far end of a memory pipe, time moved by hand.
#![allow(dead_code, missing_docs, reason = "each test uses a part")]

pub mod hand;

use std::io::{Read, Write};
use std::sync::Arc;
use std::time::Duration;

use optiflow_base::clock::Nanos;
use optiflow_wire::connection::{Connection, Event};
use optiflow_wire::down::Down;
use optiflow_wire::endpoint::Endpoint;
use optiflow_wire::limits::Limits;
pub use optiflow_wire::transport::memory::Pipe;
use optiflow_wire::transport::memory::{Chop, MemoryDialer, PipeOptions};
use rustls::crypto::CryptoProvider;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ClientConfig, ServerConfig, ServerConnection, StreamOwned, SupportedProtocolVersion};
use tungstenite::handshake::server::{NoCallback, ServerHandshake};
use tungstenite::handshake::{HandshakeError, MidHandshake, derive_accept_key};
use tungstenite::{Message, WebSocket};

/// An event that does not borrow.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Seen {
    Up,
    Down(Down),
    Text(String),
}

pub type Client = Connection<MemoryDialer>;

/// tungstenite on a non-blocking stream, from the handshake on.
pub struct Server<S: Read + Write> {
    waiting: Option<MidHandshake<ServerHandshake<S, NoCallback>>>,
    pub socket: Option<WebSocket<S>>,
    /// Why the handshake failed.
    pub refused: Option<tungstenite::Error>,
}

impl<S: Read + Write> Server<S> {
    pub fn new(stream: S) -> Server<S> {
        let mut server = Server { waiting: None, socket: None, refused: None };
        server.settle(tungstenite::accept(stream));
        server
    }

    fn settle(&mut self, result: Result<WebSocket<S>, HandshakeError<ServerHandshake<S, NoCallback>>>) {
        match result {
            Ok(socket) => self.socket = Some(socket),
            Err(HandshakeError::Interrupted(waiting)) => self.waiting = Some(waiting),
            Err(HandshakeError::Failure(error)) => self.refused = Some(error),
        }
    }

    /// Goes on with the handshake; reads what is there and answers pings and closes.
    pub fn step(&mut self) -> Vec<Message> {
        if let Some(waiting) = self.waiting.take() {
            let result = waiting.handshake();
            self.settle(result);
        }
        let mut read = Vec::new();
        if let Some(socket) = &mut self.socket {
            while let Ok(message) = socket.read() {
                read.push(message);
            }
            let _ = socket.flush();
        }
        read
    }

    pub fn send(&mut self, message: Message) {
        let _ = self.socket.as_mut().unwrap().send(message);
    }
}

pub fn endpoint(tls: Option<Arc<ClientConfig>>) -> Endpoint {
    let addresses = vec!["127.0.0.1:9001".parse().unwrap(), "127.0.0.2:9001".parse().unwrap()];
    Endpoint { host: "localhost".to_owned(), port: 9001, addresses, path: "/stream".to_owned(), tls, renewal: None }
}

pub fn client(dialer: &MemoryDialer, limits: Limits) -> Client {
    Connection::new(endpoint(None), dialer.clone(), limits, 7)
}

pub fn chopped(seed: u64, len_max: usize) -> PipeOptions {
    PipeOptions { chop_near: Some(Chop { seed, len_max }), ..PipeOptions::default() }
}

/// Polls until nothing more happens.
pub fn poll_all(client: &mut Client, now: Nanos) -> Vec<Seen> {
    let mut seen = Vec::new();
    for _ in 0..100_000 {
        match client.poll(now) {
            Event::Idle => return seen,
            Event::Working => {}
            Event::Up => seen.push(Seen::Up),
            Event::Down(reason) => seen.push(Seen::Down(reason)),
            Event::Text(text) => seen.push(Seen::Text(String::from_utf8_lossy(text).into_owned())),
        }
    }
    panic!("the connection never came to rest: {seen:?}");
}

/// Lets both sides work at `now` until the client has nothing more to say.
pub fn exchange<S: Read + Write>(client: &mut Client, server: &mut Server<S>, now: Nanos) -> (Vec<Seen>, Vec<Message>) {
    let (mut seen, mut read, mut quiet) = (Vec::new(), Vec::new(), 0);
    while quiet < QUIET_ROUNDS {
        let events = poll_all(client, now);
        let messages = server.step();
        quiet = if events.is_empty() && messages.is_empty() { quiet + 1 } else { 0 };
        seen.extend(events);
        read.extend(messages);
    }
    (seen, read)
}

/// Chopped pipes pause now and then, single bytes take many rounds: quiet means quiet for long.
const QUIET_ROUNDS: u32 = 2_000;

/// A client that is up, and its server.
pub fn up(dialer: &MemoryDialer, limits: Limits, now: Nanos) -> (Client, Server<Pipe>) {
    let mut client = client(dialer, limits);
    let server = bring_up(&mut client, dialer, now);
    (client, server)
}

/// Brings a client up that is about to dial.
pub fn bring_up(client: &mut Client, dialer: &MemoryDialer, now: Nanos) -> Server<Pipe> {
    assert_eq!(poll_all(client, now), []);
    let mut server = Server::new(dialer.accept().expect("the client has dialled").1);
    let (seen, _) = exchange(client, &mut server, now);
    assert_eq!(seen, [Seen::Up]);
    server
}

pub fn seconds(seconds: u64) -> Nanos {
    Nanos(0) + Duration::from_secs(seconds)
}

/// A certificate for localhost, who believes it, and a server that shows it.
pub struct Certificate {
    pub pem: String,
    pub server: Arc<ServerConfig>,
}

pub fn certificate(name: &str, versions: &[&'static SupportedProtocolVersion]) -> Certificate {
    certificate_of(rcgen::CertificateParams::new(vec![name.to_owned()]).unwrap(), versions)
}

pub fn certificate_of(params: rcgen::CertificateParams, versions: &[&'static SupportedProtocolVersion]) -> Certificate {
    certificate_with(params, versions, |_| {})
}

/// A certificate whose server is set up by hand.
pub fn certificate_with(
    params: rcgen::CertificateParams,
    versions: &[&'static SupportedProtocolVersion],
    set_up: impl FnOnce(&mut CryptoProvider),
) -> Certificate {
    let key_pair = rcgen::KeyPair::generate().unwrap();
    let made = params.self_signed(&key_pair).unwrap();
    let key = PrivateKeyDer::try_from(key_pair.serialize_der()).unwrap();
    let chain: Vec<CertificateDer<'static>> = vec![made.der().clone()];
    let mut provider = rustls::crypto::ring::default_provider();
    set_up(&mut provider);
    let server = ServerConfig::builder_with_provider(Arc::new(provider))
        .with_protocol_versions(versions)
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .unwrap();
    Certificate { pem: made.pem(), server: Arc::new(server) }
}

/// The configuration of a client that believes this PEM and nothing else, by way of a file.
pub fn believes(pem: &str) -> Arc<ClientConfig> {
    use std::sync::atomic::{AtomicU32, Ordering};
    static NUMBER: AtomicU32 = AtomicU32::new(0);
    let number = NUMBER.fetch_add(1, Ordering::Relaxed);
    let path = std::env::temp_dir().join(format!("optiflow-wire-{}-{number}.pem", std::process::id()));
    std::fs::write(&path, pem).unwrap();
    let config = optiflow_wire::tls::client_config(&optiflow_wire::tls::Roots::CaFile(path.clone())).unwrap();
    std::fs::remove_file(&path).unwrap();
    config
}

pub fn guarded(pipe: Pipe, certificate: &Certificate) -> StreamOwned<ServerConnection, Pipe> {
    StreamOwned::new(ServerConnection::new(Arc::clone(&certificate.server)).unwrap(), pipe)
}

/// A frame as a server writes it: first byte, and the shortest form of its length.
pub fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
    let head = match payload.len() {
        len @ 0..126 => vec![first, len as u8],
        len @ 126..65_536 => [&[first, 126], &(len as u16).to_be_bytes()[..]].concat(),
        len => [&[first, 127], &(len as u64).to_be_bytes()[..]].concat(),
    };
    [&head, payload].concat()
}

/// Answers the upgrade, and writes `after` in the same breath.
pub fn answer_by_hand(mut far: Pipe, after: &[u8]) -> Pipe {
    let (head, _) = request(&mut far);
    far.write_all(&[head.as_bytes(), b"\r\n", after].concat()).unwrap();
    far
}

/// Reads the request; the right answer to it without the empty line, and the request.
pub fn request(far: &mut Pipe) -> (String, String) {
    let mut buffer = [0; 4_096];
    let len = far.read(&mut buffer).unwrap();
    let request = String::from_utf8(buffer[..len].to_vec()).unwrap();
    assert!(request.ends_with("\r\n\r\n"));
    (answer_to(&request), request)
}

/// The right answer to a request, without the empty line.
pub fn answer_to(request: &str) -> String {
    let key = request.lines().find_map(|line| line.strip_prefix("Sec-WebSocket-Key: ")).unwrap();
    let accept = derive_accept_key(key.as_bytes());
    let upgrade = "HTTP/1.1 101 Switching Protocols\r\nupgrade: WebSocket\r\nconnection: keep-alive, Upgrade\r\n";
    format!("{upgrade}sec-websocket-accept: {accept}\r\n")
}
