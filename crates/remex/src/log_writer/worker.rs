//! The log's own thread, for disks whose syncs take long.

use std::sync::mpsc::{self, Receiver, Sender};
use std::sync::{Arc, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Instant;

use super::{SharedLog, Synced, Write, append, cannot_write};
use crate::Fatal;
use crate::inbox::{Inbox, Input};

/// Takes writes in order, and reports them to the driver's inbox.
#[derive(Debug)]
pub(super) struct Worker {
    writes: Sender<Vec<Write>>,
    thread: JoinHandle<Result<(), Fatal>>,
}

impl Worker {
    pub(super) fn start(log: SharedLog, inbox: Arc<Inbox>) -> std::io::Result<Self> {
        let (writes, received) = mpsc::channel();
        let thread = thread::Builder::new().name("remex-log".to_owned()).spawn(move || {
            let done = run(&log, &inbox, &received);
            if let Err(fatal) = &done {
                inbox.push(Input::Failed(fatal.clone()));
            }
            done
        })?;
        Ok(Self { writes, thread })
    }

    /// Hands writes over. If the thread has failed, it has told the driver so itself.
    pub(super) fn send(&self, writes: Vec<Write>) {
        drop(self.writes.send(writes));
    }

    /// Waits until everything that was sent is synced.
    pub(super) fn join(self) -> Result<(), Fatal> {
        drop(self.writes);
        let panicked = |_| Err(Fatal("the log's thread panicked: a defect of Remex".to_owned()));
        self.thread.join().unwrap_or_else(panicked)
    }
}

/// Group commit without a timer: everything that waits goes under one sync.
fn run(log: &SharedLog, inbox: &Inbox, received: &Receiver<Vec<Write>>) -> Result<(), Fatal> {
    let mut entries = Vec::new();
    while let Ok(first) = received.recv() {
        let begun = Instant::now();
        let (mut batches, mut number) = (0, 0);
        let mut log = log.lock().unwrap_or_else(PoisonError::into_inner);
        let mut next = Some(first);
        while let Some(writes) = next {
            batches += 1;
            number = writes.last().map_or(number, |&(number, _, _)| number);
            append(&mut log, writes, &mut entries)?;
            next = received.try_recv().ok();
        }
        log.sync().map_err(cannot_write)?;
        drop(log);
        let took = begun.elapsed();
        inbox.push(Input::Synced(Synced { number, batches, took }));
    }
    Ok(())
}
