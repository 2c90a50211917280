//! What can keep the state from answering.

use remex_engine::EngineError;
use remex_model::{DecodeError, Index, Revision};
use thiserror::Error;

use crate::rows;

/// This node cannot go on with this state: it must stop, and never guess.
#[derive(Debug, Error)]
pub enum Fatal {
    /// The engine failed or is damaged.
    #[error(transparent)]
    Engine(#[from] EngineError),
    /// A committed entry cannot be understood; most likely a newer version proposed it.
    #[error("entry {index} of the log cannot be decoded: {source}")]
    Entry {
        /// The entry.
        index: Index,
        /// What is wrong with it.
        source: DecodeError,
    },
    /// A stored row cannot be understood; most likely a newer version wrote it.
    #[error("a row of the table `{table}` cannot be decoded: {source}")]
    Row {
        /// The table.
        table: &'static str,
        /// What is wrong with it.
        source: DecodeError,
    },
    /// Rows that must be there are not.
    #[error("the table `{table}` holds {found} rows where {expected} were written")]
    Missing {
        /// The table.
        table: &'static str,
        /// Number of rows found.
        found: u64,
        /// Number of rows that must be there.
        expected: u64,
    },
    /// An entry was not the next one.
    #[error("entry {got} was to be applied directly after entry {applied}")]
    Gap {
        /// The last entry applied.
        applied: Index,
        /// The entry that came.
        got: Index,
    },
    /// An earlier entry failed half-way.
    #[error("an earlier entry could not be applied")]
    Poisoned,
}

impl Fatal {
    /// Whether what the disk holds is damaged or incomplete, so that the state of another node
    /// in its place would help. A row of a newer version is not damage.
    #[must_use]
    pub fn is_damage(&self) -> bool {
        match self {
            Self::Engine(EngineError::Corrupt(_)) | Self::Missing { .. } => true,
            Self::Row { source: DecodeError::Unknown { field, .. }, .. } => {
                *field != rows::VERSION_FIELD
            }
            Self::Row { .. } => true,
            Self::Engine(EngineError::Io(_))
            | Self::Entry { .. }
            | Self::Gap { .. }
            | Self::Poisoned => false,
        }
    }

    /// Whether the disk is full. A flush that failed with this may be tried again.
    #[must_use]
    pub fn is_full(&self) -> bool {
        matches!(self, Self::Engine(error) if error.is_full())
    }
}

/// Why a read has no answer.
#[derive(Debug, Error)]
pub enum ReadError {
    /// The revision asked for is no longer kept.
    #[error("the oldest revision that can be read is {oldest}")]
    Compacted {
        /// The oldest revision that is kept.
        oldest: Revision,
    },
    /// The revision asked for is not there yet.
    #[error("the newest revision is {current}")]
    Future {
        /// The newest revision.
        current: Revision,
    },
    /// The store could not be read.
    #[error(transparent)]
    Fatal(#[from] Fatal),
}

impl From<EngineError> for ReadError {
    fn from(error: EngineError) -> Self {
        Self::Fatal(error.into())
    }
}
