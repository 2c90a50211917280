//! Giving old segments back.

use crate::error::{IoFailure, directory_failed, failed};
use crate::segment::Segment;
use crate::{Disk, Log, LogError, Spare};

impl<D: Disk> Log<D> {
    /// Gives back every segment, from the oldest on, in which no entry behind `up_to` is live. The
    /// caller holds the effect of the entries up to `up_to` durably elsewhere. Hard state and the
    /// term of `up_to` stay known. A released segment becomes a spare or is removed.
    ///
    /// # Errors
    /// [`LogError::Io`] poisons the log.
    pub fn trim(&mut self, up_to: u64) -> Result<(), LogError> {
        self.change(|log| {
            while log.segments.len() > 1 {
                let oldest = log.segments.front().map_or(0, |segment| segment.sequence);
                let first_behind = log.contents.first_index_behind(oldest);
                let holds_entries = first_behind > log.first_index();
                if holds_entries && first_behind - 1 > up_to {
                    break;
                }
                // What made the old entries void may be a record that is not durable yet.
                log.sync_active()?;
                log.release_oldest(oldest)?;
            }
            Ok(())
        })
    }

    fn release_oldest(&mut self, sequence: u64) -> Result<(), LogError> {
        self.contents.release(sequence);
        let segment = self.segments.pop_front().expect("the caller saw the oldest segment");
        Ok(self.recycle(segment)?)
    }

    /// Takes a file out of the log. The directory is synced for each, oldest first, so that after
    /// a crash no gap is among the segments, and no file that is used again bears its old name.
    pub(crate) fn recycle(&mut self, segment: Segment<D::File>) -> Result<(), IoFailure> {
        let Segment { name, file, bytes, .. } = segment;
        let wanted = self.spares.len() < self.options.spares;
        if wanted && bytes == self.options.segment_size() {
            let spare = self.next_spare_name();
            self.disk.rename(&name, &spare).map_err(failed("make a spare of", &name))?;
            self.spares.push(Spare { file, name: spare, bytes, on_its_way: None });
        } else {
            drop(file);
            self.disk.remove(&name).map_err(failed("remove", &name))?;
        }
        self.disk.sync_dir().map_err(directory_failed("sync"))
    }
}
