//! The wish to stop: SIGTERM, Ctrl-C, or a parent that is gone.

use std::io::{self, Read};
use std::thread;

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::mpsc;

use crate::exit::{Exit, Failure};

/// Waits for wishes to stop.
#[derive(Debug)]
pub(crate) struct Stop {
    terminate: Signal,
    interrupt: Signal,
    parent: mpsc::Receiver<()>,
    /// Keeps the channel open, so that a parent's end is one wish and not many.
    _parent: mpsc::Sender<()>,
}

impl Stop {
    /// Takes over SIGTERM and SIGINT from now on; with `parent`, also the end of standard input.
    pub(crate) fn listen(parent: bool) -> Result<Self, Failure> {
        let listen = |kind| {
            signal(kind).map_err(|error| {
                Failure::new(Exit::Failure, format!("cannot listen for signals: {error}"))
            })
        };
        let (sender, receiver) = mpsc::channel(1);
        if parent {
            let sender = sender.clone();
            // Not a task: a blocking read of standard input would hold up the runtime's end.
            thread::spawn(move || {
                end_of_input();
                // If nobody listens any more, the process is ending already.
                sender.blocking_send(()).ok();
            });
        }
        Ok(Self {
            terminate: listen(SignalKind::terminate())?,
            interrupt: listen(SignalKind::interrupt())?,
            parent: receiver,
            _parent: sender,
        })
    }

    /// Waits for the next wish.
    pub(crate) async fn asked(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
            _ = self.parent.recv() => {}
        }
    }
}

/// Returns when standard input has ended or cannot be read.
fn end_of_input() {
    let mut input = io::stdin().lock();
    let mut scrap = [0; 64];
    while input.read(&mut scrap).is_ok_and(|count| count > 0) {}
}
