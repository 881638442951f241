//! A feed stage over memory pipes, with a server and a control thread played by the test, under a clock moved by hand.

#![allow(dead_code)]

use std::collections::HashMap;
use std::io::{ErrorKind, Read, Write};
use std::rc::Rc;
use std::time::Duration;

use optiflow_base::clock::{Nanos, VirtualClock};
use optiflow_base::ids::SymbolId;
use optiflow_base::log::{Log, LogEvent};
use optiflow_base::market::{BookDoubt, MarketBody, MarketEvent};
use optiflow_base::order::Usage;
use optiflow_base::rest::{RestCall, RestReply};
use optiflow_base::ring::{Rx, Tx, ring};
use optiflow_base::stage::{Progress, Room, Stage};
use optiflow_feed::{Feed, FeedConfig, FeedPorts, FeedSymbol, Silence};
use optiflow_wire::endpoint::Endpoint;
use optiflow_wire::limits::Limits;
use optiflow_wire::transport::memory::{Cut, MemoryDialer, Pipe, PipeOptions};
use tungstenite::handshake::derive_accept_key;

use crate::common::names;

pub struct World {
    pub clock: Rc<VirtualClock>,
    pub feed: Feed<MemoryDialer, Rc<VirtualClock>>,
    pub dialer: MemoryDialer,
    pub market: Rx<MarketEvent>,
    pub quotes: Rx<MarketEvent>,
    pub calls: Rx<RestCall>,
    pub replies: Tx<RestReply>,
    pub doubts: Tx<BookDoubt>,
    pub log: Rx<LogEvent>,
    /// Open connections by route, as the server sees them.
    pub servers: HashMap<&'static str, Pipe>,
    /// Every path that was asked for.
    pub paths: Vec<String>,
    pub notices: Vec<(&'static str, i64)>,
}

/// For tests of the watchdog.
pub const WATCHFUL: Silence = Silence {
    depth: Duration::from_secs(2),
    top: Duration::from_secs(2),
    trade: Duration::from_secs(60),
    mark: Duration::from_secs(5),
};

/// Beyond it a stream is late; most messages of these tests say the same event time for ever.
pub const LAG_MAX: Duration = Duration::from_secs(4_000);

/// For all others.
pub const PATIENT: Silence = {
    let hour = Duration::from_secs(3_600);
    Silence { depth: hour, top: hour, trade: hour, mark: hour }
};

impl World {
    pub fn new(symbols: &[&str], quotes_len: usize, silence: Silence) -> World {
        World::with(symbols, quotes_len, silence, LAG_MAX)
    }

    pub fn with(symbols: &[&str], quotes_len: usize, silence: Silence, lag_max: Duration) -> World {
        World::made(symbols, quotes_len, silence, lag_max, PipeOptions::default())
    }

    /// Over pipes of this kind.
    pub fn over(symbols: &[&str], options: PipeOptions) -> World {
        World::made(symbols, 4_096, PATIENT, LAG_MAX, options)
    }

    fn made(symbols: &[&str], quotes_len: usize, silence: Silence, lag_max: Duration, options: PipeOptions) -> World {
        let clock = Rc::new(VirtualClock::new(Nanos::from_millis(1_000_000)));
        let dialer = MemoryDialer::new(options);
        let (market_tx, market) = ring("market", 1_024);
        let (quotes_tx, quotes) = ring("quotes", quotes_len);
        let (rest, calls) = ring("rest", 4);
        let (replies, replies_rx) = ring("replies", 4);
        let (doubts, doubts_rx) = ring("doubts", 4);
        let (log_tx, log) = ring("log", 4_096);
        let endpoint = |port: u16| Endpoint {
            host: "localhost".to_owned(),
            port,
            addresses: vec![([127, 0, 0, 1], port).into()],
            path: "/".to_owned(),
            tls: None,
            renewal: None,
        };
        let (ids, tick_size) = ((0..).map(SymbolId), "0.1".parse().unwrap());
        let symbols = ids.zip(names(symbols)).map(|(id, name)| FeedSymbol { id, name, tick_size }).collect();
        let config = FeedConfig {
            symbols,
            public: endpoint(1),
            market: endpoint(2),
            depth_speed: "100ms".to_owned(),
            silence,
            lag_max,
            // Nobody at the far end answers pings.
            limits: Limits { ping_interval: Duration::from_secs(3_600), ..Limits::market() },
            seed: 7,
        };
        let log_tx = Log::new(Room::Feed, log_tx);
        let ports = FeedPorts {
            market: market_tx,
            quotes: quotes_tx,
            rest,
            replies: replies_rx,
            doubts: doubts_rx,
            log: log_tx,
        };
        let feed = Feed::new(config, || dialer.clone(), Rc::clone(&clock), ports);
        let (servers, paths, notices) = Default::default();
        World { clock, feed, dialer, market, quotes, calls, replies, doubts, log, servers, paths, notices }
    }

    /// Up on both routes.
    pub fn connected(symbols: &[&str], silence: Silence) -> World {
        let mut world = World::new(symbols, 64, silence);
        world.run(50);
        assert_eq!(world.servers.len(), 2, "both routes are connected");
        world.notices.clear();
        world
    }

    /// Lets so many milliseconds pass, a millisecond at a time.
    pub fn run(&mut self, millis: u64) {
        use optiflow_base::clock::Clock;
        for _ in 0..millis {
            self.clock.advance_to(self.clock.now() + Duration::from_millis(1));
            self.settle();
        }
    }

    /// Steps until nothing is left to do at this instant.
    pub fn settle(&mut self) {
        use optiflow_base::clock::Clock;
        loop {
            let progress = self.feed.step(self.clock.now());
            let accepted = self.accept();
            if progress == Progress::Idle && !accepted {
                break;
            }
        }
        while let Some(event) = self.log.pop() {
            if let LogEvent::Notice(notice) = event {
                self.notices.push((notice.what, notice.value));
            }
        }
    }

    fn accept(&mut self) -> bool {
        let Some((address, mut pipe)) = self.dialer.accept() else { return false };
        let mut request = Vec::new();
        let mut buffer = [0; 4_096];
        // The request is written by the steps that follow the dial.
        while !request.ends_with(b"\r\n\r\n") {
            use optiflow_base::clock::Clock;
            self.feed.step(self.clock.now());
            match pipe.read(&mut buffer) {
                Ok(len) => request.extend_from_slice(&buffer[..len]),
                Err(error) => assert_eq!(error.kind(), ErrorKind::WouldBlock),
            }
        }
        let text = String::from_utf8(request).unwrap();
        let key = text.lines().find_map(|line| line.strip_prefix("Sec-WebSocket-Key: ")).unwrap();
        let accept = derive_accept_key(key.as_bytes());
        let answer = format!(
            "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: {accept}\r\n\r\n"
        );
        pipe.write_all(answer.as_bytes()).unwrap();
        self.paths.push(text.split(' ').nth(1).unwrap().to_owned());
        self.servers.insert(if address.port() == 1 { "public" } else { "market" }, pipe);
        true
    }

    /// The server says something, and the feed hears it.
    pub fn say(&mut self, route: &str, text: &str) {
        let len = u16::try_from(text.len()).unwrap();
        let mut frame = vec![0x81];
        if len < 126 {
            frame.push(len as u8);
        } else {
            frame.push(126);
            frame.extend_from_slice(&len.to_be_bytes());
        }
        frame.extend_from_slice(text.as_bytes());
        self.servers.get_mut(route).unwrap().write_all(&frame).unwrap();
        self.settle();
    }

    pub fn cut(&mut self, route: &str) {
        self.servers.remove(route).unwrap().cut(Cut::Reset);
    }

    pub fn answer(&mut self, call: &RestCall, status: u16, body: &str, blocked_until: Option<Nanos>) {
        use optiflow_base::clock::Clock;
        let usage = Usage { blocked_until, ..Usage::default() };
        let (token, path, body, now) = (call.token, call.path, body.as_bytes().to_vec(), self.clock.now());
        self.replies.push(RestReply { token, path, status, body, sent: now, received: now, usage }).unwrap();
        self.settle();
    }

    /// What waits on the market ring, one word each.
    pub fn market(&mut self) -> String {
        words(&mut self.market)
    }

    /// What waits on the quotes ring, one word each.
    pub fn quotes(&mut self) -> String {
        words(&mut self.quotes)
    }

    /// Notices since the last call.
    pub fn notices(&mut self) -> Vec<(&'static str, i64)> {
        std::mem::take(&mut self.notices)
    }
}

fn words(ring: &mut Rx<MarketEvent>) -> String {
    let mut words = Vec::new();
    while let Some(event) = ring.pop() {
        let symbol = event.body.symbol().0;
        words.push(match event.body {
            MarketBody::DepthStart { snapshot, last_id, .. } => {
                format!("{}{symbol}:{last_id}", if snapshot { "snapshot" } else { "diff" })
            }
            MarketBody::Levels { .. } => continue,
            MarketBody::Top { update_id, .. } => format!("top{symbol}:{update_id}"),
            MarketBody::Trade { id, .. } => format!("trade{symbol}:{id}"),
            MarketBody::Mark { mark, .. } => format!("mark{symbol}:{mark}"),
            MarketBody::BookLost { reason, .. } => format!("lost{symbol}:{reason:?}"),
            MarketBody::Silence { stream, silent, .. } => {
                format!("{}{symbol}:{stream:?}", if silent { "silent" } else { "speaks" })
            }
        });
    }
    words.join(" ")
}

pub fn depth(symbol: &str, first_id: u64, last_id: u64, previous_id: u64) -> String {
    let stream = symbol.to_lowercase();
    format!(
        r#"{{"stream":"{stream}@depth@100ms","data":{{"e":"depthUpdate","E":2,"T":1,"s":"{symbol}","U":{first_id},"u":{last_id},"pu":{previous_id},"b":[["1","2"]],"a":[]}}}}"#
    )
}

/// A diff whose one bid has this price and quantity.
pub fn depth_of(symbol: &str, last_id: u64, previous_id: u64, level: (&str, &str)) -> String {
    let level = format!(r#"["{}","{}"]"#, level.0, level.1);
    depth(symbol, previous_id + 1, last_id, previous_id).replace(r#"["1","2"]"#, &level)
}

pub fn top(symbol: &str, update_id: u64) -> String {
    format!(r#"{{"e":"bookTicker","u":{update_id},"s":"{symbol}","b":"1","B":"2","a":"3","A":"4","T":1,"E":1}}"#)
}

pub fn trade(symbol: &str, id: u64) -> String {
    format!(r#"{{"e":"aggTrade","E":1,"a":{id},"s":"{symbol}","p":"1","q":"1","f":1,"l":1,"T":1,"m":true}}"#)
}

pub fn mark(symbol: &str, price: &str) -> String {
    format!(r#"{{"e":"markPriceUpdate","E":1,"s":"{symbol}","p":"{price}","i":"2","r":"0.0001","T":0}}"#)
}

pub fn snapshot(last_id: u64) -> String {
    format!(r#"{{"lastUpdateId":{last_id},"E":2,"T":1,"bids":[["1","1"]],"asks":[["3","1"]]}}"#)
}
