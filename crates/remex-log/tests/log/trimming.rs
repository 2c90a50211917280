//! Giving segments back: by bytes, beside appends, and never what may still be needed.

use std::sync::{Arc, Mutex};

use remex_log::memory_disk::MemoryDisk;
use remex_log::{FileDisk, HardState, Log, LogError, Position};

use crate::life::options;
use crate::{entry, everything, open, trim};

/// Groups in a segment of the smallest length.
const GROUPS: u64 = 2;
const GROUP_BYTES: u64 = 4096;

/// A log in which every entry has a group of its own.
fn filled(disk: &MemoryDisk, entries: u64) -> Log<MemoryDisk> {
    let (mut log, _) = open(disk, 1).expect("nothing fails here");
    for index in 1..=entries {
        log.append(None, &[entry(index, 1, 700)]).expect("nothing fails here");
        log.sync().expect("nothing fails here");
    }
    log
}

#[test]
fn bytes_are_kept_to_the_segment() {
    let disk = MemoryDisk::new(1);
    drop(filled(&disk, 25));
    for keep_bytes in (0..30 * GROUP_BYTES).step_by(1000) {
        let disk = disk.fork();
        let (mut log, _) = open(&disk, 2).unwrap();
        trim(&mut log, 25, keep_bytes).unwrap();
        let kept = everything(&log).len() as u64;
        assert!(kept == 25 || kept * GROUP_BYTES >= keep_bytes, "{kept} for {keep_bytes}");
        // One segment fewer would be too few, unless only the last one is left.
        assert!(
            kept <= GROUPS || kept.saturating_sub(GROUPS) * GROUP_BYTES < keep_bytes,
            "{kept} for {keep_bytes}"
        );
        assert!(log.trim_job(25, keep_bytes).is_none());
        disk.power_cut();
        let (again, recovered) = open(&disk, 3).unwrap();
        assert_eq!((recovered.first_index, everything(&again).len() as u64), (26 - kept, kept));
    }
}

#[test]
fn the_index_is_a_limit_as_well() {
    let disk = MemoryDisk::new(1);
    let mut log = filled(&disk, 25);
    for up_to in 0..=25 {
        trim(&mut log, up_to, 4 * GROUP_BYTES).unwrap();
        let first = log.first_index();
        assert!(first <= up_to + 1 && first <= 22 && first + GROUPS > up_to.min(20), "{first}");
    }
}

#[test]
fn nothing_has_happened_before_a_job_is_back() {
    let disk = MemoryDisk::new(1);
    let mut log = filled(&disk, 9);
    let (before, bytes) = (everything(&log), log.disk_bytes());
    let job = log.trim_job(5, 0).unwrap();
    assert!(log.trim_job(5, 0).is_none(), "one job at a time");
    let trimmed = job.run().unwrap();
    assert!(log.trim_job(5, 0).is_none(), "its result is not back");
    assert_eq!((everything(&log), log.disk_bytes()), (before.clone(), bytes));
    assert_eq!(disk.bytes("0000000000000001.log"), None);
    drop(log.finish_trim(trimmed));
    assert_eq!(everything(&log), before[2..]);
    // A job that is not run is given anew.
    drop(log.trim_job(5, 0).unwrap());
    assert_eq!(log.first_index(), 3);
    trim(&mut log, 5, 0).unwrap();
    assert_eq!((log.first_index(), log.term(4)), (5, Some(1)));
}

#[test]
fn what_is_void_stays_until_it_is_void_for_good() {
    for start in [false, true] {
        let disk = MemoryDisk::new(1);
        let mut log = filled(&disk, 9);
        if start {
            log.start_after(None, Position { index: 20, term: 3 }).unwrap();
        } else {
            log.append(None, &[entry(2, 2, 10)]).unwrap();
        }
        assert!(log.trim_job(1, u64::MAX).is_none());
        let synced = disk.fork();
        synced.power_cut_with(
            remex_log::memory_disk::Survivors::None,
            remex_log::memory_disk::Survivors::None,
        );
        assert_eq!(open(&synced, 2).unwrap().1.last_index, 9);
        log.sync().unwrap();
        // What no live entry lies in goes whatever is to be kept; the first segment holds entry 1.
        trim(&mut log, 0, u64::MAX).unwrap();
        assert_eq!(log.first_index(), if start { 21 } else { 1 });
        trim(&mut log, 1, 0).unwrap();
        assert_eq!(log.disk_bytes() / 16384, 3, "the last segment and two spares");
    }
}

#[test]
fn no_more_spares_are_made_than_wanted() {
    let disk = MemoryDisk::new(1);
    let mut log = filled(&disk, 9);
    let making = log.spare_job().unwrap();
    trim(&mut log, 2, 0).unwrap();
    assert_eq!(log.disk_bytes() / 16384, 5, "the file is kept although a spare is on its way");
    drop(making);
    let job = log.trim_job(4, 0).unwrap();
    assert!(log.spare_job().is_none(), "the job brings one");
    drop(log.finish_trim(job.run().unwrap()));
    assert!(log.spare_job().is_none());
    assert_eq!(log.disk_bytes() / 16384, 5, "three segments and two spares");
    trim(&mut log, 9, 0).unwrap();
    assert_eq!(log.disk_bytes() / 16384, 3, "what is released beyond that is removed");
}

#[test]
fn appends_go_on_while_a_thread_releases_segments() {
    const ENTRIES: u64 = 2000;
    let directory = tempfile::tempdir().unwrap();
    let open = |seed| {
        let disk = FileDisk::open(directory.path().join("log")).unwrap();
        Log::open(disk, options(64 * 1024, seed)).unwrap().0
    };
    let log = Arc::new(Mutex::new(open(1)));
    let trimmer = {
        let log = Arc::clone(&log);
        let step = move || -> Result<bool, LogError> {
            let last = log.lock().unwrap().last_index();
            loop {
                let Some(job) = log.lock().unwrap().trim_job(last, 100_000) else { break };
                let trimmed = job.run()?;
                drop(log.lock().unwrap().finish_trim(trimmed));
            }
            let Some(job) = log.lock().unwrap().spare_job() else { return Ok(last == ENTRIES) };
            let spare = job.run()?;
            log.lock().unwrap().add_spare(spare);
            Ok(false)
        };
        std::thread::spawn(move || {
            while !step().unwrap() {
                std::thread::yield_now();
            }
        })
    };
    for index in 1..=ENTRIES {
        let mut log = log.lock().unwrap();
        let vote = HardState { term: 1, vote: 2, commit: index - 1 };
        log.append(Some(vote), &[entry(index, 1, 500)]).unwrap();
        if index % 10 == 0 {
            log.sync().unwrap();
        }
    }
    trimmer.join().unwrap();
    for log in [Arc::into_inner(log).unwrap().into_inner().unwrap(), open(2)] {
        let held = everything(&log);
        assert!((25..60).contains(&held.len()), "{} entries of a block each", held.len());
        let first = log.first_index();
        assert!(held.into_iter().eq((first..=ENTRIES).map(|index| entry(index, 1, 500))));
        assert!(log.disk_bytes() < 400_000, "{}", log.disk_bytes());
    }
}
