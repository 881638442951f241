//! Reads the tree and fails on what is law in ARCHITECTURE.md; sizes and densities are printed, not enforced.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use optiflow::config::Config;

#[test]
fn rooms_depend_only_downwards() {
    let law: BTreeMap<&str, &[&str]> = BTreeMap::from([
        ("base", &[][..]),
        ("wire", &["base"][..]),
        ("feed", &["base", "wire"]),
        ("engine", &["base"]),
        ("risk", &["base"]),
        ("oms", &["base", "wire", "risk"]),
        ("storage", &["base"]),
        ("sim", &["base"]),
        ("store", &["base"]),
        ("backtest", &["base", "wire", "feed", "engine", "risk", "oms", "storage", "sim", "store"]),
        ("optiflow", &["base", "wire", "feed", "engine", "risk", "oms", "storage", "store", "sim", "backtest"]),
        ("benches", &["base", "wire", "feed", "engine", "risk", "oms", "sim", "backtest"]),
    ]);
    for (room, allowed) in law {
        let manifest = fs::read_to_string(root().join(room).join("Cargo.toml")).unwrap();
        let production = manifest.split("[dev-dependencies]").next().unwrap();
        for line in production.lines().filter_map(|line| line.strip_prefix("optiflow-")) {
            let other = line.split(['.', ' ', '=']).next().unwrap();
            assert!(allowed.contains(&other), "{room} must not depend on {other}");
        }
    }
}

#[test]
fn stages_read_no_clock_start_no_thread_and_iterate_no_hash_map() {
    let banned =
        ["Instant::now", "SystemTime::now", "thread::spawn", "thread::Builder", "thread::sleep", "HashMap", "HashSet"];
    for source in sources(&["wire", "feed", "engine", "risk", "oms", "storage", "sim", "backtest"]) {
        // Cold rooms may look up by hash what they never walk; hot stages walk what they keep.
        let cold = source.name.starts_with("sim/") || source.name.starts_with("storage/");
        let banned = if cold { &banned[..5] } else { &banned[..] };
        for (number, line) in source.code() {
            let found = banned.iter().find(|word| line.contains(**word));
            assert!(found.is_none(), "{}:{number}: {}", source.name, line.trim());
        }
    }
}

#[test]
fn money_is_never_a_float() {
    let rooms = sources(&["base", "risk", "oms"]);
    for source in rooms.iter().filter(|source| !MAY_USE_FLOATS.contains(&source.name.as_str())) {
        for (number, line) in source.code() {
            assert!(!line.contains("f64") && !line.contains("f32"), "{}:{number}: {}", source.name, line.trim());
        }
    }
}

#[test]
fn unsafe_code_stays_in_its_named_rooms() {
    for source in sources(ROOMS) {
        let unsafe_lines = source.code().filter(|(_, line)| line.contains("unsafe ") || line.contains("allow(unsafe"));
        for (number, line) in unsafe_lines {
            assert!(MAY_BE_UNSAFE.contains(&source.name.as_str()), "{}:{number}: {}", source.name, line.trim());
        }
    }
}

#[test]
fn only_one_file_writes_to_the_terminal() {
    // The standard macros panic when the reader has gone: a session would die with orders open.
    for source in sources(&["optiflow"]).iter().filter(|source| source.name != "optiflow/src/say.rs") {
        for (number, line) in source.code() {
            assert!(!line.contains("print!(") && !line.contains("println!("), "{}:{number}: {line}", source.name);
        }
    }
}

#[test]
fn nothing_is_left_over() {
    let leftovers = ["todo!", "unimplemented!", "dbg!", "FIXME", "XXX", "allow(dead_code)", "#[ignore"];
    let dead = ["// let ", "// if ", "// for ", "// self.", "// return", "// fn ", "// pub "];
    for source in sources(ROOMS) {
        for (index, line) in source.text.lines().enumerate() {
            let line = line.trim();
            // What several test files share, each of them uses a part of.
            let shared_by_tests = source.name.contains("/tests/") && line.starts_with("#![allow(");
            let left = !shared_by_tests && leftovers.iter().any(|word| line.contains(word));
            let found = left || dead.iter().any(|code| line.starts_with(code));
            assert!(!found || source.name == "optiflow/tests/tidy.rs", "{}:{}: {line}", source.name, index + 1);
        }
    }
}

#[test]
fn every_configuration_that_we_ship_loads() {
    let mut count = 0;
    for entry in fs::read_dir(root().join("configs")).unwrap() {
        let path = entry.unwrap().path();
        if let Err(error) = Config::load(&path) {
            panic!("{error}");
        }
        count += 1;
    }
    assert!(count > 0, "there are configurations");
}

#[test]
fn every_path_named_in_the_architecture_exists() {
    let text = fs::read_to_string(root().join("ARCHITECTURE.md")).unwrap();
    let mut count = 0;
    for word in text.split('`').skip(1).step_by(2) {
        let path = word.trim_end_matches('/');
        let is_path = path.contains('/') && !path.starts_with('/') && !path.contains([' ', '*', '…', ':', '<', '=']);
        if is_path || path.ends_with(".rs") || path.ends_with(".toml") {
            assert!(root().join(path).exists(), "ARCHITECTURE.md names {path}, which does not exist");
            count += 1;
        }
    }
    assert!(count > 10, "ARCHITECTURE.md is a map of files");
}

#[test]
fn no_secret_lies_in_the_tree() {
    let mut files = Vec::new();
    for folder in ["configs", "docs", "scripts"] {
        collect(&root().join(folder), &["toml", "md", "sh", "py"], &mut files);
    }
    files.extend(sources(ROOMS).into_iter().map(|source| root().join(source.name)));
    for path in files {
        let text = fs::read_to_string(&path).unwrap();
        for word in text.split(|c: char| !c.is_ascii_alphanumeric()) {
            let mixed = word.bytes().any(|b| b.is_ascii_digit()) && word.bytes().any(|b| b.is_ascii_alphabetic());
            let published = PUBLISHED_TEST_KEYS.iter().any(|known| word.starts_with(known));
            assert!(word.len() < 60 || !mixed || published, "{}: {}… looks like a secret", path.display(), &word[..8]);
        }
    }
}

#[test]
fn the_shape_of_the_code_is_reported() {
    println!("{:<10}{:>7}{:>8}{:>10}{:>11}{:>12}", "room", "files", "lines", "longest", ">400 lines", "asserts/fn");
    for room in ROOMS {
        let sources: Vec<Source> = sources(&[room]).into_iter().filter(|s| s.name.contains("/src/")).collect();
        let lengths: Vec<usize> = sources.iter().map(|source| source.code().count()).collect();
        let count = |word: &str| sources.iter().flat_map(Source::code).filter(|(_, line)| line.contains(word)).count();
        let (functions, asserts) = (count("fn ").max(1), count("assert!(") + count("assert_eq!("));
        println!(
            "{room:<10}{:>7}{:>8}{:>10}{:>11}{:>12.2}",
            sources.len(),
            lengths.iter().sum::<usize>(),
            lengths.iter().max().unwrap_or(&0),
            lengths.iter().filter(|&&lines| lines > 400).count(),
            asserts as f64 / functions as f64,
        );
    }
}

struct Source {
    name: String,
    text: String,
}

impl Source {
    /// Numbered lines of production code: without comments, and without the test module that ends a file.
    fn code(&self) -> impl Iterator<Item = (usize, &str)> {
        let is_test = self.name.contains("/tests/") || self.name.ends_with("tests.rs");
        let lines: Vec<&str> = self.text.lines().collect();
        let tests = lines.windows(2).position(|pair| pair[0].starts_with("#[cfg(test)]") && pair[1].ends_with('{'));
        let production = self.text.lines().enumerate().take(tests.unwrap_or(lines.len()));
        production
            .filter(move |(_, line)| !is_test && !line.trim_start().starts_with("//"))
            .map(|(i, line)| (i + 1, line))
    }
}

fn sources(rooms: &[&str]) -> Vec<Source> {
    let mut files = Vec::new();
    for room in rooms {
        collect(&root().join(room), &["rs"], &mut files);
    }
    files.sort();
    let read = |path: PathBuf| Source {
        name: path.strip_prefix(root()).unwrap().to_string_lossy().into_owned(),
        text: fs::read_to_string(&path).unwrap(),
    };
    files.into_iter().map(read).collect()
}

fn collect(folder: &Path, endings: &[&str], into: &mut Vec<PathBuf>) {
    let Ok(entries) = fs::read_dir(folder) else { return };
    for entry in entries {
        let path = entry.unwrap().path();
        if path.is_dir() {
            collect(&path, endings, into);
        } else if path.extension().is_some_and(|ending| endings.iter().any(|wanted| ending == *wanted)) {
            into.push(path);
        }
    }
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..").canonicalize().unwrap()
}

const ROOMS: &[&str] =
    &["store", "base", "wire", "feed", "engine", "risk", "oms", "storage", "sim", "backtest", "optiflow", "benches"];

/// Where money becomes a float on purpose: for display and signals.
const MAY_USE_FLOATS: &[&str] = &["base/src/money.rs", "base/src/log.rs"];

/// Rooms with `unsafe`, each named in ARCHITECTURE.md with its reason.
const MAY_BE_UNSAFE: &[&str] = &[];

/// Keys made for published test vectors; worthless everywhere.
const PUBLISHED_TEST_KEYS: &[&str] = &["optiflowTest", "dbefbc809e3e83c2", "2b5eb11e18796d12", "3c661234138461fc"];
