//! `optiflow parity` on a session traded against `optiflow exchange`: the simulator agrees with what really happened,
//! and no longer does once the capture or the latencies are tampered with.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod exchange;
mod support;

use std::fs::{self, File};
use std::io::{Read, Write};

use flate2::Compression;
use flate2::read::MultiGzDecoder;
use flate2::write::GzEncoder;
use serde_json::Value;

use exchange::Exchange;
use support::{Folder, demo, optiflow};

#[test]
fn a_session_sent_again_fills_as_it_did_and_tampering_shows() {
    let folder = Folder::new("parity");
    trade(&folder, "20s");
    let capture = folder.path("capture");

    let honest = parity(&folder, &capture, &["--queue", "all"]);
    assert_eq!(honest["outside_capture"], 0, "{honest:#}");
    assert_eq!(honest["models"].as_array().unwrap().len(), 6);
    let model = &honest["models"][0];
    assert!(model["orders"].as_u64().unwrap() >= 10, "{honest:#}");
    assert!(model["filled_real"].as_u64().unwrap() >= 2, "{honest:#}");
    assert!(share(model, "agreement") >= 0.9, "{honest:#}");
    assert!(share(model, "agreement_by_value") >= 0.8, "{honest:#}");
    let table = fs::read_to_string(folder.path("out/parity.csv")).unwrap();
    assert_eq!(table.lines().count() as u64, 1 + 6 * model["orders"].as_u64().unwrap());
    assert!(fs::read_to_string(folder.path("out/parity.html")).unwrap().contains("risk-averse"));

    let late = parity(&folder, &capture, &["--delay", "2000000000"]);
    let late = &late["models"][0];
    let (before, after) = (share(model, "agreement_by_value"), share(late, "agreement_by_value"));
    assert!(after < before - 0.1, "{before} {after}: {late:#}");

    // Without its trades the market fills what it crosses, and that later.
    let without_trades = folder.path("without-trades");
    tamper(&capture, &without_trades, |line| !line.contains("@aggTrade"));
    let silent = parity(&folder, &without_trades, &[]);
    let silent = &silent["models"][0];
    let fewer = silent["filled_simulated"].as_u64() < model["filled_simulated"].as_u64();
    let later = share(&silent["fill_time_ms"], "mean") > share(&model["fill_time_ms"], "mean") + 5.0;
    assert!(fewer || later, "{silent:#} {model:#}");
}

#[test]
fn requests_that_cannot_be_met_say_what_to_give() {
    let folder = Folder::new("parity-refused");
    let (db, nothing) = (folder.path("log.db"), folder.path("nothing"));
    let said = optiflow(&["parity", &db, "--capture", &nothing]);
    assert!(said.code == 2 && said.err.contains("log.db"), "{}", said.err);
    assert!(optiflow(&["trade", "--for", "3s", "--json", "--db", &db]).code == 0);
    let said = optiflow(&["parity", &db, "--capture", &nothing, "--session", "9", "--out", &folder.path("out")]);
    assert!(said.code == 2 && said.err.contains("it has 1"), "{}", said.err);
    let said = optiflow(&["parity", &db, "--capture", &nothing, "--out", &folder.path("out")]);
    assert!(said.code == 2 && said.err.contains("nothing"), "{}", said.err);
}

/// A session of so long with its capture, against an exchange of its own process.
fn trade(folder: &Folder, run_for: &str) {
    let exchange = Exchange::start(folder, &[]);
    demo(folder);
    let said = optiflow(&[
        "trade",
        "--config",
        &folder.path("demo.toml"),
        "--exchange",
        &exchange.line,
        "--capture",
        &folder.path("capture"),
        "--db",
        &folder.path("log.db"),
        "--for",
        run_for,
        "--json",
    ]);
    let result = said.json();
    assert_eq!(said.code, 0, "{result:#} {}", said.err);
    assert!(result["capture"]["lines"]["snapshot"].as_u64().unwrap() >= 1, "{result:#}");
}

fn parity(folder: &Folder, capture: &str, more: &[&str]) -> Value {
    let (db, out) = (folder.path("log.db"), folder.path("out"));
    let mut args = vec!["parity", &db, "--capture", capture, "--out", &out, "--json"];
    args.extend(more);
    let said = optiflow(&args);
    assert_eq!(said.code, 0, "{} {}", said.out, said.err);
    said.json()
}

fn share(model: &Value, field: &str) -> f64 {
    model[field].as_f64().unwrap_or_else(|| panic!("no {field} in {model:#}"))
}

/// Copies a capture without the lines that `keep` refuses.
fn tamper(from: &str, to: &str, keep: impl Fn(&str) -> bool) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let mut text = String::new();
        MultiGzDecoder::new(File::open(entry.path()).unwrap()).read_to_string(&mut text).unwrap();
        let target = File::create(std::path::Path::new(to).join(entry.file_name())).unwrap();
        let mut packed = GzEncoder::new(target, Compression::fast());
        for line in text.lines().filter(|line| keep(line)) {
            writeln!(packed, "{line}").unwrap();
        }
        packed.finish().unwrap();
    }
}
