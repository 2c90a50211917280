//! Writing the log: group commit, on the driver's own thread or on one of its own.
//!
//! A write is an append and a sync. With little to write the driver does both itself: handing
//! over to another thread and back would cost two wake-ups, more than it gains. The rest of the
//! design batches around that: what arrives while the driver syncs shares the next write.
//!
//! An error ends the node. A sync is never tried again: after a failed one the page cache may
//! show data that the disk does not have (the "fsyncgate" of 2018).

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use remex_consensus::{Entry, EntryKind, HardState};
use remex_log::{FileDisk, Log, LogEntry};
use remex_model::{Index, NodeId, Term};

use crate::Fatal;

/// A log that the driver writes and a background thread makes spare segments for.
pub(crate) type SharedLog = Arc<Mutex<Log<FileDisk>>>;

/// One write of the core.
pub(crate) type Write = (u64, Option<HardState>, Vec<Entry>);

/// The writing side of the log.
#[derive(Debug)]
pub(crate) struct LogWriter {
    log: SharedLog,
    /// Reused for every write.
    entries: Vec<LogEntry>,
    /// Whether the end of the log is not marked as synced yet.
    unmarked: bool,
}

impl LogWriter {
    pub(crate) fn new(log: SharedLog) -> Self {
        Self { log, entries: Vec::new(), unmarked: false }
    }

    fn lock(&self) -> MutexGuard<'_, Log<FileDisk>> {
        self.log.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Appends and syncs. Returns the number up to which everything is synced, if anything was
    /// written.
    pub(crate) fn write(&mut self, writes: Vec<Write>) -> Result<Option<u64>, Fatal> {
        let Some(&(last, _, _)) = writes.last() else { return Ok(None) };
        let mut log = self.log.lock().unwrap_or_else(PoisonError::into_inner);
        for (_, hard_state, entries) in writes {
            self.entries.clear();
            self.entries.extend(entries.into_iter().map(to_log));
            log.append(hard_state.map(hard_state_to_log), &self.entries).map_err(cannot_write)?;
        }
        log.sync().map_err(cannot_write)?;
        self.entries.clear();
        self.unmarked = true;
        Ok(Some(last))
    }

    /// Writes down that the end of the log is synced, if nobody did: damage there is then told
    /// from a write that was torn. For idle moments and the end.
    pub(crate) fn mark_synced(&mut self) -> Result<(), Fatal> {
        if std::mem::take(&mut self.unmarked) {
            self.lock().mark_synced().map_err(cannot_write)?;
        }
        Ok(())
    }

    /// Reads entries that have left memory.
    pub(crate) fn read(
        &self,
        from: Index,
        to: Index,
        bytes_max: usize,
    ) -> Result<Vec<Entry>, Fatal> {
        let log = self.lock();
        if from.get() < log.first_index() {
            return Ok(Vec::new());
        }
        let entries = log
            .read(from.get(), to.get(), bytes_max)
            .map_err(|error| Fatal(format!("cannot read the log: {error}")))?;
        entries.into_iter().map(from_log).collect()
    }

    /// First entry and bytes on disk; `None` while the log is busy.
    pub(crate) fn usage(&self) -> Option<(u64, u64)> {
        let log = self.log.try_lock().ok()?;
        Some((log.first_index(), log.disk_bytes()))
    }
}

fn cannot_write(error: remex_log::LogError) -> Fatal {
    Fatal(format!("cannot write the log: {error}"))
}

fn to_log(entry: Entry) -> LogEntry {
    LogEntry {
        index: entry.index.get(),
        term: entry.term.get(),
        kind: entry.kind.to_byte(),
        data: entry.data,
    }
}

/// An entry of the log as the core knows it.
pub(crate) fn from_log(entry: LogEntry) -> Result<Entry, Fatal> {
    let kind = EntryKind::from_byte(entry.kind).ok_or_else(|| {
        Fatal(format!(
            "entry {} is of a kind ({}) that this version does not know; was it written by a \
             newer one?",
            entry.index, entry.kind
        ))
    })?;
    Ok(Entry { index: Index(entry.index), term: Term(entry.term), kind, data: entry.data })
}

fn hard_state_to_log(state: HardState) -> remex_log::HardState {
    remex_log::HardState {
        term: state.term.get(),
        vote: state.vote.map_or(0, NodeId::get),
        commit: state.commit.get(),
    }
}

/// A hard state of the log as the core knows it.
pub(crate) fn hard_state_from_log(state: remex_log::HardState) -> HardState {
    HardState {
        term: Term(state.term),
        vote: (state.vote != 0).then_some(NodeId(state.vote)),
        commit: Index(state.commit),
    }
}
