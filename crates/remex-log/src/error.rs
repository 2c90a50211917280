//! What can go wrong: when a log is opened, and when it is used.
//!
//! Three things are kept apart, because the caller answers each in its own way. *Damage*
//! ([`OpenError::is_damage`], [`LogError::is_damage`]): what was durable here is gone, other nodes
//! have it. *Full*: nothing has changed, it goes on when there is space. Any other failure of the
//! disk: the process ends.

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
    /// There is no space for the first segment of a new log. Or the file system finds none for
    /// what exists to be overwritten, as one that never writes in place may. A log that is there
    /// already opens on a full disk otherwise, though perhaps without room to append. It opens when
    /// there is space.
    #[error("{directory} is full, the log needs {bytes} bytes there to be opened: {source}")]
    Full {
        /// Where the directory is, [`crate::Disk::place`].
        directory: String,
        /// How many bytes would do.
        bytes: u64,
        /// What was refused.
        source: IoFailure,
    },
    /// The disk failed in a read. Nothing has been changed.
    #[error(transparent)]
    Read(IoFailure),
    /// The disk failed in a change.
    #[error(transparent)]
    Io(#[from] IoFailure),
}

impl OpenError {
    /// Whether durable data is damaged, missing or unreadable, so that only other nodes have it.
    /// The log opens no more, however often it is tried.
    #[must_use]
    pub fn is_damage(&self) -> bool {
        match self {
            Self::Corrupt(_) | Self::Missing { .. } => true,
            Self::Read(failure) => failure.is_unreadable(),
            Self::Owner { .. } | Self::Version { .. } | Self::Full { .. } | Self::Io(_) => false,
        }
    }
}

/// A disk operation that failed, and what it was for.
#[derive(Debug, Error)]
#[error("could not {action} {file}{}: {source}", at(*.offset))]
pub struct IoFailure {
    /// What was attempted, as a verb.
    pub action: &'static str,
    /// Name of the file, or "the directory".
    pub file: String,
    /// Where in the file, if it was a read or a write.
    pub offset: Option<u64>,
    /// What the disk said.
    pub source: io::Error,
}

/// `EIO` of every Unix: how a disk says that it cannot give back what it was given. The standard
/// library has no name for it.
const EIO: i32 = 5;

impl IoFailure {
    /// Whether there was no space left, which may pass.
    #[must_use]
    pub fn is_full(&self) -> bool {
        matches!(self.source.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
    }

    /// Whether the disk has lost what was to be read; for a failed read.
    pub(crate) fn is_unreadable(&self) -> bool {
        self.source.raw_os_error() == Some(EIO)
            || self.source.kind() == io::ErrorKind::UnexpectedEof
    }
}

fn at(offset: Option<u64>) -> String {
    offset.map_or_else(String::new, |offset| format!(" at offset {offset}"))
}

/// Attaches what was attempted to an I/O error; used as `.map_err(failed("sync", name))`.
pub(crate) fn failed(action: &'static str, file: &str) -> impl FnOnce(io::Error) -> IoFailure {
    move |source| IoFailure { action, file: file.to_owned(), offset: None, source }
}

/// Like [`failed`], for a read or a write at `offset`.
pub(crate) fn failed_at(
    action: &'static str,
    file: &str,
    offset: u64,
) -> impl FnOnce(io::Error) -> IoFailure {
    move |source| IoFailure { action, file: file.to_owned(), offset: Some(offset), source }
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
    /// No segment could be made because the disk is full. The log is **not** poisoned: the same
    /// call may be repeated when there is space. Nothing was appended, with one exception: if the
    /// directory has no room for a name although a spare is there, and the append was to fill the
    /// last segment before, then that part of it was. [`crate::Log::last_index`] tells, and the
    /// repeated call replaces it.
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

impl LogError {
    /// Whether durable data is damaged or unreadable, so that only other nodes have it. The log is
    /// not poisoned, but the entries are gone for good.
    #[must_use]
    pub fn is_damage(&self) -> bool {
        match self {
            Self::Corrupt(_) => true,
            Self::Read(failure) => failure.is_unreadable(),
            Self::Io(_)
            | Self::Poisoned
            | Self::Full(_)
            | Self::EntryTooLarge { .. }
            | Self::NotContiguous { .. }
            | Self::OutOfRange { .. } => false,
        }
    }
}

/// Tells a full disk, which may pass, from a broken one.
pub(crate) fn full_or_io(failure: IoFailure) -> LogError {
    if failure.is_full() { LogError::Full(failure) } else { LogError::Io(failure) }
}
