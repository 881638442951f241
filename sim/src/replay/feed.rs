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

#[derive(Clone)]
enum Block<'a> {
    Borrowed(&'a [Row]),
    Shared(Arc<[Row]>),
}

/// One book's place in the feed.
pub struct Cursor<'a> {
    block: Block<'a>,
    row: usize,
    next_block: usize,
    ended: bool,
}

impl<'a> Cursor<'a> {
    /// Before the first row.
    pub const fn start() -> Cursor<'a> {
        Cursor { block: Block::Borrowed(&[]), row: 0, next_block: 0, ended: false }
    }

    /// Is nothing left?
    pub const fn is_ended(&self) -> bool {
        self.ended
    }

    /// The row that was refused last; `None` before the first row and after the last.
    pub(super) fn next(&self) -> Option<&Row> {
        self.block.rows().get(self.row)
    }

    /// Hands every row to `apply` until it refuses one, which stays next.
    #[inline]
    pub fn drain(&mut self, feed: &mut Feed<'a>, mut apply: impl FnMut(&Row) -> bool) -> Result<(), ReplayError> {
        loop {
            let rows = self.block.rows();
            while let Some(row) = rows.get(self.row) {
                if !apply(row) {
                    return Ok(());
                }
                self.row += 1;
            }
            if self.ended || !self.enter_next(feed)? {
                return Ok(());
            }
        }
    }

    #[cold]
    fn enter_next(&mut self, feed: &mut Feed<'a>) -> Result<bool, ReplayError> {
        match feed.block(self.next_block)? {
            Some(block) => {
                self.block = block.clone();
                self.row = 0;
                self.next_block += 1;
            }
            None => self.ended = true,
        }
        Ok(!self.ended)
    }
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

    /// Block `index`; `None` past the end.
    fn block(&mut self, index: usize) -> Result<Option<&Block<'a>>, ReplayError> {
        assert!(index >= self.dropped, "a book never goes back");
        while index - self.dropped >= self.held.len() {
            let Some(reader) = self.reader.as_mut() else { return Ok(None) };
            match reader.next_block()? {
                Some(rows) => self.held.push_back(Block::Shared(rows)),
                None => self.reader = None,
            }
        }
        Ok(self.held.get(index - self.dropped))
    }

    /// Drops what both books have entered: each holds on to the block it is in.
    #[inline]
    pub fn drop_passed(&mut self, one: &Cursor<'a>, other: &Cursor<'a>) {
        let passed = one.next_block.min(other.next_block);
        if self.dropped < passed {
            self.drop_before(passed);
        }
    }

    #[cold]
    fn drop_before(&mut self, index: usize) {
        while self.dropped < index && self.held.pop_front().is_some() {
            self.dropped += 1;
        }
    }

    /// The first time on either clock.
    pub fn first_ns(&mut self) -> Result<Option<i64>, ReplayError> {
        let (mut exchange, mut local) = (None, None);
        let mut index = 0;
        while exchange.is_none() || local.is_none() {
            let Some(rows) = self.block(index)?.map(Block::rows) else { break };
            exchange = exchange.or_else(|| rows.iter().find(|row| row.at_exchange()).map(Row::exchange_ns));
            local = local.or_else(|| rows.iter().find(|row| row.at_local()).map(Row::local_ns));
            index += 1;
        }
        Ok(exchange.into_iter().chain(local).min())
    }
}

impl Block<'_> {
    #[inline]
    fn rows(&self) -> &[Row] {
        match self {
            Block::Borrowed(rows) => rows,
            Block::Shared(rows) => rows,
        }
    }
}
