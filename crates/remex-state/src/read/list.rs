//! Listing a range of keys.

use remex_engine::Engine;
use remex_model::{Item, Key, List, ListResponse};

use super::Bounds;
use crate::error::ReadError;
use crate::state::State;

/// Bytes of values after which a page ends early: it is held in memory, and read under a lock that
/// keeps writes out.
const PAGE_BYTES_MAX: usize = 4 * 1024 * 1024;

/// Room made for items before any is found.
const ITEMS_RESERVED_MAX: usize = 256;

impl<E: Engine> State<E> {
    /// Lists one page of a range at one revision. Looks at the keys of the page and one more, at
    /// keys in between that do not exist at that revision, and, if the count is asked for, at
    /// every key of the range.
    ///
    /// # Errors
    /// If the revision is not kept any more or not there yet, or if the engine fails.
    pub fn list(&self, list: &List) -> Result<ListResponse, ReadError> {
        let (revision, at) = self.readable(list.options.at)?;
        let limit = list.limit.max(1);
        let bounds = Bounds::of(&list.range).behind(list.after.as_ref(), list.order);
        let mut items = Vec::with_capacity(limit.min(ITEMS_RESERVED_MAX));
        let (mut more, mut bytes) = (false, 0);
        for found in self.merge(&bounds, list.order, at) {
            let (key, mut record) = found?;
            if items.len() == limit || bytes > PAGE_BYTES_MAX {
                more = true;
                break;
            }
            if list.keys_only {
                record.value.bytes.clear();
            }
            bytes += record.value.bytes.len();
            items.push(Item { key: Key::new(key), record });
        }
        let count = match list.count {
            // The page is the whole range.
            true if !more && list.after.is_none() => Some(items.len() as u64),
            true => {
                let mut count = 0;
                for found in self.merge(&Bounds::of(&list.range), list.order, at) {
                    found?;
                    count += 1;
                }
                Some(count)
            }
            false => None,
        };
        Ok(ListResponse { revision, items, more, count })
    }
}
