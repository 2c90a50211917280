//! Writes and syncs that fail.

use remex_log::memory_disk::MemoryDisk;
use remex_log::{HardState, LogError};

use crate::{entry, everything, open};

#[test]
fn an_error_poisons_the_log_and_the_sync_is_not_repeated() {
    for write in [true, false] {
        let disk = MemoryDisk::new(3);
        let (mut log, _) = open(&disk, 1).unwrap();
        if write {
            disk.fail_write_at(1)
        } else {
            disk.fail_sync_at(1)
        }
        let appended = log.append(None, &[entry(1, 1, 10)]);
        assert_eq!(appended.is_err(), write);
        if !write {
            assert!(matches!(log.sync(), Err(LogError::Io(_))));
        }
        let changes = disk.changes();
        assert!(matches!(log.sync(), Err(LogError::Poisoned)));
        assert!(matches!(log.append(None, &[entry(2, 1, 10)]), Err(LogError::Poisoned)));
        assert!(log.trim_job(1, 0).is_none());
        assert!(matches!(log.mark_synced(), Err(LogError::Poisoned)));
        assert!(matches!(log.read(1, 2, 0), Err(LogError::Poisoned)));
        assert!(log.spare_job().is_none());
        assert_eq!(disk.changes(), changes, "the disk is not touched again");
    }
}

/// The page cache shows what a failed sync has not written. A log that believed it would serve,
/// and acknowledge, what the disk does not have.
#[test]
fn a_cache_that_lies_is_written_again() {
    for seed in 0..100 {
        let disk = MemoryDisk::new(seed);
        let (mut log, _) = open(&disk, 1).unwrap();
        log.append(None, &[entry(1, 1, 3000)]).unwrap();
        log.sync().unwrap();
        let vote = HardState { term: 2, vote: 3, commit: 1 };
        log.append(Some(vote), &[entry(2, 2, 3000)]).unwrap();
        disk.fail_sync_at(1);
        log.sync().unwrap_err();
        drop(log);
        disk.kill_process();
        let (log, recovered) = open(&disk, 2).unwrap();
        assert_eq!((recovered.last_index, recovered.hard_state), (2, vote));
        assert_eq!(recovered.cut, None);
        assert!(recovered.rewritten_bytes >= 4096);
        drop(log);
        disk.power_cut();
        let (log, recovered) = open(&disk, 3).unwrap();
        assert_eq!(recovered.hard_state, vote);
        assert_eq!(everything(&log), [entry(1, 1, 3000), entry(2, 2, 3000)]);
    }
}

/// Without the planted lie that the test above relies on, it would prove nothing.
#[test]
fn without_writing_again_the_lie_would_be_lost() {
    let mut lost = 0;
    for seed in 0..100 {
        let disk = MemoryDisk::new(seed);
        let (mut log, _) = open(&disk, 1).unwrap();
        log.append(None, &[entry(1, 1, 3000)]).unwrap();
        disk.fail_sync_at(1);
        log.sync().unwrap_err();
        disk.drop_caches();
        disk.kill_process();
        lost += u64::from(open(&disk, 2).unwrap().1.last_index == 0);
    }
    assert!(lost > 50, "{lost} of 100");
}

#[test]
fn a_spare_that_cannot_be_made_does_no_harm() {
    let disk = MemoryDisk::new(3);
    let (mut log, _) = open(&disk, 1).unwrap();
    disk.set_full(true);
    let job = log.spare_job().unwrap();
    assert!(matches!(job.run(), Err(LogError::Full(_))));
    disk.set_full(false);
    disk.fail_write_at(1);
    let job = log.spare_job().expect("the one before is given up");
    assert!(matches!(job.run(), Err(LogError::Io(_))));
    log.append(None, &[entry(1, 1, 10)]).unwrap();
    log.sync().unwrap();
    let spare = log.spare_job().unwrap().run().unwrap();
    log.add_spare(spare);
    assert_eq!(log.disk_bytes(), 2 * 16 * 1024);
}
