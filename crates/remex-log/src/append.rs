//! Appending: entries and hard state become groups, each one write to the disk.

use crate::contents::Place;
use crate::error::{directory_failed, failed, failed_at, full_or_io};
use crate::format::{
    BLOCK_BYTES, ENTRY_BYTES_MIN, GROUP_HEADER_BYTES, Header, LEAD_BYTES_MAX, Record,
};
use crate::{Disk, DiskFile, HardState, Log, LogEntry, LogError, Position};

/// A group is closed when it would grow beyond this: reading one entry reads its whole group.
const GROUP_BYTES_MAX: usize = 1024 * 1024;

/// A run of entries that goes into one group.
struct Planned {
    /// How many of the entries not yet planned.
    entries: usize,
    /// Whether a new segment begins with this group.
    rotate: bool,
}

impl<D: Disk> Log<D> {
    /// Appends a hard state, entries, or both; with neither it does nothing. Everything goes into
    /// one group and one write, unless it is longer than 1 MiB or than what the segment has left.
    ///
    /// The entries follow each other without gaps. If the first index is not behind the last
    /// entry, the entries from there on are replaced; the old ones stay on disk and a record says
    /// that they are void.
    ///
    /// Nothing is durable before [`Log::sync`]. After a crash in between, any prefix of what was
    /// appended may be there, and the hard state may be there without its entries.
    ///
    /// # Errors
    /// [`LogError::EntryTooLarge`], [`LogError::NotContiguous`] and [`LogError::Full`] (but see
    /// there) leave the log as it was; [`LogError::Io`] poisons it.
    pub fn append(
        &mut self,
        hard_state: Option<HardState>,
        entries: &[LogEntry],
    ) -> Result<(), LogError> {
        self.change(|log| {
            log.check_entries(entries)?;
            let last = log.last_index();
            let mut lead = Vec::new();
            lead.extend(hard_state.map(Record::HardState));
            if let Some(first) = entries.first().filter(|first| first.index <= last) {
                let index = first.index - 1;
                let term = log.term(index).expect("the place before the first entry is checked");
                lead.push(Record::Truncate(Position { index, term }));
            }
            log.append_groups(&lead, entries)
        })
    }

    /// Empties the log: the state up to and including the entry `position` is durable elsewhere
    /// (a snapshot, or what a cluster was founded with), and the next entry appended follows it.
    /// It is one group: a crash before [`Log::sync`] has returned leaves the old log or the new
    /// one, with the hard state that belongs to it. After the sync [`Log::trim_job`] gives the old
    /// segments back, whatever it is asked to keep.
    ///
    /// Nothing of the old log counts any more, not even what followed `position`. So a log that
    /// holds this very entry, of the same term, needs no emptying and is not to be emptied: what
    /// follows may have been acknowledged. Trimming is enough there.
    ///
    /// # Errors
    /// [`LogError::Full`] leaves the log as it was; [`LogError::Io`] poisons it.
    pub fn start_after(
        &mut self,
        hard_state: Option<HardState>,
        position: Position,
    ) -> Result<(), LogError> {
        self.change(|log| {
            let mut lead = Vec::new();
            lead.extend(hard_state.map(Record::HardState));
            lead.push(Record::Start(position));
            log.append_groups(&lead, &[])
        })
    }

    /// Makes durable what was appended. Does nothing if all of it is.
    ///
    /// # Errors
    /// [`LogError::Io`] poisons the log. A sync that failed is never repeated: the kernel may
    /// have dropped the pages it could not write and would then report success.
    pub fn sync(&mut self) -> Result<(), LogError> {
        self.change(Self::sync_active)
    }

    /// Appends an empty group whose header says that everything before it is synced, if nothing
    /// on disk says so yet. Without it the last group cannot be told from a torn one when it is
    /// damaged later. To be called when the node has been idle and before it stops, after
    /// [`Log::sync`]; needs no sync of its own. Does nothing if a segment would have to be made
    /// for it, or if not everything is synced.
    ///
    /// # Errors
    /// [`LogError::Io`] poisons the log.
    pub fn mark_synced(&mut self) -> Result<(), LogError> {
        self.change(|log| {
            let pending = log.synced < log.end || log.proven == log.synced;
            if pending || log.room() < BLOCK_BYTES { Ok(()) } else { log.write_group(&[], &[]) }
        })
    }

    fn check_entries(&self, entries: &[LogEntry]) -> Result<(), LogError> {
        let Some(first) = entries.first() else {
            return Ok(());
        };
        let (mut min, mut max) = (self.first_index(), self.last_index() + 1);
        let bytes_max = self.options.entry_bytes_max();
        for entry in entries {
            if entry.index < min || entry.index > max {
                return Err(LogError::NotContiguous { index: entry.index, min, max });
            }
            min = first.index.max(entry.index) + 1;
            max = min;
            let bytes = entry.data.len() as u64;
            if bytes > bytes_max {
                return Err(LogError::EntryTooLarge { index: entry.index, bytes, max: bytes_max });
            }
        }
        Ok(())
    }

    /// Writes `lead` and `entries`. All spares needed are made before the first byte is written.
    fn append_groups(&mut self, lead: &[Record], entries: &[LogEntry]) -> Result<(), LogError> {
        if lead.is_empty() && entries.is_empty() {
            return Ok(());
        }
        let plan = self.plan(lead, entries);
        self.reserve_spares(plan.iter().filter(|planned| planned.rotate).count())?;
        let (mut lead, mut rest) = (lead, entries);
        for planned in plan {
            if planned.rotate {
                self.rotate()?;
            }
            let (now, later) = rest.split_at(planned.entries);
            self.write_group(lead, now)?;
            (lead, rest) = (&[], later);
        }
        Ok(())
    }

    fn plan(&self, lead: &[Record], entries: &[LogEntry]) -> Vec<Planned> {
        let mut plan = Vec::with_capacity(1);
        let mut room = self.room();
        let fresh_room = self.options.segment_size() - 2 * BLOCK_BYTES;
        let mut open = Planned { entries: 0, rotate: room < BLOCK_BYTES };
        if open.rotate {
            room = fresh_room;
        }
        let lead_bytes = if lead.is_empty() { 0 } else { LEAD_BYTES_MAX };
        let mut bytes = GROUP_HEADER_BYTES + lead_bytes;
        for entry in entries {
            let more = ENTRY_BYTES_MIN + entry.data.len();
            let fits = padded(bytes + more) <= room;
            let begun = bytes > GROUP_HEADER_BYTES;
            if !fits || (begun && bytes + more > GROUP_BYTES_MAX) {
                if begun {
                    room -= padded(bytes);
                    plan.push(open);
                    open = Planned { entries: 0, rotate: false };
                    bytes = GROUP_HEADER_BYTES;
                }
                if padded(bytes + more) > room {
                    open.rotate = true;
                    room = fresh_room;
                }
            }
            bytes += more;
            open.entries += 1;
        }
        plan.push(open);
        plan
    }

    /// Writes one group into the last segment, which has room for it.
    fn write_group(&mut self, lead: &[Record], entries: &[LogEntry]) -> Result<(), LogError> {
        self.buffer.clear();
        for record in lead {
            self.buffer.push(record);
        }
        for entry in entries {
            self.buffer.push_entry(entry);
        }
        let segment = self.segments.back().expect("a log has at least one segment");
        let place =
            Place { sequence: segment.sequence, offset: self.end, bytes: self.buffer.len() };
        let group = self.buffer.finish(segment.salt, self.end, self.synced);
        let written = group.len() as u64;
        let result = segment.file.write_all_at(group, self.end);
        result.map_err(failed_at("write", &segment.name, self.end))?;
        self.end += written;
        self.proven = self.synced;
        for record in lead {
            self.void_unsynced |= matches!(record, Record::Truncate(_) | Record::Start(_));
            self.contents.apply(record);
        }
        for entry in entries {
            let position = Position { index: entry.index, term: entry.term };
            let follows = self.contents.push(position, place);
            assert!(follows, "append checked that the entries follow each other");
        }
        Ok(())
    }

    pub(crate) fn sync_active(&mut self) -> Result<(), LogError> {
        if self.synced < self.end {
            let segment = self.active();
            segment.file.sync().map_err(failed("sync", &segment.name))?;
            self.synced = self.end;
        }
        self.void_unsynced = false;
        Ok(())
    }

    /// Goes on in a new segment, made from a spare that is there.
    ///
    /// The old segment is synced first, so everything that the new header says about it is
    /// durable before the header is. The seal comes last: whoever finds it knows that the next
    /// segment existed.
    ///
    /// As long as the spare has not got its name a full disk changes nothing. A directory that
    /// cannot be synced always ends it, even for lack of space: with the new name durable a later
    /// group in the old segment would be lost, without it one in the new segment.
    fn rotate(&mut self) -> Result<(), LogError> {
        self.sync_active()?;
        let active = self.segments.back_mut().expect("a log has at least one segment");
        active.end = self.end;
        let spare = self.spares.last_mut().expect("append reserved a spare");
        let header = Header {
            owner: self.options.owner,
            sequence: active.sequence + 1,
            salt: spare.draw_salt(&mut self.salts),
            previous: Some(active.as_previous()),
            base: self.contents.last(),
            hard_state: self.contents.hard_state,
            segment_bytes: spare.bytes,
            synced_to: BLOCK_BYTES,
        };
        spare.install(&*self.disk, &header).map_err(full_or_io)?;
        self.disk.sync_dir().map_err(directory_failed("sync"))?;
        let next = self.spares.pop().expect("append reserved a spare").into_segment(&header);
        self.write_group(&[Record::Seal(next.sequence)], &[])?;
        self.sync_active()?;
        self.segments.push_back(next);
        self.closed = false;
        (self.end, self.synced, self.proven) = (BLOCK_BYTES, BLOCK_BYTES, BLOCK_BYTES);
        Ok(())
    }
}

fn padded(bytes: usize) -> u64 {
    (bytes as u64).next_multiple_of(BLOCK_BYTES)
}
