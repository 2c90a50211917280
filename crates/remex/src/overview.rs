//! What a node says about itself and its cluster, and what it can be asked to do: the port `Admin`.

use std::sync::{Arc, PoisonError};
use std::time::Instant;

use remex_consensus::Role;
use remex_engine::Engine;
use remex_model::{
    Admin, BoxFuture, Check, ClusterView, DiskUsage, EngineUsage, Error, ErrorCode, Index,
    LogUsage, Member, MemberRequest, MemberRole, MemberView, Metric, NodeId, NodeInfo, NodeRole,
    NodeStatus, Part, QuorumView, SnapshotSource, Term,
};

use crate::board::{Snapshot, Stage};
use crate::cluster::{Cluster, VERSION};
use crate::house::House;
use crate::members::{Changed, Steward};
use crate::metrics;
use crate::running::Running;
use crate::snapshots::Unavailable;

/// A connected peer that was heard of within this time counts as reachable.
const REACHABLE_MS: u64 = 3000;

/// A node that is at most this many entries behind counts as caught up.
const CAUGHT_UP_ENTRIES: u64 = 1000;

/// A node's view of itself and its cluster.
#[derive(Debug)]
pub(crate) struct Overview {
    pub(crate) house: Arc<House>,
    pub(crate) steward: Arc<Steward>,
}

impl Overview {
    fn waiting_role(&self) -> NodeRole {
        match self.house.board.stage() {
            Stage::Waiting | Stage::Running => NodeRole::Waiting,
            Stage::Repairing => NodeRole::Repairing,
        }
    }

    /// A member as it is now; as the change found it if it was removed, or as it left it if this
    /// node has not heard of that yet.
    fn member(&self, (member, role): &Changed) -> MemberView {
        let found = self.cluster().members.into_iter().find(|view| view.id == member.id);
        let part = match role {
            MemberRole::Voter => Part::Voter,
            MemberRole::Learner => Part::Learner,
        };
        found.unwrap_or_else(|| view(member, part, false))
    }

    async fn take_snapshot(&self, deadline: Instant) -> Result<SnapshotSource, Error> {
        let running = self.house.door.readable(deadline).await?;
        let applied = {
            let state = running.state.read().unwrap_or_else(PoisonError::into_inner);
            state.applied()
        };
        let built = running.outgoing.obtain(applied, |_| true).await.map_err(|unavailable| {
            let detail = unavailable.to_string();
            match unavailable {
                Unavailable::NoSpace => Error::new(ErrorCode::NoSpace, detail)
                    .hint("a snapshot needs as much room as the data itself for a while"),
                Unavailable::Behind | Unavailable::Failed(_) => {
                    Error::new(ErrorCode::NotReady, detail).hint("ask another node of the cluster")
                }
            }
        })?;
        let file = built.open().map_err(|error| {
            Error::new(ErrorCode::Internal, format!("cannot read the snapshot's file: {error}"))
        })?;
        Ok(SnapshotSource {
            cluster_id: running.cluster.id,
            index: built.index(),
            revision: built.revision(),
            bytes: built.bytes,
            sha256: built.sha256,
            read: Box::new(file),
        })
    }
}

impl Admin for Overview {
    fn node(&self) -> NodeInfo {
        let hello = self.house.former.hello();
        NodeInfo {
            id: hello.node.id,
            name: hello.node.name,
            incarnation: hello.node.incarnation,
            cluster_id: hello.cluster,
            client_url: hello.node.client_url,
            peer_address: hello.node.peer_address,
            version: VERSION,
        }
    }

    fn status(&self) -> NodeStatus {
        let uptime = self.house.started.elapsed().as_millis();
        let uptime_ms = u64::try_from(uptime).unwrap_or(u64::MAX);
        let Some(running) = self.house.door.running() else {
            return waiting(self.waiting_role(), uptime_ms);
        };
        let snapshot = running.board.snapshot();
        let state = running.state.read().unwrap_or_else(PoisonError::into_inner);
        NodeStatus {
            role: role(&running, &snapshot),
            term: snapshot.leadership.term,
            leader: snapshot.leadership.leader,
            commit_index: snapshot.commit,
            applied_index: snapshot.applied,
            revision: state.revision(),
            oldest_revision: state.oldest_revision(),
            uptime_ms,
            pending: snapshot.pending,
            log: LogUsage {
                first_index: snapshot.log_first,
                last_index: snapshot.last,
                disk_bytes: snapshot.log_bytes,
            },
            engine: EngineUsage {
                disk_bytes: running.engine.disk_bytes(),
                buffer_bytes: state.buffer_bytes() as u64,
                durable_index: state.durable(),
            },
            disk: snapshot.disk,
        }
    }

    fn leader(&self) -> Option<NodeId> {
        self.house.board.leader()
    }

    fn cluster(&self) -> ClusterView {
        let Some(running) = self.house.door.running() else {
            return alone(&self.house.former.me(), self.house.former.cluster());
        };
        let (cluster, snapshot) = (&running.cluster, running.board.snapshot());
        let membership = running.board.membership();
        let mut members: Vec<MemberView> = membership
            .members()
            .map(|(member, part)| member_view(cluster, member, part, &snapshot))
            .collect();
        members.sort_by(|a, b| (&a.name, a.id).cmp(&(&b.name, b.id)));
        ClusterView {
            id: Some(cluster.id),
            term: snapshot.leadership.term,
            leader: snapshot.leadership.leader,
            changing: membership.is_joint(),
            quorum: quorum(cluster, &membership.voters().collect::<Vec<_>>()),
            members,
        }
    }

    fn readiness(&self) -> Vec<Check> {
        let Some(running) = self.house.door.serving() else {
            let detail = match self.house.board.stage() {
                Stage::Waiting => "waits for other nodes, or to be invited",
                Stage::Running => "installs what it got from another member",
                Stage::Repairing => "gets from the other members what its disk has lost",
            };
            let process = failure_check(&self.house);
            return vec![Check { name: "cluster", ok: false, detail: detail.to_owned() }, process];
        };
        let (cluster, snapshot) = (&running.cluster, running.board.snapshot());
        let draining = self.house.door.is_draining();
        let leader = snapshot.leadership.leader;
        let behind = snapshot.commit.get().saturating_sub(snapshot.applied.get());
        vec![
            Check { name: "cluster", ok: true, detail: format!("cluster {}", cluster.id) },
            Check {
                name: "leader",
                ok: leader.is_some(),
                detail: match leader {
                    Some(leader) => format!("{} leads", cluster.name(leader)),
                    None => "no leader is known".to_owned(),
                },
            },
            Check {
                name: "applied",
                ok: behind <= CAUGHT_UP_ENTRIES,
                detail: format!("{behind} entries behind what is committed"),
            },
            Check {
                name: "disk",
                ok: !snapshot.disk.full,
                detail: format!("{} bytes are free", snapshot.disk.free_bytes),
            },
            Check {
                name: "serving",
                ok: !draining,
                detail: if draining { "is shutting down" } else { "takes requests" }.to_owned(),
            },
            failure_check(&self.house),
        ]
    }

    fn liveness(&self) -> Vec<Check> {
        vec![failure_check(&self.house)]
    }

    fn metrics(&self) -> Vec<Metric> {
        metrics::collect(&self.house)
    }

    fn change_members(&self, request: MemberRequest) -> BoxFuture<'_, Result<MemberView, Error>> {
        Box::pin(async move {
            let changed = self.steward.change(request).await?;
            Ok(self.member(&changed))
        })
    }

    fn transfer_leadership(
        &self,
        to: Option<String>,
        deadline: Instant,
    ) -> BoxFuture<'_, Result<(NodeId, Term), Error>> {
        Box::pin(self.steward.transfer(to, deadline))
    }

    fn snapshot(&self, deadline: Instant) -> BoxFuture<'_, Result<SnapshotSource, Error>> {
        Box::pin(self.take_snapshot(deadline))
    }
}

fn failure_check(house: &House) -> Check {
    match house.board.failure() {
        None => Check { name: "process", ok: true, detail: "runs".to_owned() },
        Some(fatal) => Check { name: "process", ok: false, detail: fatal.to_string() },
    }
}

fn role(running: &Running, snapshot: &Snapshot) -> NodeRole {
    let membership = running.board.membership();
    let part = membership.get(running.cluster.me.id).map(|(_, part)| part);
    match snapshot.leadership.role {
        Role::Follower if !part.is_some_and(|part| part.votes() || part.voted()) => {
            NodeRole::Learner
        }
        Role::Follower => NodeRole::Follower,
        Role::Candidate => NodeRole::Candidate,
        Role::Leader => NodeRole::Leader,
    }
}

/// The status of a node whose parts do not run.
fn waiting(role: NodeRole, uptime_ms: u64) -> NodeStatus {
    NodeStatus {
        role,
        term: Term(0),
        leader: None,
        commit_index: Index(0),
        applied_index: Index(0),
        revision: remex_model::Revision(0),
        oldest_revision: remex_model::Revision(0),
        uptime_ms,
        pending: 0,
        log: LogUsage::default(),
        engine: EngineUsage::default(),
        disk: DiskUsage::default(),
    }
}

/// The cluster of a node that is not part of one at the moment.
fn alone(me: &Member, id: Option<remex_model::ClusterId>) -> ClusterView {
    ClusterView {
        id,
        term: Term(0),
        leader: None,
        changing: false,
        quorum: QuorumView { voters: 0, reachable: 0, needed: 1 },
        members: vec![view(me, Part::Learner, false)],
    }
}

/// How far the voters are from losing their majority, as this node sees it.
pub(crate) fn quorum(cluster: &Cluster, voters: &[NodeId]) -> QuorumView {
    let peers = cluster.peers();
    let reaches = |id: &&NodeId| {
        let heard = |since: u64| since <= REACHABLE_MS;
        **id == cluster.me.id
            || peers.get(id).is_some_and(|peer| {
                peer.is_connected() && cluster.since_contact_ms(peer).is_some_and(heard)
            })
    };
    let reachable = voters.iter().filter(reaches).count();
    QuorumView { voters: voters.len(), reachable, needed: voters.len() / 2 + 1 }
}

fn view(member: &Member, part: Part, leader: bool) -> MemberView {
    MemberView {
        id: member.id,
        name: member.name.clone(),
        role: if part.votes() { MemberRole::Voter } else { MemberRole::Learner },
        auto_promote: part == Part::Learner && member.promote,
        awaited: member.is_awaited(),
        leader,
        client_url: member.client_url.clone(),
        peer_address: member.peer_address.clone(),
        version: None,
        match_index: None,
        lag: None,
        last_contact_ms: None,
        disk: None,
    }
}

fn member_view(cluster: &Cluster, member: &Member, part: Part, snapshot: &Snapshot) -> MemberView {
    let leader = snapshot.leadership.leader == Some(member.id);
    // What a node says of itself is newer, but whether it is promoted is not its own decision.
    let auto_promote = view(member, part, leader).auto_promote;
    if member.id == cluster.me.id {
        return MemberView {
            auto_promote,
            version: Some(VERSION.to_owned()),
            match_index: leader.then_some(snapshot.last),
            lag: leader.then_some(0),
            last_contact_ms: Some(0),
            disk: Some(snapshot.disk),
            ..view(&cluster.me, part, leader)
        };
    }
    let Some(peer) = cluster.peers().get(&member.id).cloned() else {
        return view(member, part, leader);
    };
    let (known, vitals) = (peer.known(), peer.vitals());
    let progress = snapshot.progress.iter().find(|progress| progress.id == member.id);
    MemberView {
        auto_promote,
        version: known.version,
        match_index: progress.map(|progress| progress.matched),
        lag: progress.map(|progress| snapshot.last.get().saturating_sub(progress.matched.get())),
        last_contact_ms: cluster.since_contact_ms(&peer),
        // Before the first measurement there is nothing to tell.
        disk: vitals.map(|vitals| vitals.disk).filter(|disk| disk.used_bytes > 0),
        ..view(&known.member, part, leader)
    }
}
