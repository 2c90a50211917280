//! Reading.

use remex_model::{
    Error, ErrorCode, Get, Key, KeyRange, List, Operation, Order, ReadOptions, Response, Revision,
};
use serde::de::DeserializeOwned;

use super::{Entry, Store};

/// Keys in one page.
const PAGE_KEYS: usize = 1000;

/// Keys and their values at one revision.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listing {
    /// The revision. `store.changes(listing.revision.next())` goes on where it ends.
    pub revision: Revision,
    /// The entries, by key.
    pub entries: Vec<Entry>,
}

/// The keys under a prefix in pages, all of the same revision: for more than one wants to hold in
/// memory at once. See [`Store::pages`].
#[derive(Debug)]
pub struct Pages {
    store: Store,
    next: Option<List>,
}

impl Store {
    /// Reads a key: the newest value, whichever node this is. A [`Store::stale`] handle takes what
    /// this node has.
    ///
    /// # Errors
    /// See [`ErrorCode`]: a key that is empty or too long, no leader in time, a store that is closed.
    /// A key that does not exist is `None`, not an error.
    pub async fn get(&self, key: impl Into<Key>) -> Result<Option<Entry>, Error> {
        self.read(key.into(), None).await
    }

    /// Reads a key as it was at a revision. What a change has replaced is the key at the revision
    /// before it.
    ///
    /// # Errors
    /// [`ErrorCode::Compacted`] if the revision is not kept any more, with the oldest one that is;
    /// [`ErrorCode::FutureRevision`] if there is no such revision yet; and as [`Store::get`].
    pub async fn get_at(
        &self,
        key: impl Into<Key>,
        revision: Revision,
    ) -> Result<Option<Entry>, Error> {
        self.read(key.into(), Some(revision)).await
    }

    /// Reads a key whose value is JSON of a `T`.
    ///
    /// # Errors
    /// As [`Store::get`] and [`Entry::json`].
    pub async fn get_json<T: DeserializeOwned>(
        &self,
        key: impl Into<Key>,
    ) -> Result<Option<T>, Error> {
        match self.read(key.into(), None).await? {
            Some(entry) => entry.json().map(Some),
            None => Ok(None),
        }
    }

    /// Reads all keys that begin with a prefix, at one revision; the empty prefix is every key.
    ///
    /// # Errors
    /// As [`Store::pages`].
    pub async fn list(&self, prefix: impl Into<Key>) -> Result<Listing, Error> {
        let mut pages = self.pages(prefix);
        let mut listing = Listing { revision: Revision(0), entries: Vec::new() };
        while let Some(page) = pages.next().await {
            let page = page?;
            listing.revision = page.revision;
            listing.entries.extend(page.entries);
        }
        Ok(listing)
    }

    /// Reads all keys that begin with a prefix, page by page, at one revision.
    pub fn pages(&self, prefix: impl Into<Key>) -> Pages {
        let next = List {
            range: KeyRange::prefix(prefix.into().bytes().clone()),
            after: None,
            limit: PAGE_KEYS,
            order: Order::Ascending,
            keys_only: false,
            count: false,
            options: self.options(None),
        };
        Pages { store: self.clone(), next: Some(next) }
    }

    fn options(&self, at: Option<Revision>) -> ReadOptions {
        ReadOptions { consistency: self.consistency(), min_revision: None, at }
    }

    async fn read(&self, key: Key, at: Option<Revision>) -> Result<Option<Entry>, Error> {
        let get = Get { key: key.clone(), options: self.options(at) };
        match self.call(Operation::Get(get)).await? {
            Response::Get(found) => Ok(found.record.map(|record| Entry::new(key, record))),
            Response::List(_) | Response::Write(_) => Err(mixed_up()),
        }
    }
}

impl Pages {
    /// The next page, in order of keys: up to 1000 keys or about 4 MiB. At least one page comes, with
    /// the revision, even if there are no keys. After an error the same page can be asked for again.
    ///
    /// # Errors
    /// As [`Store::get`]; [`ErrorCode::Compacted`] if the reader is so slow that the revision of the
    /// first page is not kept any more.
    pub async fn next(&mut self) -> Option<Result<Listing, Error>> {
        let list = self.next.clone()?;
        let page = match self.store.call(Operation::List(list.clone())).await {
            Ok(Response::List(page)) => page,
            Ok(Response::Get(_) | Response::Write(_)) => return Some(Err(mixed_up())),
            Err(error) => return Some(Err(error)),
        };
        let after = page.items.last().filter(|_| page.more).map(|item| item.key.clone());
        self.next = after.map(|after| List {
            after: Some(after),
            options: self.store.options(Some(page.revision)),
            ..list
        });
        let entries = page.items.into_iter().map(Entry::of).collect();
        Some(Ok(Listing { revision: page.revision, entries }))
    }
}

/// The error for an answer to another question.
pub(super) fn mixed_up() -> Error {
    Error::new(ErrorCode::Internal, "a request was answered with another one's answer")
}
