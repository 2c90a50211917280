//! The judge's own account of one node's log.

use std::collections::VecDeque;

use remex_consensus::{Entry, EntryKind, HardState};
use remex_model::{Index, Term};
use xxhash_rust::xxh3::xxh3_64;

use super::ledger::Ledger;
use crate::node::FOUNDING;
use crate::violation::Check;

/// What an entry is, in short: two entries with equal stamps are taken for equal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Stamp {
    pub(crate) term: Term,
    pub(crate) hash: u64,
    /// Whether it changes the membership.
    pub(crate) changes: bool,
}

impl Stamp {
    pub(crate) fn of(entry: &Entry) -> Self {
        let changes = entry.kind == EntryKind::Membership;
        Self { term: entry.term, hash: xxh3_64(&entry.data), changes }
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
        Self(vec![Stamp { term: FOUNDING.1, hash: 0, changes: false }])
    }
}

impl Stamps {
    fn empty() -> Self {
        Self(Vec::new())
    }

    /// Those of `other` up to this entry.
    fn beginning(other: &Self, last: Index) -> Self {
        let mut stamps = other.clone();
        stamps.truncate(last);
        stamps
    }

    /// Whether an entry behind this one changes the membership.
    pub(crate) fn changes_behind(&self, index: Index) -> bool {
        let behind = usize::try_from(index.get()).unwrap_or(usize::MAX).min(self.0.len());
        self.0[behind..].iter().any(|stamp| stamp.changes)
    }

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
    /// It is being emptied behind the commit index of this hard state.
    pub(crate) emptying: Option<HardState>,
    /// What is on the disk is older than it should be.
    pub(crate) is_old: bool,
    /// What was synced before the disk became an older one: acknowledgements of it may be on their
    /// way.
    before: Stamps,
    /// The disk is lost.
    pub(crate) is_gone: bool,
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
            emptying: None,
            is_old: false,
            before: Stamps::empty(),
            is_gone: false,
        }
    }
}

impl ShadowLog {
    /// The log of a node that has nothing.
    pub(crate) fn empty() -> Self {
        Self {
            all: Stamps::empty(),
            synced: Stamps::empty(),
            synced_hard_state: HardState::default(),
            ..Self::default()
        }
    }

    /// If it was being emptied and begins now where it was to begin: what comes before is in the
    /// engine, and committed.
    pub(crate) fn begin_anew(&mut self, first: Index, ledger: &Ledger) {
        let Some(hard_state) = self.emptying.take() else { return };
        if first == hard_state.commit.next() {
            self.synced = Stamps::beginning(ledger.stamps(), hard_state.commit);
            self.synced_hard_state = hard_state;
            self.pending.clear();
        }
    }

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
    /// What an older disk had before its first entry was committed, or it would not be gone.
    pub(crate) fn recover(
        &mut self,
        hard_state: HardState,
        first: Index,
        stamps: &[Stamp],
        ledger: &Ledger,
    ) {
        self.pending.clear();
        if std::mem::take(&mut self.is_old) {
            let beginning = Stamps::beginning(ledger.stamps(), Index(first.get() - 1));
            self.before = std::mem::replace(&mut self.synced, beginning);
        }
        self.synced.replace_from(first, stamps);
        self.synced_hard_state = hard_state;
        self.all = self.synced.clone();
    }

    /// Whether the node has synced this entry, on the disk that it has or on one that it had.
    pub(crate) fn has_synced(&self, index: Index, stamp: Stamp) -> bool {
        self.synced.get(index) == Some(stamp) || self.before.get(index) == Some(stamp)
    }

    pub(crate) fn synced_last(&self) -> Index {
        self.synced.last()
    }
}
