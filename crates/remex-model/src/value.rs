//! Values and the records that hold them.

use bytes::Bytes;

use crate::Revision;

/// A value: bytes, and whether they are one JSON text. JSON is kept verbatim: the digits of its
/// numbers and the order of its keys come back as they were sent.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Value {
    /// The bytes as they were sent.
    pub bytes: Bytes,
    /// Whether the surface that took the value checked that it is one JSON text.
    pub json: bool,
}

impl Value {
    /// A value that is one JSON text. The caller has checked it.
    #[must_use]
    pub fn json(bytes: impl Into<Bytes>) -> Self {
        Self { bytes: bytes.into(), json: true }
    }

    /// A value of text or any bytes.
    #[must_use]
    pub fn raw(bytes: impl Into<Bytes>) -> Self {
        Self { bytes: bytes.into(), json: false }
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::raw(Bytes::copy_from_slice(text.as_bytes()))
    }
}

impl From<String> for Value {
    fn from(text: String) -> Self {
        Self::raw(text)
    }
}

impl From<&String> for Value {
    fn from(text: &String) -> Self {
        Self::from(text.as_str())
    }
}

impl From<Vec<u8>> for Value {
    fn from(bytes: Vec<u8>) -> Self {
        Self::raw(bytes)
    }
}

impl From<&[u8]> for Value {
    fn from(bytes: &[u8]) -> Self {
        Self::raw(Bytes::copy_from_slice(bytes))
    }
}

impl From<Bytes> for Value {
    fn from(bytes: Bytes) -> Self {
        Self::raw(bytes)
    }
}

/// A key's value at one revision with its history in numbers, as in etcd.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// The revision at which the key was last created.
    pub create_revision: Revision,
    /// The revision of the last write to the key.
    pub mod_revision: Revision,
    /// Number of writes since creation; 1 for a fresh key.
    pub version: u64,
    /// The lease that the key is attached to; 0 for none.
    pub lease: u64,
    /// Wall-clock time of the leader when it proposed the write, in milliseconds since 1970.
    /// For people only: nothing is decided by it.
    pub time_ms: u64,
    /// The value.
    pub value: Value,
}
