//! Real sockets on loopback: tungstenite on a thread, our connection polled in a loop, with and without TLS.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that fails says where")]

mod support;

use std::io::{ErrorKind, Read, Write};
use std::net::TcpListener;
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use optiflow_base::clock::{Clock, RealClock};
use optiflow_wire::connection::{Connection, Event};
use optiflow_wire::down::Down;
use optiflow_wire::endpoint::Endpoint;
use optiflow_wire::limits::Limits;
use optiflow_wire::tls::Roots;
use optiflow_wire::transport::TcpDialer;
use rustls::version::TLS13;
use rustls::{ServerConnection, StreamOwned};
use support::{Seen, certificate};

type Client = Connection<TcpDialer>;

/// Sends every text back until the client closes.
fn echo<S: Read + Write>(stream: S) {
    let mut socket = tungstenite::accept(stream).unwrap();
    while let Ok(message) = socket.read() {
        if message.is_text() {
            socket.send(message).unwrap();
        }
    }
}

/// Polls until an event comes.
fn next(client: &mut Client, clock: &RealClock) -> Seen {
    let deadline = clock.now() + PATIENCE;
    loop {
        let now = clock.now();
        assert!(now < deadline, "nothing happened within {PATIENCE:?}");
        match client.poll(now) {
            Event::Idle => thread::yield_now(),
            Event::Working => {}
            Event::Up => return Seen::Up,
            Event::Down(reason) => return Seen::Down(reason),
            Event::Text(text) => return Seen::Text(String::from_utf8(text.to_vec()).unwrap()),
        }
    }
}

fn talk(mut client: Client, server: JoinHandle<()>) {
    let clock = RealClock::new();
    assert_eq!(next(&mut client, &clock), Seen::Up);
    for len in [0, 1, 125, 126, 5_000, 60_000] {
        let message = "x".repeat(len);
        client.send_text(clock.now(), message.as_bytes()).unwrap();
        assert_eq!(next(&mut client, &clock), Seen::Text(message));
    }
    client.close(clock.now());
    assert_eq!(next(&mut client, &clock), Seen::Down(Down::Closed));
    server.join().unwrap();
}

#[test]
fn echoes_come_back_over_plain_tcp() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("ws://{}/echo", listener.local_addr().unwrap());
    let server = thread::spawn(move || echo(listener.accept().unwrap().0));
    let endpoint = Endpoint::resolve(&url, &Roots::WebPki).unwrap();
    talk(Connection::new(endpoint, TcpDialer, Limits::orders(), 1), server);
}

#[test]
fn echoes_come_back_over_tls() {
    let certificate = certificate("localhost", &[&TLS13]);
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let config = Arc::clone(&certificate.server);
    let server = thread::spawn(move || {
        let session = ServerConnection::new(config).unwrap();
        echo(StreamOwned::new(session, listener.accept().unwrap().0));
    });
    let mut endpoint = Endpoint::resolve(&format!("ws://127.0.0.1:{port}/echo"), &Roots::WebPki).unwrap();
    endpoint.host = "localhost".to_owned();
    endpoint.tls = Some(support::believes(&certificate.pem));
    talk(Connection::new(endpoint, TcpDialer, Limits::orders(), 1), server);
}

#[test]
fn a_port_where_nobody_listens_is_refused() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("ws://{}/", listener.local_addr().unwrap());
    drop(listener);
    let endpoint = Endpoint::resolve(&url, &Roots::WebPki).unwrap();
    let mut client = Connection::new(endpoint, TcpDialer, Limits::orders(), 1);
    assert_eq!(next(&mut client, &RealClock::new()), Seen::Down(Down::Connect(ErrorKind::ConnectionRefused)));
}

const PATIENCE: Duration = Duration::from_secs(20);
