//! The TCP stream of a connection, with reins: it can be cut after any byte or made to dribble, and it notes when bytes
//! were read and written.
//!
//! Lies beneath TLS, where a cut falls into the middle of records and a stamp is next to the system call. Never changes a
//! byte. The exchange's thread.

use std::io::{self, ErrorKind};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use optiflow_base::clock::{Clock, Nanos, RealClock, nanos_of};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::Sleep;

/// A stream that follows its reins.
pub struct Reined<S> {
    stream: S,
    reins: Reins,
    clock: RealClock,
    pause: Option<Pin<Box<Sleep>>>,
}

/// What steers a stream from outside. One thread holds all of it; the library only wants to be able to send it.
#[derive(Clone, Debug)]
pub struct Reins(Arc<State>);

#[derive(Debug)]
struct State {
    /// Bytes that still leave.
    room: AtomicU64,
    /// How long each byte takes, ns.
    pause: AtomicU64,
    /// When bytes came in last.
    read_at: AtomicU64,
    /// The next write is to be noted, and when it was made.
    is_awaited: AtomicBool,
    wrote_at: AtomicU64,
}

impl<S> Reined<S> {
    /// A stream on loose reins.
    pub fn new(stream: S, clock: RealClock) -> Reined<S> {
        let zero = || AtomicU64::new(0);
        let (room, is_awaited) = (AtomicU64::new(u64::MAX), AtomicBool::new(false));
        let state = State { room, pause: zero(), read_at: zero(), is_awaited, wrote_at: zero() };
        Reined { stream, reins: Reins(Arc::new(state)), clock, pause: None }
    }

    /// Its reins.
    pub fn reins(&self) -> Reins {
        self.reins.clone()
    }
}

impl Reins {
    /// Lets so many more bytes leave; writing then fails.
    pub fn cut_after(&self, bytes: usize) {
        self.0.room.store(bytes as u64, Relaxed);
    }

    /// From now on every byte waits so long before it leaves.
    pub fn slow_down(&self, pause: Duration) {
        self.0.pause.store(nanos_of(pause), Relaxed);
    }

    /// From now on bytes leave at once.
    pub fn speed_up(&self) {
        self.0.pause.store(0, Relaxed);
    }

    /// When bytes were last read: right after the system call.
    pub fn read_at(&self) -> Nanos {
        Nanos(self.0.read_at.load(Relaxed))
    }

    /// The next write is to be noted.
    pub fn await_write(&self) {
        self.0.wrote_at.store(0, Relaxed);
        self.0.is_awaited.store(true, Relaxed);
    }

    /// When the awaited write was made: right before the system call. Nothing when there was none.
    pub fn wrote_at(&self) -> Option<Nanos> {
        Some(Nanos(self.0.wrote_at.load(Relaxed))).filter(|at| at.0 > 0)
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Reined<S> {
    fn poll_read(mut self: Pin<&mut Self>, context: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let read = Pin::new(&mut self.stream).poll_read(context, into);
        if read.is_ready() {
            self.reins.0.read_at.store(self.clock.now().0, Relaxed);
        }
        read
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Reined<S> {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let state = &this.reins.0;
        let room = state.room.load(Relaxed);
        if room == 0 {
            return Poll::Ready(Err(ErrorKind::BrokenPipe.into()));
        }
        let mut len = bytes.len().min(usize::try_from(room).unwrap_or(usize::MAX));
        let pause = state.pause.load(Relaxed);
        if pause > 0 {
            // The timer knows whole milliseconds: faster than that, several bytes leave at once.
            let wait = Duration::from_nanos(pause).max(TIMER_STEP);
            let sleep = this.pause.get_or_insert_with(|| Box::pin(tokio::time::sleep(wait)));
            ready!(sleep.as_mut().poll(context));
            this.pause = None;
            let at_once = usize::try_from(nanos_of(wait) / pause).unwrap_or(usize::MAX);
            len = len.min(at_once.max(1));
        }
        if state.is_awaited.swap(false, Relaxed) {
            state.wrote_at.store(this.clock.now().0, Relaxed);
        }
        let written = ready!(Pin::new(&mut this.stream).poll_write(context, &bytes[..len]))?;
        if room < u64::MAX {
            state.room.store(room - written as u64, Relaxed);
        }
        Poll::Ready(Ok(written))
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

/// The finest that the runtime's timer can wait.
const TIMER_STEP: Duration = Duration::from_millis(1);
