//! Spare segments: files of full length, filled with zeros or with what a released segment held.
//!
//! Overwriting blocks that exist lets `fdatasync` skip the file system's metadata, which is what
//! makes it short and steady. So the blocks are made ahead, outside of the writer's way.

use std::fmt;
use std::sync::Arc;

use crate::error::{IoFailure, failed, failed_at, full_or_io};
use crate::segment::{Segment, spare_name};
use crate::split_mix::SplitMix;
use crate::{Disk, DiskFile, Log, LogError};

/// Zeros are written in pieces of this size.
const FILL_BYTES: usize = 1024 * 1024;

/// The file is synced whenever this much has been filled, so that a log that is synced meanwhile
/// on the same disk never waits for a whole segment of zeros.
const FILL_SYNC_BYTES: u64 = 8 * 1024 * 1024;

/// A file that is ready to become a segment.
pub struct Spare<D: Disk> {
    pub(crate) file: D::File,
    pub(crate) name: String,
    pub(crate) bytes: u64,
    /// What stands where a segment has its salt, so that the next one can be made to differ.
    pub(crate) salt: u64,
    /// Held while the spare is on its way to the log, see [`Log::spare_job`].
    pub(crate) on_its_way: Option<Arc<()>>,
}

impl<D: Disk> Spare<D> {
    /// The file of a segment that has been released and is called `name` now.
    pub(crate) fn recycled(name: String, segment: Segment<D::File>) -> Self {
        let Segment { salt, file, bytes, .. } = segment;
        Self { file, name, bytes, salt, on_its_way: None }
    }

    /// Draws a salt that the file has not had before, even if the seed of [`crate::Options`]
    /// repeats: it depends on the salt that stands there.
    pub(crate) fn draw_salt(&self, salts: &mut SplitMix) -> u64 {
        salts.stir(self.salt);
        salts.next()
    }
}

impl<D: Disk> fmt::Debug for Spare<D> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Spare").field("name", &self.name).finish_non_exhaustive()
    }
}

/// Work for a background thread: making one spare. Dropping it undone is fine.
pub struct SpareJob<D: Disk> {
    disk: Arc<D>,
    name: String,
    bytes: u64,
    on_its_way: Arc<()>,
}

impl<D: Disk> fmt::Debug for SpareJob<D> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("SpareJob").field("name", &self.name).finish_non_exhaustive()
    }
}

impl<D: Disk> SpareJob<D> {
    /// Makes the file; takes as long as writing a segment takes. The result goes back through
    /// [`Log::add_spare`].
    ///
    /// # Errors
    /// [`LogError::Full`] or [`LogError::Io`]. The log is none the worse for it: it makes a
    /// segment itself when it needs one.
    pub fn run(self) -> Result<Spare<D>, LogError> {
        let mut spare = make(&*self.disk, self.name, self.bytes).map_err(full_or_io)?;
        spare.on_its_way = Some(self.on_its_way);
        Ok(spare)
    }
}

/// Makes a file of `bytes` zeros and syncs it.
pub(crate) fn make<D: Disk>(disk: &D, name: String, bytes: u64) -> Result<Spare<D>, IoFailure> {
    let made = fill(disk, &name, bytes);
    if made.is_err() {
        // Gives the space back if it can. A file that stays is too short to be taken for a spare
        // and is removed when the log is opened, so a failure here changes nothing.
        drop(disk.remove(&name));
    }
    Ok(Spare { file: made?, name, bytes, salt: 0, on_its_way: None })
}

fn fill<D: Disk>(disk: &D, name: &str, bytes: u64) -> Result<D::File, IoFailure> {
    let file = disk.create(name).map_err(failed("create", name))?;
    let piece_bytes = usize::try_from(bytes).map_or(FILL_BYTES, |bytes| bytes.min(FILL_BYTES));
    let zeros = vec![0; piece_bytes];
    let (mut offset, mut synced) = (0, 0);
    while offset < bytes {
        let left =
            usize::try_from(bytes - offset).map_or(piece_bytes, |left| left.min(piece_bytes));
        let piece = zeros.split_at(left).0;
        file.write_all_at(piece, offset).map_err(failed_at("fill", name, offset))?;
        offset += left as u64;
        if offset - synced >= FILL_SYNC_BYTES || offset == bytes {
            file.sync().map_err(failed("sync", name))?;
            synced = offset;
        }
    }
    Ok(file)
}

impl<D: Disk> Log<D> {
    /// Work for a background thread if the log has fewer spares than [`crate::Options::spares`],
    /// those on their way included. Without it the log makes each new segment inside of
    /// [`Log::append`], which then takes as long as writing a whole segment. Ask
    /// [`Log::trim_job`] first: it costs nothing to use a file again.
    pub fn spare_job(&mut self) -> Option<SpareJob<D>> {
        if self.poisoned || !self.wants_spare() {
            return None;
        }
        Some(SpareJob {
            disk: Arc::clone(&self.disk),
            name: self.next_spare_name(),
            bytes: self.options.segment_size(),
            on_its_way: Arc::clone(&self.on_its_way),
        })
    }

    /// Takes a spare that a [`SpareJob`] of this log made.
    pub fn add_spare(&mut self, spare: Spare<D>) {
        self.spares.push(Spare { on_its_way: None, ..spare });
    }

    /// Whether there are fewer spares, those on their way included, than the caller asked for.
    pub(crate) fn wants_spare(&self) -> bool {
        let on_their_way = Arc::strong_count(&self.on_its_way) - 1;
        self.spares.len() + on_their_way < self.options.spares
    }

    /// Whether a released file is kept as a spare: one more than are made ahead, because the next
    /// one is needed before long, and to remove a file and make another costs more than to keep it.
    pub(crate) fn keeps_spare(&self) -> bool {
        let on_their_way = Arc::strong_count(&self.on_its_way) - 1;
        self.spares.len() + on_their_way <= self.options.spares
    }

    pub(crate) fn next_spare_name(&mut self) -> String {
        self.spare_number += 1;
        spare_name(self.spare_number)
    }

    /// Makes sure that `count` spares are there. A full disk is reported as such, and nothing has
    /// changed then.
    pub(crate) fn reserve_spares(&mut self, count: usize) -> Result<(), LogError> {
        while self.spares.len() < count {
            let name = self.next_spare_name();
            let spare = make(&*self.disk, name, self.options.segment_size()).map_err(full_or_io)?;
            self.spares.push(spare);
        }
        Ok(())
    }
}
