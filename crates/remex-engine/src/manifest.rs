//! Checks the list of files that the storage library keeps, before the library reads it.
//!
//! The library (lsm-tree 3.1.10) names the current list in the file `current`: the number `n` of
//! the list as u64, the xxh3-128 of the file `v<n>`, and a byte 0. It writes the checksum and does
//! not compare it when it opens, so one flipped bit in the list could lose a table or misplace it
//! in time without a word. Nor does it refuse a directory whose `current` is gone: it would start
//! an empty store over the tables of the old one. Both are refused here.

use std::fs;
use std::io;
use std::path::Path;

use xxhash_rust::xxh3::xxh3_128;

use crate::EngineError;

const CURRENT_BYTES: usize = 8 + 16 + 1;

/// Checks the store in `directory`. Returns the size of its list in bytes; `None` if there is no
/// store.
///
/// # Errors
/// [`EngineError::Corrupt`] if the list of files is not what was written.
pub(crate) fn check(directory: &Path) -> Result<Option<u64>, EngineError> {
    let Some(current) = read(&directory.join("current"))? else {
        if holds_tables(directory)? {
            let name = directory.join("current");
            return Err(EngineError::Corrupt(format!("{} is missing", name.display())));
        }
        return Ok(None);
    };
    let name = directory.join("current");
    let current: [u8; CURRENT_BYTES] = current
        .try_into()
        .map_err(|bytes: Vec<u8>| corrupt(&name, &format!("it has {} bytes", bytes.len())))?;
    let (number, rest) = current.split_first_chunk::<8>().expect("the array has 25 bytes");
    let (checksum, kind) = rest.split_first_chunk::<16>().expect("17 bytes are left");
    if kind != [0] {
        return Err(corrupt(&name, "it names an unknown kind of checksum"));
    }
    let list = directory.join(format!("v{}", u64::from_le_bytes(*number)));
    let bytes = read(&list)?.ok_or_else(|| corrupt(&list, "it is missing"))?;
    if xxh3_128(&bytes) != u128::from_le_bytes(*checksum) {
        return Err(corrupt(&list, "its checksum is wrong"));
    }
    Ok(Some((bytes.len() + CURRENT_BYTES) as u64))
}

pub(crate) fn corrupt(path: &Path, what: &str) -> EngineError {
    EngineError::Corrupt(format!("{}: {what}", path.display()))
}

fn read(path: &Path) -> Result<Option<Vec<u8>>, EngineError> {
    match fs::read(path) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error.into()),
    }
}

fn holds_tables(directory: &Path) -> Result<bool, EngineError> {
    match fs::read_dir(directory.join("tables")) {
        Ok(mut entries) => Ok(entries.next().transpose()?.is_some()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error.into()),
    }
}
