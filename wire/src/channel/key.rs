//! The key of one direction of a TLS 1.3 connection, and the number of its next record (RFC 8446 §5.2, §5.3).

use ring::aead::{AES_128_GCM, AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, Tag, UnboundKey};
use rustls::ConnectionTrafficSecrets;

use super::records::HEADER_LEN;

/// The key of one direction. A number is used once; nothing here shows a secret.
pub(super) struct Key {
    key: LessSafeKey,
    iv: [u8; NONCE_LEN],
    sequence: u64,
}

impl Key {
    #[allow(clippy::wildcard_enum_match_arm, reason = "the enum is foreign and non-exhaustive")]
    pub(super) fn new(sequence: u64, secrets: &ConnectionTrafficSecrets) -> Option<Key> {
        let (algorithm, key, iv) = match secrets {
            ConnectionTrafficSecrets::Aes128Gcm { key, iv } => (&AES_128_GCM, key, iv),
            ConnectionTrafficSecrets::Aes256Gcm { key, iv } => (&AES_256_GCM, key, iv),
            _ => return None,
        };
        let key = LessSafeKey::new(UnboundKey::new(algorithm, key.as_ref()).ok()?);
        Some(Key { key, iv: iv.as_ref().try_into().ok()?, sequence })
    }

    /// How many records have had a number.
    pub(super) fn sequence(&self) -> u64 {
        self.sequence
    }

    /// Seals the inside of a record where it is: its tag (§5.2).
    #[inline]
    pub(super) fn seal(&mut self, header: [u8; HEADER_LEN], inner: &mut [u8]) -> Option<Tag> {
        let nonce = self.nonce();
        self.key.seal_in_place_separate_tag(nonce, Aad::from(header), inner).ok()
    }

    /// Opens what begins at `sealed_at` and ends with `bytes`; it moves to the front of `bytes`. `None` when it is not
    /// what the peer sealed: then nothing of it may be used.
    #[inline]
    pub(super) fn open<'a>(
        &mut self,
        header: [u8; HEADER_LEN],
        bytes: &'a mut [u8],
        sealed_at: usize,
    ) -> Option<&'a mut [u8]> {
        let nonce = self.nonce();
        self.key.open_within(nonce, Aad::from(header), bytes, sealed_at..).ok()
    }

    /// The next nonce (§5.3): the number of the record, over the initialization vector.
    #[inline]
    fn nonce(&mut self) -> Nonce {
        assert!(self.sequence < u64::MAX, "no number is used twice");
        let mut nonce = self.iv;
        for (byte, number) in nonce[NONCE_LEN - 8..].iter_mut().zip(self.sequence.to_be_bytes()) {
            *byte ^= number;
        }
        self.sequence += 1;
        Nonce::assume_unique_for_key(nonce)
    }
}
