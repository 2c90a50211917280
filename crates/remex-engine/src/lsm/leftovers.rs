//! Removes the files that failed writes leave behind.
//!
//! The library removes tables that belong to no list when it opens a store, not before: after a
//! run or a compaction that met a full disk, what it had written so far would go on filling the
//! disk. Such tables are told from all others by their numbers. The library counts them up, so the
//! tables written since some moment are those with higher numbers than were in use then; and those
//! among them that were never in a list are leftovers, as soon as nobody is writing.

use std::collections::BTreeSet;
use std::fs;
use std::sync::{Mutex, MutexGuard, PoisonError};

use lsm_tree::{AbstractTree, AnyTree, Table, TableId};

use super::manifest::Manifest;
use crate::EngineError;

/// See the module.
#[derive(Default)]
pub(super) struct Leftovers {
    busy: Mutex<Busy>,
}

/// What is written at the moment.
#[derive(Default)]
struct Busy {
    writers: usize,
    /// Whether any writer has failed since leftovers were last removed.
    failed: bool,
    /// Tables from this number on were made since nobody was writing.
    first: TableId,
    /// Those among them that have been in a list.
    listed: BTreeSet<TableId>,
}

impl Leftovers {
    /// Carries out something that writes tables.
    pub(super) fn write<T>(
        &self,
        tree: &AnyTree,
        write: impl FnOnce() -> Result<T, EngineError>,
    ) -> Result<T, EngineError> {
        {
            let mut busy = self.lock();
            busy.note(tree);
            busy.remove(tree)?;
            if busy.writers == 0 && !busy.failed {
                (busy.first, busy.listed) = (tree.next_table_id(), BTreeSet::new());
            }
            busy.writers += 1;
        }
        let result = write();
        let mut busy = self.lock();
        busy.writers -= 1;
        busy.failed |= result.is_err();
        busy.note(tree);
        match busy.remove(tree) {
            // What could not be removed now is tried again before the next writer.
            Err(_) if result.is_err() => result,
            Err(error) => Err(error),
            Ok(()) => result,
        }
    }

    fn lock(&self) -> MutexGuard<'_, Busy> {
        // Only numbers and flags, each set at once: a panic elsewhere leaves nothing half done.
        self.busy.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Busy {
    /// Notes what is in the list at the moment. Called when a writer begins and when it ends, so
    /// no table is in the list and out of it again without having been noted.
    fn note(&mut self, tree: &AnyTree) {
        let first = self.first;
        let version = tree.current_version();
        self.listed.extend(version.iter_tables().map(Table::id).filter(|id| *id >= first));
    }

    /// Removes what failed writers have left, if nobody is writing.
    fn remove(&mut self, tree: &AnyTree) -> Result<(), EngineError> {
        if self.writers > 0 || !self.failed {
            return Ok(());
        }
        let directory = &tree.tree_config().path;
        // If a list came to be current on disk although making it failed, its tables are no
        // leftovers, and nothing may be written over it: the store must be opened anew.
        let current = Manifest::read(directory)?.map(|manifest| manifest.number);
        if current != Some(tree.current_version().id()) {
            let what = "a run that failed may be on disk all the same";
            return Err(EngineError::Io(std::io::Error::other(what)));
        }
        for entry in fs::read_dir(directory.join("tables"))? {
            let entry = entry?;
            let id = entry.file_name().to_str().and_then(|name| name.parse::<TableId>().ok());
            if id.is_some_and(|id| id >= self.first && !self.listed.contains(&id)) {
                fs::remove_file(entry.path())?;
            }
        }
        self.failed = false;
        Ok(())
    }
}
