//! Queue cases as text: the market and our orders go in, fills and queue positions come out.

use std::time::Duration;

use optiflow_base::market::Level;

use super::*;
use crate::words::SelfTrade;

mod properties;
mod rules;

/// A queue and a book, driven by text.
struct Stage {
    queue: Queue,
    book: Book,
    update: u64,
    at: Nanos,
    said: Vec<String>,
}

fn level(text: &str) -> Level {
    let (qty, price) = text.split_once('@').unwrap();
    Level { price: price.parse().unwrap(), qty: qty.parse().unwrap() }
}

fn side(text: &str) -> Side {
    if text == "buy" { Side::Buy } else { Side::Sell }
}

impl Default for Stage {
    fn default() -> Stage {
        Stage::with(MatchingRules::default())
    }
}

impl Stage {
    fn with(rules: MatchingRules) -> Stage {
        let queue = Queue::new(rules, Qty::from_units(1));
        Stage { queue, book: Book::default(), update: 0, at: Nanos(0), said: Vec::new() }
    }

    /// `book 5@99 3@98 | 4@101`, `diff 4@99 |`, `top 4@99 | 4@101`, `trade sell 6@99`, `join 1 buy 2@99`,
    /// `take buy 5@101 none|taker|maker|both|fok`, `leave 1 buy`, `wait 250` (milliseconds).
    fn tell(&mut self, line: &str) {
        let (verb, rest) = line.split_once(' ').unwrap();
        let words: Vec<&str> = rest.split_whitespace().collect();
        let mut hits = Vec::new();
        match (verb, words.as_slice()) {
            ("book" | "diff" | "top", _) => {
                let told = self.market(verb, rest);
                self.queue.on_book(self.at, &self.book, &told, &mut hits);
            }
            ("trade", [taker, what]) => {
                let Level { price, qty } = level(what);
                self.queue.on_trade(self.at, price, qty, side(taker), &mut hits);
            }
            ("join", [order, on, what]) => {
                let Level { price, qty } = level(what);
                self.queue.join(&self.book, order.parse().unwrap(), side(on), price, qty);
            }
            ("take", [on, what, mode]) => self.take(side(on), level(what), mode),
            ("wait", [millis]) => self.at = self.at + Duration::from_millis(millis.parse().unwrap()),
            ("leave", [order, on]) => assert!(self.queue.leave(side(on), order.parse().unwrap())),
            other => panic!("{other:?}"),
        }
        for Hit { order, price, qty } in hits {
            self.said.push(format!("{order}:{qty}@{price}"));
        }
    }

    fn market(&mut self, verb: &str, rest: &str) -> Tick {
        self.update += 1;
        let id = self.update;
        let (bids, asks) = rest.split_once('|').unwrap();
        let [bids, asks] = [bids, asks].map(|side| side.split_whitespace().map(level).collect::<Vec<_>>());
        let tick = match verb {
            "book" => Tick::Snapshot { id, bids, asks },
            "diff" => Tick::Depth { first_id: id, last_id: id, previous_id: id - 1, bids, asks },
            _ => Tick::Top { update_id: id, bid: bids[0], ask: asks[0] },
        };
        self.book.apply(Nanos(id), &tick);
        tick
    }

    fn take(&mut self, on: Side, what: Level, mode: &str) {
        let self_trade = match mode {
            "none" => Some(SelfTrade::None),
            "taker" => Some(SelfTrade::ExpireTaker),
            "maker" => Some(SelfTrade::ExpireMaker),
            "both" => Some(SelfTrade::ExpireBoth),
            _ => None,
        };
        let mut steps = Vec::new();
        let take = Take { side: on, limit: Some(what.price), qty: what.qty, self_trade };
        let left = self.queue.take(&self.book, take, &mut steps);
        for step in steps {
            self.said.push(match step {
                Step::Market { price, qty } => format!("took {qty}@{price}"),
                Step::Own(hit) => format!("own {}:{}@{}", hit.order, hit.qty, hit.price),
                Step::ExpireMaker(order) => format!("expire {order}"),
                Step::ExpireTaker => "stop".to_owned(),
            });
        }
        if !left.is_zero() {
            self.said.push(format!("left {left}"));
        }
    }
}

fn run(script: &str) -> String {
    run_by(MatchingRules::default(), script)
}

fn run_by(rules: MatchingRules, script: &str) -> String {
    let mut stage = Stage::with(rules);
    script.split(';').for_each(|line| stage.tell(line.trim()));
    let queue = &stage.queue;
    let standing =
        queue.bids.iter().chain(&queue.asks).map(|r| format!("[{}: {} behind {}]", r.order, r.left, r.ahead()));
    stage.said.into_iter().chain(standing).collect::<Vec<_>>().join(" ")
}

fn check(table: &[(&str, &str, &str)]) {
    for (name, script, expected) in table {
        assert_eq!(run(script), *expected, "{name}: {script}");
    }
}

#[test]
fn trades_move_the_queue_and_fill_it() {
    let table = [
        ("joins behind what is displayed", "book 5@99 | 4@101; join 1 buy 2@99", "[1: 2 behind 5]"),
        (
            "a trade at the price eats what is ahead",
            "book 5@99 | 4@101; join 1 buy 2@99; trade sell 3@99",
            "[1: 2 behind 2]",
        ),
        ("the excess fills, partly", "book 5@99 | 4@101; join 1 buy 2@99; trade sell 6@99", "1:1@99 [1: 1 behind 0]"),
        ("no more than the order", "book 5@99 | 4@101; join 1 buy 2@99; trade sell 60@99", "1:2@99"),
        ("the other aggressor is not ours", "book 5@99 | 4@101; join 1 buy 2@99; trade buy 60@99", "[1: 2 behind 5]"),
        (
            "a trade at a worse price is not ours",
            "book 5@99 | 4@101; join 1 buy 2@98; trade sell 60@99",
            "[1: 2 behind 0]",
        ),
        (
            "a trade through fills what it traded, whatever was ahead",
            "book 5@99 | 4@101; join 1 buy 2@99; trade sell 0.5@98",
            "1:0.5@99 [1: 1.5 behind 0]",
        ),
        (
            "a trade through is used once, the best price and the oldest order first",
            "book 5@99 | 4@101; join 1 buy 2@99; join 2 buy 2@99; join 3 buy 1@100; trade sell 3.5@98",
            "3:1@100 1:2@99 2:0.5@99 [2: 1.5 behind 0]",
        ),
        (
            "one trade is shared in time priority and used once",
            "book 5@99 | 4@101; join 1 buy 2@99; diff 7@99 |; join 2 buy 2@99; trade sell 9.5@99",
            "1:2@99 2:0.5@99 [2: 1.5 behind 0]",
        ),
        (
            "the better price first",
            "book 5@98 | 4@101; join 1 buy 2@98; join 2 buy 1@99; trade sell 6.5@98",
            "2:1@99 1:0.5@98 [1: 1.5 behind 0]",
        ),
        ("sells mirror buys", "book 5@99 | 4@101; join 1 sell 2@101; trade buy 5@101", "1:1@101 [1: 1 behind 0]"),
        ("who leaves is not filled", "book 5@99 | 4@101; join 1 buy 2@99; leave 1 buy; trade sell 60@99", ""),
    ];
    check(&table);
}

#[test]
fn the_book_caps_the_queue_and_crosses_it() {
    let table = [
        ("what is displayed caps what is ahead", "book 5@99 | 4@101; join 1 buy 2@99; diff 3@99 |", "[1: 2 behind 3]"),
        ("a growing level grows behind us", "book 5@99 | 4@101; join 1 buy 2@99; diff 30@99 |", "[1: 2 behind 5]"),
        (
            "a trade and the decrease it causes count once",
            "book 5@99 | 4@101; join 1 buy 2@99; trade sell 3@99; diff 2@99 |",
            "[1: 2 behind 2]",
        ),
        ("a top caps as well", "book 5@99 | 4@101; join 1 buy 2@99; top 1@99 | 4@101", "[1: 2 behind 1]"),
        (
            "a top that moved away leaves nothing ahead",
            "book 5@99 | 4@101; join 1 buy 2@99; top 1@98 | 4@101",
            "[1: 2 behind 0]",
        ),
        (
            "improving the price is being first",
            "book 5@99 | 4@101; join 1 buy 2@100; trade sell 1@100",
            "1:1@100 [1: 1 behind 0]",
        ),
        (
            "the opposite best reaching us fills what it displays",
            "book 5@99 | 4@101; join 1 buy 2@99; top 1@98 | 0.5@99",
            "1:0.5@99 [1: 1.5 behind 0]",
        ),
        ("the opposite depth crossing us fills", "book 5@99 | 4@101; join 1 sell 2@101; diff 3@102 | 0@101", "1:2@101"),
        (
            "what crosses is used once, in time priority, and again only when displayed anew",
            "book 5@99 | 4@101; join 1 buy 2@99; join 2 buy 2@99; top 1@98 | 3@99; top 1@98 | 3@99; top 1@98 | 3.25@99",
            "1:2@99 2:1@99 2:0.25@99 [2: 0.75 behind 0]",
        ),
    ];
    check(&table);
}

#[test]
fn one_event_moves_the_queue_once_in_either_order() {
    let table = [
        (
            "a decrease told before its trade counts once",
            "book 5@99 | 4@101; join 1 buy 2@99; top 2@99 | 4@101; wait 150; trade sell 3@99",
            "[1: 2 behind 2]",
        ),
        (
            "a decrease told before its trades is spent by all of them, the excess fills",
            "book 5@99 | 4@101; join 1 buy 2@99; diff 1@99 |; trade sell 3@99; trade sell 1@99; trade sell 1.5@99",
            "1:0.5@99 [1: 1.5 behind 0]",
        ),
        (
            "a trade beyond the decrease moves the queue by the rest",
            "book 5@99 | 4@101; join 1 buy 2@99; diff 4@99 |; trade sell 3@99",
            "[1: 2 behind 2]",
        ),
        (
            "a level that emptied before its trade does not hand us the trade",
            "book 5@99 | 4@101; join 1 buy 2@99; top 1@98 | 4@101; trade sell 5@99",
            "[1: 2 behind 0]",
        ),
        (
            "a decrease of long ago was a cancel",
            "book 5@99 | 4@101; join 1 buy 2@99; diff 2@99 |; wait 250; trade sell 1@99",
            "[1: 2 behind 1]",
        ),
        (
            "only what was ahead of us is remembered",
            "book 5@99 | 4@101; join 1 buy 2@99; diff 9@99 |; diff 6@99 |; trade sell 3@99",
            "[1: 2 behind 2]",
        ),
    ];
    check(&table);
}

#[test]
fn takers_behave_as_told() {
    let table = [
        ("walks the levels", "book 5@99 | 4@101 3@102; take buy 6@102 none", "took 4@101 took 2@102"),
        ("stops at its price", "book 5@99 | 4@101 3@102; take buy 6@101 none", "took 4@101 left 2"),
        (
            "the same quantity is not there twice",
            "book 5@99 | 4@101; take buy 3@101 none; take buy 3@101 none",
            "took 3@101 took 1@101 left 2",
        ),
        (
            "only what a growing level adds is new",
            "book 5@99 | 4@101; take buy 3@101 none; diff | 5@101; take buy 6@101 none",
            "took 3@101 took 2@101 left 4",
        ),
        (
            "a shrinking level gives nothing back",
            "book 5@99 | 4@101; take buy 3@101 none; diff | 3@101; take buy 1@101 none; diff | 4@101; take buy 6@101 none",
            "took 3@101 left 1 took 1@101 left 5",
        ),
        (
            "a level that went away and came back is new",
            "book 5@99 | 4@101; take buy 4@101 none; diff | 0@101; diff | 2@101; take buy 6@101 none",
            "took 4@101 took 2@101 left 4",
        ),
        (
            "another level's change is not enough",
            "book 5@99 | 4@101; take buy 4@101 none; diff | 5@102; take buy 6@101 none",
            "took 4@101 left 6",
        ),
        (
            "a remainder does not fill from what it took",
            "book 5@99 | 4@101; take buy 6@101 none; join 1 buy 2@101; diff 6@99 |",
            "took 4@101 left 2 [1: 2 behind 0]",
        ),
        (
            "it fills from what is displayed anew, no more",
            "book 5@99 | 4@101; take buy 9@101 none; join 1 buy 5@101; diff | 7@101; diff | 7@101",
            "took 4@101 left 5 1:3@101 [1: 2 behind 0]",
        ),
        (
            "own orders wait for what is ahead",
            "book 5@99 | 4@101; join 1 sell 1@101; take buy 6@101 none",
            "took 4@101 own 1:1@101 left 1",
        ),
        (
            "later quantity is behind own orders",
            "book 5@99 | 4@101; join 1 sell 1@101; diff | 9@101; take buy 6@101 none",
            "took 4@101 own 1:1@101 took 1@101",
        ),
        (
            "expire taker",
            "book 5@99 | 4@101; join 1 sell 1@101; take buy 6@101 taker",
            "took 4@101 stop left 2 [1: 1 behind 0]",
        ),
        ("expire maker", "book 5@99 | 4@101; join 1 sell 1@100; take buy 4@101 maker", "expire 1 took 4@101"),
        ("expire both", "book 5@99 | 4@101; join 1 sell 1@100; take buy 4@101 both", "expire 1 stop left 4"),
        (
            "own orders out of reach do not matter",
            "book 5@99 | 4@101; join 1 sell 1@102; take buy 5@101 both",
            "took 4@101 left 1 [1: 1 behind 0]",
        ),
        (
            "all-or-nothing passes own orders by",
            "book 5@99 | 4@101; join 1 sell 1@100; take buy 4@101 fok",
            "took 4@101 [1: 1 behind 0]",
        ),
    ];
    check(&table);
}

#[test]
fn post_only_looks_at_what_is_left_and_at_own_orders() {
    let mut stage = Stage::default();
    stage.tell("book 5@99 | 4@101");
    let price = |text: &str| text.parse().unwrap();
    assert!(stage.queue.would_take(&stage.book, Side::Buy, price("101")));
    assert!(!stage.queue.would_take(&stage.book, Side::Buy, price("100")));
    stage.tell("take buy 4@101 none");
    assert!(!stage.queue.would_take(&stage.book, Side::Buy, price("101")));
    stage.tell("join 1 sell 1@100");
    assert!(stage.queue.would_take(&stage.book, Side::Buy, price("100")));
}
