//! The background threads: one writes full buffers of the state to the engine, makes spare segments
//! for the log and gives old ones back, and looks how much room the disk has; one compacts the
//! engine; one reads everything on disk again from time to time, to find what has changed since it
//! was written. Neither the driver nor a reader waits for them, unless they fall far behind.

use std::path::PathBuf;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::sync::{Arc, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use remex_consensus::Event;
use remex_engine::{Engine, EngineError, LsmEngine, Scrub};
use remex_log::LogError;
use remex_model::Index;

use crate::board::Board;
use crate::ending::Ending;
use crate::flush::{Flush, Flushed};
use crate::inbox::{Inbox, Input};
use crate::log_writer::SharedLog;
use crate::parts::{SharedState, Sizes};
use crate::snapshots::Outgoing;
use crate::space::{Capacity, Reserve};

/// Pause between two looks.
const PAUSE: Duration = Duration::from_millis(50);

/// A buffer that holds this much is written when it is old...
const FLUSH_BYTES_MIN: usize = 4 * 1024 * 1024;
const FLUSH_AGE: Duration = Duration::from_secs(5);

/// ...and one that holds less when it is this old: many tiny tables would cost more to merge
/// than the log costs to replay.
const FLUSH_AGE_MAX: Duration = Duration::from_secs(60);

/// How many times what is kept of the log anyway may be kept for members that fetch a snapshot.
const HELD_FACTOR: u64 = 8;

/// Slices (of about a mebibyte) that are read again between two pauses: some 150 MiB a second.
const SCRUB_SLICES: usize = 8;

/// Pause between the end of one reading of everything and the beginning of the next.
const SCRUB_PAUSE: Duration = Duration::from_secs(3600);

/// Niceness of the background threads. They still get a share when the others take all they can:
/// about a tenth, more than they need at the highest rates measured.
const NICE: i32 = 10;

/// Longest time that a node that stops waits for the threads to end. A compaction is not interrupted: it may take
/// seconds, and a process that ends in the middle of it loses nothing.
const STOP_TIMEOUT: Duration = Duration::from_secs(2);

/// The background threads.
#[derive(Debug, Default)]
pub(crate) struct Background {
    threads: Vec<Worker>,
}

/// Closed to stop a thread; closed by the thread when it has ended.
type Worker = (mpsc::Sender<()>, mpsc::Receiver<()>);

/// What the background works on.
#[derive(Debug)]
pub(crate) struct Work {
    /// Folders on the file systems whose room counts.
    pub(crate) disks: [PathBuf; 2],
    pub(crate) engine: Arc<LsmEngine>,
    pub(crate) state: SharedState,
    pub(crate) log: SharedLog,
    pub(crate) flush: Arc<Flush>,
    pub(crate) outgoing: Arc<Outgoing>,
    pub(crate) board: Arc<Board>,
    pub(crate) sizes: Sizes,
}

impl Background {
    pub(crate) fn start(work: Work, inbox: &Arc<Inbox>) -> std::io::Result<Self> {
        let mut background = Self::default();
        let engine = Arc::clone(&work.engine);
        background.spawn("remex-compact", inbox, move || compact(&engine))?;
        let mut scrubber =
            Scrubber { engine: Arc::clone(&work.engine), scrub: None, begin: Instant::now() };
        background.spawn("remex-scrub", inbox, move || scrubber.step())?;
        let mut flusher = Flusher::new(work, Arc::clone(inbox));
        background.spawn("remex-flush", inbox, move || flusher.step())?;
        Ok(background)
    }

    /// Repeats a step, with a pause after each, until the threads are stopped or it fails.
    fn spawn(
        &mut self,
        name: &str,
        inbox: &Arc<Inbox>,
        mut step: impl FnMut() -> Result<(), Ending> + Send + 'static,
    ) -> std::io::Result<()> {
        let (stop, stopped) = mpsc::channel();
        let (ending, ended) = mpsc::channel();
        let inbox = Arc::clone(inbox);
        thread::Builder::new().name(name.to_owned()).spawn(move || {
            let _ending: mpsc::Sender<()> = ending;
            yield_to_others();
            loop {
                if let Err(ending) = step() {
                    inbox.push(Input::Ended(ending));
                    return;
                }
                match stopped.recv_timeout(PAUSE) {
                    Err(RecvTimeoutError::Timeout) => {}
                    Ok(()) | Err(RecvTimeoutError::Disconnected) => return,
                }
            }
        })?;
        self.threads.push((stop, ended));
        Ok(())
    }

    /// Stops the threads, without a last flush: the log has everything. Waits for them, or only for
    /// [`STOP_TIMEOUT`] if `hasty`: false if one of them is still busy then. It ends by itself.
    pub(crate) fn stop(self, hasty: bool) -> bool {
        let deadline = Instant::now() + STOP_TIMEOUT;
        let (stops, ending): (Vec<_>, Vec<_>) = self.threads.into_iter().unzip();
        drop(stops);
        ending.into_iter().all(|ended| {
            if !hasty {
                return ended.recv().is_err();
            }
            let left = deadline.saturating_duration_since(Instant::now());
            ended.recv_timeout(left) == Err(RecvTimeoutError::Disconnected)
        })
    }
}

/// Lets the driver and the requests go first where cores are short: on Linux this sets the
/// priority of the calling thread alone.
fn yield_to_others() {
    if cfg!(target_os = "linux")
        && let Err(error) = rustix::process::setpriority_process(None, NICE)
    {
        tracing::debug!(reason = %error, "background work keeps its priority");
    }
}

struct Flusher {
    work: Work,
    inbox: Arc<Inbox>,
    flushed: Instant,
    reserve: Reserve,
    /// First entry of the log, as the core was last told.
    log_first: u64,
    was_full: bool,
    /// Whether the disk had no room for a buffer when it was last tried.
    was_stuck: bool,
}

impl Flusher {
    fn new(work: Work, inbox: Arc<Inbox>) -> Self {
        let buffers_bytes = 3 * work.sizes.buffer_bytes as u64;
        let reserve = Reserve::new(work.sizes.segment_bytes, buffers_bytes);
        let log_first = work.log.lock().unwrap_or_else(PoisonError::into_inner).first_index();
        Self {
            work,
            inbox,
            flushed: Instant::now(),
            reserve,
            log_first,
            was_full: false,
            was_stuck: false,
        }
    }

    fn step(&mut self) -> Result<(), Ending> {
        self.measure()?;
        // First: what is given back need not be made.
        self.trim()?;
        self.prepare_segment()?;
        let age = self.flushed.elapsed();
        let due = {
            let state = self.work.state.read().unwrap_or_else(PoisonError::into_inner);
            state.should_flush()
                || (age >= FLUSH_AGE && state.buffer_bytes() >= FLUSH_BYTES_MIN)
                || age >= FLUSH_AGE_MAX
        };
        if due {
            self.flushed = Instant::now();
            let stuck = self.work.flush.run()? != Flushed::Done;
            if stuck && !self.was_stuck {
                tracing::warn!("the disk is full: changes stay in memory and in the log");
            }
            self.was_stuck = stuck;
        }
        self.work.outgoing.tidy();
        Ok(())
    }

    /// Looks how much room there is.
    fn measure(&mut self) -> Result<(), Ending> {
        let capacity = |path: &PathBuf| {
            Capacity::of(path).map_err(|error| {
                let reason = format!("cannot see how full the disk is: {error}");
                Ending::Failed(crate::Fatal::Failed(reason))
            })
        };
        let [log, engine] = &self.work.disks;
        let disks = [capacity(log)?, capacity(engine)?];
        let log_bytes = self.work.log.lock().unwrap_or_else(PoisonError::into_inner).disk_bytes();
        let used_bytes = log_bytes + self.work.engine.disk_bytes();
        let (disk, room) = self.reserve.measure(&disks, used_bytes, self.work.board.was_short());
        if disk.full != self.was_full {
            self.was_full = disk.full;
            let free_bytes = disk.free_bytes;
            if disk.full {
                tracing::warn!(
                    free_bytes,
                    "the disk is nearly full: puts are refused until there is room"
                );
            } else {
                tracing::info!(free_bytes, "there is room again: puts are taken");
            }
        }
        self.work.board.set_room(room);
        self.work.board.update(|snapshot| snapshot.disk = disk);
        Ok(())
    }

    /// Makes the next segment of the log ahead of need.
    fn prepare_segment(&self) -> Result<(), Ending> {
        let job = self.work.log.lock().unwrap_or_else(PoisonError::into_inner).spare_job();
        let Some(job) = job else { return Ok(()) };
        match job.run() {
            Ok(spare) => {
                self.work.log.lock().unwrap_or_else(PoisonError::into_inner).add_spare(spare);
                Ok(())
            }
            // Admission sees to it that this ends; the log makes its segment when it needs one.
            Err(LogError::Full(_)) => Ok(()),
            Err(error) => Err(Ending::of_log("cannot prepare a log segment", &error)),
        }
    }

    /// Gives old segments of the log back: what they hold is in the engine, and nobody who is
    /// behind needs them. Members that fetch a snapshot are waited for, but not for ever: one that
    /// takes too long, or comes while the disk is full, gets another snapshot.
    fn trim(&mut self) -> Result<(), Ending> {
        let durable = self.work.flush.durable();
        let sizes = self.work.sizes;
        let held_max = HELD_FACTOR * (sizes.log_keep_bytes + sizes.segment_bytes);
        let log_bytes = self.work.log.lock().unwrap_or_else(PoisonError::into_inner).disk_bytes();
        let floor = match self.was_full || log_bytes > held_max {
            true => durable,
            false => self.work.outgoing.trim_floor().unwrap_or(durable).min(durable),
        };
        let keep_bytes = if self.was_full { 0 } else { sizes.log_keep_bytes };
        let first = loop {
            let mut log = self.work.log.lock().unwrap_or_else(PoisonError::into_inner);
            let job = log.trim_job(floor.get(), keep_bytes);
            let Some(job) = job else { break log.first_index() };
            drop(log);
            match job.run() {
                Ok(trimmed) => {
                    let mut log = self.work.log.lock().unwrap_or_else(PoisonError::into_inner);
                    let released = log.finish_trim(trimmed);
                    drop(log);
                    drop(released);
                }
                Err(LogError::Full(_)) => return Ok(()),
                Err(error) => return Err(Ending::of_log("cannot trim the log", &error)),
            }
        };
        if first != self.log_first {
            self.log_first = first;
            self.inbox.push(Input::Core(Event::Trimmed { first_index: Index(first) }));
        }
        Ok(())
    }
}

/// Compacts as long as there is something to do.
fn compact(engine: &LsmEngine) -> Result<(), Ending> {
    match engine.maintain() {
        Ok(_more_to_do) => Ok(()),
        // Later, when there is room.
        Err(error) if error.is_full() => Ok(()),
        Err(error) => Err(Ending::of_state("compaction failed", &error.into())),
    }
}

/// Reads everything on disk again, at a gentle pace.
struct Scrubber {
    engine: Arc<LsmEngine>,
    scrub: Option<Scrub>,
    begin: Instant,
}

impl Scrubber {
    fn step(&mut self) -> Result<(), Ending> {
        if self.scrub.is_none() && Instant::now() < self.begin {
            return Ok(());
        }
        let scrub = self.scrub.get_or_insert_with(|| self.engine.scrub());
        for _ in 0..SCRUB_SLICES {
            match scrub.next() {
                Some(Ok(_bytes)) => {}
                Some(Err(error @ EngineError::Corrupt(_))) => {
                    return Err(Ending::of_state("reading everything again", &error.into()));
                }
                Some(Err(error)) => {
                    tracing::warn!(reason = %error, "the engine's files cannot all be read again");
                    break;
                }
                None => {
                    self.scrub = None;
                    self.begin = Instant::now() + SCRUB_PAUSE;
                    break;
                }
            }
        }
        Ok(())
    }
}
