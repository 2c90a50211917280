//! Reading all groups of a log, and deciding what a bad place means.

use std::collections::VecDeque;

use bytes::Bytes;

use super::Cut;
use super::chain::{Chain, Linked};
use crate::contents::{Contents, Place};
use crate::disk::read_full;
use crate::format::{BLOCK_BYTES, Frame, GROUP_HEADER_BYTES, GroupHeader, Record, records};
use crate::segment::{Segment, segment_name};
use crate::{Corruption, DiskFile, HardState, OpenError, Position};

/// Bytes read at once.
const WINDOW_BYTES: usize = 1024 * 1024;

/// What a log holds, and how its last segment ends.
pub(super) struct Replayed {
    pub(super) contents: Contents,
    pub(super) ending: Ending,
}

/// How the last segment ends.
pub(super) struct Ending {
    /// The intact groups end here.
    pub(super) end: u64,
    /// The groups before this offset are proven to be durable. At most `end`.
    pub(super) proven: u64,
    /// The state of the log at `proven`.
    pub(super) proven_state: Boundary,
    /// Nothing was ever written behind what was durable when the segment got its name: it can be
    /// written to as if it had just been made.
    pub(super) clean: bool,
    pub(super) cut: Option<Cut>,
}

/// The state of the log between two groups.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Boundary {
    pub(super) last: Position,
    pub(super) hard_state: HardState,
}

impl Boundary {
    fn of(contents: &Contents) -> Self {
        Self { last: contents.last(), hard_state: contents.hard_state }
    }
}

/// Reads a chain of segments.
pub(super) fn replay<F: DiskFile>(chain: &Chain<F>) -> Result<Replayed, OpenError> {
    let oldest = &chain.older.front().unwrap_or(&chain.last).header;
    let mut contents = Contents::new(oldest.base, oldest.hard_state);
    let successors = chain.older.iter().skip(1).chain([&chain.last]);
    for (linked, next) in chain.older.iter().zip(successors) {
        replay_whole(&linked.segment, &mut contents)?;
        let begun = Boundary { last: next.header.base, hard_state: next.header.hard_state };
        if begun != Boundary::of(&contents) {
            let reason = "the header contradicts the segment before".to_owned();
            let file = next.segment.name.clone();
            return Err(Corruption { file, offset: 0, reason }.into());
        }
    }
    let ending = replay_last(&chain.last, &mut contents)?;
    Ok(Replayed { contents, ending })
}

/// Reads a segment that has a successor: every group up to the end that this one names was
/// durable before it existed.
fn replay_whole<F: DiskFile>(
    segment: &Segment<F>,
    contents: &mut Contents,
) -> Result<(), OpenError> {
    let mut reader = Reader::new(segment);
    let end = segment.end;
    let mut offset = BLOCK_BYTES;
    while offset < end {
        let (header, payload) = match reader.group(offset, end)? {
            Found::Group(header, payload) => (header, payload),
            Found::Bad { reason, .. } => {
                let reason = format!("{reason}; a later segment proves that it was synced");
                return Err(reader.corrupt(offset, reason));
            }
        };
        let seal = take_in(&header, payload, segment.sequence, offset, contents)
            .map_err(|reason| reader.corrupt(offset, reason))?;
        if seal.is_some() {
            return Err(reader.corrupt(offset, "a seal inside of a segment".to_owned()));
        }
        offset += header.bytes_padded();
    }
    if offset == end {
        Ok(())
    } else {
        Err(reader.corrupt(end, "a later segment names an end that is none".to_owned()))
    }
}

/// Reads the last segment up to the first place that is no group, and judges that place.
fn replay_last<F: DiskFile>(
    last: &Linked<F>,
    contents: &mut Contents,
) -> Result<Ending, OpenError> {
    let segment = &last.segment;
    let mut reader = Reader::new(segment);
    let mut offset = BLOCK_BYTES;
    let mut proven = last.header.synced_to;
    // The boundaries that can still turn out to be the proven end.
    let mut boundaries = VecDeque::new();
    let (traced, reason) = loop {
        boundaries.push_back((offset, Boundary::of(contents)));
        while boundaries.get(1).is_some_and(|(boundary, _)| *boundary <= proven) {
            boundaries.pop_front();
        }
        let (header, payload) = match reader.group(offset, segment.bytes)? {
            Found::Group(header, payload) => (header, payload),
            Found::Bad { ours, reason } => break (ours, reason),
        };
        if header.synced_to > offset {
            let reason = "a group names a synced end behind itself".to_owned();
            return Err(reader.corrupt(offset, reason));
        }
        proven = proven.max(header.synced_to);
        let seal = take_in(&header, payload, segment.sequence, offset, contents)
            .map_err(|reason| reader.corrupt(offset, reason))?;
        if let Some(next) = seal {
            let reason = format!("{} ends with a seal that names it", segment.name);
            return Err(OpenError::Missing { file: segment_name(next), reason });
        }
        offset += header.bytes_padded();
    };
    let behind = reader.search(offset)?;
    proven = proven.max(behind.synced_to);
    while boundaries.get(1).is_some_and(|(boundary, _)| *boundary <= proven) {
        boundaries.pop_front();
    }
    let Some((_, proven_state)) = boundaries.front().filter(|(boundary, _)| *boundary == proven)
    else {
        // Behind the bad place, or no end of a group: either way something durable is gone.
        let reason = format!("{reason}; the log was synced up to offset {proven}");
        return Err(reader.corrupt(offset, reason));
    };
    let torn = traced || behind.traced;
    Ok(Ending {
        end: offset,
        proven,
        proven_state: *proven_state,
        clean: !torn && offset == last.header.synced_to,
        cut: torn.then(|| Cut { file: segment.name.clone(), offset, reason }),
    })
}

/// Takes the records of a group into `contents`; returns the segment named by a seal.
///
/// # Errors
/// Says which rule of the format the group breaks.
fn take_in(
    header: &GroupHeader,
    payload: Bytes,
    sequence: u64,
    offset: u64,
    contents: &mut Contents,
) -> Result<Option<u64>, String> {
    let place = Place { sequence, offset, bytes: header.bytes() };
    let (mut count, mut entries, mut seal) = (0, false, None);
    for record in records(payload) {
        let record = record.map_err(|error| format!("a record does not decode: {error}"))?;
        count += 1;
        match &record {
            Record::Entry(entry) => {
                entries = true;
                let position = Position { index: entry.index, term: entry.term };
                if !contents.push(position, place) {
                    let (index, last) = (entry.index, contents.last().index);
                    return Err(format!("entry {index} stands behind entry {last}"));
                }
                continue;
            }
            Record::Truncate(last) if last.index > contents.last().index => {
                let (index, last) = (last.index, contents.last().index);
                return Err(format!("a truncation to {index} stands behind entry {last}"));
            }
            Record::Seal(next) => seal = Some(*next),
            Record::HardState(_) | Record::Truncate(_) | Record::Start(_) => {}
        }
        if entries {
            return Err("a record stands behind the entries of its group".to_owned());
        }
        contents.apply(&record);
    }
    if count == header.records {
        Ok(seal)
    } else {
        Err(format!("the group holds {count} records instead of {}", header.records))
    }
}

/// What stands at a place where a group could begin.
pub(super) enum Found {
    Group(GroupHeader, Bytes),
    Bad {
        /// It bears the mark of a group of this segment: something was written here.
        ours: bool,
        reason: String,
    },
}

/// What stands behind the first bad place.
struct Behind {
    /// Some block bears the mark of this segment.
    traced: bool,
    /// The greatest synced end that a group header there names.
    synced_to: u64,
}

/// Reads a segment from front to back through a window.
pub(super) struct Reader<'a, F> {
    segment: &'a Segment<F>,
    window: Vec<u8>,
    window_offset: u64,
}

impl<'a, F: DiskFile> Reader<'a, F> {
    pub(super) fn new(segment: &'a Segment<F>) -> Self {
        Self { segment, window: Vec::new(), window_offset: 0 }
    }

    pub(super) fn corrupt(&self, offset: u64, reason: String) -> OpenError {
        Corruption { file: self.segment.name.clone(), offset, reason }.into()
    }

    /// `count` bytes at `offset`, fewer at the end of the file.
    pub(super) fn bytes(&mut self, offset: u64, count: usize) -> Result<&[u8], OpenError> {
        let start = offset.checked_sub(self.window_offset).map(usize::try_from);
        let start = match start {
            Some(Ok(start)) if start.saturating_add(count) <= self.window.len() => start,
            Some(_) | None => {
                let left = usize::try_from(self.segment.bytes.saturating_sub(offset));
                self.window.resize(left.unwrap_or(usize::MAX).min(count.max(WINDOW_BYTES)), 0);
                let Segment { file, name, .. } = self.segment;
                let read =
                    read_full(file, name, &mut self.window, offset).map_err(OpenError::Read)?;
                self.window.truncate(read);
                self.window_offset = offset;
                0
            }
        };
        let rest = self.window.get(start..).unwrap_or_default();
        Ok(rest.get(..count).unwrap_or(rest))
    }

    /// The group at `offset`, which must end at or before `limit`.
    pub(super) fn group(&mut self, offset: u64, limit: u64) -> Result<Found, OpenError> {
        let salt = self.segment.salt;
        let bad = |ours, reason: &str| Ok(Found::Bad { ours, reason: reason.to_owned() });
        let header = match Frame::look(self.bytes(offset, GROUP_HEADER_BYTES)?, salt, offset) {
            Frame::Header(header) => header,
            Frame::Damaged => return bad(true, "the checksum of a group header is wrong"),
            Frame::Foreign => return bad(false, "no group is there"),
        };
        if header.bytes_padded() > limit.saturating_sub(offset) {
            return bad(true, "a group is longer than what is left for it");
        }
        let group = self.bytes(offset, header.bytes())?;
        match header.payload(group, salt, offset) {
            Some(payload) => Ok(Found::Group(header, Bytes::copy_from_slice(payload))),
            None => bad(true, "the checksum of a group is wrong"),
        }
    }

    /// Looks at every block behind the bad one at `offset`.
    fn search(&mut self, offset: u64) -> Result<Behind, OpenError> {
        let salt = self.segment.salt;
        let mut behind = Behind { traced: false, synced_to: 0 };
        let mut next = offset.saturating_add(BLOCK_BYTES);
        while next < self.segment.bytes {
            let block = self.bytes(next, GROUP_HEADER_BYTES)?;
            if Frame::has_tag(block, salt) {
                behind.traced = true;
                if let Frame::Header(header) = Frame::look(block, salt, next) {
                    behind.synced_to = behind.synced_to.max(header.synced_to);
                }
            }
            next += BLOCK_BYTES;
        }
        Ok(behind)
    }
}
