//! What a core starts from.

use remex_model::{Index, Membership, NodeId, Term};
use thiserror::Error;

use crate::{Entry, HardState};

/// Settings of a core. All times are in ticks.
#[derive(Clone, Debug)]
pub struct Config {
    /// This node; never 0.
    pub id: NodeId,
    /// Random number of this run of the process: makes proposal ids unique and seeds the
    /// election timeouts.
    pub session: u64,
    /// A follower that hears nothing for this many ticks stands for election; the actual number
    /// lies between this and one and a half times this.
    pub election_ticks: usize,
    /// Ticks between two heartbeats.
    pub heartbeat_ticks: usize,
    /// Ticks after which an unanswered forward or read request is sent again.
    pub retry_ticks: u64,
    /// Ticks after which a follower that needs a snapshot is told so again.
    pub snapshot_retry_ticks: u64,
    /// Size at which a batch of proposals is closed and another entry begun, in bytes.
    pub entry_bytes_max: usize,
    /// Bytes of entries in one message to a follower.
    pub message_bytes_max: u64,
    /// Messages with entries that may be on their way to one follower.
    pub inflight_messages_max: usize,
    /// Bytes of entries that the leader holds without their being committed; above this it
    /// takes no proposals.
    pub uncommitted_bytes_max: u64,
    /// Applied entries kept in memory for followers that lag a little, in bytes.
    pub tail_bytes_max: usize,
}

impl Config {
    /// The settings of a node: 20 ticks to an election, 2 between heartbeats.
    #[must_use]
    pub fn new(id: NodeId, session: u64) -> Self {
        Self {
            id,
            session,
            election_ticks: 20,
            heartbeat_ticks: 2,
            retry_ticks: 6,
            snapshot_retry_ticks: 20,
            entry_bytes_max: 256 * 1024,
            message_bytes_max: 1024 * 1024,
            inflight_messages_max: 64,
            uncommitted_bytes_max: 64 * 1024 * 1024,
            tail_bytes_max: 16 * 1024 * 1024,
        }
    }
}

/// What the log and the state machine hold when a core starts.
#[derive(Clone, Debug, Default)]
pub struct Start {
    /// The hard state as it was last synced.
    pub hard_state: HardState,
    /// Who belongs to the cluster, as of `applied`; nobody on a node that has not been told yet.
    pub membership: Membership,
    /// Last entry whose effect the state machine already holds.
    pub applied: Index,
    /// First entry that the log holds; 1 for a log that was never trimmed.
    pub first_index: Index,
    /// For every run of entries with one term: the first index of the run and its term, in
    /// order. The first run begins at `first_index - 1` if the log was trimmed.
    pub terms: Vec<(Index, Term)>,
    /// All entries behind `applied`.
    pub entries: Vec<Entry>,
}

/// Why a core cannot start from what the disk holds. The disk has lost or mixed up data: never
/// to be repaired by guessing.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum StartError {
    /// The log ends before an entry that was committed.
    #[error("entry {commit} was committed, but the log ends at {last}: synced data has been lost")]
    CommitBehindLog {
        /// The committed entry.
        commit: Index,
        /// The last entry.
        last: Index,
    },
    /// The log ends before an entry that the state machine applied.
    #[error("entry {applied} was applied, but the log ends at {last}: synced data has been lost")]
    AppliedBehindLog {
        /// The applied entry.
        applied: Index,
        /// The last entry.
        last: Index,
    },
    /// The entries do not follow each other.
    #[error("the log jumps to entry {found} where {expected} was due")]
    Gap {
        /// The entry that was due.
        expected: Index,
        /// The entry that was there.
        found: Index,
    },
    /// The log begins behind the entry that is to be applied next.
    #[error("the log begins at entry {first_index}, but only {applied} was applied")]
    Trimmed {
        /// The applied entry.
        applied: Index,
        /// The first entry of the log.
        first_index: Index,
    },
    /// The log does not say in which term the entry before its first one was made.
    #[error("the log begins behind entry {0}, but does not know that entry's term")]
    TermUnknown(Index),
    /// The Raft library refused the settings.
    #[error("the settings are refused: {0}")]
    Settings(String),
}
