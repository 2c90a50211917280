//! Reads the list of files that the storage library keeps, before the library does.
//!
//! The library (lsm-tree 3.1.10) names the current list in the file `current`: the number `n` of
//! the list as u64, the xxh3-128 of the file `v<n>`, and a byte 0. It writes the checksum and does
//! not compare it when it opens, so one flipped bit in the list could lose a table or misplace it
//! in time without a word. Nor does it refuse a directory whose `current` is gone: it would start
//! an empty store over the tables of the old one. Both are refused here, and so is a table that is
//! missing, or whose end is not one, before the library can trip over it.
//!
//! The section `tables` of a list: u8 number of levels, each: u8 number of runs, each: u32 number of
//! tables, each: u64 number of the table, u8 kind of checksum = 0, u128 XXH3-128 of the file, u64
//! sequence number.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use bytes::{Buf, Bytes};
use xxhash_rust::xxh3::xxh3_128;

use super::archive;
use super::damage::{corrupt, reading};
use crate::EngineError;

const CURRENT_BYTES: usize = 8 + 16 + 1;
const TABLE_BYTES: usize = 8 + 1 + 16 + 8;

/// The current list of tables.
#[derive(Debug)]
pub(super) struct Manifest {
    /// The number of the list.
    pub(super) number: u64,
    /// Length of the list and of the file that names it, in bytes.
    pub(super) bytes: u64,
    /// The files of all tables.
    pub(super) tables: Vec<PathBuf>,
}

impl Manifest {
    /// Reads and checks the list of the store in `directory`; `None` if there is no store.
    ///
    /// # Errors
    /// [`EngineError::Corrupt`] if the list is not what was written.
    pub(super) fn read(directory: &Path) -> Result<Option<Self>, EngineError> {
        let name = directory.join("current");
        let Some(current) = read(&name)? else {
            if holds_tables(directory)? {
                return Err(corrupt(&name, "it is missing"));
            }
            return Ok(None);
        };
        let current: [u8; CURRENT_BYTES] = current
            .try_into()
            .map_err(|bytes: Vec<u8>| corrupt(&name, &format!("it has {} bytes", bytes.len())))?;
        let (number, rest) = current.split_first_chunk::<8>().expect("the array has 25 bytes");
        let (checksum, kind) = rest.split_first_chunk::<16>().expect("17 bytes are left");
        if kind != [0] {
            return Err(corrupt(&name, "it names an unknown kind of checksum"));
        }
        let number = u64::from_le_bytes(*number);
        let list = directory.join(format!("v{number}"));
        let content = read(&list)?.ok_or_else(|| corrupt(&list, "it is missing"))?;
        if xxh3_128(&content) != u128::from_le_bytes(*checksum) {
            return Err(corrupt(&list, "its checksum is wrong"));
        }
        let bytes = (content.len() + CURRENT_BYTES) as u64;
        let file = File::open(&list).map_err(|error| reading(&list, error))?;
        let sections = archive::sections(&list, &file)?;
        let tables = sections
            .iter()
            .find(|section| section.name == "tables")
            .and_then(|section| tables(&Bytes::from(content), section))
            .ok_or_else(|| corrupt(&list, "it cannot be understood"))?;
        let folder = directory.join("tables");
        let tables = tables.into_iter().map(|number| folder.join(number.to_string())).collect();
        Ok(Some(Self { number, bytes, tables }))
    }

    /// Checks that all tables are there and where their parts are.
    pub(super) fn check_tables(&self) -> Result<(), EngineError> {
        for path in &self.tables {
            let file = File::open(path).map_err(|error| reading(path, error))?;
            archive::sections(path, &file)?;
        }
        Ok(())
    }
}

/// The numbers of all tables.
fn tables(content: &Bytes, section: &archive::Section) -> Option<Vec<u64>> {
    let start = usize::try_from(section.offset).ok()?;
    let length = usize::try_from(section.length).ok()?;
    let mut input = content.slice(start..start.checked_add(length)?);
    let mut tables = Vec::new();
    for _ in 0..input.try_get_u8().ok()? {
        for _ in 0..input.try_get_u8().ok()? {
            for _ in 0..input.try_get_u32_le().ok()? {
                if input.remaining() < TABLE_BYTES {
                    return None;
                }
                tables.push(input.get_u64_le());
                input.advance(TABLE_BYTES - 8);
            }
        }
    }
    input.is_empty().then_some(tables)
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
