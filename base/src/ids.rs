//! Identities: symbols, our order ids, the exchange's ids.
//!
//! An [`OrderId`] is ours and never reused: a persisted epoch (one per session) and a counter. Its text form is what
//! the exchange sees as client order id, so a restart finds our orders among all open ones by the prefix.

use std::fmt;

use arrayvec::ArrayString;

/// Index of a symbol within this session's configuration.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SymbolId(pub u16);

impl SymbolId {
    /// As an index into per-symbol tables.
    pub const fn index(self) -> usize {
        self.0 as usize
    }
}

/// Text of a venue symbol such as `BTCUSDT`.
pub type SymbolName = ArrayString<24>;

/// Our order id: the session's epoch in the high half, a counter in the low half.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct OrderId(u64);

/// Every client order id of ours begins with this.
pub const ORDER_PREFIX: &str = "of-";
/// Length of every client order id of ours: fixed, so that request templates are patched in place.
pub const ORDER_TEXT_LEN: usize = ORDER_PREFIX.len() + 8 + 1 + 8;

impl OrderId {
    /// The `counter`-th order of session `epoch`.
    pub const fn new(epoch: u32, counter: u32) -> OrderId {
        OrderId((epoch as u64) << 32 | counter as u64)
    }

    /// Which session made it.
    pub const fn epoch(self) -> u32 {
        (self.0 >> 32) as u32
    }

    /// Which order of the session.
    pub const fn counter(self) -> u32 {
        self.0 as u32
    }

    /// Both as one integer, for storage.
    pub const fn raw(self) -> u64 {
        self.0
    }

    /// The client order id: `of-` + epoch + `-` + counter, both eight hex digits.
    #[inline]
    pub fn text(self) -> [u8; ORDER_TEXT_LEN] {
        let mut text = [0; ORDER_TEXT_LEN];
        text[..3].copy_from_slice(ORDER_PREFIX.as_bytes());
        text[3..11].copy_from_slice(&hex8(self.epoch()));
        text[11] = b'-';
        text[12..20].copy_from_slice(&hex8(self.counter()));
        text
    }

    /// Reads a client order id; `None` when it is not one of ours.
    pub fn parse(text: &[u8]) -> Option<OrderId> {
        let rest = text.strip_prefix(ORDER_PREFIX.as_bytes())?;
        if rest.len() != 17 || rest[8] != b'-' {
            return None;
        }
        Some(OrderId::new(from_hex8(&rest[..8])?, from_hex8(&rest[9..])?))
    }
}

impl fmt::Display for OrderId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{ORDER_PREFIX}{:08x}-{:08x}", self.epoch(), self.counter())
    }
}

/// The eight hex digits of `value`, in lower case: every nibble into a byte of its own, and all made a digit at once.
#[inline]
pub const fn hex8(value: u32) -> [u8; 8] {
    const ONES: u64 = 0x0101_0101_0101_0101;
    let value = value as u64;
    let fours = (value << 16 | value) & 0x0000_ffff_0000_ffff;
    let twos = (fours << 8 | fours) & 0x00ff_00ff_00ff_00ff;
    let nibbles = (twos << 4 | twos) & (ONES * 0xf);
    let letters = (nibbles + ONES * 6) >> 4 & ONES;
    (nibbles + ONES * b'0' as u64 + letters * (b'a' - b'0' - 10) as u64).to_be_bytes()
}

fn from_hex8(text: &[u8]) -> Option<u32> {
    text.iter().try_fold(0u32, |value, byte| {
        let nibble = match byte {
            b'0'..=b'9' => byte - b'0',
            b'a'..=b'f' => byte - b'a' + 10,
            _ => return None,
        };
        Some(value << 4 | u32::from(nibble))
    })
}

/// Gives out order ids, never the same twice: the epoch must be larger than every earlier session's.
#[derive(Debug)]
pub struct OrderIds {
    epoch: u32,
    next: u32,
}

impl OrderIds {
    /// Starts the counter of session `epoch` at 1.
    pub const fn new(epoch: u32) -> OrderIds {
        OrderIds { epoch, next: 1 }
    }

    /// The next id.
    ///
    /// # Panics
    /// After four billion orders in one session.
    pub fn take(&mut self) -> OrderId {
        let id = OrderId::new(self.epoch, self.next);
        self.next += 1;
        id
    }
}

/// The exchange's own order id.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ExchangeOrderId(pub u64);

/// The exchange's trade id: with the symbol it names a fill, and a fill is booked once.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TradeId(pub u64);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn client_order_ids_read_back_and_strangers_are_refused() {
        let id = OrderId::new(0x68f0_1234, 0xff);
        let text = id.text();
        assert_eq!(&text, b"of-68f01234-000000ff");
        assert_eq!(id.to_string().as_bytes(), text);
        assert_eq!(OrderId::parse(&text), Some(id));
        for stranger in ["", "web_1234", "of-68f01234-000000f", "of-68F01234-000000ff", "of-68f01234_000000ff"] {
            assert_eq!(OrderId::parse(stranger.as_bytes()), None, "{stranger}");
        }
    }

    proptest::proptest! {
        #[test]
        fn hex_digits_are_those_of_the_standard_library(value: u32) {
            proptest::prop_assert_eq!(hex8(value).to_vec(), format!("{value:08x}").into_bytes());
        }
    }

    #[test]
    fn ids_count_up_within_their_epoch() {
        let mut ids = OrderIds::new(7);
        assert_eq!(ids.take(), OrderId::new(7, 1));
        assert_eq!(ids.take(), OrderId::new(7, 2));
    }
}
