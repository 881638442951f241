//! The book as text: what is told goes in, depth and what is shown come out.

use super::*;

fn level(text: &str) -> Level {
    let (qty, price) = text.split_once('@').unwrap();
    Level { price: price.parse().unwrap(), qty: qty.parse().unwrap() }
}

fn levels(text: &str) -> Vec<Level> {
    text.split_whitespace().map(level).collect()
}

fn text(levels: impl Iterator<Item = Level>) -> String {
    levels.map(|l| format!("{}@{}", l.qty, l.price)).collect::<Vec<_>>().join(" ")
}

fn book(bids: &str, asks: &str) -> Book {
    let mut book = Book::default();
    book.apply(Nanos(1), &Tick::Snapshot { id: 10, bids: levels(bids), asks: levels(asks) });
    book
}

#[test]
fn a_diff_replaces_adds_and_removes() {
    let mut book = book("1@99 2@98", "3@101");
    let (bids, asks) = (levels("0@99 5@97 0@50"), levels("4@101 1@100"));
    book.apply(Nanos(2), &Tick::Depth { first_id: 11, last_id: 12, previous_id: 10, bids, asks });
    assert_eq!(text(book.levels(Side::Buy)), "2@98 5@97");
    assert_eq!(text(book.levels(Side::Sell)), "1@100 4@101");
    assert_eq!((book.last_id(), book.event_at(), book.len(Side::Buy)), (12, Nanos(2), 2));
}

fn top(update_id: u64, bid: &str, ask: &str) -> Tick {
    Tick::Top { update_id, bid: level(bid), ask: level(ask) }
}

fn shown(book: &Book) -> String {
    format!("{} | {}", text(book.shown(Side::Buy)), text(book.shown(Side::Sell)))
}

fn diff(first_id: u64, last_id: u64, bids: &str, asks: &str) -> Tick {
    let (bids, asks) = (levels(bids), levels(asks));
    Tick::Depth { first_id, last_id, previous_id: first_id - 1, bids, asks }
}

#[test]
fn a_newer_top_is_shown_until_the_depth_covers_it() {
    let mut book = book("1@99 2@98", "3@101 4@102");
    assert!(book.apply(Nanos(2), &top(12, "7@98", "1@100")));
    assert_eq!(shown(&book), "7@98 | 1@100 3@101 4@102");
    assert_eq!(text(book.levels(Side::Buy)), "1@99 2@98");
    assert_eq!(book.shown_at(Side::Buy, level("0@99").price), Qty::ZERO);
    assert_eq!(book.shown_at(Side::Sell, level("0@101").price), level("3@101").qty);
    assert_eq!(book.top().unwrap().update_id, 12);
    assert_eq!((book.shown_since(), book.event_at()), (Nanos(2), Nanos(1)));
    for old in [11, 12] {
        assert!(!book.apply(Nanos(3), &top(old, "9@99", "9@101")), "an older top changes nothing");
    }
    assert_eq!(book.best(Side::Buy), Some(level("7@98")));
    book.apply(Nanos(4), &diff(11, 13, "0@99 6@98", "1@100"));
    assert_eq!(shown(&book), "6@98 | 1@100 3@101 4@102");
    assert_eq!(book.shown_since(), Nanos(4));
    assert!(!book.apply(Nanos(5), &top(13, "9@99", "9@101")), "the depth knows that update already");
}

#[test]
fn a_level_told_alone_does_not_bring_back_what_a_top_removed() {
    let mut book = book("1@99 2@98", "3@101 4@102");
    book.apply(Nanos(2), &top(11, "7@98", "3@101"));
    book.apply(Nanos(3), &diff(12, 12, "", "9@105"));
    assert_eq!(shown(&book), "7@98 | 3@101 4@102 9@105");
    book.apply(Nanos(3), &diff(13, 13, "2@99", ""));
    assert_eq!(shown(&book), "2@99 7@98 | 3@101 4@102 9@105", "told again, it is back");
}

#[test]
fn a_diff_older_than_the_top_changes_what_is_behind_it() {
    let mut book = book("1@99 2@98", "3@101 4@102");
    book.apply(Nanos(2), &top(15, "7@98", "1@100"));
    book.apply(Nanos(3), &diff(11, 12, "5@99 6@98 8@97", "2@100 0@101 9@103"));
    assert_eq!(shown(&book), "7@98 8@97 | 1@100 4@102 9@103");
    assert_eq!(text(book.levels(Side::Buy)), "5@99 6@98 8@97");
}

#[test]
fn a_top_moves_the_other_side_too_and_may_tell_one_side_alone() {
    let mut book = book("1@99 2@98", "3@101 4@102");
    book.apply(Nanos(2), &top(11, "5@101", "0@0"));
    assert_eq!(shown(&book), "5@101 1@99 2@98 | 4@102", "asks that the bid reaches are gone");
    book.apply(Nanos(3), &top(12, "0@0", "1@98.5"));
    assert_eq!(shown(&book), "2@98 | 1@98.5 4@102");
    book.apply(Nanos(4), &top(13, "0@50", "0@0"));
    assert_eq!(shown(&book), " | 1@98.5 4@102", "a best without quantity is an empty side");
}

#[test]
fn stale_levels_give_way_to_the_fresh_ones_they_cross() {
    let mut book = book("1@99 2@98", "3@101");
    let asks = levels("5@98 6@97.5");
    book.apply(Nanos(2), &Tick::Depth { first_id: 11, last_id: 12, previous_id: 9, bids: vec![], asks: asks.clone() });
    let (bids, none) = book.uncross(&[], &asks);
    assert_eq!((text(bids.into_iter()), none.len()), ("0@99 0@98".into(), 0));
    assert_eq!(book.best(Side::Sell), Some(level("6@97.5")));
}
