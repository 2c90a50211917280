//! The rows of a scan.

use std::ops::Bound;

use bytes::Bytes;
use lsm_tree::{AbstractTree, AnyTree, Guard, Table};

use super::damage::{convert, located};
use crate::{Direction, EngineError, Row};

/// Ends after its first error, as the library does not say what would follow, and names the damage.
pub(super) struct Scan<I> {
    rows: Option<I>,
    tree: AnyTree,
    /// The key of the row before, or where the scan began.
    position: Option<Bytes>,
    direction: Direction,
}

impl<I> Scan<I> {
    /// Of rows that begin at `start` in the order of the scan.
    pub(super) fn new(rows: I, tree: AnyTree, start: Bound<&[u8]>, direction: Direction) -> Self {
        let position = match start {
            Bound::Included(key) | Bound::Excluded(key) => Some(Bytes::copy_from_slice(key)),
            Bound::Unbounded => None,
        };
        Self { rows: Some(rows), tree, position, direction }
    }

    /// Looks for damage where the next row of each run would have come from.
    fn located(&self, error: lsm_tree::Error) -> EngineError {
        let version = self.tree.current_version();
        let mut near: Vec<&Table> = Vec::new();
        for run in version.iter_levels().flat_map(|level| level.iter()) {
            // The table with the position, and the one that follows if it was the last row there.
            let ahead = |table: &&Table| self.is_ahead(table);
            match self.direction {
                Direction::Forward => near.extend(run.iter().filter(ahead).take(2)),
                Direction::Backward => near.extend(run.iter().rev().filter(ahead).take(2)),
            }
        }
        located(convert(error), near)
    }

    /// Whether the scan has not left the table behind.
    fn is_ahead(&self, table: &Table) -> bool {
        let Some(position) = &self.position else { return true };
        let range = &table.metadata.key_range;
        match self.direction {
            Direction::Forward => range.max()[..] >= position[..],
            Direction::Backward => range.min()[..] <= position[..],
        }
    }
}

impl<G: Guard, I: Iterator<Item = G>> Iterator for Scan<I> {
    type Item = Row;

    fn next(&mut self) -> Option<Row> {
        let Some(guard) = self.rows.as_mut()?.next() else {
            self.rows = None;
            return None;
        };
        match guard.into_inner() {
            Ok((key, value)) => {
                let key = Bytes::copy_from_slice(&key);
                self.position = Some(key.clone());
                Some(Ok((key, Bytes::copy_from_slice(&value))))
            }
            Err(error) => {
                self.rows = None;
                Some(Err(self.located(error)))
            }
        }
    }
}
