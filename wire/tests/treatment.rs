//! A connection however it is treated: by its owner, its peer, the network and the clock. What comes out is once, in
//! order and told in the right words; left in peace it comes up again.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that fails says where")]

mod support;

use std::io::{self, Read, Write};
use std::sync::Arc;
use std::time::Duration;

use optiflow_base::clock::Nanos;
use optiflow_wire::attempts::Attempts;
use optiflow_wire::connection::Connection;
use optiflow_wire::down::Down;
use optiflow_wire::limits::Limits;
use optiflow_wire::transport::memory::{Answer, Chop, Cut, MemoryDialer, PipeOptions};
use rustls::version::TLS13;
use rustls::{ClientConfig, ServerConnection, StreamOwned};
use support::{Certificate, Client, Pipe, Seen, Server, believes, certificate, endpoint, guarded, poll_all, seconds};
use tungstenite::error::ProtocolError;
use tungstenite::{Error, Message};

/// The far end of a connection.
enum Far {
    Plain(Pipe),
    Guarded(Box<StreamOwned<ServerConnection, Pipe>>),
}

impl Far {
    fn pipe(&mut self) -> &mut Pipe {
        match self {
            Far::Plain(pipe) => pipe,
            Far::Guarded(stream) => &mut stream.sock,
        }
    }
}

impl Read for Far {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        match self {
            Far::Plain(pipe) => pipe.read(into),
            Far::Guarded(stream) => stream.read(into),
        }
    }
}

impl Write for Far {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Far::Plain(pipe) => pipe.write(bytes),
            Far::Guarded(stream) => stream.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Far::Plain(pipe) => pipe.flush(),
            Far::Guarded(stream) => stream.flush(),
        }
    }
}

/// A client, whoever is at the other end, and what was said.
struct World {
    client: Client,
    dialer: MemoryDialer,
    certificate: Option<Certificate>,
    server: Option<Server<Far>>,
    now: Nanos,
    number: u32,
    is_up: bool,
    is_closed: bool,
    /// Numbers that the other side may still hear; those before the first are past.
    sent: Vec<u32>,
    told: Vec<u32>,
    ups: u32,
    heard: u32,
}

impl World {
    fn new(seed: u64, tls: Option<(Certificate, Arc<ClientConfig>)>) -> World {
        let mut rng = fastrand::Rng::with_seed(!seed);
        let chop = rng.bool().then(|| Chop { seed, len_max: rng.usize(1..400) });
        let capacity = [2_000, 1 << 18][rng.usize(..2)];
        let dialer = MemoryDialer::new(PipeOptions { capacity, chop_near: chop, chop_far: None });
        let (certificate, config) = tls.unzip();
        let limits = if rng.bool() { Limits::orders() } else { Limits::market() };
        let limits = if rng.bool() { limits.sharing(&Attempts::new()) } else { limits };
        let client = Connection::new(endpoint(config), dialer.clone(), limits, seed);
        World {
            client,
            dialer,
            certificate,
            server: None,
            now: seconds(1_000),
            number: 0,
            is_up: false,
            is_closed: false,
            sent: Vec::new(),
            told: Vec::new(),
            ups: 0,
            heard: 0,
        }
    }

    /// Both sides work for a while; time stands still.
    fn run(&mut self) {
        for _ in 0..8 {
            for seen in poll_all(&mut self.client, self.now) {
                self.seen(&seen);
            }
            while let Some((_, pipe)) = self.dialer.accept() {
                let far = match &self.certificate {
                    None => Far::Plain(pipe),
                    Some(certificate) => Far::Guarded(Box::new(guarded(pipe, certificate))),
                };
                self.server = Some(Server::new(far));
                self.told.clear();
            }
            let heard = self.server.as_mut().map(Server::step).unwrap_or_default();
            if let Some(error) = self.server.as_mut().and_then(|server| server.refused.take()) {
                let is_cut = Error::Protocol(ProtocolError::HandshakeIncomplete);
                assert!(matches!(error, Error::Io(_)) || error.to_string() == is_cut.to_string(), "{error}");
            }
            for text in heard.into_iter().filter(Message::is_text) {
                take(&mut self.sent, text.to_text().unwrap());
            }
        }
    }

    fn seen(&mut self, seen: &Seen) {
        match seen {
            Seen::Up => {
                assert!(!self.is_up && !self.is_closed, "up only from down");
                (self.is_up, self.ups) = (true, self.ups + 1);
                // What was sent on an earlier connection is lost with it.
                self.sent.clear();
            }
            Seen::Down(reason) => {
                assert!(self.is_up || *reason != Down::Rotated && *reason != Down::PongTimeout, "{reason:?}");
                assert_ne!(*reason, Down::Entropy);
                self.is_up = false;
            }
            Seen::Text(text) => {
                assert!(self.is_up, "texts come while it is up");
                take(&mut self.told, text);
                self.heard += 1;
            }
        }
    }

    fn act(&mut self, rng: &mut fastrand::Rng) {
        self.number += 1;
        let text = format!("{} {}", self.number, "x".repeat([3, 200, 5_000][rng.usize(..3)]));
        match rng.u8(..40) {
            0..10 => {
                // Whoever was told Ok may be heard, nobody else is.
                if self.client.send_text(self.now, text.as_bytes()).is_ok() {
                    assert!(self.is_up);
                    self.sent.push(self.number);
                }
            }
            10..18 => {
                if let Some(socket) = self.socket() {
                    let _ = socket.send(Message::text(text));
                    self.told.push(self.number);
                }
            }
            18..22 => {
                let payload = text.into_bytes()[..4].to_vec();
                let _ = self.socket().map(|socket| socket.send(Message::Ping(payload.into())));
            }
            22 => drop(self.socket().map(|socket| socket.close(None))),
            23 => drop(self.socket().map(|socket| socket.get_mut().write_all(&[0xC1, 0, 0x83, 1, 7]))),
            24 => drop(self.socket().map(|socket| socket.get_mut().pipe().write_all(&[23, 3, 3, 0, 30, 1, 2]))),
            25 => self.cut([Cut::Ended, Cut::Reset, Cut::Silent][rng.usize(..3)]),
            26 => self.server = None,
            27 => self.dialer.set_answer([Answer::Refuse, Answer::Hang][rng.usize(..2)]),
            28 | 29 => self.dialer.set_answer(Answer::Accept),
            30 => {
                self.client.reconnect(self.now);
                self.is_closed = false;
            }
            31 => {
                self.client.close(self.now);
                self.is_closed = true;
            }
            _ => self.now = self.now + Duration::from_millis([1, 50, 700, 3_000, 40_000][rng.usize(..5)]),
        }
    }

    fn socket(&mut self) -> Option<&mut tungstenite::WebSocket<Far>> {
        self.server.as_mut()?.socket.as_mut()
    }

    fn cut(&mut self, how: Cut) {
        if let Some(socket) = self.socket() {
            socket.get_mut().pipe().cut(how);
        }
    }

    /// The next one comes up within the longest waits, and speaks.
    fn recover(&mut self) {
        self.dialer.set_answer(Answer::Accept);
        if self.is_closed {
            self.now = self.now + Duration::from_secs(60);
            self.run();
            assert!(!self.is_up, "closed is closed");
            self.client.reconnect(self.now);
            self.is_closed = false;
        }
        for _ in 0..300 {
            self.now = self.now + Duration::from_secs(1);
            self.run();
        }
        assert!(self.is_up && self.client.is_up());
        let heard = self.heard;
        (self.sent, self.told) = (vec![1], vec![2]);
        self.client.send_text(self.now, b"1 ").unwrap();
        self.socket().unwrap().send(Message::text("2 ")).unwrap();
        for _ in 0..300 {
            self.run();
        }
        assert!(self.heard == heard + 1 && self.sent.is_empty());
    }
}

/// What is heard was said, and comes in order; what was left out before it will not come.
fn take(said: &mut Vec<u32>, text: &str) {
    let number: u32 = text.split(' ').next().unwrap().parse().unwrap();
    let at = said.iter().position(|said| *said == number).unwrap_or_else(|| panic!("{number} was heard, of {said:?}"));
    assert_eq!(at, 0, "{number} was heard, of {said:?}");
    said.remove(0);
}

/// Says which seed it was when a test fails.
struct Seed(u64);

impl Drop for Seed {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("seed {}", self.0);
        }
    }
}

fn treat(seed: u64, tls: Option<(Certificate, Arc<ClientConfig>)>) -> u32 {
    let _told = Seed(seed);
    let (mut world, mut rng) = (World::new(seed, tls), fastrand::Rng::with_seed(seed));
    world.run();
    for _ in 0..rng.usize(1..120) {
        world.act(&mut rng);
        if rng.u8(..3) > 0 {
            world.run();
        }
    }
    world.recover();
    world.ups
}

#[test]
fn however_it_is_treated_what_comes_out_is_once_in_order_and_it_comes_up_again() {
    let plain: u32 = (0..250).map(|seed| treat(seed, None)).sum();
    let guarded: u32 = (0..60)
        .map(|seed| {
            let certificate = certificate("localhost", &[&TLS13]);
            let config = believes(&certificate.pem);
            treat(seed, Some((certificate, config)))
        })
        .sum();
    assert!(plain > 500 && guarded > 120, "it is not down all the time: {plain} {guarded}");
}
