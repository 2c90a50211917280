//! The log writer: takes everything that waits, writes it, syncs once.

use remex_consensus::{Entry, Event, HardState, Role};
use remex_log::{LogEntry, LogError};
use remex_model::Index;

use super::running::Running;
use super::{End, Inside};
use crate::around::Around;
use crate::plant::Plant;
use crate::violation::Stop;

/// A write that the core wants.
#[derive(Debug)]
pub(super) struct Write {
    number: u64,
    hard_state: Option<HardState>,
    entries: Vec<Entry>,
}

/// What waits for the disk.
#[derive(Debug, Default)]
pub(super) struct Writer {
    queue: Vec<Write>,
    /// Number of the last write that the sync under way covers, and how many it covers.
    syncing: Option<(u64, usize)>,
}

impl Writer {
    pub(super) fn is_idle(&self) -> bool {
        self.queue.is_empty() && self.syncing.is_none()
    }
}

impl Running {
    /// The core wants this written, at the end of the turn.
    pub(super) fn note_write(
        &mut self,
        number: u64,
        mut hard_state: Option<HardState>,
        entries: Vec<Entry>,
        around: &mut Around,
    ) -> Result<(), Stop> {
        around.trace.note([3, number, entries.len() as u64]);
        around.judge.appended(self.id, hard_state, &entries)?;
        let position = self.position;
        around.trace.line(around.now_us, || {
            let indexes: Vec<u64> = entries.iter().map(|entry| entry.index.get()).collect();
            format!("n{position} writes {number}: {hard_state:?}, entries {indexes:?}")
        });
        let leads = self.core.leadership().role == Role::Leader;
        match around.plant {
            Some(Plant::FollowerAcksUnsynced) if !leads => {
                self.put(Event::Persisted { number }, around);
            }
            Some(Plant::LeaderCountsUnsynced) if leads => {
                self.put(Event::Persisted { number }, around);
            }
            Some(Plant::VoteNotSynced) if entries.is_empty() => hard_state = None,
            Some(Plant::CommitNotKept) => {
                hard_state = hard_state.map(|state| HardState { commit: Index(1), ..state });
            }
            Some(_) | None => {}
        }
        self.writer.queue.push(Write { number, hard_state, entries });
        Ok(())
    }

    /// Writes what waits, if the disk is free; the sync takes its time.
    pub(super) fn write(&mut self, around: &mut Around) -> Result<(), Stop> {
        if self.writer.syncing.is_some() || self.writer.queue.is_empty() {
            return Ok(());
        }
        let writes = std::mem::take(&mut self.writer.queue);
        around.coverage.group_commits += u64::from(writes.len() > 1);
        let last = writes.last().expect("there is at least one").number;
        self.writer.syncing = Some((last, writes.len()));
        for write in &writes {
            let entries: Vec<LogEntry> = write.entries.iter().map(to_log_entry).collect();
            let written = self.log.append(write.hard_state.map(to_log_hard_state), &entries);
            self.check_disk(written)?;
        }
        let mut delay = around.dice.around(around.settings.disk.sync_us);
        if self.slow_until_us > around.now_us {
            delay = around.dice.between(delay, delay + 2_000_000);
        }
        if around.settings.disk.inline_sync {
            // The driver itself waits for the disk, and takes no turn meanwhile.
            self.pause(around.now_us + delay);
        }
        self.schedule(delay, Inside::Synced, around);
        let chance = around.settings.faults.cut_at_sync;
        self.lose_power_soon(chance, delay + 200, around);
        Ok(())
    }

    /// The disk has synced what was written.
    pub(super) fn synced(&mut self, around: &mut Around) -> Result<(), Stop> {
        let (number, writes) = self.writer.syncing.take().expect("a sync is under way");
        let synced = self.log.sync();
        self.check_disk(synced)?;
        around.judge.synced(self.id, writes)?;
        let position = self.position;
        around.trace.line(around.now_us, || format!("n{position} synced write {number}"));
        self.put(Event::Persisted { number }, around);
        self.write(around)
    }

    /// A disk that fails or is full by plan ends the process; anything else is a finding.
    pub(super) fn check_disk<T>(&self, result: Result<T, LogError>) -> Result<T, Stop> {
        match result {
            Ok(done) => Ok(done),
            Err(_) if self.disk.is_cut() => Err(Stop::Ended(End::PowerCut)),
            Err(LogError::Full(_)) if self.disk_full => Err(Stop::Ended(End::DiskFull)),
            Err(LogError::Io(_)) if self.disk_fails => Err(Stop::Ended(End::DiskFailed)),
            Err(error) if error.is_damage() && self.log_rotten => Err(Stop::Ended(End::LogRotten)),
            Err(error) => Err(Stop::Broken(("log", format!("node {}: {error}", self.position)))),
        }
    }
}

fn to_log_entry(entry: &Entry) -> LogEntry {
    LogEntry {
        index: entry.index.get(),
        term: entry.term.get(),
        kind: entry.kind.to_byte(),
        data: entry.data.clone(),
    }
}

fn to_log_hard_state(state: HardState) -> remex_log::HardState {
    remex_log::HardState {
        term: state.term.get(),
        vote: state.vote.map_or(0, remex_model::NodeId::get),
        commit: state.commit.get(),
    }
}
