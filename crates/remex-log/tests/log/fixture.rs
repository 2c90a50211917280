//! Files of format version 1, as bytes, that every later release must open. They are also what
//! this release writes: a change of the format does not go unnoticed.
//!
//! `format-1.hex` lists the files of a log: a line with a file's name and length, then its bytes
//! that are not zero, 32 to a line, behind their offset.

use remex_log::memory_disk::MemoryDisk;
use remex_log::{Disk, HardState, Log, LogEntry, Position};

use crate::{entry, everything, open};

const FIXTURE: &str = include_str!("format-1.hex");
const LINE_BYTES: usize = 32;

fn vote(term: u64) -> HardState {
    HardState { term, vote: 0x0e, commit: 1 }
}

/// A log with one of everything: all records, three segments, and a spare.
fn write(disk: &MemoryDisk) {
    let (mut log, _) = open(disk, 0x5eed).expect("nothing fails here");
    let mut put = |hard_state: Option<HardState>, entries: &[LogEntry]| {
        log.append(hard_state, entries).expect("nothing fails here");
        log.sync().expect("nothing fails here");
    };
    put(Some(vote(1)), &[entry(1, 1, 20), entry(2, 1, 0), entry(3, 1, 20)]);
    put(Some(vote(2)), &[entry(3, 2, 5)]);
    put(None, &[entry(4, 2, 70)]);
    log.start_after(Some(vote(3)), Position { index: 9, term: 3 }).expect("nothing fails here");
    log.append(None, &[entry(10, 3, 9)]).expect("nothing fails here");
    log.sync().expect("nothing fails here");
    log.append(None, &[entry(11, 3, 9)]).expect("nothing fails here");
    log.sync().expect("nothing fails here");
    log.mark_synced().expect("nothing fails here");
}

fn check(log: &Log<MemoryDisk>) {
    assert_eq!(everything(log), [entry(10, 3, 9), entry(11, 3, 9)]);
    assert_eq!(log.hard_state(), vote(3));
    assert_eq!((log.term(9), log.first_index()), (Some(3), 10));
}

fn to_text(disk: &MemoryDisk) -> String {
    let mut text = String::new();
    let mut names = disk.list().expect("there is power");
    names.sort();
    for name in names {
        let bytes = disk.bytes(&name).expect("it is there");
        text.push_str(&format!("{name} {}\n", bytes.len()));
        for (line, chunk) in bytes.chunks(LINE_BYTES).enumerate() {
            if chunk.iter().any(|byte| *byte != 0) {
                let hex: String = chunk.iter().map(|byte| format!("{byte:02x}")).collect();
                text.push_str(&format!("{:05x} {hex}\n", line * LINE_BYTES));
            }
        }
    }
    text
}

fn from_text(text: &str) -> MemoryDisk {
    let disk = MemoryDisk::new(1);
    let mut file: Option<(&str, Vec<u8>)> = None;
    for line in text.lines() {
        let (left, right) = line.split_once(' ').expect("two words a line");
        if left.contains('.') {
            if let Some((name, bytes)) = file.take() {
                disk.put(name, bytes);
            }
            file = Some((left, vec![0; right.parse().expect("a length")]));
            continue;
        }
        let offset = usize::from_str_radix(left, 16).expect("an offset");
        let (_, bytes) = file.as_mut().expect("a file's name stands first");
        for (position, byte) in bytes[offset..].iter_mut().take(right.len() / 2).enumerate() {
            *byte = u8::from_str_radix(&right[2 * position..2 * position + 2], 16).expect("hex");
        }
    }
    if let Some((name, bytes)) = file {
        disk.put(name, bytes);
    }
    disk
}

#[test]
fn files_of_version_1_open() {
    let disk = from_text(FIXTURE);
    assert_eq!(to_text(&disk), FIXTURE);
    for seed in 2..5 {
        let (log, recovered) = open(&disk, seed).unwrap();
        assert_eq!(recovered.cut, None);
        check(&log);
        disk.power_cut();
    }
}

#[test]
fn this_release_writes_version_1() {
    let disk = MemoryDisk::new(1);
    write(&disk);
    let text = to_text(&disk);
    // Only a new format version may rewrite it, and keeps the old one beside it.
    if std::env::var_os("REMEX_GOLDEN").is_some() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/log/format-1.hex");
        std::fs::write(path, &text).unwrap();
        return;
    }
    assert!(text == FIXTURE, "the bytes differ from format-1.hex:\n{text}");
}
