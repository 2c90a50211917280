//! What is read and what a write came to.

use remex_model::{Error, ErrorCode, Item, Key, Record, Revision, Value};
use serde::Serialize;
use serde::de::DeserializeOwned;

/// A key with its value at one revision.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The key.
    pub key: Key,
    /// Its value.
    pub value: Value,
    /// The revision of the last write to the key.
    pub revision: Revision,
    /// The revision at which the key was last created.
    pub create_revision: Revision,
    /// Number of writes since it was created; 1 for a fresh key.
    pub version: u64,
    /// Wall-clock time of the write, as the leader of that moment saw it, in milliseconds since
    /// 1970. For people only: nothing is decided by it.
    pub time_ms: u64,
}

impl Entry {
    pub(super) fn new(key: Key, record: Record) -> Self {
        Self {
            key,
            value: record.value,
            revision: record.mod_revision,
            create_revision: record.create_revision,
            version: record.version,
            time_ms: record.time_ms,
        }
    }

    pub(super) fn of(item: Item) -> Self {
        Self::new(item.key, item.record)
    }

    /// The value's bytes.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.value.bytes
    }

    /// The value as text, if it is UTF-8.
    #[must_use]
    pub fn text(&self) -> Option<&str> {
        std::str::from_utf8(&self.value.bytes).ok()
    }

    /// The value as what it is JSON of.
    ///
    /// # Errors
    /// [`ErrorCode::InvalidJson`] if it is not JSON, or not of a `T`.
    pub fn json<T: DeserializeOwned>(&self) -> Result<T, Error> {
        serde_json::from_slice(&self.value.bytes).map_err(|error| {
            let detail = format!(
                "the value of {} cannot be read as a {}: {error}",
                name(&self.key),
                std::any::type_name::<T>()
            );
            Error::new(ErrorCode::InvalidJson, detail)
        })
    }
}

/// What a put or a delete came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Receipt {
    /// The store's revision after the write: that of the write itself, unless it was a delete of a
    /// key that was not there, which changes nothing.
    pub revision: Revision,
    /// What the key held before; `None` if it did not exist.
    pub previous: Option<Entry>,
}

/// A value that is JSON, as any surface of the store shows it: `store.put("k", json(&value)?)`.
///
/// # Errors
/// [`ErrorCode::InvalidJson`] if the value has no form in JSON, such as a map whose keys are not
/// text.
pub fn json<T: Serialize + ?Sized>(value: &T) -> Result<Value, Error> {
    let bytes = serde_json::to_vec(value).map_err(|error| {
        let detail = format!("a {} cannot be JSON: {error}", std::any::type_name::<T>());
        Error::new(ErrorCode::InvalidJson, detail)
    })?;
    Ok(Value::json(bytes))
}

/// A key, for messages to people.
pub(super) fn name(key: &Key) -> String {
    format!("{:?}", String::from_utf8_lossy(key.as_bytes()))
}
