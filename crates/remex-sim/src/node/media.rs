//! What a machine keeps: the disk of its log, and its engine.
//!
//! It outlives every run of the node's process. It can be put in the place of another as a whole,
//! which is how disks are replaced, restored and copied.

use std::sync::Arc;

use remex_engine::MemoryEngine;
use remex_log::memory_disk::MemoryDisk;

use super::End;
use crate::dice::Dice;

/// A number of disk operations that no run carries out.
const NEVER: u64 = u64::MAX / 2;

/// See the module.
#[derive(Debug)]
pub(crate) struct Media {
    pub(super) disk: MemoryDisk,
    pub(super) engine: Arc<MemoryEngine>,
}

impl Media {
    /// Nothing on it.
    pub(crate) fn empty(dice: &mut Dice) -> Self {
        Self { disk: MemoryDisk::new(dice.number()), engine: Arc::new(MemoryEngine::new()) }
    }

    /// What survives the end of the process stays, and nothing else.
    pub(super) fn survive(&mut self, end: End, dice: &mut Dice) {
        match end {
            End::PowerCut => self.disk.power_cut(),
            End::Killed | End::DiskFull => self.disk.kill_process(),
            End::DiskFailed => {
                self.disk.kill_process();
                if dice.chance(5_000) {
                    self.disk.drop_caches();
                }
            }
        }
        self.engine = Arc::new(self.engine.image());
    }

    /// Whatever was to go wrong no longer will.
    pub(super) fn forget_plans(&self) {
        self.disk.cut_power_at(NEVER);
        self.disk.fail_sync_at(NEVER);
    }
}
