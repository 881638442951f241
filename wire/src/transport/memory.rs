//! Byte streams in memory: duplex pipes with the manners of a non-blocking socket, and a dialer that makes them.
//!
//! For tests, virtual worlds and benches: no sockets, no system calls, no time; the same seed chops the same way. Bytes
//! arrive at once and in order; delay is the world's business. Both ends live on one thread.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::fmt;
use std::io::{self, ErrorKind, Read, Write};
use std::net::SocketAddr;
use std::rc::Rc;

use super::Dialer;

/// One end of a duplex pipe: reads what the other end wrote; `WouldBlock` when there is nothing to read or no room.
pub struct Pipe {
    shared: Rc<RefCell<Shared>>,
    /// Which of the two ends this is: reads lane `side`, writes lane `1 - side`.
    side: usize,
}

/// How a pipe behaves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PipeOptions {
    /// Bytes that fit each way before a write answers `WouldBlock`.
    pub capacity: usize,
    /// Chops what the dialling end reads.
    pub chop_near: Option<Chop>,
    /// Chops what the far end reads.
    pub chop_far: Option<Chop>,
}

/// Reads in small pieces: every read gives at least one byte and at most `len_max`, or now and then `WouldBlock`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Chop {
    /// Decides the lengths.
    pub seed: u64,
    /// Longest piece; 1 gives single bytes.
    pub len_max: usize,
}

/// How a pipe can break.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cut {
    /// Both ends may read what was written, then the end of the stream; writes fail.
    Ended,
    /// Both ends fail at once; what was on the way is lost.
    Reset,
    /// Half-open: writes seem to succeed and are lost, nothing arrives any more.
    Silent,
}

/// A duplex pipe; the first end is the one that dialled.
pub fn pipe(options: &PipeOptions) -> (Pipe, Pipe) {
    assert!(options.capacity > 0, "a pipe needs room");
    let lane = |chop: Option<Chop>| Lane {
        bytes: VecDeque::with_capacity(options.capacity.min(LANE_LEN_FIRST)),
        chop: chop.map(|chop| (fastrand::Rng::with_seed(chop.seed), chop.len_max.max(1))),
    };
    let lanes = [lane(options.chop_near), lane(options.chop_far)];
    let shared = Shared { lanes, gone: [false; 2], capacity: options.capacity, cut: None };
    let shared = Rc::new(RefCell::new(shared));
    (Pipe { shared: Rc::clone(&shared), side: 0 }, Pipe { shared, side: 1 })
}

impl Pipe {
    /// Breaks the pipe, for both ends.
    pub fn cut(&self, how: Cut) {
        let mut shared = self.shared.borrow_mut();
        shared.cut = Some(how);
        if how != Cut::Ended {
            shared.lanes.iter_mut().for_each(|lane| lane.bytes.clear());
        }
    }

    /// Would a read say anything but that nothing has come, or is there no room to write? Who asks spares the read.
    pub fn has_news(&self) -> bool {
        let shared = self.shared.borrow();
        let [here, there] = [&shared.lanes[self.side], &shared.lanes[1 - self.side]];
        let is_over = shared.gone[1 - self.side] || shared.cut.is_some();
        is_over || !here.bytes.is_empty() || there.bytes.len() >= shared.capacity
    }

    /// How many bytes wait for this end to read.
    pub fn waiting(&self) -> usize {
        self.shared.borrow().lanes[self.side].bytes.len()
    }
}

impl Read for Pipe {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let mut shared = self.shared.borrow_mut();
        let other_gone = shared.gone[1 - self.side];
        let cut = shared.cut;
        let lane = &mut shared.lanes[self.side];
        match cut {
            Some(Cut::Reset) => return Err(ErrorKind::ConnectionReset.into()),
            Some(Cut::Silent) => return Err(ErrorKind::WouldBlock.into()),
            Some(Cut::Ended) if lane.bytes.is_empty() => return Ok(0),
            None if lane.bytes.is_empty() && other_gone => return Ok(0),
            None | Some(Cut::Ended) => {}
        }
        if lane.bytes.is_empty() {
            return Err(ErrorKind::WouldBlock.into());
        }
        let mut len = into.len();
        if let Some((rng, len_max)) = &mut lane.chop {
            if rng.u8(..) < PAUSE_OF_256 {
                return Err(ErrorKind::WouldBlock.into());
            }
            len = len.min(rng.usize(1..=*len_max));
        }
        // Single bytes are what the most chopped worlds spend their time on.
        if let [only] = &mut into[..len]
            && let Some(byte) = lane.bytes.pop_front()
        {
            *only = byte;
            return Ok(1);
        }
        lane.bytes.read(&mut into[..len])
    }
}

impl Write for Pipe {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut shared = self.shared.borrow_mut();
        match shared.cut {
            Some(Cut::Reset) => return Err(ErrorKind::ConnectionReset.into()),
            Some(Cut::Ended) => return Err(ErrorKind::BrokenPipe.into()),
            Some(Cut::Silent) => return Ok(bytes.len()),
            None if shared.gone[1 - self.side] => return Err(ErrorKind::BrokenPipe.into()),
            None => {}
        }
        let capacity = shared.capacity;
        let lane = &mut shared.lanes[1 - self.side];
        let room = capacity - lane.bytes.len();
        if room == 0 && !bytes.is_empty() {
            return Err(ErrorKind::WouldBlock.into());
        }
        lane.bytes.write(&bytes[..bytes.len().min(room)])
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Drop for Pipe {
    fn drop(&mut self) {
        self.shared.borrow_mut().gone[self.side] = true;
    }
}

impl fmt::Debug for Pipe {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Pipe(side {}, {} waiting)", self.side, self.waiting())
    }
}

impl Default for PipeOptions {
    fn default() -> PipeOptions {
        PipeOptions { capacity: CAPACITY_DEFAULT, chop_near: None, chop_far: None }
    }
}

struct Shared {
    lanes: [Lane; 2],
    gone: [bool; 2],
    capacity: usize,
    cut: Option<Cut>,
}

/// Bytes on their way to one end.
struct Lane {
    bytes: VecDeque<u8>,
    chop: Option<(fastrand::Rng, usize)>,
}

/// Dials pipes and keeps their far ends for a server to accept. Clones share everything: one for the `Connection`, one
/// for the world.
#[derive(Clone)]
pub struct MemoryDialer {
    net: Rc<RefCell<Net>>,
}

/// What dialling comes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// Connects at once.
    Accept,
    /// Refused at once.
    Refuse,
    /// Never connects.
    Hang,
}

struct Net {
    options: PipeOptions,
    answer: Answer,
    dialled: u64,
    accepted: VecDeque<(SocketAddr, Pipe)>,
}

impl MemoryDialer {
    /// A network that accepts everybody.
    pub fn new(options: PipeOptions) -> MemoryDialer {
        let net = Net { options, answer: Answer::Accept, dialled: 0, accepted: VecDeque::new() };
        MemoryDialer { net: Rc::new(RefCell::new(net)) }
    }

    /// The far end of the oldest connection not yet accepted, and the address that was dialled.
    pub fn accept(&self) -> Option<(SocketAddr, Pipe)> {
        self.net.borrow_mut().accepted.pop_front()
    }

    /// How dialling is answered from now on; attempts that hang go on hanging.
    pub fn set_answer(&self, answer: Answer) {
        self.net.borrow_mut().answer = answer;
    }

    /// How often was dialled so far.
    pub fn dialled(&self) -> u64 {
        self.net.borrow().dialled
    }
}

impl Dialer for MemoryDialer {
    type Stream = MemoryStream;

    fn dial(&mut self, address: SocketAddr) -> io::Result<MemoryStream> {
        let mut net = self.net.borrow_mut();
        net.dialled += 1;
        match net.answer {
            Answer::Refuse => Err(ErrorKind::ConnectionRefused.into()),
            Answer::Hang => Ok(MemoryStream { pipe: pipe(&net.options).0, connected: false }),
            Answer::Accept => {
                let mut options = net.options.clone();
                // Each connection chops differently, and still the same in every run.
                for chop in [&mut options.chop_near, &mut options.chop_far].into_iter().flatten() {
                    chop.seed = chop.seed.wrapping_add(net.dialled << 8);
                }
                let (near, far) = pipe(&options);
                net.accepted.push_back((address, far));
                Ok(MemoryStream { pipe: near, connected: true })
            }
        }
    }

    fn connected(&mut self, stream: &mut MemoryStream) -> io::Result<bool> {
        Ok(stream.connected)
    }
}

impl fmt::Debug for MemoryDialer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let net = self.net.borrow();
        write!(f, "MemoryDialer({:?}, {} dialled, {} not accepted)", net.answer, net.dialled, net.accepted.len())
    }
}

/// The near end of a pipe, as a dialler sees it.
#[derive(Debug)]
pub struct MemoryStream {
    pipe: Pipe,
    connected: bool,
}

impl Read for MemoryStream {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        self.pipe.read(into)
    }
}

impl Write for MemoryStream {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.pipe.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Like a socket buffer.
const CAPACITY_DEFAULT: usize = 256 * 1024;
/// Room that a lane has from the start; it grows up to its capacity.
const LANE_LEN_FIRST: usize = 64 * 1024;
/// A chopped read answers `WouldBlock` this often of 256.
const PAUSE_OF_256: u8 = 32;

#[cfg(test)]
mod tests {
    use super::*;

    fn kind(result: io::Result<usize>) -> ErrorKind {
        result.unwrap_err().kind()
    }

    #[test]
    fn bytes_cross_in_order_and_an_empty_or_full_pipe_would_block() {
        let (mut near, mut far) = pipe(&PipeOptions { capacity: 4, ..PipeOptions::default() });
        let mut buffer = [0; 8];
        assert_eq!(kind(near.read(&mut buffer)), ErrorKind::WouldBlock);
        assert!(!near.has_news() && !far.has_news());
        assert_eq!(near.write(b"abcdef").unwrap(), 4);
        assert_eq!(kind(near.write(b"ef")), ErrorKind::WouldBlock);
        assert!(near.has_news() && far.has_news(), "one has no room, the other has something to read");
        assert_eq!(far.read(&mut buffer).unwrap(), 4);
        assert_eq!(&buffer[..4], b"abcd");
        assert!(!near.has_news() && !far.has_news());
        drop(near);
        assert!(far.has_news(), "the end is news");
        assert_eq!(far.read(&mut buffer).unwrap(), 0);
        assert_eq!(kind(far.write(b"x")), ErrorKind::BrokenPipe);
    }

    #[test]
    fn a_chopped_pipe_gives_every_byte_and_the_same_pieces_for_the_same_seed() {
        let pieces = |seed| {
            let (mut near, mut far) =
                pipe(&PipeOptions { chop_far: Some(Chop { seed, len_max: 5 }), ..PipeOptions::default() });
            assert_eq!(near.write(b"the quick brown fox").unwrap(), 19);
            let (mut all, mut pieces, mut buffer) = (Vec::new(), Vec::new(), [0; 64]);
            while far.waiting() > 0 {
                let len = far.read(&mut buffer).unwrap_or(0);
                all.extend_from_slice(&buffer[..len]);
                pieces.push(len);
            }
            assert_eq!(all, b"the quick brown fox");
            pieces
        };
        assert_eq!(pieces(7), pieces(7));
        assert!(pieces(7).iter().all(|&len| len <= 5));
    }

    #[test]
    fn a_cut_pipe_ends_resets_or_falls_silent() {
        let mut buffer = [0; 8];
        for (cut, read, write) in [
            (Cut::Ended, Ok(1), Err(ErrorKind::BrokenPipe)),
            (Cut::Reset, Err(ErrorKind::ConnectionReset), Err(ErrorKind::ConnectionReset)),
            (Cut::Silent, Err(ErrorKind::WouldBlock), Ok(3)),
        ] {
            let (mut near, mut far) = pipe(&PipeOptions::default());
            near.write_all(b"a").unwrap();
            far.cut(cut);
            assert_eq!(far.read(&mut buffer).map_err(|error| error.kind()), read, "{cut:?}");
            assert_eq!(near.write(b"abc").map_err(|error| error.kind()), write, "{cut:?}");
        }
    }
}
