//! What is in the cache and what is on the platter.

use std::collections::{BTreeMap, BTreeSet};
use std::io;

use super::power::{Fate, Power};
use super::{SECTOR_BYTES, Survivors, not_found};
use crate::split_mix::SplitMix;

#[derive(Clone, Debug)]
pub(super) struct Image {
    pub(super) dice: SplitMix,
    /// Counts the runs of the machine.
    pub(super) boot: u64,
    pub(super) inodes: BTreeMap<u64, Inode>,
    pub(super) next_inode: u64,
    pub(super) names: BTreeMap<String, u64>,
    pub(super) durable_names: BTreeMap<String, u64>,
    /// Changes of names that are not synced, in order.
    pub(super) name_changes: Vec<NameChange>,
    pub(super) power: Power,
}

/// The content of a file.
#[derive(Clone, Debug, Default)]
pub(super) struct Inode {
    /// What a program reads.
    pub(super) visible: Vec<u8>,
    /// What a power cut leaves.
    pub(super) durable: Vec<u8>,
    /// Sectors that the next sync writes. A sector that differs and is not in here is a lie that
    /// a failed sync left behind.
    pub(super) dirty: BTreeSet<usize>,
}

/// A change in the directory.
#[derive(Clone, Debug)]
pub(super) enum NameChange {
    Link { name: String, inode: u64 },
    Rename { from: String, to: String },
    Unlink { name: String },
}

impl NameChange {
    fn apply(&self, names: &mut BTreeMap<String, u64>) {
        match self {
            Self::Link { name, inode } => {
                names.insert(name.clone(), *inode);
            }
            Self::Rename { from, to } => {
                if let Some(inode) = names.remove(from) {
                    names.insert(to.clone(), inode);
                }
            }
            Self::Unlink { name } => {
                names.remove(name);
            }
        }
    }
}

fn sector(number: usize, length: usize) -> std::ops::Range<usize> {
    let start = (number * SECTOR_BYTES).min(length);
    start..(start + SECTOR_BYTES).min(length)
}

fn copy_sector(number: usize, from: &[u8], to: &mut [u8]) {
    let range = sector(number, from.len().min(to.len()));
    if let (Some(from), Some(to)) = (from.get(range.clone()), to.get_mut(range)) {
        to.copy_from_slice(from);
    }
}

impl Inode {
    fn sync(&mut self) {
        self.durable.resize(self.visible.len(), 0);
        for number in std::mem::take(&mut self.dirty) {
            copy_sector(number, &self.visible, &mut self.durable);
        }
    }

    /// Some sectors reach the platter, the others are lost, and all are clean.
    fn fail_sync(&mut self, dice: &mut SplitMix) {
        self.durable.resize(self.visible.len(), 0);
        for number in std::mem::take(&mut self.dirty) {
            if dice.chance(50) {
                copy_sector(number, &self.visible, &mut self.durable);
            }
        }
    }

    pub(super) fn drop_caches(&mut self) {
        let mut visible = self.durable.clone();
        visible.resize(self.visible.len(), 0);
        for &number in &self.dirty {
            copy_sector(number, &self.visible, &mut visible);
        }
        self.visible = visible;
    }

    fn power_cut(&mut self, dice: &mut SplitMix, survivors: Survivors) {
        // Of some: nearly nothing, half or nearly everything, in different files differently.
        let percent = survivors.percent().unwrap_or_else(|| {
            let percent = [0, 10, 50, 90, 100].get(usize::try_from(dice.next() % 5).unwrap_or(0));
            percent.copied().unwrap_or(50)
        });
        if self.visible.len() != self.durable.len() && dice.chance(percent) {
            self.durable.resize(self.visible.len(), 0);
        }
        for number in std::mem::take(&mut self.dirty) {
            if dice.chance(percent) {
                copy_sector(number, &self.visible, &mut self.durable);
            }
        }
        self.visible.clone_from(&self.durable);
    }
}

fn sync_failed() -> io::Error {
    io::Error::other("a sync fails, as planned")
}

impl Image {
    pub(super) fn add_inode(&mut self, inode: Inode) -> u64 {
        let number = self.next_inode;
        self.next_inode += 1;
        self.inodes.insert(number, inode);
        number
    }

    pub(super) fn change_name(&mut self, change: NameChange) {
        change.apply(&mut self.names);
        self.name_changes.push(change);
    }

    pub(super) fn sync_names(&mut self) -> io::Result<()> {
        self.power.check()?;
        match self.power.sync() {
            Fate::Done => {
                for change in self.name_changes.drain(..) {
                    change.apply(&mut self.durable_names);
                }
                Ok(())
            }
            Fate::Cut => Err(Power::no_power()),
            Fate::Failed => Err(sync_failed()),
        }
    }

    pub(super) fn write(&mut self, inode: u64, bytes: &[u8], offset: u64) -> io::Result<()> {
        let fate = self.power.write();
        let file = self.inodes.get(&inode).ok_or_else(|| not_found("behind this one"))?;
        let length = file.visible.len();
        let offset = usize::try_from(offset).map_err(io::Error::other)?;
        let end = offset + bytes.len();
        if end > length {
            self.check_growth(end - length)?;
        }
        let file = self.inodes.get_mut(&inode).ok_or_else(|| not_found("behind this one"))?;
        file.visible.resize(length.max(end), 0);
        for number in offset / SECTOR_BYTES..end.div_ceil(SECTOR_BYTES) {
            if fate != Fate::Done && self.dice.chance(50) {
                continue;
            }
            let range = sector(number, end);
            let range = range.start.max(offset)..range.end;
            let source = bytes.get(range.start - offset..range.end - offset);
            if let (Some(target), Some(source)) = (file.visible.get_mut(range), source) {
                target.copy_from_slice(source);
            }
            file.dirty.insert(number);
        }
        match fate {
            Fate::Done => Ok(()),
            Fate::Cut => Err(Power::no_power()),
            Fate::Failed => Err(io::Error::other("a write fails, as planned")),
        }
    }

    pub(super) fn sync(&mut self, inode: u64) -> io::Result<()> {
        let fate = self.power.sync();
        let file = self.inodes.get_mut(&inode).ok_or_else(|| not_found("behind this one"))?;
        match fate {
            Fate::Done => {
                file.sync();
                Ok(())
            }
            // The sectors stay dirty: the power cut decides about each.
            Fate::Cut => Err(Power::no_power()),
            Fate::Failed => {
                file.fail_sync(&mut self.dice);
                Err(sync_failed())
            }
        }
    }

    /// Whether there is space for a new file, or for `more` bytes.
    pub(super) fn check_growth(&self, more: usize) -> io::Result<()> {
        let named = self.names.values().filter_map(|number| self.inodes.get(number));
        let used = || named.map(|inode| inode.visible.len()).sum::<usize>();
        let full = self.power.full
            || self.power.capacity.is_some_and(|capacity| (used() + more) as u64 > capacity);
        if full { Err(io::ErrorKind::StorageFull.into()) } else { Ok(()) }
    }

    pub(super) fn power_cut(&mut self, bytes: Survivors, names: Survivors) {
        for inode in self.inodes.values_mut() {
            inode.power_cut(&mut self.dice, bytes);
        }
        for change in std::mem::take(&mut self.name_changes) {
            if self.dice.chance(names.percent().unwrap_or(50)) {
                change.apply(&mut self.durable_names);
            }
        }
        self.names = self.durable_names.clone();
        self.reboot();
    }

    /// No file is open any more, so those without a name are gone; but one whose removal is not
    /// synced can have its name again after a power cut.
    pub(super) fn reboot(&mut self) {
        self.boot += 1;
        self.power.restore();
        let linked = self.name_changes.iter().filter_map(|change| match change {
            NameChange::Link { inode, .. } => Some(inode),
            NameChange::Rename { .. } | NameChange::Unlink { .. } => None,
        });
        let named = self.names.values().chain(self.durable_names.values()).chain(linked);
        let named: BTreeSet<u64> = named.copied().collect();
        self.inodes.retain(|number, _| named.contains(number));
    }
}
