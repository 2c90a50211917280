//! Planted bugs: the proof that the simulator can fail.
//!
//! Each is a mistake that real systems have made, made here in the part of the driver that the
//! simulator plays; the product's code is never touched. A test demands that every one of them
//! is found.

use std::fmt;

/// A mistake of the driver.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Plant {
    /// A follower's write is reported as synced when it was only handed to the log, so the
    /// follower acknowledges what a crash can still take away.
    FollowerAcksUnsynced,
    /// The same on the leader, which then counts itself for an entry it can still lose.
    LeaderCountsUnsynced,
    /// A term or vote that comes without entries never reaches the log.
    VoteNotSynced,
    /// A node that believes to lead answers reads from what it has, and asks nobody.
    ReadWithoutQuorum,
    /// A proposal whose time is up is proposed again, although it may still be applied.
    ExpiredProposedAgain,
    /// A client is told that a write had no effect, although it was sent to a leader.
    ExpiredToldNotApplied,
    /// Whoever waits under a sequence is answered, whichever session the outcome belongs to.
    SessionIgnored,
    /// Recovery cuts one entry more from the end of the log than was torn.
    TailCutTooFar,
    /// A restarted process goes on under the session of its last run.
    SessionReused,
    /// The log is trimmed up to what is applied, not to what is in the engine.
    TrimmedTooFar,
    /// A node that restarts takes every learner for a voter.
    LearnerCounts,
    /// What a write says about what is committed never reaches the log, so that a joint membership
    /// that was left may not be known any more.
    CommitNotKept,
    /// A snapshot comes without the memory of request keys.
    RequestsLeftOut,
    /// A snapshot comes with the members that the cluster was founded with.
    SnapshotOfOtherMembers,
    /// A snapshot that is installed empties the log even if it reaches further.
    SnapshotForgetsTail,
    /// A node whose disk went back in time is admitted by its peers.
    OldDiskAdmitted,
    /// A node whose disk was lost comes back as who it was.
    WipedKeepsId,
    /// A removed node is not told so by those who know.
    RemovedNotTold,
}

impl Plant {
    /// All of them.
    pub const ALL: [Self; 18] = [
        Self::FollowerAcksUnsynced,
        Self::LeaderCountsUnsynced,
        Self::VoteNotSynced,
        Self::ReadWithoutQuorum,
        Self::ExpiredProposedAgain,
        Self::ExpiredToldNotApplied,
        Self::SessionIgnored,
        Self::TailCutTooFar,
        Self::SessionReused,
        Self::TrimmedTooFar,
        Self::LearnerCounts,
        Self::CommitNotKept,
        Self::RequestsLeftOut,
        Self::SnapshotOfOtherMembers,
        Self::SnapshotForgetsTail,
        Self::OldDiskAdmitted,
        Self::WipedKeepsId,
        Self::RemovedNotTold,
    ];

    /// Its name on the command line.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::FollowerAcksUnsynced => "follower-acks-unsynced",
            Self::LeaderCountsUnsynced => "leader-counts-unsynced",
            Self::VoteNotSynced => "vote-not-synced",
            Self::ReadWithoutQuorum => "read-without-quorum",
            Self::ExpiredProposedAgain => "expired-proposed-again",
            Self::ExpiredToldNotApplied => "expired-told-not-applied",
            Self::SessionIgnored => "session-ignored",
            Self::TailCutTooFar => "tail-cut-too-far",
            Self::SessionReused => "session-reused",
            Self::TrimmedTooFar => "trimmed-too-far",
            Self::LearnerCounts => "learner-counts",
            Self::CommitNotKept => "commit-not-kept",
            Self::RequestsLeftOut => "requests-left-out",
            Self::SnapshotOfOtherMembers => "snapshot-of-other-members",
            Self::SnapshotForgetsTail => "snapshot-forgets-tail",
            Self::OldDiskAdmitted => "old-disk-admitted",
            Self::WipedKeepsId => "wiped-keeps-id",
            Self::RemovedNotTold => "removed-not-told",
        }
    }

    /// The one with this name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|plant| plant.name() == name)
    }
}

impl fmt::Display for Plant {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.name())
    }
}
