//! The driver: the thread that turns what happens into events of the consensus core and carries
//! out the core's effects, in order.
//!
//! One turn takes everything that waits in the inbox. That is what batches: while a turn writes
//! to the disk, the next one's work piles up and shares one entry, one message a peer and one
//! sync. The thread sleeps only when nothing is left to do.
//!
//! The state machine is applied here, under its lock; readers share the lock on other threads.

mod effects;
mod replies;
mod watching;

pub(crate) use self::effects::Outboxes;
pub(crate) use self::replies::{Replies, stopped};

use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use remex_consensus::{Core, Effect, Event};
use remex_model::{Index, NodeId};

use crate::board::Board;
use crate::checkpoints::Checkpoints;
use crate::cluster::Cluster;
use crate::ending::{Damage, Damaged, Ending};
use crate::inbox::{ChangeError, Expulsion, Inbox, Input};
use crate::log_writer::LogWriter;
use crate::meters::Meters;
use crate::parts::SharedState;
use crate::peer::hello::Position;
use crate::snapshots::{Fetcher, Shelf};

/// Ticks without a write after which the end of the log is marked as synced.
const IDLE_TICKS: u64 = 4;

/// Ticks that a removed node stays: about two seconds.
const REMOVED_TICKS: u64 = 40;

/// What the driver owns and what it works on.
pub(crate) struct Driver {
    pub(crate) core: Core,
    pub(crate) session: u64,
    pub(crate) tick: Duration,
    pub(crate) inbox: Arc<Inbox>,
    pub(crate) cluster: Arc<Cluster>,
    pub(crate) state: SharedState,
    pub(crate) board: Arc<Board>,
    pub(crate) log: LogWriter,
    pub(crate) outboxes: Outboxes,
    pub(crate) replies: Replies,
    pub(crate) checkpoints: Checkpoints,
    pub(crate) fetcher: Arc<Fetcher>,
    pub(crate) shelf: Shelf,
    pub(crate) meters: Arc<Meters>,
    pub(crate) last_leader: Option<NodeId>,
    /// Ticks since this node applied its own removal.
    pub(crate) removed_ticks: Option<u64>,
    /// Ticks since the other members were last looked at.
    pub(crate) watch_ticks: u64,
    /// Bytes of changes in memory at which applying waits for the disk.
    pub(crate) buffer_bytes_max: usize,
    /// Ticks since the log was last written.
    pub(crate) idle_ticks: u64,
    /// Events that effects of the last turn caused.
    pub(crate) follow_up: Vec<Event>,
}

impl Driver {
    /// Runs until it is told to stop or cannot go on; says why.
    pub(crate) fn run(mut self) -> Ending {
        let ending = match self.turns() {
            Ok(()) => Ending::Stopped,
            Err(ending) => ending,
        };
        self.replies.stop();
        ending
    }

    fn turns(&mut self) -> Result<(), Ending> {
        let mut inputs = Vec::new();
        let mut effects = Vec::new();
        let mut next_tick = Instant::now() + self.tick;
        loop {
            let deadline = if self.follow_up.is_empty() { next_tick } else { Instant::now() };
            self.inbox.drain(&mut inputs, deadline);
            let mut events = std::mem::take(&mut self.follow_up);
            let mut stop = false;
            for input in inputs.drain(..) {
                match input {
                    Input::Stop => stop = true,
                    Input::Ended(ending) => return Err(ending),
                    Input::Invited => return Err(Ending::Invited),
                    Input::Expelled(expulsion) => return Err(expelled(expulsion)),
                    Input::Fetched { index } => self.fetched(index)?,
                    input => events.push(self.event(input)),
                }
            }
            // One tick however long the turn took: after a pause of the whole process, time
            // has not passed for its peers' messages either, which wait in its sockets.
            let now = Instant::now();
            let ticked = now >= next_tick;
            if ticked {
                self.idle_ticks += 1;
                if self.idle_ticks == IDLE_TICKS {
                    self.log.mark_synced()?;
                }
                if let Some(number) = self.log.retry()? {
                    events.push(Event::Persisted { number });
                }
                self.watch_others()?;
                self.leave_when_removed()?;
                let late = (now - next_tick).as_nanos() / self.tick.as_nanos();
                if let Some(ticks) = u64::try_from(late).ok().filter(|&ticks| ticks > 0) {
                    events.push(Event::Late { ticks });
                }
                events.push(Event::Tick);
                next_tick = now + self.tick;
            }
            if !events.is_empty() {
                self.core.handle(events, wall_clock_ms(), &mut effects);
                let leadership = self.core.leadership();
                let (term, last_index) = (leadership.term, self.core.last_index());
                self.cluster.set_turn(leadership.leader, Position { term, last_index });
                self.carry_out(&mut effects)?;
                self.post(ticked);
            }
            if stop {
                return self.log.close();
            }
        }
    }

    /// Takes an input as an event of the core.
    fn event(&mut self, input: Input) -> Event {
        match input {
            Input::Core(event) => event,
            Input::Write { command, ttl_ticks, reply } => {
                let sequence = self.replies.expect_write(reply);
                Event::Propose { sequence, command, ttl_ticks }
            }
            Input::Read { ttl_ticks, reply } => {
                let sequence = self.replies.expect_read(reply);
                Event::Read { sequence, ttl_ticks }
            }
            Input::Change { changes, force, reply } => {
                let sequence = self.replies.expect_change(reply);
                Event::Change { sequence, changes, force }
            }
            Input::Synced(synced) => {
                self.log.synced(synced);
                self.meters.log_sync.note(synced.took);
                Event::Persisted { number: synced.number }
            }
            Input::Stop
            | Input::Ended(_)
            | Input::Invited
            | Input::Expelled(_)
            | Input::Fetched { .. } => unreachable!("the loop keeps these to itself"),
        }
    }

    /// A removed node answers votes for a while: others may need the old majority to learn of the
    /// removal. Then it ends.
    fn leave_when_removed(&mut self) -> Result<(), Ending> {
        let Some(ticks) = &mut self.removed_ticks else { return Ok(()) };
        *ticks += 1;
        if *ticks < REMOVED_TICKS {
            return Ok(());
        }
        Err(Ending::Removed("this node was removed from the cluster".to_owned()))
    }

    /// A snapshot waits to be installed. Meanwhile the log may have brought more.
    fn fetched(&self, index: Index) -> Result<(), Ending> {
        if index > self.core.applied() {
            return Err(Ending::Install);
        }
        self.shelf.discard_pending().map_err(|error| {
            Ending::Failed(crate::Fatal::Failed(format!("cannot remove a snapshot: {error}")))
        })
    }

    /// Posts what this turn changed on the board.
    fn post(&mut self, ticked: bool) {
        let (commit, last, pending) =
            (self.core.commit(), self.core.last_index(), self.replies.pending());
        let leadership = self.core.leadership();
        let progress = ticked.then(|| self.core.progress());
        let log = ticked.then(|| self.log.usage()).flatten();
        let applied = self.core.applied();
        self.board.update(|snapshot| {
            snapshot.leadership = leadership;
            snapshot.commit = commit;
            snapshot.applied = applied;
            snapshot.last = last;
            snapshot.pending = pending;
            if let Some(progress) = progress {
                snapshot.progress = progress;
            }
            if let Some((first, bytes)) = log {
                snapshot.log_first = Index(first);
                snapshot.log_bytes = bytes;
            }
        });
    }

    fn carry_out(&mut self, effects: &mut Vec<Effect>) -> Result<(), Ending> {
        let mut writes = Vec::new();
        for effect in effects.drain(..) {
            match effect {
                Effect::Send { to, message } => self.outboxes.add(to, &message),
                Effect::Persist { number, hard_state, entries } => {
                    writes.push((number, hard_state, entries));
                }
                Effect::Apply { entries } => {
                    // Nobody waits longer for a message because of what is applied here.
                    self.outboxes.flush(&self.cluster);
                    self.apply(entries)?;
                }
                Effect::ReadReady { sequences } => self.replies.reads_ready(sequences),
                Effect::ReadExpired { sequence } => {
                    let error = self.why_no_read();
                    self.replies.read_failed(sequence, error);
                }
                Effect::ProposalExpired { sequence, sent } => {
                    let error = self.why_no_write(sent);
                    self.replies.write_failed(sequence, error);
                }
                Effect::Fetch { fetch, from, to, bytes_max } => {
                    let entries = self.log.read(from, to, bytes_max)?;
                    self.follow_up.push(Event::Fetched { fetch, entries });
                }
                Effect::Leadership(leadership) => self.announce(leadership),
                Effect::ChangeRefused { sequence, refusal } => {
                    self.replies.changed(sequence, Err(ChangeError::Refused(refusal)));
                }
                Effect::NeedSnapshot { index, from, .. } => self.fetcher.want(from, index),
                Effect::Removed => {
                    tracing::warn!("this node was removed from the cluster; it stops in a moment");
                    self.removed_ticks = Some(0);
                }
                Effect::RolledBack { reason } => {
                    return Err(expelled(Expulsion::RolledBack(reason)));
                }
                Effect::Fatal { reason } => {
                    return Err(Ending::Failed(crate::Fatal::Failed(reason)));
                }
            }
        }
        self.outboxes.flush(&self.cluster);
        // Last, because it may take the time of a disk write: everything above is on its way.
        if !writes.is_empty() {
            self.idle_ticks = 0;
        }
        if let Some(number) = self.log.write(writes)? {
            self.follow_up.push(Event::Persisted { number });
        }
        Ok(())
    }
}

fn expelled(expulsion: Expulsion) -> Ending {
    match expulsion {
        Expulsion::Removed(reason) => Ending::Removed(reason),
        Expulsion::RolledBack(detail) => {
            Ending::Damaged(Damage { part: Damaged::RolledBack, detail })
        }
    }
}

/// The wall clock in milliseconds since 1970, for people to read; 0 if it is set before that.
fn wall_clock_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}
