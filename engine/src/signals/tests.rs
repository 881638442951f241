//! Signals of small books and flows, worked out by hand.

use optiflow_base::money::Price;

use super::*;

fn level(price: &str, qty: &str) -> Level {
    Level { price: price.parse().unwrap(), qty: qty.parse().unwrap() }
}

fn touch(bid: (&str, &str), ask: (&str, &str)) -> Touch {
    Touch { bid: Some(level(bid.0, bid.1)), ask: Some(level(ask.0, ask.1)) }
}

#[test]
fn nothing_over_nothing_is_zero() {
    let signals = Signals::new(Duration::from_secs(1));
    assert_eq!(signals.trade_imbalance(Span::Flow), 0.0);
    assert_eq!(signals.order_flow_normalised(Span::Ms100), 0.0);
    let book = Book::new(Price::from_units(10));
    assert_eq!((imbalance::obi(&book, 5), imbalance::obi_weighted(&book, 1.0)), (0.0, 0.0));
    assert_eq!(signals.read(&book), None);
}

#[test]
fn trades_count_until_their_window_has_passed() {
    let mut signals = Signals::new(Duration::from_millis(200));
    signals.on_trade(Side::Buy, "3".parse().unwrap(), 1_000);
    signals.on_trade(Side::Sell, "1".parse().unwrap(), 1_150);
    for (at, expected) in [(1_150, 0.5), (1_199, 0.5), (1_200, -1.0), (1_349, -1.0), (1_350, 0.0)] {
        signals.advance(at);
        assert_eq!(signals.trade_imbalance(Span::Flow), expected, "at {at}");
    }
    assert_eq!(signals.signed_volume(Span::Ms1000), 2.0);
    assert_eq!(signals.trades(Span::Ms1000).count, 2);
}

#[test]
fn a_late_event_counts_at_the_clock_not_at_its_own_time() {
    let mut signals = Signals::new(Duration::from_secs(1));
    signals.advance(5_000);
    signals.on_trade(Side::Buy, "1".parse().unwrap(), 4_000);
    assert_eq!((signals.clock_ms(), signals.trades(Span::Ms100).count), (5_000, 1));
}

#[test]
fn one_absurd_time_freezes_nothing() {
    let mut signals = Signals::new(Duration::from_secs(1));
    for absurd in [u64::MAX, 10_000_000, 1, 0] {
        let at = signals.clock_ms().max(1_000_000) + 100;
        signals.on_trade(Side::Buy, "1".parse().unwrap(), at);
        signals.on_trade(Side::Sell, "1".parse().unwrap(), absurd);
        assert_eq!(signals.clock_ms(), at, "{absurd}");
    }
    signals.advance(1_002_000);
    assert_eq!((signals.clock_ms(), signals.trades(Span::Flow).count), (1_002_000, 0), "windows go on sliding");
}

#[test]
fn a_clock_that_is_wrong_is_given_up_when_enough_times_in_a_row_say_so() {
    let mut signals = Signals::new(Duration::from_secs(1));
    signals.on_trade(Side::Sell, "1".parse().unwrap(), u64::MAX);
    for event_ms in 1_000_000..1_000_015 {
        signals.on_trade(Side::Buy, "1".parse().unwrap(), event_ms);
        assert_eq!(signals.clock_ms(), u64::MAX);
    }
    signals.on_trade(Side::Buy, "1".parse().unwrap(), 1_000_015);
    assert_eq!((signals.clock_ms(), signals.trades(Span::Flow).count), (1_000_015, 1));
    for event_ms in 2_000_000..2_000_016 {
        signals.advance(event_ms);
    }
    assert_eq!((signals.clock_ms(), signals.trades(Span::Flow).count), (2_000_015, 0), "and after a long silence");
}

#[test]
fn after_a_silence_the_first_event_has_its_own_time_and_old_trades_are_over() {
    let mut signals = Signals::new(Duration::from_secs(1));
    signals.hear(Nanos::from_millis(1_000_020));
    signals.on_trade(Side::Sell, "1".parse().unwrap(), 1_000_000);
    // Two minutes later, by the exchange's clock and by ours.
    signals.hear(Nanos::from_millis(1_120_025));
    signals.on_trade(Side::Buy, "1".parse().unwrap(), 1_120_000);
    assert_eq!((signals.clock_ms(), signals.trade_imbalance(Span::Ms5000)), (1_120_000, 1.0));
    // An absurd time is not helped by ours.
    signals.on_trade(Side::Buy, "1".parse().unwrap(), 9_000_000);
    assert_eq!(signals.clock_ms(), 1_120_000);
}

#[test]
fn the_doubled_mid_of_absurd_prices_saturates() {
    let highest = Level { price: Price::from_units(i64::MAX), qty: Qty::from_units(1) };
    let reading = Reading {
        bid: highest,
        ask: highest,
        obi_l1: 0.0,
        obi_l5: 0.0,
        micro_bps: 0.0,
        flow: 0.0,
        trades_per_second: 0.0,
    };
    assert_eq!(reading.mid_doubled(), i64::MAX);
}

#[test]
fn order_flow_starts_with_the_second_touch_and_again_after_a_loss() {
    let mut signals = Signals::new(Duration::from_secs(1));
    signals.on_book(touch(("10", "5"), ("11", "7")), 1_000);
    assert_eq!(signals.order_flow_imbalance(Span::Ms1000), 0.0);
    signals.on_book(touch(("10", "6"), ("11", "9")), 1_010);
    assert_eq!(signals.order_flow_imbalance(Span::Ms1000), -1.0);
    assert_eq!(signals.order_flow_normalised(Span::Ms1000), -1.0);
    signals.on_loss();
    signals.on_book(touch(("20", "6"), ("21", "9")), 900);
    assert_eq!((signals.order_flow_imbalance(Span::Ms1000), signals.clock_ms()), (0.0, 900));
}

#[test]
fn the_microprice_leans_to_the_thinner_side() {
    let (bid, ask) = (level("100", "3"), level("101", "1"));
    assert_eq!(imbalance::microprice(bid, ask), 100.75);
    assert!((imbalance::micro_bps(bid, ask) - 0.25 / 100.5 * 1e4).abs() < 1e-12);
}
