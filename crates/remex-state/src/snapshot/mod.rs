//! The state in one file: what a follower that is too far behind is given, and what a backup is.
//!
//! A snapshot holds the rows of the engine as one scan sees them, which is the state at the index
//! of its first row, `meta`. Rows that retention has given up are left out. Two engines that hold
//! the same state give the same bytes, whatever compaction has done in them; so a transfer that
//! was cut off goes on at its offset even if the file was written anew.
//!
//! The file is a header, chunks of at most a mebibyte, and an end that says what must have come
//! before it (`format` has the bytes). Everything carries checksums; those of chunks are keyed with
//! the snapshot's salt and the chunk's number, so that a chunk passes only in its own snapshot and
//! at its own place. [`Reader`] hands out nothing that it has not verified, rows included, and
//! needs memory for one chunk and one row, whatever lengths the input names.
//!
//! [`export`] and [`import`] know neither files nor threads: the caller brings anything that can be
//! written or read, makes it durable and moves it about. What is missing: snapshots that hold only
//! what has changed since another one.

mod check;
mod error;
mod export;
mod format;
mod import;
mod reader;
mod writer;

use remex_model::{ClusterId, Index, Membership, Revision, Term};

pub use error::{Damage, SnapshotError};
pub use export::export;
pub use import::import;
pub use reader::Reader;

/// What a snapshot says about itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Header {
    /// The cluster whose state it is.
    pub cluster: ClusterId,
    /// The last entry that was applied.
    pub index: Index,
    /// The term of that entry.
    pub term: Term,
    /// The store's revision.
    pub revision: Revision,
    /// The latest time that any entry has carried, in milliseconds since 1970.
    pub time_ms: u64,
    /// Hash of everything that was applied: see [`crate::State::hash`].
    pub hash: u64,
    /// Who belongs to the cluster at that entry.
    pub membership: Membership,
}

/// What a whole snapshot came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Summary {
    /// Its header.
    pub header: Header,
    /// Number of rows.
    pub rows: u64,
    /// Length of the snapshot, header and end included.
    pub bytes: u64,
    /// Checksum over all rows: tells snapshots of the same index apart, and names them for people.
    pub checksum: u64,
}

#[cfg(test)]
mod tests;
