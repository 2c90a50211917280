//! Keys and ranges of keys.

use std::fmt;

use bytes::Bytes;

/// A key: any bytes inside; the HTTP surfaces admit only text. Compared byte by byte, without
/// normalisation. Cloning shares the bytes.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key(Bytes);

impl Key {
    /// Wraps bytes as a key. Limits are checked by [`crate::Limits::admit`].
    #[must_use]
    pub fn new(bytes: impl Into<Bytes>) -> Self {
        Self(bytes.into())
    }

    /// The key's bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// The key's bytes as a shared buffer.
    #[must_use]
    pub fn bytes(&self) -> &Bytes {
        &self.0
    }

    /// The key as text, if it is UTF-8.
    #[must_use]
    pub fn as_text(&self) -> Option<&str> {
        std::str::from_utf8(&self.0).ok()
    }

    /// Length in characters if the key is UTF-8, in bytes otherwise: what the key limit counts.
    #[must_use]
    pub fn chars(&self) -> usize {
        self.as_text().map_or(self.0.len(), |text| text.chars().count())
    }
}

impl From<&str> for Key {
    fn from(text: &str) -> Self {
        Self(Bytes::copy_from_slice(text.as_bytes()))
    }
}

impl From<String> for Key {
    fn from(text: String) -> Self {
        Self(Bytes::from(text))
    }
}

impl From<&String> for Key {
    fn from(text: &String) -> Self {
        Self::from(text.as_str())
    }
}

impl From<&Key> for Key {
    fn from(key: &Key) -> Self {
        key.clone()
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Key({:?})", String::from_utf8_lossy(&self.0))
    }
}

/// A half-open range of keys: `start` inclusive, `end` exclusive, no `end` for no upper bound.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyRange {
    /// The first key in the range.
    pub start: Bytes,
    /// The first key behind the range; `None` for "to the end of the store".
    pub end: Option<Bytes>,
}

impl KeyRange {
    /// Every key.
    #[must_use]
    pub fn all() -> Self {
        Self { start: Bytes::new(), end: None }
    }

    /// Every key that begins with `prefix`; the empty prefix is every key.
    #[must_use]
    pub fn prefix(prefix: impl Into<Bytes>) -> Self {
        let start: Bytes = prefix.into();
        let end = prefix_end(&start);
        Self { start, end }
    }

    /// Whether `key` lies in the range.
    #[must_use]
    pub fn contains(&self, key: &[u8]) -> bool {
        key >= &self.start[..] && self.end.as_ref().is_none_or(|end| key < &end[..])
    }

    /// Whether no key can lie in the range.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.end.as_ref().is_some_and(|end| end <= &self.start)
    }
}

/// The first key behind all keys with this prefix: the prefix with its last byte that is not
/// 0xff raised by one, and cut there.
fn prefix_end(prefix: &[u8]) -> Option<Bytes> {
    let last = prefix.iter().rposition(|&byte| byte != 0xff)?;
    let mut end = prefix[..=last].to_vec();
    end[last] += 1;
    Some(Bytes::from(end))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_prefix_covers_its_keys_and_no_others() {
        let range = KeyRange::prefix("app/");
        assert!(range.contains(b"app/"));
        assert!(range.contains("app/\u{10ffff}".as_bytes()));
        assert!(!range.contains(b"app"));
        assert!(!range.contains(b"app0"));
    }

    #[test]
    fn a_prefix_of_high_bytes_has_no_end() {
        assert_eq!(KeyRange::prefix(&b"\xff\xff"[..]).end, None);
        assert_eq!(KeyRange::prefix(&b"a\xff"[..]).end.as_deref(), Some(&b"b"[..]));
        assert!(KeyRange::prefix("").contains(b"anything"));
    }

    #[test]
    fn the_limit_counts_characters_of_text_and_bytes_of_the_rest() {
        assert_eq!(Key::from("äöü").chars(), 3);
        assert_eq!(Key::new(&b"\xff\xfe"[..]).chars(), 2);
    }
}
