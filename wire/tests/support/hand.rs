//! A TLS 1.3 server played by hand: rustls shakes hands, then its keys are ours and records are sealed byte by byte.

use std::io::{Read, Write};
use std::sync::Arc;

use optiflow_wire::connection::Connection;
use optiflow_wire::limits::Limits;
use optiflow_wire::transport::memory::{MemoryDialer, PipeOptions};
use ring::aead::{AES_128_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use rustls::{ClientConfig, ConnectionTrafficSecrets, ServerConnection, StreamOwned};

use super::{Certificate, Client, Pipe, Seen, answer_to, believes, endpoint, poll_all, seconds};

/// Content types.
pub const ALERT: u8 = 21;
pub const HANDSHAKE: u8 = 22;
pub const DATA: u8 = 23;

/// One direction, sealed and opened as RFC 8446 §5.2 says, byte by byte.
pub struct Lane {
    key: LessSafeKey,
    iv: [u8; 12],
    sequence: u64,
}

impl Lane {
    fn new((sequence, secrets): (u64, ConnectionTrafficSecrets)) -> Lane {
        let ConnectionTrafficSecrets::Aes128Gcm { key, iv } = secrets else { panic!("we offer it first") };
        let key = LessSafeKey::new(UnboundKey::new(&AES_128_GCM, key.as_ref()).unwrap());
        Lane { key, iv: iv.as_ref().try_into().unwrap(), sequence }
    }

    fn nonce(&mut self) -> Nonce {
        let number = u128::from_be_bytes([[0; 4].as_slice(), &self.iv].concat().try_into().unwrap());
        let nonce = (number ^ u128::from(self.sequence)).to_be_bytes();
        self.sequence += 1;
        Nonce::assume_unique_for_key(nonce[4..].try_into().unwrap())
    }

    /// A record with this content, type and padding.
    pub fn seal(&mut self, content: &[u8], kind: u8, padding: usize) -> Vec<u8> {
        let mut inner = [content, &[kind], &vec![0; padding]].concat();
        let [high, low] = u16::try_from(inner.len() + 16).unwrap().to_be_bytes();
        let header = [DATA, 3, 3, high, low];
        let nonce = self.nonce();
        self.key.seal_in_place_append_tag(nonce, Aad::from(header), &mut inner).unwrap();
        [header.as_slice(), &inner].concat()
    }

    /// The content of a record and its type.
    fn open(&mut self, record: &[u8]) -> (Vec<u8>, u8) {
        let (header, mut inner) = (record[..5].to_vec(), record[5..].to_vec());
        let nonce = self.nonce();
        let mut inner = self.key.open_in_place(nonce, Aad::from(header), &mut inner).unwrap().to_vec();
        inner.truncate(inner.iter().rposition(|byte| *byte != 0).unwrap() + 1);
        let kind = inner.pop().unwrap();
        (inner, kind)
    }
}

/// A server that has our connection up and its keys in hand.
pub struct Hand {
    pub client: Client,
    pub pipe: Pipe,
    pub out: Lane,
    back: Lane,
}

fn guarded(pipe: Pipe, certificate: &Certificate) -> Stream {
    let mut config = (*certificate.server).clone();
    config.enable_secret_extraction = true;
    StreamOwned::new(ServerConnection::new(Arc::new(config)).unwrap(), pipe)
}

type Stream = StreamOwned<ServerConnection, Pipe>;

/// Brings a client with this configuration up.
pub fn greet(certificate: &Certificate, config: Arc<ClientConfig>) -> (Client, MemoryDialer, Stream) {
    let dialer = MemoryDialer::new(PipeOptions::default());
    let mut client = Connection::new(endpoint(Some(config)), dialer.clone(), Limits::orders(), 7);
    assert_eq!(poll_all(&mut client, seconds(1)), []);
    let mut stream = guarded(dialer.accept().unwrap().1, certificate);
    let (mut request, mut buffer) = (Vec::new(), [0; 4_096]);
    while !request.ends_with(b"\r\n\r\n") {
        assert_eq!(poll_all(&mut client, seconds(1)), []);
        let len = stream.read(&mut buffer).unwrap_or(0);
        request.extend_from_slice(&buffer[..len]);
    }
    let head = answer_to(std::str::from_utf8(&request).unwrap());
    stream.write_all(format!("{head}\r\n").as_bytes()).unwrap();
    stream.flush().unwrap();
    assert_eq!(poll_all(&mut client, seconds(1)), [Seen::Up]);
    (client, dialer, stream)
}

impl Hand {
    pub fn new(certificate: &Certificate) -> Hand {
        Hand::to(certificate, believes(&certificate.pem))
    }

    /// To a client with this configuration.
    pub fn to(certificate: &Certificate, config: Arc<ClientConfig>) -> Hand {
        let (client, _, stream) = greet(certificate, config);
        let (session, pipe) = stream.into_parts();
        let secrets = session.dangerous_extract_secrets().unwrap();
        Hand { client, pipe, out: Lane::new(secrets.tx), back: Lane::new(secrets.rx) }
    }

    pub fn seen(&mut self) -> Vec<Seen> {
        poll_all(&mut self.client, seconds(2))
    }

    /// Delivers bytes and says what comes of them.
    pub fn deliver(&mut self, bytes: &[u8]) -> Vec<Seen> {
        self.pipe.write_all(bytes).unwrap();
        self.seen()
    }

    /// The alert in the last record that the client wrote, if it is one.
    pub fn alert(&mut self) -> Option<u8> {
        let (mut bytes, mut alert) = (vec![0; 1 << 20], None);
        let len = self.pipe.read(&mut bytes).ok()?;
        let mut rest = &bytes[..len];
        while let [_, _, _, high, low, ..] = rest {
            let (record, after) = rest.split_at(5 + usize::from(u16::from_be_bytes([*high, *low])));
            let (content, kind) = self.back.open(record);
            alert = (kind == ALERT).then(|| content[1]);
            rest = after;
        }
        alert
    }
}
