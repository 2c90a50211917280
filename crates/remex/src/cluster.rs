//! The cluster as this node knows it: itself and its peers.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Instant;

use remex_model::{ClusterId, NodeId};

use crate::identity::Member;
use crate::peer::hello::{Hello, Purpose};
use crate::peer::link::Link;

/// Version of this program, as peers and clients are told.
pub(crate) const VERSION: &str = env!("CARGO_PKG_VERSION");

/// A peer whose connection is open counts as alive if it was heard of within this time: a few
/// of its signs of life. A machine that lost its power leaves connections open behind it.
const ALIVE_MS: u64 = 3000;

/// A cluster that this node is a member of.
#[derive(Debug)]
pub(crate) struct Cluster {
    pub(crate) id: ClusterId,
    pub(crate) me: Member,
    /// Every other member.
    pub(crate) peers: BTreeMap<NodeId, Arc<Peer>>,
    /// Random number of this run of the process.
    pub(crate) session: u64,
    pub(crate) started: Instant,
}

/// Another member.
#[derive(Debug)]
pub(crate) struct Peer {
    pub(crate) id: NodeId,
    known: RwLock<Known>,
    /// Milliseconds from the start of this process to the last frame from the peer, plus one;
    /// 0 for never.
    contact: AtomicU64,
    /// The run of the peer's process that is connected, while it is.
    connected: Mutex<Option<u64>>,
    pub(crate) link: Link,
}

/// What is known of a peer: at first from the founding, later from the peer itself.
#[derive(Clone, Debug)]
pub(crate) struct Known {
    pub(crate) member: Member,
    pub(crate) version: Option<String>,
}

impl Cluster {
    pub(crate) fn new(id: ClusterId, me: Member, members: &[Member], session: u64) -> Self {
        let peers = members
            .iter()
            .filter(|member| member.id != me.id)
            .map(|member| (member.id, Arc::new(Peer::new(member.clone()))))
            .collect();
        Self { id, me, peers, session, started: Instant::now() }
    }

    /// What this node says of itself at the start of a connection.
    pub(crate) fn hello(&self) -> Hello {
        Hello {
            purpose: Purpose::Replicate,
            cluster: Some(self.id),
            node: self.me.clone(),
            session: self.session,
            version: VERSION.to_owned(),
        }
    }

    /// Every voter, this node among them.
    pub(crate) fn voters(&self) -> Vec<NodeId> {
        self.peers.keys().copied().chain([self.me.id]).collect()
    }

    /// A member's name, for messages to people.
    pub(crate) fn name(&self, id: NodeId) -> String {
        if id == self.me.id {
            return self.me.name.clone();
        }
        self.peers.get(&id).map_or_else(|| id.to_string(), |peer| peer.known().member.name)
    }

    /// Notes that a frame came from the peer.
    pub(crate) fn note_contact(&self, peer: &Peer) {
        let elapsed = u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX - 1);
        peer.contact.store(elapsed + 1, Ordering::Relaxed);
    }

    /// Whether `them` is the only process that speaks for the peer; otherwise the reason. Two that
    /// were started from copies of one disk would vote twice and acknowledge what only one has:
    /// whoever is connected first stays, the other is refused as long as the first is heard of.
    pub(crate) fn check_single(&self, peer: &Peer, them: &Hello) -> Result<(), String> {
        let connected = *peer.connected.lock().unwrap_or_else(PoisonError::into_inner);
        let heard = self.since_contact_ms(peer).is_some_and(|since| since < ALIVE_MS);
        match connected {
            Some(session) if session != them.session && heard => Err(format!(
                "{} is connected to {} already from another process, at {}; you are at {}: two \
                 nodes run from copies of one data directory. Stop one of them and give it an \
                 empty --data-dir",
                them.node.name,
                self.me.name,
                peer.known().member.peer_address,
                them.node.peer_address
            )),
            _ => Ok(()),
        }
    }

    /// Milliseconds since the last frame from the peer; `None` for never.
    pub(crate) fn since_contact_ms(&self, peer: &Peer) -> Option<u64> {
        let contact = peer.contact.load(Ordering::Relaxed).checked_sub(1)?;
        let now = u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX);
        Some(now.saturating_sub(contact))
    }
}

impl Peer {
    fn new(member: Member) -> Self {
        Self {
            id: member.id,
            known: RwLock::new(Known { member, version: None }),
            contact: AtomicU64::new(0),
            connected: Mutex::new(None),
            link: Link::new(),
        }
    }

    /// Notes that a run of the peer's process is connected.
    pub(crate) fn connect(&self, session: u64) {
        *self.connected.lock().unwrap_or_else(PoisonError::into_inner) = Some(session);
    }

    /// Notes that the connection of a run of the peer's process ended.
    pub(crate) fn disconnect(&self, session: u64) {
        self.connected
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take_if(|connected| *connected == session);
    }

    /// Whether the peer's connection to this node is open.
    pub(crate) fn is_connected(&self) -> bool {
        self.connected.lock().unwrap_or_else(PoisonError::into_inner).is_some()
    }

    pub(crate) fn known(&self) -> Known {
        self.known.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Takes over what the peer says of itself; its name, addresses and version may change.
    pub(crate) fn learn(&self, hello: &Hello) {
        let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
        known.member = hello.node.clone();
        known.version = Some(hello.version.clone());
    }
}
