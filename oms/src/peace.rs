//! What all who talk to one exchange from one address know together: until when to keep silent, and the weight used.
//!
//! The exchange counts and bans by address, so what one REST client is told binds the others. Shared as atomics: REST
//! threads write, the oms stage looks at a number to see whether there is news. Never waits, never decides. Any thread.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use optiflow_base::clock::Nanos;
use optiflow_base::order::Usage;

use crate::weight::Weight;

/// The common knowledge; clones are the same one.
#[derive(Clone, Debug, Default)]
pub struct Peace {
    shared: Arc<Shared>,
}

/// A block that is in force.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Block {
    /// No request before then.
    pub until: Nanos,
    /// HTTP status that said so.
    pub status: u16,
}

#[derive(Debug, Default)]
struct Shared {
    blocked_until: AtomicU64,
    status: AtomicU32,
    /// What was used in the running minute.
    used: Weight,
    /// Weight that was told last, plus one; zero before that.
    weight: AtomicU64,
    /// When the request left whose answer told it; zero where that was not said.
    asked: AtomicU64,
    /// How often something was told that others should hear.
    news: AtomicU64,
}

impl Peace {
    /// Nothing known.
    pub fn new() -> Peace {
        Peace::default()
    }

    /// The block in force at `now`.
    pub fn block(&self, now: Nanos) -> Option<Block> {
        let until = Nanos(self.shared.blocked_until.load(Ordering::Acquire));
        let status = u16::try_from(self.shared.status.load(Ordering::Acquire)).unwrap_or_default();
        (now < until).then_some(Block { until, status })
    }

    /// The account of what is used.
    pub fn weight(&self) -> &Weight {
        &self.shared.used
    }

    /// The exchange has asked for silence; never shortens what was asked for before.
    pub fn keep(&self, block: Block) {
        if self.shared.blocked_until.fetch_max(block.until.0, Ordering::AcqRel) < block.until.0 {
            self.shared.status.store(block.status.into(), Ordering::Release);
        }
    }

    /// One who has no way of its own to tell the room that counts says what it heard.
    pub fn tell(&self, usage: &Usage) {
        if usage.weight_minute.is_none() && usage.blocked_until.is_none() {
            return;
        }
        let weight = usage.weight_minute.map_or(0, |weight| u64::from(weight) + 1);
        self.shared.asked.store(usage.asked.unwrap_or_default().0, Ordering::Release);
        self.shared.weight.store(weight, Ordering::Release);
        self.shared.news.fetch_add(1, Ordering::AcqRel);
    }

    /// What was told since `seen`, which is brought up to date.
    pub fn news(&self, now: Nanos, seen: &mut u64) -> Option<(Usage, Option<Block>)> {
        let news = self.shared.news.load(Ordering::Acquire);
        if news == *seen {
            return None;
        }
        *seen = news;
        let weight = self.shared.weight.load(Ordering::Acquire).checked_sub(1);
        let block = self.block(now);
        let usage = Usage {
            weight_minute: weight.and_then(|weight| u32::try_from(weight).ok()),
            blocked_until: block.map(|block| block.until),
            asked: Some(Nanos(self.shared.asked.load(Ordering::Acquire))).filter(|asked| *asked > Nanos(0)),
            ..Usage::default()
        };
        Some((usage, block))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_block_binds_everybody_and_is_never_shortened() {
        let (one, other) = {
            let one = Peace::new();
            (one.clone(), one)
        };
        one.keep(Block { until: Nanos(50), status: 418 });
        other.keep(Block { until: Nanos(20), status: 429 });
        assert_eq!(other.block(Nanos(49)), Some(Block { until: Nanos(50), status: 418 }));
        assert_eq!(one.block(Nanos(50)), None);
    }

    #[test]
    fn what_is_told_is_news_once() {
        let (peace, mut seen) = (Peace::new(), 0);
        assert_eq!(peace.news(Nanos(0), &mut seen), None);
        peace.tell(&Usage::default());
        assert_eq!(peace.news(Nanos(0), &mut seen), None, "nothing was said");
        peace.tell(&Usage { weight_minute: Some(0), ..Usage::default() });
        let (usage, block) = peace.news(Nanos(0), &mut seen).unwrap();
        assert_eq!((usage.weight_minute, block), (Some(0), None));
        peace.keep(Block { until: Nanos(9), status: 429 });
        peace.tell(&Usage { blocked_until: Some(Nanos(9)), ..Usage::default() });
        let (usage, block) = peace.news(Nanos(0), &mut seen).unwrap();
        assert_eq!((usage.weight_minute, usage.blocked_until), (None, Some(Nanos(9))));
        assert_eq!(block.map(|block| block.status), Some(429));
        assert_eq!(peace.news(Nanos(0), &mut seen), None);
    }
}
