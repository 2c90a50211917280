//! The engine's layer of a walk, now and in the past.

use std::iter::Peekable;
use std::ops::Bound;

use bytes::Bytes;
use remex_engine::{Direction, Engine, Row, Rows};
use remex_model::{Record, Revision};

use super::merge::{Bounds, Found};
use crate::buffer::Seen;
use crate::error::Fatal;
use crate::layers::stored_past;
use crate::rows;

/// Rows of one key's history that are read one by one before the walk leaps over the rest. A
/// leap costs about as much as this many rows.
const LINEAR_ROWS: usize = 16;

/// Walks `current` as it is.
pub(super) struct StoredCurrent {
    rows: Rows,
}

impl StoredCurrent {
    pub(super) fn new<E: Engine>(engine: &E, bounds: &Bounds, direction: Direction) -> Self {
        let row_key = |key: &Bytes| {
            let mut out = Vec::new();
            rows::current_key(key, &mut out);
            out
        };
        let start = match &bounds.start {
            Bound::Unbounded => Bound::Included(vec![rows::CURRENT]),
            bound => bound.as_ref().map(row_key),
        };
        let end = match &bounds.end {
            Bound::Unbounded => Bound::Excluded(vec![rows::CURRENT + 1]),
            bound => bound.as_ref().map(row_key),
        };
        Self { rows: scan(engine, &start, &end, direction) }
    }
}

impl Iterator for StoredCurrent {
    type Item = Found;

    fn next(&mut self) -> Option<Found> {
        let record = |row: Row| {
            let (key, value) = row?;
            Ok((key.slice(1..), Seen::Record(rows::decode_record("current", value)?)))
        };
        self.rows.next().map(record)
    }
}

/// Walks the engine's keys as they were at a revision: those of `current` that are old enough, and
/// for all others what `history` has.
pub(super) struct StoredPast<'a, E: Engine> {
    current: Peekable<StoredCurrent>,
    groups: Peekable<Groups<'a, E>>,
    direction: Direction,
    at: Revision,
}

impl<'a, E: Engine> StoredPast<'a, E> {
    pub(super) fn new(engine: &'a E, bounds: &Bounds, direction: Direction, at: Revision) -> Self {
        let current = StoredCurrent::new(engine, bounds, direction).peekable();
        let groups = Groups::new(engine, bounds, direction, at).peekable();
        Self { current, groups, direction, at }
    }
}

impl<E: Engine> Iterator for StoredPast<'_, E> {
    type Item = Found;

    fn next(&mut self) -> Option<Found> {
        let (take_current, take_group) = match (self.current.peek(), self.groups.peek()) {
            (None, None) => return None,
            (Some(Err(_)) | Some(Ok(_)), None) | (Some(Err(_)), Some(Ok(_))) => (true, false),
            (None, Some(_)) | (Some(_), Some(Err(_))) => (false, true),
            (Some(Ok((current, _))), Some(Ok((group, _)))) => {
                let order = match self.direction {
                    Direction::Forward => current.cmp(group),
                    Direction::Backward => group.cmp(current),
                };
                (order.is_le(), order.is_ge())
            }
        };
        let group = if take_group { self.groups.next() } else { None };
        let current = if take_current { self.current.next() } else { None };
        match (current, group) {
            (Some(Ok((key, Seen::Record(record)))), _) if record.mod_revision <= self.at => {
                Some(Ok((key, Seen::Record(record))))
            }
            (Some(Ok((key, _))), None) => Some(Ok((key, Seen::Absent))),
            (Some(Err(error)), _) => Some(Err(error)),
            (_, group) => group,
        }
    }
}

/// Walks `history`, key by key.
struct Groups<'a, E: Engine> {
    engine: &'a E,
    at: Revision,
    direction: Direction,
    /// What is left to walk, for leaps.
    start: Bound<Vec<u8>>,
    end: Bound<Vec<u8>>,
    rows: Peekable<Rows>,
}

impl<'a, E: Engine> Groups<'a, E> {
    fn new(engine: &'a E, bounds: &Bounds, direction: Direction, at: Revision) -> Self {
        let before = |key: &Bytes| {
            let mut out = Vec::new();
            rows::history_bound(key, &mut out);
            out
        };
        let behind = |key: &Bytes| {
            let mut out = Vec::new();
            rows::history_key(key, Revision(u64::MAX), &mut out);
            out
        };
        let start = match &bounds.start {
            Bound::Unbounded => Bound::Included(vec![rows::HISTORY]),
            Bound::Included(key) => Bound::Included(before(key)),
            Bound::Excluded(key) => Bound::Excluded(behind(key)),
        };
        let end = match &bounds.end {
            Bound::Unbounded => Bound::Excluded(vec![rows::HISTORY + 1]),
            Bound::Included(key) => Bound::Included(behind(key)),
            Bound::Excluded(key) => Bound::Excluded(before(key)),
        };
        let rows = scan(engine, &start, &end, direction).peekable();
        Self { engine, at, direction, start, end, rows }
    }

    fn group(&mut self, row: Row) -> Found {
        let (row_key, value) = row?;
        let (key, superseded) = rows::parse_history_key(&row_key)?;
        let prefix = row_key.slice(..row_key.len() - 8);
        let mut best = Best { at: self.at, row: None };
        best.offer(superseded, value);
        for read in 1.. {
            let same = |row: &Row| {
                matches!(row, Ok((other, _)) if other.len() == row_key.len()
                    && other.starts_with(&prefix))
            };
            let Some(row) = self.rows.next_if(same) else { break };
            if read == LINEAR_ROWS {
                self.leap(&prefix);
                let record = stored_past(self.engine, &key, self.at)?;
                return Ok((key, record.map_or(Seen::Absent, Seen::Record)));
            }
            let (row_key, value) = row?;
            let superseded = rows::superseded(&row_key);
            best.offer(superseded.ok_or_else(|| rows::bad_key("history"))?, value);
        }
        Ok((key, best.record()?.map_or(Seen::Absent, Seen::Record)))
    }

    /// Goes on behind all rows of a key.
    fn leap(&mut self, prefix: &[u8]) {
        match self.direction {
            Direction::Forward => {
                self.start = Bound::Excluded([prefix, &[0xff; 8]].concat());
            }
            Direction::Backward => self.end = Bound::Excluded(prefix.to_vec()),
        }
        self.rows = scan(self.engine, &self.start, &self.end, self.direction).peekable();
    }
}

impl<E: Engine> Iterator for Groups<'_, E> {
    type Item = Found;

    fn next(&mut self) -> Option<Found> {
        let row = self.rows.next()?;
        Some(self.group(row))
    }
}

/// Of one key's rows, the one that was superseded first after the revision.
struct Best {
    at: Revision,
    row: Option<(Revision, Bytes)>,
}

impl Best {
    fn offer(&mut self, superseded: Revision, value: Bytes) {
        let earlier = self.row.as_ref().is_none_or(|(best, _)| superseded < *best);
        if superseded > self.at && earlier {
            self.row = Some((superseded, value));
        }
    }

    fn record(self) -> Result<Option<Record>, Fatal> {
        let Some((_, value)) = self.row else { return Ok(None) };
        let record = rows::decode_record("history", value)?;
        Ok((record.mod_revision <= self.at).then_some(record))
    }
}

fn scan<E: Engine>(
    engine: &E,
    start: &Bound<Vec<u8>>,
    end: &Bound<Vec<u8>>,
    direction: Direction,
) -> Rows {
    let slice = |bound| Bound::map(Bound::as_ref(bound), Vec::as_slice);
    engine.scan(slice(start), slice(end), direction)
}
