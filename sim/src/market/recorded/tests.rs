//! Real recordings replayed to their golden books, and small made-up ones with what can go wrong.

use std::io::Write;
use std::path::Path;

use super::*;
use crate::book::Book;
use optiflow_base::market::Level;
use optiflow_base::money::{Price, Side};
use sha2::{Digest, Sha256};

fn shared(folder: &str) -> Option<PathBuf> {
    let default = concat!(env!("CARGO_MANIFEST_DIR"), "/../../shared");
    let root = std::env::var_os("OPTIFLOW_SHARED").map_or_else(|| PathBuf::from(default), PathBuf::from);
    let path = root.join("data").join(folder);
    if !path.is_dir() {
        eprintln!("skipped: no recorded data at {}", path.display());
        return None;
    }
    Some(path)
}

fn ticks(source: &mut dyn Source) -> Vec<MarketTick> {
    std::iter::from_fn(|| source.next().unwrap()).collect()
}

fn fingerprint(book: &Book) -> String {
    let side = |side| {
        let text = |level: Level| format!("{}:{}", level.price, level.qty);
        book.levels(side).map(text).collect::<Vec<_>>().join(",")
    };
    let digest = Sha256::digest(format!("B{}|A{}", side(Side::Buy), side(Side::Sell)));
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Replays a recording and compares the book with every checkpoint; returns how often each tick was told.
fn replay_to_golden(folder: &Path, files: [&str; 2], golden: &str) -> [usize; 5] {
    let mut source = Recorded::open(&files.map(|file| folder.join(file))).unwrap();
    assert_eq!(source.listings().len(), 1);
    let golden = std::fs::read_to_string(folder.join(golden)).unwrap();
    let mut checkpoints =
        golden.lines().map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap()).peekable();
    let (mut book, mut applied, mut chain, mut at) = (Book::default(), 0, 0, Nanos(0));
    let mut told = [0; 5];
    while let Some(tick) = source.next().unwrap() {
        assert!(tick.at >= at, "time never goes back");
        at = tick.at;
        book.apply(tick.at, &tick.what);
        match tick.what {
            Tick::Snapshot { id, .. } => (told[0], chain) = (told[0] + 1, id),
            Tick::Depth { last_id, previous_id, .. } => {
                told[1] += 1;
                assert_eq!(previous_id, chain);
                chain = last_id;
                applied += 1;
                if let Some(point) = checkpoints.next_if(|point| point["applied"] == applied) {
                    assert_eq!(point["u"], last_id);
                    assert_eq!((point["nb"].as_u64(), point["na"].as_u64()), {
                        (Some(book.len(Side::Buy) as u64), Some(book.len(Side::Sell) as u64))
                    });
                    assert_eq!(point["sha256"], fingerprint(&book), "after {applied} diffs");
                }
            }
            Tick::Trade { .. } => told[2] += 1,
            Tick::Top { .. } => told[3] += 1,
            Tick::Mark { .. } => told[4] += 1,
            Tick::Single { .. } => panic!("a recording knows no single orders"),
        }
    }
    assert_eq!(checkpoints.next(), None, "every checkpoint was reached");
    assert_eq!(source.malformed_lines(), 0);
    told
}

#[test]
fn the_bitcoin_recording_gives_the_golden_book() {
    let Some(folder) = shared("usdm") else { return };
    let files = ["btcusdt_20230404.dat.gz", "btcusdt_20230405.dat.gz"];
    let told = replay_to_golden(&folder, files, "golden_book_btcusdt_20230404-05.jsonl");
    assert_eq!(told, [1, 16_110, 12_934, 44_195, 514]);
}

#[test]
fn the_ether_recording_gives_the_golden_book() {
    let Some(folder) = shared("usdm") else { return };
    let files = ["ethusdt_20240718.gz", "ethusdt_20240719.gz"];
    let told = replay_to_golden(&folder, files, "golden_book_ethusdt_20240718-19.jsonl");
    assert_eq!(told, [1, 8_924, 13_655, 47_310, 0]);
}

#[test]
fn a_recording_of_several_symbols_with_requests_is_followed() {
    let Some(folder) = shared("mix") else { return };
    let mut source = Recorded::open(&["depth_snapshots.http.gz", "streams.ws.gz"].map(|f| folder.join(f))).unwrap();
    let names: Vec<String> = source.listings().iter().map(|listing| listing.name.clone()).collect();
    assert_eq!(names, ["SUSHIUSDT", "AKROUSDT", "KEEPUSDT", "CTKUSDT"]);
    let ticks = ticks(&mut source);
    let mut books = vec![Book::default(); 4];
    for tick in &ticks {
        books[tick.symbol].apply(tick.at, &tick.what);
        let top = books[tick.symbol].levels(Side::Buy).next().zip(books[tick.symbol].levels(Side::Sell).next());
        assert!(top.is_none_or(|(bid, ask)| bid.price < ask.price), "crossed");
    }
    assert!(books.iter().all(|book| book.len(Side::Buy) > 50));
    assert_eq!(ticks.iter().filter(|tick| matches!(tick.what, Tick::Trade { .. })).count(), 91);
}

#[test]
fn a_spot_recording_is_followed_by_its_own_rule() {
    let Some(folder) = shared("spot") else { return };
    let mut source = Recorded::open(&[folder.join("spot_btcusdt_20240808.gz")]).unwrap();
    let listing = source.listings()[0].clone();
    assert_eq!((listing.tick_size.to_string(), listing.step_size.to_string()), ("0.01".into(), "0.000001".into()));
    let mut book = Book::default();
    let mut snapshots = 0;
    for tick in ticks(&mut source) {
        snapshots += usize::from(matches!(tick.what, Tick::Snapshot { .. }));
        book.apply(tick.at, &tick.what);
    }
    assert_eq!(snapshots, 1);
    assert!(book.len(Side::Buy) > 900 && book.len(Side::Sell) > 900);
}

/// Writes lines as a file in a fresh place and opens it.
fn recording(name: &str, content: &[u8]) -> (tempfile::Dir, Result<Recorded, SourceError>) {
    let directory = tempfile::Dir::new(name);
    let path = directory.path.join("market");
    std::fs::write(&path, content).unwrap();
    let opened = Recorded::open(&[path]);
    (directory, opened)
}

/// A directory that goes away with the test.
mod tempfile {
    pub struct Dir {
        pub path: std::path::PathBuf,
    }
    impl Dir {
        pub fn new(name: &str) -> Dir {
            let path = std::env::temp_dir().join(format!("optiflow-sim-{}-{name}", std::process::id()));
            std::fs::create_dir_all(&path).unwrap();
            Dir { path }
        }
    }
    impl Drop for Dir {
        fn drop(&mut self) {
            std::fs::remove_dir_all(&self.path).ok();
        }
    }
}

const SNAPSHOT: &str =
    r#"1700000000000000 {"lastUpdateId":10,"E":1700000000001,"bids":[["100.10","1"]],"asks":[["100.20","2"]]}"#;

fn diff(ids: [u64; 3], bid: &str) -> String {
    let [first, last, previous] = ids;
    format!(
        r#"1700000000000000 {{"e":"depthUpdate","E":170000000{first:04},"s":"XYZUSDT","U":{first},"u":{last},"pu":{previous},"b":[["{bid}","3"]],"a":[]}}"#
    )
}

fn told(recorded: Result<Recorded, SourceError>) -> String {
    let mut recorded = recorded.unwrap();
    let text = ticks(&mut recorded).into_iter().map(|tick| match tick.what {
        Tick::Snapshot { id, .. } => format!("s{id}"),
        Tick::Depth { last_id, previous_id, .. } => format!("d{previous_id}>{last_id}"),
        Tick::Trade { id, .. } => format!("t{id}"),
        Tick::Top { update_id, .. } => format!("b{update_id}"),
        Tick::Mark { .. } => "m".to_owned(),
        Tick::Single { .. } => "?".to_owned(),
    });
    text.collect::<Vec<_>>().join(" ")
}

#[test]
fn a_cut_last_line_is_where_the_file_ends() {
    let lines = [SNAPSHOT, &diff([9, 11, 8], "100.1"), &diff([12, 13, 11], "100.1")].join("\n");
    let (_kept, whole) = recording("whole", lines.as_bytes());
    assert_eq!(told(whole), "s10 d10>11 d11>13");
    let (_kept, cut) = recording("cut", &lines.as_bytes()[..lines.len() - 9]);
    assert_eq!(told(cut), "s10 d10>11");
}

#[test]
fn compressed_files_are_recognised_also_when_they_stop_short() {
    let lines = [SNAPSHOT, &diff([9, 11, 8], "100.1"), &diff([12, 13, 11], "100.1"), ""].join("\n");
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    gzip.write_all(lines.as_bytes()).unwrap();
    let gzip = gzip.finish().unwrap();
    let twice = [gzip.as_slice(), gzip.as_slice()].concat();
    let zstd = ruzstd::encoding::compress_to_vec(lines.as_bytes(), ruzstd::encoding::CompressionLevel::Fastest);
    let two_frames = [zstd.as_slice(), zstd.as_slice()].concat();
    for (name, content, expected) in [
        ("gzip", gzip.as_slice(), "s10 d10>11 d11>13"),
        ("gzip-twice", &twice, "s10 d10>11 d11>13"),
        ("gzip-short", &gzip[..gzip.len() - 4], "s10 d10>11 d11>13"),
        ("zstd", &zstd, "s10 d10>11 d11>13"),
        ("zstd-twice", &two_frames, "s10 d10>11 d11>13"),
    ] {
        let (_kept, opened) = recording(name, content);
        assert_eq!(told(opened), expected, "{name}");
    }
}

#[test]
fn a_malformed_line_is_passed_over_and_leaves_a_break_that_is_mended() {
    let broken = "1700000000000000 {\"e\":\"depthUpdate\",\"E\":17";
    let lines = [SNAPSHOT, &diff([9, 11, 8], "100.1"), broken, &diff([14, 15, 13], "100.3"), ""].join("\n");
    let (_kept, opened) = recording("malformed", lines.as_bytes());
    assert_eq!(told(opened), "s10 d10>11 d11>15");
    let later = SNAPSHOT.replace(":10,", ":16,");
    let lines = [&lines, later.as_str(), "\n", &diff([16, 18, 15], "100.1"), "\n"].concat();
    let (_kept, opened) = recording("mended", lines.as_bytes());
    assert_eq!(told(opened), "s10 d10>11 s16 d16>18");
}

#[test]
fn many_malformed_lines_are_an_error_that_names_the_line() {
    let lines = format!("{SNAPSHOT}\n{}\n{}", diff([9, 11, 8], "100.1"), "17 nonsense\n".repeat(150));
    let (_kept, opened) = recording("nonsense", lines.as_bytes());
    let error = opened.err().unwrap().to_string();
    assert!(error.starts_with("line 103 of ") && error.contains("no JSON after the time"), "{error}");
}

#[test]
fn what_cannot_be_a_market_is_refused_by_name() {
    let missing = Recorded::open(&[PathBuf::from("/nowhere/market.gz")]).err().unwrap().to_string();
    assert!(missing.contains("/nowhere/market.gz") && missing.contains("synthetic"), "{missing}");
    let (_kept, opened) = recording("empty", b"# nothing here\n");
    let empty = opened.err().unwrap().to_string();
    assert!(empty.starts_with("no depth, trade or bookTicker event in "), "{empty}");
}

#[test]
fn filters_of_an_unknown_symbol_are_inferred_and_aggregates_give_way_to_trades() {
    let trade = |kind: &str, id: u64| {
        format!(
            r#"1700000000000000 {{"e":"{kind}","E":1700000000001,"s":"XYZUSDT","{}":{id},"p":"100.25","q":"0.5","m":true}}"#,
            if kind == "trade" { "t" } else { "a" }
        )
    };
    let both = [SNAPSHOT, &diff([9, 11, 8], "100.1"), &trade("aggTrade", 1), &trade("trade", 2), ""].join("\n");
    let (_kept, opened) = recording("both", both.as_bytes());
    let listing = opened.as_ref().unwrap().listings()[0].clone();
    assert_eq!((listing.tick_size, listing.base_asset.as_str()), ("0.01".parse::<Price>().unwrap(), "XYZ"));
    assert_eq!(listing.step_size.to_string(), "0.1");
    assert_eq!(told(opened), "s10 d10>11 t2");
    let aggregates = [SNAPSHOT, &diff([9, 11, 8], "100.1"), &trade("aggTrade", 1), ""].join("\n");
    let (_kept, opened) = recording("aggregates", aggregates.as_bytes());
    assert_eq!(told(opened), "s10 d10>11 t1");
}
