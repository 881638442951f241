//! Queue cases as text: the market and our orders go in, fills and queue positions come out.

use super::*;
use crate::words::Tick;
use optiflow_base::clock::Nanos;
use proptest::prelude::*;

/// A queue and a book, driven by text.
#[derive(Default)]
struct Stage {
    queue: Queue,
    book: Book,
    update: u64,
    said: Vec<String>,
}

fn level(text: &str) -> Level {
    let (qty, price) = text.split_once('@').unwrap();
    Level { price: price.parse().unwrap(), qty: qty.parse().unwrap() }
}

fn side(text: &str) -> Side {
    if text == "buy" { Side::Buy } else { Side::Sell }
}

impl Stage {
    /// `book 5@99 3@98 | 4@101`, `diff 4@99 |`, `top 4@99 | 4@101`, `trade sell 6@99`, `join 1 buy 2@99`,
    /// `take buy 5@101 none|taker|maker|both|fok`, `leave 1 buy`.
    fn tell(&mut self, line: &str) {
        let (verb, rest) = line.split_once(' ').unwrap();
        let words: Vec<&str> = rest.split_whitespace().collect();
        let mut hits = Vec::new();
        match (verb, words.as_slice()) {
            ("book" | "diff" | "top", _) => {
                self.market(verb, rest);
                self.queue.on_book(&self.book, &mut hits);
            }
            ("trade", [taker, what]) => {
                let Level { price, qty } = level(what);
                self.queue.on_trade(price, qty, side(taker), &mut hits);
            }
            ("join", [order, on, what]) => {
                let Level { price, qty } = level(what);
                self.queue.join(&self.book, order.parse().unwrap(), side(on), price, qty);
            }
            ("take", [on, what, mode]) => self.take(side(on), level(what), mode),
            ("leave", [order, on]) => assert!(self.queue.leave(side(on), order.parse().unwrap())),
            other => panic!("{other:?}"),
        }
        for Hit { order, price, qty } in hits {
            self.said.push(format!("{order}:{qty}@{price}"));
        }
    }

    fn market(&mut self, verb: &str, rest: &str) {
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
    let mut stage = Stage::default();
    script.split(';').for_each(|line| stage.tell(line.trim()));
    let queue = &stage.queue;
    let standing =
        queue.bids.iter().chain(&queue.asks).map(|r| format!("[{}: {} behind {}]", r.order, r.left, r.ahead));
    stage.said.into_iter().chain(standing).collect::<Vec<_>>().join(" ")
}

#[test]
fn queues_behave_as_told() {
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
        ("a trade through fills fully", "book 5@99 | 4@101; join 1 buy 2@99; trade sell 0.1@98", "1:2@99"),
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
        ("the opposite best reaching us fills", "book 5@99 | 4@101; join 1 buy 2@99; top 1@98 | 0.1@99", "1:2@99"),
        ("the opposite depth crossing us fills", "book 5@99 | 4@101; join 1 sell 2@101; diff 3@102 | 0@101", "1:2@101"),
        ("sells mirror buys", "book 5@99 | 4@101; join 1 sell 2@101; trade buy 5@101", "1:1@101 [1: 1 behind 0]"),
        ("who leaves is not filled", "book 5@99 | 4@101; join 1 buy 2@99; leave 1 buy; trade sell 60@99", ""),
    ];
    for (name, script, expected) in table {
        assert_eq!(run(script), expected, "{name}: {script}");
    }
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
            "until the level changes",
            "book 5@99 | 4@101; take buy 3@101 none; diff | 5@101; take buy 6@101 none",
            "took 3@101 took 5@101 left 1",
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
            "book 5@99 | 4@101; take buy 9@101 none; join 1 buy 5@101; diff | 3@101; diff | 3@101",
            "took 4@101 left 5 1:3@101 [1: 2 behind 0]",
        ),
        (
            "and fully once the market has been elsewhere",
            "book 5@99 | 4@101; take buy 9@101 none; join 1 buy 5@101; diff | 0@101 3@102; diff | 1@101",
            "took 4@101 left 5 1:5@101",
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
    for (name, script, expected) in table {
        assert_eq!(run(script), expected, "{name}: {script}");
    }
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

proptest! {
    /// Orders at one price: whatever trades there, fills never exceed what traded beyond the queue, no order gets more
    /// than it has, earlier orders are served first, and nobody's queue grows.
    #[test]
    fn fills_never_exceed_the_volume_and_queues_never_grow(
        displayed in 0i64..50,
        orders in prop::collection::vec(1i64..20, 1..6),
        market in prop::collection::vec((any::<bool>(), 1i64..30), 1..60),
    ) {
        let price: Price = "99".parse().unwrap();
        let qty = |units: i64| Qty::from_units(units);
        let mut queue = Queue::default();
        let mut book = Book::default();
        let level = |units: i64| vec![Level { price, qty: qty(units) }];
        book.apply(Nanos(0), &Tick::Snapshot { id: 1, bids: level(displayed), asks: vec![] });
        for (order, &left) in (1..).zip(&orders) {
            queue.join(&book, order, Side::Buy, price, qty(left));
        }
        let (mut traded, mut filled) = (0, 0);
        for (id, (is_trade, units)) in (2..).zip(market) {
            let before = queue.bids.clone();
            let mut hits = Vec::new();
            if is_trade {
                traded += units;
                queue.on_trade(price, qty(units), Side::Sell, &mut hits);
            } else {
                let bids = level(units);
                book.apply(Nanos(id), &Tick::Depth { first_id: id, last_id: id, previous_id: id - 1, bids, asks: vec![] });
                queue.on_book(&book, &mut hits);
                prop_assert!(hits.is_empty(), "no opposite side, no crossing");
            }
            let now: i64 = hits.iter().map(|hit| hit.qty.units()).sum();
            filled += now;
            prop_assert!(!is_trade || now <= units, "one trade is used once");
            prop_assert!(filled <= traded && filled <= orders.iter().sum());
            for resting in &queue.bids {
                let was = before.iter().find(|was| was.order == resting.order).unwrap();
                prop_assert!(resting.ahead <= was.ahead && resting.left <= was.left);
            }
            let orders_left: Vec<u64> = queue.bids.iter().map(|resting| resting.order).collect();
            prop_assert!(orders_left.is_sorted(), "time priority");
            let partly = queue.bids.iter().skip(1).all(|r| qty(orders[r.order as usize - 1]) == r.left || r.ahead <= queue.bids[0].ahead);
            prop_assert!(partly);
        }
    }

    /// A taker gets no more from a level than is displayed, however often it comes.
    #[test]
    fn takers_never_take_more_than_is_displayed(
        asks in prop::collection::vec(1i64..30, 1..6),
        takes in prop::collection::vec((1i64..40, 100i64..106), 1..12),
    ) {
        let price = |ticks: i64| Price::from_units(ticks);
        let levels = (101..).zip(&asks).map(|(ticks, &units)| Level { price: price(ticks), qty: Qty::from_units(units) });
        let mut book = Book::default();
        book.apply(Nanos(0), &Tick::Snapshot { id: 1, bids: vec![], asks: levels.collect() });
        let mut queue = Queue::default();
        let mut taken = vec![0; asks.len()];
        for (units, limit) in takes {
            let qty = Qty::from_units(units);
            let take = Take { side: Side::Buy, limit: Some(price(limit)), qty, self_trade: Some(SelfTrade::ExpireTaker) };
            let available = queue.available(&book, Side::Buy, take.limit, qty);
            let mut steps = Vec::new();
            let left = queue.take(&book, take, &mut steps);
            prop_assert_eq!(qty - left, available, "what was promised is what is taken");
            for step in steps {
                let Step::Market { price, qty } = step else { panic!("no own orders") };
                prop_assert!(price.units() <= limit);
                taken[(price.units() - 101) as usize] += qty.units();
            }
        }
        for (taken, displayed) in taken.iter().zip(&asks) {
            prop_assert!(taken <= displayed);
        }
    }
}
