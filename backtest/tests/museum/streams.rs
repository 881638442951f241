//! Streams that stop telling, or leave something out.

use std::collections::BTreeMap;
use std::time::Duration;

use optiflow_base::clock::Clock;
use optiflow_base::ids::SymbolId;
use optiflow_base::money::{Price, Qty, Side};
use optiflow_base::rest::Method;
use optiflow_engine::book::BookState;
use optiflow_sim::binance::faults::{Fault, Faults, RATE_ONE, Rule};

use super::lab::START;
use super::puppet::{Want, lots};
use super::session::Session;

// Elsewhere: the listen key expired, nobody subscribed again, and fills were seen by polling only (nautilus_trader#3861).
// Here: a new key is asked for and connected to at once, and the next fill is told by the stream, before anybody asks.
#[test]
fn listen_key_expiry_resubscribes() {
    let mut session = Session::ready();
    assert_eq!(session.said("user stream is up"), 1);
    session.strike_for(1_500, &[Fault::ListenKeyExpired], Duration::ZERO);
    session.run_until(1_500, |session| session.struck(Fault::ListenKeyExpired) == 1);
    session.strike(&[], Duration::ZERO);
    session.run(1_500);
    assert_eq!((session.said("listen key has expired"), session.said("user stream is up")), (1, 2));
    the_stream_tells_of_fills(&mut session);
    session.agrees();
}

// Elsewhere: the socket answered pings, and no order event came for hours (binance-connector-js#135, binance-connector-rust#74).
// Here: an accepted order of which the stream says nothing means that it is dead: connected again, and all is compared.
#[test]
fn pings_fine_events_dead() {
    let mut session = Session::ready();
    session.strike_for(200, &[Fault::DeadUserStream], Duration::from_secs(3_600));
    session.hand().once = Some(Want::Rest);
    session.run_until(200, |session| session.struck(Fault::DeadUserStream) == 1);
    let id = session.only_order();
    session.run(1_000);
    let query = format!("symbol=BTCUSDT&origClientOrderId={id}");
    assert_eq!(session.owner(Method::Delete, "/fapi/v1/order", &query), 200);
    session.run(1_500);
    assert_eq!(session.fate(id), ["Sent", "Accepted"], "it was cancelled, and the stream is silent");
    session.run(3_000);
    assert_eq!(session.said("user stream is up but says nothing"), 1);
    assert_eq!(session.fate(id), ["Sent", "Accepted", "Cancelled"], "what it hid was found");
    the_stream_tells_of_fills(&mut session);
    session.agrees();
}

/// Buys a little. Whoever has to ask for a fill waits a second before he does.
fn the_stream_tells_of_fills(session: &mut Session) {
    session.hand().once = Some(Want::Take(lots(1)));
    session.run_until(200, |session| session.traded().len() == 1);
    session.run_until(100, |session| session.booked() == session.traded());
    session.run(3_000);
}

// Elsewhere: the check of `pu` was switched off, and the book was wrong without a word (hftbacktest#300).
// Here: a lost depth message loses the book at once; it is fetched again, and whenever it counts it is the true one.
#[test]
fn gap_is_noticed() {
    let mut session = Session::begun("synthetic", None);
    let (mut truth, mut compared, mut lost) = (BTreeMap::new(), 0, 0);
    for millis in 0..8_000 {
        if millis == 2_000 {
            session.strike_for(150, &[Fault::DepthGap], Duration::ZERO);
        }
        session.run(1);
        {
            let exchange = session.exchange.borrow();
            let book = exchange.core().book(0);
            truth.entry(book.last_id()).or_insert_with(|| {
                [Side::Buy, Side::Sell].map(|side| pairs(book.levels(side).map(|level| (level.price, level.qty))))
            });
        }
        let book = session.world.book(SymbolId(0)).unwrap();
        if book.state() != BookState::Synced {
            lost += 1;
        } else if let Some(truth) = truth.get(&book.last_id()) {
            let ours = [Side::Buy, Side::Sell]
                .map(|side| pairs(book.stored_levels(side).map(|level| (level.price, level.qty))));
            assert_eq!(&ours, truth, "at {}, {millis} ms", book.last_id());
            compared += 1;
        }
    }
    assert!(session.struck(Fault::DepthGap) > 0);
    assert!((1..=1_500).contains(&lost), "{lost} ms without a book");
    assert!(compared > 3_000, "compared at {compared} instants");
    assert_eq!(session.world.book(SymbolId(0)).unwrap().state(), BookState::Synced);
}

/// The best levels of a side.
fn pairs(levels: impl Iterator<Item = (Price, Qty)>) -> Vec<(Price, Qty)> {
    levels.take(20).collect()
}

// Elsewhere: a subscription was lost without a disconnect, and the book stood still unnoticed (dcrdex#2958).
// Here: silence is noticed in seconds, nothing is ordered on that book, and the streams are connected again by themselves.
#[test]
fn stuck_book_is_noticed() {
    let mut session = Session::ready();
    let now = Duration::from_nanos(session.world.clock.now().since(START));
    let rule = |fault, span, from: u64, until: u64| Rule {
        span: Duration::from_secs(span),
        from: now + Duration::from_secs(from),
        until: Some(now + Duration::from_secs(until)),
        ..Rule::new(fault, RATE_ONE)
    };
    // Connecting again is made hard for a while, so that there is a time in which the book is known to be stuck.
    let faults =
        Faults::none(1).with(rule(Fault::DeadMarketStream, 3_600, 0, 2)).with(rule(Fault::RefusedConnects, 1, 1, 9));
    session.exchange.borrow_mut().set_faults(session.world.clock.now(), &faults);
    session.run(5_500);
    assert_eq!(session.said("depth stream silent"), 1);
    session.hand().once = Some(Want::Rest);
    session.run(2_500);
    assert_eq!(session.hand().asked.len(), 0, "nothing is ordered on a book that stands still");
    session.run(12_000);
    assert_eq!(session.accepted(), 1, "the book lives again");
    let exchange = session.exchange.borrow();
    let behind = exchange.core().book(0).last_id() - session.world.book(SymbolId(0)).unwrap().last_id();
    assert!(behind <= 1, "{behind} moves behind");
}
