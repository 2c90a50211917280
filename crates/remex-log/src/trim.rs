//! Giving old segments back: decided under the caller's lock, done outside of it.

use std::fmt;
use std::sync::Arc;

use crate::error::{IoFailure, directory_failed, failed, full_or_io};
use crate::segment::Segment;
use crate::{Disk, Log, LogError, Spare};

/// Work for a background thread: taking the file of the oldest segment out of the log. Until its
/// result is back the log holds the segment as before; dropping the job undone is fine.
pub struct TrimJob<D: Disk> {
    disk: Arc<D>,
    /// Name of the segment.
    name: String,
    trimmed: Trimmed,
}

impl<D: Disk> fmt::Debug for TrimJob<D> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("TrimJob").field("name", &self.name).finish_non_exhaustive()
    }
}

/// A segment whose file is out of the log: what a [`TrimJob`] hands to [`Log::finish_trim`].
#[derive(Debug)]
#[must_use = "the log keeps the segment in its books until it is told"]
pub struct Trimmed {
    sequence: u64,
    /// What the file is called now; none if it was removed.
    spare: Option<ComingSpare>,
    /// Held so that there is one job at a time: files are released in order.
    _trimming: Arc<()>,
}

/// The file of a segment that was removed, still open: see [`Log::finish_trim`].
#[must_use = "to be dropped without the log's lock"]
pub struct Released<D: Disk>(Option<D::File>);

impl<D: Disk> fmt::Debug for Released<D> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_tuple("Released").field(&self.0.is_some()).finish()
    }
}

#[derive(Debug)]
struct ComingSpare {
    name: String,
    _on_its_way: Arc<()>,
}

impl<D: Disk> TrimJob<D> {
    /// Renames or removes one file and syncs the directory. The result goes back through
    /// [`Log::finish_trim`].
    ///
    /// # Errors
    /// [`LogError::Full`] if a crowded file system refuses even a removal: nothing has changed, a
    /// later job does the same. After [`LogError::Io`] the process has to end, as after any change
    /// that failed; no later segment is released meanwhile.
    pub fn run(mut self) -> Result<Trimmed, LogError> {
        let spare = self.trimmed.spare.as_ref().map(|spare| spare.name.as_str());
        if !take_out(&*self.disk, &self.name, spare).map_err(full_or_io)? {
            self.trimmed.spare = None;
        }
        self.disk.sync_dir().map_err(directory_failed("sync"))?;
        Ok(self.trimmed)
    }
}

/// Renames the file of a segment to `spare`, or removes it. Returns whether it is a spare now.
fn take_out<D: Disk>(disk: &D, name: &str, spare: Option<&str>) -> Result<bool, IoFailure> {
    if let Some(spare) = spare {
        match disk.rename(name, spare).map_err(failed("make a spare of", name)) {
            Ok(()) => return Ok(true),
            // There is no room for one more name: then there is one file less.
            Err(failure) if failure.is_full() => {}
            Err(failure) => return Err(failure),
        }
    }
    disk.remove(name).map_err(failed("remove", name))?;
    Ok(false)
}

impl<D: Disk> Log<D> {
    /// Work for a background thread if the oldest segment can be given back: no entry in it behind
    /// `up_to` is live, and the segments behind it hold at least `keep_bytes` bytes of groups, for
    /// followers that are behind. The caller holds the effect of the entries up to `up_to` durably
    /// elsewhere. A segment without live entries is given back in any case, the last segment never.
    ///
    /// One segment at a time, oldest first, each durable before the next: a crash leaves a log that
    /// begins somewhere later, never one with a gap. So the caller asks again until there is none:
    ///
    /// ```
    /// # use remex_log::{memory_disk::MemoryDisk, Log, Options, Owner};
    /// # use std::sync::Mutex;
    /// # let options = Options::new(Owner::default(), 1);
    /// # let options = Options { segment_bytes: Options::SEGMENT_BYTES_MIN, ..options };
    /// # let (log, _) = Log::open(MemoryDisk::new(1), options)?;
    /// # let (log, applied) = (Mutex::new(log), 7);
    /// # let lock = || log.lock().expect("nobody panics");
    /// loop {
    ///     // The lock is held for a moment only, never during I/O.
    ///     let Some(job) = lock().trim_job(applied, 64 * 1024 * 1024) else { break };
    ///     let trimmed = job.run()?;
    ///     let released = lock().finish_trim(trimmed);
    ///     drop(released);
    /// }
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// There is none, for now, while a job is under way, or while a record that makes entries void
    /// is not synced: what it voids must not go before it has come.
    pub fn trim_job(&mut self, up_to: u64, keep_bytes: u64) -> Option<TrimJob<D>> {
        let under_way = Arc::strong_count(&self.trimming) > 1;
        if self.poisoned || under_way || self.void_unsynced || self.segments.len() < 2 {
            return None;
        }
        let oldest = self.segments.front()?;
        let (sequence, name, bytes) = (oldest.sequence, oldest.name.clone(), oldest.bytes);
        let first_behind = self.contents.first_index_behind(sequence);
        let holds_entries = first_behind > self.first_index();
        let wanted = first_behind - 1 > up_to || self.bytes_behind_oldest() < keep_bytes;
        if holds_entries && wanted {
            return None;
        }
        let trimmed =
            Trimmed { sequence, spare: self.coming_spare(bytes), _trimming: self.trimming.clone() };
        Some(TrimJob { disk: Arc::clone(&self.disk), name, trimmed })
    }

    /// Takes in what a [`TrimJob`] of this log did: [`Log::first_index`] moves, and the file is a
    /// spare of the log or gone. Hard state and the term of the entry before the first stay known.
    ///
    /// What comes back is to be dropped after the lock has been given back: the file system frees the
    /// space of a removed file when it is closed, which can take a tenth of a second.
    pub fn finish_trim(&mut self, trimmed: Trimmed) -> Released<D> {
        let segment = self.segments.pop_front().expect("a log has at least one segment");
        assert_eq!(
            segment.sequence, trimmed.sequence,
            "the log that gave the job takes the result"
        );
        self.contents.release(trimmed.sequence);
        match trimmed.spare {
            Some(spare) => {
                self.spares.push(Spare::recycled(spare.name, segment));
                Released(None)
            }
            None => Released(Some(segment.file)),
        }
    }

    /// The spare that a released file of this length becomes, if one is wanted.
    fn coming_spare(&mut self, bytes: u64) -> Option<ComingSpare> {
        let fits = bytes == self.options.segment_size();
        (fits && self.keeps_spare()).then(|| ComingSpare {
            name: self.next_spare_name(),
            _on_its_way: Arc::clone(&self.on_its_way),
        })
    }

    /// Takes a file out of the log that recovery has made obsolete. The directory is synced for
    /// each, so that no file is used again that may still bear its old name after a crash.
    pub(crate) fn recycle(&mut self, segment: Segment<D::File>) -> Result<(), IoFailure> {
        let spare = self.coming_spare(segment.bytes);
        let spare = spare.map(|spare| spare.name);
        let kept = take_out(&*self.disk, &segment.name, spare.as_deref())?;
        self.disk.sync_dir().map_err(directory_failed("sync"))?;
        self.spares.extend(spare.filter(|_| kept).map(|name| Spare::recycled(name, segment)));
        Ok(())
    }
}
