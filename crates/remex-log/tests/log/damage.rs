//! Bytes that are torn off, flipped, or come from elsewhere.

use remex_log::memory_disk::{MemoryDisk, SECTOR_BYTES};
use remex_log::{
    Corruption, Disk, HardState, Log, LogEntry, LogError, OpenError, Options, Recovered,
};

use crate::{entry, everything, open, small};

const BLOCK: usize = 4096;

/// A log over three segments, all of it synced, one entry a group.
fn synced_log(disk: &MemoryDisk, marked: bool) -> Vec<LogEntry> {
    let (mut log, _) = open(disk, 1).expect("nothing fails here");
    let mut entries = Vec::new();
    for index in 1..=5 {
        let entry = entry(index, index / 2, 40);
        let hard_state = HardState { term: index, vote: 1, commit: index - 1 };
        log.append(Some(hard_state), std::slice::from_ref(&entry)).expect("nothing fails here");
        log.sync().expect("nothing fails here");
        entries.push(entry);
    }
    if marked {
        log.mark_synced().expect("nothing fails here");
    }
    entries
}

fn segments(disk: &MemoryDisk) -> Vec<String> {
    disk.list().expect("there is power").into_iter().filter(|name| name.ends_with(".log")).collect()
}

/// The name of the last segment and the offset of its last group.
fn last_group(disk: &MemoryDisk) -> (String, usize) {
    let name = segments(disk).pop().expect("there is a segment");
    let bytes = disk.bytes(&name).expect("it is there");
    let used = bytes.iter().rposition(|byte| *byte != 0).expect("a header at least");
    (name, used / BLOCK * BLOCK)
}

/// Every bit of what a log wrote, and one bit of every byte between.
fn bits(disk: &MemoryDisk) -> Vec<(String, usize, u8)> {
    let mut bits = Vec::new();
    for name in segments(disk) {
        for (offset, byte) in disk.bytes(&name).expect("it is there").into_iter().enumerate() {
            if byte == 0 && offset % BLOCK > 200 {
                bits.push((name.clone(), offset, u8::try_from(offset % 8).expect("below 8")));
            } else {
                bits.extend((0..8).map(|bit| (name.clone(), offset, bit)));
            }
        }
    }
    bits
}

fn check_corruption(corruption: &Corruption, name: &str, offset: usize) {
    let place = usize::try_from(corruption.offset).expect("a small number");
    assert_eq!((corruption.file.as_str(), place), (name, offset / BLOCK * BLOCK), "{corruption}");
}

#[test]
fn no_flipped_bit_of_a_marked_log_loses_or_changes_an_entry() {
    let disk = MemoryDisk::new(1);
    let entries = synced_log(&disk, true);
    assert!(segments(&disk).len() >= 3);
    let (mut detected, mut harmless) = (0, 0);
    for (name, offset, bit) in bits(&disk) {
        let disk = disk.fork();
        assert!(disk.flip_bit(&name, offset, bit));
        let changes = disk.changes();
        match open(&disk, 2) {
            Ok((log, recovered)) => {
                assert_eq!(everything(&log), entries, "{name} {offset} {bit}");
                assert_eq!(recovered.hard_state.term, 5);
                harmless += 1;
            }
            Err(OpenError::Corrupt(corruption)) => {
                check_corruption(&corruption, &name, offset);
                assert_eq!(disk.changes(), changes, "a damaged log is not touched");
                detected += 1;
            }
            Err(error) => panic!("{name} {offset} {bit}: {error}"),
        }
    }
    assert!(detected > 5_000 && harmless > 5_000, "{detected} {harmless}");
}

#[test]
fn a_flip_in_the_last_group_cuts_that_group_only_and_says_so() {
    let disk = MemoryDisk::new(1);
    let entries = synced_log(&disk, false);
    let (last, group) = last_group(&disk);
    let mut cuts = 0;
    for (name, offset, bit) in bits(&disk) {
        let disk = disk.fork();
        assert!(disk.flip_bit(&name, offset, bit));
        let (log, recovered) = match open(&disk, 2) {
            Ok(opened) => opened,
            Err(OpenError::Corrupt(corruption)) => {
                check_corruption(&corruption, &name, offset);
                continue;
            }
            Err(error) => panic!("{name} {offset} {bit}: {error}"),
        };
        let Some(cut) = recovered.cut else {
            assert_eq!(everything(&log), entries, "{name} {offset} {bit}");
            continue;
        };
        assert_eq!((&cut.file, &name, cut.offset), (&last, &last, group as u64));
        assert!((group..group + BLOCK).contains(&offset));
        assert_eq!(everything(&log), entries[..4]);
        assert_eq!(recovered.hard_state.term, 4);
        cuts += 1;
    }
    assert!(cuts > 500, "{cuts}");
}

#[test]
fn a_flip_under_an_open_log_is_never_served() {
    let disk = MemoryDisk::new(1);
    let entries = synced_log(&disk, true);
    let (log, _) = open(&disk, 2).unwrap();
    let mut detected = 0;
    for (name, offset, bit) in bits(&disk) {
        assert!(disk.flip_bit(&name, offset, bit));
        for entry in &entries {
            match log.read(entry.index, entry.index + 1, 0) {
                Ok(read) => assert_eq!(read, std::slice::from_ref(entry)),
                Err(LogError::Corrupt(corruption)) => {
                    check_corruption(&corruption, &name, offset);
                    detected += 1;
                }
                Err(error) => panic!("{error}"),
            }
        }
        assert!(disk.flip_bit(&name, offset, bit));
    }
    assert!(detected > 1_000);
}

/// A copy of the disk on which one file holds other bytes.
fn with_bytes(disk: &MemoryDisk, name: &str, bytes: Vec<u8>) -> MemoryDisk {
    let disk = disk.fork();
    disk.put(name, bytes);
    disk
}

fn check_tear(disk: &MemoryDisk, entries: &[LogEntry]) -> Recovered {
    let (log, recovered) = open(disk, 2).expect("a torn end is cut");
    let kept = everything(&log);
    let whole = kept.len() == entries.len();
    assert_eq!(kept, entries[..entries.len() - usize::from(!whole)]);
    assert!(!whole || recovered.cut.is_none());
    drop(log);
    // What was cut stays cut, what was kept stays kept.
    disk.power_cut();
    let (log, again) = open(disk, 3).expect("recovery leaves a log that opens");
    assert_eq!((everything(&log), again.cut), (kept, None));
    recovered
}

#[test]
fn every_cut_of_the_last_group_leaves_the_groups_before() {
    let disk = MemoryDisk::new(1);
    let entries = synced_log(&disk, false);
    let (name, group) = last_group(&disk);
    let bytes = disk.bytes(&name).unwrap();
    let noise: Vec<u8> = bytes.iter().rev().copied().collect();
    let mut kept = 0;
    for cut in 0..=BLOCK {
        let (before, behind) = (group..group + cut, group + cut..group + BLOCK);
        // The end is missing, or is what was there before; the front is missing.
        let mut zeros = bytes.clone();
        zeros[behind.clone()].fill(0);
        let mut old = bytes.clone();
        old[behind.clone()].copy_from_slice(&noise[behind]);
        let mut front = bytes.clone();
        front[before].fill(0);
        for torn in [zeros, old, front] {
            let recovered = check_tear(&with_bytes(&disk, &name, torn), &entries);
            kept += usize::from(recovered.last_index == 5);
        }
    }
    // Only what lies behind the payload can be lost without harm.
    assert!(kept > 2 * BLOCK * 9 / 10 && kept < 3 * BLOCK, "{kept}");
}

#[test]
fn sectors_of_unsynced_groups_may_be_lost_in_any_combination() {
    let disk = MemoryDisk::new(1);
    let options = |seed| Options { segment_bytes: 64 * 1024, ..small(seed) };
    let (mut log, _) = Log::open(disk.clone(), options(1)).unwrap();
    log.append(None, &[entry(1, 1, 100)]).unwrap();
    log.sync().unwrap();
    let before = disk.bytes(&segments(&disk)[0]).unwrap();
    log.append(None, &[entry(2, 1, 900)]).unwrap();
    log.append(None, &[entry(3, 1, 900)]).unwrap();
    drop(log);
    let name = segments(&disk).remove(0);
    let after = disk.bytes(&name).unwrap();
    // Each group fills two sectors; the others of its block hold padding.
    let sectors = [0, 1, 8, 9].map(|sector| 2 * BLOCK + sector * SECTOR_BYTES);
    for lost in 0..16_u32 {
        let mut torn = after.clone();
        for (bit, start) in sectors.into_iter().enumerate() {
            if lost & (1 << bit) != 0 {
                let sector = start..start + SECTOR_BYTES;
                torn[sector.clone()].copy_from_slice(&before[sector]);
            }
        }
        let (log, recovered) = Log::open(with_bytes(&disk, &name, torn), options(2)).unwrap();
        let last = if lost & 3 != 0 {
            1
        } else if lost != 0 {
            2
        } else {
            3
        };
        assert_eq!(recovered.last_index, last, "lost {lost:b}");
        assert_eq!(
            everything(&log),
            (1..=last).map(|i| entry(i, 1, if i == 1 { 100 } else { 900 })).collect::<Vec<_>>()
        );
    }
}

#[test]
fn a_group_in_the_wrong_place_does_not_pass() {
    let disk = MemoryDisk::new(1);
    let (mut log, _) = open(&disk, 1).unwrap();
    for index in 1..=2 {
        log.append(None, &[entry(index, 1, 100)]).unwrap();
        log.sync().unwrap();
    }
    let name = segments(&disk).remove(0);
    let mut bytes = disk.bytes(&name).unwrap();
    bytes.copy_within(2 * BLOCK..3 * BLOCK, BLOCK);
    let error = open(&with_bytes(&disk, &name, bytes), 2).unwrap_err();
    assert!(matches!(error, OpenError::Corrupt(Corruption { offset: 4096, .. })), "{error}");
}

#[test]
fn files_cut_short_or_swapped_are_refused() {
    let disk = MemoryDisk::new(1);
    synced_log(&disk, true);
    let names = segments(&disk);
    for name in &names {
        let bytes = disk.bytes(name).unwrap();
        for length in [0, 100, BLOCK, bytes.len() - 1] {
            let error = open(&with_bytes(&disk, name, bytes[..length].to_vec()), 2).unwrap_err();
            assert!(matches!(&error, OpenError::Corrupt(at) if &at.file == name), "{error}");
        }
    }
    let error = open(&with_bytes(&disk, &names[0], disk.bytes(&names[1]).unwrap()), 2).unwrap_err();
    assert!(matches!(&error, OpenError::Corrupt(at) if at.file == names[0]), "{error}");
}

#[test]
fn files_of_others_are_left_alone() {
    let disk = MemoryDisk::new(1);
    let entries = synced_log(&disk, true);
    for name in ["lock", "1.log", "000000000000000G.log", "0000000000000001.log.bak", "A.spare"] {
        disk.put(name, b"mine".to_vec());
    }
    let (log, _) = open(&disk, 2).unwrap();
    assert_eq!(everything(&log), entries);
    assert_eq!(disk.bytes("1.log"), Some(b"mine".to_vec()));
    assert_eq!(disk.bytes("A.spare"), Some(b"mine".to_vec()));
}
