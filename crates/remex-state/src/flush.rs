//! The way of the write buffer into the engine.
//!
//! [`State::freeze`] moves the buffer aside, where reads still see it, [`Frozen::write`] writes it
//! beside the running state, without a lock on it, as one sorted run, and [`State::finish_flush`]
//! lets it go. The run holds the applied index, so a crash at any moment leaves the state as of
//! one freeze or of the next.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use remex_engine::{Engine, EngineError, RowSink};
use remex_model::Index;

use crate::buffer::{Buffer, Version};
use crate::error::Fatal;
use crate::meta::Meta;
use crate::requests::Remembered;
use crate::rows;
use crate::state::{Droppable, State};

/// A write buffer on its way to the engine.
#[derive(Debug)]
#[must_use = "a frozen buffer must be written and handed back"]
pub struct Frozen<E> {
    engine: Arc<E>,
    buffer: Arc<Buffer>,
    meta: Meta,
    requests: Vec<(u64, Arc<Remembered>)>,
    droppable: Arc<Droppable>,
    written: AtomicBool,
}

/// The memory of a buffer that is in the engine. Letting go of some hundred thousand changes takes
/// milliseconds, so do it after the lock on the state has been given back:
/// `let retired = state.write().finish_flush(frozen); drop(retired);`
#[derive(Debug)]
pub struct Retired(
    #[expect(dead_code, reason = "held only to be dropped where the caller wants it")] Arc<Buffer>,
);

impl<E: Engine> State<E> {
    /// Whether the write buffer is full. If a flush is under way as well, memory for two buffers
    /// is in use, and the caller should finish it before it applies more.
    #[must_use]
    pub fn should_flush(&self) -> bool {
        self.active.bytes() >= self.options.buffer_bytes_max
    }

    /// Moves the write buffer aside; reads still see it. `None` if the buffer before is not yet
    /// in the engine, or nothing was applied since it was frozen.
    pub fn freeze(&mut self) -> Option<Frozen<E>> {
        if self.lower.frozen.is_some() || self.meta.applied == self.durable {
            return None;
        }
        let buffer = Arc::new(std::mem::take(&mut self.active));
        self.lower.frozen = Some(Arc::clone(&buffer));
        let requests = self.requests.take_unwritten();
        let mut meta = self.meta.clone();
        meta.requests = (self.requests.first(), self.requests.next());
        let (engine, droppable) = (Arc::clone(&self.lower.engine), Arc::clone(&self.droppable));
        let written = AtomicBool::new(false);
        Some(Frozen { engine, buffer, meta, requests, droppable, written })
    }

    /// Lets go of a buffer that has been written, and raises [`State::durable`].
    ///
    /// # Panics
    /// If it has not been written, or is not the one that this state froze last.
    pub fn finish_flush(&mut self, frozen: Frozen<E>) -> Retired {
        assert!(frozen.written.load(Ordering::Acquire), "a buffer is let go only once written");
        let current = self.lower.frozen.take();
        assert!(
            current.is_some_and(|current| Arc::ptr_eq(&current, &frozen.buffer)),
            "a flush ends with the buffer that it began with"
        );
        self.durable = frozen.meta.applied;
        Retired(frozen.buffer)
    }
}

impl<E: Engine> Frozen<E> {
    /// The last entry whose effect the buffer holds.
    #[must_use]
    pub fn applied(&self) -> Index {
        self.meta.applied
    }

    /// Writes the buffer to the engine; blocks until it is durable.
    ///
    /// # Errors
    /// If the engine cannot be written. If the disk was full ([`Fatal::is_full`]), the buffer is as
    /// it was and may be written again, once there is room. After any other error the node must
    /// stop: what the disk holds is not known.
    pub fn write(&self) -> Result<(), Fatal> {
        self.engine.ingest(&mut |sink| self.fill(sink))?;
        self.droppable.raise(&self.meta);
        self.written.store(true, Ordering::Release);
        Ok(())
    }

    /// The rows of all tables, in the order of their keys.
    fn fill(&self, sink: &mut dyn RowSink) -> Result<(), EngineError> {
        let (mut key, mut value) = (Vec::new(), Vec::new());
        // What the floor has passed while it was buffered need not be written to be dropped.
        let floor = self.meta.history.floor();
        self.meta.encode(&mut value);
        sink.put(&[rows::META], &value)?;
        for (name, chain) in &self.buffer.chains {
            rows::current_key(name, &mut key);
            match chain.latest() {
                Version::Put(record) => {
                    rows::encode_record(record, &mut value);
                    sink.put(&key, &value)?;
                }
                Version::Deleted(_) if chain.has_base() => sink.delete(&key)?,
                // Made and deleted within this buffer: the engine has never seen it.
                Version::Deleted(_) => {}
            }
        }
        for (name, chain) in &self.buffer.chains {
            for (record, superseded) in chain.superseded().filter(|(_, by)| *by > floor) {
                rows::history_key(name, superseded, &mut key);
                rows::encode_record(record, &mut value);
                sink.put(&key, &value)?;
            }
        }
        let kept = self.buffer.log.partition_point(|line| line.revision <= floor);
        for lines in self.buffer.log[kept..].chunk_by(|a, b| a.revision == b.revision) {
            let revision = lines[0].revision.get();
            rows::encode_changes(lines.iter().map(|line| (&line.key, line.deleted)), &mut value);
            sink.put(&rows::numbered_key(rows::CHANGES, revision), &value)?;
        }
        for (number, entry) in &self.requests {
            entry.encode(&mut value);
            sink.put(&rows::numbered_key(rows::REQUESTS, *number), &value)?;
        }
        Ok(())
    }
}
