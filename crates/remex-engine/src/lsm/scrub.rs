//! Reads all that a store on disk consists of, to find what has changed since it was written.
//!
//! The list of files names the checksum of every table as a whole (XXH3-128 over the file), which
//! the library writes and never compares. So a scrub needs to know nothing of what is in a table:
//! it first checks the list itself, then reads each table of the list from its first byte to its
//! last. That finds even a block that is whole but in the wrong place.

use std::fs::File;
use std::io::Read;
use std::path::PathBuf;
use std::sync::Arc;

use lsm_tree::{AbstractTree, AnyTree, Table, TableId};
use xxhash_rust::xxh3::Xxh3Default;

use super::damage::{check_table, corrupt, reading};
use super::manifest::Manifest;
use crate::EngineError;

/// Bytes that are read at a time.
const SLICE_BYTES: usize = 1 << 20;

/// The slices of everything, in the order in which they are read.
pub(super) struct Slices {
    tree: AnyTree,
    /// The tables that are left, the next one last; `None` before the list was checked.
    left: Option<Vec<TableId>>,
    current: Option<Reading>,
    buffer: Vec<u8>,
    ended: bool,
}

/// A table that is being read.
struct Reading {
    path: Arc<PathBuf>,
    file: File,
    bytes: u64,
    hasher: Box<Xxh3Default>,
    checksum: u128,
}

impl Slices {
    pub(super) fn new(tree: AnyTree) -> Self {
        Self { tree, left: None, current: None, buffer: Vec::new(), ended: false }
    }

    fn slice(&mut self) -> Result<Option<u64>, EngineError> {
        loop {
            if let Some(reading) = &mut self.current {
                match reading.slice(&mut self.buffer)? {
                    Some(bytes) => return Ok(Some(bytes)),
                    None => self.current = None,
                }
            }
            let Some(left) = &mut self.left else {
                let tables = self.tree.current_version().iter_tables().map(Table::id).collect();
                self.left = Some(tables);
                return self.check_list().map(Some);
            };
            let Some(id) = left.pop() else { return Ok(None) };
            self.current = self.open(id)?;
        }
    }

    /// Checks the list of files. Returns its size.
    fn check_list(&self) -> Result<u64, EngineError> {
        let directory = &self.tree.tree_config().path;
        let version = || self.tree.current_version().id();
        loop {
            let before = version();
            match Manifest::read(directory) {
                Ok(Some(manifest)) => return Ok(manifest.bytes),
                // A new list took the place of the one that was looked for.
                _ if version() != before => {}
                Ok(None) => return Err(corrupt(&directory.join("current"), "it is missing")),
                Err(error) => return Err(error),
            }
        }
    }

    /// Opens a table, unless compaction has replaced it since.
    fn open(&self, id: TableId) -> Result<Option<Reading>, EngineError> {
        let version = self.tree.current_version();
        let Some(table) = version.iter_tables().find(|table| table.id() == id) else {
            return Ok(None);
        };
        let path = Arc::clone(&table.path);
        let file = File::open(&*path).map_err(|error| reading(&path, error))?;
        let (hasher, checksum) = (Box::new(Xxh3Default::new()), table.checksum().into_u128());
        Ok(Some(Reading { path, file, bytes: 0, hasher, checksum }))
    }
}

impl Iterator for Slices {
    type Item = Result<u64, EngineError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.ended {
            return None;
        }
        let slice = self.slice().transpose();
        self.ended = !matches!(slice, Some(Ok(_)));
        slice
    }
}

impl Reading {
    /// Reads on. `None` at the end, if the checksum is right.
    fn slice(&mut self, buffer: &mut Vec<u8>) -> Result<Option<u64>, EngineError> {
        buffer.clear();
        let limit = SLICE_BYTES as u64;
        let read = (&self.file).take(limit).read_to_end(buffer);
        let read = read.map_err(|error| reading(&self.path, error))? as u64;
        if read == 0 {
            return match self.hasher.digest128() == self.checksum {
                true => Ok(None),
                false => {
                    // Which block it is, if it is one.
                    check_table(&self.path)?;
                    let what = format!("the checksum over its {} bytes is wrong", self.bytes);
                    Err(corrupt(&self.path, &what))
                }
            };
        }
        self.hasher.update(buffer);
        self.bytes += read;
        Ok(Some(read))
    }
}
