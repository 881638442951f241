//! The documented scenario of a book being joined, diff by diff, from frames to levels.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::wildcard_enum_match_arm)]

mod common;

use common::{PlainBook, decoder};
use optiflow_base::clock::{Nanos, RealClock};
use optiflow_base::ids::SymbolId;
use optiflow_base::market::{BookLoss, MarketEvent};
use optiflow_base::money::{Price, Qty};
use optiflow_feed::Feed;
use optiflow_feed::binance::Message;
use optiflow_feed::sync::{Admit, Joined, SymbolSync};
use optiflow_wire::transport::TcpDialer;

const SNAPSHOT: &str = r#"{"lastUpdateId":1000160,"E":1795327200000,"T":1795327199997,"bids":[["83091.60","1.000"],["83091.50","2.000"],["83091.40","0.500"]],"asks":[["83091.70","1.500"],["83091.80","0.700"],["83092.00","3.000"]]}"#;

/// `U`, `u`, `pu`, bids, asks, and what becomes of it; the snapshot arrives after the second one.
const DIFFS: [(u64, u64, u64, &str, &str, Admit); 4] = [
    (1_000_101, 1_000_140, 1_000_100, r#"["83091.60","9.000"]"#, "", Admit::Buffered),
    (1_000_141, 1_000_175, 1_000_140, r#"["83091.60","1.250"]"#, r#"["83091.80","0.000"]"#, Admit::Buffered),
    (1_000_180, 1_000_199, 1_000_175, r#"["83091.30","0.000"]"#, r#"["83091.90","0.400"]"#, Admit::Applied),
    (1_000_230, 1_000_260, 1_000_221, "", r#"["83091.70","1.100"]"#, Admit::Lost(BookLoss::Gap)),
];

fn side<'a>(levels: impl Iterator<Item = (&'a Price, &'a Qty)>) -> String {
    levels.map(|(price, qty)| format!("{price}x{qty}")).collect::<Vec<_>>().join(" ")
}

#[test]
fn the_documented_scenario_gives_the_documented_book() {
    let mut decoder = decoder(&["BTCUSDT"]);
    let mut sync = SymbolSync::new(SymbolId(0));
    sync.connected();
    let mut out: Vec<MarketEvent> = Vec::new();
    let mut book = PlainBook::default();
    for (index, (first, last, previous, bids, asks, expected)) in DIFFS.into_iter().enumerate() {
        let now = Nanos(index as u64);
        let mut frame = format!(
            r#"{{"e":"depthUpdate","E":1,"T":1,"s":"BTCUSDT","ps":"BTCUSDT","U":{first},"u":{last},"pu":{previous},"b":[{bids}],"a":[{asks}],"st":1}}"#
        )
        .into_bytes();
        let Ok(Message::Depth { diff, .. }) = decoder.decode(&mut frame) else { panic!("diff {index}") };
        assert_eq!(sync.diff(now, &diff, &mut out), expected, "diff {index}");
        if index == 1 {
            let attempt = sync.begin_request(now);
            let mut body = SNAPSHOT.as_bytes().to_vec();
            let snapshot = decoder.snapshot(&mut body).unwrap();
            assert_eq!(sync.snapshot(now, attempt, now, &snapshot, &mut out), Joined::Live);
        }
        for event in out.drain(..) {
            book.apply(&event);
        }
        if index == 2 {
            assert!(book.good);
            assert_eq!(side(book.bids.iter().rev()), "83091.6x1.25 83091.5x2 83091.4x0.5");
            assert_eq!(side(book.asks.iter()), "83091.7x1.5 83091.9x0.4 83092x3");
        }
    }
    assert!(!book.good);
    assert_eq!(book.losses, [BookLoss::Gap]);
}

#[test]
fn the_stage_can_be_put_on_a_thread_of_its_own() {
    const fn is_send<T: Send>() {}
    is_send::<Feed<TcpDialer, RealClock>>();
}
