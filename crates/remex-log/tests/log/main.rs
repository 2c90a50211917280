//! The log as its callers see it: on a real directory, on a disk that fails, and as bytes.

mod basics;
mod crash_points;
mod crashes;
mod damage;
mod driven;
mod failures;
mod faulty;
mod fixture;
mod full;
mod life;
mod model;
mod start;
mod trimming;

use bytes::Bytes;
use remex_log::memory_disk::MemoryDisk;
use remex_log::{Disk, Log, LogEntry, LogError, OpenError, Options, Owner, Recovered};

const OWNER: Owner = Owner { cluster: 0xc1, node: 0x0e };

/// Segments as small as they come, so that a short test crosses several.
fn small(seed: u64) -> Options {
    Options { segment_bytes: Options::SEGMENT_BYTES_MIN, ..Options::new(OWNER, seed) }
}

fn open(disk: &MemoryDisk, seed: u64) -> Result<(Log<MemoryDisk>, Recovered), OpenError> {
    Log::open(disk.clone(), small(seed))
}

/// An entry whose data depend on index and term.
fn entry(index: u64, term: u64, bytes: usize) -> LogEntry {
    let mut dice = fastrand::Rng::with_seed(index << 32 | term);
    let data: Bytes = std::iter::repeat_with(|| dice.u8(..)).take(bytes).collect();
    LogEntry { index, term, kind: dice.u8(0..4), data }
}

/// Gives back what can be given back; the log keeps `keep_bytes` of groups.
fn trim<D: Disk>(log: &mut Log<D>, up_to: u64, keep_bytes: u64) -> Result<(), LogError> {
    while let Some(job) = log.trim_job(up_to, keep_bytes) {
        let trimmed = job.run()?;
        drop(log.finish_trim(trimmed));
    }
    Ok(())
}

/// Every entry that a log holds.
fn everything<D: Disk>(log: &Log<D>) -> Vec<LogEntry> {
    log.read(log.first_index(), log.last_index() + 1, usize::MAX)
        .expect("the log reads what it holds")
}
