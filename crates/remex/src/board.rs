//! The board: what the driver last knew, for everyone else to read.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use remex_consensus::{Leadership, Progress, Role};
use remex_model::{Index, NodeId, Revision};
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
}

/// What the driver last knew, and signals for those who wait for a change.
#[derive(Debug, Default)]
pub(crate) struct Board {
    snapshot: Mutex<Snapshot>,
    revision: watch::Sender<Revision>,
    leads: watch::Sender<bool>,
    pending: watch::Sender<u64>,
    failed: watch::Sender<Option<Fatal>>,
    buffer_bytes: AtomicUsize,
    /// The leader in the snapshot, or 0: every answer to a client names it.
    leader: AtomicU64,
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
        let (leads, pending) = {
            let mut snapshot = self.lock();
            change(&mut snapshot);
            let leader = snapshot.leadership.leader.map_or(0, NodeId::get);
            self.leader.store(leader, Ordering::Relaxed);
            (snapshot.leadership.role == Role::Leader, snapshot.pending)
        };
        set(&self.leads, leads);
        set(&self.pending, pending);
    }

    pub(crate) fn set_revision(&self, revision: Revision) {
        set(&self.revision, revision);
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
        let mut leads = self.leads.subscribe();
        drop(leads.wait_for(|&leads| !leads).await);
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
