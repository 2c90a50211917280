//! The engine on disk: a log-structured merge tree.
//!
//! Of the storage library (lsm-tree, pinned) only the sorted ingestion, the reads and the
//! compaction are used; its memtable stays empty for ever. What an ingestion makes durable, by
//! reading its source (3.1.10): every table file is fsynced, then the folder of tables, then the
//! new list of files and its folder, and last `current`, which names the list, is replaced by an
//! fsynced temporary file and its folder is fsynced. So the replacement of `current` is the moment
//! at which a run exists. Tables of a run that did not get so far are deleted when the store is
//! opened.
//!
//! Every table of a run carries one sequence number, taken from a counter that this module sets
//! behind the highest number found on disk. Reads always ask for the newest state, so compaction
//! may forget everything that was overwritten; a scan keeps the files that it began with alive
//! until it is dropped.
//!
//! The library verifies the checksum of every block that it reads. What it leaves out is done here:
//! `manifest` and `archive` check what it believes unseen when it opens, `scrub` reads everything
//! on request, `damage` names the file and the place, and `leftovers` removes what a failed write
//! has left of its files.

mod archive;
mod damage;
mod leftovers;
mod manifest;
mod scan;
mod scrub;

use std::fmt;
use std::fs::{self, File};
use std::io;
use std::ops::Bound;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use bytes::Bytes;
use lsm_tree::compaction::Leveled;
use lsm_tree::compaction::filter::{CompactionFilter, Context, Factory, ItemAccessor, Verdict};
use lsm_tree::config::{CompressionPolicy, PinningPolicy, RestartIntervalPolicy};
use lsm_tree::{
    AbstractTree, AnyIngestion, AnyTree, Cache, CompressionType, Config, SeqNo,
    SequenceNumberCounter,
};

use self::damage::{check_table, convert, located};
use self::leftovers::Leftovers;
use self::manifest::Manifest;
use self::scan::Scan;
use self::scrub::Slices;
use crate::engine::is_empty;
use crate::{Direction, DropFilter, Engine, EngineError, RowSink, Rows, Scrub};

/// Reads see everything: no run has a sequence number as high as this. Compaction is told the same
/// as the oldest moment that anybody reads: it forgets all that is overwritten, and the library lets
/// go of every list and table that is not current, at once and not after the next compaction.
const NEWEST: SeqNo = SeqNo::MAX;

/// Rows of a block that share one full key. A block holds about a dozen rows: sharing more saves
/// few bytes, and makes every read and every merge put keys together again.
const RESTART_INTERVAL: u8 = 2;

/// Most runs that are not merged into the levels. The library counts them in one byte of its list,
/// and would lose all of them at the 256th: where compaction cannot keep up, writing waits for it.
const PENDING_RUNS_MAX: usize = 128;

/// How the engine on disk uses memory and disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LsmOptions {
    /// Memory for blocks of tables that were read, in bytes.
    pub cache_bytes: u64,
    /// Number of ingested tables at which they are merged into the sorted levels below. More
    /// makes writing cheaper and reading dearer, as each is asked on a read.
    pub pending_tables_max: u8,
    /// Size of the tables that compaction writes, in bytes.
    pub table_bytes: u64,
}

impl Default for LsmOptions {
    fn default() -> Self {
        Self { cache_bytes: 32 << 20, pending_tables_max: 12, table_bytes: 32 << 20 }
    }
}

/// An [`Engine`] in a directory of its own.
pub struct LsmEngine {
    tree: AnyTree,
    strategy: Arc<Leveled>,
    table_bytes: u64,
    filter: Arc<FilterSlot>,
    leftovers: Leftovers,
    /// Held by the one that compacts.
    compacting: Mutex<()>,
}

impl LsmEngine {
    /// Opens the store in `directory`, or makes an empty one there. The caller sees to it that no
    /// other process has it open.
    ///
    /// # Errors
    /// If the directory cannot be read or written, or holds a damaged store.
    pub fn open(directory: &Path, options: LsmOptions) -> Result<Self, EngineError> {
        let manifest = Manifest::read(directory)?;
        if let Some(manifest) = &manifest {
            manifest.check_tables()?;
            remove_temporary_files(directory)?;
        }
        let seqno = SequenceNumberCounter::default();
        let filter = Arc::new(FilterSlot::default());
        // Runs are ingested as of level 1. They are merged into the levels below before long:
        // compressing them would be paid for by every write and hold for minutes.
        let compression = [CompressionType::None, CompressionType::None, CompressionType::Lz4];
        let compression = CompressionPolicy::new(compression);
        let tree = Config::new(directory, seqno.clone(), SequenceNumberCounter::default())
            .use_cache(Arc::new(Cache::with_capacity_bytes(options.cache_bytes)))
            .data_block_compression_policy(compression)
            .data_block_restart_interval_policy(RestartIntervalPolicy::all(RESTART_INTERVAL))
            .index_block_pinning_policy(PinningPolicy::all(true))
            .filter_block_pinning_policy(PinningPolicy::new([true, true, true, false]))
            .with_compaction_filter_factory(Some(Arc::new(FilterFactory(Arc::clone(&filter)))))
            .open()
            .map_err(|error| opening(error, manifest.as_ref()))?;
        if manifest.is_none() {
            sync_parent(directory)?;
        }
        seqno.set(tree.get_highest_persisted_seqno().map_or(0, |highest| highest + 1));
        let strategy = Leveled::default()
            .with_l0_threshold(options.pending_tables_max)
            .with_table_target_size(options.table_bytes);
        let table_bytes = options.table_bytes;
        let (strategy, leftovers) = (Arc::new(strategy), Leftovers::default());
        let compacting = Mutex::default();
        Ok(Self { tree, strategy, table_bytes, filter, leftovers, compacting })
    }

    /// Compacts by a step. Returns whether anything was done.
    fn step(&self) -> Result<bool, EngineError> {
        let _compacting = self.compacting.lock().unwrap_or_else(PoisonError::into_inner);
        self.leftovers.write(&self.tree, || {
            let before = self.tree.current_version().id();
            let compacted = self.tree.compact(Arc::clone(&self.strategy) as _, NEWEST);
            compacted.map_err(|error| self.located(error))?;
            Ok(self.tree.current_version().id() != before)
        })
    }

    /// The error of something that reads whole tables.
    fn located(&self, error: lsm_tree::Error) -> EngineError {
        let version = self.tree.current_version();
        located(convert(error), version.iter_tables())
    }
}

/// Names the file that kept the store from being opened.
fn opening(error: lsm_tree::Error, manifest: Option<&Manifest>) -> EngineError {
    let tables = manifest.into_iter().flat_map(|manifest| &manifest.tables);
    match convert(error) {
        EngineError::Corrupt(what) => tables
            .map(|path| check_table(path))
            .find_map(Result::err)
            .unwrap_or(EngineError::Corrupt(what)),
        error @ EngineError::Io(_) => error,
    }
}

/// Removes what is left of a list that was about to become current when the process died.
fn remove_temporary_files(directory: &Path) -> io::Result<()> {
    for entry in fs::read_dir(directory)? {
        let entry = entry?;
        if entry.file_name().as_encoded_bytes().starts_with(b".tmp") {
            fs::remove_file(entry.path())?;
        }
    }
    Ok(())
}

/// Makes the directory's own entry durable.
fn sync_parent(directory: &Path) -> Result<(), EngineError> {
    let path = fs::canonicalize(directory)?;
    if let Some(parent) = path.parent() {
        File::open(parent)?.sync_all()?;
    }
    Ok(())
}

impl fmt::Debug for LsmEngine {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("LsmEngine")
            .field("path", &self.tree.tree_config().path)
            .field("tables", &self.tree.table_count())
            .field("disk_bytes", &self.tree.disk_space())
            .finish_non_exhaustive()
    }
}

impl Engine for LsmEngine {
    fn get(&self, key: &[u8]) -> Result<Option<Bytes>, EngineError> {
        let value = self.tree.get(key, NEWEST).map_err(|error| {
            let version = self.tree.current_version();
            let runs = version.iter_levels().flat_map(|level| level.iter());
            located(convert(error), runs.filter_map(|run| run.get_for_key(key)))
        })?;
        // Copied, so that a small value does not keep a whole block in memory.
        Ok(value.map(|value| Bytes::copy_from_slice(&value)))
    }

    fn scan(&self, start: Bound<&[u8]>, end: Bound<&[u8]>, direction: Direction) -> Rows {
        if is_empty(start, end) {
            return Box::new(std::iter::empty());
        }
        let rows = self.tree.range::<&[u8], _>((start, end), NEWEST, None);
        let tree = self.tree.clone();
        match direction {
            Direction::Forward => Box::new(Scan::new(rows, tree, start, direction)),
            Direction::Backward => Box::new(Scan::new(rows.rev(), tree, end, direction)),
        }
    }

    fn ingest(
        &self,
        fill: &mut dyn FnMut(&mut dyn RowSink) -> Result<(), EngineError>,
    ) -> Result<(), EngineError> {
        while self.tree.l0_run_count() >= PENDING_RUNS_MAX && self.step()? {}
        self.leftovers.write(&self.tree, || {
            let mut run = Run { ingestion: self.tree.ingestion().map_err(convert)? };
            fill(&mut run)?;
            run.ingestion.finish().map_err(convert)
        })
    }

    fn set_drop_filter(&self, filter: Box<DropFilter>) {
        *self.filter.0.write().unwrap_or_else(PoisonError::into_inner) = Some(Arc::from(filter));
    }

    fn maintain(&self) -> Result<bool, EngineError> {
        self.step()
    }

    fn compact(&self) -> Result<(), EngineError> {
        let _compacting = self.compacting.lock().unwrap_or_else(PoisonError::into_inner);
        self.leftovers.write(&self.tree, || {
            let compacted = self.tree.major_compact(self.table_bytes, NEWEST);
            compacted.map_err(|error| self.located(error))
        })
    }

    fn scrub(&self) -> Scrub {
        Box::new(Slices::new(self.tree.clone()))
    }

    fn disk_bytes(&self) -> u64 {
        self.tree.disk_space()
    }

    fn reclaimable_bytes(&self) -> u64 {
        let version = self.tree.current_version();
        let sizes: Vec<u64> = version.iter_levels().map(|level| level.size()).collect();
        let last = sizes.iter().rposition(|&bytes| bytes > 0).unwrap_or(0);
        let merged = sizes.get(last).copied().unwrap_or(0);
        sizes.iter().take(last).sum::<u64>().min(merged)
    }
}

struct Run<'a> {
    ingestion: AnyIngestion<'a>,
}

impl RowSink for Run<'_> {
    fn put(&mut self, key: &[u8], value: &[u8]) -> Result<(), EngineError> {
        self.ingestion.write(key, value).map_err(convert)
    }

    fn delete(&mut self, key: &[u8]) -> Result<(), EngineError> {
        self.ingestion.write_tombstone(key).map_err(convert)
    }
}

/// Where the filter lives: the library takes its factory when the tree is opened, the owner sets
/// the filter when it has read from the tree what may go.
#[derive(Default)]
struct FilterSlot(RwLock<Option<Arc<DropFilter>>>);

struct FilterFactory(Arc<FilterSlot>);

impl Factory for FilterFactory {
    fn name(&self) -> &'static str {
        "remex"
    }

    fn make_filter(&self, _: &Context) -> Box<dyn CompactionFilter> {
        let filter = self.0.0.read().unwrap_or_else(PoisonError::into_inner).clone();
        Box::new(Filter(filter))
    }
}

struct Filter(Option<Arc<DropFilter>>);

impl CompactionFilter for Filter {
    fn filter_item(&mut self, item: ItemAccessor<'_>, _: &Context) -> lsm_tree::Result<Verdict> {
        let Some(filter) = &self.0 else { return Ok(Verdict::Keep) };
        // "Destroy" leaves no tombstone, which is right for keys that are written once.
        Ok(if filter(item.key(), &item.value()?) { Verdict::Destroy } else { Verdict::Keep })
    }
}
