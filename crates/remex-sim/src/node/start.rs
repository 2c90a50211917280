//! A node comes up: recovery of the log and the state, then a core that goes on from both.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use remex_consensus::{Config, Core};
use remex_engine::MemoryEngine;
use remex_log::memory_disk::MemoryDisk;
use remex_log::{Log, OpenError, Options, Owner};
use remex_model::NodeId;
use remex_state::State;

use super::running::Running;
use super::writer::Writer;
use super::{End, Inside, Life, Media, Node};
use crate::around::Around;
use crate::plant::Plant;
use crate::violation::Stop;

/// Changes to the disk in a recovery after which the power may fail.
const CHANGES_MAX: u64 = 12;

impl Node {
    /// Starts the process, unless it runs or there is nothing to start.
    pub(crate) fn start(&mut self, around: &mut Around) -> Result<(), Stop> {
        let Some(id) = around.selves.at(self.position) else { return Ok(()) };
        if self.running.is_some() || self.life != Life::Member {
            return Ok(());
        }
        self.runs += 1;
        around.trace.note([7, self.position as u64, self.runs]);
        if !self.has_log {
            // Of an earlier self, or of a first start that was cut short.
            let full = self.disk_full;
            self.media =
                Media { pending: self.media.pending.take(), ..Media::empty(&mut self.dice) };
            self.media.disk.set_full(full);
        }
        if self.dice.chance(around.settings.disk.cut_in_recovery) {
            self.media.disk.cut_power_at(self.dice.between(1, CHANGES_MAX));
        }
        let installed = self.install(around)?;
        let state = self.open_state(id, around)?;
        if state.membership().was_removed(id) {
            return self.fails(End::Removed);
        }
        let mut log = self.open_log(id, around)?;
        let entries = self.read_log(id, &log, around)?;
        let entries = self.connect(id, (&mut log, entries), &state, installed, around)?;
        self.media.pending = None;
        let mut start = self.core_start(&log, &state, entries, around);
        if around.plant == Some(Plant::TailCutTooFar) {
            start.entries.pop();
            let last = start.entries.last().map_or(start.applied, |entry| entry.index);
            start.terms.retain(|&(first, _)| first <= last);
        }
        let session = match around.plant {
            Some(Plant::SessionReused) => self.position as u64 + 1,
            Some(_) | None => self.dice.number(),
        };
        let core = Core::new(self.config(id, session, around), start)
            .map_err(|error| ("start", format!("node {}: {error}", self.position)))?;
        self.has_log = true;
        let position = self.position;
        around.judge.started(id, core.applied());
        around.trace.line(around.now_us, || format!("n{position} STARTS as {id}: {core:?}"));
        self.run_on(id, session, core, log, state, around);
        Ok(())
    }

    /// The process runs from now on.
    fn run_on(
        &mut self,
        id: NodeId,
        session: u64,
        core: Core,
        log: Log<MemoryDisk>,
        state: State<MemoryEngine>,
        around: &mut Around,
    ) {
        let tick_us = Running::draw_tick(around);
        let mut marks = self.remembered[0].clone();
        if !core.membership().is_empty() {
            marks.keep_members(core.membership());
        }
        let running = Running {
            position: self.position,
            id,
            run: self.runs,
            session,
            core,
            log,
            disk: self.media.disk.clone(),
            state,
            writer: Writer::default(),
            flushing: None,
            applied_before: self.applied_before,
            inbox: Vec::new(),
            turn_due: false,
            paused_until_us: 0,
            tick_us,
            ticks: 0,
            next_sequence: 0,
            waiting: BTreeMap::new(),
            forwards: BTreeSet::new(),
            slow_until_us: 0,
            disk_fails: false,
            disk_full: self.disk_full,
            log_rotten: self.media.log_rotten,
            engine_rotten: self.media.engine_rotten,
            spare: None,
            engine: Arc::clone(&self.media.engine),
            marks,
            greeted: BTreeMap::new(),
            removed_ticks: None,
            wanted: None,
            fetching: false,
            outgoing: None,
        };
        running.schedule(tick_us, Inside::Tick, around);
        let flush = around.dice.around(around.settings.disk.flush_every_us);
        running.schedule(flush, Inside::Background, around);
        self.running = Some(Box::new(running));
    }

    fn open_state(&mut self, id: NodeId, around: &mut Around) -> Result<State<MemoryEngine>, Stop> {
        if self.media.engine_rotten {
            return self.fails(End::EngineRotten);
        }
        let founders = around.settings.founders;
        let founded = (id.get() <= founders as u64).then(|| around.founding.clone());
        let options = remex_state::Options {
            retention: around.settings.retention,
            ..remex_state::Options::default()
        };
        State::open(Arc::clone(&self.media.engine), options, founded)
            .map_err(|fatal| ("state", format!("node {}: {fatal}", self.position)).into())
    }

    pub(super) fn log_options(&mut self, id: NodeId, around: &Around) -> Options {
        let owner = Owner { cluster: 1, node: id.get() };
        let mut options = Options::new(owner, self.dice.number());
        options.segment_bytes = around.settings.disk.segment_bytes;
        options
    }

    fn open_log(&mut self, id: NodeId, around: &mut Around) -> Result<Log<MemoryDisk>, Stop> {
        let options = self.log_options(id, around);
        let (log, recovered) = match Log::open(self.media.disk.clone(), options) {
            Ok(opened) => opened,
            Err(error) => {
                let planned = match error {
                    OpenError::Io(_) | OpenError::Read(_) if self.media.disk.is_cut() => {
                        Some(End::PowerCut)
                    }
                    OpenError::Full { .. } if self.disk_full => Some(End::DiskFull),
                    _ if error.is_damage() && self.media.log_rotten => Some(End::LogRotten),
                    _ => None,
                };
                return Err(self.start_failed(planned, &error));
            }
        };
        around.coverage.torn_tails += u64::from(recovered.cut.is_some());
        around.coverage.tails_rewritten += u64::from(recovered.rewritten_bytes > 0);
        Ok(log)
    }

    /// A start that failed by plan leaves the node down; any other is a finding.
    pub(super) fn start_failed(
        &mut self,
        planned: Option<End>,
        error: &dyn std::error::Error,
    ) -> Stop {
        match planned {
            Some(end) => {
                self.leave(end);
                Stop::Ended(end)
            }
            None => Stop::Broken(("log", format!("node {}: {error}", self.position))),
        }
    }

    /// The start ends like this.
    pub(super) fn fails<T>(&mut self, end: End) -> Result<T, Stop> {
        self.leave(end);
        Err(Stop::Ended(end))
    }

    fn config(&self, id: NodeId, session: u64, around: &Around) -> Config {
        let settings = &around.settings.core;
        Config {
            election_ticks: settings.election_ticks,
            heartbeat_ticks: settings.heartbeat_ticks,
            retry_ticks: settings.retry_ticks,
            snapshot_retry_ticks: settings.snapshot_retry_ticks,
            entry_bytes_max: settings.entry_bytes_max,
            message_bytes_max: settings.message_bytes_max,
            inflight_messages_max: settings.inflight_messages_max,
            uncommitted_bytes_max: settings.uncommitted_bytes_max,
            tail_bytes_max: settings.tail_bytes_max,
            ..Config::new(id, session)
        }
    }
}
