//! The files of one symbol: lines in, gzip out, a new file each UTC hour and at a size.
//!
//! A file is a row of whole gzip members, one a second or so, each written in one go: after a crash every member
//! written is there and `gzip -t` is content. It is called `.gz.part` until it is closed. Never overwrites a file.

use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use flate2::Compression;
use flate2::write::GzEncoder;
use optiflow_base::clock::Nanos;

use super::calendar;
use crate::problem::Problem;

/// The files of one symbol.
pub struct Tape {
    folder: PathBuf,
    symbol: String,
    bytes_max: u64,
    part: Option<Part>,
    spare: Vec<u8>,
    /// What was written.
    pub written: Written,
}

/// What a tape has written.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Written {
    /// Bytes of text.
    pub bytes: u64,
    /// Bytes on disk.
    pub bytes_on_disk: u64,
    /// Files that are closed, by name.
    pub files: Vec<String>,
}

/// The file that is being written.
struct Part {
    file: File,
    path: PathBuf,
    hour: u64,
    bytes: u64,
    member: Option<Member>,
}

/// Lines that are not on disk yet.
struct Member {
    encoder: GzEncoder<Vec<u8>>,
    begun: Nanos,
}

impl Tape {
    /// Files of `symbol` in `folder`, each closed at about `bytes_max`; none is opened before the first line.
    pub fn new(folder: &Path, symbol: &str, bytes_max: u64) -> Tape {
        let symbol = symbol.to_lowercase();
        let folder = folder.to_owned();
        Tape { folder, symbol, bytes_max, part: None, spare: Vec::new(), written: Written::default() }
    }

    /// Appends `<now> <payload>`; true when that began a file.
    pub fn write(&mut self, now: Nanos, payload: &[u8]) -> Result<bool, Problem> {
        let hour = calendar::hour(now);
        if self.part.as_ref().is_some_and(|part| part.hour != hour || part.bytes >= self.bytes_max) {
            self.close()?;
        }
        let begins = self.part.is_none();
        let part = match &mut self.part {
            Some(part) => part,
            none => none.insert(Part::open(&self.folder, &self.symbol, now)?),
        };
        let spare = &mut self.spare;
        let fresh = || Member { encoder: GzEncoder::new(std::mem::take(spare), LEVEL), begun: now };
        let member = part.member.get_or_insert_with(fresh);
        let line = || -> io::Result<usize> {
            let time = now.0.to_string();
            member.encoder.write_all(time.as_bytes())?;
            member.encoder.write_all(b" ")?;
            // A message is one line; a line break between its tokens says nothing.
            for (index, piece) in payload.split(|&byte| byte == b'\n' || byte == b'\r').enumerate() {
                if index > 0 {
                    member.encoder.write_all(b" ")?;
                }
                member.encoder.write_all(piece)?;
            }
            member.encoder.write_all(b"\n")?;
            Ok(time.len() + payload.len() + 2)
        }();
        self.written.bytes += line.map_err(|error| failed(&part.path, "compressing", &error))? as u64;
        Ok(begins)
    }

    /// Puts on disk what has waited long enough.
    pub fn tend(&mut self, now: Nanos) -> Result<(), Problem> {
        let due = |member: &Member| now >= member.begun + FLUSH_EVERY;
        let due = self.part.as_ref().and_then(|part| part.member.as_ref()).is_some_and(due);
        if due { self.flush() } else { Ok(()) }
    }

    /// Puts everything on disk and gives the file its name.
    pub fn close(&mut self) -> Result<(), Problem> {
        self.flush()?;
        let Some(part) = self.part.take() else { return Ok(()) };
        part.file.sync_all().map_err(|error| failed(&part.path, "writing", &error))?;
        let whole = part.path.with_extension("");
        fs::rename(&part.path, &whole).map_err(|error| failed(&part.path, "naming", &error))?;
        let name = whole.file_name().unwrap_or_default();
        self.written.files.push(name.to_string_lossy().into_owned());
        Ok(())
    }

    /// From here on the disk is full.
    #[cfg(test)]
    pub fn fill_disk(&mut self) {
        if let Some(part) = &mut self.part {
            part.file = OpenOptions::new().write(true).open("/dev/full").unwrap();
        }
    }

    fn flush(&mut self) -> Result<(), Problem> {
        let Some(part) = &mut self.part else { return Ok(()) };
        let Some(member) = part.member.take() else { return Ok(()) };
        let mut packed = member.encoder.finish().map_err(|error| failed(&part.path, "compressing", &error))?;
        if let Err(error) = part.file.write_all(&packed) {
            // A member that is not whole would make the file one that `gzip -t` refuses; it is whole up to there.
            let _ = part.file.set_len(part.bytes);
            return Err(failed(&part.path, "writing", &error));
        }
        part.bytes += packed.len() as u64;
        self.written.bytes_on_disk += packed.len() as u64;
        packed.clear();
        self.spare = packed;
        Ok(())
    }
}

impl Part {
    /// A file of its own: whatever has the name already stays.
    fn open(folder: &Path, symbol: &str, now: Nanos) -> Result<Part, Problem> {
        let stem = format!("{symbol}_{}", calendar::stamp(now));
        for number in 0..NAMES_TRIED {
            // By name, too, the second comes after the first: `_` is behind `.`.
            let name = if number == 0 { format!("{stem}.gz") } else { format!("{stem}_{number:02}.gz") };
            let path = folder.join(format!("{name}{PART}"));
            if folder.join(&name).exists() {
                continue;
            }
            match OpenOptions::new().write(true).create_new(true).open(&path) {
                Ok(file) => return Ok(Part { file, path, hour: calendar::hour(now), bytes: 0, member: None }),
                Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
                Err(error) => return Err(failed(&path, "creating", &error)),
            }
        }
        let folder = folder.display();
        Err(Problem::Failed(format!("{folder}: {NAMES_TRIED} files are called {stem}; record into another folder")))
    }
}

fn failed(path: &Path, doing: &str, error: &io::Error) -> Problem {
    Problem::Failed(format!("{doing} {}: {error}; look at the disk, what is written is whole", path.display()))
}

/// What the name of a file ends with while it is written.
pub const PART: &str = ".part";
/// Lines wait no longer than this.
const FLUSH_EVERY: Duration = Duration::from_secs(1);
/// The next better one saves a sixth of the size and takes several times as long, during which nothing is stamped.
const LEVEL: Compression = Compression::new(3);
/// Files that may begin in the same second.
const NAMES_TRIED: u32 = 100;

#[cfg(test)]
mod tests {
    use std::io::Read;

    use flate2::read::MultiGzDecoder;

    use super::*;

    fn folder(name: &str) -> PathBuf {
        let folder = std::env::temp_dir().join(format!("optiflow-tape-{name}-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        folder
    }

    fn text(path: &Path) -> String {
        let mut text = String::new();
        MultiGzDecoder::new(File::open(path).unwrap()).read_to_string(&mut text).unwrap();
        text
    }

    const HOUR: u64 = 3_600_000_000_000;
    const START: u64 = 490_000 * HOUR;

    #[test]
    fn what_was_flushed_is_whole_gzip_even_if_nothing_more_follows() {
        let folder = folder("crash");
        let mut tape = Tape::new(&folder, "BTCUSDT", u64::MAX);
        assert!(tape.write(Nanos(START), b"{\"a\":\n1}").unwrap());
        assert!(!tape.write(Nanos(START + 1), b"{}").unwrap());
        tape.tend(Nanos(START + 999_999_999)).unwrap();
        tape.tend(Nanos(START + 1_000_000_000)).unwrap();
        tape.write(Nanos(START + 1_000_000_001), b"{\"lost\":1}").unwrap();
        let part = folder.join("btcusdt_20251124_160000.gz.part");
        drop(tape);
        assert_eq!(text(&part), format!("{START} {{\"a\": 1}}\n{} {{}}\n", START + 1));
        fs::remove_dir_all(&folder).unwrap();
    }

    #[test]
    fn a_file_ends_with_its_hour_and_with_its_size_and_takes_nobodys_name() {
        let folder = folder("turn");
        let mut tape = Tape::new(&folder, "BTCUSDT", 60);
        assert!(tape.write(Nanos(START), b"{}").unwrap());
        assert!(tape.write(Nanos(START + HOUR), b"{}").unwrap());
        for second in 1..4 {
            tape.write(Nanos(START + HOUR), b"{}").unwrap();
            tape.tend(Nanos(START + HOUR + second * 1_000_000_000)).unwrap();
        }
        tape.close().unwrap();
        let names = ["btcusdt_20251124_160000.gz", "btcusdt_20251124_170000.gz", "btcusdt_20251124_170000_01.gz"];
        assert_eq!(tape.written.files, names);
        assert!(names.is_sorted(), "a shell gives them in time order");
        let lines: usize = names.iter().map(|name| text(&folder.join(name)).lines().count()).sum();
        assert_eq!((lines, tape.written.bytes), (5, 5 * 23));
        fs::remove_dir_all(&folder).unwrap();
    }
}
