//! What can go wrong with a snapshot.

use std::io;

use remex_engine::EngineError;
use remex_model::DecodeError;
use thiserror::Error;

use super::format::VERSION;
use crate::error::Fatal;

/// Why a snapshot could not be written, read or taken over.
#[derive(Debug, Error)]
pub enum SnapshotError {
    /// The snapshot could not be read from where it is, or written to where it goes.
    #[error("the snapshot could not be read or written: {0}")]
    Io(#[from] io::Error),
    /// The input is not what was written.
    #[error("the snapshot is damaged at byte {offset}: {damage}")]
    Damaged {
        /// Where the part begins in which the damage is, in bytes.
        offset: u64,
        /// What is wrong with it.
        damage: Damage,
    },
    /// The input ends before the snapshot does.
    #[error("the snapshot is cut off: it ends in the part that begins at byte {offset}")]
    Cut {
        /// Where the part begins that is not all there, in bytes.
        offset: u64,
    },
    /// Another version of the program wrote it.
    #[error("the snapshot has version {found}, and this program reads version {VERSION}")]
    Version {
        /// Its version.
        found: u32,
    },
    /// There is no state to take a snapshot of.
    #[error("nothing has been applied yet, so there is nothing to take a snapshot of")]
    Empty,
    /// The engine that the snapshot was to go into is not empty.
    #[error("the store that the snapshot was to go into holds a state already")]
    Occupied,
    /// The state could not be read or written.
    #[error(transparent)]
    State(#[from] Fatal),
}

impl SnapshotError {
    /// Whether the snapshot itself is at fault, so that fetching it again would help.
    #[must_use]
    pub fn is_damage(&self) -> bool {
        matches!(self, Self::Damaged { .. } | Self::Cut { .. })
    }

    /// Whether the disk is full.
    #[must_use]
    pub fn is_full(&self) -> bool {
        match self {
            Self::State(fatal) => fatal.is_full(),
            Self::Io(error) => {
                matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
            }
            _ => false,
        }
    }
}

impl From<EngineError> for SnapshotError {
    fn from(error: EngineError) -> Self {
        Self::State(error.into())
    }
}

/// What is wrong with a part of a snapshot.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum Damage {
    /// It does not begin as a snapshot does.
    #[error("this is not a snapshot")]
    Magic,
    /// A part is neither a chunk nor the end.
    #[error("neither a chunk nor the end begins here")]
    Kind,
    /// A checksum is wrong.
    #[error("the checksum of the {0} is wrong")]
    Checksum(&'static str),
    /// A length is not one that is ever written.
    #[error("the {part} has the length {length}")]
    Length {
        /// Of what.
        part: &'static str,
        /// The length, in bytes.
        length: u32,
    },
    /// A chunk is not the next one.
    #[error("this is part {found}, where part {expected} was due")]
    Place {
        /// The number of the part that was due.
        expected: u64,
        /// The number of the part that is there.
        found: u64,
    },
    /// The header cannot be understood.
    #[error("the header cannot be decoded: {0}")]
    Header(DecodeError),
    /// The end does not agree with what came before it.
    #[error("its end says that something else came before it")]
    Totals,
    /// Something follows the end.
    #[error("something follows its end")]
    Trailing,
    /// The last row is not all there.
    #[error("the last row is not all there")]
    Row,
    /// A row cannot be understood.
    #[error("a row of the table `{table}` cannot be decoded: {source}")]
    Undecodable {
        /// The table.
        table: &'static str,
        /// What is wrong with it.
        source: DecodeError,
    },
    /// A row belongs to no table.
    #[error("a row belongs to the unknown table {0}")]
    Table(u8),
    /// A row's key is longer than any key.
    #[error("a row has a key of {0} bytes")]
    LongKey(usize),
    /// A row does not come behind the one before it.
    #[error("the rows are not in order")]
    Order,
    /// The row `meta` is not there, or says other things than the header.
    #[error("the row `meta` does not agree with the header")]
    Meta,
    /// A row is of a revision that the state has not reached.
    #[error("a row of the table `{0}` is of a later revision than the state")]
    Future(&'static str),
    /// The remembered requests are not those that `meta` names.
    #[error("the remembered requests are wrong from number {expected} on")]
    Request {
        /// The first that is missing or too many.
        expected: u64,
    },
}
