//! The shapes of what a node says about itself. Ids are strings; terms, indexes and revisions
//! are integers.

use remex_model::{Check, ClusterView, DiskUsage, MemberView, NodeInfo, NodeStatus};
use serde::Serialize;

/// Answer to `/v1/node`.
#[derive(Debug, Serialize)]
pub(crate) struct NodeBody {
    id: String,
    name: String,
    incarnation: String,
    cluster_id: Option<String>,
    client_url: String,
    peer_address: String,
    version: &'static str,
}

impl From<NodeInfo> for NodeBody {
    fn from(node: NodeInfo) -> Self {
        Self {
            id: node.id.to_string(),
            name: node.name,
            incarnation: node.incarnation.to_string(),
            cluster_id: node.cluster_id.map(|id| id.to_string()),
            client_url: node.client_url,
            peer_address: node.peer_address,
            version: node.version,
        }
    }
}

/// Answer to `/version`.
#[derive(Debug, Serialize)]
pub(crate) struct VersionBody {
    pub(crate) version: &'static str,
    /// Versions of the native API that the node speaks.
    pub(crate) api: [&'static str; 1],
}

/// Answer to `/v1/status`.
#[derive(Debug, Serialize)]
pub(crate) struct StatusBody {
    id: String,
    name: String,
    role: &'static str,
    term: u64,
    leader: Option<String>,
    commit_index: u64,
    applied_index: u64,
    revision: u64,
    oldest_revision: u64,
    uptime_ms: u64,
    pending: u64,
    log: LogBody,
    engine: EngineBody,
    disk: DiskBody,
}

#[derive(Debug, Serialize)]
struct LogBody {
    first_index: u64,
    last_index: u64,
    disk_bytes: u64,
}

#[derive(Debug, Serialize)]
struct EngineBody {
    durable_index: u64,
    disk_bytes: u64,
    buffer_bytes: u64,
}

#[derive(Debug, Serialize)]
struct DiskBody {
    used_bytes: u64,
    free_bytes: u64,
    full: bool,
}

impl From<DiskUsage> for DiskBody {
    fn from(disk: DiskUsage) -> Self {
        Self { used_bytes: disk.used_bytes, free_bytes: disk.free_bytes, full: disk.full }
    }
}

impl StatusBody {
    pub(crate) fn new(node: NodeInfo, status: &NodeStatus) -> Self {
        Self {
            id: node.id.to_string(),
            name: node.name,
            role: status.role.as_str(),
            term: status.term.get(),
            leader: status.leader.map(|id| id.to_string()),
            commit_index: status.commit_index.get(),
            applied_index: status.applied_index.get(),
            revision: status.revision.get(),
            oldest_revision: status.oldest_revision.get(),
            uptime_ms: status.uptime_ms,
            pending: status.pending,
            log: LogBody {
                first_index: status.log.first_index.get(),
                last_index: status.log.last_index.get(),
                disk_bytes: status.log.disk_bytes,
            },
            engine: EngineBody {
                durable_index: status.engine.durable_index.get(),
                disk_bytes: status.engine.disk_bytes,
                buffer_bytes: status.engine.buffer_bytes,
            },
            disk: status.disk.into(),
        }
    }
}

/// Answer to `/v1/cluster`.
#[derive(Debug, Serialize)]
pub(crate) struct ClusterBody {
    id: Option<String>,
    term: u64,
    leader: Option<String>,
    /// Whether a change of the membership is under way.
    changing: bool,
    quorum: QuorumBody,
    members: Vec<MemberBody>,
}

#[derive(Debug, Serialize)]
struct QuorumBody {
    voters: usize,
    reachable: usize,
    needed: usize,
    /// How many more voters can be lost; `null` if writes have stopped.
    margin: Option<usize>,
}

/// One member: in `/v1/cluster`, and the answer to every request about it.
#[derive(Debug, Serialize)]
pub(crate) struct MemberBody {
    id: String,
    name: String,
    role: &'static str,
    auto_promote: bool,
    awaited: bool,
    leader: bool,
    client_url: String,
    peer_address: String,
    version: Option<String>,
    match_index: Option<u64>,
    lag: Option<u64>,
    last_contact_ms: Option<u64>,
    disk: Option<DiskBody>,
}

impl From<ClusterView> for ClusterBody {
    fn from(view: ClusterView) -> Self {
        Self {
            id: view.id.map(|id| id.to_string()),
            term: view.term.get(),
            leader: view.leader.map(|id| id.to_string()),
            changing: view.changing,
            quorum: QuorumBody {
                voters: view.quorum.voters,
                reachable: view.quorum.reachable,
                needed: view.quorum.needed,
                margin: view.quorum.margin(),
            },
            members: view.members.into_iter().map(MemberBody::from).collect(),
        }
    }
}

impl From<MemberView> for MemberBody {
    fn from(member: MemberView) -> Self {
        Self {
            id: member.id.to_string(),
            name: member.name,
            role: member.role.as_str(),
            auto_promote: member.auto_promote,
            awaited: member.awaited,
            leader: member.leader,
            client_url: member.client_url,
            peer_address: member.peer_address,
            version: member.version,
            match_index: member.match_index.map(remex_model::Index::get),
            lag: member.lag,
            last_contact_ms: member.last_contact_ms,
            disk: member.disk.map(DiskBody::from),
        }
    }
}

/// Answer to `/livez` and `/readyz` if all is well.
#[derive(Debug, Serialize)]
pub(crate) struct HealthBody<'a> {
    status: &'static str,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    checks: Vec<CheckBody<'a>>,
}

#[derive(Debug, Serialize)]
struct CheckBody<'a> {
    name: &'static str,
    ok: bool,
    detail: &'a str,
}

impl<'a> HealthBody<'a> {
    /// The answer with these checks; none for the short form.
    pub(crate) fn new(checks: &'a [Check]) -> Self {
        let body =
            |check: &'a Check| CheckBody { name: check.name, ok: check.ok, detail: &check.detail };
        Self { status: "ok", checks: checks.iter().map(body).collect() }
    }
}
