//! TLS over memory pipes, rustls against rustls: both versions, any chopping, and every way to be refused.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that fails says where")]

mod support;

use std::io::Write;

use optiflow_wire::connection::Connection;
use optiflow_wire::down::{Down, TlsFault};
use optiflow_wire::limits::Limits;
use optiflow_wire::tls::{Roots, client_config};
use optiflow_wire::transport::memory::{Chop, Cut, MemoryDialer, PipeOptions};
use rustls::version::{TLS12, TLS13};
use rustls::{CipherSuite, ProtocolVersion};
use support::{
    Certificate, Client, Seen, Server, believes, certificate, endpoint, exchange, guarded, poll_all, seconds,
};
use tungstenite::Message;

fn options(chop: Option<usize>, capacity: usize) -> PipeOptions {
    let chop = chop.map(|len_max| Chop { seed: 5, len_max });
    PipeOptions { capacity, chop_near: chop, chop_far: chop }
}

fn client(dialer: &MemoryDialer, pem: &str) -> Client {
    Connection::new(endpoint(Some(believes(pem))), dialer.clone(), Limits::orders(), 7)
}

type TlsServer = Server<rustls::StreamOwned<rustls::ServerConnection, support::Pipe>>;

fn up(dialer: &MemoryDialer, certificate: &Certificate) -> (Client, TlsServer) {
    let mut client = client(dialer, &certificate.pem);
    poll_all(&mut client, seconds(1));
    let mut server = Server::new(guarded(dialer.accept().unwrap().1, certificate));
    let (seen, _) = exchange(&mut client, &mut server, seconds(1));
    assert_eq!(seen, [Seen::Up]);
    (client, server)
}

#[test]
fn messages_flow_over_both_versions_however_the_bytes_are_chopped() {
    for version in [&TLS13, &TLS12] {
        let certificate = certificate("localhost", &[version]);
        for options in [options(None, 1 << 20), options(Some(1), 1 << 20), options(Some(50), 1 << 20)] {
            let dialer = MemoryDialer::new(options);
            let (mut client, mut server) = up(&dialer, &certificate);
            let session = &server.socket.as_ref().unwrap().get_ref().conn;
            assert_eq!(session.protocol_version(), Some(version.version));
            let suite = session.negotiated_cipher_suite().unwrap().suite();
            let expected = if version.version == ProtocolVersion::TLSv1_3 {
                CipherSuite::TLS13_AES_128_GCM_SHA256
            } else {
                CipherSuite::TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256
            };
            assert_eq!(suite, expected);
            client.send_text(seconds(2), b"one").unwrap();
            client.send_text(seconds(2), b"two").unwrap();
            server.send(Message::text("uno"));
            server.send(Message::Ping(b"p".to_vec().into()));
            server.send(Message::text("due"));
            let (seen, read) = exchange(&mut client, &mut server, seconds(2));
            assert_eq!(seen, [Seen::Text("uno".to_owned()), Seen::Text("due".to_owned())]);
            assert_eq!(read, [Message::text("one"), Message::text("two"), Message::Pong(b"p".to_vec().into())]);
        }
    }
}

#[test]
fn a_message_of_many_records_is_joined_in_a_narrow_pipe() {
    let certificate = certificate("localhost", &[&TLS13]);
    let dialer = MemoryDialer::new(options(None, 5_000));
    let (mut client, mut server) = up(&dialer, &certificate);
    let long = "x".repeat(900_000);
    server.send(Message::text(long.clone()));
    server.send(Message::text("after"));
    let mut seen = Vec::new();
    for _ in 0..2_000 {
        seen.extend(poll_all(&mut client, seconds(2)));
        server.step();
    }
    assert_eq!(seen, [Seen::Text(long), Seen::Text("after".to_owned())]);
}

#[test]
fn every_message_accepted_while_the_pipe_is_full_arrives_once() {
    let certificate = certificate("localhost", &[&TLS13]);
    let dialer = MemoryDialer::new(options(None, 3_000));
    let (mut client, mut server) = up(&dialer, &certificate);
    let mut accepted = Vec::new();
    while client.send_text(seconds(2), format!("{:0900}", accepted.len()).as_bytes()).is_ok() {
        accepted.push(Message::text(format!("{:0900}", accepted.len())));
        assert!(accepted.len() < 1_000, "somewhere it is full");
    }
    assert!(accepted.len() > 64, "{}", accepted.len());
    let (seen, read) = exchange(&mut client, &mut server, seconds(2));
    assert_eq!(seen, []);
    assert_eq!(read, accepted);
}

#[test]
fn a_close_of_the_session_is_the_end_and_what_came_before_is_delivered() {
    let certificate = certificate("localhost", &[&TLS13]);
    let dialer = MemoryDialer::new(PipeOptions::default());
    let (mut client, mut server) = up(&dialer, &certificate);
    server.send(Message::text("last"));
    let stream = server.socket.as_mut().unwrap().get_mut();
    stream.conn.send_close_notify();
    stream.flush().unwrap();
    assert_eq!(poll_all(&mut client, seconds(2)), [Seen::Text("last".to_owned()), Seen::Down(Down::Ended)]);
}

#[test]
fn a_server_that_nobody_vouches_for_is_refused_with_the_reason() {
    let ours = certificate("localhost", &[&TLS13]);
    let elsewhere = certificate("elsewhere", &[&TLS13]);
    let dated = |from: i32, to: i32| {
        let mut params = rcgen::CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
        params.not_before = rcgen::date_time_ymd(from, 1, 1);
        params.not_after = rcgen::date_time_ymd(to, 1, 1);
        support::certificate_of(params, &[&TLS13])
    };
    let (expired, early) = (dated(2001, 2002), dated(4000, 4001));
    for (server, believed, fault) in [
        (&certificate("localhost", &[&TLS13]), &ours, TlsFault::UnknownIssuer),
        (&elsewhere, &elsewhere, TlsFault::WrongHost),
        (&expired, &expired, TlsFault::Expired),
        (&early, &early, TlsFault::NotYetValid),
    ] {
        let dialer = MemoryDialer::new(PipeOptions::default());
        let mut client = client(&dialer, &believed.pem);
        poll_all(&mut client, seconds(1));
        let mut server = Server::new(guarded(dialer.accept().unwrap().1, server));
        let (seen, _) = exchange(&mut client, &mut server, seconds(1));
        assert_eq!(seen, [Seen::Down(Down::Tls(fault))]);
        assert!(server.socket.is_none());
        assert!(!client.is_up());
    }
}

#[test]
fn a_server_without_tls_is_told_apart_from_a_broken_one() {
    let ours = certificate("localhost", &[&TLS13]);
    let dialer = MemoryDialer::new(PipeOptions::default());
    let mut client = client(&dialer, &ours.pem);
    poll_all(&mut client, seconds(1));
    dialer.accept().unwrap().1.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").unwrap();
    assert_eq!(poll_all(&mut client, seconds(1)), [Seen::Down(Down::Tls(TlsFault::Malformed))]);
    poll_all(&mut client, seconds(2));
    dialer.accept().unwrap().1.cut(Cut::Ended);
    assert_eq!(poll_all(&mut client, seconds(2)), [Seen::Down(Down::Ended)]);
}

#[test]
fn a_server_that_falls_silent_in_the_handshake_is_given_up() {
    let ours = certificate("localhost", &[&TLS13]);
    let dialer = MemoryDialer::new(PipeOptions::default());
    let mut client = client(&dialer, &ours.pem);
    poll_all(&mut client, seconds(1));
    let _mute = dialer.accept().unwrap();
    assert_eq!(poll_all(&mut client, seconds(5)), []);
    assert_eq!(poll_all(&mut client, seconds(6)), [Seen::Down(Down::HandshakeTimeout)]);
}

#[test]
fn aes_is_offered_first_and_a_bad_file_of_authorities_says_what_to_do() {
    let config = client_config(&Roots::WebPki).unwrap();
    let suites: Vec<CipherSuite> = config.crypto_provider().cipher_suites.iter().map(|suite| suite.suite()).collect();
    assert_eq!(suites[0], CipherSuite::TLS13_AES_128_GCM_SHA256);
    assert_eq!(suites[1], CipherSuite::TLS13_AES_256_GCM_SHA384);
    assert_eq!(suites[2], CipherSuite::TLS13_CHACHA20_POLY1305_SHA256);
    assert_eq!(suites.len(), 9);
    let path = std::env::temp_dir().join(format!("optiflow-wire-empty-{}.pem", std::process::id()));
    std::fs::write(&path, "not a certificate").unwrap();
    let error = client_config(&Roots::CaFile(path.clone())).unwrap_err().to_string();
    std::fs::remove_file(&path).unwrap();
    assert!(error.contains("holds no certificate") && error.contains("give a PEM file"), "{error}");
}
