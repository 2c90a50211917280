//! The port for what a node says about itself and its cluster.

use std::fmt;

use crate::{ClusterId, Incarnation, Index, NodeId, Revision, Term};

/// A node's view of itself and of its cluster. Answers from memory at once; never blocks.
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
    /// Stands for election.
    Candidate,
    /// Leads.
    Leader,
}

impl NodeRole {
    /// The name in the API.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Follower => "follower",
            Self::Candidate => "candidate",
            Self::Leader => "leader",
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
    /// Distance from losing the quorum.
    pub quorum: QuorumView,
    /// The members, by name.
    pub members: Vec<MemberView>,
}
