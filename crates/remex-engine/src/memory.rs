//! The engine's twin in memory.

use std::collections::BTreeMap;
use std::fmt;
use std::ops::Bound;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;

use crate::engine::is_empty;
use crate::{Direction, DropFilter, Engine, EngineError, Row, RowSink, Rows, Scrub};

type Map = BTreeMap<Bytes, Bytes>;

/// An [`Engine`] in memory, with the same contract: runs are atomic, scans see the moment at which
/// they began, and what was ingested survives in every [`MemoryEngine::image`] taken afterwards.
#[derive(Default)]
pub struct MemoryEngine {
    shared: Mutex<Shared>,
}

#[derive(Default)]
struct Shared {
    /// Copied on write while a scan or an image still holds it.
    rows: Arc<Map>,
    bytes: u64,
    filter: Option<Arc<DropFilter>>,
}

impl MemoryEngine {
    /// An empty engine.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// What the disk holds now: a new engine with all runs that were ingested so far. A simulated
    /// node that crashes is opened again on such an image. Cheap; later runs do not reach it.
    #[must_use]
    pub fn image(&self) -> Self {
        let shared = self.lock();
        let image = Shared { rows: Arc::clone(&shared.rows), bytes: shared.bytes, filter: None };
        Self { shared: Mutex::new(image) }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Shared> {
        // Every change is applied as a whole, so a panic elsewhere leaves nothing half done.
        self.shared.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for MemoryEngine {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shared = self.lock();
        formatter
            .debug_struct("MemoryEngine")
            .field("rows", &shared.rows.len())
            .field("bytes", &shared.bytes)
            .finish_non_exhaustive()
    }
}

impl Engine for MemoryEngine {
    fn get(&self, key: &[u8]) -> Result<Option<Bytes>, EngineError> {
        Ok(self.lock().rows.get(key).cloned())
    }

    fn scan(&self, start: Bound<&[u8]>, end: Bound<&[u8]>, direction: Direction) -> Rows {
        if is_empty(start, end) {
            return Box::new(std::iter::empty());
        }
        let rows = Arc::clone(&self.lock().rows);
        let (start, end) = (owned(start), owned(end));
        Box::new(Scan { rows, start, end, direction })
    }

    fn ingest(
        &self,
        fill: &mut dyn FnMut(&mut dyn RowSink) -> Result<(), EngineError>,
    ) -> Result<(), EngineError> {
        let mut run = Run::default();
        fill(&mut run)?;
        let mut guard = self.lock();
        let Shared { rows, bytes, .. } = &mut *guard;
        let map = Arc::make_mut(rows);
        for (key, value) in run.rows {
            let size = row_bytes(&key, value.as_ref().unwrap_or(&Bytes::new()));
            let old = match value {
                Some(value) => {
                    *bytes += size;
                    map.insert(key.clone(), value)
                }
                None => map.remove(&key),
            };
            *bytes -= old.map_or(0, |old| row_bytes(&key, &old));
        }
        Ok(())
    }

    fn set_drop_filter(&self, filter: Box<DropFilter>) {
        self.lock().filter = Some(Arc::from(filter));
    }

    fn maintain(&self) -> Result<bool, EngineError> {
        self.compact()?;
        Ok(false)
    }

    fn compact(&self) -> Result<(), EngineError> {
        let mut guard = self.lock();
        let Some(filter) = guard.filter.clone() else { return Ok(()) };
        let Shared { rows, bytes, .. } = &mut *guard;
        let dropped: Vec<Bytes> = rows
            .iter()
            .filter(|(key, value)| filter(key, value))
            .map(|(key, _)| key.clone())
            .collect();
        if dropped.is_empty() {
            return Ok(());
        }
        let map = Arc::make_mut(rows);
        for key in dropped {
            let value = map.remove(&key).expect("the key was just found in the map");
            *bytes -= row_bytes(&key, &value);
        }
        Ok(())
    }

    fn scrub(&self) -> Scrub {
        Box::new(std::iter::empty())
    }

    fn reclaimable_bytes(&self) -> u64 {
        0
    }

    fn disk_bytes(&self) -> u64 {
        self.lock().bytes
    }
}

fn row_bytes(key: &Bytes, value: &Bytes) -> u64 {
    (key.len() + value.len()) as u64
}

fn owned(bound: Bound<&[u8]>) -> Bound<Bytes> {
    bound.map(Bytes::copy_from_slice)
}

fn borrowed(bound: &Bound<Bytes>) -> Bound<&[u8]> {
    bound.as_ref().map(|key| &key[..])
}

/// A run that is being filled.
#[derive(Default)]
struct Run {
    rows: Vec<(Bytes, Option<Bytes>)>,
}

impl Run {
    fn push(&mut self, key: &[u8], value: Option<Bytes>) {
        if let Some((last, _)) = self.rows.last() {
            assert!(&last[..] < key, "the keys of a run must ascend strictly");
        }
        self.rows.push((Bytes::copy_from_slice(key), value));
    }
}

impl RowSink for Run {
    fn put(&mut self, key: &[u8], value: &[u8]) -> Result<(), EngineError> {
        self.push(key, Some(Bytes::copy_from_slice(value)));
        Ok(())
    }

    fn delete(&mut self, key: &[u8]) -> Result<(), EngineError> {
        self.push(key, None);
        Ok(())
    }
}

/// Walks a map that it holds by finding each row anew behind the last one.
struct Scan {
    rows: Arc<Map>,
    start: Bound<Bytes>,
    end: Bound<Bytes>,
    direction: Direction,
}

impl Iterator for Scan {
    type Item = Row;

    fn next(&mut self) -> Option<Row> {
        let (start, end) = (borrowed(&self.start), borrowed(&self.end));
        if is_empty(start, end) {
            return None;
        }
        let mut range = self.rows.range::<[u8], _>((start, end));
        let (key, value) = match self.direction {
            Direction::Forward => range.next()?,
            Direction::Backward => range.next_back()?,
        };
        let row = (key.clone(), value.clone());
        let passed = Bound::Excluded(key.clone());
        match self.direction {
            Direction::Forward => self.start = passed,
            Direction::Backward => self.end = passed,
        }
        Some(Ok(row))
    }
}
