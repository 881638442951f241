//! All that a run told its trader, as one number: equal runs have equal digests. Never anything else.

use super::orders::{Answer, Funding};

/// A running hash of the answers: FNV-1a over 64-bit words.
#[derive(Clone, Copy, Debug)]
pub(super) struct Digest {
    pub(super) state: u64,
    pub(super) answers: u64,
}

impl Digest {
    pub(super) const fn new() -> Digest {
        Digest { state: 0xcbf2_9ce4_8422_2325, answers: 0 }
    }

    pub(super) fn add(&mut self, answer: &Answer) {
        let image = &answer.image;
        let ticks = u64::from(image.tick as u32) << 32 | u64::from(image.exec_tick as u32);
        let flags = (answer.reason as u64) << 24
            | (image.status as u64) << 16
            | (answer.tells as u64) << 8
            | (image.side as u64) << 1
            | u64::from(image.maker);
        let words = [
            answer.local_ns as u64,
            image.exchange_ns as u64,
            image.id,
            ticks,
            flags,
            image.qty as u64,
            image.leaves as u64,
            image.exec_qty as u64,
        ];
        self.mix(&words);
        self.answers += 1;
    }

    pub(super) fn fund(&mut self, funding: &Funding) {
        let received = funding.received.units();
        let words = [funding.local_ns as u64, funding.exchange_ns as u64, received as u64, (received >> 64) as u64];
        self.mix(&words);
    }

    fn mix(&mut self, words: &[u64]) {
        for word in words {
            self.state = (self.state ^ word).wrapping_mul(0x0000_0100_0000_01b3);
            self.state ^= self.state >> 29;
        }
    }
}
