//! The background thread: writes full buffers of the state to the engine, compacts it, and makes
//! spare segments for the log, so that neither the driver nor a reader ever waits for that.

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

/// Niceness of the background thread. It still gets a share when the others take all they can:
/// about a tenth, more than it needs at the highest rates measured.
const BACKGROUND_NICE: i32 = 10;

/// A buffer that holds anything is written when it is this old.
const FLUSH_AGE: Duration = Duration::from_secs(5);

/// The background thread. Dropping it stops it and waits for it, without a last flush; the log has everything.
#[derive(Debug)]
pub(crate) struct Background {
    stop: Option<mpsc::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

struct Work {
    engine: Arc<LsmEngine>,
    state: SharedState,
    log: SharedLog,
    flushed: Instant,
}

impl Background {
    pub(crate) fn start(
        engine: Arc<LsmEngine>,
        state: SharedState,
        log: SharedLog,
        inbox: Arc<Inbox>,
    ) -> std::io::Result<Self> {
        let (stop, stopped) = mpsc::channel::<()>();
        let mut work = Work { engine, state, log, flushed: Instant::now() };
        let thread =
            thread::Builder::new().name("remex-background".to_owned()).spawn(move || {
                yield_to_others();
                loop {
                    if let Err(fatal) = work.step() {
                        inbox.push(Input::Failed(fatal));
                        return;
                    }
                    match stopped.recv_timeout(PAUSE) {
                        Err(RecvTimeoutError::Timeout) => {}
                        Ok(()) | Err(RecvTimeoutError::Disconnected) => return,
                    }
                }
            })?;
        Ok(Self { stop: Some(stop), thread: Some(thread) })
    }
}

impl Drop for Background {
    fn drop(&mut self) {
        // The thread ends when it finds the channel closed.
        self.stop.take();
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("the background thread panicked");
        }
    }
}

/// Lets the driver and the requests go first where cores are short: on Linux this sets the
/// priority of the calling thread alone.
fn yield_to_others() {
    if cfg!(target_os = "linux")
        && let Err(error) = rustix::process::setpriority_process(None, BACKGROUND_NICE)
    {
        tracing::debug!(reason = %error, "background work keeps its priority");
    }
}

impl Work {
    fn step(&mut self) -> Result<(), Fatal> {
        self.prepare_segment()?;
        let due = {
            let state = self.state.read().unwrap_or_else(PoisonError::into_inner);
            state.should_flush() || self.flushed.elapsed() >= FLUSH_AGE
        };
        if due {
            self.flushed = Instant::now();
            flush(&self.state)?;
        }
        self.engine.maintain().map_err(|error| Fatal(format!("compaction failed: {error}")))?;
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
