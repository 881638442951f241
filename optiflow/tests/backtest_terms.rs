//! `optiflow backtest` with what an exchange does besides matching: limits, funding, margin, latencies of a session.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod support;

use std::fs;
use std::path::Path;

use optiflow_base::clock::Nanos;
use optiflow_base::money::Side;
use optiflow_store::event::{Flags, Kind, Row};
use optiflow_store::writer::Writer;
use rusqlite::Connection;
use support::{Folder, Said, optiflow};

/// A book of 5 a side at 100.0 and 100.1 from 1 s on, marks each second, funding of 0.01 % at 4 s, and a fall at 6 s.
fn store(folder: &Folder) -> String {
    let path = folder.path("market.parquet");
    let mut writer = Writer::create(Path::new(&path), "test").unwrap();
    let symbol = writer.symbol("AUSDT").unwrap();
    for second in 1..10 {
        let at = Nanos(second * 1_000_000_000);
        let mark = if second < 6 { "100.05" } else { "90" };
        let mut push = |kind, side, price: &str, qty: &str, id| {
            let (price, qty, flags) = (price.parse().unwrap(), qty.parse().unwrap(), Flags::BOTH);
            writer.push(Row { exch: at, local: at, price, qty, id, symbol, kind, side, flags }).unwrap();
        };
        push(Kind::Depth, Some(Side::Buy), "100", "5", 0);
        push(Kind::Depth, Some(Side::Sell), "100.1", "5", 0);
        push(Kind::Mark, None, mark, "0", 0);
        push(Kind::Funding, None, "0.0001", "0", 4_000);
    }
    writer.finish().unwrap();
    path
}

fn run(folder: &Folder, data: &str, script: &str, more: &[&str]) -> Said {
    let (file, out) = (folder.path("script.csv"), folder.path("out"));
    fs::write(&file, script).unwrap();
    let usual = ["backtest", "--data", data, "--script", &file, "--tick", "0.1", "--lot", "0.001", "--out", &out];
    optiflow(&[&usual[..], &["--json"], more].concat())
}

const HEADER: &str = "t_ns,verb,order_id,side,price,qty,tif,type,reduce_only,stp\n";

#[test]
fn funding_and_a_liquidation_reach_the_reports() {
    let folder = Folder::new("terms-margin");
    let data = store(&folder);
    let script = format!(
        "{HEADER}2000000000,submit,1,BUY,100.1,2,IOC,LIMIT,,\n2500000000,submit,2,SELL,101,1,GTC,LIMIT,true,\n"
    );
    let said = run(&folder, &data, &script, &["--wallet", "12", "--leverage", "50"]);
    assert_eq!(said.code, 0, "{}", said.err);
    let summary = said.json();
    // 2 × 100.05 × 0.0001 for the long.
    assert_eq!(summary["funding"], -0.02001, "{summary:#}");
    assert_eq!((&summary["exchange"]["liquidations"], &summary["exchange"]["fundings"]), (&1.into(), &1.into()));
    assert_eq!((&summary["position"], &summary["terms"]["leverage"]), (&0.0.into(), &50.into()));
    // Taken at 5 bps, closed at 5 bps and 1.25 %.
    let fees = 200.2 * 0.0005 + 200.0 * 0.013;
    assert!((summary["fees"].as_f64().unwrap() - fees).abs() < 1e-9, "{summary:#}");
    let peers = run(&folder, &data, &script, &["--compatible"]);
    let summary = peers.json();
    assert_eq!(
        (&summary["funding"], &summary["terms"]["wallet"]),
        (&serde_json::Value::Null, &serde_json::Value::Null)
    );
    assert_eq!(summary["position"], 2.0);
    for (flag, value) in [
        ("--wallet", "12"),
        ("--leverage", "5"),
        ("--liquidation-fee", "1%"),
        ("--min-notional", "5"),
        ("--orders-ten-seconds", "3"),
        ("--orders-minute", "3"),
        ("--stp", "none"),
    ] {
        let said = run(&folder, &data, &script, &[flag, value, "--compatible"]);
        assert!(said.code == 2 && said.err.contains(&format!("{flag} is of the realistic rules")), "{}", said.err);
    }
}

#[test]
fn scripts_that_ask_for_nothing_or_for_impossible_prices_are_refused() {
    let folder = Folder::new("terms-scripts");
    let data = store(&folder);
    for text in ["", "\n", HEADER] {
        let said = run(&folder, &data, text, &[]);
        assert!(said.code == 2 && said.err.contains("nothing is asked for; give lines of t_ns,verb"), "{}", said.err);
    }
    let script = format!("{HEADER}2000000000,submit,1,BUY,99.06,1,GTC,LIMIT,,\n");
    let said = run(&folder, &data, &script, &[]);
    assert!(said.code == 2 && said.err.contains("line 2") && said.err.contains("99.06"), "{}", said.err);
    assert!(said.err.contains("the nearest is 99.1"), "{}", said.err);
    assert_eq!(run(&folder, &data, &script, &["--compatible"]).json()["answers"], 1);
}

#[test]
fn limits_and_least_values_are_flags_and_are_counted() {
    let folder = Folder::new("terms-limits");
    let data = store(&folder);
    let orders = (1..6).map(|id| format!("200000000{id},submit,{id},BUY,99,0.0{id},GTC,LIMIT,,\n")).collect::<String>();
    let script = format!("{HEADER}{orders}");
    let limits = ["--orders-ten-seconds", "3", "--min-notional", "1.5", "--fees", "0:4bps", "--stp", "none"];
    let summary = run(&folder, &data, &script, &limits).json();
    assert_eq!(summary["exchange"]["limited"], 2, "{summary:#}");
    assert_eq!(summary["exchange"]["below_min_notional"], 1);
    assert_eq!((&summary["maker_fee_ppm"], &summary["taker_fee_ppm"]), (&0.into(), &400.into()));
    assert_eq!(summary["terms"]["stp"], "none");
    let config = folder.path("terms.toml");
    let table = "[backtest]\norders_ten_seconds = 3\nmin_notional = \"1.5\"\nstp = \"none\"\nfees = \"0:4bps\"\n";
    fs::write(&config, table).unwrap();
    let same = run(&folder, &data, &script, &["--config", &config]).json();
    assert_eq!(same["event_log_hash"], summary["event_log_hash"]);
    for (flags, says) in [
        (&["--fees", "vip3"][..], "vip3 are not known"),
        (&["--leverage", "5"], "--wallet"),
        (&["--stp", "both"], "expire-both"),
        (&["--queue", "fifo"], "synthetic"),
        (&["--wallet", "0"], "above zero"),
    ] {
        let said = run(&folder, &data, &script, flags);
        assert!(said.code == 2 && said.err.contains(says), "{flags:?}: {} {}", said.code, said.err);
    }
}

#[test]
fn the_live_stages_tell_the_account_they_had_and_refuse_terms_that_are_not_theirs() {
    let folder = Folder::new("terms-stages");
    let (data, out) = (store(&folder), folder.path("out"));
    let run = |more: &[&str]| {
        let usual = ["backtest", "--data", &data, "--strategy", "scalping_v1", "--out", &out, "--json"];
        optiflow(&[&usual[..], more].concat())
    };
    let summary = run(&["--leverage", "5"]).json();
    assert_eq!((&summary["terms"]["wallet"], &summary["terms"]["leverage"]), (&10_000.0.into(), &5.into()));
    for (flags, says) in [
        (&["--stp", "none"][..], "stp"),
        (&["--orders-minute", "5"], "orders_minute"),
        (&["--seed", "3"], "--market"),
        (&["--compatible"], "conventions"),
        (&["--queue", "fifo"], "single orders"),
    ] {
        let said = run(flags);
        assert!(said.code == 2 && said.err.contains(says), "{flags:?}: {} {}", said.code, said.err);
    }
}

#[test]
fn a_file_with_orders_and_a_strategy_that_has_none_is_refused() {
    let folder = Folder::new("terms-both");
    let (data, out, config, script) =
        (store(&folder), folder.path("out"), folder.path("both.toml"), folder.path("script.csv"));
    fs::write(&script, HEADER).unwrap();
    let symbol = "[[symbol]]\nname = \"AUSDT\"\nstrategy = \"scalping_v1\"\norder_notional_max = \"500\"\n\
        position_notional_max = \"600\"\nopen_orders_max = 4\nprice_band_bps = 100\n[symbol.scalping_v1]\n\
        [risk]\norders_ten_seconds = 100\norders_minute = 600\nweight_minute = 1200\nquote_age_max = \"2s\"\n";
    for more in ["", symbol] {
        let text = format!("mode = \"paper\"\n[backtest]\nstrategy = \"scalping_v1\"\nscript = {script:?}\n{more}");
        fs::write(&config, text).unwrap();
        let said = optiflow(&["backtest", "--data", &data, "--config", &config, "--out", &out]);
        assert!(said.code == 2 && said.err.contains("leave one of them out"), "{} {}", said.code, said.err);
    }
}

#[test]
fn latencies_are_drawn_from_what_a_session_measured() {
    let folder = Folder::new("terms-session");
    let data = store(&folder);
    let file = folder.path("trading_log.db");
    let database = Connection::open(&file).unwrap();
    database.execute("CREATE TABLE latency_buckets (session_id, span, nanos, count)", []).unwrap();
    let script = format!(
        "{HEADER}{}",
        (1..9).map(|id| format!("200000000{id},submit,{id},BUY,99,0.1,GTC,LIMIT,,\n")).collect::<String>()
    );
    let seeded = |seed: u32| run(&folder, &data, &script, &["--latency", &format!("session:{file}:{seed}")]);
    let none = seeded(1);
    assert!(none.code == 1 && none.err.contains("no session in it sent an order"), "{} {}", none.code, none.err);
    for (nanos, count) in [(1_000_000, 5), (9_000_001, 5)] {
        let sql = "INSERT INTO latency_buckets VALUES (1, 'order_ack', ?, ?)";
        database.execute(sql, [nanos, count]).unwrap();
    }
    let one = seeded(1).json();
    assert_eq!((&one["latency"]["seed"], &one["answers"]), (&1.into(), &8.into()));
    assert_eq!(seeded(1).json()["event_log_hash"], one["event_log_hash"]);
    assert!((2..9).any(|seed| seeded(seed).json()["event_log_hash"] != one["event_log_hash"]));
    let script_file = format!("session:{}", folder.path("script.csv"));
    let foreign = run(&folder, &data, &script, &["--latency", &script_file]);
    assert!(foreign.code == 2 && foreign.err.contains("this is no session database"), "{}", foreign.err);
    let missing = run(&folder, &data, &script, &["--latency", "session:nowhere.db"]);
    assert!(missing.code == 2 && missing.err.contains("nowhere.db"), "{}", missing.err);
}
