//! A byte stream that can be cut after any byte or made to dribble: how the far end carries out what the exchange's liar
//! decides.
//!
//! Lies beneath TLS, where a cut falls into the middle of records. Loses no byte unless told to cut. Single thread.

use std::collections::VecDeque;
use std::io::{self, Read, Write};
use std::time::Duration;

use optiflow_base::clock::Nanos;

/// A stream on a leash.
#[derive(Debug)]
pub struct Leash<S> {
    stream: S,
    /// How many bytes still leave; without limit when there is none.
    room: Option<usize>,
    /// Bytes that leave one by one, and whatever was written behind them.
    waiting: VecDeque<u8>,
    is_slow: bool,
    pause: Duration,
    next: Nanos,
}

impl<S: Write> Leash<S> {
    /// A stream to which nothing happens.
    pub const fn new(stream: S) -> Leash<S> {
        let waiting = VecDeque::new();
        Leash { stream, room: None, waiting, is_slow: false, pause: Duration::ZERO, next: Nanos(0) }
    }

    /// What it is on.
    pub const fn get_ref(&self) -> &S {
        &self.stream
    }

    /// Lets so many more bytes leave and swallows what comes after them.
    pub fn cut_after(&mut self, bytes: usize) {
        self.room = Some(bytes);
    }

    /// What is written from now on leaves byte by byte, the first after a pause; behind bytes that still wait at their
    /// pace.
    pub fn slow_down(&mut self, now: Nanos, pause: Duration) {
        if self.waiting.is_empty() {
            (self.next, self.pause) = (now + pause, pause);
        }
        self.is_slow = true;
    }

    /// When the last of so many bytes leaves, if they are written now.
    pub fn leaves_at(&self, now: Nanos, len: usize) -> Nanos {
        let ahead = self.waiting.len() + len;
        let pauses = u32::try_from(ahead.saturating_sub(1)).unwrap_or(u32::MAX);
        if self.waiting.is_empty() { now } else { self.next.max(now) + self.pause * pauses }
    }

    /// What is written from now on leaves at once, behind what still waits.
    pub const fn speed_up(&mut self) {
        self.is_slow = false;
    }

    /// Lets the bytes leave whose time has come.
    ///
    /// # Errors
    /// What the stream says.
    pub fn step(&mut self, now: Nanos) -> io::Result<()> {
        while self.next <= now
            && let Some(&byte) = self.waiting.front()
        {
            if self.stream.write(&[byte])? == 0 {
                return Ok(());
            }
            self.waiting.pop_front();
            self.next = self.next + self.pause;
        }
        Ok(())
    }
}

impl<S: Read> Read for Leash<S> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        self.stream.read(into)
    }
}

impl<S: Write> Write for Leash<S> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.is_slow || !self.waiting.is_empty() {
            self.waiting.extend(bytes);
            return Ok(bytes.len());
        }
        let Some(room) = &mut self.room else { return self.stream.write(bytes) };
        if *room == 0 {
            return Ok(bytes.len());
        }
        let written = self.stream.write(&bytes[..bytes.len().min(*room)])?;
        *room -= written;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.stream.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_behind_a_cut_are_swallowed() {
        let mut leash = Leash::new(Vec::new());
        leash.write_all(b"whole").unwrap();
        leash.cut_after(3);
        leash.write_all(b"part").unwrap();
        leash.write_all(b"nothing").unwrap();
        assert_eq!(leash.stream, b"wholepar");
    }

    #[test]
    fn bytes_dribble_and_later_ones_wait_behind_them() {
        let mut leash = Leash::new(Vec::new());
        let at = Nanos::from_millis;
        leash.slow_down(at(10), Duration::from_millis(2));
        leash.write_all(b"abc").unwrap();
        leash.speed_up();
        let later = leash.leaves_at(at(10), 1);
        leash.write_all(b"d").unwrap();
        let mut seen = Vec::new();
        for ms in 10..=20 {
            leash.step(at(ms)).unwrap();
            seen.push(leash.stream.len());
        }
        assert_eq!(seen, [0, 0, 1, 1, 2, 2, 3, 3, 4, 4, 4]);
        assert_eq!((later, leash.leaves_at(at(20), 1)), (at(18), at(20)));
        leash.write_all(b"e").unwrap();
        assert_eq!(leash.stream, b"abcde", "nothing waits any more: at once");
    }
}
