//! What can go wrong below the state machine.

use std::io;

use thiserror::Error;

/// Why the engine could not do what it was asked. But for a full disk ([`EngineError::is_full`])
/// the node cannot go on with this store: an error while writing leaves unknown what the disk holds,
/// and it is never retried.
#[derive(Debug, Error)]
pub enum EngineError {
    /// The operating system refused a read or a write.
    #[error("the store could not be read or written: {0}")]
    Io(#[from] io::Error),
    /// The files are not what was written to them: a checksum, a length or a name is wrong, or one
    /// is missing. Names the file, and the place in it if that can be told. The remedy is to fetch
    /// the state anew from another node.
    #[error("the store is damaged: {0}")]
    Corrupt(String),
}

impl EngineError {
    /// Whether the disk, or what may be used of it, is full. Of a run or a compaction that failed
    /// with this nothing is left behind, and it may be tried again once there is room.
    #[must_use]
    pub fn is_full(&self) -> bool {
        match self {
            Self::Io(error) => {
                matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
            }
            Self::Corrupt(_) => false,
        }
    }
}
