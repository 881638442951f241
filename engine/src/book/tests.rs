//! Tables of events → what the book then shows.

use optiflow_base::ids::SymbolId;
use optiflow_base::market::LEVELS_LEN;

use super::*;

const SYMBOL: SymbolId = SymbolId(0);

/// Applies a script, one event a word, and shows state, touch and the first levels.
///
/// `snap:ID`, `diff:ID`, `b:PRICE=QTY`, `a:PRICE=QTY` (an `!` at the end completes the message),
/// `top:ID=BID/QTY/ASK/QTY`, `lost`.
fn run(script: &str) -> String {
    let book = built(script);
    let side = |side| {
        let levels: Vec<String> = book.levels(side).map(|level| format!("{}={}", level.price, level.qty)).collect();
        levels.join(",")
    };
    let (bids, asks) = (side(Side::Buy), side(Side::Sell));
    let flag = if book.is_tradable() { " tradable" } else { "" };
    format!("{:?}{flag} {bids} | {asks}", book.state())
}

fn built(script: &str) -> Book {
    let mut book = Book::new("0.1".parse().unwrap());
    for word in script.split_whitespace() {
        book.apply(&event(word));
    }
    book
}

#[test]
fn beyond_a_snapshot_that_was_cut_off_nothing_is_known() {
    let snapshot = |levels: u32| {
        let mut book = Book::new("0.1".parse().unwrap());
        book.apply(&event("snap:5"));
        for n in 0..levels {
            book.apply(&event(&format!("b:{:.1}=1", 1_000.0 - f64::from(n) / 10.0)));
            let end = if n + 1 == levels { "!" } else { "" };
            book.apply(&event(&format!("a:{:.1}=1{end}", 1_000.1 + f64::from(n) / 10.0)));
        }
        book
    };
    let short = snapshot(999);
    assert_eq!((short.trusted(Side::Buy), short.trusted(Side::Sell)), (None, None), "that is all there is");
    let mut book = snapshot(1_000);
    // The last bid is at 900.1; a twentieth of the way there is left out.
    let price = |text: &str| Some(text.parse::<Price>().unwrap());
    assert_eq!((book.trusted(Side::Buy), book.trusted(Side::Sell)), (price("905"), price("1095.1")));
    assert!(!book.is_out_of_range());
    for (top, out) in [("905.1", false), ("905", true), ("904.9", true), ("1000", false)] {
        let id = book.last_id() + 1 + u64::from(out);
        book.apply(&event(&format!("diff:{}!", id - 1)));
        book.apply(&event(&format!("top:{id}={top}/1/1000.1/1")));
        assert_eq!(book.is_out_of_range(), out, "{top}");
    }
    for word in ["snap:90", "b:10=1", "a:11=1!"] {
        book.apply(&event(word));
    }
    assert_eq!((book.trusted(Side::Buy), book.trusted(Side::Sell), book.is_out_of_range()), (None, None, false));
}

fn event(word: &str) -> MarketBody {
    let (name, rest) = word.split_once(':').unwrap_or((word, ""));
    match name {
        "snap" | "diff" => {
            let (id, empty) = rest.strip_suffix('!').map_or((rest, false), |id| (id, true));
            let (last_id, snapshot) = (id.parse().unwrap(), name == "snap");
            MarketBody::DepthStart { symbol: SYMBOL, snapshot, empty, last_id, event_ms: 1, match_ms: 1 }
        }
        "b" | "a" => {
            let (text, end) = rest.strip_suffix('!').map_or((rest, false), |text| (text, true));
            let (price, qty) = text.split_once('=').unwrap();
            let mut levels = [Level::default(); LEVELS_LEN];
            levels[0] = Level { price: price.parse().unwrap(), qty: qty.parse().unwrap() };
            let side = if name == "b" { Side::Buy } else { Side::Sell };
            MarketBody::Levels { symbol: SYMBOL, side, count: 1, end, levels }
        }
        "top" => {
            let (id, rest) = rest.split_once('=').unwrap();
            let parts: Vec<&str> = rest.split('/').collect();
            let level = |at: usize| Level { price: parts[at].parse().unwrap(), qty: parts[at + 1].parse().unwrap() };
            let (bid, ask) = (level(0), level(2));
            MarketBody::Top { symbol: SYMBOL, update_id: id.parse().unwrap(), bid, ask, event_ms: 1 }
        }
        "lost" => MarketBody::BookLost { symbol: SYMBOL, reason: BookLoss::Gap },
        other => panic!("no such word: {other}"),
    }
}

#[test]
fn events_become_a_readable_book() {
    let table = [
        ("nothing yet", "", "Empty  | "),
        ("a diff before any snapshot is ignored", "diff:1 b:10=1!", "Empty  | "),
        ("a snapshot", "snap:5 b:10=1 b:9.5=2 a:10.1=3!", "Synced tradable 10=1,9.5=2 | 10.1=3"),
        ("nothing is readable inside a message", "snap:5 b:10=1 a:10.1=3! diff:6 b:10=7", "Synced  | "),
        ("a diff", "snap:5 b:10=1 a:10.1=3! diff:6 b:10=0 b:9=4 a:10.2=5!", "Synced tradable 9=4 | 10.1=3,10.2=5"),
        ("an empty diff", "snap:5 b:10=1 a:10.1=3! diff:6!", "Synced tradable 10=1 | 10.1=3"),
        ("a missing side is not tradable", "snap:5 b:10=1!", "Synced 10=1 | "),
        ("a crossed book is not tradable", "snap:5 b:10=1 a:10.1=3! diff:6 b:10.1=1!", "Synced 10.1=1,10=1 | 10.1=3"),
        ("a loss empties the view", "snap:5 b:10=1 a:10.1=3! lost", "Lost(Gap)  | "),
        ("diffs after a loss change nothing", "snap:5 b:10=1 a:10.1=3! lost diff:6 b:10=9!", "Lost(Gap)  | "),
        ("the next snapshot heals", "snap:5 b:10=1! lost snap:9 b:8=1 a:9=1!", "Synced tradable 8=1 | 9=1"),
        ("off the tick grid", "snap:5 b:10.05=1 a:11=1!", "Lost(Malformed)  | "),
        ("a negative quantity", "snap:5 b:10=-1 a:11=1!", "Lost(Malformed)  | "),
        ("a price of zero", "snap:5 b:0=1 a:11=1!", "Lost(Malformed)  | "),
        ("levels that no message began", "snap:5 b:10=1 a:11=1! b:10=2!", "Lost(Malformed)  | "),
        ("a message inside a message", "snap:5 b:10=1 a:11=1! diff:6 b:10=2 diff:7", "Lost(Malformed)  | "),
        ("ids that run backwards", "snap:5 b:10=1 a:11=1! diff:4 b:10=2!", "Lost(Malformed)  | "),
    ];
    for (what, script, expected) in table {
        assert_eq!(run(script), expected, "{what}");
    }
}

#[test]
fn a_newer_ticker_lies_over_the_stored_levels() {
    let book = "snap:5 b:10=1 b:9.9=2 b:9.8=3 a:10.1=4 a:10.2=5!";
    let table = [
        ("older than the book: ignored", "top:4=11/1/12/1", "10=1,9.9=2,9.8=3 | 10.1=4,10.2=5"),
        ("same prices: its quantities", "top:6=10/7/10.1/8", "10=7,9.9=2,9.8=3 | 10.1=8,10.2=5"),
        ("prices moved up", "top:6=10.1/7/10.2/8", "10.1=7,10=1,9.9=2,9.8=3 | 10.2=8"),
        ("prices moved down", "top:6=9.8/7/9.9/8", "9.8=7 | 9.9=8,10.1=4,10.2=5"),
        ("beyond every stored level", "top:6=1/7/2/8", "1=7 | 2=8,10.1=4,10.2=5"),
        ("one off the grid: dropped", "top:6=9.85/7/10.1/8", "10=1,9.9=2,9.8=3 | 10.1=4,10.2=5"),
        ("and the one before it", "top:6=9.9/7/10.1/8 top:7=9.9/7/10.1/-8", "10=1,9.9=2,9.8=3 | 10.1=4,10.2=5"),
        ("until the next one", "top:6=9.85/7/10.1/8 top:7=10/7/10.1/8", "10=7,9.9=2,9.8=3 | 10.1=8,10.2=5"),
        ("an older one after it: ignored", "top:7=10/7/10.1/8 top:6=9/1/9.1/1", "10=7,9.9=2,9.8=3 | 10.1=8,10.2=5"),
        ("a diff that overtakes it", "top:6=10/7/10.1/8 diff:7 b:10=9!", "10=9,9.9=2,9.8=3 | 10.1=4,10.2=5"),
        ("a diff that does not", "top:8=10/7/10.1/8 diff:6 b:10=9!", "10=7,9.9=2,9.8=3 | 10.1=8,10.2=5"),
        ("an emptied side", "top:6=0/0/10.1/8", " | 10.1=8,10.2=5"),
    ];
    for (what, script, expected) in table {
        let shown = run(&format!("{book} {script}"));
        let expected = match expected {
            levels if levels.starts_with(' ') => format!("Synced {levels}"),
            levels => format!("Synced tradable {levels}"),
        };
        assert_eq!(shown, expected, "{what}");
    }
}

#[test]
fn a_book_that_is_not_what_the_ticker_says_at_the_same_update_is_known_to_disagree() {
    let book = "snap:5 b:10=1 b:9.9=2 a:10.1=4 a:10.2=5!";
    let (kept, lost) = (false, true);
    let table = [
        ("the same", "top:5=10/1/10.1/4", kept),
        ("another quantity", "top:5=10/1/10.1/3", lost),
        ("another price", "top:5=10/1/10.2/4", lost),
        ("an empty side", "top:5=10/1/0/0", lost),
        ("one off the grid: dropped", "top:5=10/1/10.15/4", kept),
        ("the diff comes later and is the same", "top:6=9.9/2/10.1/7 diff:6 b:10=0 a:10.1=7!", kept),
        ("a level that never went", "top:6=9.9/2/10.1/7 diff:6 a:10.1=7!", lost),
        ("a level that never came", "top:6=10/1/10.1/4 diff:6 b:10=0!", lost),
        ("in the middle of a message: wait for its end", "diff:6 b:10=0 top:6=9.9/2/10.1/7 a:10.1=7!", kept),
        ("other ids cannot be compared", "top:6=9.9/2/10.1/7 diff:7 b:10=8!", kept),
        ("nor can older ones", "diff:7 b:10=8! top:6=9.9/2/10.1/7", kept),
    ];
    for (what, script, expected) in table {
        let book = built(&format!("{book} {script}"));
        assert_eq!((book.state(), book.disagrees()), (BookState::Synced, expected), "{what}");
    }
    assert!(!built("snap:5 b:10=1 a:11=1! top:5=10/2/11/1 lost").disagrees(), "a lost book says nothing");
}

#[test]
fn a_ticker_from_before_a_loss_does_not_outlive_it() {
    let shown = run("snap:5 b:10=1 a:11=1! top:900=10.5/1/10.6/1 lost snap:7 b:3=1 a:4=1! top:8=3/2/4/2");
    assert_eq!(shown, "Synced tradable 3=2 | 4=2");
}

#[test]
fn a_side_that_the_ticker_emptied_shows_no_stored_levels() {
    assert_eq!(run("snap:5 b:10=1 a:11=1! top:6=0/0/0/0"), "Synced  | ");
}
