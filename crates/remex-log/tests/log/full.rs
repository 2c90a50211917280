//! Opening a log on a full disk, and segments of changing length.

use remex_log::memory_disk::MemoryDisk;
use remex_log::{Disk, FileDisk, HardState, Log, LogError, OpenError};

use crate::faulty::Faulty;
use crate::life::{Life, goes_on, options};
use crate::{entry, everything};

const SEGMENT_BYTES: u64 = 256 * 1024;

/// So many that the segment is filled to more than a quarter.
const ENTRIES: u64 = 20;

/// A log of one segment, filled beyond the quarter that recovery would carry over, whose last
/// group is not proven to be synced. No spare is left.
fn log_without_spare() -> MemoryDisk {
    let disk = MemoryDisk::new(7);
    let (mut log, _) = Log::open(disk.clone(), options(SEGMENT_BYTES, 1)).expect("it opens");
    for index in 1..=ENTRIES {
        log.append(None, &[entry(index, 1, 100)]).expect("nothing fails");
        log.sync().expect("nothing fails");
    }
    disk
}

fn used(disk: &MemoryDisk) -> u64 {
    let names = disk.list().expect("there is power");
    names.iter().map(|name| disk.bytes(name).expect("it is there").len() as u64).sum()
}

/// Opens the log while the disk has room for so many bytes more.
fn open_with(disk: &MemoryDisk, free: u64) -> Result<Log<MemoryDisk>, OpenError> {
    disk.set_capacity(Some(used(disk) + free));
    let opened = Log::open(disk.clone(), options(SEGMENT_BYTES, 2));
    disk.set_capacity(None);
    let (log, recovered) = opened?;
    assert_eq!((recovered.last_index, recovered.cut), (ENTRIES, None));
    assert_eq!(everything(&log), (1..=ENTRIES).map(|i| entry(i, 1, 100)).collect::<Vec<_>>());
    Ok(log)
}

#[test]
fn a_full_disk_is_named_with_the_bytes_that_would_do() {
    let disk = log_without_spare();
    let before = disk.list().unwrap();
    let error = open_with(&disk, 0).unwrap_err();
    assert!(!error.is_damage());
    let text = error.to_string();
    let OpenError::Full { directory, bytes, source } = error else { panic!("{error}") };
    assert_eq!(
        (directory.as_str(), bytes, source.is_full()),
        ("a directory in memory", 12288, true)
    );
    assert!(text.contains("12288 more bytes") && text.contains("a directory in memory"), "{text}");
    assert_eq!(disk.list().unwrap(), before, "nothing is left behind");
    open_with(&disk, bytes - 1).unwrap_err();
    // With as many as were named it opens, but has no room for more.
    let mut log = open_with(&disk, bytes).unwrap();
    assert_eq!(log.room_bytes(), 0);
    disk.set_full(true);
    assert!(matches!(log.append(None, &[entry(ENTRIES + 1, 1, 10)]), Err(LogError::Full(_))));
    disk.set_full(false);
    log.append(None, &[entry(ENTRIES + 1, 1, 10)]).unwrap();
    log.sync().unwrap();
    assert_eq!(log.last_index(), ENTRIES + 1);
}

#[test]
fn a_little_space_is_enough_for_votes() {
    let disk = log_without_spare();
    let mut log = open_with(&disk, 12288 + 64 * 1024).unwrap();
    disk.set_full(true);
    let mut votes = 0;
    let vote = |term| HardState { term, vote: 1, commit: ENTRIES };
    while log.append(Some(vote(votes + 1)), &[]).is_ok() {
        votes += 1;
    }
    assert_eq!(votes, 16);
    log.sync().unwrap();
    assert_eq!(log.hard_state(), vote(votes));
}

#[test]
fn spares_are_used_whatever_their_length() {
    // One of the right length; those that a shorter and a longer one left over; one that was never
    // finished, but is just long enough.
    for (spare_bytes, room) in
        [(262144, 61 * 4096), (32768, 5 * 4096), (1 << 20, 253 * 4096), (12288, 0)]
    {
        let disk = log_without_spare();
        disk.put("0000000000000009.spare", vec![0xa5; spare_bytes]);
        let log = open_with(&disk, 0).unwrap();
        assert_eq!(log.room_bytes(), room, "{spare_bytes}");
        assert!(disk.list().unwrap().iter().all(|name| name.ends_with(".log")));
    }
    // What is too short for anything gives its space.
    let disk = log_without_spare();
    disk.put("0000000000000009.spare", vec![0xa5; 8192]);
    assert!(matches!(open_with(&disk, 0), Err(OpenError::Full { bytes: 12288, .. })));
    disk.put("0000000000000009.spare", vec![0xa5; 8192]);
    open_with(&disk, 4096).unwrap();
}

#[test]
fn an_empty_directory_needs_a_whole_segment() {
    let disk = MemoryDisk::new(1);
    let error = open_with(&disk, SEGMENT_BYTES - 1).unwrap_err();
    assert!(matches!(error, OpenError::Full { bytes: SEGMENT_BYTES, .. }), "{error}");
    // What an earlier attempt has left behind is no obstacle.
    disk.put("0000000000000003.spare", vec![0; 40_000]);
    disk.set_capacity(Some(SEGMENT_BYTES));
    let (log, _) = Log::open(disk.clone(), options(SEGMENT_BYTES, 1)).unwrap();
    assert_eq!((log.last_index(), log.disk_bytes()), (0, SEGMENT_BYTES));
}

/// However a life ends, on a full disk too nothing is lost, and where a spare was left it opens.
#[test]
fn a_log_opens_on_a_disk_that_was_full_when_it_ended() {
    let (mut opened, mut refused) = (0, 0);
    for segment_bytes in [16 * 1024, 40 * 1024] {
        for cut in 1.. {
            let disk = Faulty::new(cut);
            disk.memory.cut_power_at(cut);
            let mut life = Life::new(disk.clone(), segment_bytes);
            if life.play().is_ok() {
                break;
            }
            disk.memory.power_cut();
            disk.memory.set_full(true);
            let before = disk.memory.list().unwrap();
            match Log::open(disk.memory.clone(), options(segment_bytes, 600)) {
                Ok((log, _)) => {
                    life.tracked.recovered(&log);
                    opened += 1;
                }
                Err(OpenError::Full { .. }) => {
                    let spare = |name: &String| name.ends_with(".spare");
                    let whole = |name: &&String| {
                        disk.memory.bytes(name).is_some_and(|b| b.len() as u64 == segment_bytes)
                    };
                    let spares = before.iter().filter(|name| spare(name)).filter(whole).count();
                    assert_eq!(spares, 0, "there was a spare to use: {before:?}");
                    refused += 1;
                }
                Err(error) => panic!("{error}"),
            }
            disk.memory.set_full(false);
            goes_on(&disk.memory, &life.tracked, segment_bytes);
        }
    }
    assert!(opened > 100 && refused > 50, "{opened} {refused}");
}

#[test]
fn segments_may_change_their_length_from_start_to_start() {
    let sizes = [256, 16, 1024, 20, 256, 64, 4096, 16, 256].map(|kib| kib * 1024);
    for lost_power in [false, true] {
        let disk = MemoryDisk::new(3);
        let mut expected = Vec::new();
        for (run, &size) in sizes.iter().enumerate() {
            let run = run as u64;
            let (mut log, _) = Log::open(disk.clone(), options(size, run)).unwrap();
            assert_eq!(everything(&log), expected);
            let bytes = usize::try_from(log_entry_bytes(size)).unwrap();
            for bytes in [bytes, 10, 3000, bytes / 2] {
                let new = entry(log.last_index() + 1, run + 1, bytes);
                log.append(None, std::slice::from_ref(&new)).unwrap();
                log.sync().unwrap();
                expected.push(new);
            }
            if let Some(job) = log.spare_job() {
                log.add_spare(job.run().unwrap());
            }
            drop(log);
            if lost_power {
                disk.power_cut();
            }
        }
        // All but the last few are released; what was long before is as short as the rest now.
        let (mut log, _) = Log::open(disk.clone(), options(64 * 1024, 99)).unwrap();
        assert_eq!(everything(&log), expected);
        let last = log.last_index();
        crate::trim(&mut log, last - 1, 0).unwrap();
        assert!(log.disk_bytes() <= 1024 * 1024, "{}", log.disk_bytes());
        assert_eq!(everything(&log).last(), expected.last());
    }
}

/// The longest entry, but not longer than 100 KB.
fn log_entry_bytes(segment_bytes: u64) -> u64 {
    options(segment_bytes, 0).entry_bytes_max().min(100_000)
}

#[test]
fn a_real_directory_is_named_by_its_path() {
    let directory = tempfile::tempdir().unwrap();
    let disk = FileDisk::open(directory.path()).unwrap();
    assert_eq!(disk.place(), directory.path().display().to_string());
}
