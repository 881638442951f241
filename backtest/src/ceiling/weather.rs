//! Connections that take time: every byte travels for some milliseconds each way, now and then much longer, in order;
//! connections are cut without a warning. A clock of the exchange's own, that drifts against ours.
//!
//! Draws from a seed; no time of its own. Single thread.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::io::{self, ErrorKind, Read, Write};
use std::net::SocketAddr;
use std::rc::{Rc, Weak};
use std::time::Duration;

use optiflow_base::clock::{Clock, Nanos, VirtualClock, nanos_of};
use optiflow_wire::transport::Dialer;
use optiflow_wire::transport::memory::{MemoryDialer, MemoryStream};

/// What travelling is like; clones are the same weather.
#[derive(Clone)]
pub struct Weather {
    clock: Rc<VirtualClock>,
    start: Nanos,
    random: Rc<RefCell<fastrand::Rng>>,
    /// Connections that may be cut.
    lines: Rc<RefCell<Vec<Weak<Cell<bool>>>>>,
}

impl Weather {
    /// The weather of a seed, beginning now.
    pub fn new(clock: Rc<VirtualClock>, seed: u64) -> Weather {
        let (start, random) = (clock.now(), Rc::new(RefCell::new(fastrand::Rng::with_seed(seed ^ WEATHER_SALT))));
        Weather { clock, start, random, lines: Rc::default() }
    }

    /// How long the next thing travels one way.
    pub fn travel(&self) -> Duration {
        let mut random = self.random.borrow_mut();
        let most = if random.u8(..) < LATE_OF_256 { TRAVEL_LATE } else { TRAVEL_USUAL };
        TRAVEL_LEAST + Duration::from_nanos(random.u64(..nanos_of(most)))
    }

    /// The exchange's clock at our `now`: it drifts to and fro.
    pub fn theirs(&self, now: Nanos) -> Nanos {
        let passed = now.since(self.start) % (2 * DRIFT_TURNS_NS);
        let away = passed.min(2 * DRIFT_TURNS_NS - passed) / DRIFT_NS_PER_NS;
        Nanos(now.0 + away - SKEW_MOST_NS)
    }

    /// Cuts one connection, drawn from those that are there.
    pub fn cut_one(&self) {
        let mut lines = self.lines.borrow_mut();
        lines.retain(|line| line.strong_count() > 0);
        if !lines.is_empty() {
            let at = self.random.borrow_mut().usize(..lines.len());
            lines[at].upgrade().iter().for_each(|line| line.set(true));
        }
    }
}

/// Dials in memory, through the weather.
pub struct SlowDialer {
    inner: MemoryDialer,
    weather: Weather,
}

impl SlowDialer {
    /// A dialer of the same network.
    pub const fn new(inner: MemoryDialer, weather: Weather) -> SlowDialer {
        SlowDialer { inner, weather }
    }
}

impl Dialer for SlowDialer {
    type Stream = SlowStream;

    fn dial(&mut self, address: SocketAddr) -> io::Result<SlowStream> {
        let (cut, weather) = (Rc::new(Cell::new(false)), self.weather.clone());
        weather.lines.borrow_mut().push(Rc::downgrade(&cut));
        let inner = Some(self.inner.dial(address)?);
        Ok(SlowStream { inner, weather, out: Lane::default(), back: Lane::default(), is_ended: false, cut })
    }

    fn connected(&mut self, stream: &mut SlowStream) -> io::Result<bool> {
        stream.inner.as_mut().map_or(Ok(false), |inner| self.inner.connected(inner))
    }
}

/// Our end of a connection.
pub struct SlowStream {
    inner: Option<MemoryStream>,
    weather: Weather,
    out: Lane,
    back: Lane,
    is_ended: bool,
    cut: Rc<Cell<bool>>,
}

/// Bytes on their way, and when which of them arrive.
#[derive(Default)]
struct Lane {
    bytes: VecDeque<u8>,
    parts: VecDeque<(Nanos, usize)>,
    last: Nanos,
}

impl Lane {
    fn send(&mut self, bytes: &[u8], now: Nanos, travel: Duration) {
        self.last = self.last.max(now + travel);
        self.bytes.extend(bytes);
        self.parts.push_back((self.last, bytes.len()));
    }

    /// Moves what has arrived.
    fn arrive(&mut self, now: Nanos, mut take: impl FnMut(&[u8]) -> usize) {
        while let Some((_, len)) = self.parts.front_mut().filter(|(due, _)| *due <= now) {
            let (piece, _) = self.bytes.as_slices();
            let piece = &piece[..piece.len().min(*len)];
            let taken = take(piece);
            if taken == 0 {
                return;
            }
            *len -= taken;
            self.bytes.drain(..taken);
            if *len == 0 {
                self.parts.pop_front();
            }
        }
    }
}

impl SlowStream {
    /// Lets bytes travel; an error when the connection was cut.
    fn travel(&mut self) -> io::Result<()> {
        if self.cut.get() {
            self.inner = None;
        }
        let Some(inner) = &mut self.inner else { return Err(ErrorKind::ConnectionReset.into()) };
        let now = self.weather.clock.now();
        // A pipe that is full or broken takes nothing.
        self.out.arrive(now, |piece| inner.write(piece).unwrap_or(0));
        let mut buffer = [0; READ_LEN];
        while !self.is_ended {
            match inner.read(&mut buffer) {
                Ok(0) => self.is_ended = true,
                Ok(len) => self.back.send(&buffer[..len], now, self.weather.travel()),
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}

impl Read for SlowStream {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        self.travel()?;
        let (now, mut read) = (self.weather.clock.now(), 0);
        self.back.arrive(now, |piece| {
            let len = piece.len().min(into.len() - read);
            into[read..read + len].copy_from_slice(&piece[..len]);
            read += len;
            len
        });
        if read > 0 || into.is_empty() || (self.is_ended && self.back.bytes.is_empty()) {
            return Ok(read);
        }
        Err(ErrorKind::WouldBlock.into())
    }
}

impl Write for SlowStream {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.cut.get() {
            return Err(ErrorKind::ConnectionReset.into());
        }
        if self.out.bytes.len() >= OUT_LEN_MAX {
            return Err(ErrorKind::WouldBlock.into());
        }
        self.out.send(bytes, self.weather.clock.now(), self.weather.travel());
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Nothing travels faster one way.
const TRAVEL_LEAST: Duration = Duration::from_millis(1);
/// And mostly no longer than this on top.
const TRAVEL_USUAL: Duration = Duration::from_millis(10);
/// Seldom so much longer.
const TRAVEL_LATE: Duration = Duration::from_millis(150);
/// How seldom, of 256.
const LATE_OF_256: u8 = 4;
/// The exchange's clock is at most this far from ours, before or behind.
const SKEW_MOST_NS: u64 = 100_000_000;
/// It drifts by one in so many: 50 ppm, more than a bad quartz.
const DRIFT_NS_PER_NS: u64 = 20_000;
/// From furthest behind to furthest before.
const DRIFT_TURNS_NS: u64 = 2 * SKEW_MOST_NS * DRIFT_NS_PER_NS;
/// Bytes on their way out before a write has to wait.
const OUT_LEN_MAX: usize = 256 * 1024;
const READ_LEN: usize = 16 * 1024;
/// Keeps the weather's draws apart from all others.
const WEATHER_SALT: u64 = 0x0077_696e_6473;

#[cfg(test)]
mod tests {
    use optiflow_wire::transport::memory::PipeOptions;

    use super::*;

    #[test]
    fn bytes_arrive_later_in_order_and_a_cut_line_is_dead() {
        let clock = Rc::new(VirtualClock::new(Nanos::from_millis(1_000)));
        let weather = Weather::new(clock.clone(), 7);
        let network = MemoryDialer::new(PipeOptions::default());
        let mut stream = SlowDialer::new(network.clone(), weather.clone()).dial(([127, 0, 0, 1], 1).into()).unwrap();
        let (_, mut far) = network.accept().unwrap();
        let mut buffer = [0; 8];
        assert_eq!((stream.write(b"ab").unwrap(), stream.write(b"cd").unwrap()), (2, 2));
        assert_eq!(stream.read(&mut buffer).unwrap_err().kind(), ErrorKind::WouldBlock);
        assert_eq!(far.read(&mut buffer).unwrap_err().kind(), ErrorKind::WouldBlock);
        clock.advance_to(Nanos::from_millis(1_400));
        let _ = stream.read(&mut buffer);
        assert_eq!((far.read(&mut buffer).unwrap(), &buffer[..4]), (4, &b"abcd"[..]));
        far.write_all(b"ef").unwrap();
        assert_eq!(stream.read(&mut buffer).unwrap_err().kind(), ErrorKind::WouldBlock);
        clock.advance_to(Nanos::from_millis(1_800));
        assert_eq!((stream.read(&mut buffer).unwrap(), &buffer[..2]), (2, &b"ef"[..]));
        weather.cut_one();
        assert_eq!(stream.read(&mut buffer).unwrap_err().kind(), ErrorKind::ConnectionReset);
        assert_eq!(far.read(&mut buffer).unwrap(), 0);
    }

    #[test]
    fn the_exchange_s_clock_never_goes_back_and_stays_near() {
        let start = Nanos::from_millis(1_000_000);
        let weather = Weather::new(Rc::new(VirtualClock::new(start)), 1);
        let theirs: Vec<Nanos> = (0..20_000).map(|s| weather.theirs(start + Duration::from_secs(s))).collect();
        assert!(theirs.is_sorted());
        let away = |(s, theirs): (u64, &Nanos)| theirs.0 as i64 - (start + Duration::from_secs(s)).0 as i64;
        let aways = || (0..).zip(&theirs).map(away);
        assert_eq!((aways().min(), aways().max()), (Some(-100_000_000), Some(100_000_000)));
    }
}
