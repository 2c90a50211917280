//! The board: what the driver last knew, for everyone else to read.

use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use remex_consensus::{Leadership, Progress, Role};
use remex_model::{DiskUsage, Index, Membership, NodeId, Revision};
use tokio::sync::watch;

use crate::Fatal;

/// What the driver last knew.
#[derive(Clone, Debug, Default)]
pub(crate) struct Snapshot {
    pub(crate) leadership: Leadership,
    pub(crate) commit: Index,
    pub(crate) applied: Index,
    pub(crate) last: Index,
    /// How far the members are; only while this node leads.
    pub(crate) progress: Vec<Progress>,
    /// Requests that wait for their outcome.
    pub(crate) pending: u64,
    pub(crate) log_first: Index,
    pub(crate) log_bytes: u64,
    /// This node's disk, as last measured.
    pub(crate) disk: DiskUsage,
}

/// How far the node is, beside what the driver knows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Stage {
    /// Not part of a cluster yet.
    #[default]
    Waiting,
    /// Runs.
    Running,
    /// Its disk has lost something, and it asks the other members for it.
    Repairing,
}

/// What the driver last knew, and signals for those who wait for a change. It outlives the driver:
/// a node may start its parts anew several times.
#[derive(Debug, Default)]
pub(crate) struct Board {
    snapshot: Mutex<Snapshot>,
    revision: watch::Sender<Revision>,
    leadership: watch::Sender<Leadership>,
    membership: watch::Sender<Arc<Membership>>,
    stage: watch::Sender<Stage>,
    pending: watch::Sender<u64>,
    failed: watch::Sender<Option<Fatal>>,
    buffer_bytes: AtomicUsize,
    /// The leader in the snapshot, or 0: every answer to a client names it.
    leader: AtomicU64,
    /// Whether this node's disk, or the leader's, is too full for writes that need room.
    no_space: AtomicBool,
    /// Bytes that puts may take of this node's disk until it is measured again.
    room: Room,
    /// Whether a put found too little of it.
    was_short: AtomicBool,
}

/// Bytes of the disk; enough for everything until it is measured.
#[derive(Debug)]
struct Room(AtomicU64);

impl Default for Room {
    fn default() -> Self {
        Self(AtomicU64::new(u64::MAX))
    }
}

impl Board {
    fn lock(&self) -> MutexGuard<'_, Snapshot> {
        self.snapshot.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn snapshot(&self) -> Snapshot {
        self.lock().clone()
    }

    /// The leader that this node knows.
    pub(crate) fn leader(&self) -> Option<NodeId> {
        let leader = self.leader.load(Ordering::Relaxed);
        (leader != 0).then_some(NodeId(leader))
    }

    /// Bytes of changes in the state's write buffer, as of the last turn.
    pub(crate) fn buffer_bytes(&self) -> usize {
        self.buffer_bytes.load(Ordering::Relaxed)
    }

    pub(crate) fn set_buffer_bytes(&self, bytes: usize) {
        self.buffer_bytes.store(bytes, Ordering::Relaxed);
    }

    /// Changes the snapshot and signals what changed.
    pub(crate) fn update(&self, change: impl FnOnce(&mut Snapshot)) {
        let (leadership, pending) = {
            let mut snapshot = self.lock();
            change(&mut snapshot);
            let leader = snapshot.leadership.leader.map_or(0, NodeId::get);
            self.leader.store(leader, Ordering::Relaxed);
            (snapshot.leadership, snapshot.pending)
        };
        set(&self.leadership, leadership);
        set(&self.pending, pending);
    }

    /// The parts were stopped: nobody leads as far as this node knows, and nothing is under way.
    pub(crate) fn clear(&self) {
        self.update(|snapshot| {
            snapshot.leadership =
                Leadership { term: snapshot.leadership.term, ..Leadership::default() };
            snapshot.progress.clear();
            snapshot.pending = 0;
        });
    }

    /// Whether writes that need room are to be refused.
    pub(crate) fn no_space(&self) -> bool {
        self.no_space.load(Ordering::Relaxed)
    }

    pub(crate) fn set_no_space(&self, full: bool) {
        self.no_space.store(full, Ordering::Relaxed);
    }

    /// Takes room for a put of this size; false if there is none on this node's disk.
    pub(crate) fn take_room(&self, bytes: usize) -> bool {
        let bytes = bytes as u64;
        let taken = self
            .room
            .0
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |room| room.checked_sub(bytes));
        if taken.is_err() {
            self.was_short.store(true, Ordering::Relaxed);
        }
        taken.is_ok()
    }

    /// Whether a put found too little room since the last call.
    pub(crate) fn was_short(&self) -> bool {
        self.was_short.swap(false, Ordering::Relaxed)
    }

    pub(crate) fn set_room(&self, bytes: u64) {
        self.room.0.store(bytes, Ordering::Relaxed);
    }

    /// The membership as of the last entry that was applied here.
    pub(crate) fn membership(&self) -> Arc<Membership> {
        self.membership.borrow().clone()
    }

    pub(crate) fn set_membership(&self, membership: Arc<Membership>) {
        set(&self.membership, membership);
    }

    pub(crate) fn watch_membership(&self) -> watch::Receiver<Arc<Membership>> {
        self.membership.subscribe()
    }

    pub(crate) fn watch_leadership(&self) -> watch::Receiver<Leadership> {
        self.leadership.subscribe()
    }

    pub(crate) fn stage(&self) -> Stage {
        *self.stage.borrow()
    }

    pub(crate) fn set_stage(&self, stage: Stage) {
        set(&self.stage, stage);
    }

    /// The store's revision on this node.
    pub(crate) fn revision(&self) -> Revision {
        *self.revision.borrow()
    }

    pub(crate) fn set_revision(&self, revision: Revision) {
        set(&self.revision, revision);
    }

    pub(crate) fn watch_revision(&self) -> watch::Receiver<Revision> {
        self.revision.subscribe()
    }

    /// The node cannot go on. The first reason stands.
    pub(crate) fn fail(&self, fatal: Fatal) {
        self.failed.send_if_modified(|failed| {
            let first = failed.is_none();
            if first {
                *failed = Some(fatal);
            }
            first
        });
    }

    pub(crate) fn failure(&self) -> Option<Fatal> {
        self.failed.borrow().clone()
    }

    /// Waits until the node cannot go on.
    pub(crate) async fn failed(&self) -> Fatal {
        let mut failed = self.failed.subscribe();
        loop {
            if let Some(fatal) = failed.borrow_and_update().clone() {
                return fatal;
            }
            if failed.changed().await.is_err() {
                // The sender lives in the board, which is borrowed here.
                std::future::pending::<()>().await;
            }
        }
    }

    /// Waits until this node's state has at least this revision.
    pub(crate) async fn revision_reached(&self, revision: Revision) {
        let mut revisions = self.revision.subscribe();
        // An error means that the board is gone, and it is borrowed here.
        drop(revisions.wait_for(|&now| now >= revision).await);
    }

    /// Waits until this node does not lead.
    pub(crate) async fn led_no_more(&self) {
        let mut leadership = self.leadership.subscribe();
        drop(leadership.wait_for(|now| now.role != Role::Leader).await);
    }

    /// Waits until no request waits for its outcome.
    pub(crate) async fn nothing_pending(&self) {
        let mut pending = self.pending.subscribe();
        drop(pending.wait_for(|&pending| pending == 0).await);
    }
}

/// Sets a value and wakes those who wait for it, if it changed.
fn set<T: PartialEq>(sender: &watch::Sender<T>, value: T) {
    sender.send_if_modified(|now| {
        let changed = *now != value;
        if changed {
            *now = value;
        }
        changed
    });
}
