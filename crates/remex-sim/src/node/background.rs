//! What goes on beside the driver: the way of the state's buffer into the engine, and of what it
//! covers out of the log; segments made ahead of need.

use remex_consensus::Event;
use remex_engine::Engine as _;
use remex_log::LogError;
use remex_model::Index;

use super::running::Running;
use super::{End, Inside};
use crate::around::Around;
use crate::plant::Plant;
use crate::violation::Stop;

impl Running {
    /// The background thread looks whether there is something to do.
    pub(super) fn background(&mut self, around: &mut Around) -> Result<(), Stop> {
        let pause = around.dice.around(around.settings.disk.flush_every_us);
        self.schedule(pause, Inside::Background, around);
        if let Some(job) = self.log.spare_job() {
            match job.run() {
                // The log makes a segment itself when it needs one.
                Err(LogError::Full(_)) if self.disk_full => {}
                made => {
                    self.spare = Some(self.check_disk(made)?);
                    let delay = around.dice.between(0, 50_000);
                    self.schedule(delay, Inside::SpareMade, around);
                }
            }
        }
        if self.writer.is_idle() {
            let marked = self.log.mark_synced();
            self.check_disk(marked)?;
        }
        self.flush_soon(around);
        Ok(())
    }

    /// The buffer goes on its way to the engine, unless one is on its way.
    pub(super) fn flush_soon(&mut self, around: &mut Around) {
        if self.flushing.is_none() {
            self.flushing = self.state.freeze();
            if self.flushing.is_some() {
                let length = around.dice.around(around.settings.disk.flush_us);
                self.schedule(length, Inside::Flushed, around);
            }
        }
    }

    /// A segment that was made ahead of need is handed to the log.
    pub(super) fn spare_made(&mut self, around: &mut Around) {
        if let Some(spare) = self.spare.take() {
            around.coverage.spares += 1;
            self.log.add_spare(spare);
        }
    }

    /// The engine has the buffer: the log may let go of what it covers.
    pub(super) fn flushed(&mut self, around: &mut Around) -> Result<(), Stop> {
        let state_failed = |error: String| ("state", format!("node {}: {error}", self.position));
        if self.engine_rotten && around.dice.chance(5_000) {
            return Err(Stop::Ended(End::EngineRotten));
        }
        let frozen = self.flushing.take().expect("a flush is under way");
        frozen.write().map_err(|fatal| state_failed(fatal.to_string()))?;
        drop(self.state.finish_flush(frozen));
        self.engine.maintain().map_err(|error| state_failed(error.to_string()))?;
        around.coverage.flushes += 1;
        let durable = self.state.durable();
        let position = self.position;
        around.trace.note([5, position as u64, durable.get()]);
        around.trace.line(around.now_us, || format!("n{position} flushed up to {durable}"));
        let floor = self.trim_floor(around.now_us).unwrap_or(durable);
        let mut up_to = durable.min(floor);
        if around.plant == Some(Plant::TrimmedTooFar) {
            up_to = self.state.applied();
        }
        let first = self.log.first_index();
        while let Some(job) = self.log.trim_job(up_to.get(), around.settings.keep_bytes) {
            let trimmed = self.check_disk(job.run())?;
            drop(self.log.finish_trim(trimmed));
        }
        let now_first = self.log.first_index();
        if now_first > first {
            around.coverage.trims += 1;
            around.trace.line(around.now_us, || format!("n{position} begins at {now_first} now"));
            self.put(Event::Trimmed { first_index: Index(now_first) }, around);
        }
        Ok(())
    }
}
