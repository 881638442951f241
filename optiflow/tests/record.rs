//! `optiflow record` against an exchange on loopback: what it writes is what `import` and the exchange itself read.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod exchange;
mod support;

use std::fs::{self, File};
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use flate2::read::MultiGzDecoder;
use serde_json::Value;

use exchange::Exchange;
use support::{Folder, demo, optiflow, until};

#[test]
fn a_recording_holds_every_stream_and_is_read_back_by_import_and_by_the_exchange() {
    let folder = Folder::new("record");
    let exchange = Exchange::start(&folder, &[]);
    demo(&folder);
    let said = optiflow(&[
        "record",
        "--config",
        &folder.path("demo.toml"),
        "--exchange",
        &exchange.line,
        "--out",
        &folder.path("capture"),
        "--for",
        "4s",
        "--json",
    ]);
    let tally = said.json();
    assert_eq!(said.code, 0, "{tally:#} {}", said.err);
    for kind in ["depth", "top", "trade", "mark", "snapshot"] {
        assert!(tally["lines"][kind].as_u64().unwrap() > 0, "{kind}: {tally:#}");
    }
    assert_eq!((&tally["gaps"], &tally["reconnects"]), (&Value::from(0), &Value::from(0)), "{tally:#}");
    let files = captured(&folder);
    assert_eq!(files.len(), 1, "{files:?}");
    let lines = text(&files[0]);
    assert_eq!(lines.len() as u64, tally["bytes"].as_u64().unwrap());
    for line in lines.lines() {
        let (time, json) = line.split_once(' ').unwrap();
        assert_eq!(time.len(), 19, "{line}");
        serde_json::from_str::<Value>(json).unwrap();
    }
    let import = ["import", "collector", &files[0], "--out", &folder.path("market.parquet"), "--json"];
    let imported = optiflow(&import).json();
    assert_eq!((&imported["gaps"], &imported["heard"]["snapshots"]), (&Value::from(0), &Value::from(1)));
    assert_eq!(imported["heard"]["depth"], tally["lines"]["depth"], "{imported:#}");
    let replayed =
        optiflow(&["trade", "--market", &files[0], "--for", "2s", "--json", "--db", &folder.path("replayed.db")]);
    assert!(replayed.json()["ledger"].as_str().unwrap().contains("agree"), "{}", replayed.out);
}

#[test]
fn an_exchange_that_goes_and_comes_back_costs_a_reconnect_and_a_new_snapshot() {
    let folder = Folder::new("record-again");
    let port = exchange::free_port();
    let exchange = Exchange::start(&folder, &["--port", &port]);
    demo(&folder);
    let recorder = Command::new(env!("CARGO_BIN_EXE_optiflow"))
        .args(["record", "--json", "--for", "12s", "--config", &folder.path("demo.toml")])
        .args(["--exchange", &exchange.line, "--out", &folder.path("capture")])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    wait_until("no snapshot is written", || captured(&folder).iter().any(|file| size(file) > 0));
    drop(exchange);
    let _again = Exchange::start(&folder, &["--port", &port]);
    let output = recorder.wait_with_output().unwrap();
    let notes = String::from_utf8(output.stderr).unwrap();
    let tally: Value = serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {notes}"));
    assert!(output.status.success(), "{tally:#}");
    assert!(tally["reconnects"].as_u64().unwrap() >= 2, "both routes: {tally:#}");
    assert!(tally["lines"]["snapshot"].as_u64().unwrap() >= 2, "{tally:#}");
    assert!(notes.contains("public streams: connected again"), "{notes}");
    // The ids of the new exchange begin anew: its book is in the store all the same.
    let files = captured(&folder);
    let out = folder.path("market.parquet");
    let import = [&["import", "collector", "--json", "--out", &out][..], &strs(&files)].concat();
    let imported = optiflow(&import).json();
    let (stale, depth) = (imported["stale"].as_u64().unwrap(), imported["heard"]["depth"].as_u64().unwrap());
    assert!(stale * 20 < depth, "{imported:#}");
    assert!(imported["heard"]["snapshots"].as_u64().unwrap() >= 2, "{imported:#}");
}

#[test]
fn the_recordings_of_two_symbols_become_one_store() {
    let folder = Folder::new("record-two");
    let exchange = Exchange::start(&folder, &["--market", "synthetic:BTCUSDT,ETHUSDT"]);
    demo(&folder);
    let text = fs::read_to_string(folder.path("demo.toml")).unwrap();
    let (before, symbol) = text.split_at(text.find("[[symbol]]").unwrap());
    let other = symbol.replace("BTCUSDT", "ETHUSDT");
    let totals = "total_notional_max = \"1200\"\ntotal_open_orders_max = 8";
    fs::write(folder.path("demo.toml"), format!("{before}{totals}\n{symbol}\n{other}")).unwrap();
    let (config, capture) = (folder.path("demo.toml"), folder.path("capture"));
    let record = ["record", "--config", &config, "--exchange", &exchange.line, "--out", &capture, "--for", "14s"];
    let said = optiflow(&[&record[..], &["--json"]].concat());
    assert_eq!(said.code, 0, "{}", said.err);
    let tally = said.json();
    let files = captured(&folder);
    assert!(files.iter().any(|file| file.contains("ethusdt_")) && files.iter().any(|file| file.contains("btcusdt_")));
    let out = folder.path("market.parquet");
    let import = [&["import", "collector", "--out", &out, "--json"][..], &strs(&files)].concat();
    let said = optiflow(&import);
    assert_eq!(said.code, 0, "{}", said.err);
    let imported = said.json();
    let names: Vec<&str> =
        imported["symbols"].as_array().unwrap().iter().map(|info| info["name"].as_str().unwrap()).collect();
    assert!(names.contains(&"BTCUSDT") && names.contains(&"ETHUSDT"), "{imported:#}");
    assert_eq!(imported["heard"]["depth"], tally["lines"]["depth"], "{imported:#}");
    assert_eq!(imported["heard"]["snapshots"], tally["lines"]["snapshot"], "{imported:#}");
    assert_eq!((&imported["gaps"], &imported["bare_snapshots"]), (&Value::from(0), &Value::from(0)));
    assert_eq!(imported["warnings"], Value::Array(Vec::new()), "{imported:#}");
    let seconds = (imported["local_ns"]["last"].as_u64().unwrap() - imported["local_ns"]["first"].as_u64().unwrap())
        / 1_000_000_000;
    assert!(
        (10..=14).contains(&seconds),
        "longer than the window, which would hide files that are not merged: {seconds}"
    );
    let text = optiflow(&[&["import", "collector", "--out", &out][..], &strs(&files)].concat());
    for part in ["  from 20", " UTC, received in 0.00 h", "  rows: ", " depth, ", " snapshot, "] {
        assert!(text.out.contains(part), "{part}: {}", text.out);
    }
    let error = optiflow(&["import", "collector", &files[0], "--out", &files[0]]);
    assert!(error.code == 2 && error.err.contains("is also an input"), "{}", error.err);
}

#[test]
fn a_recorder_that_is_killed_leaves_whole_gzip() {
    let folder = Folder::new("record-killed");
    let exchange = Exchange::start(&folder, &[]);
    demo(&folder);
    let mut recorder = Command::new(env!("CARGO_BIN_EXE_optiflow"))
        .args(["record", "--config", &folder.path("demo.toml"), "--exchange", &exchange.line])
        .args(["--out", &folder.path("capture")])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    wait_until("nothing is written", || captured(&folder).iter().any(|file| size(file) > 0));
    let first = size(&captured(&folder)[0]);
    wait_until("no more is written", || size(&captured(&folder)[0]) > first);
    recorder.kill().unwrap();
    recorder.wait().unwrap();
    let files = captured(&folder);
    assert!(files[0].ends_with(".gz.part"), "{files:?}");
    assert!(text(&files[0]).ends_with("}\n"));
    let import = ["import", "collector", &files[0], "--out", &folder.path("market.parquet"), "--json"];
    assert_eq!(optiflow(&import).code, 0);
}

#[test]
fn a_simulated_mode_without_an_exchange_and_one_that_is_elsewhere_are_refused() {
    let folder = Folder::new("record-refused");
    demo(&folder);
    let config = folder.path("demo.toml");
    let said = optiflow(&["record", "--config", &config, "--out", &folder.path("capture")]);
    assert!(said.code == 2 && said.err.contains("--exchange FILE"), "{}", said.err);
    let line = folder.path("elsewhere.json");
    let far = r#"{"rest":"https://example.com","streams":"wss://example.com","ws_api":"wss://example.com","api_key":"","api_secret":"","ed25519_key_file":""}"#;
    fs::write(&line, format!("{far}\n")).unwrap();
    let said = optiflow(&["record", "--config", &config, "--out", &folder.path("capture"), "--exchange", &line]);
    assert!(said.code == 2 && said.err.contains("not on this machine"), "{}", said.err);
}

fn strs(files: &[String]) -> Vec<&str> {
    files.iter().map(String::as_str).collect()
}

/// Waits for something that must come.
fn wait_until(what: &str, is_so: impl Fn() -> bool) {
    until(what, Duration::from_secs(60), || is_so().then_some(()));
}

/// Bytes of a file; none of one that is gone.
fn size(path: &str) -> u64 {
    fs::metadata(path).map_or(0, |found| found.len())
}

fn captured(folder: &Folder) -> Vec<String> {
    let entries = fs::read_dir(folder.path("capture")).into_iter().flatten();
    let mut files: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    files.sort();
    files.iter().map(|file| file.display().to_string()).collect()
}

/// Refuses what `gzip -t` would refuse.
fn text(path: &str) -> String {
    let mut text = String::new();
    MultiGzDecoder::new(File::open(Path::new(path)).unwrap()).read_to_string(&mut text).unwrap();
    text
}
