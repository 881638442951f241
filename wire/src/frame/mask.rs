//! Mask keys: unpredictable, and ready before they are needed.
//!
//! RFC 6455 §5.3 wants keys from strong entropy. Asking the operating system for each frame would be a system call on
//! the order path, so keys are drawn a kilobyte at a time, when the connection comes up and when it is idle.

/// Keys in stock.
pub struct MaskPool {
    bytes: [u8; POOL_LEN],
    /// First byte not used yet.
    at: usize,
}

/// The operating system gave no randomness.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NoEntropy;

impl MaskPool {
    /// An empty pool.
    pub const fn new() -> MaskPool {
        MaskPool { bytes: [0; POOL_LEN], at: POOL_LEN }
    }

    /// Is it worth calling [`MaskPool::refill`] while there is time?
    pub const fn is_low(&self) -> bool {
        self.at > POOL_LEN / 2
    }

    /// Draws a fresh stock from the operating system.
    ///
    /// # Errors
    /// When it gives none; what was in stock is kept.
    pub fn refill(&mut self) -> Result<(), NoEntropy> {
        let mut fresh = [0; POOL_LEN];
        getrandom::fill(&mut fresh).map_err(|_| NoEntropy)?;
        self.bytes = fresh;
        self.at = 0;
        Ok(())
    }

    /// The next key. Draws a fresh stock only when a burst has used up the last one.
    ///
    /// # Errors
    /// When the stock is used up and the operating system gives no more.
    pub fn take(&mut self) -> Result<[u8; KEY_LEN], NoEntropy> {
        if self.at == POOL_LEN {
            self.refill()?;
        }
        let key = self.bytes[self.at..].first_chunk::<KEY_LEN>().copied().ok_or(NoEntropy)?;
        self.at += KEY_LEN;
        Ok(key)
    }
}

impl Default for MaskPool {
    fn default() -> MaskPool {
        MaskPool::new()
    }
}

/// XORs `payload` with the key, over and over; the same call again undoes it.
pub fn apply(payload: &mut [u8], key: [u8; KEY_LEN]) {
    let wide = u64::from_ne_bytes([key[0], key[1], key[2], key[3], key[0], key[1], key[2], key[3]]);
    let (words, rest) = payload.as_chunks_mut::<8>();
    for word in words {
        *word = (u64::from_ne_bytes(*word) ^ wide).to_ne_bytes();
    }
    for (byte, key) in rest.iter_mut().zip(wide.to_ne_bytes()) {
        *byte ^= key;
    }
}

/// Bytes of a key.
pub const KEY_LEN: usize = 4;
/// Bytes of a stock: 256 frames.
const POOL_LEN: usize = 1024;
const _: () = assert!(POOL_LEN.is_multiple_of(KEY_LEN), "no key straddles the end of the stock");

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn masking_is_the_bytewise_definition_at_every_length() {
        let key = [0x37, 0xfa, 0x21, 0x3d];
        for len in 0..40u8 {
            let plain: Vec<u8> = (0..len).collect();
            let expected: Vec<u8> = plain.iter().enumerate().map(|(at, byte)| byte ^ key[at % 4]).collect();
            let mut masked = plain.clone();
            apply(&mut masked, key);
            assert_eq!(masked, expected);
            apply(&mut masked, key);
            assert_eq!(masked, plain);
        }
    }

    #[test]
    fn the_pool_gives_different_keys_and_refills_itself() {
        let mut pool = MaskPool::new();
        assert!(pool.is_low());
        let mut keys: Vec<_> = (0..600).map(|_| pool.take().unwrap()).collect();
        keys.sort_unstable();
        keys.dedup();
        assert!(keys.len() > 590, "600 random keys of 32 bits hardly ever repeat");
        pool.refill().unwrap();
        assert!(!pool.is_low());
    }
}
