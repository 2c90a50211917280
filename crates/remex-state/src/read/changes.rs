//! What changed since a revision: how a watcher that fell behind catches up.

use std::ops::Bound;

use bytes::Bytes;
use remex_engine::{Direction, Engine};
use remex_model::{Key, KeyRange, Revision};

use crate::apply::Change;
use crate::buffer::{Buffer, Line};
use crate::error::{Fatal, ReadError};
use crate::rows;
use crate::state::State;

/// Bytes of values after which a page ends early: it is held in memory, and read under a lock that
/// keeps writes out.
const PAGE_BYTES_MAX: usize = 4 * 1024 * 1024;

/// One page of what changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChangePage {
    /// The changes of the keys that were asked for, in order, of whole revisions.
    pub changes: Vec<Change>,
    /// The last revision that was looked at: the next page lies behind it.
    pub through: Revision,
}

impl<E: Engine> State<E> {
    /// The changes behind a revision of the keys in a range, of whole revisions, until at least
    /// `changes_max` (1 or more) changes of any keys were looked at or about 4 MiB of values were found. Looks
    /// only for the records that it answers with.
    ///
    /// # Errors
    /// If the changes behind the revision are not kept any more, or if the engine fails.
    pub fn changes_within(
        &self,
        range: &KeyRange,
        after: Revision,
        changes_max: usize,
    ) -> Result<ChangePage, ReadError> {
        let lines = self.lines(after, changes_max)?;
        let mut through = after;
        if lines.len() < changes_max {
            through = through.max(self.revision());
        }
        let (mut changes, mut bytes) = (Vec::new(), 0);
        for revision in lines.chunk_by(|a, b| a.revision == b.revision) {
            let at = revision[0].revision;
            if bytes > PAGE_BYTES_MAX {
                return Ok(ChangePage { changes, through: Revision(at.get() - 1) });
            }
            for line in revision.iter().filter(|line| range.contains(&line.key)) {
                let change = self.change(line.clone())?;
                bytes += change.record.as_ref().map_or(0, |record| record.value.bytes.len());
                changes.push(change);
            }
            through = through.max(at);
        }
        Ok(ChangePage { changes, through })
    }

    /// The changes behind a revision, in order, of whole revisions, until there are at least
    /// `changes_max`. Each carries the record that its revision made.
    ///
    /// # Errors
    /// If the changes behind the revision are not kept any more, or if the engine fails.
    pub fn changes(&self, after: Revision, changes_max: usize) -> Result<Vec<Change>, ReadError> {
        let lines = self.lines(after, changes_max)?;
        lines.into_iter().map(|line| self.change(line)).collect()
    }

    /// Which keys the revisions behind one changed: of whole revisions, until there are enough.
    fn lines(&self, after: Revision, changes_max: usize) -> Result<Vec<Line>, ReadError> {
        let oldest = self.oldest_revision();
        if after < oldest {
            return Err(ReadError::Compacted { oldest });
        }
        let mut lines = self.stored_lines(after, changes_max)?;
        for buffer in [self.lower.frozen.as_deref(), Some(&self.active)].into_iter().flatten() {
            let start = buffer.log.partition_point(|line| line.revision <= after);
            for revision in buffer.log[start..].chunk_by(|a, b| a.revision == b.revision) {
                if lines.len() >= changes_max {
                    break;
                }
                lines.extend_from_slice(revision);
            }
        }
        Ok(lines)
    }

    fn change(&self, line: Line) -> Result<Change, ReadError> {
        let Line { revision, key, deleted } = line;
        let key = Key::new(key);
        let record = if deleted { None } else { self.get(&key, Some(revision))?.record };
        Ok(Change { revision, key, record })
    }

    /// The lines that are only in the engine, which may hold those of the frozen buffer already.
    fn stored_lines(&self, after: Revision, changes_max: usize) -> Result<Vec<Line>, Fatal> {
        let mut lines = Vec::new();
        let first = |buffer: &Buffer| buffer.log.first().map(|line| line.revision);
        let buffered = self.lower.frozen.as_deref().and_then(first).or(first(&self.active));
        // Who follows what is written needs nothing from the disk.
        if buffered.is_some_and(|revision| revision <= after.next()) {
            return Ok(lines);
        }
        let start = rows::numbered_key(rows::CHANGES, after.get());
        let end = match buffered {
            Some(revision) => rows::numbered_key(rows::CHANGES, revision.get()),
            None => rows::numbered_key(rows::CHANGES, u64::MAX),
        };
        let bounds = (Bound::Excluded(&start[..]), Bound::Excluded(&end[..]));
        for row in self.lower.engine.scan(bounds.0, bounds.1, Direction::Forward) {
            if lines.len() >= changes_max {
                break;
            }
            let (row_key, value): (Bytes, Bytes) = row?;
            let revision = Revision(rows::number(&row_key).unwrap_or_default());
            let keys = rows::decode_changes(value)?.into_iter();
            lines.extend(keys.map(|(key, deleted)| Line { revision, key, deleted }));
        }
        Ok(lines)
    }
}
