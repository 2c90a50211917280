//! The way of the state's buffer into the engine, and of what it covers out of the log.

use super::Inside;
use super::running::Running;
use crate::around::Around;
use crate::plant::Plant;
use crate::violation::Stop;

impl Running {
    /// Time to move the state's buffer to the engine.
    pub(super) fn flush(&mut self, around: &mut Around) {
        let pause = around.dice.around(around.settings.disk.flush_every_us);
        self.schedule(pause, Inside::Flush, around);
        if self.flushing.is_some() {
            return;
        }
        self.flushing = self.state.freeze();
        if self.flushing.is_some() {
            let length = around.dice.around(around.settings.disk.flush_us);
            self.schedule(length, Inside::Flushed, around);
        }
    }

    /// The engine has the buffer: the log may let go of what it covers.
    pub(super) fn flushed(&mut self, around: &mut Around) -> Result<(), Stop> {
        let frozen = self.flushing.take().expect("a flush is under way");
        let written = frozen.write();
        written.map_err(|fatal| ("state", format!("node {}: {fatal}", self.position)))?;
        drop(self.state.finish_flush(frozen));
        around.coverage.flushes += 1;
        let durable = self.state.durable();
        let position = self.position;
        around.trace.note([5, position as u64, durable.get()]);
        around.trace.line(around.now_us, || format!("n{position} flushed up to {durable}"));
        let mut up_to = durable.min(around.dispensable);
        if around.plant == Some(Plant::TrimmedTooFar) {
            up_to = self.state.applied();
        }
        let first = self.log.first_index();
        let trimmed = self.log.trim(up_to.get());
        self.check_disk(trimmed)?;
        around.coverage.trims += u64::from(self.log.first_index() > first);
        Ok(())
    }
}
