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
fn without_a_free_byte_a_log_opens_and_waits_for_space() {
    let disk = log_without_spare();
    let names = disk.list().unwrap();
    for _ in 0..3 {
        let mut log = open_with(&disk, 0).unwrap();
        assert_eq!((disk.list().unwrap(), log.room_bytes()), (names.clone(), 0));
        disk.set_full(true);
        log.mark_synced().unwrap();
        let next = entry(ENTRIES + 1, 1, 10);
        assert!(matches!(log.append(None, &[next]), Err(LogError::Full(_))));
        disk.set_full(false);
        disk.power_cut();
    }
    let mut log = open_with(&disk, 0).unwrap();
    log.append(None, &[entry(ENTRIES + 1, 1, 10)]).unwrap();
    log.sync().unwrap();
    assert_eq!(log.last_index(), ENTRIES + 1);
    assert!(log.room_bytes() > 0);
    drop(log);
    disk.power_cut();
    let (log, recovered) = Log::open(disk.clone(), options(SEGMENT_BYTES, 3)).unwrap();
    assert_eq!((log.last_index(), recovered.cut), (ENTRIES + 1, None));
    // Releasing what was before needs no space: it gives some.
    let disk = log_without_spare();
    let mut log = open_with(&disk, 2 * 12288).unwrap();
    crate::trim(&mut log, ENTRIES - 1, 0).unwrap();
    disk.set_full(true);
    log.append(None, &[entry(ENTRIES + 1, 1, 10_000)]).unwrap();
}

/// As [`crate::failures`] shows it where there is space: what only the page cache has is written
/// again before it is believed, and what is torn behind it is not written over.
#[test]
fn a_cache_that_lies_is_written_again_in_place() {
    let (mut lied, mut torn) = (0, 0);
    for seed in 0..200 {
        let disk = MemoryDisk::new(seed);
        let (mut log, _) = Log::open(disk.clone(), options(SEGMENT_BYTES, 1)).unwrap();
        log.append(None, &[entry(1, 1, 3000)]).unwrap();
        log.sync().unwrap();
        log.append(None, &[entry(2, 1, 3000), entry(3, 1, 9000)]).unwrap();
        if seed % 2 == 0 {
            disk.fail_sync_at(1);
            log.sync().unwrap_err();
        } else {
            disk.fail_write_at(1);
            log.append(None, &[entry(4, 1, 9000)]).unwrap_err();
        }
        disk.kill_process();
        disk.set_full(true);
        let dropped = disk.fork();
        dropped.drop_caches();
        let (dropped, _) = Log::open(dropped, options(SEGMENT_BYTES, 2)).unwrap();
        lied += u32::from(dropped.last_index() == 1);
        let (log, recovered) = Log::open(disk.clone(), options(SEGMENT_BYTES, 2)).unwrap();
        let last = log.last_index();
        assert!(last >= 3 && recovered.rewritten_bytes >= 3 * 4096, "{last}");
        torn += u32::from(recovered.cut.is_some());
        drop(log);
        disk.power_cut();
        let (mut log, _) = Log::open(disk.clone(), options(SEGMENT_BYTES, 3)).unwrap();
        assert_eq!(log.last_index(), last);
        disk.set_full(false);
        log.append(None, &[entry(last + 1, 2, 100)]).unwrap();
        log.sync().unwrap();
        disk.power_cut();
        let (log, recovered) = Log::open(disk.clone(), options(SEGMENT_BYTES, 4)).unwrap();
        assert_eq!((log.last_index(), recovered.cut), (last + 1, None));
    }
    assert!(lied > 50 && torn > 30, "{lied} {torn}");
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
    for (free, segments) in [(0, 1), (4096, 2)] {
        let disk = log_without_spare();
        disk.put("0000000000000009.spare", vec![0xa5; 8192]);
        open_with(&disk, free).unwrap();
        assert_eq!(disk.list().unwrap().len(), segments);
    }
}

#[test]
fn an_empty_directory_needs_a_whole_segment() {
    let disk = MemoryDisk::new(1);
    let error = open_with(&disk, SEGMENT_BYTES - 1).unwrap_err();
    assert!(!error.is_damage());
    let text = error.to_string();
    let OpenError::Full { directory, bytes, source } = error else { panic!("{error}") };
    assert_eq!((directory.as_str(), bytes), ("a directory in memory", SEGMENT_BYTES));
    assert!(
        source.is_full() && text.contains("262144 bytes") && text.contains(&directory),
        "{text}"
    );
    assert_eq!(disk.list().unwrap(), [""; 0], "nothing is left behind");
    // What an earlier attempt has left behind is no obstacle.
    disk.put("0000000000000003.spare", vec![0; 40_000]);
    disk.set_capacity(Some(SEGMENT_BYTES));
    let (log, _) = Log::open(disk.clone(), options(SEGMENT_BYTES, 1)).unwrap();
    assert_eq!((log.last_index(), log.disk_bytes()), (0, SEGMENT_BYTES));
}

/// However a life ends, and however often the power fails again, a log that is there opens on a
/// disk without a free byte.
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
            let is_there = disk.memory.list().unwrap().iter().any(|name| name.ends_with(".log"));
            match Log::open(disk.memory.fork(), options(segment_bytes, 600)) {
                Ok((log, _)) => {
                    life.tracked.clone().recovered(&log);
                    opened += 1;
                    opened += ends_in_opening(&disk.memory, &life, segment_bytes);
                }
                Err(OpenError::Full { .. }) if !is_there => refused += 1,
                Err(error) => panic!("{error}"),
            }
            disk.memory.set_full(false);
            goes_on(&disk.memory, &life.tracked, segment_bytes);
        }
    }
    assert!(opened > 2000 && refused > 2, "{opened} {refused}");
}

/// Cuts the power at every change of opening a log on a full disk.
fn ends_in_opening(disk: &MemoryDisk, life: &Life, segment_bytes: u64) -> u64 {
    for cut in 1.. {
        let disk = disk.fork();
        disk.cut_power_at(cut);
        if Log::open(disk.clone(), options(segment_bytes, 700)).is_ok() {
            return cut - 1;
        }
        disk.power_cut();
        let (log, _) = Log::open(disk.clone(), options(segment_bytes, 701)).expect("it opens");
        life.tracked.clone().recovered(&log);
    }
    unreachable!("opening a log ends")
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

#[test]
fn what_is_carried_over_does_not_outgrow_shorter_segments() {
    let disk = MemoryDisk::new(3);
    let (mut log, _) = Log::open(disk.clone(), options(1 << 20, 1)).unwrap();
    for index in 1..=40 {
        log.append(None, &[entry(index, 1, 100)]).unwrap();
        log.sync().unwrap();
    }
    let bytes = log.disk_bytes();
    drop(log);
    // 160 KiB would be little for the old length.
    let (log, recovered) = Log::open(disk, options(64 * 1024, 2)).unwrap();
    assert_eq!((log.disk_bytes() - bytes, recovered.rewritten_bytes), (64 * 1024, 4096));
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
