//! The layers below the active buffer: the frozen buffer, if a flush is under way, and the engine.
//! For the newest records of keys that were used lately, [`Recent`] saves asking them.

use std::ops::Bound;
use std::sync::Arc;

use bytes::Bytes;
use remex_engine::{Direction, Engine};
use remex_model::{Record, Revision};

use crate::buffer::{Buffer, Seen};
use crate::error::Fatal;
use crate::recent::Recent;
use crate::rows;

/// See the module.
#[derive(Debug)]
pub(crate) struct Lower<E> {
    pub(crate) engine: Arc<E>,
    /// Is on its way to the engine. While it is here, the engine may or may not hold it already;
    /// whoever reads must ask here first.
    pub(crate) frozen: Option<Arc<Buffer>>,
    pub(crate) recent: Recent,
}

impl<E: Engine> Lower<E> {
    /// The key's record at a revision that is still kept; `None` is the newest.
    pub(crate) fn record(&self, key: &[u8], at: Option<Revision>) -> Result<Option<Record>, Fatal> {
        let recent = self.recent.get(key);
        if let Some(record) = recent.filter(|record| at.is_none_or(|at| record.mod_revision <= at))
        {
            return Ok(Some(record));
        }
        match self.in_frozen(key, at) {
            Seen::Record(record) => Ok(Some(record.clone())),
            Seen::Absent => Ok(None),
            Seen::Below => {
                let found = stored(&*self.engine, key, at)?;
                if let (None, Some(record)) = (at, &found) {
                    self.recent.put(key, record);
                }
                Ok(found)
            }
        }
    }

    /// The key's newest record, in memory of its own: it does not keep the entries of the frozen
    /// buffer alive.
    pub(crate) fn base(&self, key: &[u8]) -> Result<Option<Record>, Fatal> {
        if let Some(record) = self.recent.get(key) {
            return Ok(Some(record));
        }
        match self.in_frozen(key, None) {
            Seen::Record(record) => Ok(Some(owned(record.clone()))),
            Seen::Absent => Ok(None),
            Seen::Below => stored(&*self.engine, key, None),
        }
    }

    fn in_frozen(&self, key: &[u8], at: Option<Revision>) -> Seen<&Record> {
        let chain = self.frozen.as_ref().and_then(|frozen| frozen.chains.get(key));
        chain.map_or(Seen::Below, |chain| chain.at(at))
    }
}

/// The record with a value in memory of its own.
pub(crate) fn owned(mut record: Record) -> Record {
    record.value.bytes = Bytes::copy_from_slice(&record.value.bytes);
    record
}

/// The key's record in the engine.
fn stored<E: Engine>(
    engine: &E,
    key: &[u8],
    at: Option<Revision>,
) -> Result<Option<Record>, Fatal> {
    let mut row_key = Vec::new();
    rows::current_key(key, &mut row_key);
    let current = match engine.get(&row_key)? {
        Some(row) => Some(rows::decode_record("current", row)?),
        None => None,
    };
    match (at, &current) {
        (Some(at), Some(record)) if record.mod_revision > at => stored_past(engine, key, at),
        (Some(at), None) => stored_past(engine, key, at),
        _ => Ok(current),
    }
}

/// The key's record at a revision, among the superseded ones: the first that was superseded
/// later, unless it was also made later.
pub(crate) fn stored_past<E: Engine>(
    engine: &E,
    key: &[u8],
    at: Revision,
) -> Result<Option<Record>, Fatal> {
    let (mut start, mut end) = (Vec::new(), Vec::new());
    rows::history_key(key, at, &mut start);
    rows::history_key(key, Revision(u64::MAX), &mut end);
    let bounds = (Bound::Excluded(&start[..]), Bound::Included(&end[..]));
    let Some(row) = engine.scan(bounds.0, bounds.1, Direction::Forward).next() else {
        return Ok(None);
    };
    let record = rows::decode_record("history", row?.1)?;
    Ok((record.mod_revision <= at).then_some(record))
}
