//! Lines of one recording: plain, gzip or zstd by its first bytes, streamed and counted.
//!
//! Rotating recorders append whole gzip members or zstd frames: they are read one after the other. Never parses a line.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use flate2::bufread::MultiGzDecoder;
use ruzstd::decoding::{FrameDecoder, StreamingDecoder};

use crate::error::{Place, StoreError, Trouble};

/// The lines of a file.
pub(crate) struct Lines {
    path: PathBuf,
    reader: Box<dyn BufRead>,
    buffer: Vec<u8>,
    line: u64,
    bytes: Arc<AtomicU64>,
}

/// One line.
pub(crate) struct Line<'a> {
    /// Its bytes, without the end of line.
    pub bytes: &'a [u8],
    /// Counted from 1.
    pub number: u64,
    /// Did the file end without an end of line, so that the line may be cut?
    pub may_be_cut: bool,
}

impl Lines {
    /// Opens a file.
    pub fn open(path: &Path) -> Result<Lines, StoreError> {
        let bytes = Arc::new(AtomicU64::new(0));
        let open = || -> io::Result<Box<dyn BufRead>> {
            let counted = Counted { file: File::open(path)?, bytes: Arc::clone(&bytes) };
            unpacked(BufReader::with_capacity(BUFFER_LEN, counted))
        };
        let reader = open().map_err(|error| StoreError::io(path, "open the recording", error))?;
        Ok(Lines { path: path.to_path_buf(), reader, buffer: Vec::new(), line: 0, bytes })
    }

    /// Bytes of the file, as it lies on disk, that were read.
    pub fn bytes(&self) -> u64 {
        self.bytes.load(Ordering::Relaxed)
    }

    /// The next line; `None` after the last.
    pub fn read(&mut self) -> Result<Option<Line<'_>>, StoreError> {
        self.buffer.clear();
        self.line += 1;
        let place = Place::Line(self.line);
        match self.reader.as_mut().take(LINE_LEN_MAX).read_until(b'\n', &mut self.buffer) {
            Ok(0) => return Ok(None),
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
                let (what, mend) = ("the compressed recording stops here", MEND_PACKED);
                return Err(StoreError::new(&self.path, place, Trouble::Truncated { what, mend }));
            }
            Err(error) => {
                let what = format!("it cannot be decompressed here ({error})");
                return Err(StoreError::corrupt(&self.path, place, what));
            }
        }
        let whole = self.buffer.strip_suffix(b"\n");
        let may_be_cut = whole.is_none();
        if may_be_cut && self.buffer.len() as u64 == LINE_LEN_MAX {
            return Err(StoreError::corrupt(&self.path, place, "the line is longer than any message"));
        }
        let bytes = whole.unwrap_or(&self.buffer);
        let bytes = bytes.strip_suffix(b"\r").unwrap_or(bytes);
        Ok(Some(Line { bytes, number: self.line, may_be_cut }))
    }
}

fn unpacked(mut file: BufReader<Counted>) -> io::Result<Box<dyn BufRead>> {
    let start = file.fill_buf()?;
    if start.starts_with(&GZIP_MAGIC) {
        Ok(Box::new(BufReader::with_capacity(BUFFER_LEN, MultiGzDecoder::new(file))))
    } else if start.starts_with(&ZSTD_MAGIC) {
        let frames = Frames { file: Some(file), frame: None };
        Ok(Box::new(BufReader::with_capacity(BUFFER_LEN, frames)))
    } else {
        Ok(Box::new(file))
    }
}

/// Zstd frames one after the other.
struct Frames {
    file: Option<BufReader<Counted>>,
    frame: Option<StreamingDecoder<BufReader<Counted>, FrameDecoder>>,
}

impl Read for Frames {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            if let Some(mut frame) = self.frame.take() {
                match frame.read(buffer) {
                    Ok(0) => self.file = Some(frame.into_inner()),
                    Ok(read) => {
                        self.frame = Some(frame);
                        return Ok(read);
                    }
                    Err(error) => return Err(stopped_short(frame.into_inner(), error)),
                }
            }
            let Some(mut file) = self.file.take() else { return Ok(0) };
            if file.fill_buf()?.is_empty() {
                return Ok(0);
            }
            self.frame = Some(StreamingDecoder::new(file).map_err(io::Error::other)?);
        }
    }
}

/// An error at the very end of the file means that the file stops short.
fn stopped_short(mut file: BufReader<Counted>, error: io::Error) -> io::Error {
    match file.fill_buf() {
        Ok([]) => io::Error::new(io::ErrorKind::UnexpectedEof, error),
        Ok(_) | Err(_) => error,
    }
}

struct Counted {
    file: File,
    bytes: Arc<AtomicU64>,
}

impl Read for Counted {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.file.read(buffer)?;
        self.bytes.fetch_add(read as u64, Ordering::Relaxed);
        Ok(read)
    }
}

/// Bytes read at once.
const BUFFER_LEN: usize = 128 * 1024;
/// Longest line: a snapshot of a thousand levels a side takes 60 kB.
const LINE_LEN_MAX: u64 = 16 * 1024 * 1024;
const MEND_PACKED: &str = "copy it again, or import the lines that are whole (`gzip -dc FILE > FILE.txt`, `zstd -dc`)";
const GZIP_MAGIC: [u8; 2] = [0x1f, 0x8b];
const ZSTD_MAGIC: [u8; 4] = [0x28, 0xb5, 0x2f, 0xfd];
