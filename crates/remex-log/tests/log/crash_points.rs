//! The scripted life of a log ([`crate::life`]), ended at every single call to its disk, in every
//! way; and with every single call failing.

use std::collections::BTreeMap;

use remex_log::memory_disk::MemoryDisk;
use remex_log::{Log, LogError, OpenError};

use crate::faulty::{Call, Fault, Faulty};
use crate::life::{End, Failure, Life, goes_on, options};

/// With segments of two groups everything happens at a boundary; with longer ones, between.
const SEGMENT_BYTES: [u64; 2] = [16 * 1024, 40 * 1024];

/// Plays the script without a fault: how many changes and looks it takes.
fn calls(segment_bytes: u64) -> (u64, u64) {
    let mut life = Life::new(Faulty::new(1), segment_bytes);
    life.play().expect("nothing fails");
    life.disk.calls()
}

#[test]
fn a_life_may_end_at_every_call() {
    let mut ends = 0;
    for segment_bytes in SEGMENT_BYTES {
        let (changes, _) = calls(segment_bytes);
        assert!(changes > 250, "a life of {changes} changes");
        for cut in 1..=changes {
            let disk = Faulty::new(cut);
            disk.memory.cut_power_at(cut);
            let mut life = Life::new(disk.clone(), segment_bytes);
            life.play().expect_err("the power is cut");
            assert!(disk.memory.is_cut());
            for end in End::all() {
                goes_on(&end.of(&disk.memory), &life.tracked, segment_bytes);
                ends += 1;
            }
            let torn = disk.memory.fork();
            torn.power_cut();
            ends += ends_in_recovery(&torn, &life, segment_bytes);
        }
    }
    assert!(ends > 15_000, "{ends}");
}

/// Cuts the power at every change of opening the log, too.
fn ends_in_recovery(disk: &MemoryDisk, life: &Life, segment_bytes: u64) -> u64 {
    for cut in 1.. {
        let disk = disk.fork();
        disk.cut_power_at(cut);
        if Log::open(disk.clone(), options(segment_bytes, 800)).is_ok() {
            return cut - 1;
        }
        assert!(disk.is_cut());
        disk.power_cut();
        goes_on(&disk, &life.tracked, segment_bytes);
    }
    unreachable!("opening a log ends")
}

#[test]
fn a_disk_may_break_at_every_call() {
    let mut hits: BTreeMap<Call, u32> = BTreeMap::new();
    for segment_bytes in SEGMENT_BYTES {
        let (changes, _) = calls(segment_bytes);
        for nth in 1..=changes {
            let disk = Faulty::new(nth);
            disk.fail_change_at(nth, Fault::Broken);
            let mut life = Life::new(disk.clone(), segment_bytes);
            let played = life.play();
            let hit = disk.hit().expect("a call failed");
            *hits.entry(hit.call).or_default() += 1;
            match played {
                Err(Failure::Open(error)) => {
                    assert!(matches!(error, OpenError::Io(_)) && !error.is_damage(), "{error}");
                }
                Err(Failure::Log(error)) => {
                    assert!(!error.is_damage(), "{error}");
                    let LogError::Io(failure) = error else { panic!("{error}") };
                    assert_eq!(failure.offset, hit.offset, "{failure}");
                    assert_poisoned_or_unchanged(&mut life);
                }
                Ok(()) => panic!("{hit:?} went unnoticed"),
            }
            for end in End::AFTER_A_FAILURE {
                goes_on(&end.of(&disk.memory), &life.tracked, segment_bytes);
            }
        }
    }
    assert!(hits.len() == 6 && hits.values().all(|count| *count > 5), "{hits:?}");
}

/// A job's failure does not touch the log; after any other it does nothing any more.
fn assert_poisoned_or_unchanged(life: &mut Life) {
    let changes = life.disk.memory.changes();
    let log = life.log.as_mut().expect("it was open");
    if life.disk.aside(|| log.read(1, 1, 0).is_ok()) {
        assert!(life.disk.aside(|| life.tracked.matches(log)));
        return;
    }
    assert!(matches!(log.sync(), Err(LogError::Poisoned)));
    assert!(matches!(log.append(None, &[]), Err(LogError::Poisoned)));
    assert!(matches!(log.mark_synced(), Err(LogError::Poisoned)));
    assert!(log.trim_job(u64::MAX, 0).is_none() && log.spare_job().is_none());
    assert_eq!(life.disk.memory.changes(), changes, "the disk is not touched again");
}

#[test]
fn a_disk_may_be_full_at_every_call() {
    let (mut refusals, mut poisoned) = (0, 0);
    for segment_bytes in SEGMENT_BYTES {
        let (changes, _) = calls(segment_bytes);
        for nth in 1..=changes {
            let disk = Faulty::new(nth);
            disk.fail_change_at(nth, Fault::Full);
            let mut life = Life::new(disk.clone(), segment_bytes);
            let played = life.play();
            let hit = disk.hit().expect("a call failed");
            refusals += life.refusals;
            match played {
                Ok(()) => assert!(!hit.is_live(), "{hit:?} went unnoticed"),
                Err(Failure::Open(error)) => {
                    assert!(matches!(error, OpenError::Io(_)), "{error}");
                    assert!(hit.is_live() || hit.call == Call::Remove, "{hit:?}: {error}");
                }
                Err(Failure::Log(error)) => {
                    assert!(matches!(error, LogError::Io(_)), "{error}");
                    assert!(hit.is_live(), "{hit:?}: {error}");
                    assert_poisoned_or_unchanged(&mut life);
                    poisoned += 1;
                }
            }
            for end in End::AFTER_A_FAILURE {
                goes_on(&end.of(&disk.memory), &life.tracked, segment_bytes);
            }
        }
    }
    assert!(refusals > 50 && poisoned > 50, "{refusals} {poisoned}");
}

#[test]
fn a_disk_may_be_full_from_any_call_on() {
    let mut refusals = 0;
    for segment_bytes in SEGMENT_BYTES {
        let (changes, _) = calls(segment_bytes);
        for nth in 1..=changes {
            let disk = Faulty::new(nth);
            disk.memory.set_full_at(nth);
            let mut life = Life::new(disk.clone(), segment_bytes);
            life.play().expect("a full disk ends nothing");
            refusals += life.refusals;
            disk.memory.set_full(false);
            goes_on(&disk.memory, &life.tracked, segment_bytes);
        }
    }
    assert!(refusals > 100, "{refusals}");
}

#[test]
fn every_look_at_the_disk_may_fail() {
    let (mut in_open, mut in_read, mut spares) = (0, 0, 0);
    for segment_bytes in SEGMENT_BYTES {
        let (_, looks) = calls(segment_bytes);
        for nth in 1..=looks {
            let disk = Faulty::new(nth);
            disk.fail_look_at(nth);
            let mut life = Life::new(disk.clone(), segment_bytes);
            let played = life.play();
            let hit = disk.hit().expect("a call failed");
            let named = if hit.file.is_empty() { "the directory" } else { &hit.file };
            let failure = match played {
                Ok(()) => {
                    // What a spare holds means nothing.
                    assert!(hit.file.ends_with(".spare"), "{hit:?} went unnoticed");
                    spares += 1;
                    continue;
                }
                Err(Failure::Open(error)) => {
                    assert!(error.is_damage(), "{error}");
                    in_open += 1;
                    match error {
                        OpenError::Read(failure) => failure,
                        other => panic!("{other}"),
                    }
                }
                Err(Failure::Log(error)) => {
                    assert!(error.is_damage(), "{error}");
                    in_read += 1;
                    let log = life.log.as_ref().expect("it is open");
                    assert!(life.tracked.matches(log), "the log is as it was");
                    match error {
                        LogError::Read(failure) => failure,
                        other => panic!("{other}"),
                    }
                }
            };
            assert_eq!((failure.file.as_str(), failure.is_full()), (named, false));
            assert_eq!(
                (failure.offset, failure.action == "read"),
                (hit.offset, hit.offset.is_some())
            );
            let place = hit.offset.map(|offset| format!("{named} at offset {offset}:"));
            assert!(place.is_none_or(|place| failure.to_string().contains(&place)), "{failure}");
            goes_on(&End::Kill.of(&disk.memory), &life.tracked, segment_bytes);
        }
    }
    assert!(in_open > 50 && in_read > 20 && spares > 5, "{in_open} {in_read} {spares}");
}
