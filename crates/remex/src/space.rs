//! How much room the disk has, and when it is too little for more writes.
//!
//! A write that was acknowledged must also fit into the engine later, so writes are refused while
//! there is still room for everything that is in memory, for the log's next segment, and for what
//! compaction needs. Reads, deletes and compaction go on, and so do writes once there is room again.

use std::path::{Path, PathBuf};

use remex_model::DiskUsage;

/// Part of the disk that is kept free at most. More than what segments and buffers of the size that
/// [`UNIT_PART`] allows need, and less than a small disk can spare.
const RESERVE_PART: u64 = 4;

/// Writes are taken again when this much more than the reserve is free, in parts of it: so that
/// they are not refused and taken in turns.
const HYSTERESIS_PART: u64 = 4;

/// Part of the disk that records of the past take at most.
const HISTORY_PART: u64 = 8;

/// Part of the disk that one segment of the log, or one write buffer, may take.
const UNIT_PART: u64 = 32;

/// What the disk can hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Capacity {
    pub(crate) total_bytes: u64,
    pub(crate) free_bytes: u64,
}

impl Capacity {
    /// Of the file system that `path` lies on.
    pub(crate) fn of(path: &Path) -> std::io::Result<Self> {
        let stat = rustix::fs::statvfs(path)?;
        let bytes = |blocks: u64| blocks.saturating_mul(stat.f_frsize);
        Ok(Self { total_bytes: bytes(stat.f_blocks), free_bytes: bytes(stat.f_bavail) })
    }

    /// Of the file systems that these paths lie on: the smallest size, and the least room. Where
    /// each has its own part of what a write takes, the first that is full stops the writes.
    pub(crate) fn smallest(paths: &[PathBuf]) -> std::io::Result<Self> {
        let largest = Self { total_bytes: u64::MAX, free_bytes: u64::MAX };
        paths.iter().try_fold(largest, |smallest, path| {
            let Self { total_bytes, free_bytes } = Self::of(path)?;
            Ok(Self {
                total_bytes: smallest.total_bytes.min(total_bytes),
                free_bytes: smallest.free_bytes.min(free_bytes),
            })
        })
    }

    /// What part of the disk history may take: on a small disk deleting must give room back long
    /// before a day has passed.
    pub(crate) fn history(self, wanted: u64) -> u64 {
        wanted.min(self.total_bytes / HISTORY_PART)
    }

    /// A size that is right for large disks, made smaller for a small one, but not below `min`.
    pub(crate) fn scale(self, wanted: u64, min: u64) -> u64 {
        wanted.min((self.total_bytes / UNIT_PART).max(min))
    }
}

/// Decides when the disk is full.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Reserve {
    /// What is to stay free if the disk is large enough, in bytes.
    wanted_bytes: u64,
    full: bool,
}

impl Reserve {
    /// Room for `segment_bytes` of the log, and for `buffers_bytes` of changes in memory, written
    /// once and merged once.
    pub(crate) fn new(segment_bytes: u64, buffers_bytes: u64) -> Self {
        Self { wanted_bytes: segment_bytes + 2 * buffers_bytes, full: false }
    }

    /// Takes a new measurement; `was_short` if somebody found too little room since the last one.
    /// Also says how many bytes may be taken until the next one.
    pub(crate) fn measure(
        &mut self,
        capacity: Capacity,
        used_bytes: u64,
        was_short: bool,
    ) -> (DiskUsage, u64) {
        let reserve = self.wanted_bytes.min(capacity.total_bytes / RESERVE_PART);
        let enough =
            if self.full || was_short { reserve + reserve / HYSTERESIS_PART } else { reserve };
        self.full = capacity.free_bytes < enough;
        let room = if self.full { 0 } else { capacity.free_bytes - reserve };
        (DiskUsage { used_bytes, free_bytes: capacity.free_bytes, full: self.full }, room)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: u64 = 1 << 20;

    fn capacity(total: u64, free: u64) -> Capacity {
        Capacity { total_bytes: total * MIB, free_bytes: free * MIB }
    }

    #[test]
    fn full_begins_at_the_reserve_and_ends_above_it() {
        let mut reserve = Reserve::new(64 * MIB, 96 * MIB);
        let full =
            |reserve: &mut Reserve, free| reserve.measure(capacity(100_000, free), 0, false).0.full;
        assert!(!full(&mut reserve, 256));
        assert!(full(&mut reserve, 255));
        assert!(full(&mut reserve, 300), "not taken back at once");
        assert!(!full(&mut reserve, 320));
        assert!(!full(&mut reserve, 256));
        assert!(reserve.measure(capacity(100_000, 256), 0, true).0.full, "too little for a put");
    }

    #[test]
    fn a_small_disk_has_a_small_reserve_and_small_files() {
        let mut reserve = Reserve::new(64 * MIB, 96 * MIB);
        assert!(!reserve.measure(capacity(80, 20), 0, false).0.full);
        assert_eq!(reserve.measure(capacity(80, 19), 0, false).1, 0, "no room");
        assert_eq!(Reserve::new(MIB, MIB).measure(capacity(80, 9), 0, false).1, 6 * MIB);
        assert_eq!(capacity(80, 80).scale(64 * MIB, 4 * MIB), 4 * MIB);
        assert_eq!(capacity(1024, 0).scale(64 * MIB, 4 * MIB), 32 * MIB);
        assert_eq!(capacity(100_000, 0).scale(64 * MIB, 4 * MIB), 64 * MIB);
    }

    #[test]
    fn a_directory_has_a_capacity() {
        let folder = tempfile::tempdir().unwrap();
        let capacity = Capacity::of(folder.path()).unwrap();
        assert!(capacity.total_bytes >= capacity.free_bytes && capacity.total_bytes > 0);
    }

    #[test]
    fn of_several_file_systems_the_smallest_counts() {
        let disks = [std::env::temp_dir(), PathBuf::from("/proc"), PathBuf::from("/")];
        let smallest = Capacity::smallest(&disks).unwrap();
        // `/proc` has no blocks at all.
        assert_eq!(smallest, Capacity { total_bytes: 0, free_bytes: 0 });
        let real = Capacity::smallest(&disks[..1]).unwrap();
        assert_eq!(real.total_bytes, Capacity::of(&disks[0]).unwrap().total_bytes);
        assert!(Capacity::smallest(&[PathBuf::from("/nowhere")]).is_err());
    }
}
