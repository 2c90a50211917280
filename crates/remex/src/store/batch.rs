//! Several writes that happen together or not at all.

use bytes::Bytes;
use remex_model::{Command, Error, Key, RequestKey, Revision, Test, Value, Write};

use super::write::{key_of, previous};
use super::{Entry, Store};

/// Writes that are applied together, in order, at one revision, if all conditions hold; otherwise
/// nothing is. A later write of the same key wins.
#[derive(Clone, Debug, Default)]
#[must_use = "nothing happens before `Store::batch`"]
pub struct Batch {
    command: Command,
}

/// What a batch came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BatchReceipt {
    /// The store's revision after the batch: that of all its writes, unless nothing changed.
    pub revision: Revision,
    /// For each write, in order, what its key held before. Not remembered if `repeated`.
    pub previous: Vec<Option<Entry>>,
    /// Whether a batch of this name ([`Batch::named`]) had been applied before, and this is what it
    /// came to.
    pub repeated: bool,
}

impl Batch {
    /// An empty batch.
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets a key.
    pub fn put(mut self, key: impl Into<Key>, value: impl Into<Value>) -> Self {
        self.command.writes.push(Write::Put { key: key.into(), value: value.into(), lease: 0 });
        self
    }

    /// Removes a key.
    pub fn delete(mut self, key: impl Into<Key>) -> Self {
        self.command.writes.push(Write::Delete { key: key.into() });
        self
    }

    /// Only if a key does not exist.
    pub fn if_absent(self, key: impl Into<Key>) -> Self {
        self.only_if(key.into(), Test::Absent)
    }

    /// Only if a key exists.
    pub fn if_exists(self, key: impl Into<Key>) -> Self {
        self.only_if(key.into(), Test::Exists)
    }

    /// Only if a key was last written at a revision.
    pub fn if_revision(self, key: impl Into<Key>, revision: Revision) -> Self {
        self.only_if(key.into(), Test::Revision(revision))
    }

    /// Gives the batch a name of its own. A batch of the same name and content is applied once, however
    /// often it is sent: so it can be sent again after an error that leaves open whether it was
    /// applied. The last 65 536 names are remembered, or as many as take 32 MiB.
    pub fn named(mut self, name: impl Into<String>) -> Self {
        self.command.request_key = Some(RequestKey(Bytes::from(name.into())));
        self
    }

    fn only_if(mut self, key: Key, test: Test) -> Self {
        self.command = self.command.only_if(key, test);
        self
    }
}

impl Store {
    /// Carries out a batch.
    ///
    /// # Errors
    /// [`crate::ErrorCode::RevisionMismatch`] or [`crate::ErrorCode::AlreadyExists`] if a condition
    /// does not hold, with the key's revision; [`crate::ErrorCode::Conflict`] if another batch had the
    /// name; and as [`Store::put`], where the message names the position of the write at fault.
    pub async fn batch(&self, batch: Batch) -> Result<BatchReceipt, Error> {
        let keys: Vec<_> =
            batch.command.writes.iter().map(|write| key_of(write).cloned()).collect();
        let written = self.write(batch.command).await?;
        let previous = keys
            .into_iter()
            .zip(written.results)
            .map(|(key, result)| Some(Entry::new(key?, previous(result)?)))
            .collect();
        Ok(BatchReceipt { revision: written.revision, previous, repeated: written.repeated })
    }
}
