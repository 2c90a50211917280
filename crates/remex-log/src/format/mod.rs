//! The bytes of format version 1: segment header, group, records. `docs/data-format.md` has the
//! same layout as tables; the fixture in `tests/log/format-1.hex` holds it fast.
//!
//! All integers are little-endian. A segment is a run of blocks of 4 KiB: one for the header, then
//! groups, each beginning on a block. Every checksum is CRC-32C and is *keyed*: it starts from the
//! segment's random salt and the group's own file offset, so bytes that an earlier use of the file
//! left behind, or that the disk put in the wrong place, never pass for a group of this segment.
//!
//! Nothing in here does I/O, and decoding never panics on any input.
#![deny(clippy::indexing_slicing)]

mod group;
mod header;
mod record;

pub(crate) use group::{Frame, GROUP_HEADER_BYTES, GroupBuffer, GroupHeader};
pub(crate) use header::{Header, HeaderError, Previous};
pub(crate) use record::{ENTRY_BYTES_MIN, LEAD_BYTES_MAX, Record, records};

/// Version of the format, in every segment header.
pub(crate) const VERSION: u32 = 1;

/// Unit of everything in a segment. Not smaller than the page of any disk in use, so that a later
/// write never touches a block that was synced before.
pub(crate) const BLOCK_BYTES: u64 = 4096;

/// [`BLOCK_BYTES`] for lengths in memory.
pub(crate) const BLOCK: usize = 4096;

/// Starts a checksum that is valid only in this segment and at this place.
fn keyed_checksum(salt: u64, offset: u64) -> u32 {
    crc32c::crc32c_append(crc32c::crc32c(&salt.to_le_bytes()), &offset.to_le_bytes())
}

#[cfg(test)]
mod tests;
