//! The tables in the engine: how keys and values of their rows are encoded.
//!
//! All tables share the engine's one order of keys; the first byte of a key names the table.
//!
//! ```text
//! 00                                   meta: one row, see `meta`
//! 01 key                               current: the key's record
//! 02 escaped key, 00 00, u64 revision  history: the record that this revision superseded
//! 03 u64 revision                      changes: the keys that this revision changed
//! 04 u64 sequence                      requests: a remembered request key, see `requests`
//! ```
//!
//! Integers in keys are big-endian, so that bytes sort as numbers. In `history` something follows
//! the key, so its end must sort before all that can continue it: a byte 00 of the key becomes
//! 00 ff, and 00 00 ends it. Then all rows of "a" sort before all rows of "a\0", and each key's
//! rows sort by revision. Values are little-endian and begin with a version byte, now 1.

use bytes::Bytes;
use remex_model::{DecodeError, Decoder, Encoder, Record, Revision, Value};

use crate::error::Fatal;

/// First bytes of the tables' keys.
pub(crate) const META: u8 = 0;
pub(crate) const CURRENT: u8 = 1;
pub(crate) const HISTORY: u8 = 2;
pub(crate) const CHANGES: u8 = 3;
pub(crate) const REQUESTS: u8 = 4;

const VERSION: u8 = 1;
/// The name of the version byte in errors.
pub(crate) const VERSION_FIELD: &str = "row version";
const FLAG_JSON: u8 = 1;

/// Writes the key of a row of `current`.
pub(crate) fn current_key(key: &[u8], out: &mut Vec<u8>) {
    out.clear();
    out.reserve(1 + key.len());
    out.push(CURRENT);
    out.extend_from_slice(key);
}

/// Writes what all keys of one key's rows of `history` begin with.
pub(crate) fn history_prefix(key: &[u8], out: &mut Vec<u8>) {
    out.clear();
    out.reserve(key.len() + 16);
    out.push(HISTORY);
    for &byte in key {
        out.push(byte);
        if byte == 0 {
            out.push(0xff);
        }
    }
    out.extend_from_slice(&[0, 0]);
}

/// Writes the key of a row of `history`.
pub(crate) fn history_key(key: &[u8], superseded: Revision, out: &mut Vec<u8>) {
    history_prefix(key, out);
    out.extend_from_slice(&superseded.get().to_be_bytes());
}

/// Writes where the rows of `history` of all keys from `key` on begin. The end of a key is left
/// out, so the bound lies before the rows of `key` itself and behind those of all smaller keys.
pub(crate) fn history_bound(key: &[u8], out: &mut Vec<u8>) {
    history_prefix(key, out);
    out.truncate(out.len() - 2);
}

/// Takes the key of a row of `history` apart.
pub(crate) fn parse_history_key(row: &[u8]) -> Result<(Bytes, Revision), Fatal> {
    let parse = || {
        let (escaped, revision) = row.get(1..)?.split_last_chunk::<8>()?;
        let mut rest = escaped.strip_suffix(&[0, 0])?;
        let mut key = Vec::with_capacity(rest.len());
        while let Some(zero) = rest.iter().position(|&byte| byte == 0) {
            let (head, tail) = rest.split_at(zero + 1);
            key.extend_from_slice(head);
            rest = tail.strip_prefix(&[0xff])?;
        }
        key.extend_from_slice(rest);
        Some((Bytes::from(key), Revision(u64::from_be_bytes(*revision))))
    };
    parse().ok_or_else(|| bad_key("history"))
}

/// The key of a row is not one of its table.
pub(crate) fn bad_key(table: &'static str) -> Fatal {
    Fatal::Row { table, source: DecodeError::Truncated("key") }
}

/// The revision at which a row of `history` was superseded; `None` if the key is not one.
pub(crate) fn superseded(row: &[u8]) -> Option<Revision> {
    row.last_chunk::<8>().map(|revision| Revision(u64::from_be_bytes(*revision)))
}

/// The key of a row that is found by number.
pub(crate) fn numbered_key(table: u8, number: u64) -> [u8; 9] {
    let mut key = [table; 9];
    key[1..].copy_from_slice(&number.to_be_bytes());
    key
}

/// The number in such a key; `None` if it is not one.
pub(crate) fn number(row: &[u8]) -> Option<u64> {
    let number: &[u8; 8] = row.get(1..)?.try_into().ok()?;
    Some(u64::from_be_bytes(*number))
}

/// Whether nobody reads the row any more: what it holds lies behind the floor, or is a request
/// before the first one that is remembered.
pub(crate) fn is_behind(row: &[u8], floor: Revision, first_request: u64) -> bool {
    match row.first() {
        Some(&HISTORY) => superseded(row).is_some_and(|by| by <= floor),
        Some(&CHANGES) => number(row).is_some_and(|by| by <= floor.get()),
        Some(&REQUESTS) => number(row).is_some_and(|number| number < first_request),
        _ => false,
    }
}

/// Writes the value of a row of `current` or `history`:
///
/// ```text
/// u8 version = 1, u8 flags (bit 0: JSON), u64 create revision, u64 mod revision, u64 version,
/// u64 lease, u64 time in ms, the value up to the end
/// ```
pub(crate) fn encode_record(record: &Record, out: &mut Vec<u8>) {
    out.clear();
    out.reserve(42 + record.value.bytes.len());
    let mut encoder = Encoder::new(out);
    encoder.u8(VERSION);
    encoder.u8(if record.value.json { FLAG_JSON } else { 0 });
    encoder.u64(record.create_revision.get());
    encoder.u64(record.mod_revision.get());
    encoder.u64(record.version);
    encoder.u64(record.lease);
    encoder.u64(record.time_ms);
    encoder.raw(&record.value.bytes);
}

/// Reads the value of a row of `current` or `history`; the record shares `row`.
pub(crate) fn decode_record(table: &'static str, row: Bytes) -> Result<Record, Fatal> {
    decode_record_fields(row).map_err(|source| Fatal::Row { table, source })
}

fn decode_record_fields(row: Bytes) -> Result<Record, DecodeError> {
    let mut decoder = Decoder::new(row);
    check_version(&mut decoder)?;
    let json = match decoder.u8("record flags")? {
        0 => false,
        FLAG_JSON => true,
        other => return Err(DecodeError::Unknown { field: "record flags", value: other.into() }),
    };
    Ok(Record {
        create_revision: Revision(decoder.u64("create revision")?),
        mod_revision: Revision(decoder.u64("mod revision")?),
        version: decoder.u64("version")?,
        lease: decoder.u64("lease")?,
        time_ms: decoder.u64("time")?,
        value: Value { bytes: decoder.rest(), json },
    })
}

/// Writes the value of a row of `changes`:
/// `u8 version = 1, u32 number of keys, each: u8 deleted, bytes key`.
pub(crate) fn encode_changes<'a>(
    keys: impl ExactSizeIterator<Item = (&'a Bytes, bool)>,
    out: &mut Vec<u8>,
) {
    out.clear();
    let mut encoder = Encoder::new(out);
    encoder.u8(VERSION);
    encoder.count(keys.len());
    for (key, deleted) in keys {
        encoder.bool(deleted);
        encoder.bytes(key);
    }
}

/// Reads the value of a row of `changes`.
pub(crate) fn decode_changes(row: Bytes) -> Result<Vec<(Bytes, bool)>, Fatal> {
    let decode = |row| -> Result<_, DecodeError> {
        let mut decoder = Decoder::new(row);
        check_version(&mut decoder)?;
        let mut keys = Vec::new();
        for _ in 0..decoder.count(5, "number of keys")? {
            let deleted = decoder.bool("deleted")?;
            keys.push((decoder.bytes("key")?, deleted));
        }
        decoder.finish()?;
        Ok(keys)
    };
    decode(row).map_err(|source| Fatal::Row { table: "changes", source })
}

/// Writes the version byte that every row begins with.
pub(crate) fn put_version(encoder: &mut Encoder<'_>) {
    encoder.u8(VERSION);
}

/// Takes the version byte that every row begins with.
pub(crate) fn check_version(decoder: &mut Decoder) -> Result<(), DecodeError> {
    match decoder.u8(VERSION_FIELD)? {
        VERSION => Ok(()),
        other => Err(DecodeError::Unknown { field: VERSION_FIELD, value: other.into() }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn history_sorts_by_key_and_then_by_revision() {
        let keys: [&[u8]; 9] =
            [b"", b"\0", b"\0\0", b"\0\xff", b"a", b"a\0", b"a\0\0", b"a\x01", b"b"];
        let revisions = [0, 1, 255, 256, u64::MAX];
        let mut rows = Vec::new();
        for key in keys {
            let mut bound = Vec::new();
            history_bound(key, &mut bound);
            assert!(rows.last().is_none_or(|last| *last < bound), "bound of {key:?}");
            for revision in revisions {
                let mut row = Vec::new();
                history_key(key, Revision(revision), &mut row);
                assert!(bound <= row);
                assert!(rows.last().is_none_or(|last| *last < row), "{key:?} at {revision}");
                let parsed = parse_history_key(&row).unwrap();
                assert_eq!((&parsed.0[..], parsed.1), (key, Revision(revision)));
                rows.push(row);
            }
        }
    }

    #[test]
    fn a_record_of_an_unknown_version_is_refused() {
        let record = Record {
            create_revision: Revision(2),
            mod_revision: Revision(3),
            version: 4,
            lease: 5,
            time_ms: 6,
            value: Value::json("7"),
        };
        let mut row = Vec::new();
        encode_record(&record, &mut row);
        assert_eq!(decode_record("current", Bytes::from(row.clone())).unwrap(), record);
        row[0] = 2;
        let error = decode_record("current", Bytes::from(row)).unwrap_err();
        assert_eq!(
            error.to_string(),
            "a row of the table `current` cannot be decoded: `row version` has the unknown value 2"
        );
    }
}
