//! What `optiflow trade` makes sure of before its session begins: how the account is set up, and what former sessions left.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::fs;
use std::thread;
use std::time::Duration;

use pair::{Engine, Pair, busy};
use support::until;

mod exchange;
mod pair;
mod support;

#[test]
fn leverage_and_margin_are_verified_and_changed_only_when_the_configuration_says_so() {
    let pair = Pair::start_with("starts-settings", &busy("BTCUSDT", ""), &[]);
    begins(&pair, "BTCUSDT: leverage 20, cross margin (as the account has it)");

    pair.configure(&busy("BTCUSDT", "leverage = 5\nmargin = \"cross\""));
    for _ in 0..2 {
        let said = refuses(&pair, 1);
        for part in
            ["leverage 5, cross margin", "leverage 20, cross margin", "apply_settings = true", "at the exchange"]
        {
            assert!(said.contains(part), "{part}: {said}");
        }
    }
    pair.configure(&busy("BTCUSDT", "leverage = 5\nmargin = \"cross\"\napply_settings = true"));
    begins(&pair, "BTCUSDT: leverage 5, cross margin (set and verified; the account had leverage 20, cross margin)");
    pair.configure(&busy("BTCUSDT", "leverage = 5"));
    begins(&pair, "BTCUSDT: leverage 5, cross margin (as configured)");
}

#[test]
fn a_session_that_cannot_trust_its_database_does_not_begin_and_touches_nothing() {
    let apply = busy("BTCUSDT", "leverage = 3\napply_settings = true");
    let mut pair = Pair::start_with("starts-doubt", &apply, &[]);
    fs::write(pair.database(), "no database ".repeat(1_000)).unwrap();
    assert!(refuses(&pair, 2).contains("is not an SQLite database; choose another path"));
    fs::remove_file(pair.database()).unwrap();
    // Of another program.
    let file = rusqlite::Connection::open(pair.database()).unwrap();
    file.execute_batch("CREATE TABLE recipes (name TEXT)").unwrap();
    assert!(refuses(&pair, 2).contains("of another program"));
    drop(file);
    fs::remove_file(pair.database()).unwrap();
    // One of ours, of the future.
    pair.configure(&busy("BTCUSDT", ""));
    begins(&pair, "BTCUSDT: leverage 20, cross margin");
    let accepted = pair.orders();
    let file = rusqlite::Connection::open(pair.database()).unwrap();
    file.pragma_update(None, "user_version", 1_000).unwrap();
    drop(file);
    pair.configure(&apply);
    assert!(refuses(&pair, 2).contains("has schema 1000, this program knows up to"));
    assert_eq!((pair.orders(), pair.leverage()), (accepted, 20), "refused before the first order, and before that");
}

#[test]
fn orders_of_a_dead_session_are_ended_and_closed_by_one_that_does_not_trade_their_symbol() {
    let market = ["--market", "synthetic:BTCUSDT,ETHUSDT"];
    let mut pair = Pair::start_with("starts-strays", &busy("BTCUSDT", ""), &market);
    let mut engine = pair.trade();
    assert!(pair.wait_for_trading(&mut engine, PATIENCE), "{}", pair.said());
    // Dead in the midst of it, with orders that are open and orders whose end is not written down.
    thread::sleep(Duration::from_millis(700));
    engine.kill();
    assert!(pair.unfinished() > 0, "{}", pair.said());

    pair.configure(&busy("ETHUSDT", ""));
    let mut engine = pair.trade();
    pair.wait_for_session(&mut engine);
    // Before the session begins, not by its stages.
    assert_eq!(pair.count("SELECT count(*) FROM orders WHERE symbol = 'BTCUSDT' AND state IN ('sent', 'open')"), 0);
    assert!(pair.open().is_empty());
    end(&mut engine);
    assert!(pair.said().contains("closed in the database"), "{}", pair.said());
    let of_btc = |sql: &str| pair.count(&format!("{sql} AND symbol = 'BTCUSDT'"));
    assert_eq!(
        of_btc(
            "SELECT count(*) FROM orders WHERE state NOT IN ('filled', 'cancelled', 'expired', 'refused', 'denied')"
        ),
        0
    );
    assert!(pair.count("SELECT count(*) FROM notices WHERE what LIKE '%ended by a later session%'") > 0);
    let ours = pair.written_in("BTCUSDT");
    assert_eq!(ours, pair.fills(), "every fill of them is booked once");
}

/// One session begins, says this, and is stopped.
fn begins(pair: &Pair, says: &str) {
    let mut engine = pair.trade();
    pair.wait_for_session(&mut engine);
    end(&mut engine);
    assert!(pair.said().contains(says), "{says}: {}", pair.said());
}

/// A session does not begin; what was said.
fn refuses(pair: &Pair, code: i32) -> String {
    let mut engine = pair.trade();
    let status = until("it goes on", PATIENCE, || engine.process.try_wait().unwrap());
    assert_eq!(status.code(), Some(code), "{}", pair.said());
    pair.said()
}

fn end(engine: &mut Engine) {
    engine.terminate();
    until("it does not end", PATIENCE, || engine.process.try_wait().unwrap());
}

const PATIENCE: Duration = Duration::from_secs(120);
