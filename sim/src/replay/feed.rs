//! Rows on their way to the two books: one slice in memory, or blocks that a reader delivers.
//!
//! Both books read the same blocks at their own place; a block is dropped once both have passed it, so memory is
//! bounded by how far the clocks are apart. Never reads files itself.

use std::collections::VecDeque;
use std::sync::Arc;

use super::ReplayError;
use super::rows::Row;

/// Where blocks come from: a reader of files, at its own pace.
pub trait Blocks {
    /// The next block in file order; `None` at the end.
    fn next_block(&mut self) -> Result<Option<Arc<[Row]>>, ReplayError>;
}

/// The rows of one run.
pub struct Feed<'a> {
    held: VecDeque<Block<'a>>,
    dropped: usize,
    reader: Option<Box<dyn Blocks + 'a>>,
}

enum Block<'a> {
    Borrowed(&'a [Row]),
    Shared(Arc<[Row]>),
}

/// One book's place in the feed.
#[derive(Clone, Copy, Debug, Default)]
pub struct Place {
    /// Which block, counted from the start of the feed.
    pub block: usize,
    /// Which row of it is next.
    pub row: usize,
    /// Nothing is left.
    pub ended: bool,
}

impl<'a> Feed<'a> {
    /// Rows in memory, shared with whoever else reads them.
    pub fn memory(rows: &'a [Row]) -> Feed<'a> {
        Feed { held: VecDeque::from([Block::Borrowed(rows)]), dropped: 0, reader: None }
    }

    /// Rows from a reader.
    pub fn streamed(reader: impl Blocks + 'a) -> Feed<'a> {
        Feed { held: VecDeque::new(), dropped: 0, reader: Some(Box::new(reader)) }
    }

    /// The rows of block `index`; `None` past the end.
    ///
    /// # Panics
    /// If the block was dropped: a book went back.
    pub fn block(&mut self, index: usize) -> Result<Option<&[Row]>, ReplayError> {
        assert!(index >= self.dropped, "a book never goes back");
        while index - self.dropped >= self.held.len() {
            let Some(reader) = self.reader.as_mut() else { return Ok(None) };
            match reader.next_block()? {
                Some(rows) => self.held.push_back(Block::Shared(rows)),
                None => self.reader = None,
            }
        }
        Ok(self.held.get(index - self.dropped).map(Block::rows))
    }

    /// Drops every block before `index`.
    pub fn drop_before(&mut self, index: usize) {
        while self.dropped < index && self.held.pop_front().is_some() {
            self.dropped += 1;
        }
    }

    /// The first time on either clock.
    pub fn first_ns(&mut self) -> Result<Option<i64>, ReplayError> {
        let (mut exchange, mut local) = (None, None);
        let mut index = 0;
        while exchange.is_none() || local.is_none() {
            let Some(rows) = self.block(index)? else { break };
            exchange = exchange.or_else(|| rows.iter().find(|row| row.at_exchange()).map(Row::exchange_ns));
            local = local.or_else(|| rows.iter().find(|row| row.at_local()).map(Row::local_ns));
            index += 1;
        }
        Ok(exchange.into_iter().chain(local).min())
    }
}

impl Block<'_> {
    fn rows(&self) -> &[Row] {
        match self {
            Block::Borrowed(rows) => rows,
            Block::Shared(rows) => rows,
        }
    }
}
