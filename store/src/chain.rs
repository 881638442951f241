//! Files one after the other, as one run of rows in order.
//!
//! All files are opened at once, so that a wrong one is known before the run; only one is decoded at a time. Never
//! sorts. Opened on the caller's thread, read on the reader thread.

use std::collections::VecDeque;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use optiflow_base::ids::{SymbolId, SymbolName};

use crate::error::{Place, StoreError, Trouble};
use crate::event::Row;
use crate::file::{PARQUET_MAGIC, StoreFile};
use crate::npy::NPY_MAGIC;
use crate::npz::PeerFile;
use crate::order::Order;
use crate::schema::{self, SymbolInfo};
use crate::zip::ZIP_MAGIC;

/// Files being read as one.
pub(crate) struct Chain {
    files: VecDeque<(PathBuf, Source)>,
    symbols: Vec<SymbolInfo>,
    rows: u64,
    order: Order,
    /// Bytes of all files.
    bytes: u64,
}

enum Source {
    Store(Box<StoreFile>),
    Peer(Box<PeerFile>),
}

impl Chain {
    /// Opens every file; rows of files that name no symbol are `symbol`'s, or that of the first one's file name.
    pub fn open(paths: &[PathBuf], symbol: Option<SymbolName>) -> Result<Chain, StoreError> {
        if paths.is_empty() {
            return Err(StoreError::request("give at least one file of events"));
        }
        let mut chain =
            Chain { files: VecDeque::new(), symbols: Vec::new(), rows: 0, order: Order::default(), bytes: 0 };
        let mut symbol = symbol;
        for path in paths {
            let source = chain.open_one(path, &mut symbol)?;
            chain.files.push_back((path.clone(), source));
            chain.bytes += std::fs::metadata(path).map_or(0, |metadata| metadata.len());
        }
        Ok(chain)
    }

    fn open_one(&mut self, path: &Path, symbol: &mut Option<SymbolName>) -> Result<Source, StoreError> {
        let magic = magic(path)?;
        if magic.is_empty() {
            return Err(StoreError::new(path, Place::Whole, Trouble::Empty));
        }
        if magic.starts_with(&PARQUET_MAGIC) {
            let mut file = StoreFile::open(path)?;
            let numbers: Result<Vec<u16>, StoreError> =
                file.symbols().iter().map(|info| self.number(path, *info).map(|id| id.0)).collect();
            file.number_symbols(numbers?);
            self.rows = self.rows.saturating_add(file.rows());
            return Ok(Source::Store(Box::new(file)));
        }
        if magic.starts_with(&ZIP_MAGIC) || magic == NPY_MAGIC {
            let name = match *symbol {
                Some(name) => name,
                None => *symbol.insert(schema::symbol_of(path)?),
            };
            let number = self.number(path, SymbolInfo::named(name))?;
            let file = PeerFile::open(path, number)?;
            self.rows = self.rows.saturating_add(file.rows());
            return Ok(Source::Peer(Box::new(file)));
        }
        Err(StoreError::foreign(path, "is neither an event store (Parquet) nor an array of hftbacktest (.npz, .npy)"))
    }

    /// The number of a symbol over all files; its grid becomes as fine as every file needs.
    fn number(&mut self, path: &Path, info: SymbolInfo) -> Result<SymbolId, StoreError> {
        let known = self.symbols.iter().position(|known| known.name == info.name);
        let index = known.unwrap_or(self.symbols.len());
        match self.symbols.get_mut(index) {
            Some(symbol) => symbol.refine(info.tick, info.lot),
            None => self.symbols.push(info),
        }
        let too_many = |_| StoreError::foreign(path, "brings more symbols than can be numbered");
        u16::try_from(index).map(SymbolId).map_err(too_many)
    }

    /// The symbols of all files, in the order of the numbers that rows carry.
    pub fn symbols(&self) -> &[SymbolInfo] {
        &self.symbols
    }

    /// Rows of all files.
    pub const fn rows(&self) -> u64 {
        self.rows
    }

    /// Bytes of all files.
    pub const fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Appends up to `count` rows of the current file; nothing after the last row of the last file.
    pub fn read(&mut self, count: usize, into: &mut Vec<Row>) -> Result<(), StoreError> {
        let before = into.len();
        while into.len() == before {
            let Some((path, source)) = self.files.front_mut() else { return Ok(()) };
            let first = source.row();
            let read = source.read(count, into);
            let checked =
                read.and_then(|is_done| self.order.check(path, first, &into[before..], mend(source)).map(|()| is_done));
            let is_done = checked.map_err(|error| source.explain(path, error))?;
            if is_done {
                self.files.pop_front();
            }
        }
        Ok(())
    }
}

impl Source {
    /// Appends up to `count` rows; true when there are no more.
    fn read(&mut self, count: usize, into: &mut Vec<Row>) -> Result<bool, StoreError> {
        match self {
            Source::Store(file) => {
                let before = into.len();
                file.read(count, into)?;
                Ok(into.len() == before)
            }
            Source::Peer(file) => file.read(count, into),
        }
    }

    /// A row that makes no sense may be only the sign of a damaged archive.
    fn explain(&mut self, path: &Path, error: StoreError) -> StoreError {
        let is_sign = matches!(error.trouble, Trouble::Unfit(_) | Trouble::Unsorted { .. });
        match self {
            Source::Peer(file) if is_sign => {
                let damage = "what is packed does not match its checksum";
                if file.is_intact() { error } else { StoreError::corrupt(path, error.place, damage) }
            }
            Source::Peer(_) | Source::Store(_) => error,
        }
    }

    fn row(&self) -> u64 {
        match self {
            Source::Store(file) => file.row(),
            Source::Peer(file) => file.row(),
        }
    }
}

const fn mend(source: &Source) -> &'static str {
    match source {
        Source::Store(_) => "give the files in time order, or import the source again",
        Source::Peer(_) => "give the files in time order, or run hftbacktest's `correct_event_order` on the array",
    }
}

/// Its first bytes; fewer when the file is shorter.
fn magic(path: &Path) -> Result<Vec<u8>, StoreError> {
    let mut magic = Vec::new();
    File::open(path)
        .and_then(|file| file.take(NPY_MAGIC.len() as u64).read_to_end(&mut magic))
        .map_err(|error| StoreError::io(path, "open the file", error))?;
    Ok(magic)
}
