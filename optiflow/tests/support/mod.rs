//! The program run as a user runs it, in a folder of its own.

// What several test files share, each of them uses a part of.
#![allow(dead_code)]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use serde_json::Value;

/// What the program said, and how it ended.
pub struct Said {
    pub code: i32,
    pub out: String,
    pub err: String,
}

impl Said {
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.out).unwrap_or_else(|error| panic!("{error}: {}\n{}", self.out, self.err))
    }
}

/// The program; `OPTIFLOW_DEATHS_PROGRAM` names another build of it.
pub fn program() -> PathBuf {
    std::env::var_os("OPTIFLOW_DEATHS_PROGRAM").map_or_else(|| env!("CARGO_BIN_EXE_optiflow").into(), PathBuf::from)
}

/// Runs the program.
pub fn optiflow(args: &[&str]) -> Said {
    let output = Command::new(program()).args(args).output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    Said { code: output.status.code().unwrap(), out: text(output.stdout), err: text(output.stderr) }
}

/// A folder of the shared data, which lies outside the repository; says so where it is missing.
pub fn shared(folder: &str) -> Option<PathBuf> {
    let default = concat!(env!("CARGO_MANIFEST_DIR"), "/../../shared");
    let path = PathBuf::from(std::env::var("OPTIFLOW_SHARED").unwrap_or(default.to_owned())).join(folder);
    if path.is_dir() {
        return Some(path);
    }
    eprintln!("skipped: no {}; set OPTIFLOW_SHARED", path.display());
    None
}

/// Looks again and again until there is something to see.
pub fn until<T>(or: &str, patience: Duration, mut look: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + patience;
    loop {
        if let Some(seen) = look() {
            return seen;
        }
        assert!(Instant::now() < deadline, "{or}");
        std::thread::sleep(LOOK_EVERY);
    }
}

/// The checkout.
pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..").canonicalize().unwrap()
}

/// An array of the peer: rows of event, exchange's and our time, price and quantity as the bits of their numbers.
pub fn array(rows: &[[u64; 5]]) -> Vec<u8> {
    let fields = [("ev", "<u8"), ("exch_ts", "<i8"), ("local_ts", "<i8"), ("px", "<f8"), ("qty", "<f8")];
    let rest = [("order_id", "<u8"), ("ival", "<i8"), ("fval", "<f8")];
    let names: Vec<String> = fields.iter().chain(&rest).map(|(name, kind)| format!("('{name}', '{kind}')")).collect();
    let header = format!("{{'descr': [{}], 'fortran_order': False, 'shape': ({},), }}", names.join(", "), rows.len());
    let header = format!("{header:<501}\n");
    let mut bytes = b"\x93NUMPY\x01\x00".to_vec();
    bytes.extend(u16::try_from(header.len()).unwrap().to_le_bytes());
    bytes.extend(header.as_bytes());
    bytes.extend(rows.iter().flat_map(|row| row.iter().chain(&[0; 3])).flat_map(|word| word.to_le_bytes()));
    bytes
}

/// Puts the demo's configuration into the folder, as `demo.toml`.
pub fn demo(folder: &Folder) {
    fs::copy(root().join("configs/demo.toml"), folder.path("demo.toml")).unwrap();
}

/// A folder that goes when the test ends, unless the test fails: then it tells more.
pub struct Folder(PathBuf);

impl Folder {
    pub fn new(name: &str) -> Folder {
        let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("{name}-{}", std::process::id()));
        fs::create_dir_all(&path).unwrap();
        Folder(path)
    }

    pub fn path(&self, name: &str) -> String {
        self.0.join(name).display().to_string()
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("kept: {}", self.0.display());
        } else {
            let _ = fs::remove_dir_all(&self.0);
        }
    }
}

/// How often something is looked at that must come.
pub const LOOK_EVERY: Duration = Duration::from_millis(20);
