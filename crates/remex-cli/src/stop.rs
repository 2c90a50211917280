//! The wish to stop: SIGTERM, Ctrl-C, a parent that is gone, or ENTER.

use std::io::{self, BufRead, IsTerminal, Read};
use std::thread;

use rustix::process::getpgrp;
use rustix::termios;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::mpsc;

use crate::exit::{Exit, Failure};

/// What standard input says about stopping.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Input {
    /// Nothing.
    #[default]
    Ignored,
    /// Its end is the wish to stop: whoever started this process is gone.
    EndStops,
    /// A line is the wish to stop; its end is none, as it is at its end from the beginning where
    /// nobody types.
    EnterStops,
}

/// Waits for wishes to stop.
#[derive(Debug)]
pub(crate) struct Stop {
    terminate: Signal,
    interrupt: Signal,
    input: mpsc::Receiver<()>,
    /// Keeps the channel open, so that what is read is one wish and not many.
    _input: mpsc::Sender<()>,
}

impl Stop {
    /// Takes over SIGTERM and SIGINT from now on, and standard input unless it is ignored.
    pub(crate) fn listen(input: Input) -> Result<Self, Failure> {
        let listen = |kind| {
            signal(kind).map_err(|error| {
                Failure::new(Exit::Failure, format!("cannot listen for signals: {error}"))
            })
        };
        let (sender, receiver) = mpsc::channel(1);
        if input != Input::Ignored {
            let sender = sender.clone();
            // Not a task: a blocking read of standard input would hold up the runtime's end.
            thread::spawn(move || {
                let wished = match input {
                    Input::Ignored => false,
                    Input::EndStops => end_of_input(),
                    Input::EnterStops => line_of_input(),
                };
                if wished {
                    // If nobody listens any more, the process is ending already.
                    sender.blocking_send(()).ok();
                }
            });
        }
        Ok(Self {
            terminate: listen(SignalKind::terminate())?,
            interrupt: listen(SignalKind::interrupt())?,
            input: receiver,
            _input: sender,
        })
    }

    /// Waits for the next wish.
    pub(crate) async fn asked(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
            _ = self.input.recv() => {}
        }
    }
}

/// Returns when standard input has ended or cannot be read.
fn end_of_input() -> bool {
    let mut input = io::stdin().lock();
    let mut scrap = [0; 64];
    while input.read(&mut scrap).is_ok_and(|count| count > 0) {}
    true
}

/// Returns when a line came; false if none can come any more, or none is for this process: the
/// system stops one that reads from a terminal while another job is in its foreground.
fn line_of_input() -> bool {
    if is_in_background() {
        return false;
    }
    let mut input = io::stdin().lock();
    loop {
        // Piece by piece: a line may be longer than what is worth keeping.
        let Ok(piece) = input.fill_buf() else { return false };
        let (length, has_line) = (piece.len(), piece.contains(&b'\n'));
        if length == 0 || has_line {
            return has_line;
        }
        input.consume(length);
    }
}

/// Whether standard input is a terminal that another job uses.
fn is_in_background() -> bool {
    let input = io::stdin();
    input.is_terminal() && termios::tcgetpgrp(&input).is_ok_and(|front| front != getpgrp())
}
