use bytes::Bytes;

use super::*;
use crate::{HardState, LogEntry, Owner, Position};

fn header() -> Header {
    Header {
        owner: Owner { cluster: 1, node: 2 },
        sequence: 3,
        salt: 4,
        previous: Some(Previous { sequence: 2, salt: 5, end: 8192 }),
        base: Position { index: 6, term: 7 },
        hard_state: HardState { term: 8, vote: 9, commit: 10 },
        segment_bytes: 65_536,
        synced_to: 4096,
    }
}

#[test]
fn a_header_reads_what_it_writes_and_no_flip_passes() {
    let block = header().encode();
    assert_eq!(Header::decode(&block), Ok(header()));
    let first = Header { sequence: 1, previous: None, ..header() };
    assert_eq!(Header::decode(&first.encode()), Ok(first));
    for byte in 0..BLOCK {
        let mut damaged = block.clone();
        *damaged.get_mut(byte).unwrap() ^= 1 << (byte % 8);
        assert_eq!(Header::decode(&damaged), Err(HeaderError::Damaged("checksum")));
    }
    assert!(Header::decode(&[]).is_err());
}

#[test]
fn another_version_is_named() {
    let mut block = header().encode();
    block.truncate(BLOCK - 4);
    *block.get_mut(8).unwrap() = 9;
    let checksum = crc32c::crc32c(&block);
    block.extend(checksum.to_le_bytes());
    assert_eq!(Header::decode(&block), Err(HeaderError::Version(9)));
}

fn all_records() -> Vec<Record> {
    let data = Bytes::from_static(b"data");
    vec![
        Record::HardState(HardState { term: 1, vote: 2, commit: 3 }),
        Record::Truncate(Position { index: 4, term: 5 }),
        Record::Start(Position { index: 6, term: 7 }),
        Record::Entry(LogEntry { index: 8, term: 9, kind: 10, data }),
        Record::Seal(11),
    ]
}

#[test]
fn a_group_reads_what_it_writes_at_its_place_only() {
    let mut buffer = GroupBuffer::new();
    for record in all_records() {
        buffer.push(&record);
    }
    let group = Bytes::copy_from_slice(buffer.finish(77, 8192, 4096));
    assert_eq!(group.len(), BLOCK);
    let (header, payload) = GroupHeader::open(group.clone(), 77, 8192).unwrap();
    assert_eq!((header.records, header.synced_to, header.bytes_padded()), (5, 4096, BLOCK_BYTES));
    let read: Result<Vec<_>, _> = records(payload).collect();
    assert_eq!(read, Ok(all_records()));
    assert!(GroupHeader::open(group.clone(), 78, 8192).is_none(), "another salt");
    assert!(GroupHeader::open(group, 77, 4096).is_none(), "another place");
}

#[test]
fn no_flip_in_a_group_passes_or_goes_unnoticed() {
    let mut buffer = GroupBuffer::new();
    for record in all_records() {
        buffer.push(&record);
    }
    let used = buffer.len();
    let group = buffer.finish(77, 4096, 4096).to_vec();
    for bit in 0..used * 8 {
        let mut damaged = group.clone();
        *damaged.get_mut(bit / 8).unwrap() ^= 1 << (bit % 8);
        let frame = Frame::look(&damaged, 77, 4096);
        let passes = GroupHeader::open(damaged.into(), 77, 4096).is_some();
        // Magic and tag are redundant: the checksum stands without them.
        assert_eq!(passes, bit < 8 * 8, "bit {bit}");
        assert_ne!(frame, Frame::Foreign, "bit {bit}");
    }
}

#[test]
fn decoding_survives_every_cut_of_a_payload() {
    let mut payload = Vec::new();
    for record in all_records() {
        record.encode(&mut payload);
    }
    for cut in 0..payload.len() {
        let whole = records(Bytes::copy_from_slice(payload.split_at(cut).0));
        let good = whole.take_while(Result::is_ok).count();
        assert!(good < all_records().len());
    }
    assert!(records(Bytes::from_static(&[99])).all(|record| record.is_err()));
}
