//! What a machine keeps: the disk of its log, its engine, and the snapshot that it is being given.
//!
//! It outlives every run of the node's process. It can be put in the place of another as a whole,
//! which is how disks are replaced, restored and copied.

use std::sync::Arc;

use bytes::Bytes;
use remex_engine::MemoryEngine;
use remex_log::memory_disk::MemoryDisk;

use super::End;
use crate::dice::Dice;

/// A number of disk operations that no run carries out.
const NEVER: u64 = u64::MAX / 2;

/// Bytes that a misdirected write puts in the wrong place.
const BLOCK_BYTES: usize = 4096;

/// See the module.
#[derive(Debug)]
pub(crate) struct Media {
    pub(super) disk: MemoryDisk,
    pub(super) engine: Arc<MemoryEngine>,
    /// What has come of a snapshot. It is not synced.
    pub(super) part: Part,
    /// A snapshot that is whole and was checked: it takes the place of the engine. Synced.
    pub(super) pending: Option<Bytes>,
    /// What the engine would find damaged.
    pub(super) engine_rotten: bool,
    /// Something in the log is not as it was written.
    pub(super) log_rotten: bool,
}

/// The beginning of a snapshot, with the digest of the whole; 0 if there is none.
#[derive(Clone, Debug, Default)]
pub(super) struct Part {
    pub(super) digest: u64,
    pub(super) bytes: Vec<u8>,
}

impl Media {
    /// Nothing on it.
    pub(crate) fn empty(dice: &mut Dice) -> Self {
        Self {
            disk: MemoryDisk::new(dice.number()),
            engine: Arc::new(MemoryEngine::new()),
            part: Part::default(),
            pending: None,
            engine_rotten: false,
            log_rotten: false,
        }
    }

    /// What a copy of it holds that is made while it is in use: what would survive a power cut.
    pub(super) fn copy(&self) -> Self {
        let disk = self.disk.fork();
        disk.power_cut();
        Self {
            disk,
            engine: Arc::new(self.engine.image()),
            part: Part::default(),
            pending: self.pending.clone(),
            engine_rotten: self.engine_rotten,
            log_rotten: self.log_rotten,
        }
    }

    /// What survives the end of the process stays, and nothing else.
    pub(super) fn survive(&mut self, end: End, dice: &mut Dice) {
        match end {
            End::PowerCut => {
                self.disk.power_cut();
                let kept = dice.below(self.part.bytes.len() + 1);
                if dice.chance(5_000) {
                    self.part.bytes.truncate(kept);
                } else {
                    self.part.bytes[kept..].fill(0);
                }
            }
            End::DiskFailed => {
                self.disk.kill_process();
                if dice.chance(5_000) {
                    self.disk.drop_caches();
                }
            }
            End::Killed
            | End::DiskFull
            | End::Install
            | End::Removed
            | End::OldDisk
            | End::LogRotten
            | End::EngineRotten => self.disk.kill_process(),
        }
        self.engine = Arc::new(self.engine.image());
    }

    /// Whatever was to go wrong no longer will.
    pub(super) fn forget_plans(&self) {
        self.disk.cut_power_at(NEVER);
        self.disk.fail_sync_at(NEVER);
    }

    /// The segments of the log that were closed, by name. What is in them was synced, and a later
    /// segment says so: damage in them can always be told from a torn end.
    fn sealed_segments(&self) -> Vec<String> {
        let names = remex_log::Disk::list(&self.disk).unwrap_or_default();
        let mut names: Vec<String> =
            names.into_iter().filter(|name| name.ends_with(".log")).collect();
        names.sort_unstable();
        names.pop();
        names
    }

    /// A bit of the log flips. False if there is nothing that may rot.
    pub(super) fn rot_log(&mut self, dice: &mut Dice) -> bool {
        let sealed = self.sealed_segments();
        if sealed.is_empty() {
            return false;
        }
        let name = &sealed[dice.below(sealed.len())];
        let bytes = self.disk.bytes(name).map_or(0, |bytes| bytes.len());
        let bit = dice.pick(&[0, 1, 2, 3, 4, 5, 6, 7]);
        let rotten = bytes > 0 && self.disk.flip_bit(name, dice.below(bytes), bit);
        self.log_rotten |= rotten;
        rotten
    }

    /// A block of the log has been written over another one of it, while no process ran. False if
    /// there is nothing that may be overwritten.
    pub(super) fn misdirect(&mut self, dice: &mut Dice) -> bool {
        let sealed = self.sealed_segments();
        if sealed.is_empty() {
            return false;
        }
        let mut block = |name: &str| {
            let bytes = self.disk.bytes(name).unwrap_or_default();
            let blocks = (bytes.len() / BLOCK_BYTES).max(1);
            let start = dice.below(blocks) * BLOCK_BYTES;
            (bytes, start)
        };
        let (from, to) = (&sealed[0], &sealed[sealed.len() - 1]);
        let (source, source_start) = block(from);
        let (mut target, target_start) = block(to);
        let Some(written) = source.get(source_start..source_start + BLOCK_BYTES) else {
            return false;
        };
        let Some(over) = target.get_mut(target_start..target_start + BLOCK_BYTES) else {
            return false;
        };
        if over == written {
            return false;
        }
        over.copy_from_slice(written);
        self.disk.put(to, target);
        self.log_rotten = true;
        true
    }
}
