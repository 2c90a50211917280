//! The spares in the directory of a log that is being opened, and how recovery gets along on a
//! full disk.
//!
//! A segment says in its header how long it is, so any file will do that is long enough. A spare
//! of the length that new segments have is the first choice, and a new one the second. On a full
//! disk, what is there is used: a spare that another length of segments has left over, then the
//! space of those that are too short for anything, then as short a file as will do. If there is
//! not even that, the tail stays where it is (`rewrite`).

use std::sync::Arc;

use crate::disk::read_full;
use crate::error::{IoFailure, directory_failed, failed};
use crate::format::{BLOCK_BYTES, Header};
use crate::segment::spare_name;
use crate::spare::make;
use crate::{Disk, DiskFile, OpenError, Options, Spare};

/// What a segment on a full disk has room for beyond what it must hold, if it can be had: a vote
/// and a new term take a block each, and without them a node takes no part in elections.
const EXTRA_BYTES: u64 = 16 * BLOCK_BYTES;

/// The spares of a directory.
pub(super) struct Spares<D: Disk> {
    disk: Arc<D>,
    segment_bytes: u64,
    /// Of the length that new segments have; one more than wanted, since recovery takes one.
    fitting: Vec<Spare<D>>,
    /// Of another length, or too many. Removed in the end.
    others: Vec<Spare<D>>,
    /// The greatest number used for a spare's name.
    last_number: u64,
}

impl<D: Disk> Spares<D> {
    /// Looks at the spares with these numbers. One that cannot be read is removed: what it holds
    /// means nothing.
    pub(super) fn find(
        disk: &Arc<D>,
        options: &Options,
        numbers: Vec<u64>,
    ) -> Result<Self, OpenError> {
        let mut spares = Self {
            disk: Arc::clone(disk),
            segment_bytes: options.segment_size(),
            fitting: Vec::new(),
            others: Vec::new(),
            last_number: numbers.last().copied().unwrap_or_default(),
        };
        for number in numbers {
            let name = spare_name(number);
            match look(&**disk, &name) {
                Ok(spare)
                    if spare.bytes == spares.segment_bytes
                        && spares.fitting.len() <= options.spares =>
                {
                    spares.fitting.push(spare);
                }
                Ok(spare) => spares.others.push(spare),
                Err(failure) if failure.is_unreadable() => {
                    disk.remove(&name).map_err(failed("remove", &name))?;
                }
                Err(failure) => return Err(OpenError::Read(failure)),
            }
        }
        Ok(spares)
    }

    /// Takes a spare of at least `bytes_min`, or makes one.
    pub(super) fn take(&mut self, bytes_min: u64) -> Result<Spare<D>, IoFailure> {
        if self.segment_bytes >= bytes_min
            && let Some(spare) = self.fitting.pop()
        {
            return Ok(spare);
        }
        self.make(self.segment_bytes.max(bytes_min))
    }

    /// Takes whatever has `bytes_min`, on a disk that has been found full.
    pub(super) fn take_any(&mut self, bytes_min: u64) -> Result<Spare<D>, IoFailure> {
        if self.segment_bytes >= bytes_min
            && let Some(spare) = self.fitting.pop()
        {
            return Ok(spare);
        }
        if let Some(position) = self.others.iter().position(|spare| spare.bytes >= bytes_min) {
            return Ok(self.others.swap_remove(position));
        }
        self.remove_others()?;
        let mut made = self.make(self.segment_bytes.max(bytes_min));
        for bytes in [bytes_min + EXTRA_BYTES, bytes_min] {
            match made {
                Err(failure) if failure.is_full() => made = self.make(bytes),
                Ok(_) | Err(_) => return made,
            }
        }
        made
    }

    fn make(&mut self, bytes: u64) -> Result<Spare<D>, IoFailure> {
        self.last_number += 1;
        make(&*self.disk, spare_name(self.last_number), bytes)
    }

    /// Gives back the space of those that no log will use.
    pub(super) fn remove_others(&mut self) -> Result<(), IoFailure> {
        if self.others.is_empty() {
            return Ok(());
        }
        for Spare { file, name, .. } in self.others.drain(..) {
            drop(file);
            self.disk.remove(&name).map_err(failed("remove", &name))?;
        }
        self.disk.sync_dir().map_err(directory_failed("sync"))
    }

    /// The spares for the log, and the greatest number used for a name.
    pub(super) fn into_parts(self) -> (Vec<Spare<D>>, u64) {
        (self.fitting, self.last_number)
    }
}

fn look<D: Disk>(disk: &D, name: &str) -> Result<Spare<D>, IoFailure> {
    let file = disk.open(name).map_err(failed("open", name))?;
    let bytes = file.len().map_err(failed("measure", name))?;
    let mut salt = [0; 8];
    read_full(&file, name, &mut salt, Header::SALT_OFFSET)?;
    let (name, salt) = (name.to_owned(), u64::from_le_bytes(salt));
    Ok(Spare { file, name, bytes, salt, on_its_way: None })
}
