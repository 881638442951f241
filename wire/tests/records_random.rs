//! Records of ours against rustls as the server: whatever is said, however it is cut into records and bytes, both sides
//! hear exactly that; and with the suites that stay rustls' business too.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that fails says where")]

mod support;

use std::io::Write;
use std::sync::Arc;

use optiflow_wire::connection::Connection;
use optiflow_wire::down::Down;
use optiflow_wire::limits::Limits;
use optiflow_wire::transport::memory::{Chop, MemoryDialer, PipeOptions};
use proptest::prelude::*;
use proptest::test_runner::Config;
use rustls::version::{TLS12, TLS13};
use rustls::{CipherSuite, ServerConnection, StreamOwned, SupportedProtocolVersion};
use support::{Certificate, Client, Pipe, Seen, Server, believes, endpoint, exchange, poll_all, seconds};
use tungstenite::Message;

/// What a server speaks.
#[derive(Clone, Copy, Debug)]
struct Dialect {
    version: &'static SupportedProtocolVersion,
    suite: CipherSuite,
}

const DIALECTS: [Dialect; 5] = [
    Dialect { version: &TLS13, suite: CipherSuite::TLS13_AES_128_GCM_SHA256 },
    Dialect { version: &TLS13, suite: CipherSuite::TLS13_AES_256_GCM_SHA384 },
    Dialect { version: &TLS13, suite: CipherSuite::TLS13_CHACHA20_POLY1305_SHA256 },
    Dialect { version: &TLS12, suite: CipherSuite::TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384 },
    Dialect { version: &TLS12, suite: CipherSuite::TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256 },
];

/// One thing that happens.
#[derive(Clone, Debug)]
enum Act {
    ClientSays(usize),
    ServerSays(usize),
    ServerPings,
    ClientPolls,
    ServerPolls,
}

#[derive(Clone, Debug)]
struct Play {
    dialect: Dialect,
    near: Option<usize>,
    far: Option<usize>,
    capacity: usize,
    fragment: Option<usize>,
    tickets: usize,
    seed: u64,
    acts: Vec<Act>,
}

fn act() -> impl Strategy<Value = Act> {
    let len = prop_oneof![4 => 0..300usize, 1 => 300..20_000usize, 1 => 16_300..16_500usize, 1 => 30_000..40_000usize];
    prop_oneof![
        3 => len.clone().prop_map(Act::ClientSays),
        3 => len.prop_map(Act::ServerSays),
        1 => Just(Act::ServerPings),
        1 => Just(Act::ClientPolls),
        1 => Just(Act::ServerPolls),
    ]
}

fn play() -> impl Strategy<Value = Play> {
    let chop = || prop_oneof![2 => Just(None), 1 => Just(Some(1)), 1 => (2..5_000usize).prop_map(Some)];
    let fragment =
        prop_oneof![2 => Just(None), 1 => (40..200usize).prop_map(Some), 1 => (200..9_000usize).prop_map(Some)];
    let dialect = prop_oneof![3 => Just(0usize), 2 => Just(1), 1 => 2..DIALECTS.len()];
    let capacity = prop_oneof![Just(1 << 20), 2_000..40_000usize];
    (dialect, chop(), chop(), capacity, fragment, 0..5usize, any::<u64>(), proptest::collection::vec(act(), 1..25))
        .prop_map(|(dialect, near, far, capacity, fragment, tickets, seed, acts)| Play {
            dialect: DIALECTS[dialect],
            near,
            far,
            capacity,
            fragment,
            tickets,
            seed,
            acts,
        })
}

fn certificate(dialect: Dialect) -> Certificate {
    let params = rcgen::CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
    support::certificate_with(params, &[dialect.version], |provider| {
        provider.cipher_suites.retain(|suite| suite.suite() == dialect.suite);
    })
}

fn client(dialer: &MemoryDialer, certificate: &Certificate) -> Client {
    let mut client = Connection::new(endpoint(Some(believes(&certificate.pem))), dialer.clone(), Limits::orders(), 7);
    assert_eq!(poll_all(&mut client, seconds(1)), []);
    client
}

type TlsServer = Server<StreamOwned<ServerConnection, Pipe>>;

/// A client that is up and its server, as the play wants them.
fn up(play: &Play) -> (Client, TlsServer) {
    let chop = |len_max: Option<usize>| len_max.map(|len_max| Chop { seed: play.seed, len_max });
    let dialer = MemoryDialer::new(PipeOptions {
        capacity: play.capacity,
        chop_near: chop(play.near),
        chop_far: chop(play.far),
    });
    let certificate = certificate(play.dialect);
    let mut client = client(&dialer, &certificate);
    let mut config = (*certificate.server).clone();
    config.max_fragment_size = play.fragment;
    config.send_tls13_tickets = play.tickets;
    let session = ServerConnection::new(Arc::new(config)).unwrap();
    let mut server = Server::new(StreamOwned::new(session, dialer.accept().unwrap().1));
    assert_eq!(exchange(&mut client, &mut server, seconds(1)).0, [Seen::Up]);
    let session = &server.socket.as_ref().unwrap().get_ref().conn;
    assert_eq!(session.negotiated_cipher_suite().unwrap().suite(), play.dialect.suite);
    (client, server)
}

fn perform(play: &Play) {
    let (mut client, mut server) = up(play);
    let (mut said, mut told) = (Vec::new(), Vec::new());
    let (mut seen, mut read) = (Vec::new(), Vec::new());
    for (number, act) in play.acts.iter().enumerate() {
        // What comes in single bytes takes its time.
        let len_max = play.near.into_iter().chain(play.far).min().map_or(usize::MAX, |piece| piece * 1_000);
        let words =
            |len: usize| format!("{number} {}", "abcdefghij".repeat(len / 10 + 1))[..len.clamp(1, len_max)].to_owned();
        match act {
            Act::ClientSays(len) => {
                let text = words(*len);
                if client.send_text(seconds(2), text.as_bytes()).is_ok() {
                    said.push(Message::text(text));
                }
            }
            Act::ServerSays(len) => {
                let text = words(*len);
                server.send(Message::text(text.clone()));
                told.push(Seen::Text(text));
            }
            Act::ServerPings => server.send(Message::Ping(vec![1, 2, 3].into())),
            Act::ClientPolls => seen.extend(poll_all(&mut client, seconds(2))),
            Act::ServerPolls => read.extend(server.step()),
        }
    }
    let (more_seen, more_read) = exchange(&mut client, &mut server, seconds(2));
    seen.extend(more_seen);
    read.extend(more_read);
    read.retain(Message::is_text);
    assert_eq!(seen, told);
    assert_eq!(read, said);
    assert!(client.is_up());
    client.close(seconds(3));
    let (seen, _) = exchange(&mut client, &mut server, seconds(3));
    assert_eq!(seen, [Seen::Down(Down::Closed)]);
    let stream = server.socket.as_mut().unwrap().get_mut();
    // tungstenite has no more to read; what is left is TLS' own.
    while stream.sock.waiting() > 0 {
        let _ = stream.conn.read_tls(&mut stream.sock);
        stream.conn.process_new_packets().unwrap();
    }
    let session = &mut stream.conn;
    assert!(session.process_new_packets().unwrap().peer_has_closed(), "our close_notify arrived");
}

proptest! {
    #![proptest_config(Config { cases: 48, failure_persistence: None, max_shrink_iters: 60, ..Config::default() })]

    #[test]
    fn both_sides_hear_exactly_what_was_said(play in play()) {
        perform(&play);
    }
}

#[test]
fn new_keys_are_followed_where_rustls_goes_on() {
    let (dialect, acts) = (DIALECTS[2], Vec::new());
    let play = Play { dialect, near: None, far: None, capacity: 1 << 20, fragment: None, tickets: 1, seed: 1, acts };
    let (mut client, mut server) = up(&play);
    for round in 0..3 {
        server.send(Message::text(format!("old {round}")));
        server.socket.as_mut().unwrap().get_mut().conn.refresh_traffic_keys().unwrap();
        server.send(Message::text(format!("new {round}")));
        client.send_text(seconds(2), b"answer").unwrap();
        let (seen, read) = exchange(&mut client, &mut server, seconds(2));
        assert_eq!(seen, [Seen::Text(format!("old {round}")), Seen::Text(format!("new {round}"))]);
        assert_eq!(read, [Message::text("answer")]);
    }
}

#[test]
fn what_a_server_says_in_its_first_flight_is_not_lost() {
    for len_max in [1, 3, 100, 100_000] {
        let certificate = certificate(DIALECTS[0]);
        let chop = Some(Chop { seed: 3, len_max });
        let dialer = MemoryDialer::new(PipeOptions { chop_near: chop, ..PipeOptions::default() });
        let mut client = client(&dialer, &certificate);
        let mut config = (*certificate.server).clone();
        config.send_half_rtt_data = true;
        let mut session = ServerConnection::new(Arc::new(config)).unwrap();
        let mut pipe = dialer.accept().unwrap().1;
        session.read_tls(&mut pipe).unwrap();
        session.process_new_packets().unwrap();
        session.writer().write_all(b"HTTP/1.1 503 Service Unavailable\r\n").unwrap();
        session.writer().write_all(b"Retry-After: 9\r\n\r\n").unwrap();
        while session.wants_write() {
            session.write_tls(&mut pipe).unwrap();
        }
        assert!(session.is_handshaking(), "the client has not answered yet");
        let seen: Vec<Seen> = (0..2_000).flat_map(|_| poll_all(&mut client, seconds(1))).collect();
        assert_eq!(seen, [Seen::Down(Down::Refused { status: 503, retry_after: Some(9) })]);
    }
}
