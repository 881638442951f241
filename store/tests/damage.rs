//! Files that are cut, damaged, unsorted, empty or something else: each is refused with its place and its mend.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod common;

use std::fs;
use std::io::Write;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use common::{Scratch, import, made_up, read, shared, write};
use flate2::Compression;
use flate2::write::GzEncoder;
use optiflow_store::blocks::Blocks;
use optiflow_store::import::{self as importing, Format, Options};
use optiflow_store::latency;
use parquet::data_type::Int64Type;
use parquet::file::properties::WriterProperties;
use parquet::file::writer::SerializedFileWriter;
use parquet::schema::parser::parse_message_type;

fn refusal(path: &Path) -> String {
    read(&[path.to_path_buf()]).expect_err("the file is refused").to_string()
}

fn import_refusal(scratch: &Scratch, format: Format, path: &Path) -> String {
    let error = import(scratch, format, &[path.to_path_buf()]).expect_err("the file is refused").to_string();
    let left: Vec<String> = scratch.names().into_iter().filter(|name| name.starts_with("out.parquet")).collect();
    assert!(left.is_empty(), "nothing is left behind: {left:?}");
    error
}

fn expect(error: &str, parts: &[&str]) {
    eprintln!("{error}");
    for part in parts {
        assert!(error.contains(part), "{error}\nlacks: {part}");
    }
}

#[test]
fn a_damaged_row_group_is_named() {
    let scratch = Scratch::new("group");
    let path = scratch.path("a.parquet");
    write(&path, &["BTCUSDT"], (0..300_000).map(made_up)).unwrap();
    let mut bytes = fs::read(&path).unwrap();
    let middle = bytes.len() * 95 / 100;
    bytes[middle] ^= 1;
    fs::write(&path, bytes).unwrap();
    let mut blocks = Blocks::open(&[path], None).unwrap();
    let mut rows = 0;
    let error = loop {
        match blocks.next_block() {
            Ok(Some(block)) => rows += block.len(),
            Ok(None) => panic!("the damage is found"),
            Err(error) => break error.to_string(),
        }
    };
    assert_eq!(rows, 256 * 1024, "what is whole is given");
    let place = "a.parquet, row group 1 (rows 262144 to 299999): is damaged";
    expect(&error, &[place, "checksum", "make it again from its source"]);
    assert!(blocks.next_block().unwrap().is_none(), "nothing comes after an error");
}

#[test]
fn no_flipped_byte_of_a_store_goes_unnoticed_or_panics() {
    let scratch = Scratch::new("flips");
    let path = scratch.path("a.parquet");
    write(&path, &["BTCUSDT"], (0..60).map(made_up)).unwrap();
    let (bytes, rows) = (fs::read(&path).unwrap(), read(std::slice::from_ref(&path)).unwrap());
    let mut refused = 0;
    for (at, flip) in (0..bytes.len()).flat_map(|at| [(at, 1u8), (at, 0x80), (at, 0xff)]) {
        let mut damaged = bytes.clone();
        damaged[at] ^= flip;
        fs::write(&path, damaged).unwrap();
        let answer = catch_unwind(AssertUnwindSafe(|| read(std::slice::from_ref(&path))));
        match answer.unwrap_or_else(|_| panic!("a panic at byte {at} ^ {flip}")) {
            Ok(read) => assert_eq!(read, rows, "byte {at} ^ {flip}"),
            Err(_) => refused += 1,
        }
    }
    eprintln!("{refused} of {} flips were refused, the others changed no row", 3 * bytes.len());
    assert!(refused > bytes.len());
}

#[test]
fn no_cut_of_a_store_is_taken_for_a_whole_one() {
    let scratch = Scratch::new("cuts");
    let path = scratch.path("a.parquet");
    write(&path, &["BTCUSDT"], (0..60).map(made_up)).unwrap();
    let bytes = fs::read(&path).unwrap();
    for len in 1..bytes.len() {
        fs::write(&path, &bytes[..len]).unwrap();
        assert!(read(std::slice::from_ref(&path)).is_err(), "cut to {len}");
    }
    fs::write(&path, &bytes[..bytes.len() - 100]).unwrap();
    expect(&refusal(&path), &["a.parquet: is cut off", "the end of the Parquet file", "copy it again"]);
}

#[test]
fn files_of_another_kind_are_named_for_what_they_are() {
    let scratch = Scratch::new("foreign");
    let columns = Arc::new(parse_message_type("message m { required int64 x; }").unwrap());
    let path = scratch.path("other.parquet");
    let file = fs::File::create(&path).unwrap();
    let mut writer = SerializedFileWriter::new(file, columns, Arc::new(WriterProperties::new())).unwrap();
    let mut group = writer.next_row_group().unwrap();
    let mut column = group.next_column().unwrap().unwrap();
    column.typed::<Int64Type>().write_batch(&[1, 2], None, None).unwrap();
    column.close().unwrap();
    group.close().unwrap();
    writer.close().unwrap();
    expect(&refusal(&path), &["other.parquet: is a Parquet file, but not one of our event store"]);
    let text = scratch.file("a.csv", b"kind,side\n");
    expect(&refusal(&text), &["a.csv: is neither an event store", "import it first"]);
    expect(&refusal(&scratch.file("a.parquet", b"")), &["a.parquet: holds no event"]);
    expect(&refusal(&scratch.path("none.parquet")), &["none.parquet: cannot open the file", "check the path"]);
    let error = read(&[]).unwrap_err().to_string();
    expect(&error, &["give at least one file"]);
}

#[test]
fn arrays_of_the_peer_are_refused_by_row() {
    let Some(shared) = shared("arrays") else { return };
    let scratch = Scratch::new("arrays");
    let array = fs::read(shared.join("oracle/feed/small.npz")).unwrap();
    let cut = scratch.file("cut.npz", &array[..array.len() / 2]);
    expect(&refusal(&cut), &["cut.npz: is cut off: the zip directory at its end is missing"]);
    let mut flipped = array.clone();
    flipped[array.len() / 2] ^= 0xff;
    let flipped = scratch.file("flipped.npz", &flipped);
    expect(&refusal(&flipped), &["flipped.npz, row ", "is damaged"]);
    expect(&import_refusal(&scratch, Format::Hftbacktest, &flipped), &["flipped.npz, row "]);
    let plain = unpacked(&array);
    let whole = scratch.file("whole.npy", &plain);
    let rows = read(&[whole]).unwrap().len();
    assert_eq!(rows, 27_587);
    let cut = scratch.file("cut.npy", &plain[..plain.len() - 70]);
    expect(&refusal(&cut), &["cut.npy, row 27585: is cut off: the array stops here"]);
    let mut unsorted = plain.clone();
    let first = plain.len() - rows * 64;
    let (early, late) = (first + 64 * 100, first + 64 * 20_000);
    for at in 0..64 {
        unsorted.swap(early + at, late + at);
    }
    let unsorted = scratch.file("unsorted.npy", &unsorted);
    expect(&refusal(&unsorted), &["unsorted.npy, row 101: is not sorted: the ", "correct_event_order"]);
    let mut price = plain;
    price[first + 64 * 7 + 24..first + 64 * 7 + 32].copy_from_slice(&1.234_567_895f64.to_le_bytes());
    let price = scratch.file("price.npy", &price);
    expect(&refusal(&price), &["price.npy, row 7: px 1.234567895 is not a multiple of 0.00000001"]);
    let table = shared.join("oracle/feed/small_latency.npz");
    expect(&refusal(&table), &["small_latency.npz: has other records", "its records should be ev <u8"]);
}

/// What is packed in an archive of one deflated entry.
fn unpacked(archive: &[u8]) -> Vec<u8> {
    let word = |at: usize| usize::from(u16::from_le_bytes([archive[at], archive[at + 1]]));
    let start = 30 + word(26) + word(28);
    let mut plain = Vec::new();
    std::io::Read::read_to_end(&mut flate2::read::DeflateDecoder::new(&archive[start..]), &mut plain).unwrap();
    plain
}

#[test]
fn latency_tables_are_refused_by_row() {
    let scratch = Scratch::new("latency");
    let table = [
        ("", "tells no latency; give at least one measured request"),
        ("req_ts,exch_ts,resp_ts\n", "tells no latency; give at least one measured request"),
        ("a,b\n1,2\n", "does not begin with `req_ts,exch_ts,resp_ts`"),
        ("req_ts,exch_ts,resp_ts\n1,2,3\n1,x,3\n", "line 3: \"1,x,3\" is not three whole numbers"),
        ("req_ts,exch_ts,resp_ts\n5,6,7\n4,5,6\n", "row 1: is not sorted: the local time goes back by 1 ns"),
        ("req_ts,exch_ts,resp_ts\n5,6,4\n", "row 0: the answer is back before the request left"),
    ];
    for (text, expected) in table {
        let path = scratch.file("table.csv", text.as_bytes());
        expect(&latency::read(&path).unwrap_err().to_string(), &["table.csv", expected]);
    }
}

fn trade(local: u64, id: u64) -> String {
    let ms = local / 1_000_000 - 5;
    format!(
        "{local} {{\"stream\":\"a\",\"data\":{{\"e\":\"aggTrade\",\"E\":{ms},\"T\":{ms},\"s\":\"AUSDT\",\
         \"a\":{id},\"p\":\"1.5\",\"q\":\"2\",\"m\":true}}}}\n"
    )
}

fn recording(count: u64) -> String {
    (0..count).map(|number| trade(1_700_000_000_000_000_000 + number * 1_000_000_000, number)).collect()
}

fn gzip(text: &str) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(text.as_bytes()).unwrap();
    encoder.finish().unwrap()
}

#[test]
fn recordings_are_refused_by_line() {
    let scratch = Scratch::new("lines");
    let text = recording(5000);
    let refused = |name: &str, bytes: &[u8]| {
        let path = scratch.file(name, bytes);
        import_refusal(&scratch, Format::Collector, &path)
    };
    expect(&refused("empty.txt", b""), &["empty.txt: holds no event", "record it again"]);
    expect(&refused("blank.txt", b"\n\n"), &["blank.txt: holds no event"]);
    let packed = gzip(&text);
    let cut = refused("cut.gz", &packed[..packed.len() / 2]);
    expect(&cut, &["cut.gz, line 2", "is cut off: the compressed recording stops here", "gzip -dc"]);
    let mut flipped = packed;
    let middle = flipped.len() / 2;
    flipped[middle..middle + 8].fill(0xff);
    expect(&refused("flipped.gz", &flipped), &["flipped.gz, line ", "is damaged"]);
    let mut lines: Vec<&str> = text.lines().collect();
    lines[41] = "1700000041000000000 {\"e\":\"aggTrade\",";
    expect(
        &refused("bad.txt", lines.join("\n").as_bytes()),
        &["bad.txt, line 42: cannot be read: the JSON is malformed at its byte 16", "delete the line"],
    );
    lines[41] = lines[40];
    lines.swap(100, 2000);
    let unsorted = refused("unsorted.txt", lines.join("\n").as_bytes());
    expect(&unsorted, &["unsorted.txt, line 2001: is not sorted: the local time goes back by", "sort -s -n -k1,1"]);
    expect(&refused("noise.txt", b"hello\n"), &["noise.txt: does not begin as a recording does"]);
    let zip = refused("x.npz", b"PK\x03\x04 and so on\n");
    expect(&zip, &["x.npz: does not begin as a recording does"]);
}

#[test]
fn a_last_line_that_was_cut_and_lines_of_another_kind_are_passed_over() {
    let scratch = Scratch::new("tolerated");
    let noise = "1700000000000000001 {\"code\":-1003,\"msg\":\"Too many requests\"}\n";
    let text = format!("{noise}{}{}", recording(50), &trade(1_700_000_060_000_000_000, 60)[..40]);
    for (name, bytes) in [("a.txt", text.clone().into_bytes()), ("b.gz", gzip(&text))] {
        let (report, store) = import(&scratch, Format::Collector, &[scratch.file(name, &bytes)]).unwrap();
        assert_eq!((report.rows, report.heard.trades, report.lines_passed_over), (50, 50, 2), "{name}");
        assert_eq!(read(&[store]).unwrap().len(), 50);
    }
    let second: String = (100..110).map(|at| trade(1_700_000_000_000_000_000 + at * 1_000_000_000, at)).collect();
    let members = [gzip(&text[..text.len() - 40]), gzip(&second)].concat();
    let (report, _) = import(&scratch, Format::Collector, &[scratch.file("c.gz", &members)]).unwrap();
    assert_eq!(report.rows, 60, "gzip members follow each other");
}

#[test]
fn requests_that_make_no_sense_are_refused() {
    let scratch = Scratch::new("requests");
    let path = scratch.file("a.txt", recording(3).as_bytes());
    let run = |inputs: &[PathBuf], out: &Path| {
        let options = Options::default();
        importing::import(Format::Collector, inputs, out, &options, &mut |_| {}).unwrap_err().to_string()
    };
    expect(&run(&[], &scratch.path("out.parquet")), &["give at least one file to import"]);
    expect(&run(std::slice::from_ref(&path), &path), &["a.txt: is also an input"]);
    expect(&run(std::slice::from_ref(&path), &scratch.path("no/out.parquet")), &["cannot create the store"]);
    expect(&run(&[scratch.path("none.gz")], &scratch.path("out.parquet")), &["none.gz: cannot open the recording"]);
    assert!("tardis".parse::<Format>().is_err());
}
