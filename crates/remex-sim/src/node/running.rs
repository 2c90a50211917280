//! A node that is up.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use remex_consensus::{Core, Event, Role};
use remex_engine::MemoryEngine;
use remex_log::memory_disk::MemoryDisk;
use remex_log::{Log, Spare};
use remex_model::{Index, NodeId};
use remex_state::{Frozen, State};

use super::request::Waiting;
use super::writer::Writer;
use super::{Inside, inside};
use crate::around::{Around, Happening};
use crate::dice::PerMyriad;
use crate::judge::Standing;
use crate::violation::Stop;

/// Microseconds between two ticks of a perfect clock.
const TICK_US: u64 = 50_000;

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

    /// If this node leads: the last entry that every member has acknowledged to it.
    pub(crate) fn matched_everywhere(&self) -> Option<Index> {
        self.core.progress().into_iter().map(|member| member.matched).min()
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

    /// Leadership is to go to another node.
    pub(crate) fn hand_over(&mut self, around: &mut Around) {
        if self.core.leadership().role == Role::Leader {
            self.put(Event::Transfer { to: None }, around);
        }
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
        let standing = Standing {
            term: self.core.leadership().term,
            commit: self.core.commit(),
            applied: self.state.applied(),
            revision: self.state.revision(),
        };
        around.trace.note([standing.commit.get(), standing.applied.get()]);
        let (position, core) = (self.position, &self.core);
        around.trace.line(around.now_us, || format!("n{position}    {core:?}"));
        around.judge.turn_ended(self.id, standing)?;
        Ok(())
    }

    /// The length of a tick of a clock that is off by up to two percent.
    pub(super) fn draw_tick(around: &mut Around) -> u64 {
        around.dice.between(TICK_US - TICK_US / 50, TICK_US + TICK_US / 50)
    }
}
