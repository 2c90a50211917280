//! The newest records of keys that were written or read lately.
//!
//! A put must know the record that it replaces; fetching that from the engine costs more than all
//! the rest of applying it. So the newest record of a key is kept here as long as there is room.
//! It is always the newest of all layers, or absent: every write of a key passes through
//! [`Recent::put`] or [`Recent::remove`], and what a read adds is added under the lock that keeps
//! writes out. What is kept decides how fast an answer comes, never what it is.

use bytes::Bytes;
use quick_cache::sync::{Cache, DefaultLifecycle};
use quick_cache::{OptionsBuilder, Weighter};
use remex_model::Record;
use rustc_hash::FxBuildHasher;

use crate::layers::owned;

/// Memory that an entry takes beside its key and value, in bytes.
const ENTRY_BYTES: usize = 192;

/// Longer values are not kept: copying them costs about what fetching them costs.
const VALUE_BYTES_MAX: usize = 64 * 1024;

/// A fast hash without a seed, the same in every run. Keys that collide on purpose cost time in a
/// shard of bounded size, nothing else.
type Records = Cache<Bytes, Record, Weight, FxBuildHasher, DefaultLifecycle<Bytes, Record>>;

#[derive(Clone, Debug)]
struct Weight;

impl Weighter<Bytes, Record> for Weight {
    fn weight(&self, key: &Bytes, record: &Record) -> u64 {
        (key.len() + record.value.bytes.len() + ENTRY_BYTES) as u64
    }
}

/// See the module.
#[derive(Debug)]
pub(crate) struct Recent {
    /// `None` where nothing is to be kept.
    cache: Option<Records>,
}

impl Recent {
    /// Keeps up to `bytes_max`; nothing if that is 0.
    pub(crate) fn new(bytes_max: usize) -> Self {
        let options = OptionsBuilder::new()
            .estimated_items_capacity((bytes_max / (2 * ENTRY_BYTES)).max(1))
            .weight_capacity(bytes_max as u64)
            .build();
        let cache = options.ok().filter(|_| bytes_max > 0).map(|options| {
            Cache::with_options(options, Weight, FxBuildHasher, DefaultLifecycle::default())
        });
        Self { cache }
    }

    pub(crate) fn get(&self, key: &[u8]) -> Option<Record> {
        self.cache.as_ref()?.get(key)
    }

    /// The key has this record now. It is copied: an entry of the log must not stay in memory for
    /// the sake of one of its values.
    pub(crate) fn put(&self, key: &[u8], record: &Record) {
        let Some(cache) = &self.cache else { return };
        if record.value.bytes.len() > VALUE_BYTES_MAX {
            cache.remove(key);
        } else {
            cache.insert(Bytes::copy_from_slice(key), owned(record.clone()));
        }
    }

    /// The key does not exist any more.
    pub(crate) fn remove(&self, key: &[u8]) {
        if let Some(cache) = &self.cache {
            cache.remove(key);
        }
    }
}

#[cfg(test)]
mod tests {
    use remex_model::{Revision, Value};

    use super::*;

    fn record(revision: u64, bytes: usize) -> Record {
        Record {
            create_revision: Revision(revision),
            mod_revision: Revision(revision),
            version: 1,
            lease: 0,
            time_ms: 0,
            value: Value::raw(vec![b'x'; bytes]),
        }
    }

    #[test]
    fn a_key_never_has_an_older_record_than_its_last() {
        let recent = Recent::new(256 * 1024);
        for revision in 1..20_000 {
            let key = (revision % 997).to_string();
            let bytes = if revision % 13 == 0 { VALUE_BYTES_MAX + 1 } else { 300 };
            recent.put(key.as_bytes(), &record(revision, bytes));
            let found = recent.get(key.as_bytes()).map(|record| record.mod_revision);
            assert!(found.is_none_or(|found| found == Revision(revision)), "{found:?}");
        }
        recent.put(b"k", &record(1, 1));
        recent.remove(b"k");
        assert_eq!(recent.get(b"k"), None);
    }

    #[test]
    fn without_room_nothing_is_kept() {
        let recent = Recent::new(0);
        recent.put(b"k", &record(1, 1));
        assert_eq!(recent.get(b"k"), None);
    }
}
