//! The port for what a node says about itself and its cluster.

use std::time::Instant;
use std::{fmt, io};

use crate::{BoxFuture, ClusterId, Error, Incarnation, Index, Metric, NodeId, Revision, Term};

/// A node's view of itself and of its cluster, and the hands on it. What returns no future answers
/// from memory at once and never blocks.
pub trait Admin: fmt::Debug + Send + Sync + 'static {
    /// Who this node is.
    fn node(&self) -> NodeInfo;
    /// How this node is doing.
    fn status(&self) -> NodeStatus;
    /// The leader that this node knows: the same as in [`Admin::status`]. Every answer of a
    /// surface names it, so an implementation that can tell it for less should.
    fn leader(&self) -> Option<NodeId> {
        self.status().leader
    }
    /// The cluster as this node sees it.
    fn cluster(&self) -> ClusterView;
    /// Checks behind `/readyz`: the node takes requests if all are good.
    fn readiness(&self) -> Vec<Check>;
    /// Checks behind `/livez`: the process should be restarted if one is not good.
    fn liveness(&self) -> Vec<Check>;
    /// What this node measures. The names never change meaning; `docs/metrics.md` lists them.
    fn metrics(&self) -> Vec<Metric>;
    /// Changes the membership, through the leader wherever it is, and waits until the change has
    /// taken effect. Answers with the member, as it is then (or was, if it was removed).
    ///
    /// # Errors
    /// [`crate::ErrorCode::MemberNotFound`], [`crate::ErrorCode::MemberExists`],
    /// [`crate::ErrorCode::ChangeInProgress`], [`crate::ErrorCode::WouldLoseQuorum`], and what any
    /// write can meet.
    fn change_members(&self, request: MemberRequest) -> BoxFuture<'_, Result<MemberView, Error>>;
    /// Hands leadership to a voter, named by name or id, or to the one that is furthest ahead;
    /// waits until it leads. Answers with leader and term.
    ///
    /// # Errors
    /// [`crate::ErrorCode::MemberNotFound`]; [`crate::ErrorCode::Conflict`] for one that cannot
    /// lead; [`crate::ErrorCode::Timeout`] if it does not take over in time.
    fn transfer_leadership(
        &self,
        to: Option<String>,
        deadline: Instant,
    ) -> BoxFuture<'_, Result<(NodeId, Term), Error>>;
    /// The whole state as of now, as one stream that any node can be started from. It sees every
    /// write that was acknowledged before the call. Writes go on meanwhile.
    ///
    /// # Errors
    /// What a linearizable read can meet, and [`crate::ErrorCode::NoSpace`].
    fn snapshot(&self, deadline: Instant) -> BoxFuture<'_, Result<SnapshotSource, Error>>;
}

/// A snapshot, ready to be read.
pub struct SnapshotSource {
    /// The cluster that it was taken of.
    pub cluster_id: ClusterId,
    /// The last entry that it holds the effect of.
    pub index: Index,
    /// The store's revision in it.
    pub revision: Revision,
    /// Its length, in bytes.
    pub bytes: u64,
    /// SHA-256 of all its bytes.
    pub sha256: [u8; 32],
    /// Its bytes. Reading blocks; not for a thread that serves others.
    pub read: Box<dyn io::Read + Send>,
}

impl fmt::Debug for SnapshotSource {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("SnapshotSource")
            .field("index", &self.index)
            .field("revision", &self.revision)
            .field("bytes", &self.bytes)
            .finish_non_exhaustive()
    }
}

/// A change of the membership.
#[derive(Clone, Debug)]
pub struct MemberRequest {
    /// What to do.
    pub step: MemberStep,
    /// Whether to do it even if no reachable majority is left: writes then stop until enough
    /// members are back.
    pub force: bool,
    /// After this moment the caller no longer waits; the change may still take effect.
    pub deadline: Instant,
}

/// One change of the membership. Members are named by name or by id.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MemberStep {
    /// Invites the node at this peer address, which waits to be invited or is all alone in a
    /// cluster that was never written to. Inviting a member again changes nothing. Nor does a name
    /// that is awaited (`awaited`) already, apart from its address.
    Add {
        /// Its peer address, `host:port`.
        peer_address: String,
        /// The name that it must have; `None` takes the name that it has.
        name: Option<String>,
        /// What it is to become: a voter once it has caught up, or a learner for good.
        role: MemberRole,
        /// If no node answers at the address: whether to await it, as a learner of this `name`
        /// whose place the node takes when it appears there. Needs a name.
        awaited: bool,
    },
    /// Removes a member, for ever; a leader hands leadership over first.
    Remove(String),
    /// Makes a learner a voter; waits until it has caught up.
    Promote(String),
    /// Makes a voter a learner, for good; a leader hands leadership over first.
    Demote(String),
}

/// One named check.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Check {
    /// Name, as in `/readyz/{name}`.
    pub name: &'static str,
    /// Whether all is well.
    pub ok: bool,
    /// What was found.
    pub detail: String,
}

/// Who a node is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NodeInfo {
    /// Its identity.
    pub id: NodeId,
    /// Its label.
    pub name: String,
    /// Identity of its data directory.
    pub incarnation: Incarnation,
    /// The cluster that it belongs to; `None` while it waits to form or join one.
    pub cluster_id: Option<ClusterId>,
    /// Where clients reach it, as a URL.
    pub client_url: String,
    /// Where peers reach it, as `host:port`.
    pub peer_address: String,
    /// Version of the program.
    pub version: &'static str,
}

/// A node's part in consensus at the moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NodeRole {
    /// Not yet part of a cluster.
    Waiting,
    /// Follows a leader, or waits for one.
    Follower,
    /// Follows without a vote.
    Learner,
    /// Stands for election.
    Candidate,
    /// Leads.
    Leader,
    /// Fetches what its disk has lost from the other members.
    Repairing,
    /// Was removed from its cluster.
    Removed,
}

impl NodeRole {
    /// The name in the API.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Follower => "follower",
            Self::Learner => "learner",
            Self::Candidate => "candidate",
            Self::Leader => "leader",
            Self::Repairing => "repairing",
            Self::Removed => "removed",
        }
    }
}

/// How a node is doing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NodeStatus {
    /// Its part in consensus.
    pub role: NodeRole,
    /// Its term.
    pub term: Term,
    /// The leader that it knows.
    pub leader: Option<NodeId>,
    /// Last entry known to be committed.
    pub commit_index: Index,
    /// Last entry applied to the state.
    pub applied_index: Index,
    /// The store's revision on this node.
    pub revision: Revision,
    /// Oldest revision that can be read.
    pub oldest_revision: Revision,
    /// Milliseconds since the process started.
    pub uptime_ms: u64,
    /// Requests that wait for their outcome.
    pub pending: u64,
    /// The log on disk.
    pub log: LogUsage,
    /// The engine on disk and in memory.
    pub engine: EngineUsage,
    /// The disk.
    pub disk: DiskUsage,
}

/// The log on disk.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LogUsage {
    /// First entry that is kept.
    pub first_index: Index,
    /// Last entry written and synced.
    pub last_index: Index,
    /// Bytes of its files.
    pub disk_bytes: u64,
}

/// The engine on disk and in memory.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct EngineUsage {
    /// Bytes of its files.
    pub disk_bytes: u64,
    /// Bytes of changes not yet in its files.
    pub buffer_bytes: u64,
    /// Last entry whose effect is in its files.
    pub durable_index: Index,
}

/// A member's part in the cluster.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MemberRole {
    /// Counts for quorums.
    Voter,
    /// Receives the log and does not count for quorums.
    Learner,
}

impl MemberRole {
    /// The name in the API.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Voter => "voter",
            Self::Learner => "learner",
        }
    }
}

/// One member as this node sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MemberView {
    /// Its identity.
    pub id: NodeId,
    /// Its label.
    pub name: String,
    /// Its part in the cluster.
    pub role: MemberRole,
    /// Whether it is a learner that becomes a voter by itself, once it has caught up.
    pub auto_promote: bool,
    /// Whether its node has not appeared yet: see [`crate::Member::is_awaited`].
    pub awaited: bool,
    /// Whether it leads.
    pub leader: bool,
    /// Where clients reach it, as a URL; empty while not known.
    pub client_url: String,
    /// Where peers reach it, as `host:port`.
    pub peer_address: String,
    /// Version of its program, once heard of.
    pub version: Option<String>,
    /// Last entry that it is known to hold; only the leader knows.
    pub match_index: Option<Index>,
    /// Entries that it is behind the leader's log; only the leader knows.
    pub lag: Option<u64>,
    /// Milliseconds since it was last heard of; 0 for the node itself, `None` for never.
    pub last_contact_ms: Option<u64>,
    /// Its disk, as it last said.
    pub disk: Option<DiskUsage>,
}

/// A member's disk.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DiskUsage {
    /// Bytes that its data takes.
    pub used_bytes: u64,
    /// Bytes that are free where its data lies.
    pub free_bytes: u64,
    /// Whether it takes no writes because too little is free.
    pub full: bool,
}

/// How far the cluster is from losing its quorum, as this node sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct QuorumView {
    /// Members that count.
    pub voters: usize,
    /// Of these, how many were heard of lately.
    pub reachable: usize,
    /// How many are needed.
    pub needed: usize,
}

impl QuorumView {
    /// How many reachable voters can be lost before writes stop; `None` if they have stopped.
    #[must_use]
    pub fn margin(&self) -> Option<usize> {
        self.reachable.checked_sub(self.needed)
    }
}

/// The cluster as one node sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClusterView {
    /// Its identity; `None` while the node waits to form or join one.
    pub id: Option<ClusterId>,
    /// The term that this node knows.
    pub term: Term,
    /// The leader that this node knows.
    pub leader: Option<NodeId>,
    /// Whether a change of the membership is under way.
    pub changing: bool,
    /// Distance from losing the quorum.
    pub quorum: QuorumView,
    /// The members, by name.
    pub members: Vec<MemberView>,
}
