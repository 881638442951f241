//! A stream whose writing side is blocked or broken while the reading side knows nothing of it.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that fails says where")]

mod support;

use std::cell::Cell;
use std::io::{self, ErrorKind, Read, Write};
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;

use optiflow_base::clock::Nanos;
use optiflow_wire::connection::{Connection, Event};
use optiflow_wire::down::Down;
use optiflow_wire::error::SendError;
use optiflow_wire::limits::Limits;
use optiflow_wire::transport::Dialer;
use optiflow_wire::transport::memory::{MemoryDialer, MemoryStream, PipeOptions};
use rustls::ServerConnection;
use rustls::version::TLS13;
use support::{Server, answer_by_hand, believes, certificate, endpoint, seconds};

/// Dials streams whose writes are answered with an error as long as one is set.
#[derive(Clone)]
struct Moody {
    dialer: MemoryDialer,
    mood: Rc<Cell<Option<ErrorKind>>>,
}

struct MoodyStream {
    stream: MemoryStream,
    mood: Rc<Cell<Option<ErrorKind>>>,
}

impl Moody {
    fn new() -> Moody {
        Moody { dialer: MemoryDialer::new(PipeOptions::default()), mood: Rc::default() }
    }
}

impl Dialer for Moody {
    type Stream = MoodyStream;

    fn dial(&mut self, address: SocketAddr) -> io::Result<MoodyStream> {
        Ok(MoodyStream { stream: self.dialer.dial(address)?, mood: Rc::clone(&self.mood) })
    }

    fn connected(&mut self, stream: &mut MoodyStream) -> io::Result<bool> {
        self.dialer.connected(&mut stream.stream)
    }
}

impl Read for MoodyStream {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        self.stream.read(into)
    }
}

impl Write for MoodyStream {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.mood.get().map_or_else(|| self.stream.write(bytes), |kind| Err(kind.into()))
    }

    fn flush(&mut self) -> io::Result<()> {
        self.stream.flush()
    }
}

/// Polls until nothing more happens; what ended or began.
fn polled(client: &mut Connection<Moody>, now: Nanos) -> Vec<Option<Down>> {
    let mut seen = Vec::new();
    loop {
        match client.poll(now) {
            Event::Idle => return seen,
            Event::Working => {}
            Event::Up => seen.push(None),
            Event::Down(reason) => seen.push(Some(reason)),
            Event::Text(text) => panic!("{text:?}"),
        }
    }
}

#[test]
fn writing_that_fails_ends_the_connection_although_the_peer_says_nothing() {
    let moody = Moody::new();
    let mut client = Connection::new(endpoint(None), moody.clone(), Limits::orders(), 1);
    polled(&mut client, seconds(1));
    let _far = answer_by_hand(moody.dialer.accept().unwrap().1, b"");
    assert_eq!(polled(&mut client, seconds(1)), [None]);
    moody.mood.set(Some(ErrorKind::WouldBlock));
    client.send_text(seconds(1), b"waits").unwrap();
    assert_eq!(polled(&mut client, seconds(1)), []);
    moody.mood.set(Some(ErrorKind::BrokenPipe));
    client.send_text(seconds(1), b"may or may not have left").unwrap();
    assert!(!client.is_up());
    assert_eq!(client.send_text(seconds(1), b"not taken"), Err(SendError::NotUp));
    assert_eq!(polled(&mut client, seconds(1)), [Some(Down::Write(ErrorKind::BrokenPipe))]);
}

#[test]
fn what_a_server_says_before_our_last_word_of_the_handshake_can_leave_is_not_lost() {
    let certificate = certificate("localhost", &[&TLS13]);
    let moody = Moody::new();
    let endpoint = endpoint(Some(believes(&certificate.pem)));
    let mut client = Connection::new(endpoint, moody.clone(), Limits::orders(), 1);
    polled(&mut client, seconds(1));
    let mut config = (*certificate.server).clone();
    config.send_half_rtt_data = true;
    let mut session = ServerConnection::new(Arc::new(config)).unwrap();
    let mut pipe = moody.dialer.accept().unwrap().1;
    session.read_tls(&mut pipe).unwrap();
    session.process_new_packets().unwrap();
    session.writer().write_all(b"HTTP/1.1 503 Service Unavailable\r\n\r\n").unwrap();
    while session.wants_write() {
        session.write_tls(&mut pipe).unwrap();
    }
    moody.mood.set(Some(ErrorKind::WouldBlock));
    assert_eq!(polled(&mut client, seconds(1)), []);
    moody.mood.set(None);
    assert_eq!(polled(&mut client, seconds(1)), [Some(Down::Refused { status: 503, retry_after: None })]);
}

#[test]
fn a_handshake_that_cannot_leave_is_given_up_in_time() {
    let certificate = certificate("localhost", &[&TLS13]);
    let moody = Moody::new();
    let mut client = Connection::new(endpoint(Some(believes(&certificate.pem))), moody.clone(), Limits::orders(), 1);
    polled(&mut client, seconds(1));
    let mut server = Server::new(support::guarded(moody.dialer.accept().unwrap().1, &certificate));
    moody.mood.set(Some(ErrorKind::WouldBlock));
    assert_eq!((polled(&mut client, seconds(1)), server.step()), (vec![], vec![]));
    assert_eq!(polled(&mut client, seconds(6)), [Some(Down::HandshakeTimeout)]);
}
