//! The key of the user stream: asked for, kept alive, asked for again after every loss.
//!
//! A wrong key still connects and stays silent, so the stream counts only while its key has been confirmed since the
//! last loss. Pure. Runs on the oms thread.

use std::time::Duration;

use arrayvec::ArrayString;
use optiflow_base::clock::Nanos;

use super::calls::Purpose;

/// The listen key.
#[derive(Debug)]
pub struct ListenKey {
    /// Everything of the path before the key.
    prefix: String,
    key: ArrayString<KEY_LEN_MAX>,
    state: State,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// Must be asked for, not before then.
    Wanted(Nanos),
    /// Has been asked for.
    Asked,
    /// Confirmed; to be kept alive then.
    Good(Nanos),
    /// Confirmed; the keep-alive is on its way.
    Keeping,
}

/// What an answer about the key leads to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Learned {
    /// The key is the one we have.
    Same,
    /// Another key: connect with it.
    Changed,
    /// The answer cannot be used.
    Nothing,
}

impl ListenKey {
    /// No key yet; `base` is the path of the user stream's endpoint.
    pub fn new(base: &str) -> ListenKey {
        let base = base.trim_end_matches('/');
        let prefix = match base {
            "" => "/private/ws".to_owned(),
            base if base.ends_with("/ws") => base.to_owned(),
            base => format!("{base}/ws"),
        };
        ListenKey { prefix, key: ArrayString::new(), state: State::Wanted(Nanos(0)) }
    }

    /// The path to connect to; `None` until there is a key.
    pub fn path(&self) -> Option<String> {
        (!self.key.is_empty()).then(|| format!("{}/{}", self.prefix, self.key))
    }

    /// Is there a key to connect with?
    pub const fn is_known(&self) -> bool {
        !self.key.is_empty()
    }

    /// Has the key been confirmed since the last loss?
    pub const fn is_good(&self) -> bool {
        matches!(self.state, State::Good(_) | State::Keeping)
    }

    /// What is to be asked now.
    pub fn due(&self, now: Nanos) -> Option<Purpose> {
        match self.state {
            State::Wanted(at) if now >= at => Some(Purpose::ListenKey),
            State::Good(at) if now >= at => Some(Purpose::KeepAlive),
            State::Wanted(_) | State::Good(_) | State::Asked | State::Keeping => None,
        }
    }

    /// What was due has been asked.
    pub fn asked(&mut self) {
        self.state = match self.state {
            State::Wanted(_) | State::Asked => State::Asked,
            State::Good(_) | State::Keeping => State::Keeping,
        };
    }

    /// The exchange gave this key.
    pub fn given(&mut self, now: Nanos, key: &str) -> Learned {
        // It becomes part of a path: nothing that means something there.
        let plain = !key.is_empty() && key.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte));
        let Some(key) = ArrayString::from(key).ok().filter(|_| plain) else {
            self.failed(now);
            return Learned::Nothing;
        };
        self.state = State::Good(now + KEEP_EVERY);
        if key == self.key {
            return Learned::Same;
        }
        self.key = key;
        Learned::Changed
    }

    /// The keep-alive was accepted.
    pub fn kept(&mut self, now: Nanos) {
        if self.state == State::Keeping {
            self.state = State::Good(now + KEEP_EVERY);
        }
    }

    /// No usable answer: a little later again. The key may well be good.
    pub fn failed(&mut self, now: Nanos) {
        self.state = match self.state {
            State::Wanted(_) | State::Asked => State::Wanted(now + RETRY_PAUSE),
            State::Good(_) | State::Keeping => State::Good(now + RETRY_PAUSE),
        };
    }

    /// The stream was lost, or the key has expired: it must be confirmed before the stream counts again.
    pub fn lost(&mut self, now: Nanos) {
        match self.state {
            State::Good(_) | State::Keeping => self.state = State::Wanted(now),
            State::Wanted(_) | State::Asked => {}
        }
    }
}

/// Longest listen key accepted (Binance's have 64 characters).
const KEY_LEN_MAX: usize = 128;
/// A key lives 60 minutes; kept alive this often, one failure does no harm.
const KEEP_EVERY: Duration = Duration::from_secs(25 * 60);
/// After a failed question.
const RETRY_PAUSE: Duration = Duration::from_secs(2);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_follow_the_endpoint() {
        for (base, path) in [
            ("/", "/private/ws/abc"),
            ("", "/private/ws/abc"),
            ("/private", "/private/ws/abc"),
            ("/private/ws", "/private/ws/abc"),
            ("/private/ws/", "/private/ws/abc"),
            ("/ws", "/ws/abc"),
        ] {
            let mut key = ListenKey::new(base);
            assert_eq!(key.path(), None);
            assert_eq!(key.given(Nanos(0), "abc"), Learned::Changed);
            assert_eq!(key.path().as_deref(), Some(path), "{base}");
        }
    }

    #[test]
    fn a_key_is_confirmed_after_every_loss_and_kept_alive_in_time() {
        let minutes = |count: u64| Nanos(count * 60_000_000_000);
        let mut key = ListenKey::new("/");
        assert_eq!(key.due(Nanos(0)), Some(Purpose::ListenKey));
        key.asked();
        assert_eq!(key.due(minutes(9)), None);
        assert_eq!(key.given(Nanos(0), "a/../b"), Learned::Nothing);
        assert_eq!((key.due(Nanos(1)), key.is_good()), (None, false));
        assert_eq!(key.given(minutes(1), "abc"), Learned::Changed);
        assert!(key.is_good());
        assert_eq!((key.due(minutes(25)), key.due(minutes(26))), (None, Some(Purpose::KeepAlive)));
        key.asked();
        assert!(key.is_good(), "while the keep-alive is on its way");
        key.failed(minutes(26));
        assert!(key.is_good() && key.due(minutes(27)) == Some(Purpose::KeepAlive));
        key.asked();
        key.kept(minutes(27));
        assert_eq!(key.due(minutes(28)), None);
        key.lost(minutes(28));
        assert_eq!((key.is_good(), key.is_known(), key.due(minutes(28))), (false, true, Some(Purpose::ListenKey)));
        key.asked();
        assert_eq!(key.given(minutes(29), "abc"), Learned::Same);
        assert!(key.is_good());
    }
}
