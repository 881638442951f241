//! Single-producer single-consumer rings between rooms: rtrb, with a name.
//!
//! A full ring gives the value back: what that means is the sender's named policy, never a silent drop.
//! Wait-free, bounded, allocated once at start. Each end lives on one thread.

use std::fmt;

/// A bounded ring of `len` values; both ends carry `name` into every message about them.
pub fn ring<T>(name: &'static str, len: usize) -> (Tx<T>, Rx<T>) {
    assert!(len > 0, "ring {name} needs room");
    let (producer, consumer) = rtrb::RingBuffer::new(len);
    (Tx { name, producer }, Rx { name, consumer })
}

/// The writing end.
pub struct Tx<T> {
    name: &'static str,
    producer: rtrb::Producer<T>,
}

/// The reading end.
pub struct Rx<T> {
    name: &'static str,
    consumer: rtrb::Consumer<T>,
}

impl<T> Tx<T> {
    /// Hands the value over, or gives it back when the ring is full.
    pub fn push(&mut self, value: T) -> Result<(), T> {
        self.producer.push(value).map_err(|rtrb::PushError::Full(value)| value)
    }

    /// How many values fit now.
    pub fn free(&self) -> usize {
        self.producer.slots()
    }

    /// Is the reading end still there?
    pub fn is_heard(&self) -> bool {
        !self.producer.is_abandoned()
    }

    /// The ring's name.
    pub const fn name(&self) -> &'static str {
        self.name
    }
}

impl<T> Rx<T> {
    /// Takes the oldest value.
    pub fn pop(&mut self) -> Option<T> {
        self.consumer.pop().ok()
    }

    /// How many values wait.
    pub fn len(&self) -> usize {
        self.consumer.slots()
    }

    /// Does nothing wait?
    pub fn is_empty(&self) -> bool {
        self.consumer.is_empty()
    }

    /// The ring's name.
    pub const fn name(&self) -> &'static str {
        self.name
    }
}

impl<T> fmt::Debug for Tx<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Tx({}, {} free)", self.name, self.free())
    }
}

impl<T> fmt::Debug for Rx<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Rx({}, {} waiting)", self.name, self.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_ring_gives_the_value_back() {
        let (mut tx, mut rx) = ring("test", 1);
        assert_eq!(tx.push(1), Ok(()));
        assert_eq!(tx.push(2), Err(2));
        assert_eq!(rx.pop(), Some(1));
        assert_eq!(rx.pop(), None);
    }
}
