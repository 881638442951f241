//! What a strategy had to go by in a symbol, counted over a run, and so why it never asked for anything. Never decides.

/// What was heard of a symbol, and what came of it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Heard {
    /// The engine's book was in sync at some time.
    pub synced: bool,
    /// It had two sides at some time.
    pub two_sided: bool,
    /// A mark was told, by the market or derived by the exchange.
    pub marked: bool,
    /// Trades.
    pub trades: u64,
    /// Orders, cancels and modifications that the strategy asked for.
    pub decisions: u64,
}

impl Heard {
    /// Why the strategy asked for nothing; `None` when it did.
    pub const fn silence(&self) -> Option<&'static str> {
        match self {
            Heard { decisions: 1.., .. } => None,
            Heard { synced: false, .. } => {
                Some("the book was never in sync: the rows tell no levels; give depth or snapshots of it too")
            }
            Heard { two_sided: false, .. } => Some("the book never had a bid and an ask at once"),
            Heard { marked: false, .. } => Some("no mark price was ever known, and risk measures entries by it"),
            Heard { trades: 0, .. } => Some("no trade was ever told: what a strategy reads of trades stayed 0"),
            Heard { .. } => {
                Some("book, mark and trades were there: its conditions were never met, or its limits too low")
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn silence_is_told_by_what_was_missing_first() {
        let mut heard = Heard::default();
        let mut said = Vec::new();
        let steps: [fn(&mut Heard); 5] = [
            |heard| heard.synced = true,
            |heard| heard.two_sided = true,
            |heard| heard.marked = true,
            |heard| heard.trades = 1,
            |heard| heard.decisions = 1,
        ];
        for step in steps {
            said.extend(heard.silence().and_then(|text| text.split_whitespace().nth(1)));
            step(&mut heard);
        }
        assert_eq!(said, ["book", "book", "mark", "trade", "mark"]);
        assert_eq!(heard.silence(), None);
    }
}
