//! The writes of one command.

use bytes::Bytes;
use remex_engine::Engine;
use remex_model::{Key, KeyRange, Order, Record, Revision, Value, Write, WriteResult};

use super::Change;
use super::condition::Fetched;
use crate::buffer::{Effect, Version};
use crate::error::Fatal;
use crate::layers::owned;
use crate::read::Bounds;
use crate::state::State;

/// What a row of `history` counts for beside its key and value, in bytes.
const HISTORY_ROW_BYTES: usize = 64;
/// What a key in a row of `changes` counts for beside its bytes.
const CHANGE_ROW_BYTES: usize = 24;

/// The writes of one command, at one revision.
pub(super) struct Transaction<'a, E> {
    state: &'a mut State<E>,
    revision: Revision,
    fetched: Fetched,
    changes: &'a mut Vec<Change>,
    /// Where this command's changes and lines of the change log begin.
    first_change: usize,
    first_line: usize,
    /// Whether a key was written more than once.
    again: bool,
}

impl<'a, E: Engine> Transaction<'a, E> {
    pub(super) fn new(
        state: &'a mut State<E>,
        revision: Revision,
        fetched: Fetched,
        changes: &'a mut Vec<Change>,
    ) -> Self {
        let (first_change, first_line) = (changes.len(), state.active.log.len());
        Self { state, revision, fetched, changes, first_change, first_line, again: false }
    }

    pub(super) fn run(&mut self, writes: Vec<Write>) -> Result<Vec<WriteResult>, Fatal> {
        let mut results = Vec::with_capacity(writes.len());
        for write in writes {
            results.push(match write {
                Write::Put { key, value, lease } => self.put(key, value, lease)?,
                Write::Delete { key } => {
                    let previous = self.delete(key.bytes().clone(), None)?;
                    let count = u64::from(previous.is_some());
                    WriteResult::Deleted { count, previous }
                }
                Write::DeleteRange { range } => self.delete_range(range)?,
            });
        }
        Ok(results)
    }

    /// Ends the command. Returns whether it changed anything and so takes its revision.
    pub(super) fn finish(self) -> bool {
        let Self { state, revision, changes, first_change, first_line, again, .. } = self;
        if again {
            state.active.settle_lines(first_line);
            changes.truncate(first_change);
            for line in &state.active.log[first_line..] {
                let chain = state.active.chains.get(&line.key);
                let chain = chain.expect("every line's key has a chain");
                let (key, record) = (Key::new(line.key.clone()), chain.latest().record().cloned());
                changes.push(Change { revision, key, record });
            }
        }
        changes.len() > first_change
    }

    fn put(&mut self, key: Key, value: Value, lease: u64) -> Result<WriteResult, Fatal> {
        let (revision, time_ms) = (self.revision, self.state.meta.time_ms);
        let mut written = None;
        let make = |previous: Option<&Record>| {
            let (create_revision, version) =
                previous.map_or((revision, 1), |old| (old.create_revision, old.version + 1));
            let mod_revision = revision;
            let record = Record { create_revision, mod_revision, version, lease, time_ms, value };
            written = Some(record.clone());
            Some(Version::Put(record))
        };
        let State { active, lower, .. } = &mut *self.state;
        let fetched = &mut self.fetched;
        let below = |key: &Bytes| match fetched.remove(key) {
            Some(record) => Ok(record),
            None => lower.base(key),
        };
        let effect = active.write(key.bytes().clone(), below, make)?;
        let (effect, record) = effect.zip(written).expect("a put always makes a version");
        self.state.meta.digest.put(key.bytes(), &record);
        self.state.lower.recent.put(key.bytes(), &record);
        self.count(key.bytes(), &effect);
        let (create_revision, version) = (record.create_revision, record.version);
        self.changes.push(Change { revision, key, record: Some(record) });
        Ok(WriteResult::Put { create_revision, version, previous: effect.previous })
    }

    /// Deletes a key and returns its record. `stored` is its record in the layers below the active
    /// buffer, if the caller has read it.
    fn delete(&mut self, key: Bytes, stored: Option<Record>) -> Result<Option<Record>, Fatal> {
        let revision = self.revision;
        let make = |previous: Option<&Record>| previous.map(|_| Version::Deleted(revision));
        let State { active, lower, .. } = &mut *self.state;
        let fetched = &mut self.fetched;
        let below = |key: &Bytes| match (stored, fetched.remove(key)) {
            (Some(record), _) => Ok(Some(owned(record))),
            (None, Some(record)) => Ok(record),
            (None, None) => lower.base(key),
        };
        let Some(effect) = active.write(key.clone(), below, make)? else { return Ok(None) };
        let version = effect.previous.as_ref().map_or(0, |previous| previous.version);
        self.state.meta.digest.delete(&key, revision, version);
        self.state.lower.recent.remove(&key);
        self.count(&key, &effect);
        self.changes.push(Change { revision, key: Key::new(key), record: None });
        Ok(effect.previous)
    }

    fn delete_range(&mut self, range: KeyRange) -> Result<WriteResult, Fatal> {
        let bounds = Bounds::of(&range);
        let max = usize::try_from(Write::DELETE_RANGE_KEYS_MAX).expect("it fits 32 bits");
        let found = self.state.merge(&bounds, Order::Ascending, None).take(max);
        let found = found.collect::<Result<Vec<_>, Fatal>>()?;
        let count = found.len() as u64;
        for (key, record) in found {
            self.delete(key, Some(record))?;
        }
        Ok(WriteResult::Deleted { count, previous: None })
    }

    /// Counts what the change adds to the history.
    fn count(&mut self, key: &Bytes, effect: &Effect) {
        if effect.again {
            self.again = true;
            return;
        }
        let superseded = effect
            .previous
            .as_ref()
            .map_or(0, |previous| HISTORY_ROW_BYTES + key.len() + previous.value.bytes.len());
        self.state.meta.history.add(CHANGE_ROW_BYTES + key.len() + superseded);
    }
}
