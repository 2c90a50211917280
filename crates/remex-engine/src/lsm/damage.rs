//! Names what is damaged, and where.
//!
//! The library says that a checksum is wrong, but not of which file. When it does, the files that
//! may be meant are read through until the damage is found again: this costs time once, as what
//! follows is that the node gives the store up.

use std::fs::File;
use std::io::{self, BufReader, ErrorKind, Read, Seek, SeekFrom};
use std::path::Path;

use lsm_tree::Table;
use lsm_tree::coding::Decode;
use lsm_tree::table::block::Header;
use xxhash_rust::xxh3::xxh3_128;

use super::archive::{self, Section};
use crate::EngineError;

/// A block is far shorter; what is longer was never written.
const BLOCK_BYTES_MAX: u64 = 64 << 20;

/// A file is not what was written to it.
pub(super) fn corrupt(path: &Path, what: &str) -> EngineError {
    EngineError::Corrupt(format!("{}: {what}", path.display()))
}

/// A file that must be there could not be read.
pub(super) fn reading(path: &Path, error: io::Error) -> EngineError {
    match error.kind() {
        ErrorKind::NotFound => corrupt(path, "it is missing"),
        ErrorKind::UnexpectedEof => corrupt(path, "it is too short"),
        _ => error.into(),
    }
}

/// Tells a disk that fails from a disk that lies.
pub(super) fn convert(error: lsm_tree::Error) -> EngineError {
    match error {
        lsm_tree::Error::Io(error) => match error.kind() {
            // A file that is too short, is not there, or does not decode was not written so.
            ErrorKind::UnexpectedEof | ErrorKind::InvalidData | ErrorKind::NotFound => {
                EngineError::Corrupt(error.to_string())
            }
            _ => EngineError::Io(error),
        },
        other => EngineError::Corrupt(other.to_string()),
    }
}

/// The error with the name of the damaged file and the place in it, if it is damage and is found
/// in one of these tables.
pub(super) fn located<'a>(
    error: EngineError,
    tables: impl IntoIterator<Item = &'a Table>,
) -> EngineError {
    let EngineError::Corrupt(what) = error else { return error };
    let paths = tables.into_iter().map(|table| table.path.as_path());
    match paths.map(check_table).find_map(Result::err) {
        Some(found) => found,
        None => EngineError::Corrupt(format!("{what}; its files show no damage when read again")),
    }
}

/// Reads a table block by block.
pub(super) fn check_table(path: &Path) -> Result<(), EngineError> {
    let file = File::open(path).map_err(|error| reading(path, error))?;
    let sections = archive::sections(path, &file)?;
    let mut input = BufReader::new(file);
    for section in sections {
        let end = section.offset + section.length;
        let mut offset = section.offset;
        input.seek(SeekFrom::Start(offset)).map_err(|error| reading(path, error))?;
        // The one section that is not made of blocks is one byte long.
        while offset < end && section.length > 1 {
            offset = check_block(&mut input, path, &section, offset)?;
        }
    }
    Ok(())
}

/// Checks a block. Returns where the next one begins.
fn check_block(
    input: &mut BufReader<File>,
    path: &Path,
    section: &Section,
    offset: u64,
) -> Result<u64, EngineError> {
    let place = || {
        let name = String::from_utf8_lossy(&section.name);
        format!("the block at byte {offset}, of the section `{name}`")
    };
    let damaged = |what: &str| corrupt(path, &format!("{} {what}", place()));
    let header = match Header::decode_from(input) {
        Ok(header) => header,
        Err(error) => match convert(error) {
            EngineError::Corrupt(_) => return Err(damaged("has a damaged head")),
            error @ EngineError::Io(_) => return Err(error),
        },
    };
    let (head, length) = (Header::serialized_len() as u64, u64::from(header.data_length));
    let next = offset + head + length;
    if next > section.offset + section.length || length > BLOCK_BYTES_MAX {
        return Err(damaged("reaches behind its section"));
    }
    let mut data = Vec::new();
    input.take(length).read_to_end(&mut data)?;
    if data.len() as u64 != length || xxh3_128(&data) != header.checksum.into_u128() {
        return Err(damaged("has a wrong checksum"));
    }
    Ok(next)
}
