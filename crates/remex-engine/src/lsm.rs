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
//! until it is dropped. Opening a list of files, reading rows and compacting verify checksums.

use std::fmt;
use std::fs::{self, File};
use std::io::ErrorKind;
use std::ops::Bound;
use std::path::Path;
use std::sync::{Arc, PoisonError, RwLock};

use bytes::Bytes;
use lsm_tree::compaction::Leveled;
use lsm_tree::compaction::filter::{CompactionFilter, Context, Factory, ItemAccessor, Verdict};
use lsm_tree::config::{CompressionPolicy, PinningPolicy, RestartIntervalPolicy};
use lsm_tree::{
    AbstractTree, AnyIngestion, AnyTree, Cache, CompressionType, Config, Guard, SeqNo,
    SequenceNumberCounter,
};

use crate::engine::is_empty;
use crate::scrub::Slices;
use crate::{Direction, DropFilter, Engine, EngineError, Row, RowSink, Rows, Scrub, manifest};

/// Reads see everything: no run has a sequence number as high as this.
const NEWEST: SeqNo = SeqNo::MAX;

/// Rows of a block that share one full key. A block holds about a dozen rows: sharing more saves
/// few bytes, and makes every read and every merge put keys together again.
const RESTART_INTERVAL: u8 = 2;

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
    seqno: SequenceNumberCounter,
    strategy: Arc<Leveled>,
    table_bytes: u64,
    filter: Arc<FilterSlot>,
}

impl LsmEngine {
    /// Opens the store in `directory`, or makes an empty one there. The caller sees to it that no
    /// other process has it open.
    ///
    /// # Errors
    /// If the directory cannot be read or written, or holds a damaged store.
    pub fn open(directory: &Path, options: LsmOptions) -> Result<Self, EngineError> {
        let exists = manifest::check(directory)?.is_some();
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
            .map_err(convert)?;
        if !exists {
            sync_parent(directory)?;
        }
        seqno.set(tree.get_highest_persisted_seqno().map_or(0, |highest| highest + 1));
        let strategy = Leveled::default()
            .with_l0_threshold(options.pending_tables_max)
            .with_table_target_size(options.table_bytes);
        let table_bytes = options.table_bytes;
        Ok(Self { tree, seqno, strategy: Arc::new(strategy), table_bytes, filter })
    }
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
        let value = self.tree.get(key, NEWEST).map_err(convert)?;
        // Copied, so that a small value does not keep a whole block in memory.
        Ok(value.map(|value| Bytes::copy_from_slice(&value)))
    }

    fn scan(&self, start: Bound<&[u8]>, end: Bound<&[u8]>, direction: Direction) -> Rows {
        if is_empty(start, end) {
            return Box::new(std::iter::empty());
        }
        let rows = self.tree.range::<&[u8], _>((start, end), NEWEST, None);
        match direction {
            Direction::Forward => Box::new(UntilError::new(rows.map(to_row))),
            Direction::Backward => Box::new(UntilError::new(rows.rev().map(to_row))),
        }
    }

    fn ingest(
        &self,
        fill: &mut dyn FnMut(&mut dyn RowSink) -> Result<(), EngineError>,
    ) -> Result<(), EngineError> {
        let mut run = Run { ingestion: self.tree.ingestion().map_err(convert)? };
        fill(&mut run)?;
        run.ingestion.finish().map_err(convert)
    }

    fn set_drop_filter(&self, filter: Box<DropFilter>) {
        *self.filter.0.write().unwrap_or_else(PoisonError::into_inner) = Some(Arc::from(filter));
    }

    fn maintain(&self) -> Result<bool, EngineError> {
        let before = self.tree.current_version().id();
        // Nobody reads the past of the tree: all that is overwritten may go.
        let strategy = Arc::clone(&self.strategy);
        self.tree.compact(strategy, self.seqno.get()).map_err(convert)?;
        Ok(self.tree.current_version().id() != before)
    }

    fn compact(&self) -> Result<(), EngineError> {
        self.tree.major_compact(self.table_bytes, self.seqno.get()).map_err(convert)
    }

    fn scrub(&self) -> Scrub {
        Box::new(UntilError::new(Slices::new(self.tree.clone())))
    }

    fn disk_bytes(&self) -> u64 {
        self.tree.disk_space()
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

fn to_row(guard: impl Guard) -> Row {
    let (key, value) = guard.into_inner().map_err(convert)?;
    Ok((Bytes::copy_from_slice(&key), Bytes::copy_from_slice(&value)))
}

/// Ends a walk after its first error: the library does not say what would follow.
struct UntilError<I> {
    items: Option<I>,
}

impl<I> UntilError<I> {
    fn new(items: I) -> Self {
        Self { items: Some(items) }
    }
}

impl<T, I: Iterator<Item = Result<T, EngineError>>> Iterator for UntilError<I> {
    type Item = Result<T, EngineError>;

    fn next(&mut self) -> Option<Self::Item> {
        let item = self.items.as_mut()?.next();
        if matches!(item, None | Some(Err(_))) {
            self.items = None;
        }
        item
    }
}

/// Tells a disk that fails from a disk that lies.
fn convert(error: lsm_tree::Error) -> EngineError {
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
