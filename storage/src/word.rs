//! The words of `order_events.what`: one name for writing and reading, so that a reader that matches them cannot miss one.
//!
//! Never decides which is written: `rows` does. Any thread.

/// What a row of `order_events` tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum OrderWord {
    /// Risk refused it: it never left.
    Denied,
    /// The request was handed to the socket.
    Sent,
    /// The exchange has it.
    Accepted,
    /// The exchange refused it.
    Refused,
    /// Nobody knows whether the exchange has it.
    Unknown,
    /// A part, or all of it, traded.
    Filled,
    /// A cancel was handed to the socket.
    CancelSent,
    /// The cancel came to nothing.
    CancelRefused,
    /// A modify request was handed to the socket.
    ModifySent,
    /// Its price at the exchange is now this.
    Modified,
    /// The row after [`OrderWord::Modified`]: its quantity in all is now this.
    ModifiedQty,
    /// The modify request came to nothing.
    ModifyRefused,
    /// Ended by a fill.
    Done,
    /// Ended: cancelled.
    Cancelled,
    /// Ended: expired.
    Expired,
}

impl OrderWord {
    /// All of them.
    pub const ALL: [OrderWord; 15] = [
        OrderWord::Denied,
        OrderWord::Sent,
        OrderWord::Accepted,
        OrderWord::Refused,
        OrderWord::Unknown,
        OrderWord::Filled,
        OrderWord::CancelSent,
        OrderWord::CancelRefused,
        OrderWord::ModifySent,
        OrderWord::Modified,
        OrderWord::ModifiedQty,
        OrderWord::ModifyRefused,
        OrderWord::Done,
        OrderWord::Cancelled,
        OrderWord::Expired,
    ];

    /// As written.
    pub const fn name(self) -> &'static str {
        match self {
            OrderWord::Denied => "denied",
            OrderWord::Sent => "sent",
            OrderWord::Accepted => "accepted",
            OrderWord::Refused => "refused",
            OrderWord::Unknown => "unknown",
            OrderWord::Filled => "filled",
            OrderWord::CancelSent => "cancel_sent",
            OrderWord::CancelRefused => "cancel_refused",
            OrderWord::ModifySent => "modify_sent",
            OrderWord::Modified => "modified",
            OrderWord::ModifiedQty => "modified_qty",
            OrderWord::ModifyRefused => "modify_refused",
            OrderWord::Done => "done",
            OrderWord::Cancelled => "cancelled",
            OrderWord::Expired => "expired",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_word_is_listed_once_in_its_place_and_the_documentation_names_it() {
        let schema = include_str!("../../docs/schema.md");
        let row = schema.lines().find(|line| line.starts_with("| `order_events`")).unwrap();
        for (place, word) in OrderWord::ALL.into_iter().enumerate() {
            assert_eq!(word as usize, place);
            assert!(
                row.contains(&format!(" {},", word.name())) || row.contains(&format!(" {};", word.name())),
                "{word:?}"
            );
        }
        // A word that follows the last would be missing from the list.
        assert_eq!(OrderWord::Expired as usize + 1, OrderWord::ALL.len());
    }
}
