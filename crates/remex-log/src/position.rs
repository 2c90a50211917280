//! The nouns of the log: entry, position, hard state.

use bytes::Bytes;

/// One entry. The log gives no meaning to `kind` and `data`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogEntry {
    /// Place in the log, from 1, without gaps.
    pub index: u64,
    /// Term in which it was proposed.
    pub term: u64,
    /// What kind of data it is, for the caller.
    pub kind: u8,
    /// The data. What [`crate::Log::read`] returns shares the memory of its whole group (usually
    /// below 1 MiB): copy what is kept for long.
    pub data: Bytes,
}

/// Index and term of an entry. Zeros stand for the place before the first entry.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Position {
    /// Index of the entry.
    pub index: u64,
    /// Term of the entry.
    pub term: u64,
}

/// What a node must remember besides its entries before it answers anybody.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct HardState {
    /// The greatest term seen.
    pub term: u64,
    /// Whom the node voted for in this term; 0 for nobody.
    pub vote: u64,
    /// The greatest index known to be committed; a hint, not a promise.
    pub commit: u64,
}
