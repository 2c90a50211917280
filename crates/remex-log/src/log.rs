//! [`Log`]: the parts of an open log, and what it answers from memory.

use std::collections::VecDeque;
use std::fmt;
use std::sync::Arc;

use crate::contents::Contents;
use crate::format::{BLOCK_BYTES, GroupBuffer};
use crate::segment::Segment;
use crate::split_mix::SplitMix;
use crate::{Disk, HardState, LogError, Options, Spare};

/// The log of one Raft group, open for appending. One thread writes; see the crate's front page.
pub struct Log<D: Disk> {
    pub(crate) disk: Arc<D>,
    pub(crate) options: Options,
    pub(crate) salts: SplitMix,
    pub(crate) contents: Contents,
    /// Ascending; never empty. The last one is appended to.
    pub(crate) segments: VecDeque<Segment<D::File>>,
    /// Where the next group goes in the last segment.
    pub(crate) end: u64,
    /// Nothing more is written into the last segment than its seal: recovery found no room for
    /// the tail elsewhere, and behind it may stand what was torn.
    pub(crate) closed: bool,
    /// Up to here the last segment is synced.
    pub(crate) synced: u64,
    /// Up to here a later group, or the segment's header, says that it was synced.
    pub(crate) proven: u64,
    pub(crate) spares: Vec<Spare<D>>,
    /// The greatest number used for a spare's name.
    pub(crate) spare_number: u64,
    /// Shared with each spare that is on its way.
    pub(crate) on_its_way: Arc<()>,
    /// Shared with the [`crate::TrimJob`] that was handed out, until its result is back.
    pub(crate) trimming: Arc<()>,
    /// A record that makes entries void has been written and is not synced.
    pub(crate) void_unsynced: bool,
    pub(crate) buffer: GroupBuffer,
    /// Set before the first change and cleared after the last one of every operation that
    /// changes files, so that it stays set when one fails.
    pub(crate) poisoned: bool,
}

impl<D: Disk> fmt::Debug for Log<D> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Log")
            .field("first_index", &self.first_index())
            .field("last_index", &self.last_index())
            .field("segments", &self.segments.len())
            .field("poisoned", &self.poisoned)
            .finish_non_exhaustive()
    }
}

impl<D: Disk> Log<D> {
    /// Index of the first entry held; one more than [`Log::last_index`] if there is none. Whole
    /// segments are trimmed, so it may lie well before what [`Log::trim_job`] was asked for.
    #[must_use]
    pub fn first_index(&self) -> u64 {
        self.contents.first_index()
    }

    /// Index of the last entry, synced or not; 0 in a log that never had one.
    #[must_use]
    pub fn last_index(&self) -> u64 {
        self.contents.last().index
    }

    /// Term of the entry at `index`, from memory: for every entry held and for the one before
    /// the first. `None` for any other.
    #[must_use]
    pub fn term(&self, index: u64) -> Option<u64> {
        self.contents.term(index)
    }

    /// The hard state appended last, synced or not; its commit index is at most
    /// [`Log::last_index`].
    #[must_use]
    pub fn hard_state(&self) -> HardState {
        let state = self.contents.hard_state;
        HardState { commit: state.commit.min(self.last_index()), ..state }
    }

    /// Bytes of all segment and spare files.
    #[must_use]
    pub fn disk_bytes(&self) -> u64 {
        let segments: u64 = self.segments.iter().map(|segment| segment.bytes).sum();
        segments + self.spares.iter().map(|spare| spare.bytes).sum::<u64>()
    }

    /// Bytes that can be appended (frames and padding included) without making a new file, which
    /// a full disk would refuse. Admission may ask it before it lets a write in.
    #[must_use]
    pub fn room_bytes(&self) -> u64 {
        let spares: u64 = self.spares.iter().map(|spare| spare.bytes - 2 * BLOCK_BYTES).sum();
        self.room() + spares
    }

    /// Bytes of groups in the segments behind the oldest.
    pub(crate) fn bytes_behind_oldest(&self) -> u64 {
        let last = self.segments.len() - 1;
        let sealed = self.segments.iter().take(last).skip(1);
        let sealed: u64 = sealed.map(|segment| segment.end - BLOCK_BYTES).sum();
        if last == 0 { 0 } else { sealed + self.end - BLOCK_BYTES }
    }

    /// Bytes left for groups in the last segment; one block stays free for its seal.
    pub(crate) fn room(&self) -> u64 {
        if self.closed { 0 } else { (self.active().bytes - BLOCK_BYTES).saturating_sub(self.end) }
    }

    pub(crate) fn active(&self) -> &Segment<D::File> {
        self.segments.back().expect("a log has at least one segment")
    }

    pub(crate) fn segment(&self, sequence: u64) -> Option<&Segment<D::File>> {
        let position = self.segments.binary_search_by_key(&sequence, |segment| segment.sequence);
        position.ok().and_then(|position| self.segments.get(position))
    }

    /// Runs an operation that changes files; if it fails, the log is poisoned, except for a
    /// refusal that left everything as it was.
    pub(crate) fn change(
        &mut self,
        operation: impl FnOnce(&mut Self) -> Result<(), LogError>,
    ) -> Result<(), LogError> {
        if self.poisoned {
            return Err(LogError::Poisoned);
        }
        self.poisoned = true;
        let result = operation(self);
        self.poisoned = match &result {
            Ok(()) => false,
            Err(LogError::Io(_) | LogError::Poisoned) => true,
            Err(
                LogError::Full(_)
                | LogError::Read(_)
                | LogError::Corrupt(_)
                | LogError::EntryTooLarge { .. }
                | LogError::NotContiguous { .. }
                | LogError::OutOfRange { .. },
            ) => false,
        };
        result
    }
}
