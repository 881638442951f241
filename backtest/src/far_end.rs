//! The exchange's end of the in-memory connections: answers WebSocket upgrades and carries frames, by tungstenite.
//!
//! An independent implementation of the protocol, so that our own codec is checked by every run. No sockets, no time of
//! its own. Single thread.

use std::cell::RefCell;
use std::io::{self, ErrorKind, Read, Write};
use std::net::{IpAddr, Ipv4Addr};
use std::rc::Rc;
use std::sync::Arc;

use optiflow_base::clock::Nanos;
use optiflow_sim::binance::exchange::Exchange;
use optiflow_sim::binance::{ConnId, Outgoing};
use optiflow_wire::transport::memory::{MemoryDialer, Pipe};
use rustls::{ServerConfig, ServerConnection, StreamOwned};
use tungstenite::handshake::server::{Callback, ErrorResponse, Request, Response, ServerHandshake};
use tungstenite::handshake::{HandshakeError, MidHandshake};
use tungstenite::protocol::WebSocketConfig;
use tungstenite::protocol::frame::CloseFrame;
use tungstenite::protocol::frame::coding::CloseCode;
use tungstenite::{Message, WebSocket, accept_hdr_with_config};

use crate::leash::Leash;
use crate::seam::SharedSeam;

/// All connections of one exchange.
pub struct FarEnd {
    exchange: Rc<RefCell<Exchange>>,
    dialer: MemoryDialer,
    tls: Option<Arc<ServerConfig>>,
    peers: Vec<(ConnId, Peer)>,
    next: u64,
    delivered: usize,
    seam: Option<SharedSeam>,
}

enum Peer {
    Greeting(Box<MidHandshake<ServerHandshake<Line, Upgrade>>>),
    Up(Box<WebSocket<Line>>),
    Gone,
}

impl Peer {
    /// Would reading find nothing? Reading to find that out is dear. Through TLS one cannot tell.
    fn is_at_rest(&self) -> bool {
        match self {
            Peer::Up(socket) => match socket.get_ref() {
                Line::Plain(leash) => !leash.get_ref().has_news(),
                Line::Tls(_) => false,
            },
            Peer::Greeting(_) => false,
            Peer::Gone => true,
        }
    }
}

/// A connection's bytes, in the clear or through TLS.
enum Line {
    Plain(Leash<Pipe>),
    Tls(Box<StreamOwned<ServerConnection, Leash<Pipe>>>),
}

impl Line {
    const fn leash(&mut self) -> &mut Leash<Pipe> {
        match self {
            Line::Plain(leash) => leash,
            Line::Tls(stream) => &mut stream.sock,
        }
    }
}

impl Read for Line {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        match self {
            Line::Plain(pipe) => pipe.read(into),
            Line::Tls(stream) => stream.read(into),
        }
    }
}

impl Write for Line {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Line::Plain(pipe) => pipe.write(bytes),
            Line::Tls(stream) => stream.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Line::Plain(pipe) => pipe.flush(),
            Line::Tls(stream) => stream.flush(),
        }
    }
}

impl FarEnd {
    /// The far end of everything that `dialer` dials, behind TLS when there is a configuration for it.
    pub fn new(exchange: Rc<RefCell<Exchange>>, dialer: MemoryDialer, tls: Option<Arc<ServerConfig>>) -> FarEnd {
        FarEnd { exchange, dialer, tls, peers: Vec::new(), next: 1, delivered: 0, seam: None }
    }

    /// Lets every text frame pass this seam.
    pub fn set_seam(&mut self, seam: SharedSeam) {
        self.seam = Some(seam);
    }

    /// Text frames written since the last call.
    pub fn take_delivered(&mut self) -> usize {
        std::mem::take(&mut self.delivered)
    }

    /// Accepts what was dialled, hands frames to the exchange and the exchange's frames to the connections.
    pub fn step(&mut self, now: Nanos) {
        while let Some((_, pipe)) = self.dialer.accept() {
            if self.exchange.borrow().refuses_connects(now) {
                continue;
            }
            let conn = ConnId(self.next);
            self.next += 1;
            let upgrade = Upgrade { exchange: self.exchange.clone(), conn, now };
            let Some(line) = self.line(pipe) else { continue };
            let peer = greeted(&self.exchange, conn, accept_hdr_with_config(line, upgrade, Some(config())));
            self.peers.push((conn, peer));
        }
        for (conn, peer) in self.peers.iter_mut().filter(|(_, peer)| !peer.is_at_rest()) {
            let seam = self.seam.as_ref();
            *peer = read(&self.exchange, seam, *conn, std::mem::replace(peer, Peer::Gone), now);
        }
        if let Some(seam) = &self.seam {
            while let Some((conn, text)) = seam.borrow_mut().stray(now) {
                self.exchange.borrow_mut().text(now, conn, &text);
            }
        }
        self.deliver(now);
        self.peers.retain(|(_, peer)| !matches!(peer, Peer::Gone));
    }

    /// Cuts every connection, as a crash of the exchange's machine would.
    pub fn cut_all(&mut self) {
        for (conn, _) in self.peers.drain(..) {
            self.exchange.borrow_mut().closed(conn);
        }
    }

    fn line(&self, pipe: Pipe) -> Option<Line> {
        let Some(tls) = &self.tls else { return Some(Line::Plain(Leash::new(pipe))) };
        let server = ServerConnection::new(tls.clone()).ok()?;
        Some(Line::Tls(Box::new(StreamOwned::new(server, Leash::new(pipe)))))
    }

    fn deliver(&mut self, now: Nanos) {
        for (_, peer) in &mut self.peers {
            if let Peer::Up(socket) = peer {
                // A dead connection is noticed when it is read.
                let _ = socket.get_mut().leash().step(now);
            }
        }
        let mut exchange = self.exchange.borrow_mut();
        while let Some((conn, outgoing)) = exchange.take_outgoing() {
            let Some((_, peer)) = self.peers.iter_mut().find(|(id, _)| *id == conn) else { continue };
            let Peer::Up(socket) = peer else { continue };
            let written = match outgoing {
                Outgoing::Text(text) => {
                    self.delivered += 1;
                    let leaves_at = socket.get_mut().leash().leaves_at(now, text.len());
                    let instead = self.seam.as_ref().and_then(|seam| seam.borrow_mut().frame_out(leaves_at, &text));
                    match instead {
                        None => socket.send(Message::text(text.as_ref())),
                        Some(frames) => frames.iter().try_for_each(|text| socket.send(Message::text(text.as_ref()))),
                    }
                }
                Outgoing::Ping(payload) => socket.send(Message::Ping(payload.into())),
                Outgoing::Close { code, reason } => {
                    socket.close(Some(CloseFrame { code: CloseCode::from(code), reason: reason.into() }))
                }
                Outgoing::Dribble { text, pause } => {
                    self.delivered += 1;
                    socket.get_mut().leash().slow_down(now, pause);
                    let sent = socket.send(Message::text(text.as_ref()));
                    socket.get_mut().leash().speed_up();
                    sent
                }
                Outgoing::Cut { text, after_bytes } => {
                    socket.get_mut().leash().cut_after(after_bytes);
                    let sent = if text.is_empty() { Ok(()) } else { socket.send(Message::text(text.as_ref())) };
                    *peer = Peer::Gone;
                    exchange.closed(conn);
                    sent
                }
            };
            // A frame that does not fit now is queued by tungstenite; a dead connection is noticed when it is read.
            drop(written);
        }
    }
}

fn greeted(
    exchange: &RefCell<Exchange>,
    conn: ConnId,
    result: Result<WebSocket<Line>, HandshakeError<ServerHandshake<Line, Upgrade>>>,
) -> Peer {
    match result {
        Ok(socket) => Peer::Up(Box::new(socket)),
        Err(HandshakeError::Interrupted(handshake)) => Peer::Greeting(Box::new(handshake)),
        Err(HandshakeError::Failure(_)) => {
            // It may have been let in before its pipe broke under the answer.
            exchange.borrow_mut().closed(conn);
            Peer::Gone
        }
    }
}

fn read(exchange: &Rc<RefCell<Exchange>>, seam: Option<&SharedSeam>, conn: ConnId, peer: Peer, now: Nanos) -> Peer {
    let mut socket = match peer {
        Peer::Up(socket) => socket,
        Peer::Greeting(handshake) => return greeted(exchange, conn, handshake.handshake()),
        Peer::Gone => return Peer::Gone,
    };
    loop {
        match socket.read() {
            Ok(Message::Text(text)) => {
                if seam.is_none_or(|seam| seam.borrow_mut().frame_in(now, conn, text.as_str())) {
                    exchange.borrow_mut().text(now, conn, text.as_str());
                }
            }
            Ok(Message::Pong(payload)) => exchange.borrow_mut().pong(now, conn, &payload),
            Ok(Message::Ping(_)) => exchange.borrow_mut().ping(now, conn),
            Ok(Message::Binary(_) | Message::Close(_) | Message::Frame(_)) => {}
            Err(tungstenite::Error::Io(error)) if error.kind() == ErrorKind::WouldBlock => return Peer::Up(socket),
            Err(_) => {
                exchange.borrow_mut().closed(conn);
                return Peer::Gone;
            }
        }
    }
}

/// Small buffers: tungstenite zeroes its read buffer before every read, 128 KiB of it by default.
fn config() -> WebSocketConfig {
    WebSocketConfig::default().read_buffer_size(READ_BUFFER_LEN)
}

/// Asks the exchange whether it serves the path.
struct Upgrade {
    exchange: Rc<RefCell<Exchange>>,
    conn: ConnId,
    now: Nanos,
}

impl Callback for Upgrade {
    #[allow(clippy::result_large_err)] // The type is tungstenite's.
    fn on_request(self, request: &Request, response: Response) -> Result<Response, ErrorResponse> {
        let path = request.uri().path_and_query().map_or("/", |path| path.as_str());
        let opened = self.exchange.borrow_mut().open(self.now, self.conn, path, LOOPBACK);
        match opened {
            Ok(()) => Ok(response),
            Err(refused) => {
                let mut answer = ErrorResponse::new(None);
                *answer.status_mut() = tungstenite::http::StatusCode::from_u16(refused.status).unwrap_or_default();
                Err(answer)
            }
        }
    }
}

const READ_BUFFER_LEN: usize = 4 * 1024;
/// Everybody in a virtual world lives on the same machine.
pub const LOOPBACK: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
