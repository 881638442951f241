//! The account's listen key: one at a time, alive for an hour after it was last asked for.

use std::time::Duration;

use optiflow_base::clock::Nanos;

/// Makes listen keys and lets them expire.
#[derive(Debug)]
pub struct ListenKey {
    seed: u64,
    current: Option<Current>,
}

#[derive(Debug)]
struct Current {
    key: String,
    expires: Nanos,
}

impl ListenKey {
    /// No key yet.
    pub const fn new(seed: u64) -> ListenKey {
        ListenKey { seed, current: None }
    }

    /// The key that is alive, its hour begun anew; a new one when none is.
    pub fn start(&mut self, now: Nanos) -> String {
        if let Some(key) = self.keep(now) {
            return key;
        }
        // Time goes into the key, so that a restarted exchange does not honour the keys of the one before.
        let mut random = fastrand::Rng::with_seed(self.seed ^ now.0);
        let key: String = (0..KEY_LEN).map(|_| random.alphanumeric()).collect();
        self.current = Some(Current { key: key.clone(), expires: now + VALIDITY });
        key
    }

    /// Begins the hour of the key anew; `None` when none is alive.
    pub fn keep(&mut self, now: Nanos) -> Option<String> {
        let current = self.current.as_mut().filter(|current| now < current.expires)?;
        current.expires = now + VALIDITY;
        Some(current.key.clone())
    }

    /// Lets the key's hour end at `now`.
    pub fn hasten(&mut self, now: Nanos) {
        if let Some(current) = &mut self.current {
            current.expires = now;
        }
    }

    /// Forgets the key.
    pub fn close(&mut self) {
        self.current = None;
    }

    /// The key that is alive.
    pub fn current(&self) -> Option<&str> {
        self.current.as_ref().map(|current| current.key.as_str())
    }

    /// When the key expires.
    pub fn expires(&self) -> Option<Nanos> {
        self.current.as_ref().map(|current| current.expires)
    }

    /// The key, if it has just expired.
    pub fn expire(&mut self, now: Nanos) -> Option<String> {
        self.current.take_if(|current| now >= current.expires).map(|current| current.key)
    }
}

const KEY_LEN: usize = 64;
const VALIDITY: Duration = Duration::from_secs(60 * 60);

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: u64 = 60_000;

    fn at(minutes: u64) -> Nanos {
        Nanos::from_millis(minutes * MINUTE)
    }

    #[test]
    fn the_same_key_is_returned_while_it_lives() {
        let mut keys = ListenKey::new(7);
        assert_eq!(keys.keep(at(0)), None);
        let first = keys.start(at(0));
        assert_eq!(first.len(), KEY_LEN);
        assert_eq!(keys.start(at(50)), first);
        assert_eq!(keys.keep(at(109)), Some(first.clone()));
        assert_eq!(keys.expires(), Some(at(169)));
        assert_eq!(keys.expire(at(168)), None);
        assert_eq!(keys.expire(at(169)), Some(first.clone()));
        assert_eq!(keys.current(), None);
        assert_ne!(keys.start(at(170)), first);
    }

    #[test]
    fn a_closed_key_is_not_alive_and_does_not_expire() {
        let mut keys = ListenKey::new(7);
        keys.start(at(0));
        keys.close();
        assert_eq!(keys.keep(at(1)), None);
        assert_eq!(keys.expire(at(100)), None);
    }

    #[test]
    fn keys_follow_from_seed_and_time() {
        let key = |seed, minutes| ListenKey::new(seed).start(at(minutes));
        assert_eq!(key(1, 1), key(1, 1));
        assert_ne!(key(1, 1), key(1, 2));
    }
}
