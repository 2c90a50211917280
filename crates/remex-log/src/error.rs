//! What can go wrong: when a log is opened, and when it is used.

use std::io;

use thiserror::Error;

use crate::Owner;

/// A place that was once durable and no longer reads as it was written, or that says what this
/// program never writes. It is never cut away: the data must come from another node.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{file} is damaged at offset {offset}: {reason}")]
pub struct Corruption {
    /// Name of the file in the log's directory.
    pub file: String,
    /// Byte offset in it.
    pub offset: u64,
    /// How it is known.
    pub reason: String,
}

/// Why a log could not be opened. Nothing was cut or lost by the attempt.
#[derive(Debug, Error)]
pub enum OpenError {
    /// Durable data is damaged.
    #[error(transparent)]
    Corrupt(#[from] Corruption),
    /// A segment that must exist does not.
    #[error("{file} is missing: {reason}")]
    Missing {
        /// Name of the missing file.
        file: String,
        /// What proves that it must exist.
        reason: String,
    },
    /// The log belongs to another node or cluster.
    #[error("{file} belongs to {found}, but this is {expected}")]
    Owner {
        /// Name of the file that says so.
        file: String,
        /// The owner named in the file.
        found: Owner,
        /// The owner named in [`crate::Options`].
        expected: Owner,
    },
    /// The log was written by another release.
    #[error("{file} has format version {found}, this release reads version {supported}")]
    Version {
        /// Name of the file that says so.
        file: String,
        /// Its version.
        found: u32,
        /// The version of this release.
        supported: u32,
    },
    /// The disk failed.
    #[error(transparent)]
    Io(#[from] IoFailure),
}

/// A disk operation that failed, and what it was for.
#[derive(Debug, Error)]
#[error("could not {action} {file}: {source}")]
pub struct IoFailure {
    /// What was attempted, as a verb.
    pub action: &'static str,
    /// Name of the file, or "the directory".
    pub file: String,
    /// What the disk said.
    pub source: io::Error,
}

/// Attaches what was attempted to an I/O error; used as `.map_err(failed("sync", name))`.
pub(crate) fn failed(action: &'static str, file: &str) -> impl FnOnce(io::Error) -> IoFailure {
    move |source| IoFailure { action, file: file.to_owned(), source }
}

/// Attaches the directory to an I/O error.
pub(crate) fn directory_failed(action: &'static str) -> impl FnOnce(io::Error) -> IoFailure {
    failed(action, "the directory")
}

/// Why an operation on an open log failed.
#[derive(Debug, Error)]
pub enum LogError {
    /// The disk failed while the log was being changed. The log is poisoned: what is durable is
    /// unknown until it is opened again, which rewrites the unproven tail.
    #[error(transparent)]
    Io(#[from] IoFailure),
    /// An earlier operation failed; the process has to end and open the log again.
    #[error("an earlier disk error has stopped the log; it must be opened again")]
    Poisoned,
    /// No segment could be made because the disk is full. Nothing was appended and the log is
    /// **not** poisoned: the same call may be repeated when there is space.
    #[error("the disk is full, no new log segment can be made: {0}")]
    Full(#[source] IoFailure),
    /// The disk failed in a read. The log is not poisoned.
    #[error(transparent)]
    Read(IoFailure),
    /// A read found durable data damaged. The log is not poisoned.
    #[error(transparent)]
    Corrupt(#[from] Corruption),
    /// An entry is too long for a segment. Nothing was appended.
    #[error("entry {index} has {bytes} bytes, a log segment takes {max}")]
    EntryTooLarge {
        /// Index of the entry.
        index: u64,
        /// Length of its data.
        bytes: u64,
        /// Longest data, [`crate::Options::entry_bytes_max`].
        max: u64,
    },
    /// The entries leave a gap, or would replace entries that were trimmed. Nothing was appended.
    #[error("entry {index} cannot be appended: the next index is {min} to {max}")]
    NotContiguous {
        /// Index of the entry.
        index: u64,
        /// Least index possible here.
        min: u64,
        /// Greatest index possible here.
        max: u64,
    },
    /// A read asks for entries that the log does not hold.
    #[error(
        "entries {from} to {to_exclusive} (exclusive) are asked for, the log holds {first} to {last}"
    )]
    OutOfRange {
        /// First index asked for.
        from: u64,
        /// Index behind the last one asked for.
        to_exclusive: u64,
        /// First index held.
        first: u64,
        /// Last index held.
        last: u64,
    },
}
