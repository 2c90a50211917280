//! How much room the disk has, and when it is too little for more writes.
//!
//! A write that was acknowledged must also fit into the engine later, so writes are refused while
//! there is still room for everything that is in memory, for the log's next segment, and for what
//! compaction needs. Reads, deletes and compaction go on, and so do writes once there is room again.

use std::path::Path;

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

    /// Takes a new measurement of every disk that a write takes room of; `was_short` if somebody found
    /// too little room since the last one. Also says how many bytes may be taken until the next one.
    /// Each disk has a reserve of its own, after its size, and the first that is full stops the
    /// writes.
    pub(crate) fn measure(
        &mut self,
        disks: &[Capacity],
        used_bytes: u64,
        was_short: bool,
    ) -> (DiskUsage, u64) {
        let reserve = |disk: &Capacity| self.wanted_bytes.min(disk.total_bytes / RESERVE_PART);
        let margin_part = if self.full || was_short { HYSTERESIS_PART } else { u64::MAX };
        let is_full =
            |disk: &Capacity| disk.free_bytes < reserve(disk) + reserve(disk) / margin_part;
        let full = disks.iter().any(is_full);
        let room = |disk: &Capacity| i128::from(disk.free_bytes) - i128::from(reserve(disk));
        let free_bytes =
            disks.iter().min_by_key(|disk| room(disk)).map_or(0, |disk| disk.free_bytes);
        let room = disks.iter().map(room).min().filter(|_| !full);
        let room = room.and_then(|room| u64::try_from(room).ok()).unwrap_or(0);
        self.full = full;
        (DiskUsage { used_bytes, free_bytes, full }, room)
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
        let full = |reserve: &mut Reserve, free| {
            reserve.measure(&[capacity(100_000, free)], 0, false).0.full
        };
        assert!(!full(&mut reserve, 256));
        assert!(full(&mut reserve, 255));
        assert!(full(&mut reserve, 300), "not taken back at once");
        assert!(!full(&mut reserve, 320));
        assert!(!full(&mut reserve, 256));
        assert!(reserve.measure(&[capacity(100_000, 256)], 0, true).0.full, "too little for a put");
    }

    #[test]
    fn a_small_disk_has_a_small_reserve_and_small_files() {
        let mut reserve = Reserve::new(64 * MIB, 96 * MIB);
        assert!(!reserve.measure(&[capacity(80, 20)], 0, false).0.full);
        assert_eq!(reserve.measure(&[capacity(80, 19)], 0, false).1, 0, "no room");
        assert_eq!(Reserve::new(MIB, MIB).measure(&[capacity(80, 9)], 0, false).1, 6 * MIB);
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

    /// A small disk for the log does not make the reserve of a large one for the engine small.
    #[test]
    fn of_several_disks_each_has_a_reserve_of_its_own() {
        let measure = |log: (u64, u64), engine: (u64, u64)| {
            let disks = [log, engine].map(|(total, free)| capacity(total, free));
            Reserve::new(64 * MIB, 96 * MIB).measure(&disks, 0, false)
        };
        let (disk, room) = measure((80, 70), (100_000, 255));
        assert!(disk.full && room == 0, "the engine's disk is full");
        assert_eq!(disk.free_bytes, 255 * MIB, "that of the disk that is full");
        assert!(measure((80, 19), (100_000, 50_000)).0.full, "the log's is");
        let (disk, room) = measure((80, 70), (100_000, 300));
        assert!(!disk.full && room == 44 * MIB, "{room}");
        assert_eq!(disk.free_bytes, 300 * MIB);
    }
}
