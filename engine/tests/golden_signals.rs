//! The signals equal the shared golden file at 1e-9 on a grid of one second, by the study's clock rule.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod common;

use std::collections::HashMap;
use std::time::Duration;

use common::{Kind, Message};
use optiflow_base::market::MarketBody;
use optiflow_engine::book::{Applied, Book};
use optiflow_engine::signals::{Signals, Span, imbalance};

const GRID_MS: u64 = 1_000;
const WARM_UP_MS: u64 = 6_000;

#[test]
fn every_implemented_feature_equals_the_golden_file() {
    let Some(shared) = common::shared("golden_signals") else { return };
    let usdm = shared.join("data/usdm");
    let paths = ["btcusdt_20230404.dat.gz", "btcusdt_20230405.dat.gz"].map(|file| usdm.join(file));
    let golden = std::fs::read_to_string(shared.join("signals/golden_btcusdt_20230404-05_1s.csv")).unwrap();
    let mut lines = golden.lines();
    let names: Vec<&str> = lines.next().unwrap().split(',').collect();
    let rows: Vec<Vec<&str>> = lines.map(|line| line.split(',').collect()).collect();

    let computed = features(&common::recording(&paths));
    assert_eq!(computed.len(), rows.len(), "as many grid points as rows");
    let mut worst: HashMap<&str, f64> = HashMap::new();
    for (features, row) in computed.iter().zip(&rows) {
        for (name, text) in names.iter().zip(row) {
            let Some(value) = features.get(name) else { continue };
            let difference = (value - text.parse::<f64>().unwrap()).abs();
            assert!(difference <= 1e-9, "{name} at {}: {value} is not {text}", row[0]);
            let largest = worst.entry(name).or_default();
            *largest = largest.max(difference);
        }
    }
    assert_eq!(worst.len(), names.len() - 2, "every column but agg_1s (needs raw trades) and rate_z (a regime input)");
    eprintln!("{} rows, largest differences: {worst:?}", rows.len());
}

/// Before a message with a new clock is applied, every grid point before that clock is emitted.
fn features(messages: &[Message]) -> Vec<HashMap<&'static str, f64>> {
    let mut book = Book::new("0.1".parse().unwrap());
    let mut signals = Signals::new(Duration::from_secs(5));
    let (mut clock, mut next, mut rows) = (0, None::<u64>, Vec::new());
    for message in messages.iter().filter(|message| message.kind != Kind::Mark) {
        clock = clock.max(message.event_ms);
        while let Some(grid) = next.filter(|grid| *grid < clock) {
            signals.advance(grid);
            rows.push(row(grid, &book, &signals));
            next = Some(grid + GRID_MS);
        }
        for event in &message.events {
            if let MarketBody::Trade { taker, qty, event_ms, .. } = event.body {
                signals.on_trade(taker, qty, event_ms);
            } else if book.apply(&event.body) == Applied::Complete {
                signals.on_book(book.touch(), message.event_ms);
            }
        }
        if message.kind == Kind::Diff && next.is_none() {
            next = Some(clock.div_ceil(GRID_MS) * GRID_MS + WARM_UP_MS);
        }
    }
    rows
}

fn row(grid: u64, book: &Book, signals: &Signals) -> HashMap<&'static str, f64> {
    let (bid, ask) = book.touch().both().unwrap();
    let reading = signals.read(book).unwrap();
    let second = signals.trades(Span::Ms1000);
    let volume = |units: i64| units as f64 / 1e8;
    assert_eq!(reading.obi_l1, imbalance::obi(book, 1));
    assert_eq!(reading.obi_l5, imbalance::obi(book, 5));
    assert_eq!(reading.flow, signals.trade_imbalance(Span::Ms5000));
    HashMap::from([
        ("t_ms", grid as f64),
        ("bid", bid.price.as_f64()),
        ("bid_qty", bid.qty.as_f64()),
        ("ask", ask.price.as_f64()),
        ("ask_qty", ask.qty.as_f64()),
        ("mid", reading.mid_doubled() as f64 / 2e8),
        ("obi_l1", reading.obi_l1),
        ("obi_l5", reading.obi_l5),
        ("obi_l10", imbalance::obi(book, 10)),
        ("obi_l20", imbalance::obi(book, 20)),
        ("obi_dw1", imbalance::obi_weighted(book, 1.0)),
        ("obi_dw5", imbalance::obi_weighted(book, 5.0)),
        ("microprice", imbalance::microprice(bid, ask)),
        ("ofi_100", signals.order_flow_imbalance(Span::Ms100)),
        ("ofi_500", signals.order_flow_imbalance(Span::Ms500)),
        ("ofi_1000", signals.order_flow_imbalance(Span::Ms1000)),
        ("ofin_1000", signals.order_flow_normalised(Span::Ms1000)),
        ("tfi_100", signals.trade_imbalance(Span::Ms100)),
        ("tfi_500", signals.trade_imbalance(Span::Ms500)),
        ("tfi_1000", signals.trade_imbalance(Span::Ms1000)),
        ("tfi_5000", signals.trade_imbalance(Span::Ms5000)),
        ("buy_vol_1s", volume(second.first)),
        ("sell_vol_1s", volume(second.second)),
        ("trades_1s", reading.trades_per_second),
    ])
}
