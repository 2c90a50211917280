//! Segment files: names, and how a file becomes a segment.

use crate::error::{IoFailure, failed, failed_at};
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
    /// Where its groups end and its seal stands. Of the segment that is appended to,
    /// [`crate::Log::end`] says it.
    pub(crate) end: u64,
}

impl<F> Segment<F> {
    /// What the next segment says about this one.
    pub(crate) fn as_previous(&self) -> Previous {
        Previous { sequence: self.sequence, salt: self.salt, end: self.end }
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

impl<D: Disk> Spare<D> {
    /// Gives the spare the header and the name of a segment. Groups before `header.synced_to` have
    /// been written by the caller; they become durable together with the header, before the file
    /// gets its name. So a file named as a segment is always a whole one.
    ///
    /// If it fails the file is a spare as before. Otherwise the caller syncs the directory, and
    /// goes on with [`Spare::into_segment`] only if that succeeds: after a failure nobody knows
    /// under which name a crash would leave the file.
    pub(crate) fn install(&mut self, disk: &D, header: &Header) -> Result<(), IoFailure> {
        self.salt = header.salt;
        let written = self.file.write_all_at(&header.encode(), 0);
        written.map_err(failed_at("write the header of", &self.name, 0))?;
        self.file.sync().map_err(failed("sync", &self.name))?;
        let name = segment_name(header.sequence);
        disk.rename(&self.name, &name).map_err(failed("rename a spare to", &name))
    }

    /// The segment that the spare has become.
    pub(crate) fn into_segment(self, header: &Header) -> Segment<D::File> {
        let Self { file, bytes, .. } = self;
        let (sequence, salt) = (header.sequence, header.salt);
        Segment { sequence, salt, name: segment_name(sequence), file, bytes, end: header.synced_to }
    }
}
