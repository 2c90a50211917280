//! The life of a log as a script that meets every operation, at every place of a segment, with the
//! background's jobs between the appends. Played over and over, each time another call fails.

use bytes::Bytes;
use remex_log::memory_disk::{MemoryDisk, Survivors};
use remex_log::{
    HardState, Log, LogEntry, LogError, OpenError, Options, Position, Spare, TrimJob, Trimmed,
};

use crate::faulty::Faulty;
use crate::model::Tracked;
use crate::{OWNER, entry};

/// One line of the script.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Act {
    /// A new term and a vote, nothing else.
    Vote,
    /// So many entries of so many bytes, behind the last one.
    Append(u64, usize),
    /// A new term, whose entries replace so many of the last ones: how many, and how many new.
    Replace(u64, u64),
    Sync,
    Mark,
    /// The background asks what it can release: up to so many before the last entry that is sure
    /// to survive, keeping so many bytes.
    TakeTrim(u64, u64),
    RunTrim,
    FinishTrim,
    /// All of that, until there is nothing left to release.
    TrimAll,
    MakeSpare,
    AddSpare,
    /// A snapshot, so many entries ahead of the last one.
    StartAhead(u64),
    /// A snapshot of another history, so many entries before the last one.
    StartBack(u64),
    ReadAll,
    /// The process ends and the next one opens the log.
    Reopen,
}

use Act::{
    AddSpare, Append, FinishTrim, MakeSpare, Mark, ReadAll, Reopen, Replace, RunTrim, StartAhead,
    StartBack, Sync, TakeTrim, TrimAll, Vote,
};

/// Every operation, before and behind every other one that it could disturb.
#[rustfmt::skip]
pub(crate) const SCRIPT: &[Act] = &[
    // A founded node: its state begins at entry 1.
    StartAhead(1), Sync, Vote, Sync, Append(1, 100), Sync, Append(3, 200), Sync, Mark, ReadAll,
    // Segments go over into each other, with a spare made ahead and without.
    MakeSpare, Append(2, 2000), AddSpare, Append(1, 3000), Sync, Append(2, 3500), Sync, Vote,
    Append(5, 3000), Sync, ReadAll,
    // Nothing to release, then one segment, while appends go on.
    TakeTrim(100, 0), TakeTrim(3, 0), Append(2, 900), RunTrim, Sync, Append(1, 3000), FinishTrim,
    ReadAll, Sync, Mark, Reopen,
    // What is replaced, synced and not, and released before and behind the sync.
    Append(4, 700), Sync, Replace(3, 2), TakeTrim(0, 0), RunTrim, FinishTrim, Sync, TakeTrim(0, 0),
    RunTrim, MakeSpare, FinishTrim, AddSpare, Replace(1, 1), Append(2, 2500), Replace(2, 4),
    ReadAll, Reopen, Vote, Sync, Mark, Reopen, Reopen,
    // Whole segments become void, and must stay until that is synced.
    Append(1, 10), Sync, TrimAll, Append(9, 2500), Sync, Replace(9, 1), TrimAll, ReadAll, Sync,
    TrimAll, Append(12, 2500), Sync, TrimAll, StartAhead(2), TrimAll, Append(2, 3000), TrimAll,
    // Bytes are kept.
    Append(6, 2500), Sync, TakeTrim(0, 16384), RunTrim, FinishTrim, TakeTrim(0, 8192), RunTrim,
    FinishTrim, TakeTrim(0, 1 << 40), ReadAll,
    // Snapshots: ahead of the log, in its middle, followed at once by entries and by another one.
    Append(3, 1000), StartAhead(5), TakeTrim(0, 1 << 40), Sync, TakeTrim(0, 1 << 40), RunTrim,
    FinishTrim, TakeTrim(0, 1 << 40), RunTrim, Append(2, 2000), FinishTrim, Sync, ReadAll,
    Append(4, 1500), Sync, StartBack(2), Append(1, 10), Sync, ReadAll, Reopen,
    StartAhead(3), StartAhead(4), Append(2, 3000), Mark, Reopen,
    // A job that is given up, and one whose result is lost with the process.
    Append(5, 2500), Sync, TakeTrim(1, 0), TakeTrim(1, 0), RunTrim, Reopen, TakeTrim(1, 0), RunTrim,
    FinishTrim, Vote, Append(1, 2), Sync, Append(3, 3900), ReadAll,
];

/// Why a life was interrupted.
#[derive(Debug)]
pub(crate) enum Failure {
    Open(OpenError),
    Log(LogError),
}

impl From<LogError> for Failure {
    fn from(error: LogError) -> Self {
        Self::Log(error)
    }
}

/// A log that follows the script.
pub(crate) struct Life {
    pub(crate) disk: Faulty,
    pub(crate) tracked: Tracked,
    /// None before it was opened, and if that failed.
    pub(crate) log: Option<Log<Faulty>>,
    segment_bytes: u64,
    opened: u64,
    term: u64,
    trim_job: Option<TrimJob<Faulty>>,
    trimmed: Option<Trimmed>,
    spare: Option<Spare<Faulty>>,
    /// How often the disk was full, and the log was none the worse for it.
    pub(crate) refusals: u32,
}

impl Life {
    pub(crate) fn new(disk: Faulty, segment_bytes: u64) -> Self {
        Self {
            disk,
            tracked: Tracked::new(),
            log: None,
            segment_bytes,
            opened: 0,
            term: 1,
            trim_job: None,
            trimmed: None,
            spare: None,
            refusals: 0,
        }
    }

    /// Opens the log and plays all of the script, twice: the second time everything falls on other
    /// places of the segments.
    pub(crate) fn play(&mut self) -> Result<(), Failure> {
        self.open()?;
        for act in SCRIPT.iter().chain(SCRIPT) {
            self.act(*act)?;
        }
        Ok(())
    }

    /// Opens the log, and again if the disk was full: it is not for long.
    pub(crate) fn open(&mut self) -> Result<(), Failure> {
        self.opened += 1;
        let options = || options(self.segment_bytes, self.opened);
        let opened = match Log::open(self.disk.clone(), options()) {
            Err(OpenError::Full { .. }) => {
                self.refusals += 1;
                self.disk.memory.set_full(false);
                Log::open(self.disk.clone(), options())
            }
            opened => opened,
        };
        let (log, _) = opened.map_err(Failure::Open)?;
        self.disk.aside(|| self.tracked.recovered(&log));
        self.log = Some(log);
        Ok(())
    }

    fn act(&mut self, act: Act) -> Result<(), Failure> {
        let log = self.log.as_mut().expect("it is open");
        match act {
            Vote => {
                self.term += 1;
                self.append(true, Vec::new())
            }
            Append(count, bytes) => {
                let next = self.tracked.now().last_index() + 1;
                let entries = next..next + count;
                self.append(false, entries.map(|index| entry(index, self.term, bytes)).collect())
            }
            Replace(back, count) => {
                self.term += 1;
                let next = self.tracked.now().last_index() + 1 - back;
                let entries = next..next + count;
                self.append(true, entries.map(|index| entry(index, self.term, 300)).collect())
            }
            Sync => Ok(self.tracked.sync(log)?),
            Mark => Ok(log.mark_synced()?),
            TakeTrim(back, keep_bytes) => {
                let up_to = self.tracked.certain_index().saturating_sub(back);
                self.tracked.allow_trim(up_to);
                // The job before, if it was not run, is given up.
                self.trim_job = None;
                self.trim_job = log.trim_job(up_to, keep_bytes);
                Ok(())
            }
            RunTrim => self.run_trim(),
            TrimAll => self.trim_all(),
            FinishTrim => {
                if let Some(trimmed) = self.trimmed.take() {
                    drop(log.finish_trim(trimmed));
                }
                Ok(())
            }
            MakeSpare => {
                if let Some(job) = log.spare_job() {
                    match job.run() {
                        Err(LogError::Full(_)) => self.refused(),
                        made => self.spare = Some(made?),
                    }
                }
                Ok(())
            }
            AddSpare => {
                if let Some(spare) = self.spare.take() {
                    log.add_spare(spare);
                }
                Ok(())
            }
            StartAhead(ahead) => self.start_after(self.tracked.now().last_index() + ahead),
            StartBack(back) => self.start_after(self.tracked.now().last_index() - back),
            ReadAll => {
                let read = log.read(log.first_index(), log.last_index() + 1, usize::MAX)?;
                let now = self.tracked.now();
                let skipped = now.entries.len() - read.len();
                assert_eq!(read, now.entries[skipped..]);
                Ok(())
            }
            Reopen => {
                self.end_process();
                self.open()
            }
        }
    }

    /// Everything in memory is gone; the page cache is not.
    fn end_process(&mut self) {
        (self.log, self.trim_job, self.trimmed, self.spare) = (None, None, None, None);
    }

    fn trim_all(&mut self) -> Result<(), Failure> {
        self.act(FinishTrim)?;
        loop {
            self.act(TakeTrim(0, 0))?;
            if self.trim_job.is_none() {
                return Ok(());
            }
            self.act(RunTrim)?;
            self.act(FinishTrim)?;
        }
    }

    fn run_trim(&mut self) -> Result<(), Failure> {
        let Some(job) = self.trim_job.take() else { return Ok(()) };
        match job.run() {
            Ok(trimmed) => self.trimmed = Some(trimmed),
            // A later job will do it.
            Err(LogError::Full(_)) => self.refused(),
            Err(error) => return Err(error.into()),
        }
        Ok(())
    }

    fn append(&mut self, vote: bool, entries: Vec<LogEntry>) -> Result<(), Failure> {
        let commit = self.tracked.certain_index();
        let hard_state = vote.then_some(HardState { term: self.term, vote: 2, commit });
        self.unless_full(|tracked, log| tracked.append(log, hard_state, &entries))
    }

    fn start_after(&mut self, index: u64) -> Result<(), Failure> {
        self.term += 1;
        let hard_state = Some(HardState { term: self.term, vote: 0, commit: index });
        let position = Position { index, term: self.term };
        self.unless_full(|tracked, log| tracked.start_after(log, hard_state, position))
    }

    /// Does it, and if the disk was full, checks what the log holds, and does it again.
    fn unless_full(
        &mut self,
        change: impl Fn(&mut Tracked, &mut Log<Faulty>) -> Result<(), LogError>,
    ) -> Result<(), Failure> {
        let log = self.log.as_mut().expect("it is open");
        let before = self.tracked.possible.len() - 1;
        match change(&mut self.tracked, log) {
            Err(LogError::Full(_)) => {}
            changed => return Ok(changed?),
        }
        let attempted = &self.tracked.possible[before..];
        let trimmed = self.tracked.trimmed;
        let holds = attempted.iter().position(|model| model.matches(log, trimmed));
        let appended = holds.expect("what was attempted is there in part, or not at all");
        // Only a directory without room for a name, or a spare that cannot be overwritten, lets an
        // append end in the middle.
        let named = self.disk.hit().is_some_and(|hit| hit.file.ends_with(".spare"));
        assert!(appended == 0 || named, "{:?} left {appended} entries", self.disk.hit());
        self.tracked.possible.truncate(before + appended + 1);
        self.refused();
        let log = self.log.as_mut().expect("it is open");
        Ok(change(&mut self.tracked, log)?)
    }

    fn refused(&mut self) {
        self.refusals += 1;
        self.disk.memory.set_full(false);
    }
}

/// Settings with segments of any size.
pub(crate) fn options(segment_bytes: u64, seed: u64) -> Options {
    Options { segment_bytes, ..Options::new(OWNER, seed) }
}

/// How a life ends.
#[derive(Clone, Copy, Debug)]
pub(crate) enum End {
    /// The process is killed; the page cache stays as it is.
    Kill,
    /// Likewise, but then clean pages are read from the disk again.
    KillAndDropCaches,
    /// The power is cut; so much of the bytes and of the names survives.
    Cut(Survivors, Survivors),
}

impl End {
    pub(crate) fn all() -> Vec<Self> {
        let survivors = [Survivors::None, Survivors::Some, Survivors::All];
        let cuts = survivors
            .into_iter()
            .flat_map(|bytes| survivors.into_iter().map(move |names| Self::Cut(bytes, names)));
        [Self::Kill, Self::KillAndDropCaches].into_iter().chain(cuts).collect()
    }

    /// How a life ends whose disk failed: what matters is what the page cache hides.
    pub(crate) const AFTER_A_FAILURE: [Self; 3] =
        [Self::Kill, Self::KillAndDropCaches, Self::Cut(Survivors::Some, Survivors::Some)];

    /// The disk as this end leaves it.
    pub(crate) fn of(self, disk: &MemoryDisk) -> MemoryDisk {
        let disk = disk.fork();
        match self {
            Self::Kill => disk.kill_process(),
            Self::KillAndDropCaches => {
                disk.kill_process();
                disk.drop_caches();
            }
            Self::Cut(bytes, names) => disk.power_cut_with(bytes, names),
        }
        disk
    }
}

/// Opens what an end has left, compares it with what it may be, and works on with it through a
/// change of segments, a release, and one more power cut.
pub(crate) fn goes_on(disk: &MemoryDisk, tracked: &Tracked, segment_bytes: u64) {
    let mut tracked = tracked.clone();
    let (mut log, _) = Log::open(disk.clone(), options(segment_bytes, 900)).expect("it opens");
    tracked.recovered(&log);
    let last = log.last_index();
    let data = Bytes::from(vec![9; 3000]);
    let vote = HardState { term: 1000, vote: 3, commit: last };
    for index in last + 1..=last + 4 {
        let entry = LogEntry { index, term: 1000, kind: 1, data: data.clone() };
        tracked.append(&mut log, Some(vote), &[entry]).expect("the disk is well again");
        tracked.sync(&mut log).expect("the disk is well again");
    }
    tracked.trim(&mut log, last, 4096).expect("the disk is well again");
    assert!(tracked.matches(&log));
    drop(log);
    disk.power_cut();
    let (log, _) = Log::open(disk.clone(), options(segment_bytes, 901)).expect("it opens");
    tracked.recovered(&log);
}
