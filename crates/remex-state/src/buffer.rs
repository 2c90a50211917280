//! The write buffer: what was applied and is not yet in the engine.
//!
//! For each key written since the last freeze the buffer holds a *chain*: the record that the
//! layers below had (the *base*), and every version since. Both tables follow from it when the
//! buffer is written to the engine: the last version is the row of `current`, and every version
//! that has a successor is a row of `history`. Nothing is encoded before that.
//!
//! Keys and values share the memory of the entries that carried them. That wastes nothing, since
//! every version stays until the buffer is written, but the buffer therefore counts whole entries
//! ([`Buffer::hold_entry`]), not values. Bases are copied, so that they do not keep the entries of
//! the buffer before alive.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use bytes::Bytes;
use remex_model::{Record, Revision};

use crate::error::Fatal;

/// Memory that a chain takes beside keys and values, in bytes: its share of half-full tree nodes.
const CHAIN_BYTES: usize = 340;
/// Memory that a further version takes beside its value, in bytes.
const VERSION_BYTES: usize = 96;
/// Memory that a line of the change log takes, in bytes.
const LINE_BYTES: usize = 48;

/// A key's state from one revision on.
#[derive(Clone, Debug)]
pub(crate) enum Version {
    Put(Record),
    Deleted(Revision),
}

impl Version {
    /// The revision that made it.
    pub(crate) fn revision(&self) -> Revision {
        match self {
            Self::Put(record) => record.mod_revision,
            Self::Deleted(revision) => *revision,
        }
    }

    pub(crate) fn record(&self) -> Option<&Record> {
        match self {
            Self::Put(record) => Some(record),
            Self::Deleted(_) => None,
        }
    }
}

/// What a layer knows about a key at a revision.
#[derive(Clone, Debug)]
pub(crate) enum Seen<R> {
    /// The key has this record.
    Record(R),
    /// The key does not exist.
    Absent,
    /// Ask the layer below.
    Below,
}

/// One key's versions since the buffer began, oldest first, each at a revision of its own.
#[derive(Debug)]
pub(crate) struct Chain {
    /// The record that the first version superseded; `None` if the key did not exist.
    base: Option<Record>,
    /// All versions but the last.
    earlier: Vec<Version>,
    latest: Version,
}

impl Chain {
    pub(crate) fn latest(&self) -> &Version {
        &self.latest
    }

    /// Whether the layers below hold a current record of the key.
    pub(crate) fn has_base(&self) -> bool {
        self.base.is_some()
    }

    /// The key at a revision; `None` is the newest.
    pub(crate) fn at(&self, revision: Option<Revision>) -> Seen<&Record> {
        let known =
            |version: &'_ Version| version.revision() <= revision.unwrap_or(Revision(u64::MAX));
        let version = if known(&self.latest) {
            Some(&self.latest)
        } else {
            let after = self.earlier.partition_point(known);
            after.checked_sub(1).map(|position| &self.earlier[position])
        };
        match (version, &self.base) {
            (Some(Version::Put(record)), _) => Seen::Record(record),
            (Some(Version::Deleted(_)), _) => Seen::Absent,
            (None, Some(base)) if revision.is_some_and(|at| base.mod_revision <= at) => {
                Seen::Record(base)
            }
            // Before the base, or before the key was created: older layers have its history.
            (None, _) => Seen::Below,
        }
    }

    /// Every record with the revision that superseded it, oldest first.
    pub(crate) fn superseded(&self) -> impl Iterator<Item = (&Record, Revision)> {
        let versions = || self.earlier.iter().chain([&self.latest]);
        let records = [self.base.as_ref()].into_iter().chain(versions().map(Version::record));
        let successors = versions().map(Version::revision);
        records.zip(successors).filter_map(|(record, by)| Some((record?, by)))
    }

    fn push(&mut self, version: Version) {
        if self.latest.revision() == version.revision() {
            // A second write of one command: what was between is visible at no revision.
            self.latest = version;
        } else {
            self.earlier.push(std::mem::replace(&mut self.latest, version));
        }
    }
}

/// One line of the change log.
#[derive(Clone, Debug)]
pub(crate) struct Line {
    pub(crate) revision: Revision,
    pub(crate) key: Bytes,
    pub(crate) deleted: bool,
}

/// What a write did to the buffer.
#[derive(Debug)]
pub(crate) struct Effect {
    /// The key's record before.
    pub(crate) previous: Option<Record>,
    /// Whether the same revision had written the key before.
    pub(crate) again: bool,
}

/// See the module.
#[derive(Debug, Default)]
pub(crate) struct Buffer {
    pub(crate) chains: BTreeMap<Bytes, Chain>,
    /// Which keys each revision changed, in the order in which it first wrote them.
    pub(crate) log: Vec<Line>,
    bytes: usize,
}

impl Buffer {
    /// Memory that the buffer holds, in bytes.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Counts an entry whose memory keys and values of the buffer will share.
    pub(crate) fn hold_entry(&mut self, payload: &Bytes) {
        self.bytes += payload.len();
    }

    /// Writes one key. `below` fetches its record from the layers below, in memory of its own, and
    /// is asked only if this buffer does not have the key; `make` gets the record before and makes the new version from
    /// it, or `None` to leave the key alone. Returns `None` if it was left alone.
    pub(crate) fn write(
        &mut self,
        key: Bytes,
        below: impl FnOnce(&Bytes) -> Result<Option<Record>, Fatal>,
        make: impl FnOnce(Option<&Record>) -> Option<Version>,
    ) -> Result<Option<Effect>, Fatal> {
        let line_key = key.clone();
        let (effect, revision, deleted) = match self.chains.entry(key) {
            Entry::Occupied(mut entry) => {
                let chain = entry.get_mut();
                let Some(version) = make(chain.latest.record()) else { return Ok(None) };
                let (revision, deleted) = (version.revision(), version.record().is_none());
                let again = chain.latest.revision() == revision;
                let effect = Effect { previous: chain.latest.record().cloned(), again };
                chain.push(version);
                self.bytes += VERSION_BYTES;
                (effect, revision, deleted)
            }
            Entry::Vacant(entry) => {
                let base = below(entry.key())?;
                let Some(latest) = make(base.as_ref()) else { return Ok(None) };
                let (revision, deleted) = (latest.revision(), latest.record().is_none());
                self.bytes += CHAIN_BYTES + base.as_ref().map_or(0, |base| base.value.bytes.len());
                let effect = Effect { previous: base.clone(), again: false };
                entry.insert(Chain { base, earlier: Vec::new(), latest });
                (effect, revision, deleted)
            }
        };
        if !effect.again {
            self.log.push(Line { revision, key: line_key, deleted });
            self.bytes += LINE_BYTES;
        }
        Ok(Some(effect))
    }

    /// Sets right the lines from `first` on, after a command has written keys more than once.
    pub(crate) fn settle_lines(&mut self, first: usize) {
        for line in &mut self.log[first..] {
            let chain = self.chains.get(&line.key).expect("every line's key has a chain");
            line.deleted = chain.latest.record().is_none();
        }
    }
}
