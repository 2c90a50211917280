//! A node comes up: recovery of the log and the state, then a core that goes on from both.

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::sync::Arc;

use remex_consensus::{Config, Core};
use remex_log::memory_disk::MemoryDisk;
use remex_log::{Log, LogError, OpenError, Options, Owner};
use remex_state::State;

use super::found;
use super::running::Running;
use super::writer::Writer;
use super::{End, Inside, Node};
use crate::around::Around;
use crate::plant::Plant;
use crate::violation::Stop;

/// Changes to the disk in a recovery after which the power may fail.
const CHANGES_MAX: u64 = 12;

impl Node {
    /// Starts the process, unless it runs.
    pub(crate) fn start(&mut self, around: &mut Around) -> Result<(), Stop> {
        if self.running.is_some() {
            return Ok(());
        }
        self.runs += 1;
        around.trace.note([7, self.position as u64, self.runs]);
        let log = self.open_log(around)?;
        let founders = found::membership(&around.selves);
        let options = remex_state::Options {
            retention: around.settings.retention,
            ..remex_state::Options::default()
        };
        let state = State::open(Arc::clone(&self.media.engine), options, Some(founders))
            .map_err(|fatal| ("state", format!("node {}: {fatal}", self.position)))?;
        let mut start = self.read_start(&log, &state, around)?;
        if around.plant == Some(Plant::TailCutTooFar) {
            start.entries.pop();
            let last = start.entries.last().map_or(start.applied, |entry| entry.index);
            start.terms.retain(|&(first, _)| first <= last);
        }
        let session = match around.plant {
            Some(Plant::SessionReused) => self.position as u64 + 1,
            Some(_) | None => self.dice.number(),
        };
        let core = Core::new(self.config(session, around), start)
            .map_err(|error| ("start", format!("node {}: {error}", self.position)))?;
        let position = self.position;
        around.trace.line(around.now_us, || format!("n{position} STARTS {core:?}"));
        let tick_us = Running::draw_tick(around);
        let running = Running {
            position,
            id: self.id,
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
            spare: None,
            engine: Arc::clone(&self.media.engine),
        };
        running.schedule(tick_us, Inside::Tick, around);
        let flush = around.dice.around(around.settings.disk.flush_every_us);
        running.schedule(flush, Inside::Background, around);
        self.running = Some(Box::new(running));
        Ok(())
    }

    fn open_log(&mut self, around: &mut Around) -> Result<Log<MemoryDisk>, Stop> {
        if self.dice.chance(around.settings.disk.cut_in_recovery) {
            self.media.disk.cut_power_at(self.dice.between(1, CHANGES_MAX));
        }
        let owner = Owner { cluster: 1, node: self.id.get() };
        let mut options = Options::new(owner, self.dice.number());
        options.segment_bytes = around.settings.disk.segment_bytes;
        let (mut log, recovered) = match Log::open(self.media.disk.clone(), options) {
            Ok(opened) => opened,
            Err(error) => {
                let planned = match error {
                    OpenError::Io(_) | OpenError::Read(_) if self.media.disk.is_cut() => {
                        Some(End::PowerCut)
                    }
                    OpenError::Full { .. } if self.disk_full => Some(End::DiskFull),
                    _ => None,
                };
                return Err(self.start_failed(planned, &error));
            }
        };
        if log.last_index() == 0 && !self.has_log {
            if let Err(error) = found::begin(&mut log) {
                let planned = match error {
                    LogError::Io(_) if self.media.disk.is_cut() => Some(End::PowerCut),
                    LogError::Full(_) if self.disk_full => Some(End::DiskFull),
                    _ => None,
                };
                return Err(self.start_failed(planned, &error));
            }
            self.has_log = true;
        }
        around.coverage.torn_tails += u64::from(recovered.cut.is_some());
        around.coverage.tails_rewritten += u64::from(recovered.rewritten_bytes > 0);
        Ok(log)
    }

    /// A start that failed by plan leaves the node down; any other is a finding.
    fn start_failed(&mut self, planned: Option<End>, error: &dyn std::error::Error) -> Stop {
        match planned {
            Some(end) => {
                self.leave(end);
                Stop::Ended(end)
            }
            None => Stop::Broken(("log", format!("node {}: {error}", self.position))),
        }
    }

    fn config(&self, session: u64, around: &Around) -> Config {
        let settings = &around.settings.core;
        Config {
            election_ticks: settings.election_ticks,
            heartbeat_ticks: settings.heartbeat_ticks,
            retry_ticks: settings.retry_ticks,
            entry_bytes_max: settings.entry_bytes_max,
            message_bytes_max: settings.message_bytes_max,
            inflight_messages_max: settings.inflight_messages_max,
            uncommitted_bytes_max: settings.uncommitted_bytes_max,
            tail_bytes_max: settings.tail_bytes_max,
            ..Config::new(self.id, session)
        }
    }
}
