//! The cluster as this node knows it: itself, its peers, and what they last said of themselves.
//!
//! Who is a peer follows the membership as it is applied here ([`Cluster::update`]). A node that
//! knows no leader may have missed changes: the members that it knows may all be gone. So while it
//! knows none, it also listens to nodes that know its cluster without being in its membership, as
//! *provisional* peers; a node that has just joined learns everything from one of these. Who may
//! speak with this node at all is decided in [`crate::peer::admit`].

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use remex_consensus::Marks;
use remex_model::{ClusterId, DiskUsage, Index, Member, Membership, NodeId};
use tokio::sync::Notify;

use crate::peer::hello::{Hello, Position, Purpose};
use crate::peer::remote::Heard;
pub(crate) use crate::peer::remote::{Peer, Side};
use crate::peer::vitals::{Stamp, Vitals};

/// Version of this program, as peers and clients are told.
pub(crate) const VERSION: &str = env!("CARGO_PKG_VERSION");

/// A peer counts as alive if it was heard of within this time: a few of its signs of life. A
/// machine that lost its power leaves connections open behind it.
pub(crate) const ALIVE_MS: u64 = 3000;

/// The peers at some moment, by id.
pub(crate) type Peers = BTreeMap<NodeId, Arc<Peer>>;

/// A cluster that this node is a member of.
#[derive(Debug)]
pub(crate) struct Cluster {
    pub(crate) id: ClusterId,
    /// This node as it describes itself; the membership may not have caught up with it.
    pub(crate) me: Member,
    /// Random number of this run of the node's parts.
    pub(crate) session: u64,
    started: Instant,
    peers: ArcSwap<Peers>,
    /// Also serializes changes of `peers`.
    membership: Mutex<Arc<Membership>>,
    own: Mutex<Own>,
    /// The leader that this node knows, or 0.
    leader: AtomicU64,
    /// The peers have changed. One task waits for it.
    pub(crate) changed: Notify,
    /// Others should hear soon what has changed here. One task waits for it.
    pub(crate) vitals_due: Notify,
}

/// What this node says of itself.
#[derive(Debug, Default)]
struct Own {
    position: Position,
    checkpoint: Option<(Index, u64)>,
    disk: DiskUsage,
    marks: Marks,
}

impl Cluster {
    /// A cluster whose members are not known yet. `position` is how far the disk of this node
    /// goes, and `marks` what it remembers of the others'.
    pub(crate) fn new(
        id: ClusterId,
        me: Member,
        session: u64,
        position: Position,
        marks: Marks,
    ) -> Self {
        Self {
            id,
            me,
            session,
            started: Instant::now(),
            peers: ArcSwap::default(),
            membership: Mutex::default(),
            own: Mutex::new(Own { position, marks, ..Own::default() }),
            leader: AtomicU64::new(0),
            changed: Notify::new(),
            vitals_due: Notify::new(),
        }
    }

    /// What this node says of itself at the start of a connection to replicate.
    pub(crate) fn hello(&self) -> Hello {
        Hello {
            purpose: Purpose::Replicate,
            cluster: Some(self.id),
            node: self.me.clone(),
            session: self.session,
            position: self.position(),
            version: VERSION.to_owned(),
        }
    }

    fn own(&self) -> MutexGuard<'_, Own> {
        self.own.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How far this node's log goes; at least everything that it has acknowledged.
    pub(crate) fn position(&self) -> Position {
        self.own().position
    }

    /// Notes what a turn of the driver led to, before its messages leave. Peers that remember
    /// more than a node's position take its disk for an old one.
    pub(crate) fn set_turn(&self, leader: Option<NodeId>, position: Position) {
        self.own().position = position;
        self.leader.store(leader.map_or(0, NodeId::get), Ordering::Relaxed);
    }

    /// Notes what the others are to be told of this node with the next vitals.
    pub(crate) fn set_own(&self, checkpoint: Option<(Index, u64)>, disk: DiskUsage) {
        let mut own = self.own();
        (own.checkpoint, own.disk) = (checkpoint, disk);
    }

    /// Notes what this node knows of the others' disks while it leads.
    pub(crate) fn note_marks(&self, marks: &Marks) {
        self.own().marks.merge(marks);
    }

    /// The leader that this node knows.
    pub(crate) fn leader(&self) -> Option<NodeId> {
        match self.leader.load(Ordering::Relaxed) {
            0 => None,
            leader => Some(NodeId(leader)),
        }
    }

    /// What is remembered of every member's disk.
    pub(crate) fn marks(&self) -> Marks {
        self.own().marks.clone()
    }

    /// The membership as it was last applied here; empty until then.
    pub(crate) fn membership(&self) -> Arc<Membership> {
        Arc::clone(&self.lock_membership())
    }

    fn lock_membership(&self) -> MutexGuard<'_, Arc<Membership>> {
        self.membership.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Every node that this one exchanges messages with.
    pub(crate) fn peers(&self) -> Arc<Peers> {
        self.peers.load_full()
    }

    /// Takes over a membership that was applied: who is no member any more is cut off, and
    /// forgotten.
    pub(crate) fn update(&self, membership: &Membership) {
        let mut current = self.lock_membership();
        let old = self.peers.load_full();
        let mut peers = Peers::new();
        let others = membership.members().map(|(member, _)| member);
        // Behind an awaited member there is nobody yet to exchange messages with.
        for member in others.filter(|other| other.id != self.me.id && !other.is_awaited()) {
            let peer = match old.get(&member.id) {
                Some(peer) => {
                    // What a connected peer said of itself is newer.
                    let changed = current.get(member.id).map(|(known, _)| known) != Some(member);
                    if changed && !peer.is_connected() {
                        peer.set_member(member);
                    }
                    peer.set_provisional(false);
                    Arc::clone(peer)
                }
                None => Arc::new(Peer::new(member.clone(), false)),
            };
            peers.insert(member.id, peer);
        }
        *current = Arc::new(membership.clone());
        if !membership.is_empty() {
            self.own().marks.keep_members(membership);
        }
        self.replace(&old, peers);
    }

    /// Puts new peers in the place of the old; the caller holds the lock of the membership.
    fn replace(&self, old: &Peers, peers: Peers) {
        self.peers.store(Arc::new(peers));
        let peers = self.peers.load();
        for peer in old.values().filter(|peer| !peers.contains_key(&peer.id)) {
            peer.retire();
        }
        self.changed.notify_one();
        self.vitals_due.notify_one();
    }

    /// The parts of this run stop: ends all connections.
    pub(crate) fn close(&self) {
        let _current = self.lock_membership();
        let old = self.peers.load_full();
        self.replace(&old, Peers::new());
    }

    /// A peer that is not in the membership that is applied here.
    pub(crate) fn add_provisional(&self, member: &Member) -> Arc<Peer> {
        let _current = self.lock_membership();
        let old = self.peers.load_full();
        if let Some(peer) = old.get(&member.id) {
            return Arc::clone(peer);
        }
        let peer = Arc::new(Peer::new(member.clone(), true));
        let mut peers = Peers::clone(&old);
        peers.insert(member.id, Arc::clone(&peer));
        self.replace(&old, peers);
        peer
    }

    /// Lets go of provisional peers that do not lead once a leader is known: it tells the rest.
    pub(crate) fn drop_provisional(&self) {
        let Some(leader) = self.leader() else { return };
        let _current = self.lock_membership();
        let old = self.peers.load_full();
        let stays = |peer: &Peer| !peer.is_provisional() || peer.id == leader;
        if old.values().all(|peer| stays(peer)) {
            return;
        }
        let peers = old.iter().filter(|(_, peer)| stays(peer));
        self.replace(&old, peers.map(|(&id, peer)| (id, Arc::clone(peer))).collect());
    }

    /// A node's name, for messages to people.
    pub(crate) fn name(&self, id: NodeId) -> String {
        if id == self.me.id {
            return self.me.name.clone();
        }
        match self.peers.load().get(&id) {
            Some(peer) => peer.known().member.name,
            None => id.to_string(),
        }
    }

    fn now(&self) -> Duration {
        self.started.elapsed()
    }

    /// Whether this run is old enough to have heard of every peer that is alive.
    pub(crate) fn knows_who_is_alive(&self) -> bool {
        millis(self.now()) > ALIVE_MS
    }

    /// Notes that a frame came from the peer.
    pub(crate) fn note_contact(&self, peer: &Peer) {
        peer.set_contact_ms(millis(self.now()));
    }

    /// Milliseconds since the last frame from the peer; `None` for never.
    pub(crate) fn since_contact_ms(&self, peer: &Peer) -> Option<u64> {
        Some(millis(self.now()).saturating_sub(peer.contact_ms()?))
    }

    /// Whether the peer is connected and was heard of a moment ago.
    pub(crate) fn is_alive(&self, peer: &Peer) -> bool {
        peer.is_connected() && self.was_heard(peer)
    }

    /// Whether the peer was heard of a moment ago.
    pub(crate) fn was_heard(&self, peer: &Peer) -> bool {
        self.since_contact_ms(peer).is_some_and(|since| since < ALIVE_MS)
    }

    /// What to tell a peer now.
    pub(crate) fn vitals_for(&self, peer: &Peer) -> Vitals {
        let session = |peer: &Arc<Peer>| {
            let session = peer.session().filter(|_| self.was_heard(peer))?;
            Some((peer.id, session))
        };
        let sessions = self.peers.load().values().filter_map(session).collect();
        let heard = peer.heard();
        let stamp = Stamp {
            sent_us: micros(self.now()).max(1),
            echo_us: heard.as_ref().map_or(0, |heard| heard.vitals.stamp.sent_us),
            held_us: heard.map_or(0, |heard| micros(heard.at.elapsed())),
        };
        let own = self.own();
        Vitals {
            leads: self.leader() == Some(self.me.id),
            stamp,
            disk: own.disk,
            checkpoint: own.checkpoint,
            marks: own.marks.clone(),
            sessions,
        }
    }

    /// Takes in what a peer says of itself and of others.
    pub(crate) fn receive_vitals(&self, peer: &Peer, vitals: Vitals) {
        if let Some(round_trip_us) = vitals.stamp.round_trip_us(micros(self.now())) {
            peer.set_round_trip_us(round_trip_us);
        }
        let membership = self.membership();
        if !membership.is_empty() {
            let mut own = self.own();
            own.marks.merge(&vitals.marks);
            own.marks.keep_members(&membership);
        }
        peer.set_heard(vitals);
        for peer in self.peers.load().values() {
            peer.cut_sessions(|session| self.rival(peer.id, session).is_some());
        }
    }

    /// The peer to which another run of the process of `id` is connected than `session`, if that
    /// is to be believed rather than `session`: the leader decides, and without one the higher of
    /// the two numbers, so that all come to the same end.
    pub(crate) fn rival(&self, id: NodeId, session: u64) -> Option<NodeId> {
        let leads = self.leader() == Some(self.me.id);
        let believed = |peer: &&Arc<Peer>| {
            let heard = peer.heard().filter(|heard| millis(heard.at.elapsed()) < ALIVE_MS);
            let Some(Heard { vitals, .. }) = heard else { return false };
            let other = vitals.sessions.iter().find(|(of, _)| *of == id).map(|(_, other)| *other);
            other.is_some_and(|other| {
                other != session && !leads && (vitals.leads || other > session)
            })
        };
        let peers = self.peers.load();
        let mut others = peers.values().filter(|peer| peer.id != id && self.is_alive(peer));
        others.find(believed).map(|peer| peer.id)
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}
