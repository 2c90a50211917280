//! The handle and the node's life.

use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use remex_model::{
    Admin, ClusterView, Consistency, Context, Error, Metric, NodeInfo, NodeRole, NodeStatus,
    Operation, Request, Response, Revision, Service,
};
use tokio::sync::watch;

use super::Builder;
use crate::house::House;
use crate::{Fatal, Node};

/// How long calls may take.
#[derive(Clone, Copy, Debug)]
pub(super) struct Deadlines {
    /// Those that read and write.
    pub(super) data: Duration,
    /// Those that change who is a member.
    pub(super) members: Duration,
}

impl Default for Deadlines {
    fn default() -> Self {
        Self { data: Duration::from_secs(5), members: Duration::from_secs(60) }
    }
}

/// A store that runs in this program: one node of a cluster, and everything that the cluster holds.
/// See the [crate] for an example and the rules.
///
/// Clones are cheap and mean the same node.
#[derive(Clone, Debug)]
pub struct Store {
    pub(super) shared: Arc<Shared>,
    deadlines: Deadlines,
    consistency: Consistency,
}

/// What all clones of a handle share. Dropping it drops the node.
pub(super) struct Shared {
    pub(super) house: Arc<House>,
    pub(super) admin: Arc<dyn Admin>,
    peer_address: SocketAddr,
    /// Taken by whoever closes it.
    node: Mutex<Option<Node>>,
    /// How it ended, once it was closed.
    closed: watch::Sender<Option<Result<(), Fatal>>>,
}

impl fmt::Debug for Shared {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Shared")
            .field("directory", &self.house.config.data_dir)
            .field("peer_address", &self.peer_address)
            .finish_non_exhaustive()
    }
}

/// What a node says of itself and of its cluster, at one moment.
#[derive(Clone, Debug)]
pub struct Status {
    /// Who the node is.
    pub node: NodeInfo,
    /// How it is doing.
    pub state: NodeStatus,
    /// The cluster as it sees it.
    pub cluster: ClusterView,
}

impl Status {
    /// Whether this node leads.
    #[must_use]
    pub fn leads(&self) -> bool {
        self.state.role == NodeRole::Leader
    }

    /// The name of the node that leads, if this node knows one.
    #[must_use]
    pub fn leader(&self) -> Option<&str> {
        let leader = self.cluster.members.iter().find(|member| member.leader)?;
        Some(&leader.name)
    }
}

impl Store {
    /// A store in a directory.
    pub fn builder(directory: impl Into<PathBuf>) -> Builder {
        Builder::new(directory.into())
    }

    pub(super) fn new(node: Node, deadlines: Deadlines) -> Self {
        let shared = Shared {
            house: Arc::clone(node.house()),
            admin: node.admin(),
            peer_address: node.peer_address(),
            node: Mutex::new(Some(node)),
            closed: watch::Sender::new(None),
        };
        Self { shared: Arc::new(shared), deadlines, consistency: Consistency::Linearizable }
    }

    /// A handle whose calls take at most this long.
    #[must_use]
    pub fn within(&self, timeout: Duration) -> Self {
        let deadlines = Deadlines { data: timeout, members: timeout };
        Self { deadlines, ..self.clone() }
    }

    /// A handle whose reads are answered by this node alone, at once, with what it has: possibly
    /// old, never a mixture. They work without a leader, too.
    #[must_use]
    pub fn stale(&self) -> Self {
        Self { consistency: Consistency::Stale, ..self.clone() }
    }

    /// Where other nodes reach this one, if [`Builder::listen`] left the choice of the port open.
    #[must_use]
    pub fn peer_address(&self) -> SocketAddr {
        self.shared.peer_address
    }

    /// The store's revision on this node. Another node may be further.
    #[must_use]
    pub fn revision(&self) -> Revision {
        self.shared.house.board.revision()
    }

    /// What the node says of itself and its cluster, from memory.
    #[must_use]
    pub fn status(&self) -> Status {
        let admin = &self.shared.admin;
        Status { node: admin.node(), state: admin.status(), cluster: admin.cluster() }
    }

    /// What the node measures, for a program's own monitoring. `docs/metrics.md` lists the names, which
    /// never change meaning.
    #[must_use]
    pub fn metrics(&self) -> Vec<Metric> {
        self.shared.admin.metrics()
    }

    /// Waits until the node is part of a cluster that has a leader, and sees everything that was
    /// acknowledged before the call.
    ///
    /// # Errors
    /// [`crate::ErrorCode::NotReady`] or [`crate::ErrorCode::NoLeader`] if that does not happen in
    /// time.
    pub async fn ready(&self) -> Result<(), Error> {
        let (door, deadline) = (&self.shared.house.door, self.deadline());
        let running = async {
            tokio::select! {
                _running = door.until_running() => {}
                () = door.drained() => {}
            }
        };
        // Whoever asks for a key is turned away at once by a node that waits to be taken in; this is
        // how to wait for that. If it does not come, the door says what is wrong.
        drop(tokio::time::timeout_at(deadline.into(), running).await);
        door.readable(deadline).await.map(drop)
    }

    /// Waits until the node cannot go on: a disk that fails, data that is damaged and cannot be had
    /// from the other members, removal from the cluster. What was acknowledged is safe. Never
    /// returns if the store is closed before.
    pub async fn failed(&self) -> Fatal {
        self.shared.house.board.failed().await
    }

    /// Stops the node in good order, for all clones of the handle: takes no new requests, hands
    /// leadership over, finishes what is under way, writes everything to disk, and gives port and
    /// directory back. Takes some seconds at most. Goes on if the caller no longer waits, and closing
    /// again waits for the same end.
    ///
    /// # Errors
    /// If the node failed before or while it stopped.
    ///
    /// # Panics
    /// Outside of a tokio runtime.
    pub async fn close(&self) -> Result<(), Fatal> {
        let node = self.shared.node.lock().unwrap_or_else(PoisonError::into_inner).take();
        let mut closed = self.shared.closed.subscribe();
        if let Some(node) = node {
            let closing = tokio::spawn(node.shutdown());
            let shared = Arc::clone(&self.shared);
            drop(tokio::spawn(async move {
                let ended = closing.await;
                let ended = ended.unwrap_or_else(|error| Err(Fatal::Failed(error.to_string())));
                shared.closed.send_replace(Some(ended));
            }));
        }
        loop {
            if let Some(ended) = closed.borrow_and_update().clone() {
                return ended;
            }
            closed.changed().await.expect("the sender is in what this handle shares");
        }
    }

    /// By when a call that reads or writes must be over.
    pub(super) fn deadline(&self) -> Instant {
        soon(self.deadlines.data)
    }

    /// By when a call that changes who is a member must be over.
    pub(super) fn members_deadline(&self) -> Instant {
        soon(self.deadlines.members)
    }

    pub(super) fn consistency(&self) -> Consistency {
        self.consistency
    }

    /// Carries an operation out.
    pub(super) async fn call(&self, operation: Operation) -> Result<Response, Error> {
        let context = Context { deadline: self.deadline() };
        self.shared.house.door.call(Request { context, operation }).await
    }
}

/// The moment that lies this far ahead; a year, if it lies beyond what a clock can say.
fn soon(timeout: Duration) -> Instant {
    const YEAR: Duration = Duration::from_secs(365 * 24 * 60 * 60);
    Instant::now() + timeout.min(YEAR)
}
