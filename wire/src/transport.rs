//! The seam below TLS: something that dials and yields a non-blocking byte stream.
//!
//! [`TcpDialer`] is the real one. [`memory`] is the one of tests, worlds and benches. Never blocks: a stream answers
//! `WouldBlock` when it has nothing to give or no room to take.

pub mod memory;

use std::io::{self, Read, Write};
use std::net::SocketAddr;

use mio::net::TcpStream;

/// Opens byte streams.
pub trait Dialer {
    /// A non-blocking byte stream.
    type Stream: Read + Write;

    /// Begins to connect; the stream may not be connected yet.
    ///
    /// # Errors
    /// When connecting fails at once.
    fn dial(&mut self, address: SocketAddr) -> io::Result<Self::Stream>;

    /// Is it connected by now?
    ///
    /// # Errors
    /// When connecting has failed.
    fn connected(&mut self, stream: &mut Self::Stream) -> io::Result<bool>;
}

/// Dials TCP: non-blocking, without Nagle's delay.
#[derive(Debug, Default)]
pub struct TcpDialer;

impl Dialer for TcpDialer {
    type Stream = TcpStream;

    fn dial(&mut self, address: SocketAddr) -> io::Result<TcpStream> {
        let stream = TcpStream::connect(address)?;
        stream.set_nodelay(true)?;
        // Read back: a small order that waits for an acknowledgement of the last one is 40 ms late, in silence.
        if stream.nodelay()? { Ok(stream) } else { Err(io::Error::other("TCP_NODELAY was not accepted")) }
    }

    fn connected(&mut self, stream: &mut TcpStream) -> io::Result<bool> {
        if let Some(error) = stream.take_error()? {
            return Err(error);
        }
        match stream.peer_addr() {
            Ok(_) => Ok(true),
            Err(error) if error.kind() == io::ErrorKind::NotConnected => Ok(false),
            Err(error) => Err(error),
        }
    }
}
