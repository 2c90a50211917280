//! Which files form the log: every segment names its predecessor.

use std::collections::{BTreeMap, VecDeque};

use crate::disk::read_full;
use crate::error::{directory_failed, failed};
use crate::format::{BLOCK, BLOCK_BYTES, Header, HeaderError, VERSION};
use crate::segment::{Name, Segment, segment_name};
use crate::{Corruption, Disk, DiskFile, OpenError, Options};

/// The files of a directory.
pub(super) struct Directory<F> {
    /// The log; none in a directory without segments.
    pub(super) chain: Option<Chain<F>>,
    /// Numbers of the spares, ascending.
    pub(super) spares: Vec<u64>,
}

/// The segments of a log.
pub(super) struct Chain<F> {
    /// All but the last, oldest first.
    pub(super) older: VecDeque<Linked<F>>,
    pub(super) last: Linked<F>,
    /// Segments whose whole content a later one has taken over; a crash kept them from being
    /// released.
    pub(super) superseded: Vec<Segment<F>>,
}

/// A segment with its header.
pub(super) struct Linked<F> {
    pub(super) segment: Segment<F>,
    pub(super) header: Header,
}

/// Reads all headers and links them.
pub(super) fn find<D: Disk>(disk: &D, options: &Options) -> Result<Directory<D::File>, OpenError> {
    let mut spares = Vec::new();
    let mut sequences = Vec::new();
    let names = disk.list().map_err(directory_failed("list")).map_err(OpenError::Read)?;
    for name in names {
        match Name::parse(&name) {
            Name::Segment(sequence) => sequences.push(sequence),
            Name::Spare(number) => spares.push(number),
            Name::Foreign => {}
        }
    }
    spares.sort_unstable();
    sequences.sort_unstable();
    let mut segments = BTreeMap::new();
    for sequence in sequences {
        segments.insert(sequence, read_header(disk, sequence, options)?);
    }
    let chain = match segments.pop_last() {
        None => None,
        Some((_, last)) => Some(link(last, segments)?),
    };
    Ok(Directory { chain, spares })
}

fn read_header<D: Disk>(
    disk: &D,
    sequence: u64,
    options: &Options,
) -> Result<Linked<D::File>, OpenError> {
    let name = segment_name(sequence);
    let corrupt = |reason: String| Corruption { file: name.clone(), offset: 0, reason };
    let file = disk.open(&name).map_err(failed("open", &name)).map_err(OpenError::Read)?;
    let bytes = file.len().map_err(failed("measure", &name)).map_err(OpenError::Read)?;
    let mut block = vec![0; BLOCK];
    let count = read_full(&file, &name, &mut block, 0).map_err(OpenError::Read)?;
    if count < BLOCK {
        return Err(corrupt("the file ends inside of the segment header".into()).into());
    }
    let header = match Header::decode(&block) {
        Ok(header) => header,
        Err(HeaderError::Version(found)) => {
            return Err(OpenError::Version { file: name, found, supported: VERSION });
        }
        Err(HeaderError::Damaged(field)) => {
            return Err(corrupt(format!("the segment header is wrong in its {field}")).into());
        }
    };
    if header.owner != options.owner {
        let (found, expected) = (header.owner, options.owner);
        return Err(OpenError::Owner { file: name, found, expected });
    }
    if header.sequence != sequence {
        let reason = format!("the header is that of {}", segment_name(header.sequence));
        return Err(corrupt(reason).into());
    }
    if header.segment_bytes != bytes {
        let reason = format!("the file has {bytes} bytes instead of {}", header.segment_bytes);
        return Err(corrupt(reason).into());
    }
    if header.synced_to < BLOCK_BYTES || header.synced_to > bytes {
        return Err(corrupt("the header names a synced end outside of the file".into()).into());
    }
    // How far its groups go is known only when its successor, or they themselves, have been read.
    let segment = Segment { sequence, salt: header.salt, name, file, bytes, end: BLOCK_BYTES };
    Ok(Linked { segment, header })
}

/// Follows the links from the last segment to the oldest one.
fn link<F>(last: Linked<F>, mut others: BTreeMap<u64, Linked<F>>) -> Result<Chain<F>, OpenError> {
    let mut older = VecDeque::new();
    let mut superseded = Vec::new();
    let (mut name, mut next) = (last.segment.name.clone(), last.header.previous);
    while let Some(previous) = next {
        // What lies between a segment and the one that it names as its predecessor has been
        // taken over by it.
        let between = others.split_off(&previous.sequence.saturating_add(1));
        superseded.extend(between.into_values().map(|other| other.segment));
        let Some(mut other) = others.remove(&previous.sequence) else {
            break;
        };
        if other.header.salt != previous.salt || previous.end > other.segment.bytes {
            let file = other.segment.name;
            let reason = format!("it is not the segment that {name} goes on from");
            return Err(Corruption { file, offset: 0, reason }.into());
        }
        other.segment.end = previous.end;
        (name, next) = (other.segment.name.clone(), other.header.previous);
        older.push_front(other);
    }
    match next {
        None => superseded.extend(others.into_values().map(|other| other.segment)),
        // Segments are released oldest first: a missing one that has an older one beside it was
        // not released.
        Some(missing) => {
            if let Some((_, oldest)) = others.pop_last() {
                let reason =
                    format!("{name} goes on from it, and {} is older", oldest.segment.name);
                return Err(OpenError::Missing { file: segment_name(missing.sequence), reason });
            }
        }
    }
    Ok(Chain { older, last, superseded })
}
