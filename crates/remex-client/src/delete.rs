//! Deleting one key, or all keys under a prefix.

use http::Method;
use serde::Deserialize;

use crate::{Call, Client, Error};

/// Options of a deletion of one key.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[must_use]
pub struct Delete {
    if_revision: Option<u64>,
    idempotency_key: Option<String>,
}

impl Delete {
    /// A deletion without condition.
    pub fn new() -> Self {
        Self::default()
    }

    /// Deletes only if the key's last write has this revision.
    pub fn if_revision(mut self, revision: u64) -> Self {
        self.if_revision = Some(revision);
        self
    }

    /// See [`crate::Put::idempotency_key`].
    pub fn idempotency_key(mut self, key: impl Into<String>) -> Self {
        self.idempotency_key = Some(key.into());
        self
    }

    /// The request.
    ///
    /// # Errors
    /// If the key is empty.
    pub fn call(&self, key: &str) -> Result<Call, Error> {
        let mut call = Call::data_write(Method::DELETE, Call::key_path(key)?);
        if let Some(revision) = self.if_revision {
            call = call.header("if-match", format!("\"{revision}\""));
        }
        if let Some(key) = &self.idempotency_key {
            call = call.idempotency_key(key);
        }
        Ok(call)
    }
}

/// Options of a deletion by prefix.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[must_use]
pub struct DeletePrefix {
    all: bool,
    dry_run: bool,
    idempotency_key: Option<String>,
}

impl DeletePrefix {
    /// Deletes every key under a prefix that is not empty.
    pub fn new() -> Self {
        Self::default()
    }

    /// Also takes the empty prefix, which means every key there is.
    pub fn all(mut self) -> Self {
        self.all = true;
        self
    }

    /// Only counts what would be deleted.
    pub fn dry_run(mut self) -> Self {
        self.dry_run = true;
        self
    }

    /// See [`crate::Put::idempotency_key`].
    pub fn idempotency_key(mut self, key: impl Into<String>) -> Self {
        self.idempotency_key = Some(key.into());
        self
    }

    /// The request.
    pub fn call(&self, prefix: &str) -> Call {
        let mut call =
            Call::data_write(Method::DELETE, format!("/v1/kv?prefix={}", Call::text(prefix)));
        if self.all {
            call = call.query("all", "true");
        }
        if let Some(key) = &self.idempotency_key {
            call = call.idempotency_key(key);
        }
        if self.dry_run {
            call = call.query("dry_run", "true").without_effect();
        }
        call
    }
}

/// What a deletion did.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
pub struct Deleted {
    /// Number of keys that were removed (or would be, for a dry run).
    pub deleted: u64,
    /// The store's revision; a deletion that removes nothing takes none.
    pub revision: u64,
}

impl Client {
    /// Deletes a key. That it does not exist is no error: [`Deleted::deleted`] is 0 then.
    ///
    /// # Errors
    /// See [`Client::send`].
    pub async fn delete(&self, key: &str, delete: &Delete) -> Result<Deleted, Error> {
        self.send(&delete.call(key)?).await?.json()
    }

    /// Deletes every key under a prefix, in one revision.
    ///
    /// # Errors
    /// See [`Client::send`]. The empty prefix is refused unless [`DeletePrefix::all`] is set.
    pub async fn delete_prefix(
        &self,
        prefix: &str,
        delete: &DeletePrefix,
    ) -> Result<Deleted, Error> {
        self.send(&delete.call(prefix)).await?.json()
    }
}
