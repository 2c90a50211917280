//! Opening a log: which files form it, what they hold, and where to go on.
//!
//! 1. `chain`: read every header, link the newest segment back to the oldest.
//! 2. `replay`: read every group, oldest first. All segments but the last one must be intact to
//!    the end that their successor names. The last one is read to the first place that is no
//!    group; whether that place is the end, a tear or damage is decided by what stands behind it.
//! 3. `rewrite`: what the last segment holds but nothing proves durable is written again, into a
//!    new segment, which is synced before it gets its name.
//!
//! Until step 3 the disk is only read. A crash in step 3 leaves either the old directory and a
//! useless spare, or the new one.
#![deny(clippy::indexing_slicing)]

mod chain;
mod replay;
mod rewrite;

use std::collections::VecDeque;
use std::sync::Arc;

use self::chain::{Chain, Linked};
use self::replay::{Boundary, Ending, Replayed};
use crate::contents::Contents;
use crate::error::{IoFailure, directory_failed, failed};
use crate::format::{BLOCK_BYTES, GroupBuffer, Header};
use crate::segment::{Segment, install, spare_name};
use crate::spare::{draw_salt, make};
use crate::split_mix::SplitMix;
use crate::{Disk, HardState, Log, OpenError, Options, Position, Spare};

/// What was found when a log was opened.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Recovered {
    /// The last hard state. Its commit index is at most `last_index`: it may have been durable
    /// before the entries that it speaks of, which then were nobody's to count on.
    pub hard_state: HardState,
    /// Index of the first entry.
    pub first_index: u64,
    /// Index of the last entry; `first_index - 1` if there is none.
    pub last_index: u64,
    /// Term of the last entry, or of the one before the first.
    pub last_term: u64,
    /// The torn end that was cut off, if there was one.
    pub cut: Option<Cut>,
    /// Bytes of groups that were written again because nothing proved them durable.
    pub rewritten_bytes: u64,
}

/// A torn end of the log: written, never proven to be synced, and not whole.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cut {
    /// Name of the segment file.
    pub file: String,
    /// Offset of the first byte that was cut.
    pub offset: u64,
    /// What is wrong there.
    pub reason: String,
}

impl<D: Disk> Log<D> {
    /// Opens the log in `disk`, or makes an empty one if there is none. When it returns,
    /// everything that it holds is durable.
    ///
    /// # Errors
    /// [`OpenError`]; the disk holds what it held then.
    pub fn open(disk: D, options: Options) -> Result<(Self, Recovered), OpenError> {
        let mut opening = Opening::new(disk, options);
        let directory = chain::find(&*opening.disk, &opening.options)?;
        let (log, mut recovered) = match directory.chain {
            None => (opening.first_segment(directory.spares)?, Recovered::default()),
            Some(chain) => opening.recover(chain, directory.spares)?,
        };
        let last = log.contents.last();
        recovered.hard_state = log.hard_state();
        recovered.first_index = log.first_index();
        (recovered.last_index, recovered.last_term) = (last.index, last.term);
        Ok((log, recovered))
    }
}

/// What is there before the log is.
struct Opening<D: Disk> {
    disk: Arc<D>,
    options: Options,
    salts: SplitMix,
    spares: Vec<Spare<D>>,
    spare_number: u64,
}

/// The groups that a new segment is begun with, by their place in the old one.
struct Carried {
    from: u64,
    to: u64,
}

impl<D: Disk> Opening<D> {
    fn new(disk: D, options: Options) -> Self {
        let salts = SplitMix::new(options.seed);
        Self { disk: Arc::new(disk), options, salts, spares: Vec::new(), spare_number: 0 }
    }

    fn first_segment(&mut self, spares: Vec<u64>) -> Result<Log<D>, OpenError> {
        self.take_spares(spares)?;
        let spare = self.spare(0)?;
        let header = Header {
            owner: self.options.owner,
            sequence: 1,
            salt: draw_salt(&mut self.salts, &spare)?,
            previous: None,
            base: Position::default(),
            hard_state: HardState::default(),
            segment_bytes: spare.bytes,
            synced_to: BLOCK_BYTES,
        };
        let segment = install(&*self.disk, spare, &header)?;
        let contents = Contents::new(header.base, header.hard_state);
        Ok(self.log(contents, VecDeque::from([segment]), BLOCK_BYTES))
    }

    fn recover(
        &mut self,
        chain: Chain<D::File>,
        spares: Vec<u64>,
    ) -> Result<(Log<D>, Recovered), OpenError> {
        let Replayed { mut contents, ending } = replay::replay(&chain)?;
        // From here on the disk is changed. The names first: if the process before this one
        // ended because it could not sync the directory, they are here but not yet durable.
        self.disk.sync_dir().map_err(directory_failed("sync"))?;
        self.take_spares(spares)?;
        let Chain { older, last, superseded } = chain;
        let mut segments: VecDeque<_> = older.into_iter().map(|older| older.segment).collect();
        let mut recovered = Recovered { cut: ending.cut.clone(), ..Recovered::default() };
        let mut obsolete = superseded;
        let mut end = ending.end;
        if ending.clean {
            segments.push_back(last.segment);
        } else {
            let carried = carried(&ending, last.segment.bytes);
            let (segment, new_end) = self.rewrite(&last, &ending, &carried)?;
            contents.relocate(last.segment.sequence, carried.from, segment.sequence, BLOCK_BYTES);
            recovered.rewritten_bytes = carried.to - carried.from;
            end = new_end;
            if carried.from > BLOCK_BYTES {
                segments.push_back(last.segment);
            } else {
                obsolete.push(last.segment);
            }
            segments.push_back(segment);
        }
        let mut log = self.log(contents, segments, end);
        for segment in obsolete {
            log.recycle(segment)?;
        }
        Ok((log, recovered))
    }

    /// Writes the carried groups into a new segment, which takes the place of everything in the
    /// old one from `carried.from` on.
    fn rewrite(
        &mut self,
        last: &Linked<D::File>,
        ending: &Ending,
        carried: &Carried,
    ) -> Result<(Segment<D::File>, u64), OpenError> {
        let bytes = carried.to - carried.from;
        let spare = self.spare(2 * BLOCK_BYTES + bytes)?;
        let salt = draw_salt(&mut self.salts, &spare)?;
        let (previous, state) = if carried.from > BLOCK_BYTES {
            (Some(last.segment.as_previous(carried.from)), ending.proven_state)
        } else {
            let header = &last.header;
            (header.previous, Boundary { last: header.base, hard_state: header.hard_state })
        };
        rewrite::copy_groups(&last.segment, carried.from..carried.to, &spare, salt)?;
        let end = BLOCK_BYTES + bytes;
        let header = Header {
            owner: self.options.owner,
            sequence: last.segment.sequence + 1,
            salt,
            previous,
            base: state.last,
            hard_state: state.hard_state,
            segment_bytes: spare.bytes,
            synced_to: end,
        };
        Ok((install(&*self.disk, spare, &header)?, end))
    }

    /// Keeps the spares that fit, removes all others.
    fn take_spares(&mut self, numbers: Vec<u64>) -> Result<(), OpenError> {
        let mut removed = false;
        for number in numbers {
            self.spare_number = self.spare_number.max(number);
            let name = spare_name(number);
            let file = self.disk.open(&name).map_err(failed("open", &name))?;
            let bytes = crate::DiskFile::len(&file).map_err(failed("measure", &name))?;
            // One more than wanted may be kept: recovery takes one.
            let wanted = self.spares.len() <= self.options.spares;
            if wanted && bytes == self.options.segment_size() {
                self.spares.push(Spare { file, name, bytes, on_its_way: None });
            } else {
                drop(file);
                self.disk.remove(&name).map_err(failed("remove", &name))?;
                removed = true;
            }
        }
        if removed {
            self.disk.sync_dir().map_err(directory_failed("sync"))?;
        }
        Ok(())
    }

    /// Takes a spare of at least `bytes_min`, or makes one.
    fn spare(&mut self, bytes_min: u64) -> Result<Spare<D>, IoFailure> {
        let size = self.options.segment_size();
        if size >= bytes_min
            && let Some(spare) = self.spares.pop()
        {
            return Ok(spare);
        }
        self.spare_number += 1;
        let bytes = size.max(bytes_min.next_multiple_of(BLOCK_BYTES));
        make(&*self.disk, spare_name(self.spare_number), bytes)
    }

    /// The log, all of it durable up to `end` of the last segment.
    fn log(
        &mut self,
        contents: Contents,
        segments: VecDeque<Segment<D::File>>,
        end: u64,
    ) -> Log<D> {
        Log {
            disk: Arc::clone(&self.disk),
            options: self.options.clone(),
            salts: self.salts.clone(),
            contents,
            segments,
            end,
            synced: end,
            proven: end,
            spares: std::mem::take(&mut self.spares),
            spare_number: self.spare_number,
            on_its_way: Arc::new(()),
            buffer: GroupBuffer::new(),
            poisoned: false,
        }
    }
}

/// From where on the last segment is written again. If it holds little, that is from its first
/// group on, so that the old file is free at once: a node that restarts again and again would
/// otherwise leave a nearly empty segment behind each time.
fn carried(ending: &Ending, segment_bytes: u64) -> Carried {
    let little = ending.end - BLOCK_BYTES <= segment_bytes / 4;
    Carried { from: if little { BLOCK_BYTES } else { ending.proven }, to: ending.end }
}
