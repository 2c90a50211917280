//! Writing the log: group commit, on the driver's own thread or on one of its own.
//!
//! A write is an append and a sync. Where a sync takes microseconds the driver does both itself:
//! handing over to another thread and back costs two wake-ups, more than it gains, and what
//! arrives meanwhile shares the next write. Where a sync takes long the driver must not stand
//! still for it — heartbeats, reads and what the other nodes have committed go on without this
//! node's disk — so writes go to a thread ([`worker`]) that takes all that waits under one sync.
//! Which of the two is decided by how long syncs took lately.
//!
//! A full disk makes writes wait: nothing was written, and nothing is promised until it is. Any other
//! error ends the node. A sync is never tried again: after a failed one the page cache may show
//! data that the disk does not have (the "fsyncgate" of 2018).

mod worker;

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use remex_consensus::{Entry, EntryKind, HardState};
use remex_log::{FileDisk, Log, LogEntry, LogError};
use remex_model::{Index, NodeId, Term};

use self::worker::Worker;
use crate::Fatal;
use crate::ending::Ending;
use crate::inbox::Inbox;
use crate::meters::Meters;

/// A log that the driver writes and a background thread makes spare segments for.
pub(crate) type SharedLog = Arc<Mutex<Log<FileDisk>>>;

/// One write of the core.
pub(crate) type Write = (u64, Option<HardState>, Vec<Entry>);

/// Syncs that take longer than this on average are left to the thread...
const SLOW: Duration = Duration::from_millis(1);

/// ...until they take less than this again.
const FAST: Duration = Duration::from_micros(500);

/// What the driver is told of a write that the thread has done.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Synced {
    /// Everything up to this write is synced.
    pub(crate) number: u64,
    /// How many hand-overs that was.
    pub(crate) batches: u64,
    /// How long it took.
    pub(crate) took: Duration,
}

/// The writing side of the log.
#[derive(Debug)]
pub(crate) struct LogWriter {
    log: SharedLog,
    inbox: Arc<Inbox>,
    /// Reused for every write.
    entries: Vec<LogEntry>,
    /// How long a sync takes, averaged over about the last sixteen.
    average: Duration,
    slow: bool,
    worker: Option<Worker>,
    /// Hand-overs to the thread that it has not reported.
    outstanding: u64,
    /// Whether the end of the log is not marked as synced yet.
    unmarked: bool,
    /// What the disk had no room for, in order. Everything later waits behind it.
    waiting: VecDeque<Write>,
    meters: Arc<Meters>,
}

impl LogWriter {
    pub(crate) fn new(log: SharedLog, inbox: Arc<Inbox>, meters: Arc<Meters>) -> Self {
        Self {
            waiting: VecDeque::new(),
            meters,
            log,
            inbox,
            entries: Vec::new(),
            average: Duration::ZERO,
            slow: false,
            worker: None,
            outstanding: 0,
            unmarked: false,
        }
    }

    fn lock(&self) -> MutexGuard<'_, Log<FileDisk>> {
        self.log.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Appends and syncs, or has the thread do it. Returns the number up to which everything is
    /// synced, if that is known already; otherwise it comes as [`crate::inbox::Input::Synced`].
    pub(crate) fn write(&mut self, writes: Vec<Write>) -> Result<Option<u64>, Ending> {
        if writes.is_empty() {
            return Ok(None);
        }
        self.unmarked = true;
        self.waiting.extend(writes);
        // Writes stay in order: while the thread has some, it gets the next as well.
        if self.slow || self.outstanding > 0 {
            let writes = self.waiting.drain(..).collect();
            self.hand_over(writes)?;
            return Ok(None);
        }
        self.write_waiting()
    }

    /// Whether the disk has no room for what is to be written.
    pub(crate) fn is_held_up(&self) -> bool {
        !self.waiting.is_empty()
    }

    /// Tries again what the disk had no room for. As [`LogWriter::write`].
    pub(crate) fn retry(&mut self) -> Result<Option<u64>, Ending> {
        if self.waiting.is_empty() { Ok(None) } else { self.write_waiting() }
    }

    fn write_waiting(&mut self) -> Result<Option<u64>, Ending> {
        let begun = Instant::now();
        let mut log = self.log.lock().unwrap_or_else(PoisonError::into_inner);
        let last = append(&mut log, &mut self.waiting, &mut self.entries)?;
        if last.is_some() {
            log.sync().map_err(cannot_write)?;
            drop(log);
            let took = begun.elapsed();
            self.meters.log_sync.note(took);
            self.note(took);
        }
        Ok(last)
    }

    fn hand_over(&mut self, writes: Vec<Write>) -> Result<(), Ending> {
        let worker =
            match self.worker.take() {
                Some(worker) => worker,
                None => Worker::start(Arc::clone(&self.log), Arc::clone(&self.inbox)).map_err(
                    |error| Fatal::Failed(format!("cannot start the log's thread: {error}")),
                )?,
            };
        worker.send(writes);
        self.worker = Some(worker);
        self.outstanding += 1;
        Ok(())
    }

    /// The thread has done its work up to here.
    pub(crate) fn synced(&mut self, synced: Synced) {
        self.outstanding = self.outstanding.saturating_sub(synced.batches);
        self.note(synced.took);
    }

    /// Notes how long a sync took.
    fn note(&mut self, took: Duration) {
        self.average = (self.average * 15 + took) / 16;
        let slow = if self.slow { self.average >= FAST } else { self.average > SLOW };
        if slow != self.slow {
            self.slow = slow;
            let average_us = u64::try_from(self.average.as_micros()).unwrap_or(u64::MAX);
            tracing::info!(average_us, slow, "syncs of the log are left to a thread while slow");
        }
    }

    /// Waits until everything that was handed over is synced.
    pub(crate) fn close(&mut self) -> Result<(), Ending> {
        if let Some(worker) = self.worker.take() {
            worker.join()?;
            self.outstanding = 0;
        }
        self.mark_synced()
    }

    /// Writes down that the end of the log is synced, if nobody did: damage there is then told
    /// from a write that was torn. For idle moments and the end.
    pub(crate) fn mark_synced(&mut self) -> Result<(), Ending> {
        if self.outstanding == 0 && std::mem::take(&mut self.unmarked) {
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
    ) -> Result<Vec<Entry>, Ending> {
        let log = self.lock();
        if from.get() < log.first_index() {
            return Ok(Vec::new());
        }
        let entries = log
            .read(from.get(), to.get(), bytes_max)
            .map_err(|error| Ending::of_log("cannot read the log", &error))?;
        Ok(entries.into_iter().map(from_log).collect::<Result<_, _>>()?)
    }

    /// First entry and bytes on disk; `None` while the log is busy.
    pub(crate) fn usage(&self) -> Option<(u64, u64)> {
        let log = self.log.try_lock().ok()?;
        Some((log.first_index(), log.disk_bytes()))
    }
}

/// Appends writes, as many as the disk has room for, and takes them off the queue; the caller syncs.
/// Returns the number of the last one. `entries` is room to work in.
fn append(
    log: &mut Log<FileDisk>,
    writes: &mut VecDeque<Write>,
    entries: &mut Vec<LogEntry>,
) -> Result<Option<u64>, Ending> {
    let mut last = None;
    while let Some((number, hard_state, new)) = writes.front() {
        entries.clear();
        entries.extend(new.iter().cloned().map(to_log));
        match log.append(hard_state.map(hard_state_to_log), entries) {
            Ok(()) => last = Some(*number),
            Err(LogError::Full(_)) => break,
            Err(error) => return Err(cannot_write(error)),
        }
        writes.pop_front();
    }
    entries.clear();
    Ok(last)
}

fn cannot_write(error: LogError) -> Ending {
    Ending::of_log("cannot write the log", &error)
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
        Fatal::Failed(format!(
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

#[cfg(test)]
mod tests {
    use remex_log::{Options, Owner};

    use super::*;
    use crate::inbox::Input;

    fn open(path: &std::path::Path) -> Log<FileDisk> {
        let options =
            Options { segment_bytes: 256 * 1024, ..Options::new(Owner { cluster: 1, node: 2 }, 3) };
        Log::open(FileDisk::open(path).unwrap(), options).unwrap().0
    }

    fn write(number: u64) -> Write {
        let (index, term) = (Index(number), Term(1));
        let data = bytes::Bytes::from(number.to_string());
        (number, None, vec![Entry { index, term, kind: EntryKind::Data, data }])
    }

    /// Number and batches of everything that was reported.
    fn reported(inbox: &Inbox, inputs: &mut Vec<Input>) -> Vec<(u64, u64)> {
        let soon = Instant::now() + Duration::from_secs(10);
        inbox.drain(inputs, soon);
        let synced = inputs.drain(..).map(|input| match input {
            Input::Synced(synced) => (synced.number, synced.batches),
            other => panic!("nothing else was sent: {other:?}"),
        });
        synced.collect()
    }

    #[test]
    fn slow_syncs_go_to_the_thread_and_come_back_in_order() {
        let folder = tempfile::tempdir().unwrap();
        let inbox = Arc::new(Inbox::default());
        let log = Arc::new(Mutex::new(open(folder.path())));
        let mut writer = LogWriter::new(Arc::clone(&log), Arc::clone(&inbox), Arc::default());
        assert_eq!(writer.write(vec![write(1)]).unwrap(), Some(1));
        // Whatever that took on this disk: one fast sync is enough now.
        (writer.slow, writer.average) = (true, FAST);
        for number in 2..=20 {
            assert_eq!(writer.write(vec![write(number)]).unwrap(), None);
        }
        let (mut batches, mut last, mut inputs) = (0, 1, Vec::new());
        while last < 20 {
            for (number, count) in reported(&inbox, &mut inputs) {
                assert!(number > last, "reports come in order");
                (last, batches) = (number, batches + count);
                writer.synced(Synced { number, batches: count, took: Duration::ZERO });
            }
        }
        assert_eq!((batches, writer.outstanding), (19, 0));
        assert!(!writer.slow, "fast syncs bring the writing back");
        assert_eq!(writer.write(vec![write(21)]).unwrap(), Some(21));
        writer.close().unwrap();
        drop((writer, log));
        let log = open(folder.path());
        assert_eq!(log.read(1, 22, usize::MAX).unwrap().len(), 21);
    }

    #[test]
    fn what_was_handed_over_is_synced_before_the_end() {
        let folder = tempfile::tempdir().unwrap();
        let inbox = Arc::new(Inbox::default());
        let log = Arc::new(Mutex::new(open(folder.path())));
        let mut writer = LogWriter::new(Arc::clone(&log), inbox, Arc::default());
        writer.slow = true;
        for number in 1..=9 {
            writer.write(vec![write(number)]).unwrap();
        }
        writer.close().unwrap();
        drop((writer, log));
        assert_eq!(open(folder.path()).last_index(), 9);
    }

    #[test]
    fn a_driver_that_ends_early_leaves_nobody_behind_who_writes_the_log() {
        let folder = tempfile::tempdir().unwrap();
        let inbox = Arc::new(Inbox::default());
        let log = Arc::new(Mutex::new(open(folder.path())));
        for _ in 0..20 {
            let mut writer = LogWriter::new(Arc::clone(&log), Arc::clone(&inbox), Arc::default());
            writer.slow = true;
            let next = log.lock().unwrap().last_index() + 1;
            for number in next..next + 50 {
                writer.write(vec![write(number)]).unwrap();
            }
            drop(writer);
            assert_eq!(Arc::strong_count(&log), 1, "the thread has ended");
        }
    }

    #[test]
    fn one_slow_sync_among_fast_ones_changes_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let log = Arc::new(Mutex::new(open(folder.path())));
        let mut writer = LogWriter::new(log, Arc::new(Inbox::default()), Arc::default());
        writer.note(Duration::from_millis(10));
        assert!(!writer.slow);
        for _ in 0..8 {
            writer.note(Duration::from_millis(10));
        }
        assert!(writer.slow);
        writer.note(Duration::from_micros(30));
        assert!(writer.slow, "it takes more than one to believe it");
        for _ in 0..64 {
            writer.note(Duration::from_micros(30));
        }
        assert!(!writer.slow);
    }
}
