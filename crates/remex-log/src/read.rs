//! Reading entries back from the disk.

use bytes::Bytes;

use crate::contents::Group;
use crate::disk::read_full;
use crate::format::{GroupHeader, Record, records};
use crate::{Corruption, Disk, Log, LogEntry, LogError};

impl<D: Disk> Log<D> {
    /// Reads the entries from `from` up to, not including, `to_exclusive`: as many as have at
    /// most `bytes_max` bytes of data together, and at least one if the range is not empty.
    /// Every checksum on the way is verified again. Entries that are not synced yet are read too.
    ///
    /// # Errors
    /// [`LogError::OutOfRange`] if the log does not hold all of the range, [`LogError::Corrupt`]
    /// if the disk gives back something else than what was written, [`LogError::Read`] if it
    /// gives an error.
    pub fn read(
        &self,
        from: u64,
        to_exclusive: u64,
        bytes_max: usize,
    ) -> Result<Vec<LogEntry>, LogError> {
        if self.poisoned {
            return Err(LogError::Poisoned);
        }
        let mut entries = Vec::new();
        if from >= to_exclusive {
            return Ok(entries);
        }
        let (first, last) = (self.first_index(), self.last_index());
        let out_of_range = LogError::OutOfRange { from, to_exclusive, first, last };
        if from < first || to_exclusive > last + 1 {
            return Err(out_of_range);
        }
        let (mut next, mut bytes) = (from, 0_usize);
        while next < to_exclusive {
            let Some((group, group_end)) = self.contents.group(next) else {
                return Err(out_of_range);
            };
            let end = group_end.min(to_exclusive);
            for entry in self.read_group(group, next, end)? {
                bytes = bytes.saturating_add(entry.data.len());
                if bytes > bytes_max && !entries.is_empty() {
                    return Ok(entries);
                }
                entries.push(entry);
            }
            next = end;
        }
        Ok(entries)
    }

    /// The entries `from..end` of one group, all of them.
    fn read_group(&self, group: Group, from: u64, end: u64) -> Result<Vec<LogEntry>, LogError> {
        let place = group.place;
        let segment = self.segment(place.sequence).expect("live groups lie in live segments");
        let corrupt = |reason: &str| Corruption {
            file: segment.name.clone(),
            offset: place.offset,
            reason: reason.to_owned(),
        };
        let mut buffer = vec![0; place.bytes];
        let count = read_full(&segment.file, &segment.name, &mut buffer, place.offset)
            .map_err(LogError::Read)?;
        if count < place.bytes {
            return Err(corrupt("the file ends inside of a group").into());
        }
        let (header, payload) = GroupHeader::open(buffer.into(), segment.salt, place.offset)
            .ok_or_else(|| corrupt("the checksum of a group that was intact is wrong"))?;
        let entries = decode_entries(payload, from, end)
            .ok_or_else(|| corrupt("a group with a good checksum does not decode"))?;
        let wanted = end - from;
        if entries.len() as u64 != wanted || header.bytes() != place.bytes {
            return Err(corrupt("a group does not hold the entries it held").into());
        }
        Ok(entries)
    }
}

fn decode_entries(payload: Bytes, from: u64, end: u64) -> Option<Vec<LogEntry>> {
    let mut entries = Vec::new();
    for record in records(payload) {
        match record.ok()? {
            Record::Entry(entry) if (from..end).contains(&entry.index) => {
                let expected = from + entries.len() as u64;
                if entry.index != expected {
                    return None;
                }
                entries.push(entry);
            }
            Record::Entry(_)
            | Record::HardState(_)
            | Record::Truncate(_)
            | Record::Start(_)
            | Record::Seal(_) => {}
        }
    }
    Some(entries)
}
