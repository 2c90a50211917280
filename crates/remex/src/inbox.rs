//! The driver's inbox: everything that happens outside reaches the driver through here.
//!
//! A vector behind a lock, swapped out whole, and a condition variable that is only signalled
//! when the driver sleeps: one lock for a push, one for all that came since the last turn.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use bytes::Bytes;
use remex_consensus::{ChangeRefusal, Event};
use remex_model::{Error, Index, MemberChange, Membership, Outcome};
use tokio::sync::{Notify, oneshot};

use crate::ending::Ending;
use crate::log_writer::Synced;

/// Inputs of peers that may wait before the readers of their connections stop reading. A turn
/// takes all that waits, so this bounds what a stalled disk can pile up in memory.
const PEER_INPUTS_MAX: usize = 4096;

/// Answer to a write.
pub(crate) type WriteReply = oneshot::Sender<Result<Outcome, Error>>;

/// Answer to a read: it may be read now.
pub(crate) type ReadReply = oneshot::Sender<Result<(), Error>>;

/// Answer to a change of the membership: the membership that it led to.
pub(crate) type ChangeReply = oneshot::Sender<Result<Arc<Membership>, ChangeError>>;

/// Why a change of the membership has no outcome.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum ChangeError {
    /// It was not proposed.
    Refused(ChangeRefusal),
    /// This node stopped, or stopped leading, before the change was applied: it may still be.
    Lost,
}

/// Why the other members want nothing to do with this node any more.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Expulsion {
    /// It was removed.
    Removed(String),
    /// Its disk is older than what it told them.
    RolledBack(String),
}

/// Something that happened outside the driver.
#[derive(Debug)]
pub(crate) enum Input {
    /// An event for the core.
    Core(Event),
    /// A client of this node writes.
    Write { command: Bytes, ttl_ticks: u64, reply: WriteReply },
    /// A client of this node wants to read linearizably.
    Read { ttl_ticks: u64, reply: ReadReply },
    /// Change the membership, if this node leads.
    Change { changes: Vec<MemberChange>, force: bool, reply: ChangeReply },
    /// The log's thread has synced writes.
    Synced(Synced),
    /// A member refuses to speak with this node, for good.
    Expelled(Expulsion),
    /// The node was invited into another cluster.
    Invited,
    /// A snapshot that holds the effect of this entry was fetched and can be installed.
    Fetched { index: Index },
    /// The parts cannot go on as they are.
    Ended(Ending),
    /// Stop after this turn.
    Stop,
}

#[derive(Debug, Default)]
struct Queue {
    inputs: Vec<Input>,
    asleep: bool,
    /// The driver has ended: whoever waits for an answer is to notice.
    closed: bool,
}

/// The driver's inbox.
#[derive(Debug, Default)]
pub(crate) struct Inbox {
    queue: Mutex<Queue>,
    wake: Condvar,
    drained: Notify,
}

impl Inbox {
    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds one input.
    pub(crate) fn push(&self, input: Input) {
        let mut queue = self.queue();
        if queue.closed {
            drop(queue);
            drop(input);
            return;
        }
        queue.inputs.push(input);
        self.signal(queue);
    }

    /// Nobody takes inputs any more: those that wait, and all that come, are dropped.
    pub(crate) fn close(&self) {
        let mut queue = self.queue();
        queue.closed = true;
        let inputs = std::mem::take(&mut queue.inputs);
        drop(queue);
        drop(inputs);
        self.drained.notify_waiters();
    }

    /// Adds inputs of a peer; waits first while too many wait already.
    pub(crate) async fn push_from_peer(&self, inputs: Vec<Input>) {
        loop {
            let drained = self.drained.notified();
            {
                let mut queue = self.queue();
                if queue.closed {
                    return;
                }
                if queue.inputs.len() < PEER_INPUTS_MAX {
                    queue.inputs.extend(inputs);
                    self.signal(queue);
                    return;
                }
            }
            drained.await;
        }
    }

    fn signal(&self, mut queue: MutexGuard<'_, Queue>) {
        // Whoever comes next before the driver runs need not wake it again.
        let asleep = std::mem::take(&mut queue.asleep);
        drop(queue);
        if asleep {
            self.wake.notify_one();
        }
    }

    /// Whether something waits that ends the driver.
    pub(crate) fn must_stop(&self) -> bool {
        let ends = |input: &Input| matches!(input, Input::Stop | Input::Ended(_));
        self.queue().inputs.iter().any(ends)
    }

    /// Swaps what has come into `inputs`, which is empty; waits for something until `deadline`.
    pub(crate) fn drain(&self, inputs: &mut Vec<Input>, deadline: Instant) {
        debug_assert!(inputs.is_empty(), "the last turn's inputs were taken");
        let mut queue = self.queue();
        while queue.inputs.is_empty() {
            let now = Instant::now();
            let Some(left) = deadline.checked_duration_since(now).filter(|left| !left.is_zero())
            else {
                return;
            };
            queue.asleep = true;
            let (woken, _) =
                self.wake.wait_timeout(queue, left).unwrap_or_else(PoisonError::into_inner);
            queue = woken;
            queue.asleep = false;
        }
        let crowded = queue.inputs.len() >= PEER_INPUTS_MAX;
        std::mem::swap(&mut queue.inputs, inputs);
        drop(queue);
        if crowded {
            self.drained.notify_waiters();
        }
    }
}
