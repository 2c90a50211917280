//! Writing what is buffered to the engine: one at a time, whoever asks for it.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use remex_engine::LsmEngine;
use remex_model::Index;
use remex_state::Frozen;

use crate::ending::Ending;
use crate::parts::SharedState;

/// Pause before a full disk is tried again.
const FULL_PAUSE: Duration = Duration::from_millis(200);

/// Most attempts of somebody who waits while the disk is full.
const ATTEMPTS_MAX: usize = 25;

/// What became of a flush.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Flushed {
    /// Everything that was frozen is in the engine.
    Done,
    /// The disk is full. Nothing is lost: the buffer stays, and the log has it.
    Full,
    /// What was asked for has not been applied here yet.
    Ahead,
}

/// The way of the write buffer into the engine.
#[derive(Debug)]
pub(crate) struct Flush {
    state: SharedState,
    /// Held while a buffer is written; holds one that the disk had no room for.
    waiting: Mutex<Option<Frozen<LsmEngine>>>,
}

impl Flush {
    pub(crate) fn new(state: SharedState) -> Arc<Self> {
        Arc::new(Self { state, waiting: Mutex::default() })
    }

    /// Writes what is buffered now.
    pub(crate) fn run(&self) -> Result<Flushed, Ending> {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        let frozen = waiting
            .take()
            .or_else(|| self.state.write().unwrap_or_else(PoisonError::into_inner).freeze());
        let Some(frozen) = frozen else { return Ok(Flushed::Done) };
        match frozen.write() {
            Ok(()) => {}
            Err(error) if error.is_full() => {
                *waiting = Some(frozen);
                return Ok(Flushed::Full);
            }
            Err(error) => return Err(Ending::of_state("cannot write the state", &error)),
        }
        let mut state = self.state.write().unwrap_or_else(PoisonError::into_inner);
        let retired = state.finish_flush(frozen);
        drop(state);
        // Outside the lock: letting go of a large buffer takes a while.
        drop(retired);
        Ok(Flushed::Done)
    }

    /// The last entry whose effect is in the engine.
    pub(crate) fn durable(&self) -> Index {
        self.state.read().unwrap_or_else(PoisonError::into_inner).durable()
    }

    /// Writes until the effect of this entry is in the engine; gives up after some seconds of a
    /// full disk, or when it is told to.
    pub(crate) fn until_durable(
        &self,
        index: Index,
        give_up: &AtomicBool,
    ) -> Result<Flushed, Ending> {
        let mut full = 0;
        while self.durable() < index {
            if self.state.read().unwrap_or_else(PoisonError::into_inner).applied() < index {
                return Ok(Flushed::Ahead);
            }
            if self.run()? == Flushed::Full {
                full += 1;
                if full == ATTEMPTS_MAX || give_up.load(Ordering::Acquire) {
                    return Ok(Flushed::Full);
                }
                thread::sleep(FULL_PAUSE);
            }
        }
        Ok(Flushed::Done)
    }
}
