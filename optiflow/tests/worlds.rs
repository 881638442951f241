//! `optiflow world`, as a user runs it: sums, exit codes, TLS, the file of kept seeds.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot go on has failed")]

use std::process::{Command, Output};
use std::time::Duration;

use optiflow_backtest::seeds::plan::Plan;
use serde_json::Value;

fn world(args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_optiflow")).arg("world").args(args).output().unwrap()
}

fn sums(output: &Output) -> Value {
    serde_json::from_slice(&output.stdout).unwrap()
}

#[test]
fn worlds_are_lived_on_every_core_and_added_up() {
    let kept = std::env::temp_dir().join(format!("optiflow-worlds-{}.txt", std::process::id()));
    let output = world(&["--seeds", "0..6", "--minutes", "1", "--json", "--keep", kept.to_str().unwrap()]);
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{told}");
    let sums = sums(&output);
    assert_eq!((&sums["seeds"], &sums["failures"]), (&6.into(), &Value::Array(Vec::new())));
    assert!(sums["virtual_hours"].as_f64().unwrap() > 0.1, "{sums}");
    assert!(sums["orders"].as_u64().unwrap() > 50 && sums["books_compared"].as_u64().unwrap() > 500, "{sums}");
    assert!(sums["faults"].as_object().unwrap().len() > 3, "{sums}");
    assert!(!kept.exists(), "nothing failed, nothing is kept");
    let text = String::from_utf8(world(&["--seeds", "0..1", "--minutes", "1", "--jobs", "1"]).stdout).unwrap();
    assert!(text.contains("worlds        1") && text.contains("thread-seconds per virtual hour"), "{text}");
}

#[test]
fn one_world_in_a_hundred_goes_through_tls() {
    let minute = Duration::from_secs(60);
    let count = (0..10_000).filter(|seed| Plan::drawn(*seed, minute).tls).count();
    assert!((60..160).contains(&count), "{count} of 10,000");
    let seed = (0..).find(|seed| Plan::drawn(*seed, minute).tls).unwrap();
    let output = world(&["--seeds", &format!("{seed}..{}", seed + 1), "--minutes", "1", "--json"]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(sums(&output)["tls"], 1, "seed {seed}");
}

#[test]
fn a_seed_is_lived_again_word_for_word_through_tls_as_well() {
    let span = Duration::from_secs(120);
    // Byte by byte, one more or less shows.
    let is_telling = |plan: &Plan| plan.tls && plan.chop == Some(1);
    let seed = (0..).find(|seed| is_telling(&Plan::drawn(*seed, span))).unwrap();
    let digest = || {
        let sums = sums(&world(&["--seeds", &format!("{seed}..{}", seed + 1), "--minutes", "2", "--json"]));
        sums["digest"].as_str().unwrap().to_owned()
    };
    let first = digest();
    assert_ne!(first, "0000000000000000");
    (0..4).for_each(|_| assert_eq!(digest(), first, "seed {seed}"));
}

#[test]
fn what_a_world_is_lived_without_does_not_happen() {
    let output =
        world(&["--seeds", "0..4", "--minutes", "1", "--json", "--shrink", "--without", "kills,halt,stalls,disk"]);
    let sums = sums(&output);
    assert_eq!(
        (&sums["seeds"], &sums["kills"], &sums["halts"], &sums["stalls"]),
        (&4.into(), &0.into(), &0.into(), &0.into())
    );
    let wrong = world(&["--seeds", "0..1", "--without", "gremlins"]);
    assert_eq!(wrong.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&wrong.stderr).contains("late_reply"), "it says what there is");
}

#[test]
fn a_range_that_is_empty_is_a_wrong_request() {
    for wrong in ["5..5", "7", "a..b"] {
        let output = world(&["--seeds", wrong]);
        assert_eq!(output.status.code(), Some(2), "{wrong}");
        assert!(String::from_utf8_lossy(&output.stderr).contains("FROM..TO"), "{wrong}");
    }
}
