//! The far end carries out what the exchange's liar decides: cut frames, dribbling frames, refused connects.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::cell::RefCell;
use std::io::{ErrorKind, Read, Write};
use std::net::{Ipv4Addr, SocketAddr};
use std::rc::Rc;
use std::time::Duration;

use optiflow_backtest::far_end::FarEnd;
use optiflow_base::clock::Nanos;
use optiflow_base::money::Notional;
use optiflow_base::secret::Secret;
use optiflow_sim::binance::auth::Keys;
use optiflow_sim::binance::exchange::{Exchange, ExchangeConfig};
use optiflow_sim::binance::faults::{Fault, Faults, RATE_ONE, Rule};
use optiflow_sim::core::CoreConfig;
use optiflow_sim::market;
use optiflow_wire::transport::Dialer;
use optiflow_wire::transport::memory::{MemoryDialer, MemoryStream, PipeOptions};

const START: Nanos = Nanos::from_millis(1_795_327_200_000);
const REQUEST: &[u8] = b"\x81\x98\0\0\0\0{\"id\":1,\"method\":\"time\"}";

struct Net {
    exchange: Rc<RefCell<Exchange>>,
    far_end: FarEnd,
    dialer: MemoryDialer,
    now: Nanos,
}

impl Net {
    fn new(fault: Fault, seed: u64) -> Net {
        let source = market::open("metronome:100ms", 1).unwrap();
        let core = CoreConfig {
            listings: source.listings().to_vec(),
            wallet: Notional::ZERO,
            leverage: 20,
            maker_fee_ppm: 0,
            taker_fee_ppm: 0,
            speed: 1.0,
            start: START,
            rules: Default::default(),
        };
        let keys = Keys {
            api_key: "key".to_owned(),
            api_secret: Secret::new(b"secret".to_vec()),
            ed25519_api_key: "unused".to_owned(),
            ed25519_public_key: [0; 32],
        };
        let mut exchange = Exchange::new(ExchangeConfig { core, keys, seed: 1 }, source);
        exchange.set_faults(START, &Faults::none(seed).with(Rule::new(fault, RATE_ONE)));
        let exchange = Rc::new(RefCell::new(exchange));
        let dialer = MemoryDialer::new(PipeOptions::default());
        let far_end = FarEnd::new(exchange.clone(), dialer.clone(), None);
        Net { exchange, far_end, dialer, now: START }
    }

    fn wait(&mut self, millis: u64) {
        self.now = self.now + Duration::from_millis(millis);
        self.exchange.borrow_mut().advance(self.now);
        self.far_end.step(self.now);
    }

    /// A connection that was upgraded.
    fn socket(&mut self, path: &str) -> MemoryStream {
        let mut stream = self.dialer.dial(SocketAddr::from((Ipv4Addr::LOCALHOST, 80))).unwrap();
        let head = format!(
            "GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
             Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"
        );
        let asked = stream.write_all(head.as_bytes());
        self.wait(1);
        let (answer, _) = heard(&mut stream);
        let welcome = asked.is_ok() && answer.starts_with(b"HTTP/1.1 101");
        assert_eq!(welcome, !answer.is_empty(), "{answer:?}");
        stream
    }
}

/// Everything that has come, and whether the connection stands.
fn heard(stream: &mut MemoryStream) -> (Vec<u8>, bool) {
    let mut bytes = Vec::new();
    let stands = match stream.read_to_end(&mut bytes) {
        Ok(_) => false,
        Err(error) => error.kind() == ErrorKind::WouldBlock,
    };
    (bytes, stands)
}

#[test]
fn answers_are_cut_after_any_byte_and_the_connection_with_them() {
    let mut lengths = Vec::new();
    for seed in 0..40 {
        let mut net = Net::new(Fault::CutReply, seed);
        let mut stream = net.socket("/ws-fapi/v1");
        stream.write_all(REQUEST).unwrap();
        net.wait(1);
        let (bytes, stands) = heard(&mut stream);
        assert!(!stands);
        lengths.push(bytes.len());
    }
    lengths.sort_unstable();
    lengths.dedup();
    assert!(lengths.len() > 20 && lengths[0] < 20, "{lengths:?}");
}

#[test]
fn a_lost_request_breaks_the_connection_without_a_byte() {
    let mut net = Net::new(Fault::LostRequest, 1);
    let mut stream = net.socket("/ws-fapi/v1");
    stream.write_all(REQUEST).unwrap();
    net.wait(1);
    assert_eq!(heard(&mut stream), (Vec::new(), false));
}

#[test]
fn a_slow_answer_dribbles_over_its_span() {
    let mut net = Net::new(Fault::SlowReply, 1);
    let mut stream = net.socket("/ws-fapi/v1");
    stream.write_all(REQUEST).unwrap();
    let mut grown = Vec::new();
    let mut bytes = Vec::new();
    for _ in 0..12 {
        net.wait(100);
        bytes.extend(heard(&mut stream).0);
        grown.push(bytes.len());
    }
    let whole = grown[11];
    assert_eq!(whole, 2 + 2 + usize::from(u16::from_be_bytes([bytes[2], bytes[3]])), "the whole frame came");
    assert!(grown[1] > 0 && grown[1] < whole / 4, "{grown:?}");
    assert!(grown[5] > whole / 3 && grown[5] < whole * 2 / 3, "{grown:?}");
}

#[test]
fn refused_connects_break_at_once() {
    let mut net = Net::new(Fault::RefusedConnects, 1);
    net.wait(1_000);
    let mut stream = net.socket("/ws-fapi/v1");
    assert_eq!(heard(&mut stream), (Vec::new(), false));
}
