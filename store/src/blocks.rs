//! Rows of one or many files, block after block, decoded ahead by a thread of its own.
//!
//! At most [`BLOCKS_MAX`] blocks exist at a time and are used again, so that memory does not depend on the length.
//! The reader thread ends with the last row, with the first error, or when this is dropped. Never merges files: a
//! market of several symbols is one file with several symbols, or one `Blocks` each.

use std::path::PathBuf;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::{self, JoinHandle};

use optiflow_base::ids::SymbolName;

use crate::chain::Chain;
use crate::error::StoreError;
use crate::event::Row;
use crate::schema::SymbolInfo;

/// A run of rows being read.
pub struct Blocks {
    symbols: Vec<SymbolInfo>,
    rows: u64,
    current: Vec<Row>,
    link: Option<Link>,
}

/// The ends of the channels to the reader thread.
struct Link {
    filled: Receiver<Result<Vec<Row>, StoreError>>,
    spent: SyncSender<Vec<Row>>,
    thread: JoinHandle<()>,
}

impl Blocks {
    /// Opens the files, stores or `.npz`, as one run in the order given, and begins to read ahead. Files that do not
    /// say whose rows they hold (`.npz`) hold `symbol`'s, by default that of the first one's file name.
    ///
    /// # Errors
    /// When a file cannot be opened or is not what it should be.
    pub fn open(paths: &[PathBuf], symbol: Option<SymbolName>) -> Result<Blocks, StoreError> {
        let chain = Chain::open(paths, symbol)?;
        let (symbols, rows) = (chain.symbols().to_vec(), chain.rows());
        let (to_caller, filled) = sync_channel(BLOCKS_AHEAD);
        let (spent, from_caller) = sync_channel(BLOCKS_MAX);
        let thread = thread::Builder::new()
            .name("store-reader".to_owned())
            .spawn(move || read_ahead(chain, &to_caller, &from_caller))
            .map_err(|error| StoreError::io(&paths[0], "start the reader thread", error))?;
        Ok(Blocks { symbols, rows, current: Vec::new(), link: Some(Link { filled, spent, thread }) })
    }

    /// The symbols, in the order of the numbers that rows carry.
    pub fn symbols(&self) -> &[SymbolInfo] {
        &self.symbols
    }

    /// Rows of all files together; of `.npz`, also those that count on neither clock and are passed over.
    pub const fn rows(&self) -> u64 {
        self.rows
    }

    /// The next block, in order and never empty; `None` after the last.
    ///
    /// # Errors
    /// When a file is damaged or goes back in time; after that there is nothing more.
    pub fn next_block(&mut self) -> Result<Option<&[Row]>, StoreError> {
        let Some(link) = &self.link else { return Ok(None) };
        let spent = std::mem::take(&mut self.current);
        if spent.capacity() > 0 {
            // A full or closed channel means that the reader needs no more blocks.
            let _ = link.spent.try_send(spent);
        }
        match link.filled.recv() {
            Ok(Ok(block)) => {
                assert!(!block.is_empty(), "a block has rows");
                self.current = block;
                Ok(Some(&self.current))
            }
            Ok(Err(error)) => {
                self.stop();
                Err(error)
            }
            Err(_) => {
                self.stop();
                Ok(None)
            }
        }
    }

    /// Reads the rest into memory: for runs that share one market.
    ///
    /// # Errors
    /// As [`Blocks::next_block`].
    pub fn into_rows(mut self) -> Result<Vec<Row>, StoreError> {
        let mut rows = Vec::with_capacity(usize::try_from(self.rows).unwrap_or(0));
        while let Some(block) = self.next_block()? {
            rows.extend_from_slice(block);
        }
        Ok(rows)
    }

    fn stop(&mut self) {
        if let Some(Link { filled, spent, thread }) = self.link.take() {
            drop((filled, spent));
            assert!(thread.join().is_ok(), "the reader thread does not panic");
        }
    }
}

impl Drop for Blocks {
    fn drop(&mut self) {
        if let Some(Link { filled, spent, thread }) = self.link.take() {
            drop((filled, spent));
            // Dropping must not panic; a panic of the thread has been printed where it happened.
            let _ = thread.join();
        }
    }
}

/// The reader thread.
fn read_ahead(mut chain: Chain, filled: &SyncSender<Result<Vec<Row>, StoreError>>, spent: &Receiver<Vec<Row>>) {
    loop {
        let mut block = spent.try_recv().unwrap_or_else(|_| Vec::with_capacity(BLOCK_LEN));
        block.clear();
        let read = chain.read(BLOCK_LEN, &mut block);
        let is_last = read.is_err() || block.is_empty();
        if is_last && read.is_ok() {
            return;
        }
        let sent = filled.send(read.map(|()| block));
        if is_last || sent.is_err() {
            return;
        }
    }
}

/// Rows of a block: 48 bytes each, so that a block stays in the second-level cache.
pub const BLOCK_LEN: usize = 8 * 1024;
/// Blocks decoded ahead of the caller.
const BLOCKS_AHEAD: usize = 4;
/// Blocks that can exist: those ahead, one being filled, one being sent, one with the caller, one on its way back.
pub const BLOCKS_MAX: usize = BLOCKS_AHEAD + 4;
