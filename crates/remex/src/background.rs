//! The background threads: one writes full buffers of the state to the engine and makes spare
//! segments for the log, one compacts the engine. Neither the driver nor a reader waits for them,
//! unless they fall far behind.

use std::sync::mpsc::{self, RecvTimeoutError};
use std::sync::{Arc, PoisonError};
use std::thread::{self, JoinHandle};
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

/// The background threads. Dropping them stops them and waits for them, without a last flush:
/// the log has everything.
#[derive(Debug)]
pub(crate) struct Background {
    /// Closed to stop the threads.
    stop: Vec<mpsc::Sender<()>>,
    threads: Vec<JoinHandle<()>>,
}

impl Background {
    pub(crate) fn start(
        engine: Arc<LsmEngine>,
        state: SharedState,
        log: SharedLog,
        inbox: &Arc<Inbox>,
    ) -> std::io::Result<Self> {
        let mut background = Self { stop: Vec::new(), threads: Vec::new() };
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
        let inbox = Arc::clone(inbox);
        let thread = thread::Builder::new().name(name.to_owned()).spawn(move || {
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
        self.stop.push(stop);
        self.threads.push(thread);
        Ok(())
    }
}

impl Drop for Background {
    fn drop(&mut self) {
        self.stop.clear();
        for thread in self.threads.drain(..) {
            if thread.join().is_err() {
                tracing::error!("a background thread panicked");
            }
        }
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
