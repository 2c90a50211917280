//! What a node says about itself and its cluster: the port `Admin`.

use std::sync::{Arc, PoisonError};
use std::time::Instant;

use remex_consensus::Role;
use remex_engine::Engine;
use remex_model::{
    Admin, Check, ClusterView, EngineUsage, Index, LogUsage, MemberRole, MemberView, NodeId,
    NodeInfo, NodeRole, NodeStatus, QuorumView,
};

use crate::board::Snapshot;
use crate::cluster::{Cluster, Peer, VERSION};
use crate::identity::Member;
use crate::peer::form::Former;
use crate::store::{Running, Store};

/// A connected peer that was heard of within this time counts as reachable.
const REACHABLE_MS: u64 = 3000;

/// A node that is at most this many entries behind counts as caught up.
const CAUGHT_UP_ENTRIES: u64 = 1000;

/// A node's view of itself and its cluster.
#[derive(Debug)]
pub(crate) struct Overview {
    pub(crate) store: Arc<Store>,
    pub(crate) former: Arc<Former>,
    pub(crate) started: Instant,
}

impl Overview {
    fn parts(&self) -> Option<(&Running, Arc<Cluster>)> {
        let running = self.store.running()?;
        let (cluster, _) = self.former.running()?;
        Some((running, cluster))
    }
}

impl Admin for Overview {
    fn node(&self) -> NodeInfo {
        let hello = self.former.hello();
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
        let uptime_ms = u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX);
        let Some(running) = self.store.running() else { return waiting(uptime_ms) };
        let snapshot = running.board.snapshot();
        let state = running.state.read().unwrap_or_else(PoisonError::into_inner);
        NodeStatus {
            role: role(&snapshot),
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
        }
    }

    fn leader(&self) -> Option<NodeId> {
        self.store.running()?.board.leader()
    }

    fn cluster(&self) -> ClusterView {
        let Some((running, cluster)) = self.parts() else {
            return alone(&self.former.hello().node);
        };
        let snapshot = running.board.snapshot();
        let mut members: Vec<MemberView> = cluster
            .peers
            .values()
            .map(|peer| peer_view(&cluster, peer, &snapshot))
            .chain([own_view(&cluster, &snapshot)])
            .collect();
        members.sort_by(|a, b| (&a.name, a.id).cmp(&(&b.name, b.id)));
        let reaches = |peer: &&Arc<Peer>| {
            peer.is_connected()
                && cluster.since_contact_ms(peer).is_some_and(|since| since <= REACHABLE_MS)
        };
        let reachable = 1 + cluster.peers.values().filter(reaches).count();
        let voters = members.len();
        ClusterView {
            id: Some(cluster.id),
            term: snapshot.leadership.term,
            leader: snapshot.leadership.leader,
            quorum: QuorumView { voters, reachable, needed: voters / 2 + 1 },
            members,
        }
    }

    fn readiness(&self) -> Vec<Check> {
        let Some((running, cluster)) = self.parts() else {
            let detail = "waits for the other nodes of its --join list".to_owned();
            return vec![Check { name: "cluster", ok: false, detail }];
        };
        let snapshot = running.board.snapshot();
        let draining = self.store.is_draining();
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
                name: "serving",
                ok: !draining,
                detail: if draining { "is shutting down" } else { "takes requests" }.to_owned(),
            },
            failure_check(running),
        ]
    }

    fn liveness(&self) -> Vec<Check> {
        match self.store.running() {
            Some(running) => vec![failure_check(running)],
            None => vec![Check { name: "process", ok: true, detail: "runs".to_owned() }],
        }
    }
}

fn failure_check(running: &Running) -> Check {
    match running.board.failure() {
        None => Check { name: "process", ok: true, detail: "runs".to_owned() },
        Some(fatal) => Check { name: "process", ok: false, detail: fatal.to_string() },
    }
}

fn role(snapshot: &Snapshot) -> NodeRole {
    match snapshot.leadership.role {
        Role::Follower => NodeRole::Follower,
        Role::Candidate => NodeRole::Candidate,
        Role::Leader => NodeRole::Leader,
    }
}

/// The status of a node that is not part of a cluster yet.
fn waiting(uptime_ms: u64) -> NodeStatus {
    NodeStatus {
        role: NodeRole::Waiting,
        term: remex_model::Term(0),
        leader: None,
        commit_index: Index(0),
        applied_index: Index(0),
        revision: remex_model::Revision(0),
        oldest_revision: remex_model::Revision(0),
        uptime_ms,
        pending: 0,
        log: LogUsage::default(),
        engine: EngineUsage::default(),
    }
}

/// The cluster of a node that is not part of one yet.
fn alone(me: &Member) -> ClusterView {
    ClusterView {
        id: None,
        term: remex_model::Term(0),
        leader: None,
        quorum: QuorumView { voters: 0, reachable: 0, needed: 1 },
        members: vec![view(me, false)],
    }
}

fn view(member: &Member, leader: bool) -> MemberView {
    MemberView {
        id: member.id,
        name: member.name.clone(),
        role: MemberRole::Voter,
        leader,
        client_url: member.client_url.clone(),
        peer_address: member.peer_address.clone(),
        version: None,
        match_index: None,
        lag: None,
        last_contact_ms: None,
    }
}

fn own_view(cluster: &Cluster, snapshot: &Snapshot) -> MemberView {
    let leader = snapshot.leadership.leader == Some(cluster.me.id);
    MemberView {
        version: Some(VERSION.to_owned()),
        match_index: leader.then_some(snapshot.last),
        lag: leader.then_some(0),
        last_contact_ms: Some(0),
        ..view(&cluster.me, leader)
    }
}

fn peer_view(cluster: &Cluster, peer: &Peer, snapshot: &Snapshot) -> MemberView {
    let known = peer.known();
    let progress = snapshot.progress.iter().find(|progress| progress.id == peer.id);
    MemberView {
        version: known.version,
        match_index: progress.map(|progress| progress.matched),
        lag: progress.map(|progress| snapshot.last.get().saturating_sub(progress.matched.get())),
        last_contact_ms: cluster.since_contact_ms(peer),
        ..view(&known.member, snapshot.leadership.leader == Some(peer.id))
    }
}
