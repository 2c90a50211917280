//! Random operations against the model, with a crash at every place.

use remex_log::memory_disk::MemoryDisk;
use remex_log::{Log, LogError, OpenError};

use crate::driven::Driven;
use crate::model::Tracked;
use crate::{open, small};

/// Opens a log on a disk whose power may be cut meanwhile; only that may keep it from opening.
fn open_or_cut(disk: &MemoryDisk, seed: u64) -> Option<Log<MemoryDisk>> {
    match open(disk, seed) {
        Ok((log, _)) => Some(log),
        Err(OpenError::Io(_)) if disk.is_cut() => None,
        Err(error) => panic!("seed {seed}: {error}"),
    }
}

/// Steps until the power is cut or `steps` are done.
fn drive(driven: &mut Driven, log: &mut Log<MemoryDisk>, disk: &MemoryDisk, steps: u32) {
    for _ in 0..steps {
        match driven.step(log) {
            Ok(()) => {}
            // A write that failed has poisoned the log; a file that could not be released, or made
            // ahead, ends the process as well.
            Err(LogError::Io(_)) => return,
            Err(LogError::Read(_)) if disk.is_cut() => return,
            Err(error) => panic!("{error}"),
        }
    }
}

#[test]
fn every_change_of_a_run_may_be_the_last_one() {
    for seed in 0..12 {
        // Without a cut, to count the changes.
        let disk = MemoryDisk::new(seed);
        let mut driven = Driven::new(seed);
        let (mut log, _) = open(&disk, seed).unwrap();
        drive(&mut driven, &mut log, &disk, 60);
        let changes = disk.changes();
        assert!(changes > 60, "a run of {changes} changes");
        for cut in 1..=changes {
            let disk = MemoryDisk::new(seed << 32 | cut);
            let mut driven = Driven::new(seed);
            disk.cut_power_at(cut);
            if let Some(mut log) = open_or_cut(&disk, seed) {
                drive(&mut driven, &mut log, &disk, 60);
            }
            assert!(disk.is_cut());
            disk.power_cut();
            crash_in_recovery(&disk, &driven.tracked);
            let (log, _) = open(&disk, seed + 1).unwrap();
            driven.tracked.recovered(&log);
        }
    }
}

/// Cuts the power at every change of opening the log, and again.
fn crash_in_recovery(disk: &MemoryDisk, tracked: &Tracked) {
    for cut in 1.. {
        let disk = disk.fork();
        disk.cut_power_at(cut);
        if open_or_cut(&disk, 77).is_some() {
            return;
        }
        disk.power_cut();
        disk.cut_power_at(cut + 1);
        // The same seed on purpose: salts must differ by what the file held.
        drop(open_or_cut(&disk, 77));
        disk.power_cut();
        let (log, _) = open(&disk, 77).expect("it opens after any two crashes");
        tracked.clone().recovered(&log);
    }
}

#[test]
fn many_lives_of_a_log() {
    let (mut lost, mut kept, mut lied) = (0, 0, 0);
    for seed in 0..300 {
        let disk = MemoryDisk::new(seed);
        let mut driven = Driven::new(seed ^ 0x5eed);
        for life in 0..12 {
            plan_fault(&mut driven, &disk);
            if let Some(mut log) = try_open(&disk, seed * 100 + life) {
                driven.tracked.recovered(&log);
                let steps = 10 + u32::try_from(driven.below(60)).unwrap();
                drive(&mut driven, &mut log, &disk, steps);
            }
            // The end of a life: the process dies, or the machine.
            let process_only = driven.chance(40) && !disk.is_cut();
            if process_only {
                disk.kill_process();
                if driven.chance(30) {
                    disk.drop_caches();
                }
            } else {
                disk.power_cut();
            }
            let unsynced = driven.tracked.possible.len() > 1;
            let before = driven.tracked.now().clone();
            let (log, _) = open(&disk, seed * 100 + life + 50).unwrap();
            driven.tracked.recovered(&log);
            if unsynced && driven.tracked.now() == &before {
                kept += 1
            } else {
                lost += 1
            }
            if driven.chance(50) {
                // Everything that an opened log holds is durable, whatever the cache said.
                lied += u32::from(process_only);
                drop(log);
                disk.power_cut();
                let (log, _) = open(&disk, seed * 100 + life + 70).unwrap();
                driven.tracked.recovered(&log);
            }
        }
    }
    assert!(lost > 300 && kept > 300 && lied > 300, "{lost} {kept} {lied}");
}

fn plan_fault(driven: &mut Driven, disk: &MemoryDisk) {
    let nth = 1 + driven.below(100);
    match driven.below(4) {
        0 => disk.cut_power_at(nth),
        1 => disk.fail_write_at(nth),
        2 => disk.fail_sync_at(1 + nth / 3),
        _ => {}
    }
}

/// Opens a log although a fault is planned.
fn try_open(disk: &MemoryDisk, seed: u64) -> Option<Log<MemoryDisk>> {
    match Log::open(disk.clone(), small(seed)) {
        Ok((log, _)) => Some(log),
        Err(OpenError::Io(_)) => None,
        Err(error) => panic!("seed {seed}: {error}"),
    }
}
