//! Lines of a recording: files in order, plain, gzip or zstd by their first bytes, streamed.
//!
//! A recording may end abruptly: a last line without its end, or a compressed stream that stops short, is where the
//! file ends, not an error. Never parses JSON.

use std::collections::VecDeque;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::PathBuf;

use flate2::bufread::MultiGzDecoder;
use ruzstd::decoding::StreamingDecoder;

use crate::market::SourceError;

/// The lines of the files, one after the other.
pub struct Lines {
    waiting: VecDeque<PathBuf>,
    open: Option<OpenFile>,
    buffer: Vec<u8>,
}

struct OpenFile {
    path: PathBuf,
    reader: Box<dyn BufRead + Send>,
    line: u64,
}

/// One line and where it stands.
#[derive(Debug)]
pub struct Line<'a> {
    /// Its bytes, without the end of line.
    pub bytes: &'a [u8],
    /// The file.
    pub path: &'a PathBuf,
    /// Counted from 1.
    pub number: u64,
    /// Did the file end without an end of line, so that the line may be cut?
    pub may_be_cut: bool,
}

impl Lines {
    /// The lines of `paths`; every file is opened once now, so that a wrong name is known at once.
    ///
    /// # Errors
    /// When a file cannot be opened.
    pub fn open(paths: &[PathBuf]) -> Result<Lines, SourceError> {
        for path in paths {
            File::open(path).map_err(|error| SourceError::Open { path: path.clone(), error })?;
        }
        Ok(Lines { waiting: paths.to_vec().into(), open: None, buffer: Vec::new() })
    }

    /// The next line; `None` after the last line of the last file.
    ///
    /// # Errors
    /// When a file cannot be opened or read.
    pub fn read(&mut self) -> Result<Option<Line<'_>>, SourceError> {
        loop {
            if self.open.is_none() {
                let Some(path) = self.waiting.pop_front() else { return Ok(None) };
                self.open = Some(open(path)?);
            }
            let Some(file) = &mut self.open else { continue };
            self.buffer.clear();
            let read = file.reader.as_mut().take(LINE_LEN_MAX).read_until(b'\n', &mut self.buffer);
            match read {
                Ok(0) => self.open = None,
                Ok(_) => break,
                // What was read before the compressed stream stopped short is in the buffer: the file's last line.
                Err(error) if error.kind() == io::ErrorKind::UnexpectedEof && !self.buffer.is_empty() => break,
                Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => self.open = None,
                Err(error) => {
                    return Err(SourceError::Read { path: file.path.clone(), line: file.line + 1, error });
                }
            }
        }
        let Some(file) = &mut self.open else { return Ok(None) };
        file.line += 1;
        let whole = self.buffer.strip_suffix(b"\n");
        let may_be_cut = whole.is_none();
        let bytes = whole.unwrap_or(&self.buffer);
        let bytes = bytes.strip_suffix(b"\r").unwrap_or(bytes);
        Ok(Some(Line { bytes, path: &file.path, number: file.line, may_be_cut }))
    }
}

fn open(path: PathBuf) -> Result<OpenFile, SourceError> {
    match reader(&path) {
        Ok(reader) => Ok(OpenFile { path, reader, line: 0 }),
        Err(error) => Err(SourceError::Open { path, error }),
    }
}

fn reader(path: &PathBuf) -> io::Result<Box<dyn BufRead + Send>> {
    let mut file = BufReader::with_capacity(BUFFER_LEN, File::open(path)?);
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

/// Zstd frames one after the other, as rotating recorders write them.
struct Frames {
    file: Option<BufReader<File>>,
    frame: Option<StreamingDecoder<BufReader<File>, ruzstd::decoding::FrameDecoder>>,
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
fn stopped_short(mut file: BufReader<File>, error: io::Error) -> io::Error {
    match file.fill_buf() {
        Ok([]) => io::Error::new(io::ErrorKind::UnexpectedEof, error),
        Ok(_) | Err(_) => error,
    }
}

/// Bytes read at once.
const BUFFER_LEN: usize = 128 * 1024;
/// Longest line; a longer one is cut, and then malformed.
const LINE_LEN_MAX: u64 = 16 * 1024 * 1024;
/// How gzip begins.
const GZIP_MAGIC: [u8; 2] = [0x1f, 0x8b];
/// How zstd begins.
const ZSTD_MAGIC: [u8; 4] = [0x28, 0xb5, 0x2f, 0xfd];
