//! The contract between the state machine and what holds its rows.

use std::fmt;
use std::ops::Bound;

use bytes::Bytes;

use crate::EngineError;

/// One row of a scan.
pub type Row = Result<(Bytes, Bytes), EngineError>;

/// The rows of a scan, in the order asked for. After an error there are no more rows.
pub type Rows = Box<dyn Iterator<Item = Row> + Send>;

/// A walk over everything that the engine has on disk, to find damage before it is read: see
/// [`Engine::scrub`]. Each item is a slice that was read, of about a megabyte, by its number of
/// bytes. After an error there are no more slices.
pub type Scrub = Box<dyn Iterator<Item = Result<u64, EngineError>> + Send>;

/// Which way a scan goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// Smallest key first.
    Forward,
    /// Largest key first.
    Backward,
}

/// Decides what compaction may leave out: `true` drops the row. It is asked about some rows, at
/// some time, in no certain order, from the thread that compacts. It must be cheap, must not call
/// the engine, and must never go from `true` back to `false` for a row. A row may only be dropped
/// if its key was written once: an older row of the same key could come to light again.
pub type DropFilter = dyn Fn(&[u8], &[u8]) -> bool + Send + Sync;

/// Takes the rows of a sorted run, in strictly ascending order of keys.
pub trait RowSink {
    /// Adds a row, or replaces what older runs have under this key.
    ///
    /// # Errors
    /// If the row cannot be written; the run is then given up.
    ///
    /// # Panics
    /// If `key` is not larger than the key before.
    fn put(&mut self, key: &[u8], value: &[u8]) -> Result<(), EngineError>;

    /// Removes what older runs have under this key.
    ///
    /// # Errors
    /// See [`RowSink::put`].
    ///
    /// # Panics
    /// See [`RowSink::put`].
    fn delete(&mut self, key: &[u8]) -> Result<(), EngineError>;
}

/// An ordered map from bytes to bytes, written in atomic sorted runs.
pub trait Engine: fmt::Debug + Send + Sync + 'static {
    /// The value under `key`.
    ///
    /// # Errors
    /// If the store cannot be read or is damaged.
    fn get(&self, key: &[u8]) -> Result<Option<Bytes>, EngineError>;

    /// The rows whose keys lie between the bounds, as of now. An empty range yields none.
    fn scan(&self, start: Bound<&[u8]>, end: Bound<&[u8]>, direction: Direction) -> Rows;

    /// Writes one sorted run: `fill` puts its rows into the sink. When this returns, the run is
    /// durable and visible; after a crash before that, or an error, nothing of it is. Runs are
    /// ingested one after another; reads and [`Engine::maintain`] go on meanwhile.
    ///
    /// # Errors
    /// If the run cannot be written, or what `fill` returned. If the disk was full
    /// ([`EngineError::is_full`]), the room that the run took is free again, and it may be ingested
    /// again; the same holds for what [`Engine::maintain`] and [`Engine::compact`] write.
    fn ingest(
        &self,
        fill: &mut dyn FnMut(&mut dyn RowSink) -> Result<(), EngineError>,
    ) -> Result<(), EngineError>;

    /// Sets what compaction may leave out; nothing before it is set.
    fn set_drop_filter(&self, filter: Box<DropFilter>);

    /// Carries out one step of compaction if one is due, on the calling thread; bounded by some
    /// hundreds of megabytes. Returns whether there may be more to do.
    ///
    /// # Errors
    /// If the store cannot be read or written, or is damaged.
    fn maintain(&self) -> Result<bool, EngineError>;

    /// Rewrites the whole store without what is deleted or dropped. Gives back space while no
    /// writes cause compaction; costs reading and writing everything once.
    ///
    /// # Errors
    /// See [`Engine::maintain`].
    fn compact(&self) -> Result<(), EngineError>;

    /// Reads everything that is on disk now, slice by slice, and compares it with its checksums:
    /// any bit that has changed since it was written is found, whether in rows or around them.
    /// Nothing is read but when the iterator is asked, so the caller sets the pace and may stop at
    /// any slice. What compaction replaces meanwhile is passed over. What the operating system has
    /// in memory is taken from there.
    fn scrub(&self) -> Scrub;

    /// Bytes that the rows take on disk.
    fn disk_bytes(&self) -> u64;

    /// At most about how many of them compaction will give back: what is not merged yet may
    /// replace as much of what is.
    fn reclaimable_bytes(&self) -> u64;
}

/// Whether no key can lie between the bounds.
pub(crate) fn is_empty(start: Bound<&[u8]>, end: Bound<&[u8]>) -> bool {
    match (start, end) {
        (Bound::Unbounded, _) | (_, Bound::Unbounded) => false,
        (Bound::Included(start), Bound::Included(end)) => start > end,
        (Bound::Excluded(start), Bound::Included(end))
        | (Bound::Included(start) | Bound::Excluded(start), Bound::Excluded(end)) => start >= end,
    }
}
