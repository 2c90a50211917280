//! The judge's own account of one node's log.

use std::collections::VecDeque;

use remex_consensus::{Entry, HardState};
use remex_model::{Index, Term};
use xxhash_rust::xxh3::xxh3_64;

use crate::node::FOUNDING;
use crate::violation::Check;

/// What an entry is, in short: two entries with equal stamps are taken for equal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Stamp {
    pub(crate) term: Term,
    pub(crate) hash: u64,
}

impl Stamp {
    pub(crate) fn of(entry: &Entry) -> Self {
        Self { term: entry.term, hash: xxh3_64(&entry.data) }
    }
}

/// One write that a core handed out.
#[derive(Clone, Debug)]
pub(crate) struct Change {
    pub(crate) hard_state: Option<HardState>,
    pub(crate) first: Index,
    pub(crate) stamps: Vec<Stamp>,
}

/// A sequence of stamps from entry 1 on, which is the founding entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Stamps(Vec<Stamp>);

impl Default for Stamps {
    fn default() -> Self {
        Self(vec![Stamp { term: FOUNDING.1, hash: 0 }])
    }
}

impl Stamps {
    pub(crate) fn get(&self, index: Index) -> Option<Stamp> {
        let position = usize::try_from(index.get().checked_sub(1)?).ok()?;
        self.0.get(position).copied()
    }

    pub(crate) fn last(&self) -> Index {
        Index(self.0.len() as u64)
    }

    /// The last entry of a term before this one, if terms do not fall.
    pub(crate) fn last_before(&self, term: Term) -> Index {
        Index(self.0.partition_point(|stamp| stamp.term < term) as u64)
    }

    /// Keeps the entries up to this one.
    pub(crate) fn truncate(&mut self, last: Index) {
        self.0.truncate(usize::try_from(last.get()).unwrap_or(usize::MAX));
    }

    /// Replaces everything from `first` on, which leaves no gap.
    pub(crate) fn replace_from(&mut self, first: Index, stamps: &[Stamp]) {
        self.truncate(Index(first.get() - 1));
        self.0.extend_from_slice(stamps);
    }
}

/// A node's log as the core has it and as the disk is known to have it. Entries that were given
/// back by trimming stay in it.
#[derive(Debug)]
pub(crate) struct ShadowLog {
    /// Everything handed out to be written.
    pub(crate) all: Stamps,
    /// What is synced.
    pub(crate) synced: Stamps,
    pub(crate) synced_hard_state: HardState,
    /// Writes that are not synced, oldest first.
    pub(crate) pending: VecDeque<Change>,
}

impl Default for ShadowLog {
    /// The log of a founder.
    fn default() -> Self {
        let (commit, term) = FOUNDING;
        Self {
            all: Stamps::default(),
            synced: Stamps::default(),
            synced_hard_state: HardState { term, vote: None, commit },
            pending: VecDeque::new(),
        }
    }
}

impl ShadowLog {
    pub(crate) fn append(&mut self, hard_state: Option<HardState>, entries: &[Entry]) -> Check {
        let first = entries.first().map_or(self.all.last().next(), |entry| entry.index);
        if first == Index(0) || first > self.all.last().next() {
            let detail = format!("entry {first} is written behind entry {}", self.all.last());
            return Err(("log_matching", detail));
        }
        let stamps: Vec<Stamp> = entries.iter().map(Stamp::of).collect();
        if !stamps.is_empty() {
            self.all.replace_from(first, &stamps);
        }
        self.pending.push_back(Change { hard_state, first, stamps });
        Ok(())
    }

    pub(crate) fn sync(&mut self, writes: usize) {
        for change in self.pending.drain(..writes) {
            if let Some(hard_state) = change.hard_state {
                self.synced_hard_state = hard_state;
            }
            if !change.stamps.is_empty() {
                self.synced.replace_from(change.first, &change.stamps);
            }
        }
    }

    /// After a restart the disk holds exactly what was recovered, and all of it is synced.
    pub(crate) fn recover(&mut self, hard_state: HardState, first: Index, stamps: &[Stamp]) {
        self.pending.clear();
        self.synced.replace_from(first, stamps);
        self.synced_hard_state = hard_state;
        self.all = self.synced.clone();
    }

    pub(crate) fn synced_last(&self) -> Index {
        self.synced.last()
    }
}
