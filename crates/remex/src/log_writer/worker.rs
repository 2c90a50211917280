//! The log's own thread, for disks whose syncs take long.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, Receiver, Sender};
use std::sync::{Arc, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use super::{SharedLog, Synced, Write, append, cannot_write};
use crate::Fatal;
use crate::ending::Ending;
use crate::inbox::{Inbox, Input};

/// Pause before a full disk is tried again.
const FULL_PAUSE: Duration = Duration::from_millis(50);

/// Takes writes in order, and reports them to the driver's inbox. Once this is dropped nothing of it
/// touches the log any more: the next to open it may be on its way.
#[derive(Debug)]
pub(super) struct Worker {
    /// `None` once it is being stopped.
    writes: Option<Sender<Vec<Write>>>,
    thread: Option<JoinHandle<Result<(), Ending>>>,
    /// What waits need not be written: nobody will learn of it.
    given_up: Arc<AtomicBool>,
}

impl Drop for Worker {
    fn drop(&mut self) {
        self.given_up.store(true, Ordering::Relaxed);
        self.writes = None;
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("the log's thread panicked");
        }
    }
}

impl Worker {
    pub(super) fn start(log: SharedLog, inbox: Arc<Inbox>) -> std::io::Result<Self> {
        let (writes, received) = mpsc::channel();
        let given_up = Arc::new(AtomicBool::new(false));
        let giving_up = Arc::clone(&given_up);
        let thread = thread::Builder::new().name("remex-log".to_owned()).spawn(move || {
            let done = run(&log, &inbox, &received, &giving_up);
            if let Err(ending) = &done {
                inbox.push(Input::Ended(ending.clone()));
            }
            done
        })?;
        Ok(Self { writes: Some(writes), thread: Some(thread), given_up })
    }

    /// Hands writes over. If the thread has failed, it has told the driver so itself.
    pub(super) fn send(&self, writes: Vec<Write>) {
        if let Some(sender) = &self.writes {
            drop(sender.send(writes));
        }
    }

    /// Waits until everything that was sent is synced.
    pub(super) fn join(mut self) -> Result<(), Ending> {
        self.writes = None;
        let panicked = |_| {
            Err(Fatal::Failed("the log's thread panicked: a defect of Remex".to_owned()).into())
        };
        self.thread.take().map_or(Ok(()), |thread| thread.join().unwrap_or_else(panicked))
    }
}

/// Group commit without a timer: everything that waits goes under one sync. While the disk is full
/// it waits for room, unless the driver is told to stop: nothing of what waits was promised.
fn run(
    log: &SharedLog,
    inbox: &Inbox,
    received: &Receiver<Vec<Write>>,
    given_up: &AtomicBool,
) -> Result<(), Ending> {
    let mut entries = Vec::new();
    let mut waiting = VecDeque::new();
    let mut batches = 0;
    while let Ok(first) = received.recv() {
        waiting.extend(first);
        batches += 1;
        while !waiting.is_empty() {
            if given_up.load(Ordering::Relaxed) {
                return Ok(());
            }
            while let Ok(next) = received.try_recv() {
                waiting.extend(next);
                batches += 1;
            }
            let begun = Instant::now();
            let mut log = log.lock().unwrap_or_else(PoisonError::into_inner);
            let last = append(&mut log, &mut waiting, &mut entries)?;
            if last.is_some() {
                log.sync().map_err(cannot_write)?;
            }
            drop(log);
            if let Some(number) = last.filter(|_| waiting.is_empty()) {
                let took = begun.elapsed();
                let batches = std::mem::take(&mut batches);
                inbox.push(Input::Synced(Synced { number, batches, took }));
            }
            if !waiting.is_empty() {
                if inbox.must_stop() {
                    return Ok(());
                }
                thread::sleep(FULL_PAUSE);
            }
        }
    }
    Ok(())
}
