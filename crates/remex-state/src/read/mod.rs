//! Reading: one key or a range of keys, at the newest revision or at one still kept, and the
//! changes since a revision.
//!
//! A read asks the layers from the newest to the oldest. It never sees half of a command: the
//! caller holds the state by reference for the whole read, and the engine's part is a snapshot
//! that the layers above cover for everything newer.

mod changes;
mod list;
mod merge;
mod past;

use remex_engine::Engine;
use remex_model::{GetResponse, Key, Revision};

use crate::buffer::Seen;
use crate::error::ReadError;
use crate::state::State;

pub use changes::ChangePage;
pub(crate) use merge::Bounds;

impl<E: Engine> State<E> {
    /// Reads one key, at the newest revision or at the one asked for.
    ///
    /// # Errors
    /// If the revision is not kept any more or not there yet, or if the engine fails.
    pub fn get(&self, key: &Key, at: Option<Revision>) -> Result<GetResponse, ReadError> {
        let (revision, at) = self.readable(at)?;
        let chain = self.active.chains.get(key.as_bytes());
        let record = match chain.map_or(Seen::Below, |chain| chain.at(at)) {
            Seen::Record(record) => Some(record.clone()),
            Seen::Absent => None,
            Seen::Below => self.lower.record(key.as_bytes(), at)?,
        };
        Ok(GetResponse { revision, record })
    }

    /// The revision that a read will be of, and the same as `None` if it is the newest.
    fn readable(&self, at: Option<Revision>) -> Result<(Revision, Option<Revision>), ReadError> {
        let (oldest, current) = (self.oldest_revision(), self.revision());
        match at {
            Some(at) if at < oldest => Err(ReadError::Compacted { oldest }),
            Some(at) if at > current => Err(ReadError::Future { current }),
            Some(at) if at < current => Ok((at, Some(at))),
            _ => Ok((current, None)),
        }
    }
}
