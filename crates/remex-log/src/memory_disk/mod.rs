//! A [`Disk`] in memory that fails on demand: for tests and for the simulator.
//!
//! It keeps what a program sees (the page cache) apart from what would survive a power cut (the
//! platter), in sectors of 512 bytes, and makes every promise as weak as a real disk may:
//!
//! - a sector that was written and not synced survives a power cut or not, each by itself;
//! - a file that grew may have its old length again;
//! - a change of names that was not followed by [`Disk::sync_dir`] happened or not, each by itself;
//! - a sync that fails leaves some sectors lost **and clean**: the program still sees them, a later
//!   sync reports success and does not write them;
//! - a write that fails has written some of its sectors;
//! - any bit may flip.
//!
//! What it never does is damage what was synced, unless told to. Everything is decided by the
//! seed: the same calls in the same order have the same results.

mod image;
mod power;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use self::image::{Image, Inode, NameChange};
use self::power::Power;
use crate::split_mix::SplitMix;
use crate::{Disk, DiskFile};

/// Bytes that are written as a whole or not at all.
pub const SECTOR_BYTES: usize = 512;

/// What survives a power cut of all that was not synced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Survivors {
    /// Nothing.
    None,
    /// Each sector, each change of names, or not: the seed decides.
    Some,
    /// Everything.
    All,
}

impl Survivors {
    /// The chance of each, if it is the same for all.
    fn percent(self) -> Option<u64> {
        match self {
            Self::None => Some(0),
            Self::Some => None,
            Self::All => Some(100),
        }
    }
}

/// A disk in memory. Clones are the same disk.
#[derive(Clone, Debug)]
pub struct MemoryDisk {
    image: Arc<Mutex<Image>>,
}

/// An open file of a [`MemoryDisk`].
#[derive(Debug)]
pub struct MemoryFile {
    image: Arc<Mutex<Image>>,
    inode: u64,
    /// The run of the machine in which the file was opened.
    boot: u64,
}

fn lock(image: &Mutex<Image>) -> MutexGuard<'_, Image> {
    image.lock().unwrap_or_else(PoisonError::into_inner)
}

impl MemoryDisk {
    /// An empty disk whose faults are drawn from `seed`.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        let image = Image {
            dice: SplitMix::new(seed),
            boot: 0,
            inodes: BTreeMap::new(),
            next_inode: 1,
            names: BTreeMap::new(),
            durable_names: BTreeMap::new(),
            name_changes: Vec::new(),
            power: Power::default(),
        };
        Self { image: Arc::new(Mutex::new(image)) }
    }

    /// A disk of its own that holds the same now. Files stay with the disk on which they were
    /// opened.
    #[must_use]
    pub fn fork(&self) -> Self {
        Self { image: Arc::new(Mutex::new(lock(&self.image).clone())) }
    }

    /// The power is cut and comes back: what was not synced is lost, torn or there, and every open
    /// file gives errors from now on. Planned faults are forgotten.
    pub fn power_cut(&self) {
        self.power_cut_with(Survivors::Some, Survivors::Some);
    }

    /// Like [`MemoryDisk::power_cut`], but it is said which of the written sectors, and which
    /// changes of names, survive although they were not synced.
    pub fn power_cut_with(&self, bytes: Survivors, names: Survivors) {
        lock(&self.image).power_cut(bytes, names);
    }

    /// The process is killed: the page cache stays as it is, every open file gives errors from now
    /// on. Planned faults are forgotten.
    pub fn kill_process(&self) {
        lock(&self.image).reboot();
    }

    /// The page cache is emptied: where it was clean but wrong, after a failed sync, the platter
    /// shows through.
    pub fn drop_caches(&self) {
        for inode in lock(&self.image).inodes.values_mut() {
            inode.drop_caches();
        }
    }

    /// Plans a power cut in the middle of the `nth` change from now, 1 for the next one: it has
    /// happened partly, it and everything after it gives errors, until [`MemoryDisk::power_cut`].
    pub fn cut_power_at(&self, nth: u64) {
        let mut image = lock(&self.image);
        image.power.cut_at = Some(image.power.changes + nth);
    }

    /// Plans an error of the `nth` write from now.
    pub fn fail_write_at(&self, nth: u64) {
        let mut image = lock(&self.image);
        image.power.fail_write_at = Some(image.power.writes + nth);
    }

    /// Plans an error of the `nth` sync, of a file or of the directory, from now.
    pub fn fail_sync_at(&self, nth: u64) {
        let mut image = lock(&self.image);
        image.power.fail_sync_at = Some(image.power.syncs + nth);
    }

    /// While it is full, no file can be made or grow; what exists can be overwritten.
    pub fn set_full(&self, full: bool) {
        lock(&self.image).power.full = full;
    }

    /// Plans that the disk is full from the `nth` change from now on.
    pub fn set_full_at(&self, nth: u64) {
        let mut image = lock(&self.image);
        image.power.full_at = Some(image.power.changes + nth);
    }

    /// How many bytes all files together can have, without a limit at first. Overwriting always
    /// works.
    pub fn set_capacity(&self, bytes: Option<u64>) {
        lock(&self.image).power.capacity = bytes;
    }

    /// Whether a planned power cut has happened and the power is not back yet.
    #[must_use]
    pub fn is_cut(&self) -> bool {
        lock(&self.image).power.is_cut
    }

    /// How many changes there have been: writes, syncs, and changes and syncs of names. Reads do
    /// not count.
    #[must_use]
    pub fn changes(&self) -> u64 {
        lock(&self.image).power.changes
    }

    /// What a file holds, as a program sees it.
    #[must_use]
    pub fn bytes(&self, name: &str) -> Option<Vec<u8>> {
        let image = lock(&self.image);
        let inode = image.inodes.get(image.names.get(name)?)?;
        Some(inode.visible.clone())
    }

    /// Puts a file on the disk, durably.
    pub fn put(&self, name: &str, bytes: Vec<u8>) {
        let mut image = lock(&self.image);
        let number = image.add_inode(Inode {
            durable: bytes.clone(),
            visible: bytes,
            dirty: BTreeSet::new(),
        });
        image.names.insert(name.to_owned(), number);
        image.durable_names.insert(name.to_owned(), number);
    }

    /// Flips a bit (0 to 7) of a byte of a file, in the cache and on the platter. False if there
    /// is no such byte.
    #[must_use]
    pub fn flip_bit(&self, name: &str, offset: usize, bit: u8) -> bool {
        let mut image = lock(&self.image);
        let Some(&number) = image.names.get(name) else { return false };
        let Some(inode) = image.inodes.get_mut(&number) else { return false };
        let Some(visible) = inode.visible.get_mut(offset) else { return false };
        *visible ^= 1 << (bit % 8);
        if let Some(durable) = inode.durable.get_mut(offset) {
            *durable ^= 1 << (bit % 8);
        }
        true
    }
}

fn not_found(name: &str) -> io::Error {
    io::Error::new(io::ErrorKind::NotFound, format!("there is no file {name}"))
}

impl Disk for MemoryDisk {
    type File = MemoryFile;

    fn place(&self) -> String {
        "a directory in memory".to_owned()
    }

    fn list(&self) -> io::Result<Vec<String>> {
        let image = lock(&self.image);
        image.power.check()?;
        Ok(image.names.keys().cloned().collect())
    }

    fn create(&self, name: &str) -> io::Result<MemoryFile> {
        let mut image = lock(&self.image);
        image.power.change_names()?;
        image.check_growth(0)?;
        let inode = image.add_inode(Inode::default());
        image.change_name(NameChange::Link { name: name.to_owned(), inode });
        Ok(MemoryFile { image: Arc::clone(&self.image), inode, boot: image.boot })
    }

    fn open(&self, name: &str) -> io::Result<MemoryFile> {
        let image = lock(&self.image);
        image.power.check()?;
        let inode = *image.names.get(name).ok_or_else(|| not_found(name))?;
        Ok(MemoryFile { image: Arc::clone(&self.image), inode, boot: image.boot })
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        let mut image = lock(&self.image);
        image.power.change_names()?;
        if !image.names.contains_key(from) {
            return Err(not_found(from));
        }
        image.change_name(NameChange::Rename { from: from.to_owned(), to: to.to_owned() });
        Ok(())
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        let mut image = lock(&self.image);
        image.power.change_names()?;
        if !image.names.contains_key(name) {
            return Err(not_found(name));
        }
        image.change_name(NameChange::Unlink { name: name.to_owned() });
        Ok(())
    }

    fn sync_dir(&self) -> io::Result<()> {
        lock(&self.image).sync_names()
    }
}

impl MemoryFile {
    /// The disk, if the machine has not been restarted since this file was opened.
    fn image(&self) -> io::Result<MutexGuard<'_, Image>> {
        let image = lock(&self.image);
        image.power.check()?;
        if image.boot == self.boot {
            Ok(image)
        } else {
            Err(io::Error::other("the file was opened before the machine was restarted"))
        }
    }
}

impl DiskFile for MemoryFile {
    fn write_all_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        self.image()?.write(self.inode, bytes, offset)
    }

    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        let image = self.image()?;
        let inode = image.inodes.get(&self.inode).ok_or_else(|| not_found("behind this one"))?;
        let visible = usize::try_from(offset).ok().and_then(|offset| inode.visible.get(offset..));
        let visible = visible.unwrap_or_default();
        let count = visible.len().min(buffer.len());
        buffer.split_at_mut(count).0.copy_from_slice(visible.split_at(count).0);
        Ok(count)
    }

    fn sync(&self) -> io::Result<()> {
        self.image()?.sync(self.inode)
    }

    fn len(&self) -> io::Result<u64> {
        let image = self.image()?;
        let inode = image.inodes.get(&self.inode).ok_or_else(|| not_found("behind this one"))?;
        Ok(inode.visible.len() as u64)
    }
}
