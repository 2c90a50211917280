//! Snapshots whose checksums are right and whose content is not.

use bytes::Bytes;
use remex_engine::MemoryEngine;
use remex_model::{DecodeError, Encoder, Index};

use super::format::{CHUNK_BYTES, Kind, PartStart, Totals, encode_header};
use super::writer::Writer;
use super::*;
use crate::history::History;
use crate::meta::Meta;
use crate::rows;

const SALT: u64 = 77;

fn meta() -> Meta {
    let mut meta = Meta::founded(Membership::default());
    (meta.applied, meta.revision) = (Index(9), Revision(5));
    meta.history = History::new(Revision(3));
    meta
}

fn header(meta: &Meta) -> Header {
    Header {
        cluster: ClusterId(1),
        index: meta.applied,
        term: meta.term,
        revision: meta.revision,
        time_ms: meta.time_ms,
        hash: meta.digest.0,
        membership: (*meta.membership).clone(),
    }
}

fn row(meta: &Meta) -> Vec<u8> {
    let mut row = Vec::new();
    meta.encode(&mut row);
    row
}

fn record(revision: u64) -> Vec<u8> {
    let record = remex_model::Record {
        create_revision: Revision(2),
        mod_revision: Revision(revision),
        version: 1,
        lease: 0,
        time_ms: 0,
        value: remex_model::Value::raw("value"),
    };
    let mut row = Vec::new();
    rows::encode_record(&record, &mut row);
    row
}

fn current(key: &[u8]) -> Vec<u8> {
    let mut row = Vec::new();
    rows::current_key(key, &mut row);
    row
}

/// A snapshot of these rows, whatever they are.
fn of(rows: &[(Vec<u8>, Vec<u8>)]) -> Vec<u8> {
    let mut out = Vec::new();
    let mut writer = Writer::new(&mut out, header(&meta()), SALT).unwrap();
    for (key, value) in rows {
        writer.put(key, value).unwrap();
    }
    writer.finish().unwrap();
    out
}

/// The same behind a proper row `meta`.
fn behind_meta(rows: impl IntoIterator<Item = (Vec<u8>, Vec<u8>)>) -> Vec<u8> {
    let mut all = vec![(vec![rows::META], row(&meta()))];
    all.extend(rows);
    of(&all)
}

/// What is wrong; the same must be said by verifying and by taking over.
fn damage(bytes: &[u8]) -> Damage {
    let SnapshotError::Damaged { damage, .. } = Reader::new(bytes).unwrap().verify().unwrap_err()
    else {
        panic!("not damage");
    };
    let engine = MemoryEngine::new();
    match import(&engine, Reader::new(bytes).unwrap(), None).unwrap_err() {
        SnapshotError::Damaged { damage: of_import, .. } => assert_eq!(of_import, damage),
        error => panic!("{error}"),
    }
    damage
}

#[test]
fn proper_rows_are_taken() {
    let rows = [(current(b"a"), record(4)), (current(b"b"), record(5))];
    let bytes = behind_meta(rows);
    assert_eq!(Reader::new(&bytes[..]).unwrap().verify().unwrap().rows, 3);
}

#[test]
fn rows_must_ascend() {
    let rows = |first: &[u8], second: &[u8]| {
        behind_meta([(current(first), record(4)), (current(second), record(4))])
    };
    assert_eq!(damage(&rows(b"b", b"a")), Damage::Order);
    assert_eq!(damage(&rows(b"a", b"a")), Damage::Order);
    assert_eq!(damage(&behind_meta([(vec![rows::META], row(&meta()))])), Damage::Order);
    assert_eq!(damage(&behind_meta([(Vec::new(), record(4))])), Damage::Order);
}

#[test]
fn the_first_row_must_be_what_the_header_says() {
    assert_eq!(damage(&of(&[])), Damage::Meta);
    assert_eq!(damage(&of(&[(current(b"a"), record(4))])), Damage::Meta);
    assert_eq!(damage(&of(&[(Vec::new(), record(4))])), Damage::Meta);
    let changes: [fn(&mut Meta); 5] = [
        |meta| meta.applied = Index(10),
        |meta| meta.digest.0 += 1,
        |meta| meta.time_ms += 1,
        |meta| meta.membership = std::sync::Arc::new(Membership::founded([])),
        |meta| meta.history = History::new(Revision(6)),
    ];
    for (number, change) in changes.iter().enumerate() {
        let mut other = meta();
        change(&mut other);
        // An empty membership is what the header has, too.
        let bytes = of(&[(vec![rows::META], row(&other))]);
        match number {
            3 => assert!(Reader::new(&bytes[..]).unwrap().verify().is_ok()),
            _ => assert_eq!(damage(&bytes), Damage::Meta, "change {number}"),
        }
    }
    let mut newer = row(&meta());
    newer[0] = 2;
    let version = DecodeError::Unknown { field: "row version", value: 2 };
    assert_eq!(
        damage(&of(&[(vec![rows::META], newer)])),
        Damage::Undecodable { table: "meta", source: version }
    );
}

#[test]
fn every_row_must_be_one_of_its_table() {
    let numbered = |table, number| rows::numbered_key(table, number).to_vec();
    let mut history = Vec::new();
    rows::history_key(b"a", Revision(5), &mut history);
    let mut future = Vec::new();
    rows::history_key(b"a", Revision(6), &mut future);
    let key = || DecodeError::Truncated("key");
    let cut = |table, field| Damage::Undecodable { table, source: DecodeError::Truncated(field) };
    let cases: Vec<(Vec<u8>, Vec<u8>, Damage)> = vec![
        (vec![5, 1], record(4), Damage::Table(5)),
        (current(b"a"), vec![1], cut("current", "record flags")),
        (current(b"a"), record(6), Damage::Future("current")),
        (history.clone(), vec![1, 0], cut("history", "create revision")),
        (history.clone(), record(6), Damage::Future("history")),
        (future, record(4), Damage::Future("history")),
        (
            vec![rows::HISTORY, 0, 1],
            record(4),
            Damage::Undecodable { table: "history", source: key() },
        ),
        (numbered(rows::CHANGES, 6), vec![1, 0, 0, 0, 0], Damage::Future("changes")),
        (numbered(rows::CHANGES, 5), vec![1, 9, 0, 0, 0], cut("changes", "number of keys")),
        (
            vec![rows::CHANGES, 1],
            vec![1, 0, 0, 0, 0],
            Damage::Undecodable { table: "changes", source: key() },
        ),
        (numbered(rows::REQUESTS, 0), vec![1, 9, 0, 0, 0], cut("requests", "request key")),
        (current(&[b'k'; 70_000]), record(4), Damage::LongKey(70_001)),
    ];
    for (key, value, expected) in cases {
        assert_eq!(damage(&behind_meta([(key, value)])), expected);
    }
}

#[test]
fn remembered_requests_must_all_be_there() {
    let mut meta = meta();
    meta.requests = (3, 5);
    let mut request = Vec::new();
    let mut encoder = Encoder::new(&mut request);
    encoder.u8(1);
    encoder.bytes(b"key");
    encoder.u64(1);
    // Refused at revision 2.
    encoder.u8(0);
    encoder.u64(2);
    encoder.u32(0);
    encoder.bool(false);
    encoder.u64(0);
    let of = |numbers: &[u64]| {
        let mut all = vec![(vec![rows::META], row(&meta))];
        let key = |number: &u64| rows::numbered_key(rows::REQUESTS, *number).to_vec();
        all.extend(numbers.iter().map(|number| (key(number), request.clone())));
        of(&all)
    };
    assert!(Reader::new(&of(&[3, 4])[..]).unwrap().verify().is_ok());
    assert_eq!(damage(&of(&[])), Damage::Request { expected: 3 });
    assert_eq!(damage(&of(&[3])), Damage::Request { expected: 4 });
    assert_eq!(damage(&of(&[4])), Damage::Request { expected: 3 });
    assert_eq!(damage(&of(&[3, 5])), Damage::Request { expected: 4 });
    assert_eq!(damage(&of(&[3, 4, 5])), Damage::Request { expected: 5 });
}

/// A snapshot of these parts, whatever they are.
fn of_parts(parts: &[(Kind, &[u8])]) -> Vec<u8> {
    let mut out = encode_header(&header(&meta()), SALT).unwrap();
    for (number, (kind, payload)) in (0..).zip(parts) {
        out.extend(PartStart::of(SALT, *kind, number, payload).encode(SALT));
        out.extend_from_slice(payload);
    }
    out
}

#[test]
fn lengths_and_totals_must_be_right() {
    let mut whole = Vec::new();
    let row = row(&meta());
    let mut encoder = Encoder::new(&mut whole);
    encoder.u32(1);
    encoder.count(row.len());
    encoder.raw(&[rows::META]);
    encoder.raw(&row);
    let mut totals = Totals::new(SALT);
    totals.add(&whole);
    totals.rows = 1;
    let end = totals.encode();
    assert!(Reader::new(&of_parts(&[(Kind::Chunk, &whole), (Kind::End, &end)])[..]).is_ok());

    let wrong = Totals { rows: 2, ..totals }.encode();
    let bytes = of_parts(&[(Kind::Chunk, &whole), (Kind::End, &wrong)]);
    assert_eq!(damage(&bytes), Damage::Totals);

    let part = &whole[..whole.len() - 1];
    let bytes = of_parts(&[(Kind::Chunk, part), (Kind::End, &end)]);
    assert_eq!(damage(&bytes), Damage::Row);

    // A row that says that it is longer than anything waits for more, and takes no memory for it.
    let endless = [&[0xff; 8][..], &whole].concat();
    let bytes = of_parts(&[(Kind::Chunk, &endless), (Kind::End, &end)]);
    assert_eq!(damage(&bytes), Damage::Row);

    let too_long = vec![0; CHUNK_BYTES + 1];
    let length = u32::try_from(too_long.len()).unwrap();
    let bytes = of_parts(&[(Kind::Chunk, &too_long)]);
    assert_eq!(damage(&bytes), Damage::Length { part: "chunk", length });
    let bytes = of_parts(&[(Kind::Chunk, &[])]);
    assert_eq!(damage(&bytes), Damage::Length { part: "chunk", length: 0 });
    let bytes = of_parts(&[(Kind::End, &end[..8])]);
    assert_eq!(damage(&bytes), Damage::Length { part: "end", length: 8 });
}

#[test]
fn a_row_may_go_through_many_chunks() {
    let value: Vec<u8> = [record(4), vec![b'v'; 3 * CHUNK_BYTES]].concat();
    let bytes = behind_meta([
        (current(b"a"), record(4)),
        (current(b"b"), value.clone()),
        (current(b"c"), record(4)),
    ]);
    let mut reader = Reader::new(&bytes[..]).unwrap();
    let mut found = Vec::new();
    while let Some((key, value)) = reader.next_row().unwrap() {
        found.push((key, value));
    }
    assert_eq!(found.len(), 4);
    assert_eq!(found[2], (Bytes::from(current(b"b")), Bytes::from(value)));
    assert_eq!(reader.offset(), bytes.len() as u64);
    assert_eq!(reader.next_row().unwrap(), None);
}
