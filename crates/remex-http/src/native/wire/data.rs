//! The shapes of bodies about keys and values.

use std::borrow::Cow;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use remex_model::{Key, Record, Value};
use serde::de::{Deserialize, Deserializer};
use serde::ser::{Serialize, SerializeMap, Serializer};
use serde_json::value::RawValue;

/// A key as JSON: text, or `{"base64": …}` for one that is not text (another surface may have
/// stored it).
#[derive(Debug)]
pub(crate) struct KeyBody<'a>(pub(crate) &'a Key);

impl Serialize for KeyBody<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        bytes(self.0.as_bytes(), serializer)
    }
}

/// A value as JSON: JSON verbatim, text as a string, other bytes as `{"base64": …}`.
#[derive(Debug)]
pub(crate) struct ValueBody<'a>(pub(crate) &'a Value);

impl Serialize for ValueBody<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        // Checked once more rather than trusted: one damaged value must not break the whole page.
        if self.0.json
            && let Ok(raw) = serde_json::from_slice::<&RawValue>(&self.0.bytes)
        {
            return raw.serialize(serializer);
        }
        bytes(&self.0.bytes, serializer)
    }
}

fn bytes<S: Serializer>(bytes: &[u8], serializer: S) -> Result<S::Ok, S::Error> {
    if let Ok(text) = std::str::from_utf8(bytes) {
        return serializer.serialize_str(text);
    }
    let mut map = serializer.serialize_map(Some(1))?;
    map.serialize_entry("base64", &STANDARD.encode(bytes))?;
    map.end()
}

/// A record with its key: an item of a listing, and the answer to `?meta` and `?prev`.
#[derive(Debug, serde::Serialize)]
pub(crate) struct RecordBody<'a> {
    key: KeyBody<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    value: Option<ValueBody<'a>>,
    revision: u64,
    create_revision: u64,
    version: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    lease: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    time: Option<String>,
}

impl<'a> RecordBody<'a> {
    /// The record with its value.
    pub(crate) fn new(key: &'a Key, record: &'a Record) -> Self {
        Self { value: Some(ValueBody(&record.value)), ..Self::without_value(key, record) }
    }

    /// The record without its value.
    pub(crate) fn without_value(key: &'a Key, record: &'a Record) -> Self {
        let time_ms = i64::try_from(record.time_ms).ok();
        let time = time_ms.and_then(|ms| jiff::Timestamp::from_millisecond(ms).ok());
        Self {
            key: KeyBody(key),
            value: None,
            revision: record.mod_revision.get(),
            create_revision: record.create_revision.get(),
            version: record.version,
            lease: (record.lease != 0).then(|| format!("{:016x}", record.lease)),
            // Always with milliseconds, so that the texts sort like the times.
            time: time.map(|time| format!("{time:.3}")),
        }
    }
}

/// Answer to a put.
#[derive(Debug, serde::Serialize)]
pub(crate) struct PutBody<'a> {
    pub(crate) key: KeyBody<'a>,
    pub(crate) revision: u64,
    pub(crate) create_revision: u64,
    pub(crate) version: u64,
    /// `None` if it was not asked for, `Some(None)` if there was none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) prev: Option<Option<RecordBody<'a>>>,
}

/// Answer to a delete of a key or of a range.
#[derive(Debug, serde::Serialize)]
pub(crate) struct DeleteBody<'a> {
    pub(crate) deleted: u64,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub(crate) dry_run: bool,
    pub(crate) revision: u64,
    /// See [`PutBody::prev`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) prev: Option<Option<RecordBody<'a>>>,
}

/// One page of a listing.
#[derive(Debug, serde::Serialize)]
pub(crate) struct PageBody<'a> {
    pub(crate) revision: u64,
    pub(crate) items: Vec<RecordBody<'a>>,
    pub(crate) count: u64,
    pub(crate) next: Option<&'a str>,
}

/// Answer to a batch.
#[derive(Debug, serde::Serialize)]
pub(crate) struct BatchBody<'a> {
    pub(crate) revision: u64,
    pub(crate) results: Vec<BatchResult<'a>>,
}

/// What one operation of a batch did.
#[derive(Debug, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum BatchResult<'a> {
    /// A put.
    Put {
        /// The key.
        key: KeyBody<'a>,
        /// When it was created.
        create_revision: u64,
        /// Its version now.
        version: u64,
    },
    /// A delete.
    Delete {
        /// The key.
        key: KeyBody<'a>,
        /// 1 if it existed, else 0.
        deleted: u64,
    },
}

/// One operation of a batch as it is sent: exactly one of the two.
#[derive(Debug, serde::Deserialize)]
#[serde(deny_unknown_fields, expecting = "an object with `put` or `delete`")]
pub(crate) struct BatchOperation<'a> {
    #[serde(borrow)]
    pub(crate) put: Option<BatchPut<'a>>,
    #[serde(borrow)]
    pub(crate) delete: Option<BatchDelete<'a>>,
}

/// A put of a batch: a key and exactly one form of value.
#[derive(Debug, serde::Deserialize)]
#[serde(deny_unknown_fields, expecting = "an object with `key` and `value`")]
pub(crate) struct BatchPut<'a> {
    #[serde(borrow)]
    pub(crate) key: Cow<'a, str>,
    /// Any JSON, kept verbatim; `null` too is a value.
    #[serde(borrow, default, deserialize_with = "present")]
    pub(crate) value: Option<&'a RawValue>,
    /// Text that is stored as it is, not as JSON.
    #[serde(borrow)]
    pub(crate) text: Option<Cow<'a, str>>,
    /// Any bytes.
    #[serde(borrow)]
    pub(crate) base64: Option<Cow<'a, str>>,
}

/// A delete of a batch.
#[derive(Debug, serde::Deserialize)]
#[serde(deny_unknown_fields, expecting = "an object with `key`")]
pub(crate) struct BatchDelete<'a> {
    #[serde(borrow)]
    pub(crate) key: Cow<'a, str>,
}

/// Tells a member that is `null` from one that is absent.
fn present<'de: 'a, 'a, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<&'a RawValue>, D::Error> {
    <&RawValue>::deserialize(deserializer).map(Some)
}
