//! What holds of queues and takers whatever the market does.

use proptest::prelude::*;

use super::*;

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
        let mut queue = Queue::new(MatchingRules::default(), Qty::from_units(1));
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
                queue.on_trade(Nanos(id), price, qty(units), Side::Sell, &mut hits);
            } else {
                let bids = level(units);
                let told = Tick::Depth { first_id: id, last_id: id, previous_id: id - 1, bids, asks: vec![] };
                book.apply(Nanos(id), &told);
                queue.on_book(Nanos(id), &book, &told, &mut hits);
                prop_assert!(hits.is_empty(), "no opposite side, no crossing");
            }
            let now: i64 = hits.iter().map(|hit| hit.qty.units()).sum();
            filled += now;
            prop_assert!(!is_trade || now <= units, "one trade is used once");
            prop_assert!(filled <= traded && filled <= orders.iter().sum());
            for resting in &queue.bids {
                let was = before.iter().find(|was| was.order == resting.order).unwrap();
                prop_assert!(resting.ahead() <= was.ahead() && resting.left <= was.left);
            }
            let orders_left: Vec<u64> = queue.bids.iter().map(|resting| resting.order).collect();
            prop_assert!(orders_left.is_sorted(), "time priority");
            let partly = queue.bids.iter().skip(1).all(|r| qty(orders[r.order as usize - 1]) == r.left || r.ahead() <= queue.bids[0].ahead());
            prop_assert!(partly);
        }
    }

    /// Trades and the change of the book that they cause: whichever is told first, the queue and the fills are the same.
    #[test]
    fn the_order_of_telling_changes_nothing(
        displayed in 1i64..50,
        behind in 0i64..50,
        trades in prop::collection::vec(1i64..20, 1..5),
    ) {
        let script = |book_first: bool| {
            let left = (displayed + behind - trades.iter().sum::<i64>()).max(0);
            let change = format!("diff {left}@99 |");
            let told = trades.iter().map(|units| format!("trade sell {units}@99"));
            let told: Vec<String> = if book_first {
                [change].into_iter().chain(told).collect()
            } else {
                told.chain([change]).collect()
            };
            let setup = format!("book {displayed}@99 | 4@101; join 1 buy 20@99; diff {}@99 |", displayed + behind);
            run(&format!("{setup}; {}", told.join("; ")))
        };
        let total = |said: &str| {
            let fills = said.split(' ').filter_map(|word| word.strip_prefix("1:")?.strip_suffix("@99"));
            let fills: i64 = fills.map(|qty| qty.parse::<i64>().unwrap()).sum();
            (fills, said.split('[').nth(1).map(str::to_owned))
        };
        prop_assert_eq!(total(&script(true)), total(&script(false)));
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
        let mut queue = Queue::new(MatchingRules::default(), Qty::from_units(1));
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
