//! What a log does when nothing fails.

use remex_log::memory_disk::MemoryDisk;
use remex_log::{Disk, FileDisk, HardState, Log, LogError, OpenError, Options, Owner, Position};

use crate::{OWNER, entry, everything, open, small, trim};

fn vote(term: u64, commit: u64) -> HardState {
    HardState { term, vote: 2, commit }
}

/// Appends entries one by one, each synced.
fn fill<D: Disk>(log: &mut Log<D>, indexes: std::ops::RangeInclusive<u64>, term: u64) {
    for index in indexes {
        log.append(None, &[entry(index, term, 700)]).expect("nothing fails here");
        log.sync().expect("nothing fails here");
    }
}

#[test]
fn a_real_directory_gives_back_what_it_was_given() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("made/log");
    let options = |seed| Options { segment_bytes: 256 * 1024, ..Options::new(OWNER, seed) };
    let mut expected = Vec::new();
    for run in 0..5 {
        let disk = FileDisk::open(&path).unwrap();
        let (mut log, recovered) = Log::open(disk, options(run)).unwrap();
        assert_eq!(recovered.cut, None);
        assert_eq!(everything(&log), expected);
        let next = recovered.last_index + 1;
        let new: Vec<_> = (next..next + 100).map(|index| entry(index, run + 1, 3000)).collect();
        log.append(Some(vote(run + 1, recovered.last_index)), &new).unwrap();
        if let Some(job) = log.spare_job() {
            assert!(log.spare_job().is_none(), "one spare is on its way");
            log.add_spare(job.run().unwrap());
        }
        log.sync().unwrap();
        log.mark_synced().unwrap();
        expected.extend(new);
        assert_eq!(everything(&log), expected);
    }
    let (mut log, recovered) = Log::open(FileDisk::open(&path).unwrap(), options(9)).unwrap();
    assert_eq!(recovered.hard_state, vote(5, 400));
    assert_eq!((recovered.first_index, recovered.last_index, recovered.last_term), (1, 500, 5));
    let before = log.disk_bytes();
    trim(&mut log, 450, 0).unwrap();
    assert!(log.first_index() > 300 && log.first_index() <= 451);
    assert!(log.disk_bytes() < before / 2);
    assert_eq!(log.term(450), Some(5));
    let on_disk: u64 =
        std::fs::read_dir(&path).unwrap().map(|file| file.unwrap().metadata().unwrap().len()).sum();
    assert_eq!(on_disk, log.disk_bytes());
}

#[test]
fn entries_are_replaced_from_a_conflict_on() {
    let disk = MemoryDisk::new(1);
    let (mut log, _) = open(&disk, 1).unwrap();
    fill(&mut log, 1..=20, 1);
    log.append(Some(vote(3, 4)), &[entry(12, 3, 10), entry(13, 3, 10)]).unwrap();
    log.sync().unwrap();
    for run in 2..4 {
        let read = everything(&log);
        let expected: Vec<_> = (1..=11)
            .map(|index| entry(index, 1, 700))
            .chain([entry(12, 3, 10), entry(13, 3, 10)])
            .collect();
        assert_eq!(read, expected);
        assert_eq!((log.term(11), log.term(12), log.term(14)), (Some(1), Some(3), None));
        disk.power_cut();
        log = open(&disk, run).unwrap().0;
    }
}

/// Recovery reads through a window, and a group may be longer than that.
#[test]
fn an_entry_may_be_of_several_megabytes() {
    let disk = MemoryDisk::new(1);
    let options = |seed| Options { segment_bytes: 4 << 20, ..small(seed) };
    let (mut log, _) = Log::open(disk.clone(), options(1)).unwrap();
    let expected = [entry(1, 1, 10), entry(2, 1, 3 << 20), entry(3, 1, 10), entry(4, 1, 2 << 20)];
    for entry in &expected {
        log.append(None, std::slice::from_ref(entry)).unwrap();
        log.sync().unwrap();
    }
    for run in 2..4 {
        disk.power_cut();
        let (log, _) = Log::open(disk.clone(), options(run)).unwrap();
        assert_eq!(everything(&log), expected);
    }
}

#[test]
fn reads_are_bounded_but_never_empty() {
    let disk = MemoryDisk::new(1);
    let (mut log, _) = open(&disk, 1).unwrap();
    fill(&mut log, 1..=30, 1);
    assert_eq!(log.read(5, 5, 0).unwrap(), []);
    assert_eq!(log.read(5, 20, 0).unwrap(), [entry(5, 1, 700)]);
    assert_eq!(log.read(5, 20, 2100).unwrap().len(), 3);
    assert_eq!(log.read(5, 20, 2099).unwrap().len(), 2);
    assert_eq!(log.read(5, 20, usize::MAX).unwrap().len(), 15);
    assert!(matches!(log.read(5, 32, 0), Err(LogError::OutOfRange { last: 30, .. })));
    assert!(matches!(log.read(0, 3, 0), Err(LogError::OutOfRange { first: 1, .. })));
}

#[test]
fn what_cannot_be_appended_is_refused_and_changes_nothing() {
    let disk = MemoryDisk::new(1);
    let (mut log, _) = open(&disk, 1).unwrap();
    fill(&mut log, 1..=3, 1);
    let changes = disk.changes();
    let refused = |log: &mut Log<_>, entries: &[_]| log.append(None, entries).unwrap_err();
    assert!(matches!(
        refused(&mut log, &[entry(5, 1, 0)]),
        LogError::NotContiguous { index: 5, min: 1, max: 4 }
    ));
    assert!(matches!(
        refused(&mut log, &[entry(4, 1, 0), entry(6, 1, 0)]),
        LogError::NotContiguous { index: 6, min: 5, max: 5 }
    ));
    let max = usize::try_from(small(0).entry_bytes_max()).unwrap();
    assert!(matches!(
        refused(&mut log, &[entry(4, 1, max + 1)]),
        LogError::EntryTooLarge { index: 4, .. }
    ));
    log.append(None, &[]).unwrap();
    assert_eq!((log.last_index(), disk.changes()), (3, changes));
    log.append(Some(vote(1, 1)), &[entry(4, 1, max)]).unwrap();
    assert_eq!(log.read(4, 5, 0).unwrap(), [entry(4, 1, max)]);
}

#[test]
fn trimming_keeps_terms_and_hard_state_and_recycles() {
    let disk = MemoryDisk::new(1);
    let (mut log, _) = open(&disk, 1).unwrap();
    log.append(Some(vote(7, 0)), &[]).unwrap();
    fill(&mut log, 1..=60, 7);
    trim(&mut log, 0, 0).unwrap();
    assert_eq!(log.first_index(), 1);
    trim(&mut log, 40, 0).unwrap();
    let first = log.first_index();
    assert!(first > 30 && first <= 41, "{first}");
    assert_eq!((log.term(first - 1), log.term(first - 2)), (Some(7), None));
    // One that is made ahead, and one more that was there.
    assert_eq!(disk.list().unwrap().iter().filter(|name| name.ends_with(".spare")).count(), 2);
    disk.power_cut();
    let (mut log, recovered) = open(&disk, 2).unwrap();
    assert_eq!((recovered.first_index, recovered.hard_state), (first, vote(7, 0)));
    assert_eq!(log.term(first - 1), Some(7));
    // The recycled file is used again, and nothing that it held comes back.
    fill(&mut log, 61..=80, 8);
    disk.power_cut();
    let (mut log, _) = open(&disk, 3).unwrap();
    assert_eq!((log.last_index(), everything(&log).len() as u64), (80, 81 - first));
    // Everything may be trimmed, down to the last segment.
    trim(&mut log, 80, 0).unwrap();
    assert_eq!(log.term(80), Some(8));
}

#[test]
fn a_snapshot_empties_the_log() {
    let disk = MemoryDisk::new(1);
    let (mut log, _) = open(&disk, 1).unwrap();
    fill(&mut log, 1..=20, 1);
    log.start_after(Some(vote(9, 1000)), Position { index: 1000, term: 9 }).unwrap();
    log.sync().unwrap();
    trim(&mut log, 1000, 0).unwrap();
    assert_eq!((log.first_index(), log.last_index()), (1001, 1000));
    fill(&mut log, 1001..=1005, 9);
    disk.power_cut();
    let (log, recovered) = open(&disk, 2).unwrap();
    assert_eq!((recovered.first_index, recovered.last_index), (1001, 1005));
    assert_eq!((recovered.hard_state, log.term(1000)), (vote(9, 1000), Some(9)));
}

#[test]
fn a_commit_index_never_exceeds_the_entries_recovered() {
    let disk = MemoryDisk::new(1);
    let (mut log, _) = open(&disk, 1).unwrap();
    fill(&mut log, 1..=3, 1);
    log.append(Some(vote(2, 5)), &[]).unwrap();
    log.sync().unwrap();
    disk.power_cut();
    assert_eq!(open(&disk, 2).unwrap().1.hard_state, vote(2, 3));
}

#[test]
fn a_full_disk_refuses_and_recovers() {
    let disk = MemoryDisk::new(1);
    let (mut log, _) = open(&disk, 1).unwrap();
    disk.set_full(true);
    let mut index = 1;
    let full = loop {
        let room = log.room_bytes();
        match log.append(None, &[entry(index, 1, 2000)]) {
            Ok(()) => index += 1,
            Err(error) => {
                assert!(room < 4096);
                break error;
            }
        }
    };
    assert!(matches!(full, LogError::Full(_)), "{full}");
    assert!(index > 1);
    log.sync().unwrap();
    assert_eq!(log.last_index(), index - 1, "reads and syncs go on");
    assert_eq!(everything(&log).len() as u64, index - 1);
    disk.set_full(false);
    log.append(None, &[entry(index, 1, 2000)]).unwrap();
    log.sync().unwrap();
    assert_eq!(log.last_index(), index);
}

#[test]
fn a_strange_owner_is_refused_by_both_names() {
    let disk = MemoryDisk::new(1);
    open(&disk, 1).unwrap();
    let changes = disk.changes();
    let other = Options { owner: Owner { cluster: 0xc1, node: 0xbad }, ..small(2) };
    let error = Log::open(disk.clone(), other).unwrap_err();
    let text = error.to_string();
    assert!(matches!(error, OpenError::Owner { .. }));
    assert!(text.contains("0000000000000bad") && text.contains("000000000000000e"), "{text}");
    assert_eq!(disk.changes(), changes);
}

#[test]
fn a_missing_segment_is_named() {
    let disk = MemoryDisk::new(1);
    let (mut log, _) = open(&disk, 1).unwrap();
    fill(&mut log, 1..=20, 1);
    drop(log);
    let mut names: Vec<_> =
        disk.list().unwrap().into_iter().filter(|name| name.ends_with(".log")).collect();
    names.sort();
    assert!(names.len() >= 4);
    // The oldest may be gone: it looks as if it had been trimmed.
    for name in &names[1..] {
        let disk = disk.fork();
        disk.remove(name).unwrap();
        match open(&disk, 2).unwrap_err() {
            OpenError::Missing { file, .. } => assert_eq!(&file, name),
            other => panic!("{other}"),
        }
    }
}

#[test]
fn restarts_do_not_pile_up_segments() {
    let disk = MemoryDisk::new(1);
    let size = Options::SEGMENT_BYTES_MIN * 4;
    for run in 0..50 {
        let options = Options { segment_bytes: size, ..small(run) };
        let (mut log, recovered) = Log::open(disk.clone(), options).unwrap();
        assert_eq!(recovered.last_index, run / 10);
        if run % 10 == 9 {
            fill(&mut log, run / 10 + 1..=run / 10 + 1, 1);
        }
        assert!(log.disk_bytes() <= 3 * size, "{} bytes in run {run}", log.disk_bytes());
    }
}
