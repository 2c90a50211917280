//! The fake store's cluster: three members, changed at once and without any rule but names.

use std::io::{self, Cursor};
use std::time::Instant;

use remex_model::{
    Admin, BoxFuture, Check, ClusterId, ClusterView, DiskUsage, EngineUsage, Error, ErrorCode,
    Incarnation, Index, LogUsage, MemberRequest, MemberRole, MemberStep, MemberView, Metric,
    NodeId, NodeInfo, NodeRole, NodeStatus, QuorumView, SnapshotSource, Term,
};

use crate::fake::Fake;

/// What the tests see and set of it.
#[derive(Debug)]
pub(crate) struct Cluster {
    pub(crate) role: NodeRole,
    pub(crate) members: Vec<MemberView>,
    /// What the next change, transfer or snapshot comes to.
    pub(crate) failure: Option<Error>,
    /// The changes that were asked for, and whether they were forced.
    pub(crate) steps: Vec<(MemberStep, bool)>,
    /// The bytes of a snapshot.
    pub(crate) snapshot: Vec<u8>,
    pub(crate) metrics: Vec<Metric>,
}

impl Default for Cluster {
    fn default() -> Self {
        Self {
            role: NodeRole::Follower,
            members: vec![
                member(1, MemberRole::Voter, Some(0)),
                member(2, MemberRole::Voter, Some(15)),
                member(3, MemberRole::Learner, None),
            ],
            failure: None,
            steps: Vec::new(),
            snapshot: b"RMXSNAP: all there is".to_vec(),
            metrics: vec![Metric::gauge("remex_term", "The node's term.", 7.0)],
        }
    }
}

fn member(id: u64, role: MemberRole, last_contact_ms: Option<u64>) -> MemberView {
    let disk = DiskUsage { used_bytes: 1 << 20, free_bytes: 9 << 30, full: false };
    MemberView {
        id: NodeId(id),
        name: format!("n{id}"),
        role,
        auto_promote: role == MemberRole::Learner,
        awaited: false,
        leader: false,
        client_url: format!("http://127.0.0.1:{}", 7470 + 10 * id),
        peer_address: format!("127.0.0.1:{}", 7471 + 10 * id),
        version: Some("0.1.0".to_owned()),
        match_index: None,
        lag: None,
        last_contact_ms,
        disk: last_contact_ms.map(|_| disk),
    }
}

impl Cluster {
    fn fail(&mut self) -> Result<(), Error> {
        self.failure.take().map_or(Ok(()), Err)
    }

    fn position(&self, named: &str) -> Result<usize, Error> {
        let is_named = |member: &MemberView| member.name == named || member.id.to_string() == named;
        self.members.iter().position(is_named).ok_or_else(|| {
            Error::new(ErrorCode::MemberNotFound, format!("no member is called {named}"))
        })
    }

    fn change(&mut self, request: MemberRequest) -> Result<MemberView, Error> {
        self.steps.push((request.step.clone(), request.force));
        self.fail()?;
        let (named, role) = match request.step {
            MemberStep::Add { peer_address, name, .. } => {
                let id = 1 + self.members.len() as u64;
                let mut added = member(id, MemberRole::Learner, None);
                added.peer_address = peer_address;
                added.name = name.unwrap_or(added.name);
                self.members.push(added.clone());
                return Ok(added);
            }
            MemberStep::Remove(named) => {
                let position = self.position(&named)?;
                return Ok(self.members.remove(position));
            }
            MemberStep::Promote(named) => (named, MemberRole::Voter),
            MemberStep::Demote(named) => (named, MemberRole::Learner),
        };
        let position = self.position(&named)?;
        self.members[position].role = role;
        self.members[position].auto_promote = false;
        Ok(self.members[position].clone())
    }
}

impl Admin for Fake {
    fn node(&self) -> NodeInfo {
        NodeInfo {
            id: NodeId(1),
            name: "n1".to_owned(),
            incarnation: Incarnation(0xabc),
            cluster_id: Some(ClusterId(0xc1)),
            client_url: "http://127.0.0.1:7480".to_owned(),
            peer_address: "127.0.0.1:7481".to_owned(),
            version: "0.1.0",
        }
    }

    fn status(&self) -> NodeStatus {
        let state = self.state();
        NodeStatus {
            role: state.cluster.role,
            term: Term(7),
            leader: state.leader,
            commit_index: Index(12),
            applied_index: Index(11),
            revision: state.revision,
            oldest_revision: state.oldest,
            uptime_ms: 61_000,
            pending: 0,
            log: LogUsage { first_index: Index(1), last_index: Index(12), disk_bytes: 67_108_864 },
            engine: EngineUsage { disk_bytes: 4_096, buffer_bytes: 512, durable_index: Index(3) },
            disk: DiskUsage { used_bytes: 67_112_960, free_bytes: 9 << 30, full: false },
        }
    }

    fn cluster(&self) -> ClusterView {
        let state = self.state();
        let mut members = state.cluster.members.clone();
        for member in &mut members {
            member.leader = state.leader == Some(member.id);
        }
        ClusterView {
            id: Some(ClusterId(0xc1)),
            term: Term(7),
            leader: state.leader,
            changing: false,
            quorum: QuorumView { voters: 2, reachable: 2, needed: 2 },
            members,
        }
    }

    fn readiness(&self) -> Vec<Check> {
        let disk = Check { name: "disk", ok: true, detail: "9 GiB free".to_owned() };
        vec![self.state().check.clone(), disk]
    }

    fn liveness(&self) -> Vec<Check> {
        vec![self.state().check.clone()]
    }

    fn metrics(&self) -> Vec<Metric> {
        self.state().cluster.metrics.clone()
    }

    fn change_members(&self, request: MemberRequest) -> BoxFuture<'_, Result<MemberView, Error>> {
        Box::pin(async move {
            self.released().await;
            self.state().cluster.change(request)
        })
    }

    fn transfer_leadership(
        &self,
        to: Option<String>,
        _deadline: Instant,
    ) -> BoxFuture<'_, Result<(NodeId, Term), Error>> {
        Box::pin(async move {
            self.released().await;
            let mut state = self.state();
            state.cluster.fail()?;
            let position = state.cluster.position(to.as_deref().unwrap_or("n1"))?;
            let leader = state.cluster.members[position].id;
            state.leader = Some(leader);
            Ok((leader, Term(8)))
        })
    }

    fn snapshot(&self, _deadline: Instant) -> BoxFuture<'_, Result<SnapshotSource, Error>> {
        Box::pin(async move {
            self.released().await;
            let mut state = self.state();
            state.cluster.fail()?;
            let bytes = state.cluster.snapshot.clone();
            // The digest is said, not computed: what it says is up to the node.
            let read: Box<dyn io::Read + Send> = Box::new(Cursor::new(bytes.clone()));
            Ok(SnapshotSource {
                cluster_id: ClusterId(0xc1),
                index: Index(11),
                revision: state.revision,
                bytes: bytes.len() as u64,
                sha256: [0xab; 32],
                read,
            })
        })
    }
}
