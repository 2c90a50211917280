//! The command: everything that writes, in one form, as it stands in the replicated log.
//!
//! Encoding, version 1 (little-endian; `bytes` is a u32 length and that many bytes):
//!
//! ```text
//! u8  version = 1
//! u8  flags: bit 0 = a request key follows
//! [bytes request key]
//! u32 number of conditions, each: u8 test (0 revision, 1 exists, 2 absent), bytes key, [u64 revision]
//! u32 number of writes, each:     u8 kind (0 put raw, 1 put JSON, 2 delete, 3 delete range)
//!     put:          bytes key, bytes value, u64 lease
//!     delete:       bytes key
//!     delete range: bytes start, u8 has end, [bytes end]
//! ```
//!
//! A version or a tag that this code does not know is refused: a node must never guess at what
//! the others applied.

use bytes::Bytes;

use crate::{DecodeError, Decoder, Encoder, Key, KeyRange, Revision, Value};

const VERSION: u8 = 1;
const FLAG_REQUEST_KEY: u8 = 1;

/// A client's own name for one write, so that a retry after a lost answer applies once.
/// Remembered in the replicated state for a while together with the outcome.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RequestKey(pub Bytes);

/// One write transaction: if every condition holds, all writes are applied in order at one
/// revision; otherwise nothing is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Command {
    /// The client's name for this write, if it gave one.
    pub request_key: Option<RequestKey>,
    /// What must hold for the writes to happen.
    pub conditions: Vec<Condition>,
    /// What is written, in order. A later write of the same key wins.
    pub writes: Vec<Write>,
}

/// A condition on one key, checked against the state just before the writes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Condition {
    /// The key that is looked at.
    pub key: Key,
    /// What must hold for it.
    pub test: Test,
}

/// What a [`Condition`] demands of its key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Test {
    /// The key exists and was last written at this revision.
    Revision(Revision),
    /// The key exists.
    Exists,
    /// The key does not exist.
    Absent,
}

/// One change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Write {
    /// Sets a key.
    Put {
        /// The key.
        key: Key,
        /// Its new value.
        value: Value,
        /// The lease to attach it to; 0 for none.
        lease: u64,
    },
    /// Removes a key; nothing happens if it does not exist.
    Delete {
        /// The key.
        key: Key,
    },
    /// Removes the keys in a range, smallest first, but at most
    /// [`Write::DELETE_RANGE_KEYS_MAX`] of them.
    DeleteRange {
        /// The range.
        range: KeyRange,
    },
}

impl Command {
    /// A command of one unconditional put.
    #[must_use]
    pub fn put(key: Key, value: Value) -> Self {
        Self { writes: vec![Write::Put { key, value, lease: 0 }], ..Self::default() }
    }

    /// A command of one unconditional delete.
    #[must_use]
    pub fn delete(key: Key) -> Self {
        Self { writes: vec![Write::Delete { key }], ..Self::default() }
    }

    /// Adds a condition.
    #[must_use]
    pub fn only_if(mut self, key: Key, test: Test) -> Self {
        self.conditions.push(Condition { key, test });
        self
    }

    /// Appends the encoded command to `out`.
    pub fn encode(&self, out: &mut Vec<u8>) {
        let mut encoder = Encoder::new(out);
        encoder.u8(VERSION);
        encoder.u8(if self.request_key.is_some() { FLAG_REQUEST_KEY } else { 0 });
        if let Some(RequestKey(bytes)) = &self.request_key {
            encoder.bytes(bytes);
        }
        encoder.count(self.conditions.len());
        for condition in &self.conditions {
            condition.encode(&mut encoder);
        }
        encoder.count(self.writes.len());
        for write in &self.writes {
            write.encode(&mut encoder);
        }
    }

    /// The encoded command.
    #[must_use]
    pub fn to_bytes(&self) -> Bytes {
        let mut out = Vec::with_capacity(self.encoded_bytes_max());
        self.encode(&mut out);
        Bytes::from(out)
    }

    /// At least as many bytes as the encoded command takes.
    fn encoded_bytes_max(&self) -> usize {
        let conditions = self.conditions.iter().map(|condition| 13 + condition.key.bytes().len());
        let writes = self.writes.iter().map(|write| match write {
            Write::Put { key, value, .. } => 17 + key.bytes().len() + value.bytes.len(),
            Write::Delete { key } => 5 + key.bytes().len(),
            Write::DeleteRange { range } => {
                10 + range.start.len() + range.end.as_ref().map_or(0, Bytes::len)
            }
        });
        let request_key = self.request_key.as_ref().map_or(0, |key| 4 + key.0.len());
        10 + request_key + conditions.chain(writes).sum::<usize>()
    }

    /// Decodes a command; keys and values share `input`.
    ///
    /// # Errors
    /// If the input is not exactly one command of a known version.
    pub fn decode(input: Bytes) -> Result<Self, DecodeError> {
        let mut decoder = Decoder::new(input);
        let version = decoder.u8("command version")?;
        if version != VERSION {
            return Err(DecodeError::Unknown {
                field: "command version",
                value: u64::from(version),
            });
        }
        let request_key = match decoder.u8("command flags")? {
            0 => None,
            FLAG_REQUEST_KEY => Some(RequestKey(decoder.bytes("request key")?)),
            other => {
                let value = u64::from(other);
                return Err(DecodeError::Unknown { field: "command flags", value });
            }
        };
        let conditions = (0..decoder.count(5, "number of conditions")?)
            .map(|_| Condition::decode(&mut decoder))
            .collect::<Result<_, _>>()?;
        let writes = (0..decoder.count(5, "number of writes")?)
            .map(|_| Write::decode(&mut decoder))
            .collect::<Result<_, _>>()?;
        decoder.finish()?;
        Ok(Self { request_key, conditions, writes })
    }
}

impl Write {
    /// Most keys that one [`Write::DeleteRange`] removes. Its whole effect is held in memory, on
    /// every node at the same time; without a bound, one request could stop the cluster. Whoever
    /// wants more gone asks again while this many went. Decides what is applied, so it is the
    /// same on every node and part of the format.
    pub const DELETE_RANGE_KEYS_MAX: u64 = 10_000;
}

impl Condition {
    fn encode(&self, encoder: &mut Encoder<'_>) {
        encoder.u8(match self.test {
            Test::Revision(_) => 0,
            Test::Exists => 1,
            Test::Absent => 2,
        });
        encoder.bytes(self.key.as_bytes());
        if let Test::Revision(revision) = self.test {
            encoder.u64(revision.get());
        }
    }

    fn decode(decoder: &mut Decoder) -> Result<Self, DecodeError> {
        let tag = decoder.u8("condition test")?;
        let key = Key::new(decoder.bytes("condition key")?);
        let test = match tag {
            0 => Test::Revision(Revision(decoder.u64("condition revision")?)),
            1 => Test::Exists,
            2 => Test::Absent,
            other => {
                let value = u64::from(other);
                return Err(DecodeError::Unknown { field: "condition test", value });
            }
        };
        Ok(Self { key, test })
    }
}

impl Write {
    fn encode(&self, encoder: &mut Encoder<'_>) {
        match self {
            Self::Put { key, value, lease } => {
                encoder.u8(u8::from(value.json));
                encoder.bytes(key.as_bytes());
                encoder.bytes(&value.bytes);
                encoder.u64(*lease);
            }
            Self::Delete { key } => {
                encoder.u8(2);
                encoder.bytes(key.as_bytes());
            }
            Self::DeleteRange { range } => {
                encoder.u8(3);
                encoder.bytes(&range.start);
                encoder.bool(range.end.is_some());
                if let Some(end) = &range.end {
                    encoder.bytes(end);
                }
            }
        }
    }

    fn decode(decoder: &mut Decoder) -> Result<Self, DecodeError> {
        match decoder.u8("kind of write")? {
            kind @ (0 | 1) => {
                let key = Key::new(decoder.bytes("put key")?);
                let value = Value { bytes: decoder.bytes("put value")?, json: kind == 1 };
                Ok(Self::Put { key, value, lease: decoder.u64("put lease")? })
            }
            2 => Ok(Self::Delete { key: Key::new(decoder.bytes("delete key")?) }),
            3 => {
                let start = decoder.bytes("range start")?;
                let end = match decoder.bool("range has end")? {
                    true => Some(decoder.bytes("range end")?),
                    false => None,
                };
                Ok(Self::DeleteRange { range: KeyRange { start, end } })
            }
            other => Err(DecodeError::Unknown { field: "kind of write", value: u64::from(other) }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn full() -> Command {
        Command {
            request_key: Some(RequestKey(Bytes::from_static(b"retry-1"))),
            conditions: vec![
                Condition { key: "a".into(), test: Test::Revision(Revision(7)) },
                Condition { key: "b".into(), test: Test::Exists },
                Condition { key: "c".into(), test: Test::Absent },
            ],
            writes: vec![
                Write::Put { key: "a".into(), value: Value::json("{}"), lease: 3 },
                Write::Put { key: "b".into(), value: Value::raw("x"), lease: 0 },
                Write::Delete { key: "c".into() },
                Write::DeleteRange { range: KeyRange::prefix("d/") },
                Write::DeleteRange { range: KeyRange::all() },
            ],
        }
    }

    #[test]
    fn every_kind_of_write_round_trips() {
        assert_eq!(Command::decode(full().to_bytes()), Ok(full()));
        assert!(full().to_bytes().len() <= full().encoded_bytes_max());
        assert_eq!(Command::decode(Command::default().to_bytes()), Ok(Command::default()));
    }

    #[test]
    fn every_cut_is_refused() {
        let bytes = full().to_bytes();
        for end in 0..bytes.len() {
            assert!(Command::decode(bytes.slice(..end)).is_err(), "cut at {end} was accepted");
        }
        let mut longer = bytes.to_vec();
        longer.push(0);
        assert_eq!(Command::decode(longer.into()), Err(DecodeError::Trailing(1)));
    }

    #[test]
    fn version_1_is_what_it_was() {
        let bytes = Command::put("k".into(), Value::json("1")).to_bytes();
        let expected = [
            1, 0, 0, 0, 0, 0, 1, 0, 0, 0, 1, 1, 0, 0, 0, b'k', 1, 0, 0, 0, b'1', 0, 0, 0, 0, 0, 0,
            0, 0,
        ];
        assert_eq!(&bytes[..], expected);
    }
}
