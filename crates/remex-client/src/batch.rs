//! Writing several keys at once: all or nothing, one revision.

use http::Method;
use serde::Deserialize;

use crate::{Call, Client, Error};

/// Puts and deletes that are applied together.
#[derive(Clone, Debug, Default)]
#[must_use]
pub struct Batch {
    operations: Vec<serde_json::Value>,
    idempotency_key: Option<String>,
}

impl Batch {
    /// An empty batch.
    pub fn new() -> Self {
        Self::default()
    }

    /// Number of operations.
    #[must_use]
    pub fn len(&self) -> usize {
        self.operations.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.operations.is_empty()
    }

    /// Adds a write of text that is stored as it is, even if it parses as JSON.
    pub fn put_text(mut self, key: &str, text: &str) -> Self {
        let put = serde_json::json!({ "put": { "key": key, "text": text } });
        self.operations.push(put);
        self
    }

    /// Adds a write of a JSON value (a text is a JSON string). See [`crate::Put`] for values
    /// whose digits and order of keys must be kept exactly.
    pub fn put(mut self, key: &str, value: impl Into<serde_json::Value>) -> Self {
        let put = serde_json::json!({ "put": { "key": key, "value": value.into() } });
        self.operations.push(put);
        self
    }

    /// Adds a deletion.
    pub fn delete(mut self, key: &str) -> Self {
        self.operations.push(serde_json::json!({ "delete": { "key": key } }));
        self
    }

    /// See [`crate::Put::idempotency_key`].
    pub fn idempotency_key(mut self, key: impl Into<String>) -> Self {
        self.idempotency_key = Some(key.into());
        self
    }

    /// The request.
    pub fn call(&self) -> Call {
        let body = serde_json::Value::from(self.operations.clone()).to_string();
        let call = Call::data_write(Method::POST, "/v1/batch")
            .header("content-type", "application/json")
            .body(body);
        match &self.idempotency_key {
            Some(key) => call.idempotency_key(key),
            None => call,
        }
    }
}

/// What a batch did.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
pub struct BatchResult {
    /// The revision of all its writes.
    pub revision: u64,
}

impl Client {
    /// Applies a batch.
    ///
    /// # Errors
    /// See [`Client::send`]. An operation that breaks a limit is named by its position; nothing
    /// is applied then.
    pub async fn batch(&self, batch: &Batch) -> Result<BatchResult, Error> {
        self.send(&batch.call()).await?.json()
    }
}
