//! The background threads: one writes full buffers of the state to the engine and makes spare
//! segments for the log, one compacts the engine. Neither the driver nor a reader waits for them,
//! unless they fall far behind.

use std::sync::mpsc::{self, RecvTimeoutError};
use std::sync::{Arc, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use remex_engine::{Engine, LsmEngine};

use crate::Fatal;
use crate::inbox::{Inbox, Input};
use crate::log_writer::SharedLog;
use crate::parts::SharedState;

/// Pause between two looks.
const PAUSE: Duration = Duration::from_millis(50);

/// A buffer that holds this much is written when it is old...
const FLUSH_BYTES_MIN: usize = 4 * 1024 * 1024;
const FLUSH_AGE: Duration = Duration::from_secs(5);

/// ...and one that holds less when it is this old: many tiny tables would cost more to merge
/// than the log costs to replay.
const FLUSH_AGE_MAX: Duration = Duration::from_secs(60);

/// Niceness of the background threads. They still get a share when the others take all they can:
/// about a tenth, more than they need at the highest rates measured.
const NICE: i32 = 10;

/// Longest time to wait for the threads to end. A compaction is not interrupted: it may take
/// seconds, and a process that ends in the middle of it loses nothing.
const STOP_TIMEOUT: Duration = Duration::from_secs(2);

/// The background threads.
#[derive(Debug, Default)]
pub(crate) struct Background {
    threads: Vec<Worker>,
}

/// Closed to stop a thread; closed by the thread when it has ended.
type Worker = (mpsc::Sender<()>, mpsc::Receiver<()>);

impl Background {
    pub(crate) fn start(
        engine: Arc<LsmEngine>,
        state: SharedState,
        log: SharedLog,
        inbox: &Arc<Inbox>,
    ) -> std::io::Result<Self> {
        let mut background = Self::default();
        let mut flusher = Flusher { state, log, flushed: Instant::now() };
        background.spawn("remex-flush", inbox, move || flusher.step())?;
        background.spawn("remex-compact", inbox, move || compact(&engine))?;
        Ok(background)
    }

    /// Repeats a step, with a pause after each, until the threads are stopped or it fails.
    fn spawn(
        &mut self,
        name: &str,
        inbox: &Arc<Inbox>,
        mut step: impl FnMut() -> Result<(), Fatal> + Send + 'static,
    ) -> std::io::Result<()> {
        let (stop, stopped) = mpsc::channel();
        let (ending, ended) = mpsc::channel();
        let inbox = Arc::clone(inbox);
        thread::Builder::new().name(name.to_owned()).spawn(move || {
            let _ending: mpsc::Sender<()> = ending;
            yield_to_others();
            loop {
                if let Err(fatal) = step() {
                    inbox.push(Input::Failed(fatal));
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

    /// Stops the threads, without a last flush: the log has everything. False if one of them is
    /// still busy after [`STOP_TIMEOUT`]; it ends by itself when it is done.
    pub(crate) fn stop(self) -> bool {
        let deadline = Instant::now() + STOP_TIMEOUT;
        let (stops, ending): (Vec<_>, Vec<_>) = self.threads.into_iter().unzip();
        drop(stops);
        ending.into_iter().all(|ended| {
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
    state: SharedState,
    log: SharedLog,
    flushed: Instant,
}

impl Flusher {
    fn step(&mut self) -> Result<(), Fatal> {
        self.prepare_segment()?;
        let age = self.flushed.elapsed();
        let due = {
            let state = self.state.read().unwrap_or_else(PoisonError::into_inner);
            state.should_flush()
                || (age >= FLUSH_AGE && state.buffer_bytes() >= FLUSH_BYTES_MIN)
                || age >= FLUSH_AGE_MAX
        };
        if due {
            self.flushed = Instant::now();
            flush(&self.state)?;
        }
        Ok(())
    }

    /// Makes the next segment of the log ahead of need.
    fn prepare_segment(&self) -> Result<(), Fatal> {
        let job = self.log.lock().unwrap_or_else(PoisonError::into_inner).spare_job();
        let Some(job) = job else { return Ok(()) };
        match job.run() {
            Ok(spare) => {
                self.log.lock().unwrap_or_else(PoisonError::into_inner).add_spare(spare);
                Ok(())
            }
            // The log makes its segment itself when it needs one, and says so if it cannot.
            Err(remex_log::LogError::Full(error)) => {
                tracing::warn!(reason = %error, "no space for the log's next segment");
                Ok(())
            }
            Err(error) => Err(Fatal(format!("cannot prepare a log segment: {error}"))),
        }
    }
}

/// Writes what is buffered to the engine.
pub(crate) fn flush(state: &SharedState) -> Result<(), Fatal> {
    let frozen = state.write().unwrap_or_else(PoisonError::into_inner).freeze();
    let Some(frozen) = frozen else { return Ok(()) };
    frozen.write().map_err(|error| Fatal(format!("cannot write the state: {error}")))?;
    let retired = state.write().unwrap_or_else(PoisonError::into_inner).finish_flush(frozen);
    // Outside the lock: letting go of a large buffer takes a while.
    drop(retired);
    Ok(())
}

/// Compacts as long as there is something to do.
fn compact(engine: &LsmEngine) -> Result<(), Fatal> {
    engine
        .maintain()
        .map(|_more_to_do| ())
        .map_err(|error| Fatal(format!("compaction failed: {error}")))
}
