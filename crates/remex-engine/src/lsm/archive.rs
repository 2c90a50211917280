//! Reads where the sections of the library's files are.
//!
//! Every file of the library (a table or a list of tables) ends with the names and places of its
//! sections and a trailer. The library trusts the lengths in there before it compares checksums,
//! so one flipped bit can make it ask for more memory than there is, which ends the process. Here
//! everything is bounded by the length of the file first.
//!
//! ```text
//! sections   4 bytes "TOC!", u32 number, each: u64 offset, u64 length, u16 length of the name, name
//! trailer    4 bytes "SFA!", u8 version = 1, u8 kind of checksum = 0, u128 XXH3-128 of the sections,
//!            u64 their offset, u64 their length
//! ```

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::Path;

use bytes::{Buf, Bytes};
use xxhash_rust::xxh3::xxh3_128;

use super::damage::{corrupt, reading};
use crate::EngineError;

const TRAILER_BYTES: u64 = 38;
/// There are never more than about ten sections with short names.
const SECTIONS_BYTES_MAX: u64 = 64 * 1024;

/// A part of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Section {
    pub(super) name: Bytes,
    pub(super) offset: u64,
    pub(super) length: u64,
}

/// The sections of the file at `path`, in the order in which they lie.
pub(super) fn sections(path: &Path, file: &File) -> Result<Vec<Section>, EngineError> {
    let io = |error| reading(path, error);
    let length = file.metadata().map_err(io)?.len();
    let Some(trailer_offset) = length.checked_sub(TRAILER_BYTES) else {
        return Err(corrupt(path, &format!("it has only {length} bytes")));
    };
    let damaged = |what: &str| corrupt(path, &format!("at byte {trailer_offset}: {what}"));
    let mut trailer = read(file, trailer_offset, TRAILER_BYTES).map_err(io)?;
    if trailer.split_to(6)[..] != *b"SFA!\x01\x00" {
        return Err(damaged("the trailer is not one"));
    }
    let checksum = trailer.get_u128_le();
    let (offset, bytes) = (trailer.get_u64_le(), trailer.get_u64_le());
    if offset.checked_add(bytes) != Some(trailer_offset) || bytes > SECTIONS_BYTES_MAX {
        return Err(damaged("the trailer names a wrong place"));
    }
    let sections = read(file, offset, bytes).map_err(io)?;
    if xxh3_128(&sections) != checksum {
        return Err(damaged("the checksum over the list of sections is wrong"));
    }
    parse(sections, offset).ok_or_else(|| damaged("the list of sections cannot be understood"))
}

fn read(file: &File, offset: u64, length: u64) -> std::io::Result<Bytes> {
    let length = usize::try_from(length).expect("lengths are bounded by the callers");
    let mut out = vec![0; length];
    file.read_exact_at(&mut out, offset)?;
    Ok(Bytes::from(out))
}

/// The sections, if all lie before `end`.
fn parse(mut input: Bytes, end: u64) -> Option<Vec<Section>> {
    if input.remaining() < 8 || input.split_to(4)[..] != *b"TOC!" {
        return None;
    }
    let mut sections = Vec::new();
    for _ in 0..input.get_u32_le() {
        if input.remaining() < 18 {
            return None;
        }
        let (offset, length) = (input.get_u64_le(), input.get_u64_le());
        let name_bytes = usize::from(input.get_u16_le());
        if input.remaining() < name_bytes || offset.checked_add(length)? > end {
            return None;
        }
        sections.push(Section { name: input.split_to(name_bytes), offset, length });
    }
    input.is_empty().then_some(sections)
}
