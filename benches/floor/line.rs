//! A WebSocket over TLS with nothing between it and the socket: non-blocking reads, prepared frames.

use std::fs;
use std::io::{self, ErrorKind, Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};

use crate::{Failure, deadline};

/// A connection.
pub struct Line {
    socket: TcpStream,
    tls: ClientConnection,
    raw: Vec<u8>,
    sealed: Vec<u8>,
    /// Decrypted bytes that were not looked at yet: whole frames and the beginning of the next.
    plain: Vec<u8>,
}

impl Line {
    /// Connects, greets, upgrades; blocks while it does.
    pub fn open(address: &str, ca_file: &Path, path: &str) -> Result<Line, Failure> {
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_slice(&fs::read(ca_file)?)?)?;
        let config = ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
            .with_safe_default_protocol_versions()?
            .with_root_certificates(roots)
            .with_no_client_auth();
        let tls = ClientConnection::new(Arc::new(config), ServerName::try_from("localhost")?)?;
        let socket = TcpStream::connect(address)?;
        socket.set_nodelay(true)?;
        let mut stream = StreamOwned::new(tls, socket);
        let head = format!(
            "GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
             Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nUser-Agent: floor\r\n\r\n"
        );
        stream.write_all(head.as_bytes())?;
        let mut answer = Vec::new();
        while !answer.ends_with(b"\r\n\r\n") {
            let mut byte = [0];
            stream.read_exact(&mut byte)?;
            answer.push(byte[0]);
        }
        if !answer.starts_with(b"HTTP/1.1 101") {
            return Err(format!("{path} was refused: {}", String::from_utf8_lossy(&answer)).into());
        }
        let (tls, socket) = stream.into_parts();
        socket.set_nonblocking(true)?;
        let mut line = Line {
            socket,
            tls,
            raw: vec![0; RAW_LEN],
            sealed: Vec::with_capacity(RAW_LEN),
            plain: Vec::with_capacity(RAW_LEN),
        };
        // What came with the answer.
        line.decrypt()?;
        Ok(line)
    }

    /// Seals and writes.
    pub fn write(&mut self, frame: &[u8]) -> Result<(), Failure> {
        self.tls.writer().write_all(frame)?;
        self.sealed.clear();
        self.tls.write_tls(&mut self.sealed)?;
        let mut left = self.sealed.as_slice();
        while !left.is_empty() {
            match self.socket.write(left) {
                Ok(written) => left = &left[written..],
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }

    /// Reads once; has a text frame begun?
    pub fn hears_text(&mut self) -> Result<bool, Failure> {
        if !self.receive()? {
            return Ok(false);
        }
        let is_text = self.plain.first() == Some(&TEXT);
        if !is_text {
            self.take_text()?;
        }
        Ok(is_text)
    }

    /// The next so many texts.
    pub fn texts(&mut self, count: usize, patience: Duration) -> Result<Vec<String>, Failure> {
        let end = deadline(patience);
        let mut texts = Vec::new();
        while texts.len() < count {
            match self.take_text()? {
                Some(text) => texts.push(text),
                None if std::time::Instant::now() > end => return Err("an answer took too long".into()),
                None => {
                    self.receive()?;
                }
            }
        }
        Ok(texts)
    }

    /// Takes in what has come and forgets it.
    pub fn drain(&mut self) -> Result<(), Failure> {
        self.receive()?;
        while self.take_text()?.is_some() {}
        Ok(())
    }

    /// One read; did plaintext come of it?
    fn receive(&mut self) -> Result<bool, Failure> {
        let count = match self.socket.read(&mut self.raw) {
            Ok(0) => return Err("the exchange closed the connection".into()),
            Ok(count) => count,
            Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(false),
            Err(error) => return Err(error.into()),
        };
        let mut sealed = &self.raw[..count];
        let before = self.plain.len();
        while !sealed.is_empty() {
            self.tls.read_tls(&mut sealed)?;
            decrypt(&mut self.tls, &mut self.plain)?;
        }
        Ok(self.plain.len() > before)
    }

    fn decrypt(&mut self) -> Result<(), Failure> {
        decrypt(&mut self.tls, &mut self.plain)
    }

    /// Takes a whole text out of what came; answers pings on the way.
    fn take_text(&mut self) -> Result<Option<String>, Failure> {
        while let Some((kind, head, len)) = head_of(&self.plain).filter(|(_, head, len)| self.plain.len() >= head + len)
        {
            let payload: Vec<u8> = self.plain.drain(..head + len).skip(head).collect();
            match kind {
                TEXT => return Ok(Some(String::from_utf8(payload)?)),
                PING => {
                    let mut pong = frame(&payload);
                    pong[0] = PONG;
                    self.write(&pong)?;
                }
                _ => return Err(format!("a frame of kind {kind:#x}").into()),
            }
        }
        Ok(None)
    }
}

fn decrypt(tls: &mut ClientConnection, into: &mut Vec<u8>) -> Result<(), Failure> {
    tls.process_new_packets()?;
    match tls.reader().read_to_end(into) {
        Ok(_) => Ok(()),
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(()),
        Err(error) => Err(error.into()),
    }
}

/// Kind, length of the head and length of the payload of the frame that begins here.
fn head_of(bytes: &[u8]) -> Option<(u8, usize, usize)> {
    let (kind, short) = (*bytes.first()?, *bytes.get(1)?);
    match short {
        126 => Some((kind, 4, usize::from(u16::from_be_bytes([*bytes.get(2)?, *bytes.get(3)?])))),
        127 => Some((kind, 10, usize::try_from(u64::from_be_bytes(bytes.get(2..10)?.try_into().ok()?)).ok()?)),
        len => Some((kind, 2, usize::from(len))),
    }
}

/// A text frame of a client, masked with zeros: the cheapest mask there is.
pub fn frame(payload: &[u8]) -> Vec<u8> {
    let mut frame = vec![TEXT];
    match u16::try_from(payload.len()) {
        Ok(len) if len < 126 => frame.push(0x80 | len as u8),
        Ok(len) => {
            frame.push(0x80 | 126);
            frame.extend(len.to_be_bytes());
        }
        Err(_) => {
            frame.push(0x80 | 127);
            frame.extend((payload.len() as u64).to_be_bytes());
        }
    }
    frame.extend([0; 4]);
    frame.extend(payload);
    frame
}

const TEXT: u8 = 0x81;
const PING: u8 = 0x89;
const PONG: u8 = 0x8a;
const RAW_LEN: usize = 64 * 1024;
