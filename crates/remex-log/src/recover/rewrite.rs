//! Writing the unproven tail again.
//!
//! The bytes come from the page cache perhaps, and not from the disk, if the process before this
//! one ended with a failed sync. That is the point: here they are written and synced anew.

use std::ops::Range;

use super::replay::{Found, Reader};
use crate::error::{IoFailure, failed, failed_at};
use crate::format::{BLOCK_BYTES, GroupBuffer};
use crate::segment::Segment;
use crate::{Disk, DiskFile, OpenError, Spare};

/// Bytes rewritten in place at once.
const PIECE_BYTES: usize = 1024 * 1024;

/// Copies the groups at `range` of `old` to the front of `spare`, checksummed for their new place.
/// They keep their distances. Not synced: the header that is written next makes them durable.
pub(super) fn copy_groups<D: Disk>(
    old: &Segment<D::File>,
    range: Range<u64>,
    spare: &Spare<D>,
    salt: u64,
    refused: impl Fn(IoFailure) -> OpenError,
) -> Result<(), OpenError> {
    let mut reader = Reader::new(old);
    let mut buffer = GroupBuffer::new();
    let mut offset = range.start;
    while offset < range.end {
        let (header, payload) = match reader.group(offset, range.end)? {
            Found::Group(header, payload) => (header, payload),
            Found::Bad { reason, .. } => {
                let reason = format!("{reason}, but a moment ago it was intact");
                return Err(reader.corrupt(offset, reason));
            }
        };
        buffer.clear();
        buffer.push_payload(&payload, header.records);
        let new_offset = offset - range.start + BLOCK_BYTES;
        // Nothing is durable yet when this is written; the segment's header will say more.
        let group = buffer.finish(salt, new_offset, BLOCK_BYTES);
        let written = spare.file.write_all_at(group, new_offset);
        written.map_err(failed_at("write", &spare.name, new_offset)).map_err(&refused)?;
        offset += header.bytes_padded();
    }
    Ok(())
}

/// Writes the groups at `range` again where they are, and syncs them: for a full disk, on which
/// what exists can still be overwritten. Every byte is the one that is there, so a crash meanwhile
/// leaves of each group what could have been left before, and nothing behind it changes.
pub(super) fn rewrite_in_place<F: DiskFile>(
    segment: &Segment<F>,
    range: Range<u64>,
    refused: impl Fn(IoFailure) -> OpenError,
) -> Result<(), OpenError> {
    let mut reader = Reader::new(segment);
    let mut offset = range.start;
    while offset < range.end {
        let count = usize::try_from(range.end - offset).unwrap_or(usize::MAX).min(PIECE_BYTES);
        let piece = reader.bytes(offset, count)?;
        if piece.len() < count {
            let reason = "the file ends inside of a group".to_owned();
            return Err(reader.corrupt(offset, reason));
        }
        let written = segment.file.write_all_at(piece, offset);
        written.map_err(failed_at("write", &segment.name, offset)).map_err(&refused)?;
        offset += count as u64;
    }
    segment.file.sync().map_err(failed("sync", &segment.name)).map_err(refused)
}
