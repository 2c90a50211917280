//! The end of the log in memory, as the Raft library reads it.
//!
//! Holds every entry that is not yet applied and a bounded number of applied ones for followers
//! that lag a little. Entries before that are read from the log on disk: the library asks
//! through [`Storage::entries`], is told "temporarily unavailable", and asks again once they
//! were fetched. Terms of all entries are known by runs, which are few.

use std::cell::RefCell;
use std::collections::VecDeque;

use raft::eraftpb::{ConfState, Entry, HardState, Snapshot};
use raft::{Error, GetEntriesContext, RaftState, Storage, StorageError};

/// A request of the library for entries that are no longer in memory.
#[derive(Debug)]
pub(crate) struct Wanted {
    pub(crate) low: u64,
    pub(crate) high: u64,
    pub(crate) context: GetEntriesContext,
}

/// What the log on disk holds.
#[derive(Debug, Default)]
pub(crate) struct Stored {
    pub(crate) first_index: u64,
    pub(crate) last_index: u64,
    /// First index and term of each run of entries with one term.
    pub(crate) terms: Vec<(u64, u64)>,
    /// The last entries.
    pub(crate) entries: Vec<Entry>,
}

/// The end of the log.
#[derive(Debug)]
pub(crate) struct Tail {
    hard_state: HardState,
    conf_state: ConfState,
    /// First entry of the log on disk.
    first_index: u64,
    /// Last entry of the log.
    last_index: u64,
    /// Last entry that was applied: what a snapshot of this node holds at the least.
    applied: u64,
    /// First index and term of each run of entries with one term; the first run covers
    /// `first_index - 1` too.
    terms: Vec<(u64, u64)>,
    /// Entries in memory: a suffix of the log.
    entries: VecDeque<Entry>,
    entries_bytes: usize,
    entries_bytes_max: usize,
    /// Entries read from disk for a follower that is far behind.
    fetched: Vec<Entry>,
    wanted: RefCell<Vec<Wanted>>,
}

impl Tail {
    pub(crate) fn new(
        hard_state: HardState,
        conf_state: ConfState,
        log: Stored,
        applied: u64,
        entries_bytes_max: usize,
    ) -> Self {
        let Stored { first_index, last_index, terms, entries } = log;
        let entries_bytes = entries.iter().map(weight).sum();
        Self {
            hard_state,
            conf_state,
            first_index,
            last_index,
            applied,
            terms,
            entries: entries.into(),
            entries_bytes,
            entries_bytes_max,
            fetched: Vec::new(),
            wanted: RefCell::new(Vec::new()),
        }
    }

    /// Adds entries; those at or behind the first are replaced.
    pub(crate) fn append(&mut self, entries: &[Entry]) {
        let Some(first) = entries.first() else { return };
        self.truncate(first.index);
        for entry in entries {
            assert_eq!(entry.index, self.last_index + 1, "entries follow each other");
            if self.terms.last().is_none_or(|&(_, term)| term != entry.term) {
                self.terms.push((entry.index, entry.term));
            }
            self.last_index = entry.index;
            self.entries_bytes += weight(entry);
            self.entries.push_back(entry.clone());
        }
    }

    fn truncate(&mut self, from: u64) {
        while self.entries.back().is_some_and(|entry| entry.index >= from) {
            let entry = self.entries.pop_back().expect("just looked at");
            self.entries_bytes -= weight(&entry);
        }
        while self.terms.last().is_some_and(|&(first, _)| first >= from) {
            self.terms.pop();
        }
        self.last_index = self.last_index.min(from - 1);
        self.fetched.retain(|entry| entry.index < from);
    }

    /// Entries up to `applied` were applied. Forgets those beyond the bound.
    pub(crate) fn applied(&mut self, applied: u64) {
        self.applied = applied;
        while self.entries_bytes > self.entries_bytes_max
            && self.entries.front().is_some_and(|entry| entry.index <= applied)
        {
            let entry = self.entries.pop_front().expect("just looked at");
            self.entries_bytes -= weight(&entry);
        }
    }

    /// The log on disk begins at `first_index` now. What comes before is forgotten, but for the
    /// term of the entry just before.
    pub(crate) fn trim(&mut self, first_index: u64) {
        if first_index <= self.first_index {
            return;
        }
        self.first_index = first_index;
        let runs = self.terms.partition_point(|&(first, _)| first < first_index);
        self.terms.drain(..runs.saturating_sub(1));
        while self.entries.front().is_some_and(|entry| entry.index < first_index) {
            let entry = self.entries.pop_front().expect("just looked at");
            self.entries_bytes -= weight(&entry);
        }
        self.fetched.retain(|entry| entry.index >= first_index);
    }

    /// Requests of the library that [`Storage::entries`] could not answer since the last call.
    pub(crate) fn take_wanted(&mut self) -> Vec<Wanted> {
        std::mem::take(self.wanted.get_mut())
    }

    /// Takes entries that were read from disk, unless the log has changed there since.
    pub(crate) fn set_fetched(&mut self, mut entries: Vec<Entry>) {
        let unchanged = entries
            .iter()
            .take_while(|entry| self.term_of(entry.index) == Some(entry.term))
            .count();
        entries.truncate(unchanged);
        self.fetched = entries;
    }

    fn memory_first(&self) -> u64 {
        self.entries.front().map_or(self.last_index + 1, |entry| entry.index)
    }

    fn term_of(&self, index: u64) -> Option<u64> {
        if index + 1 < self.first_index || index > self.last_index {
            return None;
        }
        if index == 0 {
            return Some(0);
        }
        let run = self.terms.partition_point(|&(first, _)| first <= index);
        Some(self.terms.get(run.checked_sub(1)?)?.1)
    }
}

/// Bytes that an entry takes in memory, about.
fn weight(entry: &Entry) -> usize {
    entry.data.len() + entry.context.len() + 128
}

/// Entries from an iterator up to a number of bytes, at least one.
fn bounded<'a>(entries: impl Iterator<Item = &'a Entry>, bytes_max: Option<u64>) -> Vec<Entry> {
    let mut bytes: u64 = 0;
    let mut out = Vec::new();
    for entry in entries {
        bytes = bytes.saturating_add(weight(entry) as u64);
        if !out.is_empty() && bytes_max.is_some_and(|max| bytes > max) {
            break;
        }
        out.push(entry.clone());
    }
    out
}

impl Storage for Tail {
    fn initial_state(&self) -> raft::Result<RaftState> {
        Ok(RaftState::new(self.hard_state.clone(), self.conf_state.clone()))
    }

    fn entries(
        &self,
        low: u64,
        high: u64,
        max_size: impl Into<Option<u64>>,
        context: GetEntriesContext,
    ) -> raft::Result<Vec<Entry>> {
        let max_size = max_size.into();
        if low < self.first_index {
            return Err(Error::Store(StorageError::Compacted));
        }
        if high > self.last_index + 1 {
            return Err(Error::Store(StorageError::Unavailable));
        }
        let memory_first = self.memory_first();
        if low >= memory_first {
            let skip = usize::try_from(low - memory_first).map_err(overflow)?;
            let take = usize::try_from(high - low).map_err(overflow)?;
            return Ok(bounded(self.entries.iter().skip(skip).take(take), max_size));
        }
        let fetched = self.fetched.iter().skip_while(|entry| entry.index < low);
        let found = bounded(fetched.take_while(|entry| entry.index < high), max_size);
        if found.first().is_some_and(|entry| entry.index == low) {
            return Ok(found);
        }
        if context.can_async() {
            // What is in memory need not be read, and the end of it may not be written yet.
            let high = high.min(memory_first);
            self.wanted.borrow_mut().push(Wanted { low, high, context });
            return Err(Error::Store(StorageError::LogTemporarilyUnavailable));
        }
        Err(Error::Store(StorageError::Unavailable))
    }

    fn term(&self, index: u64) -> raft::Result<u64> {
        if index + 1 < self.first_index {
            return Err(Error::Store(StorageError::Compacted));
        }
        self.term_of(index).ok_or(Error::Store(StorageError::Unavailable))
    }

    fn first_index(&self) -> raft::Result<u64> {
        Ok(self.first_index)
    }

    fn last_index(&self) -> raft::Result<u64> {
        Ok(self.last_index)
    }

    /// What this node's state holds, in name only: followers fetch it by other ways.
    fn snapshot(&self, _request_index: u64, _to: u64) -> raft::Result<Snapshot> {
        let Some(term) = self.term_of(self.applied).filter(|_| self.applied > 0) else {
            return Err(Error::Store(StorageError::SnapshotTemporarilyUnavailable));
        };
        let mut snapshot = Snapshot::default();
        let metadata = snapshot.mut_metadata();
        (metadata.index, metadata.term) = (self.applied, term);
        Ok(snapshot)
    }
}

fn overflow(error: std::num::TryFromIntError) -> Error {
    Error::Store(StorageError::Other(Box::new(error)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(index: u64, term: u64) -> Entry {
        Entry { index, term, data: vec![0; 100].into(), ..Entry::default() }
    }

    fn tail() -> Tail {
        let log = Stored { first_index: 1, ..Stored::default() };
        let mut tail = Tail::new(HardState::default(), ConfState::default(), log, 0, 4 * 228);
        tail.append(&[entry(1, 1), entry(2, 1), entry(3, 2), entry(4, 2), entry(5, 3)]);
        tail
    }

    fn indexes(entries: &[Entry]) -> Vec<u64> {
        entries.iter().map(|entry| entry.index).collect()
    }

    #[test]
    fn terms_are_known_by_runs() {
        let tail = tail();
        let terms: Vec<_> = (0..=5).map(|index| tail.term(index).unwrap()).collect();
        assert_eq!(terms, [0, 1, 1, 2, 2, 3]);
        assert!(tail.term(6).is_err());
    }

    #[test]
    fn appending_below_the_end_replaces_what_follows() {
        let mut tail = tail();
        tail.append(&[entry(3, 4)]);
        assert_eq!(tail.last_index().unwrap(), 3);
        assert_eq!(tail.term(3).unwrap(), 4);
        assert!(tail.term(4).is_err());
        assert_eq!(tail.terms, [(1, 1), (3, 4)]);
    }

    #[test]
    fn what_left_memory_is_fetched_and_then_served() {
        let mut tail = tail();
        tail.applied(4);
        assert_eq!(tail.memory_first(), 2);
        let low = tail.entries(1, 4, None, GetEntriesContext::empty(true));
        assert!(matches!(low, Err(Error::Store(StorageError::LogTemporarilyUnavailable))));
        let wanted = tail.take_wanted();
        assert_eq!((wanted[0].low, wanted[0].high), (1, 2));
        tail.set_fetched(vec![entry(1, 1), entry(2, 1)]);
        let served = tail.entries(1, 4, None, GetEntriesContext::empty(true)).unwrap();
        assert_eq!(indexes(&served), [1, 2]);
    }

    /// A leader asked its driver for entries up to the last, which the driver had not written
    /// yet, and stopped because its log did not hold them. Seed 85 of the simulator.
    #[test]
    fn only_entries_that_have_left_memory_are_fetched() {
        let mut tail = tail();
        tail.applied(3);
        tail.append(&[entry(6, 3)]);
        assert!(tail.entries(1, 7, None, GetEntriesContext::empty(true)).is_err());
        assert_eq!(tail.take_wanted()[0].high, tail.memory_first());
    }

    #[test]
    fn fetched_entries_of_a_replaced_suffix_are_not_served() {
        let mut tail = tail();
        tail.append(&[entry(2, 9)]);
        tail.set_fetched(vec![entry(1, 1), entry(2, 1)]);
        assert_eq!(indexes(&tail.fetched), [1]);
    }

    #[test]
    fn a_trimmed_log_keeps_the_term_before_its_first_entry() {
        let mut tail = tail();
        tail.set_fetched(vec![entry(1, 1), entry(2, 1), entry(3, 2)]);
        tail.trim(4);
        assert_eq!(tail.first_index().unwrap(), 4);
        assert_eq!(tail.terms, [(3, 2), (5, 3)]);
        let terms: Vec<_> = (0..=6).map(|index| tail.term(index).ok()).collect();
        assert_eq!(terms, [None, None, None, Some(2), Some(2), Some(3), None]);
        assert_eq!(indexes(&tail.fetched), []);
        let below = tail.entries(3, 5, None, GetEntriesContext::empty(true));
        assert!(matches!(below, Err(Error::Store(StorageError::Compacted))));
        assert_eq!(
            indexes(&tail.entries(4, 6, None, GetEntriesContext::empty(true)).unwrap()),
            [4, 5]
        );
        tail.trim(2);
        assert_eq!(tail.first_index().unwrap(), 4, "what is gone does not come back");
        tail.trim(6);
        assert_eq!((tail.term(5).unwrap(), tail.last_index().unwrap()), (3, 5));
        tail.append(&[entry(6, 3)]);
        assert_eq!(tail.term(6).unwrap(), 3);
    }

    #[test]
    fn a_snapshot_is_offered_of_what_was_applied() {
        let mut tail = tail();
        assert!(tail.snapshot(0, 2).is_err(), "of nothing");
        tail.applied(4);
        let offered = tail.snapshot(0, 2).unwrap();
        assert_eq!((offered.get_metadata().index, offered.get_metadata().term), (4, 2));
    }

    #[test]
    fn unapplied_entries_are_never_forgotten() {
        let mut tail = tail();
        tail.applied(0);
        assert_eq!(tail.memory_first(), 1);
    }
}
