//! Segment files: names, and how a file becomes a segment.

use crate::error::{IoFailure, directory_failed, failed};
use crate::format::{Header, Previous};
use crate::{Disk, DiskFile, Spare};

const SEGMENT_SUFFIX: &str = ".log";
const SPARE_SUFFIX: &str = ".spare";

/// A segment that is part of the log.
pub(crate) struct Segment<F> {
    pub(crate) sequence: u64,
    pub(crate) salt: u64,
    pub(crate) name: String,
    pub(crate) file: F,
    /// Length of the file.
    pub(crate) bytes: u64,
}

impl<F> Segment<F> {
    /// What the next segment says about this one if its groups end at `end`.
    pub(crate) fn as_previous(&self, end: u64) -> Previous {
        Previous { sequence: self.sequence, salt: self.salt, end }
    }
}

/// What a file name says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Name {
    Segment(u64),
    Spare(u64),
    /// Not a file of the log; left alone.
    Foreign,
}

impl Name {
    pub(crate) fn parse(name: &str) -> Self {
        let number = |suffix| {
            let digits = name.strip_suffix(suffix)?;
            let number = u64::from_str_radix(digits, 16).ok()?;
            // Only the spelling that is written here: sixteen lower-case digits.
            (format!("{number:016x}") == digits).then_some(number)
        };
        if let Some(sequence) = number(SEGMENT_SUFFIX) {
            return Self::Segment(sequence);
        }
        number(SPARE_SUFFIX).map_or(Self::Foreign, Self::Spare)
    }
}

pub(crate) fn segment_name(sequence: u64) -> String {
    format!("{sequence:016x}{SEGMENT_SUFFIX}")
}

pub(crate) fn spare_name(number: u64) -> String {
    format!("{number:016x}{SPARE_SUFFIX}")
}

/// Makes a spare the segment that `header` describes. Groups before `header.synced_to` have been
/// written by the caller; they become durable together with the header, before the file gets its
/// name. So a file named as a segment is always a whole one.
pub(crate) fn install<D: Disk>(
    disk: &D,
    spare: Spare<D>,
    header: &Header,
) -> Result<Segment<D::File>, IoFailure> {
    let name = segment_name(header.sequence);
    let Spare { file, name: spare_name, bytes, .. } = spare;
    file.write_all_at(&header.encode(), 0).map_err(failed("write the header of", &spare_name))?;
    file.sync().map_err(failed("sync", &spare_name))?;
    disk.rename(&spare_name, &name).map_err(failed("rename a spare to", &name))?;
    disk.sync_dir().map_err(directory_failed("sync"))?;
    Ok(Segment { sequence: header.sequence, salt: header.salt, name, file, bytes })
}
