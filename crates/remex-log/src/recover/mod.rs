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
//! useless spare, or the new one. `spares` finds room for step 3, on a full disk too.
#![deny(clippy::indexing_slicing)]

mod chain;
mod replay;
mod rewrite;
mod spares;

use std::collections::VecDeque;
use std::sync::Arc;

use self::chain::{Chain, Linked};
use self::replay::{Boundary, Ending, Replayed};
use self::spares::Spares;
use crate::contents::Contents;
use crate::error::{IoFailure, directory_failed};
use crate::format::{BLOCK_BYTES, GroupBuffer, Header};
use crate::segment::Segment;
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
    /// [`OpenError`]; the disk holds what it held then, and the call may be repeated.
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
}

/// The groups that a new segment is begun with, by their place in the old one.
struct Carried {
    from: u64,
    to: u64,
}

impl Carried {
    /// Length of the shortest segment that takes them: header and seal have a block each.
    fn segment_bytes_min(&self) -> u64 {
        self.to - self.from + 2 * BLOCK_BYTES
    }
}

impl<D: Disk> Opening<D> {
    fn new(disk: D, options: Options) -> Self {
        let salts = SplitMix::new(options.seed);
        Self { disk: Arc::new(disk), options, salts }
    }

    fn first_segment(&mut self, spares: Vec<u64>) -> Result<Log<D>, OpenError> {
        let mut spares = Spares::find(&self.disk, &self.options, spares)?;
        let bytes = self.options.segment_size();
        let refused = |failure| self.refused(failure, bytes);
        let mut spare = match spares.take(0) {
            Err(failure) if failure.is_full() => spares.take_any(bytes),
            taken => taken,
        }
        .map_err(refused)?;
        let header = Header {
            owner: self.options.owner,
            sequence: 1,
            salt: spare.draw_salt(&mut self.salts),
            previous: None,
            base: Position::default(),
            hard_state: HardState::default(),
            segment_bytes: spare.bytes,
            synced_to: BLOCK_BYTES,
        };
        spare.install(&*self.disk, &header).map_err(|failure| self.refused(failure, bytes))?;
        self.disk.sync_dir().map_err(directory_failed("sync"))?;
        spares.remove_others()?;
        let contents = Contents::new(header.base, header.hard_state);
        let segments = VecDeque::from([spare.into_segment(&header)]);
        Ok(self.log(contents, segments, spares, BLOCK_BYTES))
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
        let mut spares = Spares::find(&self.disk, &self.options, spares)?;
        let Chain { older, mut last, superseded } = chain;
        let mut segments: VecDeque<_> = older.into_iter().map(|older| older.segment).collect();
        let mut recovered = Recovered { cut: ending.cut.clone(), ..Recovered::default() };
        let mut obsolete = superseded;
        let (mut end, mut closed) = (ending.end, false);
        if ending.clean {
            segments.push_back(last.segment);
        } else if let Some((carried, spare)) =
            self.room_for_tail(&ending, last.segment.bytes, &mut spares)?
        {
            last.segment.end = carried.from;
            let segment = self.rewrite(&last, &ending, &carried, spare)?;
            contents.relocate(last.segment.sequence, carried.from, segment.sequence, BLOCK_BYTES);
            recovered.rewritten_bytes = carried.to - carried.from;
            end = segment.end;
            if carried.from > BLOCK_BYTES {
                segments.push_back(last.segment);
            } else {
                obsolete.push(last.segment);
            }
            segments.push_back(segment);
        } else {
            let tail = ending.proven..ending.end;
            recovered.rewritten_bytes = tail.end - tail.start;
            let refused = |failure| self.refused(failure, last.segment.bytes);
            rewrite::rewrite_in_place(&last.segment, tail, refused)?;
            closed = true;
            segments.push_back(last.segment);
        }
        spares.remove_others()?;
        let mut log = self.log(contents, segments, spares, end);
        log.closed = closed;
        for segment in obsolete {
            log.recycle(segment)?;
        }
        Ok((log, recovered))
    }

    /// From where on the last segment is written again, and the spare for it. If the segment holds
    /// little, that is from its first group on, so that the old file is free at once: a node that
    /// restarts again and again would otherwise leave a nearly empty segment behind each time. On
    /// a full disk it is only what must be, and whatever file takes it; `None` if there is none.
    fn room_for_tail(
        &self,
        ending: &Ending,
        last_bytes: u64,
        spares: &mut Spares<D>,
    ) -> Result<Option<(Carried, Spare<D>)>, IoFailure> {
        let all = Carried { from: BLOCK_BYTES, to: ending.end };
        let tail = Carried { from: ending.proven, to: ending.end };
        let little = ending.end - BLOCK_BYTES <= last_bytes / 4
            && all.segment_bytes_min() <= self.options.segment_size();
        let preferred = if little { &all } else { &tail };
        match spares.take(preferred.segment_bytes_min()) {
            Ok(spare) if little => Ok(Some((all, spare))),
            Ok(spare) => Ok(Some((tail, spare))),
            Err(failure) if failure.is_full() => match spares.take_any(tail.segment_bytes_min()) {
                Ok(spare) => Ok(Some((tail, spare))),
                Err(failure) if failure.is_full() => Ok(None),
                Err(failure) => Err(failure),
            },
            Err(failure) => Err(failure),
        }
    }

    /// Writes the carried groups into a new segment, which takes the place of everything in the
    /// old one from `carried.from` on.
    fn rewrite(
        &mut self,
        last: &Linked<D::File>,
        ending: &Ending,
        carried: &Carried,
        mut spare: Spare<D>,
    ) -> Result<Segment<D::File>, OpenError> {
        let salt = spare.draw_salt(&mut self.salts);
        let (previous, state) = if carried.from > BLOCK_BYTES {
            (Some(last.segment.as_previous()), ending.proven_state)
        } else {
            let header = &last.header;
            (header.previous, Boundary { last: header.base, hard_state: header.hard_state })
        };
        let bytes = spare.bytes;
        let refused = |failure| self.refused(failure, bytes);
        rewrite::copy_groups(&last.segment, carried.from..carried.to, &spare, salt, refused)?;
        let header = Header {
            owner: self.options.owner,
            sequence: last.segment.sequence + 1,
            salt,
            previous,
            base: state.last,
            hard_state: state.hard_state,
            segment_bytes: spare.bytes,
            synced_to: BLOCK_BYTES + (carried.to - carried.from),
        };
        spare.install(&*self.disk, &header).map_err(refused)?;
        self.disk.sync_dir().map_err(directory_failed("sync"))?;
        Ok(spare.into_segment(&header))
    }

    /// Tells a full disk, of which `bytes` were wanted, from a broken one.
    fn refused(&self, source: IoFailure, bytes: u64) -> OpenError {
        if source.is_full() {
            OpenError::Full { directory: self.disk.place(), bytes, source }
        } else {
            OpenError::Io(source)
        }
    }

    /// The log, all of it durable up to `end` of the last segment.
    fn log(
        &self,
        contents: Contents,
        segments: VecDeque<Segment<D::File>>,
        spares: Spares<D>,
        end: u64,
    ) -> Log<D> {
        let (spares, spare_number) = spares.into_parts();
        Log {
            disk: Arc::clone(&self.disk),
            options: self.options.clone(),
            salts: self.salts.clone(),
            contents,
            segments,
            end,
            synced: end,
            proven: end,
            spares,
            spare_number,
            on_its_way: Arc::new(()),
            trimming: Arc::new(()),
            void_unsynced: false,
            closed: false,
            buffer: GroupBuffer::new(),
            poisoned: false,
        }
    }
}
