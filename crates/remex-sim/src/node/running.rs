//! A node that is up.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use remex_consensus::{Core, Event, Marks, Role};
use remex_engine::MemoryEngine;
use remex_log::memory_disk::MemoryDisk;
use remex_log::{Log, Spare};
use remex_model::{Index, MemberChange, NodeId};
use remex_state::{Frozen, State};

use super::request::Waiting;
use super::writer::Writer;
use super::{End, Inside, Outgoing, inside};
use crate::around::{Around, Happening};
use crate::dice::PerMyriad;
use crate::judge::Standing;
use crate::violation::Stop;

/// Microseconds between two ticks of a perfect clock.
const TICK_US: u64 = 50_000;

/// Ticks that a removed node stays, and answers votes: about two seconds.
const REMOVED_TICKS: u64 = 40;

/// One run of a node's process.
pub(crate) struct Running {
    pub(super) position: usize,
    pub(super) id: NodeId,
    pub(super) run: u64,
    pub(super) session: u64,
    pub(super) core: Core,
    pub(super) log: Log<MemoryDisk>,
    pub(super) disk: MemoryDisk,
    pub(super) state: State<MemoryEngine>,
    pub(super) writer: Writer,
    /// The state's buffer that is on its way to the engine.
    pub(super) flushing: Option<Frozen<MemoryEngine>>,
    /// Entries up to here were applied before the restart.
    pub(super) applied_before: Index,
    pub(super) inbox: Vec<Event>,
    pub(super) turn_due: bool,
    /// The process stands still until then.
    pub(super) paused_until_us: u64,
    pub(super) tick_us: u64,
    /// Ticks of this run.
    pub(super) ticks: u64,
    pub(super) next_sequence: u64,
    pub(super) waiting: BTreeMap<u64, Waiting>,
    /// Forwards that were sent, to notice those that are sent again.
    pub(super) forwards: BTreeSet<u64>,
    pub(super) slow_until_us: u64,
    /// Whether a failure of its disk is planned.
    pub(super) disk_fails: bool,
    /// Whether its disk takes nothing new.
    pub(super) disk_full: bool,
    /// A segment made ahead of need, on its way to the log.
    pub(super) spare: Option<Spare<MemoryDisk>>,
    pub(super) engine: Arc<MemoryEngine>,
    /// Whether damage was done to its log or its engine.
    pub(super) log_rotten: bool,
    pub(super) engine_rotten: bool,
    /// What it remembers of the members' disks.
    pub(super) marks: Marks,
    /// Whom it speaks with, and which run of that process it greeted.
    pub(super) greeted: BTreeMap<NodeId, u64>,
    /// Ticks since it applied its own removal.
    pub(super) removed_ticks: Option<u64>,
    /// The snapshot that it needs: from whom, and what it must hold.
    pub(super) wanted: Option<(NodeId, Index)>,
    /// Whether it is about to fetch.
    pub(super) fetching: bool,
    /// The snapshot that it gives to others.
    pub(super) outgoing: Option<Outgoing>,
}

impl std::fmt::Debug for Running {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("Running")
            .field("position", &self.position)
            .field("id", &self.id)
            .field("run", &self.run)
            .field("core", &self.core)
            .field("state", &self.state)
            .finish_non_exhaustive()
    }
}

impl Running {
    pub(crate) fn core(&self) -> &Core {
        &self.core
    }

    pub(crate) fn id(&self) -> NodeId {
        self.id
    }

    pub(crate) fn leads(&self) -> bool {
        self.core.leadership().role == Role::Leader
    }

    pub(crate) fn applied(&self) -> Index {
        self.state.applied()
    }

    /// Schedules something inside this node.
    pub(super) fn schedule(&self, after_us: u64, what: Inside, around: &mut Around) {
        around.queue.push(around.now_us + after_us, inside(self.position, self.run, what));
    }

    /// Puts an event into the inbox; the driver wakes up soon.
    pub(crate) fn put(&mut self, event: Event, around: &mut Around) {
        self.inbox.push(event);
        if !self.turn_due {
            self.turn_due = true;
            let pause = self.paused_until_us.saturating_sub(around.now_us);
            let delay = pause + around.dice.between(0, 100);
            self.schedule(delay, Inside::Turn, around);
        }
    }

    /// The driver's timer wakes it up, and it takes its turn at once.
    pub(super) fn tick(&mut self, time_ms: u64, around: &mut Around) -> Result<(), Stop> {
        // After a pause there is one tick, however long it was, as in the product.
        let pause = self.paused_until_us.saturating_sub(around.now_us);
        let drift = around.dice.between(0, 1000);
        self.schedule(pause + self.tick_us + drift, Inside::Tick, around);
        if pause > 0 {
            return Ok(());
        }
        self.ticks += 1;
        if let Some(ticks) = &mut self.removed_ticks {
            *ticks += 1;
            if *ticks >= REMOVED_TICKS {
                return Err(Stop::Ended(End::Removed));
            }
        }
        self.tick_marks(around);
        self.inbox.push(Event::Tick);
        self.take_turn(time_ms, around)
    }

    /// The process stands still.
    pub(crate) fn pause(&mut self, until_us: u64) {
        self.paused_until_us = self.paused_until_us.max(until_us);
    }

    /// With this probability the power fails within this time.
    pub(super) fn lose_power_soon(&self, chance: PerMyriad, within_us: u64, around: &mut Around) {
        if around.dice.chance(chance) {
            around.coverage.power_cuts_at_a_bad_moment += 1;
            let after_us = around.dice.between(0, within_us);
            let (node, run) = (self.position, self.run);
            around.after(after_us, Happening::PowerCut { node, run });
        }
    }

    /// The node's disk takes long to sync.
    pub(crate) fn slow_down(&mut self, until_us: u64) {
        self.slow_until_us = until_us;
    }

    /// The node's clock goes this much faster or slower than it should.
    pub(crate) fn set_clock_rate(&mut self, percent: u64) {
        self.tick_us = TICK_US * 100 / percent;
    }

    /// Whether it was asked for a change, and has not looked at that yet.
    pub(crate) fn is_asked_to_change(&self) -> bool {
        self.inbox.iter().any(|event| matches!(event, Event::Change { .. }))
    }

    /// Somebody wants the membership changed, and asks this node.
    pub(crate) fn change(&mut self, changes: Vec<MemberChange>, force: bool, around: &mut Around) {
        self.next_sequence += 1;
        let sequence = self.next_sequence;
        self.put(Event::Change { sequence, changes, force }, around);
    }

    /// The driver wakes up because something waits, unless a tick was faster.
    pub(super) fn turn(&mut self, time_ms: u64, around: &mut Around) -> Result<(), Stop> {
        if self.paused_until_us > around.now_us {
            let rest = self.paused_until_us - around.now_us;
            self.schedule(rest, Inside::Turn, around);
            return Ok(());
        }
        self.turn_due = false;
        if self.inbox.is_empty() {
            return Ok(());
        }
        self.take_turn(time_ms, around)
    }

    /// The driver's turn: everything that waits, then everything that follows from it.
    fn take_turn(&mut self, time_ms: u64, around: &mut Around) -> Result<(), Stop> {
        let events = std::mem::take(&mut self.inbox);
        around.trace.note([events.len() as u64]);
        let mut effects = std::mem::take(&mut around.effects);
        self.core.handle(events, time_ms, &mut effects);
        self.carry_out(effects.drain(..), around)?;
        around.effects = effects;
        self.check_waiting()?;
        let leads = self.leads();
        let standing = Standing {
            term: self.core.leadership().term,
            commit: self.core.commit(),
            applied: self.state.applied(),
            revision: self.state.revision(),
        };
        around.trace.note([standing.commit.get(), standing.applied.get()]);
        let (position, core) = (self.position, &self.core);
        around.trace.line(around.now_us, || format!("n{position}    {core:?}"));
        around.judge.turn_ended(self.id, standing, leads)?;
        Ok(())
    }

    /// The length of a tick of a clock that is off by up to two percent.
    pub(super) fn draw_tick(around: &mut Around) -> u64 {
        around.dice.between(TICK_US - TICK_US / 50, TICK_US + TICK_US / 50)
    }
}
